"""Talking pictures from end to end at tiny size, from repositories laid out as published: A2V and InfiniteTalk."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from engine_calls import SEED, loaded, scene, shelf
from PIL import Image
from safetensors.torch import save_file

from studio.errors import Cancelled, OutOfMemory, Refused
from studio.execution import Assignment, Finished, Progress
from studio.execution.work import perform
from studio.media import sound
from studio.media.probe import probe
from studio.media.writer import VideoFile, write_video
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.manager import PipelineManager
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.memory.places import Places
from studio.pipelines.parts import SHELF
from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.avatar_pipeline import noise_levels
from studio.pipelines.skyreels_v3.infinitetalk import FEW_STEPS, InfiniteTalk, InfiniteTalkFp8, InfiniteTalkMulti

REPOS = (
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    "Skywork/SkyReels-V3-A2V-19B", "MeiGen-AI/InfiniteTalk", "TencentGameMate/chinese-wav2vec2-base",
)  # fmt: skip
SIDE, STEPS = 32, 2
SHORT, LONG = 0.6, 3.4  # seconds: one pass; a key pass and two windows, or two windows of InfiniteTalk
LONGER = 6.0  # a key pass and three windows
ENGINES = (SkyReelsA2V, InfiniteTalk, InfiniteTalkMulti, InfiniteTalkFp8)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    with shelf(folder, *REPOS), pytest.MonkeyPatch.context() as context:
        context.setenv(CACHE, str(folder / "cache"))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def a2v() -> Iterator[SkyReelsA2V]:
    engine = loaded(SkyReelsA2V)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def talk() -> Iterator[InfiniteTalk]:
    engine = loaded(InfiniteTalk)
    yield engine
    engine.close()


def voice(folder: Path, seconds: float, pitch: float = 180.0) -> Path:
    at = np.arange(round(seconds * sound.RATE)) / sound.RATE
    tone = 0.3 * np.sin(2 * np.pi * pitch * at) * (1 + np.sin(2 * np.pi * 4 * at)) / 2
    path = folder / f"voice-{seconds}-{pitch}.wav"
    sound.save(path, np.stack([tone, tone], axis=1).astype(np.float32))
    return path


def portrait(folder: Path) -> Path:
    """120 by 160, of many colours: frames take its spread of each."""
    y, x = np.mgrid[0:160, 0:120]
    path = folder / "portrait.png"
    Image.fromarray(np.stack([x * 2, y + 60, 255 - x], axis=-1).astype(np.uint8)).save(path)
    return path


def spoken(folder: Path, seconds: float, **more: Any) -> Inputs:
    """A portrait and a recording."""
    recording = voice(folder, seconds)
    files = {"input_image": portrait(folder), "input_audio": recording}
    return replace(
        Inputs(files=files, soundtrack=recording, recordings=((recording, 0.0),), duration=seconds), **more
    )  # fmt: skip


class Told:
    """A run, and what it said on the way."""

    def __init__(self, folder: Path, inputs: Inputs, **more: Any) -> None:
        self.steps: list[tuple[int, int]] = []
        self.phases: list[str] = []
        self.run = Run(
            SEED, inputs, Plan(), folder / "made", folder / "small", phase=self.phases.append,
            report=lambda done, total, preview: self.steps.append((done, total)), **more,
        )  # fmt: skip


def made(engine: Any, folder: Path, inputs: Inputs, told: Told | None = None, **options: Any) -> Made:
    said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P")
    small = {"width": SIDE, "height": SIDE, "num_inference_steps": STEPS} | options
    return engine.run(said, engine.Options(**small), (told or Told(folder, inputs)).run)


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


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


# ------------------------------------------------------------------------------------------------ what is asked
def calls(module: Any) -> Any:
    """A list that grows with every forward of a module."""
    made: list[Any] = []
    hook = module.register_forward_pre_hook(lambda module, args, named: made.append((args, named)), with_kwargs=True)
    return made, hook


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


def test_what_was_enough_begins_like_the_whole_film(talk: InfiniteTalk, tmp_path: Path) -> None:
    inputs, (a, b) = spoken(tmp_path, LONG), (tmp_path / "a", tmp_path / "b")
    a.mkdir(), b.mkdir()
    whole = made(talk, a, inputs)
    told = Told(b, inputs, enough=lambda: len(told.steps) >= STEPS)
    part = made(talk, b, inputs, told)
    assert probe(part.path).num_frames == 81
    assert np.array_equal(pixels(part.path)[:60], pixels(whole.path)[:60])


def pixels(path: Path) -> np.ndarray:
    import av

    with av.open(str(path), format="mov") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


# ------------------------------------------------------------------------------------------------ memory
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


def burst_always() -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


# ------------------------------------------------------------------------------------------------ whom it shows
def clip(folder: Path, frames: int, fps: int = 30) -> Path:
    """Each frame another grey."""
    path = folder / f"clip-{frames}.mp4"
    shown = (np.full((64, 64, 3), 250 - 2 * number, np.uint8) for number in range(frames))
    write_video(path, shown, fps, frames, layout="rgb24", audio=None, comment={}, posters=folder / "clip")
    return path


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


def mp3(source: Path, path: Path) -> Path:
    """Stereo at 48 kHz."""
    import av

    with av.open(str(source)) as wave, av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("mp3", rate=48_000, layout="stereo")
        for frame in wave.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def test_few_steps_need_a_lora_and_say_which(tmp_path: Path) -> None:
    options = InfiniteTalk.Options(**InfiniteTalk.presets["fast"])
    assert (options.num_inference_steps, options.guidance_scale, options.audio_guidance_scale) == (8, 1.0, 2.0)
    engine, inputs = loaded(InfiniteTalk), spoken(tmp_path, SHORT)
    said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P")
    with pytest.raises(Refused) as refused:
        engine.run(said, options, Told(tmp_path, inputs).run)
    assert FEW_STEPS in str(refused.value.params)
    engine.close()


def test_the_levels_of_noise_are_the_published_ones() -> None:
    assert noise_levels(4, 11.0) == pytest.approx([1000, 956.58409, 846.5438, 10.8911, 0])
    assert noise_levels(1, 7.0) == [1000.0, 0.0]


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
