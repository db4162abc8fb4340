"""Films that are open for review: versions, comments, verdicts. Knows rows; who may see them, others know."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.domain import new_id
from studio.domain.reviews import Changes as Differences
from studio.domain.reviews import Placed, placed
from studio.errors import NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now


class Reviews:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    # ------------------------------------------------------------------------------------------ reading
    def get(self, review_id: str) -> Row:
        """With the queue's name. Raises NotFound."""
        row = self._c.row(_REVIEWS + " where r.id = ?", [review_id])
        if row is None:
            raise NotFound("review.unknown", review=review_id[:60])
        return row

    def of_queue(self, queue_id: str) -> Row | None:
        return self._c.row(_REVIEWS + " where r.queue_id = ?", [queue_id])

    def all(self) -> list[Row]:
        """Newest first."""
        return self._c.rows(_REVIEWS + " order by r.id desc")

    def versions(self, review_id: str) -> list[Row]:
        """Oldest first, without `scenes` and `changed`: `whole` has them. `withheld`: a take in it is private now, or
        was when it went for ever."""
        rows = self._c.rows(
            "select id, review_id, number, export_id, seconds, fps, width, height, created from versions"
            " where review_id = ? order by number",
            [review_id],
        )
        withheld = {row["version_id"] for row in self._c.rows(_WITHHELD, [review_id])}
        return [{**row, "withheld": row["id"] in withheld} for row in rows]

    def whole(self, version: Row) -> Row:
        """With `scenes`, as Placed, and what `changed`."""
        found = self._c.row("select scenes, changed from versions where id = ?", [version["id"]])
        assert found is not None  # whoever has the row found it here
        return {**version, "scenes": placed(json.loads(found["scenes"])), "changed": json.loads(found["changed"])}

    def takes_of(self, version_id: str) -> list[str]:
        rows = self._c.rows("select take_id from version_takes where version_id = ?", [version_id])
        return [row["take_id"] for row in rows]

    def private(self, take_ids: Iterable[str]) -> set[str]:
        """Those of these takes that nobody but the makers may see."""
        rows = self._c.rows(_PRIVATE, {"ids": json.dumps(list(take_ids))})
        return {row["id"] for row in rows}

    def comments(self, review_id: str) -> list[Row]:
        """Of all versions, by time."""
        return [_comment(row) for row in self._c.rows(_COMMENTS + " where c.review_id = ? order by c.at, c.rowid",
                                                      [review_id])]  # fmt: skip

    def of_scene(self, scene_id: str) -> list[Row]:
        """Newest first, each with the take that it is about, and the second of it."""
        return [
            _comment(row) for row in self._c.rows(_COMMENTS + " where c.scene_id = ? order by c.rowid desc", [scene_id])
        ]

    def comment(self, comment_id: str) -> Row:
        found = self.find_comment(comment_id)
        if found is None:
            raise NotFound("comment.unknown", comment=comment_id[:60])
        return found

    def find_comment(self, comment_id: str) -> Row | None:
        row = self._c.row(_COMMENTS + " where c.id = ?", [comment_id])
        return _comment(row) if row else None

    def counts(self, scene_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """By scene {open, retake}: comments that nobody has dealt with, and those that wish for another take."""
        rows = self._c.rows(
            "select scene_id, count(*) as open, sum(wish = 'retake') as retake from comments where state = 'open'"
            " and scene_id in (select value from json_each(?)) group by scene_id",
            [json.dumps(list(scene_ids))],
        )
        return {row["scene_id"]: {"open": row["open"], "retake": row["retake"]} for row in rows}

    def open_comments(self) -> dict[str, int]:
        """By review."""
        rows = self._c.rows("select review_id, count(*) as n from comments where state = 'open' group by 1")
        return {row["review_id"]: row["n"] for row in rows}

    def written(self, review_id: str) -> int:
        return int(self._c.value("select count(*) from comments where review_id = ?", [review_id]))

    def written_since(self, person_id: str, since: str) -> int:
        """How many comments somebody wrote on the page since then."""
        return int(
            self._c.value(
                "select count(*) from comments where person_id = ? and origin = 'page' and created > ?",
                [person_id, since],
            )
        )

    def verdicts(self, review_id: str) -> list[Row]:
        return self._c.rows(
            "select d.author, d.person_id, d.scene_id, v.number as version, d.approved, d.at from verdicts d"
            " join versions v on v.id = d.version_id where d.review_id = ? order by d.at, d.author, d.scene_id",
            [review_id],
        )

    def verdicts_of(self, scene_ids: Iterable[str]) -> dict[str, list[Row]]:
        """By scene {author, approved} of the take that it shows: about another take nobody has decided anything."""
        rows = self._c.rows(_VERDICTS_NOW, [json.dumps(list(scene_ids))])
        found: dict[str, list[Row]] = {}
        for row in rows:
            said = {"author": row["author"], "approved": bool(row["approved"])}
            found.setdefault(row["scene_id"], []).append(said)
        return found

    # ------------------------------------------------------------------------------------------ writing
    def publish(
        self, queue_id: str, export_id: str, facts: Mapping[str, Any], scenes: Sequence[Placed], changed: Differences
    ) -> str:
        """The next version of a queue's review, which is begun where there is none. The review's id."""
        with self._c.write():
            found = self.of_queue(queue_id)
            review_id = str(found["id"]) if found else new_id()
            if not found:
                self._c.insert("reviews", {"id": review_id, "queue_id": queue_id, "created": now()})
            number = self._c.value("select coalesce(max(number), 0) + 1 from versions where review_id = ?", [review_id])
            version_id = new_id()
            self._c.insert(
                "versions",
                {
                    "id": version_id, "review_id": review_id, "number": number, "export_id": export_id,
                    "seconds": facts["duration"], "fps": facts["fps"], "width": facts["width"],
                    "height": facts["height"], "scenes": json.dumps([scene.as_dict() for scene in scenes]),
                    "changed": json.dumps({"scenes": changed.scenes, "removed": changed.removed}), "created": now(),
                },
            )  # fmt: skip
            self._c.execute_many(
                "insert into version_takes (version_id, take_id) values (?, ?)",
                [[version_id, take] for take in facts["takes"]],
            )
            self._changes.queue()
        return review_id

    def set_open(self, review_id: str, is_open: bool) -> None:
        with self._c.write():
            self._c.execute("update reviews set open = ? where id = ?", [int(is_open), review_id])
            self._changes.queue()

    def add_comment(self, row: Mapping[str, Any]) -> None:
        """A row as service.review_comments makes it."""
        region = json.dumps(row["region"]) if row["region"] else None
        with self._c.write():
            self._c.insert("comments", {**row, "region": region, "created": now()})
            self._tell(row["scene_id"])

    def drew(self, comment_id: str) -> bool:
        """Its frame is there, whatever becomes of the film. False: the comment went meanwhile."""
        with self._c.write():
            return bool(self._c.execute("update comments set drawn = 1 where id = ?", [comment_id]))

    def set_state(self, comment_id: str, state: str) -> None:
        with self._c.write():
            self._c.execute("update comments set state = ? where id = ?", [state, comment_id])
            self._tell(self.comment(comment_id)["scene_id"])

    def delete_comment(self, comment_id: str) -> None:
        with self._c.write():
            scene_id = self.comment(comment_id)["scene_id"]
            self._c.execute("delete from comments where id = ?", [comment_id])
            self._tell(scene_id)

    def judge(self, version: Row, scene_id: str, approved: bool | None, *, person_id: str, author: str) -> None:
        """Approve, ask for a retake, or take that back (None). A person has one verdict on each scene, and one on the
        film ("")."""
        with self._c.write():
            self._c.execute(
                "delete from verdicts where review_id = ? and scene_id = ? and person_id = ?",
                [version["review_id"], scene_id, person_id],
            )
            if approved is not None:
                self._c.insert(
                    "verdicts",
                    {
                        "review_id": version["review_id"], "author": author, "scene_id": scene_id,
                        "take_id": next((s.take_id for s in version["scenes"] if s.scene_id == scene_id), None),
                        "version_id": version["id"],
                        "approved": int(approved), "person_id": person_id, "at": now(),
                    },
                )  # fmt: skip
            self._tell(scene_id)

    def _tell(self, scene_id: str) -> None:
        queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
        if queue_id:
            self._changes.scene(queue_id, scene_id)
        self._changes.queue()


def _comment(row: Row) -> Row:
    return {**row, "region": json.loads(row["region"]) if row["region"] else None}


_REVIEWS = "select r.*, q.name, q.inbox from reviews r join queues q on q.id = r.queue_id"
_COMMENTS = (  # `frame`: there is a picture of it, or a film to draw it from
    "select c.*, v.number as version, r.queue_id, c.drawn or exists (select 1 from exports x where x.id = v.export_id"
    " and x.path is not null) as frame from comments c join versions v on v.id = c.version_id"
    " join reviews r on r.id = c.review_id"
)
_VERDICTS_NOW = (
    "select d.scene_id, d.author, d.approved from verdicts d join takes t on t.id = d.take_id and t.selected = 1"
    " and t.trashed is null where d.scene_id in (select value from json_each(?)) order by d.at, d.author"
)
_HIDDEN = (  # a take that went for ever stays what it was: the film still shows it
    "(exists (select 1 from takes k where k.id = {take} and k.private = 1)"
    " or (exists (select 1 from private_takes p where p.take_id = {take})"
    " and not exists (select 1 from takes k where k.id = {take})))"
)
_WITHHELD = (
    "select distinct m.version_id from version_takes m join versions v on v.id = m.version_id"
    " where v.review_id = ? and " + _HIDDEN.format(take="m.take_id")
)
_PRIVATE = "select t.value as id from json_each(:ids) t where " + _HIDDEN.format(take="t.value")
