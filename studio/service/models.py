"""Models on this machine: the catalogue, getting and removing them, folders of the user, and what a queue needs.

What is fetched, and how far, is service.downloads' business. Imports no library that could run one.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.domain import State
from studio.errors import Conflict, DiskFull, NotFound, Refused, StudioError, Unavailable
from studio.media.files import free_bytes
from studio.pipelines import catalogue, engine_class, engines_for, shelving
from studio.pipelines.base import Engine, Machine
from studio.pipelines.parts import Part, Shelf, one_look
from studio.runner import Runner
from studio.service.downloads import Downloads
from studio.service.engines import Engines, Readiness
from studio.service.estimates import RESERVE
from studio.service.library import Library
from studio.service.planner import Planner
from studio.service.runs import Runs
from studio.service.views import View
from studio.settings import Settings
from studio.store import Store
from studio.store.database import Row

log = logging.getLogger(__name__)


class Models:
    def __init__(
        self, store: Store, runner: Runner, settings: Settings, engines: Engines, library: Library, runs: Runs,
        downloads: Downloads, planner: Planner,
    ) -> None:  # fmt: skip
        self._store, self._runner, self._settings, self._engines = store, runner, settings, engines
        self._library, self._runs, self._downloads, self._planner = library, runs, downloads, planner
        downloads.on_end = self._ended

    # ------------------------------------------------------------------------------------------ looking
    def list(self) -> View:
        """Every model that has weights: what it is, what of it is here, whether it fits, what is being fetched."""
        shelf, rows, accepted = Shelf.here(), self._store.models.newest(), self._store.models.accepted()
        with one_look():
            ready, machine = self._engines.ready(), self._planner.whole()
            models = [
                self._view(cls, shelf, rows.get(cls.id), accepted, ready, machine)
                for cls in shelving.engines_with_parts()
            ]
        return {
            "models": models,
            "free_bytes": free_bytes(shelf.cache),
            "folder": str(shelf.cache),
            "offline": self._settings.offline,
        }

    def get(self, model: str) -> View:
        cls = _model(model)
        rows, accepted = self._store.models.newest(), self._store.models.accepted()
        with one_look():
            ready, machine = self._engines.ready(), self._planner.whole()
            return self._view(cls, Shelf.here(), rows.get(model), accepted, ready, machine)

    def _view(
        self, cls: type[Engine], shelf: Shelf, row: Row | None, accepted: set[str], ready: Readiness, machine: Machine
    ) -> View:  # fmt: skip
        parts = [_part_view(shelf, part) for part in cls.parts]
        entry, fit = catalogue.entry(cls.id), self._fit(cls, machine)
        states = {part["state"] for part in parts}
        moving = bool(row) and row["state"] in ("waiting", "running")  # type: ignore[index]
        unfit = ready[cls.id].state == "unfit" or (fit is not None and not fit["ok"])
        state = "partial" if "partial" in states or states == {"here", "missing"} else "missing"
        if moving:
            state = "downloading"
        elif unfit and states != {"here"}:
            state = "unfit"
        elif states == {"here"}:
            state = "ready"
        return {
            "id": cls.id, "title": entry.title, "tasks": sorted(cls.tasks), "serves": cls.serves,
            "licence": cls.licence,
            "licence_url": catalogue.licence_url(cls.id), "accepted": cls.licence in accepted,
            "gated": catalogue.gated(cls.id),
            "languages": list(entry.languages), "bytes": sum(part.bytes for part in cls.parts),
            "missing_bytes": sum(part["missing_bytes"] for part in parts), "parts": parts, "state": state, "fit": fit,
            "download": self._downloads.view(row), "check": self._downloads.checked(cls.id),
            "presets": list(cls.presets),
        }  # fmt: skip

    def _fit(self, cls: type[Engine], machine: Machine) -> View | None:
        """{ok, profile, peak_bytes, reason} at the least that it can make here; None: it needs no plan."""
        fit = self._planner.fit(cls, machine)
        if fit is None:
            return None
        return {
            "ok": fit.plan is not None, "profile": fit.profile, "peak_bytes": fit.plan.peak_bytes if fit.plan else None,
            "reason": fit.refused.as_dict() if fit.refused else None,
        }  # fmt: skip

    def files(self) -> View:
        """Checkpoints and LoRAs: single files, in data/models and in folders that were imported."""
        shelf = Shelf.here()
        found: dict[str, list[View]] = {}
        for name, kind in (("checkpoints", "checkpoint"), ("loras", "lora")):
            found[name] = [
                {"name": called, "path": str(path), "bytes": path.stat().st_size, "kind": kind}
                for called, path in shelf.loose(name)
                if shelving.kind_of(path) == kind
            ]
        return found

    # ------------------------------------------------------------------------------------------ getting
    def fetch(self, model: str, *, accept_licence: bool = False, queue_id: str | None = None) -> View:
        """Fetch what a model lacks, after the others. Raises Refused("model.licence"), DiskFull, Unavailable."""
        cls = _model(model)
        self._agreed([cls], accept_licence)
        view = self.get(model)
        if view["state"] == "ready" or view["missing_bytes"] == 0 and all(p["state"] == "here" for p in view["parts"]):
            return view
        self._may_fetch([cls], view["missing_bytes"])
        self._downloads.begin(model, view["missing_bytes"], queue_id)
        return self.get(model)

    def _agreed(self, engines: Sequence[type[Engine]], accept: bool) -> None:
        """Licences are accepted once, by name. Raises Refused("model.licence") for the first that was not."""
        accepted = self._store.models.accepted()
        if accept:
            self._store.models.accept(sorted({cls.licence for cls in engines} - accepted))
            return
        for cls in engines:
            if cls.licence not in accepted:
                raise Refused(
                    "model.licence", model=catalogue.entry(cls.id).title, licence=cls.licence,
                    page=catalogue.licence_url(cls.id),
                )  # fmt: skip

    def _may_fetch(self, engines: Sequence[type[Engine]], missing: int) -> None:
        if self._settings.offline:
            raise Unavailable("model.offline")
        gated = next((cls for cls in engines if catalogue.gated(cls.id)), None)
        if gated and self._settings.hf_token is None:
            raise Refused(
                "model.gated", repo=gated.parts[-1].repo, page=f"https://huggingface.co/{gated.parts[-1].repo}"
            )
        cache = Shelf.here().cache
        free = free_bytes(cache)
        if free < missing + RESERVE:
            needed = round((missing + RESERVE) / 1e9, 1)
            raise DiskFull("model.disk", path=str(cache), gigabytes=needed, free=round(free / 1e9, 1))

    def cancel(self, model: str) -> View:
        """Stop fetching or checking it. What came is kept: getting it again goes on there."""
        _model(model)
        self._downloads.cancel(model)
        return self.get(model)

    def verify(self, model: str) -> View:
        """Read every file of it again. Its view's `check` says how far that is and what was wrong."""
        cls = _model(model)
        if all(_part_view(Shelf.here(), part)["state"] != "here" for part in cls.parts):
            raise NotFound("model.nothing_here", model=catalogue.entry(model).title)
        self._downloads.check(model)
        return self.get(model)

    # ------------------------------------------------------------------------------------------ removing
    def remove(self, model: str) -> View:
        """Take a model off the disk: {bytes, kept: [{name, models}], forgotten: [folders]}. Parts that another model
        here reads stay; folders of the user are only forgotten. Raises Conflict("model.busy" | "model.in_use")."""
        cls, shelf = _model(model), Shelf.here()
        fetched = {name for name, row in self._store.models.newest().items() if row["state"] in ("waiting", "running")}
        rendering = {live.job.engine for live in list(self._runner.live.values())}
        check = self._downloads.checked(model)
        if model in fetched or (check and check["state"] in ("waiting", "running")):
            raise Conflict("model.busy", model=catalogue.entry(model).title)
        if model in rendering:
            raise Conflict("model.in_use", model=catalogue.entry(model).title)
        freed, kept, gone = 0, [], []
        for part in cls.parts:
            users = [other for other in shelving.users(part) if other != model]
            others = [other for other in users if other in fetched | rendering or _begun(other, shelf)]
            if others:
                kept.append({"name": part.name, "models": [catalogue.entry(other).title for other in others]})
                continue
            try:
                freed += shelving.remove(shelf, part)
            except PermissionError as error:  # Windows: a worker has it mapped still
                raise Conflict("model.in_use", model=catalogue.entry(model).title) from error
            gone.append(part)
        names = shelving.folder_names(gone, shelf.folders())
        forgotten = sorted({path for name in names for path in shelf.folders()[name]})
        shelf.forget(names)
        return {"bytes": freed, "kept": kept, "forgotten": forgotten}

    # ------------------------------------------------------------------------------------------ folders of the user
    def bring(self, path: str, model: str = "", *, trusted: bool = False) -> View:
        """Use models that lie in a folder, where they are: a model's own folder, a hub's cache, another app's models.

        {folder, models: [{id, title, state}], checkpoints, loras, refused: [{name, error}]}: what was recognised.
        Raises NotFound, Forbidden, Refused("model.nothing_found")."""
        folder = self._library.find_any(path, trusted=trusted)
        if model:
            _model(model)
        found = shelving.recognise(folder, model)
        if not found.pointed and not found.refused:
            raise Refused("model.nothing_found", folder=folder.name)
        Shelf.here().point_at(found.pointed)
        models = [self.get(one) for one in found.models]
        return {
            "folder": str(folder), "models": [{name: one[name] for name in ("id", "title", "state")} for one in models],
            "checkpoints": found.checkpoints, "loras": found.loras, "refused": found.refused,
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ what a queue needs
    def needs(self, queue_id: str) -> View:
        """Models that the scenes of a queue name, or that "auto" would rather have, and that are not here:
        {models, bytes, seconds: of the download, None: unknown, free_bytes}."""
        shelf, accepted = Shelf.here(), self._store.models.accepted()
        wanted = self._needed(queue_id)
        missing: dict[Part, int] = {}
        for cls in wanted:
            missing |= {part: _part_view(shelf, part)["missing_bytes"] for part in cls.parts}
        total, pace = sum(missing.values()), self._store.models.pace()
        return {
            "models": [
                {
                    "id": cls.id, "title": catalogue.entry(cls.id).title, "licence": cls.licence,
                    "licence_url": catalogue.licence_url(cls.id), "accepted": cls.licence in accepted,
                    "bytes": sum(missing[part] for part in cls.parts), "gated": catalogue.gated(cls.id),
                }
                for cls in wanted
            ],
            "bytes": total,
            "seconds": round(total / pace) if pace and total else None,
            "free_bytes": free_bytes(shelf.cache),
        }  # fmt: skip

    def _needed(self, queue_id: str) -> Sequence[type[Engine]]:
        queue, ready = self._store.queues.get(queue_id), self._engines.ready()
        found: dict[str, type[Engine]] = {}
        for row in self._store.queues.scenes(queue_id):
            if row.state is State.DONE:
                continue
            cls = self._wanted(row.scene.task_type, row.scene.engine, queue.policy, ready)  # type: ignore[attr-defined]
            if cls and ready[cls.id].state == "needs_download":
                found[cls.id] = cls
        return list(found.values())

    def _wanted(
        self, task: str, named: str, policy: Mapping[str, Any], ready: Readiness
    ) -> type[Engine] | None:  # fmt: skip
        """The engine that a scene names; for "auto" what would do it here if it were installed, and nothing where a
        real engine is ready already."""
        if named != "auto":
            return engine_class(named)
        able = [cls for cls in engines_for(task) if not cls.draft and not cls.costs_money]
        if any(ready[cls.id].state == "ready" for cls in able):
            return None
        machine = self._planner.whole()
        lacking = [cls for cls in able if ready[cls.id].state == "needs_download"]
        for cls in sorted(lacking, key=lambda cls: self._planner.rank(cls, machine)):
            if (fit := self._planner.fit(cls, machine)) is None or fit.plan:
                return cls
        return None

    def fetch_needs(self, queue_id: str, *, accept_licences: bool = False, run: bool = False) -> View:
        """Fetch all that a queue needs; with `run` it is run when the last of it is here, also after a restart."""
        wanted = self._needed(queue_id)
        needs = self.needs(queue_id)
        self._agreed(wanted, accept_licences)
        if wanted:
            self._may_fetch(wanted, needs["bytes"])
        self._store.models.release(queue_id)
        for cls in wanted:
            self._downloads.begin(cls.id, self.get(cls.id)["missing_bytes"], queue_id if run else None)
        if run and not wanted:
            self._runs.run(queue_id)
        return needs

    def _ended(self, state: str, row: Row) -> None:
        """A download is over: begin the run that waits for it, if it was the last."""
        queue_id = row["queue_id"]
        if not queue_id:
            return
        rows = self._store.models.of_queue(queue_id)
        if any(other["state"] in ("waiting", "running") for other in rows):
            return
        self._store.models.release(queue_id)
        error = next((other["error"] for other in rows if other["state"] != "done"), None)
        if all(other["state"] == "done" for other in rows):
            try:
                self._runs.run(queue_id)
            except StudioError as refused:  # preflight found something, or the queue is gone
                error = refused.as_dict()
        if error:
            self._tell(queue_id, error)

    def _tell(self, queue_id: str, error: Mapping[str, Any]) -> None:
        """Nobody is there at night: the notice says why nothing was rendered."""
        log.error("the run that waited for models is not begun: %s", error)
        try:
            queue = self._store.queues.get(queue_id)
        except NotFound:
            return
        facts = {"id": queue.id, "name": queue.name, "code": queue.code, "inbox": queue.inbox, "project": queue.project}
        with self._store.together():
            self._store.notices.tell("no_models", {"queue": facts, "error": error})


def _model(model: str) -> type[Engine]:
    """Raises NotFound, also for an engine that has no weights."""
    cls = engine_class(model)
    if not cls.parts:
        raise NotFound("model.no_weights", model=model)
    return cls


def _part_view(shelf: Shelf, part: Part) -> View:
    state, path, begun = shelf.state(part)
    missing = 0 if state == "here" else max(0, part.bytes - begun)
    return {
        "name": part.name, "repo": part.repo, "revision": part.revision, "bytes": part.bytes, "state": state,
        "missing_bytes": missing, "path": str(path) if path else None,
        "imported": bool(path) and not shelf.ours(path),  # type: ignore[arg-type]
    }  # fmt: skip


def _begun(model: str, shelf: Shelf) -> bool:
    """Is something here that only this model reads? Else nobody meant to have it."""
    own: Iterable[Part] = [part for part in engine_class(model).parts if len(shelving.users(part)) == 1]
    return any(shelf.state(part)[0] != "missing" for part in own)
