"""Putting models on the shelf and taking them off: recognises folders of the user, removes what the cache holds.

Knows the parts of every engine. Reads headers and configurations, never weights, and copies nothing.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.domain import JSON
from studio.errors import Refused, StudioError
from studio.media.hub_files import PICKLES
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Engine
from studio.pipelines.diffusion.signs import LORA_MARKS
from studio.pipelines.parts import LOOSE, Part, Shelf, header_of, held, whole

log = logging.getLogger(__name__)

DEPTH = 4  # folders below the one that is named
MOST_FOLDERS = 5000
CLOSE = 0.03  # how far the size of a part's weights may be from what is published
WEIGHTY = 1_000_000  # bytes from which a part's size says whose it is
SMALL = 64_000  # bytes of a configuration


@dataclass
class Found:
    """What lies in a folder."""

    pointed: list[tuple[str, str]] = field(default_factory=list)  # (name in folders.json, folder)
    models: list[str] = field(default_factory=list)  # engines of which something was found
    checkpoints: int = 0
    loras: int = 0
    refused: list[dict[str, JSON]] = field(default_factory=list)  # {name, error}

    def refuse(self, name: str, error: StudioError) -> None:
        if len(self.refused) < 50:
            self.refused.append({"name": name, "error": error.as_dict()})


def engines_with_parts() -> list[type[Engine]]:
    return [cls for cls in map(engine_class, ENGINES) if cls.parts]


# ------------------------------------------------------------------------------------------------ recognising
def recognise(folder: Path, model: str = "") -> Found:
    """Which parts, checkpoints and LoRAs lie in a folder: a model's own, a hub's cache, or all models of another app.
    `model`: an engine whose parts these are, where the folder itself does not say."""
    found = Found()
    if model:
        _take(found, folder, _own_repos(engine_class(model)))
        return found
    for place in _places(folder):
        if not os.access(place, os.R_OK | os.X_OK):
            continue
        if cached := _cached(place):
            _take(found, place, {cached}, shared=False)
        elif _looks_like_a_model(place):
            repos = _repos_of(place)
            before = len(found.pointed)
            _take(found, place, repos)
            if not repos and len(found.pointed) == before:
                found.refuse(place.name, Refused("model.not_known", folder=str(place)))
        else:
            _take_loose(found, place)
    return found


def _places(folder: Path) -> Iterator[Path]:
    """The folder and what lies below it; nothing inside of a model, nothing hidden, no link into a circle."""
    seen = 0
    rest = [(folder, 0)]
    while rest and seen < MOST_FOLDERS:
        place, depth = rest.pop(0)
        seen += 1
        yield place
        if depth >= DEPTH or (_looks_like_a_model(place) and not _cached(place)):
            continue
        with suppress(OSError), os.scandir(place) as entries:
            inner = [Path(e.path) for e in entries if e.is_dir() and not e.name.startswith(".") and e.name != "blobs"]
            rest += [(path, depth + 1) for path in sorted(inner)]


def _looks_like_a_model(folder: Path) -> bool:
    parts = {part for cls in engines_with_parts() for part in cls.parts}
    inner = {part.where for part in parts if part.where}
    marks = ("model_index.json", *(f"{one}/config.json" for one in inner))
    return any(os.path.isfile(folder / name) for name in marks) or any(_is_one(folder, part) for part in parts)


def _is_one(folder: Path, part: Part) -> bool:
    """Are the files here that this part alone has? In the root of a repository many models have files of these names:
    there the folder's name must say it, or the size."""
    plain = [one for one in part.files if one.endswith(".safetensors") and "*" not in one]
    if part.where:
        return bool(plain) and all(os.path.isfile(folder / part.where / one) for one in plain)
    if not part.files or not os.path.isfile(folder / part.files[0]):
        return False
    names = {part.repo.rpartition("/")[2].casefold(), part.repo.replace("/", "--").casefold()}
    return folder.name.casefold() in names or (part.bytes >= WEIGHTY and _as_published(folder, part))


def _cached(folder: Path) -> str:
    """The repository of a snapshot in a hub's cache; empty for other folders."""
    repository = folder.parent.parent
    if folder.parent.name != "snapshots" or not repository.name.startswith("models--"):
        return ""
    return repository.name.removeprefix("models--").replace("--", "/", 1)


def _repos_of(folder: Path) -> set[str]:
    """The repositories that a folder is a copy of: by its name, by what its configurations say, else by the size of
    the weights that only one model has. Empty: nobody can tell."""
    names = {folder.name, folder.name.replace("--", "/", 1), f"{folder.parent.name}/{folder.name}"}
    for path in (folder / "model_index.json", folder / "transformer" / "config.json", folder / "unet" / "config.json"):
        said = str(_config(path).get("_name_or_path", ""))
        names |= {said, said.rpartition("/")[2]}
    names = {name.casefold() for name in names if name}
    repos = {part.repo for cls in engines_with_parts() for part in cls.parts}
    if called := {repo for repo in repos if {repo.casefold(), repo.rpartition("/")[2].casefold()} & names}:
        return called
    fitting = [cls for cls in engines_with_parts() if _fits(cls, folder)]
    most = max((len(cls.parts) for cls in fitting), default=0)
    fitting = [cls for cls in fitting if len(cls.parts) == most]
    return _own_repos(fitting[0]) if len(fitting) == 1 else set()


def _fits(cls: type[Engine], folder: Path) -> bool:
    """Are the weights that only this model has here, in the size that is published?"""
    own = [part for part in cls.parts if part.bytes >= WEIGHTY and not _shared(part)]
    return bool(own) and all(_as_published(folder / part.where, part) for part in own)


def _own_repos(cls: type[Engine]) -> set[str]:
    return {part.repo for part in cls.parts if not _shared(part)}


def _shared(part: Part) -> bool:
    """Is it of several models? Not where the others only lay something of their own over it."""
    return len([cls for cls in _readers(part) if not any(one.over == part.name for one in cls.parts)]) > 1


def _as_published(folder: Path, part: Part) -> bool:
    if not folder.is_dir():
        return False
    size = sum(path.stat().st_size for path in held(folder, part))
    return abs(size - part.bytes) <= CLOSE * part.bytes


def _take(found: Found, folder: Path, repos: set[str], *, shared: bool = True) -> None:
    """Point at every part of these repositories that is whole; what is half or of another kind is refused. `shared`:
    also at what many models read (text encoder, VAE), where it has the size that is published: the same files are in
    many repositories."""
    seen: set[Path] = set()
    for cls in engines_with_parts():
        for part in cls.parts:
            place = folder / part.where
            ours = part.repo in repos
            alike = shared and _shared(part) and part.bytes >= WEIGHTY and _as_published(place, part)
            if not (ours or alike) or not place.is_dir() or (part.key, str(folder)) in found.pointed:
                continue
            if problem := _problem(cls, part, place):
                if ours and place not in seen:
                    found.refuse(f"{folder.name}/{part.where}", problem)
                seen.add(place)
                continue
            found.pointed.append((part.key, str(folder)))
            if len(users(part)) == 1 and cls.id not in found.models:
                found.models.append(cls.id)


def _problem(cls: type[Engine], part: Part, place: Path) -> StudioError | None:
    if not whole(place, part):
        pickles = [path.name for path in place.iterdir() if path.suffix in PICKLES]
        if pickles and not any(place.glob("*.safetensors")):
            return Refused("model.pickle", file=pickles[0])
        return Refused("model.half", folder=str(place))
    if part.name in getattr(cls, "readers", {}):
        return None  # in the words of its authors: whoever reads it will tell
    wanted = getattr(cls, "classes", {}).get(part.name, "").rpartition(":")[2]
    said = _config(place / "config.json").get("_class_name")  # diffusers' own; transformers takes several for one
    if said and wanted and wanted != said:
        return Refused("model.wrong_class", folder=str(place), found=str(said), wanted=wanted, model=cls.id)
    return None


def _config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SMALL:
            return {}
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# ------------------------------------------------------------------------------------------------ single files
def kind_of(path: Path) -> str:
    """checkpoint | lora | "" of a single file, by the names of its tensors; what is packed is a checkpoint."""
    try:
        facts = path.stat()
    except OSError:
        return ""
    return _kind(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4096)
def _kind(path: Path, size: int, mtime: int) -> str:
    if path.suffix == ".gguf":
        with path.open("rb") as file:
            return "checkpoint" if file.read(4) == b"GGUF" else ""
    header = header_of(path)
    if not header:
        return ""
    marked = sum(any(mark in name for mark in LORA_MARKS) for name in header)
    return "lora" if marked * 2 > len(header) else "checkpoint"


def _take_loose(found: Found, folder: Path) -> None:
    """Point at a folder with checkpoints or LoRAs; pickles among them are refused with how to convert them."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return
    kinds = [kind_of(path) for path in files if path.suffix in LOOSE["checkpoints"]]
    for kind, name in (("checkpoint", "checkpoints"), ("lora", "loras")):
        if count := kinds.count(kind):
            setattr(found, name, getattr(found, name) + count)
            found.pointed.append((name, str(folder)))
    for path in files:
        if path.suffix in (".ckpt", ".pt", ".pth") and path.stat().st_size > WEIGHTY:
            found.refuse(path.name, Refused("model.pickle", file=path.name))
        elif path.suffix in LOOSE["checkpoints"] and not kind_of(path):
            found.refuse(path.name, Refused(f"model.not_{path.suffix[1:]}", file=path.name))


# ------------------------------------------------------------------------------------------------ removing
def remove(shelf: Shelf, part: Part) -> int:
    """Take a part out of the cache, half files too: bytes that became free. Folders of the user are only forgotten."""
    repository, freed = shelf.repository(part.repo), 0
    for root in shelf.roots(part):
        if shelf.ours(root) and (root / part.where).is_dir():
            freed += sum(remove_file(shelf, path, repository) for path in held(root / part.where, part))
    lists = shelf.folder / "lists" / part.repo.replace("/", "--")
    for path in lists.glob(f"*/{part.listed}"):
        for file in shelf.files(part, path.parent.name).values():
            half = repository / "blobs" / f"{file.digest}.incomplete"
            freed += half.stat().st_size if half.is_file() else 0
            half.unlink(missing_ok=True)
        path.unlink()
    _prune(repository / "snapshots", repository / "blobs", lists)
    if repository.is_dir() and not any((repository / "snapshots").glob("*")):
        for ref in (repository / "refs").rglob("*"):  # a branch may have slashes in its name
            if ref.is_file():
                ref.unlink()
        _prune(repository / "refs", repository)
    return freed


def remove_file(shelf: Shelf, path: Path, repository: Path) -> int:
    """Take one file of the cache away, and its blob where no other name leads to it: bytes that became free."""
    blob = path.resolve()
    size = blob.stat().st_size if blob.is_file() else 0
    path.unlink(missing_ok=True)
    others = (one for one in (repository / "snapshots").rglob("*") if one.is_symlink() and one.resolve() == blob)
    if blob == path or next(others, None):
        return size if blob == path else 0
    if blob.is_relative_to(repository.resolve()):
        blob.unlink(missing_ok=True)
    return size


def _prune(*folders: Path) -> None:
    """Remove folders that are empty, inner ones first."""
    for folder in folders:
        inner = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True) if folder.is_dir() else []
        for path in (*inner, folder):
            with suppress(OSError):
                path.rmdir()


def users(part: Part) -> list[str]:
    """Engines that read a part."""
    return [cls.id for cls in _readers(part)]


def _readers(part: Part) -> list[type[Engine]]:
    return [cls for cls in engines_with_parts() if any(_same(part, other) for other in cls.parts)]


def _same(one: Part, other: Part) -> bool:
    return (one.repo, one.where, one.revision, one.listed) == (other.repo, other.where, other.revision, other.listed)


def folder_names(parts: Iterable[Part], pointed: Mapping[str, list[str]]) -> list[str]:
    """Names of folders.json under which these parts were pointed at."""
    return [name for part in parts for name in (part.key, part.repo) if name in pointed]
