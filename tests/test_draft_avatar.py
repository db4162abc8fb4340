"""The talking portrait: lips where lips are, still where they are not sure, closed in silence, the same every time."""

import wave
from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_faces import anime, bearded, behind_a_microphone, cartoon, half_covered, landscape, noise

from studio.domain import SpokenLine
from studio.media.yuv import bgr_from_i420
from studio.pipelines.draft import avatar, framing, lipsync, people, puppet
from studio.pipelines.draft.landmarks import find_landmarks

SIZE, FPS, FRAMES = (424, 240), 24, 24


@pytest.fixture
def portrait(tmp_path):
    def save(image, name="portrait.png"):
        path = tmp_path / name
        cv2.imwrite(str(path), image)
        return path

    return save


@pytest.fixture
def voice(tmp_path):
    """A second of sound: silent until 0.4 s, then a vowel-like buzz until 0.8 s."""
    rate = 16_000
    seconds = np.arange(rate) / rate
    buzz = sum(np.sin(2 * np.pi * 150 * k * seconds) / k for k in range(1, 12))
    sound = 0.25 * buzz / np.abs(buzz).max() * ((seconds > 0.4) & (seconds < 0.8))
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def shot(portrait, voice, lines=(), plate=None, seed=3, **more):
    frames, facts = avatar.avatar_shot(portrait, voice, lines, SIZE, FPS, FRAMES, seed, plate, None, **more)
    return list(frames), facts


@pytest.mark.parametrize(
    "image",
    [
        cartoon(),
        cartoon(skin=(80, 120, 170), hair=(25, 20, 25)),
        cartoon(skin=(150, 180, 225), hair=(30, 30, 60), background=(40, 40, 45)),
        cartoon(size=(240, 320)),
    ],
    ids=["pale", "dark", "dark background", "small"],
)
def test_lips_and_eyes_of_a_cartoon_are_found_where_they_were_drawn(image):
    height, width = image.shape[:2]
    marks = find_landmarks(image)
    assert marks.mode == "lips"
    assert marks.flat
    assert marks.apart == pytest.approx(0.27 * width, rel=0.04)
    assert marks.lips.x == pytest.approx(width / 2, abs=0.015 * width)
    assert marks.lips.y == pytest.approx(0.585 * height, abs=0.012 * height)
    assert marks.lips.half_width == pytest.approx(0.085 * width, rel=0.25)
    for eye, x in zip(marks.eyes, (0.365, 0.635), strict=True):
        assert eye.x == pytest.approx(x * width, abs=0.015 * width)
        assert eye.y == pytest.approx(0.43 * height, abs=0.012 * height)


@pytest.mark.parametrize("draw", [bearded, behind_a_microphone, half_covered, landscape, noise])
def test_what_is_not_sure_keeps_its_mouth_still(draw, portrait, voice):
    frames, facts = shot(portrait(draw()), voice)
    assert facts["mode"] == "voice"
    assert len(frames) == FRAMES
    assert not np.array_equal(frames[0], frames[-1])  # the head or the camera moves


def test_every_frame_is_i420_in_the_size_asked_for(portrait, voice):
    frames, facts = shot(portrait(cartoon()), voice)
    assert facts["mode"] == "lips"
    assert facts["landmarks"].startswith("drawn eyes")
    assert len(frames) == FRAMES
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((SIZE[1] * 3 // 2, SIZE[0]), "uint8")}


def test_the_same_seed_gives_the_same_frames_and_another_moves_otherwise(portrait, voice):
    path = portrait(cartoon())
    first, again, other = (shot(path, voice, seed=seed)[0] for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[-1], other[-1])


def test_the_mouth_is_closed_in_silence_and_open_in_speech(voice):
    curves = lipsync.mouth_curves(voice, (), FPS, FRAMES)
    silent = curves.open[: int(0.33 * FPS)]
    assert silent.max() == 0
    assert curves.open[int(0.55 * FPS)] > 0.5
    assert curves.open[-1] == 0


def test_silence_has_no_mouth_at_all(tmp_path):
    samples = np.zeros(lipsync.RATE, np.float32)
    curves = lipsync.from_energies(samples, FPS, FRAMES)
    assert curves.open.max() == 0
    hiss = np.random.default_rng(0).normal(0, 1e-4, lipsync.RATE).astype(np.float32)
    assert lipsync.from_energies(hiss, FPS, FRAMES).open.max() < 0.05


def test_phonemes_shape_the_lips_and_bilabials_close_them(voice):
    visemes = [(0.0, "'a"), (0.15, "m"), (0.2, "'i"), (0.35, "u:"), (0.5, "_:")]
    times = np.arange(FRAMES) / FPS
    opened, wide = lipsync.from_phonemes(visemes, times, 0.5)
    assert opened[1] > 0.5
    assert opened[3:5].min() == 0  # the m falls between two frames and still closes
    assert wide[6] > 0.5
    assert wide[9] < -0.5
    assert opened[16] == 0


def test_lines_with_phonemes_win_over_the_sound(voice, tmp_path):
    line = SpokenLine("1", "Ana", "a", voice, 0.4, 0.4, [(0.0, "m"), (0.2, "m"), (0.4, "_")])
    assert lipsync.mouth_curves(voice, (line,), FPS, FRAMES).open.max() < 0.05
    assert lipsync.mouth_curves(voice, (), FPS, FRAMES).open.max() > 0.5


def test_opening_the_mouth_changes_the_mouth_and_nothing_else():
    image = cartoon()
    framed = framing.frame_portrait(np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]), SIZE, None, None)
    marks, picture = framed.marks, np.ascontiguousarray(framed.figure[..., :3])
    face = picture.copy()
    assert puppet.Mouth(picture, marks, marks.lips).move(face, 1.0, 0.0)
    changed = np.abs(face.astype(int) - picture).max(2) > 12
    rows, _ = np.nonzero(changed)
    assert rows.min() > marks.eyes[0].y + marks.eyes[0].below
    inside = face[round(marks.lips.y + 0.12 * marks.apart), round(marks.lips.x)]
    assert inside.max() < 120  # dark between the lips
    shut = picture.copy()
    assert puppet.Lids(picture, marks).close(shut, 1.0)
    for eye in marks.eyes:
        before = picture[round(eye.y), round(eye.x)].astype(int)
        after = shut[round(eye.y), round(eye.x)].astype(int)
        assert before.max() < 60  # the pupil
        assert np.abs(after - np.array([200, 222, 255])).max() < 45  # the lid


def test_a_plain_background_gives_way_to_the_plate_and_a_shaded_one_stays(portrait, voice):
    plate = np.full((SIZE[1], SIZE[0], 3), (60, 140, 20), np.uint8)
    frames, facts = shot(portrait(cartoon()), voice, plate=plate)
    assert facts["cut_out"]
    corner = bgr_from_i420(frames[0])[20:30, 20:30].reshape(-1, 3).mean(0)
    assert corner[1] > 1.5 * corner[2] and corner[1] > 1.5 * corner[0]
    shaded = cartoon().astype(np.float32)
    shaded *= np.linspace(0.6, 1.0, shaded.shape[0])[:, None, None]
    _, facts = shot(portrait(shaded.astype(np.uint8), "shaded.png"), voice, plate=plate)
    assert not facts["cut_out"]


def test_a_portrait_with_alpha_stands_before_the_plate(portrait, voice):
    image = cartoon()
    alpha = np.where((image == (230, 215, 190)).all(2), 0, 255).astype(np.uint8)
    plate = np.full((SIZE[1], SIZE[0], 3), (60, 140, 20), np.uint8)
    frames, facts = shot(portrait(np.dstack([image, alpha])), voice, plate=plate)
    assert facts["cut_out"]
    assert facts["mode"] == "lips"
    corner = bgr_from_i420(frames[0])[20:30, 20:30].reshape(-1, 3).mean(0)
    assert corner[1] > 1.5 * corner[2]


@pytest.mark.parametrize("size", [(640, 64), (64, 640), (64, 64)])
def test_odd_pictures_are_framed_without_complaint(size, portrait, voice):
    image = cv2.resize(cartoon(), size, interpolation=cv2.INTER_AREA)
    frames, _ = shot(portrait(image), voice)
    assert len(frames) == FRAMES


def test_blinks_are_short_and_not_rare():
    shut = avatar.blinks(24 * 20, 24, np.random.default_rng(1))
    closed = np.flatnonzero((shut[1:] > 0.5) & (shut[:-1] <= 0.5))
    assert 3 <= len(closed) <= 12
    assert (shut > 0.5).mean() < 0.12
    assert shut[0] == 0 and shut[-1] == 0


# ------------------------------------------------------------------------------------------------ what a user clicked
CLICKS = people.Clicked((0.5, 0.66, 0.10), ((0.36, 0.50), (0.64, 0.50)))


def seen_of(frame):
    """The luma of a frame without grain, as far as that goes."""
    return cv2.GaussianBlur(frame[: SIZE[1]], (0, 0), 1.2).astype(int)


def test_a_face_that_nobody_knows_talks_and_blinks_where_it_was_clicked(portrait, voice):
    path = portrait(anime())
    gated, facts = shot(path, voice)
    assert facts["mode"] == "voice"
    frames, facts = shot(path, voice, clicked=CLICKS)
    assert (facts["mode"], facts["landmarks"], facts["mouths"]) == ("lips", "clicked", 1)
    (marks, _), *_ = people.people_in(anime(), [None], CLICKS)
    assert marks.lips.x == pytest.approx(240, abs=3) and marks.lips.y == pytest.approx(0.66 * 640, abs=6)
    for eye, x in zip(marks.eyes, (0.36, 0.64), strict=True):
        assert eye.x == pytest.approx(x * 480, abs=6) and eye.above == pytest.approx(0.07 * 640, rel=0.25)
    silent, spoken = (seen_of(frames[index]) for index in (6, 14))
    still = seen_of(gated[14]) - seen_of(gated[6])
    assert np.abs(spoken - silent).max() > 2 * max(20, np.abs(still).max())


def test_a_mouth_alone_may_be_clicked_and_eyes_alone(portrait, voice):
    path = portrait(anime())
    for clicked in (people.Clicked(mouth=CLICKS.mouth), people.Clicked(eyes=CLICKS.eyes)):
        _, facts = shot(path, voice, clicked=clicked)
        assert facts["mode"] == "lips"


@pytest.mark.parametrize(
    "clicked",
    [people.Clicked((0.0, 0.0, 0.0)), people.Clicked((1.0, 1.0, 1.0)), people.Clicked(None, ((0, 0), (0, 0))),
     people.Clicked((0.5, 0.5, 1.0), ((1, 1), (0, 0)))],
)  # fmt: skip
def test_clicks_anywhere_make_a_shot(clicked, portrait, voice):
    frames, _ = shot(portrait(anime()), voice, clicked=clicked)
    assert len(frames) == FRAMES


# ------------------------------------------------------------------------------------------------ two people
def pair():
    return np.hstack([cartoon(), cartoon(skin=(80, 120, 170), hair=(25, 20, 25))])


def opened(frames):
    """Of the left and the right of `pair`: the largest part of a mouth that is as dark as its inside, over time."""
    picture = pair()
    bgra = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    found = people.people_in(picture, [None, None], None)
    framed = framing.frame_portrait(bgra, SIZE, None, None, [marks for marks, _ in found])
    shares = []
    for marks in sorted(framed.people, key=lambda marks: marks.face.x):
        x, y = round(marks.lips.x), round(marks.lips.y)
        half, down = round(0.8 * marks.lips.half_width), round(0.3 * marks.apart)
        shares.append(max((frame[y : y + down, x - half : x + half] < 50).mean() for frame in frames))
    return shares


def said(character, path, start=0.4):
    return SpokenLine(character, character, "a", path, start, 0.4, ())


def test_of_two_people_the_one_who_speaks_moves_the_lips(portrait, voice):
    path = portrait(pair())
    left, right = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))
    lines = (said("Ana", voice),)
    for box, speaks in ((left, 0), (right, 1)):
        frames, facts = shot(path, voice, lines, voices=[people.Voice(box, lines)])
        assert (facts["mode"], facts["mouths"]) == ("lips", 1)
        halves = opened(frames)
        assert halves[speaks] > 0.15 and halves[1 - speaks] < 0.02


def test_two_voices_take_turns_from_left_to_right(portrait, voice):
    """The sound is heard from 0.4 to 0.8 s; it is the second one's line, and the first one's is over."""
    path = portrait(pair())
    lines = (said("Ana", voice, 0.0), said("Rui", voice, 0.5))
    lines = (replace(lines[0], duration=0.25), lines[1])
    voices = [people.Voice(lines=lines[:1]), people.Voice(lines=lines[1:])]
    frames, facts = shot(path, voice, lines, voices=voices)
    assert facts["mouths"] == 2
    left, right = opened(frames)
    assert right > 0.15 and left < 0.02
    voices = [people.Voice((0.5, 0, 1, 1), lines[:1]), people.Voice((0, 0, 0.5, 1), lines[1:])]
    frames, _ = shot(path, voice, lines, voices=voices)
    left, right = opened(frames)
    assert left > 0.15 and right < 0.02


def test_two_recordings_move_a_mouth_each(portrait, voice, tmp_path):
    with wave.open(str(tmp_path / "silent.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(b"\0\0" * 16_000)
    quiet = people.Voice(recording=(tmp_path / "silent.wav", 0.0))
    frames, facts = shot(portrait(pair()), voice, voices=[people.Voice(recording=(voice, 0.0)), quiet])
    left, right = opened(frames)
    assert facts["mouths"] == 2 and left > 0.15 and right < 0.02


def test_one_mouth_speaks_for_two_voices_where_there_is_one_face(portrait, voice):
    lines = (said("Ana", voice), said("Rui", voice))
    voices = [people.Voice(lines=lines[:1]), people.Voice(lines=lines[1:])]
    frames, facts = shot(portrait(cartoon()), voice, lines, voices=voices)
    assert (facts["mode"], facts["mouths"]) == ("lips", 1) and len(frames) == FRAMES
