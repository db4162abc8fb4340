"""InfiniteTalk from end to end at tiny size, as its repositories are laid out: videos, two people, guidance, LoRAs."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from avatar_films import (
    LONG,
    SHORT,
    SIDE,
    STEPS,
    Told,
    calls,
    clip,
    made,
    packets,
    pixels,
    published,
    spoken,
    voice,
)
from engine_calls import loaded, scene
from safetensors.torch import save_file

from studio.errors import Refused
from studio.media.probe import probe
from studio.pipelines.base import Inputs
from studio.pipelines.parts import SHELF
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.infinitetalk import FEW_STEPS, InfiniteTalk, InfiniteTalkMulti


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with published(tmp_path_factory.mktemp("shelf")):
        yield


@pytest.fixture(scope="module")
def talk() -> Iterator[InfiniteTalk]:
    engine = loaded(InfiniteTalk)
    yield engine
    engine.close()


@pytest.mark.parametrize(("text", "audio", "forwards"), [(1.0, 1.0, 1), (5.0, 1.0, 2), (1.0, 2.0, 2), (5.0, 4.0, 3)])
def test_a_step_calls_the_network_as_often_as_its_guidance_needs(
    text: float, audio: float, forwards: int, talk: InfiniteTalk, tmp_path: Path
) -> None:
    seen, hook = calls(talk.pipe.transformer)
    options = {"guidance_scale": text, "audio_guidance_scale": audio}
    made(talk, tmp_path, spoken(tmp_path, SHORT), **options)
    hook.remove()
    said = scene("talking_avatar", input_image="x", resolution="480P")
    shape = talk.shape(said, talk.Options(**options), Inputs(duration=SHORT))
    assert len(seen) == STEPS * forwards and shape.forwards == forwards


def test_a_portrait_is_encoded_once_for_all_windows(talk: InfiniteTalk, tmp_path: Path) -> None:
    encoded, looked = list[int](), list[int]()
    real = type(talk.pipe).encode_frames

    def watched(self: Any, frames: torch.Tensor) -> torch.Tensor:
        encoded.append(len(frames))
        return real(self, frames)

    talk._bring("image_encoder")
    hook = talk.pipe.image_encoder.register_forward_pre_hook(lambda *_: looked.append(1))
    with patch.object(type(talk.pipe), "encode_frames", watched):
        made(talk, tmp_path, spoken(tmp_path, LONG))
    hook.remove()
    assert encoded == [81, 9]  # the second window has nothing new but its motion
    assert len(looked) <= 1


def test_what_was_enough_begins_like_the_whole_film(talk: InfiniteTalk, tmp_path: Path) -> None:
    inputs, (a, b) = spoken(tmp_path, LONG), (tmp_path / "a", tmp_path / "b")
    a.mkdir(), b.mkdir()
    whole = made(talk, a, inputs)
    told = Told(b, inputs, enough=lambda: len(told.steps) >= STEPS)
    part = made(talk, b, inputs, told)
    assert probe(part.path).num_frames == 81
    assert np.array_equal(pixels(part.path)[:60], pixels(whole.path)[:60])


@pytest.mark.parametrize(("frames", "notes"), [(120, ["no_face"]), (60, ["no_face", "video_held"])])
def test_a_video_gives_each_window_the_frame_at_its_start(
    frames: int, notes: list[str], talk: InfiniteTalk, tmp_path: Path
) -> None:
    """Read at 25 a second: 72 of those are 86 of 30. A video that ends before is shown on, which the take says."""
    inputs = spoken(tmp_path, LONG)
    inputs = replace(inputs, files={"input_video": clip(tmp_path, frames), "input_audio": inputs.files["input_audio"]})
    told, seen = Told(tmp_path, inputs), list[float]()
    real = type(talk.pipe).prepare_condition

    def watched(self: Any, given: dict[int, torch.Tensor], count: int) -> torch.Tensor:
        assert [*given] == [0]
        seen.append(float(given[0].mean()) * 127.5 + 127.5)
        return real(self, given, count)

    with patch.object(type(talk.pipe), "prepare_condition", watched):
        made(talk, tmp_path, inputs, told)
    assert seen == pytest.approx([250, 250 - 2 * min(86, frames - 1)], abs=2)
    assert told.run.described["notes"] == notes


def test_two_people_speak_each_at_a_place(tmp_path: Path) -> None:
    engine, one, other = loaded(InfiniteTalkMulti), voice(tmp_path, SHORT), voice(tmp_path, SHORT, 320.0)
    inputs = replace(spoken(tmp_path, SHORT), recordings=((one, 0.0), (other, 0.0)), soundtrack=one)
    seen, hook = calls(engine.pipe.transformer)
    both = packets(made(engine, tmp_path, inputs).path)
    heard = [(len(named["audio_embeds"]), named["speaker_masks"] is not None) for _, named in seen]
    assert heard == [(2, True), (2, True), (1, False)] * STEPS  # what nobody hears, nobody says
    masks = seen[0][1]["speaker_masks"]
    assert masks.shape == (3, SIDE, SIDE) and masks[0, :, : SIDE // 2].any() and not masks[0, :, SIDE // 2 :].any()
    changed = replace(inputs, recordings=((other, 0.0), (one, 0.0)))
    assert packets(made(engine, tmp_path, changed).path) != both
    hook.remove()
    engine.close()


@pytest.mark.parametrize(
    ("cls", "people", "boxes", "code"),
    [
        (SkyReelsA2V, 2, [], "avatar.too_many_speakers"),
        (InfiniteTalkMulti, 3, [], "avatar.too_many_speakers"),
        (InfiniteTalkMulti, 1, [[0, 0, 0.4, 1], [0.5, 0, 1, 1]], "avatar.boxes_count"),
    ],
)
def test_more_people_than_it_knows_or_places_that_cannot_be_are_refused(
    cls: type[Any], people: int, boxes: list[list[float]], code: str, tmp_path: Path
) -> None:
    engine = loaded(cls)
    recordings = tuple((voice(tmp_path, SHORT, 180.0 + number), 0.0) for number in range(people))
    inputs = replace(spoken(tmp_path, SHORT), recordings=recordings)
    said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P", speaker_boxes=boxes)
    with pytest.raises(Refused) as refused:
        engine.run(said, engine.Options(width=SIDE, height=SIDE, num_inference_steps=1), Told(tmp_path, inputs).run)
    assert refused.value.code == code
    engine.close()


# ------------------------------------------------------------------------------------------------ few steps
def test_few_steps_need_a_lora_and_say_which(tmp_path: Path) -> None:
    options = InfiniteTalk.Options(**InfiniteTalk.presets["fast"])
    assert (options.num_inference_steps, options.guidance_scale, options.audio_guidance_scale) == (8, 1.0, 2.0)
    engine, inputs = loaded(InfiniteTalk), spoken(tmp_path, SHORT)
    said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P")
    with pytest.raises(Refused) as refused:
        engine.run(said, options, Told(tmp_path, inputs).run)
    assert FEW_STEPS in str(refused.value.params)
    engine.close()


def test_a_lora_made_for_wan_lies_on_the_network_that_hears(tmp_path: Path) -> None:
    """By the original's names, with layers for the picture, as LoRAs of few steps are."""
    engine, inputs = loaded(InfiniteTalk), spoken(tmp_path, SHORT)
    plain = packets(made(engine, tmp_path, inputs).path)
    dim = engine.pipe.transformer.config.num_attention_heads * engine.pipe.transformer.config.attention_head_dim
    state = {}
    for layer in ("self_attn.q", "cross_attn.k_img", "cross_attn.v_img"):
        for side, shape in (("down", (2, dim)), ("up", (dim, 2))):
            state[f"diffusion_model.blocks.0.{layer}.lora_{side}.weight"] = torch.ones(shape)
    folder = Path(os.environ[SHELF]) / "loras"
    folder.mkdir(exist_ok=True)
    save_file(state, folder / FEW_STEPS)
    few = InfiniteTalk.presets["fast"] | {"num_inference_steps": STEPS}
    result = made(engine, tmp_path, inputs, **few)
    assert packets(result.path) != plain and result.facts["loras"] == [{"file": FEW_STEPS, "weight": 1.0}]
    assert packets(made(engine, tmp_path, inputs).path) == plain  # off again
    engine.close()
    (folder / FEW_STEPS).unlink()
