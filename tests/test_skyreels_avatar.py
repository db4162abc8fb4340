"""SkyReels-V3 A2V from end to end at tiny size, as its repository is laid out; and what all talking pictures share."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from avatar_films import LONG, LONGER, SHORT, SIDE, STEPS, Told, made, mp3, packets, published, spoken, voice
from engine_calls import SEED, loaded, scene

from studio.errors import Cancelled, OutOfMemory, Refused
from studio.execution import Assignment, Finished, Progress
from studio.execution.work import perform
from studio.media import sound
from studio.media.probe import probe
from studio.media.writer import VideoFile
from studio.pipelines.base import Inputs, Plan
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.manager import PipelineManager
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.memory.places import Places
from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.avatar_pipeline import noise_levels
from studio.pipelines.skyreels_v3.infinitetalk import InfiniteTalk, InfiniteTalkFp8, InfiniteTalkMulti

ENGINES = (SkyReelsA2V, InfiniteTalk, InfiniteTalkMulti, InfiniteTalkFp8)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with published(tmp_path_factory.mktemp("shelf")):
        yield


@pytest.fixture(scope="module")
def a2v() -> Iterator[SkyReelsA2V]:
    engine = loaded(SkyReelsA2V)
    yield engine
    engine.close()


# ------------------------------------------------------------------------------------------------ one film
@pytest.mark.parametrize("cls", ENGINES)
def test_a_portrait_speaks_a_short_recording_in_one_pass(cls: type[Any], tmp_path: Path) -> None:
    engine = loaded(cls)
    inputs = spoken(tmp_path, SHORT)
    told = Told(tmp_path, inputs)
    facts = probe(made(engine, tmp_path, inputs, told).path)
    assert (facts.width, facts.height, facts.fps, facts.num_frames) == (SIDE, SIDE, 25.0, 15)
    assert facts.has_audio
    assert told.steps == [(1, 2), (2, 2)]
    engine.close()


@pytest.mark.parametrize(("cls", "passes"), [(SkyReelsA2V, 3), (InfiniteTalk, 2)])
def test_a_long_recording_is_made_in_windows(cls: type[Any], passes: int, tmp_path: Path) -> None:
    engine = loaded(cls)
    inputs = spoken(tmp_path, LONG)
    told = Told(tmp_path, inputs)
    result = made(engine, tmp_path, inputs, told)
    assert probe(result.path).num_frames == 85
    assert told.steps == [(done, passes * STEPS) for done in range(1, passes * STEPS + 1)]
    assert told.phases == ["text", *["steps", "decode"] * passes, "save"]
    assert (result.facts["windows"], result.facts["steps"]) == (passes, passes * STEPS)
    engine.close()


def test_a_window_goes_to_the_writer_before_the_next_one_is_begun(a2v: SkyReelsA2V, tmp_path: Path) -> None:
    """So that a film of minutes needs room for one window."""
    inputs, written = spoken(tmp_path, LONG), list[int]()
    told = Told(tmp_path, inputs)
    real = VideoFile.write

    def watched(self: Any, frame: Any) -> None:
        written.append(len(told.steps))
        real(self, frame)

    with patch.object(VideoFile, "write", watched):
        made(a2v, tmp_path, inputs, told)
    assert written == [2 * STEPS] * 69 + [3 * STEPS] * 16  # the key pass shows nothing


def test_what_is_not_shown_is_not_decoded_and_changes_nothing(a2v: SkyReelsA2V, tmp_path: Path) -> None:
    short, decoded = spoken(tmp_path, SHORT), list[torch.Tensor]()
    real = type(a2v).decoded

    def watched(self: Any, latents: torch.Tensor) -> Any:
        decoded.append(latents)
        return real(self, latents)

    with patch.object(type(a2v), "decoded", watched):
        made(a2v, tmp_path, short)
    assert [one.shape[2] for one in decoded] == [5]  # 15 frames of 81
    with torch.no_grad(), a2v.placement.using("vae"):
        whole = torch.cat([decoded[0], torch.randn(1, 16, 2, 4, 4)], dim=2)
        assert torch.equal(real(a2v, whole)[:17], real(a2v, decoded[0]))


def test_a_picture_chooses_its_size_among_those_it_was_trained_at(tmp_path: Path) -> None:
    said = scene("talking_avatar", input_image="x", resolution="480P", aspect="16:9")
    engine = SkyReelsA2V()
    tall = engine.shape(said, engine.Options(), spoken(tmp_path, SHORT))  # 120 by 160
    assert (tall.width, tall.height) == (576, 704)
    unknown = engine.shape(said, engine.Options(), Inputs(duration=SHORT))
    assert (unknown.width, unknown.height) == (832, 480)
    with pytest.raises(Refused, match="engine.size_multiple"):
        engine.shape(said, engine.Options(width=100), Inputs())


@pytest.mark.parametrize(
    ("cls", "seconds", "steps"), [(SkyReelsA2V, 200.0, 4 * 79), (SkyReelsA2V, 3.2, 4), (InfiniteTalk, 40.0, 40 * 14)]
)
def test_a_plan_is_that_of_one_window_however_long_the_film(cls: type[Any], seconds: float, steps: int) -> None:
    said, engine = scene("talking_avatar", input_image="x", resolution="720P"), cls()
    shape = engine.shape(said, engine.Options(), Inputs(duration=seconds))
    assert (shape.num_frames, shape.steps, shape.encodes) == (round(25 * seconds), steps, True)
    assert shape.forwards == (1 if cls is SkyReelsA2V else 3)
    window, footprint = Shape(shape.width, shape.height, 81), cls.footprint
    for one in (shape, replace(shape, num_frames=10)):  # no shorter film would need less
        assert footprint.tokens(one) == footprint.tokens(window)
        assert footprint.decode_peak(one) == footprint.decode_peak(window)


def test_nothing_is_encoded_per_window_and_no_prompt_that_nobody_uses(
    a2v: SkyReelsA2V, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(a2v, "_colours", None)
    asked: list[list[str]] = []
    real = type(a2v.pipe)._get_t5_prompt_embeds

    def prompts(self: Any, prompt: list[str], **named: Any) -> Any:
        asked.append(prompt)
        return real(self, prompt, **named)

    monkeypatch.setattr(type(a2v.pipe), "_get_t5_prompt_embeds", prompts)
    made(a2v, tmp_path, spoken(tmp_path, LONG))
    assert asked == [["A lighthouse at dusk"], ["a person is talking"]]
    kept = len(list((tmp_path / "cache" / "prompts").glob("*.safetensors")))
    assert kept == 4  # two prompts, the portrait, the colours of the preview: no frame of a window


@pytest.mark.parametrize("kind", ["silence", "mp3", "the shortest", "nothing but a duration"])
def test_any_sound_is_heard(kind: str, a2v: SkyReelsA2V, tmp_path: Path) -> None:
    recording = tmp_path / "sound.wav"
    seconds = 0.4 if kind == "the shortest" else SHORT
    sound.save(recording, np.zeros((round(seconds * sound.RATE), 2), np.float32))
    if kind == "mp3":
        recording = mp3(voice(tmp_path, SHORT), tmp_path / "sound.mp3")
    inputs = replace(spoken(tmp_path, seconds), soundtrack=recording, recordings=((recording, 0.0),))
    if kind == "nothing but a duration":
        inputs = replace(inputs, soundtrack=None, recordings=())
    facts = probe(made(a2v, tmp_path, inputs).path)
    assert (facts.num_frames, facts.has_audio) == (round(25 * seconds), bool(inputs.soundtrack))


def test_the_levels_of_noise_are_the_published_ones() -> None:
    assert noise_levels(4, 11.0) == pytest.approx([1000, 956.58409, 846.5438, 10.8911, 0])
    assert noise_levels(1, 7.0) == [1000.0, 0.0]


# ------------------------------------------------------------------------------------------------ the user
def test_cancelled_within_a_step(a2v: SkyReelsA2V, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.pipelines.diffusion.steps.LOOK_SECONDS", 0.0)
    inputs, entered = spoken(tmp_path, LONG), list[int]()
    hook = a2v.pipe.transformer.register_forward_pre_hook(lambda *_: entered.append(1))
    told = Told(tmp_path, inputs, cancelled=lambda: len(entered) == 3)  # the second step of the second pass
    with pytest.raises(Cancelled):
        made(a2v, tmp_path, inputs, told)
    hook.remove()
    assert told.steps[-1] == (2, 6)
    assert not list(tmp_path.glob("made*.part"))


@pytest.mark.parametrize(
    ("steps", "at", "frames"),
    [
        (4, 2, 81),  # in the key pass: its frames are the film
        (4, 5, 69),  # in the first window, which is finished as far as it came
        (8, 17, 69),  # the second window is hardly begun
        (4, 10, 133),  # the second window is half done: it counts
    ],
)
def test_enough_saves_what_is_there(steps: int, at: int, frames: int, a2v: SkyReelsA2V, tmp_path: Path) -> None:
    inputs = spoken(tmp_path, LONGER)
    told = Told(tmp_path, inputs, enough=lambda: len(told.steps) >= at)
    result = made(a2v, tmp_path, inputs, told, num_inference_steps=steps)
    facts = probe(result.path)
    assert facts.num_frames == frames and facts.has_audio
    assert facts.duration == pytest.approx(frames / 25)
    assert len(told.steps) < 4 * steps
    assert result.facts["steps"] == len(told.steps)


def test_enough_between_two_windows_takes_no_further_step(a2v: SkyReelsA2V, tmp_path: Path) -> None:
    inputs = spoken(tmp_path, LONG)
    told = Told(tmp_path, inputs, enough=lambda: told.phases.count("decode") == 2)
    result = made(a2v, tmp_path, inputs, told)
    assert probe(result.path).num_frames == 69 and len(told.steps) == 2 * STEPS


# ------------------------------------------------------------------------------------------------ memory
def burst_always() -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def test_a_window_that_runs_out_of_memory_is_made_once_more_with_less_on_the_device(tmp_path: Path) -> None:
    engine, inputs = loaded(InfiniteTalk), spoken(tmp_path, LONG)
    expected = packets(made(engine, tmp_path, inputs).path)
    broken = iter([False] * 9 + [True])  # 3 calls a step
    lowered: list[int] = []

    def burst(*_: Any) -> None:
        if next(broken, False):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    hook = engine.pipe.transformer.register_forward_pre_hook(burst)
    told = Told(tmp_path, inputs)
    with patch.object(type(engine.placement), "lower", lambda self: lowered.append(1) is None):
        result = made(engine, tmp_path, inputs, told)
    hook.remove()
    assert result.facts["oom_retries"] == 1 and len(lowered) == 1
    assert [done for done, _ in told.steps] == [1, 2, 3, 3, 4]  # the first step of the second window, twice
    assert packets(result.path) == expected
    hook = engine.pipe.transformer.register_forward_pre_hook(lambda *_: burst_always())
    with patch.object(type(engine.placement), "lower", lambda self: False), pytest.raises(OutOfMemory):
        made(engine, tmp_path, inputs)
    hook.remove()
    engine.close()


def test_progress_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the page sees it: neither where a window begins, nor where one is begun again."""
    events, called = list[Any](), list[int]()
    forward = WanAudioTransformer3DModel.forward

    def burst(self: Any, *args: Any, **named: Any) -> Any:
        called.append(1)
        if len(called) == 9:  # the last step of the last window: it is begun again two steps back
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(self, *args, **named)

    monkeypatch.setattr(WanAudioTransformer3DModel, "forward", burst)
    monkeypatch.setattr(Places, "lower", lambda self: True)
    monkeypatch.setattr("studio.execution.work.PROGRESS_SECONDS", 0.0)
    options = {"width": SIDE, "height": SIDE, "num_inference_steps": 3}
    said = scene(
        "talking_avatar", input_image="x", input_audio="x", resolution="480P", options={SkyReelsA2V.id: options}
    )
    assignment = Assignment(
        "job", 1, SkyReelsA2V.id, said.model_dump(mode="json"), spoken(tmp_path, LONG), Plan(), SEED,
        tmp_path / "take", tmp_path / "small",
    )  # fmt: skip
    manager = PipelineManager()
    finished = perform(assignment, manager, events.append, lambda: False)
    manager.close()
    assert isinstance(finished, Finished) and finished.facts["oom_retries"] == 1
    steps = [event.done for event in events if isinstance(event, Progress)]
    assert steps == sorted(steps) and set(steps) == {*range(10)}
    assert {"text", "steps", "decode", "save"} <= finished.facts["phases"].keys()
