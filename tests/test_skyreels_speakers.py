"""Who speaks when, and where in the picture."""

from dataclasses import replace

import numpy as np
import pytest
from media_tools import tone
from PIL import Image

from studio.domain import SpokenLine
from studio.errors import Refused
from studio.media.sound import save
from studio.pipelines.base import Inputs
from studio.pipelines.diffusion import pictures
from studio.pipelines.skyreels_v3.speakers import RATE, check, masks, tracks


@pytest.fixture
def spoken(tmp_path):
    """(name, hertz, seconds) -> a recording."""

    def make(name, hertz, seconds):
        return save(tmp_path / f"{name}.wav", tone(seconds, hertz)) or tmp_path / f"{name}.wav"

    return make


def line(character, path, start, duration):
    return SpokenLine(f"{character}{start}", character, "Hello.", path, start, duration)


def heard(track, start, stop):
    """Hertz of a part; 0: silence."""
    part = track[round(start * RATE) : round(stop * RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return round(float(spectrum.argmax() * RATE / len(part)), -1) if np.abs(part).max() > 1e-3 else 0


# ------------------------------------------------------------------------------------------------ tracks
def test_two_recordings_are_two_tracks_as_long_as_the_scene(spoken):
    inputs = Inputs(recordings=((spoken("a", 300, 1.0), 0.0), (spoken("b", 700, 1.5), 1.0)), duration=2.5)
    first, second = tracks(inputs, 2)
    assert len(first) == len(second) == 40_000 and first.dtype == second.dtype == np.float32
    assert (heard(first, 0.1, 0.9), heard(first, 1.1, 2.4)) == (300, 0)  # in turn: silent where the other speaks
    assert (heard(second, 0, 0.9), heard(second, 1.1, 2.4)) == (0, 700)


def test_lines_are_given_to_their_speakers_in_the_order_in_which_they_begin(spoken):
    lines = (
        line("Ana", spoken("a2", 500, 0.5), 2.0, 0.5),  # not in order
        line("Rui", spoken("b", 700, 0.5), 0.25, 0.5),
        line("Ana", spoken("a1", 300, 0.5), 1.0, 0.5),
    )
    rui, ana = tracks(Inputs(lines=lines, soundtrack=spoken("all", 900, 3.0), duration=3.0), 2)
    assert len(rui) == len(ana) == 48_000
    assert heard(rui, 0.3, 0.7) == 700 and heard(rui, 0.9, 3.0) == 0
    assert [heard(ana, *part) for part in ((0, 0.9), (1.05, 1.45), (1.6, 1.9), (2.05, 2.45))] == [0, 300, 0, 500]


def test_else_the_soundtrack_is_heard_and_every_voice_is_as_loud(spoken):
    (track,) = tracks(Inputs(soundtrack=spoken("all", 900, 3.0), duration=2.0), 1)
    assert len(track) == 32_000 and heard(track, 0, 2) == 900
    assert np.sqrt(np.mean(track**2)) == pytest.approx(10 ** (-23 / 20), rel=0.2)


def test_without_a_duration_tracks_last_as_long_as_the_longest(spoken):
    inputs = Inputs(recordings=((spoken("a", 300, 1.0), 0.0), (spoken("b", 700, 1.0), 0.5)))
    assert {len(track) for track in tracks(inputs, 2)} == {24_000}


def test_a_recording_that_is_shorter_or_longer_than_the_scene_fits(spoken):
    inputs = Inputs(recordings=((spoken("a", 300, 3.0), 0.0), (spoken("b", 700, 0.5), 5.0)), duration=1.0)
    first, second = tracks(inputs, 2)
    assert len(first) == len(second) == 16_000 and not second.any()


def test_a_third_person_is_refused_with_the_cure(spoken):
    path = spoken("a", 300, 0.5)
    three = tuple(line(name, path, at, 0.5) for at, name in enumerate("ABC"))
    with pytest.raises(Refused) as caught:
        tracks(Inputs(lines=three, duration=4.0), 2)
    assert (caught.value.code, caught.value.params) == ("avatar.too_many_speakers", {"count": 3, "most": 2})
    again = tuple(replace(each, character="AB"[number % 2]) for number, each in enumerate(three))
    assert len(tracks(Inputs(lines=again, duration=4.0), 2)) == 2
    with pytest.raises(Refused):
        tracks(Inputs(lines=again, duration=4.0), 1)


def test_nobody_says_anything():
    with pytest.raises(Refused) as caught:
        tracks(Inputs(duration=1.0), 2)
    assert caught.value.code == "avatar.silent"


# ------------------------------------------------------------------------------------------------ masks
def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.99
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_two_people_without_boxes_are_left_and_right():
    made = masks(2, (), (1080, 1920), (480, 832))
    assert made.shape == (3, 480, 832) and made.dtype == np.float32
    assert box_of(made[0]) == (20, 24, 395, 456) and box_of(made[1]) == (436, 24, 811, 456)
    assert (made.sum(0) == 1).all()  # the background is what is left


def test_one_person_without_a_box_is_everywhere():
    made = masks(1, (), (100, 100), (64, 64))
    assert made.shape == (2, 64, 64) and made[0].all() and not made[1].any()


@pytest.mark.parametrize("picture", [(300, 1200), (1200, 300), (480, 832), (333, 517)])
def test_a_box_lands_where_the_person_is_after_the_crop(tmp_path, picture):
    """Painted on the portrait, scaled and cropped with it."""
    height, width = picture
    boxes = ((0.36, 0.38, 0.48, 0.55), (0.55, 0.4, 0.66, 0.66))
    painted = np.zeros((height, width, 3), np.uint8)
    for channel, (left, top, right, bottom) in enumerate(boxes):
        rows, columns = (
            slice(round(top * height), round(bottom * height)),
            slice(round(left * width), round(right * width)),
        )
        painted[rows, columns, channel] = 255
    Image.fromarray(painted).save(tmp_path / "a.png")
    seen = np.asarray(pictures.picture(tmp_path / "a.png", 832, 480)) > 127
    made = masks(2, boxes, picture, (480, 832))
    for channel in range(2):
        slack = 1 + max(480 / height, 832 / width)  # the painter's pixels
        assert box_of(made[channel]) == pytest.approx(box_of(seen[:, :, channel]), abs=slack)
    assert (made.sum(0) == 1).all()


def test_a_box_is_cut_at_the_edge_of_what_is_kept():
    made = masks(1, ((0.0, 0.0, 0.5, 1.0),), (100, 400), (64, 64))  # the middle 100 of 400 columns are kept
    assert box_of(made[0]) == (0, 0, 32, 64)


def test_boxes_beside_each_other_share_no_pixel():
    made = masks(2, ((0.1, 0.1, 0.503, 0.9), (0.503, 0.1, 0.9, 0.9)), (333, 777), (480, 832))
    assert (made.sum(0) == 1).all() and box_of(made[0])[2] == box_of(made[1])[0]


@pytest.mark.parametrize(
    ("code", "count", "boxes"),
    [
        ("avatar.boxes_overlap", 2, ((0.1, 0.1, 0.6, 0.9), (0.5, 0.1, 0.9, 0.9))),
        ("avatar.boxes_overlap", 2, ((0.1, 0.1, 0.9, 0.9), (0.4, 0.4, 0.6, 0.6))),
        ("avatar.boxes_count", 2, ((0.1, 0.1, 0.6, 0.9),)),
        ("avatar.boxes_count", 1, ((0.1, 0.1, 0.4, 0.9), (0.5, 0.1, 0.9, 0.9))),
        ("avatar.box_outside", 2, ((0.0, 0.1, 0.3, 0.9), (0.5, 0.1, 0.9, 0.9))),  # of 4:1 the middle is kept
        ("avatar.box_small", 2, ((0.405, 0.1, 0.407, 0.9), (0.5, 0.1, 0.9, 0.9))),
    ],
)
def test_boxes_that_say_nothing_are_refused(code, count, boxes):
    with pytest.raises(Refused) as caught:
        masks(count, boxes, (100, 400), (480, 480))
    assert caught.value.code == code


def test_boxes_can_be_checked_without_a_picture():
    check(2, ())
    check(2, ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)))  # an edge is no overlap
    with pytest.raises(Refused):
        check(2, ((0.0, 0.0, 0.6, 1.0), (0.5, 0.0, 1.0, 1.0)))
