"""Where all modules of one engine are: its own by its plan, shared ones by the pool. Knows torch, no model.

Read where nobody needs them yet, shared components would fill RAM for nothing: `bring` fetches one on first use.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.pipelines.base import Plan, Room
from studio.pipelines.memory.parcel import weight_bytes
from studio.pipelines.memory.placing import Placement
from studio.pipelines.memory.shards import Located
from studio.pipelines.pool import Pool


class Places:
    """The modules of one engine under one plan. `using` is all that a family calls."""

    def __init__(
        self,
        plan: Plan,
        own: Mapping[str, Any],
        shared: Mapping[str, Hashable],
        blocks: Mapping[str, Sequence[str]],
        pool: Pool,
        bring: Callable[[str], None],
        folders: Mapping[str, Path | Located],
    ) -> None:
        """`own`: modules by name. `shared`: keys in the pool by name, which `bring(name)` borrows if it was not yet.
        `folders`: where the weights of own modules lie, for a plan that streams from disk."""
        self._plan, self._own, self._shared = plan, dict(own), dict(shared)
        self._blocks, self._pool, self._bring = blocks, pool, bring
        self._placement = Placement(plan, self._own, self._of(own), folders=folders)

    @contextmanager
    def using(self, *names: str) -> Iterator[None]:
        """These can be called inside the block."""
        with ExitStack() as stack:
            for name in names:
                if name in self._shared:
                    self._bring(name)
                    stack.enter_context(self._place(name).using(name))
            if own := [name for name in names if name in self._own]:
                stack.enter_context(self._placement.using(*own))
            yield

    def park(self) -> None:
        """Leave the device, stay in RAM."""
        for placement in (self._placement, *self._shared_placements()):
            placement.park()

    def close(self, *, keep: bool = True) -> None:
        """Let go of them; they lie in RAM as they were read. Shared ones stay with whoever else has them. `keep`: will
        anybody want them? Else what streams from the disk is not read for it."""
        self._placement.close(keep=keep)
        self._own.clear()

    def lower(self) -> bool:
        """Keep less on the device from now on. False: it is as little as can be."""
        return self._placement.lower()

    def held(self) -> dict[Hashable, Room]:
        """Bytes by component: a shared one is counted once, whoever asks."""
        found: dict[Hashable, Room] = {id(self): self._placement.held()}
        for key in self._shared.values():
            if (placement := self._pool.placement(key)) is not None:
                found[key] = placement.held()
            elif (module := self._pool.peek(key)) is not None:
                found[key] = Room(ram=weight_bytes(module))
        return found

    def _place(self, name: str) -> Placement:
        key = self._shared[name]
        how = replace(
            self._plan, profile="", transformer="resident", resident_blocks=0, token_chunk=0, attention="",
            compile=False, vae_tile=0, vae_tiles_to_ram=False, peak_bytes=0, ram_bytes=0, pinned_bytes=0,
            step_seconds=0.0,
        )  # fmt: skip
        return self._pool.place(key, how, lambda module: Placement(self._plan, {name: module}, self._of([name])))

    def _shared_placements(self) -> list[Placement]:
        return [found for key in self._shared.values() if (found := self._pool.placement(key)) is not None]

    def _of(self, names: Any) -> dict[str, Sequence[str]]:
        return {name: self._blocks[name] for name in names if name in self._blocks}
