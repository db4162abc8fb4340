"""The history of a queue's edits: what stood there before each, so that it can be undone and done again.

An entry holds the rows that an edit changed as they were, and the order of the queue. To undo is to put them back and
to keep, in the same entry, what stood there meanwhile: doing it again is the same step. Knows rows only: what a scene
is, who may be edited and what must be rendered after it, others know.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from studio.domain import State, new_id
from studio.errors import Conflict
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.queues import RERANK, tell_readers

KEPT = 100  # entries of each queue
LIVE = (State.QUEUED, State.RUNNING)

Image = Mapping[str, Any]
"""A scene as it stood: {scene, lines, needs} and, of one that goes or went, {jobs, takes}: rows, as they are."""


class Edits:
    def __init__(self, connection: Connection, changes: Changes, settle: Callable[[Collection[str]], None]) -> None:
        """`settle` says the states of scenes anew from their jobs."""
        self._c, self._changes, self._settle = connection, changes, settle

    # ------------------------------------------------------------------------------------------ writing down
    @contextmanager
    def recording(
        self, queue_id: str, verb: str, scene_ids: Sequence[str] = (), *, title: str = "", deep: bool = False
    ) -> Iterator[None]:
        """What happens inside is one entry, and one transaction: to these scenes, to the order, and by adding scenes.
        `deep`: they may go, with all they have."""
        with self._c.write():
            order = self._order(queue_id)
            before = {scene_id: self._image(scene_id, deep=deep) for scene_id in scene_ids}
            yield
            after = self._order(queue_id)
            added: dict[str, Image | None] = {scene_id: None for scene_id in set(after) - set(order)}
            touched = {scene: image for scene, image in before.items() if self._differs(scene, image)} | added
            if touched or order != after:
                saved = {"order": order if order != after else None, "scenes": touched}
                self._keep(queue_id, {"verb": verb, "title": title, "count": len(touched)}, saved)

    def _keep(self, queue_id: str, what: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
        self._c.execute("delete from edits where queue_id = ? and undone = 1", [queue_id])
        self._c.insert(
            "edits",
            {
                "id": new_id(), "queue_id": queue_id, "what": json.dumps(what), "before": json.dumps(saved),
                "created": now(),
            },
        )  # fmt: skip
        self._c.execute(
            "delete from edits where queue_id = ? and id not in"
            " (select id from edits where queue_id = ? order by id desc limit ?)",
            [queue_id, queue_id, KEPT],
        )
        self._changes.queue()

    def _order(self, queue_id: str) -> list[str]:
        rows = self._c.rows("select id from scenes where queue_id = ? order by position", [queue_id])
        return [row["id"] for row in rows]

    def _image(self, scene_id: str, *, deep: bool) -> Image | None:
        scene = self._c.row("select * from scenes where id = ?", [scene_id])
        if scene is None:
            return None
        tables = ("lines", "needs", "jobs", "takes") if deep else ("lines", "needs")
        return {"scene": scene} | {
            table: self._c.rows(f"select * from {table} where scene_id = ?", [scene_id])  # noqa: S608
            for table in tables
        }

    def _differs(self, scene_id: str, before: Image | None) -> bool:
        return bool(_written(self._image(scene_id, deep=False)) != _written(before))

    # ------------------------------------------------------------------------------------------ undoing
    def names(self, queue_id: str) -> dict[str, Any]:
        """What would be undone and done again next: {verb, title, count} each, or None."""
        return {name: json.loads(row["what"]) if (row := self._next(queue_id, name)) else None for name in _NEXT}

    def history(self, queue_id: str) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._c.rows(
            "select id, what, undone, created from edits where queue_id = ? order by id desc", [queue_id]
        )
        return [
            {"id": row["id"], **json.loads(row["what"]), "undone": bool(row["undone"]), "at": row["created"]}
            for row in rows
        ]

    def step(self, queue_id: str, way: str) -> tuple[dict[str, Any], list[str]]:
        """ "undo" or "redo": (what it was, the scenes that stand there now). Raises Conflict: there is nothing, or one
        of the scenes is being rendered."""
        with self._c.write():
            row = self._next(queue_id, way)
            if row is None:
                raise Conflict("edit.nothing_to_undo" if way == "undo" else "edit.nothing_to_redo")
            saved = json.loads(row["before"])
            self._refuse_running(saved["scenes"])
            meanwhile = {
                "order": self._order(queue_id) if saved["order"] is not None else None,
                "scenes": {scene: self._image(scene, deep=image is None) for scene, image in saved["scenes"].items()},
            }
            for scene_id, image in saved["scenes"].items():
                self._put_back(queue_id, scene_id, image)
            if saved["order"] is not None:
                self._put_in_order(queue_id, saved["order"])
            self._c.execute(
                "update edits set before = ?, undone = ? where id = ?",
                [json.dumps(meanwhile), int(way == "undo"), row["id"]],
            )
            self._changes.queue()
        return json.loads(row["what"]), [scene for scene, image in saved["scenes"].items() if image]

    def _next(self, queue_id: str, way: str) -> Row | None:
        return self._c.row(f"select * from edits where queue_id = ? and {_NEXT[way]} limit 1", [queue_id])  # noqa: S608

    def _refuse_running(self, scenes: Mapping[str, Image | None]) -> None:
        for scene_id in scenes:
            row = self._c.row("select state, position, body from scenes where id = ?", [scene_id])
            if row and row["state"] == State.RUNNING:
                label = json.loads(row["body"])["label"]
                raise Conflict("edit.running", scene=f"{row['position'] + 1} · {label}".rstrip(" ·"))

    def _put_back(self, queue_id: str, scene_id: str, image: Image | None) -> None:
        if image is None:
            self._c.execute("delete from scenes where id = ?", [scene_id])
            self._changes.removed(queue_id, scene_id)
            self._changes.take()
        elif found := self._c.row("select state from scenes where id = ?", [scene_id]):
            self._rewrite(scene_id, image, State(found["state"]))
        elif "takes" in image:  # else the way back from its deletion is gone, and with it what it was made of
            self._insert(scene_id, image)
        tell_readers(self._c, self._changes, scene_id)

    def _rewrite(self, scene_id: str, image: Image, state: State) -> None:
        """Its fields, lines and references; its takes and jobs are what came of it meanwhile."""
        scene = image["scene"]
        self._c.execute(
            "update scenes set body = ?, task_type = ?, note = ?, version = version + 1, updated = ? where id = ?",
            [scene["body"], scene["task_type"], scene["note"], now(), scene_id],
        )
        for table in ("lines", "needs"):
            self._c.execute(f"delete from {table} where scene_id = ?", [scene_id])  # noqa: S608
            for row in image[table]:
                self._c.insert(table, row)
        if scene["state"] != state and state not in LIVE:
            self._settle([scene_id])
        self._changes.scene(scene["queue_id"], scene_id)

    def _insert(self, scene_id: str, image: Image) -> None:
        self._c.insert("scenes", {**image["scene"], "version": image["scene"]["version"] + 1, "updated": now()})
        for table in ("lines", "needs", "jobs", "takes"):
            for row in image[table]:
                self._c.insert(table, row)
        # it may have begun in the moment in which it was deleted: nobody works on it any more
        if self._c.execute("update jobs set state = 'queued' where scene_id = ? and state = 'running'", [scene_id]):
            self._settle([scene_id])
        self._changes.scene(image["scene"]["queue_id"], scene_id)
        self._changes.take()

    def _put_in_order(self, queue_id: str, order: Sequence[str]) -> None:
        """Scenes that came since, by ways that are not written down, follow."""
        here = dict.fromkeys(self._order(queue_id))
        wanted = dict.fromkeys(scene for scene in order if scene in here)
        for position, scene_id in enumerate([*wanted, *(scene for scene in here if scene not in wanted)]):
            self._c.execute("update scenes set position = ? where id = ?", [position, scene_id])
            self._changes.scene(queue_id, scene_id)
        self._c.execute(RERANK, [queue_id])


def _written(image: Image | None) -> Any:
    """What an edit changes of a scene."""
    if image is None:
        return None
    lines = sorted((sorted(row.items(), key=str) for row in image["lines"]), key=str)
    return image["scene"]["body"], image["scene"]["task_type"], lines


_NEXT = {
    "undo": "undone = 0 order by id desc",  # the newest
    "redo": "undone = 1 order by id",  # the oldest of those that were undone
}
