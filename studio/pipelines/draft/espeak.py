"""The draft voice's program: starts eSpeak NG beside us and reads what it said. Knows no characters and no scenes."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Speak `text` in a child process, which stays for the next text: to start it takes longer than to speak. Raises
    EngineError("speech.failed")."""
    with _resident as child:
        utterance, clean = _heard(
            child, text, language,
            variant=variant, pitch=pitch, pitch_range=pitch_range, words_per_minute=words_per_minute,
        )  # fmt: skip
        if not clean:  # the same words must sound the same, whatever was said before
            _resident.let_go()
        return utterance


@contextmanager
def conversation() -> "Iterator[Callable[..., Utterance]]":
    """`synthesise` for many sentences in a row, in one child process. Raises EngineError("speech.failed")."""
    child = _started()
    try:
        yield partial(_said, child)
    finally:
        _end(child)


class _Resident:
    """The child that stays, lent to one thread at a time. One that failed is ended, and so is any with this process:
    what it listens to is closed then."""

    def __init__(self) -> None:
        self._lent = threading.Lock()  # protects both
        self._child: subprocess.Popen[bytes] | None = None
        self._program = CHILD

    def __enter__(self) -> "subprocess.Popen[bytes]":
        self._lent.acquire()
        try:
            if self._child and (self._child.poll() is not None or self._program != CHILD):
                self.let_go()
            if self._child is None:
                self._child, self._program = _started(), CHILD
        except BaseException:
            self._lent.release()
            raise
        return self._child

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is not None:
                self.let_go()
        finally:
            self._lent.release()

    def let_go(self) -> None:
        """By whom it is lent to."""
        child, self._child = self._child, None
        if child is not None:
            _end(child)

    def close(self) -> None:
        with self._lent:
            self.let_go()


_resident = _Resident()
atexit.register(_resident.close)


def _started() -> "subprocess.Popen[bytes]":
    # -P: this folder must not stand in the way of the standard library's names
    command = [sys.executable, "-P", str(CHILD)]
    hidden = 0x08000000 if os.name == "nt" else 0  # CREATE_NO_WINDOW
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, creationflags=hidden
        )
    except OSError as error:
        raise EngineError("speech.failed", reason=type(error).__name__) from error


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.communicate()


def _said(child: "subprocess.Popen[bytes]", text: str, language: str, **how: Any) -> Utterance:
    return _heard(child, text, language, **how)[0]


def _heard(
    child: "subprocess.Popen[bytes]", text: str, language: str, *, variant: str, pitch: int, pitch_range: int,
    words_per_minute: int,
) -> tuple[Utterance, bool]:  # fmt: skip
    """What was said, and whether the child has forgotten it."""
    import numpy as np

    request = {
        "text": text,
        "voice": VOICES[language] + (f"+{variant}" if variant else ""),
        "pitch": pitch,
        "range": pitch_range,
        "rate": words_per_minute,
        "seconds": TIMEOUT_SECONDS,
    }
    late = threading.Event()

    def give_up() -> None:
        late.set()
        child.kill()

    watch = threading.Timer(TIMEOUT_SECONDS, give_up)
    watch.start()
    try:
        line, pcm = _answer(child, json.dumps(request).encode() + b"\n")
    finally:
        watch.cancel()
    if not line:
        child.kill()
        reason = "TimeoutExpired" if late.is_set() else _last_words(child)
        raise EngineError("speech.failed", reason=reason)
    head = json.loads(line)
    if "error" in head:
        raise EngineError("speech.failed", reason=head["error"])
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
    utterance = Utterance(
        samples,
        head["rate"],
        tuple((float(at), name) for at, name in head["phonemes"]),
        tuple((float(at), first, length) for at, first, length in head["words"]),
    )
    return utterance, bool(head["clean"])


def _answer(child: "subprocess.Popen[bytes]", request: bytes) -> tuple[bytes, bytes]:
    """(head, samples); both empty where the child ended before it had said all."""
    assert child.stdin and child.stdout
    try:
        child.stdin.write(request)
        child.stdin.flush()
    except OSError:  # it ended already
        return b"", b""
    line = child.stdout.readline()
    if not line.endswith(b"\n"):
        return b"", b""
    wanted = 2 * json.loads(line).get("samples", 0)
    pcm = child.stdout.read(wanted)
    return (line, pcm) if len(pcm) == wanted else (b"", b"")


def _last_words(child: "subprocess.Popen[bytes]") -> str:
    """Why it ended, as far as it said."""
    assert child.stderr
    last = child.stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    return last or f"exit status {child.wait()}"
