"""Files of weights: what is read, and the words for each way in which one can be wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_diffusion import loaded, make, packets, repositories, shelf  # noqa: F401  fixtures
from tiny_models_more import sd_turbo

from studio.domain import SceneAdapter
from studio.errors import Refused
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.diffusion import checkpoints
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool
from studio.pipelines.stable_diffusion import TURBO, SDTurbo


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("turbo")
    sd_turbo().save_pretrained(folder)
    return folder


@pytest.fixture
def models(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with SD-Turbo at tiny size."""
    folder = tmp_path / "models"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "folders.json").write_text(json.dumps({TURBO: [str(repository)]}), "utf-8")
    monkeypatch.setenv(SHELF, str(folder))
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return folder


def turbo() -> SDTurbo:
    engine = SDTurbo()
    engine.pool = Pool()
    engine.load(Plan())
    return engine


def draw(engine: SDTurbo, folder: Path, checkpoint: str = "", prompt: str = "A lamp", **more: Any) -> Any:
    scene = SceneAdapter.validate_python({"task_type": "text_to_image", "prompt": prompt})
    wish = SDTurbo.Options(width=32, height=32, num_inference_steps=2, checkpoint=checkpoint, **more)
    made = folder / f"made{checkpoint}{len([*folder.iterdir()])}"
    return engine.run(scene, wish, Run(7, Inputs(), engine.plan, made, folder / f"{made.name}-small"))


def network(repository: Path, change: float = 0.0) -> dict[str, torch.Tensor]:
    file = next((repository / "unet").glob("*.safetensors"))
    return {key: tensor + change for key, tensor in load_file(file).items()}


def test_a_checkpoint_stands_for_the_model(models: Path, repository: Path, tmp_path: Path) -> None:
    save_file(network(repository), models / "checkpoints" / "same.safetensors")
    save_file(network(repository, 0.01), models / "checkpoints" / "mine.safetensors")
    engine = turbo()
    plain = draw(engine, tmp_path)
    same, mine = draw(engine, tmp_path, "same.safetensors"), draw(engine, tmp_path, "mine.safetensors")
    after = draw(engine, tmp_path)
    pixels = [checkpoint_pixels(made.path) for made in (plain, same, mine, after)]
    assert pixels[0] == pixels[1] == pixels[3] != pixels[2]
    assert mine.facts["checkpoint"] == "mine.safetensors" and "checkpoint" not in after.facts
    assert mine.facts["revision"] not in (plain.facts["revision"], same.facts["revision"])


def test_a_file_that_was_exchanged_is_read_again(models: Path, repository: Path, tmp_path: Path) -> None:
    engine, file = turbo(), models / "checkpoints" / "mine.safetensors"
    save_file(network(repository), file)
    before = draw(engine, tmp_path, file.name)
    save_file(network(repository, 0.01), file)
    after = draw(engine, tmp_path, file.name)
    assert checkpoint_pixels(before.path) != checkpoint_pixels(after.path)
    assert before.facts["revision"] != after.facts["revision"]


def test_an_encoder_that_wears_a_lora_is_nobody_elses(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines have one text encoder; what one of them puts on it is not in the other's words."""
    monkeypatch.delenv(CACHE, raising=False)  # nothing is remembered
    first, other = turbo(), turbo()
    other.close()
    other.pool = first.pool
    other.load(Plan())
    draw(other, tmp_path)
    width = other.pipe.text_encoder.config.hidden_size
    key = "text_encoder.text_model.encoder.layers.0.self_attn.v_proj"
    unet = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_v"
    side = other.pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_v.weight.shape[1]
    (models / "loras").mkdir()
    layers = {key: width, unet: side}
    torch.manual_seed(1)
    save_file(
        {f"{name}.lora_{end}.weight": torch.randn(shape) for name, size in layers.items()
         for end, shape in (("A", (2, size)), ("B", (size, 2)))},
        models / "loras" / "words.safetensors",
    )  # fmt: skip
    plain = words(other)
    draw(first, tmp_path, loras=[{"file": "words.safetensors"}])
    assert not torch.allclose(words(first), plain, atol=1e-3) and torch.allclose(words(other), plain, atol=1e-3)
    draw(first, tmp_path)
    assert torch.allclose(words(first), plain, atol=1e-3)


def words(engine: SDTurbo) -> torch.Tensor:
    said: torch.Tensor = engine.pipe.encode_prompt("A lamp", "cpu", 1, False)[0]
    return said


def checkpoint_pixels(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


SHAPES = {
    "SDXL": ("conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias", (4,)),
    "Stable Diffusion 2.x": (
        "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight", (4, 1024)
    ),
    "Stable Diffusion 1.x": ("model.diffusion_model.input_blocks.0.0.bias", (5,)),
    "LTX-Video": ("model.diffusion_model.patchify_proj.weight", (4, 4)),
    "(no.model.at.all)": ("no.model.at.all", (4,)),
}  # fmt: skip


@pytest.mark.parametrize("found", SHAPES)
def test_another_model_is_refused_by_its_name(found: str, models: Path, tmp_path: Path) -> None:
    key, shape = SHAPES[found]
    save_file({key: torch.zeros(shape)}, models / "checkpoints" / "other.safetensors")
    engine = turbo()
    with pytest.raises(Refused) as caught:
        draw(engine, tmp_path, "other.safetensors")
    assert caught.value.code == "model.wrong_architecture"
    assert caught.value.params == {"file": "other.safetensors", "wanted": "UNet2DConditionModel", "found": found}
    engine.load(Plan())
    assert draw(engine, tmp_path).facts["steps"] == 2  # the queue goes on


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("old.ckpt", b"\x80\x02}", "model.pickle"),
        ("old.PTH", b"\x80\x02}", "model.pickle"),
        ("page.safetensors", b"<!DOCTYPE html><html>not found</html>", "model.not_safetensors"),
        ("list.safetensors", (2).to_bytes(8, "little") + b"[]", "model.not_safetensors"),
        ("../../etc/passwd", None, "model.file_outside"),
        ("gone.safetensors", None, "model.file_missing"),
    ],
)
def test_a_file_that_is_no_checkpoint(
    name: str, content: bytes | None, code: str, models: Path, tmp_path: Path
) -> None:
    if content is not None:
        (models / "checkpoints" / name).write_bytes(content)
    with pytest.raises(Refused) as caught:
        draw(turbo(), tmp_path, name)
    assert caught.value.code == code


def test_a_part_that_was_cut_off(models: Path, repository: Path, tmp_path: Path) -> None:
    whole = next((repository / "vae").glob("*.safetensors"))
    copy = tmp_path / "vae"
    copy.mkdir()
    (copy / "config.json").write_bytes((repository / "vae" / "config.json").read_bytes())
    (copy / "diffusion_pytorch_model.safetensors").write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(Refused) as caught:
        checkpoints.read_part("diffusers:AutoencoderKL", copy, torch.float32)
    assert caught.value.code == "model.file_cut"


def test_a_part_of_another_network(repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "unet"
    copy.mkdir()
    (copy / "config.json").write_bytes((repository / "unet" / "config.json").read_bytes())
    tensors = network(repository)
    for broken in (
        {**tensors, "conv_in.bias": torch.zeros(3)},
        {k: v for k, v in tensors.items() if "conv_in" not in k},
    ):
        save_file(broken, copy / "diffusion_pytorch_model.safetensors")
        with pytest.raises(Refused) as caught:
            checkpoints.read_part("diffusers:UNet2DConditionModel", copy, torch.float32)
        assert caught.value.code == "model.wrong_architecture" and "conv_in" in caught.value.params["found"]


def test_a_mark_changes_with_the_files(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "0123abc" / "unet"
    snapshot.mkdir(parents=True)
    assert checkpoints.mark(snapshot) == "0123abc"
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"one")
    before = checkpoints.mark(folder)
    assert checkpoints.mark(folder) == before
    (folder / "a.safetensors").write_bytes(b"three")
    assert checkpoints.mark(folder) != before
