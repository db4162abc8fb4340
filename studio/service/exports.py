"""The cut: the selected takes of a queue become a film, in a worker, with a row, progress and cancel."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from studio.domain import Frame, SceneBase, State, Take, TextToVideo, new_id, slug
from studio.errors import Cancelled, Conflict, NotFound, Refused, StudioError, Unavailable
from studio.execution import Assignment, Failed, Finished
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan
from studio.runner import Runner, broken
from studio.service.views import View, export_view, title_of
from studio.store import Queue, SceneRow, Store
from studio.store.database import now

log = logging.getLogger(__name__)

Missing = Literal["ask", "leave_out", "draft_card", "stop"]


class Exports:
    def __init__(self, store: Store, runner: Runner, cache: Path) -> None:
        self._store, self._runner, self._cache = store, runner, cache
        self._progress: dict[str, float] = {}
        self._cutting = Lock()  # one film at a time; nothing else is taken while waiting for it
        self._cancelled: set[str] = set()  # films to be stopped, also those whose work has not begun yet
        self._threads: list[Thread] = []

    # ------------------------------------------------------------------------------------------ reading
    def get(self, export_id: str) -> View:
        return self._view(self._store.takes.export(export_id))

    def list(self, queue_id: str) -> Sequence[View]:
        self._store.queues.get(queue_id)
        return [self._view(row) for row in self._store.takes.exports(queue_id)]

    def newest(self, queue_id: str) -> View | None:
        """The newest finished film of a queue."""
        done = [row for row in self._store.takes.exports(queue_id) if row["state"] == State.DONE]
        return self._view(done[0]) if done else None

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

    def subtitles(self, export_id: str) -> Path:
        """The VTT beside it."""
        path = self.file(export_id).with_suffix(".vtt")
        if not path.is_file():
            raise NotFound("export.no_subtitles", export=export_id)
        return path

    # ------------------------------------------------------------------------------------------ cutting
    def cut(self, queue_id: str, missing: Missing = "ask", *, out: Path | None = None, wait: bool = False) -> View:
        """Cut the film of a queue. Scenes without a take: "ask" and "stop" raise Conflict("cut.missing") with their
        numbers, "leave_out" goes on without them, "draft_card" has a card drawn for each."""
        queue = self._store.queues.get(queue_id)
        rows = [row for row in self._store.queues.scenes(queue_id) if row.scene.in_cut]
        takes = self._store.takes.selected([row.id for row in rows])
        gone = [row for row in rows if row.id not in takes or not takes[row.id].path.is_file()]
        if not rows or (len(gone) == len(rows) and missing != "draft_card"):
            raise Refused("cut.nothing", queue=queue.name)
        if gone and missing in ("ask", "stop"):
            names = ", ".join(f"{row.position + 1} · {title_of(row.scene.label, row.scene.prompt)}" for row in gone)
            raise Conflict("cut.missing", count=len(gone), scenes=names, ids=[row.id for row in gone])
        export_id = self._store.takes.add_export(queue_id, "film")
        arguments = (export_id, queue, rows, {row.id for row in gone}, missing, out)
        if wait:
            self._cut(*arguments)
        else:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(Thread(target=self._cut, args=arguments, name=f"cut-{export_id[-6:]}", daemon=True))
            self._threads[-1].start()
        return self.get(export_id)

    def close(self) -> None:
        """Wait until films whose worker was sent away have been written off; the database closes next."""
        for thread in self._threads:
            thread.join(timeout=5)

    def cancel(self, export_id: str) -> None:
        """Stop a film that waits or is being cut; one that is over stays as it is."""
        if self._store.takes.export(export_id)["state"] in (State.QUEUED, State.RUNNING):
            self._cancelled.add(export_id)
            self._runner.lanes.exports[0].cancel(export_id)

    def cancel_all(self, queue_id: str) -> None:
        """Stop every film of a queue."""
        for row in self._store.takes.exports(queue_id):
            self.cancel(row["id"])

    def _go_on(self, export_id: str) -> None:
        """Raises Cancelled. Asked before each step of a film: an executor knows only what it has been given."""
        if export_id in self._cancelled:
            raise Cancelled

    def _cut(
        self, export_id: str, queue: Queue, rows: Sequence[SceneRow], gone: set[str], missing: Missing,
        out: Path | None,
    ) -> None:  # fmt: skip
        with self._cutting:
            try:
                self._go_on(export_id)
                self._store.takes.update_export(export_id, state=State.RUNNING)
                frame = queue.frame or Frame()
                blank = [row for row in rows if row.id in gone] if missing == "draft_card" else []
                drawn = {row.id: self._card(export_id, row, queue, frame) for row in blank}
                used = [row for row in rows if row.id not in gone or row.id in drawn]
                arguments = self._cut_list(queue, frame, used, drawn, out) | {"owner": export_id}
                self._go_on(export_id)
                made = self._runner.ask(
                    self._runner.lanes.exports[0], "cut", arguments, job_id=export_id,
                    step=lambda done, total: self._step(export_id, done, total),
                )  # fmt: skip
                left_out = [row.position + 1 for row in rows if row.id in gone and row.id not in drawn]
                facts = {**made, "missing": left_out, "cards": len(drawn), "bytes": Path(made["path"]).stat().st_size}
                self._store.takes.update_export(
                    export_id, state=State.DONE, progress=1.0, file=Path(made["path"]), facts=facts, finished=now()
                )
            except StudioError as error:
                state = State.CANCELLED if error.code == "cancelled" else State.FAILED
                self._store.takes.update_export(export_id, state=state, error=error.as_dict(), finished=now())
            except Exception as error:
                log.exception("cutting %s", queue.name)
                self._store.takes.update_export(export_id, state=State.FAILED, error=broken(error), finished=now())
            finally:
                self._progress.pop(export_id, None)
                self._cancelled.discard(export_id)
                shutil.rmtree(self._cards, ignore_errors=True)  # also those of a film that a crash cut off

    def _step(self, export_id: str, done: int, total: int) -> None:
        self._progress[export_id] = done / max(total, 1)
        if export_id in self._cancelled:
            self._runner.lanes.exports[0].cancel(export_id)  # it may have been asked before the executor knew the film

    def _cut_list(
        self, queue: Queue, frame: Frame, rows: Sequence[SceneRow], drawn: Mapping[str, Take], out: Path | None
    ) -> dict[str, Any]:
        """Files and numbers only: the tool that cuts knows no scenes."""
        takes = {**self._store.takes.selected([row.id for row in rows]), **drawn}
        clips, lines = [], []
        for index, row in enumerate(rows):
            take = takes[row.id]
            sound = self._sound(row.id, take)
            lines += [{**line, "clip": index} for line in sound]
            clips.append(
                {
                    "path": str(take.path), "num_frames": take.num_frames, "fps": take.fps,
                    "transition": row.scene.transition, "own_sound": not sound and take.kind == "video",
                    "title": title_of(row.scene.label, row.scene.prompt),
                }
            )  # fmt: skip
        music = queue.music and {"path": str(self._asset(queue.music.ref)), "level": queue.music.level}
        return {
            "frame": frame.model_dump(), "clips": clips, "lines": lines, "music": music,
            "out": str(out or self._film_path(queue)), "cache": str(self._cache / "conform"),
            "comment": {"queue": queue.name, "code": queue.code, "takes": [takes[row.id].id for row in rows]},
        }  # fmt: skip

    def _sound(self, scene_id: str, take: Take) -> Sequence[dict[str, Any]]:
        """The lines of a take from their own files, at full quality; none: the clip's own sound counts."""
        voices = {voice.path.name: voice for voice in self._store.takes.of_scene(scene_id) if voice.layer == "voice"}
        lines = take.facts.get("lines", ())
        if not all(line["file"] in voices and voices[line["file"]].path.is_file() for line in lines):
            return []
        names = ("start", "duration", "character", "text")
        return [{"path": str(voices[line["file"]].path)} | {name: line[name] for name in names} for line in lines]

    def _asset(self, ref: str) -> Path:
        path = self._store.takes.asset(ref.removeprefix("asset:")).path
        if not path.is_file():
            raise NotFound("input.gone", field="music", name=path.name)
        return path

    def _film_path(self, queue: Queue) -> Path:
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        path = self._runner.assigner.folder(queue) / f"{slug(queue.name) or queue.code.lower()}_film_{stamp}.mp4"
        return path.with_stem(f"{path.stem}_{new_id()[-6:].lower()}") if path.exists() else path

    @property
    def _cards(self) -> Path:
        """Where the cards of the film in hand lie until it is cut."""
        return self._cache / "cards"

    def _card(self, export_id: str, row: SceneRow, queue: Queue, frame: Frame) -> Take:
        """A card drawn by the draft engine in place of a scene that has no take. It is no take and is not kept."""
        self._go_on(export_id)
        scene: SceneBase = TextToVideo(
            label=row.scene.label, prompt=row.scene.prompt or row.scene.label or "…", seed=row.scene.seed or 0,
            duration=getattr(row.scene, "duration", None) or 4.0,
        )  # fmt: skip
        assignment = Assignment(
            job_id=export_id, attempt=1, engine="draft", task=scene.model_dump(mode="json"), plan=Plan(),
            inputs=Inputs(frame=frame, style=queue.name, number=row.position + 1, total=row.position + 1),
            seed=scene.seed or 0, out=self._cards / row.id, posters=self._cards / row.id,
        )  # fmt: skip
        for event in self._runner.lanes.exports[0].submit(assignment):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                names = ("kind", "width", "height", "fps", "num_frames", "duration")
                return Take(
                    id="", scene_id=row.id, line_id=None, layer="picture", number=0, path=event.path, engine="draft",
                    profile="cpu", seed=0, facts={}, created=now(), draft=engine_class("draft").draft,
                    **{name: event.facts[name] for name in names},
                )  # fmt: skip
        raise Unavailable("worker.gone")
