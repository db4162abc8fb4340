"""What a line says, sentence by sentence: pauses, words that are said otherwise, nothing that is not spoken.

Directions in brackets are heard by nobody; `[pause 0.8]` is silence of so many seconds. Knows no voice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.domain import Language, Line
from studio.pipelines.speech.language import detect_language, is_han, speakable

PAUSE = re.compile(
    r"[\[(（【](?:pause|pausa|停顿|暂停)\s*[:：]?\s*(\d{0,2}(?:[.,]\d{1,2})?)\s*s?[\])）】]", re.IGNORECASE
)
DIRECTION = re.compile(r"\[[^\[\]]{0,300}\]|\([^()]{0,300}\)|（[^（）]{0,300}）|【[^【】]{0,300}】")
STOP = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？…]+[”’」』）]*|\n+")
ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|sr|sra|dra|st|vs|etc|av|exma?|nº?|no|vol|cap|fig)|\b[A-Za-z])\.$", re.IGNORECASE
)
USUAL_PAUSE, MOST_PAUSE = 0.6, 10.0  # seconds of a pause that does not say how long; the longest there is
BETWEEN = 0.22  # seconds between two sentences
LONGEST = 240  # letters that a model is given at once; of Chinese a third of them


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is spoken in one breath, and the silence after it."""

    text: str
    language: Language
    pause: float = 0.0  # seconds


def sentences_of(line: Line, said: Sequence[tuple[str, str]] = ()) -> list[Sentence]:
    """In order; empty: there is nothing to say. `said`: (word, how it is said), the longest first."""
    language = line.language or detect_language(line.text)
    found: list[Sentence] = []
    parts = PAUSE.split(line.text)  # text, seconds, text, seconds, … text
    for number in range(0, len(parts), 2):
        silence = _seconds(parts[number + 1]) if number + 1 < len(parts) else 0.0
        spoken = [speakable(pronounced(text, said)) for text in stops(DIRECTION.sub(" ", parts[number]))]
        texts = [piece for text in spoken if text for piece in _bounded(text)]
        found += [Sentence(text, language, BETWEEN) for text in texts]
        if silence and found:
            found[-1] = Sentence(found[-1].text, language, silence)
    if found:
        found[-1] = Sentence(found[-1].text, language, 0.0)
    return found


def pronounced(text: str, said: Sequence[tuple[str, str]]) -> str:
    """The text with its words as they are said; whole words only, whatever their case."""
    for word, way in said:
        edge = "" if any(map(is_han, word)) else r"\b"
        literal = way.replace("\\", "\\\\")  # a backslash means something in what is put in place
        text = re.sub(f"{edge}{re.escape(word)}{edge}", literal, text, flags=re.IGNORECASE)
    return text


def _seconds(text: str) -> float:
    return min(MOST_PAUSE, float(text.replace(",", "."))) if text.strip(".,") else USUAL_PAUSE


def stops(text: str) -> Iterator[str]:
    """The text, cut after each full stop that ends a sentence; nothing is left out."""
    begin = 0
    for match in STOP.finditer(text):
        if ABBREVIATION.search(text[begin : match.end()]):
            continue
        yield text[begin : match.end()]
        begin = match.end()
    yield text[begin:]


def _bounded(text: str) -> Iterator[str]:
    """A sentence that is too long for a model, cut at its commas, or else between words."""
    most = LONGEST // 3 if sum(map(is_han, text)) > len(text) / 2 else LONGEST
    while len(text) > most:
        marks = [match.end() for match in re.finditer(r"[,;:，；：、]\s*", text[:most])]
        spaces = [match.end() for match in re.finditer(r"\s", text[:most])]
        at = marks[-1] if marks and marks[-1] > most // 4 else spaces[-1] if spaces else most
        yield text[:at].strip()
        text = text[at:]
    if text.strip():
        yield text.strip()
