"""Speech becomes the movement of a mouth: from phonemes where they are known, else from the energies of the sound.

Knows no face: four curves, one value per frame of the picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.domain import SpokenLine

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz, of everything measured here
HOP = RATE // 100
LEAD_SECONDS = 0.035  # lips move a little before their sound
PHONEME_LEAD_SECONDS = 0.02

# (open 0..1, wide -1 round .. 1 spread) by the letters of eSpeak's mnemonics
VOWELS: Mapping[str, tuple[float, float]] = {
    "a": (0.95, 0.1), "A": (0.95, 0.0), "&": (0.7, 0.1), "V": (0.6, 0.1), "0": (0.75, -0.3), "@": (0.35, 0.0),
    "3": (0.35, -0.2), "e": (0.5, 0.5), "E": (0.55, 0.45), "i": (0.25, 0.9), "I": (0.28, 0.7), "y": (0.25, -0.9),
    "o": (0.5, -0.8), "O": (0.6, -0.6), "u": (0.22, -1.0), "U": (0.25, -0.7),
}  # fmt: skip
CONSONANTS: Mapping[str, tuple[float, float]] = {
    "p": (0.0, 0.0), "b": (0.0, 0.0), "m": (0.0, 0.0), "f": (0.08, 0.1), "v": (0.08, 0.1), "w": (0.18, -0.9),
    "s": (0.12, 0.5), "z": (0.12, 0.5), "S": (0.18, -0.5), "Z": (0.18, -0.5), "t": (0.16, 0.3), "d": (0.18, 0.3),
    "n": (0.16, 0.25), "N": (0.22, 0.1), "l": (0.25, 0.2), "L": (0.25, 0.2), "r": (0.25, -0.2), "*": (0.22, 0.0),
    "k": (0.25, 0.1), "g": (0.25, 0.1), "h": (0.3, 0.1), "X": (0.3, 0.0), "x": (0.3, 0.1), "j": (0.22, 0.7),
    "D": (0.16, 0.2), "T": (0.14, 0.2),
}  # fmt: skip
CLOSED = frozenset("pbm")
TURN_SECONDS = 0.1  # around a line that its speaker's mouth may still move
LONGEST_SOUND = 0.14  # seconds: a phoneme before a pause does not hold the mouth open through it


@dataclass(frozen=True, slots=True)
class Mouth:
    """How a mouth moves: each (num_frames,) float64."""

    open: "np.ndarray"  # 0 closed .. about 1.15
    wide: "np.ndarray"  # -1 round (o, u) .. 1 spread (i, e)
    loud: "np.ndarray"  # 0 .. 1, slow: what the head nods to
    hiss: "np.ndarray"  # 0 .. 1: s, sh, f

    @property
    def num_frames(self) -> int:
        return len(self.open)

    def during(self, spans: "Sequence[tuple[float, float]]", fps: float) -> "Mouth":
        """The same, shut outside of these seconds: somebody else speaks then."""
        import numpy as np

        times = np.arange(self.num_frames) / fps
        own = np.zeros(self.num_frames)
        for start, end in spans:
            own[(times >= start - TURN_SECONDS) & (times <= end + TURN_SECONDS)] = 1
        return Mouth(self.open * own, self.wide * own, self.loud * own, self.hiss * own)


def silence(num_frames: int) -> Mouth:
    """Of somebody who listens."""
    import numpy as np

    return Mouth(*(np.zeros(num_frames) for _ in range(4)))


def mouth_curves(soundtrack: Path | None, lines: Sequence[SpokenLine], fps: float, num_frames: int) -> Mouth:
    """The mouth of whoever speaks in `soundtrack`; lines with visemes move exactly, others as loud as they are.
    Without a soundtrack somebody listens: the mouth stays shut."""
    import numpy as np

    if soundtrack is None:
        return silence(num_frames)
    samples = load_mono(soundtrack)
    heard = from_energies(samples, fps, num_frames)
    if not any(line.visemes for line in lines):
        return heard
    opened, wide = heard.open.copy(), heard.wide.copy()
    times = np.arange(num_frames) / fps
    for line in lines:
        if not line.visemes:
            continue
        spoken, shape = from_phonemes(line.visemes, times - line.start, line.duration)
        here = (times >= line.start - 0.15) & (times <= line.start + line.duration + 0.1)
        opened[here] = spoken[here] * np.clip(0.45 + 0.75 * heard.loud[here], 0, 1.15)
        wide[here] = shape[here]
    return Mouth(opened, wide, heard.loud, heard.hiss)


def recorded(path: Path, start: float, fps: float, num_frames: int) -> Mouth:
    """The mouth of one of several people, by a recording of their own that begins at `start` seconds."""
    import numpy as np

    return from_energies(np.pad(load_mono(path), (round(start * RATE), 0)), fps, num_frames)


def load_mono(path: Path) -> "np.ndarray":
    """(N,) float32 at RATE, at least half a second. Raises MediaError."""
    import numpy as np
    from scipy.signal import resample_poly

    from studio.media import sound

    mono = sound.load48(path).mean(axis=1)
    samples = resample_poly(mono, 1, sound.RATE // RATE) if len(mono) else mono
    return np.pad(samples, (0, max(0, RATE // 2 - len(samples)))).astype(np.float32)


def from_energies(samples: "np.ndarray", fps: float, num_frames: int) -> Mouth:
    """Loudness x openness of the first formant x spread of the second, from band energies every 10 ms."""
    import numpy as np
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import stft

    frequencies, _, spectrum = stft(samples, RATE, nperseg=512, noverlap=512 - HOP, boundary="zeros", padded=True)
    power = np.abs(spectrum) ** 2 + 1e-12  # (257, T)

    def band(low: float, high: float) -> "np.ndarray":
        return power[(frequencies >= low) & (frequencies < high)].sum(0)

    level = 10 * np.log10(band(180, 3400))
    floor, top = np.percentile(level, 8), np.percentile(level, 96)
    gate = max(min(floor + 6, top - 12), top - 38)
    loudness = np.clip((level - gate) / max(6, top - gate), 0, 1) * (level > -75)
    low, middle, second, hiss = band(200, 500), band(500, 1100), band(1700, 3000), band(3600, 7600)
    voiced = low + middle + second + band(1100, 1700)
    openness = np.clip(0.35 + 1.5 * middle / voiced - 0.35 * low / voiced, 0.12, 1.15)
    fricative = np.clip((hiss / (voiced + hiss) - 0.35) / 0.4, 0, 1)
    spread = np.clip(2.4 * np.log10(second / middle + 0.05) + 1.0, -1, 1)
    opened = uniform_filter1d(loudness**0.75 * openness * (1 - 0.72 * fricative), 5)
    for index in range(1, len(opened)):  # opens within 20 ms, closes within 40
        before = opened[index - 1]
        opened[index] = before + (0.55 if opened[index] > before else 0.32) * (opened[index] - before)
    moments = np.arange(num_frames) / fps + LEAD_SECONDS
    measured_at = np.arange(len(opened)) * HOP / RATE

    def per_frame(curve: "np.ndarray", smooth: int) -> "np.ndarray":
        return np.interp(moments, measured_at, uniform_filter1d(curve, smooth) if smooth > 1 else curve)

    shown = per_frame(opened, 1)
    if (shown > 0.02).any():
        shown = np.clip(shown / max(0.2, np.percentile(shown[shown > 0.02], 92)), 0, 1.15)
    return Mouth(
        np.where(shown < 0.06, 0.0, shown),
        per_frame(spread * (loudness > 0.08), 13),
        per_frame(loudness, 23),
        per_frame(fricative * loudness, 7),
    )


def from_phonemes(
    visemes: Iterable[tuple[float, str]], times: "np.ndarray", duration: float
) -> "tuple[np.ndarray, np.ndarray]":
    """(open, wide) at `times`, both in seconds from the line's start. Lips meet in every p, b and m."""
    import numpy as np

    events = [(float(at), str(phoneme)) for at, phoneme in visemes]
    ends = [at for at, _ in events[1:]] + [duration]
    keys: list[tuple[float, float, float]] = [(-0.12, 0.0, 0.0)]
    closures = []
    for (at, phoneme), end in zip(events, ends, strict=True):
        lasts = min(max(end - at, 0.02), LONGEST_SOUND)
        shapes = mouth_shapes(phoneme)
        for step, (opened, wide) in enumerate(shapes):
            share = 0.5 if len(shapes) == 1 else (0.3, 0.8)[step]  # a diphthong passes from one vowel to the other
            keys.append((at + share * lasts, opened, wide))
        if phoneme.strip("',")[:1] in CLOSED:
            closures.append(at + 0.5 * lasts)
    keys.append((duration + 0.1, 0.0, 0.0))
    key_times, key_open, key_wide = np.array(sorted(keys)).T
    moments = times + PHONEME_LEAD_SECONDS
    opened, wide = np.interp(moments, key_times, key_open), np.interp(moments, key_times, key_wide)
    for closure in closures:  # a closure is shorter than a frame and must not fall between two
        nearest = int(np.abs(moments - closure).argmin())
        if abs(moments[nearest] - closure) < 0.1:
            opened[nearest] = 0.0
    return opened, wide


def mouth_shapes(phoneme: str) -> list[tuple[float, float]]:
    """One shape, or two for a diphthong, of an eSpeak mnemonic. A pause is a closed mouth."""
    vowels = [VOWELS[letter] for letter in phoneme if letter in VOWELS]
    if vowels and phoneme.strip("',")[0] in VOWELS:
        return [vowels[0], vowels[-1]] if len(vowels) > 1 else vowels
    consonant = next((CONSONANTS[letter] for letter in phoneme if letter in CONSONANTS), None)
    return [consonant or (0.0, 0.0)]
