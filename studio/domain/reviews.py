"""A film that is reviewed: where its scenes stand, what changed since the version before. Knows no file and no row."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Change = Literal["", "new", "retaken", "trimmed", "moved"]
"""Of a scene against the version before; "": as it was."""
Wish = Literal["comment", "retake"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A scene in a film. `takes`: all that is seen and heard in it; seconds on the film's clock."""

    scene_id: str
    take_id: str | None  # None: a card stands there
    takes: Sequence[str]
    number: int
    title: str
    start: float
    duration: float
    trim: Sequence[float]  # seconds off its beginning and its end

    @property
    def named(self) -> str:
        return f"{self.number} · {self.title}".rstrip(" ·")

    def second(self, at: float) -> float:
        """Of its take, that is seen at a second of the film."""
        return at - self.start + self.trim[0]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Changes:
    """`scenes`: by scene that is not as it was; `removed`: {number, title} as they stood."""

    scenes: Mapping[str, Change]
    removed: Sequence[Mapping[str, Any]]


def placed(rows: Iterable[Mapping[str, Any]]) -> list[Placed]:
    return [Placed(**row) for row in rows]


def changes(before: Sequence[Placed], after: Sequence[Placed]) -> Changes:
    """What a new version says about itself. One word for each scene, the one that matters most."""
    old = {scene.scene_id: scene for scene in before}
    stay = _in_order([scene.scene_id for scene in before], [scene.scene_id for scene in after if scene.scene_id in old])
    found = {scene.scene_id: _change(old.get(scene.scene_id), scene, stay) for scene in after}
    here = {scene.scene_id for scene in after}
    gone = [{"number": scene.number, "title": scene.title} for scene in before if scene.scene_id not in here]
    return Changes({scene_id: change for scene_id, change in found.items() if change}, gone)


def _change(before: Placed | None, after: Placed, stay: set[str]) -> Change:
    if before is None:
        return "new"
    if (before.take_id, set(before.takes)) != (after.take_id, set(after.takes)):
        return "retaken"
    if list(before.trim) != list(after.trim):
        return "trimmed"
    return "" if after.scene_id in stay else "moved"


def _in_order(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """The most that stand in the same order in both: the longest rising sequence of places, by patience sorting."""
    place = {scene_id: n for n, scene_id in enumerate(before)}
    tails: list[int] = []  # the least last place of a rising sequence of each length
    ends: list[int] = []  # where in `after` that last one stands
    previous: list[int] = []
    for at, scene_id in enumerate(after):
        length = bisect_left(tails, place[scene_id])
        previous.append(ends[length - 1] if length else -1)
        tails[length:length + 1], ends[length:length + 1] = [place[scene_id]], [at]  # fmt: skip
    stay, at = set[str](), ends[-1] if ends else -1
    while at >= 0:
        stay.add(after[at])
        at = previous[at]
    return stay


def scene_at(scenes: Sequence[Placed], at: float) -> Placed | None:
    """The scene seen at a second of the film, of two that dissolve the later one; None: a title, the credits."""
    shown = [scene for scene in scenes if scene.start <= at < scene.start + scene.duration]
    return shown[-1] if shown else None


def timecode(seconds: float) -> str:
    """1:02.5, 1:00:02.5"""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{clock}:{rest // 10:02}.{rest % 10}"
