"""Facts inside the house: jobs, takes, assets, spoken lines. Frozen dataclasses, nothing of a stranger's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.domain.words import AIR_AFTER, AIR_BEFORE, AIR_BETWEEN, JSON, Kind, Lane, Layer, State


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line that has been spoken, laid on its scene's clock."""

    line_id: str
    character: str
    text: str
    path: Path
    start: float  # seconds from the scene's first frame
    duration: float  # seconds
    visemes: Sequence[tuple[float, str]] = ()  # (seconds from the line's start, phoneme), where the engine knows them


def lay_lines(durations: Sequence[float], wished: float | None) -> tuple[list[float], float]:
    """Where each line starts and how long the scene must be, in seconds. Never shorter than the wish."""
    starts, at = [], AIR_BEFORE
    for seconds in durations:
        starts.append(round(at, 4))
        at += seconds + AIR_BETWEEN
    total = at - AIR_BETWEEN + AIR_AFTER if durations else 0.0
    return starts, max(total, wished or 0.0)


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make one layer of a scene on one engine."""

    id: str
    scene_id: str
    line_id: str | None  # None: the picture
    layer: Layer
    engine: str
    lane: Lane
    attempt: int
    state: State
    queue_id: str = ""
    error: Mapping[str, Any] | None = None  # {"code", "params"}
    degraded_reason: str | None = None
    kept: Mapping[str, JSON] = field(default_factory=dict)
    seed: int | None = None  # of this picture alone; None: the scene's


@dataclass(frozen=True, slots=True)
class Take:
    """What a job made. Immutable but for its marks (selected, locked, private, rating, note, trashed)."""

    id: str
    scene_id: str
    line_id: str | None
    layer: Layer
    number: int  # 1, 2, 3 … within scene and layer
    kind: Kind
    path: Path
    engine: str
    profile: str
    seed: int
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float  # seconds, effective
    facts: Mapping[str, JSON]
    created: str  # ISO 8601, UTC
    job_id: str = ""
    draft: bool = False
    selected: bool = False
    locked: bool = False
    private: bool = False
    trashed: bool = False
    chosen: bool = False  # selected by hand
    rating: int = 0  # 1 … 5; 0: not rated
    note: str | None = None  # what was to be made otherwise
    degraded_reason: str | None = None
    fingerprint: str = ""  # of what it was made from; empty: unknown


@dataclass(frozen=True, slots=True)
class Asset:
    """A file known by what is in it."""

    sha256: str
    kind: Kind
    path: Path
    name: str  # as the user called it
    size: int  # bytes
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration: float = 0.0  # seconds

    @property
    def ref(self) -> str:
        return f"asset:{self.sha256}"
