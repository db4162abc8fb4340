"""What preflight must know of many scenes before it can judge them: files, spoken lines, scenes that are read.

Two worlds give the same facts: a queue in the store (few queries, each file looked at once) and an episode file that
was never imported. Judges nothing but files.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

from studio.domain import Input, SceneBase, State
from studio.errors import StudioError
from studio.service.library import Library, hash_of
from studio.service.preflight_rules import Finding, Item, Said
from studio.service.spoken import Speaking, Spoken
from studio.service.stale import Stale
from studio.store import Queue, SceneRow, Store
from studio.store.database import Row
from studio.story.episode import Episode, misfit, sources
from studio.story.problem import Problem


@dataclass
class Facts:
    """Of all the scenes that are looked at, by key."""

    items: dict[str, Item] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    reads: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # (field, key) of scenes looked at too
    with_take: set[str] = field(default_factory=set)  # have a picture already, which others may go on with


class Hashes:
    """SHA-256 of files that changed since they were let in; read once for each size and time."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, float], str] = {}
        self._lock = Lock()  # protects _known; nothing else is taken inside it

    def of(self, path: Path, stat: os.stat_result) -> str:
        key = (path, stat.st_size, stat.st_mtime)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = hash_of(path)
            with self._lock:
                if len(self._known) > 5000:
                    self._known.clear()
                self._known[key] = known
        return known


# ------------------------------------------------------------------------------------------------ a queue
class Stored:
    """The facts of some scenes of a queue."""

    def __init__(
        self, store: Store, stale: Stale, hashes: Hashes, queue: Queue, rows: Sequence[SceneRow], *,
        afresh: bool = False,
    ) -> None:  # fmt: skip
        """`afresh`: lines are spoken again whether or not they have a voice take."""
        self._store, self._hashes, self._queue, self._rows, self._afresh = store, hashes, queue, rows, afresh
        self._changed = stale.of(rows, store.takes.selected([row.id for row in rows]))
        self._ids = {row.id for row in rows}
        self._reads = {row.id: tuple(row.scene.inputs()) for row in rows}
        self._broken: dict[str, Problem | None] = {}  # by SHA-256: what is wrong with the file

    def facts(self) -> Facts:
        facts = Facts(with_take={key for key in self._ids if self._sources.get(key, {}).get("path")})
        for row in self._rows:
            scene = row.scene
            facts.items[row.id] = Item(
                row.id, row.position + 1, scene.label, scene.task_type, scene, row.state, tuple(self._inputs(row))  # type: ignore[attr-defined]
            )  # fmt: skip
            said, gone = self._said(row)
            facts.said[row.id] = said
            facts.items[row.id] = facts.items[row.id].found(gone)
            facts.reads[row.id] = [(item.field, key) for item, key in _scenes(self._reads[row.id]) if key in self._ids]
        return facts

    # ------------------------------------------------------------------------------------------ files
    @cached_property
    def _assets(self) -> dict[str, Row]:
        refs = (item.ref for row in self._rows for item in (*self._reads[row.id], *row.scene.sounds()))
        hashes = {ref.removeprefix("asset:") for ref in refs if ref.startswith("asset:")}
        if self._queue.music:
            hashes.add(self._queue.music.ref.removeprefix("asset:"))
        return self._store.survey.assets(hashes)

    def _inputs(self, row: SceneRow) -> Iterator[Finding]:
        for item in self._reads[row.id]:
            problem = self._source(item) if item.ref.startswith("scene:") else self._file(item.ref, item.field)
            if problem:
                yield Finding("error", problem)
        for item in row.scene.sounds():  # only the film wants these
            if problem := self._file(item.ref, item.field):
                yield Finding("warning", problem)

    def music(self) -> Finding | None:
        """What is wrong with the bed under the film."""
        music = self._queue.music
        problem = self._file(music.ref, "music") if music else None
        return Finding("warning", problem) if problem else None

    def _file(self, ref: str, where: str) -> Problem | None:
        sha256 = ref.removeprefix("asset:")
        if sha256 not in self._broken:
            self._broken[sha256] = self._looked_at(sha256)
        found = self._broken[sha256]
        return Problem(where, found.code, {**found.params, "field": where}) if found else None

    def _looked_at(self, sha256: str) -> Problem | None:
        row = self._assets.get(sha256)
        if row is None:
            return Problem("", "asset.unknown", {"asset": sha256[:12]})
        try:
            path = self._store.roots.file(row["root"], row["path"])
            stat = path.stat()
            if not os.access(path, os.R_OK):
                return Problem("", "input.unreadable", {"name": row["name"], "field": ""})
            changed = (stat.st_size, stat.st_mtime) != (row["size"], row["mtime"])
            if changed and self._hashes.of(path, stat) != sha256:
                return Problem("", "input.changed", {"name": row["name"], "field": ""})
        except StudioError as error:
            return Problem("", error.code, error.params)
        except OSError:
            return Problem("", "input.gone", {"name": row["name"], "field": ""})
        return None

    # ------------------------------------------------------------------------------------------ scenes that are read
    @cached_property
    def _sources(self) -> dict[str, Row]:
        read = {key for inputs in self._reads.values() for _, key in _scenes(inputs)}
        return self._store.survey.sources(read)

    def _source(self, item: Input) -> Problem | None:
        key = item.ref[6:].partition("#")[0]
        row = self._sources.get(key)
        if row is None:
            return Problem(item.field, "scene.input_gone")
        number = row["position"] + 1
        if problem := misfit(item.field, item.kind, row["task_type"], number):
            return problem
        if key in self._ids or row["state"] in (State.QUEUED, State.RUNNING):
            return None  # it is going to be made
        if row["path"] is None:
            return Problem(item.field, "scene.blocked", {"number": number, "label": row["label"] or ""})
        if not self._there(row):
            return Problem(item.field, "input.gone", {"name": Path(row["path"]).name, "field": item.field})
        return None

    def _there(self, row: Row) -> bool:
        try:
            return self._store.roots.file(row["root"], row["path"]).is_file()
        except StudioError:  # its folder is no longer one of ours
            return False

    # ------------------------------------------------------------------------------------------ lines
    @cached_property
    def _speaking(self) -> Speaking:
        return Speaking(self._store.survey.voices())

    @cached_property
    def _voices(self) -> dict[str, Row]:
        return self._store.takes.spoken(self._ids)

    def _said(self, row: SceneRow) -> tuple[Said, list[Finding]]:
        """A line whose take still says it lasts as long as that; any other is estimated."""
        scene, changed = row.scene, self._changed[row.id]
        unsaid = {line.id for line in changed.lines}
        lines, afresh, gone = [], [], []
        for number, line in enumerate(scene.lines):
            take = self._voices.get(line.id)
            if self._afresh or take is None or line.id in unsaid:
                lines.append(self._speaking.estimate(line))
                afresh.append(number)
                continue
            lines.append(Spoken(take["duration"], take["duration"], take["duration"]))
            if not self._there(take):
                problem = Problem(f"lines.{number}", "preflight.voice_gone", {"name": Path(take["path"]).name})
                gone.append(Finding("error", problem))
        if scene.kind == "audio" and not afresh:  # one that is asked for again is spoken again
            afresh, gone = list(range(len(lines))), []
        recording = getattr(scene, "input_audio", None)
        asset = self._assets.get(recording.removeprefix("asset:")) if recording else None
        keeps = bool(afresh) and row.state is State.DONE and list(changed.layers) == ["voice"]
        seconds = asset["duration"] if asset else None
        return Said(lines, afresh, seconds, self._clip(row.scene), draws=not keeps), gone

    def _clip(self, scene: SceneBase) -> float | None:
        """Seconds of the clip that a scene continues; of a scene that is going to be made nobody knows."""
        ref = getattr(scene, "input_video", None) or ""
        key = ref.removeprefix("scene:").partition("#")[0]
        if not ref.startswith("scene:"):
            row = self._assets.get(ref.removeprefix("asset:"))
        else:
            row = None if key in self._ids else self._sources.get(key)
        return row["duration"] if row else None


def _scenes(inputs: Sequence[Input]) -> Iterator[tuple[Input, str]]:
    """(input, id) of the scenes that are read."""
    for item in inputs:
        if item.ref.startswith("scene:"):
            yield item, item.ref[6:].partition("#")[0]


# ------------------------------------------------------------------------------------------------ a file
def facts_of_episode(episode: Episode, library: Library, speaking: Speaking, base: Path | None, trusted: bool) -> Facts:
    """The facts of an episode that nobody has imported; every file it names is looked at, nothing is fetched."""
    facts = Facts()
    for entry in episode.entries:
        key, scene = str(entry.index), entry.scene
        findings = [Finding("error", problem) for problem in entry.problems]
        if scene is not None:
            known = {problem.field for problem in entry.problems}
            wrong = library.check(scene, base, trusted=trusted)
            findings += [Finding("error", problem) for problem in wrong if problem.field not in known]
            facts.reads[key] = [(item.field, str(source)) for item, source in sources(scene)]
            lines = [speaking.estimate(line) for line in scene.lines]
            sound, clip = (_seconds(scene, name, library, base, trusted) for name in ("input_audio", "input_video"))
            facts.said[key] = Said(lines, range(len(lines)), sound, clip)
        facts.items[key] = Item(
            key, entry.index + 1, entry.label, entry.task_type, scene, findings=tuple(findings)
        )  # fmt: skip
    return facts


def _seconds(scene: SceneBase, name: str, library: Library, base: Path | None, trusted: bool) -> float | None:
    """Of a recording or a clip of the user's; None where there is none, or where it is not here to be read."""
    ref = getattr(scene, name, None)
    return (library.seconds_of(ref, base, trusted=trusted) or None) if ref else None
