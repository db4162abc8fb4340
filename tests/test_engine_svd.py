"""Stable Video Diffusion XT: 25 frames that play as fast as the scene asks, whatever the plan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import published_more
import pytest
import torch
from engine_calls import PLANS, asked, latents_of, loaded, picture, row, run, scene, settled, shelf
from meta_tracker import cast, peak_bytes, weight_bytes
from pydantic import ValidationError

from studio.errors import Refused
from studio.media.probe import probe
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.svd import SVDXT, XT

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2}


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with shelf(tmp_path_factory.mktemp("shelf"), XT):
        yield


def shot(**more: Any) -> Any:
    return scene("image_to_video", input_image="x", **more)


def test_the_pipeline_is_asked_what_the_docs_say(tmp_path: Path) -> None:
    engine = loaded(SVDXT, Plan(dtype="bfloat16"))
    files = {"input_image": picture(tmp_path)}
    call = asked(engine, shot(), engine.Options(), tmp_path, files=files, duration=3.0)
    said = row("svd-xt")
    assert call["num_inference_steps"] == int(said["steps"])
    assert (call["min_guidance_scale"], call["max_guidance_scale"]) == (1.0, float(said["guidance"]))
    assert f"{call['width']}x{call['height']}" == said["size at 16:9"]
    assert (call["num_frames"], call["fps"]) == (int(said["frames"]), 8)
    assert (call["motion_bucket_id"], call["noise_aug_strength"]) == (127, 0.02)
    assert [name for name, dtype in call["dtypes"].items() if dtype == "torch.float32"] == [said["kept in float32"]]
    assert call["image"].size == (call["width"], call["height"])
    assert call["pipeline"] == row("svd-xt", "licence")["pipeline of diffusers 0.42"]
    engine.close()


@pytest.mark.parametrize(("seconds", "rate"), [(0.1, 30), (0.9, 27), (3.57, 7), (4.1, 6), (5.0, 5), (60.0, 5)])
def test_it_plays_as_fast_as_the_scene_asks_and_never_ends_before(seconds: float, rate: int) -> None:
    limits = SVDXT.limits
    assert (limits.frames(seconds), limits.rate(seconds)) == (25, rate)
    least, most = limits.seconds["image_to_video"]
    if least <= seconds <= most:
        assert limits.frames(seconds) / limits.rate(seconds) >= seconds


def test_latents_are_the_same_to_the_bit_under_every_plan_and_those_of_the_stock_pipeline(tmp_path: Path) -> None:
    import diffusers

    from studio.pipelines.diffusion import pictures
    from studio.pipelines.parts import Shelf

    files, found = {"input_image": picture(tmp_path)}, {}
    for name, plan in PLANS.items():
        engine = loaded(SVDXT, plan)
        options = engine.Options(**SMALL)
        found[name] = latents_of(engine, shot(), options, tmp_path, files=files, duration=1.0)
        engine.close()
    facts = probe(tmp_path / "made.mp4.part")
    assert (facts.num_frames, facts.fps, facts.width) == (25, 25, 64)
    stock = diffusers.StableVideoDiffusionPipeline.from_pretrained(
        Shelf.here().find(SVDXT.parts[0]).parent, variant="fp16"
    )
    expected = settled(stock)(
        pictures.picture(files["input_image"], 64, 64), **SMALL, num_frames=25, fps=25, output_type="latent",
        generator=torch.Generator("cpu").manual_seed(7), return_dict=False,
    )  # fmt: skip
    assert all(torch.equal(expected, latents) for latents in found.values())


def test_the_picture_decides_what_is_seen(tmp_path: Path) -> None:
    engine = loaded(SVDXT)
    options = engine.Options(width=64, height=64, num_inference_steps=1)
    red, blue = (
        latents_of(engine, shot(), options, tmp_path, files={"input_image": picture(tmp_path, colour)}, duration=1.0)
        for colour in ((200, 30, 30), (30, 30, 200))
    )
    assert not torch.equal(red, blue)
    engine.close()


def test_enough_keeps_the_film_as_far_as_it_is_drawn(tmp_path: Path) -> None:
    """Its pipeline knows no way to end early, so the step itself ends it."""
    engine, told = loaded(SVDXT), list[int]()
    it = Run(
        7, Inputs(files={"input_image": picture(tmp_path)}, duration=1.0), engine.plan, tmp_path / "made",
        tmp_path / "small", report=lambda done, total, preview: told.append(done), enough=lambda: len(told) >= 2,
    )  # fmt: skip
    made = engine.run(shot(), engine.Options(width=64, height=64, num_inference_steps=4), it)
    engine.close()
    assert told == [1, 2] and made.facts["stopped_at"] == 2 and probe(made.path).num_frames == 25


def test_the_footprint_is_that_of_the_published_configuration() -> None:
    print_, unet = SVDXT.footprint, cast(published_more.build("svd-xt", "unet"))
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    assert len(blocks) == print_.network.blocks
    assert max(map(weight_bytes, blocks)) == pytest.approx(print_.network.block_bytes, rel=0.01)
    assert weight_bytes(unet) == pytest.approx(print_.network.bytes, rel=0.01)
    encoder = weight_bytes(cast(published_more.build("svd-xt", "image_encoder")))
    assert encoder == pytest.approx(print_.image_encoder_bytes, rel=0.01)
    vae = weight_bytes(published_more.build("svd-xt", "vae"))
    assert vae == pytest.approx(print_.vae_bytes, rel=0.01)
    sizes = {"unet": weight_bytes(unet), "image_encoder": encoder, "vae": vae // 2}
    assert {part.name: part.bytes for part in SVDXT.parts if part.name in sizes} == pytest.approx(sizes, rel=0.01)


def test_the_activations_are_predicted_within_a_hundredth() -> None:
    unet, shape = cast(published_more.build("svd-xt", "unet")), Shape(768, 448, 25, batch=2)
    with torch.device("meta"):
        noise = torch.empty(2, 25, 8, shape.height // 8, shape.width // 8, dtype=torch.bfloat16)
        looks = noise.new_empty(2, 1, 1024)
        peak = peak_bytes(
            unet,
            lambda: unet(noise, torch.empty(()), looks, added_time_ids=noise.new_empty(2, 3), return_dict=False),
            [noise, looks],
        )
    assert SVDXT.footprint.activation_bytes(shape) == pytest.approx(peak, rel=0.01)


def test_bad_input_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        SVDXT().shape(shot(), SVDXT.Options(width=1000), Inputs())
    assert refused.value.code == "engine.size_multiple"
    with pytest.raises(ValidationError):
        scene("image_to_video")  # without a picture
    assert SVDXT.tasks == {"image_to_video"} and not SVDXT.limits.end_image
    with pytest.raises(ValidationError):
        SVDXT.Options(decode_chunk_size=0)


def test_a_take_is_a_clip(tmp_path: Path) -> None:
    engine = loaded(SVDXT)
    made = run(
        engine, shot(), engine.Options(**SMALL), tmp_path, files={"input_image": picture(tmp_path)}, duration=2.0
    )
    assert probe(made.path).duration == pytest.approx(25 / 12)
    engine.close()
