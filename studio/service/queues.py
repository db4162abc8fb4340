"""Queues: import an episode, run, pause, retry, restart, reorder. The verbs of the Queues screen and /api/queues."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from studio.domain import Frame, Language, Line, Music, SceneBase, Speech, State, Take, slug
from studio.errors import Conflict, Refused, StudioError
from studio.runner import Runner
from studio.service.engines import Engines
from studio.service.exports import Exports
from studio.service.library import Library
from studio.service.views import View, card, named, queue_view
from studio.store import POLICY, Queue, SceneRow, Store, Wanted
from studio.story.episode import Cast, Entry, Episode, Head, dump, parse, problems_of, sources
from studio.story.problem import Problem


class QueueChanges(BaseModel):
    """What may be changed about a queue; what is not named stays."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    name: str = Field("", min_length=1, max_length=200)
    frame: Frame = Frame()
    music: Music | None = None
    allow_draft: StrictBool = True
    allow_paid: StrictBool = False
    on_error: Literal["skip", "stop"] = "skip"


class Queues:
    def __init__(
        self, store: Store, runner: Runner, library: Library, engines: Engines, exports: Exports, sample: Path
    ) -> None:
        """`sample`: the bundled episode."""
        self._store, self._runner, self._library, self._engines = store, runner, library, engines
        self._exports, self._sample = exports, sample

    # ------------------------------------------------------------------------------------------ reading
    def list(self) -> list[View]:
        queues = self._store.queues.all()
        tallies = self._store.queues.tallies(queue.id for queue in queues)
        return [queue_view(queue, *tallies[queue.id], self._exports.newest(queue.id)) for queue in queues]

    def _view(self, queue: Queue) -> View:
        return queue_view(queue, *self._store.queues.tallies([queue.id])[queue.id], self._exports.newest(queue.id))

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
        return [
            card(row, takes.get(row.id) or _spoken(row, voices), counts.get(row.id, 0), _blocked(blockers.get(row.id)))
            for row in rows
        ]

    # ------------------------------------------------------------------------------------------ import
    def check_episode(self, text: bytes | str, *, base: Path | None = None, trusted: bool = False) -> View:
        """What an episode file holds and what is wrong with it. Nothing is written."""
        episode = parse(text)
        if episode.head.music:
            with _named_head():
                self._library.check_sound(episode.head.music.ref, base, trusted=trusted)
        return report(self._checked(episode, base, trusted))

    def _checked(self, episode: Episode, base: Path | None, trusted: bool) -> Episode:
        """With the files looked at and the engines asked; scenes that read a bad scene are bad too."""
        entries = [self._check(entry, base, trusted) for entry in episode.entries]
        changed = True
        while changed:
            changed = False
            for entry in entries:
                for item, source in sources(entry.scene) if entry.scene and not entry.problems else ():
                    if entries[source].problems:
                        problem = Problem(item.field, "reference.bad_scene", {"number": source + 1})
                        entries[entry.index] = entry.with_problem(problem)
                        changed = True
        return Episode(episode.head, tuple(entries))

    def _check(self, entry: Entry, base: Path | None, trusted: bool) -> Entry:
        if entry.scene is None:
            return entry
        for problem in self._library.check(entry.scene, base, trusted=trusted):
            entry = entry.with_problem(problem)
        try:
            self._engines.choose(entry.scene or _never(), {"allow_paid": True})
        except StudioError as error:
            entry = entry.with_problem(Problem(str(error.params.get("field", "engine")), error.code, error.params))
        return entry

    def import_episode(
        self, text: bytes | str, *, name: str = "", base: Path | None = None, only_valid: bool = False,
        trusted: bool = False, fallback_name: str = "",
    ) -> View:  # fmt: skip
        """A new queue of an episode's scenes. Raises Refused("episode.problems") when a scene is not valid and
        `only_valid` is false: then nothing is written."""
        episode = self._checked(parse(text), base, trusted)
        bad = [entry for entry in episode.entries if entry.problems]
        good = [entry for entry in episode.entries if not entry.problems]
        if (bad and not only_valid) or not good:
            first = bad[0]
            raise Refused(
                "episode.problems", count=len(bad), scene=_called(first), field=first.problems[0].field,
                report=report(episode),
            )  # fmt: skip
        music = self._bound_music(episode.head, base, trusted)
        renumbered = {entry.index: number for number, entry in enumerate(good)}
        scenes = [self._bound(entry, renumbered, base, trusted) for entry in good]
        queue_id = self._create(episode.head, music, name or episode.head.title or fallback_name or "Episode")
        self._store.queues.add_scenes(queue_id, scenes)
        return {"queue": self._view(self._store.queues.get(queue_id)), "report": report(episode)}

    def _bound(self, entry: Entry, renumbered: Mapping[int, int], base: Path | None, trusted: bool) -> SceneBase:
        try:
            return self._library.bind(_moved(entry, renumbered), base, trusted=trusted)
        except StudioError as error:  # a URL that gave nothing, or something else
            raise Refused(
                "scene.field", scene=_called(entry), field=error.params.get("field", ""), why=error.as_dict()
            ) from error

    def _bound_music(self, head: Head, base: Path | None, trusted: bool) -> Music | None:
        if head.music is None:
            return None
        with _named_head():
            ref = self._library.bind_sound(head.music.ref, base, trusted=trusted)
        return head.music.model_copy(update={"ref": ref})

    def _create(self, head: Head, music: Music | None, name: str) -> str:
        queue_id = self._store.queues.create(name, frame=head.frame or Frame(), music=music)
        project_id = self._store.queues.get(queue_id).project_id
        for character in head.cast:
            self._store.queues.add_character(project_id, character.name, character.voice)
        return queue_id

    def import_sample(self) -> View:
        """The bundled episode as a new queue."""
        imported: View = self.import_episode(self._sample.read_bytes(), base=self._sample.parent, trusted=True)["queue"]
        return imported

    def export_episode(self, queue_id: str) -> View:
        """The episode file of a queue: scenes as they are now, references by asset and by {{job:N}}."""
        queue = self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id)
        numbers = {row.id: row.position for row in rows}
        scenes = []
        for row in rows:
            refs = {}
            for item in row.scene.inputs():
                scene_id, mark, part = item.ref.removeprefix("scene:").partition("#")
                if item.ref.startswith("scene:") and scene_id in numbers:
                    refs[item.field] = f"{{{{job:{numbers[scene_id]}}}}}{mark}{part}"
            scene = row.scene.with_inputs(refs) if refs else row.scene
            scenes.append(scene.model_dump(mode="json", exclude_defaults=True) | {"task_type": row.scene.task_type})  # type: ignore[attr-defined]
            for line in scenes[-1].get("lines", ()):
                line.pop("id", None)
        speaking = {slug(line.character) for row in rows for line in row.scene.lines}
        voices = {name: row for name, row in self._store.queues.cast(queue.project_id).items() if row["voice"]}
        cast = [Cast(name=row["name"], voice=row["voice"]) for name, row in voices.items() if name in speaking]
        head = Head(title=queue.name, frame=queue.frame, music=queue.music, defaults={}, cast=cast)
        return dump(head, scenes)

    # ------------------------------------------------------------------------------------------ changing
    def create(self, name: str, *, frame: Mapping[str, Any] | None = None) -> View:
        name = name.strip()[:200]
        if not name:
            raise Refused("queue.no_name")
        try:
            queue_id = self._store.queues.create(name, frame=Frame.model_validate(frame or {}))
        except ValidationError as error:
            raise field_error(error, name) from error
        return self._view(self._store.queues.get(queue_id))

    def update(self, queue_id: str, changes: Mapping[str, Any]) -> View:
        """name, frame, music, allow_draft, allow_paid, on_error."""
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
        if policy := wanted.model_dump(include=set(POLICY) & set(changes)):
            values["policy"] = policy
        if values:
            self._store.queues.update(queue_id, values)
        return self._view(self._store.queues.get(queue_id))

    def _music(self, music: Music | None) -> str | None:
        if music is None:
            return None
        ref = self._library.bind_sound(music.ref, None, trusted=False)
        return music.model_copy(update={"ref": ref}).model_dump_json()

    def delete(self, queue_id: str) -> None:
        """The queue and its scenes. What is running is cancelled, films too; files of takes stay where they are."""
        self._store.queues.get(queue_id)
        if self._store.jobs.live(queue_id=queue_id):
            self.stop(queue_id)
            if any(job.state is State.RUNNING for job in self._store.jobs.live(queue_id=queue_id)):
                raise Conflict("queue.still_running", queue=queue_id)
        self._exports.cancel_all(queue_id)
        self._store.queues.delete(queue_id)

    def reorder(self, queue_id: str, scene_ids: Sequence[str]) -> None:
        self._store.queues.get(queue_id)
        self._store.queues.reorder(queue_id, scene_ids)

    # ------------------------------------------------------------------------------------------ running
    def run(self, queue_id: str, *, only: Iterable[str] | None = None) -> View:
        """Queue everything that is not done, or just the scenes of `only`, done or not."""
        rows = self._store.queues.scenes(queue_id, only)
        wanted = rows if only is not None else [row for row in rows if row.state is not State.DONE]
        return self._enqueue(queue_id, wanted, afresh=False)

    def retry(self, queue_id: str) -> View:
        """Failed and cancelled scenes again."""
        rows = self._store.queues.scenes(queue_id)
        return self._enqueue(
            queue_id, [row for row in rows if row.state in (State.FAILED, State.CANCELLED)], afresh=False
        )

    def restart(self, queue_id: str) -> View:
        """Everything again from zero; the old takes stay."""
        return self._enqueue(queue_id, self._store.queues.scenes(queue_id), afresh=True)

    def _enqueue(self, queue_id: str, rows: Iterable[SceneRow], *, afresh: bool) -> View:
        queue = self._store.queues.get(queue_id)
        wanted: dict[str, Sequence[Wanted]] = {}
        for row in rows:
            try:
                wanted[row.id] = self._jobs_for(row, queue, afresh)
            except StudioError as error:
                raise Refused(
                    "scene.cannot_run", scene=named(row), field=error.params.get("field", ""), why=error.as_dict()
                ) from error
        queued = self._store.jobs.enqueue([job for jobs in wanted.values() for job in jobs])
        self._store.queues.update(queue_id, {"paused": 0})
        self._runner.wake()
        return {"queued": len(wanted), "jobs": queued}

    def requeue(self, scene_id: str) -> None:
        """A waiting scene was edited: what waits for it is chosen anew. One that can no longer run becomes a draft."""
        self._store.jobs.unqueue([scene_id])
        row = self._store.queues.scene(scene_id)
        try:
            self._store.jobs.enqueue(self._jobs_for(row, self._store.queues.get(row.queue_id), afresh=False))
        except StudioError:
            self._store.jobs.reset(scene_id)
        self._runner.wake()

    def _jobs_for(self, row: SceneRow, queue: Queue, afresh: bool) -> Sequence[Wanted]:
        """A voice for each line without a fresh one, then the picture."""
        spoken = self._store.takes.selected([row.id], "voice")
        lines = [line for line in row.scene.lines if afresh or not self._fresh(line, spoken.get(line.id), queue)]
        if row.scene.kind == "audio":
            # nothing but its lines shows that a speech was run again, so one that is asked for is spoken
            done = {job.line_id for job in self._store.jobs.latest(row.id) if job.state is State.DONE}
            lines = [line for line in row.scene.lines if line in lines or line.id not in done] or row.scene.lines
        jobs = []
        for line in lines:
            engine = row.scene.engine if row.scene.kind == "audio" else "auto"
            chosen, lane = self._engines.choose(
                Speech(lines=[line], engine=engine, options=row.scene.options), queue.policy
            )
            jobs.append(Wanted(row.id, line.id, "voice", chosen, lane))
        if row.scene.kind != "audio":
            chosen, lane = self._engines.choose(row.scene, queue.policy)
            jobs.append(Wanted(row.id, None, "picture", chosen, lane))
        return jobs

    def _fresh(self, line: Line, take: Take | None, queue: Queue) -> bool:
        """Does this take still say the line, with its voice?"""
        if take is None:
            return False
        settings = self._store.takes.settings(take.id)["lines"][0]
        said: tuple[str, str, str, Language | None] = (
            line.text, self._store.queues.voice_of(queue.project_id, line), line.direction, line.language,
        )  # fmt: skip
        return said == (settings["text"], settings["voice"], settings["direction"], settings["language"])

    def pause(self, queue_id: str) -> None:
        """The running scene is finished, no other is started."""
        self._store.queues.get(queue_id)
        self._store.queues.update(queue_id, {"paused": 1})

    def resume(self, queue_id: str) -> None:
        self._store.queues.get(queue_id)
        self._store.queues.update(queue_id, {"paused": 0})
        self._runner.wake()

    def stop(self, queue_id: str) -> None:
        """Cancel what runs and what waits of this queue."""
        self._store.queues.get(queue_id)
        self._store.jobs.unqueue({job.scene_id for job in self._store.jobs.live(queue_id=queue_id)})
        for job in self._store.jobs.live(queue_id=queue_id):  # asked after: a job may start at any moment before
            if job.state is State.RUNNING:
                self._runner.cancel(job.id)


# ------------------------------------------------------------------------------------------------ helpers of this door
def field_error(error: ValidationError, scene: str) -> Refused:
    """The first complaint about a scene, naming scene and field."""
    first = problems_of(error)[0]
    return Refused("scene.field", scene=scene, field=first.field, why={"code": first.code, "params": first.params})


@contextmanager
def _named_head() -> Iterator[None]:
    """What is wrong with the music is said of the file's head."""
    try:
        yield
    except StudioError as error:
        raise Refused("episode.head", field="music.ref", why=error.as_dict()) from error


def report(episode: Episode) -> View:
    """What was understood and what is wrong, scene by scene."""
    rows = [
        {
            "index": entry.index,
            "number": entry.index + 1,
            "label": entry.label or (entry.scene.prompt[:80] if entry.scene else ""),
            "task_type": entry.task_type,
            "ok": not entry.problems,
            "problems": [_as_dict(problem) for problem in entry.problems],
            "notes": [_as_dict(note) for note in entry.notes],
        }
        for entry in episode.entries
    ]
    bad = sum(not row["ok"] for row in rows)
    return {"title": episode.head.title, "scenes": rows, "valid": len(rows) - bad, "problems": bad}


def _as_dict(problem: Problem) -> View:
    return {"field": problem.field, "code": problem.code, "params": dict(problem.params)}


def _called(entry: Entry) -> str:
    return f"{entry.index + 1} · {entry.label}".rstrip(" ·")


def _moved(entry: Entry, renumbered: Mapping[int, int]) -> SceneBase:
    """The scene with `{{new:N}}` counting only the scenes that are imported."""
    scene = entry.scene or _never()
    refs = {}
    for item in scene.inputs():
        if item.ref.startswith("{{new:"):
            number, _, part = item.ref[6:].partition("}}")
            refs[item.field] = f"{{{{new:{renumbered[int(number)]}}}}}{part}"
    return scene.with_inputs(refs) if refs else scene


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


def _never() -> SceneBase:
    raise AssertionError("an entry without problems has a scene")
