"""The draft voice's program: starts eSpeak NG beside us and reads what it said. Knows no characters and no scenes."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import EngineError

if TYPE_CHECKING:
    import numpy as np

CHILD = Path(__file__).with_name("espeak_child.py")
VOICES = {"en": "en-us", "pt": "pt-br", "zh": "cmn"}  # our languages in eSpeak's words
TIMEOUT_SECONDS = 60.0  # 2,000 characters take 0.4 s; this is for a machine that swaps


@dataclass(frozen=True, slots=True)
class Utterance:
    """What eSpeak said: samples (N,) float32 in -1..1, and when it said what."""

    samples: "np.ndarray"
    rate: int  # Hz
    phonemes: tuple[tuple[float, str], ...]  # (seconds, eSpeak mnemonic); "_" and "_:" are pauses
    words: tuple[tuple[float, int, int], ...]  # (seconds, first character, characters) in the text


def synthesise(
    text: str, language: str, *, variant: str, pitch: int, pitch_range: int, words_per_minute: int
) -> Utterance:
    """Speak `text` in a child process. Raises EngineError("speech.failed")."""
    import numpy as np

    request = {
        "text": text,
        "voice": VOICES[language] + (f"+{variant}" if variant else ""),
        "pitch": pitch,
        "range": pitch_range,
        "rate": words_per_minute,
        "seconds": TIMEOUT_SECONDS,
    }
    # -P: this folder must not stand in the way of the standard library's names
    command = [sys.executable, "-P", str(CHILD)]
    hidden = 0x08000000 if os.name == "nt" else 0  # CREATE_NO_WINDOW
    try:
        answer = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            creationflags=hidden,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError("speech.failed", reason=type(error).__name__) from error
    if answer.returncode != 0:
        last = answer.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise EngineError("speech.failed", reason=last or f"exit status {answer.returncode}")
    line, _, pcm = answer.stdout.partition(b"\n")
    head = json.loads(line)
    if "error" in head:
        raise EngineError("speech.failed", reason=head["error"])
    samples = np.frombuffer(pcm, dtype="<i2", count=head["samples"]).astype(np.float32) / 32768
    return Utterance(
        samples,
        head["rate"],
        tuple((float(at), name) for at, name in head["phonemes"]),
        tuple((float(at), first, length) for at, first, length in head["words"]),
    )
