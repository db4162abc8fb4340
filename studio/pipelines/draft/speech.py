"""Draft voices: a line becomes a robot's reading of it, with the time of every word and phoneme. Knows no picture.

A voice is a mapping of settings, all optional: variant (one of eSpeak's), pitch and range (0-99), rate (words per
minute), tract (1.0; above it the throat is shorter, as a child's is), bands (its tone, in dB, as match.py finds it).
VOICES names some; every character has one by default, the same on every machine.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.domain import Line
from studio.errors import Refused
from studio.pipelines.draft import espeak
from studio.pipelines.speech.language import is_han
from studio.pipelines.speech.sentences import language_of, passages_of

if TYPE_CHECKING:
    import numpy as np

# Median pitch as measured on an English and a Portuguese sentence.
VOICES: Mapping[str, Mapping[str, Any]] = {
    "woman-1": {"variant": "f2", "pitch": 46, "range": 62, "rate": 158},  # 191 Hz, warm
    "woman-2": {"variant": "f4", "pitch": 36, "range": 48, "rate": 146, "tract": 0.96},  # 153 Hz, older, slower
    "woman-3": {"variant": "f3", "pitch": 60, "range": 68, "rate": 168, "tract": 1.04},  # 245 Hz, bright
    "man-1": {"variant": "m3", "pitch": 52, "range": 58, "rate": 156, "tract": 1.04},  # 112 Hz
    "man-2": {"variant": "m7", "pitch": 34, "range": 50, "rate": 142, "tract": 0.95},  # 86 Hz, old and dark
    "man-3": {"variant": "Michael", "pitch": 62, "range": 66, "rate": 166, "tract": 1.1},  # 135 Hz, young
    "child-1": {"variant": "f5", "pitch": 66, "range": 70, "rate": 164, "tract": 1.16},  # 275 Hz
}
PLAIN: Mapping[str, Any] = {"variant": "", "pitch": 50, "range": 50, "rate": 160, "tract": 1.0, "bands": ()}

WOMEN = ("woman-1", "woman-2", "woman-3")
MEN = ("man-1", "man-2", "man-3")
CHILDREN = ("child-1",)
# what a name or a role says about its voice; the first that fits wins
ROLES = (
    (r"\b(child|kid|boy|girl|criança|menin[oa]|garot[oa]|bebê)\b|小孩|孩子|男孩|女孩|娃", CHILDREN),
    (r"\b(grandm\w+|granny|old woman|av[oó]|velha|senhora)\b|奶奶|外婆|老太", ("woman-2",)),
    (r"\b(grandf\w+|grandpa|old man|avô|velho|captain|capit[aã]o)\b|爷爷|外公|老人|船长", ("man-2",)),
    (r"\b(woman|mother|mom|mum|sister|queen|lady|mrs|ms|miss|mulher|mãe|irmã|dona|rainha|tia)\b|妈|女|姐|妹|娘", WOMEN),
    (r"\b(man|father|dad|brother|king|mr|sir|homem|pai|irmão|rei|tio|seu|senhor)\b|爸|男|哥|弟|先生", MEN),
    (r"(a|ã|ês|elle|een|eth|ine)$", WOMEN),
    (r"(o|ão|os|as|ás|us|or|el|im|ck|rd|rt)$", MEN),
)

# how a line is said, read from its direction: factors on rate, range, and what is added to pitch and level (dB)
MANNERS = (
    (r"whisper|soft|quiet|gentle|sussurr|baixinho|suave|低声|轻声|小声|耳语", 0.92, 0.7, -4, -3.0),
    (r"shout|yell|loud|angry|furious|grit|alto\b|furios|zangad|喊|大声|怒", 1.06, 1.3, 9, 1.5),
    (r"excit|happy|glad|laugh|joy|alegre|feliz|animad|rindo|高兴|兴奋|笑", 1.07, 1.25, 6, 0.0),
    (r"sad|tired|weary|cry|grief|triste|cansad|choran|悲|累|哭", 0.88, 0.7, -6, -1.0),
    (r"slow|calm|solemn|devagar|lent[oa]|calm[oa]|慢|平静|沉稳", 0.86, 0.9, -1, 0.0),
    (r"fast|quick|hurr|urgent|depressa|rápid|apressad|快|急", 1.18, 1.05, 2, 0.0),
)


def default_voice(name: str) -> dict[str, Any]:
    """The draft voice of a character who was given none: by the name's role or ending, else by its hash."""
    low = name.strip().lower()
    among = next((voices for pattern, voices in ROLES if re.search(pattern, low)), WOMEN + MEN)
    number = int.from_bytes(hashlib.blake2b(low.encode(), digest_size=4).digest(), "little")
    return dict(VOICES[among[number % len(among)]])


def voice_settings(voice: str, character: str) -> dict[str, Any]:
    """The settings of a voice by its name; of the character's own where there is no such draft voice."""
    return dict(VOICES[voice]) if voice in VOICES else default_voice(character or voice)


def speak(
    line: Line, voice: Mapping[str, Any], seed: int, said: Sequence[tuple[str, str]] = ()
) -> "tuple[np.ndarray, int, dict[str, Any]]":
    """(N,) float32 mono at LOUDNESS, its rate in Hz, and facts: language, visemes, words, voice. `said`: (word, how it
    is said).

    visemes: [[seconds, phoneme], ...] in eSpeak's mnemonics; words: [[start, end, text], ...] in seconds. The seed
    varies the reading a little, so that another take is another take. Raises Refused("speech.nothing_to_say") and
    EngineError("speech.failed")."""
    import numpy as np

    from studio.media.spoken import LOUDNESS, levelled

    passages, language = passages_of(line, said), language_of(line)
    if not passages:
        raise Refused("speech.nothing_to_say", text=line.text[:80])
    settings, level = reading(line.direction, voice, language, seed)
    pieces: list[np.ndarray] = []
    visemes, words, rate, at = list[list[Any]](), list[list[Any]](), 0, 0.0
    for text, pause in passages:
        samples, rate, mouths, times = passage(text, settings, language)
        visemes += [[round(at + start, 3), phoneme] for start, phoneme in mouths]
        words += [[round(at + start, 3), round(at + end, 3), word] for start, end, word in times]
        pieces += [samples, np.zeros(round(pause * rate), np.float32)]
        at += (len(samples) + len(pieces[-1])) / rate
        if pause:
            visemes.append([round(at - len(pieces[-1]) / rate, 3), "_:"])
    facts = {"language": language, "visemes": visemes, "words": words, "voice": settings}
    return levelled(np.concatenate(pieces), rate, LOUDNESS + level), rate, facts


def passage(
    text: str, settings: Mapping[str, Any], language: str, say: Callable[..., espeak.Utterance] = espeak.synthesise
) -> "tuple[np.ndarray, int, list[list[Any]], list[list[Any]]]":
    """(N,) float32 without silence at its ends, its rate, visemes and words as `speak` has them."""
    from studio.media.spoken import audible
    from studio.pipelines.draft.tone import toned

    tract = settings["tract"]
    said = say(
        text, language,
        variant=settings["variant"],
        pitch=settings["pitch"],
        pitch_range=settings["range"],
        words_per_minute=round(settings["rate"] / tract),  # played faster afterwards
    )  # fmt: skip
    samples = toned(_play_faster(said.samples, tract), said.rate, settings["bands"])
    heard = audible(samples, said.rate)
    if heard is None:
        raise Refused("speech.nothing_to_say", text=text[:80])
    first, last = heard
    seconds = (last - first) / said.rate

    def clock(at: float) -> float:
        return round(min(max(at / tract - first / said.rate, 0.0), seconds), 3)

    visemes = [[clock(at), phoneme] for at, phoneme in said.phonemes]
    spoken = [(clock(at), start) for at, start, _ in said.words]
    return samples[first:last], said.rate, visemes, _word_times(text, spoken, visemes, seconds)


def reading(
    direction: str, voice: Mapping[str, Any], language: str, seed: int | None = None
) -> tuple[dict[str, Any], float]:
    """Settings for this reading, and its level in dB against the others. Without a seed exactly as the voice is."""
    import numpy as np

    base = {**PLAIN, **{name: value for name, value in voice.items() if name in PLAIN}}
    pitch, spread, rate, level = base["pitch"], base["range"], base["rate"], 0.0
    for pattern, faster, wider, higher, louder in MANNERS:
        if re.search(pattern, direction.lower()):
            rate, spread, pitch, level = rate * faster, spread * wider, pitch + higher, level + louder
    if seed is not None:
        rng = np.random.default_rng(seed)
        pitch, spread, rate = pitch + rng.uniform(-2, 2), spread + rng.uniform(-4, 4), rate * rng.uniform(0.97, 1.03)
    if language == "zh":
        rate *= 1.18  # eSpeak pauses after each syllable; this comes out at 4.3 characters a second
    chosen = {
        "variant": str(base["variant"]),
        "pitch": int(np.clip(round(pitch), 0, 99)),
        "range": int(np.clip(round(spread), 0, 99)),
        "rate": int(np.clip(round(rate), 80, 400)),
        "tract": float(np.clip(base["tract"], 0.8, 1.25)),
        "bands": list(base["bands"]),
    }
    return chosen, level


def _play_faster(samples: "np.ndarray", factor: float) -> "np.ndarray":
    """Pitch, formants and pace all times `factor`: a shorter throat without a vocoder."""
    from fractions import Fraction

    import numpy as np
    from scipy.signal import resample_poly

    if factor == 1.0:
        return samples
    ratio = Fraction(factor).limit_denominator(100)
    return resample_poly(samples, ratio.denominator, ratio.numerator).astype(np.float32)


def _word_times(
    text: str, spoken: list[tuple[float, int]], visemes: list[list[Any]], seconds: float
) -> list[list[Any]]:
    """[[start, end, text], ...]: a word lasts until the next one or the first pause in between.

    `spoken`: when which character of the text was begun. eSpeak says "123" as three words: they are one here."""
    first_heard = {at: start for start, at in reversed(spoken)}
    begun = [
        (start, at)
        for at, start in sorted(first_heard.items())
        if at == 0 or not text[at - 1].isalnum() or is_han(text[at]) or is_han(text[at - 1])
    ]
    words = []
    for index, (start, at) in enumerate(begun):
        until, end = begun[index + 1] if index + 1 < len(begun) else (seconds, len(text))
        pauses = [moment for moment, phoneme in visemes if start < moment < until and phoneme.startswith("_")]
        words += _share(re.findall(r"\w(?:\S*\w)?", text[at:end]), start, min([until, *pauses]))
    return words


def _share(words: list[str], start: float, end: float) -> list[list[Any]]:
    """eSpeak says "has been" in one breath: here each of its words gets time by its letters."""
    letters = sum(map(len, words))
    timed = []
    for word in words:
        until = start + (end - start) * len(word) / letters
        letters -= len(word)
        timed.append([round(start, 3), round(until, 3), word])
        start = until
    return timed
