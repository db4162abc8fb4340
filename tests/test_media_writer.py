import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_tools import BLUE, GREEN, RED, H, W, centre, clip, decoded, keyframes, metadata, near, plain, tone, wav
from PIL import Image

from studio import faults
from studio.errors import Cancelled, DiskFull, MediaError
from studio.media import writer
from studio.media.probe import open_media, probe
from studio.media.sound import load48


def write(path, frames, num_frames, **more):
    settings = {"layout": "rgb24", "audio": None, "comment": {}, "posters": path.parent / "p"} | more
    writer.write_video(path, frames, 24.0, num_frames, **settings)


def test_a_clip_has_the_one_form(tmp_path):
    path = clip(tmp_path / "a.mp4.part", RED, 60)
    facts = probe(path)
    assert (facts.codec, facts.pix_fmt, facts.fps, facts.num_frames) == ("h264", "yuv420p", 24.0, 60)
    assert (facts.width, facts.height, facts.duration) == (W, H, 2.5)
    with open_media(path) as source:
        codec, stream = source.streams.video[0].codec_context, source.streams.video[0]
        assert stream.time_base == Fraction(1, 12288) and not codec.has_b_frames
        assert (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range) == (1, 1, 1, 1)
        steps = [packet.duration for packet in source.demux(stream) if packet.size]
    assert set(steps) == {512}
    assert {0, 12, 48} <= set(keyframes(path))


def test_the_index_stands_in_front(tmp_path):
    content = clip(tmp_path / "a.mp4.part").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
@pytest.mark.parametrize("layout", ["rgb24", "bgr24"])
def test_colours_come_back(tmp_path, colour, layout):
    stored = colour if layout == "rgb24" else colour[::-1]
    write(tmp_path / "a.mp4.part", plain(stored, 3), 3, layout=layout)
    assert near(centre(decoded(tmp_path / "a.mp4.part")[1]), colour, 4)


def test_planar_frames_pass_unchanged(tmp_path):
    planar = np.full((H * 3 // 2, W), 128, np.uint8)
    planar[:H] = 90
    write(tmp_path / "a.mp4.part", [planar] * 4, 4, layout="yuv420p")
    assert near(centre(decoded(tmp_path / "a.mp4.part")[2]), (86, 86, 86), 3)


@pytest.mark.parametrize("fps, ticks", [(16, 8192), (25, 12800), (30, 15360), (23.976, 24000), (24000 / 1001, 24000)])
def test_every_rate_gets_a_clock_of_whole_frames(fps, ticks):
    rate = writer.exact_rate(fps)
    assert writer.timescale(rate) == ticks and (writer.timescale(rate) / rate).denominator == 1


@pytest.mark.parametrize("delivered", [0, 9, 11, 30])
def test_frames_are_counted(tmp_path, delivered):
    path = tmp_path / "a.mp4.part"
    with pytest.raises(MediaError) as caught:
        write(path, plain(RED, delivered), 10)
    assert caught.value.code == "media.frame_count" and caught.value.params["expected"] == 10
    assert not path.exists() and not list(tmp_path.glob("p.*"))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((H, W + 1, 3), np.uint8),
        np.zeros((H, W, 3), np.float32),
        np.zeros((H, W), np.uint8),
        np.zeros((H // 2, W, 3), np.uint8),
    ],
)
def test_a_frame_of_another_shape_is_refused(tmp_path, frame):
    with pytest.raises(MediaError) as caught:
        write(tmp_path / "a.mp4.part", [*plain(RED, 2), frame], 3)
    assert caught.value.code == "media.frame_shape" and not (tmp_path / "a.mp4.part").exists()


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_sound_is_cut_or_filled_to_the_picture(tmp_path, seconds):
    path = clip(tmp_path / "a.mp4.part", num_frames=48, audio=wav(tmp_path / "s.wav", seconds, level=0.5))
    facts = probe(path)
    assert facts.has_audio and facts.sample_rate == 48_000 and facts.channels == 2
    samples = load48(path)
    assert abs(len(samples) - 96_000) <= 1024  # one AAC frame
    assert np.abs(samples[4_000:20_000]).max() > 0.3
    assert (np.abs(samples[60_000:90_000]).max() > 0.3) == (seconds > 2)


def test_sound_that_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / "s.wav").write_text("not a sound, but long enough to look at")
    with pytest.raises(Exception) as caught:
        clip(tmp_path / "a.mp4.part", audio=tmp_path / "s.wav")
    assert caught.value.code == "media.not_media" and not (tmp_path / "a.mp4.part").exists()


def test_settings_come_back_from_every_kind(tmp_path):
    settings = {"prompt": '“aspas” "quotes" 中文 ${x} <img onerror> \n 🎬', "seed": 2**62, "long": "x" * 20_000}
    path = clip(tmp_path / "a.mp4.part", comment=settings)
    assert json.loads(metadata(path)["comment"]) == settings
    writer.write_audio(tmp_path / "a.wav.part", tone(), 48_000, comment=settings, posters=tmp_path / "p")
    assert json.loads(metadata(tmp_path / "a.wav.part")["comment"]) == settings
    image = np.zeros((40, 50, 3), np.uint8)
    writer.write_image(tmp_path / "a.png.part", image, comment=settings, posters=tmp_path / "p")
    with Image.open(tmp_path / "a.png.part") as picture:
        assert json.loads(picture.text["comment"]) == settings


def test_poster_and_strip_are_collected_on_the_way(tmp_path):
    frames = [*plain(RED, 8, (960, 540)), *plain(GREEN, 8, (960, 540)), *plain(BLUE, 8, (960, 540))]
    write(tmp_path / "a.mp4.part", iter(frames), 24, posters=tmp_path / "posters" / "take.1")
    with Image.open(tmp_path / "posters" / "take.1.poster.jpg") as poster:
        assert poster.size == (640, 360) and near(poster.getpixel((320, 180)), GREEN, 12)
    with Image.open(tmp_path / "posters" / "take.1.strip.jpg") as strip:
        assert strip.size == (2400, 135)
        assert near(strip.getpixel((120, 70)), RED, 12) and near(strip.getpixel((2280, 70)), BLUE, 12)


def test_a_clip_of_one_frame_has_a_strip(tmp_path):
    write(tmp_path / "a.mp4.part", plain(RED, 1), 1, posters=tmp_path / "p")
    with Image.open(tmp_path / "p.strip.jpg") as strip:
        assert strip.size == (1600, 96)  # never enlarged
    assert probe(tmp_path / "a.mp4.part").num_frames == 1


def test_a_sound_gets_its_waveform(tmp_path):
    samples = np.concatenate([np.zeros(24_000, np.float32), tone(0.5, level=0.6)])
    writer.write_audio(tmp_path / "a.wav.part", samples, 48_000, comment={}, posters=tmp_path / "p")
    drawn = json.loads((tmp_path / "p.peaks.json").read_text())
    assert drawn["duration"] == 1.0 and len(drawn["peaks"]) == 400
    assert max(drawn["peaks"][:199]) == 0 and max(drawn["peaks"][201:]) > 0.5
    assert np.allclose(load48(tmp_path / "a.wav.part")[:, 0], samples, atol=1e-4)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.full(100, np.nan, np.float32)])
def test_no_sound_is_an_error(tmp_path, samples):
    with pytest.raises(MediaError) as caught:
        writer.write_audio(tmp_path / "a.wav.part", samples, 24_000, comment={}, posters=tmp_path / "p")
    assert caught.value.code == "media.no_samples" and not (tmp_path / "a.wav.part").exists()


@pytest.mark.parametrize("failure", [Cancelled(), RuntimeError("the engine fell over"), KeyboardInterrupt()])
def test_a_failing_engine_leaves_nothing(tmp_path, failure):
    def frames():
        yield from plain(RED, 5)
        raise failure

    with pytest.raises(type(failure)):
        write(tmp_path / "a.mp4.part", frames(), 10)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("point", ["writer.first_frame", "writer.half", "writer.closed", "writer.fsynced"])
def test_a_full_disk_at_every_point(tmp_path, monkeypatch, point):
    monkeypatch.setenv("LANTERNA_FAULT", f"{point}:1:enospc")
    monkeypatch.setattr(faults, "_passed", {})
    with pytest.raises(DiskFull) as caught:
        clip(tmp_path / "a.mp4.part")
    assert caught.value.code == "disk.full" and not (tmp_path / "a.mp4.part").exists()


FILL_A_SMALL_DISK = """
import sys
from pathlib import Path
import numpy as np
from studio.errors import DiskFull
from studio.media.writer import write_video
folder = Path(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 255, (60, 288, 512, 3), np.uint8)
try:
    write_video(folder / "a.mp4.part", noise, 24, 60, layout="rgb24", audio=None, comment={}, posters=folder / "p")
except DiskFull as full:
    raise SystemExit(41 if not any(folder.iterdir()) and full.params["free"] < 200_000 else 42)
raise SystemExit(43)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a tiny disk of its own")
def test_a_disk_that_is_really_full(tmp_path):
    script = f'mount -t tmpfs -o size=600k tmpfs "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'
    root = Path(writer.__file__).parents[2]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, FILL_A_SMALL_DISK],
        env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode not in (41, 42, 43):
        pytest.skip(f"no private mounts here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 41, done.stderr


def test_an_encoder_that_refuses_has_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(writer.X264, "profile", "no such profile")
    with pytest.raises(MediaError) as caught:
        clip(tmp_path / "a.mp4.part")
    assert caught.value.code == "media.cannot_encode" and not (tmp_path / "a.mp4.part").exists()


def test_the_same_frames_give_the_same_bytes(tmp_path):
    """Also where memory is full of something else each time, as it is beside a model."""
    noise = np.random.default_rng(0)
    big = np.kron(noise.integers(90, 170, (8, 8, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    frames = [np.roll(big, i, 1) + noise.integers(0, 9, big.shape, np.uint8) for i in range(9)]
    found = set()
    for number in range(30):
        write(tmp_path / f"{number}.mp4.part", iter(frames), 9)
        found.add((tmp_path / f"{number}.mp4.part").read_bytes())
    assert len(found) == 1
