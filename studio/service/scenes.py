"""Scenes: read, add, edit, run one, cancel, skip. Every verb of the inspector, the Generate screen and /api/scenes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio.domain import SCENE_CLASSES, SceneAdapter, SceneBase, State
from studio.errors import Conflict, NotFound, Refused, StudioError
from studio.logs import read_scene_log
from studio.pipelines import engine_class
from studio.runner import Runner
from studio.runner.live import Heard
from studio.service.field_errors import field_error
from studio.service.library import Library
from studio.service.queues import Queues
from studio.service.runs import Runs
from studio.service.views import View, named, scene_comment, take_view, title_of
from studio.store import SceneRow, Store, fingerprint
from studio.story.text import MAX_DEPTH, plain

HARMLESS = fingerprint.IN_CUT_ONLY | {"label"}  # editing these makes no new take necessary


class Scenes:
    def __init__(
        self, store: Store, runner: Runner, library: Library, queues: Queues, runs: Runs, log_dir: Path
    ) -> None:
        self._store, self._runner, self._library, self._queues = store, runner, library, queues
        self._runs, self._log_dir = runs, log_dir

    # ------------------------------------------------------------------------------------------ reading
    def get(self, scene_id: str) -> View:
        """The card, all fields, its takes, and the voice takes by line."""
        row = self._store.queues.scene(scene_id)
        takes = [take_view(take, self._store.takes.where(take.id)) for take in self._store.takes.of_scene(scene_id)]
        heard = self._store.voices.transcripts(f"take:{take['id']}" for take in takes)
        for take in takes:
            if found := heard.get(f"take:{take['id']}"):
                take["missing"] = found["missing"]
        return {
            **self._queues.cards([row])[0],
            "scene": row.scene.model_dump(mode="json"),
            "take_list": [take for take in takes if take["layer"] == "picture"],
            "line_takes": {take["line_id"]: take for take in takes if take["layer"] == "voice" and take["selected"]},
            "voice_list": [take for take in takes if take["layer"] == "voice"],
            "comments": [scene_comment(row) for row in self._store.reviews.of_scene(scene_id)],
        }

    def tasks(self) -> list[str]:
        return list(SCENE_CLASSES)

    def schema(self, task_type: str) -> View:
        """JSON schema of a task's scene; screens draw their forms from it."""
        if task_type not in SCENE_CLASSES:
            raise Refused("task.unknown", task=task_type[:60], known=", ".join(SCENE_CLASSES))
        return SCENE_CLASSES[task_type].model_json_schema()

    def log(self, scene_id: str) -> str:
        """Everything said about a scene in the logs, newest last."""
        self._store.queues.scene(scene_id)
        return read_scene_log(self._log_dir, scene_id)

    def preview(self, scene_id: str) -> bytes | None:
        """The newest JPEG of a scene that is being rendered."""
        live = self._runner.live.get(scene_id)
        return live.preview if live else None

    def sound(self, scene_id: str, line_id: str | None = None) -> Heard | Path | None:
        """What can be heard of its line, or of one of its lines: while it is spoken, as far as that is; after that its
        take's file. None: nothing yet."""
        row = self._store.queues.scene(scene_id)
        if line_id and line_id not in {line.id for line in row.scene.lines}:
            raise NotFound("line.unknown", line=line_id[:60])
        live = self._runner.live.get(scene_id)
        if live and live.job.layer == "voice" and line_id in (None, live.job.line_id):
            return live.heard if live.heard.rate else None
        takes = self._store.takes.selected([scene_id], "voice")
        found = [takes[line.id] for line in row.scene.lines if line.id in takes and line_id in (None, line.id)]
        newest = max(found, key=lambda take: take.id, default=None)
        if newest and not newest.path.is_file():
            raise NotFound("take.file_gone", name=newest.path.name)
        return newest.path if newest else None

    # ------------------------------------------------------------------------------------------ writing
    def parse(
        self, values: Mapping[str, Any], *, base: Path | None = None, trusted: bool = False,
        before: SceneBase | None = None,
    ) -> SceneBase:  # fmt: skip
        """A scene from what somebody sent, its files turned into assets; `before`: the one it is a change of. Raises
        Refused naming the field."""
        try:
            values = plain(dict(values))
        except RecursionError as error:
            raise Refused("scene.too_deep", most=MAX_DEPTH) from error
        name = str(values.get("label") or values.get("prompt") or "")[:80]
        task = values.get("task_type")
        if not isinstance(task, str) or task not in SCENE_CLASSES:
            raise Refused("task.unknown", task=str(task)[:60], known=", ".join(SCENE_CLASSES))
        try:
            scene: SceneBase = SceneAdapter.validate_python(values)
            for item in scene.inputs():
                if item.ref.startswith("{{"):  # these count the scenes of a file
                    raise Refused("reference.unreadable", field=item.field, ref=item.ref[:80])
            return self._library.bind(scene, base, trusted=trusted, before=before)
        except ValidationError as error:
            raise field_error(error, name) from error

    def add(self, queue_id: str, values: Mapping[str, Any], at: int | None = None) -> View:
        self._store.queues.get(queue_id)
        scene = self.parse(values)
        with self._store.edits.recording(queue_id, "add", title=title_of(scene.label, scene.prompt)):
            scene_id = self._store.queues.add_scenes(queue_id, [scene], at)[0]
        return self.get(scene_id)

    def edit(self, scene_id: str, changes: Mapping[str, Any], version: int | None = None) -> View:
        """Change some fields. Raises Conflict when `version` is stale or the scene is being rendered. Without a version
        the change is made on top of whatever somebody else changed meanwhile."""
        while True:
            row = self._store.queues.scene(scene_id)
            try:
                scene = self.changed(row, changes, version)
                with self._store.edits.recording(row.queue_id, "edit", [row.id], title=_title(row)):
                    self._store.queues.edit(scene_id, scene, row.version)
                break
            except Conflict as error:
                if version is not None or error.code != "scene.stale":
                    raise
        self.follow_up(row.queue_id, [(row, scene)])
        return self.get(scene_id)

    def changed(self, row: SceneRow, changes: Mapping[str, Any], version: int | None) -> SceneBase:
        """The scene with these fields, checked; nothing is written. Raises what `edit` raises."""
        if row.state is State.RUNNING:
            raise Conflict("scene.running", scene=named(row))
        if version is not None and version != row.version:
            raise Conflict("scene.stale", scene=named(row), version=version, current=row.version)
        scene = self.parse({**row.scene.model_dump(mode="json"), **changes}, before=row.scene)
        self._check_circle(row, scene)
        return scene

    def follow_up(self, queue_id: str, edited: Sequence[tuple[SceneRow, SceneBase]]) -> None:
        """What waits of scenes that were edited is chosen anew; what failed is no longer what it says. `edited`: as
        each was and as it is now."""
        differ = [row for row, scene in edited if _differs(row.scene, scene)]
        if waiting := [row.id for row in differ if row.state is State.QUEUED]:
            self._runs.requeue(queue_id, waiting)
        for row in differ:
            if row.state in (State.FAILED, State.CANCELLED):
                self._store.jobs.reset(row.id)

    def _check_circle(self, row: SceneRow, scene: SceneBase) -> None:
        """Refuse what would make a scene wait for itself."""
        todo = _read(scene)
        if set(todo) <= set(_read(row.scene)):
            return  # it reads nothing that it did not read before
        if row.id in todo:
            raise Refused("scene.reads_itself", scene=named(row))
        seen: set[str] = set()
        while todo:
            at = todo.pop()
            if at == row.id:
                raise Refused("scene.circle", scene=named(row))
            if at not in seen:
                seen.add(at)
                todo += self._store.queues.needs(at)

    def delete(self, scene_id: str, *, force: bool = False) -> None:
        """Raises Conflict while it is being rendered, and, unless `force`, while others read its picture."""
        row = self._store.queues.scene(scene_id)
        if row.state is State.RUNNING:
            raise Conflict("scene.running", scene=named(row))
        if not force:
            self.check_unneeded([row])
        with self._store.edits.recording(row.queue_id, "delete", [scene_id], title=_title(row), deep=True):
            self._store.queues.delete_scenes(row.queue_id, [scene_id])

    def check_unneeded(self, rows: Sequence[SceneRow]) -> None:
        """Raises Conflict("scene.needed") when other scenes read the picture of one of these."""
        readers = self._store.queues.readers([row.id for row in rows])
        if readers:
            here = {row.queue_id for row in rows}
            names = [
                f"{reader['position'] + 1} · {reader['label']}".rstrip(" ·")
                + ("" if reader["queue_id"] in here else f" ({reader['queue']})")
                for reader in readers
            ]
            raise Conflict(
                "scene.needed", scene=", ".join(map(named, rows[:3])), count=len(readers),
                scenes=", ".join(names[:12]), ids=[reader["id"] for reader in readers],
            )  # fmt: skip

    def duplicate(self, scene_id: str) -> View:
        """A copy right after it, without takes."""
        row = self._store.queues.scene(scene_id)
        copy = row.scene.model_copy(
            update={"lines": [line.model_copy(update={"id": ""}) for line in row.scene.lines]}
        )  # fmt: skip
        with self._store.edits.recording(row.queue_id, "duplicate", title=_title(row)):
            made = self._store.queues.add_scenes(row.queue_id, [copy], row.position + 1)[0]
        return self.get(made)

    # ------------------------------------------------------------------------------------------ running
    def generate(
        self, values: Mapping[str, Any], *, run: bool = True, base: Path | None = None, trusted: bool = False
    ) -> View:
        """A scene of its own, in the Inbox; rendered at once unless `run` is false."""
        scene = self.parse(values, base=base, trusted=trusted)
        inbox = self._store.queues.inbox()
        scene_id = self._store.queues.add_scenes(inbox, [scene])[0]
        if run:
            try:
                self.run(scene_id)
            except StudioError:
                self._store.queues.delete_scenes(inbox, [scene_id])  # refused: nothing was changed
                raise
        return self.get(scene_id)

    def run(self, scene_id: str) -> View:
        """Render it (again)."""
        row = self._store.queues.scene(scene_id)
        self._runs.run(row.queue_id, only=[scene_id])
        return self.get(scene_id)

    def cancel(self, scene_id: str) -> View:
        """Stop it, whether it waits or runs."""
        self._store.queues.scene(scene_id)
        self._store.jobs.unqueue([scene_id])
        for job in self._store.jobs.live(scene_id=scene_id):  # asked after: a job may start at any moment before
            if job.state is State.RUNNING:
                self._runner.cancel(job.id)
        return self.get(scene_id)

    def enough(self, scene_id: str) -> View:
        """Its picture ends with the steps that are done by now and is kept. Raises Conflict when it is not being
        rendered, or by an engine that cannot stop early."""
        row = self._store.queues.scene(scene_id)
        live = self._store.jobs.live(scene_id=scene_id)
        running = next((job for job in live if job.state is State.RUNNING and job.layer == "picture"), None)
        if running is None:
            raise Conflict("scene.not_running", scene=named(row))
        if not engine_class(running.engine).stops_early:
            raise Conflict("engine.stops_not", engine=running.engine)
        self._runner.enough(running.id)
        return self.get(scene_id)

    def skip(self) -> int:
        """Cancel what is being rendered now and go on with the next; how many."""
        running = self._store.jobs.running()
        for scene_id in {job.scene_id for job in running}:
            self.cancel(scene_id)
        return len(running)


def _read(scene: SceneBase) -> list[str]:
    """The scenes whose picture it reads."""
    return [item.ref[6:].partition("#")[0] for item in scene.inputs() if item.ref.startswith("scene:")]


def _title(row: SceneRow) -> str:
    return title_of(row.scene.label, row.scene.prompt)


def _differs(old: SceneBase, new: SceneBase) -> bool:
    return old.model_dump(exclude=set(HARMLESS)) != new.model_dump(exclude=set(HARMLESS))
