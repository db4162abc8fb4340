"""SD-Turbo and SDXL: what they ask of their pipelines, what they weigh, and that no plan changes a pixel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import published_more
import pytest
import torch
from engine_calls import PLANS, asked, latents_of, loaded, row, run, scene, settled, shelf
from meta_tracker import cast, peak_bytes, weight_bytes
from PIL import Image
from pydantic import ValidationError

from studio.errors import Refused
from studio.pipelines.base import Inputs, Plan
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.stable_diffusion import SDXL, TURBO, XL, SDTurbo

ENGINES = [SDTurbo, SDXL]
SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2}


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with shelf(tmp_path_factory.mktemp("shelf"), TURBO, XL):
        yield


@pytest.mark.parametrize("cls", ENGINES)
def test_the_pipeline_is_asked_what_the_docs_say(cls: type[Any], tmp_path: Path) -> None:
    engine = loaded(cls, Plan(dtype="bfloat16"))
    call, said = asked(engine, scene("text_to_image"), engine.Options(), tmp_path), row(cls.id)
    assert call["num_inference_steps"] == int(said["steps"])
    assert call["guidance_scale"] == float(said["guidance"])
    assert f"{call['width']}x{call['height']}" == said["size at 16:9"]
    kept = [name for name, dtype in call["dtypes"].items() if dtype == "torch.float32"]
    assert kept == ([said["kept in float32"]] if said["kept in float32"] != "-" else [])
    assert call["pipeline"] == row(cls.id, "licence")["pipeline of diffusers 0.42"]
    assert cls.licence == row(cls.id, "licence")["licence"]
    engine.close()


@pytest.mark.parametrize("cls", ENGINES)
@pytest.mark.parametrize("aspect", ["16:9", "9:16", "1:1", "4:3", "3:4"])
def test_a_picture_has_the_size_that_the_model_was_trained_at(cls: type[Any], aspect: str) -> None:
    line = next(line for line in published_lines() if line.startswith(f"| {aspect} |"))
    said = dict(zip(["sd-turbo", "sdxl", "svd-xt"], line.strip("| ").split(" | ")[1:], strict=True))[cls.id]
    for resolution in ("480P", "720P"):
        shape = cls().shape(scene("text_to_image", aspect=aspect, resolution=resolution), cls.Options(), Inputs())
        assert f"{shape.width}x{shape.height}" == said


def published_lines() -> list[str]:
    from engine_calls import TABLE

    return TABLE.read_text("utf-8").splitlines()


@pytest.mark.parametrize("cls", ENGINES)
def test_the_picture_is_that_of_the_stock_pipeline(cls: type[Any], tmp_path: Path) -> None:
    import diffusers

    from studio.pipelines.parts import Shelf

    engine = loaded(cls)
    options = engine.Options(**SMALL)
    made = run(engine, scene("text_to_image", negative_prompt="blurred"), options, tmp_path)
    folder = Shelf.here().find(engine.parts[0]).parent
    stock = getattr(diffusers, cls.pipeline).from_pretrained(folder, variant="fp16", **engine.built_with)
    picture = settled(stock)(
        "A lighthouse at dusk", negative_prompt="blurred", **SMALL, guidance_scale=options.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]  # fmt: skip
    assert list(Image.open(made.path).getdata()) == list(picture.getdata())
    engine.close()


@pytest.mark.parametrize("cls", ENGINES)
def test_latents_are_the_same_to_the_bit_under_every_plan(cls: type[Any], tmp_path: Path) -> None:
    found = {}
    for name, plan in PLANS.items():
        engine = loaded(cls, plan)
        found[name] = latents_of(engine, scene("text_to_image"), engine.Options(**SMALL), tmp_path)
        engine.close()
    assert all(torch.equal(found["resident"], latents) for latents in found.values())


@pytest.mark.parametrize("cls", ENGINES)
def test_the_footprint_is_that_of_the_published_configuration(cls: type[Any]) -> None:
    from operator import attrgetter

    print_, unet = cls.footprint, cast(published_more.build(cls.id, "unet"))
    blocks = [attrgetter(path)(unet) for path in cls.blocks["unet"]]
    blocks = [one for some in blocks for one in (some if isinstance(some, torch.nn.ModuleList) else [some])]
    assert len(blocks) == print_.network.blocks
    assert max(map(weight_bytes, blocks)) == pytest.approx(print_.network.block_bytes, rel=0.01)
    assert weight_bytes(unet) == pytest.approx(print_.network.bytes, rel=0.01)
    texts = [name for name in published_more.PUBLISHED[cls.id] if name.startswith("text_encoder")]
    text = sum(weight_bytes(cast(published_more.build(cls.id, name))) for name in texts)
    assert text == pytest.approx(print_.text_bytes, rel=0.01)
    vae = weight_bytes(published_more.build(cls.id, "vae")) // (1 if "vae" in cls.keep_float32 else 2)
    assert vae == pytest.approx(print_.vae_bytes, rel=0.01)
    sizes = {"unet": weight_bytes(unet), "vae": weight_bytes(published_more.build(cls.id, "vae")) // 2}
    assert {part.name: part.bytes for part in cls.parts if part.name in sizes} == pytest.approx(sizes, rel=0.01)


@pytest.mark.parametrize("cls", ENGINES)
def test_the_activations_are_predicted_within_a_hundredth(cls: type[Any]) -> None:
    unet, shape = cast(published_more.build(cls.id, "unet")), Shape(896, 640)
    told: dict[str, Any] = {}
    with torch.device("meta"):
        noise = torch.empty(1, 4, shape.height // 8, shape.width // 8, dtype=torch.bfloat16)
        words = torch.empty(1, 77, unet.config.cross_attention_dim, dtype=torch.bfloat16)
        if cls is SDXL:
            sizes = torch.empty(1, 6, dtype=torch.bfloat16)
            told = {"added_cond_kwargs": {"text_embeds": sizes.new_empty(1, 1280), "time_ids": sizes}}
        peak = peak_bytes(
            unet, lambda: unet(noise, torch.empty(()), encoder_hidden_states=words, return_dict=False, **told),
            [noise, words],
        )  # fmt: skip
    assert cls.footprint.activation_bytes(shape) == pytest.approx(peak, rel=0.01)


def test_a_size_that_the_vae_cannot_take_is_refused() -> None:
    for cls in ENGINES:
        with pytest.raises(Refused) as refused:
            cls().shape(scene("text_to_image"), cls.Options(width=500), Inputs())
        assert refused.value.code == "engine.size_multiple"
        with pytest.raises(ValidationError):
            cls.Options(num_inference_steps=0)
