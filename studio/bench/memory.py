"""Ways of getting a 14B model into a card, side by side: `launch.py bench memory`. Knows no torch: each way is measured
in a process of its own (memory_method.py), and the ones that need something that is not here are named.

Two rounds in opposite order; what counts is the ratio to the resident network in the same round, so that a machine
that is busy for a while does not decide.
"""

import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from studio.errors import Refused

METHODS: Mapping[str, str] = {  # id -> how it is called in the table
    "resident": "resident",
    "model": "diffusers model offload",
    "sequential": "diffusers sequential offload",
    "group": "diffusers group offload, streams",
    "group_record": "the same, record_stream",
    "mmgp_2": "mmgp profile 2",
    "mmgp_4": "mmgp profile 4",
    "blocks": "plain .to() of each block",
    "ours_0": "ours, no block stays",
    "ours_auto": "ours, as many as fit",
    "ours_tight": "ours, tight",
}
NO_TIME = "no time left for all of it"
NEED_CUDA = frozenset({"model", "sequential", "group", "group_record", "mmgp_2", "mmgp_4"})
MMGP = "pip install --no-deps mmgp==3.8.2 optimum-quanto ninja"
SHAPES: Mapping[str, tuple[int, int, int]] = {
    "480P/17": (832, 480, 17), "480P/33": (832, 480, 33), "480P/81": (832, 480, 81),
    "720P/81": (1280, 720, 81), "720P/121": (1280, 720, 121),
}  # fmt: skip
SHORT = ("480P/17", "480P/33", "480P/81")  # unless others are asked for: 720P takes minutes for each method
TINY: Mapping[str, tuple[int, int, int]] = {"64x64/5": (64, 64, 5), "96x64/9": (96, 64, 9)}
CAVEATS = (
    "One forward of Wan 2.1 14B in bfloat16 with random weights: no text encoder and no VAE, and no picture to judge.",
    "A data centre card has about twice the link of a consumer card and three to six times its compute, so weights are"
    " hidden behind the sums later than there: it is the hard case, and its seconds are not those of a 4090.",
    "mmgp runs with quantisation off and the same attention.",
)
TINY_CAVEATS = (
    "A network of 8 small blocks on the CPU, where nothing is moved between two memories: it shows that the benchmark"
    " and every method that needs no CUDA work and give the same output. Its ratios mean nothing.",
)
GB = 1e9
Apart = Callable[[Path, float], tuple[bool, int | None]]
Say = Callable[[int, str], object]  # round, method


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run."""

    methods: Sequence[str] = tuple(METHODS)
    shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: {name: SHAPES[name] for name in SHORT})
    tiny: bool = False
    cap_gb: float = 0.0
    rounds: int = 2
    timed: int = 3
    minutes: float = 60.0  # after which no further process is begun, and none goes on


def wanted(
    *, methods: Sequence[str] = (), shapes: Sequence[str] = (), tiny: bool = False, cap_gb: float = 0.0,
    rounds: int = 2, minutes: float = 60.0,
) -> Wanted:  # fmt: skip
    """What flags mean. The resident network is always there: the others are held against it. Raises Refused."""
    sizes = TINY if tiny else SHAPES
    for given, known, flag in ((methods, METHODS, "--method"), (shapes, sizes, "--shape")):
        for name in given:
            if name not in known:
                raise Refused("request.invalid", field=flag, reason=f"{name}: {', '.join(known)}")
    chosen = [name for name in METHODS if not methods or name in methods or name == "resident"]
    names = shapes or (tuple(TINY) if tiny else SHORT)
    return Wanted(chosen, {name: sizes[name] for name in names}, tiny, cap_gb, rounds, minutes=minutes)


# ------------------------------------------------------------------------------------------------ running
def measure(asked: Wanted, say: Say, apart: Apart | None = None) -> dict[str, Any]:
    """Run everything: {machine, tiny, cap_gb, rounds: [{method: answer}]}. An answer has `rows`, and says why there are
    none, or no more. `apart`: has a request answered in a process of its own, within some seconds: was it late?"""
    ends = time.monotonic() + asked.minutes * 60
    here = machine()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            answers: dict[str, Any] = {}
            for method in asked.methods if number % 2 == 0 else list(reversed(asked.methods)):
                if why := unable(method, asked.tiny, here["gpu"]):
                    answers[method] = {"not_run": why}
                    continue
                say(number + 1, METHODS[method])
                out, left = Path(folder) / f"{number}-{method}", ends - time.monotonic()
                answers[method] = _answer(asked, method, out, left, apart or process_apart)
            _compare(answers)
            rounds.append(answers)
    return {"machine": here, "tiny": asked.tiny, "cap_gb": asked.cap_gb, "rounds": rounds}


def _answer(asked: Wanted, method: str, out: Path, seconds: float, apart: Apart) -> dict[str, Any]:
    if seconds <= 0:
        return {"not_run": NO_TIME}
    out.mkdir()
    request = out / "request.json"
    content = {
        "method": method, "shapes": asked.shapes, "out": str(out), "tiny": asked.tiny, "timed": asked.timed,
        "cap_gb": asked.cap_gb,
    }  # fmt: skip
    request.write_text(json.dumps(content), "utf-8")
    late, ended = apart(request, seconds)
    answer = request.with_suffix(".answer.json")
    if not answer.is_file():
        return {"not_run": NO_TIME if late else f"its process ended: {ended}"}
    found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return {**found, "not_run": NO_TIME} if late else found


def process_apart(request: Path, seconds: float) -> tuple[bool, int | None]:
    """(was it killed because it was late?, its exit code)"""
    process = _processes().Process(target=answer_to, args=(request,))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    if late:
        process.kill()
        process.join()
    return late, process.exitcode


def answer_to(request: Path) -> None:
    """What a process of its own does."""
    from studio.bench.memory_method import main

    main(request)


@cache
def _processes() -> Any:
    """New processes that begin with everything imported and nothing used, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studio.bench.memory_method"])
    return context


def unable(method: str, tiny: bool, gpu: str) -> str:
    """Why a method cannot be run here; empty: it can."""
    if method.startswith("mmgp") and find_spec("mmgp") is None:
        return f"not installed; by hand and for this benchmark only: {MMGP}"
    if method in NEED_CUDA and (tiny or not gpu):
        return "needs CUDA"
    return "" if tiny or gpu else "needs CUDA: the network has 14 billion weights"


def _compare(answers: Mapping[str, Any]) -> None:
    """Hold each output against the resident one's: `equal`, or how far it is off."""
    base = {row["shape"]: row for row in answers["resident"].get("rows", ()) if "output" in row}
    for answer in answers.values():
        for row in answer.get("rows", ()):
            if "output" not in row or row["shape"] not in base:
                continue
            other = base[row["shape"]]["output"]
            row["equal"] = row["output"]["sha256"] == other["sha256"]
            if not row["equal"]:
                one, two = np.load(row["output"]["path"]), np.load(other["path"])
                row["error"] = float(np.abs(one - two).max() / np.abs(two).max())


def machine() -> dict[str, Any]:
    """What this was measured on."""
    import psutil

    told = {
        "cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "system": platform.platform(),
        "ram_gb": round(psutil.virtual_memory().total / GB, 1), "gpu": "", "python": platform.python_version(),
    }  # fmt: skip
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        told["gpu"] = str(pynvml.nvmlDeviceGetName(handle))
        told["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        pass
    return told


# ------------------------------------------------------------------------------------------------ the table
def summed(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each shape and method: medians over the rounds, and the ratio to resident with its spread."""
    rows = []
    shapes = dict.fromkeys(row["shape"] for answers in found["rounds"] for a in answers.values() for row in _rows(a))
    for shape in shapes:
        for method in found["rounds"][0]:
            per_round = [_row_of(answers, method, shape) for answers in found["rounds"]]
            good = [row for row in per_round if row and "median_s" in row]
            failed = next((row["failed"] for row in per_round if row and "failed" in row), "")
            if good or failed:
                ratios = [
                    row["median_s"] / base["median_s"]
                    for row, answers in zip(per_round, found["rounds"], strict=True)
                    if row
                    and "median_s" in row
                    and (base := _row_of(answers, "resident", shape))
                    and "median_s" in base
                ]
                rows.append({"shape": shape, "method": method, "failed": failed, **_middle(good), **_spread(ratios)})
    return rows


def not_run(found: Mapping[str, Any]) -> dict[str, str]:
    """By method, why there is no row of it."""
    return {
        method: answer["not_run"] for answers in found["rounds"] for method, answer in answers.items()
        if "not_run" in answer
    }  # fmt: skip


def _rows(answer: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    rows: Sequence[dict[str, Any]] = answer.get("rows", ())
    return rows


def _row_of(answers: Mapping[str, Any], method: str, shape: str) -> dict[str, Any] | None:
    return next((row for row in _rows(answers[method]) if row["shape"] == shape), None)


def _middle(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = (
        "median_s", "first_s", "peak_bytes", "reserved_bytes", "nvml_bytes", "pinned_bytes", "rss_bytes",
        "moved_bytes", "to_device_bytes", "from_device_bytes", "idle", "predicted_bytes", "predicted_seconds",
    )  # fmt: skip
    told: dict[str, Any] = {}
    for name in numbers:
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            told[name] = statistics.median(values)
    if rows:
        told["equal"] = all(row.get("equal") for row in rows)
        told["error"] = max((row.get("error", 0.0) for row in rows), default=0.0)
    if "peak_bytes" in told and "predicted_bytes" in told:
        told["estimate_error"] = told["predicted_bytes"] / told["peak_bytes"] - 1
    return told


def _spread(ratios: Sequence[float]) -> dict[str, Any]:
    if not ratios:
        return {}
    return {"ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}


COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "shape": lambda row: row["shape"],
    "method": lambda row: METHODS[row["method"]],
    "x resident": lambda row: f"{row['ratio']:.3f}" if "ratio" in row else row["failed"],
    "spread": lambda row: f"{row['ratio_low']:.3f}-{row['ratio_high']:.3f}" if "ratio" in row else "",
    "s": lambda row: _number(row, "median_s", 1, 3),
    "first s": lambda row: _number(row, "first_s", 1, 2),
    "peak GB": lambda row: _number(row, "peak_bytes", GB, 2),
    "predicted GB": lambda row: _number(row, "predicted_bytes", GB, 2),
    "off": lambda row: f"{row['estimate_error']:+.1%}" if "estimate_error" in row else "",
    "reserved GB": lambda row: _number(row, "reserved_bytes", GB, 2),
    "pinned GB": lambda row: _number(row, "pinned_bytes", GB, 2),
    "RSS GB": lambda row: _number(row, "rss_bytes", GB, 2),
    "moved GB": lambda row: _number(row, "to_device_bytes", GB, 2) or _number(row, "moved_bytes", GB, 6),
    "back GB": lambda row: _number(row, "from_device_bytes", GB, 2),
    "idle": lambda row: f"{row['idle']:.1%}" if "idle" in row else "",
    "output": lambda row: "" if "equal" not in row else "equal" if row["equal"] else f"off by {row['error']:.1e}",
}


def _number(row: Mapping[str, Any], name: str, unit: float, places: int) -> str:
    return f"{row[name] / unit:.{places}f}" if name in row else ""


def markdown(found: Mapping[str, Any]) -> str:
    """The table with the machine, what was left out, and what it does not say. Empty columns are left out."""
    cells = [{name: column(row) for name, column in COLUMNS.items()} for row in summed(found)]
    used = [name for name in COLUMNS if any(row[name] for row in cells)]
    return "\n".join(_lines(found, cells, used)) + "\n"


def _lines(found: Mapping[str, Any], cells: Sequence[Mapping[str, str]], used: Sequence[str]) -> Iterator[str]:
    told = found["machine"]
    cap = f", at most {found['cap_gb']:g} GB of device memory for all but resident" if found["cap_gb"] else ""
    house = f"{told['cpu']}, {told['cores']} cores, {told['ram_gb']} GB RAM, {told['system']}"
    yield f"{told['gpu'] or 'no GPU'}, {house}{cap}"
    yield ""
    yield f"| {' | '.join(used)} |"
    yield f"|{'---|' * len(used)}"
    for row in cells:
        yield f"| {' | '.join(row[name] for name in used)} |"
    yield ""
    for method, why in not_run(found).items():
        yield f"- {METHODS[method]}: not run, {why}"
    for caveat in TINY_CAVEATS if found["tiny"] else CAVEATS:
        yield f"- {caveat}"


def main(asked: Wanted, out: Path | None, say: Say) -> str:
    """Measure, write memory.json and memory.md below `out`, return the table."""
    found = measure(asked, say)
    table = markdown(found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "memory.json").write_text(json.dumps({**found, "summary": summed(found)}, indent=1), "utf-8")
        (out / "memory.md").write_text(table, "utf-8")
    return table
