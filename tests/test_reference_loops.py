"""The reference of the sampling loops against the table and the numbers of the published facts."""

import json
from pathlib import Path
from typing import Any

import pytest
import reference_loops as loops
import torch
from torch import Tensor

SIZES = json.loads(Path(__file__).with_name("reference_sizes.json").read_text())
HEIGHT = WIDTH = 16

# frames of audio: V, passes, starts, key frames, frames kept per window
TABLE: dict[int, tuple[int, int, list[int], list[int], list[int]]] = {
    10: (81, 1, [], [], []),
    80: (81, 1, [], [], []),
    81: (81, 2, [0], [80], [81]),
    82: (145, 3, [0, 64], [44, 80], [69, 76]),
    145: (145, 3, [0, 64], [44, 80], [69, 76]),
    146: (209, 4, [0, 64, 128], [31, 55, 80], [69, 64, 76]),
    209: (209, 4, [0, 64, 128], [31, 55, 80], [69, 64, 76]),
    250: (273, 5, [0, 64, 128, 192], [24, 42, 61, 80], [69, 64, 64, 76]),
    500: (529, 9, [64 * k for k in range(8)], [12, 22, 32, 41, 51, 61, 70, 80], [69, *[64] * 6, 76]),
}


@pytest.mark.parametrize("audio_frames", TABLE)
def test_the_plan_of_an_avatar_is_the_published_one(audio_frames: int) -> None:
    plan = loops.avatar_plan(audio_frames)
    starts, kept = [w.start for w in plan.windows], [len(w.keep) for w in plan.windows]
    assert (plan.extended, plan.passes, starts, plan.key_frames, kept) == TABLE[audio_frames]
    assert plan.frames == audio_frames


@pytest.mark.parametrize("audio_frames", [81, 82, 145, 146, 500, 700, 5000])
def test_the_windows_of_an_avatar_follow_each_other(audio_frames: int) -> None:
    plan = loops.avatar_plan(audio_frames)
    shown = [window.start + i for window in plan.windows for i in window.keep]
    assert shown == list(range(plan.extended))
    assert len(plan.key_frames) == len(plan.windows)


def test_an_avatar_hears_the_end_backwards_and_is_cut_at_5000_frames() -> None:
    last = loops.avatar_plan(82).windows[-1]
    assert last.heard()[0] == [62, 63, 64, 65, 66]
    assert last.heard()[80] == [21, 20, 19, 19, 19]  # 62 frames back from frame 81, the last
    assert loops.avatar_plan(82).windows[0].heard()[0] == [0, 0, 0, 1, 2]
    assert loops.avatar_plan(10).key_pass.heard()[-1] == [9] * 5
    assert loops.avatar_plan(10).key_pass.keep == list(range(10))
    assert loops.avatar_plan(5001) == loops.avatar_plan(5000)


@pytest.mark.parametrize(
    ("audio_frames", "windows"), [(10, 1), (81, 1), (82, 2), (153, 2), (154, 3), (225, 3), (513, 7)]
)
def test_the_windows_of_infinite_talk_overlap_by_nine_frames(audio_frames: int, windows: int) -> None:
    plan = loops.talk_plan(audio_frames)
    assert [w.start for w in plan.windows] == [72 * k for k in range(windows)]
    assert [w.start + i for w in plan.windows for i in w.keep] == list(range(81 + 72 * (windows - 1)))
    assert plan.frames == audio_frames


def test_infinite_talk_hears_the_end_backwards_and_is_cut_at_1000_frames() -> None:
    assert loops.talk_plan(81).windows[0].heard()[80] == [78, 79, 80, 80, 79]
    first, second = loops.talk_plan(82).windows
    assert first.heard()[80] == [78, 79, 80, 81, 81]  # the last frame there is
    assert second.heard()[9] == [79, 80, 81, 81, 80]
    assert second.heard()[80] == [13, 12, 11, 10, 9]
    assert loops.talk_plan(1001).frames == loops.talk_plan(5000).frames == 1000
    assert len(loops.talk_plan(5000).windows) == 14


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(5, [132]), (6, [132, 36]), (10, [132, 132]), (12, [132, 132, 36]), (30, [132, 132, 100, 132, 132, 100])],
)
def test_rolls_are_as_long_as_published(seconds: int, frames: list[int]) -> None:
    assert [loops.roll_frames(new) for new in loops.rolls(seconds)] == frames
    assert loops.rolls(5) == [33]


def test_a_rest_that_the_balance_covers_exactly_is_taken_off() -> None:
    assert [[loops.roll_frames(new) for new in loops.rolls(seconds)][-1] for seconds in (7, 18, 29)] == [36, 68, 68]


def test_rolls_hold_what_was_asked_and_fill_eights() -> None:
    for seconds in range(5, 31):
        assert sum(loops.roll_frames(new) for new in loops.rolls(seconds)) >= 24 * seconds
        assert all((new + 7) % 8 == 0 for new in loops.rolls(seconds))


def test_the_times_of_an_avatar_are_warped() -> None:
    assert loops.euler_times(11, 4) == pytest.approx([1000, 956.58409, 846.5438, 10.8911, 0])
    assert loops.euler_times(1, 3) == pytest.approx([1000, 500.5, 1, 0])


def test_sizes_are_the_nearest_ratio() -> None:
    assert loops.size_of_video(SIZES["r2v_v2v"]["480P"], 720, 1280) == (480, 848)
    assert loops.size_of_video(SIZES["r2v_v2v"]["720P"], 1000, 1000) == (960, 960)
    assert loops.nearest_size(SIZES["avatar"]["480P"], 832, 480) == (832, 480)
    assert loops.nearest_size(SIZES["avatar"]["720P"], 9, 16) == (720, 1280)


def test_letterboxing_leaves_white_beside_the_picture() -> None:
    from PIL import Image

    page = loops.letterboxed(Image.new("RGB", (10, 20), (255, 0, 0)), 32, 32)
    assert page[1, 16].tolist() == [1.0] * 8 + [-1.0] * 16 + [1.0] * 8


def test_a_colour_match_gives_mean_and_spread_of_the_reference() -> None:
    torch.manual_seed(0)
    reference, frame = torch.rand(3, 8, 8) * 0.4 - 0.2, torch.rand(3, 8, 8) * 0.8
    assert torch.allclose(loops.rgb(loops.lab(frame)), frame, atol=1e-5)
    assert loops.lab(torch.ones(3, 1, 1)).flatten().tolist() == pytest.approx([100, 0, 0], abs=0.01)
    matched = loops.lab(loops.colour_matched([frame], reference)[0])
    goal = loops.lab(reference)
    assert torch.allclose(matched.mean((1, 2)), goal.mean((1, 2)), atol=0.01)
    assert torch.allclose(matched.std((1, 2)), goal.std((1, 2)), atol=0.01)
    assert torch.equal(loops.colour_matched([frame], reference, 0.0)[0], frame)


def test_two_people_speak_together_or_in_turn() -> None:
    assert loops.tracks_together([1.0], [2.0, 3.0]) == ([1.0, 0.0], [2.0, 3.0])
    assert loops.tracks_in_turn([1.0], [2.0, 3.0]) == ([1.0, 0.0, 0.0], [0.0, 2.0, 3.0])
    assert loops.soundtrack([1.0, 0.0], [2.0, 3.0]) == [3.0, 3.0]
    masks = loops.speaker_masks(40, 80)
    assert torch.equal(masks.sum(0), torch.ones(40, 80))
    assert masks[0].nonzero().aminmax(dim=0)[1].tolist() == [37, 37]
    assert masks[1].nonzero().aminmax(dim=0)[0].tolist() == [2, 42]


class Calls:
    """Fakes that are cheap and depend on all that they are given, and what the network was asked."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.drawn: list[tuple[str, Any]] = []
        self.decoded: list[Tensor] = []
        self.models = loops.Models(self.network, self.encode, self.decode, self.clip, self.noise)

    def network(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        self.made.append({"x": x.clone(), "t": t, **conditions})
        return 0.1 * x + t.float().mean() / 10000 + conditions["text"] / 100

    def encode(self, pixels: Tensor) -> Tensor:
        first, rest = pixels[:, :, :1], pixels[:, :, 1:]
        grouped = rest.unflatten(2, (-1, 4)).mean(3)
        pooled = torch.nn.functional.avg_pool3d(torch.cat([first, grouped], 2), (1, 8, 8))
        return pooled.repeat(1, 6, 1, 1, 1)[:, :16]

    def decode(self, latents: Tensor) -> Tensor:
        wide = latents[:, :3].repeat_interleave(8, 3).repeat_interleave(8, 4)
        self.decoded.append(torch.cat([wide[:, :, :1], wide[:, :, 1:].repeat_interleave(4, 2)], 2))
        return self.decoded[-1]

    def clip(self, frame: Tensor) -> float:
        return float(frame.mean())

    def noise(self, purpose: str, index: Any, shape: tuple[int, ...]) -> Tensor:
        self.drawn.append((purpose, index))
        number = sum(ord(c) for c in purpose) + hash(index) % 1000
        return torch.randn(shape, generator=torch.Generator().manual_seed(number))


def embedding(frames: int, speakers: int = 1) -> Tensor:
    return torch.randn(speakers, frames, 12, 2, generator=torch.Generator().manual_seed(1))


def picture() -> Tensor:
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("audio_frames", [10, 81, 82, 250])
def test_an_avatar_has_a_frame_for_each_of_its_audio(audio_frames: int) -> None:
    calls = Calls()
    frames = loops.talking_avatar(calls.models, picture(), embedding(audio_frames), 1, 2, steps=2)
    plan = loops.avatar_plan(audio_frames)
    assert len(frames) == audio_frames
    assert len(calls.made) == 2 * plan.passes
    assert [call["text"] for call in calls.made] == [1, 1] + [2] * (2 * len(plan.windows))


def test_a_window_continues_the_last_frames_and_goes_to_its_key_frame() -> None:
    calls = Calls()
    frames = loops.talking_avatar(calls.models, picture(), embedding(82), 1, 2, steps=2)
    key, first, second, second_step = (calls.made[i] for i in (0, 2, 4, 5))
    assert key["condition"][0, :4, :, 0, 0].T.tolist() == [[1.0] * 4] + [[0.0] * 4] * 20
    assert first["condition"][0, :4, :, 0, 0].T.tolist() == [[1.0] * 4, *[[0.0] * 4] * 18, [0, 0, 0, 1], [1.0] * 4]
    assert second["condition"][0, :4, :3, 0, 0].T.tolist() == [[1.0] * 4] * 2 + [[0.0] * 4]
    motion = calls.encode(loops.batch(frames[64:69]))
    assert torch.allclose(second["condition"][:, 4:, :2], motion)
    assert second["picture"] == calls.clip(frames[64])
    noise = calls.noise("renoise", (1, 0), tuple(motion.shape))
    assert torch.equal(second["x"][:, :, :2], noise)
    noise, t = calls.noise("renoise", (1, 1), tuple(motion.shape)), loops.euler_times(11, 2)[1] / 1000
    assert torch.allclose(second_step["x"][:, :, :2], (1 - t) * motion + t * noise)
    for call, frame in ((first, 44), (second, 80)):
        goal = loops.colour_matched([calls.decoded[0][0, :, frame]], picture())[0]
        assert torch.allclose(call["condition"][:, 4:, -1], calls.encode(goal[None, :, None])[:, :, 0])
    assert calls.drawn[:3] == [("key", 0), ("window", 0), ("window", 1)]


def test_infinite_talk_gives_the_network_clean_motion() -> None:
    calls = Calls()
    frames = loops.infinite_talk(calls.models, [picture()], embedding(82), 1, 0, steps=2)
    assert len(frames) == 82 and len(calls.made) == 2 * 2 * 3
    motion = calls.encode(loops.batch(frames[72:81]))
    assert motion.shape[2] == 3
    for call in calls.made[6:]:
        assert torch.equal(call["x"][:, :, :3], motion)
        assert call["condition"][0, :4, :, 0, 0].T.tolist() == [[1.0] * 4] + [[0.0] * 4] * 20
    for call in calls.made[:6]:
        assert torch.equal(call["x"][:, :, :1], calls.encode(picture()[None, :, None]))


@pytest.mark.parametrize(("of_text", "of_audio", "calls"), [(1, 1, 1), (1, 4, 2), (5, 1, 2), (5, 4, 3)])
def test_guidance_calls_as_often_as_it_must(of_text: float, of_audio: float, calls: int) -> None:
    said: list[tuple[int, bool, int]] = []

    def call(text: int, audio: Tensor) -> Tensor:
        said.append((text, bool(audio.any()), audio.shape[0]))
        return torch.tensor(10.0 * text + float(audio.any()))

    v = loops.guided(call, 1, 0, torch.ones(2, 81, 5, 12, 1), of_text, of_audio)
    assert len(said) == calls
    assert all(heard or speakers == 1 for _, heard, speakers in said)
    # moved by 10 for the text, by 1 for the audio
    assert float(v) == pytest.approx(10 * of_text + of_audio)


@pytest.mark.parametrize("seconds", [5, 6, 12])
def test_an_extension_is_as_long_as_asked(seconds: int) -> None:
    calls = Calls()
    clip = [picture() * i / 30 for i in range(30)]
    frames = loops.single_shot_extension(calls.models, clip, seconds, 1, steps=2)
    assert len(frames) == 24 * seconds
    first = calls.made[0]
    assert torch.equal(first["x"][:, :, :7], calls.encode(loops.batch(clip[-25:])))
    assert first["t"][0, :8].tolist() == [0.0] * 7 + [float(loops.unipc(8.0, 2).timesteps[0])]


@pytest.mark.parametrize(("seconds", "context", "frames"), [(2, 3, 49), (3, 5, 73), (4, 7, 97), (5, 9, 121)])
def test_another_shot_is_told_which_frames_are_context(seconds: int, context: int, frames: int) -> None:
    calls = Calls()
    assert len(loops.shot_switching_extension(calls.models, [picture()] * 40, seconds, 1, steps=2)) == frames
    call = calls.made[0]
    assert call["frame_index"][-context - 1 :].tolist() == [loops.latents_of(frames) - 1, *range(1024, 1024 + context)]
    assert call["t"][0, -context:].tolist() == [0.0] * context


@pytest.mark.parametrize("seconds", [1, 5])
def test_references_stand_behind_the_video(seconds: int) -> None:
    from PIL import Image

    calls = Calls()
    images = [Image.new("RGB", (20, 20), (0, 0, 0)), Image.new("RGB", (10, 20), (0, 0, 0))]
    frames = loops.reference_to_video(calls.models, images, {"1.00": [39, 39]}, seconds, 1, steps=2)
    assert len(frames) == 24 * seconds + 1 and frames[0].shape == (3, 32, 32)
    slots = calls.made[0]["x"][0, 0, -4:]
    assert slots[0].unique().tolist() == [-1.0] and slots[1].unique().tolist() == [-1.0, 1.0]
    assert not slots[2:].any()
