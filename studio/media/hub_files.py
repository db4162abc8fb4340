"""Which files of a folder in a repository make a part, by what the hub lists. Fetches nothing, knows no engine.

Only what can be read without running it, only one variant of the weights, and where a part names its files only those.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from studio.errors import Refused

KINDS = (".json", ".txt", ".model", ".jinja", ".safetensors")  # what is fetched; templates are read in a sandbox
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack")
MOST_FILES = 10_000  # in one folder of a repository: a listing that never ends is no hub's
SHA1, SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A part: the files in one folder of a repository."""

    repo: str
    folder: str  # "": its root
    revision: str = "main"
    variant: str = ""  # of the weights
    files: tuple[str, ...] = ()  # names or patterns of the only files that are wanted of it; empty: all
    listed: str = "list.json"  # name of the list that is written of it

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Wanted":
        return cls(**{**row, "files": tuple(row.get("files", ()))})


@dataclass(frozen=True, slots=True)
class File:
    """A file as the hub lists it."""

    name: str  # in the folder of its part
    size: int  # bytes
    digest: str  # SHA-256 of its content, or git's SHA-1 of a small one: the name of its blob


def files_of(part: Wanted, rows: Iterable[Any]) -> list[File]:
    """Of what the hub lists of the part's folder, small ones first.

    Raises Refused: "model.no_files", "model.no_variant", "model.pickle_only"; ValueError where it is no listing."""
    listed = list(islice(rows, MOST_FILES + 1))
    if len(listed) > MOST_FILES:
        raise ValueError("a listing without an end")
    found = [_file(row, part.folder) for row in listed]
    if lacking := [one for one in part.files if not any(fnmatchcase(file.name, one) for file in found)]:
        place = f"{part.folder}/{lacking[0]}".lstrip("/")
        raise Refused("model.no_files", repo=part.repo, folder=place, revision=part.revision)
    found = [file for file in found if asked_for(file.name, part.files)]
    weights = [file for file in found if ".safetensors" in file.name]
    chosen = _one_kind(weights, part.variant)
    if weights and not chosen:
        raise Refused("model.no_variant", repo=part.repo, folder=part.folder or "/", variant=part.variant or "-")
    plain = [file for file in found if file not in weights and file.name.endswith(KINDS)]
    pickles = [file.name for file in found if file.name.endswith(PICKLES)]
    if pickles and not weights:
        raise Refused("model.pickle_only", repo=part.repo, folder=part.folder or "/", file=pickles[0])
    if not chosen and not plain:
        raise Refused("model.no_files", repo=part.repo, folder=part.folder or "/", revision=part.revision)
    return sorted([*plain, *chosen], key=lambda file: (file.size, file.name))


def _file(row: Any, folder: str) -> File:
    """Raises ValueError where what the server calls a file would lead somewhere else."""
    path = PurePosixPath(row.path)
    parent = "" if str(path.parent) == "." else str(path.parent)
    digest = row.lfs.sha256 if row.lfs else row.blob_id
    if parent != folder or not re.fullmatch(r"[\w][\w.+ -]*", path.name):
        raise ValueError(row.path)
    if not SHA256.fullmatch(digest) and not SHA1.fullmatch(digest):
        raise ValueError(digest)
    size = int(row.lfs.size if row.lfs else row.size)
    if size < 0:
        raise ValueError(size)
    return File(path.name, size, digest)


def _one_kind(weights: list[File], variant: str) -> list[File]:
    """Weights of one variant: the shards that belong to an index where there is one, or the whole files."""
    kind = [file for file in weights if variant_of(file.name) == variant]
    index = [file for file in kind if file.name.endswith(".json")]
    shards = [file for file in kind if re.search(r"-\d{5}-of-\d{5}", file.name)]
    return [*index, *shards] if index and shards else [file for file in kind if file not in index]


def asked_for(name: str, files: Iterable[str]) -> bool:
    """Does one of these names or patterns mean it? None at all mean every file."""
    return not files or any(fnmatchcase(name, one) for one in files)


def variant_of(name: str) -> str:
    """fp16, of `model.fp16.safetensors`, `model.fp16-00001-of-00002.safetensors` or their index; empty: the usual."""
    bare = re.sub(r"-\d{5}-of-\d{5}", "", name).replace(".safetensors", "").replace(".index", "").removesuffix(".json")
    return bare.partition(".")[2]
