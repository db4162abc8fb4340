"""Queues: list, read, create, change, reorder, delete. What the Queues screen and /api/queues show."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from studio.domain import CutSettings, Frame, Music, Policy, State, Take, one_line
from studio.errors import Conflict, Refused
from studio.service.exports import Exports
from studio.service.field_errors import field_error
from studio.service.library import Library
from studio.service.runs import Runs
from studio.service.stale import Stale
from studio.service.views import View, card, queue_view
from studio.store import Queue, SceneRow, Store
from studio.store.database import stamp

NO_COMMENTS: Mapping[str, int] = {"open": 0, "retake": 0}


class QueueChanges(Policy):
    """What may be changed about a queue; what is not named stays."""

    name: Annotated[str, AfterValidator(one_line)] = Field("", min_length=1, max_length=200)
    frame: Frame = Frame()
    music: Music | None = None
    cut: CutSettings = CutSettings()
    priority: int = Field(0, ge=-9, le=9, description="queues of a higher one go first")
    starts_at: AwareDatetime | None = Field(None, description="nothing of it begins before")


class Queues:
    def __init__(self, store: Store, library: Library, exports: Exports, runs: Runs) -> None:
        self._store, self._library, self._exports, self._runs = store, library, exports, runs
        self._stale = Stale(store)

    # ------------------------------------------------------------------------------------------ reading
    def list(self) -> list[View]:
        queues = self._store.queues.all()
        tallies = self._store.queues.tallies(queue.id for queue in queues)
        now = self._runs.now()
        reviews = self._store.review.counts(queue.id for queue in queues)
        return [
            {**queue_view(queue, *tallies[queue.id], self._exports.newest(queue.id), now), **reviews[queue.id]}
            for queue in queues
        ]

    def view(self, queue_id: str) -> View:
        return self._view(self._store.queues.get(queue_id))

    def _view(self, queue: Queue) -> View:
        tally = self._store.queues.tallies([queue.id])[queue.id]
        review = self._store.review.counts([queue.id])[queue.id]
        shown = queue_view(queue, *tally, self._exports.newest(queue.id), self._runs.now())
        return {**shown, **review, **self._store.edits.names(queue.id)}

    def get(self, queue_id: str, since: str | None = None) -> View:
        """What changed since a version; everything when that version is not of this boot. `queue` is None when nothing
        at all changed, which is what a page hears every second: its counts need every row of the queue."""
        queue = self._store.queues.get(queue_id)
        version, rows, removed = self._store.since(queue_id, since)
        view = None if version == since else self._view(queue)
        return {"version": version, "queue": view, "scenes": self.cards(rows), "removed": removed}

    def cards(self, rows: Sequence[SceneRow]) -> Sequence[View]:
        ids = [row.id for row in rows]
        takes, counts = self._store.takes.selected(ids), self._store.takes.counts(ids)
        voices = self._store.takes.selected(ids, "voice") if any(row.scene.kind == "audio" for row in rows) else {}
        queues = {row.queue_id for row in rows if row.state is State.QUEUED}
        blockers = {scene: row for queue in queues for scene, row in self._store.queues.blockers(queue).items()}
        changed, reviews = self._stale.of(rows, takes), self._store.review.states(ids)
        comments, verdicts = self._store.reviews.counts(ids), self._store.reviews.verdicts_of(ids)
        return [
            card(
                row, takes.get(row.id) or _spoken(row, voices), counts.get(row.id, 0), _blocked(blockers.get(row.id)),
                changed[row.id].layers, changed[row.id].heard,
            )
            | {"review": reviews.get(row.id, ""), "comments": comments.get(row.id, NO_COMMENTS)}
            | {"verdicts": verdicts.get(row.id, [])}
            for row in rows
        ]  # fmt: skip

    # ------------------------------------------------------------------------------------------ changing
    def create(self, name: str, *, frame: Mapping[str, Any] | None = None) -> View:
        name = one_line(name)
        if not name:
            raise Refused("queue.no_name")
        try:
            queue_id = self._store.queues.create(name, frame=Frame.model_validate(frame or {}))
        except ValidationError as error:
            raise field_error(error, name) from error
        return self.view(queue_id)

    def update(self, queue_id: str, changes: Mapping[str, Any]) -> View:
        """Any of QueueChanges."""
        queue = self._store.queues.get(queue_id)
        try:
            wanted = QueueChanges.model_validate(dict(changes))
        except ValidationError as error:
            raise field_error(error, queue.name) from error
        values: dict[str, Any] = {}
        if "name" in changes:
            values["name"] = wanted.name
        if "frame" in changes:
            values["frame"] = wanted.frame.model_dump_json()
        if "music" in changes:
            values["music"] = self._music(wanted.music)
        if "cut" in changes:
            values["cut"] = wanted.cut.model_dump_json(exclude_defaults=True)
        if "priority" in changes:
            values["priority"] = wanted.priority
        if "starts_at" in changes:
            values["starts_at"] = stamp(wanted.starts_at) if wanted.starts_at else None
        if policy := wanted.model_dump(include=set(Policy.model_fields) & set(changes)):
            values["policy"] = policy
        if values:
            self._store.queues.update(queue_id, values)
            self._runs.changed()
        return self.view(queue_id)

    def _music(self, music: Music | None) -> str | None:
        if music is None:
            return None
        ref = self._library.bind_sound(music.ref, None, trusted=False)
        return music.model_copy(update={"ref": ref}).model_dump_json()

    def delete(self, queue_id: str) -> None:
        """The queue and its scenes. What is running is cancelled, films too; files of takes stay where they are."""
        self._store.queues.get(queue_id)
        if self._store.jobs.live(queue_id=queue_id):
            self._runs.stop(queue_id)
            if any(job.state is State.RUNNING for job in self._store.jobs.live(queue_id=queue_id)):
                raise Conflict("queue.still_running", queue=queue_id)
        self._exports.cancel_all(queue_id)
        self._store.queues.delete(queue_id)

    def move(self, queue_id: str, to: int) -> None:
        """To this place (from 0) among the queues: of those of one priority, the first is run first."""
        self._store.queues.get(queue_id)
        self._store.queues.move(queue_id, to)
        self._runs.changed()

    def reorder(self, queue_id: str, scene_ids: Sequence[str]) -> None:
        self._store.queues.get(queue_id)
        with self._store.edits.recording(queue_id, "reorder"):
            self._store.queues.reorder(queue_id, scene_ids)


# ------------------------------------------------------------------------------------------------ helpers of this door
def _blocked(blocker: Mapping[str, Any] | None) -> View | None:
    """Why a queued scene cannot start: an input of another scene that nobody is going to make."""
    if blocker is None:
        return None
    if blocker["id"] is None:
        return {"code": "scene.input_gone", "params": {}}
    return {"code": "scene.blocked", "params": {"number": blocker["position"] + 1, "label": blocker["label"]}}


def _spoken(row: SceneRow, voices: Mapping[str, Take]) -> Take | None:
    """What a scene of speech shows for a take: its first line's. A picture's voice is not its take."""
    if row.scene.kind != "audio":
        return None
    return next((voices[line.id] for line in row.scene.lines if line.id in voices), None)
