"""A copy of the studio's database before an update, and putting it back. Knows SQLite, and none of the tables."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from installer import SetUpError

KEPT = 5  # copies, as the studio itself keeps them
LOGS = ("-wal", "-journal", "-shm")  # what belongs to a database beside its file: with another one it would spoil it


def back_up(database: Path) -> Path:
    """data/backups/studio-<time>.db: everything that was ever committed, also what lies in the log still."""
    folder = database.parent / "backups"
    folder.mkdir(exist_ok=True)
    copy = folder / f"{database.stem}-{time.strftime('%Y-%m-%dT%H%M%S', time.gmtime())}.000Z.db"
    part = copy.with_suffix(".part")
    # one that was closed well has no log, and is read as it lies: else SQLite would make one beside it
    how = "mode=rw" if any(_beside(database, name).exists() for name in LOGS) else "immutable=1"
    try:
        source = sqlite3.connect(f"{database.as_uri()}?{how}", uri=True)
        with closing(source), closing(sqlite3.connect(str(part))) as target:
            source.backup(target)
            target.execute("pragma journal_mode = delete")  # one file
            wrong = target.execute("pragma quick_check(1)").fetchone()[0]
        if wrong != "ok":
            raise sqlite3.DatabaseError(wrong)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(str(part), str(copy))
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            cure = "Run: python3 launch.py doctor    It says what can be done; an update would not mend it."
            raise SetUpError(f"The database {database} is damaged: {error}", cure) from error
        raise
    return copy


def restore(copy: Path, database: Path) -> None:
    """The copy becomes the database again, without needing room. A copy that is gone was put back already."""
    if not copy.exists():
        return
    for name in LOGS:
        _beside(database, name).unlink(missing_ok=True)
    os.replace(str(copy), str(database))


def forget_old(database: Path) -> None:
    for old in sorted((database.parent / "backups").glob(f"{database.stem}-*.db"))[:-KEPT]:
        old.unlink()


def size_of(database: Path) -> int:
    """Bytes of it and of its log."""
    files = [database, *(_beside(database, name) for name in LOGS)]
    return sum(file.stat().st_size for file in files if file.exists())


def _beside(database: Path, name: str) -> Path:
    return database.with_name(database.name + name)
