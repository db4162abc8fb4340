"""The lock file of a data folder, by which one studio owns it: who holds it, and holding it ourselves for a while.

studio/lock.py holds the same file by the same means; this one needs no studio: in the middle of an update there may be
none.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from installer import SetUpError

FILE = "studio.lock"
HEADER = 1 if sys.platform == "win32" else 0  # Windows locks bytes, and nobody can read a locked one


@contextmanager
def owning(data: Path, what: str) -> Iterator[None]:
    """No studio opens this data folder meanwhile. Raises SetUpError naming who has it; `what` cannot be done then."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / FILE
    with os.fdopen(os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        if not lock(file):
            raise SetUpError(*_held(file, what))
        _write(file, json.dumps({"pid": os.getpid(), "url": "", "token": ""}))
        try:
            yield
        finally:
            _write(file, "")
            unlock(file)


def _write(file: IO[str], text: str) -> None:
    file.seek(HEADER)
    file.truncate()
    file.write(text)
    file.flush()


def _held(file: IO[str], what: str) -> tuple[str, str]:
    file.seek(HEADER)
    try:
        holder = json.load(file)
        pid, url = int(holder["pid"]), str(holder["url"])
    except (ValueError, KeyError, TypeError):  # the holder has just taken it and not written yet
        pid, url = 0, ""
    who = f"A studio is open{' at ' + url if url else ''} (process {pid})"
    return (
        f"{who}: {what} must wait for it.",
        "Let it finish and close it (Ctrl+C in its terminal), then run this again.",
    )


if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[str]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(file: IO[str]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def unlock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
