"""Where the files of a queue from elsewhere wait, and how they get their names: all of them with its rows, or none.

They are staged beside the outputs, on the same disk, so that a name is all that is missing. Names are given inside the
store's transaction; a journal of them lets the next start take back what a crash left between names and rows.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from studio import __version__
from studio.domain import Asset, new_id
from studio.errors import NotFound
from studio.execution.work import sidecar_path
from studio.media.files import fsync_dir, fsync_file, whole_or_gone
from studio.runner import Runner
from studio.service.library import Library
from studio.store import Queue, Store
from studio.store.transfers import NewCharacter, NewQueue, NewScene, OldTake

log = logging.getLogger(__name__)

JOURNAL = "names.json"


@dataclass(frozen=True, slots=True)
class LandedTake:
    take: OldTake
    staged: Path
    name: str  # wished for; another one is found where it is taken
    sha256: str


@dataclass(frozen=True, slots=True)
class LandedAsset:
    sha256: str
    name: str
    staged: Path
    looked: dict[str, Any]  # what was seen in it


@dataclass
class Stage:
    """Two folders of one arrival: `takes` on the disk of the outputs, `assets` on that of the library."""

    takes: Path
    assets: Path
    queue_id: str
    named: list[Path] = field(default_factory=list)  # files that got their final name so far


class Landing:
    def __init__(self, store: Store, runner: Runner, library: Library, outputs: Path) -> None:
        self._store, self._runner, self._library = store, runner, library
        self._folder = outputs / ".incoming"

    @contextmanager
    def stage(self, queue_id: str) -> Iterator[Stage]:
        """Folders to write to; gone afterwards."""
        name = new_id()
        stage = Stage(self._folder / name, self._library.incoming_folder / name, queue_id)
        try:
            for folder in (stage.takes, stage.assets):
                folder.mkdir(parents=True)
            yield stage
        finally:
            for folder in (stage.takes, stage.assets):
                shutil.rmtree(folder, ignore_errors=True)

    def land(
        self, stage: Stage, queue: NewQueue, cast: Sequence[NewCharacter], scenes: Sequence[NewScene],
        takes: Sequence[LandedTake], assets: Sequence[LandedAsset],
    ) -> None:  # fmt: skip
        """The queue is there with everything, or nothing of it is. Raises DiskFull and what the store raises."""
        try:
            self._store.transfers.put(queue, cast, scenes, lambda made: self._place(stage, made, takes, assets))
        except BaseException:
            for path in stage.named:
                path.unlink(missing_ok=True)
            raise

    def _place(
        self, stage: Stage, queue: Queue, takes: Sequence[LandedTake], assets: Sequence[LandedAsset]
    ) -> list[tuple[OldTake, Path]]:
        folder = self._runner.assigner.folder(queue)
        names = _free_names(folder, takes)
        kept = {asset.sha256: self._library.kept(asset.sha256, asset.name) for asset in assets}
        fresh = [path for path in kept.values() if not path.exists()]
        finals = [folder / name for name in names.values()]
        self._write_journal(stage, [*fresh, *finals, *map(sidecar_path, finals)])
        for asset in assets:
            self._keep(stage, asset, kept[asset.sha256])
        folder.mkdir(parents=True, exist_ok=True)
        called = {landed.name: names[landed.take.id] for landed in takes}
        placed = []
        for landed in takes:
            take = replace(landed.take, facts=_renamed(landed.take.facts, called))
            final = folder / names[take.id]
            self._write_sidecar(stage, take, final, landed.sha256, queue)
            _give_name(stage, landed.staged, final)
            placed.append((take, final))
        fsync_dir(folder)
        return placed

    def _write_journal(self, stage: Stage, paths: Sequence[Path]) -> None:
        journal = stage.takes / JOURNAL
        with whole_or_gone(journal):
            journal.write_text(json.dumps({"queue": stage.queue_id, "files": [str(path) for path in paths]}), "utf-8")
            fsync_file(journal)

    def _keep(self, stage: Stage, asset: LandedAsset, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _give_name(stage, asset.staged, path)
        names = ("kind", "width", "height", "fps", "duration")
        facts = {name: asset.looked[name] for name in names}
        size = path.stat().st_size
        self._store.takes.add_asset(
            Asset(sha256=asset.sha256, path=path, name=asset.name, size=size, **facts), {"from": "package"}
        )

    def _write_sidecar(self, stage: Stage, take: OldTake, final: Path, sha256: str, queue: Queue) -> None:
        """As the worker writes them. Not synced one by one: nothing depends on it, the take has its row."""
        names = ("kind", "width", "height", "fps", "num_frames", "duration", "bytes", "profile")
        scene = {name: value for name, value in take.settings.items() if name != "seed"}
        sidecar = {
            "lanterna": __version__, "job_id": take.job_id, "attempt": 1, "engine": take.engine, "seed": take.seed,
            "task": scene,
            "settings": {
                "lanterna": __version__, "scene_id": take.scene_id, "queue": queue.name, "engine": take.engine,
                "seed": take.seed, "scene": scene, "laid": dict(take.facts),
            },
            "file": final.name, "sha256": sha256,
            "facts": {**take.facts, **{name: getattr(take, name) for name in names}},
        }  # fmt: skip
        path = sidecar_path(final)
        stage.named.append(path)
        with whole_or_gone(path):
            path.write_text(json.dumps(sidecar, ensure_ascii=False, indent=1), "utf-8", "replace")

    def tidy(self) -> None:
        """At start: take back the names of arrivals that a crash cut off before their rows were written."""
        for journal in sorted(self._folder.glob(f"*/{JOURNAL}")) if self._folder.is_dir() else ():
            try:
                told = json.loads(journal.read_text("utf-8"))
                self._store.queues.get(told["queue"])
            except NotFound:
                log.info("taking back %d files of an import that was cut off", len(told["files"]))
                for path in map(Path, told["files"]):
                    path.unlink(missing_ok=True)
            except (OSError, ValueError, KeyError, TypeError):
                log.warning("a journal that cannot be read: %s", journal)
        shutil.rmtree(self._folder, ignore_errors=True)


def _give_name(stage: Stage, staged: Path, final: Path) -> None:
    stage.named.append(final)
    staged.replace(final)


def _free_names(folder: Path, takes: Sequence[LandedTake]) -> dict[str, str]:
    """By take the name of its file: its own, or with the end of its job's id where that is taken."""
    used = {path.name.lower() for path in folder.iterdir()} if folder.is_dir() else set()
    names = {}
    for landed in takes:
        name = landed.name
        if name.lower() in used or f"{name}.json".lower() in used:
            stem, dot, suffix = name.rpartition(".")
            name = f"{stem}_{landed.take.job_id[-6:].lower()}{dot}{suffix}"
        used |= {name.lower(), f"{name}.json".lower()}
        names[landed.take.id] = name
    return names


def _renamed(facts: Any, called: dict[str, str]) -> dict[str, Any]:
    """The cut finds the voices of a picture by the names of their files."""
    lines = facts.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return dict(facts)
    return {**facts, "lines": [{**line, "file": called.get(line.get("file"), line.get("file"))} for line in lines]}
