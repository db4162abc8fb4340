"""What was fetched of models, what is being fetched, and whose licence was accepted. Rows only; knows no hub."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio.domain import new_id
from studio.store.database import Connection, Row, now

KEPT = 200  # rows that ended, for what this line usually gives


class Models:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    # ------------------------------------------------------------------------------------------ downloads
    def begin(self, model: str, total: int, queue_id: str | None = None) -> str:
        """A download that waits for its turn, or the one that this model has already: its id. `queue_id`: the queue
        that is run when all of its models are here."""
        with self._c.write():
            found = self._c.row("select id from downloads where model = ? and state in ('waiting', 'running')", [model])
            if found:
                if queue_id:
                    self._c.execute("update downloads set queue_id = ? where id = ?", [queue_id, found["id"]])
                return str(found["id"])
            download_id = new_id()
            self._c.insert(
                "downloads",
                {"id": download_id, "model": model, "total": total, "queue_id": queue_id, "created": now()},
            )
            self._c.execute(
                "delete from downloads where state not in ('waiting', 'running') and id not in"
                " (select id from downloads order by id desc limit ?)",
                [KEPT],
            )
            return download_id

    def update(self, download_id: str, **values: Any) -> None:
        """state, done, total, error, ended."""
        if "error" in values:
            values["error"] = json.dumps(values["error"]) if values["error"] else None
        sets = ", ".join(f"{name} = ?" for name in values)
        with self._c.write():
            self._c.execute(f"update downloads set {sets} where id = ?", [*values.values(), download_id])  # noqa: S608

    def end(self, download_id: str, state: str, error: Mapping[str, Any] | None = None) -> None:
        self.update(download_id, state=state, error=error, ended=now())

    def next(self) -> Row | None:
        """The oldest that waits."""
        return _row(self._c.row("select * from downloads where state = 'waiting' order by id limit 1"))

    def put_back(self) -> int:
        """What a crash or a restart cut off waits again: how many."""
        with self._c.write():
            count = self._c.value("select count(*) from downloads where state = 'running'")
            self._c.execute("update downloads set state = 'waiting' where state = 'running'")
        return int(count)

    def newest(self) -> dict[str, Row]:
        """The newest download of each model."""
        rows = self._c.rows("select * from downloads where id in (select max(id) from downloads group by model)")
        return {row["model"]: _row(row) or {} for row in rows}

    def of_queue(self, queue_id: str) -> list[Row]:
        """The downloads that a queue waits for: of each model the newest."""
        return [row for row in self.newest().values() if row["queue_id"] == queue_id]

    def release(self, queue_id: str) -> None:
        """Nothing is fetched for this queue any more."""
        with self._c.write():
            self._c.execute("update downloads set queue_id = null where queue_id = ?", [queue_id])

    def pace(self) -> float | None:
        """Bytes a second that the line gave last; None before anything was fetched."""
        found = self._c.value("select value from machine where name = 'download'")
        return float(found) if found else None

    def keep_pace(self, pace: float) -> None:
        with self._c.write():
            self._c.execute("insert or replace into machine (name, value, at) values ('download', ?, ?)", [pace, now()])

    # ------------------------------------------------------------------------------------------ licences
    def accepted(self) -> set[str]:
        return {row["name"] for row in self._c.rows("select name from licences")}

    def accept(self, names: Sequence[str]) -> None:
        with self._c.write():
            for name in names:
                self._c.execute("insert or ignore into licences (name, accepted) values (?, ?)", [name, now()])


def _row(row: Row | None) -> Row | None:
    return row and {**row, "error": json.loads(row["error"]) if row["error"] else None}
