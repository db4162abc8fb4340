"""The steady sound behind a voice, taken away: a spectral gate. Knows samples only.

After Ephraim and Malah (1984), "decision-directed": what a band kept a moment ago tells how much of it is voice, so
that single bands do not chirp. The background of each band is what its quietest moments hold.
"""

import numpy as np

FLOOR_DB = -20.0  # never less is left: silence without a background sounds switched off
_MEMORY = 0.92  # how much a band trusts what it was a moment ago
_OVER = 1.6  # times the background that is measured, so that its louder moments go too


def denoised(samples: np.ndarray, rate: int) -> np.ndarray:
    """(N,) float32 without its steady background."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    size = 1 << round(np.log2(0.032 * rate))
    transform = ShortTimeFFT(hann(size, sym=False), size // 4, rate)
    spectra = transform.stft(np.asarray(samples, np.float64))  # (F, T)
    power = np.square(np.abs(spectra))
    quiet = np.percentile(uniform_filter1d(power, 7, axis=1, mode="nearest"), 10, axis=1)
    background = gaussian_filter1d(quiet, 1.5) * _OVER + 1e-14  # (F,)
    gain = _gains(power, background)
    out = transform.istft(spectra * gain, k1=len(samples))
    return np.asarray(out[: len(samples)], np.float32)


def _gains(power: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(F, T) in FLOOR_DB..1: Wiener's, from how far each band was over its background now and a moment ago."""
    least = 10 ** (FLOOR_DB / 20)
    gain = np.empty_like(power)
    kept = np.zeros(len(power))
    for moment in range(power.shape[1]):
        over = power[:, moment] / background
        prior = _MEMORY * kept + (1 - _MEMORY) * np.maximum(over - 1, 0.0)
        gain[:, moment] = np.maximum(prior / (1 + prior), least)
        kept = np.square(gain[:, moment]) * over
    return gain
