"""A whole installation of SkyReels comes in, one at a time and in a thread of its own: begin, look, cancel.

What happens on the way is service.arrival's business.
"""

import logging
from collections.abc import Sequence
from threading import Lock, Thread

from studio.domain import State, new_id
from studio.errors import Cancelled, Conflict, NotFound, Refused, StudioError
from studio.runner import Runner, broken
from studio.service.arrival import Arrival, Pass
from studio.service.landing import Landing
from studio.service.library import Library
from studio.service.views import View
from studio.store import Store
from studio.story import skyreels_installation as skyreels

log = logging.getLogger(__name__)

KEPT = 20  # imports whose report can still be read


class Installations:
    def __init__(self, store: Store, runner: Runner, library: Library, landing: Landing) -> None:
        self._store, self._runner, self._library, self._landing = store, runner, library, landing
        self._arrivals: dict[str, Arrival] = {}
        self._beginning = Lock()  # protects _arrivals: two clicks are one import
        self._threads: list[Thread] = []

    # ------------------------------------------------------------------------------------------ the verbs
    def begin(self, path: str, *, trusted: bool = False, wait: bool = False) -> View:
        """Import the installation in a folder; the report so far. Raises NotFound, Forbidden,
        Refused("installation.none"), Conflict("installation.busy")."""
        folder = self._library.find_any(path, trusted=trusted)
        if not (folder / skyreels.QUEUES).is_file() and not (folder / skyreels.RESULTS).is_dir():
            raise Refused("installation.none", folder=folder.name)
        with self._beginning:
            if self.busy():
                raise Conflict("installation.busy")
            arrival = Arrival(new_id(), folder, trusted)
            self._arrivals = dict([*self._arrivals.items(), (arrival.id, arrival)][-KEPT:])
        if wait:
            self._run(arrival)
        else:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(Thread(target=self._run, args=(arrival,), name="installation", daemon=True))
            self._threads[-1].start()
        return self.get(arrival.id)

    def get(self, arrival_id: str) -> View:
        """How far it is, the queues that are there already, and everything that was odd."""
        arrival = self._arrivals.get(arrival_id)
        if arrival is None:
            raise NotFound("installation.unknown", installation=arrival_id)
        return {
            "id": arrival.id, "folder": str(arrival.folder), "state": arrival.state, "error": arrival.error,
            "progress": arrival.done / arrival.total if arrival.total else float(arrival.state is State.DONE),
            "queues": list(arrival.queues), "problems": list(arrival.problems),
            "takes": sum(row["takes"] for row in arrival.queues),
        }  # fmt: skip

    def list(self) -> Sequence[View]:
        """Newest first."""
        return [self.get(arrival_id) for arrival_id in reversed(self._arrivals)]

    def busy(self) -> bool:
        """Does one come in?"""
        return any(one.state in (State.QUEUED, State.RUNNING) for one in list(self._arrivals.values()))

    def cancel(self, arrival_id: str) -> None:
        """Stop after the queue in hand; what came in stays."""
        self.get(arrival_id)
        self._arrivals[arrival_id].stop.set()

    def close(self) -> None:
        for arrival in self._arrivals.values():
            arrival.stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    # ------------------------------------------------------------------------------------------ the work
    def _run(self, arrival: Arrival) -> None:
        arrival.state = State.RUNNING
        try:
            Pass(arrival, self._store, self._runner, self._library, self._landing).run()
            arrival.state = State.DONE
        except StudioError as error:
            arrival.state = State.CANCELLED if isinstance(error, Cancelled) else State.FAILED
            arrival.error = None if isinstance(error, Cancelled) else error.as_dict()
        except Exception as error:
            log.exception("importing %s", arrival.folder)
            arrival.state, arrival.error = State.FAILED, broken(error)
