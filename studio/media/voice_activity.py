"""Where in a recording somebody speaks: loud, now and then voiced, in syllables. Judges no quality, knows no file."""

from dataclasses import dataclass

import numpy as np

from studio.media import voice_pitch
from studio.media.voice_pitch import HOP

_SILENCE = 1e-8  # power of nothing at all, -80 dBFS
_AROUND = 0.25  # seconds; consonants this near to a voiced sound belong to it
_RUN = 4  # frames; a shorter voiced sound is chance
_STEADY = 12.0  # cents in 30 ms; a note holds its pitch, a speaker glides
# A third of what speakers say holds its pitch, two thirds of music do; and from vowel to consonant a voice's brightness
# moves by an octave, an instrument's by a third of one. Measured on seven draft voices, six recordings and tunes.
_HELD, _TONE = 0.6, 0.4
_SLOWEST = 1.0  # syllables a second; an engine, a siren and a held note have fewer
PAUSE = 0.15  # seconds; shorter silences belong to the words around them


@dataclass(frozen=True, slots=True)
class Heard:
    """What is heard every 10 ms. All arrays are (T,)."""

    samples: np.ndarray  # (N,) float32
    rate: int
    pitch: np.ndarray  # Hz, 0 where nothing is voiced
    strength: np.ndarray  # 0..1, how periodic it is
    level: np.ndarray  # dBFS of 30 ms
    speech: np.ndarray  # bool: voices, or what rings like one
    frequencies: np.ndarray  # (F,) Hz
    power: np.ndarray  # (F, T) float32

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
    frequencies, power = spectra(samples, rate, len(pitch))
    return Heard(samples, rate, np.where(voiced, pitch, 0.0), strength, level, speech, frequencies, power)


def spectra(samples: np.ndarray, rate: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies (F,), power (F, count) float32), of 40 ms every 10 ms."""
    from scipy.signal import ShortTimeFFT  # librosa.stft compiles for 1.5 seconds first
    from scipy.signal.windows import hann

    size = 1 << round(np.log2(0.04 * rate))
    transform = ShortTimeFFT(hann(size, sym=False).astype(np.float32), round(HOP * rate), rate, scale_to="psd")
    padded = np.pad(np.asarray(samples, np.float32), (0, size + count))  # so that there are `count` of them
    power = np.square(np.abs(transform.stft(padded)))[:, -transform.p_min :]  # from the frame around the first sample
    return transform.f, np.asarray(power[:, :count], np.float32)


def is_spoken(heard: Heard, first: int = 0, last: int | None = None) -> bool:
    """Is what sounds between two frames speech, rather than music, a siren or an engine?"""
    part = slice(first, last)
    voiced, speech = heard.voiced[part], heard.speech[part]
    if speech.sum() * HOP < 0.3:
        return False
    held, tone = _held(heard.pitch[part], voiced), _tone(heard, part)
    return syllables(heard, part) / (speech.sum() * HOP) >= _SLOWEST and held + 0.5 * (_TONE - tone) < _HELD


def _held(pitch: np.ndarray, voiced: np.ndarray) -> float:
    """Share of the voiced moments at which the pitch stands still."""
    cents = 1200 * np.log2(np.maximum(pitch, 1.0))
    through = voiced[:-3] & voiced[1:-2] & voiced[2:-1] & voiced[3:]
    moved = np.abs(cents[3:] - cents[:-3])[through]
    return float((moved < _STEADY).mean()) if len(moved) else 1.0


def _tone(heard: Heard, part: slice) -> float:
    """Octaves by which brightness varies (standard deviation of the spectral centroid)."""
    import librosa

    inside = (heard.frequencies >= 100) & (heard.frequencies <= 8000)
    power = heard.power[inside, part][:, heard.speech[part]] + 1e-14
    centroid = librosa.feature.spectral_centroid(S=power, freq=heard.frequencies[inside])
    return float(np.log2(centroid + 1.0).std())


def syllables(heard: Heard, part: slice = slice(None)) -> int:
    """How many: voiced peaks of loudness with a dip between them.

    After de Jong and Wempe, "Praat script to detect syllable nuclei" (2009)."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d
    from scipy.signal import find_peaks

    band = (heard.frequencies >= 300) & (heard.frequencies <= 3300)
    level = gaussian_filter1d(10 * np.log10(heard.power[band, part].sum(axis=0) + 1e-12), 1.5)
    speech = heard.speech[part]
    if not speech.any():
        return 0
    nuclei, _ = find_peaks(level, prominence=2.0, distance=8)
    near = maximum_filter1d(heard.voiced[part], 5)
    loud = level > np.percentile(level[speech], 95) - 25
    return int((near & loud)[nuclei].sum())


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
