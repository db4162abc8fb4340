"""Every engine of SkyReels-V3, run as a whole at tiny size, makes the frames of the plain reference.

The reference was written from the published facts before the engines; both run on the same random networks and draw
the same noise, so in float32 they may differ by rounding only.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_loops as loops
import torch
from loop_bench import SIDE, Bench, bench, frame, furthest, picture, sound
from PIL import Image
from torch import Tensor

from studio.domain import SceneAdapter
from studio.media.writer import write_video
from studio.pipelines.base import Inputs
from studio.pipelines.diffusion import pictures
from studio.pipelines.skyreels_v3.audio import load16
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.colour import match
from studio.pipelines.skyreels_v3.extension import SkyReelsV3ShotSwitching, SkyReelsV3SingleShot
from studio.pipelines.skyreels_v3.infinitetalk import InfiniteTalk, InfiniteTalkMulti
from studio.pipelines.skyreels_v3.reference import SkyReelsV3Reference
from studio.pipelines.skyreels_v3.rolls import rolls
from studio.pipelines.skyreels_v3.speakers import masks, tracks

ROUNDING = 1e-4  # of pixels in -1..1: float32 over hundreds of calls
TABLES = json.loads(Path(__file__).with_name("reference_sizes.json").read_text())
PROMPT = "a woman sings by the sea"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on tiny tensors threads only wait for each other
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def scene_of(task: str, **values: Any) -> Any:
    return SceneAdapter.validate_python({"task_type": task, "prompt": PROMPT, "seed": 1, **values})


# ------------------------------------------------------------------------------------------------ avatars
def avatar_network(on: Bench) -> Any:
    def network(x: Tensor, t: Tensor, *, condition: Tensor, text: Tensor, picture: Tensor, **heard: Any) -> Tensor:
        return on.engine.pipe.transformer(
            torch.cat([x, condition], dim=1), t, text, encoder_hidden_states_image=picture, return_dict=False,
            audio_embeds=heard["audio"], speaker_masks=heard.get("speaker_masks"),
        )[0]  # fmt: skip

    return network


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(SkyReelsA2V, "avatar", tmp_path_factory.mktemp("avatar"))


def spoken(folder: Path, seconds: float) -> Inputs:
    track = sound(folder / "sound.wav", seconds)
    return Inputs(files={"input_image": picture(folder / "p.png")}, soundtrack=track, duration=seconds)


# seconds, windows beside the key pass: the facts' own lengths, then 1, 2, 3 and 7 windows
SPOKEN = [(0.4, 0), (3.2, 0), (3.24, 1), (3.28, 2), (7.5, 3), (18.6, 7), (20.0, 8)]


@pytest.mark.parametrize(("seconds", "windows"), SPOKEN)
def test_a_skyreels_avatar_is_the_references(seconds: float, windows: int, avatar: Bench, tmp_path: Path) -> None:
    inputs, steps = spoken(tmp_path, seconds), 4 if windows < 4 else 2
    ours = avatar.run(scene_of("talking_avatar", input_image="p", input_audio="s"), inputs, num_inference_steps=steps)
    embedding = avatar.engine._audio(inputs)
    assert len(loops.avatar_plan(embedding.shape[1]).windows) == windows
    theirs = loops.talking_avatar(
        avatar.models(avatar_network(avatar), short=windows == 0), frame(inputs.files["input_image"]), embedding,
        avatar.words(PROMPT), avatar.words(loops.WINDOW_PROMPT), steps=steps,
    )  # fmt: skip
    assert len(ours) == round(25 * seconds)
    assert furthest(ours, theirs) < ROUNDING


@pytest.mark.parametrize(("of_text", "of_audio"), [(3.0, 1.0), (1.0, 2.5), (3.0, 2.5)])
def test_a_skyreels_avatar_is_led_as_the_reference(
    of_text: float, of_audio: float, avatar: Bench, tmp_path: Path
) -> None:
    inputs = spoken(tmp_path, 3.28)
    scene = scene_of("talking_avatar", input_image="p", input_audio="s", negative_prompt="blurred")
    led = {"guidance_scale": of_text, "audio_guidance_scale": of_audio}
    ours = avatar.run(scene, inputs, num_inference_steps=2, **led)
    theirs = loops.talking_avatar(
        avatar.models(avatar_network(avatar)), frame(inputs.files["input_image"]), avatar.engine._audio(inputs),
        avatar.words(PROMPT), avatar.words(loops.WINDOW_PROMPT), steps=2, no_text=avatar.words("blurred"),
        text_guidance=of_text, audio_guidance=of_audio,
    )  # fmt: skip
    assert furthest(ours, theirs) < ROUNDING


@pytest.mark.parametrize("cls", [SkyReelsA2V, InfiniteTalk])
def test_an_avatar_on_wans_own_vae_is_the_references(cls: type, tmp_path: Path) -> None:
    """What the product does not decode, because nobody sees it, changes nothing of what it does."""
    on, inputs = bench(cls, "avatar", tmp_path, real_vae=True), spoken(tmp_path, 3.4)
    scene = scene_of("talking_avatar", input_image="p", input_audio="s")
    ours = on.run(scene, inputs, num_inference_steps=2, guidance_scale=1, audio_guidance_scale=1)
    image = frame(inputs.files["input_image"])
    if cls is InfiniteTalk:
        theirs = talked(on, inputs, [image], steps=2, text_guidance=1, audio_guidance=1)
    else:
        theirs = loops.talking_avatar(
            on.models(avatar_network(on)), image, on.engine._audio(inputs), on.words(PROMPT),
            on.words(loops.WINDOW_PROMPT), steps=2,
        )  # fmt: skip
    assert furthest(ours, theirs) < ROUNDING


# ------------------------------------------------------------------------------------------------ InfiniteTalk
@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(InfiniteTalk, "avatar", tmp_path_factory.mktemp("talk"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(InfiniteTalkMulti, "avatar", tmp_path_factory.mktemp("pair"))


def talked(on: Bench, inputs: Inputs, source: list[Tensor], **more: Any) -> list[Tensor]:
    """The reference's film. Short sound is padded as the product does: played back and forth."""
    embedding = on.engine._audio(inputs)
    count = embedding.shape[1]
    if count < loops.WINDOW:
        order = ([*range(count), *reversed(range(count))] * loops.WINDOW)[: loops.WINDOW + 3]
        embedding = embedding[:, order]
    return loops.infinite_talk(
        on.models(avatar_network(on)), source, embedding, on.words(PROMPT), on.words("blurred"), frames=count, **more
    )


# seconds, windows: the facts' own lengths, then 1, 2, 3 and 7 windows
TALKED = [(0.4, 1), (3.2, 1), (3.24, 1), (3.28, 2), (6.2, 3), (20.0, 7)]


@pytest.mark.parametrize("of_text", [1.0, 5.0])
@pytest.mark.parametrize(("seconds", "windows"), TALKED)
def test_infinite_talk_is_the_references(
    seconds: float, windows: int, of_text: float, talk: Bench, tmp_path: Path
) -> None:
    inputs = spoken(tmp_path, seconds)
    assert len(loops.talk_plan(round(25 * seconds)).windows) == windows
    scene = scene_of("talking_avatar", input_image="p", input_audio="s", negative_prompt="blurred")
    ours = talk.run(scene, inputs, num_inference_steps=3, guidance_scale=of_text)
    source = [frame(inputs.files["input_image"])]
    theirs = talked(talk, inputs, source, steps=3, text_guidance=of_text)
    assert len(ours) == round(25 * seconds)
    assert furthest(ours, theirs) < ROUNDING


@pytest.mark.parametrize("of_text", [1.0, 5.0])
@pytest.mark.parametrize(
    ("seconds", "windows", "second"), [(3.24, 1, 0.0), (3.6, 2, 1.8), (6.2, 3, 0.0), (18.0, 7, 1.8)]
)
def test_two_people_are_the_references(
    seconds: float, windows: int, second: float, of_text: float, pair: Bench, tmp_path: Path
) -> None:
    """`second`: when the second one begins to speak."""
    voices = [sound(tmp_path / f"{tone}.wav", 1.8, tone) for tone in (220.0, 330.0)]
    inputs = Inputs(
        files={"input_image": picture(tmp_path / "p.png")}, duration=seconds,
        recordings=((voices[0], 0.0), (voices[1], second)),
    )  # fmt: skip
    boxes = [[0.0, 0.0, 0.5, 0.6], [0.5, 0.5, 1.0, 1.0]]
    scene = scene_of(
        "talking_avatar", input_image="p", input_audio="s", input_audio_2="s", negative_prompt="blurred",
        speaker_boxes=boxes,
    )  # fmt: skip
    ours = pair.run(scene, inputs, num_inference_steps=2, guidance_scale=of_text)
    assert len(loops.talk_plan(round(25 * seconds)).windows) == windows
    theirs = talked(
        pair, inputs, [frame(inputs.files["input_image"])], steps=2, text_guidance=of_text,
        speaker_masks=loops.speaker_masks(SIDE, SIDE, boxes),
    )  # fmt: skip
    assert furthest(ours, theirs) < ROUNDING


@pytest.mark.parametrize("colour", [1.0, 0.4, 0.0])
def test_people_in_a_video_are_the_references(colour: float, clip: Path, talk: Bench, tmp_path: Path) -> None:
    track = sound(tmp_path / "sound.wav", 6.2)  # the video has 62 frames: later windows show its last one
    inputs = Inputs(files={"input_video": clip}, soundtrack=track, duration=6.2)
    scene = scene_of("talking_avatar", input_video="x", input_audio="s", negative_prompt="blurred")
    ours = talk.run(scene, inputs, num_inference_steps=2, color_strength=colour)
    source = frames_of(pictures.every_frame(clip, 25, SIDE, SIDE)[1])
    theirs = talked(talk, inputs, source, steps=2, colour=colour)
    assert 72 > len(source) == 62
    assert furthest(ours, theirs) < ROUNDING


def test_a_large_picture_has_more_of_the_noise() -> None:
    assert (InfiniteTalk.shift_480p, InfiniteTalk.shift_720p) == (7, 11)
    assert (SkyReelsA2V.shift_480p, SkyReelsA2V.shift_720p) == (11, 11)


def test_halves_of_a_picture_are_the_references() -> None:
    ours = masks(2, [], (480, 800), (480, 800))
    assert np.array_equal(ours, loops.speaker_masks(480, 800).numpy())


def test_voices_lie_as_the_references(tmp_path: Path) -> None:
    """Before they are made equally loud."""
    lengths = (1.2, 2.0)
    voices = [sound(tmp_path / f"{length}.wav", length) for length in lengths]
    first, second = (load16(voice).tolist() for voice in voices)
    for starts, lay in (((0.0, 0.0), loops.tracks_together), ((0.0, 1.2), loops.tracks_in_turn)):
        theirs = lay(first, second)
        inputs = Inputs(recordings=tuple(zip(voices, starts, strict=True)), duration=len(theirs[0]) / 16000)
        for ours, track in zip(tracks(inputs, 2), theirs, strict=True):
            wanted = np.array(track)
            assert len(ours) == len(wanted)
            scale = np.abs(ours).max() / np.abs(wanted).max()
            assert np.abs(ours - scale * wanted).max() < 1e-5


# ------------------------------------------------------------------------------------------------ extensions
@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    still = np.array(Image.open(picture(folder / "p.png", side=64)))
    moved = [np.roll(still, 3 * number, axis=1) for number in range(60)]
    write_video(folder / "x.mp4", iter(moved), 24, 60, layout="rgb24", audio=None, comment={}, posters=folder / "x")
    return folder / "x.mp4"


def framewise(on: Bench) -> Any:
    def network(x: Tensor, t: Tensor, *, text: Tensor, **more: Any) -> Tensor:
        return on.engine.pipe.transformer(x, t, text, return_dict=False, **more)[0]

    return network


def end_of(clip: Path) -> list[Tensor]:
    return frames_of(pictures.last_frames(clip, 50, 24, SIDE, SIDE))


def frames_of(images: Iterable[Any]) -> list[Tensor]:
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1 for image in images]


@pytest.mark.parametrize("seconds", [5, 7, 12, 26, 30])  # 1, 2, 3, 5 (a sixth would show nothing), 6 rolls
def test_a_single_shot_goes_on_as_the_references(seconds: int, clip: Path, tmp_path: Path) -> None:
    single = bench(SkyReelsV3SingleShot, "frames", tmp_path)
    inputs = Inputs(files={"input_video": clip}, duration=float(seconds))
    scene = scene_of("single_shot_extension", input_video="x", duration=seconds)
    ours = single.run(scene, inputs, num_inference_steps=2)
    theirs = loops.single_shot_extension(
        single.models(framewise(single)), end_of(clip), seconds, single.words(PROMPT), steps=2
    )
    assert len(ours) == 24 * seconds
    assert furthest(ours, theirs) < ROUNDING


def test_a_roll_of_all_steps_is_the_references(clip: Path, tmp_path: Path) -> None:
    single = bench(SkyReelsV3SingleShot, "frames", tmp_path)
    inputs = Inputs(files={"input_video": clip}, duration=5.0)
    ours = single.run(scene_of("single_shot_extension", input_video="x", duration=5), inputs)
    theirs = loops.single_shot_extension(single.models(framewise(single)), end_of(clip), 5, single.words(PROMPT))
    assert furthest(ours, theirs) < ROUNDING


def test_rolls_are_the_references() -> None:
    """Also where there are seven; ours leave out a last one that would show nothing."""
    for seconds in [*range(1, 31), 31, 34, 35]:
        theirs, ours = loops.rolls(seconds), rolls(24 * seconds)
        assert [roll.latents for roll in ours] == theirs[: len(ours)], seconds
        new = [loops.roll_frames(latents) for latents in theirs[: len(ours)]]
        assert [roll.decoded - loops.PREFIX_FRAMES for roll in ours] == new
        assert sum(roll.shown for roll in ours) == 24 * seconds
        if len(ours) < len(theirs):
            assert sum(new) >= 24 * seconds
    assert len(rolls(24 * 34)) == 7


@pytest.mark.parametrize("seconds", [2, 3, 4, 5])
def test_another_shot_is_the_references(seconds: int, clip: Path, tmp_path: Path) -> None:
    shot = bench(SkyReelsV3ShotSwitching, "frames", tmp_path)
    inputs = Inputs(files={"input_video": clip}, duration=float(seconds))
    scene = scene_of("shot_switching_extension", input_video="x", duration=seconds, prompt=f"[ZOOM_IN_CUT] {PROMPT}")
    ours = shot.run(scene, inputs)
    theirs = loops.shot_switching_extension(
        shot.models(framewise(shot)), end_of(clip), seconds, shot.words(scene.prompt)
    )
    assert shot.engine.limits.of_clip(seconds) == loops.CONTEXT_FRAMES[seconds]
    assert len(ours) == 24 * seconds + 1
    assert furthest(ours, theirs) < ROUNDING


# ------------------------------------------------------------------------------------------------ references
@pytest.mark.parametrize("count", [1, 3, 4])
def test_references_lie_behind_the_video_as_the_references(count: int, tmp_path: Path) -> None:
    refer = bench(SkyReelsV3Reference, "plain", tmp_path)
    paths = [picture(tmp_path / f"{number}.png", number, 40) for number in range(count)]
    for number, path in enumerate(paths):  # square, tall, wide
        Image.open(path).crop((0, 0, *[(40, 40), (20, 40), (40, 10), (10, 40)][number])).save(path)
    files = {f"ref_imgs.{number}": path for number, path in enumerate(paths)}
    scene = scene_of("reference_to_video", ref_imgs=["x"] * count, duration=1)
    ours = refer.run(scene, Inputs(files=files, duration=1.0))
    theirs = loops.reference_to_video(
        refer.models(framewise(refer)), [Image.open(path) for path in paths], {"1.00": [SIDE + 7, SIDE]}, 1,
        refer.words(PROMPT),
    )  # fmt: skip
    assert len(ours) == 25
    assert furthest(ours, theirs) < ROUNDING


def test_the_length_of_references_and_shots_is_the_references() -> None:
    for engine in (SkyReelsV3Reference, SkyReelsV3ShotSwitching):
        ((least, most),) = engine.limits.seconds.values()
        for seconds in range(int(least), int(most) + 1):
            assert engine.limits.frames(seconds) == loops.frames_of_video(seconds)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (100, 60), (60, 100), (200, 40), (90, 60)])
def test_what_is_given_chooses_the_references_size(width: int, height: int, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (width, height)).save(path)
    for resolution in ("480P", "720P"):
        scene = scene_of("reference_to_video", ref_imgs=["x"], resolution=resolution)
        engine = SkyReelsV3Reference()
        shape = engine.shape(scene, engine.Options(), Inputs(files={"ref_imgs.0": path}, duration=2.0))
        known = TABLES["r2v_v2v"][resolution]
        assert (shape.height, shape.width) == loops.size_of_video(known, height, width)
        talking = scene_of("talking_avatar", input_image="x", input_audio="y", resolution=resolution)
        person = SkyReelsA2V()
        shape = person.shape(talking, person.Options(), Inputs(files={"input_image": path}, duration=2.0))
        assert (shape.height, shape.width) == loops.nearest_size(TABLES["avatar"][resolution], height, width)


# ------------------------------------------------------------------------------------------------ colour
def test_colours_are_matched_as_the_reference_does() -> None:
    seeded = torch.Generator().manual_seed(8)
    frames = torch.rand(9, 3, 20, 30, generator=seeded) * torch.linspace(0.1, 1, 9)[:, None, None, None] * 2 - 1
    frames[3], frames[4] = 0.25, -1  # one colour, black
    for reference in (torch.rand(3, 24, 16, generator=seeded) * 2 - 1, torch.full((3, 8, 8), -0.9)):
        ours = match(frames, reference)
        assert furthest(list(ours), loops.colour_matched(list(frames), reference)) < ROUNDING
