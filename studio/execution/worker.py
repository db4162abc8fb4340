"""The worker process: one job or tool at a time, until the parent goes. Knows no database, queue or face.

Three threads. The main one works. The reader takes what the parent says and ends the process the moment the pipe
breaks, so that no worker outlives its studio. The heart beats while there is work, so that a frozen process is seen.
"""

import logging
import os
import platform
import queue
import signal
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection

from studio import logs
from studio.errors import Cancelled
from studio.execution import Event, Failed, Kept, meter
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

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
ORPHANED = 3  # exit status of a worker whose parent is gone
PACKAGES = ("lanterna", "av", "opencv-python-headless", "numpy", "torch", "diffusers", "transformers")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
ENVIRONMENT = {
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",  # it warns at each of our child processes otherwise
    # what these say when they are imported (an enum, a kernel for other cards) is of no use in somebody's terminal
    "TORCH_LOGS": "-torch",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}


def serve(conn: "Connection[Word, Order]", settings: WorkerSettings) -> None:
    """The main function of the process. Returns when told to quit, or when its device cannot be trusted any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal reaches us too; the parent decides
    for name, value in {**ENVIRONMENT, **_threads(settings.threads)}.items():
        os.environ.setdefault(name, value)
    os.environ.update(settings.environment)
    if settings.log_dir:
        logs.start(settings.log_dir, "worker", settings.log_level, settings.secrets)
    link = _Link(conn)
    link.say(Greeting(os.getpid(), platform.python_version(), _versions()))
    log.info("worker %d is ready", os.getpid())
    _work(link, settings)


def _threads(count: int | None) -> dict[str, str]:
    return {} if count is None else dict.fromkeys(THREAD_VARIABLES, str(count))


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _work(link: "_Link", settings: WorkerSettings) -> None:
    # heavy for a process that only has to say that it is here
    from studio import pipelines, tools
    from studio.execution.work import perform, use
    from studio.pipelines.manager import PipelineManager

    pipelines.ENGINES.update(settings.engines)
    tools.TOOLS.update(settings.tools)
    manager = PipelineManager()
    while (task := link.next_task()) is not None:
        order, leaving = task.order, False
        last: Event
        if isinstance(order, Use):
            last = use(order.tool, order.arguments, task.emit, task.cancelled.is_set)
        else:
            assignment = order.assignment
            with logs.scene_log(assignment.scene_id, assignment.job_id):
                last = perform(assignment, manager, task.emit, task.cancelled.is_set, enough=task.enough.is_set)
            # a fault that has no name may have poisoned the device: after some, every later call of this process fails
            leaving = isinstance(last, Failed) and last.code == "engine.failed" and assignment.plan.device != "cpu"
        link.finish(task, last, leaving)
        if leaving:
            log.warning("leaving: %s is not to be trusted after this failure", assignment.plan.device)
            return
    manager.close()


class _Task:
    """One piece of work as the worker's three threads see it."""

    def __init__(self, link: "_Link", order: Do | Use) -> None:
        self._link, self.order = link, order
        self.cancelled = threading.Event()
        self.acknowledged = threading.Event()
        self.enough = threading.Event()
        self.asked = {Cancel: self.cancelled, Acknowledge: self.acknowledged, Enough: self.enough}

    def emit(self, event: Event) -> None:
        """Say something on the way. Kept: returns when it is committed. Raises Cancelled if nobody will."""
        if isinstance(event, Kept):
            self.acknowledged.clear()
        self._link.say(Said(self.order.work_id, event))
        if isinstance(event, Kept):
            while not self.acknowledged.wait(BEAT_SECONDS):
                if self.cancelled.is_set():
                    raise Cancelled


class _Link:
    """This end of the pipe. `_speaking` guards writing to it: the worker and its heart both do."""

    def __init__(self, conn: "Connection[Word, Order]") -> None:
        self._conn = conn
        self._speaking = threading.Lock()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._newest: _Task | None = None  # the reader's own
        self._busy = threading.Event()
        for target in (self._read, self._beat):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def say(self, word: Word) -> None:
        try:
            with self._speaking:
                self._conn.send(word)
        except OSError:
            os._exit(ORPHANED)

    def next_task(self) -> _Task | None:
        """Waits for it. None: quit."""
        task = self._tasks.get()
        if task is not None:
            self._busy.set()
        return task

    def finish(self, task: _Task, last: Event, leaving: bool) -> None:
        self._busy.clear()
        self.say(Beat(meter.held()))  # what stays: the next plan counts on it
        self.say(Said(task.order.work_id, last, leaving))

    def _read(self) -> None:
        try:
            while True:
                self._take(self._conn.recv())
        except (EOFError, OSError):
            log.info("the studio is gone, and so is this worker")
        except BaseException:
            log.exception("not understood")
        os._exit(ORPHANED)  # at once, whatever the main thread does: never an orphan that holds the GPU

    def _take(self, order: Order) -> None:
        if isinstance(order, Quit):
            self._tasks.put(None)
        elif isinstance(order, Do | Use):
            self._newest = _Task(self, order)
            self._tasks.put(self._newest)
        elif self._newest is not None and order.work_id == self._newest.order.work_id:
            self._newest.asked[type(order)].set()

    def _beat(self) -> None:
        while self._busy.wait():  # only then: an idle worker's beats would fill a pipe that nobody reads
            self.say(Beat(meter.held()))
            time.sleep(BEAT_SECONDS)
