"""Runs: queue what must be made, retry, restart, pause, stop. The verbs behind every Run button."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from studio.domain import Job, Lane, Layer, Line, SceneBase, Speech, State, Voice, lay_lines
from studio.errors import NotFound, Refused, StudioError
from studio.media.fetch import check_url
from studio.pipelines import engine_class
from studio.runner import Runner
from studio.service.engines import Engines, Picks, Readiness, engine_of_line
from studio.service.preflight import Preflight
from studio.service.splitting import Splitting, parts_of
from studio.service.spoken import Speaking
from studio.service.stale import Changed, Stale
from studio.service.views import View, named
from studio.store import Queue, SceneRow, Speakers, Store, Wanted

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is asked once for all the scenes whose jobs are wanted, however many."""

    queue: Queue
    changed: Mapping[str, Changed]  # by scene
    latest: Mapping[str, Sequence[Job]]  # by scene
    ready: Readiness
    speakers: Speakers
    picks: Picks = field(default_factory=dict)


class Runs:
    def __init__(self, store: Store, runner: Runner, engines: Engines, preflight: Preflight) -> None:
        self._store, self._runner, self._engines, self._preflight = store, runner, engines, preflight
        self._stale, self._splitting = Stale(store), Splitting(store)
        runner.on_spoken = self._after_speech

    def run(
        self, queue_id: str, *, only: Iterable[str] | None = None, callback_url: str = "", override: bool = False
    ) -> View:
        """Queue everything that is not done or was changed since, or just the scenes of `only`, done or not.
        Those go even while the queue is paused or begins later; the rest of it stays as it is.
        `callback_url` hears of the end of the run, the way SkyReels tells it.

        Raises Conflict("preflight.errors") when one of them cannot run; `override` leaves those out."""
        rows = self._store.queues.scenes(queue_id, only)
        wanted = rows if only is not None else self._stale.unfinished(rows)
        if callback_url:
            check_url(callback_url)
        by_hand = only is not None
        return self._enqueue(
            queue_id, wanted, afresh=False, by_hand=by_hand, override=override, callback_url=callback_url
        )

    def retry(self, queue_id: str, *, override: bool = False) -> View:
        """Failed and cancelled scenes again."""
        rows = self._store.queues.scenes(queue_id)
        wanted = [row for row in rows if row.state in (State.FAILED, State.CANCELLED)]
        return self._enqueue(queue_id, wanted, afresh=False, override=override)

    def retry_from_error(self, queue_id: str, *, override: bool = False) -> View:
        """The first failed scene and everything after it that is not done. Raises Refused("run.no_error")."""
        rows = self._store.queues.scenes(queue_id)
        failed = next((row.position for row in rows if row.state is State.FAILED), None)
        if failed is None:
            raise Refused("run.no_error", queue=self._store.queues.get(queue_id).name)
        wanted = [row for row in rows if row.position >= failed and row.state is not State.DONE]
        return self._enqueue(queue_id, wanted, afresh=False, override=override)

    def restart(self, queue_id: str, *, override: bool = False) -> View:
        """Everything again from zero; the old takes stay."""
        return self._enqueue(queue_id, self._store.queues.scenes(queue_id), afresh=True, override=override)

    def _enqueue(
        self, queue_id: str, rows: Iterable[SceneRow], *, afresh: bool, by_hand: bool = False,
        seeds: Sequence[int] = (), override: bool = False, layers: Sequence[Layer] | None = None,
        callback_url: str = "",
    ) -> View:  # fmt: skip
        """`seeds`: a picture for each of them instead of one with the scene's own. `override`: what cannot run is left
        out instead of refusing all."""
        queue, rows = self._store.queues.get(queue_id), list(rows)
        gate = self._preflight.gate(queue, rows, override=override, afresh=afresh)  # files are read: nobody waits
        told: View = {"left_out": sorted(gate.left_out)} if override else {}
        with self._store.together():  # the run must not end before it is known whom to tell
            ids = {row.id for row in rows} - gate.left_out
            ids |= {
                part
                for row in rows
                if row.id in gate.splits
                for part in self._splitting.split(row, *gate.splits[row.id])
            }
            rows = self._store.queues.scenes(queue_id, ids)  # as they are by now
            jobs = self._all_jobs(rows, queue, afresh, ["picture"] if seeds else layers)
            told |= {"queued": len(rows), "jobs": self._store.jobs.enqueue(with_seeds(jobs, seeds), by_hand=by_hand)}
            if not by_hand:
                self._store.queues.update(queue_id, {"paused": 0})
            if callback_url:
                told["callback_registered"] = self._store.runs.call_back(queue_id, callback_url)
        self._runner.wake()
        return told

    def _all_jobs(
        self, rows: Sequence[SceneRow], queue: Queue, afresh: bool, layers: Sequence[Layer] | None
    ) -> Sequence[Wanted]:
        """What is wanted of all of these scenes. Raises Refused("scene.cannot_run") naming the first that cannot."""
        known, jobs = self._known(rows, queue), list[Wanted]()
        for row in rows:
            with _naming(row):
                jobs += self._jobs_for(row, known, afresh, layers)
        return jobs

    def _known(self, rows: Sequence[SceneRow], queue: Queue) -> _Known:
        ids = [row.id for row in rows]
        changed = self._stale.of(rows, self._store.takes.selected(ids))
        speakers = self._store.speakers(queue.project_id)
        return _Known(queue, changed, self._store.jobs.latest(ids), self._engines.ready(), speakers)

    def wanted(self, scene_id: str) -> Sequence[Wanted]:
        """The jobs that running this scene would queue. Raises Refused when it cannot run."""
        row = self._store.queues.scene(scene_id)
        return self._jobs_for(row, self._known([row], self._store.queues.get(row.queue_id)), afresh=False)

    def seeds(self, scene_id: str, seeds: Sequence[int]) -> View:
        """A picture for each of these seeds; the scene itself stays as it is."""
        row = self._store.queues.scene(scene_id)
        return self._enqueue(row.queue_id, [row], afresh=False, by_hand=True, seeds=seeds)

    def layers(self, scene_id: str, layers: Sequence[Layer]) -> View:
        """Just its picture, or just its voice, anew: also where nothing was changed."""
        row = self._store.queues.scene(scene_id)
        if "voice" in layers and not row.scene.lines:
            raise Refused("scene.no_lines", scene=named(row))
        return self._enqueue(row.queue_id, [row], afresh=False, by_hand=True, layers=sorted(set(layers)))

    def speak(self, queue_id: str, *, lines: Collection[str] | None = None) -> View:
        """A voice for every line of a queue that has no fresh one, or for these lines, spoken or not; no picture.
        Raises Refused("scene.cannot_run") naming the first that nobody can say, NotFound("line.unknown")."""
        queue = self._store.queues.get(queue_id)
        rows = [row for row in self._store.queues.scenes(queue_id) if row.scene.lines]
        there = {line.id for row in rows for line in row.scene.lines}
        if lines is not None and (unknown := sorted(set(lines) - there)):
            raise NotFound("line.unknown", line=unknown[0][:40])
        with self._store.together():
            known, jobs = self._known(rows, queue), list[Wanted]()
            for row in rows:
                if row.state is State.RUNNING:
                    continue
                wanted = known.changed[row.id].lines if lines is None else row.scene.lines
                with _naming(row):
                    jobs += [self._spoken(row, line, known) for line in wanted if lines is None or line.id in lines]
            told: View = {"jobs": self._store.jobs.enqueue(jobs, by_hand=lines is not None)}
        self._runner.wake()
        return told

    def requeue(self, queue_id: str, scene_ids: Collection[str]) -> None:
        """Waiting scenes were edited: what waits of them is chosen anew. One that can no longer run becomes a draft."""
        jobs: dict[bool, list[Wanted]] = {True: [], False: []}  # by whether they were asked for by hand
        with self._store.together():  # in between nothing may wait, and the run must not take that for its end
            by_hand = self._store.jobs.asked_by_hand(scene_ids)
            self._store.jobs.unqueue(scene_ids)
            rows = self._store.queues.scenes(queue_id, scene_ids)
            known = self._known(rows, self._store.queues.get(queue_id))
            for row in rows:
                try:
                    jobs[row.id in by_hand] += self._jobs_for(row, known, afresh=False)
                except StudioError:
                    self._store.jobs.reset(row.id)
            for hand, wanted in jobs.items():
                if wanted:
                    self._store.jobs.enqueue(wanted, by_hand=hand)
        self._runner.wake()

    def _jobs_for(
        self, row: SceneRow, known: _Known, afresh: bool, layers: Sequence[Layer] | None = None
    ) -> Sequence[Wanted]:
        """A voice for each line without a fresh one, and the picture where it needs to be made: `layers` says which, or
        what was changed since the takes. Where nothing was changed it is another take that is wanted."""
        changed, latest = known.changed[row.id], known.latest.get(row.id, ())
        lines = row.scene.lines if afresh else changed.lines
        if layers == ["voice"]:
            lines = lines or row.scene.lines
        if row.scene.kind == "audio":
            # nothing but its lines shows that a speech was run again, so one that is asked for is spoken
            done = {job.line_id for job in latest if job.state is State.DONE}
            lines = [line for line in row.scene.lines if line in lines or line.id not in done] or row.scene.lines
        jobs = [self._spoken(row, line, known) for line in lines]
        if row.scene.kind != "audio" and (afresh or not jobs or _draws(changed, latest, layers)):
            jobs.append(Wanted(row.id, None, "picture", *self._chosen(row.scene, known)))
        return jobs

    def _spoken(self, row: SceneRow, line: Line, known: _Known) -> Wanted:
        """The job that says a line: by its voice's own engine, unless the scene names another."""
        voice = known.speakers.voice(line)
        speech = Speech(lines=[line], engine=engine_of_line(row.scene, voice), options=row.scene.options)
        return Wanted(row.id, line.id, "voice", *self._chosen(speech, known, voice))

    def _chosen(self, scene: SceneBase, known: _Known, voice: Voice | None = None) -> tuple[str, Lane]:
        return self._engines.choose(scene, known.queue.policy, known.ready, known.picks, voice)

    def _after_speech(self, job: Job) -> None:
        """Lines were spoken anew under a picture that stays: if they no longer fit, it is made again."""
        with self._store.together():  # nobody may begin its picture, or edit it, before it is split
            row = self._store.queues.scene(job.scene_id)
            split = self._split_spoken(row)
        if split:
            self._runner.wake()
            return
        if row.state is not State.DONE or not self._stale.one(row).too_short:
            return
        try:
            chosen, lane = self._engines.choose(row.scene, self._store.queues.get(row.queue_id).policy)
        except StudioError as error:  # the card goes on saying that its picture was changed
            log.warning("no picture for what was spoken anew: %s", error)
            return
        # by hand: it belongs to what was begun, and goes on even if the queue was paused meanwhile
        self._store.jobs.enqueue([Wanted(row.id, None, "picture", chosen, lane)], by_hand=True)
        self._runner.wake()

    def _split_spoken(self, row: SceneRow) -> bool:
        """Now that all of a scene is spoken: is it longer than the engine of its picture can make? Then it is split.
        Called inside a transaction of the caller's."""
        jobs = self._store.jobs.live(scene_id=row.id)
        picture = next((job for job in jobs if job.layer == "picture" and job.state is State.QUEUED), None)
        voices = self._store.takes.selected([row.id], "voice")
        queue = self._store.queues.get(row.queue_id)
        if picture is None or len(jobs) > 1 or not queue.policy["split_long"]:
            return False
        seconds = [voices[line.id].duration for line in row.scene.lines if line.id in voices]
        span = engine_class(picture.engine).limits.seconds.get(row.scene.task_type)  # type: ignore[attr-defined]
        if span is None or len(seconds) < len(row.scene.lines) or lay_lines(seconds, None)[1] <= span[1]:
            return False
        parts = parts_of(row.scene.lines, seconds, span[1], Speaking(self._store.survey.voices()))
        if not parts:
            return False
        by_hand = bool(self._store.jobs.asked_by_hand([row.id]))
        self._store.jobs.unqueue([row.id])  # in between nothing may wait, and the run must not take that for its end
        rows = self._store.queues.scenes(queue.id, self._splitting.split(row, parts, span[0]))
        self._store.jobs.enqueue(self._all_jobs(rows, queue, False, None), by_hand=by_hand)
        return True

    def now(self) -> str:
        """The time by which queues begin, as the store writes it."""
        return self._runner.now()

    def changed(self) -> None:
        """A queue was changed: what waited may go now."""
        self._runner.wake()

    def pause(self, queue_id: str) -> None:
        """The running scene is finished, no other is started."""
        self._store.queues.get(queue_id)
        self._store.queues.update(queue_id, {"paused": 1})

    def resume(self, queue_id: str) -> None:
        """What waits may go now: a pause ends, and a start that is still to come is not waited for."""
        queue = self._store.queues.get(queue_id)
        later = {"starts_at": None} if queue.starts_at and queue.starts_at > self._runner.now() else {}
        self._store.queues.update(queue_id, {"paused": 0, **later})
        self._runner.wake()

    def stop_after_scene(self, queue_id: str) -> View:
        """Scenes that are being rendered are finished with all their layers; whatever waits is a draft again.
        `finishing`: their ids, `held_back`: how many others."""
        self._store.queues.get(queue_id)
        self._store.runs.stopping(queue_id)
        finishing, held_back = self._store.jobs.finish_begun(queue_id)
        self._runner.wake()
        return {"finishing": finishing, "held_back": held_back}

    def stop(self, queue_id: str) -> None:
        """Cancel what runs and what waits of this queue."""
        self._store.queues.get(queue_id)
        self._store.runs.stopping(queue_id)
        self._store.night.forget_afterwards(queue_id)  # somebody is here: what was to come in the morning no longer is
        self._store.jobs.unqueue({job.scene_id for job in self._store.jobs.live(queue_id=queue_id)})
        for job in self._store.jobs.live(queue_id=queue_id):  # asked after: a job may start at any moment before
            if job.state is State.RUNNING:
                self._runner.cancel(job.id)


@contextmanager
def _naming(row: SceneRow) -> Iterator[None]:
    """What is wrong with a scene, as Refused("scene.cannot_run") that names it."""
    try:
        yield
    except StudioError as error:
        raise Refused(
            "scene.cannot_run", scene=named(row), field=error.params.get("field", ""), why=error.as_dict()
        ) from error


def _draws(changed: Changed, latest: Sequence[Job], layers: Sequence[Layer] | None) -> bool:
    """Does a scene some of whose lines are spoken anew need a picture too?"""
    if layers:
        return "picture" in layers
    broken = any(job.layer == "picture" and job.state is not State.DONE for job in latest)  # the one asked for last
    return broken or changed.layers != ["voice"]


def with_seeds(jobs: Sequence[Wanted], seeds: Sequence[int]) -> Sequence[Wanted]:
    """The picture once for each seed, if there are any; what comes before it stays."""
    if not seeds:
        return jobs
    pictures = [replace(job, seed=seed) for seed in seeds for job in jobs if job.layer == "picture"]
    return [job for job in jobs if job.layer == "voice"] + pictures
