"""For tests of one family of engines: tiny weights on a shelf, one run, and what its pipeline was called with."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tiny_models
import torch
from PIL import Image

from studio.domain import SceneAdapter
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.memory.parcel import lie_evenly
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool

SEED = 7
TABLE = Path(__file__).parents[1] / "docs" / "models.md"
PLANS = {
    "resident": Plan(),
    "swap": Plan(profile="swap", text_encoder="stream", transformer="swap", vae="swap"),
    "stream": Plan(profile="stream", text_encoder="stream", transformer="stream", resident_blocks=0, vae="swap"),
    "hybrid": Plan(profile="hybrid", text_encoder="stream", transformer="stream", resident_blocks=2, vae="swap"),
}


@contextmanager
def shelf(folder: Path, *repos: str) -> Iterator[None]:
    """Tiny twins of some repositories, found as an import from a folder is."""
    import json
    import os

    found = {repo: [str(tiny_models.build(repo, folder / repo.replace("/", "--")))] for repo in repos}
    (folder / "folders.json").write_text(json.dumps(found), "utf-8")
    with patch.dict(os.environ, {SHELF: str(folder)}):
        yield


def settled(stock: Any) -> Any:
    """A stock pipeline whose weights lie as a placement lays them, so that the CPU adds up in the same order."""
    stock.set_progress_bar_config(disable=True)
    for part in stock.components.values():
        if isinstance(part, torch.nn.Module):
            lie_evenly(part.requires_grad_(False))
    return stock


def loaded(cls: type[Any], plan: Plan | None = None) -> Any:
    engine = cls()
    engine.pool = Pool()
    engine.load(plan or Plan())
    return engine


def scene(task: str, **more: Any) -> Any:
    return SceneAdapter.validate_python({"task_type": task, "prompt": "A lighthouse at dusk", "seed": SEED, **more})


def picture(folder: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
    path = folder / f"{colour[0]}.png"
    Image.new("RGB", (120, 160), colour).save(path)
    return path


def run(engine: Any, what: Any, options: Any, folder: Path, name: str = "made", **inputs: Any) -> Made:
    it = Run(SEED, Inputs(**inputs), engine.plan, folder / name, folder / f"{name}-small")
    return engine.run(what, options, it)


def latents_of(engine: Any, what: Any, options: Any, folder: Path, **inputs: Any) -> Any:
    """What the network made of it, before the VAE; of a film that is made window by window, of each window."""
    seen: list[Any] = []
    name, place = ("ended", 3) if hasattr(type(engine), "ended") else ("saved", 0)
    original = getattr(type(engine), name)

    def watched(self: Any, *args: Any) -> Any:
        seen.append(args[place])
        return original(self, *args)

    with patch.object(type(engine), name, watched):
        run(engine, what, options, folder, **inputs)
    return seen if name == "ended" else seen[0]


class Asked(Exception):
    """The pipeline was called; nothing needs to be computed."""


def asked(engine: Any, what: Any, options: Any, folder: Path, **inputs: Any) -> dict[str, Any]:
    """The arguments of the real pipeline in a run at full size, and the precision of its parts; it stops there."""
    import inspect

    base = next(cls for cls in type(engine.pipe).__mro__ if cls.__module__.startswith("diffusers.pipelines."))
    seen: dict[str, Any] = {}

    def call(self: Any, *args: Any, **named: Any) -> None:
        bound = inspect.signature(original).bind(self, *args, **named)
        bound.apply_defaults()
        seen.update(bound.arguments)
        raise Asked

    original = base.__call__
    with patch.object(base, "__call__", call), suppress(Asked):
        run(engine, what, options, folder, **inputs)
    modules = {part.name: getattr(engine.pipe, part.name) for part in engine.parts}
    seen["dtypes"] = {name: str(m.dtype) for name, m in modules.items() if isinstance(m, torch.nn.Module)}
    seen["pipeline"] = base.__name__
    return seen


def row(engine_id: str, heading: str = "kept in float32") -> dict[str, str]:
    """An engine's line in the table of docs/models.md that has such a column."""
    tables = re.split(r"\n\s*\n", TABLE.read_text("utf-8"))
    table = next(table for table in tables if heading in table.partition("\n")[0] and f"| `{engine_id}` |" in table)
    lines = [[cell.strip(" `") for cell in line.strip("| ").split(" | ")] for line in table.splitlines()]
    return dict(zip(lines[0], next(line for line in lines if line[0] == engine_id), strict=True))
