"""Which of many files is the one that was meant: by its path, its name, then its content. Knows no scene, no database.

The same matching for the files below a folder of this machine and for a list of names that a browser sent. What cannot
be told apart is answered as such; nothing is guessed.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from studio.domain import Kind

SUFFIXES: dict[Kind, frozenset[str]] = {
    "image": frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif"}),
    "audio": frozenset({".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg", ".opus"}),
    "video": frozenset({".mp4", ".mov", ".webm", ".mkv", ".m4v", ".avi", ".gif"}),
}
MAX_FILES = 200_000  # looked at below one folder
MAX_FOLDERS = 50_000
MAX_SHOWN = 20  # candidates of one file
EVERY = 500  # files between two words about how far it is

State = Literal["found", "ambiguous", "changed", "similar", "not_found"]
How = Literal["", "path", "name", "content"]
Hash = Callable[[str], str]  # of one of the files, by its path below the folder; "" where it cannot be read
Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is missed: as it was called, and what is known of it."""

    ref: str
    name: str  # its path or its name
    kind: Kind
    sha256: str = ""
    size: int = 0  # bytes; 0: not known


@dataclass(frozen=True, slots=True)
class File:
    path: str  # below the folder, with "/"
    size: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """`found`: `path` is it. `ambiguous`: one of `candidates`. `changed`: of this name, but with other content.
    `similar`: of this name with another suffix."""

    ref: str
    state: State
    how: How = ""
    path: str = ""
    candidates: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"candidates": list(self.candidates)}


def match_all(wanted: Iterable[Wanted], files: Iterable[File], hash_of: Hash | None = None) -> list[Match]:
    """`hash_of`: where contents can be read; without it sizes are all that is known of them."""
    folder = _Folder(files, hash_of)
    return _apart([folder.match(one) for one in wanted])


def _apart(matches: list[Match]) -> list[Match]:
    """One file cannot be two: `ana/face.png` and `rui/face.png` are not both the only `face.png` that is there."""
    takers: dict[str, set[str]] = defaultdict(set)
    for match in matches:
        if match.how == "name":
            takers[match.path].add("/".join(_parts(match.ref)))
    twice = {path for path, refs in takers.items() if len(refs) > 1}
    return [
        replace(match, state="ambiguous", how="", path="", candidates=(match.path,))
        if match.how == "name" and match.path in twice
        else match
        for match in matches
    ]


class _Folder:
    """Many files, found by their last name in any spelling."""

    def __init__(self, files: Iterable[File], hash_of: Hash | None) -> None:
        self._hash_of, self._known = hash_of, dict[str, str]()
        self._by_name: dict[str, list[tuple[tuple[str, ...], File]]] = defaultdict(list)
        self._by_stem: dict[str, list[File]] = defaultdict(list)
        self._by_size: dict[int, list[File]] = defaultdict(list)
        for file in files:
            parts = _parts(file.path)
            if parts:
                self._by_name[parts[-1]].append((parts, file))
                self._by_stem[_stem(parts[-1])].append(file)
                self._by_size[file.size].append(file)

    def match(self, wanted: Wanted) -> Match:
        parts = _parts(wanted.name)
        if not parts:
            return Match(wanted.ref, "not_found")
        named = self._by_name.get(parts[-1], [])
        if wanted.sha256:
            return self._by_content(wanted, [file for _, file in named])
        if named:
            shared = {file.path: _shared(parts, theirs) for theirs, file in named}
            most = max(shared.values())
            return self._chosen(wanted, [file for _, file in named if shared[file.path] == most], most)
        return self._similar(wanted, parts[-1])

    def _chosen(self, wanted: Wanted, files: list[File], depth: int) -> Match:
        """`depth`: how many of the last parts of the path agree."""
        if len(files) > 1:  # they may differ in how they are spelled
            spelled = [file for file in files if _shared(_split(wanted.name), _split(file.path)) >= depth]
            files = spelled if len(spelled) == 1 else files
        if len(files) == 1 or self._all_the_same(files):
            return Match(wanted.ref, "found", "path" if depth > 1 else "name", files[0].path)
        return Match(wanted.ref, "ambiguous", candidates=_shown(files))

    def _all_the_same(self, files: Sequence[File]) -> bool:
        """Copies of one file: whichever is taken."""
        if self._hash_of is None or len({file.size for file in files}) > 1 or len(files) > MAX_SHOWN:
            return False
        hashes = {self._content(file) for file in files}
        return len(hashes) == 1 and "" not in hashes

    def _by_content(self, wanted: Wanted, named: list[File]) -> Match:
        """What it must be is known: the name only says where to look first."""
        sized = self._by_size.get(wanted.size, []) if wanted.size else []
        here = [file for file in named if not wanted.size or file.size == wanted.size]
        if self._hash_of is None:  # whoever can read them will know
            if len(here) == 1:
                return Match(wanted.ref, "found", "name", here[0].path)
            likely = here or sized
            return Match(wanted.ref, "ambiguous", candidates=_shown(likely)) if likely else self._other(wanted, named)
        for file in [*here, *(file for file in sized if file not in here)]:
            if self._content(file) == wanted.sha256:
                return Match(wanted.ref, "found", "content", file.path)
        return self._other(wanted, named)

    def _other(self, wanted: Wanted, named: list[File]) -> Match:
        if named:
            return Match(wanted.ref, "changed", candidates=_shown(named))
        return self._similar(wanted, _parts(wanted.name)[-1])

    def _similar(self, wanted: Wanted, name: str) -> Match:
        of_kind = [f for f in self._by_stem.get(_stem(name), []) if _suffix(f.path) in SUFFIXES[wanted.kind]]
        return Match(wanted.ref, "similar" if of_kind else "not_found", candidates=_shown(of_kind))

    def _content(self, file: File) -> str:
        if self._hash_of is not None and file.path not in self._known:
            self._known[file.path] = self._hash_of(file.path)
        return self._known[file.path]


def _shown(files: Sequence[File]) -> tuple[str, ...]:
    return tuple(file.path for file in files[:MAX_SHOWN])


def _parts(path: str) -> tuple[str, ...]:
    """Of a path from any system, in one spelling: a Mac stores `ê` as `e` and an accent, Windows writes `\\`."""
    return _split(unicodedata.normalize("NFC", path).casefold())


def _split(path: str) -> tuple[str, ...]:
    parts = path.removeprefix("file://").replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many of the last parts agree."""
    count = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


# ------------------------------------------------------------------------------------------------ a folder of this disk
def walk(folder: Path, step: Step = lambda seen: None) -> tuple[list[File], bool]:
    """The files below a folder, each once, and whether that is all of them. Hidden ones and links are left out."""
    found: list[File] = []
    todo, folders = [""], 0
    while todo and len(found) < MAX_FILES and folders < MAX_FOLDERS:
        below = todo.pop()
        folders += 1
        inner = []
        for path, entry in _entries(folder, below):
            if entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif entry.is_file(follow_symlinks=False):
                found.append(File(path, entry.stat(follow_symlinks=False).st_size))
                if len(found) % EVERY == 0:
                    step(len(found))
        todo += sorted(inner, reverse=True)
    return found[:MAX_FILES], not todo and len(found) <= MAX_FILES


def _entries(folder: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder / below) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    yield (f"{below}/{entry.name}" if below else entry.name), entry
    except OSError:  # it may not be read, or has gone meanwhile
        return
