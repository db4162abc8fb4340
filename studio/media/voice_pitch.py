"""How high somebody speaks, every 10 ms: normalised autocorrelation and the smoothest path through its peaks.

After McLeod and Wyvill, "A smarter way to find pitch" (2005), and Boersma, "Accurate short-term analysis of the
fundamental frequency" (1993). librosa.pyin does the same and compiles for 15 seconds first. Knows samples only.
"""

import numpy as np

HOP = 0.01  # seconds from frame to frame
LOWEST, HIGHEST = 55.0, 520.0  # Hz; from a deep man to a child that calls
_RATE = 8_000  # Hz at which it is looked for
_WINDOW = 0.04  # seconds; two periods of LOWEST
_CANDIDATES = 4  # peaks that a frame may choose from
# Boersma's costs: of silence instead of a peak, of a low pitch, of a leap by an octave, of beginning or ending to sound
_UNVOICED, _OCTAVE, _LEAP, _TURN = 0.5, 0.02, 0.35, 0.14
_QUIET = 40.0  # dB below the loud frames nobody is heard


def track(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """(pitch, strength) of (N,) float, each (N / rate / HOP,): Hz, 0 where nothing sounds; 0..1, how periodic it is."""
    frames = _frames(samples, rate)  # (T, window + longest lag)
    strength, lags = _peaks(_correlation(frames))  # each (T, _CANDIDATES)
    power = np.square(frames[:, : round(_WINDOW * _RATE)]).mean(axis=1)
    heard = power > max(1e-10, np.percentile(power, 95) * 10 ** (-_QUIET / 10))
    strength[~heard] = 0.0
    chosen = _smoothest(strength, lags)
    rows = np.arange(len(chosen))
    voiced = chosen >= 0
    pitch = np.where(voiced, _RATE / lags[rows, np.maximum(chosen, 0)], 0.0)
    return pitch, strength.max(axis=1)


def _frames(samples: np.ndarray, rate: int) -> np.ndarray:
    from scipy.signal import butter, resample_poly, sosfiltfilt

    divisor = int(np.gcd(rate, _RATE))
    low = resample_poly(np.asarray(samples, np.float64), _RATE // divisor, rate // divisor)
    low = sosfiltfilt(butter(2, [45, 1200], "band", fs=_RATE, output="sos"), low)
    window, longest = round(_WINDOW * _RATE), round(_RATE / LOWEST) + 2
    count = max(1, round(len(samples) / rate / HOP))
    hop = round(HOP * _RATE)
    padded = np.pad(low, (window // 2, window + longest + hop))
    return np.lib.stride_tricks.sliding_window_view(padded, window + longest)[::hop][:count]


def _correlation(frames: np.ndarray) -> np.ndarray:
    """(T, lags): 2 * sum(x[t] x[t + lag]) over the energy of both windows, in -1..1."""
    window = round(_WINDOW * _RATE)
    lags = frames.shape[1] - window
    size = 1 << (frames.shape[1] + window - 1).bit_length()
    spectra = np.fft.rfft(frames, size) * np.conj(np.fft.rfft(frames[:, :window], size))
    products = np.fft.irfft(spectra, size)[:, :lags]
    energy = np.cumsum(np.pad(np.square(frames), ((0, 0), (1, 0))), axis=1)
    first, moved = energy[:, window : window + 1], energy[:, window : window + lags] - energy[:, :lags]
    return 2 * products / (first + moved + 1e-9)


def _peaks(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(strength, lag in samples), each (T, _CANDIDATES), the strongest peaks of each row between their neighbours."""
    shortest = int(_RATE / HIGHEST)
    middle, left, right = correlation[:, 1:-1], correlation[:, :-2], correlation[:, 2:]
    is_peak = (middle >= left) & (middle > right) & (middle > 0.2)
    is_peak[:, : shortest - 1] = False
    height = np.where(is_peak, middle, 0.0)
    at = np.argpartition(-height, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    rows = np.arange(len(correlation))[:, None]
    y0, y1, y2 = left[rows, at], middle[rows, at], right[rows, at]
    curve = y0 - 2 * y1 + y2
    offset = np.where(curve < -1e-12, 0.5 * (y0 - y2) / np.minimum(curve, -1e-12), 0.0)
    strength = np.clip(height[rows, at] - 0.25 * (y0 - y2) * offset * (height[rows, at] > 0), 0.0, 1.0)
    return strength, at + 1 + np.clip(offset, -0.5, 0.5)


def _smoothest(strength: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """(T,) index of the candidate that each frame takes, -1 for none: the cheapest path (Viterbi)."""
    octaves = np.log2(lags)  # (T, K)
    lowest = np.log2(_RATE / LOWEST)
    own = np.where(strength > 0, 1 - strength + _OCTAVE * (octaves - lowest + 4), np.inf)
    own = np.concatenate([own, np.full((len(own), 1), _UNVOICED)], axis=1)  # (T, K + 1), the last: nothing sounds
    came = np.zeros(own.shape, np.int64)
    cost = own[0]
    turn = np.full((own.shape[1], own.shape[1]), _TURN)
    turn[-1, -1] = 0.0
    for row in range(1, len(own)):
        turn[:-1, :-1] = _LEAP * np.abs(octaves[row - 1][:, None] - octaves[row])
        through = cost[:, None] + turn
        came[row] = through.argmin(axis=0)
        cost = through.min(axis=0) + own[row]
    path = np.empty(len(own), np.int64)
    path[-1] = cost.argmin()
    for row in range(len(own) - 1, 0, -1):
        path[row - 1] = came[row, path[row]]
    return np.where(path == strength.shape[1], -1, path)
