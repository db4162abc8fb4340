"""A job while it runs: how far it is, what it does, how long it will take. In memory only; knows no store."""

import struct
from dataclasses import dataclass, field
from threading import Lock

from studio.domain import Job

HEARD_BYTES = 16_000_000  # of what can be heard already that are kept: five minutes at 24 kHz
AT_ONCE = 96_000  # bytes that a listener is given at once
ENDLESS = 0xFFFFFFFF  # the length in a WAV whose length nobody knows yet


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of a job by history; 0: never seen."""

    load: float = 0.0  # of its engine
    whole: float = 0.0  # from then on
    after: float = 0.0  # of which after the last step


class Heard:
    """What can be heard of a job already, 16-bit mono. One thread adds, any number listen; where it is too much, the
    oldest of it goes, and who comes late begins later."""

    def __init__(self, most: int = HEARD_BYTES) -> None:
        self._lock = Lock()  # protects the two below; nothing else is taken inside it
        self._kept, self._gone = bytearray(), 0
        self._most = most
        self.rate = 0  # Hz; 0: nothing yet
        self.over = False  # nothing more will come

    def add(self, samples: bytes, rate: int) -> None:
        with self._lock:
            self._kept += samples
            excess = len(self._kept) - self._most
            if excess > 0:
                excess += excess % 2  # a sample is two bytes
                del self._kept[:excess]
                self._gone += excess
        self.rate = rate

    def since(self, at: int) -> tuple[bytes, int]:
        """The next bytes from byte `at` on, and where those after them begin."""
        with self._lock:
            begin = max(at, self._gone)
            piece = bytes(self._kept[begin - self._gone : begin - self._gone + AT_ONCE])
        return piece, begin + len(piece)

    def header(self) -> bytes:
        """Of a WAV that has no end yet."""
        wave = struct.pack("<HHIIHH", 1, 1, self.rate, 2 * self.rate, 2, 16)
        return (
            b"RIFF" + struct.pack("<I", ENDLESS) + b"WAVEfmt " + struct.pack("<I", 16) + wave
            + b"data" + struct.pack("<I", ENDLESS)
        )  # fmt: skip


@dataclass
class Live:
    """What a running job looks like right now, written by the thread that runs it."""

    job: Job
    started: float
    moved: float  # when it last took a step
    done: int = 0
    total: int = 0
    phase: str = ""  # "load", and then what the engine says: "text", "steps", "decode", "save"
    step_seconds: float | None = None  # the median of the last steps
    preview: bytes | None = None
    heard: Heard = field(default_factory=Heard)
    expected: Expected = Expected()
    began: float | None = None  # when its engine was there; None: not yet

    def eta(self, now: float) -> float | None:
        """Seconds left: by its own steps and what history says of the rest; None before there is either."""
        if self.step_seconds is not None and self.total:
            left = self.step_seconds * (self.total - self.done) + self.expected.after - (now - self.moved)
        elif self.expected.whole and self.began is None:
            left = self.expected.load + self.expected.whole - (now - self.started)
        elif self.expected.whole and self.began is not None:
            left = self.expected.whole - (now - self.began)
        else:
            return None
        return max(0.0, left)
