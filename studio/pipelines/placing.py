"""Puts the modules of a pipeline where a plan wants them, and only while they are needed. Knows torch, no model.

`using("transformer")` promises that the module can be called inside the block: it is on the device, or its blocks flow
through it. Outside, the device is free for the next module.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from studio.pipelines.base import Plan


class Placement:
    """The modules of one pipeline under one plan."""

    def __init__(self, plan: Plan, modules: Mapping[str, Any], blocks: Mapping[str, Sequence[str]]) -> None:
        """`modules`: by their name in the pipeline. `blocks`: by module, the attributes that hold what may be streamed,
        in the order in which they are run."""
        self._plan, self._modules, self._blocks = plan, dict(modules), dict(blocks)

    @contextmanager
    def using(self, *names: str) -> Iterator[None]:
        """These can be called inside the block."""
        for name in names:
            if name in self._modules:
                self._modules[name].to(self._plan.device)
        yield

    def park(self) -> None:
        """Leave the device, stay in RAM."""
        for module in self._modules.values():
            module.to("cpu")

    def close(self) -> None:
        """Let everything go."""
        self._modules.clear()
