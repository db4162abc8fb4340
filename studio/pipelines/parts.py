"""What a model consists of and where it lies on disk. Reads folders; fetches nothing and loads nothing.

A part is one component of a pipeline: a folder of a repository. Engines name parts, so that two models which share a
text encoder share it on disk and in memory. A part lies in a folder that the user pointed at (`folders.json`), or in the
hub's own cache.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

SHELF = "LANTERNA_SHELF"  # environment: the studio's models folder, set before workers start
INDEX = "*.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a pipeline, as it is published."""

    name: str  # the pipeline's argument: "transformer", "text_encoder", "vae", "tokenizer", "scheduler"
    repo: str  # "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
    bytes: int = 0  # of the files that are fetched
    folder: str | None = None  # inside the repository; None: called like the part; "": its root
    revision: str = "main"

    @property
    def where(self) -> str:
        return self.name if self.folder is None else self.folder


@dataclass(frozen=True, slots=True)
class Shelf:
    """The models of this machine."""

    folder: Path  # data/models: folders.json, checkpoints/, loras/
    cache: Path  # the hub's: models--owner--name/…

    @classmethod
    def here(cls) -> "Shelf":
        """By the environment, the same in the app and in its workers."""
        folder = Path(os.environ.get(SHELF, "data/models"))
        home = Path(os.environ.get("HF_HOME", folder))
        return cls(folder, Path(os.environ.get("HF_HUB_CACHE", home / "hub")))

    def find(self, part: Part) -> Path | None:
        """The part's folder if all of it is there."""
        for root in self.roots(part.repo, part.revision):
            folder = root / part.where
            if folder.is_dir() and whole(folder):
                return folder
        return None

    def roots(self, repo: str, revision: str) -> list[Path]:
        """Folders that hold something of a repository."""
        found = [Path(path) for path in self.folders().get(repo, ())]
        cached = self.cache / f"models--{repo.replace('/', '--')}"
        commit = revision
        if (ref := cached / "refs" / revision).is_file():
            commit = ref.read_text().strip()
        return [path for path in (*found, cached / "snapshots" / commit) if path.is_dir()]

    def folders(self) -> dict[str, list[str]]:
        """By repository: folders the user pointed at, which stay where they are."""
        file = self.folder / "folders.json"
        return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def whole(folder: Path) -> bool:
    """Is everything there that the folder itself says it has? The hub names a file only once it is complete."""
    indexes = list(folder.glob(INDEX))
    for index in indexes:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        if not all((folder / shard).is_file() for shard in shards):
            return False
    if indexes or any(folder.glob("*.safetensors")):
        return True
    configs = {path.name for path in folder.glob("*.json")}
    return bool(configs) and "config.json" not in configs  # tokenizer, scheduler, processor: no weights
