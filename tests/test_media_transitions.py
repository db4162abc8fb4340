"""Transitions, trims, cards, burnt subtitles and reframing, decoded again and looked at."""

import numpy as np
import pytest
from drawn_faces import cartoon
from media_tools import BLUE, GREEN, RED, centre, clip, decoded, near, wav
from PIL import Image

from studio.domain import Frame
from studio.errors import Refused
from studio.media.burn import columns_of, lettered
from studio.media.cut import cut
from studio.media.film import Card, Film, FilmEffect, FilmLine, Shot
from studio.media.join import Piece, runs
from studio.media.plan import Wanted, lay_out
from studio.media.probe import probe
from studio.media.reframe import Window, window_in
from studio.media.sound import RATE, load48
from studio.media.titles import credit_pages
from studio.media.writer import write_video

FRAME = Frame(width=160, height=128, fps=24)
SIZE = (160, 128)
COLOURS = [RED, GREEN, BLUE]


def clips(folder, counts):
    return [clip(folder / f"{n}.mp4", COLOURS[n % 3], count, 24.0, SIZE) for n, count in enumerate(counts)]


def film(folder, shots, frame=FRAME, **asked):
    return cut(
        Film(frame, shots, **asked), folder / "film.mp4", cache=folder / "cache", comment={},
        step=lambda done, total, note: None,
    )  # fmt: skip


def brightness(frames):
    return [float(frame.mean()) for frame in frames]


# ------------------------------------------------------------------------------------------------ transitions
@pytest.mark.parametrize(("kind", "length", "extreme"), [("fade", 12, 0), ("dip", 6, 255)])
def test_a_fade_goes_through_black_and_a_dip_through_white(tmp_path, kind, length, extreme):
    a, b = clips(tmp_path, [48, 48])
    made = film(tmp_path, [Shot(a, transition=kind), Shot(b)])
    frames = decoded(tmp_path / "film.mp4")
    assert len(frames) == made["frames"] == 96
    assert near(centre(frames[47 - length]), RED) and near(centre(frames[47]), (extreme,) * 3, 10)
    assert near(centre(frames[48 + length]), GREEN)
    out = brightness(frames[47 - length : 48])
    assert out == sorted(out, reverse=extreme == 0) and len(set(out)) > length / 2
    assert 2 * length <= made["encoded"] <= 48 + length  # up to the next keyframe at most


def test_only_what_changes_is_encoded(tmp_path):
    a, b = clips(tmp_path, [96, 96])
    film(tmp_path, [Shot(a, transition="fade"), Shot(b)])
    frames, first = decoded(tmp_path / "film.mp4"), decoded(a)
    assert all(np.array_equal(x, y) for x, y in zip(frames[:84], first[:84], strict=True))


def test_the_last_scene_fades_out(tmp_path):
    (a,) = clips(tmp_path, [48])
    film(tmp_path, [Shot(a, transition="fade")])
    assert centre(decoded(tmp_path / "film.mp4")[-1]) == (0, 0, 0)


# ------------------------------------------------------------------------------------------------ trims
def test_a_trim_shows_the_very_frames_that_are_left(tmp_path):
    a, b = clips(tmp_path, [96, 48])
    made = film(tmp_path, [Shot(a, trim_start=0.25, trim_end=0.5), Shot(b)])
    frames, whole = decoded(tmp_path / "film.mp4"), decoded(a)
    assert made["frames"] == len(frames) == 96 - 6 - 12 + 48
    assert made["encoded"] < 50  # up to the next keyframe, the rest is copied
    for shown, wanted in ((0, 6), (20, 26), (77, 83)):
        assert np.abs(frames[shown].astype(int) - whole[wanted]).mean() < 2
    assert np.array_equal(frames[60], whole[66]) and near(centre(frames[78]), GREEN)


def test_a_trim_to_a_keyframe_copies_everything(tmp_path):
    (a,) = clips(tmp_path, [96])
    assert film(tmp_path, [Shot(a, trim_start=0.5)])["encoded"] == 0


def test_a_trim_that_leaves_nothing_is_refused(tmp_path):
    (a,) = clips(tmp_path, [24])
    with pytest.raises(Refused) as caught:
        film(tmp_path, [Shot(a, "Pier", trim_start=0.6, trim_end=0.5)])
    assert caught.value.code == "cut.trimmed_away" and caught.value.params["scene"] == "Pier"


def test_lines_effects_and_subtitles_move_with_a_trim(tmp_path):
    a, b = clips(tmp_path, [72, 48])
    said, gull = wav(tmp_path / "v.wav", 1.0, 1000), wav(tmp_path / "g.wav", 0.5, 3000)
    film(
        tmp_path, [Shot(a, trim_start=0.5, trim_end=0.75), Shot(b)],
        lines=[FilmLine(said, 0, 1.5, 1.0, "Cut off"), FilmLine(said, 1, 0.5, 1.0, "Whole")],
        effects=[FilmEffect(gull, 0, 0.75, 0.5, -20.0)],
    )  # fmt: skip
    samples = load48(tmp_path / "film.mp4")[:, 0]

    def heard(seconds, hertz):
        part = samples[round(seconds * RATE) :][: RATE // 20]
        return np.abs(np.fft.rfft(part * np.hanning(len(part))))[round(hertz / 20) - 1 : round(hertz / 20) + 2].max()

    frame = 1 / 24
    assert heard(1.0 + frame, 1000) > 50 * heard(1.0 - 0.05 - frame, 1000)  # from 1.5 to 1.0 s
    assert heard(1.60, 1000) > 50 * heard(1.75 + frame, 1000)  # the clip is over at 1.75 s, and the line with it
    assert heard(2.25 + frame, 1000) > 50 * heard(2.25 - 0.05 - frame, 1000)
    assert heard(0.25 + frame, 3000) > 50 * heard(0.15, 3000)
    subtitles = (tmp_path / "film.srt").read_text("utf-8")
    assert "1\n00:00:01,000 --> 00:00:01,750\nCut off" in subtitles and "00:00:02,250" in subtitles


# ------------------------------------------------------------------------------------------------ what is copied
def test_runs_enter_only_at_keyframes(tmp_path):
    (path,) = clips(tmp_path, [96])
    (place,) = lay_out([Wanted(4.0, trim_start=0.25)], 24)
    first, second = runs(Piece(path, place))
    assert (first.start, first.stop, first.encoded) == (0, 6, True) and (second.stop, second.encoded) == (90, False)


# ------------------------------------------------------------------------------------------------ cards
def test_title_and_credits_shift_everything(tmp_path):
    (a,) = clips(tmp_path, [24])
    said = wav(tmp_path / "v.wav", 0.5)
    asked = {"title": Card("Farol 灯塔", 1.0, "um"), "credits": Card("Voz: Ana", 2.0)}
    made = film(tmp_path, [Shot(a, "One")], lines=[FilmLine(said, 0, 0.25, 0.5, "Olá")], **asked)
    frames = decoded(tmp_path / "film.mp4")
    assert len(frames) == made["frames"] == 24 + 24 + 48
    assert near(centre(frames[24]), RED) and near(centre(frames[47]), RED)
    assert frames[0].max() < 40 and frames[12].max() > 120 and frames[72].max() > 100
    assert [(each["start"], each["end"]) for each in made["chapters"]] == [(0.0, 1.0), (1.0, 2.0)]
    assert "00:00:01.250" in (tmp_path / "film.vtt").read_text("utf-8")
    assert film(tmp_path, [Shot(a, "One")], **asked)["encoded"] == 0
    assert len(list((tmp_path / "cache").glob("card-*.mp4"))) == 2


def test_credits_are_paged_at_empty_lines():
    lines = "\n".join(f"Role {n}: Name" for n in range(6))
    pages = credit_pages(f"{lines}\n\n{lines}\n\nThe end")
    assert [len(page) for page in pages] == [6, 8] and pages[1][-2:] == ["", "The end"]


# ------------------------------------------------------------------------------------------------ burnt subtitles
def test_burnt_subtitles_are_in_the_picture_only_while_they_are_said(tmp_path):
    (a,) = clips(tmp_path, [72])
    said = wav(tmp_path / "v.wav", 1.0)
    lines = [FilmLine(said, 0, 1.0, 1.0, "Não!")]
    film(tmp_path, [Shot(a)], lines=lines, burnt=True, captioned=False)
    frames, bare = decoded(tmp_path / "film.mp4"), decoded(a)
    below = [np.abs(x[90:].astype(int) - y[90:]).max() for x, y in zip(frames, bare, strict=True)]
    changed = [number for number, most in enumerate(below) if most > 90]
    assert changed == list(range(24, 48)) and not (tmp_path / "film.vtt").exists()


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (720, 720), (256, 144)])
@pytest.mark.parametrize("text", ["Não acredito que a lâmpada se apagou!", "我不敢相信灯又灭了，偏偏就在今晚。"])
def test_burnt_words_stay_inside_and_are_readable_on_white(size, text):
    frame = Frame(width=size[0], height=size[1])
    ink = lettered(text, frame)
    rows, columns = np.nonzero(ink[..., 3] > 128)
    assert columns.min() > 0.05 * frame.width and columns.max() < 0.95 * frame.width
    assert rows.max() < 0.97 * frame.height and rows.min() > 0.6 * frame.height
    dark = (ink[..., 3] > 128) & (ink[..., 0] < 80)
    assert dark.any() and (ink[..., 0][ink[..., 3] > 200] > 200).any() and columns_of(frame) >= 12


# ------------------------------------------------------------------------------------------------ reframing
def test_a_window_never_leaves_the_picture():
    for point in ((0, 0), (1, 1), (0.5, 0.5), (0.9, 0.1)):
        left, top, across, down = window_in(1280, 720, 9 / 16, point)
        assert left >= 0 and top >= 0 and left + across <= 1280.001 and top + down <= 720.001


def _wide(face, left, behind=(70, 90, 120)):
    picture = np.full((360, 640, 3), behind, np.uint8)
    picture[30 : 30 + face.shape[0], left : left + face.shape[1]] = face
    return picture


def test_a_window_stands_on_a_face_and_jumps_at_a_cut(tmp_path):
    face = np.asarray(Image.fromarray(cartoon()[..., ::-1]).convert("RGB").resize((240, 300)))
    scenes = [_wide(face, 20)] * 24 + [_wide(face, 380, (20, 20, 20))] * 24
    write_video(tmp_path / "a.mp4", scenes, 24, 48, layout="rgb24", audio=None, comment={}, posters=tmp_path / "p")
    window = Window.following(tmp_path / "a.mp4", probe(tmp_path / "a.mp4"), Frame(width=360, height=640), lambda: None)
    left, right = [window.point(n / 24)[0] for n in range(24)], [window.point(n / 24)[0] for n in range(24, 48)]
    assert np.ptp(left) == np.ptp(right) == 0  # it stands still within a shot
    assert left[0] == pytest.approx(140 / 640, abs=0.08) and right[0] == pytest.approx(500 / 640, abs=0.08)


def test_a_reframed_film_keeps_the_chosen_point(tmp_path):
    wide = np.zeros((128, 320, 3), np.uint8)
    wide[:, :80], wide[:, 240:] = RED, BLUE
    write_video(tmp_path / "w.mp4", [wide] * 12, 24, 12, layout="rgb24", audio=None, comment={}, posters=tmp_path / "p")
    frame = Frame(width=128, height=228, fps=24)
    for focus, colour in (((0.05, 0.5), RED), ((0.95, 0.5), BLUE)):
        film(tmp_path, [Shot(tmp_path / "w.mp4", focus=focus)], frame, reframed=True)
        assert near(centre(decoded(tmp_path / "film.mp4")[5]), colour, 10)
    film(tmp_path, [Shot(tmp_path / "w.mp4")], frame)
    assert decoded(tmp_path / "film.mp4")[5][0].max() < 20  # not reframed: it stands on black


def test_own_sound_comes_and_goes_with_its_picture(tmp_path):
    sound = wav(tmp_path / "own.wav", 3.0, 500)
    path = clip(tmp_path / "a.mp4", RED, 72, 24.0, SIZE, audio=sound)
    film(tmp_path, [Shot(path, own_sound=True, trim_start=1.0, transition="fade")])
    samples = np.abs(load48(tmp_path / "film.mp4")[: 2 * RATE, 0])
    assert samples[round(1.9 * RATE) :].max() < 0.5 * samples[RATE : round(1.3 * RATE)].max()
    assert samples[:RATE].max() > 0.05
