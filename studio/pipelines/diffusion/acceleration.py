"""What makes a step shorter: an attention kernel, compiled blocks, a cache that skips what hardly changes. No model.

All of it is off unless somebody asked, or, for the kernel, unless one is installed that this device can do. A cache is
put on last, after placement, so that a skipped block is not fetched either, and comes off with the run: nothing of one
film is left for the next.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from studio.domain import JSON, new_id
from studio.pipelines.diffusion.embeddings import CACHE

log = logging.getLogger(__name__)

LEAST_STEPS = 15  # below, each step changes too much to skip one
FIRST_BLOCK = 0.05  # how little the first block's answer may change for the others to be skipped
MAG = 0.06  # the error that skipped steps may add up to


@dataclass(frozen=True, slots=True)
class Kernel:
    """An attention backend of diffusers, best first in KERNELS."""

    backend: str  # diffusers' name
    module: str  # that has to be installed
    wheel: str  # what to install for it
    since: tuple[int, int]  # compute capability of the GPU
    until: tuple[int, int] = (99, 0)  # exclusive


KERNELS = (
    Kernel("_flash_3", "flash_attn_interface", "flash-attn-3", (9, 0), (10, 0)),
    Kernel("flash", "flash_attn", "flash-attn", (8, 0)),
)  # those that only round differently; SageAttention counts in 8 bits, so nobody gets it unasked


def best_attention(capability: tuple[int, int] | None) -> str:
    """The best backend that is installed and that a GPU of this compute capability can do; None: a CPU."""
    for kernel in suited(capability):
        if find_spec(kernel.module) is not None:
            return kernel.backend
    return "native"


def faster_wheel(capability: tuple[int, int] | None) -> str | None:
    """What is not installed and would be faster than what is; None: nothing."""
    for kernel in suited(capability):
        if find_spec(kernel.module) is not None:
            return None
        return kernel.wheel
    return None


def suited(capability: tuple[int, int] | None) -> list[Kernel]:
    if capability is None:
        return []
    return [kernel for kernel in KERNELS if kernel.since <= capability < kernel.until]


def chosen_attention(wanted: str, device: str) -> str:
    """The backend of a plan: "auto" is the best one here."""
    if wanted != "auto":
        return wanted
    if device == "cpu":
        return best_attention(None)
    import torch

    return best_attention(torch.cuda.get_device_capability(device))


class CacheOptions(BaseModel):
    """Knobs of families whose network can be cached, to be mixed into their Options."""

    cache: Literal["none", "first_block", "mag"] = Field(
        "none", description="skips what hardly changes between steps; from 15 steps on"
    )

    @field_validator("cache")
    @classmethod
    def _worth_it(cls, value: str, info: ValidationInfo) -> str:
        if value != "none" and info.data.get("num_inference_steps", LEAST_STEPS) < LEAST_STEPS:
            raise ValueError(f"needs {LEAST_STEPS} steps or more")
        return value


@dataclass(slots=True)
class Saved:
    """What a cache did in one run."""

    cache: str
    forwards: int = 0  # of the networks
    skipped: int = 0  # of them, those that took all but the first blocks from the cache
    calibrated: bool = False  # this run measured what the next ones go by, and skipped nothing
    _ran: bool = field(default=True, repr=False)

    def facts(self) -> dict[str, JSON]:
        if self.cache == "none":
            return {}
        more: dict[str, JSON] = {"cache_calibrated": True} if self.calibrated else {}
        return {"cache": self.cache, "forwards": self.forwards, "skipped_forwards": self.skipped, **more}


@contextmanager
def cached(networks: Mapping[str, Any], cache: str, engine: str, steps: int) -> Iterator[Saved]:
    """Inside, the networks skip what `cache` says they may. `engine`, `steps`: whose calibration it is."""
    saved = Saved(cache)
    with ExitStack() as stack:
        for name, network in networks.items() if cache != "none" else ():
            file = _calibration(engine, name, steps)
            config = _config(cache, steps, file)
            _count(network, saved, stack)
            network.enable_cache(config)
            stack.callback(network.disable_cache)
            if cache == "mag" and config.calibrate:
                saved.calibrated = True
                _keep_calibration(network, file, steps)
        yield saved


def _config(cache: str, steps: int, calibration: Path | None) -> Any:
    from diffusers import FirstBlockCacheConfig, MagCacheConfig

    if cache == "first_block":
        return FirstBlockCacheConfig(threshold=FIRST_BLOCK)
    if calibration is not None and calibration.is_file():
        ratios = json.loads(calibration.read_text("utf-8"))
        return MagCacheConfig(threshold=MAG, num_inference_steps=steps, mag_ratios=ratios)
    # one step more than there are: at the last one it would print its ratios and forget them
    return MagCacheConfig(calibrate=True, num_inference_steps=steps + 1)


def _calibration(engine: str, network: str, steps: int) -> Path | None:
    folder = os.environ.get(CACHE)
    return Path(folder) / "magcache" / f"{engine}.{network}.{steps}.json" if folder else None


def _keep_calibration(network: Any, file: Path | None, steps: int) -> None:
    """Write down how much the answer of the blocks changes from step to step: when the pipeline is done it has the
    cache forget, and we read what is about to be forgotten."""
    from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK

    registries = [block._diffusers_hook for block in network.modules() if hasattr(block, "_diffusers_hook")]
    hooks = [registry.get_hook(_MAG_CACHE_LEADER_BLOCK_HOOK) for registry in registries]
    states = next(hook.state_manager for hook in hooks if hook is not None)
    forget = states.reset

    def reset(*args: Any, **named: Any) -> None:
        measured = [state.calibration_ratios for state in states._state_cache.values()]
        if file is not None and measured and len(measured[0]) == steps:  # stopped early: half a measure is none
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"{file.name}.{new_id()}.part")
            part.write_text(json.dumps(measured[0]), "utf-8")
            os.replace(part, file)
        forget(*args, **named)

    states.reset = reset


def _count(network: Any, saved: Saved, stack: ExitStack) -> None:
    """A forward counts as skipped if the last block was passed by. Before the cache's own hooks are there."""
    last = list(network.blocks if hasattr(network, "blocks") else network.transformer_blocks)[-1]

    def begins(*_: Any) -> None:
        saved.forwards += 1
        saved._ran = False

    def runs(*_: Any) -> None:
        saved._ran = True

    def ends(*_: Any) -> None:
        saved.skipped += not saved._ran

    hooks = [network.register_forward_pre_hook(begins), network.register_forward_hook(ends)]
    hooks += [child.register_forward_pre_hook(runs) for child in last.children()]
    for hook in hooks:
        stack.callback(hook.remove)


@contextmanager
def accelerated(networks: Mapping[str, Any], attention: str, compiled: bool) -> Iterator[None]:
    """Inside, the networks use this attention backend, and blocks that were compiled once for all of them."""
    with ExitStack() as stack:
        for network in networks.values():
            if attention != "native":
                network.set_attention_backend(attention)
                stack.callback(network.reset_attention_backend)
            if compiled:
                network.compile_repeated_blocks()  # in pieces: a streamer and whoever watches stand before each block
                stack.callback(_uncompile, network)
        yield


def _uncompile(network: Any) -> None:
    """Back to plain calls; what was compiled stays in torch's own cache."""
    for module in network.modules():
        module._compiled_call_impl = None
