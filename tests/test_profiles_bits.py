"""One seed, the same latents to the bit: every engine under every profile that the planner has for it, on the CPU."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import media_tools
import pytest
import torch
from engine_calls import latents_of, loaded, picture, scene

from studio.domain import CUT_PREFIXES
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Inputs, Machine, Plan
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.pipelines.memory.profiles import PROFILES, every
from studio.pipelines.parts import SHELF

WITH_WEIGHTS = [name for name in ENGINES if issubclass(engine_class(name), DiffusersEngine)]
LARGE = Machine(8, 1000.0, "Test card", 1000.0, ram_free_gb=1000.0, vram_free_gb=1000.0)
NO_GPU = replace(LARGE, gpu="", vram_gb=0.0)
SECONDS = 0.3
CHUNK = 16  # tokens; the kernels for fewer rows than that add up in another order


@pytest.fixture(scope="module", autouse=True)
def shelf(tiny_shelf: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(tiny_shelf))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("media")
    return {"image": picture(folder), "video": media_tools.clip(folder / "clip.mp4", num_frames=30, size=(96, 64))}


def task_of(cls: type[Any]) -> str:
    """Of its tasks the one that gives it the most to encode."""
    return next(task for task in ("reference_to_video", "image_to_video", *sorted(cls.tasks)) if task in cls.tasks)


def plans(cls: type[Any], shape: Any) -> dict[str, Plan]:
    """What the planner says where all fits, worked by the CPU: in the precision of the CPU, some blocks of few kept,
    some tokens of few at a time."""
    found = [fit.plan for machine in (LARGE, NO_GPU) for fit in every(cls.footprint, shape, machine) if fit.plan]
    few = {"hybrid": 1}
    return {
        plan.profile: replace(
            plan, device="cpu", dtype="float32", resident_blocks=few.get(plan.profile, 0),
            token_chunk=plan.token_chunk and CHUNK,
        )
        for plan in found
    }  # fmt: skip


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_every_profile_makes_the_same_latents(
    name: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = engine_class(name)
    engine: Any = cls()
    tokens = 4 if cls.footprint.network.chunks else 1  # on a side
    side = max(64, tokens * engine.multiple)
    options = cls.Options(width=side, height=side, num_inference_steps=2)
    fields: dict[str, Any] = {"ref_imgs": ["x"], "input_image": "x", "input_video": "x", "duration": SECONDS}
    task = task_of(cls)
    if task == "shot_switching_extension":
        fields["prompt"] = f"{CUT_PREFIXES[0]} a lighthouse"
    what = scene(task, **{key: value for key, value in fields.items() if key in fields_of(task)})
    inputs = {
        "files": {item.field: files[item.kind] for item in what.inputs()},
        "duration": getattr(what, "duration", None),
    }
    made = {}
    for profile, plan in plans(cls, engine.shape(what, options, Inputs(**inputs))).items():
        how = (plan.text_encoder, plan.image_encoder, plan.vae, plan.weights)
        monkeypatch.setenv(CACHE, str(tmp_path / "-".join(how)))  # the encoders work in each way that they can
        engine = loaded(cls, plan)
        made[profile] = latents_of(engine, what, options, tmp_path, **inputs)
        engine.close()
    assert set(made) >= {"resident", "swap", "cpu"}
    assert set(made) == {profile for profile in PROFILES if profile != "stream8"} or not cls.footprint.network.blocks
    expected = leaves(made["resident"])
    assert all(bool(tensor.isfinite().all()) and bool(tensor.any()) for tensor in expected)
    for profile, latents in made.items():
        for one, other in zip(leaves(latents), expected, strict=True):
            assert torch.equal(one, other), profile


def fields_of(task: str) -> set[str]:
    from studio.domain import SCENE_CLASSES

    return set(SCENE_CLASSES[task].model_fields)


def leaves(latents: Any) -> list[torch.Tensor]:
    return [latents] if isinstance(latents, torch.Tensor) else [one for one in latents if one is not None]
