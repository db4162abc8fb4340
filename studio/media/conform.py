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
from typing import Any

import av
import numpy as np

from studio.domain import Frame
from studio.errors import Refused
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.frames import picture_of
from studio.media.picture import letterboxed
from studio.media.probe import Facts, open_media, probe
from studio.media.writer import VideoFile, exact_rate, to_frame

FORM = "1"  # changes when the Writer's settings or the letterbox do: old cache files are not found then
STILL_SECONDS = 3.0  # of a picture for which no time was given


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
    duration = (seconds or STILL_SECONDS) if facts.kind == "image" else facts.duration
    return max(1, round(duration * frame.fps))


def conform(
    path: Path,
    frame: Frame,
    cache: Path,
    *,
    facts: Facts | None = None,
    seconds: float | None = None,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """The clip in the film's form. Stills last `seconds`; `facts` save a second probe; `step` may raise Cancelled.

    Raises MediaError, Refused, DiskFull."""
    facts = facts or probe(path)
    if facts.kind == "audio":
        raise Refused("media.no_picture", name=path.name)
    if fits(facts, frame):
        return Fitted(path, facts.num_frames, facts, made=False)
    count = frames_needed(facts, frame, seconds)
    name = f"{_content_hash(path)}-{frame.width}x{frame.height}-{frame.fps}-{count}-{FORM}.mp4"
    made = cache / name
    if not _usable(made, frame, count):
        _encode(path, facts, frame, count, made, step)
        return Fitted(made, count, facts, made=True)
    return Fitted(made, count, facts, made=False)


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _usable(made: Path, frame: Frame, count: int) -> bool:
    if not made.exists():
        return False
    facts = probe(made)
    return fits(facts, frame) and facts.num_frames == count


def _encode(path: Path, facts: Facts, frame: Frame, count: int, made: Path, step: Callable[[int, int], None]) -> None:
    made.parent.mkdir(parents=True, exist_ok=True)
    part = made.with_name(made.name + ".part")
    pictures = _still(path, frame, count) if facts.kind == "image" else _at_rate(path, frame, count)
    with whole_or_gone(part):
        with VideoFile(part, Fraction(frame.fps), count, audio=None, comment={}) as file:
            for number, picture in enumerate(pictures, start=1):
                file.write(to_frame(picture, "yuv420p"))
                step(number, count)
        fsync_file(part)
        replace(part, made)


def _still(path: Path, frame: Frame, count: int) -> Iterator[np.ndarray]:
    picture = av.VideoFrame.from_ndarray(picture_of(path, "first"), format="rgb24")
    shown = letterboxed(picture, frame.width, frame.height)
    for _ in range(count):
        yield shown


def _at_rate(path: Path, frame: Frame, count: int) -> Iterator[np.ndarray]:
    """For each tick of the film the frame that the clip shows then, by its own timestamps; the last one stays."""
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        aspect = float(stream.sample_aspect_ratio or 1)
        decoded = _with_times(source, stream)
        shown, time = next(decoded)
        upcoming = next(decoded, None)
        picture = letterboxed(shown, frame.width, frame.height, aspect)
        for number in range(count):
            now = number / frame.fps + 1e-3  # timestamps are rounded to their clock
            while upcoming is not None and upcoming[1] <= now:
                shown, time = upcoming
                upcoming = next(decoded, None)
                if upcoming is None or upcoming[1] > now:  # frames that are skipped are not scaled
                    picture = letterboxed(shown, frame.width, frame.height, aspect)
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
