"""How a voice sounds, in numbers: pitch, pace, tone, loudness, cleanness. Knows samples, no file and no advice."""

from typing import Any

import numpy as np

from studio.media.spoken import loudness
from studio.media.voice_activity import Heard, listen, stretches, syllables
from studio.media.voice_pitch import HOP
from studio.media.voice_speakers import speakers

BANDS = np.geomspace(100.0, 7600.0, 48)  # Hz, the middles of the long-term spectrum's bands
_WIDTH = 0.1  # octaves, standard deviation of a band
FLOOR = -60.0  # dB; what a recording does not hold at all
_FLAT = 3  # samples in a row at one height make a clipped top
_FALL, _FALLS = 9.0, 3  # dB at least, and so many, to tell a room by how words fall silent
_HOLDS = 45.0  # dB below its loudest band a voice is still there
_CLEAN = 60.0  # dB; no recording is quieter behind its voice


def measure(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """The profile of (N,) float samples; its keys stand in docs/speech.md. A number that cannot be had is null."""
    return measure_heard(listen(samples, rate))


def measure_heard(heard: Heard) -> dict[str, Any]:
    """As `measure`, of what was listened to already."""
    low, middle, high = _pitch(heard)
    spectrum = long_term_spectrum(heard)
    return {
        "pitch_hz": middle, "pitch_low_hz": low, "pitch_high_hz": high,
        "pace": _rounded(pace(heard), 2),
        "lufs": _rounded(loudness(heard.samples, heard.rate), 1),
        "clipped": round(clipped(heard.samples), 6),
        "speech_seconds": round(heard.speech_seconds, 2),
        "seconds": round(len(heard.samples) / heard.rate, 2),
        "snr_db": _rounded(snr(heard), 1),
        "bandwidth_hz": bandwidth(heard),
        "echo_seconds": _rounded(echo(heard), 2),
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
    """Syllables in a second of speech."""
    return syllables(heard) / heard.speech_seconds if heard.speech_seconds >= 0.3 else None


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


def long_term_spectrum(heard: Heard) -> np.ndarray:
    """(48,) dB of BANDS while somebody speaks, relative to their mean between 200 and 4000 Hz."""
    mean = heard.power[:, heard.speech].mean(axis=1) if heard.speech.any() else heard.power.mean(axis=1)
    distance = np.log2(np.maximum(heard.frequencies, 1.0) / BANDS[:, None])  # (48, F)
    weights = np.exp(-0.5 * (distance / _WIDTH) ** 2)
    weights[0.5 * heard.rate < BANDS] = 0.0
    levels = 10 * np.log10(weights @ mean / (weights.sum(axis=1) + 1e-9) + 1e-16)
    inside = (BANDS > 200) & (min(4000.0, 0.45 * heard.rate) > BANDS)
    return np.asarray(np.maximum(levels - levels[inside].mean(), FLOOR))


def snr(heard: Heard) -> float | None:
    """dB of the voice over the steady sound behind it: in each band its quietest moments are the background."""
    from scipy.ndimage import uniform_filter1d

    if not heard.speech.any():
        return None
    edges = np.geomspace(80.0, min(8000.0, 0.48 * heard.rate), 25)
    which = np.digitize(heard.frequencies, edges)
    bands = np.array([heard.power[which == band].sum(axis=0) for band in range(1, len(edges))])  # (24, T)
    background = np.percentile(uniform_filter1d(bands, 9, axis=1, mode="nearest"), 8, axis=1).sum()
    voice = max(bands[:, heard.speech].mean(axis=1).sum() - background, 1e-12)
    return float(min(_CLEAN, 10 * np.log10(voice / max(background, 1e-16))))


def echo(heard: Heard) -> float | None:
    """Seconds in which a sound dies away by 60 dB: no word falls silent faster than its room lets it. Null: nobody
    pauses, or the background is too near."""
    from scipy.ndimage import uniform_filter1d

    level = uniform_filter1d(heard.level, 3)
    floor = max(float(np.percentile(heard.level, 3)) + 8.0, -75.0)
    falls = np.diff(level, append=level[-1]) < -0.05
    slopes = []
    for first, last in stretches(falls & (level > floor)):
        drop = float(level[first] - level[last - 1])
        if drop >= _FALL:
            slopes.append(60.0 / (drop / ((last - 1 - first) * HOP)))
    return float(np.percentile(slopes, 15)) if len(slopes) >= _FALLS else None


def bandwidth(heard: Heard) -> int | None:
    """Hz up to which there is a voice: above it the spectrum lies 20 dB deeper than just below, or nothing follows."""
    if not heard.speech.any():
        return None
    levels = 10 * np.log10(heard.power[:, heard.speech].mean(axis=1) + 1e-16)
    middle = (heard.frequencies > 200) & (heard.frequencies < 3000)
    present = heard.frequencies[levels > levels[middle].max() - _HOLDS]
    return int(round(float(present[-1]), -2)) if len(present) else None
