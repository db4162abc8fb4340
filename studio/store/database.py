"""One connection, one writer, one lock: how the store reaches SQLite. Knows no table.

WAL with synchronous=FULL: with NORMAL a power cut loses acknowledged work (docs/log.md). `BEGIN IMMEDIATE`, because a
deferred transaction that reads first fails with "database is locked" after milliseconds whatever the timeout. One
connection does all writes and checkpoints: SQLite 3.7 to 3.51.2 may corrupt a WAL when two do so at the same instant.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from sqlite_utils import Database, Migrations

from studio.errors import DiskFull, Unavailable
from studio.media.files import free_bytes

Row = dict[str, Any]
Values = Sequence[Any] | dict[str, Any]
BACKUPS_KEPT = 5


def stamp(at: datetime) -> str:
    """ISO 8601, UTC, milliseconds: sorts as text."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    return stamp(datetime.now(UTC))


class Connection:
    """`lock` protects the connection and everything kept in memory about its rows; it may be taken again by its
    holder, and no other lock is ever taken inside it."""

    def __init__(self, path: Path, migrations: Migrations) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lock = RLock()
        self._depth = 0
        raw = sqlite3.connect(path, timeout=10, check_same_thread=False)
        try:
            self.db = Database(raw)
            self.db.enable_wal()
            for pragma in ("synchronous = full", "foreign_keys = on", "busy_timeout = 10000"):
                raw.execute(f"pragma {pragma}")
            self._migrate(migrations)
        except sqlite3.DatabaseError as error:
            raw.close()
            raise Unavailable("store.damaged", path=str(path), reason=str(error)) from error

    def _migrate(self, migrations: Migrations) -> None:
        known = {migration.name for migration in migrations._migrations}
        applied = {migration.name for migration in migrations.applied(self.db)}
        if applied - known:
            self.close()
            raise Unavailable("store.newer", path=str(self.path), migrations=", ".join(sorted(applied - known)))
        if applied and migrations.pending(self.db):
            self._back_up()
        migrations.apply(self.db)

    def _back_up(self) -> None:
        folder = self.path.parent / "backups"
        folder.mkdir(exist_ok=True)
        copy = folder / f"{self.path.stem}-{now().replace(':', '')}.db"
        self.db.conn.execute("vacuum into ?", [str(copy)])
        for old in sorted(folder.glob(f"{self.path.stem}-*.db"))[:-BACKUPS_KEPT]:
            old.unlink()

    @contextmanager
    def write(self) -> Iterator[Database]:
        """One transaction, committed at the end of the outermost block, rolled back when it raises. Raises DiskFull."""
        with self.lock:
            if self._depth == 0:
                self.db.conn.execute("begin immediate")
            self._depth += 1
            try:
                yield self.db
                if self._depth == 1:
                    self.db.conn.commit()  # may fail too: the disk is full
            except BaseException as error:
                if self._depth == 1:
                    self.db.conn.rollback()
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    raise DiskFull("disk.full", path=str(self.path), free=free_bytes(self.path)) from error
                raise
            finally:
                self._depth -= 1

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        with self.lock:
            found = self.db.conn.execute(sql, values)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]

    def row(self, sql: str, values: Values = ()) -> Row | None:
        return next(iter(self.rows(sql, values)), None)

    def value(self, sql: str, values: Values = ()) -> Any:
        with self.lock:
            found = self.db.conn.execute(sql, values).fetchone()
            return found[0] if found else None

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement inside `write()`; how many rows it touched."""
        assert self._depth, "writes happen inside write()"
        return int(self.db.conn.execute(sql, values).rowcount)

    def execute_many(self, sql: str, rows: Iterable[Values]) -> int:
        """The same statement for many rows; how many it touched in all."""
        assert self._depth, "writes happen inside write()"
        return int(self.db.conn.executemany(sql, rows).rowcount)

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        assert self._depth, "writes happen inside write()"
        marks = ", ".join("?" * len(row))  # plain SQL: the library looks the table up anew for each row
        self.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))

    def close(self) -> None:
        with self.lock:
            self.db.conn.close()
