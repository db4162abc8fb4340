"""The members of an archive, and an archive whose bytes depend on nothing but them. Knows no releases."""

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PLAIN, PROGRAM = 0o100644, 0o100755
LEVEL = 6  # of deflate


@dataclass(frozen=True)
class Member:
    """One file: where it lies in the archive (POSIX, relative), what it holds, and whether it can be started."""

    path: str
    content: bytes
    mode: int = PLAIN


def write_zip(target: Path, members: Iterable[Member], made_at: int) -> str:
    """Write `target` whole, sorted, every file as old as `made_at` (Unix seconds). Returns its SHA-256."""
    date = datetime.fromtimestamp(made_at, UTC).timetuple()[:6]
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for member in sorted(members, key=lambda one: one.path):
            entry = zipfile.ZipInfo(member.path, date)
            entry.create_system = 3  # Unix: only then do unpackers read the mode
            entry.external_attr = member.mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.content, compresslevel=LEVEL)
    unfinished.replace(target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n", "utf-8")
    return digest
