"""What is written over a picture: glyphs of three languages, lines that fit, a pill that is always there."""

import numpy as np
import pytest
from draft_tools import save_png

from studio.errors import EngineError
from studio.media import fonts
from studio.media.fonts import Face, type_of
from studio.media.yuv import bgr_from_i420, i420_from_bgr
from studio.pipelines.draft.cards import Card, Stamp, pill_place, wrapped
from studio.pipelines.draft.clean import cleaned, is_card, is_stamped
from studio.pipelines.draft.pictures import read_picture
from studio.pipelines.draft.prompt import read_prompt

GREY = np.full((360, 640, 3), 70, np.uint8)


@pytest.mark.parametrize("role", ["label", "mono", "story"])
def test_every_role_has_the_letters_of_three_languages(role):
    text = "Hello, World! ÁÂÃÀÇÉÊÍÓÔÕÚ áâãàçéêíóôõú 场景全景特写推拉摇 “”—…"
    assert type_of(role, 20).drawable(text) == text


def test_what_no_face_has_is_left_out():
    assert type_of("story", 20).drawable("a🎬b\U0001f980c") == "abc"


def test_a_face_that_lacks_its_letters_is_refused():
    with pytest.raises(EngineError) as refusal:
        Face("inter-latin-wght-normal.woff2", 0, "场", 20)
    assert refusal.value.code == "draft.font"
    with pytest.raises(EngineError):
        Face("no-such-face.woff2", 0, "a", 20)
    assert fonts.FONTS.is_dir()


@pytest.mark.parametrize(
    "text",
    [
        "The harbour had gathered at the foot of the cliff",
        "夜晚的城市，一个女孩走在街上，她抬头看见了光。" * 2,
        "a" * 200,
    ],
)
def test_lines_fit_and_nothing_is_lost(text):
    story = type_of("story", 30)
    lines = wrapped(text, story, 260)
    assert len(lines) > 1
    assert max(story.length(line) for line in lines) <= 260 + 31  # closing marks may hang
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line.startswith(("，", "。")) for line in lines)


def test_words_are_broken_only_when_one_is_wider_than_the_line():
    story, text = type_of("story", 30), "A lighthouse on the headland at night, a woman looks at the sea and waits"
    for width in range(140, 420, 7):
        assert " ".join(wrapped(text, story, width)) == text
    assert len(wrapped("a" * 60 + " end", story, 200)) > 2


def stamped(picture):
    frame = i420_from_bgr(picture)
    Stamp(picture.shape[1], picture.shape[0]).apply(frame)
    return bgr_from_i420(frame)


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (480, 848)])
def test_the_pill_is_drawn_found_and_taken_away(size):
    picture = np.full((size[1], size[0], 3), (90, 60, 40), np.uint8)
    marked = stamped(picture)
    assert is_stamped(marked) and not is_stamped(picture)
    clean = cleaned(marked)
    assert not is_stamped(clean)
    assert np.abs(clean.astype(int) - picture).max() < 12


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (480, 848)])
def test_a_picture_taken_from_a_draft_is_read_without_its_pill(size, tmp_path):
    picture = np.full((size[1], size[0], 3), (90, 60, 40), np.uint8)
    path = save_png(tmp_path / "last.png", stamped(picture))
    read = read_picture(path)
    assert not is_stamped(np.ascontiguousarray(read[..., :3]))
    assert np.abs(read[..., :3].astype(int) - (90, 60, 40)).max() < 12 and read[..., 3].min() == 255


def test_a_picture_too_small_for_a_pill_is_read_as_it_is(tmp_path):
    assert read_picture(save_png(tmp_path / "dot.png", np.full((3, 4, 3), 200, np.uint8))).shape == (3, 4, 4)


def card_frame(index, prompt="A long walk home", frames=48, number=3):
    directions = read_prompt(prompt, 0)
    frame = i420_from_bgr(GREY)
    Card(640, 360, prompt, directions, frames / 24, number, 12, frames, 24).apply(frame, index)
    return bgr_from_i420(frame)


def test_text_comes_and_goes_but_the_pill_stays():
    place = pill_place(640, 360)
    beside = np.s_[200:, : place.x - 4]
    contrast = [float(card_frame(i)[beside][:-6].std()) for i in (24, 47)]
    assert contrast[0] > 10 and contrast[1] < 2  # the next shot may grow from the last frame
    assert all(is_stamped(card_frame(i)) for i in (0, 24, 47))


def test_text_that_was_read_leaves_the_picture_alone():
    beside = np.s_[200:-6, : pill_place(640, 360).x - 4]
    assert card_frame(36, frames=240)[beside].std() > 10
    assert card_frame(120, frames=240)[beside].std() < 2
    assert card_frame(120, prompt="A long walk home " * 6, frames=240)[beside].std() > 10  # more to read


def test_the_line_shows_how_far_the_shot_is():
    def filled(index):
        row = card_frame(index)[-1].astype(int)
        return int((np.abs(row - row[2]).max(axis=1) < 12).sum()) if row[2, 2] > 150 else 0

    assert abs(filled(23) - 320) < 6 and filled(47) == 640
    assert is_card(card_frame(47)) and not is_card(GREY)


def test_number_and_prompt_are_in_the_picture():
    assert np.any(card_frame(24) != card_frame(24, number=4))
    assert np.any(card_frame(24) != card_frame(24, prompt="Another walk home"))
