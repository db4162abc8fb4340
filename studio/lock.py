"""One studio owns a data folder. The lock file (0600) says who, where it listens and with which token. Knows no store.

The operating system holds the lock, so that a killed studio never leaves one behind: what a dead one wrote is no lock.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from installer.lock import HEADER, lock, unlock
from studio.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Holder:
    """Who owns the folder. `url` is empty while it is not (or not yet) serving: a render from the command line."""

    pid: int
    url: str
    token: str


class StudioLock:
    """`acquire` before the store opens, `announce` once a port listens, `release` at the end."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "studio.lock"
        self.token = secrets.token_urlsafe(32)
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises Unavailable("lock.held") with the holder's pid and URL."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
        if not lock(file):
            file.close()
            holder = self.holder()
            raise Unavailable("lock.held", pid=holder.pid if holder else 0, url=holder.url if holder else "")
        os.chmod(self.path, 0o600)
        self._file = file
        self.announce("")

    def announce(self, url: str) -> None:
        """Tell other processes of this user where we listen."""
        assert self._file is not None, "acquire first"
        self._file.seek(HEADER)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "url": url, "token": self.token}, self._file)
        self._file.flush()

    def holder(self) -> Holder | None:
        """Who holds the lock now, if anybody does."""
        try:
            file = self.path.open("r+", encoding="utf-8")
        except FileNotFoundError:
            return None
        with file:
            if self._file is None and lock(file):
                unlock(file)
                return None
            file.seek(HEADER)
            try:
                found = json.load(file)
                return Holder(int(found["pid"]), str(found["url"]), str(found["token"]))
            except (ValueError, KeyError, TypeError):  # the holder has just taken it and not written yet
                return Holder(0, "", "")

    def release(self) -> None:
        if self._file is None:
            return
        self._file.seek(HEADER)
        self._file.truncate()  # the token dies with the studio
        self._file.flush()
        unlock(self._file)
        self._file.close()
        self._file = None
