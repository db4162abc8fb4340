"""A job while it runs: how far it is, what it does, how long it will take. In memory only; knows no store."""

from dataclasses import dataclass, field

from studio.domain import Job


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of a job by history; 0: never seen."""

    load: float = 0.0  # of its engine
    whole: float = 0.0  # from then on
    after: float = 0.0  # of which after the last step


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
    sound: list[bytes] = field(default_factory=list)  # what can be heard already, 16-bit mono, piece by piece
    rate: int = 0  # Hz of it
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
