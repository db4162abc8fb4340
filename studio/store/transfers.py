"""A queue that leaves for another studio, and one that comes from there: scenes, lines, takes and marks at once.

Each take that comes gets a job that is done, so that a scene stands where its takes say, now and after its next run.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.domain import JSON, CutSettings, Frame, Kind, Layer, Music, SceneBase, State, new_id, slug
from studio.errors import NotFound
from studio.media.roots import Roots
from studio.store import fingerprint
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.projects import Projects
from studio.store.queues import Queue, Queues


@dataclass(frozen=True, slots=True)
class NewQueue:
    id: str
    name: str
    project: str = ""  # by name, made where there is none; empty: the one that always exists
    code: str = ""  # kept where it is free
    frame: Frame | None = None
    music: Music | None = None
    cut: CutSettings | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NewScene:
    """References bound, lines with their ids."""

    id: str
    scene: SceneBase
    state: State = State.DRAFT
    error: Mapping[str, Any] | None = None
    note: str | None = None
    retake: str | None = None
    retake_at: str | None = None  # an id: takes with a greater one are the answer


@dataclass(frozen=True, slots=True)
class NewCharacter:
    name: str
    voice: str = ""
    look: str = ""
    portrait: str = ""


@dataclass(frozen=True, slots=True)
class OldTake:
    """A take that was made elsewhere. `job_id` is new: sidecar and small pictures go by it."""

    id: str
    job_id: str
    scene_id: str
    line_id: str | None
    layer: Layer
    number: int
    kind: Kind
    engine: str
    profile: str
    seed: int
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float
    bytes: int
    facts: Mapping[str, JSON]
    settings: Mapping[str, JSON]
    created: str
    draft: bool = False
    selected: bool = False
    chosen: bool = False
    locked: bool = False
    private: bool = False
    rating: int = 0
    note: str | None = None
    degraded_reason: str | None = None


Place = Callable[[Queue], Sequence[tuple[OldTake, Path]]]
"""Gives the files of the takes their names in the new queue's folder: the takes as they are then, with their files."""


class Transfers:
    def __init__(
        self, connection: Connection, changes: Changes, roots: Roots, queues: Queues, projects: Projects
    ) -> None:
        self._c, self._changes, self._roots = connection, changes, roots
        self._queues, self._projects = queues, projects

    def takes_of(self, queue_id: str) -> list[Row]:
        """Every take of a queue that is not in the trash, oldest first, all columns; `file` is its path."""
        rows = self._c.rows(
            "select t.* from takes t join scenes s on s.id = t.scene_id where s.queue_id = ? and t.trashed is null"
            " order by t.id",
            [queue_id],
        )
        for row in rows:
            row |= {"facts": json.loads(row["facts"]), "settings": json.loads(row["settings"])}
            row["file"] = self._roots.file(row["root"], row["path"])
        return rows

    def retakes(self, queue_id: str) -> dict[str, str]:
        """By scene of a queue, the moment since which another take is asked for, as an id."""
        rows = self._c.rows("select id, retake_at from scenes where queue_id = ? and retake_at is not null", [queue_id])
        return {row["id"]: row["retake_at"] for row in rows}

    def taken(self, ids: Iterable[str]) -> bool:
        """Is one of these ids anything here?"""
        wanted = json.dumps(list(ids))
        return any(
            self._c.value(f"select 1 from {table} where id in (select value from json_each(?)) limit 1", [wanted])  # noqa: S608
            for table in ("queues", "scenes", "lines", "takes")
        )

    def put(self, queue: NewQueue, cast: Sequence[NewCharacter], scenes: Sequence[NewScene], place: Place) -> None:
        """All of it or, when anything fails, `place` included, nothing."""
        with self._c.write():
            project_id = self._project(queue.project)
            self._insert_queue(queue, project_id)
            for character in cast:
                self._insert_character(project_id, character)
            for position, scene in enumerate(scenes):
                self._insert_scene(queue.id, position, scene)
            for take, path in place(self._queues.get(queue.id)):
                self._insert_take(take, path)
            for scene in scenes:
                self._insert_end(scene)
                self._changes.scene(queue.id, scene.id)
            self._changes.queue()
            self._changes.take()

    def put_cast(self, project: str, cast: Sequence[NewCharacter]) -> None:
        """Characters of a project, which is made where there is none of that name."""
        with self._c.write():
            project_id = self._project(project)
            for character in cast:
                self._insert_character(project_id, character)

    def put_file(self, project: str, folder: str, name: str, sha256: str) -> None:
        """An asset becomes a file of a project, which is made where there is none of that name."""
        with self._c.write():
            self._projects.add_file(self._project(project), folder, name, sha256)

    def _project(self, name: str) -> str:
        default = self._projects.default()
        if not name:
            return default
        try:
            return str(self._projects.named(name)["id"])
        except NotFound:
            return self._projects.create(name)

    def _insert_queue(self, queue: NewQueue, project_id: str) -> None:
        code = queue.code
        here = "select 1 from queues where project_id = ? and code = ?"
        if not code.startswith("EP") or self._c.value(here, [project_id, code]):
            code = self._projects.next_code(project_id)
        self._c.insert(
            "queues",
            {
                "id": queue.id, "project_id": project_id, "code": code, "name": queue.name, "inbox": 0,
                "position": self._c.value("select coalesce(max(position), -1) + 1 from queues"),
                "frame": queue.frame.model_dump_json() if queue.frame else None,
                "music": queue.music.model_dump_json() if queue.music else None,
                "cut": queue.cut.model_dump_json(exclude_defaults=True) if queue.cut else None,
                "policy": json.dumps(queue.policy), "priority": queue.priority, "created": now(),
            },
        )  # fmt: skip

    def _insert_character(self, project_id: str, character: NewCharacter) -> None:
        """Somebody who is known here already keeps what they have, and gets what they lack."""
        sets = ", ".join(
            f"{name} = case when coalesce({name}, '') = '' then excluded.{name} else {name} end"
            for name in ("voice", "look", "portrait")
        )
        self._c.execute(
            "insert into characters (id, project_id, slug, name, voice, look, portrait, created)"
            f" values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (project_id, slug) do update set {sets}",
            [
                new_id(), project_id, slug(character.name), character.name, character.voice, character.look,
                character.portrait or None, now(),
            ],
        )  # fmt: skip

    def _insert_scene(self, queue_id: str, position: int, new: NewScene) -> None:
        self._c.insert(
            "scenes",
            {
                "id": new.id, "queue_id": queue_id, "position": position, "task_type": new.scene.task_type,  # type: ignore[attr-defined]
                "body": new.scene.model_dump_json(exclude={"lines"}), "state": new.state, "note": new.note,
                "error": json.dumps(new.error) if new.error else None, "retake": new.retake,
                "retake_at": new.retake_at, "created": now(), "updated": now(),
            },
        )  # fmt: skip
        for index, line in enumerate(new.scene.lines):
            self._c.insert(
                "lines", {**line.model_dump(), "id": line.id or new_id(), "scene_id": new.id, "position": index}
            )
        for source in {i.ref[6:].partition("#")[0] for i in new.scene.inputs() if i.ref.startswith("scene:")}:
            self._c.insert("needs", {"scene_id": new.id, "on_id": source})

    def _insert_take(self, take: OldTake, path: Path) -> None:
        root, relative = self._roots.place(path)
        values = {name: getattr(take, name) for name in OldTake.__slots__}
        values |= {name: int(values[name]) for name in ("draft", "selected", "chosen", "locked", "private")}
        values |= {"facts": json.dumps(take.facts), "settings": json.dumps(take.settings)}
        values |= {"root": root, "path": relative}
        values["fingerprint"] = fingerprint.of_take(take.layer, take.engine, take.settings, take.facts)
        self._c.insert("takes", values)
        self._insert_job(take.job_id, take.scene_id, take.line_id, take.layer, take.engine, State.DONE, take.created)

    def _insert_end(self, new: NewScene) -> None:
        """What a scene failed with stands in its newest job: the scene is drawn from it."""
        if new.state in (State.FAILED, State.CANCELLED):
            line = new.scene.lines[0].id if new.scene.kind == "audio" else None
            layer: Layer = "voice" if line else "picture"
            self._insert_job(new_id(), new.id, line, layer, new.scene.engine, new.state, now(), new.error)

    def _insert_job(
        self, job_id: str, scene_id: str, line_id: str | None, layer: Layer, engine: str, state: State, at: str,
        error: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._c.insert(
            "jobs",
            {
                "id": job_id, "scene_id": scene_id, "line_id": line_id, "layer": layer, "engine": engine, "lane": "cpu",
                "state": state, "attempt": 1, "error": json.dumps(error) if error else None,
                "created": at, "started": at, "finished": at,
            },
        )  # fmt: skip
