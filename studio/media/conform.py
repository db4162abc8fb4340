"""Strangers' clips in the film's form: size, rate and codec parameters, made once by the Writer and cached by content.

A clip that already has the form is used as it is; joining anything else by copy plays in FFmpeg, and shows the wrong
picture in Chromium. Sound is not carried over: the mix reads it from the original.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from studio.domain import Frame
from studio.errors import Refused
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.frames import picture_of
from studio.media.picture import letterboxed
from studio.media.plan import STILL_SECONDS, frames_of
from studio.media.probe import Facts, open_media, probe
from studio.media.writer import VideoFile, exact_rate, to_frame

FORM = "1"  # changes when the Writer's settings or the letterbox do: old cache files are not found then


FILL_FORM = "1"  # changes when the way of following faces does
SAME_SHAPE = 0.02  # shapes that differ less are letterboxed: nobody sees the line
Fill = Literal["faces"] | tuple[float, float]  # what a clip of another shape keeps in sight: faces, or x, y in 0..1


@dataclass(frozen=True, slots=True)
class Fitted:
    """A clip in the film's form."""

    path: Path
    num_frames: int
    original: Facts
    made: bool  # encoded just now; False: it fitted, or came from the cache


@lru_cache(maxsize=16)
def form_parameters(width: int, height: int, rate: Fraction) -> str:
    """`Facts.parameters` of what the Writer makes for this frame, found by writing one frame."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "form.mp4"
        with VideoFile(path, rate, 1, audio=None, comment={}) as file:
            file.write(to_frame(np.full((height * 3 // 2, width), 128, np.uint8), "yuv420p"))
        return probe(path).parameters


def fits(facts: Facts, frame: Frame) -> bool:
    """May packets of this clip stand in a film of `frame` as they are?"""
    rate = Fraction(frame.fps)
    return (
        (facts.container, facts.codec, facts.pix_fmt, facts.rotation) == ("mp4", "h264", "yuv420p", 0)
        and (facts.width, facts.height) == (frame.width, frame.height)
        and exact_rate(facts.fps) == rate
        and abs(facts.duration - facts.num_frames / rate) < 0.5 / rate  # constant rate
        and facts.parameters == form_parameters(frame.width, frame.height, rate)
    )


def frames_needed(facts: Facts, frame: Frame, seconds: float | None) -> int:
    """How many frames the clip has in the film: its duration is kept. `seconds` is for stills."""
    return frames_of(seconds_of(facts, seconds), frame.fps)


def seconds_of(facts: Facts, seconds: float | None) -> float:
    """How long a clip is in the film before it is trimmed. `seconds` is for stills."""
    return (seconds or STILL_SECONDS) if facts.kind == "image" else facts.duration


def conform(
    path: Path,
    frame: Frame,
    cache: Path,
    *,
    facts: Facts | None = None,
    seconds: float | None = None,
    fill: Fill | None = None,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """The clip in the film's form. Stills last `seconds`; `facts` save a second probe; `step` may raise Cancelled.

    A clip of another shape stands on black, or fills the frame and follows faces or a point (`fill`).

    Raises MediaError, Refused, DiskFull."""
    facts = facts or probe(path)
    if facts.kind == "audio":
        raise Refused("media.no_picture", name=path.name)
    if fits(facts, frame):
        return Fitted(path, facts.num_frames, facts, made=False)
    count = frames_needed(facts, frame, seconds)
    shape = frame.width / frame.height
    fill = fill if fill and abs(_shape(facts) / shape - 1) > SAME_SHAPE else None
    name = f"{_content_hash(path)}-{frame.width}x{frame.height}-{frame.fps}-{count}{_filled(fill)}-{FORM}.mp4"
    made = cache / name
    if not _usable(made, frame, count):
        _encode(path, facts, frame, count, made, fill, step)
        return Fitted(made, count, facts, made=True)
    return Fitted(made, count, facts, made=False)


def _shape(facts: Facts) -> float:
    """Width over height as a player shows it."""
    width, height = facts.width, facts.height
    return height / width if facts.rotation % 180 else width / height


def _filled(fill: Fill | None) -> str:
    if fill is None:
        return ""
    return f"-faces{FILL_FORM}" if fill == "faces" else f"-at{round(fill[0] * 1000)}_{round(fill[1] * 1000)}"


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _usable(made: Path, frame: Frame, count: int) -> bool:
    if not made.exists():
        return False
    facts = probe(made)
    return fits(facts, frame) and facts.num_frames == count


def _encode(
    path: Path, facts: Facts, frame: Frame, count: int, made: Path, fill: Fill | None, step: Callable[[int, int], None]
) -> None:
    made.parent.mkdir(parents=True, exist_ok=True)
    part = made.with_name(made.name + ".part")
    shown = _fitter(path, facts, frame, fill, lambda: step(0, count))
    pictures = _still(path, count, shown) if facts.kind == "image" else _at_rate(path, frame.fps, count, shown)
    with whole_or_gone(part):
        with VideoFile(part, Fraction(frame.fps), count, audio=None, comment={}) as file:
            for number, picture in enumerate(pictures, start=1):
                file.write(to_frame(picture, "yuv420p"))
                step(number, count)
        fsync_file(part)
        replace(part, made)


Fitter = Callable[[av.VideoFrame, float, float], np.ndarray]  # (frame, its seconds, pixel aspect) -> packed yuv420p


def _fitter(path: Path, facts: Facts, frame: Frame, fill: Fill | None, alive: Callable[[], None]) -> Fitter:
    if fill is None:
        return lambda shown, seconds, aspect: letterboxed(shown, frame.width, frame.height, aspect)
    from studio.media.reframe import Window  # OpenCV is only in workers

    window = Window.following(path, facts, frame, alive) if fill == "faces" else Window.at(fill)
    return lambda shown, seconds, aspect: window.cropped(shown, seconds, frame.width, frame.height, aspect)


def _still(path: Path, count: int, fitted: Fitter) -> Iterator[np.ndarray]:
    picture = av.VideoFrame.from_ndarray(picture_of(path, "first"), format="rgb24")
    shown = fitted(picture, 0.0, 1.0)
    for _ in range(count):
        yield shown


def _at_rate(path: Path, fps: int, count: int, fitted: Fitter) -> Iterator[np.ndarray]:
    """For each tick of the film the frame that the clip shows then, by its own timestamps; the last one stays."""
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        aspect = float(stream.sample_aspect_ratio or 1)
        decoded = _with_times(source, stream)
        shown, time = next(decoded)
        upcoming = next(decoded, None)
        picture = fitted(shown, time, aspect)
        for number in range(count):
            now = number / fps + 1e-3  # timestamps are rounded to their clock
            while upcoming is not None and upcoming[1] <= now:
                shown, time = upcoming
                upcoming = next(decoded, None)
                if upcoming is None or upcoming[1] > now:  # frames that are skipped are not scaled
                    picture = fitted(shown, time, aspect)
            yield picture


def _with_times(source: Any, stream: Any) -> Iterator[tuple[av.VideoFrame, float]]:
    """(frame, seconds from the first frame)"""
    first = None
    for number, frame in enumerate(source.decode(stream)):
        if frame.pts is None:
            yield frame, number / float(stream.average_rate)
            continue
        first = frame.pts if first is None else first
        yield frame, float((frame.pts - first) * stream.time_base)
