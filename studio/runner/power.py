"""The computer's sleep: kept away while a queue wants that, brought about when all is done and a queue asked for it.

Staying awake never fails a run: where nothing can be held, `status` says so. Going to sleep or shutting down happens
only when everything in all queues is finished, after a countdown that anybody may cancel; a queue that a full disk
paused, or that somebody stopped, brings neither about. It happens once: then the queues no longer want it. Knows no
screen; the clock, the hold and the commands are arguments.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event as Flag
from threading import Lock, Thread
from typing import Literal

from studio.store import Store

log = logging.getLogger(__name__)

What = Literal["sleep", "shut_down"]
COUNTDOWN = 60.0  # seconds in which it can be cancelled
LOOK_SECONDS = 1.0
COMMANDS: dict[What, dict[str, list[str]]] = {
    "sleep": {
        "linux": ["systemctl", "suspend"],
        "darwin": ["pmset", "sleepnow"],
        "win32": ["rundll32.exe", "powrprof.dll,SetSuspendState", "0,1,0"],
    },
    "shut_down": {
        "linux": ["systemctl", "poweroff"],
        "darwin": ["osascript", "-e", 'tell application "System Events" to shut down'],  # `shutdown -h` needs root
        "win32": ["shutdown", "/s", "/t", "0"],
    },
}
INHIBIT = ["systemd-inhibit", "--what=sleep:idle", "--who=Lanterna", "--why=rendering", "--mode=block", "cat"]

Hold = Callable[[], AbstractContextManager[str]]
"""Keeps the computer awake inside the `with` block; gives the name of what does it, empty where nothing could."""


@contextmanager
def nothing() -> Iterator[str]:
    """Holds nothing."""
    yield ""


class Power:
    """With a store alone it touches nothing outside. `tick` looks once; `start` looks every second, in a thread of its
    own: some holds belong to their thread."""

    def __init__(
        self,
        store: Store,
        hold: Hold = nothing,
        do: Callable[[What], None] = lambda what: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._hold, self._do, self._clock = store, hold, do, clock
        self._held: ExitStack | None = None
        self._by = ""  # what keeps it awake
        self._since = store.night.newest_event()  # what ended after it may put the computer to sleep
        self._due: tuple[What, float] | None = None  # (what, when by the clock)
        self._trouble = ""  # why the last sleep or shutdown did not come
        self._deciding = Lock()  # protects _due: who cancels in time is heard; nothing else is taken inside it
        self.busy: list[Callable[[], bool]] = []  # asked too: work that has no row in the store, an import say
        self._stopping = Flag()
        self._thread = Thread(target=self._watch, name="power", daemon=True)

    # ------------------------------------------------------------------------------------------ what is shown
    def coming(self) -> dict[str, object] | None:
        """`{what, in}`: what happens in how many seconds, unless somebody cancels."""
        due = self._due
        return {"what": due[0], "in": max(0, round(due[1] - self._clock()))} if due else None

    def status(self) -> dict[str, object]:
        """`awake`: off, held, or cannot; `by`: what holds it; `trouble`: why a sleep or shutdown did not come."""
        held = self._held is not None
        awake = "off" if not held else "held" if self._by else "cannot"
        return {"awake": awake, "by": self._by, "trouble": self._trouble}

    # ------------------------------------------------------------------------------------------ verbs
    def cancel(self) -> bool:
        """Neither sleep nor shutdown for what ended until now. Was one coming?"""
        with self._deciding:
            coming, self._due = self._due, None
        self._since = self._store.night.newest_event()
        self._store.night.forget_afterwards()
        return coming is not None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        try:
            while not self._stopping.wait(LOOK_SECONDS):
                try:
                    self.tick()
                except Exception:  # the night goes on without it
                    log.exception("power")
        finally:
            self._let_go()

    # ------------------------------------------------------------------------------------------ once a second
    def tick(self) -> None:
        if self._store.night.wants_awake():
            if self._held is None:
                self._held = ExitStack()
                self._by = self._held.enter_context(self._hold())
                log.info("kept awake by %s", self._by or "nothing")
        else:
            self._let_go()
        self._count_down()

    def _let_go(self) -> None:
        if self._held is not None:
            held, self._held, self._by = self._held, None, ""
            held.close()

    def _count_down(self) -> None:
        if self._store.night.unfinished() or any(busy() for busy in self.busy):
            self._due = None
            return
        due = self._due
        if due is None:
            wished = self._store.night.afterwards(self._since)
            what: What | None = "shut_down" if "shut_down" in wished else "sleep" if "sleep" in wished else None
            self._due = (what, self._clock() + COUNTDOWN) if what else None
        elif self._clock() >= due[1] and self.cancel():  # not when somebody else cancelled it just now
            what = due[0]
            log.info("everything is done: %s", what)
            try:
                self._do(what)
                self._trouble = ""
            except (OSError, subprocess.SubprocessError) as error:
                self._trouble = str(error)[:200]
                log.error("%s: %s", what, error)


# ------------------------------------------------------------------------------------------------ this computer
def do(what: What) -> None:
    """Raises OSError or SubprocessError where this computer will not."""
    subprocess.run(COMMANDS[what][sys.platform], check=True, timeout=60, capture_output=True, stdin=subprocess.DEVNULL)


@contextmanager
def stay_awake() -> Iterator[str]:
    """By wakepy (Windows, macOS, Linux desktops); on a Linux server by systemd-inhibit."""
    from wakepy import keep

    with keep.running(on_fail="pass") as mode:
        if mode.active:
            yield mode.active_method.name if mode.active_method else "wakepy"
        elif sys.platform != "linux":
            yield ""
        else:
            with _inhibited() as by:
                yield by


@contextmanager
def _inhibited() -> Iterator[str]:
    """`cat` waits on our pipe: it ends with us, however we end, and the inhibition with it."""
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(INHIBIT, stdin=pipe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        yield ""
        return
    try:
        try:
            child.wait(timeout=1)
            yield ""  # it ended at once: there is no systemd to ask
        except subprocess.TimeoutExpired:
            yield "systemd-inhibit"
    finally:
        child.stdin.close()  # type: ignore[union-attr]
        child.wait(timeout=5)
