"""What parent and worker process say to each other over their pipe. Knows nothing of what is done with it.

Both ends are the same program of the same user, so pickle is safe here; nothing of a stranger ever comes this way.
Media never does either: files go by their paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.domain import JSON
from studio.execution import Assignment, Event, Held


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker has to know from the start."""

    log_dir: Path | None = None  # None: what is logged goes nowhere
    log_level: str = "INFO"
    secrets: tuple[str, ...] = ()  # never to be seen in the log
    threads: int | None = None  # for the numeric libraries; None: as many as they like
    environment: Mapping[str, str] = field(default_factory=dict)  # set before anything heavy is imported
    engines: Mapping[str, str] = field(default_factory=dict)  # more of them: id -> "module:Class"
    tools: Mapping[str, str] = field(default_factory=dict)  # more of them: name -> "module:function"


# ------------------------------------------------------------------------------------------------ parent -> worker
@dataclass(frozen=True, slots=True)
class Do:
    assignment: Assignment

    @property
    def work_id(self) -> str:
        return self.assignment.job_id


@dataclass(frozen=True, slots=True)
class Use:
    work_id: str
    tool: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Cancel:
    work_id: str


@dataclass(frozen=True, slots=True)
class Enough:
    """What is there so far is wanted."""

    work_id: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """What the last Kept said is committed."""

    work_id: str


@dataclass(frozen=True, slots=True)
class Quit:
    pass


Order = Do | Use | Cancel | Enough | Acknowledge | Quit


# ------------------------------------------------------------------------------------------------ worker -> parent
@dataclass(frozen=True, slots=True)
class Greeting:
    """The first word of a worker."""

    pid: int
    python: str
    versions: Mapping[str, str]  # of the packages that results depend on; absent: not installed


@dataclass(frozen=True, slots=True)
class Beat:
    """Alive, and at work."""

    held: Held


@dataclass(frozen=True, slots=True)
class Said:
    work_id: str
    event: Event
    leaving: bool = False  # the process ends after this: its device is not to be trusted


Word = Greeting | Beat | Said
