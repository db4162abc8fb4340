"""Fetching models, one after another, in a worker of its own: rows, progress, cancel, resume. And checking them.

One thread asks the worker; a restart goes on with what waited or ran. Knows no screen and starts no queue.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

from studio.errors import Cancelled, NotFound, StudioError, Unavailable
from studio.pipelines import engine_class
from studio.pipelines.parts import Part, Shelf, held
from studio.pipelines.shelving import remove_file
from studio.runner import Runner, broken
from studio.service.estimates import RESERVE
from studio.service.views import View
from studio.settings import Settings
from studio.store import Store
from studio.store.database import Row

log = logging.getLogger(__name__)

PACE_SECONDS = 15.0  # over which the speed is reckoned
LAST_SECONDS = 5.0  # that closing the studio waits


@dataclass
class Live:
    """A download or a check that runs. Written by the thread that asks the worker."""

    id: str
    model: str
    done: int = 0
    total: int = 0
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=400))  # (clock, done)

    def moved(self, done: int, total: int, now: float) -> None:
        self.done, self.total = done, total
        self.marks.append((now, done))
        while self.marks[0][0] < now - PACE_SECONDS:
            self.marks.popleft()

    @property
    def pace(self) -> float | None:
        """Bytes a second lately; None before there is one."""
        if len(self.marks) < 2:
            return None
        (begun, first), (now, last) = self.marks[0], self.marks[-1]
        return (last - first) / (now - begun) if now > begun and last > first else None


@dataclass
class Check:
    """A model whose files are read again, or were since the studio was opened."""

    model: str
    state: str = "waiting"  # waiting | running | done | failed | cancelled
    result: View = field(default_factory=dict)  # {files, bytes, unknown, bad: [names]}
    error: View | None = None


class Downloads:
    def __init__(
        self, store: Store, runner: Runner, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._runner, self._settings, self._clock = store, runner, settings, clock
        self.on_end: Callable[[str, Row], None] = lambda state, row: None  # hears of every download that ended
        self.checks: dict[str, Check] = {}  # by model
        self._live: Live | None = None
        self._broken = False  # did the last download end without its row being told? The database was full or gone
        self._cancelled: set[str] = set()  # ids, also of those that have not reached the worker yet
        self._wake, self._closing = Flag(), Flag()
        self._thread = Thread(target=self._work, name="downloads", daemon=True)

    # ------------------------------------------------------------------------------------------ the verbs
    def begin(self, model: str, total: int, queue_id: str | None = None) -> None:
        """Fetch what a model lacks, after the others."""
        self._store.models.begin(model, total, queue_id)
        self._wake.set()

    def check(self, model: str) -> None:
        """Read a model's files again, after what is being done."""
        if model not in self.checks or self.checks[model].state != "running":
            self.checks[model] = Check(model)
        self._wake.set()

    def cancel(self, model: str) -> None:
        """What came is kept. Nothing happens where nothing is fetched or checked."""
        row = self._store.models.newest().get(model)
        if row and row["state"] in ("waiting", "running"):
            self._cancelled.add(row["id"])
            if row["state"] == "waiting":
                self._store.models.end(row["id"], "cancelled")
            self._executor.cancel(row["id"])
        check = self.checks.get(model)
        if check and check.state == "waiting":
            check.state = "cancelled"
        elif check and check.state == "running":
            self._cancelled.add(f"check-{model}")
            self._executor.cancel(f"check-{model}")

    def view(self, row: Row | None) -> View | None:
        """{id, state, done, total, bytes_per_second, eta, error} of a row of `downloads`."""
        if row is None:
            return None
        live = self._live if self._live and self._live.id == row["id"] else None
        done, total = (live.done, live.total or row["total"]) if live else (row["done"], row["total"])
        pace = live.pace if live else None
        return {
            "id": row["id"], "state": row["state"], "done": done, "total": total, "error": row["error"],
            "bytes_per_second": round(pace) if pace else None,
            "eta": round((total - done) / pace, 1) if pace else None, "queue_id": row["queue_id"],
        }  # fmt: skip

    def checked(self, model: str) -> View | None:
        """{state, done, total, files, unknown, bad, error} of a model that was checked since the studio was opened."""
        check = self.checks.get(model)
        if check is None:
            return None
        live = self._live if self._live and self._live.id == f"check-{model}" else None
        done, total = (live.done, live.total) if live else (0, 0)
        facts = {"done": done, "total": total, "files": 0, "unknown": 0, "bad": []}
        return {"state": check.state, **facts, **check.result, "error": check.error}

    @property
    def busy(self) -> bool:
        return self._live is not None

    # ------------------------------------------------------------------------------------------ life
    def start(self) -> None:
        """Go on with what a restart cut off. Returns at once."""
        if count := self._store.models.put_back():
            log.info("%d downloads go on", count)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more. What is being fetched ends with its worker, which the runner lets go, and goes on at the
        next start."""
        self._closing.set()
        self._wake.set()

    def close(self) -> None:
        """After `stop`, and after the workers went."""
        if self._thread.is_alive():
            self._thread.join(timeout=LAST_SECONDS)

    def drain(self) -> None:
        """Do all that waits in the calling thread."""
        while self._one():
            pass

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                if self._one():
                    continue
            except Exception:  # a full disk, a closed database: asked again when somebody wants something
                if not self._closing.is_set():
                    log.exception("downloads")
            self._wake.wait(60)
            self._wake.clear()

    def _one(self) -> bool:
        """The next check or download; False when there is none."""
        waiting = next((check for check in list(self.checks.values()) if check.state == "waiting"), None)
        if waiting:
            self._verify(waiting)
            return True
        if self._broken:
            self._store.models.put_back()
        row = self._store.models.next()
        if row is None:
            return False
        self._broken = True
        self._fetch(row)
        self._broken = False
        return True

    # ------------------------------------------------------------------------------------------ one download
    def _fetch(self, row: Row) -> None:
        live = self._live = Live(row["id"], row["model"], total=row["total"])
        self._store.models.update(row["id"], state="running", error=None)
        state, error = "failed", None
        try:
            parts = self._missing(row["model"])
            if parts:
                result = self._ask("download", self._wish(parts), live)
                self._remember_pace(live, result["fetched"])
            if left := self._missing(row["model"]):
                raise Unavailable("model.still_missing", part=left[0].name, repo=left[0].repo)
            state = "done"
        except Cancelled:
            state = "cancelled"
        except StudioError as failure:
            error = failure.as_dict()
        except Exception as failure:
            log.exception("fetching %s", row["model"])
            error = broken(failure)
        finally:
            self._live = None
            self._cancelled.discard(row["id"])
        if self._closing.is_set() and state != "done":
            return  # our own worker went down with us: the next start goes on
        self._store.models.update(row["id"], done=live.done, total=live.total)
        self._store.models.end(row["id"], state, error)
        if error:
            log.error("%s was not fetched: %s", row["model"], error)
        self.on_end(state, {**row, "error": error})

    def _missing(self, model: str) -> list[Part]:
        shelf = Shelf.here()
        return [part for part in engine_class(model).parts if shelf.find(part) is None]

    def _wish(self, parts: list[Part]) -> View:
        """The arguments of the tool. Read from the settings now: a key that was just saved counts."""
        shelf, token = Shelf.here(), self._settings.hf_token
        wanted = [
            {"repo": part.repo, "folder": part.where, "revision": part.revision, "variant": part.variant,
             "files": list(part.files), "listed": part.listed}
            for part in parts
        ]  # fmt: skip
        return {
            "parts": wanted, "cache": str(shelf.cache), "lists": str(shelf.folder / "lists"), "reserve": RESERVE,
            "endpoint": self._settings.hf_endpoint, "token": token.get_secret_value() if token else "",
            "offline": self._settings.offline, "proxy": self._settings.proxy,
        }  # fmt: skip

    def _remember_pace(self, live: Live, fetched: int) -> None:
        if live.pace and fetched > 50_000_000:  # less says nothing about the line
            self._store.models.keep_pace(live.pace)

    def _ask(self, tool: str, arguments: View, live: Live) -> Any:
        def step(done: int, total: int) -> None:
            live.moved(done, total, self._clock())
            if live.id in self._cancelled:
                self._executor.cancel(live.id)  # it may have been asked before the worker knew of it

        if live.id in self._cancelled:
            raise Cancelled
        return self._runner.ask(self._executor, tool, arguments, job_id=live.id, step=step)

    @property
    def _executor(self) -> Any:
        return self._runner.lanes.downloads[0]

    # ------------------------------------------------------------------------------------------ one check
    def _verify(self, check: Check) -> None:
        live = self._live = Live(f"check-{check.model}", check.model)
        check.state = "running"
        try:
            check.result = self._checked(check.model, live)
            check.state = "done"
        except Cancelled:
            check.state = "cancelled"
        except StudioError as failure:
            check.state, check.error = "failed", failure.as_dict()
        except Exception as failure:
            log.exception("checking %s", check.model)
            check.state, check.error = "failed", broken(failure)
        finally:
            self._live = None
            self._cancelled.discard(live.id)

    def _checked(self, model: str, live: Live) -> View:
        """Reads every file of what is here. A wrong file of the cache is removed, so that it can be fetched again."""
        shelf = Shelf.here()
        files: list[View] = []
        owners: dict[str, Part] = {}
        for part in engine_class(model).parts:
            folder = shelf.find(part)
            if folder is None:
                continue
            root = folder if not part.where else folder.parents[len(Path(part.where).parts) - 1]
            listed = shelf.files(part, root.name)
            for path in held(folder, part):
                files.append({"path": str(path), "digest": listed[path.name].digest if path.name in listed else ""})
                owners[str(path)] = part
        if not files:
            raise NotFound("model.nothing_here", model=model)
        result: View = self._ask("verify", {"files": files}, live)
        for path in result["bad"]:
            if shelf.ours(Path(path)):
                remove_file(shelf, Path(path), shelf.repository(owners[path].repo))
        return {**result, "bad": [f"{owners[path].name}/{Path(path).name}" for path in result["bad"]]}
