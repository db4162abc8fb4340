"""One spoken line: silence at its ends cut off, its loudness set. Takes samples, knows no file and no voice."""

import numpy as np

LOUDNESS = -18.0  # LUFS, of every line: dialogue agrees with itself, the mix sets the film's level
CEILING = 0.84  # -1.5 dBFS
QUIET, KEEP = 0.004, 0.03  # silence at both ends: quieter than this goes, but for so many seconds


def audible(samples: np.ndarray, rate: int) -> tuple[int, int] | None:
    """(first, last) sample that is worth hearing in (N,) float32, with a breath around; None: nothing is."""
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    if not len(loud):
        return None
    keep = round(KEEP * rate)
    return max(0, int(loud[0]) - keep), min(len(samples), int(loud[-1]) + keep)


def loudness(samples: np.ndarray, rate: int) -> float:
    """LUFS (ITU-R BS.1770) of (N,) float; of what is shorter than the meter wants, repeated. -inf for silence."""
    import pyloudnorm

    long_enough = np.tile(samples, 1 + round(0.5 * rate) // max(1, len(samples))).astype(np.float64)
    measured = float(pyloudnorm.Meter(rate).integrated_loudness(long_enough))
    if np.isfinite(measured):
        return measured
    power = float(np.sqrt(np.mean(long_enough**2)))
    return 20 * float(np.log10(power)) if power else -np.inf


def levelled(samples: np.ndarray, rate: int, target: float = LOUDNESS) -> np.ndarray:
    """(N,) float32 brought to a loudness in LUFS, peaks held under CEILING, 8 ms of fade at both ends."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    measured = loudness(samples, rate)
    level = samples * 10 ** ((target - measured) / 20) if np.isfinite(measured) else samples
    hold = round(0.01 * rate)
    gain = minimum_filter1d(np.minimum(1.0, CEILING / np.maximum(np.abs(level), 1e-9)), 2 * hold + 1)
    level = level * uniform_filter1d(gain, hold)
    fade = np.minimum(1.0, np.arange(1, len(level) + 1) / (0.008 * rate))
    return np.asarray(level * fade * fade[::-1], np.float32)
