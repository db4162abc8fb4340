"""What the reviewer said of takes: notes that ask for another one, and which scenes nobody has looked at yet.

A scene asks for a retake with a note. The note remembers the moment it was written as an id, so a take is its answer
when its own id is greater. Deciding about an answer (rating, choosing, locking it) settles the note.
"""

import json
from collections.abc import Iterable
from typing import Literal

from studio.domain import new_id
from studio.store.changes import Changes
from studio.store.database import Connection

Reviewed = Literal["new", "retake", "retaken", "seen"]
"""new: nobody has decided about the take that is shown; retake: another one is asked for; retaken: it is there, look
again; seen: decided."""


class Review:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    def ask_again(self, scene_id: str, note: str | None) -> None:
        """Ask for another take of a scene, or withdraw that. The take the note is about keeps it too."""
        with self._c.write():
            queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
            self._c.execute(
                "update scenes set retake = ?, retake_at = ? where id = ?", [note, new_id() if note else None, scene_id]
            )
            self._c.execute(
                "update takes set note = ? where scene_id = ? and layer = 'picture' and selected = 1"
                " and trashed is null",
                [note, scene_id],
            )
            if note is None:
                self._heed(scene_id)
            self._changes.scene(str(queue_id), scene_id)

    def _heed(self, scene_id: str) -> None:
        """The note has gone: what reviewers wished for with it is dealt with."""
        self._c.execute(
            "update comments set state = 'done' where scene_id = ? and wish = 'retake' and state = 'open'", [scene_id]
        )

    def reword(self, scene_id: str, note: str | None) -> None:
        """Change what a note says, or withdraw it. Takes that answered it still do."""
        if note is None:
            return self.ask_again(scene_id, None)
        with self._c.write():
            queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
            self._c.execute("update scenes set retake = ? where id = ?", [note, scene_id])
            self._changes.scene(str(queue_id), scene_id)

    def settle(self, take_id: str) -> None:
        """Somebody has decided about this take: where it is the answer to a note, the note has done its work."""
        with self._c.write():
            scene = self._c.row(
                "select s.id, s.queue_id from scenes s join takes t on t.scene_id = s.id"
                " where t.id = ? and t.layer = 'picture' and s.retake_at < t.id",
                [take_id],
            )
            if scene:
                self._c.execute("update scenes set retake = null, retake_at = null where id = ?", [scene["id"]])
                self._heed(scene["id"])
                self._changes.scene(scene["queue_id"], scene["id"])

    def states(self, scene_ids: Iterable[str]) -> dict[str, Reviewed]:
        """By scene that has a picture, where its review stands."""
        rows = self._c.rows(
            f"select id, {_STATE} as state from ({_SHOWN} where s.id in (select value from json_each(?)))",
            [json.dumps(list(scene_ids))],
        )
        return {row["id"]: row["state"] for row in rows}

    def counts(self, queue_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """By queue {unreviewed, retake}: how many scenes wait to be looked at, and how many for another take."""
        queue_ids = list(queue_ids)
        rows = self._c.rows(
            f"select queue_id, {_STATE} as state, count(*) as n from"
            f" ({_SHOWN} where s.queue_id in (select value from json_each(?))) group by 1, 2",
            [json.dumps(queue_ids)],
        )
        found = {queue_id: {"unreviewed": 0, "retake": 0} for queue_id in queue_ids}
        for row in rows:
            if row["state"] != "seen":
                found[row["queue_id"]]["retake" if row["state"] == "retake" else "unreviewed"] += row["n"]
        return found


_SHOWN = (  # scenes with the picture that they show, and whether a newer one than their note is there
    "select s.id, s.queue_id, s.retake, t.rating, t.chosen, t.locked, exists (select 1 from takes n where"
    " n.scene_id = s.id and n.layer = 'picture' and n.trashed is null and n.id > s.retake_at) as answered"
    " from scenes s join takes t on t.scene_id = s.id and t.layer = 'picture' and t.selected = 1 and t.trashed is null"
)
_STATE = (
    "case when retake is not null then case when answered then 'retaken' else 'retake' end"
    " when rating or chosen or locked then 'seen' else 'new' end"
)
