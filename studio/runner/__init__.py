"""The life of a job: claim it, lend it to its lane's worker, record what came back. Knows no screen.

One thread per place in a lane iterates over an executor's events. Progress and previews stay in memory; the database is
written when a job starts and when it ends. The rules of a crash live here too: a job whose worker or studio died is put
back, and a whole file without a row is adopted by its sidecar.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from studio import faults, naming
from studio.domain import JSON, Job, Lane, State
from studio.errors import StudioError, Unavailable
from studio.execution import (
    Assignment,
    Executor,
    Failed,
    Finished,
    Kept,
    Loaded,
    Preview,
    Progress,
    Sounded,
    Started,
    ToolDone,
)
from studio.logs import scene_log
from studio.pipelines import engine_class
from studio.runner import stand_in
from studio.runner.assign import Assigner, Expand
from studio.runner.live import Expected, Live
from studio.runner.power import Power
from studio.runner.recovery import finished_files, sweep
from studio.store import NewTake, Store
from studio.store.database import stamp

log = logging.getLogger(__name__)

CRASHED = {"code": "job.crashed", "params": {}}
INTERRUPTED = {"code": "export.interrupted", "params": {}}
MAY_PASS = ("EngineError", "OutOfMemory")  # kinds that may go well next time; any other fails the same way again
UNENDED = (State.QUEUED, State.RUNNING, State.IN_DOUBT)
RETRY_SECONDS = (5.0, 300.0)  # until the first next try, doubled for each after it; never more than


@dataclass(frozen=True)
class Lanes:
    """Who works where: one executor per place of a lane. `tools` makes frames and probes, `exports` cuts films,
    `downloads` fetches models, `listening` hears what was said."""

    gpu: list[Executor] = field(default_factory=list)
    cpu: list[Executor] = field(default_factory=list)
    net: list[Executor] = field(default_factory=list)
    tools: list[Executor] = field(default_factory=list)
    exports: list[Executor] = field(default_factory=list)
    downloads: list[Executor] = field(default_factory=list)
    listening: list[Executor] = field(default_factory=list)

    def all(self) -> list[Executor]:
        every = [*self.gpu, *self.cpu, *self.net, *self.tools, *self.exports, *self.downloads, *self.listening]
        return list({id(e): e for e in every}.values())


class Runner:
    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        outputs: Path,
        cache: Path,
        power: Power | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        date: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        expand: Expand = lambda text, seed: text,
        name_template: str = naming.DEFAULT_TAKE,
    ) -> None:
        self.store, self.lanes, self.clock, self.date, self._sleep = store, lanes, clock, date, sleep
        self.assigner = Assigner(store, outputs, cache, expand, name_template)
        self.power = power or Power(store)
        self.live: dict[str, Live] = {}  # by scene; entries are put and popped whole
        self._outputs, self._cache = outputs, cache
        self._wake, self._stopping = Flag(), Flag()
        self._threads: list[Thread] = []
        self._beginning = Thread(target=self._begin, name="recover", daemon=True)
        self._drawing, self._extracting = Lock(), Lock()  # one maker of small pictures, and one of single frames
        self._owners: dict[str, Executor] = {}  # by job: who runs it
        self.expected: Callable[[Job], Expected] = lambda job: Expected()  # how long it will take
        self.on_spoken: Callable[[Job], None] = lambda job: None  # hears of every line that was spoken
        self.next_engine: stand_in.NextEngine = lambda job, failed: None  # who takes over where an engine failed
        self._cancelled: set[str] = set()  # jobs to be stopped, also those that have not reached their worker yet
        self._enough: set[str] = set()  # jobs whose user wants what is there so far; the same

    # ------------------------------------------------------------------------------------------ start and stop
    def start(self) -> None:
        """Put right what a crash left, then work until `close`. Returns at once."""
        self.store.takes.break_exports(INTERRUPTED)  # now: a film that is begun from here on is no wreck
        for lane in ("gpu", "cpu", "net"):
            for place, executor in enumerate(getattr(self.lanes, lane)):
                self._threads.append(
                    Thread(target=self._work, args=(lane, executor), name=f"{lane}-{place}", daemon=True)
                )
        self._beginning.start()
        self.power.start()

    def _begin(self) -> None:
        try:
            self.recover()
        except Exception:  # one strange file must not keep the studio from working
            log.exception("recovering")
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """Stop claiming and let the workers go. What runs is put back at the next start."""
        self._stopping.set()
        self._wake.set()
        self.power.close()
        for executor in self.lanes.all():
            executor.close()
        for thread in (self._beginning, *self._threads):
            if thread.is_alive():
                thread.join(timeout=5)

    def now(self) -> str:
        """The time, as the store writes it."""
        return stamp(self.date())

    def drain(self, most: int | None = None) -> int:
        """Run all that can run, or about the first `most` jobs, in the calling thread, in order; how many. Waits for
        what is to be tried again, not for queues that begin later."""
        done = 0
        resident: dict[Lane, str] = {}
        while not self._stopping.is_set() and (most is None or done < most):
            claimed = False
            for lane in ("cpu", "gpu", "net"):
                executors: list[Executor] = getattr(self.lanes, lane)
                if executors and (job := self.store.jobs.claim(lane, resident.get(lane), self.now())):
                    self._run(job, executors[0])
                    done, claimed, resident[lane] = done + 1, True, job.engine
            if not claimed:
                again = self.store.jobs.next_try(self.now())
                if again is None:
                    self._clear_scratch()
                    return done
                self._sleep(max(0.001, (datetime.fromisoformat(again) - self.date()).total_seconds()))
        return done

    def _work(self, lane: Lane, executor: Executor) -> None:
        resident: str | None = None
        job: Job | None = None  # still one: its end could not be written down (the disk was full)
        while not self._stopping.is_set():
            try:
                if job:
                    self._put_back_or_give_up(job)
                if job := self.store.jobs.claim(lane, resident, self.now()):
                    self._run(job, executor)
                    resident, job = job.engine, None
                    continue
                self._clear_scratch()
            except Exception:
                if self._stopping.is_set():
                    return
                log.exception("lane %s", lane)
            self._wake.wait(1)
            self._wake.clear()

    # ------------------------------------------------------------------------------------------ one job
    def _run(self, job: Job, executor: Executor) -> None:
        with scene_log(job.scene_id, job.id):
            log.info("%s on %s, attempt %d", job.layer, job.engine, job.attempt)
            live = self.live[job.scene_id] = Live(job, self.clock(), self.clock())
            self._owners[job.id] = executor
            try:
                live.expected = self.expected(job)
                assignment = self.assigner.assignment(
                    job, lambda path, which, out: self._frame(executor, path, which, out)
                )
                faults.point("runner.lent")
                self._follow(job, assignment, executor, live)
            except StudioError as error:
                log.error("%s", error)
                self._failed(job, Failed.of(error))
            except Exception as error:
                log.exception("the runner failed")
                self._give_up(job, broken(error))
            finally:
                live.heard.over = True
                if self.live.get(job.scene_id) is live:  # another line of the same scene may have begun meanwhile
                    del self.live[job.scene_id]
                if self._owners.get(job.id) is executor:  # handed over, another lane may have begun it already
                    del self._owners[job.id]
                    self._cancelled.discard(job.id)
                    self._enough.discard(job.id)
                self._clear_scratch()
                self._end_runs()
                self._wake.set()  # what waited for this may be ready

    def _clear_scratch(self) -> None:
        """Jobs that have ended need none of theirs, nor do those that were given up before their next attempt."""
        for folder in self.assigner.scratch.glob("*"):
            job = self.store.jobs.find(folder.name)
            if job is None or job.state not in UNENDED:
                shutil.rmtree(folder, ignore_errors=True)

    def _end_runs(self) -> None:
        try:
            self.store.runs.end_finished()
        except StudioError as error:  # the disk is full: asked again after the next job, and at the next start
            log.error("ending a run: %s", error)

    def _follow(self, job: Job, assignment: Assignment, executor: Executor, live: Live) -> None:
        for event in executor.submit(assignment):
            if job.id in self._cancelled:
                executor.cancel(job.id)  # it may have been asked before the executor knew the job
            if job.id in self._enough:
                executor.enough(job.id)
            match event:
                case Started(loads):
                    live.phase, live.began = ("load", None) if loads else ("", self.clock())
                case Progress(done, total, phase, step_seconds):
                    live.moved = live.moved if (done, phase) == (live.done, live.phase) else self.clock()
                    live.done, live.total, live.phase, live.step_seconds = done, total, phase, step_seconds
                case Loaded(seconds):
                    self.store.runs.loaded(job, seconds)
                    live.moved = live.began = self.clock()
                    live.phase = ""
                case Preview(jpeg):
                    live.preview = jpeg
                case Sounded(samples, rate):
                    live.heard.add(samples, rate)
                case Kept(key, value):
                    if not self.store.ends.keep(job, key, value):
                        log.warning("an attempt that no longer counts wanted to keep %s", key)
                        return
                case Finished():
                    faults.point("runner.finished")
                    seconds = self.clock() - live.started
                    self._record(job, event, assignment.seed, assignment.task, assignment.comment, seconds)
                case Failed():
                    self._failed(job, event)

    def _record(
        self,
        job: Job,
        finished: Finished,
        seed: int,
        scene: Mapping[str, JSON],
        comment: Mapping[str, JSON],
        seconds: float,
    ) -> str | None:
        """`seconds` of work, for the timings; 0: unknown. The take's id; None when the job was given up meanwhile."""
        facts = dict(finished.facts)
        root, path = self.store.roots.place(finished.path)
        plain = {
            name: facts.pop(name) for name in ("kind", "width", "height", "fps", "num_frames", "duration", "bytes")
        }
        take = NewTake(
            root=root, path=path, profile=str(facts.pop("profile")), seed=seed, facts={**facts, **comment["laid"]},
            settings={**scene, "seed": seed}, draft=engine_class(job.engine).draft, seconds=seconds, **plain,
        )  # fmt: skip
        take_id = self.store.ends.finish(job, take)
        if take_id is None:
            log.warning("a file came back for a job that was given up: %s", finished.path.name)
        elif job.layer == "voice":
            self.on_spoken(job)
        if take_id and job.layer == "picture":
            size = take.width, take.height, take.num_frames
            self.store.calibration.learn(job.engine, str(scene["task_type"]), finished.facts, size)
        return take_id

    def _failed(self, job: Job, failed: Failed) -> None:
        error = {"code": failed.code, "params": dict(failed.params)}
        stopped = failed.code == "cancelled" and job.id not in self._cancelled  # by `close`, not by the user
        if self._stopping.is_set() and (failed.transient or stopped):
            return  # our own worker went down with us: the next start puts the job back
        if failed.code == "cancelled" or job.id in self._cancelled:  # however it ended: nobody wants it
            self.store.ends.cancelled(job)
        elif failed.transient:
            log.warning("the worker was lost: %s %s", failed.code, dict(failed.params))
            self._put_back(job, error)
        elif failed.kind == "DiskFull":
            # Pausing keeps the night: the scene waits instead of failing, and so do all after it.
            log.error("disk full: pausing the queue")
            self.store.queues.update(job.queue_id, {"paused": 1})
            self.store.ends.put_back(job, "note.disk_full", error, crashed=False)
        elif not ((failed.kind in MAY_PASS and self._try_again(job, error)) or self._stood_in(job, failed, error)):
            self._give_up(job, error)

    def _try_again(self, job: Job, error: Mapping[str, Any]) -> bool:
        """Where the queue wants that, and it was not tried too often. The lane does not wait for it."""
        policy, failures = self.store.queues.get(job.queue_id).policy, self.store.ends.failures(job)
        if policy["on_error"] != "retry" or failures >= policy["retries"]:
            return False
        first, most = RETRY_SECONDS
        wait = min(most, first * 2**failures)
        log.warning(
            "failed (%s): tried again in %.0f s, %d of %d", error["code"], wait, failures + 1, policy["retries"]
        )
        return self.store.ends.try_again(job, error, stamp(self.date() + timedelta(seconds=wait)))

    def _stood_in(self, job: Job, failed: Failed, error: Mapping[str, Any]) -> bool:
        """Another engine takes over, once each: those that failed are not asked again. False: it failed."""
        if not stand_in.is_its_own(failed):
            return False
        passed = [*self.store.ends.handed_over(job), job.engine]
        found = self.next_engine(job, passed)
        if found is None:
            return False
        engine, lane = found
        log.warning("%s failed (%s): %s takes over", job.engine, error["code"], engine)
        with self.store.together():  # to look for it took a while: whoever cancelled meanwhile wants none of it
            if job.id in self._cancelled:
                return self.store.ends.cancelled(job)
            return self.store.ends.hand_over(job, error, engine, lane, stand_in.reason(engine, passed, error))

    def _give_up(self, job: Job, error: Mapping[str, Any]) -> None:
        if self.store.ends.fail(job, error):
            self._after_failure(job)

    def _after_failure(self, job: Job) -> None:
        """What the queue's policy says about the scenes that still wait."""
        if self.store.queues.get(job.queue_id).policy["on_error"] == "stop":
            rows = self.store.queues.scenes(job.queue_id)
            self.store.jobs.unqueue([row.id for row in rows if row.state is State.QUEUED])

    def _frame(self, executor: Executor, path: Path, which: str, out: Path) -> None:
        with self._extracting:  # two lanes may want the same frame, under one temporary name
            if not out.is_file():
                self.ask(executor, "frame", {"path": str(path), "which": which, "out": str(out)})

    def small_picture(self, path: Path, stem: Path, suffix: str) -> Path:
        """`<stem><suffix>` of a media file: its poster, strip or peaks, made where it is missing, once however many
        ask at the same time. Raises what probing the file raises."""
        found = stem.with_name(stem.name + suffix)
        if not found.is_file():
            with self._drawing:
                if not found.is_file():
                    self.ask(self.lanes.tools[0], "posters", {"path": str(path), "out": str(stem)})
        return found

    def ask(self, executor: Executor, tool: str, arguments: Mapping[str, JSON], **more: Any) -> Any:
        """Use a tool and wait for its result. `step(done, total)` hears of progress. Raises what the tool raised."""
        step = more.pop("step", None)
        for event in executor.call(tool, arguments, **more):
            match event:
                case Progress(done, total) if step:
                    step(done, total)
                case ToolDone(result):
                    return result
                case Failed():
                    raise event.error
        raise Unavailable("worker.gone")

    def cancel(self, job_id: str) -> None:
        """Asked at the next step; the executor kills after its grace."""
        self._cancelled.add(job_id)
        executor = self._owners.get(job_id)
        if executor:
            executor.cancel(job_id)
        job = self.store.jobs.find(job_id)
        if job is None or job.state is not State.RUNNING:  # it ended meanwhile: nobody is going to look
            self._cancelled.discard(job_id)

    def enough(self, job_id: str) -> None:
        """Its engine takes no further step and saves what it has."""
        self._enough.add(job_id)
        executor = self._owners.get(job_id)
        if executor:
            executor.enough(job_id)
        job = self.store.jobs.find(job_id)
        if job is None or job.state is not State.RUNNING:
            self._enough.discard(job_id)

    # ------------------------------------------------------------------------------------------ after a crash
    def recover(self) -> None:
        """Everything that ran when the studio died and that no executor still runs."""
        alive = set().union(*(executor.adopt() for executor in self.lanes.all()))
        for job in self.store.jobs.running():
            if job.id not in alive:
                with scene_log(job.scene_id, job.id):
                    self._put_back_or_give_up(job)
        self._end_runs()  # the studio may have died between the last scene and the end of its run
        sweep([self._outputs, self._cache], self._ours, alive)
        self._clear_scratch()
        self._wake.set()

    def _put_back_or_give_up(self, job: Job) -> None:
        try:
            self._put_back(job, CRASHED)
        except Exception as error:  # one strange file must not keep the other jobs from going on
            log.exception("putting back")
            self._give_up(job, broken(error))

    def _put_back(self, job: Job, error: Mapping[str, Any]) -> None:
        faults.point("recover.adopting")
        folder = self.assigner.folder(self.store.queues.get(job.queue_id))
        whole = finished_files(folder, {job.id}).get(job.id)
        if whole:
            finished, sidecar = whole
            log.info("adopting %s", finished.path.name)
            self._record(job, finished, sidecar["seed"], sidecar["task"], sidecar["settings"], 0.0)
        elif self.store.ends.put_back(job, "note.resumed", error) is State.FAILED:
            self._after_failure(job)

    def _ours(self, owner: str) -> bool:
        """Is this the id of a job of ours, or of an export that nobody works on?"""
        return self.store.jobs.find(owner) is not None or self.store.takes.ended_export(owner)


def broken(error: Exception) -> dict[str, Any]:
    """A failure that nobody foresaw, as an error with words."""
    return {"code": "job.broken", "params": {"reason": f"{type(error).__name__}: {error}"[:300]}}
