"""Compose the sample episode's bed, assets/samples/music.m4a: 74 s of plucked strings, pads and a bell in F.

Five parts of four bars follow the story: the dark tower, coming home, the storm, the lamp, the morning. Nothing is
sampled; every sound is made of sines and noise here. `python scripts/compose_music.py [FILE]`; same music every time.
"""

import sys
from pathlib import Path

import av
import numpy as np
import pyloudnorm
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

RATE = 48_000
BEAT = 60 / 66  # seconds
BAR = 4 * BEAT
LOUDNESS = -20.0  # LUFS; the cut sets the level under the film
SAMPLES = Path(__file__).parent.parent / "assets" / "samples"

# part: bars as (bass, chord) in MIDI numbers
DARK = [(38, (62, 65, 69, 76)), (34, (62, 65, 69, 74)), (41, (60, 65, 69, 72)), (36, (60, 64, 67, 74))]
HOME = [(38, (62, 65, 69, 72)), (34, (62, 65, 70, 74)), (41, (60, 65, 69, 77)), (36, (60, 64, 67, 76))]
STORM = [(43, (58, 62, 67, 70)), (38, (57, 62, 65, 69)), (34, (58, 62, 65, 70)), (45, (57, 61, 64, 67))]
LAMP = [(41, (65, 69, 72, 77)), (36, (64, 67, 72, 76)), (38, (65, 69, 74, 77)), (34, (65, 70, 74, 77))]
MORNING = [(41, (65, 69, 72, 79)), (40, (64, 67, 72, 76)), (34, (62, 65, 70, 77)), (41, (60, 65, 69, 72))]
BARS = [*DARK, *HOME, *STORM, *LAMP, *MORNING]
# the order in which a bar's chord is plucked, in eighths; -1 rests
FIGURES = {
    "dark": (0, -1, 2, -1, 3, -1, 1, -1),
    "home": (0, 1, 2, 3, 2, 1, 2, -1),
    "storm": (0, 2, 0, 1, 0, 3, 0, 2),
    "lamp": (0, 1, 2, 3, 2, 3, 1, 2),
    "morning": (0, 2, 3, -1, 2, -1, 1, -1),
}
PARTS = [name for name in FIGURES for _ in range(4)]
# the lamp's own theme on a bell: (bar, beat, note, strength)
BELL = [
    (1, 0.0, 81, 0.5), (1, 1.5, 79, 0.4), (3, 0.0, 76, 0.5), (5, 2.0, 81, 0.4), (7, 2.0, 79, 0.4),
    (12, 0.0, 84, 0.9), (12, 1.5, 81, 0.7), (12, 3.0, 79, 0.6), (13, 0.5, 84, 0.8), (13, 2.0, 86, 0.8),
    (14, 0.0, 84, 0.9), (14, 1.5, 81, 0.7), (15, 0.0, 82, 0.8), (15, 2.0, 81, 0.6),
    (16, 0.0, 79, 0.6), (17, 0.0, 76, 0.5), (18, 0.0, 77, 0.6), (18, 2.0, 74, 0.4), (19, 0.0, 77, 0.6),
]  # fmt: skip


def hertz(note: float) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def pluck(note: int, strength: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A nylon string: noise in a loop that loses its brightness (Karplus and Strong, 1983)."""
    period = RATE / hertz(note)
    count = int(seconds * RATE)
    whole = int(period - 0.5)
    fraction = period - 0.5 - whole
    burst = np.zeros(count)
    burst[:whole] = sosfilt(butter(2, 1400 + 2600 * strength, fs=RATE, output="sos"), rng.uniform(-1, 1, whole))
    decay = 0.5 ** (1 / (hertz(note) * (1.5 if note < 60 else 1.0)))  # halved in so many seconds
    feedback = np.zeros(whole + 3)
    feedback[0] = 1.0
    feedback[whole : whole + 3] = -decay * np.array([0.5 * (1 - fraction), 0.5, 0.5 * fraction])
    tone = lfilter([1.0], feedback, burst)
    tone *= np.minimum(1, np.arange(count) / (0.002 * RATE)) * np.minimum(1, np.arange(count)[::-1] / (0.2 * RATE))
    return strength * tone / max(1e-6, np.abs(tone).max())


def bell(note: int, strength: float, seconds: float = 4.0) -> np.ndarray:
    """A small glass bell: a few partials, each dying at its own pace."""
    t = np.arange(int(seconds * RATE)) / RATE
    partials = ((1.0, 1.0, 1.6), (2.0, 0.35, 1.1), (2.99, 0.16, 0.7), (4.1, 0.06, 0.4))
    tone = sum(
        level * np.sin(2 * np.pi * hertz(note) * ratio * t) * np.exp(-t / life) for ratio, level, life in partials
    )
    return strength * np.asarray(tone) * np.minimum(1, t / 0.004)


def pad(notes: tuple[int, ...], seconds: float, brightness: float, rng: np.random.Generator) -> np.ndarray:
    """(2, N): soft strings, each note three times slightly out of tune, wide in the room."""
    t = np.arange(int((seconds + 2.2) * RATE)) / RATE
    sides = np.zeros((2, len(t)))
    for note in notes:
        for cents, side in ((-6, 0.75), (0, 0.5), (7, 0.25)):
            frequency = hertz(note + cents / 100) * (1 + 0.0006 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * t))
            phase = 2 * np.pi * np.cumsum(frequency) / RATE + rng.uniform(0, 6)
            tone = sum(np.sin(k * phase) * brightness ** (k - 1) / k for k in range(1, 7))
            sides += np.array([[side], [1 - side]]) * tone
    swell = np.minimum(1, t / 1.3) * np.clip((seconds + 2.2 - t) / 2.2, 0, 1)
    return sides * swell * swell / len(notes)


def bass(note: int, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * hertz(note) * t) + 0.3 * np.sin(4 * np.pi * hertz(note) * t)
    return tone * np.minimum(1, t / 0.06) * np.clip((seconds - t) / 0.5, 0, 1) * np.exp(-t / 5)


def wind(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(2, N): the storm's breath, band-passed noise that swells twice."""
    count = int(seconds * RATE)
    t = np.arange(count) / count
    noise = sosfilt(butter(2, (220, 900), "band", fs=RATE, output="sos"), rng.normal(0, 1, (2, count)))
    return noise * np.sin(np.pi * t) ** 1.5 * (0.7 + 0.3 * np.sin(2 * np.pi * 3.5 * t))


def room(dry: np.ndarray, rng: np.random.Generator, seconds: float = 2.6) -> np.ndarray:
    """The hall around it: decaying noise, darker as it dies, different left and right."""
    t = np.arange(int(seconds * RATE)) / RATE
    tail = rng.normal(0, 1, (2, len(t))) * np.exp(-t * 6.9 / seconds) * np.minimum(1, t / 0.02)
    tail = sosfilt(butter(1, (180, 3600), "band", fs=RATE, output="sos"), tail)
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    return np.stack([fftconvolve(dry[side], tail[side])[: dry.shape[1]] for side in (0, 1)])


def compose() -> np.ndarray:
    """(2, N) float64 at RATE, at LOUDNESS, peaks below -1.5 dBFS."""
    rng = np.random.default_rng(11)
    mix = np.zeros((2, int((len(BARS) * BAR + 1.5) * RATE)))

    def lay(sound: np.ndarray, at: float, level: float, place: float = 0.5) -> None:
        """place: 0 left .. 1 right."""
        start = int(at * RATE)
        wide = sound if sound.ndim == 2 else np.sqrt(2 * np.array([[1 - place], [place]])) * sound
        end = min(mix.shape[1], start + wide.shape[1])
        mix[:, start:end] += level * wide[:, : end - start]

    for number, ((low, chord), part) in enumerate(zip(BARS, PARTS, strict=True)):
        at = number * BAR
        bright = {"dark": 0.35, "storm": 0.62, "lamp": 0.58}.get(part, 0.48)
        lay(pad(chord[:3], BAR, bright, rng), at, 0.100 if part != "lamp" else 0.125)
        lay(bass(low if part != "dark" else low + 12, BAR), at, 0.085 if part != "dark" else 0.06)
        for step, index in enumerate(FIGURES[part]):
            if index < 0 or (number == len(BARS) - 1 and step > 4):
                continue
            accent = (1.0 if step == 0 else 0.72) * rng.uniform(0.85, 1.0) * (0.8 if part == "dark" else 1.0)
            note = chord[index] + (12 if part == "lamp" and step % 4 == 3 else 0)
            late = 0.5 * BEAT * step + rng.uniform(0, 0.012)
            lay(pluck(note, accent, 2.4, rng), at + late, 0.16, 0.32 + 0.12 * index)
    for number, beat, note, strength in BELL:
        lay(bell(note, strength), number * BAR + beat * BEAT, 0.085, 0.62)
    lay(wind(4.4 * BAR, rng), 7.8 * BAR, 0.055)
    wet = mix + 0.42 * room(mix, rng)
    wet = sosfilt(butter(2, 35, "high", fs=RATE, output="sos"), wet)
    seconds = np.arange(wet.shape[1]) / RATE
    wet *= np.minimum(1, seconds / 1.2) * np.clip((seconds[-1] - seconds) / 4.5, 0, 1) ** 1.4
    wet *= 10 ** ((LOUDNESS - pyloudnorm.Meter(RATE).integrated_loudness(wet.T)) / 20)
    return wet * min(1.0, 0.84 / np.abs(wet).max())


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES / "music.m4a"
    path.parent.mkdir(parents=True, exist_ok=True)
    music = compose().astype(np.float32)
    with av.open(str(path), "w", format="ipod", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = 96_000
        out.metadata["title"] = "The Lamp at Cabo Branco"
        for start in range(0, music.shape[1], 1024):
            piece = np.ascontiguousarray(music[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    loud = pyloudnorm.Meter(RATE).integrated_loudness(music.T)
    print(f"{path}  {path.stat().st_size / 1024:.0f} KB  {music.shape[1] / RATE:.1f} s  {loud:.1f} LUFS")


if __name__ == "__main__":
    main()
