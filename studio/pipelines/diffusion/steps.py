"""Watches a denoising loop from inside: progress, preview, cancel, "enough", and what it cost. Knows no model.

The pipeline is stock, so all of it happens in its step callback and in hooks on its blocks.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from studio.domain import JSON
from studio.errors import Cancelled
from studio.pipelines.base import Run

if TYPE_CHECKING:
    import numpy as np
    import torch

LOOK_SECONDS = 0.2  # between two looks, inside of a step, whether the user cancelled


class Enough(Exception):
    """The user wants what is there so far, and this pipeline has no other way to end early."""

    def __init__(self, latents: "torch.Tensor") -> None:
        super().__init__()
        self.latents = latents


class Cost:
    """What a run takes at its peak: of the device, since somebody reset its count, or of RAM if that is all."""

    def __init__(self, device: str) -> None:
        import psutil

        self._device, self._process, self._most = device, psutil.Process(), 0

    def look(self) -> None:
        """Now. Devices remember their peak themselves."""
        if self._device == "cpu":
            self._most = max(self._most, self._process.memory_info().rss)

    def facts(self) -> dict[str, JSON]:
        if self._device == "cpu":
            self.look()
            return {"ram_peak_bytes": self._most}
        import torch

        return {"peak_bytes": torch.cuda.max_memory_allocated(self._device)}


def out_of_memory(error: RuntimeError) -> bool:
    """torch says it by a class for devices and only in words for RAM."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


class Watch:
    """One denoising of one run. Its `told` is the pipeline's `callback_on_step_end`."""

    def __init__(
        self, run: Run, total: int, picture: "Callable[[torch.Tensor], np.ndarray] | None", cost: Cost, done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`total` steps of the whole run, of which `done` were made by earlier watches (a second stage, a window).
        `picture`: latents of the pipeline to (H, W, 3) uint8."""
        self._run, self._total, self._done, self._picture, self._clock = run, total, done, picture, clock
        self._cost = cost
        self._last: tuple[torch.Tensor, float] | None = None  # latents and noise level of the step before
        self._looked = self._began = clock()
        self.seconds: list[float] = []
        self.stopped_at: int | None = None

    def told(self, pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        now = self._clock()
        self.seconds.append(now - self._began)
        self._began = now
        self._done += 1
        self._cost.look()
        clean = self._cleaned(pipe.scheduler, tensors["latents"], index)
        picture = self._picture
        self._run.step(self._done, self._total, (lambda: picture(clean())) if picture else None)
        if self._run.enough and index > 0 and self._done < self._total:  # one point shows no direction yet
            self.stopped_at = self._done
            if not hasattr(type(pipe), "interrupt"):
                raise Enough(clean())
            pipe._interrupt = True
            return {**tensors, "latents": clean()}
        return tensors

    @contextmanager
    def inside(self, blocks: "list[torch.nn.Module]") -> Iterator[None]:
        """While these run, the user can cancel between them."""
        hooks = [block.register_forward_pre_hook(self._look) for block in blocks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def facts(self) -> dict[str, JSON]:
        ordered = sorted(self.seconds)
        facts: dict[str, JSON] = {"steps": self._done}
        if ordered:
            facts["step_seconds"] = round(ordered[len(ordered) // 2], 4)
        if self.stopped_at is not None:
            facts["stopped_at"] = self.stopped_at
        return facts

    def _look(self, *_: Any) -> None:
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._cost.look()
            if self._run.cancelled:
                raise Cancelled

    def _cleaned(self, scheduler: Any, latents: "torch.Tensor", index: int) -> "Callable[[], torch.Tensor]":
        """What the picture will be as far as can be told now: the latents carried on in a straight line to no noise.

        The last step went from one noise level to the next, so its direction is known: x - sigma * dx / dsigma. Exact
        for Euler's method, and near for the others. Before there are two points, the latents as they are."""
        sigmas = scheduler.sigmas if hasattr(scheduler, "sigmas") else ()
        level = float(sigmas[index + 1]) if index + 1 < len(sigmas) else 0.0
        before, self._last = self._last, (latents, level)
        if before is None or level == 0.0 or before[1] == level or before[0].shape != latents.shape:
            return lambda: latents
        return lambda: latents - level * ((latents - before[0]) / (level - before[1]))
