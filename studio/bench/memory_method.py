"""One way of getting by with memory, measured in a process of its own: some of them change torch for good.

A Wan network with random weights and its forward for some shapes; request and answer are JSON files, what comes out of
the network lies beside them. Knows torch, and nothing of rounds and tables.
"""

import hashlib
import json
import logging
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from studio.bench.memory_ways import METHODS, Bench
from studio.pipelines import engine_class
from studio.pipelines.base import Machine, Plan
from studio.pipelines.memory.footprint import Footprint, Shape
from studio.pipelines.memory.profiles import needs, step_seconds

log = logging.getLogger(__name__)

WAN_14B: Mapping[str, Any] = {  # transformer/config.json of Wan-AI/Wan2.1-T2V-14B-Diffusers
    "patch_size": (1, 2, 2), "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 16,
    "out_channels": 16, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 13824, "num_layers": 40,
    "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024,
}  # fmt: skip
TINY: Mapping[str, Any] = {
    **WAN_14B, "num_attention_heads": 2, "attention_head_dim": 24, "text_dim": 32, "ffn_dim": 96, "num_layers": 8,
    "rope_max_seq_len": 64,
}  # fmt: skip
ENGINE = "wan2.1-t2v-14b"
TEXT_TOKENS = 512
SEED = 7


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure. Plain values: it comes as JSON."""

    method: str
    shapes: Mapping[str, tuple[int, int, int]]  # name -> width, height, frames
    out: str  # folder for the outputs
    tiny: bool = False
    timed: int = 3
    cap_gb: float = 0.0  # of device memory; 0: all of it


# ------------------------------------------------------------------------------------------------ the network
def network(config: Mapping[str, Any], device: str, dtype: torch.dtype) -> Any:
    """A Wan transformer in RAM. Its random weights are drawn on the device, where that takes a second, one by one, so
    that no more than one is there; the same seed gives the same weights to every method."""
    with torch.device("meta"):
        model: Any = WanTransformer3DModel(**config)
    model.rope = WanRotaryPosEmbed(config["attention_head_dim"], config["patch_size"], config["rope_max_seq_len"])
    kept = WanTransformer3DModel._keep_in_fp32_modules or ()
    for index, (name, parameter) in enumerate(list(model.named_parameters())):
        generator = torch.Generator(device).manual_seed(SEED * 1_000_003 + index)
        wide = any(part in name.split(".") for part in kept)
        drawn = torch.empty(parameter.shape, device=device, dtype=torch.float32 if wide else dtype)
        if name.endswith("norm_q.weight") or name.endswith("norm_k.weight"):
            drawn.fill_(1.0)
        else:
            drawn.normal_(0.0, 0.02, generator=generator)
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, torch.nn.Parameter(drawn.cpu(), requires_grad=False))
    return model.eval()


def footprint() -> Footprint:
    """The network's own; the rest of the pipeline is not in the way here."""
    whole = engine_class(ENGINE).footprint
    assert whole is not None
    return replace(whole, text_bytes=0, text_streamed_bytes=0, text_working_bytes=0, image_encoder_bytes=0, vae_bytes=0,
                   decode_bytes=0.0, decode_frame_bytes=0.0, forwards=1)  # fmt: skip


def inputs(config: Mapping[str, Any], shape: Shape, device: str, dtype: torch.dtype) -> dict[str, Any]:
    generator = torch.Generator("cpu").manual_seed(SEED)
    latents = (1, config["in_channels"], (shape.num_frames - 1) // 4 + 1, shape.height // 8, shape.width // 8)
    text = (1, TEXT_TOKENS, config["text_dim"])
    return {
        "hidden_states": torch.randn(latents, generator=generator, device="cpu").to(device, dtype),
        "timestep": torch.tensor([500], device=device),
        "encoder_hidden_states": torch.randn(text, generator=generator, device="cpu").to(device, dtype),
        "return_dict": False,
    }


# ------------------------------------------------------------------------------------------------ measuring
def measured(request: Request) -> Iterator[dict[str, Any]]:
    """A row for each shape."""
    device = "cuda:0" if torch.cuda.is_available() and not request.tiny else "cpu"
    if request.cap_gb and device.startswith("cuda") and request.method != "resident":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, request.cap_gb * 1e9 / total), device)
    config = TINY if request.tiny else WAN_14B
    dtype = torch.float32 if request.tiny else torch.bfloat16
    with torch.no_grad(), ExitStack() as stack:
        bench = Bench(network(config, device, dtype), device, footprint(), _machine(device, request.cap_gb), stack)
        prepare = METHODS[request.method](bench)
        for name, (width, height, frames) in request.shapes.items():
            shape = Shape(width, height, frames)
            try:
                prepare(shape)
                yield {"shape": name, **_row(bench, request, name, shape, inputs(config, shape, device, dtype))}
            except torch.OutOfMemoryError:
                yield {"shape": name, "failed": "out of memory"}
                torch.cuda.empty_cache()


def _machine(device: str, cap_gb: float) -> Machine:
    cores, ram_gb = psutil.cpu_count() or 1, psutil.virtual_memory().total / 1e9
    if not device.startswith("cuda"):
        return Machine(cores, ram_gb)
    card = torch.cuda.get_device_properties(device)
    return Machine(cores, ram_gb, gpu=card.name, vram_gb=card.total_memory / 1e9, ceiling_gb=cap_gb)


def _row(bench: Bench, request: Request, name: str, shape: Shape, given: dict[str, Any]) -> dict[str, Any]:
    cuda = bench.device.startswith("cuda")
    first, output = _timed(bench, given)
    before = _ledger(bench)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = [_timed(bench, given)[0] for _ in range(request.timed)]
    moved = (_ledger(bench) - before) / request.timed if bench.placement is not None else None
    row: dict[str, Any] = {
        "first_s": first,
        "seconds": seconds,
        "median_s": statistics.median(seconds),
        "output": _kept(output, Path(request.out) / f"{request.method}-{name.replace('/', '-')}.npy"),
        "rss_bytes": psutil.Process().memory_info().rss,
        "moved_bytes": moved,
    }
    if cuda:
        row |= _of_device(bench)
        row |= _traced(bench, given)
        row |= _predicted(bench, request.method, shape)
    if bench.plan is not None:
        row["plan"] = asdict(bench.plan)
    return row


def _timed(bench: Bench, given: dict[str, Any]) -> tuple[float, Any]:
    _synchronize(bench)
    started = time.perf_counter()
    output = bench.model(**given)[0]
    _synchronize(bench)
    return time.perf_counter() - started, output


def _synchronize(bench: Bench) -> None:
    if bench.device.startswith("cuda"):
        torch.cuda.synchronize()


def _ledger(bench: Bench) -> int:
    """Bytes of weights that ours has moved so far."""
    return sum(bench.placement.ledger.to_device.values()) if bench.placement is not None else 0


def _kept(output: Any, path: Path) -> dict[str, str]:
    values = output.float().cpu().numpy()
    np.save(path, values)
    return {"path": str(path), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}


def _of_device(bench: Bench) -> dict[str, Any]:
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    pinned = torch.cuda.host_memory_stats().get("allocated_bytes.current", 0)
    return {
        "peak_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
        "nvml_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
        "pinned_bytes": pinned + (bench.placement.held().pinned if bench.placement is not None else 0),
    }


def _traced(bench: Bench, given: dict[str, Any]) -> dict[str, Any]:
    """Bytes that one forward moves each way, whoever moves them, and the share of its time without a kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as traced:
        took, _ = _timed(bench, given)
    path = Path(bench.stack.enter_context(_folder())) / "trace.json"
    traced.export_chrome_trace(str(path))
    events = json.loads(path.read_text("utf-8"))["traceEvents"]
    copies = [event for event in events if event.get("cat") == "gpu_memcpy"]
    kernels = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") == "kernel")
    return {
        "to_device_bytes": _bytes(copies, "HtoD"), "from_device_bytes": _bytes(copies, "DtoH"),
        "idle": max(0.0, 1.0 - _covered(kernels) / 1e6 / took),
    }  # fmt: skip


def _bytes(copies: list[dict[str, Any]], way: str) -> int:
    return sum(int(copy["args"].get("bytes", 0)) for copy in copies if way in copy["name"])


def _covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of sorted spans."""
    covered, until = 0.0, float("-inf")
    for begin, end in spans:
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered


@contextmanager
def _folder() -> Iterator[str]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield folder


def _predicted(bench: Bench, method: str, shape: Shape) -> dict[str, Any]:
    """What the planner says of the denoising: for ours, and for the network resident."""
    plan = bench.plan if bench.plan is not None else Plan("resident", bench.device, "bfloat16")
    if bench.plan is None and method != "resident":
        return {}
    need = next(one for one in needs(bench.footprint, shape, plan) if one.phase == "denoise")
    return {
        "predicted_bytes": need.bytes,
        "predicted_seconds": step_seconds(bench.footprint, shape, plan, bench.machine),
    }


def main(path: Path) -> None:
    """Answer the request in a file, into a file beside it, after each shape."""
    request = Request(**json.loads(path.read_text("utf-8")))
    if request.tiny:
        torch.set_num_threads(1)
    answer: dict[str, Any] = {"rows": []}
    try:
        for row in measured(request):
            answer["rows"].append(row)
            path.with_suffix(".answer.json").write_text(json.dumps(answer), "utf-8")
    except Exception as error:  # the other methods go on; a stranger's package may fail in any way
        log.exception("%s", request.method)
        answer["not_run"] = f"{type(error).__name__}: {error}"[:300]
        path.with_suffix(".answer.json").write_text(json.dumps(answer), "utf-8")
