"""How long a line will take to say, before anybody has said it. Knows no voice, only what voices need for a text.

Seconds = a breath + so much for each letter (Chinese: each character) + a pause at each stop inside the line. The
numbers were fitted to the draft engine's seven voices on five sentences of 2 to 34 words in each language: 8 of 10
readings stay within 0.84 and 1.15 of them. What this machine has spoken itself corrects the pace.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from studio.domain import Language, Line
from studio.pipelines.speech.language import is_han
from studio.pipelines.speech.sentences import language_of as language_of
from studio.pipelines.speech.sentences import pause_seconds, spoken_text

STOPS = frozenset(",;:.!?，。！？、；：")
HISTORY_FROM = 5  # voice takes in a language before they count for more than the fitted numbers
MAX_STRETCH = 3.0  # a language that this machine seems to speak three times as slowly: the takes are odd, not the pace


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one language."""

    letter: float
    character: float  # a Chinese one
    stop: float
    breath: float


PACES: Mapping[Language, Pace] = {
    "en": Pace(0.0693, 0.212, 0.270, 0.301),
    "pt": Pace(0.0680, 0.212, 0.435, 0.278),
    "zh": Pace(0.0693, 0.2116, 0.327, 0.05),
}
RANGE = (0.84, 1.15)  # of a reading, as a part of the estimate: p10 and p90


@dataclass(frozen=True, slots=True)
class Spoken:
    """Seconds of speech: most likely, and the range that 8 of 10 readings fall into."""

    seconds: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        return self.low == self.high


def fitted(text: str, language: Language) -> float:
    """Seconds, by the fitted numbers alone; 0 where there is nothing to say."""
    said, pace = spoken_text(text), PACES[language]
    characters = sum(map(is_han, said))
    letters = sum(letter.isalnum() for letter in said) - characters
    if not characters + letters:
        return 0.0
    stops = sum(letter in STOPS for letter in said[:-1])
    spoken = pace.breath + letters * pace.letter + characters * pace.character + stops * pace.stop
    return spoken + pause_seconds(text)


class Speaking:
    """Estimates that this machine's own voice takes have corrected."""

    def __init__(self, voices: Iterable[Mapping[str, Any]]) -> None:
        """`voices`: rows of text, language (or None) and duration, as store.survey gives them."""
        ratios: dict[Language, list[float]] = {language: [] for language in PACES}
        for row in voices:
            text = row["text"] or ""
            language = row["language"]
            if language not in PACES:
                language = language_of(Line.model_construct(text=text, language=None))
            expected = fitted(text, language)
            if expected:
                ratios[language].append(row["duration"] / expected)
        self._ratios = {language: _ratio(found) for language, found in ratios.items()}

    def estimate(self, line: Line) -> Spoken:
        language = language_of(line)
        low, middle, high = self._ratios[language]
        seconds = fitted(line.text, language)
        return Spoken(seconds * middle, seconds * low, seconds * high)


def _ratio(found: list[float]) -> tuple[float, float, float]:
    """(p10, median, p90) of what was spoken to what was expected."""
    plausible = [ratio for ratio in found if 1 / MAX_STRETCH <= ratio <= MAX_STRETCH]
    if len(plausible) < HISTORY_FROM:
        return RANGE[0], 1.0, RANGE[1]
    tenths = statistics.quantiles(plausible, n=10, method="inclusive")
    return tenths[0], tenths[4], tenths[8]
