"""Films made of coloured clips, decoded again and looked at."""

import json
from fractions import Fraction

import numpy as np
import pytest
from media_tools import BLUE, GREEN, RED, WHITE, centre, clip, decoded, metadata, near, tone, wav
from PIL import Image

from studio.domain import Frame
from studio.errors import Cancelled, MediaError, Refused, StudioError
from studio.media import join
from studio.media.cut import cut
from studio.media.film import Bed, Film, FilmLine, Shot
from studio.media.join import Piece
from studio.media.loudness import loudness, true_envelope
from studio.media.plan import Wanted, lay_out
from studio.media.probe import open_media, probe
from studio.media.sound import RATE, load48, save
from studio.media.writer import VideoFile

FRAME = Frame(width=160, height=128, fps=24)
SIZE = (160, 128)
PALETTE = [RED, GREEN, BLUE, WHITE, (200, 180, 40), (150, 50, 190)]


def clips(folder, counts, size=SIZE, fps=24.0):
    return [clip(folder / f"{n}.mp4", PALETTE[n % 6], count, fps, size) for n, count in enumerate(counts)]


def film(folder, shots, lines=(), music=None, **more):
    settings = {"cache": folder / "cache", "comment": {}, "step": lambda done, total, note: None} | more
    asked = {name: settings.pop(name) for name in list(settings) if name in Film.__dataclass_fields__}
    return cut(Film(FRAME, shots, lines, music=music, **asked), folder / "film.mp4", **settings)


def texts(path):
    """(start, end, text) of the subtitles inside the file, seconds."""
    with open_media(path) as source:
        found = []
        for packet in source.demux(source.streams.subtitles[0]):
            if packet.size > 2:
                start = float(packet.pts * packet.time_base)
                end = start + float(packet.duration * packet.time_base)
                found.append((round(start, 3), round(end, 3), bytes(packet)[2:].decode()))
        return found


def pieces(paths, counts):
    places = lay_out([Wanted(count / 24) for count in counts], 24)
    return [Piece(path, place) for path, place in zip(paths, places, strict=True)]


# ------------------------------------------------------------------------------------------------ hard cuts
def test_fifty_nine_clips_are_joined_without_encoding_a_frame(tmp_path, monkeypatch):
    counts = [6 + n % 5 for n in range(59)]
    paths = clips(tmp_path, counts)
    encoded = []
    monkeypatch.setattr(VideoFile, "write", lambda *_: encoded.append(1))
    made = join.write_film(
        tmp_path / "film.mp4.part", pieces(paths, counts), Fraction(24),
        sound=[np.zeros((sum(counts) * 2000, 2), np.float32)], comment={},
    )  # fmt: skip
    assert made.frames == sum(counts) and made.encoded == 0 and not encoded
    frames = decoded(tmp_path / "film.mp4.part")
    assert len(frames) == sum(counts)
    at = 0
    for number, count in enumerate(counts):
        assert near(centre(frames[at]), PALETTE[number % 6]), f"first frame of clip {number}"
        assert near(centre(frames[at + count - 1]), PALETTE[number % 6]), f"last frame of clip {number}"
        at += count


def test_copied_frames_are_the_very_same(tmp_path):
    paths = clips(tmp_path, [24, 24])
    made = film(tmp_path, [Shot(path) for path in paths])
    whole = decoded(tmp_path / "film.mp4")
    assert made["encoded"] == made["conformed"] == 0
    assert all(np.array_equal(a, b) for a, b in zip(whole, decoded(paths[0]) + decoded(paths[1]), strict=True))


def test_a_seek_to_any_join_shows_the_right_clip(tmp_path):
    film(tmp_path, [Shot(path) for path in clips(tmp_path, [24, 30, 17, 40])])
    with open_media(tmp_path / "film.mp4") as source:
        stream = source.streams.video[0]
        for at, colour in ((0, RED), (24, GREEN), (54, BLUE), (71, WHITE)):
            source.seek(at * 512, stream=stream)
            frame = next(source.decode(stream))
            assert frame.pts == at * 512 and frame.key_frame
            assert near(centre(frame.to_ndarray(format="rgb24")), colour)


# ------------------------------------------------------------------------------------------------ dissolves
def test_a_dissolve_belongs_to_both_neighbours(tmp_path):
    paths = clips(tmp_path, [48, 48, 48])
    made = film(
        tmp_path, [Shot(paths[0], transition="dissolve"), Shot(paths[1], transition="dissolve"), Shot(paths[2])]
    )
    assert made["frames"] == 48 * 3 - 24 and made["encoded"] == 24 and made["duration"] == 5.0
    frames = [centre(frame) for frame in decoded(tmp_path / "film.mp4")]
    assert len(frames) == 120
    assert near(frames[35], RED) and near(frames[48], GREEN) and near(frames[71], GREEN) and near(frames[84], BLUE)
    reds = [colour[0] for colour in frames[35:49]]
    assert reds == sorted(reds, reverse=True) and near(
        frames[42], [(a + b) / 2 for a, b in zip(RED, GREEN, strict=True)], 14
    )


def test_a_short_clip_has_short_dissolves_and_its_own_colour(tmp_path):
    paths = clips(tmp_path, [48, 15, 48])
    made = film(tmp_path, [Shot(path, transition="dissolve") for path in paths])
    assert made["frames"] == 48 + 15 + 48 - 10
    frames = [centre(frame) for frame in decoded(tmp_path / "film.mp4")]
    assert len(frames) == made["frames"]
    assert near(frames[42], RED) and near(frames[48], GREEN) and near(frames[52], GREEN) and near(frames[58], BLUE)
    assert near(frames[-1], BLUE)


# ------------------------------------------------------------------------------------------------ mixed clips
def test_strangers_are_conformed_and_stand_where_they_belong(tmp_path):
    own = clip(tmp_path / "own.mp4", RED, 24, 24.0, SIZE)
    slow = clip(tmp_path / "slow.mp4", GREEN, 16, 16.0, SIZE)  # one second at 16 fps
    wide = clip(tmp_path / "wide.mp4", BLUE, 50, 25.0, (320, 96))  # two seconds
    Image.new("RGB", (300, 200), WHITE).save(tmp_path / "still.png")
    shots = [
        Shot(own),
        Shot(slow),
        Shot(wide, transition="dissolve"),
        Shot(tmp_path / "still.png", seconds=1.0),
        Shot(own),
    ]
    made = film(tmp_path, shots)
    assert made["conformed"] == 3
    assert made["frames"] == 24 + 24 + 48 + 24 + 24 - 8  # a third of the still
    frames = [centre(frame) for frame in decoded(tmp_path / "film.mp4")]
    for at, colour in ((0, RED), (24, GREEN), (47, GREEN), (48, BLUE), (87, BLUE), (96, WHITE), (112, RED), (135, RED)):
        assert near(frames[at], colour, 10), at
    again = film(tmp_path, shots)
    assert again["conformed"] == 0 and again["frames"] == made["frames"]


def test_a_clip_that_only_looks_alike_is_never_joined_blindly(tmp_path, monkeypatch):
    from studio.media import writer

    own = clip(tmp_path / "own.mp4", RED, 24, 24.0, SIZE)
    monkeypatch.setitem(writer.X264, "bf", "2")
    alike = clip(tmp_path / "alike.mp4", GREEN, 24, 24.0, SIZE)
    monkeypatch.undo()
    assert film(tmp_path, [Shot(own), Shot(alike)])["conformed"] == 1


# ------------------------------------------------------------------------------------------------ sound, words, marks
@pytest.fixture(scope="module")
def talkie(tmp_path_factory):
    """Three clips of 3 s with dissolves, a line in each, music: one film for many looks."""
    folder = tmp_path_factory.mktemp("talkie")
    paths = clips(folder, [72, 72, 72])
    voices = [wav(folder / f"v{n}.wav", 1.0, 1000, level) for n, level in enumerate((0.05, 0.3, 0.9))]
    save(folder / "music.wav", tone(4.0, 110))
    lines = [FilmLine(voices[n], n, 1.0, 1.0, f"Line {n} <b>&</b> {{x}} 你好", "Mira") for n in range(3)]
    comment = {"title": 'Ação "中文" <b>', "scenes": [{"seed": 2**62}] * 59}
    shots = [Shot(path, title=f"{n} · Lâmpada 灯", transition="dissolve") for n, path in enumerate(paths)]
    made = film(folder, shots, lines, Bed(folder / "music.wav"), comment=comment)
    return folder, made, comment


def test_picture_and_sound_have_one_length(talkie):
    folder, made, _ = talkie
    facts = probe(folder / "film.mp4")
    assert facts.num_frames == made["frames"] == 72 * 3 - 24 and facts.duration == made["duration"] == 8.0
    assert abs(len(load48(folder / "film.mp4")) - 8 * RATE) <= 1024


def test_the_finished_film_measures_as_promised(talkie):
    folder, made, _ = talkie
    samples = load48(folder / "film.mp4")[: 8 * RATE]
    assert loudness(samples) == pytest.approx(-16, abs=1) and made["lufs"] == pytest.approx(-16, abs=0.5)
    assert 20 * np.log10(true_envelope(samples, 0.0).max()) <= -1


def test_lines_are_heard_where_dissolves_put_them(talkie):
    """Clips begin at 0, 2.5 and 5 s: each line one second later."""
    folder, _, _ = talkie
    samples = load48(folder / "film.mp4")[:, 0]

    def spoken(seconds):
        part = samples[round(seconds * RATE) :][: RATE // 10] * np.hanning(RATE // 10)
        return np.abs(np.fft.rfft(part))[95:106].max()

    for begin in (1.0, 3.5, 6.0):
        assert spoken(begin + 0.05) > 50 * spoken(begin - 0.15) and spoken(begin + 0.85) > 50 * spoken(begin + 1.02)


def test_the_music_is_lower_under_the_first_line(talkie):
    folder, _, _ = talkie
    samples = load48(folder / "film.mp4")[:, 0]

    def hum(seconds):
        part = samples[round(seconds * RATE) :][: RATE // 5] * np.hanning(RATE // 5)
        return np.abs(np.fft.rfft(part))[20:25].max()

    assert hum(1.4) < 0.4 * hum(2.7)


def test_subtitles_inside_and_beside(talkie):
    folder, made, _ = talkie
    wanted = [(begin, begin + 1, f"Line {n} <b>&</b> {{x}} 你好") for n, begin in enumerate((1.0, 3.5, 6.0))]
    assert texts(folder / "film.mp4") == wanted
    written = (folder / "film.vtt").read_text()
    assert made["vtt"] == str(folder / "film.vtt") and "00:00:03.500 --> 00:00:04.500" in written
    assert "<v Mira>Line 0 &lt;b&gt;&amp;&lt;/b&gt; {x} 你好" in written


def test_chapters_come_back(talkie):
    folder, made, _ = talkie
    with open_media(folder / "film.mp4") as source:
        found = [
            (
                float(each["start"] * each["time_base"]),
                float(each["end"] * each["time_base"]),
                each["metadata"]["title"],
            )
            for each in source.chapters()
        ]
    assert found == [(0.0, 2.5, "0 · Lâmpada 灯"), (2.5, 5.0, "1 · Lâmpada 灯"), (5.0, 8.0, "2 · Lâmpada 灯")]
    assert made["chapters"][1] == {"start": 2.5, "end": 5.0, "title": "1 · Lâmpada 灯"}


def test_the_settings_come_back(talkie):
    folder, _, comment = talkie
    assert json.loads(metadata(folder / "film.mp4")["comment"]) == comment


def test_nothing_but_the_film_is_left(talkie):
    folder, _, _ = talkie
    assert not list(folder.rglob("*.part"))
    content = (folder / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_clips_own_sound_is_heard_if_asked(tmp_path):
    path = clip(tmp_path / "a.mp4", RED, 48, 24.0, SIZE, audio=wav(tmp_path / "a.wav", 2.0))
    assert film(tmp_path, [Shot(path)])["lufs"] is None
    made = film(tmp_path, [Shot(path, own_sound=True)])
    assert made["lufs"] == pytest.approx(-16, abs=0.5) and np.abs(load48(tmp_path / "film.mp4")).max() > 0.1


def test_a_silent_film_has_a_silent_track(tmp_path):
    made = film(tmp_path, [Shot(clips(tmp_path, [24])[0])])
    assert made["lufs"] is made["true_peak"] is None and probe(tmp_path / "film.mp4").has_audio
    assert (tmp_path / "film.vtt").read_text().strip() == "WEBVTT"


# ------------------------------------------------------------------------------------------------ failures
def test_nothing_to_cut(tmp_path):
    with pytest.raises(Refused) as caught:
        film(tmp_path, [])
    assert caught.value.code == "cut.empty"


@pytest.mark.parametrize("note", ["conform", "sound", "join"])
def test_stopping_leaves_the_last_film_as_it_was(tmp_path, note):
    def step(done, total, now):
        assert 0 <= done <= total
        if now == note:
            raise Cancelled

    (tmp_path / "film.mp4").write_bytes(b"yesterday's")
    shots = [Shot(clip(tmp_path / "a.mp4", RED, 24, 25.0, SIZE)), *map(Shot, clips(tmp_path, [24]))]
    with pytest.raises(Cancelled):
        film(tmp_path, shots, step=step)
    assert (tmp_path / "film.mp4").read_bytes() == b"yesterday's" and not list(tmp_path.rglob("*.part"))


def test_progress_goes_up_to_the_end(tmp_path):
    seen = []
    shots = [
        Shot(clip(tmp_path / "a.mp4", RED, 25, 25.0, SIZE), transition="dissolve"),
        *map(Shot, clips(tmp_path, [24, 24])),
    ]
    film(tmp_path, shots, step=lambda done, total, note: seen.append((done, total, note)))
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert len({total for _, total, _ in seen}) == 1 and seen[-1][0] == seen[-1][1]


def test_a_missing_or_broken_clip_is_named_before_anything_is_encoded(tmp_path):
    good = clip(tmp_path / "a.mp4", RED, 24, 25.0, SIZE)
    (tmp_path / "bad.mp4").write_text("#EXTM3U\nsecret.ts\n")
    for bad, code in (("bad.mp4", "media.playlist"), ("gone.mp4", "media.missing")):
        with pytest.raises(StudioError) as caught:
            film(tmp_path, [Shot(good), Shot(tmp_path / bad)])
        assert caught.value.code == code and caught.value.params["name"] == bad
    assert not (tmp_path / "cache").exists()


def test_a_clip_with_fewer_packets_than_it_claims(tmp_path):
    path = clips(tmp_path, [24])[0]
    with pytest.raises(MediaError) as caught:
        join.write_film(tmp_path / "f.part", pieces([path], [30]), Fraction(24), sound=[], comment={})
    assert caught.value.code == "media.frame_count" and not (tmp_path / "f.part").exists()
