"""A stretch of a recording: sound of any file between two moments, mono, at its own rate. Judges nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from studio.errors import Refused
from studio.media.probe import open_media

LOWEST, HIGHEST = 8_000, 48_000  # Hz; a telephone's rate, and all that anybody hears
_CANCELLED = 0.5  # below this share of the louder side, the sum of two sides has lost what they hold: opposite phases


@dataclass(frozen=True, slots=True)
class Stretch:
    samples: np.ndarray  # (N,) float32
    rate: int  # Hz
    start: float  # seconds of the file at which it begins
    whole: float  # seconds of the whole file, as its header has it


def read(path: Path, start: float = 0.0, end: float | None = None, *, most: float) -> Stretch:
    """Seconds `start` to `end` of a sound or of a video's sound, never more than `most` seconds. What lies before is
    skipped, what lies after is not decoded.

    Raises Refused("media.no_sound"), Refused("voice.range"), MediaError("media.broken")."""
    with open_media(path) as source:
        if not source.streams.audio:
            raise Refused("media.no_sound", name=path.name)
        stream = source.streams.audio[0]
        whole = _seconds(source, stream)
        if end is not None and end <= start or whole and start >= whole:
            raise Refused("voice.range", name=path.name, start=round(start, 2), seconds=round(whole, 2))
        until = min(start + most, end if end is not None else np.inf)
        sides, rate = _decode(source, stream, start, until)
    if not sides.shape[1]:
        raise Refused("voice.range", name=path.name, start=round(start, 2), seconds=round(whole, 2))
    return Stretch(_mono(sides), rate, start, whole or start + sides.shape[1] / rate)


def _seconds(source: Any, stream: Any) -> float:
    """As the header has it; 0.0: it does not say."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return source.duration / 1_000_000 if source.duration else 0.0


def _decode(source: Any, stream: Any, start: float, until: float) -> tuple[np.ndarray, int]:
    """((1 or 2, N) float32, rate) of the seconds from `start` to `until`."""
    rate = min(max(stream.rate, LOWEST), HIGHEST)
    resampler = av.AudioResampler("fltp", "mono" if stream.channels == 1 else "stereo", rate)
    first = float((stream.start_time or 0) * stream.time_base)  # some files do not begin at 0
    if start > 1.0:
        source.seek(round((first + start - 0.5) / stream.time_base), stream=stream)
    pieces: list[np.ndarray] = []
    at: float | None = None  # second of the file at which the pieces begin
    got, wanted = 0, np.inf
    for frame in _frames(source, stream, first + start):
        if at is None:
            at = start if frame.pts is None else float(frame.pts * stream.time_base) - first
            wanted = (until - at) * rate
        frame.pts = None  # gaps in a stranger's timestamps are not ours
        pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
        got = sum(piece.shape[1] for piece in pieces[-1:]) + got
        if got >= wanted:
            break
    else:
        pieces += [piece.to_ndarray() for piece in resampler.resample(None)] if pieces else []
    sides = np.concatenate(pieces, axis=1) if pieces else np.zeros((1, 0), np.float32)
    skip = max(0, round((start - (at or 0.0)) * rate))
    return sides[:, skip : None if wanted == np.inf else max(0, round(wanted))].astype(np.float32), rate


def _frames(source: Any, stream: Any, start: float) -> Iterator[Any]:
    """Decoded frames from the one on that holds `start`, in the stream's own seconds."""
    for frame in source.decode(stream):
        end = None if frame.pts is None else float(frame.pts * stream.time_base) + frame.samples / stream.rate
        if end is None or end > start:
            yield frame


def _mono(sides: np.ndarray) -> np.ndarray:
    """(N,) of (1 or 2, N). Where the two sides cancel each other, the louder one alone."""
    powers = np.square(sides, dtype=np.float64).mean(axis=1)
    both = sides.mean(axis=0)
    if float(np.square(both, dtype=np.float64).mean()) < _CANCELLED**2 * float(powers.max()) / 2:
        return np.ascontiguousarray(sides[int(powers.argmax())])
    return both
