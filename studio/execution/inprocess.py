"""Work in the caller's own process: for tests and for one command that renders and ends. Knows no pipe.

An engine calls us while it works and our caller iterates: two threads, of which exactly one runs at any time. Each
waits for the other at every event, so nothing here needs a lock but `_works`.
"""

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

from studio import logs
from studio.domain import JSON, new_id
from studio.errors import Cancelled, Unavailable
from studio.execution import CANCELLED, LAST, Assignment, Event, Failed, Finished, Held, ToolDone, meter
from studio.execution.work import perform, use
from studio.pipelines.manager import PipelineManager

POLL_SECONDS = 0.1  # how late a job that waits hears of its cancel

Last = Finished | ToolDone | Failed


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked of a piece of work from outside."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    enough: threading.Event = field(default_factory=threading.Event)


class InProcess:
    """An Executor in this process. Engines run in one thread of their own, always the same.

    `_works` is read by `cancel`, `enough` and `adopt` from other threads; each change of it is one atomic step. `_turn`
    is held for the life of one piece of work."""

    def __init__(self, manager: PipelineManager | None = None) -> None:
        self._manager = manager or PipelineManager()
        self._works: dict[str, _Asked] = {}  # by job
        self._turn = threading.Lock()
        self._closed = False  # written and read under `_turn`
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lanterna work")

    def submit(self, assignment: Assignment) -> Iterator[Event]:
        asked = self._entered(assignment.job_id)

        def work(emit: Callable[[Event], None], cancelled: Callable[[], bool]) -> Last:
            with logs.scene_log(assignment.scene_id, assignment.job_id):
                return perform(assignment, self._manager, emit, cancelled, enough=asked.enough.is_set)

        return self._relay(assignment.job_id, asked.cancelled, work)

    def call(self, tool: str, arguments: Mapping[str, JSON], *, job_id: str = "") -> Iterator[Event]:
        job_id = job_id or new_id()
        asked = self._entered(job_id)
        return self._relay(job_id, asked.cancelled, lambda emit, cancelled: use(tool, arguments, emit, cancelled))

    def cancel(self, job_id: str) -> None:
        """Asked only: nobody can kill a thread."""
        if asked := self._works.get(job_id):
            asked.cancelled.set()

    def enough(self, job_id: str) -> None:
        if asked := self._works.get(job_id):
            asked.enough.set()

    def held(self) -> Held:
        return meter.held()

    def rest(self) -> None:
        """Its process is the caller's, which stays."""

    def adopt(self) -> set[str]:
        return set(self._works)

    def close(self) -> None:
        for asked in list(self._works.values()):
            asked.cancelled.set()
        with self._turn:
            if not self._closed:
                self._closed = True
                self._thread.submit(self._manager.close).result()
                self._thread.shutdown()

    def _entered(self, job_id: str) -> _Asked:
        assert job_id not in self._works, f"{job_id} is here already"
        self._works[job_id] = _Asked()
        return self._works[job_id]

    def _relay(
        self,
        job_id: str,
        cancelled: threading.Event,
        work: Callable[[Callable[[Event], None], Callable[[], bool]], Last],
    ) -> Generator[Event, None, None]:
        try:
            while not self._turn.acquire(timeout=POLL_SECONDS):
                if cancelled.is_set():
                    yield CANCELLED
                    return
            try:
                last: Event = Failed.of(Unavailable("worker.closed"))
                if not self._closed:
                    last = yield from self._lockstep(work, cancelled)
            finally:
                self._turn.release()
        finally:
            del self._works[job_id]
        yield last

    def _lockstep(
        self, work: Callable[[Callable[[Event], None], Callable[[], bool]], Last], cancelled: threading.Event
    ) -> Generator[Event, None, Last]:
        said: SimpleQueue[Event] = SimpleQueue()
        go_on, abandoned = threading.Semaphore(0), threading.Event()

        def emit(event: Event) -> None:
            said.put(event)
            go_on.acquire()
            if abandoned.is_set():
                raise Cancelled

        def whole() -> None:
            said.put(work(emit, cancelled.is_set))

        done: Future[None] = self._thread.submit(contextvars.copy_context().run, whole)
        event = said.get()
        try:
            while not isinstance(event, LAST):
                yield event
                go_on.release()  # for Kept, this is the acknowledgement
                event = said.get()
            return event
        finally:
            while not isinstance(event, LAST):  # the caller stopped listening
                abandoned.set()
                go_on.release()
                event = said.get()
            done.result()
