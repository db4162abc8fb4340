"""A release as a zip: may it be unpacked here, what it says of itself, unpacking it. Changes no program.

What lies in it is a stranger's: no member may lead out of its folder, be a link, or grow without an end.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from installer import SetUpError

MOST_MEMBERS, MOST_BYTES, MOST_RATIO = 50_000, 4_000_000_000, 200
SMALL = 10_000_000  # bytes that may be packed as tightly as they like
AGAIN = "Fetch the release again from where it is published."


@dataclass(frozen=True)
class Contents:
    """The program in a release: its members by their name in it."""

    members: dict[str, zipfile.ZipInfo]  # by "studio/__init__.py"
    bundle: dict[str, str]  # what its bundle.json says; empty where it is plain source
    version: str

    @property
    def bytes(self) -> int:
        return sum(member.file_size for member in self.members.values())


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises SetUpError where it is no zip, or breaks off."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            yield archive
    except FileNotFoundError as error:
        raise SetUpError(f"There is no file {path}.", "Check its name.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SetUpError(f"{path.name} is damaged: {error}.", AGAIN) from error


def contents(archive: zipfile.ZipFile) -> Contents:
    """Raises SetUpError where it is no release of Lanterna, or one that means harm."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_MEMBERS or sum(info.file_size for info in infos) > MOST_BYTES:
        raise SetUpError("This archive is larger than any release of Lanterna.", AGAIN)
    for info in archive.infolist():
        _harmless(info)
    names = [info.filename.lower() for info in infos]
    if len(names) != len(set(names)):
        raise SetUpError("This archive holds the same file twice.", AGAIN)
    tops = {PurePosixPath(info.filename).parts[0] for info in infos}
    top = tops.pop() if len(tops) == 1 else ""
    inside = {info.filename: info for info in infos}
    folder = next((f for f in (f"{top}/app/", f"{top}/") if top and f + "launch.py" in inside), None)
    if folder is None or f"{folder}studio/__init__.py" not in inside:
        raise SetUpError("This archive is no release of Lanterna.", "Name the zip that was published.")
    members = {name[len(folder) :]: info for name, info in inside.items() if name.startswith(folder)}
    note = archive.read(members["bundle.json"]) if "bundle.json" in members else b"{}"
    source = archive.read(members["studio/__init__.py"]).decode("utf-8", "replace")
    version = re.search(r'__version__ = "(.+)"', source)
    return Contents(members, json.loads(note), version[1] if version else "?")


def _harmless(info: zipfile.ZipInfo) -> None:
    name = info.filename
    path, kind = PurePosixPath(name), stat.S_IFMT(info.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not path.parts:
        raise SetUpError(f"This archive holds a path that leads out of its folder: {name[:100]!r}.", AGAIN)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SetUpError(f"This archive holds something that is no file: {name[:100]!r}.", AGAIN)
    if info.file_size > SMALL and info.file_size > MOST_RATIO * max(1, info.compress_size):
        raise SetUpError(f"This archive holds a file that grows without measure: {name[:100]!r}.", AGAIN)


def unpack(archive: zipfile.ZipFile, found: Contents, folder: Path) -> None:
    """Write the program into an empty folder; its checksums are checked on the way."""
    for name, info in found.members.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, target.open("wb") as file:  # zipfile reads no more than file_size
            shutil.copyfileobj(source, file, 1 << 20)
        if mode := (info.external_attr >> 16) & 0o777:
            target.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
