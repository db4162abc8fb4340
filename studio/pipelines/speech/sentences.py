"""What a line says, sentence by sentence: pauses, words that are said otherwise, nothing that is not spoken.

Directions in brackets are heard by nobody: who acts by them is told, as `Sentence.direction`. `[pause 0.8]` is silence
of so many seconds between two things that are said; before the first and after the last, the scene's clock says how
long it is quiet. Knows no voice.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from studio.domain import Language, Line
from studio.pipelines.speech.language import detect_language, is_han, speakable

_OPEN, _SHUT = r"[\[(（【]", r"[\])）】]"
PAUSE = re.compile(
    rf"{_OPEN}\s*(?:pause|pausa|停顿|暂停)\s*[:：]?\s*(\d{{0,2}}(?:[.,]\d{{1,2}})?)\s*(?:s|秒)?\s*{_SHUT}",
    re.IGNORECASE,
)
DIRECTION = re.compile(r"\[([^\[\]]{0,300})\]|\(([^()（）]{0,300})\)|（([^（）()]{0,300})）|【([^【】]{0,300})】")
# a full stop with what closes it, and then space, the end or, in Chinese, anything
STOP = re.compile(r"(?:[.!?]+|…+)[\"'”’»)\]]*(?=\s|$)|[。！？]+[”’」』）]*|\n+")
ABBREVIATION = re.compile(
    r"(?:(?<!\w)(?:mr|mrs|ms|dr|drs|prof|rev|sgt|capt|lt|col|gen|st|ste|jr|vs|etc|approx|dept|est|vol|cap|fig|pp|"
    r"sr|sra|srs|sras|srta|dra|profa|av|exm[oa]?|ltda|cia|tel|pág|art|séc|obs|ed|cf)|(?<![\w'’])[^\W\d_])\.$",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"(?<!\w)(?:no|nos|nº|n|num|núm)\.$", re.IGNORECASE)  # an abbreviation before a number only
USUAL_PAUSE, MOST_PAUSE = 0.6, 10.0  # seconds of a pause that does not say how long; the longest there is
BETWEEN = 0.22  # seconds between two sentences
LONGEST = 240  # letters that a model is given at once; of Chinese a third of them
_LETTER = r"[^\W㐀-鿿豈-﫿]"  # that makes a word with its neighbours; Chinese has no such edges


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is spoken in one breath, and the silence after it."""

    text: str
    language: Language
    pause: float = 0.0  # seconds
    direction: str = ""  # that stands in brackets inside it


def sentences_of(line: Line, said: Sequence[tuple[str, str]] = ()) -> list[Sentence]:
    """In order; empty: there is nothing to say. `said`: (word, how it is said)."""
    language = language_of(line)
    found: list[Sentence] = []
    for text, silence in _passages(line.text):
        begun = len(found)
        for piece in stops(text):
            direction = ", ".join(_directions(piece))
            spoken = speakable(pronounced(without_directions(piece), said))
            found += [Sentence(bounded, language, BETWEEN, direction) for bounded in _bounded(spoken) if bounded]
        if found:  # a second pause after the same words makes the first one longer
            before = 0.0 if len(found) > begun else found[-1].pause
            found[-1] = replace(found[-1], pause=min(MOST_PAUSE, before + silence) if silence else found[-1].pause)
    if found:
        found[-1] = replace(found[-1], pause=0.0)
    return found


def passages_of(line: Line, said: Sequence[tuple[str, str]] = ()) -> list[tuple[str, float]]:
    """(what is spoken, seconds of silence after it) between the pauses that a line asks for: for a voice that finds its
    own way from sentence to sentence. Empty: there is nothing to say."""
    found: list[tuple[str, float]] = []
    for text, silence in _passages(line.text):
        spoken = speakable(pronounced(without_directions(text), said))
        if spoken:
            found.append((spoken, silence))
        elif found:
            found[-1] = (found[-1][0], min(MOST_PAUSE, found[-1][1] + silence))
    return [*found[:-1], (found[-1][0], 0.0)] if found else []


def spoken_text(text: str) -> str:
    """What is heard of a line's text, as it is written: no directions, no pauses, nothing that has no sound."""
    return speakable(without_directions(PAUSE.sub(" ", text)))


def pause_seconds(text: str) -> float:
    """Of all pauses that a text asks for between what is said."""
    return sum(silence for _, silence in passages_of(Line.model_construct(text=text, language="en")))


def language_of(line: Line, usual: Language | None = None) -> Language:
    """That a line is spoken in; `usual`: its voice's, where the words tell nothing. A direction may be written in
    another one."""
    return line.language or detect_language(without_directions(PAUSE.sub(" ", line.text)), usual or "en")


def without_directions(text: str) -> str:
    """Brackets and what stands in them, however deep, are not spoken."""
    before = ""
    while text != before:
        before, text = text, DIRECTION.sub(" ", text)
    return text


def pronounced(text: str, said: Sequence[tuple[str, str]]) -> str:
    """The text with its words as they are said; whole words only, whatever their case, the longest first. What was put
    in place is not looked at again."""
    ways = {_folded(word): way for word, way in said if word.strip()}
    if not ways:
        return text
    words = "|".join(_whole(word) for word in sorted(ways, key=len, reverse=True))
    return re.sub(
        words, lambda found: ways[_folded(found[0])], unicodedata.normalize("NFC", text), flags=re.IGNORECASE
    )  # fmt: skip


def _folded(word: str) -> str:
    return unicodedata.normalize("NFC", word).strip().casefold()


def _whole(word: str) -> str:
    """A pattern of the word where nothing is joined to it. A letter of Chinese is a word wherever it stands."""
    before = f"(?<!{_LETTER})" if re.match(_LETTER, word) else ""
    after = f"(?!{_LETTER})" if re.match(_LETTER, word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"


def _passages(text: str) -> Iterator[tuple[str, float]]:
    """(text, seconds of silence after it) between pauses."""
    parts = PAUSE.split(text)  # text, seconds, text, seconds, … text
    for number in range(0, len(parts), 2):
        yield parts[number], _seconds(parts[number + 1]) if number + 1 < len(parts) else 0.0


def _seconds(text: str) -> float:
    return min(MOST_PAUSE, float(text.replace(",", "."))) if text.strip(".,") else USUAL_PAUSE


def _directions(text: str) -> list[str]:
    found = (next(filter(None, match.groups()), "").strip() for match in DIRECTION.finditer(text))
    return [direction for direction in found if direction]


def stops(text: str) -> Iterator[str]:
    """The text, cut after each full stop that ends a sentence, outside of brackets; nothing is left out."""
    inside = [match.span() for match in DIRECTION.finditer(text)]
    begin = 0
    for match in STOP.finditer(text):
        if any(first < match.start() < last for first, last in inside) or _goes_on(text[begin:], match, begin):
            continue
        yield text[begin : match.end()]
        begin = match.end()
    yield text[begin:]


def _goes_on(sentence: str, match: re.Match[str], begin: int) -> bool:
    """Does the sentence go on after what looks like its end?"""
    until, after = sentence[: match.end() - begin], sentence[match.end() - begin :].lstrip()
    if match[0].startswith("\n"):
        return False
    if ABBREVIATION.search(until) or (NUMBERED.search(until) and after[:1].isdigit()):
        return bool(after)
    trailing = match[0].startswith(("...", "…")) or match[0][-1] in "\"'”’»"
    return trailing and (after[:1].islower() or is_han(after[:1] or " "))


def _bounded(text: str) -> Iterator[str]:
    """A sentence that is too long for a model, cut at its commas, or else between words."""
    most = LONGEST // 3 if sum(map(is_han, text)) > len(text) / 2 else LONGEST
    while len(text) > most:
        marks = [match.end() for match in re.finditer(r"[,;:]\s|[，；：、]", text[:most])]
        spaces = [match.end() for match in re.finditer(r"\s", text[:most])]
        at = marks[-1] if marks and marks[-1] > most // 4 else spaces[-1] if spaces else most
        yield text[:at].strip()
        text = text[at:]
    if text.strip():
        yield text.strip()
