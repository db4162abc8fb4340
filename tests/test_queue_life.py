"""The life of a queue against a model in plain Python: whatever happens in whatever order, nothing is lost or doubled.

Hypothesis adds, edits, reorders, runs, claims, finishes, fails, tries again, crashes, cancels, stops after a scene,
pauses, trashes and deletes, as written and by model. After
every step the database is compared with the model. LANTERNA_EXAMPLES raises the number of lives that are tried.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from store_tools import ERROR, after, all_of, made, open_store, picture, shot

from studio.domain import Job, State
from studio.errors import Conflict
from studio.store import Wanted
from studio.store.ends import MAX_CRASHES

LIVE = ("queued", "running")


@dataclass
class ModelJob:
    layer: str
    line: str | None
    state: str = "queued"
    attempt: int = 0
    crashes: int = 0
    take: str | None = None


@dataclass
class ModelScene:
    lines: list[str]
    reads: str | None = None
    version: int = 1
    jobs: list[str] = field(default_factory=list)  # newest last


class QueueLife(RuleBasedStateMachine):
    scenes = Bundle("scenes")
    claims = Bundle("claims")
    takes = Bundle("takes")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name))
        # a machine that stays up: what a power cut does is not asked here, and fsync is most of the time
        self.store._connection.db.conn.execute("pragma synchronous = off")
        self.queue = self.store.queues.create("Q")
        self.order: list[str] = []
        self.model: dict[str, ModelScene] = {}
        self.jobs: dict[str, ModelJob] = {}
        self.made: dict[str, tuple[str, str]] = {}  # take -> (scene, layer + line)
        self.trashed: set[str] = set()
        self.by_hand: set[str] = set()  # jobs that go even while the queue is paused

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # -------------------------------------------------------------------------------------------- what the user does
    @rule(target=scenes, lines=st.integers(0, 2), at=st.none() | st.integers(0, 9), reads=st.booleans())
    def add(self, lines: int, at: int | None, reads: bool) -> str:
        """A new scene; it is run at once."""
        source = self.order[-1] if reads and self.order else None
        scene = after(source) if source else shot(lines=lines)
        (scene_id,) = self.store.queues.add_scenes(self.queue, [scene], at)
        place = len(self.order) if at is None else min(at, len(self.order))
        self.order.insert(place, scene_id)
        stored = self.store.queues.scene(scene_id).scene
        self.model[scene_id] = ModelScene([line.id for line in stored.lines], source)
        self._run(scene_id, all_of(self.store, scene_id))
        return scene_id

    @rule(scene=scenes, keep=st.integers(0, 2), stale=st.booleans())
    def edit(self, scene: str, keep: int, stale: bool) -> None:
        mine = self.model[scene]
        kept = self.store.queues.scene(scene).scene.lines[:keep]
        body = after(mine.reads) if mine.reads else shot("edited").model_copy(update={"lines": kept})
        refused = stale or self.store.queues.scene(scene).state is State.RUNNING
        try:
            self.store.queues.edit(scene, body, mine.version - stale)
        except Conflict:
            assert refused
            return
        assert not refused
        mine.version += 1
        mine.lines = mine.lines[:keep] if not mine.reads else []

    @rule(scene=consumes(scenes))
    def delete(self, scene: str) -> None:
        del self.model[scene]
        self.store.queues.delete_scenes(self.queue, [scene])
        self.order.remove(scene)
        self.jobs = {job_id: job for job_id, job in self.jobs.items() if self._scene_of(job_id)}
        self.made = {take: key for take, key in self.made.items() if key[0] != scene}
        self.trashed &= set(self.made)

    def _scene_of(self, job_id: str) -> str | None:
        return next((scene for scene, mine in self.model.items() if job_id in mine.jobs), None)

    @rule(order=st.randoms(use_true_random=False))
    def reorder(self, order: st.DataObject) -> None:
        order.shuffle(self.order)  # type: ignore[attr-defined]
        self.store.queues.reorder(self.queue, self.order)

    @rule(scene=scenes, only_picture=st.booleans())
    def run(self, scene: str, only_picture: bool) -> None:
        self._run(scene, [picture(scene, "two")] if only_picture else all_of(self.store, scene))

    def _run(self, scene: str, wanted: list[Wanted]) -> None:
        before = {job.id for job in self.store.jobs.live(scene_id=scene)}
        added = self.store.jobs.enqueue(wanted)
        new = [job for job in self.store.jobs.live(scene_id=scene) if job.id not in before]
        assert added == len(new)
        for job in sorted(new, key=lambda job: job.id):
            busy = [self.jobs[other] for other in self.model[scene].jobs if self.jobs[other].state in LIVE]
            assert (job.layer, job.line_id) not in [(other.layer, other.line) for other in busy]
            self.jobs[job.id] = ModelJob(job.layer, job.line_id)
            self.model[scene].jobs.append(job.id)
        live = {(job.layer, job.line_id) for job in self.store.jobs.live(scene_id=scene)}
        assert {(job.layer, job.line_id) for job in wanted} <= live  # what was asked for is on its way

    @rule(scene=scenes)
    def cancel_queued(self, scene: str) -> None:
        self.store.jobs.unqueue([scene])
        self._give_up(scene)

    def _give_up(self, scene: str) -> None:
        for job_id in self.model[scene].jobs:
            if self.jobs[job_id].state == "queued":
                self.jobs[job_id].state = "cancelled"

    @rule()
    def stop_after_scene(self) -> None:
        """What is being rendered goes on with all its layers; what waits of other scenes is a draft, lost to nobody."""
        begun = {scene for scene, mine in self.model.items() if self._has(mine, "running")}
        waiting = {scene for scene, mine in self.model.items() if self._has(mine, "queued")} - begun
        assert self.store.jobs.finish_begun(self.queue) == (sorted(begun), len(waiting))
        for job_id in [job for scene in waiting for job in self.model[scene].jobs]:
            if self.jobs[job_id].state == "queued":
                self.jobs[job_id].state = "draft"
                self.by_hand.discard(job_id)
        self.by_hand |= {job for scene in begun for job in self.model[scene].jobs if self.jobs[job].state in LIVE}

    def _has(self, scene: ModelScene, state: str) -> bool:
        return any(self.jobs[job].state == state for job in scene.jobs)

    @rule(order=st.sampled_from(["written", "model"]))
    def order_of_work(self, order: str) -> None:
        self.store.queues.update(self.queue, {"policy": {"order": order}})

    @rule()
    def pause_and_resume(self) -> None:
        self.store.queues.update(self.queue, {"paused": 1})
        if not any(self._can_run(job_id) for job_id in self.by_hand & set(self.jobs)):
            assert self.store.jobs.claim("cpu") is None
        self.store.queues.update(self.queue, {"paused": 0})

    @rule(take=takes, mark=st.sampled_from(["selected", "locked", "private", "trash", "restore"]))
    def mark(self, take: str, mark: str) -> None:
        if take not in self.made:
            return
        if mark in ("trash", "restore"):
            self.store.takes.trash(take, restore=mark == "restore")
            (self.trashed.add if mark == "trash" else self.trashed.discard)(take)
        elif take not in self.trashed:
            self.store.takes.mark(take, {mark: True})
            assert mark == "private" or self.store.takes.get(take).selected

    # -------------------------------------------------------------------------------------------- what workers do
    @rule(target=claims)
    def claim(self) -> Job | object:
        return self._claim() or multiple()

    def _claim(self) -> Job | None:
        able = {job_id for job_id in self.jobs if self._can_run(job_id)}
        job = self.store.jobs.claim("cpu", "one")
        if job is None:
            assert not able, "a job that could run was not claimed"
            return None
        assert job.id in able, "a job was claimed that could not run, or ran already"
        mine = self.jobs[job.id]
        mine.state, mine.attempt = "running", mine.attempt + 1
        assert job.attempt == mine.attempt
        return job

    def _can_run(self, job_id: str) -> bool:
        job, scene = self.jobs[job_id], self._scene_of(job_id)
        if job.state != "queued" or scene is None:
            return False
        if job.layer == "voice":
            return True
        mine = self.model[scene]
        spoken = all(self._ready(scene, f"voice{line}") for line in mine.lines)
        return spoken and (mine.reads is None or self._ready(mine.reads, "picture"))

    def _ready(self, scene: str, key: str) -> bool:
        """There is a take, and nobody is making another one."""
        if scene not in self.model:
            return False
        jobs = [self.jobs[job] for job in self.model[scene].jobs]
        busy = any(job.state in LIVE and job.layer + (job.line or "") == key for job in jobs)
        there = any(owner == (scene, key) and take not in self.trashed for take, owner in self.made.items())
        return there and not busy

    def _counts(self, job: Job) -> bool:
        """Is this attempt still the one that may write?"""
        mine = self.jobs.get(job.id)
        return mine is not None and mine.state == "running" and mine.attempt == job.attempt

    @rule(
        target=takes,
        job=claims,
        how=st.sampled_from(["finish", "finish", "fail", "again", "cancelled", "crash", "keep"]),
    )
    def end(self, job: Job, how: str) -> str | object:
        counts = self._counts(job)
        match how:
            case "finish":
                take = self._finish(job, counts)
                return take if take else multiple()
            case "crash":
                self._crash(job, counts)
            case "again":
                assert self.store.ends.try_again(job, ERROR, "2026-11-20T00:00:00.000Z") == counts
                if counts:
                    self.jobs[job.id].state = "queued"
            case "keep":
                assert self.store.ends.keep(job, "window", 1) == counts
            case _:
                ended = self.store.ends.fail(job, ERROR) if how == "fail" else self.store.ends.cancelled(job)
                assert ended == counts
                if ended:
                    self.jobs[job.id].state = "failed" if how == "fail" else "cancelled"
                    self._give_up(job.scene_id)
        return multiple()

    def _finish(self, job: Job, counts: bool) -> str | None:
        take = self.store.ends.finish(job, made(job))
        assert (take is not None) == counts, "a stale attempt committed, or a good one was refused"
        if take:
            mine = self.jobs[job.id]
            assert mine.take is None, "finished twice"
            mine.state, mine.take = "done", take
            self.made[take] = (job.scene_id, job.layer + (job.line_id or ""))
        return take

    def _crash(self, job: Job, counts: bool, *, crashed: bool = True) -> None:
        state = self.store.ends.put_back(job, "note.resumed", ERROR, crashed=crashed)
        assert (state is not None) == counts
        if state is None:
            return
        mine = self.jobs[job.id]
        mine.crashes += crashed
        assert state == (State.FAILED if crashed and mine.crashes >= MAX_CRASHES else State.QUEUED)
        mine.state = state
        if state is State.FAILED:
            self._give_up(job.scene_id)

    @rule(target=takes, lost=st.booleans())
    def work_through(self, lost: bool) -> object:
        """Claim and finish all that can run; the first claim is lost and comes back when it is too late."""
        first, finished = self._claim() if lost else None, []
        if first:
            self._crash(first, True, crashed=False)
        while job := self._claim():
            if first and job.id == first.id:
                assert self._finish(first, False) is None
            finished.append(self._finish(job, True))
        return multiple(*finished)

    @precondition(lambda self: self.order)
    @rule()
    def studio_dies(self) -> None:
        """Everything that ran is put back, as at the next start."""
        for job in self.store.jobs.running():
            self._crash(job, True)

    # -------------------------------------------------------------------------------------------- what must hold
    @invariant()
    def every_scene_is_there_once_and_says_what_goes_on_in_it(self) -> None:
        rows = self.store._connection.rows("select id, position, version, state from scenes order by position")
        assert [row["id"] for row in rows] == self.order
        assert [row["position"] for row in rows] == list(range(len(rows)))
        for row in rows:
            mine = self.model[row["id"]]
            assert row["version"] == mine.version
            jobs = [self.jobs[job] for job in mine.jobs]
            seen = {job.state for job in jobs if job.line is None or job.line in mine.lines}
            live = [state for state in ("running", "queued") if state in seen]
            dropped = {job.state for job in jobs} - seen  # of lines that an edit took away
            assert row["state"] in (live[:1] or {str(state) for state in State} - set(LIVE)) or row["state"] in dropped

    @invariant()
    def every_job_stands_where_the_model_says(self) -> None:
        rows = self.store._connection.rows("select id, state, attempt, crashes from jobs")
        mine = {job_id: (str(job.state), job.attempt) for job_id, job in self.jobs.items()}
        assert {row["id"]: (row["state"], row["attempt"]) for row in rows} == mine

    @invariant()
    def every_take_is_there_once_and_one_is_selected(self) -> None:
        rows = self.store._connection.rows("select * from takes")
        assert {row["id"] for row in rows} == set(self.made), "a take was lost or doubled"
        assert {row["id"] for row in rows if row["trashed"]} == self.trashed
        for key in set(self.made.values()):
            alive = [take for take, owner in self.made.items() if owner == key and take not in self.trashed]
            chosen = [row["id"] for row in rows if row["selected"] and row["id"] in alive]
            assert len(chosen) == min(1, len(alive)), "none or several takes of a layer are selected"


QueueLife.TestCase.settings = settings(
    max_examples=int(os.environ.get("LANTERNA_EXAMPLES", "200")),
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestQueueLife = QueueLife.TestCase
