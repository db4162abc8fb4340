"""How loud a sound is, and keeping its peaks down: LUFS, true peak, a limiter. Takes pieces, knows no files."""

from typing import Any

import numpy as np

from studio.media.sound import RATE

SILENCE_LUFS = -70.0  # the meter's own gate
LOOK_AHEAD = 0.005  # of the limiter, seconds
HOP = RATE // 10  # samples; blocks of 400 ms overlap by three quarters
HOPS = 4  # in a block
CONTEXT = 1024  # samples on both sides of a piece that its limiter must see; more than its windows are long
_FILTER_EDGE = 64  # samples; longer than half of the filter that oversamples


class Meter:
    """Integrated loudness (ITU-R BS.1770-4) of a stereo sound that is heard piece by piece."""

    def __init__(self) -> None:
        import pyloudnorm

        stages: Any = pyloudnorm.Meter(RATE)._filters.values()  # it has no meter for what comes in pieces
        self._stages = [(stage.b, stage.a, stage.passband_gain) for stage in stages]
        self._states = [np.zeros((2, 2)) for _ in self._stages]
        self._waiting = np.zeros(0)  # weighted power of less than one hop
        self._hops: list[float] = []  # weighted power, summed over each 100 ms

    def hear(self, samples: np.ndarray) -> None:
        """The next piece, (n, 2)."""
        from scipy.signal import lfilter

        weighted = samples.astype(np.float64)
        for number, (b, a, gain) in enumerate(self._stages):
            weighted, self._states[number] = lfilter(b, a, weighted, axis=0, zi=self._states[number])
            weighted = weighted * gain
        power = np.concatenate([self._waiting, np.square(weighted).sum(axis=1)])
        whole = len(power) // HOP
        self._hops += power[: whole * HOP].reshape(whole, HOP).sum(axis=1).tolist()
        self._waiting = power[whole * HOP :]

    def lufs(self) -> float:
        """-inf for silence. A sound shorter than one block is measured as a whole, without gates."""
        hops = np.array(self._hops)
        if len(hops) < HOPS:
            heard = len(hops) * HOP + len(self._waiting)
            return _lufs((hops.sum() + self._waiting.sum()) / heard) if heard else -np.inf
        blocks = np.convolve(hops, np.ones(HOPS), "valid") / (HOPS * HOP)
        loud = blocks[blocks > _power(SILENCE_LUFS)]
        if not len(loud):
            return -np.inf
        return _lufs(loud[loud > _power(_lufs(loud.mean()) - 10)].mean())


def _lufs(power: float) -> float:
    return -0.691 + 10 * float(np.log10(power)) if power > 0 else -np.inf


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def loudness(samples: np.ndarray) -> float:
    """Integrated LUFS of (N, 2); -inf for silence."""
    meter = Meter()
    for start in range(0, len(samples), 10 * RATE):
        meter.hear(samples[start : start + 10 * RATE])
    return meter.lufs()


def true_envelope(samples: np.ndarray, floor: float) -> np.ndarray:
    """(N,) the peak near each sample as a converter would draw it: 4 times oversampled, channels joined.

    Seconds whose samples stay under `floor` are not oversampled: a wave between two samples is not twice as high."""
    from scipy.signal import resample_poly

    plain = np.abs(samples).max(axis=1)  # (N,)
    for start in range(0, len(samples), RATE):
        stop = min(start + RATE, len(samples))
        if plain[start:stop].max() <= floor:
            continue
        left = max(0, start - _FILTER_EDGE)
        fine = np.abs(resample_poly(samples[left : stop + _FILTER_EDGE], 4, 1, axis=0)).max(axis=1)  # (4 n,)
        near = fine.reshape(-1, 4).max(axis=1)[start - left :][: stop - start]
        plain[start:stop] = np.maximum(plain[start:stop], near)
    return plain


def limiter_gain(samples: np.ndarray, ceiling: float) -> np.ndarray:
    """(N,) float32 that keeps every true peak of (N, 2) near `ceiling` (linear). It is down 5 ms before a peak and up
    again 5 ms after: nothing is clipped, nothing pumps. Right but for CONTEXT samples at both ends of a cut-out."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    envelope = true_envelope(samples, ceiling / 2)
    if envelope.max(initial=0.0) <= ceiling:
        return np.ones(len(samples), np.float32)
    wanted = np.minimum(1.0, ceiling / np.maximum(envelope, 1e-9))
    window = 2 * round(LOOK_AHEAD * RATE) + 1
    return uniform_filter1d(minimum_filter1d(wanted, 2 * window - 1), window).astype(np.float32)


def linear(decibels: float | np.ndarray) -> np.ndarray:
    return np.asarray(10.0 ** (np.asarray(decibels) / 20.0))
