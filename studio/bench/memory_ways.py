"""The ways of getting by with memory that the benchmark compares: everybody's, and ours. Knows torch; measures nothing.

Each puts a network where it can be called and returns what has to be done before another shape.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch

from studio.pipelines.base import Machine, Plan
from studio.pipelines.memory.footprint import Footprint, Shape
from studio.pipelines.memory.profiles import SLOTS, TOKEN_CHUNK, plan_for


@dataclass(slots=True)
class Bench:
    """What a method gets: the network in RAM, and where it shall work."""

    model: Any
    device: str
    footprint: Footprint
    machine: Machine
    stack: ExitStack
    plan: Plan | None = None  # of ours
    placement: Any = None


Prepared = Callable[[Shape], None]
"""Called before each shape."""


def resident(bench: Bench) -> Prepared:
    bench.model.to(bench.device)
    return _nothing


def model_offload(bench: Bench) -> Prepared:
    """diffusers' enable_model_cpu_offload does this to each module of a pipeline."""
    from accelerate import cpu_offload_with_hook

    _, hook = cpu_offload_with_hook(bench.model, bench.device)
    return lambda shape: hook.offload()


def sequential(bench: Bench) -> Prepared:
    """diffusers' enable_sequential_cpu_offload."""
    from accelerate import cpu_offload

    cpu_offload(bench.model, bench.device, offload_buffers=bool(bench.model._parameters))
    return _nothing


def group(bench: Bench, *, record: bool = False) -> Prepared:
    bench.model.enable_group_offload(
        onload_device=torch.device(bench.device), offload_device=torch.device("cpu"), offload_type="block_level",
        num_blocks_per_group=1, non_blocking=True, use_stream=True, record_stream=record,
    )  # fmt: skip
    return _nothing


def group_record(bench: Bench) -> Prepared:
    return group(bench, record=True)


def blocks_to(bench: Bench) -> Prepared:
    """Each block goes to the device, runs and comes back, and the cache is emptied: what is written first."""

    def there(block: Any, *_: Any) -> None:
        block.to(bench.device)

    def back(block: Any, *_: Any) -> None:
        block.to("cpu")
        if bench.device.startswith("cuda"):
            torch.cuda.empty_cache()

    for name, child in bench.model.named_children():
        if name != "blocks":
            child.to(bench.device)
    bench.model.scale_shift_table.data = bench.model.scale_shift_table.data.to(bench.device)
    for block in bench.model.blocks:
        block.register_forward_pre_hook(there)
        block.register_forward_hook(back)
    return _nothing


def mmgp(bench: Bench, profile: int) -> Prepared:
    from mmgp import offload  # never a dependency: its licence forbids that, and it changes torch for good

    offload.profile({"transformer": bench.model}, profile, verboseLevel=0, quantizeTransformer=False)
    return _nothing


def ours(bench: Bench, planned: Callable[[Bench, Shape], Plan]) -> Prepared:
    """Our own Placement by a plan, made anew where another shape wants another plan."""
    from studio.pipelines.memory.placing import Placement

    used = bench.stack.enter_context(ExitStack())

    def place(shape: Shape) -> None:
        plan = planned(bench, shape)
        if plan == bench.plan:
            return
        used.close()
        bench.plan = plan
        bench.placement = Placement(plan, {"transformer": bench.model}, {"transformer": ("blocks",)})
        used.callback(bench.placement.close)
        used.enter_context(bench.placement.using("transformer"))

    return place


def no_block_stays(bench: Bench, shape: Shape) -> Plan:
    return replace(streamed(bench), resident_blocks=0)


def as_many_as_fit(bench: Bench, shape: Shape) -> Plan:
    """What `auto` comes to where not all fit. On the CPU, where nothing is scarce, half of them."""
    if not bench.device.startswith("cuda"):
        return replace(streamed(bench), resident_blocks=len(bench.model.blocks) // 2)
    return plan_for(bench.footprint, shape, bench.machine, "hybrid")


def tight(bench: Bench, shape: Shape) -> Plan:
    chunk = TOKEN_CHUNK if bench.device.startswith("cuda") else 16  # fewer than the tiny shapes have
    return replace(streamed(bench), profile="tight", token_chunk=chunk)


def streamed(bench: Bench) -> Plan:
    dtype = str(next(bench.model.blocks.parameters()).dtype).removeprefix("torch.")
    return Plan("hybrid", bench.device, dtype, transformer="stream", slots=SLOTS)


def _nothing(shape: Shape) -> None:
    pass


METHODS: Mapping[str, Callable[[Bench], Prepared]] = {
    "resident": resident,
    "model": model_offload,
    "sequential": sequential,
    "group": group,
    "group_record": group_record,
    "mmgp_2": lambda bench: mmgp(bench, 2),
    "mmgp_4": lambda bench: mmgp(bench, 4),
    "blocks": blocks_to,
    "ours_0": lambda bench: ours(bench, no_block_stays),
    "ours_auto": lambda bench: ours(bench, as_many_as_fit),
    "ours_tight": lambda bench: ours(bench, tight),
}
