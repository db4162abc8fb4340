"""The bookkeeping of windows and sizes against the plain reference, for every length there is."""

import json
from pathlib import Path

import pytest
import reference_loops as loops

from studio.pipelines.skyreels_v3 import sizes
from studio.pipelines.skyreels_v3.windows import InfiniteTalkWindows, SkyReelsWindows, Window

LENGTHS = [*range(1, 701), 1000, 1001, 1017, 4999, 5000, 5001]
TABLES = json.loads(Path(__file__).with_name("reference_sizes.json").read_text())


def heard(window: Window) -> list[list[int]]:
    return [list(five) for five in window.audio]


def film(windows: list[Window]) -> list[tuple[int, int]]:
    """(window, which of its 81 frames) of each frame of the film."""
    return [(number, frame) for number, window in enumerate(windows) for frame in window.shown]


def test_the_passes_of_skyreels_are_the_references() -> None:
    policy = SkyReelsWindows()
    for length in LENGTHS:
        plan = loops.avatar_plan(length)
        assert policy.frames(length) == plan.frames
        first, *windows = policy.windows(length)
        assert 1 + len(windows) == plan.passes, length
        assert heard(first) == plan.key_pass.heard(), length
        assert (first.start, first.prompt, first.source, len(first.condition)) == (0, None, 0, 0)
        assert first.condition_frames == 1 and first.motion_latents == 0 and first.key is None
        if not windows:
            assert list(first.shown) == plan.key_pass.keep, length
            continue
        assert first.number is None and not first.shown and list(first.keys) == plan.key_frames, length
        kept: list[tuple[int, int]] = []
        for k, (ours, theirs) in enumerate(zip(windows, plan.windows, strict=True)):
            assert (ours.number, ours.start, list(ours.kept)) == (k, theirs.start, theirs.keep), length
            assert heard(ours) == theirs.heard(), (length, k)
            assert (ours.key, ours.key_frames, ours.prompt) == (k, loops.KEYS_REPEATED, loops.WINDOW_PROMPT)
            last_kept = list(range(len(kept)))[-loops.MOTION :]
            assert list(ours.condition) == list(ours.motion) == last_kept, (length, k)
            assert (ours.source, ours.motion_latents) == ((None, 2) if k else (0, 0))
            kept += [(k, frame) for frame in theirs.keep]
        assert film(windows) == kept[: plan.frames], length


def test_the_windows_of_infinite_talk_are_the_references() -> None:
    policy = InfiniteTalkWindows()
    for length in LENGTHS:
        # shorter sound is padded: played back and forth
        padded = ([*range(length), *reversed(range(length))] * loops.WINDOW)[: max(length, loops.WINDOW + 3)]
        embedded = len(padded) if length < loops.WINDOW else length
        plan = loops.talk_plan(length, embedded)
        assert policy.frames(length) == plan.frames
        windows = policy.windows(length)
        kept: list[tuple[int, int]] = []
        for k, (ours, theirs) in enumerate(zip(windows, plan.windows, strict=True)):
            assert (ours.number, ours.start, list(ours.kept)) == (k, theirs.start, theirs.keep), length
            assert heard(ours) == [[padded[frame] for frame in five] for five in theirs.heard()], (length, k)
            assert (ours.source, len(ours.condition), ours.key, ours.prompt) == (theirs.start, 0, None, None)
            assert list(ours.motion) == list(range(len(kept)))[-loops.TALK_MOTION :], (length, k)
            assert ours.motion_latents == (3 if k else 1)
            kept += [(k, frame) for frame in theirs.keep]
        assert film(list(windows)) == kept[: plan.frames], length


def test_only_infinite_talk_shows_the_network_clean_motion() -> None:
    assert InfiniteTalkWindows().clean_motion and not SkyReelsWindows().clean_motion


@pytest.mark.parametrize("rate", [16000, 48000])
def test_sound_has_the_references_frames(rate: int) -> None:
    for samples in [1, 639, 640, 641, 6400, 51200, 51840, 51841, 320000, 3_200_000, 3_200_001]:
        assert SkyReelsWindows().sounds(samples, rate) == loops.avatar_audio_frames(samples, rate)
        assert InfiniteTalkWindows().sounds(samples, rate) == loops.talk_audio_frames(samples, rate)


@pytest.mark.parametrize("table", ["r2v_v2v", "avatar"])
def test_every_ratio_has_the_references_size(table: sizes.Table) -> None:
    find = loops.nearest_size if table == "avatar" else loops.size_of_video
    for resolution, known in TABLES[table].items():
        for height in range(100, 4300, 7):
            assert sizes.nearest(table, resolution, height, 1000) == find(known, height, 1000), (resolution, height)
