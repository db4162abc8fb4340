"""Presets: named settings of a task. Rows in and out."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from studio.domain import new_id
from studio.errors import Conflict, NotFound
from studio.store.database import Connection, Row, now


class Presets:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def all(self, task_type: str | None = None) -> list[Row]:
        """By name; of one task, or of every one."""
        rows = self._c.rows(
            "select * from presets where ? is null or task_type = ? order by task_type, name collate nocase",
            [task_type, task_type],
        )
        return [_row(row) for row in rows]

    def get(self, preset_id: str) -> Row:
        row = self._c.row("select * from presets where id = ?", [preset_id])
        if row is None:
            raise NotFound("preset.unknown", preset=preset_id[:40])
        return _row(row)

    def save(self, name: str, task_type: str, body: Mapping[str, Any]) -> str:
        """A new one, or new settings under a name that the task has already. Its id."""
        with self._c.write():
            self._c.execute(
                "insert into presets (id, name, task_type, body, created) values (?, ?, ?, ?, ?)"
                " on conflict (task_type, name) do update set body = excluded.body",
                [new_id(), name, task_type, json.dumps(body), now()],
            )
            found = self._c.value("select id from presets where task_type = ? and name = ?", [task_type, name])
        return str(found)

    def rename(self, preset_id: str, name: str) -> None:
        self.get(preset_id)
        try:
            with self._c.write():
                self._c.execute("update presets set name = ? where id = ?", [name, preset_id])
        except sqlite3.IntegrityError as error:
            raise Conflict("preset.exists", name=name) from error

    def delete(self, preset_id: str) -> None:
        self.get(preset_id)
        with self._c.write():
            self._c.execute("delete from presets where id = ?", [preset_id])


def _row(row: Row) -> Row:
    return {**row, "body": json.loads(row["body"])}
