import struct

import av
import numpy as np
import pytest
from media_tools import BLUE, GREEN, RED, WHITE, H, W, centre, clip, decoded, near, wav
from PIL import Image

from studio.domain import Frame
from studio.errors import Cancelled, Refused
from studio.media import conform as module
from studio.media.conform import conform, fits, form_parameters
from studio.media.frames import make_posters, picture_of, save_frame
from studio.media.probe import probe

FRAME = Frame(width=W, height=128, fps=24)  # the smallest frame a queue may have


def same(path):
    return clip(path, size=(FRAME.width, FRAME.height))


def foreign(path, colours, fps=25, size=(320, 180), codec="mpeg4", container="avi", pix_fmt="yuv420p"):
    """One frame per colour, by another encoder."""
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=fps, width=size[0], height=size[1], pix_fmt=pix_fmt)
        stream.bit_rate = 2_000_000
        for colour in colours:
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))
    return path


def test_what_the_writer_made_fits_already(tmp_path):
    fitted = conform(same(tmp_path / "a.mp4"), FRAME, tmp_path / "cache")
    assert fitted.path == tmp_path / "a.mp4" and not fitted.made and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("change", [{"size": (W, 144)}, {"size": (W, 128), "fps": 25.0}])
def test_another_size_or_rate_does_not_fit(tmp_path, change):
    assert not fits(probe(clip(tmp_path / "a.mp4", **change)), FRAME)


def test_another_encoder_does_not_fit(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=24, width=W, height=128, pix_fmt="yuv420p")
        for _ in range(24):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((128, W, 3), np.uint8), format="rgb24")))
        target.mux(stream.encode(None))
    facts = probe(tmp_path / "a.mp4")
    assert (facts.width, facts.height, facts.fps, facts.codec) == (W, 128, 24.0, "h264")
    assert not fits(facts, FRAME) and facts.parameters != form_parameters(W, 128, module.exact_rate(24))


def test_a_foreign_clip_keeps_its_duration_and_gets_the_form(tmp_path):
    path = foreign(tmp_path / "a.avi", [RED] * 25 + [GREEN] * 25 + [BLUE] * 25)
    fitted = conform(path, FRAME, tmp_path / "cache")
    facts = probe(fitted.path)
    assert fitted.made and fits(facts, FRAME) and fitted.num_frames == facts.num_frames == 72
    frames = decoded(fitted.path)
    assert [near(centre(frames[n]), c, 14) for n, c in ((0, RED), (23, RED), (25, GREEN), (49, BLUE))] == [True] * 4


@pytest.mark.parametrize("fps, count", [(12, 24), (16, 32), (30, 60), (60, 120)])
def test_a_rate_change_shows_each_moment_at_its_time(tmp_path, fps, count):
    path = clip(tmp_path / "a.mp4", num_frames=count, fps=float(fps), size=(W, 128))
    frames = decoded(conform(path, FRAME, tmp_path / "cache").path)
    assert len(frames) == 48
    at = [int(np.argmax(frame[8, :, 0] > 235)) for frame in frames]  # the square moves a pixel per source frame
    wanted = [int(n * fps / 24 + 1e-6) % (W - 16) for n in range(48)]
    assert all(abs(a - b) <= 1 for a, b in zip(at, wanted, strict=True))


def test_the_whole_picture_is_shown_on_black(tmp_path):
    frames = decoded(conform(foreign(tmp_path / "a.avi", [WHITE] * 5, size=(320, 80)), FRAME, tmp_path / "c").path)
    column = frames[2][:, W // 2].mean(axis=1)
    assert column[:40].max() < 12 and column[-40:].max() < 12 and column[60:70].min() > 215


def test_a_tall_clip_stands_in_the_middle(tmp_path):
    frames = decoded(conform(foreign(tmp_path / "a.avi", [WHITE] * 5, size=(96, 256)), FRAME, tmp_path / "c").path)
    row = frames[2][64].mean(axis=1)
    assert row[:50].max() < 12 and row[-50:].max() < 12 and row[W // 2] > 215


def test_a_telephone_clip_is_turned_upright(tmp_path):
    """Stored lying, with a display matrix: left half red, right half blue, to be turned clockwise."""
    picture = np.zeros((128, W, 3), np.uint8)
    picture[:, : W // 2], picture[:, W // 2 :] = RED, BLUE
    from studio.media.writer import write_video

    path = tmp_path / "a.mp4"
    write_video(path, [picture] * 12, 24, 12, layout="rgb24", audio=None, comment={}, posters=tmp_path / "p")
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(content)

    facts = probe(path)
    assert facts.rotation in (90, 270) and not fits(facts, FRAME)
    upright = picture_of(path, "first")
    assert upright.shape == (W, 128, 3)
    assert near(upright[10, 64], RED, 12) and near(upright[-10, 64], BLUE, 12)
    frame = decoded(conform(path, FRAME, tmp_path / "cache").path)[5]
    assert near(frame[10, W // 2], RED, 14) and near(frame[-10, W // 2], BLUE, 14) and frame[64, 5].max() < 14


def test_pixels_that_are_not_square(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w", format="matroska") as target:
        stream = target.add_stream("libx264", rate=24, width=80, height=128, pix_fmt="yuv420p")
        stream.codec_context.sample_aspect_ratio = 2
        for _ in range(6):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((128, 80, 3), 230, np.uint8), format="rgb24")))
        target.mux(stream.encode(None))
    frame = decoded(conform(tmp_path / "a.mkv", FRAME, tmp_path / "cache").path)[3]
    assert frame.min() > 215  # 80 stored pixels fill 160


def test_a_still_lasts_as_long_as_asked(tmp_path):
    Image.new("RGBA", (400, 200), (*GREEN, 255)).save(tmp_path / "a.png")
    fitted = conform(tmp_path / "a.png", FRAME, tmp_path / "cache", seconds=1.5)
    assert fitted.num_frames == 36 and fits(probe(fitted.path), FRAME)
    assert near(centre(decoded(fitted.path)[35]), GREEN)


def test_the_cache_is_by_content(tmp_path):
    first = conform(foreign(tmp_path / "a.avi", [RED] * 10), FRAME, tmp_path / "cache")
    (tmp_path / "b.avi").write_bytes((tmp_path / "a.avi").read_bytes())
    again = conform(tmp_path / "b.avi", FRAME, tmp_path / "cache")
    assert first.made and not again.made and first.path == again.path
    foreign(tmp_path / "a.avi", [BLUE] * 10)
    changed = conform(tmp_path / "a.avi", FRAME, tmp_path / "cache")
    assert changed.made and changed.path != first.path


def test_cancelling_leaves_no_half_file_in_the_cache(tmp_path):
    def step(done, total):
        if done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        conform(foreign(tmp_path / "a.avi", [RED] * 20), FRAME, tmp_path / "cache", step=step)
    assert not any((tmp_path / "cache").iterdir())


def test_a_sound_is_no_clip(tmp_path):
    with pytest.raises(Refused) as caught:
        conform(wav(tmp_path / "a.wav"), FRAME, tmp_path / "cache")
    assert caught.value.code == "media.no_picture"


# ------------------------------------------------------------------------------------------------ frames
def numbered(path, count):
    """Frame n is grey 2 n."""
    from studio.media.writer import write_video

    frames = (np.full((H, W, 3), 2 * n + 20, np.uint8) for n in range(count))
    write_video(path, frames, 24, count, layout="rgb24", audio=None, comment={}, posters=path.parent / "p")
    return path


@pytest.mark.parametrize("which, number", [("first", 0), ("last", 99), (0.0, 0), (2.0, 48), (1.05, 25), (99.0, 99)])
def test_a_frame_of_a_video(tmp_path, which, number):
    path = numbered(tmp_path / "a.mp4", 100)
    assert save_frame(path, which, tmp_path / "out" / "f.png") == (W, H)
    with Image.open(tmp_path / "out" / "f.png") as picture:
        assert picture.format == "PNG" and abs(picture.getpixel((80, 48))[0] - (2 * number + 20)) <= 1


def test_the_last_frame_of_strangers_files(tmp_path):
    path = foreign(tmp_path / "a.avi", [RED] * 30 + [GREEN])
    assert near(centre(picture_of(path, "last")), GREEN, 14)
    webm = foreign(tmp_path / "a.webm", [RED] * 30 + [GREEN] * 2, codec="libvpx", container="webm")
    assert near(centre(picture_of(webm, "last")), GREEN, 20)


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), RED).save(tmp_path / "a.jpg", exif=exif)
    assert picture_of(tmp_path / "a.jpg", "first").shape == (40, 20, 3)
    assert probe(tmp_path / "a.jpg").rotation == 270


def test_posters_of_files_that_came_from_elsewhere(tmp_path):
    path = foreign(tmp_path / "a.avi", [RED] * 20 + [BLUE] * 20, size=(640, 360))
    made = make_posters(path, tmp_path / "p" / "asset")
    with Image.open(made[0]) as poster, Image.open(made[1]) as strip:
        assert poster.size == (640, 360) and near(poster.getpixel((300, 180)), RED, 16)
        assert strip.size == (2400, 135) and near(strip.getpixel((2300, 70)), BLUE, 16)
    Image.new("RGB", (1600, 900), GREEN).save(tmp_path / "a.png")
    with Image.open(make_posters(tmp_path / "a.png", tmp_path / "p" / "still")[0]) as poster:
        assert poster.size == (640, 360)
    assert make_posters(wav(tmp_path / "a.wav"), tmp_path / "p" / "sound") == [tmp_path / "p" / "sound.peaks.json"]


def test_posters_of_a_long_film_look_at_keyframes_only(tmp_path, monkeypatch):
    from studio.media import frames

    monkeypatch.setattr(frames, "WHOLE_SECONDS", 1.0)
    numbered(tmp_path / "a.mp4", 100)
    with Image.open(make_posters(tmp_path / "a.mp4", tmp_path / "p" / "a")[1]) as strip:
        shades = [strip.getpixel((80 + 160 * n, 48))[0] for n in range(10)]
    assert shades == sorted(shades) and len(set(shades)) > 2
