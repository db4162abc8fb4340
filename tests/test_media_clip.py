"""Scenes as pictures for pages and messages, opened again."""

import numpy as np
import pytest
from media_tools import BLUE, RED, clip, near, plain
from PIL import Image

from studio.errors import Cancelled, Refused
from studio.media.clip import Clip, write_clip
from studio.media.writer import write_video


@pytest.fixture
def take(tmp_path):
    """Two seconds: red, then blue."""
    frames = [*plain(RED, 24, (192, 128)), *plain(BLUE, 24, (192, 128))]
    path = tmp_path / "take.mp4"
    write_video(path, frames, 24, 48, layout="rgb24", audio=None, comment={}, posters=tmp_path / "p")
    return path


def made(take, tmp_path, **asked):
    out = tmp_path / f"clip.{asked['format']}"
    facts = write_clip(Clip(take, **asked), out, step=lambda done, total, note: None, owner="X")
    assert not list(tmp_path.glob("*.part"))
    return facts, Image.open(out)


def colour(picture):
    return tuple(int(value) for value in np.asarray(picture.convert("RGB"))[40:56, 24:40].reshape(-1, 3).mean(axis=0))


@pytest.mark.parametrize("form", ["webp", "avif", "gif"])
def test_a_moving_picture(take, tmp_path, form):
    facts, picture = made(take, tmp_path, format=form, short_side=64, fps=8)
    assert (facts["width"], facts["height"], facts["frames"], facts["duration"]) == (96, 64, 16, 2.0)
    assert picture.size == (96, 64) and picture.n_frames == 16
    assert near(colour(picture), RED, 25)
    picture.seek(15)
    assert near(colour(picture), BLUE, 25)


def test_a_part_of_it_without_repeating(take, tmp_path):
    facts, picture = made(take, tmp_path, format="webp", fps=12, start=1.0, end=1.5, loop=False, short_side=64)
    assert facts["frames"] == picture.n_frames == 6 and near(colour(picture), BLUE, 25)
    assert picture.info["loop"] == 1


@pytest.mark.parametrize("form", ["webp", "avif", "gif", "png", "jpg"])
def test_a_still(take, tmp_path, form):
    facts, picture = made(take, tmp_path, format=form, animated=False, at=1.5, short_side=500)
    assert facts["frames"] == 1 and picture.size == (192, 128) and near(colour(picture), BLUE, 25)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"format": "png"}, "clip.not_moving"),
        ({"format": "gif", "start": 5.0}, "clip.empty"),
        ({"format": "gif", "start": 1.0, "end": 0.5}, "clip.empty"),
    ],
)
def test_what_cannot_be_made_is_refused(take, tmp_path, asked, code):
    with pytest.raises(Refused) as caught:
        write_clip(Clip(take, **asked), tmp_path / "x", step=lambda done, total, note: None)
    assert caught.value.code == code and not (tmp_path / "x").exists()


def test_a_clip_may_not_be_endless(take, tmp_path, monkeypatch):
    monkeypatch.setattr("studio.media.clip.MOST_FRAMES", 10)
    with pytest.raises(Refused) as caught:
        write_clip(Clip(take, "webp"), tmp_path / "x", step=lambda done, total, note: None)
    assert caught.value.code == "clip.too_long"


def test_a_stopped_clip_is_gone(take, tmp_path):
    def stop(done, total, note):
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_clip(Clip(take, "gif"), tmp_path / "a.gif", step=stop)
    assert not list(tmp_path.glob("a.gif*")) and clip(tmp_path / "still_works.mp4").exists()
