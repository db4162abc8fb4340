"""A Wan's network in one file, by anybody's names and in any precision."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import engine_calls
import pytest
import single_files
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from studio.domain import SceneAdapter
from studio.errors import Refused
from studio.pipelines.base import Plan
from studio.pipelines.diffusion import signs
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.wan import I2V_LARGE, T2V_SMALL, TI2V, WanI2VLarge, WanT2VSmall, WanTI2V
from studio.pipelines.wan_vace import VACE_SMALL, WanVACESmall

WIDE = {"attention_head_dim": 128, "ffn_dim": 256}
REPOS = (T2V_SMALL, I2V_LARGE, TI2V, VACE_SMALL)
ENGINES = {WanT2VSmall: T2V_SMALL, WanI2VLarge: I2V_LARGE, WanTI2V: TI2V, WanVACESmall: VACE_SMALL}
TASKS = {WanT2VSmall: "text_to_video", WanI2VLarge: "image_to_video", WanTI2V: "image_to_video",
         WanVACESmall: "image_to_video"}  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("wan")
    with pytest.MonkeyPatch.context() as patch, engine_calls.shelf(folder, *REPOS):
        patch.setenv(CACHE, str(folder / "cache"))
        (folder / "checkpoints").mkdir()
        yield folder


def network(shelf: Path, repo: str = T2V_SMALL) -> Any:
    """The network on the shelf, a little changed."""
    from diffusers import WanTransformer3DModel, WanVACETransformer3DModel

    cls = WanVACETransformer3DModel if repo == VACE_SMALL else WanTransformer3DModel
    found = cls.from_pretrained(shelf / repo.replace("/", "--") / "transformer")
    for tensor in found.parameters():
        tensor.data += 0.01
    return found


def latents(cls: Any, shelf: Path, folder: Path, checkpoint: str, plan: Plan | None = None, **more: Any) -> Any:
    engine = engine_calls.loaded(cls, plan)
    try:
        return drawn(engine, shelf, folder, checkpoint, **more)
    finally:
        engine.close()


def drawn(engine: Any, shelf: Path, folder: Path, checkpoint: str, **more: Any) -> Any:
    task = TASKS[type(engine)]
    inputs: dict[str, Any] = {"duration": 0.3}
    fields: dict[str, Any] = {"duration": 0.3}
    if task == "image_to_video":
        inputs["files"] = {"input_image": engine_calls.picture(folder)}
        fields["input_image"] = "asset:" + "0" * 64
    wish = engine.Options(
        width=64, height=64, num_inference_steps=2, guidance_scale=1.0, checkpoint=checkpoint, **more
    )  # fmt: skip
    what = SceneAdapter.validate_python({"task_type": task, "prompt": "A lamp", "resolution": "480P", **fields})
    return engine_calls.latents_of(engine, what, wish, folder, **inputs)


# ------------------------------------------------------------------------------------------------ safetensors
@pytest.mark.parametrize("cls", ENGINES, ids=lambda cls: cls.id)
def test_the_authors_names_and_diffusers_are_the_same_network(cls: Any, shelf: Path, tmp_path: Path) -> None:
    changed = network(shelf, ENGINES[cls])
    plain = latents(cls, shelf, tmp_path, "")
    files = {
        "authors": single_files.wan(changed), "traded": single_files.wan(changed, "model.diffusion_model."),
        "diffusers": changed.state_dict(),
    }  # fmt: skip
    made = {}
    for name, state in files.items():
        save_file(state, shelf / "checkpoints" / f"{cls.id}-{name}.safetensors")
        made[name] = latents(cls, shelf, tmp_path, f"{cls.id}-{name}.safetensors")
    assert torch.equal(made["authors"], made["diffusers"]) and torch.equal(made["traded"], made["diffusers"])
    assert not torch.equal(made["authors"], plain)


def test_the_names_are_those_that_diffusers_converts_to(shelf: Path) -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    for repo in REPOS:
        state = single_files.wan(network(shelf, repo), "model.diffusion_model.")
        theirs = convert_wan_transformer_to_diffusers(dict(state))
        ours = signs.wan_keys(state)
        assert set(ours) == set(theirs)
        assert all(torch.equal(state[key], theirs[name]) for name, key in ours.items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_copy_of_the_shelf_draws_what_the_shelf_draws(dtype: str, shelf: Path, tmp_path: Path) -> None:
    """Also in 16 bit, where some layers stay in 32."""
    file = next((shelf / T2V_SMALL.replace("/", "--") / "transformer").glob("*.safetensors"))
    save_file(load_file(file), shelf / "checkpoints" / "copy.safetensors")
    plan = Plan(dtype=dtype)
    plain, copy = (latents(WanT2VSmall, shelf, tmp_path, name, plan) for name in ("", "copy.safetensors"))
    assert torch.equal(plain, copy)


def test_eight_bits_of_a_plain_cast_are_read(shelf: Path, tmp_path: Path) -> None:
    state = single_files.wan(network(shelf))
    small = {key: tensor.to(torch.float8_e4m3fn) for key, tensor in state.items()}
    save_file(small, shelf / "checkpoints" / "fp8.safetensors")
    save_file({k: t.float() for k, t in small.items()}, shelf / "checkpoints" / "cast.safetensors")
    made = [latents(WanT2VSmall, shelf, tmp_path, name) for name in ("fp8.safetensors", "cast.safetensors")]
    assert torch.equal(*made)


def without(state: Mapping[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in state.items() if part not in key}


def wrong_files(shelf: Path) -> dict[str, tuple[dict[str, torch.Tensor], str, str, str]]:
    """By name: tensors, and code, wanted and found of what is said."""
    kind, mine = "WanTransformer3DModel", single_files.wan(network(shelf))
    wide = single_files.wan(tiny_models.wan_transformer(**WIDE))
    patch = f"{kind} (patch_embedding.weight: 24 × 16 × 1 × 2 × 2)"
    return {
        "another width": (wide, "model.wrong_architecture", patch, "Wan (256 × 16 × 1 × 2 × 2)"),
        "another task": (
            single_files.wan(network(shelf, I2V_LARGE)), "model.wrong_architecture", patch,
            "Wan (24 × 36 × 1 × 2 × 2)",
        ),
        "with references": (
            single_files.wan(network(shelf, VACE_SMALL)), "model.wrong_architecture", kind,
            "Wan VACE (vace_blocks.0.attn1.norm_k.weight)",
        ),
        "half": (
            without(mine, "blocks.3."), "model.checkpoint_lacks", f"{kind} (blocks.3.attn1.norm_k.weight)", "Wan",
        ),
        "scaled": (
            {**mine, "scaled_fp8": torch.zeros(1)}, "model.wrong_architecture", kind, "Wan, scaled fp8",
        ),
        "no model": ({"a.b": torch.zeros(1)}, "model.wrong_architecture", kind, "(a.b)"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["another width", "another task", "with references", "half", "scaled", "no model"])
def test_another_network_is_refused_by_what_differs(name: str, shelf: Path, tmp_path: Path) -> None:
    state, code, wanted, found = wrong_files(shelf)[name]
    save_file(state, shelf / "checkpoints" / f"{name}.safetensors")
    with pytest.raises(Refused) as caught:
        latents(WanT2VSmall, shelf, tmp_path, f"{name}.safetensors")
    assert caught.value.code == code
    assert (caught.value.params["wanted"], caught.value.params["found"]) == (wanted, found)


def test_pictures_need_a_network_that_sees_them(shelf: Path, tmp_path: Path) -> None:
    state = without(single_files.wan(network(shelf, I2V_LARGE)), "img")
    save_file(state, shelf / "checkpoints" / "blind.safetensors")
    with pytest.raises(Refused) as caught:
        latents(WanI2VLarge, shelf, tmp_path, "blind.safetensors")
    assert caught.value.code == "model.checkpoint_lacks"


@pytest.mark.parametrize(
    ("shape", "extra", "found"),
    [
        ((1536, 16), (), "Wan 2.1 T2V 1.3B"), ((5120, 36), (), "Wan I2V 14B"), ((3072, 48), (), "Wan 2.2 TI2V 5B"),
        ((5120, 16), ("vace_blocks.0.norm3.bias",), "Wan VACE 14B"),
        ((5120, 36), ("motion_encoder.enc.fc.0.bias",), "Wan Animate"),
    ],
)  # fmt: skip
def test_what_a_wan_is_called(shape: tuple[int, int], extra: Any, found: str, tmp_path: Path) -> None:
    state = {"patch_embedding.weight": torch.zeros(*shape, 1, 1, 1, dtype=torch.uint8)}
    save_file({**state, **dict.fromkeys(extra, torch.zeros(1))}, tmp_path / "a.safetensors")
    assert signs.looks_like(tmp_path / "a.safetensors") == found
