"""Title card and credits: words on ink that come and go. moviepy composes them, the one Writer writes them.

They have the film's form, so they are joined to it as any clip is. Made once for each text, size and length.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from studio.domain import Frame
from studio.media.conform import fits
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.film import Card
from studio.media.fonts import Type, type_of, wrapped
from studio.media.probe import probe
from studio.media.writer import VideoFile, to_frame

FORM = "1"  # changes when the look does: old cards are not found then
INK = (8, 9, 11)  # RGB; the house's darkest
PAPER, DIM, LAMP = (244, 241, 235, 255), (244, 241, 235, 150), (232, 168, 85, 255)
SAFE = 0.10  # of each side that stays empty: televisions and telephones hide the rim
FADE = 0.7  # seconds
LATER = 0.35  # seconds after the title, its line
PAGE_LINES = 9  # of credits on one page

Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture with holes that is shown from `start` to `end`, in seconds."""

    rgba: np.ndarray
    x: int
    y: int
    start: float
    end: float

    @property
    def fade(self) -> float:
        """Seconds in which it comes, and goes."""
        return min(FADE, (self.end - self.start) / 3)

    def state(self, seconds: float) -> Literal["gone", "fading", "shown"]:
        if not self.start <= seconds < self.end:
            return "gone"
        return "shown" if self.start + self.fade < seconds < self.end - self.fade else "fading"


def card_clip(kind: Literal["title", "credits"], card: Card, frame: Frame, count: int, cache: Path, step: Step) -> Path:
    """The card as a clip of `count` frames in the film's form. `step` may raise Cancelled. Raises DiskFull."""
    words = "\0".join((kind, card.text, card.below, f"{frame.width}x{frame.height}@{frame.fps}", str(count), FORM))
    path = cache / f"card-{hashlib.sha256(words.encode()).hexdigest()[:32]}.mp4"
    if path.is_file() and fits(facts := probe(path), frame) and facts.num_frames == count:
        return path
    seconds = count / frame.fps
    layers = title_layers(card, frame, seconds) if kind == "title" else credit_layers(card, frame, seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with whole_or_gone(part):
        with VideoFile(part, Fraction(frame.fps), count, audio=None, comment={}) as file:
            for number, picture in enumerate(_pictures(layers, frame, count), start=1):
                file.write(to_frame(picture, "rgb24"))
                step(number, count)
        fsync_file(part)
        replace(part, path)
    return path


def _pictures(layers: Sequence[Layer], frame: Frame, count: int) -> Iterator[np.ndarray]:
    """Every frame, (H, W, 3) uint8. Composing takes a tenth of a second: while nothing moves, one is shown again."""
    composed = _composed(layers, frame, count / frame.fps)
    picture, seen = None, None
    for number in range(count):
        seconds = number / frame.fps
        state = tuple(layer.state(seconds) for layer in layers)
        if picture is None or state != seen or "fading" in state:
            picture = composed.get_frame(seconds)
        seen = state
        yield picture


def _composed(layers: Sequence[Layer], frame: Frame, seconds: float) -> Any:
    """The moviepy clip."""
    from moviepy import ColorClip, CompositeVideoClip, ImageClip
    from moviepy.video.fx import CrossFadeIn, CrossFadeOut

    clips = [ColorClip((frame.width, frame.height), color=INK, duration=seconds)]
    for layer in layers:
        clip = ImageClip(layer.rgba, transparent=True, duration=layer.end - layer.start).with_start(layer.start)
        clips.append(
            clip.with_position((layer.x, layer.y)).with_effects([CrossFadeIn(layer.fade), CrossFadeOut(layer.fade)])
        )
    return CompositeVideoClip(clips, size=(frame.width, frame.height)).with_duration(seconds)


def unit(frame: Frame) -> float:
    """Pixels per pixel of a 720-line film."""
    return min(frame.width, frame.height) / 720


# ------------------------------------------------------------------------------------------------ the title
def title_layers(card: Card, frame: Frame, seconds: float) -> list[Layer]:
    """The title in the middle, a lamp-coloured line over it; what stands below comes a little later."""
    u, wide = unit(frame), frame.width * (1 - 2 * SAFE)
    letters, lines = _largest(card.text, "story", [round(size * u) for size in (104, 88, 74, 62, 52, 44)], wide, 3)
    small, below = _largest(card.below, "label", [round(size * u) for size in (22, 20, 18)], wide, 3)
    leading, small_leading = round(letters.size * 1.12), round(small.size * 1.5)
    gap, rule = round(30 * u), round(34 * u)
    height = rule + leading * len(lines) + (gap + small_leading * len(below) if below else 0)
    top = round((frame.height - height) / 2 - 0.02 * frame.height)
    end = seconds - min(0.15, seconds / 20)
    title = Image.new("RGBA", (frame.width, rule + leading * len(lines) + round(letters.size * 0.3)))
    on, middle = ImageDraw.Draw(title), frame.width / 2
    on.rectangle([middle - 22 * u, 0, middle + 22 * u, max(1, round(2.5 * u))], fill=LAMP)
    for number, line in enumerate(lines):
        letters.draw(on, middle - letters.length(line) / 2, rule + number * leading, line, PAPER)
    layers = [Layer(np.asarray(title), 0, top, min(0.15, seconds / 20), end)]
    if below:
        words = _rows([(line, small, DIM) for line in below], frame.width, small_leading, 0.6 * u)
        start = min(LATER, seconds / 8)
        layers.append(Layer(np.asarray(words), 0, top + rule + leading * len(lines) + gap, start, end))
    return layers


def _largest(text: str, role: str, sizes: Sequence[int], wide: float, most: int) -> tuple[Type, list[str]]:
    """The largest type in which the text fits into `most` lines; in the smallest it takes as many as it needs."""
    for size in sizes:
        letters = type_of(role, max(8, size))
        lines = _balanced(letters.drawable(text), letters, wide)
        if len(lines) <= most and all(letters.length(line) <= wide for line in lines):
            break
    return letters, lines


def _balanced(text: str, letters: Type, wide: float) -> list[str]:
    """Wrapped into lines of about one length, so that no word is left alone in the last."""
    lines = wrapped(text, letters, wide)
    if len(lines) < 2:
        return lines
    phrases = [phrase for phrase in re.split(r"(?<=[，。：；！？])", text) if phrase]  # where Chinese takes a breath
    if 1 < len(phrases) <= len(lines) and all(letters.length(phrase) <= wide for phrase in phrases):
        return phrases
    for share in np.linspace(1 / len(lines), 1.0, 12):
        evener = wrapped(text, letters, max(wide * float(share), letters.length(max(text.split(), key=len))))
        if len(evener) == len(lines):
            return evener
    return lines


def _rows(rows: Sequence[tuple[str, Type, tuple[int, ...]]], width: int, leading: int, tracking: float) -> Image.Image:
    picture = Image.new("RGBA", (width, leading * len(rows) + leading // 2))
    on = ImageDraw.Draw(picture)
    for number, (line, letters, colour) in enumerate(rows):
        length = letters.length(line, tracking) - tracking
        letters.draw(on, (width - length) / 2, number * leading, line, colour, tracking)
    return picture


# ------------------------------------------------------------------------------------------------ the credits
_ROLE = re.compile(r"\s*(?:[:：\t]|\s[–—·-]\s)\s*")


def credit_layers(card: Card, frame: Frame, seconds: float) -> list[Layer]:
    """Pages of lines, each shown for its share of the time. `role: name` stands in two columns, or one over the
    other in a narrow frame."""
    pages = credit_pages(card.text)
    lines = sum(len(page) + 2 for page in pages)  # a page takes a moment to arrive, however short
    layers, start = [], 0.0
    for page in pages:
        shown = seconds * (len(page) + 2) / lines
        picture = _page(page, frame)
        layers.append(Layer(np.asarray(picture), 0, round((frame.height - picture.height) / 2), start, start + shown))
        start += shown
    return layers


def credit_pages(text: str) -> list[list[str]]:
    """Lines in pages of at most PAGE_LINES, broken at an empty line where there is one."""
    pages: list[list[str]] = [[]]
    for group in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in group.splitlines() if line.strip()]
        if pages[-1] and len(pages[-1]) + 1 + len(lines) > PAGE_LINES:
            pages.append([])
        if pages[-1]:
            pages[-1].append("")
        for line in lines:
            if len(pages[-1]) >= PAGE_LINES:
                pages.append([])
            pages[-1].append(line)
    return pages


def _page(lines: Sequence[str], frame: Frame) -> Image.Image:
    u, wide = unit(frame), frame.width * (1 - 2 * SAFE)
    name, role = type_of("story", max(8, round(38 * u))), type_of("label", max(8, round(17 * u)))
    beside = frame.width > frame.height
    drawn: list[tuple[float, Callable[[ImageDraw.ImageDraw, float], None]]] = []
    for line in lines:
        drawn += _credit(line, frame.width, wide, name, role, beside, u)
    picture = Image.new("RGBA", (frame.width, max(2, round(sum(height for height, _ in drawn)))))
    on, y = ImageDraw.Draw(picture), 0.0
    for height, draw in drawn:
        draw(on, y)
        y += height
    return picture


def _credit(
    line: str, width: int, wide: float, name: Type, role: Type, beside: bool, u: float
) -> list[tuple[float, Callable[[ImageDraw.ImageDraw, float], None]]]:
    """(height, how it is drawn) of the rows that one line of credits takes."""
    if not line:
        return [(26 * u, lambda on, y: None)]
    parts = _ROLE.split(line, maxsplit=1)
    if len(parts) == 2 and all(parts):
        who, what = parts[1], role.drawable(parts[0]).upper()
        if beside and name.length(who) < wide / 2 - 14 * u and role.length(what, 1.2 * u) < wide / 2 - 14 * u:
            return [(52 * u, lambda on, y: _two_columns(on, y, what, who, width, name, role, u))]
        rows = [("", role, DIM, 14 * u, 0.0)] if beside else []
        rows.append((what, role, DIM, 28 * u, 1.2 * u))
        rows += [(row, name, PAPER, 50 * u, 0.0) for row in wrapped(who, name, wide)]
        rows[-1] = (*rows[-1][:3], 62 * u, rows[-1][4])
    else:
        rows = [(row, name, PAPER, 52 * u, 0.0) for row in wrapped(name.drawable(line), name, wide)]
    return [
        (height, lambda on, y, row=row, t=letters, c=colour, k=tracking: _middle(on, y, row, t, c, k, width))  # type: ignore[misc]
        for row, letters, colour, height, tracking in rows
    ]


def _middle(
    on: ImageDraw.ImageDraw, y: float, text: str, letters: Type, colour: tuple[int, ...], tracking: float, width: int
) -> None:
    letters.draw(on, (width - letters.length(text, tracking) + tracking) / 2, y, text, colour, tracking)


def _two_columns(
    on: ImageDraw.ImageDraw, y: float, what: str, who: str, width: int, name: Type, role: Type, u: float
) -> None:
    middle, gap = width / 2, 14 * u
    baseline = name.ascent - role.ascent
    role.draw(on, middle - gap - role.length(what, 1.2 * u) + 1.2 * u, y + baseline, what, DIM, 1.2 * u)
    name.draw(on, middle + gap, y, who, PAPER)
