"""How a voice sounds, in numbers: pitch, pace, tone, loudness, cleanness. Knows samples, no file and no advice."""

from typing import Any

import numpy as np

from studio.media.spoken import loudness
from studio.media.voice_activity import Heard, listen
from studio.media.voice_pitch import HOP

BANDS = np.geomspace(100.0, 7600.0, 48)  # Hz, the middles of the long-term spectrum's bands
_WIDTH = 0.1  # octaves, standard deviation of a band
FLOOR = -60.0  # dB; what a recording does not hold at all
_FLAT = 3  # samples in a row at one height make a clipped top
_CLEAN = 60.0  # dB; no recording is quieter behind its voice


def measure(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """The profile of (N,) float samples; its keys stand in docs/speech.md. A number that cannot be had is null."""
    return measure_heard(listen(samples, rate))


def measure_heard(heard: Heard) -> dict[str, Any]:
    """As `measure`, of what was listened to already."""
    from studio.media.voice_speakers import speakers

    low, middle, high = _pitch(heard)
    spectrum = long_term_spectrum(heard.samples, heard.rate, heard.speech)
    return {
        "pitch_hz": middle, "pitch_low_hz": low, "pitch_high_hz": high,
        "pace": _rounded(pace(heard), 2),
        "lufs": _rounded(loudness(heard.samples, heard.rate), 1),
        "clipped": round(clipped(heard.samples), 6),
        "speech_seconds": round(heard.speech_seconds, 2),
        "seconds": round(len(heard.samples) / heard.rate, 2),
        "snr_db": _rounded(snr(heard), 1),
        "bandwidth_hz": bandwidth(heard),
        "spectrum": [[round(float(hz)), round(float(db), 1)] for hz, db in zip(BANDS, spectrum, strict=True)],
        "speakers": speakers(heard),
    }  # fmt: skip


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def _pitch(heard: Heard) -> tuple[float | None, float | None, float | None]:
    """Hz: a tenth of the voiced sound is lower, half, nine tenths are."""
    voiced = heard.pitch[heard.voiced]
    if not len(voiced):
        return None, None, None
    low, middle, high = np.percentile(voiced, [10, 50, 90])
    return round(float(low), 1), round(float(middle), 1), round(float(high), 1)


def pace(heard: Heard) -> float | None:
    """Syllables in a second of speech: voiced peaks of loudness with a dip between them.

    After de Jong and Wempe, "Praat script to detect syllable nuclei" (2009)."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import butter, find_peaks, sosfilt

    if heard.speech_seconds < 0.3:
        return None
    top = min(3300.0, 0.45 * heard.rate)
    band = sosfilt(butter(2, [300.0, top], "band", fs=heard.rate, output="sos"), heard.samples)
    hop = heard.rate * HOP
    edges = np.minimum(np.round(np.arange(len(heard.pitch) + 1) * hop).astype(int), len(band))
    power = np.add.reduceat(np.square(np.append(band, 0.0)), edges[:-1]) / hop
    level = gaussian_filter1d(10 * np.log10(power + 1e-10), 2.0)
    nuclei, _ = find_peaks(level, prominence=2.0, distance=8)
    near = np.convolve(heard.voiced, np.ones(5), "same") > 0
    loud = level > np.percentile(level[heard.speech], 95) - 25
    return float((near & loud)[nuclei].sum() / heard.speech_seconds)


def clipped(samples: np.ndarray) -> float:
    """Share of the samples that lie on a flat top: several in a row at the same height near the peak."""
    size = np.abs(samples)
    peak = float(size.max(initial=0.0))
    if peak < 0.02:
        return 0.0
    flat = (size > 0.9 * peak) & (np.abs(np.diff(size, prepend=0.0)) < 2e-3 * peak)
    edges = np.flatnonzero(np.diff(np.pad(flat, 1).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= _FLAT - 1].sum() / len(samples))


def _spectra(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies (F,), power (F, T)) every 10 ms."""
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    size = 1 << round(np.log2(0.04 * rate))
    transform = ShortTimeFFT(hann(size, sym=False), round(HOP * rate), rate, scale_to="psd")
    power = np.square(np.abs(transform.stft(np.asarray(samples, np.float64))))
    return transform.f, power[:, -transform.p_min :]  # from the frame around the first sample on


def long_term_spectrum(samples: np.ndarray, rate: int, speech: np.ndarray) -> np.ndarray:
    """(48,) dB of BANDS, relative to the mean between 200 and 4000 Hz, over the frames of `speech`."""
    frequencies, power = _spectra(samples, rate)
    among = speech[: power.shape[1]]
    mean = power[:, : len(among)][:, among].mean(axis=1) if among.any() else power.mean(axis=1)
    distance = np.log2(np.maximum(frequencies, 1.0) / BANDS[:, None])  # (48, F)
    weights = np.exp(-0.5 * (distance / _WIDTH) ** 2)
    weights[0.5 * rate < BANDS] = 0.0
    levels = 10 * np.log10(weights @ mean / (weights.sum(axis=1) + 1e-9) + 1e-16)
    inside = (BANDS > 200) & (min(4000.0, 0.45 * rate) > BANDS)
    return np.asarray(np.maximum(levels - levels[inside].mean(), FLOOR))


def snr(heard: Heard) -> float | None:
    """dB of the voice over the steady sound behind it: in each band its quietest moments are the background."""
    from scipy.ndimage import uniform_filter1d

    if not heard.speech.any():
        return None
    frequencies, power = _spectra(heard.samples, heard.rate)
    edges = np.geomspace(80.0, min(8000.0, 0.48 * heard.rate), 25)
    which = np.digitize(frequencies, edges)
    bands = np.array([power[which == band].sum(axis=0) for band in range(1, len(edges))])  # (24, T)
    smooth = uniform_filter1d(bands, 9, axis=1, mode="nearest")
    background = np.percentile(smooth, 8, axis=1).sum()
    among = heard.speech[: power.shape[1]]
    loud = bands[:, : len(among)][:, among].mean(axis=1).sum()
    voice = max(loud - background, 1e-12)
    return float(min(_CLEAN, 10 * np.log10(voice / max(background, 1e-16))))


def bandwidth(heard: Heard) -> int | None:
    """Hz up to which there is a voice: above it the spectrum lies 20 dB deeper than just below, or nothing follows."""
    if not heard.speech.any():
        return None
    frequencies, power = _spectra(heard.samples, heard.rate)
    among = heard.speech[: power.shape[1]]
    mean = power[:, : len(among)][:, among].mean(axis=1)
    levels = 10 * np.log10(mean + 1e-16)
    present = frequencies[levels > levels[(frequencies > 200) & (frequencies < 3000)].max() - 55]
    return int(round(float(present[-1]), -2)) if len(present) else None
