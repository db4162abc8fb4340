"""Projects, queues, scenes, lines: what the user writes. Rows in, words of the domain out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.domain import CutSettings, Frame, Line, Music, Policy, SceneAdapter, SceneBase, State, new_id, slug
from studio.errors import Conflict, NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.projects import Projects

POLICY: Mapping[str, Any] = Policy().model_dump()


@dataclass(frozen=True, slots=True)
class Queue:
    """A named, ordered list of scenes."""

    id: str
    project_id: str
    project: str
    code: str
    name: str
    frame: Frame | None
    music: Music | None
    cut: CutSettings
    policy: Mapping[str, Any]  # the fields of domain.Policy
    priority: int
    starts_at: str | None  # ISO 8601, UTC
    paused: bool
    inbox: bool
    created: str


@dataclass(frozen=True, slots=True)
class SceneRow:
    """A scene with where it stands. `scene.lines` carry the ids of their rows."""

    id: str
    queue_id: str
    position: int  # from 0
    scene: SceneBase
    state: State
    error: Mapping[str, Any] | None
    note: str | None
    retake: str | None  # what the reviewer wants otherwise; None: nothing
    version: int


class Queues:
    def __init__(self, connection: Connection, changes: Changes, projects: Projects) -> None:
        self._c, self._changes, self._projects = connection, changes, projects

    # ------------------------------------------------------------------------------------------ queues
    def create(
        self,
        name: str,
        *,
        project_id: str | None = None,
        frame: Frame | None = None,
        music: Music | None = None,
        cut: CutSettings | None = None,
        policy: Mapping[str, Any] | None = None,
        inbox: bool = False,
    ) -> str:
        """A new queue with the next free code of its project; its id."""
        queue_id = new_id()
        project_id = project_id or self._projects.default()
        with self._c.write():
            position = self._c.value("select coalesce(max(position), -1) + 1 from queues")
            self._c.insert(
                "queues",
                {
                    "id": queue_id, "project_id": project_id, "inbox": int(inbox), "created": now(),
                    "code": "INBOX" if inbox else self._projects.next_code(project_id),
                    "name": name, "position": position, "frame": frame.model_dump_json() if frame else None,
                    "music": music.model_dump_json() if music else None,
                    "cut": cut.model_dump_json(exclude_defaults=True) if cut else None,
                    "policy": json.dumps(policy or {}),
                },
            )  # fmt: skip
            self._changes.queue()
        return queue_id

    def inbox(self) -> str:
        """The queue of one-shot scenes, made when first asked for."""
        with self._c.write():  # two first scenes at once make one inbox
            found = self._c.value("select id from queues where inbox = 1")
            return str(found) if found else self.create("Inbox", inbox=True)

    def all(self) -> list[Queue]:
        return [_queue(row) for row in self._c.rows(_QUEUES + " order by q.position")]

    def any_paused(self) -> bool:
        return bool(self._c.value("select exists (select 1 from queues where paused)"))

    def get(self, queue_id: str) -> Queue:
        row = self._c.row(_QUEUES + " where q.id = ?", [queue_id])
        if row is None:
            raise NotFound("queue.unknown", queue=queue_id)
        return _queue(row)

    def update(self, queue_id: str, values: Mapping[str, Any]) -> None:
        """Columns of one queue; `policy` is merged."""
        values = dict(values)
        with self._c.write():
            if "policy" in values:
                values["policy"] = json.dumps({**self.get(queue_id).policy, **values["policy"]})
            sets = ", ".join(f"{name} = :{name}" for name in values)
            self._c.execute(f"update queues set {sets} where id = :id", {**values, "id": queue_id})
            if "priority" in values:
                self._c.execute(RERANK, [queue_id])
            self._changes.queue()

    def move(self, queue_id: str, to: int) -> None:
        """To this place (from 0) among the queues; beyond the last: to the end. What waits is run in the new order."""
        with self._c.write():
            ids = [queue.id for queue in self.all() if queue.id != queue_id]
            ids.insert(to, queue_id)
            for position, one in enumerate(ids):
                if self._c.execute(
                    "update queues set position = ? where id = ? and position != ?", [position, one, position]
                ):
                    self._c.execute(RERANK, [one])
            self._changes.queue()

    def delete(self, queue_id: str) -> None:
        """The queue, its scenes and their rows. Files are the caller's business."""
        with self._c.write():
            self._c.execute("delete from exports where queue_id = ?", [queue_id])
            self._c.execute("delete from scenes where queue_id = ?", [queue_id])
            self._c.execute("delete from queues where id = ?", [queue_id])
            self._changes.forget(queue_id)
            self._changes.queue()
            self._changes.take()

    # ------------------------------------------------------------------------------------------ scenes
    def add_scenes(self, queue_id: str, scenes: Sequence[SceneBase], at: int | None = None) -> list[str]:
        """Append, or insert before position `at`; the new ids in order. References must be resolved already,
        except `{{new:N}}`, which means the N-th scene of this very call."""
        ids = [new_id() for _ in scenes]
        with self._c.write():
            count = int(self._c.value("select count(*) from scenes where queue_id = ?", [queue_id]))
            start = count if at is None else max(0, min(at, count))
            self._c.execute(
                "update scenes set position = position + ? where queue_id = ? and position >= ?",
                [len(scenes), queue_id, start],
            )
            for offset, (scene_id, scene) in enumerate(zip(ids, scenes, strict=True)):
                self._insert(queue_id, scene_id, start + offset, _bound(scene, ids))
            if start < count:
                self._renumbered(queue_id)
        return ids

    def _insert(self, queue_id: str, scene_id: str, position: int, scene: SceneBase) -> None:
        self._c.insert(
            "scenes",
            {
                "id": scene_id, "queue_id": queue_id, "position": position, "task_type": scene.task_type,  # type: ignore[attr-defined]
                "body": _body(scene), "created": now(), "updated": now(),
            },
        )  # fmt: skip
        self._write_lines(scene_id, scene.lines)
        self._write_needs(scene_id, scene)
        self._changes.scene(queue_id, scene_id)

    def edit(self, scene_id: str, scene: SceneBase, version: int | None) -> None:
        """Put a new body in place. Raises Conflict when `version` is not the stored one, or a worker has the scene."""
        with self._c.write():
            row = self._scene_row(scene_id)
            if version is not None and version != row["version"]:
                raise Conflict("scene.stale", scene=scene_id, version=version, current=row["version"])
            if row["state"] == State.RUNNING:  # since whoever asks looked
                raise Conflict("scene.running", scene=scene_id)
            self._c.execute(
                "update scenes set body = ?, task_type = ?, version = version + 1, updated = ? where id = ?",
                [_body(scene), scene.task_type, now(), scene_id],  # type: ignore[attr-defined]
            )
            self._write_lines(scene_id, scene.lines)
            self._c.execute("delete from needs where scene_id = ?", [scene_id])
            self._write_needs(scene_id, scene)
            self._changes.scene(row["queue_id"], scene_id)

    def _write_lines(self, scene_id: str, lines: Iterable[Line]) -> None:
        """Lines keep their ids, and so their takes, when the id comes back."""
        mine = {row["id"] for row in self._c.rows("select id from lines where scene_id = ?", [scene_id])}
        kept: set[str] = set()
        for position, line in enumerate(lines):
            known = line.id in mine and line.id not in kept
            line_id = line.id if known else new_id()
            kept.add(line_id)
            values = {**line.model_dump(), "id": line_id, "scene_id": scene_id, "position": position}
            if known:
                sets = ", ".join(f"{name} = :{name}" for name in values)
                self._c.execute(f"update lines set {sets} where id = :id", values)
            else:
                self._c.insert("lines", values)
        for gone in mine - kept:
            self._c.execute("delete from lines where id = ?", [gone])

    def _write_needs(self, scene_id: str, scene: SceneBase) -> None:
        for source in {i.ref[6:].partition("#")[0] for i in scene.inputs() if i.ref.startswith("scene:")}:
            self._c.execute("insert or ignore into needs (scene_id, on_id) values (?, ?)", [scene_id, source])

    def delete_scenes(self, queue_id: str, scene_ids: Sequence[str]) -> None:
        """Scenes of one queue; those that follow move up."""
        with self._c.write():
            self._c.execute(
                "delete from scenes where queue_id = ? and id in (select value from json_each(?))",
                [queue_id, json.dumps(list(scene_ids))],
            )
            left = self._c.rows("select id from scenes where queue_id = ? order by position", [queue_id])
            self._number(row["id"] for row in left)
            for scene_id in scene_ids:
                self._changes.removed(queue_id, scene_id)
            self._renumbered(queue_id)
            self._changes.take()

    def reorder(self, queue_id: str, scene_ids: Sequence[str]) -> None:
        """The full new order. Raises Conflict when it does not name exactly the queue's scenes."""
        with self._c.write():
            rows = self._c.rows("select id from scenes where queue_id = ?", [queue_id])
            if sorted(scene_ids) != sorted(row["id"] for row in rows):
                raise Conflict("queue.order", queue=queue_id)
            self._number(scene_ids)
            self._renumbered(queue_id)

    def _number(self, scene_ids: Iterable[str]) -> None:
        self._c.execute_many("update scenes set position = ? where id = ?", enumerate(scene_ids))

    def _renumbered(self, queue_id: str) -> None:
        self._c.execute(RERANK, [queue_id])
        for row in self._c.rows("select id from scenes where queue_id = ?", [queue_id]):
            self._changes.scene(queue_id, row["id"])

    def _scene_row(self, scene_id: str) -> Row:
        row = self._c.row("select * from scenes where id = ?", [scene_id])
        if row is None:
            raise NotFound("scene.unknown", scene=scene_id)
        return row

    def scene(self, scene_id: str) -> SceneRow:
        return self._with_lines([self._scene_row(scene_id)])[0]

    def count(self, queue_id: str) -> int:
        return int(self._c.value("select count(*) from scenes where queue_id = ?", [queue_id]))

    def scenes(self, queue_id: str, only: Iterable[str] | None = None) -> list[SceneRow]:
        """In order; all of a queue, or those of `only` that are still there."""
        if only is None:
            rows = self._c.rows("select * from scenes where queue_id = ? order by position", [queue_id])
        else:
            wanted = json.dumps(sorted(only))
            rows = self._c.rows(
                "select * from scenes where queue_id = ? and id in (select value from json_each(?)) order by position",
                [queue_id, wanted],
            )
        return self._with_lines(rows)

    def _with_lines(self, rows: list[Row]) -> list[SceneRow]:
        lines: dict[str, list[Row]] = {}
        ids = json.dumps([row["id"] for row in rows])
        for line in self._c.rows(
            "select * from lines where scene_id in (select value from json_each(?)) order by position", [ids]
        ):
            lines.setdefault(line.pop("scene_id"), []).append(line)
        return [_scene_row(row, lines.get(row["id"], [])) for row in rows]

    def tallies(self, queue_ids: Iterable[str]) -> dict[str, tuple[dict[str, int], float]]:
        """By queue: how many scenes in each state, and the seconds of its film so far (selected takes in the cut)."""
        found: dict[str, tuple[dict[str, int], float]] = {}
        for queue_id in queue_ids:
            states = self._c.rows(
                "select state, count(*) as n from scenes where queue_id = ? group by state", [queue_id]
            )
            seconds = self._c.value(
                "select coalesce(sum(t.duration), 0) from scenes s join takes t on t.scene_id = s.id"
                " where s.queue_id = ? and t.layer = 'picture' and t.kind = 'video' and t.selected = 1"
                " and t.trashed is null and json_extract(s.body, '$.in_cut')",
                [queue_id],
            )
            found[queue_id] = {row["state"]: row["n"] for row in states}, float(seconds)
        return found

    def blockers(self, queue_id: str) -> dict[str, Row]:
        """By queued scene: the scene that it reads and that nobody is going to make; `on_id` alone: it was deleted."""
        rows = self._c.rows(
            "select n.scene_id, n.on_id, o.id, o.position, json_extract(o.body, '$.label') as label from needs n"
            " join scenes s on s.id = n.scene_id left join scenes o on o.id = n.on_id"
            " where s.queue_id = ? and s.state = 'queued' and (o.id is null or (o.state not in ('queued', 'running')"
            " and not exists (select 1 from takes t where t.scene_id = o.id and t.layer = 'picture'"
            " and t.selected = 1 and t.trashed is null)))",
            [queue_id],
        )
        return {row["scene_id"]: row for row in rows}

    def needs(self, scene_id: str) -> list[str]:
        """The scenes whose picture this one reads."""
        return [row["on_id"] for row in self._c.rows("select on_id from needs where scene_id = ?", [scene_id])]

    def readers(self, scene_ids: Iterable[str]) -> list[Row]:
        """Other scenes that read the picture of any of these: {id, position, label, queue_id, queue}, in order."""
        return self._c.rows(
            "select distinct s.id, s.position, json_extract(s.body, '$.label') as label, s.queue_id, q.name as queue"
            " from needs n join scenes s on s.id = n.scene_id join queues q on q.id = s.queue_id"
            " where n.on_id in (select value from json_each(:ids)) and s.id not in (select value from json_each(:ids))"
            " order by q.position, s.position",
            {"ids": json.dumps(list(scene_ids))},
        )

    # ------------------------------------------------------------------------------------------ cast
    def cast(self, project_id: str) -> dict[str, Row]:
        """Characters of a project by slug."""
        return {row["slug"]: row for row in self._c.rows("select * from characters where project_id = ?", [project_id])}

    def add_character(self, project_id: str, name: str, voice: str = "", look: str = "", portrait: str = "") -> None:
        """A new character; one who is there already gets the voice and the look that were missing or are new, and a
        portrait where there was none. `portrait`: asset:<sha256>."""
        with self._c.write():
            self._c.execute(
                "insert into characters (id, project_id, slug, name, voice, look, portrait, created)"
                " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (project_id, slug) do update set"
                " voice = case when excluded.voice != '' then excluded.voice else voice end,"
                " look = case when excluded.look != '' then excluded.look else look end,"
                " portrait = coalesce(nullif(portrait, ''), excluded.portrait)",
                [new_id(), project_id, slug(name), name, voice, look, portrait or None, now()],
            )


# The order in which queued jobs are looked at: Inbox, then queues by priority and as they stand; in each every voice
# before the first picture, scene by scene. Speech sets how long pictures become, so what is wrong with a line is known
# in the first minutes of a night, and a voice's model is loaded once.
RERANK = """
update jobs set rank = (
    select (case when q.inbox then 0 else (10 - q.priority) * 1000000 + q.position + 1 end) * 1000000000
        + (jobs.layer = 'picture') * 500000000 + s.position
    from scenes s join queues q on q.id = s.queue_id where s.id = jobs.scene_id)
where state = 'queued' and scene_id in (select id from scenes where queue_id = ?)
"""


def tell_readers(connection: Connection, changes: Changes, scene_id: str) -> None:
    """Another take stands for a scene: those that read it may be made of an older one now."""
    for row in connection.rows(
        "select s.id, s.queue_id from needs n join scenes s on s.id = n.scene_id where n.on_id = ?", [scene_id]
    ):
        changes.scene(row["queue_id"], row["id"])


_QUEUES = "select q.*, p.name as project from queues q join projects p on p.id = q.project_id"


def _queue(row: Row) -> Queue:
    return Queue(
        id=row["id"],
        project_id=row["project_id"],
        project=row["project"],
        code=row["code"],
        name=row["name"],
        frame=Frame.model_validate_json(row["frame"]) if row["frame"] else None,
        music=Music.model_validate_json(row["music"]) if row["music"] else None,
        cut=CutSettings.model_validate_json(row["cut"] or "{}"),
        policy={**POLICY, **json.loads(row["policy"])},
        priority=row["priority"],
        starts_at=row["starts_at"],
        paused=bool(row["paused"]),
        inbox=bool(row["inbox"]),
        created=row["created"],
    )


def _scene_row(row: Row, lines: list[Row]) -> SceneRow:
    body = json.loads(row["body"])
    body["lines"] = [{k: line[k] for k in Line.model_fields} for line in lines]
    return SceneRow(
        id=row["id"],
        queue_id=row["queue_id"],
        position=row["position"],
        scene=SceneAdapter.validate_python(body),
        state=State(row["state"]),
        error=json.loads(row["error"]) if row["error"] else None,
        note=row["note"],
        retake=row["retake"],
        version=row["version"],
    )


def _body(scene: SceneBase) -> str:
    return scene.model_dump_json(exclude={"lines"})


def _bound(scene: SceneBase, ids: Sequence[str]) -> SceneBase:
    """`{{new:N}}` becomes `scene:<id of the N-th>`; a part such as #last is kept."""
    refs = {}
    for item in scene.inputs():
        if item.ref.startswith("{{new:"):
            index, _, part = item.ref[6:].partition("}}")
            refs[item.field] = f"scene:{ids[int(index)]}{part}"
    return scene.with_inputs(refs) if refs else scene
