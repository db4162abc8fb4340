"""Where in a recording somebody speaks: loud, now and then voiced, in syllables. Judges no quality, knows no file."""

from dataclasses import dataclass

import numpy as np

from studio.media import voice_pitch
from studio.media.voice_pitch import HOP

_SILENCE = 1e-8  # power of nothing at all, -80 dBFS
_AROUND = 0.25  # seconds; consonants this near to a voiced sound belong to it
_RUN = 4  # frames; a shorter voiced sound is chance
PAUSE = 0.15  # seconds; shorter silences belong to the words around them


@dataclass(frozen=True, slots=True)
class Heard:
    """What is heard every 10 ms. All arrays are (T,)."""

    samples: np.ndarray  # (N,) float32
    rate: int
    pitch: np.ndarray  # Hz, 0 where nothing is voiced
    strength: np.ndarray  # 0..1, how periodic it is
    level: np.ndarray  # dBFS of 30 ms
    loud: np.ndarray  # bool: more than the background
    speech: np.ndarray  # bool: somebody speaks here

    @property
    def speech_seconds(self) -> float:
        return float(self.speech.sum() * HOP)

    @property
    def voiced(self) -> np.ndarray:
        """(T,) bool: speech with a pitch."""
        found: np.ndarray = self.speech & (self.pitch > 0)
        return found


def listen(samples: np.ndarray, rate: int) -> Heard:
    """Listen to (N,) float samples."""
    pitch, strength = voice_pitch.track(samples, rate)
    level = _level(samples, rate, len(pitch))
    loud = level > _threshold(level)
    voiced = _runs_of(loud & (pitch > 0), _RUN)
    near = round(_AROUND / HOP)
    speech = closed(loud & _spread(voiced, near), round(PAUSE / HOP))
    return Heard(samples, rate, np.where(voiced, pitch, 0.0), strength, level, loud, speech)


def _level(samples: np.ndarray, rate: int, count: int) -> np.ndarray:
    """(count,) dBFS of 30 ms around each frame."""
    from scipy.ndimage import uniform_filter1d

    power = uniform_filter1d(np.square(samples, dtype=np.float64), max(1, round(0.03 * rate)))
    at = np.minimum(np.round(np.arange(count) * HOP * rate).astype(int), len(power) - 1)
    return np.asarray(10 * np.log10(np.maximum(power[at], _SILENCE)))


def _threshold(level: np.ndarray) -> float:
    """dBFS above which something is heard: over the background, but a third of the way down from the loud parts even
    where nobody pauses."""
    floor, top = np.percentile(level, [5, 95])
    return float(np.clip(floor + 6.0, top - 38.0, max(top - 14.0, -62.0)))


def _runs_of(mask: np.ndarray, least: int) -> np.ndarray:
    """`mask` without the runs that are shorter than `least` frames."""
    from scipy.ndimage import binary_opening

    return np.asarray(binary_opening(mask, np.ones(least, bool)))


def _spread(mask: np.ndarray, frames: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, np.ones(2 * frames + 1, bool)))


def closed(mask: np.ndarray, frames: int) -> np.ndarray:
    """`mask` with its gaps of at most so many frames filled."""
    from scipy.ndimage import binary_closing

    padded = np.pad(mask, frames)  # at its ends nothing follows
    return np.asarray(binary_closing(padded, np.ones(frames + 1, bool))[frames : len(padded) - frames])


def stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """[(first, one past the last), ...] of the runs of True."""
    edges = np.flatnonzero(np.diff(np.pad(mask, 1).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
