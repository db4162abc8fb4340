"""Profiles: how a model gets by with the memory there is. From a footprint, a shape and a machine to a plan.

Arithmetic on numbers that others bring: no torch, no store. Formulas, constants and where they come from:
docs/memory.md. A plan that cannot be made is Refused with the reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from studio.errors import Refused
from studio.pipelines.base import Machine, Plan
from studio.pipelines.memory.footprint import Footprint, Shape

GB = 1_000_000_000
CONTEXT_BYTES = 600_000_000  # that CUDA itself takes of the device, beside tensors
RAM_RESERVE = 2 * GB  # that stays free for everybody else
TOKEN_CHUNK = 2048  # tokens that a chunked block handles at once; Network.activation_chunked is measured with it
SLOTS = 2
PIN_SHARE = {"Windows": 0.4}  # of RAM that may be page-locked
PIN_SHARE_ELSEWHERE = 0.5
EFFICIENCY = 0.6  # of the measured rate of matrix products that a network's forward reaches
GUESSED_TFLOPS: Mapping[str, float] = {  # effective, by a part of the GPU's name, until it is measured
    "3060": 19, "3090": 55, "4060": 25, "4070": 45, "4080": 75, "4090": 110, "5070": 60, "5080": 85, "5090": 150,
    "A100": 200, "H100": 400, "H200": 400, "L40": 110, "T4": 20,
}  # fmt: skip
GUESSED_GPU_TFLOPS, GUESSED_CORE_TFLOPS = 30.0, 0.05
GUESSED_COPY_GB_S, GUESSED_DISK_GB_S = 12.0, 2.0

Phase = Literal["text", "denoise", "decode"]


@dataclass(frozen=True, slots=True)
class Profile:
    """A row of the table in docs/memory.md. `need`: only where it does not fit otherwise."""

    transformer: Literal["resident", "swap", "stream"]
    text: Literal["device", "stream", "ram"] = "stream"
    image_encoder: Literal["device", "ram"] = "device"
    vae: Literal["device", "swap", "ram"] = "swap"
    stay: bool = False  # as many blocks as fit stay on the device
    bits: Literal[16, 8] = 16
    weights: Literal["ram", "disk"] = "ram"
    chunked: Literal["never", "need", "always"] = "never"
    tiled: Literal["need", "always"] = "always"
    tiles_to_ram: bool = False


PROFILES: Mapping[str, Profile] = {
    "resident": Profile("resident", text="device", vae="device", tiled="need"),
    "swap": Profile("swap", vae="device", tiled="need"),
    "hybrid": Profile("stream", stay=True),
    "stream8": Profile("stream", image_encoder="ram", bits=8, chunked="need", tiles_to_ram=True),
    "tight": Profile("stream", image_encoder="ram", chunked="always", tiles_to_ram=True),
    "disk": Profile("stream", image_encoder="ram", weights="disk", chunked="need", tiles_to_ram=True),
    "cpu": Profile("resident", text="device", vae="device", tiled="need"),
}
AUTO = ("resident", "swap", "hybrid", "tight", "stream8", "disk")  # fastest first; 8 bit only where 16 bit cannot be
SMALLEST = ("tight", "hybrid", "swap", "resident", "disk")  # what `low_vram` of other programs asks for


@dataclass(frozen=True, slots=True)
class Learnt:
    """What this machine's runs of an engine showed: real over predicted."""

    memory: Mapping[str, float] = field(default_factory=dict)  # by phase, of what is there beside the weights
    time: Mapping[str, float] = field(default_factory=dict)  # by profile, of a step; "": of all profiles together

    def slower(self, profile: str) -> float:
        return self.time.get(profile, self.time.get("", 1.0))


UNTAUGHT = Learnt()


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of the device in one phase of a run."""

    phase: Phase
    weights: int
    working: int  # activations, pixels

    @property
    def bytes(self) -> int:
        return self.weights + self.working


@dataclass(frozen=True, slots=True)
class Fit:
    """What one profile would do: a plan, or why there is none."""

    profile: str
    plan: Plan | None
    refused: Refused | None


# ------------------------------------------------------------------------------------------------ the choice
def plan_for(
    footprint: Footprint,
    shape: Shape,
    machine: Machine,
    dial: str = "auto",
    *,
    allow_8bit: bool = False,
    learnt: Learnt = UNTAUGHT,
) -> Plan:
    """How a model works on a shape here. `dial`: a profile's name, "auto" for the fastest that fits, "smallest" for
    the one with the least device memory in 16 bit.

    Raises Refused: "memory.nothing_fits" and "memory.profile_unfit" with the reason as `why`, "preflight.eight_bit"."""
    whole = footprint.spares != "never"  # too small to be streamed: who wants their film streamed means the film
    if dial in PROFILES and not (whole and PROFILES[dial].transformer == "stream"):
        return _named(footprint, shape, machine, dial, allow_8bit, learnt)
    order = ("cpu",) if not machine.gpu or footprint.spares == "always" else SMALLEST if dial == "smallest" else AUTO
    if machine.gpu and footprint.spares == "need":
        order = (*order, "cpu")
    first: Refused | None = None
    for name in order:
        if PROFILES[name].bits == 8 and not allow_8bit:
            continue
        try:
            return _planned(footprint, shape, machine, name, learnt)
        except Refused as refused:
            first = _telling(first, refused)
    assert first is not None
    raise Refused("memory.nothing_fits", **_size(shape), why=first.as_dict())


def every(
    footprint: Footprint, shape: Shape, machine: Machine, *, allow_8bit: bool = False, learnt: Learnt = UNTAUGHT
) -> Iterator[Fit]:
    """What each profile would do, in the order of PROFILES. `cpu` is left out where there is a GPU, but for models
    that may spare it."""
    for name in PROFILES:
        if name == "cpu" and machine.gpu and footprint.spares == "never":
            continue
        try:
            if PROFILES[name].bits == 8 and not allow_8bit:
                raise Refused("memory.no_consent")
            yield Fit(name, _planned(footprint, shape, machine, name, learnt), None)
        except Refused as refused:
            yield Fit(name, None, refused)


def _named(footprint: Footprint, shape: Shape, machine: Machine, name: str, allow_8bit: bool, learnt: Learnt) -> Plan:
    if PROFILES[name].bits == 8 and not allow_8bit:
        raise Refused("preflight.eight_bit")
    try:
        return _planned(footprint, shape, machine, name, learnt)
    except Refused as refused:
        raise Refused("memory.profile_unfit", profile=name, **_size(shape), why=refused.as_dict()) from None


def _telling(first: Refused | None, second: Refused) -> Refused:
    """Of two reasons the one that came nearer: the least memory that would have been enough."""
    if first is None or "needed_gb" not in first.params:
        return second
    nearer = second.code == first.code and second.params["needed_gb"] < first.params["needed_gb"]
    return second if nearer else first


# ------------------------------------------------------------------------------------------------ one profile
def _planned(footprint: Footprint, shape: Shape, machine: Machine, name: str, learnt: Learnt) -> Plan:
    """The plan of one profile. Raises Refused with what is missing."""
    profile, network = PROFILES[name], footprint.network
    if profile.transformer == "stream" and not network.blocks:
        raise Refused("memory.no_stream")
    if profile.bits == 8 and not network.block_bytes_8bit:
        raise Refused("memory.no_8bit")
    here = not machine.gpu or name == "cpu"  # the CPU plays the device
    if here and machine.gpu:
        machine = replace(machine, gpu="", ceiling_gb=0.0, tflops=0.0)  # these are the GPU's
    refused: Refused | None = None
    for dtype in ("float32", "bfloat16") if here else ("bfloat16",):
        for plan in _ways(footprint, shape, name, "cpu" if here else "cuda:0", dtype):
            try:
                return _within(footprint, shape, machine, plan, learnt)
            except Refused as why:
                refused = _telling(refused, why)
    assert refused is not None
    raise refused


def _ways(footprint: Footprint, shape: Shape, name: str, device: str, dtype: str) -> Iterator[Plan]:
    """The same profile with less and less memory: whole picture or tiles, all tokens or some at a time."""
    profile = PROFILES[name]
    cut = footprint.tiles and footprint.tile**2 < shape.pixels
    tiles = [footprint.tile, footprint.tile // 2] if cut else []
    chunks = [0] if profile.chunked == "never" or not footprint.network.chunks else [0, TOKEN_CHUNK]
    for chunk in chunks[-1:] if profile.chunked == "always" else chunks:
        for tile in tiles if cut and profile.tiled == "always" else [0, *tiles]:
            yield Plan(
                profile=name, device=device, dtype=dtype, text_encoder=profile.text,
                image_encoder=profile.image_encoder, transformer=profile.transformer, slots=SLOTS,
                weights=profile.weights, weight_bits=profile.bits, token_chunk=chunk, vae=profile.vae, vae_tile=tile,
                vae_tiles_to_ram=bool(tile) and profile.tiles_to_ram,
            )  # fmt: skip


def _within(footprint: Footprint, shape: Shape, machine: Machine, plan: Plan, learnt: Learnt) -> Plan:
    """The plan with its numbers, and with as many blocks on the device as fit. Raises Refused."""
    most = device_budget(machine)
    if PROFILES[plan.profile].stay:
        plan = _with_residents(footprint, shape, plan, most, learnt)
    worst = max(needs(footprint, shape, plan, learnt), key=lambda need: need.bytes)
    plan = replace(
        plan, phase=worst.phase, peak_bytes=worst.bytes, working_bytes=worst.working,
        ram_bytes=ram_bytes(footprint, plan, worst.bytes),
        pinned_bytes=pinned_bytes(footprint, plan),
    )  # fmt: skip
    if worst.bytes > most:
        code = "memory.vram" if machine.gpu else "memory.ceiling" if machine.ceiling_gb else "memory.ram"
        raise Refused(code, **_gigabytes(worst.bytes, most))
    if plan.ram_bytes > ram_budget(machine):
        raise Refused("memory.ram", **_gigabytes(plan.ram_bytes, ram_budget(machine)))
    if plan.pinned_bytes > pin_budget(machine):
        raise Refused("memory.pin", **_gigabytes(plan.pinned_bytes, pin_budget(machine)))
    slower = learnt.slower(plan.profile)
    seconds = step_seconds(footprint, shape, plan, machine) * slower
    return replace(
        plan, step_seconds=float(f"{seconds:.4g}"), learnt_time=slower,
        learnt_memory=learnt.memory.get(plan.phase, 1.0),
    )  # fmt: skip


def _with_residents(footprint: Footprint, shape: Shape, plan: Plan, most: int, learnt: Learnt) -> Plan:
    for count in range(footprint.network.blocks, 0, -1):
        tried = replace(plan, resident_blocks=count)
        if all(need.bytes <= most for need in needs(footprint, shape, tried, learnt)):
            return tried
    return plan


# ------------------------------------------------------------------------------------------------ memory
def needs(footprint: Footprint, shape: Shape, plan: Plan, learnt: Learnt = UNTAUGHT) -> tuple[Need, ...]:
    """Bytes of the device in each phase. What does not stay is there only in the phase that uses it."""
    wide = _wide(plan)
    staying = 0
    if plan.text_encoder == "device":
        staying += footprint.text_bytes * wide
    if plan.image_encoder == "device" and plan.transformer == "resident":
        staying += footprint.image_encoder_bytes * wide
    if plan.vae == "device":
        staying += footprint.vae_bytes
    if plan.transformer == "resident":
        staying += network_bytes(footprint, plan) * wide
    denoise, decode = 0, 0  # what visits: one at a time
    if plan.transformer != "resident":
        denoise = network_bytes(footprint, plan) * wide
    if plan.vae == "swap":
        decode = footprint.vae_bytes
    activations = footprint.activation_bytes(shape, chunked=bool(plan.token_chunk)) * wide
    pixels = 0 if plan.vae == "ram" else footprint.decode_peak(shape, plan.vae_tile, to_ram=plan.vae_tiles_to_ram)
    return (
        _first_need(footprint, shape, plan, staying, learnt.memory.get("text", 1.0)),
        Need("denoise", staying + denoise, round(activations * learnt.memory.get("denoise", 1.0))),
        Need("decode", staying + decode, round(pixels * learnt.memory.get("decode", 1.0))),
    )


def _first_need(footprint: Footprint, shape: Shape, plan: Plan, staying: int, learnt: float) -> Need:
    """Before the first step: words, looks and the latents of what is given are made one after the other."""
    wide = _wide(plan)
    words = (footprint.text_streamed_bytes or footprint.text_bytes) * wide if plan.text_encoder == "stream" else 0
    looks = footprint.image_encoder_bytes * wide
    if plan.image_encoder != "device" or plan.transformer == "resident":
        looks = 0
    given = footprint.vae_bytes if plan.vae == "swap" and shape.encodes else 0
    moments = (
        (words, 0 if plan.text_encoder == "ram" else footprint.text_working_bytes * wide),
        (looks, 0),
        (given, 0 if plan.vae == "ram" else footprint.encode_peak(shape)),
    )
    weights, working = max(moments, key=sum)
    return Need("text", staying + weights, round(working * learnt))


def network_bytes(footprint: Footprint, plan: Plan) -> int:
    """Of the denoising networks on the device while they work, in 16 bit (or the plan's 8): of several that take turns
    all stay or one is there."""
    network = footprint.network
    if plan.transformer == "resident":
        return network.count * network.bytes
    if plan.transformer == "swap":
        return network.bytes
    block = block_bytes(footprint, plan)
    moving = min(plan.slots, network.blocks - plan.resident_blocks) * block
    staying = plan.resident_blocks * _mean_block(footprint, plan)
    return network.rest_bytes + staying + moving


def block_bytes(footprint: Footprint, plan: Plan) -> int:
    """Of the largest block: a slot is that large."""
    return footprint.network.block_bytes_8bit if plan.weight_bits == 8 else footprint.network.block_bytes


def _mean_block(footprint: Footprint, plan: Plan) -> int:
    network = footprint.network
    if not network.blocks:
        return 0
    mean = network.streamed_bytes / network.blocks
    return round(mean * block_bytes(footprint, plan) / network.block_bytes)


def streamed_bytes(footprint: Footprint, plan: Plan) -> int:
    """Of the blocks of one network that flow in a forward."""
    if plan.transformer != "stream":
        return 0
    return (footprint.network.blocks - plan.resident_blocks) * _mean_block(footprint, plan)


def ram_bytes(footprint: Footprint, plan: Plan, worst: int) -> int:
    """Everything lies in RAM, also what is on the device: leaving it copies nothing. `worst`: the peak of the device,
    which is RAM too where there is no other."""
    network, wide = footprint.network, _wide(plan)
    if plan.device == "cpu" and plan.transformer == "resident":
        return worst
    small = footprint.vae_bytes + (footprint.image_encoder_bytes + network.count * network.rest_bytes) * wide
    if plan.weights == "disk":  # encoders are read and let go; blocks are read into as many buffers as there are slots
        blocks = plan.slots * block_bytes(footprint, plan)
    else:
        blocks = footprint.text_bytes + network.count * network.blocks * _mean_block(footprint, plan)
    return small + blocks * wide + (worst if plan.device == "cpu" else 0)


def pinned_bytes(footprint: Footprint, plan: Plan) -> int:
    """Page-locked RAM: only blocks that flow through slots lie there, and the CPU needs none."""
    if plan.device == "cpu":
        return 0
    if plan.weights == "disk":
        return plan.slots * block_bytes(footprint, plan)
    return footprint.network.count * streamed_bytes(footprint, plan)


def device_budget(machine: Machine) -> int:
    """Bytes that tensors may take of the device: what is free of its own memory, never what the system would lend it
    of RAM; less what CUDA takes, what stays free for others, and what the user does not want us to have."""
    ceiling = machine.ceiling_gb * GB or float("inf")
    if not machine.gpu:
        return round(min(ceiling, ram_budget(machine)))
    free = (machine.vram_gb if machine.vram_free_gb is None else machine.vram_free_gb) * GB
    return max(0, round(min(ceiling, free - machine.headroom_gb * GB) - CONTEXT_BYTES))


def ram_budget(machine: Machine) -> int:
    free = machine.ram_gb if machine.ram_free_gb is None else machine.ram_free_gb
    return max(0, round(free * GB - RAM_RESERVE))


def pin_budget(machine: Machine) -> int:
    share = PIN_SHARE.get(machine.system, PIN_SHARE_ELSEWHERE)
    return round((machine.ram_gb * share if machine.pin_gb is None else machine.pin_gb) * GB)


def _wide(plan: Plan) -> int:
    """How much larger than in 16 bit."""
    return 2 if plan.dtype == "float32" else 1


# ------------------------------------------------------------------------------------------------ time
def step_seconds(footprint: Footprint, shape: Shape, plan: Plan, machine: Machine, learnt: Learnt = UNTAUGHT) -> float:
    """Of one step: computing and copying go side by side, the first block is waited for."""
    compute = footprint.forward_flops(shape) / (tflops(machine, plan.device) * 1e12)
    rate = copy_rate(machine, plan)
    copy = streamed_bytes(footprint, plan) * _wide(plan) / rate
    first = block_bytes(footprint, plan) * _wide(plan) / rate if copy else 0.0
    forwards = shape.forwards or footprint.forwards
    return forwards * (max(compute, copy) + first)


def tflops(machine: Machine, device: str) -> float:
    """That a forward reaches, in 10^12 a second."""
    if machine.tflops:
        return machine.tflops * EFFICIENCY
    if device == "cpu":
        return machine.cores * GUESSED_CORE_TFLOPS
    return next((rate for name, rate in GUESSED_TFLOPS.items() if name in machine.gpu), GUESSED_GPU_TFLOPS)


def copy_rate(machine: Machine, plan: Plan) -> float:
    """Bytes a second at which blocks come to their slots."""
    copy = machine.copy_gb_s or GUESSED_COPY_GB_S
    if plan.weights == "disk":
        copy = min(copy, machine.disk_gb_s or GUESSED_DISK_GB_S)
    return copy * GB


# ------------------------------------------------------------------------------------------------ words of a refusal
def _gigabytes(needed: float, free: float) -> dict[str, Any]:
    return {"needed_gb": round(needed / GB, 1), "free_gb": round(free / GB, 1)}


def _size(shape: Shape) -> dict[str, Any]:
    return {"width": shape.width, "height": shape.height, "num_frames": shape.num_frames}
