"""Who is on the device. Lives where the work is done; one thread uses it, so loading and moving need no locks.

Knows engines by id, loads them on first use, and makes room by bytes: who was not used for longest leaves the device
first, and RAM when that is needed too. Knows no job and no queue.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

from studio.errors import Cancelled, Refused
from studio.pipelines import engine_class
from studio.pipelines.base import Engine, Plan, Room
from studio.pipelines.parts import Shelf
from studio.pipelines.pool import Pool

log = logging.getLogger(__name__)

SPARE_RAM = 1_000_000_000  # bytes that stay free for everybody else
PINNED_SHARE = 0.5  # of RAM that may be page-locked where no plan says how much


def free_room(plan: Plan) -> Room:
    """What this process could still take of the plan's device and of RAM. `pinned`: of all RAM, whoever holds it."""
    import psutil

    memory = psutil.virtual_memory()
    ram, pinned = max(0, memory.available - SPARE_RAM), int(memory.total * PINNED_SHARE)
    if plan.device == "cpu":
        return Room(0, ram, pinned)
    import torch

    free, _ = torch.cuda.mem_get_info(plan.device)
    ours = torch.cuda.memory_reserved(plan.device) - torch.cuda.memory_allocated(plan.device)  # ours to use again
    return Room(free + ours, ram, pinned)


class PipelineManager:
    """Keeps engines loaded while there is room, parks and closes those used longest ago when there is none."""

    def __init__(
        self, find: Callable[[str], type[Engine]] = engine_class, free: Callable[[Plan], Room] = free_room
    ) -> None:
        self._find, self._free = find, free
        self.pool = Pool()
        self._engines: OrderedDict[str, Engine] = OrderedDict()  # least recently used first
        self._loaded: set[str] = set()  # those of them that may have something on the device

    @property
    def resident(self) -> str | None:
        """The engine used last, if it is still loaded: the one that can start at once."""
        last = next(reversed(self._engines), None)
        return last if last in self._loaded else None

    def holds(self, engine_id: str) -> bool:
        """Is it loaded already?"""
        return engine_id in self._loaded

    def held(self) -> Room:
        """What all engines take; a component that two of them share counts once."""
        return _total(self._engines.values())

    @contextmanager
    def lease(
        self, engine_id: str, plan: Plan, told: Callable[[Engine], None] = lambda engine: None
    ) -> Iterator[Engine]:
        """The engine, ready to run by `plan`. It is on the device for sure only inside the `with` block. `told`: what
        it must know before it loads.

        What could not be loaded whole is closed. So is what failed on a device other than the CPU: what it left there
        is not to be trusted. A refusal and a cancel leave it as it is. Raises NotFound, and whatever loading raises."""
        engine = self._ready(engine_id, plan, told)
        try:
            yield engine
        except (Cancelled, Refused):
            raise
        except Exception:
            if plan.device != "cpu" and engine_id in self._engines:
                self._close(engine_id)
            raise

    def close(self) -> None:
        """Let every engine go."""
        for engine_id in list(self._engines):
            self._close(engine_id)

    def _ready(self, engine_id: str, plan: Plan, told: Callable[[Engine], None]) -> Engine:
        engine = self._engines.get(engine_id) or self._find(engine_id)()
        told(engine)
        self._make_room(engine_id, engine, plan)
        self._engines[engine_id] = engine
        self._engines.move_to_end(engine_id)
        self._loaded.add(engine_id)
        engine.pool = self.pool
        try:
            engine.load(plan)
        except BaseException:
            self._close(engine_id)
            raise
        return engine

    def _make_room(self, engine_id: str, engine: Engine, plan: Plan) -> None:
        """Park whoever is in the way on the device, then close whoever is in the way in RAM."""
        others = [name for name in self._engines if name != engine_id]
        if engine.outside:
            for name in others:
                self._close(name)
        if not engine.parts:
            return  # weighs nothing here
        need, mine, free = _need(engine, plan), _total([engine]), self._free(plan)
        on_device = free.device + mine.device
        for name in [name for name in others if name in self._loaded and plan.device != "cpu"]:
            if need.device and need.device <= on_device:  # nobody reckoned: nobody knows that there is room
                break
            on_device += _total([self._engines[name]]).device
            self._park(name)
        ram, locked = free.ram + mine.ram, free.pinned - self.held().pinned + mine.pinned
        for name in others:
            if need.ram <= ram and need.pinned <= locked:
                break
            before = self.held()
            self._close(name)
            after = self.held()
            ram, locked = ram + before.ram - after.ram, locked + before.pinned - after.pinned

    def _park(self, engine_id: str) -> None:
        log.info("%s leaves the device", engine_id)
        self._loaded.discard(engine_id)
        self._engines[engine_id].park()

    def _close(self, engine_id: str) -> None:
        log.info("%s is closed", engine_id)
        self._loaded.discard(engine_id)
        engine = self._engines.pop(engine_id)
        try:
            engine.close()
        except Exception:  # a poisoned device fails here again; the first failure is the one to report
            log.exception("%s could not be closed", engine_id)


def _need(engine: Engine, plan: Plan) -> Room:
    """What the plan reckoned; of RAM, where nobody did, as much as is read from disk."""
    ram = plan.ram_bytes
    if not ram:
        folders = [folder for part in engine.parts if (folder := Shelf.here().find(part)) is not None]
        ram = sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))
    return Room(plan.peak_bytes, ram, plan.pinned_bytes)


def _total(engines: Iterable[Engine]) -> Room:
    components: dict[Hashable, Room] = {}
    for engine in engines:
        components.update(engine.held())
    return sum(components.values(), Room())
