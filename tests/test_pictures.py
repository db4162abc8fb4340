"""Pictures and clips as a model takes them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.errors import Refused
from studio.media.writer import write_video
from studio.pipelines.diffusion import pictures


def clip(folder: Path, fps: int, count: int) -> Path:
    """Frame i is grey 8 * i: its brightness says its number."""
    frames = (np.full((32, 48, 3), 8 * i, np.uint8) for i in range(count))
    path = folder / f"clip{fps}.mp4"
    write_video(path, frames, fps, count, layout="rgb24", audio=None, comment={}, posters=folder / f"clip{fps}")
    return path


def numbers(frames: list[Image.Image]) -> list[int]:
    return [round(float(np.asarray(frame).mean()) / 8) for frame in frames]


def test_a_picture_fills_the_size_and_is_not_stretched(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 255  # a white square in the middle
    Image.fromarray(wide).save(tmp_path / "wide.png")
    made = pictures.picture(tmp_path / "wide.png", 32, 32)
    assert made.size == (32, 32) and made.mode == "RGB"
    assert np.asarray(made).min() > 200
    assert pictures.whole_picture(tmp_path / "wide.png").size == (120, 40)


@pytest.mark.parametrize(
    ("fps", "count", "expected"),
    [
        (24, 20, [15, 16, 17, 18, 19]),  # its own rate
        (12, 10, [7, 8, 8, 9, 9]),  # half the rate: each frame twice
        (48, 30, [20, 22, 24, 26, 28]),  # twice the rate: every other frame
    ],
)
def test_the_last_frames_at_24_a_second(tmp_path: Path, fps: int, count: int, expected: list[int]) -> None:
    frames = pictures.last_frames(clip(tmp_path, fps, count), 5, 24, 16, 16)
    assert numbers(frames) == expected
    assert {frame.size for frame in frames} == {(16, 16)}


def test_a_long_clip_is_read_from_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    frames = (np.full((32, 48, 3), 200 if i > 190 else i % 100, np.uint8) for i in range(200))
    write_video(path, frames, 24, 200, layout="rgb24", audio=None, comment={}, posters=tmp_path / "long")
    assert numbers(pictures.last_frames(path, 9, 24, 16, 16)) == [25] * 9


def test_a_clip_shorter_than_what_is_needed_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        pictures.last_frames(clip(tmp_path, 24, 12), 17, 24, 16, 16)
    assert refused.value.code == "engine.clip_too_short"
    assert refused.value.params == {"field": "input_video", "name": "clip24.mp4", "seconds": 0.5, "needed": 0.71}


@pytest.mark.parametrize("fps", [12, 24, 25, 30])
def test_every_frame_at_24_a_second_ends_with_the_last_ones(tmp_path: Path, fps: int) -> None:
    path = clip(tmp_path, fps, fps)
    count, frames = pictures.every_frame(path, 24, 16, 16)
    every = numbers(list(frames))
    assert count == 24 and every == [i * fps // 24 for i in range(24)]
    assert every[-7:] == numbers(pictures.last_frames(path, 7, 24, 16, 16))
