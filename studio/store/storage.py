"""What lies on the disk and what of it may go: sums by queue, and files that are about to be removed.

A file is removed in two steps, so that no crash leaves a row without its file or a file without its row: one
transaction takes the row away and writes the file down as doomed; then the file goes; then its line in `leftovers`.
What is doomed when the studio goes down is removed at the next start.

`leftovers` also holds what deleted queues and scenes left behind, written down by two triggers (migrations.py).
"""

import json
import re
from collections.abc import Iterable, Sequence

from studio.store.changes import Changes
from studio.store.database import Connection, Row, now

_HASH = re.compile(r"[0-9a-f]{64}")
# where the library keeps what was sent: a file that the user keeps below data/ and named by its path is not ours
_UPLOAD = "root = 'data' and path like 'assets/__/' || sha256 || '%'"
_NO_REFERENCES = {"assets", "events", "answers", "leftovers", "timings", "deliveries", "transcripts"}


class Storage:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    # ------------------------------------------------------------------------------------------ sums
    def by_queue(self) -> list[Row]:
        """{id, name, inbox, finished, selected, unselected, trash, takes, films} in bytes; `takes` counts them.
        `finished`: its film was cut. `films`: whatever was exported."""
        return self._c.rows(
            "select q.id, q.name, q.inbox, coalesce(f.n, 0) > 0 as finished, coalesce(f.bytes, 0) as films,"
            " coalesce(t.takes, 0) as takes, coalesce(t.selected, 0) as selected,"
            " coalesce(t.unselected, 0) as unselected, coalesce(t.trash, 0) as trash from queues q"
            " left join (select s.queue_id, count(*) as takes,"
            "  sum(case when t.trashed is null and t.selected then t.bytes else 0 end) as selected,"
            "  sum(case when t.trashed is null and not t.selected then t.bytes else 0 end) as unselected,"
            "  sum(case when t.trashed is null then 0 else t.bytes end) as trash"
            "  from takes t join scenes s on s.id = t.scene_id group by 1) t on t.queue_id = q.id"
            " left join (select queue_id, sum(kind = 'film') as n,"
            "  sum(coalesce(json_extract(facts, '$.bytes'), 0)) as bytes from exports"
            "  where state = 'done' and path is not null group by 1) f on f.queue_id = q.id"
            " order by q.position"
        )

    def trash(self, before: str | None = None) -> Row:
        """{takes, bytes} in the trash; only what went there before a moment."""
        found = self._c.row(
            "select count(*) as takes, coalesce(sum(bytes), 0) as bytes from takes"
            " where trashed is not null and (:before is null or trashed < :before)",
            {"before": before},
        )
        assert found
        return found

    def leftovers(self) -> list[Row]:
        """{queue, files, bytes} of queues and scenes that were deleted, the largest first."""
        return self._c.rows(
            "select queue, count(*) as files, sum(bytes) as bytes from leftovers l"
            f" where doomed = 0 and {_NO_ROW} and {_UNREAD} group by 1 order by 3 desc",
            {"used": self._used()},
        )

    def uploads(self) -> Row:
        """{files, bytes} of uploads."""
        found = self._c.row(f"select count(*) as files, coalesce(sum(size), 0) as bytes from assets where {_UPLOAD}")
        assert found
        return found

    # ------------------------------------------------------------------------------------------ what may go
    def spare(self, queue_ids: Iterable[str], keep_rating: int) -> list[Row]:
        """{id, queue_id, bytes} of takes that are not selected, not locked and rated less than `keep_rating`. A voice
        that a picture which stays was cut to stays too."""
        return self._c.rows(
            f"select t.id, s.queue_id, t.bytes from takes t join scenes s on s.id = t.scene_id"
            f" where s.queue_id in (select value from json_each(:queues)) and t.trashed is null and not ({_KEPT})"
            " and not exists (select 1 from takes p, json_each(p.facts, '$.lines') line where"
            "  p.scene_id = t.scene_id and p.layer = 'picture' and p.trashed is null and (p.selected or p.locked"
            "  or p.rating >= :rating) and t.layer = 'voice'"
            "  and substr(t.path, -length(json_extract(line.value, '$.file'))) = json_extract(line.value, '$.file'))",
            {"queues": json.dumps(list(queue_ids)), "rating": keep_rating},
        )

    def used(self) -> set[str]:
        """Every hash that is named anywhere but in the list of assets itself: whatever table comes later counts too."""
        found: set[str] = set()
        tables = {row["name"] for row in self._c.rows("select name from sqlite_master where type = 'table'")}
        for table in tables - _NO_REFERENCES:
            if table.startswith(("sqlite_", "_sqlite")):
                continue
            columns = [row["name"] for row in self._c.rows(f"select name from pragma_table_info('{table}')")]
            for column in columns:
                held = self._c.rows(f"select {column} as held from {table} where length({column}) >= 64")
                for row in held:
                    found.update(_HASH.findall(str(row["held"])))
        return found

    def unused_uploads(self, before: str) -> list[Row]:
        """{sha256, size} of uploads that came before a moment and that nothing names."""
        used = self.used()
        rows = self._c.rows(f"select sha256, size from assets where {_UPLOAD} and created < ?", [before])
        return [row for row in rows if row["sha256"] not in used]

    # ------------------------------------------------------------------------------------------ the two steps
    def doom_takes(self, before: str | None = None, only: Sequence[str] | None = None) -> int:
        """Takes in the trash (those that went there before a moment; those of `only`) become files to be removed. One
        that somebody reads as a file stays in the trash. How many."""
        with self._c.write():
            rows = self._c.rows(
                "select l.id, l.job_id, l.root, l.path, l.bytes, s.queue_id, s.id as scene_id, q.name as queue"
                " from takes l join scenes s on s.id = l.scene_id join queues q on q.id = s.queue_id"
                " where l.trashed is not null and (:before is null or l.trashed < :before)"
                f" and (:only is null or l.id in (select value from json_each(:only))) and {_UNREAD}",
                {"before": before, "only": None if only is None else json.dumps(list(only)), "used": self._used()},
            )
            for row in rows:
                self._doom("take", row["id"], row, row["queue"])
                self._c.execute("delete from takes where id = ?", [row["id"]])
                self._forget_words(f"take:{row['id']}")
                self._forget_assets(row)
                self._changes.scene(row["queue_id"], row["scene_id"])
            if rows:
                self._changes.take()
        return len(rows)

    def doom_uploads(self, before: str) -> int:
        """Uploads that nothing names become files to be removed; how many."""
        with self._c.write():
            rows = self.unused_uploads(before)
            for row in rows:
                asset = self._c.row("select * from assets where sha256 = ?", [row["sha256"]])
                assert asset
                self._doom("upload", asset["sha256"], {**asset, "bytes": asset["size"]}, "")
                self._c.execute("delete from assets where sha256 = ?", [asset["sha256"]])
                self._forget_words(f"asset:{asset['sha256']}")
        return len(rows)

    def doom_leftovers(self, queue: str | None) -> int:
        """What deleted queues and scenes left (those of one queue's name) becomes files to be removed; how many. After
        that, deleting those scenes can no longer be undone."""
        with self._c.write():
            rows = self._c.rows(
                "select * from leftovers l where doomed = 0 and (:queue is null or queue = :queue)"
                f" and {_NO_ROW} and {_UNREAD}",
                {"queue": queue, "used": self._used()},
            )
            for row in rows:
                self._c.execute("update leftovers set doomed = 1 where id = ?", [row["id"]])
                self._c.execute(
                    "delete from edits where instr(before, ?)", [row["owner"]]
                )  # undoing would want the file
                self._forget_assets(row)
        return len(rows)

    def _forget_assets(self, file: Row) -> None:
        """A file that is going may have been somebody's input once: nothing names that any more."""
        self._c.execute("delete from assets where root = ? and path = ?", [file["root"], file["path"]])

    def _forget_words(self, subject: str) -> None:
        """That were heard in what is going."""
        self._c.execute("delete from transcripts where subject = ?", [subject])

    def _used(self) -> str:
        return json.dumps(sorted(self.used()))

    def _doom(self, kind: str, owner: str, file: Row, queue: str) -> None:
        row = {"kind": kind, "owner": owner, "job_id": file.get("job_id", ""), "queue": queue, "doomed": 1, "at": now()}
        self._c.insert("leftovers", {**row, **{name: file[name] for name in ("root", "path", "bytes")}})

    def doomed(self, after: int = 0, limit: int = -1) -> list[Row]:
        """Files to be removed, those that were written down first first; -1: all that come after `after`."""
        return self._c.rows("select * from leftovers where doomed = 1 and id > ? order by id limit ?", [after, limit])

    def is_free(self, leftover_id: int) -> bool:
        """Does nothing that is still there lie in the same file?"""
        asset = "exists (select 1 from assets x where x.root = l.root and x.path = l.path)"
        return bool(self._c.value(f"select {_NO_ROW} and not {asset} from leftovers l where id = ?", [leftover_id]))

    def exporting(self) -> bool:
        """Is a film being cut, or waiting for that?"""
        return bool(self._c.value("select 1 from exports where state in ('queued', 'running')"))

    def gone(self, leftover_ids: Iterable[int]) -> None:
        """These files are no more, however often they were written down: a deletion that was undone is one line too."""
        with self._c.write():
            for leftover_id in leftover_ids:
                self._c.execute(
                    "delete from leftovers where (root, path) in (select root, path from leftovers where id = ?)",
                    [leftover_id],
                )


_KEPT = "t.selected or t.locked or t.rating >= :rating"
_NO_ROW = (  # no take and no film that is still there lies in this very file
    "not exists (select 1 from takes x where x.root = l.root and x.path = l.path)"
    " and not exists (select 1 from exports x where x.root = l.root and x.path = l.path)"
)
_UNREAD = (  # it is no input that anything names
    "not exists (select 1 from assets x where x.root = l.root and x.path = l.path"
    " and x.sha256 in (select value from json_each(:used)))"
)
