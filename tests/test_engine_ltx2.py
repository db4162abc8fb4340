"""LTX-2 and LTX-2.3: film with sound from words or a picture, and avatars that follow a recording."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import published_more
import pytest
import torch
from engine_calls import PLANS, asked, latents_of, loaded, picture, row, run, scene, shelf
from meta_tracker import cast, weight_bytes

from studio.errors import Refused
from studio.media import sound
from studio.media.probe import probe
from studio.pipelines.base import Inputs, Plan
from studio.pipelines.ltx2 import LTX20, NEWER, OLDER, SIGMAS, LTX23Distilled, log_mel

ENGINES = [LTX23Distilled, LTX20]
SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2}
SECONDS = 0.7


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with shelf(tmp_path_factory.mktemp("shelf"), NEWER, OLDER):
        yield


def voice(folder: Path, hertz: float) -> Path:
    at = np.arange(round(SECONDS * sound.RATE)) / sound.RATE
    path = folder / f"{hertz}.wav"
    sound.save(path, (0.4 * np.sin(2 * np.pi * hertz * at) * (1 + np.sin(20 * at)) / 2).astype(np.float32))
    return path


def avatar() -> Any:
    return scene("talking_avatar", input_image="x", input_audio="y")


@pytest.mark.parametrize("cls", ENGINES)
def test_the_pipeline_is_asked_what_the_docs_say(cls: type[Any], tmp_path: Path) -> None:
    engine = loaded(cls, Plan(dtype="bfloat16"))
    call = asked(engine, scene("text_to_video"), engine.Options(), tmp_path, duration=5.0)
    said = row(cls.id)
    assert call["num_inference_steps"] == int(said["steps"])
    assert call["guidance_scale"] == call["audio_guidance_scale"] == float(said["guidance"])
    assert f"{call['width']}x{call['height']}" == said["size at 16:9"]
    assert (call["num_frames"], call["frame_rate"]) == (121, float(said["frames/s"]))
    assert (said["frames"], said["kept in float32"]) == ("8n+1", "-")
    assert set(call["dtypes"].values()) == {"torch.bfloat16"}
    assert (call["stg_scale"], call["modality_scale"], call["use_cross_timestep"]) == (0.0, 1.0, cls is LTX23Distilled)
    assert call["pipeline"] == row(cls.id, "licence")["pipeline of diffusers 0.42"]
    if cls is LTX23Distilled:
        from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES

        assert call["sigmas"] == list(SIGMAS) == DISTILLED_SIGMA_VALUES
        assert not engine.pipe.scheduler.config.use_dynamic_shifting
    engine.close()


@pytest.mark.parametrize("cls", ENGINES)
def test_latents_are_the_same_to_the_bit_under_every_plan(cls: type[Any], tmp_path: Path) -> None:
    found = {}
    files = {"input_image": picture(tmp_path)}
    for name, plan in PLANS.items():
        engine = loaded(cls, plan)
        what = scene("image_to_video", input_image="x")
        found[name] = latents_of(
            engine, what, engine.Options(**SMALL, sound=False), tmp_path, files=files, duration=0.3
        )
        engine.close()
    for film, heard in found.values():
        assert torch.equal(found["resident"][0], film) and torch.equal(found["resident"][1], heard)


def test_an_avatar_follows_its_recording_and_lets_it_be_heard_as_it_is(tmp_path: Path) -> None:
    engine = loaded(LTX23Distilled)
    options, files = engine.Options(**SMALL), {"input_image": picture(tmp_path)}
    films = {}
    for hertz in (180.0, 900.0):
        recording = voice(tmp_path, hertz)
        made = run(engine, avatar(), options, tmp_path, f"{hertz}", files=files, soundtrack=recording, duration=SECONDS)
        films[hertz] = latents_of(
            engine, avatar(), options, tmp_path, files=files, soundtrack=recording, duration=SECONDS
        )
        facts = probe(made.path)
        assert facts.num_frames == LTX23Distilled.limits.frames(SECONDS) == 17
        heard, spoken = sound.load48(made.path)[: len(sound.load48(recording))], sound.load48(recording)
        assert float(np.corrcoef(heard[:, 0], spoken[:, 0])[0, 1]) > 0.99
    (one, kept), (other, kept_other) = films[180.0], films[900.0]
    assert not torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(kept, kept_other, atol=1e-4)
    engine.close()


def test_a_film_has_its_own_sound_unless_the_scene_has_one(tmp_path: Path) -> None:
    engine = loaded(LTX20)
    what, recording = scene("text_to_video"), voice(tmp_path, 180.0)
    made = run(engine, what, engine.Options(**SMALL), tmp_path, "own", duration=SECONDS)
    assert float(np.abs(sound.load48(made.path)).max()) > 1e-4
    silent = run(engine, what, engine.Options(**SMALL, sound=False), tmp_path, "silent", duration=SECONDS)
    assert not probe(silent.path).has_audio or float(np.abs(sound.load48(silent.path)).max()) < 1e-4
    given = run(engine, what, engine.Options(**SMALL), tmp_path, "given", duration=SECONDS, soundtrack=recording)
    spoken = sound.load48(recording)
    assert float(np.corrcoef(sound.load48(given.path)[: len(spoken), 0], spoken[:, 0])[0, 1]) > 0.99
    engine.close()


def test_the_spectrogram_is_as_long_as_the_film_and_rises_with_the_tone(tmp_path: Path) -> None:
    low, high = (log_mel(voice(tmp_path, hertz), 1.0, 16_000, 160, 64) for hertz in (180.0, 900.0))
    assert low.shape == high.shape == (2, 101, 64) and low.dtype == np.float32
    assert low[0, 30].argmax() < high[0, 30].argmax()
    assert low[0, 90].max() == pytest.approx(np.log(1e-5))  # silence after the recording
    assert log_mel(None, 1.0, 16_000, 160, 64).max() == pytest.approx(np.log(1e-5))


@pytest.mark.parametrize("cls", ENGINES)
def test_the_footprint_is_that_of_the_published_configuration(cls: type[Any]) -> None:
    print_ = cls.footprint
    parts = {name: cast(published_more.build(cls.id, name)) for name in published_more.PUBLISHED[cls.id]}
    sizes = {name: weight_bytes(module) for name, module in parts.items()}
    blocks = parts["transformer"].transformer_blocks
    assert len(blocks) == print_.network.blocks
    assert weight_bytes(blocks[0]) == pytest.approx(print_.network.block_bytes, rel=0.01)
    assert sizes["transformer"] == pytest.approx(print_.network.bytes, rel=0.01)
    assert sizes["text_encoder"] + sizes["connectors"] == pytest.approx(print_.text_bytes, rel=0.01)
    assert sizes["vae"] + sizes["audio_vae"] + sizes["vocoder"] == pytest.approx(print_.vae_bytes, rel=0.01)
    assert {part.name: part.bytes for part in cls.parts if part.name in sizes} == pytest.approx(sizes, rel=0.01)


def test_bad_input_is_refused() -> None:
    for cls in ENGINES:
        with pytest.raises(Refused) as refused:
            cls().shape(scene("text_to_video"), cls.Options(width=848), Inputs(duration=1.0))
        assert refused.value.code == "engine.size_multiple"
    assert [LTX20.limits.frames(seconds) for seconds in (0.3, 1.0, 5.0)] == [9, 25, 121]
