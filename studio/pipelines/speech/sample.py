"""A voice's sample as an engine takes it: one channel, 16 bit, no longer than it listens. Knows no engine."""

import io
import wave
from pathlib import Path

RATE = 48_000  # Hz


def wav_of(path: Path, seconds: float) -> bytes:
    """The first `seconds` of any file with sound, as a WAV file. Raises MediaError."""
    import numpy as np

    from studio.media.sound import load48

    samples = load48(path, seconds).mean(axis=1)  # (N, 2) -> (N,)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return content.getvalue()
