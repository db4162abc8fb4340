"""What a model consists of and where it lies on disk. Reads folders; fetches nothing and loads nothing.

A part is one component of a pipeline: a folder of a repository, or certain files of one. Engines name parts, so that
two models which share a text encoder share it on disk and in memory. A part lies in a folder that the user pointed at
(`folders.json`), or in the hub's own cache. What the download wrote down about a part (`lists/`) says which files it
has; without it, the folder's own files say so.
"""

import json
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from hashlib import sha1
from pathlib import Path
from typing import Any, Literal, TypeVar

from studio.errors import Refused
from studio.media.files import write_small
from studio.media.hub_files import KINDS, asked_for, variant_of

SHELF = "LANTERNA_SHELF"  # environment: the studio's models folder, set before workers start
INDEX = "*.safetensors.index*.json"
WORDS = ("tokenizer.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.json", "vocab.txt")
ALONE = ("scheduler_config.json", "preprocessor_config.json", "processor_config.json", "model_index.json")
LOOSE = {  # folders of single files, in the shelf's own folder and wherever the user points -> how their names end
    "checkpoints": (".safetensors", ".gguf"), "loras": (".safetensors",),
}  # fmt: skip
MAX_HEADER = 100_000_000  # bytes, as safetensors itself has it
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # JSON of somebody else's

T = TypeVar("T")
State = Literal["here", "partial", "missing"]


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a pipeline, as it is published."""

    name: str  # the pipeline's argument: "transformer", "text_encoder", "vae", "tokenizer", "scheduler"
    repo: str  # "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
    bytes: int = 0  # of the files that are fetched
    folder: str | None = None  # inside the repository; None: called like the part; "": its root
    revision: str = "main"
    variant: str = ""  # of the weights: "fp16" where a repository holds several and this one is wanted
    files: tuple[str, ...] = ()  # names or patterns of the only files that belong to it; empty: all of the folder's
    over: str = ""  # the part whose weights these are laid over: no component by itself

    @property
    def where(self) -> str:
        return self.name if self.folder is None else self.folder

    @property
    def key(self) -> str:
        """This part alone, in folders.json: a folder may hold another model's text encoder and not its transformer."""
        return f"{self.repo}#{self.where}"

    @property
    def listed(self) -> str:
        """Name of the list of its files."""
        files = f".{sha1('|'.join(self.files).encode(), usedforsecurity=False).hexdigest()[:8]}" if self.files else ""
        variant = f".{self.variant}" if self.variant else ""
        return f"{self.where.replace('/', '--') or 'root'}{variant}{files}.json"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a part as the hub lists it."""

    bytes: int
    digest: str  # SHA-256 of its content, or git's own SHA-1 (40 signs) of small files


@dataclass(frozen=True, slots=True)
class Shelf:
    """The models of this machine."""

    folder: Path  # data/models: folders.json, lists/, checkpoints/, loras/
    cache: Path  # the hub's: models--owner--name/…

    @classmethod
    def here(cls) -> "Shelf":
        """By the environment, the same in the app and in its workers."""
        folder = Path(os.environ.get(SHELF, "data/models"))
        home = Path(os.environ.get("HF_HOME", folder))
        return cls(folder, Path(os.environ.get("HF_HUB_CACHE", home / "hub")))

    # ------------------------------------------------------------------------------------------ where a part is
    def find(self, part: Part) -> Path | None:
        """The part's folder if all of it is there."""
        return _once((self, part), partial(self._find, part))

    def _find(self, part: Part) -> Path | None:
        for root in self.roots(part):
            folder = root / part.where
            if not folder.is_dir():
                continue
            files = self.files(part, root.name) if self.ours(root) else {}
            if all(_is(folder / name, file.bytes) for name, file in files.items()) if files else whole(folder, part):
                return folder
        return None

    def state(self, part: Part) -> tuple[State, Path | None, int]:
        """(here | partial | missing, its folder, bytes of it on disk). Half a download is partial."""
        if found := self.find(part):
            return "here", found, sum(path.stat().st_size for path in held(found, part))
        roots = [root for root in self.roots(part) if (root / part.where).is_dir()]
        begun = sum(path.stat().st_size for root in roots for path in held(root / part.where, part))
        blobs = self.repository(part.repo) / "blobs"
        lists = self.folder / "lists" / _dashed(part.repo)
        for path in lists.glob(f"*/{part.listed}") if lists.is_dir() else ():
            half = [blobs / f"{file.digest}.incomplete" for file in self.files(part, path.parent.name).values()]
            begun += sum(one.stat().st_size for one in half if one.is_file())
        return ("partial" if begun else "missing"), (roots[0] / part.where if roots else None), begun

    def roots(self, part: Part) -> list[Path]:
        """Folders that may hold a part, the likeliest first: those that the user pointed at, what the cache has of its
        revision, and for a branch what it has of any."""
        pointed = self.folders()
        found = [Path(path) for name in (part.key, part.repo) for path in pointed.get(name, ())]
        cached, commit = self.repository(part.repo), part.revision
        if (ref := cached / "refs" / part.revision).is_file():
            said = ref.read_text("utf-8", "replace").strip()
            commit = said if Path(said).name == said else commit
        snapshots = cached / "snapshots"
        found.append(snapshots / commit)
        if not re.fullmatch("[0-9a-f]{40}", part.revision) and snapshots.is_dir():
            found += sorted(path for path in snapshots.iterdir() if path.name != commit)
        return [path for path in found if os.path.isdir(path) and os.access(path, os.R_OK | os.X_OK)]

    def repository(self, repo: str) -> Path:
        """Its folder in the cache."""
        return self.cache / f"models--{_dashed(repo)}"

    def ours(self, path: Path) -> bool:
        """Does it lie in the cache, where we may remove it?"""
        return path.is_relative_to(self.cache)

    def files(self, part: Part, commit: str) -> dict[str, Listed]:
        """What a download wrote down; empty where none did."""
        file = self.folder / "lists" / _dashed(part.repo) / commit / part.listed
        try:
            rows = json.loads(file.read_text("utf-8"))
            return {name: Listed(int(row["bytes"]), str(row["digest"])) for name, row in rows.items()}
        except UNREADABLE:
            return {}

    # ------------------------------------------------------------------------------------------ folders of the user
    def folders(self) -> dict[str, list[str]]:
        """By repository, by `Part.key`, or by one of LOOSE: folders the user pointed at, which stay where they are."""
        return _once((self, "folders"), self._folders)

    def _folders(self) -> dict[str, list[str]]:
        file = self.folder / "folders.json"
        if not file.is_file():
            return {}
        try:
            rows = json.loads(file.read_text("utf-8")).items()
            return {str(name): [str(path) for path in paths] for name, paths in rows}
        except UNREADABLE as error:
            raise Refused("model.folders_broken", path=str(file)) from error

    def point_at(self, found: Iterable[tuple[str, str]]) -> None:
        """Remember (name, folder), under the names that `folders` has."""
        known = self._folders()
        for name, folder in found:
            known[name] = list(dict.fromkeys([*known.get(name, ()), folder]))
        self._write(known)

    def forget(self, names: Iterable[str]) -> None:
        """Point at the folders under these names no longer. Nothing in them is touched."""
        gone = set(names)
        self._write({name: paths for name, paths in self._folders().items() if name not in gone})

    def _write(self, folders: Mapping[str, list[str]]) -> None:
        write_small(self.folder / "folders.json", json.dumps(folders, ensure_ascii=False, indent=1).encode())

    # ------------------------------------------------------------------------------------------ single files
    def homes(self, kind: str) -> list[Path]:
        """Folders of checkpoints or of LoRAs, our own first."""
        folders = (self.folder / kind, *map(Path, self.folders().get(kind, ())))
        return [folder for folder in folders if os.path.isdir(folder)]

    def loose(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Checkpoints or LoRAs by the names that scenes call them: every file in the folders of that kind whose name
        says that it is one."""
        for folder in self.homes(kind):
            for path in sorted(folder.rglob("*")):
                if path.suffix in LOOSE[kind] and path.is_file():
                    yield path.relative_to(folder).as_posix(), path


# ------------------------------------------------------------------------------------------------ one look
_seen: ContextVar[dict[Any, Any] | None] = ContextVar("seen", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, each part is looked for once: a list of all engines asks for the same text encoder a dozen times."""
    token = _seen.set({}) if _seen.get() is None else None
    try:
        yield
    finally:
        if token:
            _seen.reset(token)


def _once(key: Any, look: Callable[[], T]) -> T:
    seen = _seen.get()
    if seen is None:
        return look()
    if key not in seen:
        seen[key] = look()
    found: T = seen[key]
    return found


# ------------------------------------------------------------------------------------------------ one folder
def whole(folder: Path, part: Part | None = None) -> bool:
    """Is everything there that the folder itself says it has? Weights are looked at to their end: half a file of
    somebody's own copying is not here."""
    files = part.files if part else ()
    names = {path.name for path in folder.glob("*") if path.is_file() and asked_for(path.name, files)}
    if not all(any(fnmatchcase(name, one) for name in names) for one in files):
        return False
    if index_of(folder, part) or weights_of(folder, part):
        weights = weights_of(folder, part)
        return (bool(files) or "config.json" in names) and bool(weights) and all(map(sound, weights))
    if files and not any("*" in one or one.endswith(".safetensors") for one in files):
        return True  # small files, each of them by its name
    if "tokenizer_config.json" in names:
        return not names.isdisjoint(WORDS)
    return "config.json" not in names and not names.isdisjoint(ALONE)  # scheduler, processor: no weights


def weights_of(folder: Path, part: Part | None = None) -> list[Path]:
    """The files of its weights: those that an index speaks of, whether they are there or not, else all there are."""
    if index := index_of(folder, part):
        return [folder / name for name in sorted(shards_of(index))]
    return [path for path in sorted(folder.glob("*.safetensors")) if _asked(path.name, part)]


def index_of(folder: Path, part: Part | None = None) -> Path | None:
    return next((path for path in sorted(folder.glob(INDEX)) if _asked(path.name, part)), None)


def _asked(name: str, part: Part | None) -> bool:
    return wanted(name, part.variant, part.files) if part else wanted(name)


def shards_of(index: Path) -> set[str]:
    """The files that an index speaks of; none where it cannot be read, or leads out of its folder."""
    try:
        if index.stat().st_size > MAX_HEADER:
            return set()
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return names if all(Path(name).name == name for name in names) else set()
    except UNREADABLE:
        return set()


def held(folder: Path, part: Part) -> list[Path]:
    """The files in a part's folder that belong to it."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _asked(path.name, part)]


def wanted(name: str, variant: str = "", files: tuple[str, ...] = ()) -> bool:
    """Does a file of a part's folder belong to it? No pickles, and only one kind of weights."""
    weights = ".safetensors" in name
    return name.endswith(KINDS) and (not weights or variant_of(name) == variant) and asked_for(name, files)


def sound(path: Path) -> bool:
    """Are all tensors of a safetensors file there? Reads its header only."""
    try:
        facts = path.stat()
    except OSError:
        return False
    return _sound(str(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sound(path: str, size: int, mtime: int) -> bool:
    header = header_of(Path(path))
    if header is None:
        return False
    ends = [tensor["data_offsets"][1] for tensor in header.values()]
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    return bool(size == 8 + length + max(ends, default=0))


def header_of(path: Path) -> dict[str, Any] | None:
    """{tensor: {dtype, shape, data_offsets}} of a safetensors file; None: it is none."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER:
                return None
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            return header if all(map(_is_tensor, header.values())) else None
    except (*UNREADABLE, struct.error):
        return None


def _is_tensor(entry: Any) -> bool:
    """Has it numbers where loaders read numbers?"""
    shape, ends = entry["shape"], entry["data_offsets"]
    return len(ends) == 2 and all(type(number) is int and number >= 0 for number in (*shape, *ends))


def _is(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _dashed(repo: str) -> str:
    return repo.replace("/", "--")
