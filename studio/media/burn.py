"""Subtitles in the picture, for places that show no others. White letters with a dark rim, two lines at most.

Knows cues and the frames of a film, not who speaks.
"""

from bisect import bisect_right
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from studio.domain import Frame
from studio.media.fonts import Type, type_of, wrapped
from studio.media.overlay import Overlay
from studio.media.subtitles import Cue

LINES = 2
WIDE = 0.86  # of the frame's width that a line may take
LEADING = 1.28
COLUMN = 0.56  # of the letters' size: the width of one column, of which a Chinese sign takes two


def letter_size(frame: Frame) -> int:
    """Pixels: 34 in a film of 720 lines; a little larger in a narrow one, which is seen on a telephone."""
    short = min(frame.width, frame.height)
    return max(8, round(short * (0.047 if frame.width > frame.height else 0.058)))


def columns_of(frame: Frame) -> int:
    """How many columns of text fit into a line: what subtitles for this frame are broken by."""
    return max(12, min(42, int(WIDE * frame.width / (COLUMN * letter_size(frame)))))


class Burnt:
    """The cues of a film as something to draw on its frames."""

    def __init__(self, cues: Sequence[Cue], frame: Frame) -> None:
        self._frame = frame
        self._cues = sorted(cues, key=lambda cue: cue.start)
        self._starts = [round(cue.start * frame.fps) for cue in self._cues]
        self._ends = [round(cue.end * frame.fps) for cue in self._cues]
        self._drawn: tuple[int, Overlay] | None = None  # the cue in hand: the frames come in order

    def touches(self, number: int) -> bool:
        return self._cue(number) is not None

    def draw(self, frame: np.ndarray, number: int) -> None:
        cue = self._cue(number)
        if cue is None:
            return
        if self._drawn is None or self._drawn[0] != cue:
            self._drawn = cue, Overlay(lettered(self._cues[cue].text, self._frame))
        self._drawn[1].apply(frame)

    def _cue(self, number: int) -> int | None:
        """The newest that is on screen."""
        found = bisect_right(self._starts, number) - 1
        return found if found >= 0 and number < self._ends[found] else None


def lettered(text: str, frame: Frame) -> np.ndarray:
    """(H, W, 4) uint8 RGBA: the words at the bottom of an empty frame."""
    letters, lines = _fitted(text, frame)
    leading = round(letters.size * LEADING)
    bottom = frame.height - round(frame.height * (0.075 if frame.width >= frame.height else 0.16))
    picture = Image.new("RGBA", (frame.width, frame.height))
    on, top = ImageDraw.Draw(picture), bottom - leading * len(lines)
    for number, line in enumerate(lines):
        letters.draw(on, (frame.width - letters.length(line)) / 2, top + number * leading, line, (255, 255, 255, 255))
    return _rimmed(np.asarray(picture), letters.size)


def _fitted(text: str, frame: Frame) -> tuple[Type, list[str]]:
    """The largest letters, down to three quarters, in which the text has two lines; no word is left out."""
    wide, lines = frame.width * WIDE, [text]
    for share in (1.0, 0.92, 0.84, 0.75):
        letters = type_of("label", max(8, round(letter_size(frame) * share)))
        asked = [letters.drawable(line) for line in text.split("\n")]
        if all(letters.length(line) <= wide for line in asked):
            return letters, asked
        lines = wrapped(letters.drawable(text.replace("\n", " ")), letters, wide)
        if len(lines) <= LINES:
            break
    return letters, lines


def _rimmed(picture: np.ndarray, size: int) -> np.ndarray:
    """The letters on a dark rim and a soft shadow, which is what makes them readable on snow."""
    ink = picture[..., 3]
    reach = max(1, round(size * 0.07))
    rim = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    rim = cv2.GaussianBlur(rim, (0, 0), max(0.6, reach * 0.35)).astype(np.float32) / 255 * 0.9
    shade = cv2.GaussianBlur(ink, (0, 0), size * 0.28).astype(np.float32) / 255 * 0.75
    dark = 1 - (1 - rim) * (1 - shade)
    white = ink.astype(np.float32) / 255
    alpha = white + dark * (1 - white)
    grey = np.where(alpha > 0, 255 * white / np.maximum(alpha, 1e-6), 0)
    return np.dstack([grey, grey, grey, alpha * 255]).round().astype(np.uint8)
