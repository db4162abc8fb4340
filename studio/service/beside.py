"""What lies beside an episode file: names for the dialects that ask, storyboards for whoever brings a whole folder."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

STORYBOARD = re.compile(r"storyboard.*\.(json|md)", re.IGNORECASE)
MAX_STORYBOARDS = 500  # of one folder
MAX_FOLDERS = 20_000  # that a search looks into: somebody may name the root of a disk


class Listing:
    """The files below an episode's folder by name; each folder is read once, and only where it may be read."""

    def __init__(self, base: Path | None, may_read: Callable[[Path], bool]) -> None:
        self._base, self._may_read = base, may_read
        self._folders: dict[str, dict[str, str]] = {}

    def first(self, names: Sequence[str]) -> str:
        """The first of these names that is there, as it is spelled on the disk; "" when none is."""
        for name in names:
            folder, slash, leaf = name.rpartition("/")
            if found := self._files(folder).get(_same(leaf)):
                return f"{folder}{slash}{found}"
        return ""

    def _files(self, folder: str) -> dict[str, str]:
        if folder not in self._folders:
            self._folders[folder] = dict(self._read(folder))
        return self._folders[folder]

    def _read(self, folder: str) -> Iterator[tuple[str, str]]:
        if self._base is None:
            return
        try:
            place = (self._base / folder).resolve()
            if self._may_read(place):
                yield from ((_same(entry.name), entry.name) for entry in os.scandir(place) if entry.is_file())
        except OSError:  # there is no such folder
            return


class Named:
    """The same where the folder is in a browser: the names of its files are all that is known."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: paths below the episode's folder, with "/"."""
        self._names = {_same(name): name for name in names}

    def first(self, names: Sequence[str]) -> str:
        return next((found for name in names if (found := self._names.get(_same(name)))), "")


def _same(name: str) -> str:
    """One spelling for all: a Mac stores `ê` as `e` and an accent, and a camera writes PNG."""
    return unicodedata.normalize("NFC", name).casefold()


def storyboards_in(folder: Path) -> list[Path]:
    """Every storyboard below a folder, in the order of their paths. Hidden folders and links are not followed."""
    found: list[Path] = []
    for seen, (place, folders, files) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(files) if STORYBOARD.fullmatch(name)]
        found = [file for file in found if not file.is_symlink()]  # it may lead where nobody may read
        if len(found) >= MAX_STORYBOARDS or seen >= MAX_FOLDERS:
            break
    return found[:MAX_STORYBOARDS]


def title_of(file: Path) -> str:
    """What a storyboard's queue is called where the file does not say: `storyboard_night_pier.json` is "night pier"."""
    name = re.sub(r"^storyboard[\s_-]*", "", file.stem, flags=re.IGNORECASE)
    return name.replace("_", " ").strip() or file.stem
