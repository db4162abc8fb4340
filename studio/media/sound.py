"""Samples: read, laid on a clock, written. 48 kHz stereo float32 everywhere. Loudness is mix's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import av
import numpy as np

from studio.domain import JSON
from studio.errors import MediaError
from studio.media.files import fsync_file, whole_or_gone
from studio.media.probe import open_media

RATE = 48_000  # Hz; what films, browsers and AAC agree on
_EDGE_SECONDS = 0.005  # fade at both ends of a line, so that a recording that starts on a wave does not click


def stream48(path: Path) -> Iterator[np.ndarray]:
    """The sound of a file in pieces, each (n, 2) float32. Raises MediaError."""
    with open_media(path) as source:
        if not source.streams.audio:
            raise MediaError("media.no_sound", name=path.name)
        stream = source.streams.audio[0]
        mono = stream.channels == 1  # doubled here: FFmpeg would make it 3 dB quieter
        resampler = av.AudioResampler("fltp", "mono" if mono else "stereo", RATE)
        for frame in source.decode(stream):
            frame.pts = None  # gaps in a stranger's timestamps would shift what follows
            yield from (np.tile(piece.to_ndarray().T, 2 if mono else 1) for piece in resampler.resample(frame))
        yield from (np.tile(piece.to_ndarray().T, 2 if mono else 1) for piece in resampler.resample(None))


def load48(path: Path, seconds: float | None = None) -> np.ndarray:
    """(N, 2) float32 of a whole file, or of its first `seconds`. Raises MediaError."""
    wanted = None if seconds is None else round(seconds * RATE)
    pieces, got = [np.zeros((0, 2), np.float32)], 0
    for piece in stream48(path):
        pieces.append(piece)
        got += len(piece)
        if wanted is not None and got >= wanted:
            break
    return np.concatenate(pieces)[:wanted]


def place(bus: np.ndarray, samples: np.ndarray, start: float) -> None:
    """Add `samples` (n, 2) to `bus` (N, 2) at `start` seconds, in place; what reaches past the end is left out."""
    at = round(start * RATE)
    samples = samples[max(0, -at) : max(0, len(bus) - at)]
    at = max(0, at)
    bus[at : at + len(samples)] += samples


def softened(samples: np.ndarray) -> np.ndarray:
    """A copy with its first and last 5 ms faded."""
    edge = min(round(_EDGE_SECONDS * RATE), len(samples) // 2)
    gain = np.ones((len(samples), 1), np.float32)
    gain[:edge, 0] = np.linspace(0, 1, edge, endpoint=False)
    gain[len(samples) - edge :, 0] = np.linspace(1, 0, edge)
    return samples * gain


def lay_sounds(said: Sequence[tuple[Path, float]], duration: float) -> np.ndarray:
    """Files on one scene's clock, each from its second on: (round(duration * 48000), 2) float32, never beyond -1..1."""
    bus = np.zeros((round(duration * RATE), 2), np.float32)
    for path, start in said:
        place(bus, softened(load48(path)), start)
    loudest = float(np.abs(bus).max(initial=0.0))
    return bus / loudest if loudest > 1 else bus


def write_soundtrack(path: Path, said: Sequence[tuple[Path, float]], duration: float) -> None:
    """`lay_sounds` as a WAV of exactly `duration` seconds. Raises MediaError, DiskFull."""
    save(path, lay_sounds(said, duration))


def save(path: Path, samples: np.ndarray, rate: int = RATE, comment: Mapping[str, JSON] | None = None) -> None:
    """A 16-bit WAV, fsynced, `comment` as JSON in its INFO chunk. `samples`: (N,) or (N, channels) in -1..1."""
    with whole_or_gone(path):
        write_wav(path, samples, rate, comment or {})
        fsync_file(path)


def write_wav(path: Path, samples: np.ndarray, rate: int, comment: Mapping[str, JSON]) -> None:
    """The bytes only; the caller syncs. Raises MediaError("media.no_samples")."""
    if samples.ndim == 1:
        samples = samples[:, None]
    if not samples.size or not np.isfinite(samples).all():
        raise MediaError("media.no_samples", name=path.name)
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="wav") as target:
        if comment:
            target.metadata["comment"] = json.dumps(comment, ensure_ascii=False)
        stream = target.add_stream("pcm_s16le", rate=rate, layout=layout)
        for start in range(0, len(pcm), rate):  # a second at a time
            packed = np.ascontiguousarray(pcm[start : start + rate].reshape(1, -1))  # (1, n * channels)
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
