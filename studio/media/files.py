"""Bytes on disk: temporary names, fsync, atomic names, free space. Knows nothing of what is in a file."""

import errno
import glob
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.errors import DiskFull

NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_SHARING_TRIES = 8  # a virus scanner or an indexer holds a fresh file for some tens of milliseconds


def free_bytes(path: Path) -> int:
    """Free space on the disk that holds `path`, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def fsync_file(path: Path) -> None:
    """Return when the bytes of `path` are on the disk."""
    with path.open("rb+") as file:  # Windows syncs only through a handle that may write
        os.fsync(file.fileno())


def fsync_dir(path: Path) -> None:
    """Return when the names in folder `path` are on the disk. Windows has no such call and journals names itself."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(part: Path, final: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Give a finished file its name, in one step that survives a power cut.

    On Windows another process may hold `final` for a moment: tried again for about 2.5 seconds."""
    for attempt in range(_SHARING_TRIES):
        try:
            os.replace(part, final)
            break
        except PermissionError:
            if sys.platform != "win32" or attempt == _SHARING_TRIES - 1:
                raise
            sleep(0.02 * 2**attempt)
    fsync_dir(final.parent)


def free_name(path: Path) -> Path:
    """The path, or with _2, _3 … before its suffix: the first under which nothing lies, finished or not."""
    number, free = 1, path
    while free.exists() or any(free.parent.glob(f"{glob.escape(free.name)}.*part")):
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def write_small(path: Path, content: bytes) -> None:
    """A poster, a sidecar, subtitles: whole or not there, even when the process dies half-way. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with whole_or_gone(part):
        part.write_bytes(content)
        fsync_file(part)
        replace(part, path)


@contextmanager
def whole_or_gone(part: Path) -> Iterator[None]:
    """Whatever goes wrong inside, Cancelled included, `part` is removed. A full disk becomes DiskFull("disk.full")."""
    try:
        yield
    except BaseException as failure:
        free = free_bytes(part)  # before the removal: what was left when it failed
        part.unlink(missing_ok=True)
        if isinstance(failure, OSError) and failure.errno in NO_SPACE:
            raise DiskFull("disk.full", path=str(part), free=free) from failure
        raise
