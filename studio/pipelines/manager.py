"""Who is on the device. Lives where the work is done; one thread uses it, so loading and moving need no locks.

Knows engines by id, loads them on first use, and makes room by counting: how many may stay on the device, how many
parked in RAM. Knows no job and no queue.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from studio.errors import Cancelled
from studio.pipelines import engine_class
from studio.pipelines.base import Engine, Plan
from studio.pipelines.pool import Pool

log = logging.getLogger(__name__)


class PipelineManager:
    """Keeps the engines used last loaded, the ones before them parked, and closes the rest."""

    def __init__(
        self, find: Callable[[str], type[Engine]] = engine_class, keep_loaded: int = 1, keep_parked: int = 1
    ) -> None:
        self._find, self._keep_loaded, self._keep_parked = find, keep_loaded, keep_parked
        self.pool = Pool()
        self._loaded: OrderedDict[str, Engine] = OrderedDict()  # least recently used first
        self._parked: OrderedDict[str, Engine] = OrderedDict()

    @property
    def resident(self) -> str | None:
        """The engine used last, if it is still loaded: the one that can start at once."""
        return next(reversed(self._loaded), None)

    def holds(self, engine_id: str) -> bool:
        """Is it on the device already?"""
        return engine_id in self._loaded

    @contextmanager
    def lease(self, engine_id: str, plan: Plan) -> Iterator[Engine]:
        """The engine, ready to run by `plan`. It is on the device for sure only inside the `with` block.

        After a failure on a device other than the CPU it is closed: what it left there is not to be trusted.
        Raises NotFound, and whatever loading raises."""
        try:
            engine = self._ready(engine_id, plan)
            yield engine
        except Cancelled:
            raise
        except Exception:
            if plan.device != "cpu" and engine_id in self._loaded:
                self._close(engine_id, self._loaded.pop(engine_id))
            raise

    def close(self) -> None:
        """Let every engine go."""
        for engines in (self._loaded, self._parked):
            while engines:
                self._close(*engines.popitem(last=False))

    def _ready(self, engine_id: str, plan: Plan) -> Engine:
        engine = self._loaded.pop(engine_id, None) or self._parked.pop(engine_id, None) or self._find(engine_id)()
        while len(self._loaded) >= self._keep_loaded:
            name, oldest = self._loaded.popitem(last=False)
            oldest.park()
            self._parked[name] = oldest
        while len(self._parked) > self._keep_parked:
            self._close(*self._parked.popitem(last=False))
        self._loaded[engine_id] = engine
        engine.pool = self.pool
        engine.load(plan)
        return engine

    def _close(self, engine_id: str, engine: Engine) -> None:
        try:
            engine.close()
        except Exception:  # a poisoned device fails here again; the first failure is the one to report
            log.exception("%s could not be closed", engine_id)
