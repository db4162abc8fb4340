"""Where work runs: the words an executor and its caller share. Knows no database, no queue and no screen.

A caller hands over an `Assignment` and iterates over `Event`s; the last one is Finished, ToolDone or Failed. Two
executors speak these words: `inprocess.InProcess` (tests, one-shot command line) and `process.WorkerProcess`.

`Kept` is special: *resuming the iterator is the acknowledgement*. The caller commits what was kept before it asks for
the next event, and only then does `Run.keep` return in the engine. A caller that stops iterating before the last
event has given the work up: it is cancelled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from studio import errors
from studio.domain import JSON
from studio.pipelines.base import Inputs, Plan

PREVIEW_BYTES = 40_000  # the most that one Preview may weigh
SOUND_BYTES = 96_000  # and one Sounded: two seconds at 24 kHz


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job, complete: whoever carries it out needs no database. Plain values only, it crosses a pipe."""

    job_id: str
    attempt: int
    engine: str
    task: Mapping[str, JSON]  # the scene, dumped: prompt, lines, `task_type`; `options` is keyed by engine
    inputs: Inputs  # `soundtrack` None: made from `lines` where the work is done
    plan: Plan
    seed: int
    out: Path  # where the file goes, without suffix
    posters: Path  # stem of the small pictures beside it
    kept: Mapping[str, JSON] = field(default_factory=dict)  # by earlier attempts
    scratch: Path | None = None  # folder of the job's own, which outlives a crash of its process
    comment: Mapping[str, JSON] = field(default_factory=dict)  # settings, for the file's own metadata
    scene_id: str = "-"  # for the log

    @property
    def part(self) -> Path:
        """Stem of everything unfinished. It carries the job's id, so that a sweep knows whose it is."""
        return self.out.with_name(f"{self.out.name}.{self.job_id}")

    def leftovers(self) -> Iterator[Path]:
        """Unfinished files of this job, if its process died."""
        for folder, name in ((self.out.parent, self.part.name), (self.posters.parent, self.posters.name)):
            if folder.is_dir():
                yield from (
                    path for path in folder.iterdir() if path.name.startswith(name + ".") and path.suffix == ".part"
                )


# ------------------------------------------------------------------------------------------------ events
@dataclass(frozen=True, slots=True)
class Started:
    """The worker has it. `loads`: the engine has to be brought onto the device first."""

    loads: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engine was not on the device and had to be brought there."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int
    note: str = ""  # one word: of a tool "conform", "sound", "join"; of a job its phase: "text", "steps", "decode"
    step_seconds: float | None = field(default=None, compare=False)  # the median of the last steps


@dataclass(frozen=True, slots=True)
class Preview:
    jpeg: bytes  # at most PREVIEW_BYTES


@dataclass(frozen=True, slots=True)
class Sounded:
    """What can be heard already, the next piece of it; the first one says of what rate."""

    samples: bytes  # 16-bit little-endian mono, at most SOUND_BYTES
    rate: int  # Hz


@dataclass(frozen=True, slots=True)
class Kept:
    """To be committed before the next event is asked for."""

    key: str
    value: JSON


@dataclass(frozen=True, slots=True)
class Finished:
    """The file has its final name and its sidecar; nothing unfinished is left."""

    path: Path
    facts: Mapping[str, JSON]  # kind, width, height, fps, num_frames, duration, bytes, and what the engine said


@dataclass(frozen=True, slots=True)
class ToolDone:
    result: JSON


@dataclass(frozen=True, slots=True)
class Failed:
    """`code` and `params` are an error's; a cancelled job is Failed with code "cancelled"."""

    code: str
    params: Mapping[str, Any]
    kind: str = "StudioError"  # the error's class in studio.errors
    transient: bool = False  # the same job may well succeed when tried again: its worker died, or was not to be had

    @property
    def error(self) -> errors.StudioError:
        kind: type[errors.StudioError] = getattr(errors, self.kind)
        return kind(self.code, **self.params)

    @classmethod
    def of(cls, error: errors.StudioError) -> "Failed":
        transient = isinstance(error, errors.Unavailable)
        return cls(error.code, dict(error.params), type(error).__name__, transient)


@dataclass(frozen=True, slots=True)
class Held:
    """Memory that a working process holds."""

    ram_bytes: int
    device_bytes: int = 0  # by torch's account: what tensors take and what it keeps for the next ones


LAST = (Finished, ToolDone, Failed)
CANCELLED = Failed.of(errors.Cancelled())
Event = Started | Loaded | Progress | Preview | Sounded | Kept | Finished | ToolDone | Failed


class Executor(Protocol):
    """The same verbs for the caller's process, a worker process and, later, a cluster.

    One thing at a time: a second `submit` or `call` waits for the first. `cancel`, `enough`, `held` and `close` may be
    called from any thread; one thread iterates over one piece of work."""

    def submit(self, assignment: Assignment) -> Iterator[Event]:
        """Carry out a job: Started, Loaded where the engine had to be, then Progress, Preview, Sounded and Kept in any
        order, then Finished or Failed."""

    def call(self, tool: str, arguments: Mapping[str, JSON], *, job_id: str = "") -> Iterator[Event]:
        """Use one of studio.tools.TOOLS: Progress, then ToolDone or Failed. `job_id` is for `cancel`."""

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop at its next step. Nothing happens where the job is not known (any more)."""

    def enough(self, job_id: str) -> None:
        """Tell a job that what it has so far is wanted; its engine may heed it (`Engine.stops_early`). Nothing happens
        where the job is not known (any more)."""

    def held(self) -> Held | None:
        """The memory of the process that works; None while there is none, or it has not said yet."""

    def rest(self) -> None:
        """Let what it holds go while it has nothing to do; the next piece of work brings it back."""

    def adopt(self) -> set[str]:
        """Ids of the jobs that are here: waiting or running."""

    def close(self) -> None:
        """Give up what is running and let every engine go."""
