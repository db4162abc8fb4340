"""Editing many scenes at once, and undoing it: the verbs of the selection bar, of Ctrl+Z and of the scene menu.

One that is being rendered is refused, the others go on; whoever asks is told which and why.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from studio.domain import SceneBase, State
from studio.errors import Conflict, NotFound, Refused, StudioError
from studio.service.runs import Runs
from studio.service.scenes import Scenes
from studio.service.views import View, named, title_of
from studio.store import SceneRow, Store

CONTINUED: Mapping[str, tuple[str, str, str]] = {  # task -> (what it becomes, field, frame of the scene before)
    "text_to_video": ("image_to_video", "input_image", "#last"),
    "image_to_video": ("image_to_video", "input_image", "#last"),
    "talking_avatar": ("talking_avatar", "input_image", "#last"),
    "single_shot_extension": ("single_shot_extension", "input_video", ""),
    "shot_switching_extension": ("shot_switching_extension", "input_video", ""),
}  # fmt: skip
Changes = Mapping[str, Any]
ONLY_ONE = {"task_type", "lines"}  # fields that many scenes cannot share


class Editing:
    def __init__(self, store: Store, scenes: Scenes, runs: Runs) -> None:
        self._store, self._scenes, self._runs = store, scenes, runs

    # ------------------------------------------------------------------------------------------ many at once
    def edit_many(
        self, queue_id: str, scene_ids: Sequence[str], changes: Changes, *,
        versions: Mapping[str, int] | None = None, seed_step: int | None = None,
    ) -> View:  # fmt: skip
        """The same changes to several scenes. `seed_step`: the seed of the first, in the order of the queue, and so
        much more for each that follows. Answers {changed: [{id, version}], refused: [{id, scene, error}]}."""
        if wrong := ONLY_ONE & set(changes):
            raise Refused("edit.only_one", field=sorted(wrong)[0])
        rows = self._store.queues.scenes(queue_id, scene_ids)
        seeds = _seeds(rows, changes.get("seed"), seed_step)
        return self.edit_each(
            queue_id,
            scene_ids,
            lambda row: {**changes, **({"seed": seeds[row.id]} if seeds else {})},
            versions=versions,
        )

    def edit_each(
        self, queue_id: str, scene_ids: Sequence[str], changes_of: Callable[[SceneRow], Changes], *,
        versions: Mapping[str, int] | None = None, verb: str = "edit_many", title: str = "",
    ) -> View:  # fmt: skip
        """As `edit_many`, each scene with changes of its own; one entry of the history."""
        self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id, scene_ids)
        refused = [_unknown(scene_id) for scene_id in sorted(set(scene_ids) - {row.id for row in rows})]
        ready: list[tuple[SceneRow, SceneBase]] = []
        for row in rows:
            try:
                ready.append((row, self._scenes.changed(row, changes_of(row), (versions or {}).get(row.id))))
            except StudioError as error:
                refused.append(_refusal(row, error))
        written = []
        with self._store.edits.recording(queue_id, verb, [row.id for row, _ in ready], title=title):
            for row, scene in ready:
                try:
                    self._store.queues.edit(row.id, scene, row.version)
                    written.append((row, scene))
                except Conflict as error:  # edited or begun since it was read
                    refused.append(_refusal(row, error))
        self._scenes.follow_up(queue_id, written)
        changed = [{"id": row.id, "version": row.version + 1} for row, _ in written]
        return {"changed": changed, "refused": refused}

    def delete_many(self, queue_id: str, scene_ids: Sequence[str], *, force: bool = False) -> View:
        """Answers {deleted: [ids], refused}. Raises Conflict("scene.needed") when others read one of them, unless
        `force`: then nothing is deleted."""
        self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id, scene_ids)
        refused = [_unknown(scene_id) for scene_id in sorted(set(scene_ids) - {row.id for row in rows})]
        running = [row for row in rows if row.state is State.RUNNING]
        refused += [_refusal(row, Conflict("scene.running", scene=named(row))) for row in running]
        rows = [row for row in rows if row.state is not State.RUNNING]
        if not force:
            self._scenes.check_unneeded(rows)
        title = title_of(rows[0].scene.label, rows[0].scene.prompt) if len(rows) == 1 else ""
        with self._store.edits.recording(queue_id, "delete", [row.id for row in rows], title=title, deep=True):
            self._store.queues.delete_scenes(queue_id, [row.id for row in rows])
        return {"deleted": [row.id for row in rows], "refused": refused}

    # ------------------------------------------------------------------------------------------ history
    def undo(self, queue_id: str, way: Literal["undo", "redo"] = "undo") -> View:
        """{done: {verb, title, count}, undo, redo}: what was undone (or done again), and what would be next."""
        self._store.queues.get(queue_id)
        what, touched = self._store.edits.step(queue_id, way)
        rows = self._store.queues.scenes(queue_id, touched)
        if waiting := [row.id for row in rows if row.state is State.QUEUED]:
            self._runs.requeue(queue_id, waiting)
        return {"done": what, **self._store.edits.names(queue_id)}

    def history(self, queue_id: str) -> list[View]:
        """What was edited, newest first: {id, verb, title, count, undone, at}."""
        self._store.queues.get(queue_id)
        return self._store.edits.history(queue_id)

    # ------------------------------------------------------------------------------------------ one after the other
    def continue_from_previous(self, scene_id: str) -> View:
        """It begins where the scene before it ends. A text to video becomes an image to video."""
        row = self._store.queues.scene(scene_id)
        task = row.scene.task_type  # type: ignore[attr-defined]
        if task not in CONTINUED:
            raise Refused("scene.cannot_continue", scene=named(row), task=task)
        becomes, field, part = CONTINUED[task]
        before = self._store.queues.scenes(row.queue_id)[: row.position]
        shots = [other for other in before if other.scene.kind == "video"]
        stills = [other for other in before if other.scene.kind == "image" and field == "input_image"]
        if not (shots or stills):
            raise Refused("scene.no_previous", scene=named(row))
        previous = (shots or stills)[-1]
        return self._scenes.edit(scene_id, {"task_type": becomes, field: f"scene:{previous.id}{part}"}, row.version)


def _seeds(rows: Sequence[SceneRow], first: Any, step: int | None) -> dict[str, int]:
    """By scene, where seeds are counted up."""
    if step is None or not rows:
        return {}
    if first is None:
        first = rows[0].scene.seed if rows[0].scene.seed is not None else random.getrandbits(31)
    if not isinstance(first, int) or isinstance(first, bool):
        raise Refused("request.invalid", field="seed", reason=str(first)[:40])
    return {row.id: first + step * index for index, row in enumerate(rows)}


def _refusal(row: SceneRow, error: StudioError) -> View:
    return {"id": row.id, "scene": named(row), "error": error.as_dict()}


def _unknown(scene_id: str) -> View:
    return {"id": scene_id, "scene": "", "error": NotFound("scene.unknown", scene=scene_id[:40]).as_dict()}
