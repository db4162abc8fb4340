"""Exports: films, stems, subtitles, clips, packages. Each has a row, progress, cancel, and a file that appears whole.

What they are made of is service.cut_list's and service.cutting's business.
"""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from pydantic import ValidationError

from studio.domain import CutSettings, State
from studio.errors import Cancelled, Conflict, NotFound, Refused, StudioError
from studio.runner import Runner, broken
from studio.service.cut_list import CutLists
from studio.service.cutting import Aspect, ClipWish, Cutting, FilmKind, Missing, Subtitles, Wish
from studio.service.field_errors import field_error
from studio.service.views import View, export_view, title_of
from studio.store import Store
from studio.store.database import now

log = logging.getLogger(__name__)

OURS = ("outputs", "data")  # roots below which files are ours to remove
BESIDE = (".vtt", ".srt")  # what a film has beside it

Step = Callable[[int, int], None]
Work = Callable[[Step], tuple[Path, Mapping[str, Any]]]


class Exports:
    def __init__(self, store: Store, runner: Runner, cache: Path) -> None:
        self._store, self._runner, self._cache = store, runner, cache
        self._lists = CutLists(store)
        self._cutting = Cutting(store, runner, self._lists, cache)
        self._progress: dict[str, float] = {}
        self._turn = Lock()  # one film at a time; nothing else is taken while waiting for it
        self._cancelled: set[str] = set()  # films to be stopped, also those whose work has not begun yet
        self._threads: list[Thread] = []

    # ------------------------------------------------------------------------------------------ reading
    def get(self, export_id: str) -> View:
        return self._view(self._store.takes.export(export_id))

    def list(self, queue_id: str) -> Sequence[View]:
        self._store.queues.get(queue_id)
        return [self._view(row) for row in self._store.takes.exports(queue_id)]

    def newest(self, queue_id: str) -> View | None:
        """The newest finished film of a queue in its own shape: what the player shows."""
        for row in self._store.takes.exports(queue_id):
            own = json.loads(row["facts"]).get("aspect", "own") == "own"
            if row["kind"] == "film" and row["state"] == State.DONE and own:
                return self._view(row)
        return None

    def _view(self, row: Mapping[str, Any]) -> View:
        error = json.loads(row["error"]) if row["error"] else None
        path = self._store.roots.file(row["root"], row["path"]) if row["path"] else None
        row = {**row, "progress": self._progress.get(row["id"], row["progress"])}
        return export_view(row, json.loads(row["facts"]), error, path)

    def file(self, export_id: str) -> Path:
        """The film. Raises NotFound while there is none."""
        row = self._store.takes.export(export_id)
        path = self._store.roots.file(row["root"], row["path"]) if row["path"] else None
        if path is None or not path.is_file():
            raise NotFound("export.no_file", export=export_id)
        return path

    def subtitles(self, export_id: str, form: Literal["vtt", "srt"] = "vtt") -> Path:
        """Those beside it."""
        path = self.file(export_id).with_suffix(f".{form}")
        if not path.is_file():
            raise NotFound("export.no_subtitles", export=export_id)
        return path

    def timeline(self, queue_id: str) -> View:
        """What the film would be made of now, on its clock."""
        return self._lists.timeline(queue_id)

    def name(self, queue_id: str, template: str, aspect: Aspect = "own") -> str:
        """What a film of this queue would be called now by another template, without its suffix."""
        queue = self._store.queues.get(queue_id)
        try:
            CutSettings(name=template)
        except ValidationError as error:
            raise field_error(error, queue.name) from error
        return self._cutting.called(queue, template.strip(), aspect)

    # ------------------------------------------------------------------------------------------ making
    def cut(
        self, queue_id: str, missing: Missing = "ask", *, kind: FilmKind = "film", aspect: Aspect = "own",
        subtitles: Subtitles = "file", out: Path | None = None, wait: bool = False,
    ) -> View:  # fmt: skip
        """Cut the film of a queue, or make its stems or subtitles alone. Scenes without a take: "ask" and "stop" raise
        Conflict("cut.missing") with their numbers, "leave_out" goes on without them, "draft_card" has a card drawn."""
        queue = self._store.queues.get(queue_id)
        rows = [row for row in self._store.queues.scenes(queue_id) if row.scene.in_cut]
        takes = self._store.takes.selected([row.id for row in rows])
        gone = [row for row in rows if row.id not in takes or not takes[row.id].path.is_file()]
        if not rows or (len(gone) == len(rows) and missing != "draft_card"):
            raise Refused("cut.nothing", queue=queue.name)
        if gone and missing in ("ask", "stop"):
            names = ", ".join(f"{row.position + 1} · {title_of(row.scene.label, row.scene.prompt)}" for row in gone)
            raise Conflict("cut.missing", count=len(gone), scenes=names, ids=[row.id for row in gone])
        export_id = self._store.takes.add_export(queue_id, kind)
        wish = Wish(kind, missing, aspect, subtitles, out)

        def work(step: Step) -> tuple[Path, dict[str, Any]]:
            try:
                return self._cutting.film(
                    export_id, queue, rows, {row.id for row in gone}, wish, self._step_of(export_id),
                    lambda: self._go_on(export_id),
                )  # fmt: skip
            finally:
                shutil.rmtree(self._cutting.cards, ignore_errors=True)  # also those of a film that a crash cut off

        self.make(export_id, work, alone=True, wait=wait)
        return self.get(export_id)

    def clip(self, take_id: str, wish: ClipWish, *, wait: bool = False) -> View:
        """A take as a moving or still picture: WebP, AVIF, GIF, PNG, JPEG."""
        take = self._store.takes.get(take_id)
        if take.kind == "audio":
            raise Refused("media.no_picture", name=take.path.name)
        if not take.path.is_file():
            raise NotFound("take.file_gone", name=take.path.name)
        export_id = self._store.takes.add_export(str(self._store.takes.where(take_id)["queue_id"]), "clip")
        self.make(
            export_id,
            lambda step: self._cutting.clip(export_id, take, wish, self._step_of(export_id)),
            alone=True,
            wait=wait,
        )
        return self.get(export_id)

    def make(self, export_id: str, work: Work, *, alone: bool = False, wait: bool = False) -> None:
        """Have an export made in a thread of its own: `work` gets a `step(done, total)` that raises Cancelled and
        returns (file, facts); state, progress and whatever goes wrong are written down here. `alone`: after the others
        of its kind, since all of them ask one worker."""
        if wait:
            self._make(export_id, work, alone)
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        name = f"cut-{export_id[-6:]}" if alone else f"export-{export_id[-6:]}"
        self._threads.append(Thread(target=self._make, args=(export_id, work, alone), name=name, daemon=True))
        self._threads[-1].start()

    def _make(self, export_id: str, work: Work, alone: bool) -> None:
        def step(done: int, total: int) -> None:
            self._step(export_id, done, total)
            self._go_on(export_id)

        with self._turn if alone else nullcontext():
            values: dict[str, Any]
            try:
                self._go_on(export_id)
                self._store.takes.update_export(export_id, state=State.RUNNING)
                path, facts = work(step)
                values = {"state": State.DONE, "progress": 1.0, "file": path, "facts": dict(facts)}
            except StudioError as error:
                state = State.CANCELLED if error.code == "cancelled" else State.FAILED
                values = {"state": state, "error": error.as_dict()}
            except Exception as error:
                log.exception("making export %s", export_id)
                values = {"state": State.FAILED, "error": broken(error)}
            self._store.takes.update_export(export_id, **values, finished=now())
            self._progress.pop(export_id, None)
            self._cancelled.discard(export_id)

    def close(self) -> None:
        """Wait until films whose worker was sent away have been written off; the database closes next."""
        for thread in self._threads:
            thread.join(timeout=5)

    def cancel(self, export_id: str) -> None:
        """Stop an export that waits or is being made; one that is over stays as it is."""
        if self._store.takes.export(export_id)["state"] in (State.QUEUED, State.RUNNING):
            self._cancelled.add(export_id)
            self._runner.lanes.exports[0].cancel(export_id)

    def remove(self, export_id: str) -> None:
        """An export that is over, with its file and what lies beside it; one that waits or is being made is stopped.
        A file that was exported out of the studio's own folders stays where it is."""
        row = self._store.takes.export(export_id)
        if row["state"] in (State.QUEUED, State.RUNNING):
            return self.cancel(export_id)
        if row["path"] and row["root"] in OURS:
            path = self._store.roots.file(row["root"], row["path"])
            for suffix in (path.suffix, *BESIDE):
                path.with_suffix(suffix).unlink(missing_ok=True)
        self._store.takes.delete_export(export_id)

    def cancel_all(self, queue_id: str) -> None:
        """Stop every export of a queue."""
        for row in self._store.takes.exports(queue_id):
            self.cancel(row["id"])

    def _go_on(self, export_id: str) -> None:
        """Raises Cancelled. Asked before each step of a film: an executor knows only what it has been given."""
        if export_id in self._cancelled:
            raise Cancelled

    def _step_of(self, export_id: str) -> Step:
        return lambda done, total: self._step(export_id, done, total)

    def _step(self, export_id: str, done: int, total: int) -> None:
        self._progress[export_id] = done / max(total, 1)
        if export_id in self._cancelled:
            self._runner.lanes.exports[0].cancel(export_id)  # it may have been asked before the executor knew the film
