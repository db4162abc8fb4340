"""Notices: what happened while nobody looked. And the thread that tells: ends of runs, scenes that stand still, hooks.

`beat` is one round of it, for tests; `start` goes round until `close`. Knows no screen.
"""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from studio.errors import NotFound
from studio.runner import Runner
from studio.runner.live import Live
from studio.service.hooks import Hooks
from studio.service.messages import said
from studio.service.views import View
from studio.service.words import Words
from studio.store import Store

log = logging.getLogger(__name__)

ROUND_SECONDS = 2.0
LAST_SECONDS = 3.0  # that closing the studio waits for a message on its way
PRUNE_SECONDS = 3600.0
STALL_SECONDS = 600.0  # the least that a scene must stand still
STALL_STEPS = 5  # how many of its usual steps


class Notices:
    def __init__(self, store: Store, runner: Runner, hooks: Hooks, words: Words) -> None:
        self._store, self._runner, self._hooks, self._words = store, runner, hooks, words
        self._stalled: set[str] = set()  # jobs whose standing still was told; only the telling thread uses it
        self._pruned = float("-inf")
        self._closing = Event()
        self._thread = Thread(target=self._go_round, name="notices", daemon=True)

    def list(self, since: int = 0, limit: int = 50, lang: str = "") -> list[View]:
        """Newest first, each in words; only those after the notice `since`."""
        return [self._view(row["facts"] | row, lang) for row in self._store.notices.recent(since, limit)]

    def _view(self, notice: View, lang: str) -> View:
        run = notice.get("run") or {}
        return {
            "id": notice["id"],
            "at": notice["at"],
            "kind": notice["kind"],
            "state": run.get("state") if notice["kind"] == "finished" else None,
            **said(self._words, notice, lang),
            "queue_id": notice["queue_id"],
            "scene_id": notice["scene_id"],
            "run_id": run.get("id"),
            "gone": not self._exists(notice["queue_id"]),
        }

    def _exists(self, queue_id: str) -> bool:
        try:
            self._store.queues.get(queue_id)
        except NotFound:
            return False
        return True

    # ------------------------------------------------------------------------------------------ telling
    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """A last round, for whoever opens the studio for one run. What could not be sent by then stays in the outbox
        and goes out at the next start."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=LAST_SECONDS)

    def _go_round(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(ROUND_SECONDS)
            try:
                self.beat()
            except Exception:  # a full disk, a closed database: the next round tries again
                if not self._closing.is_set():
                    log.exception("telling")

    def beat(self, *, clock: Callable[[], float] = time.time) -> None:
        """End runs that are over, look for scenes that stand still, send what is due."""
        self._store.runs.end_finished()
        self.look_for_stalls()
        if clock() - self._pruned > PRUNE_SECONDS:
            self._pruned = clock()
            self._store.notices.prune(self._pruned)
        self._hooks.send_due()

    def look_for_stalls(self) -> int:
        """Tell of every running job that has taken no step for long, once for each. How many."""
        now = self._runner.clock()
        running = {live.job.id: live for live in list(self._runner.live.values())}
        self._stalled &= running.keys()
        told = 0
        for job_id, live in running.items():
            still = now - live.moved
            if job_id in self._stalled or still < patience(live):
                continue
            self._stalled.add(job_id)
            told += self._store.runs.stalled(live.job, still)
        return told


def patience(live: Live) -> float:
    """Seconds without a step after which a job is said to stand still."""
    usual = (live.moved - live.started) / live.done if live.done else 0.0
    return max(STALL_SECONDS, STALL_STEPS * usual)
