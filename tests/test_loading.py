"""A checkpoint stands for the model: the bits of the same weights part by part, under every plan, and gone after."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import single_files
import tiny_models_more
import torch
from engine_calls import PLANS, loaded, scene
from PIL import Image
from safetensors.torch import load_file, save_file

from studio.errors import Refused
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.diffusion import checkpoints
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.parts import SHELF
from studio.pipelines.stable_diffusion import SDXL, TURBO, XL, SDTurbo

REPOS = {SDTurbo: TURBO, SDXL: XL}
MAKE = {SDTurbo: tiny_models_more.sd_turbo, SDXL: tiny_models_more.sdxl}
SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2}
LACKS = "model.checkpoint_lacks"
MINE = "mine.safetensors"
BFLOAT = Plan(dtype="bfloat16", text_encoder="stream", transformer="swap", vae="swap")
EIGHT = Plan(dtype="bfloat16", weight_bits=8, text_encoder="stream", transformer="stream", vae="swap")


@dataclass(frozen=True)
class Twins:
    """Two models of one kind with other weights, and the second one as a single file."""

    cls: type[Any]
    one: Path
    other: Path
    pipe: Any  # of the other


@pytest.fixture(scope="module", params=[SDTurbo, SDXL], ids=["sd-turbo", "sdxl"])
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return twins_of(request.param, tmp_path_factory.mktemp(request.param.id))


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return twins_of(SDXL, tmp_path_factory.mktemp("xl"))


def twins_of(cls: type[Any], folder: Path) -> Twins:
    pipes = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        pipes.append(MAKE[cls]())
        pipes[-1].save_pretrained(folder / str(seed))
    return Twins(cls, folder / "0", folder / "1", pipes[1]._pipe)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    (folder / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv(SHELF, str(folder))
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return folder


def on_shelf(models: Path, cls: type[Any], repository: Path) -> None:
    (models / "folders.json").write_text(json.dumps({REPOS[cls]: [str(repository)]}), "utf-8")


@dataclass(frozen=True)
class Drawn:
    """What came of a run, to the bit: what the network made, its previews, the picture."""

    latents: torch.Tensor
    shown: list[bytes]
    picture: bytes
    facts: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Drawn) and not self.differs(other)

    def differs(self, other: "Drawn") -> list[str]:
        same = {"latents": torch.equal(self.latents, other.latents), "previews": self.shown == other.shown,
                "picture": self.picture == other.picture}  # fmt: skip
        return [name for name, equal in same.items() if not equal]


def draw(engine: Any, folder: Path, plan: Plan, checkpoint: str = "", prompt: str = "A pier", **more: Any) -> Drawn:
    shown: list[bytes] = []
    latents: list[torch.Tensor] = []
    number = len([*folder.iterdir()])
    engine.load(plan)
    run = Run(
        7, Inputs(), engine.plan, folder / f"made{number}", folder / f"small{number}",
        report=lambda done, total, preview: shown.append(preview().tobytes()) if preview else None,
    )  # fmt: skip
    decoded = type(engine).decoded

    def watched(made: torch.Tensor) -> Any:
        latents.append(made)
        return decoded(engine, made)

    engine.decoded = watched
    try:
        wish = engine.Options(**SMALL, checkpoint=checkpoint, **more)
        made = engine.run(scene("text_to_image", prompt=prompt), wish, run)
    finally:
        del engine.decoded
    return Drawn(latents[0], shown, Image.open(made.path).convert("RGB").tobytes(), made.facts)


def refusal(engine: Any, folder: Path, plan: Plan, checkpoint: str) -> Refused:
    with pytest.raises(Refused) as caught:
        draw(engine, folder, plan, checkpoint)
    return caught.value


@pytest.mark.parametrize(
    "plan", [PLANS["swap"], PLANS["stream"], PLANS["hybrid"], BFLOAT, EIGHT],
    ids=["swap", "stream", "hybrid", "bfloat16", "8bit"],
)  # fmt: skip
def test_one_file_draws_what_its_parts_draw(plan: Plan, twins: Twins, models: Path, tmp_path: Path) -> None:
    on_shelf(models, twins.cls, twins.other)
    engine = loaded(twins.cls, plan)
    wanted = draw(engine, tmp_path, plan)
    engine.close()
    on_shelf(models, twins.cls, twins.one)
    save_file(single_files.traded(twins.pipe), models / "checkpoints" / MINE)
    engine = loaded(twins.cls, plan)
    plain, mine, after, again = (draw(engine, tmp_path, plan, file) for file in ("", MINE, "", MINE))
    assert wanted.shown and mine.differs(wanted) == again.differs(wanted) == plain.differs(after) == []
    assert plain.differs(mine) == ["latents", "previews", "picture"]
    assert mine.facts["checkpoint"] == MINE and "checkpoint" not in after.facts
    assert mine.facts["revision"] == again.facts["revision"] != plain.facts["revision"] == after.facts["revision"]
    engine.close()
    assert not engine.pool._held


def test_what_a_file_lacks_the_shelf_has(xl: Twins, models: Path, tmp_path: Path) -> None:
    """And words that were encoded are not encoded again, unless the file has an encoder of its own."""
    plan, encoders = PLANS["swap"], ("text_encoder", "text_encoder_2")
    on_shelf(models, SDXL, xl.one)
    for name, without in {"unet": (*encoders, "vae"), "words": ("vae", "text_encoder_2"), "whole": ()}.items():
        save_file(single_files.traded(xl.pipe, *without), models / "checkpoints" / f"{name}.safetensors")
    engine = loaded(SDXL, plan)
    plain = draw(engine, tmp_path, plan)
    unet = draw(engine, tmp_path, plan, "unet.safetensors")
    assert engine.pipe.text_encoder is None and engine.pipe.text_encoder_2 is None
    words = draw(engine, tmp_path, plan, "words.safetensors")
    own, shelved = engine.pipe.text_encoder.state_dict(), engine.pipe.text_encoder_2.state_dict()
    assert engine.pipe.text_encoder_2 is not None
    assert all(torch.equal(tensor, own[key]) for key, tensor in xl.pipe.text_encoder.state_dict().items())
    assert not all(torch.equal(tensor, shelved[key]) for key, tensor in xl.pipe.text_encoder_2.state_dict().items())
    whole = draw(engine, tmp_path, plan, "whole.safetensors")
    pictures = [drawn.picture for drawn in (plain, unet, words, whole)]
    assert len({*pictures}) == 4
    assert draw(engine, tmp_path, plan) == plain
    engine.close()


def test_a_file_with_names_of_diffusers(twins: Twins, models: Path, tmp_path: Path) -> None:
    plan = PLANS["swap"]
    on_shelf(models, twins.cls, twins.one)
    for file in (twins.other / "unet").glob("*.safetensors"):
        save_file(load_file(file), models / "checkpoints" / "folder.safetensors")
    save_file(single_files.traded(twins.pipe, "vae", "text_encoder", "text_encoder_2"), models / "checkpoints" / MINE)
    engine = loaded(twins.cls, plan)
    assert draw(engine, tmp_path, plan, "folder.safetensors") == draw(engine, tmp_path, plan, MINE)
    engine.close()


def test_a_file_is_not_streamed_from_disk(twins: Twins, models: Path, tmp_path: Path) -> None:
    """Its names are not those of the network; the shelf's weights must not come instead."""
    swap, disk = PLANS["swap"], Plan(transformer="stream", text_encoder="stream", vae="swap", weights="disk")
    on_shelf(models, twins.cls, twins.one)
    save_file(single_files.traded(twins.pipe), models / "checkpoints" / MINE)
    engine = loaded(twins.cls, disk)
    plain = draw(engine, tmp_path, disk)
    mine = draw(engine, tmp_path, swap, MINE)
    assert refusal(engine, tmp_path, disk, MINE).code == "model.checkpoint_streams"
    assert draw(engine, tmp_path, disk) == plain and draw(engine, tmp_path, swap, MINE) == mine
    engine.close()


# ------------------------------------------------------------------------------------------------ wrong files
def spoilt(pipe: Any) -> dict[str, tuple[dict[str, torch.Tensor], str, str]]:
    """By name: tensors, the network that they are not, and what the file looks like or how else it is refused."""
    whole = single_files.traded(pipe)
    lora = "lora_unet_input_blocks_4_1_proj_in"
    layer = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    first = "model.diffusion_model.input_blocks.0.0.bias"
    narrow = "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight"
    decoder = "first_stage_model.decoder.conv_in.weight"
    older = {key: tensor for key, tensor in whole.items() if "label_emb" not in key and "conditioner" not in key}
    older |= {f"cond_stage_model.transformer.{key}": tensor for key, tensor in clip_of(pipe).items()}
    return {
        "an older model": (older, "UNet2DConditionModel", "Stable Diffusion 1.x"),
        "half of a network": (without(whole, layer), "UNet2DConditionModel", LACKS),
        "a wider network": ({**whole, first: torch.zeros(9)}, "UNet2DConditionModel", "SDXL"),
        "another encoder": ({**whole, narrow: torch.zeros(9)}, "CLIPTextModel", ""),
        "half of an encoder": (without(whole, narrow), "CLIPTextModel", LACKS),
        "half of a VAE": (without(whole, decoder), "AutoencoderKL", LACKS),
        "a LoRA": ({f"{lora}.lora_down.weight": torch.zeros(2, 8)}, "UNet2DConditionModel", "LoRA"),
        "another noise": ({**whole, "v_pred": torch.zeros(1)}, "UNet2DConditionModel", "v-prediction"),
        "scaled numbers": ({**whole, f"{layer}_scale": torch.ones(1)}, "UNet2DConditionModel", "scaled fp8"),
        "nothing": ({}, "UNet2DConditionModel", "(-)"),
    }  # fmt: skip


def clip_of(pipe: Any) -> dict[str, torch.Tensor]:
    return {key: tensor.clone() for key, tensor in single_files.clip(pipe.text_encoder).items()}


def without(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    assert name in state
    return {key: tensor for key, tensor in state.items() if key != name}


def test_a_wrong_file_is_refused_in_words_and_the_queue_goes_on(xl: Twins, models: Path, tmp_path: Path) -> None:
    plan = PLANS["swap"]
    on_shelf(models, SDXL, xl.one)
    save_file(single_files.traded(xl.pipe), models / "checkpoints" / MINE)
    engine = loaded(SDXL, plan)
    mine = draw(engine, tmp_path, plan, MINE)
    for what, (tensors, network, found) in spoilt(xl.pipe).items():
        save_file(tensors, models / "checkpoints" / "bad.safetensors")
        refused = refusal(engine, tmp_path, plan, "bad.safetensors")
        code = LACKS if found == LACKS else "model.wrong_architecture"
        assert (what, refused.code, refused.params["wanted"]) == (what, code, network)
        assert found == LACKS or found in refused.params["found"], what
        assert engine.plan is None and not engine.pool._held
    assert draw(engine, tmp_path, plan, MINE) == mine


def test_half_a_file_is_known_by_its_length(xl: Twins, models: Path, tmp_path: Path) -> None:
    on_shelf(models, SDXL, xl.one)
    file = models / "checkpoints" / MINE
    save_file(single_files.traded(xl.pipe), file)
    file.write_bytes(file.read_bytes()[:-100])
    engine = loaded(SDXL, PLANS["swap"])
    refused = refusal(engine, tmp_path, PLANS["swap"], MINE)
    assert refused.code == "model.file_cut" and refused.params["whole"] - refused.params["size"] == 100
    assert draw(engine, tmp_path, PLANS["swap"]).facts["steps"] == 2


def test_weights_that_need_float32_are_read_in_it(xl: Twins, models: Path) -> None:
    file = models / "checkpoints" / MINE
    save_file(single_files.traded(xl.pipe), file)
    wanted = {"unet": "bfloat16", "vae": "float32"}
    described = {
        name: checkpoints.Described(SDXL.classes[name], xl.one / name, getattr(torch, dtype))
        for name, dtype in wanted.items()
    }
    found = checkpoints.read_single(file, described, ["unet"], {})
    assert {name: str(module.dtype).removeprefix("torch.") for name, module in found.items()} == wanted
    own = xl.pipe.vae.state_dict()
    assert all(torch.equal(tensor, own[key]) for key, tensor in found["vae"].state_dict().items())
