"""Make the sound that a finished run may play, assets/sounds/chime.wav: two soft tones, a fourth apart.

Nothing is sampled. `python scripts/make_chime.py [FILE]`; the same file every time.
"""

import sys
import wave
from pathlib import Path

import numpy as np

RATE = 24_000
SECONDS = 1.2
TONES = ((0.0, 523.25), (0.16, 698.46))  # start in seconds, Hz: C5, F5
PARTIALS = ((1, 1.0), (2, 0.22), (3, 0.07))  # multiple of the tone, how loud
PEAK = 0.35
TARGET = Path(__file__).parent.parent / "assets" / "sounds" / "chime.wav"


def chime() -> np.ndarray:
    """(SECONDS * RATE,) float32 in -PEAK..PEAK."""
    at = np.arange(round(SECONDS * RATE)) / RATE
    mixed = np.zeros_like(at)
    for start, hertz in TONES:
        since = np.clip(at - start, 0, None)
        envelope = (1 - np.exp(-since / 0.008)) * np.exp(-since / 0.28) * (at >= start)
        for multiple, level in PARTIALS:
            mixed += level * envelope * np.sin(2 * np.pi * hertz * multiple * since)
    fade = np.clip((SECONDS - at) / 0.1, 0, 1)
    return (PEAK * fade * mixed / np.abs(mixed).max()).astype(np.float32)


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((chime() * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
