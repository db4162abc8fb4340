"""What each window of a long avatar hears, is given and keeps; noise by purpose."""

import subprocess
import sys

import pytest

from studio.pipelines.skyreels_v3.noise import generator
from studio.pipelines.skyreels_v3.windows import STILL_TALKING, InfiniteTalkWindows, SkyReelsWindows

TABLE = {  # sounds -> starts of the windows, key frames, frames kept per window
    82: ([0, 64], (44, 80), [69, 76]),
    145: ([0, 64], (44, 80), [69, 76]),
    146: ([0, 64, 128], (31, 55, 80), [69, 64, 76]),
    209: ([0, 64, 128], (31, 55, 80), [69, 64, 76]),
    250: ([0, 64, 128, 192], (24, 42, 61, 80), [69, 64, 64, 76]),
    500: (list(range(0, 449, 64)), (12, 22, 32, 41, 51, 61, 70, 80), [69, *[64] * 6, 76]),
    81: ([0], (80,), [81]),
}
POLICIES = [SkyReelsWindows(), InfiniteTalkWindows()]


@pytest.mark.parametrize("sounds", TABLE)
def test_skyreels_finds_key_frames_first_and_goes_on_from_what_it_kept(sounds):
    starts, keys, kept = TABLE[sounds]
    key_pass, *windows = SkyReelsWindows().windows(sounds)
    assert key_pass.keys == keys and key_pass.number is None and not key_pass.kept and key_pass.prompt is None
    assert [window.start for window in windows] == starts
    assert [len(window.kept) for window in windows] == kept
    assert [window.key for window in windows] == list(range(len(starts)))
    assert [window.drop for window in windows] == [12] * (len(starts) - 1) + [0]
    assert {window.prompt for window in windows} == {STILL_TALKING}
    assert [window.condition_frames for window in windows] == [1] + [5] * (len(starts) - 1)


@pytest.mark.parametrize("sounds", [1, 10, 80])
def test_a_short_sound_is_one_pass(sounds):
    for policy in POLICIES:
        (window,) = policy.windows(sounds)
        assert window.shown == range(sounds) and window.key is None and window.prompt is None
        assert window.number == window.start == window.source == 0


@pytest.mark.parametrize("policy", POLICIES, ids=["skyreels", "infinitetalk"])
@pytest.mark.parametrize("sounds", [1, 80, 81, 82, 83, 153, 154, 500, 999, 1000, 1001, 5000, 5001])
def test_windows_join_without_a_gap_and_end_with_the_sound(policy, sounds):
    made = []  # (frame of the film)
    for window in policy.windows(sounds):
        if window.number is None:
            continue
        assert list(window.motion) == made[-policy.motion :]
        assert len(window.audio) == 81 and {len(five) for five in window.audio} == {5}
        assert all(0 <= frame < sounds for five in window.audio for frame in five)
        made += [window.start + frame for frame in window.kept]
    cut = policy.windows(sounds)[-1].cut
    assert made == list(range(len(made))) and len(made) - cut == policy.frames(sounds) == min(sounds, policy.limit)
    assert sum(len(window.shown) for window in policy.windows(sounds)) == policy.frames(sounds)


def test_the_first_and_last_frames_hear_the_ends_of_the_sound_more_than_once():
    window = SkyReelsWindows().windows(10)[0]
    assert window.audio[:3] == ((0, 0, 0, 1, 2), (0, 0, 1, 2, 3), (0, 1, 2, 3, 4))
    assert window.audio[7:10] == ((5, 6, 7, 8, 9), (6, 7, 8, 9, 9), (7, 8, 9, 9, 9))
    assert set(window.audio[12:]) == {(9, 9, 9, 9, 9)}


def test_what_is_missing_at_the_end_is_heard_backwards():
    last = SkyReelsWindows().windows(140)[-1]
    assert [five[2] for five in last.audio] == [*range(64, 140), 139, 138, 137, 136, 135]
    assert last.audio[-1] == (137, 136, 135, 135, 135) and last.cut == 5
    talk = InfiniteTalkWindows().windows(150)[-1]
    assert [five[2] for five in talk.audio] == [*range(72, 150), 149, 148, 147]
    assert talk.audio[-1] == (149, 148, 147, 146, 145) and talk.cut == 3


def test_a_film_has_an_end_however_long_the_sound_is():
    assert [SkyReelsWindows().frames(sounds) for sounds in (4999, 5000, 5001)] == [4999, 5000, 5000]
    assert [InfiniteTalkWindows().frames(sounds) for sounds in (999, 1000, 5000)] == [999, 1000, 1000]


def test_infinite_talk_shows_the_source_at_the_start_of_each_window():
    windows = InfiniteTalkWindows().windows(300)
    assert [window.source for window in windows] == [0, 72, 144, 216, 288]
    assert [window.motion_latents for window in windows] == [1, 3, 3, 3, 3]
    assert [len(window.kept) for window in windows] == [81, 72, 72, 72, 72]
    assert {(window.condition_frames, window.key, window.drop, window.prompt) for window in windows} == {
        (1, None, 0, None)
    }


@pytest.mark.parametrize(
    ("seconds", "up", "down"), [(0.4, 10, 10), (3.2, 80, 80), (3.24, 81, 81), (3.25, 82, 81), (20, 500, 500)]
)
def test_sound_is_counted_in_whole_frames(seconds, up, down):
    assert SkyReelsWindows().sounds(round(seconds * 16_000), 16_000) == up
    assert InfiniteTalkWindows().sounds(round(seconds * 16_000), 16_000) == down


# ------------------------------------------------------------------------------------------------ noise
def drawn(*purpose):
    import torch

    return torch.randn(64, generator=generator(*purpose))


def test_noise_depends_on_its_purpose_and_on_nothing_drawn_before():
    before = drawn(7, "window", 3)
    drawn(7, "window", 2)
    assert drawn(7, "window", 3).equal(before)
    others = [drawn(8, "window", 3), drawn(7, "window", 4), drawn(7, "key"), drawn(7, "window"), drawn(7, "window3")]
    assert all(abs(float((before * other).mean())) < 0.6 and not other.equal(before) for other in others)


def test_the_same_noise_tomorrow():
    assert generator(7, "window", 3).initial_seed() == 3_361_560_934_788_169_312


def test_nothing_of_this_loads_torch():
    names = ("windows", "sizes", "noise")
    code = "".join(f"import studio.pipelines.skyreels_v3.{name}\n" for name in names) + "import sys\n"
    subprocess.run([sys.executable, "-c", code + "assert not {'torch', 'av'} & sys.modules.keys()"], check=True)
