"""Packages: a queue with its takes, marks, cast and media as one zip, and back. Knows no archive format."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from studio import __version__
from studio.domain import Input, Policy, SceneBase, State, new_id, one_line, slug
from studio.errors import NotFound, Refused, StudioError
from studio.media.files import free_name
from studio.runner import Runner, broken
from studio.service.episodes import Episodes
from studio.service.exports import Exports, Step
from studio.service.landing import LandedAsset, LandedTake, Landing, Stage
from studio.service.library import ACCEPTED_SUFFIX, Library
from studio.service.preview import report
from studio.service.queues import Queues
from studio.service.views import View
from studio.store import Queue, SceneRow, Store
from studio.store.database import now
from studio.store.transfers import NewCharacter, NewQueue, NewScene, OldTake
from studio.story import package
from studio.story.episode import Episode, parse
from studio.story.package import Manifest, PackedTake, TakesWanted

log = logging.getLogger(__name__)

LIVE = (State.QUEUED, State.RUNNING, State.IN_DOUBT)
CONTAINERS = {".mp4": "mp4", ".png": "png", ".wav": "wav"}  # what must be in the file of a take
ASKED_HERE: Mapping[str, Any] = {"allow_paid": False, "afterwards": "nothing"}  # nobody agreed to these in this studio


@dataclass(frozen=True, slots=True)
class _Load:
    """What goes into a package: the manifest but for the hashes of takes, and where the files are."""

    content: dict[str, Any]
    files: list[dict[str, Any]]
    missing: list[str]  # names of files that have gone

    @property
    def bytes(self) -> int:
        return sum(Path(row["path"]).stat().st_size for row in self.files)


class Packages:
    def __init__(
        self, store: Store, runner: Runner, library: Library, queues: Queues, episodes: Episodes, exports: Exports,
        landing: Landing,
    ) -> None:  # fmt: skip
        self._store, self._runner, self._library, self._queues = store, runner, library, queues
        self._episodes, self._exports, self._landing = episodes, exports, landing
        self._importing = Lock()  # one import at a time: two of the same package must not both find its ids free

    # ------------------------------------------------------------------------------------------ out
    def sizes(self, queue_id: str) -> View:
        """How large the package would be with each choice of takes: {all: {takes, bytes}, selected: …, none: …}."""
        queue = self._store.queues.get(queue_id)
        found = {}
        for wanted in ("all", "selected", "none"):
            load = self._load(queue, wanted, frozen=False)
            found[wanted] = {"takes": len(load.content["takes"]), "bytes": load.bytes, "missing": load.missing}
        return found

    def export(
        self, queue_id: str, takes: TakesWanted = "all", *, assets: bool = True, out: Path | None = None
    ) -> View:
        """Begin to pack a queue; the row of the export. Raises Refused("package.empty")."""
        queue = self._filled(queue_id)
        export_id = self._store.takes.add_export(queue_id, "package")

        def work(step: Step) -> tuple[Path, Mapping[str, Any]]:
            return self._pack(queue, takes, assets, out or self._path(queue), export_id, step)

        self._exports.make(export_id, work)
        return self._exports.get(export_id)

    def pack_now(self, queue_id: str, takes: TakesWanted = "selected", *, assets: bool = True) -> Path:
        """The same, and wait for the file."""
        queue = self._filled(queue_id)
        owner = self._store.takes.add_export(queue_id, "package")
        try:
            path, facts = self._pack(queue, takes, assets, self._path(queue), owner, lambda done, total: None)
        except Exception as error:  # a row that went on for ever would keep caches full and the computer awake
            told = error.as_dict() if isinstance(error, StudioError) else broken(error)
            self._store.takes.update_export(owner, state=State.FAILED, error=told, finished=now())
            raise
        done = {"state": State.DONE, "progress": 1.0, "file": path, "facts": dict(facts), "finished": now()}
        self._store.takes.update_export(owner, **done)
        return path

    def _filled(self, queue_id: str) -> Queue:
        queue = self._store.queues.get(queue_id)
        if not self._store.queues.count(queue_id):
            raise Refused("package.empty", queue=queue.name)
        return queue

    def _pack(
        self, queue: Queue, takes: TakesWanted, assets: bool, out: Path, owner: str, step: Step
    ) -> tuple[Path, Mapping[str, Any]]:
        load = self._load(queue, takes, assets=assets)
        order = {
            "out": str(out), "owner": owner, "name": package.MANIFEST, "folder": "media/", "content": load.content,
            "files": load.files,
        }  # fmt: skip
        made = self._runner.ask(self._runner.lanes.exports[0], "pack", order, job_id=owner, step=step)
        facts = {"bytes": made["bytes"], "takes": len(load.content["takes"]), "files": made["files"]}
        return out, {**facts, "gone": load.missing, "scenes": len(load.content["scenes"])}

    def _path(self, queue: Queue) -> Path:
        at = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        name = f"{slug(queue.name) or queue.code.lower()}_package_{at}.zip"
        return free_name(self._runner.assigner.folder(queue) / name)

    def _load(self, queue: Queue, wanted: TakesWanted, *, assets: bool = True, frozen: bool = True) -> _Load:
        """`frozen`: what scenes of other queues show becomes a file of this package."""
        rows = self._store.queues.scenes(queue.id)
        if frozen:
            rows = [self._frozen(row, {row.id for row in rows}) for row in rows]
        files: list[dict[str, Any]] = []
        takes: list[dict[str, Any]] = []
        assets_here: list[dict[str, Any]] = []
        missing: list[str] = []
        for take in self._wanted_takes(queue.id, wanted):
            if take["file"].is_file():
                files.append(
                    {
                        "path": str(take["file"]),
                        "suffix": take["file"].suffix.lower(),
                        "places": [["takes", len(takes)]],
                    }
                )
                takes.append(_take_entry(take))
            else:
                missing.append(take["file"].name)
        cast = self._cast(queue, rows)
        shown = {take["scene"] for take in takes}
        content = {
            "format": package.FORMAT, "version": package.VERSION, "studio": __version__,
            "created": datetime.now(UTC).isoformat(), "takes_wanted": wanted,
            "queue": {
                "id": queue.id, "code": queue.code, "project": queue.project, "policy": dict(queue.policy),
                "priority": queue.priority,
            },
            "episode": self._episodes.written(queue, rows), "cast": cast,
            "scenes": self._scene_entries(queue, rows, shown), "takes": takes, "assets": assets_here,
        }  # fmt: skip
        for sha256 in _assets_in(content) if assets else ():
            self._add_asset(sha256, assets_here, files, missing)
        return _Load(content, files, missing)

    def _wanted_takes(self, queue_id: str, wanted: TakesWanted) -> list[dict[str, Any]]:
        rows = self._store.transfers.takes_of(queue_id) if wanted != "none" else []
        return [row for row in rows if wanted == "all" or row["selected"]]

    def _add_asset(self, sha256: str, entries: list[Any], files: list[Any], missing: list[str]) -> None:
        try:
            asset = self._store.takes.asset(sha256)
        except NotFound:
            missing.append(sha256[:12])
            return
        if not asset.path.is_file():
            missing.append(asset.name)
            return
        suffix = ACCEPTED_SUFFIX.search(asset.name) or ACCEPTED_SUFFIX.search(asset.path.name)
        entry = {
            "sha256": sha256, "kind": asset.kind, "name": asset.name, "bytes": asset.path.stat().st_size,
            "suffix": suffix[0].lower() if suffix else "",
        }  # fmt: skip
        place = [["assets", len(entries)]]
        files.append({"path": str(asset.path), "suffix": entry["suffix"], "places": place, "sha256": sha256})
        entries.append(entry)

    def _scene_entries(self, queue: Queue, rows: Sequence[SceneRow], shown: set[str]) -> list[dict[str, Any]]:
        asked = self._store.transfers.retakes(queue.id)
        entries = []
        for row in rows:
            state = row.state
            if state in LIVE or state is State.DONE:
                state = State.DONE if row.id in shown else State.DRAFT
            entry = {"id": row.id, "state": state, "error": row.error, "note": row.note, "retake": row.retake}
            entries.append({**entry, "retake_at": asked.get(row.id)})
        return entries

    def _cast(self, queue: Queue, rows: Sequence[SceneRow]) -> list[dict[str, Any]]:
        """Who speaks here, and whose portrait a scene of this queue shows."""
        names = {slug(line.character) for row in rows for line in row.scene.lines}
        refs = {item.ref for row in rows for item in row.scene.inputs()}
        return [
            {"name": one["name"], "voice": one["voice"], "look": one["look"], "portrait": one["portrait"] or ""}
            for short, one in self._store.queues.cast(queue.project_id).items()
            if short in names or (one["portrait"] and one["portrait"] in refs)
        ]

    def _frozen(self, row: SceneRow, here: set[str]) -> SceneRow:
        """What this scene reads of scenes in other queues, as files: those queues stay at home."""
        refs = {}
        for item in row.scene.inputs():
            scene_id = item.ref.removeprefix("scene:").partition("#")[0]
            if item.ref.startswith("scene:") and scene_id not in here and self._store.takes.selected([scene_id]):
                refs[item.field] = self._kept_input(item)
        if not refs:
            return row
        names = ("id", "queue_id", "position", "state", "error", "note", "retake", "version")
        return SceneRow(scene=row.scene.with_inputs(refs), **{name: getattr(row, name) for name in names})

    def _kept_input(self, item: Input) -> str:
        path = self._runner.assigner.file_of(item, self._frame)
        return str(self._library.add(path, path.name)["ref"])

    def _frame(self, path: Path, which: str, out: Path) -> None:
        self._runner.ask(self._runner.lanes.tools[0], "frame", {"path": str(path), "which": which, "out": str(out)})

    # ------------------------------------------------------------------------------------------ in
    def check(self, path: Path) -> View:
        """What a package holds; nothing is written. Raises what is wrong with it."""
        manifest, episode = self._read(path)
        return _report(manifest, episode)

    def bring(self, path: Path, name: str = "", *, step: Step | None = None) -> View:
        """A new queue out of a package, with everything in it. Either all of it is there, or nothing.

        Raises Refused, TooLarge, Unavailable("package.newer"), DiskFull."""
        manifest, episode = self._read(path)
        with self._importing:
            manifest = package.renewed(manifest, new_id(), self._store.transfers.taken, new_id)
            with self._landing.stage(manifest.queue.id) as stage:
                self._land(stage, path, manifest, episode, name, step)
        return {"queue": self._queues.view(manifest.queue.id), "report": _report(manifest, episode)}

    def busy(self) -> bool:
        """Does a package come in?"""
        return self._importing.locked()

    def tidy(self) -> None:
        """At start: take back what a crash left of an import."""
        self._landing.tidy()

    def _read(self, path: Path) -> tuple[Manifest, Episode]:
        order = {
            "path": str(path), "name": package.MANIFEST, "most": package.MAX_BYTES, "shape": package.MEMBER.pattern,
        }  # fmt: skip
        found = self._runner.ask(self._runner.lanes.tools[0], "look_into", order)
        manifest = package.read(found["content"])
        for member, (_, size) in manifest.members().items():
            if found["sizes"].get(member) != size:
                raise Refused("package.missing_file", name=member)
        episode = parse(json.dumps(manifest.episode))
        for entry in episode.entries:
            if entry.problems:
                first = entry.problems[0]
                field = f"episode.scenes.{entry.index}.{first.field}"
                why = {"code": first.code, "params": dict(first.params)}
                raise Refused("package.manifest", field=field, why=why)
        return manifest, episode

    def _land(
        self, stage: Stage, path: Path, manifest: Manifest, episode: Episode, name: str, step: Step | None
    ) -> None:
        staged = {take.id: stage.takes / f"{take.id}{take.suffix}" for take in manifest.takes}
        fresh = [asset for asset in manifest.assets if not self._is_here(asset.sha256)]
        members = [{"name": t.member, "out": str(staged[t.id]), "sha256": t.sha256} for t in manifest.takes]
        members += [{"name": a.member, "out": str(stage.assets / a.sha256), "sha256": a.sha256} for a in fresh]
        order = {"path": str(path), "members": members}
        self._runner.ask(self._runner.lanes.tools[0], "unpack", order, **({"step": step} if step else {}))
        takes = [self._landed_take(take, staged[take.id]) for take in sorted(manifest.takes, key=lambda t: t.id)]
        assets = [
            LandedAsset(
                a.sha256, a.name, stage.assets / a.sha256, self._looked(stage.assets / a.sha256, a.name, a.kind)
            )
            for a in fresh
        ]
        head, packed = episode.head, manifest.queue
        queue = NewQueue(
            id=packed.id, name=one_line(name or head.title) or "Episode", project=packed.project, code=packed.code,
            frame=head.frame, music=head.music, cut=head.cut, policy={**packed.policy.model_dump(), **ASKED_HERE},
            priority=packed.priority,
        )  # fmt: skip
        cast = [NewCharacter(**character.model_dump()) for character in manifest.cast]
        self._landing.land(stage, queue, cast, _new_scenes(manifest, episode), takes, assets)

    def _is_here(self, sha256: str) -> bool:
        try:
            return self._store.takes.asset(sha256).path.is_file()
        except StudioError:
            return False

    def _landed_take(self, take: PackedTake, staged: Path) -> LandedTake:
        looked = self._looked(staged, take.file, take.kind, CONTAINERS[take.suffix])
        same = {name: getattr(take, name) for name in OldTake.__slots__ if name in PackedTake.model_fields}
        measured = {name: looked[name] for name in ("width", "height", "fps", "num_frames", "duration")}
        old = OldTake(
            **{**same, **measured, "created": take.made}, job_id=new_id(), scene_id=take.scene, line_id=take.line
        )
        return LandedTake(old, staged, take.file, take.sha256)

    def _looked(self, path: Path, name: str, kind: str, container: str = "") -> View:
        """What is in a file of the package. Raises Refused("package.wrong_file") when it is not what was promised."""
        looked = self._library.look(path)
        if looked["kind"] != kind or container not in ("", looked["container"]):
            raise Refused("package.wrong_file", name=name, wanted=kind, got=looked["kind"])
        return looked


# ------------------------------------------------------------------------------------------------ helpers of this door
def _take_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: row[name] for name in PackedTake.model_fields if name in row}
    flags = {name: bool(row[name]) for name in ("draft", "selected", "chosen", "locked", "private")}
    return {**same, **flags, "scene": row["scene_id"], "line": row["line_id"], "file": row["file"].name}


def _assets_in(value: Any) -> list[str]:
    """Every asset that is spoken of anywhere, once, in order."""
    found: dict[str, None] = {}

    def walk(inner: Any) -> None:
        if isinstance(inner, str) and inner.startswith("asset:"):
            found[inner.removeprefix("asset:")] = None
        elif isinstance(inner, list):
            for item in inner:
                walk(item)
        elif isinstance(inner, dict):
            for item in inner.values():
                walk(item)

    walk(value)
    return list(found)


def _new_scenes(manifest: Manifest, episode: Episode) -> list[NewScene]:
    ids = [scene.id for scene in manifest.scenes]
    shown = {take.scene for take in manifest.takes}
    scenes = []
    written = manifest.episode["scenes"]
    for entry, packed, values in zip(episode.entries, manifest.scenes, written, strict=True):
        assert entry.scene is not None  # an episode with problems was refused
        state = State(packed.state)
        if state is State.DONE and packed.id not in shown:
            state = State.DRAFT
        error = packed.error.model_dump() if packed.error else None
        scene = _with_ids(entry.scene, values, ids)
        scenes.append(NewScene(packed.id, scene, state, error, packed.note, packed.retake, packed.retake_at))
    return scenes


def _with_ids(scene: SceneBase, written: Mapping[str, Any], ids: Sequence[str]) -> SceneBase:
    """`{{new:N}}` becomes the N-th scene's id, and every line has one."""
    refs = {}
    for item in scene.inputs():
        if item.ref.startswith("{{new:"):
            number, _, part = item.ref[6:].partition("}}")
            refs[item.field] = f"scene:{ids[int(number)]}{part}"
    scene = scene.with_inputs(refs) if refs else scene
    lines = [
        line.model_copy(update={"id": known.get("id") or new_id()})
        for line, known in zip(scene.lines, written.get("lines") or (), strict=True)
    ]
    return scene.model_copy(update={"lines": lines})


def _report(manifest: Manifest, episode: Episode) -> View:
    """As for any episode, and what came with it."""
    packed = {
        "takes": len(manifest.takes), "assets": len(manifest.assets), "studio": manifest.studio,
        "bytes": sum(size for _, size in manifest.members().values()),
        "asked_again": [n for n, value in ASKED_HERE.items() if getattr(manifest.queue.policy, n) != value],
    }  # fmt: skip
    return {**report(episode, [], {}, {}), "package": packed}


assert set(ASKED_HERE) <= set(Policy.model_fields)
