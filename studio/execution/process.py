"""The parent's side of one long-lived worker process, started on first use and again whenever it died.

Loads nothing heavy: the app process imports this. Knows no database; see the package for what the events mean.
"""

import logging
import multiprocessing
import pickle
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Literal

from studio.domain import JSON, new_id
from studio.errors import Unavailable
from studio.execution import CANCELLED, LAST, Assignment, Event, Failed, Held, Kept
from studio.execution.wire import (
    Acknowledge,
    Beat,
    Cancel,
    Do,
    Enough,
    Greeting,
    Order,
    Quit,
    Said,
    Use,
    Word,
    WorkerSettings,
)
from studio.execution.work import found
from studio.execution.worker import serve

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # how late a cancel or a limit may be noticed; a word or a death wakes us at once
STALLED_STEPS = 4  # of the plan's predicted step that may pass without a word, where that is longer than the limit
QUIT_SECONDS = 2.0  # for an idle worker to close its engines


@dataclass(slots=True, eq=False)
class _Work:
    """Something asked of the worker, from `submit` to its last event."""

    id: str
    order: Do | Use
    assignment: Assignment | None = None  # None: a tool
    cancelled_at: float | None = None  # by the clock
    enough: bool = False


class WorkerProcess:
    """An Executor over one spawned process.

    `_turn`: whoever holds it has the worker to itself, for the life of one piece of work; only the holder starts,
    hears or buries the process. `_lock`: guards `_works`, `_running`, `_process`, `_conn`, `_closed` and each write to
    the pipe, for moments. `_turn` is taken before `_lock`, never inside it."""

    def __init__(
        self,
        settings: WorkerSettings = WorkerSettings(),  # noqa: B008 - frozen
        *,
        cancel_grace: float = 10.0,  # seconds until an asked cancel becomes a kill
        frozen_after: float = 60.0,  # seconds without a heartbeat
        stalled_after: float = 1800.0,  # least seconds of heartbeats without another word: a kernel that hangs
        start_within: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.greeting: Greeting | None = None  # of the process that is there now
        self._settings, self._clock = settings, clock
        self._cancel_grace, self._frozen_after, self._stalled_after = cancel_grace, frozen_after, stalled_after
        self._start_within = start_within
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._works: dict[str, _Work] = {}
        self._running: _Work | None = None
        self._process: SpawnProcess | None = None
        self._conn: Connection[Order, Word] | None = None
        self._closed = False
        self._held: Held | None = None  # by the last heartbeat

    # -------------------------------------------------------------------------------------------- the verbs
    def submit(self, assignment: Assignment) -> Iterator[Event]:
        order = Do(assignment)
        return self._relay(self._entered(_Work(order.work_id, order, assignment)))

    def call(self, tool: str, arguments: Mapping[str, JSON], *, job_id: str = "") -> Iterator[Event]:
        order = Use(job_id or new_id(), tool, arguments)
        return self._relay(self._entered(_Work(order.work_id, order)))

    def cancel(self, job_id: str) -> None:
        with self._lock:
            work = self._works.get(job_id)
            if work is None or work.cancelled_at is not None:
                return
            work.cancelled_at = self._clock()
            if self._running is work:
                self._write(Cancel(work.id))

    def enough(self, job_id: str) -> None:
        with self._lock:
            work = self._works.get(job_id)
            if work is None or work.enough:
                return
            work.enough = True
            if self._running is work:
                self._write(Enough(work.id))

    def held(self) -> Held | None:
        return self._held

    def rest(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                self._bury()
            finally:
                self._turn.release()

    def adopt(self) -> set[str]:
        with self._lock:
            return set(self._works)

    def close(self) -> None:
        """A worker at work is killed: its job is no worse off than after a crash. Safe to call twice."""
        with self._lock:
            self._closed = True
            process = self._process
            if process is not None and self._running is not None:
                process.kill()
            elif process is not None:
                self._write(Quit())
        if process is not None:
            process.join(QUIT_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        if self._turn.acquire(timeout=QUIT_SECONDS):  # not where a caller has walked away from its iterator
            self._bury()
            self._turn.release()

    @property
    def state(self) -> Literal["off", "starting", "idle", "busy"]:
        with self._lock:
            if self._running is not None:
                return "busy"
            if self._process is None:
                return "off"
            return "idle" if self.greeting else "starting"

    # -------------------------------------------------------------------------------------------- one piece of work
    def _entered(self, work: _Work) -> _Work:
        """Known from now on, so that it can be cancelled while it waits."""
        with self._lock:
            assert work.id not in self._works, f"{work.id} is here already"
            self._works[work.id] = work
        return work

    def _relay(self, work: _Work) -> Generator[Event, None, None]:
        try:
            while not self._turn.acquire(timeout=POLL_SECONDS):
                if work.cancelled_at is not None:
                    yield CANCELLED
                    return
            try:
                last = yield from self._attended(work)
            finally:
                self._turn.release()
        finally:
            with self._lock:
                del self._works[work.id]
        yield last  # only now: whoever stops listening here leaves nothing behind

    def _attended(self, work: _Work) -> Generator[Event, None, Event]:
        """Everything but the last event, which is returned."""
        try:
            self._start()
        except Unavailable as error:
            return Failed.of(error)
        with self._lock:
            if work.cancelled_at is not None:
                return CANCELLED
            self._running = work
            self._write(work.order)
            if work.enough:
                self._write(Enough(work.id))
        event: Event | None = None
        try:
            while not isinstance(event := self._next(work), LAST):
                yield event
                if isinstance(event, Kept):
                    with self._lock:
                        self._write(Acknowledge(work.id))
            return event
        finally:
            if not isinstance(event, LAST):
                self._abandon(work)
            with self._lock:
                self._running = None

    def _next(self, work: _Work) -> Event:
        """What happens next: a word of the worker, its death, or the end of our patience."""
        heard = since = self._clock()
        while True:
            try:
                word = self._hear(POLL_SECONDS)
            except _Died:
                return self._verdict(work, self._bury())
            now = self._clock()
            if isinstance(word, Said) and word.work_id == work.id:
                if word.leaving:
                    self._bury()
                return word.event
            if word is not None:
                heard = now
            if isinstance(word, Beat):
                self._held = word.held
            if work.cancelled_at is not None and now - work.cancelled_at > self._cancel_grace:
                return self._verdict(work, self._kill("did not stop"))
            if now - heard > self._frozen_after:
                return self._verdict(work, self._kill("is frozen"), "worker.frozen", seconds=round(self._frozen_after))
            if now - since > (patience := self._patience(work)):
                return self._verdict(work, self._kill("stalled"), "worker.stalled", seconds=round(patience))

    def _patience(self, work: _Work) -> float:
        """Seconds without a word: on a CPU one step of a large model may take hours, and was told to."""
        step = work.assignment.plan.step_seconds if work.assignment else 0.0
        return max(self._stalled_after, STALLED_STEPS * step)

    def _verdict(self, work: _Work, how: str, code: str = "worker.died", **params: JSON) -> Event:
        """The last event of work whose process is gone. It may have been done, and only the word was lost."""
        finished = found(work.assignment) if work.assignment else None
        if finished is not None:
            return finished
        if work.cancelled_at is not None:
            return CANCELLED
        if self._closed:
            return Failed.of(Unavailable("worker.closed"))
        return Failed.of(Unavailable(code, how=how, **params))

    def _abandon(self, work: _Work) -> None:
        """The caller stopped listening: get the worker free, by asking or by force."""
        self.cancel(work.id)
        while not isinstance(self._next(work), LAST):
            pass

    # -------------------------------------------------------------------------------------------- the process
    def _start(self) -> None:
        """Returns when a worker is there and has said hello. Raises Unavailable."""
        if self._process is not None and self._process.is_alive() and not self._closed:
            return
        self._bury()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._settings), name="lanterna worker", daemon=True)
        with self._lock:
            if self._closed:
                raise Unavailable("worker.closed")
            process.start()
            self._process, self._conn = process, ours
        theirs.close()  # or we would never see the pipe break
        limit = self._clock() + self._start_within
        word: Word | None = None
        while not isinstance(word, Greeting):
            if self._clock() > limit:
                raise Unavailable("worker.no_start", how=self._kill("did not start"))
            try:
                word = self._hear(POLL_SECONDS)
            except _Died:
                raise Unavailable("worker.no_start", how=self._bury()) from None
        self.greeting = word
        log.info("worker %d started", word.pid)

    def _hear(self, seconds: float) -> Word | None:
        """The next word, None if there is none for so long. Raises _Died."""
        assert self._process is not None and self._conn is not None
        wait([self._conn, self._process.sentinel], seconds)
        alive = self._process.is_alive()  # asked first: what a dying worker still said comes before its death
        try:
            if self._conn.poll():
                return self._conn.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise _Died from None
        if not alive:
            raise _Died
        return None

    def _write(self, order: Order) -> None:
        """Under `_lock`. A broken pipe is found by whoever listens."""
        if self._conn is not None:
            try:
                self._conn.send(order)
            except OSError:
                log.debug("not delivered: %s", type(order).__name__)

    def _kill(self, why: str) -> str:
        assert self._process is not None
        log.warning("worker %s %s and is killed", self._process.pid, why)
        self._process.kill()
        return self._bury()

    def _bury(self) -> str:
        """Forget a process that is dead or about to be. Returns how it ended: a signal's name or "exit 1"."""
        with self._lock:
            process, conn = self._process, self._conn
            self._process = self._conn = self.greeting = self._held = None
        if process is None or conn is None:
            return ""
        conn.close()  # a worker that is still there sees that and ends
        process.join(QUIT_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        how = _ending(process.exitcode)
        log.info("worker %s ended: %s", process.pid, how)
        return how


class _Died(Exception):
    """The process is gone, or its pipe is."""


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"exit {exitcode}"
