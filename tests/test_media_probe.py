"""Real files, broken files and attacks. None of the attacks may read a second file."""

import struct
from dataclasses import replace

import av
import numpy as np
import pytest
from media_tools import RED, H, W, clip, plain, remux, tone, wav
from PIL import Image

from studio.errors import NotFound, Refused, StudioError, TooLarge
from studio.media import probe as module
from studio.media.probe import Facts, open_media, probe, sniff


def code_of(path) -> str:
    with pytest.raises(StudioError) as caught:
        probe(path)
    assert caught.value.params["name"] == path.name
    return caught.value.code


# ------------------------------------------------------------------------------------------------ honest files
@pytest.mark.parametrize("container, name", [("mov", "mp4"), ("matroska", "webm")])
def test_videos_by_content_not_by_name(tmp_path, container, name):
    path = remux(clip(tmp_path / "a.mp4", num_frames=36), tmp_path / "renamed.txt", container)
    facts = probe(path)
    assert (facts.kind, facts.container, facts.codec) == ("video", name, "h264")
    assert (facts.width, facts.height, facts.fps, facts.num_frames) == (W, H, 24.0, 36)
    assert facts.duration == pytest.approx(1.5, abs=0.05) and not facts.has_audio


def test_an_avi(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w", format="avi") as target:
        stream = target.add_stream("mpeg4", rate=25, width=W, height=H, pix_fmt="yuv420p")
        for array in plain(RED, 50):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        target.mux(stream.encode(None))
    facts = probe(path)
    assert (facts.container, facts.codec, facts.fps, facts.num_frames) == ("avi", "mpeg4", 25.0, 50)


@pytest.mark.parametrize(
    "container, codec, name",
    [
        ("mp3", "libmp3lame", "mp3"), ("flac", "flac", "flac"), ("ogg", "libopus", "ogg"),
        ("adts", "aac", "aac"), ("ipod", "aac", "mp4"), ("wav", "pcm_s16le", "wav"), ("webm", "libopus", "webm"),
    ],
)  # fmt: skip
def test_sounds_by_content(tmp_path, container, codec, name):
    path = tmp_path / "sound.bin"
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=48_000, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format, "mono", 48_000)
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        while (piece := fifo.read(960) or fifo.read(0, partial=True)) is not None:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    facts = probe(path)
    assert (facts.kind, facts.container, facts.sample_rate, facts.channels) == ("audio", name, 48_000, 1)
    assert facts.duration == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_pictures_by_content(tmp_path, kind):
    path = tmp_path / "picture.mp4"
    Image.new("RGB", (64, 40), RED).save(path, kind)
    facts = probe(path)
    assert (facts.kind, facts.container, facts.width, facts.height) == ("image", kind.lower(), 64, 40)


def test_a_moving_gif_is_a_video(tmp_path):
    pictures = [Image.new("RGB", (64, 40), (n * 40, 0, 0)) for n in range(5)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    facts = probe(tmp_path / "a.gif")
    assert (facts.kind, facts.num_frames, facts.fps) == ("video", 5, 10.0)


def test_equal_parameters_mean_the_same_form(tmp_path):
    one, two = clip(tmp_path / "1.mp4", RED, 24), clip(tmp_path / "2.mp4", (0, 0, 0), 60)
    other = clip(tmp_path / "3.mp4", RED, 24, size=(W, H + 16))
    assert probe(one).parameters == probe(two).parameters != probe(other).parameters


def test_sound_beside_the_picture_is_named(tmp_path):
    facts = probe(clip(tmp_path / "a.mp4", audio=wav(tmp_path / "a.wav")))
    assert facts.has_audio and facts.sample_rate == 48_000 and facts.channels == 2


def test_a_song_with_a_cover_is_a_sound(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w", format="mp3") as target:
        sound = target.add_stream("libmp3lame", rate=48_000, layout="mono")
        cover = target.add_stream("mjpeg", rate=1, width=64, height=64, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        target.mux([*sound.encode(frame), *sound.encode(None)])
        target.mux([*cover.encode(av.VideoFrame(64, 64, "yuvj420p")), *cover.encode(None)])
    assert probe(path).kind == "audio"


# ------------------------------------------------------------------------------------------------ broken files
def test_missing_and_empty(tmp_path):
    with pytest.raises(NotFound):
        sniff(tmp_path / "nowhere.mp4")
    with pytest.raises(NotFound):
        sniff(tmp_path)
    (tmp_path / "empty.mp4").touch()
    assert code_of(tmp_path / "empty.mp4") == "media.empty"


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 400, b"\x00" * 5000, b"PK\x03\x04 a zip", b"a", b"<svg/>"])
def test_what_is_no_media_says_so(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert code_of(tmp_path / "a.mp4") == "media.not_media"


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
def test_a_download_that_stopped(tmp_path, kept):
    def noise(n):
        generator = np.random.default_rng(0)
        yield from (generator.integers(0, 255, (H, W, 3), np.uint8) for _ in range(n))

    from studio.media.writer import write_video

    path = tmp_path / "a.mp4"
    write_video(path, noise(240), 24, 240, layout="rgb24", audio=None, comment={}, posters=tmp_path / "p")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert code_of(path) == "media.broken"


def test_a_truncated_picture(tmp_path):
    Image.effect_noise((200, 200), 50).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    assert code_of(tmp_path / "a.png") == "media.broken"


def test_a_truncated_wav(tmp_path):
    path = wav(tmp_path / "a.wav", 20)
    path.write_bytes(path.read_bytes()[:200_000])
    assert probe(path).duration == pytest.approx(2.08, abs=0.01)  # what is really there


@pytest.mark.parametrize("seed", range(12))
def test_damage_is_never_anything_else_than_our_errors(tmp_path, seed):
    generator = np.random.default_rng(seed)
    content = bytearray(clip(tmp_path / "a.mp4", num_frames=12, audio=wav(tmp_path / "a.wav")).read_bytes())
    for at in generator.integers(0, len(content) if seed % 2 else 1500, 40):
        content[at] = generator.integers(0, 256)
    (tmp_path / "a.mp4").write_bytes(content)
    try:
        probe(tmp_path / "a.mp4")
    except StudioError as failure:
        assert failure.code.startswith("media.")


# ------------------------------------------------------------------------------------------------ limits
def test_a_picture_of_twenty_thousand_pixels(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(TooLarge) as caught:
        probe(tmp_path / "a.png")
    assert caught.value.code == "media.too_many_pixels"


@pytest.mark.parametrize("size", [(20_000, 10), (9_000, 9_000)])
def test_a_side_and_an_area_have_limits(tmp_path, size):
    Image.new("1", size).save(tmp_path / "a.png")
    assert code_of(tmp_path / "a.png") == "media.too_many_pixels"


def test_a_video_over_8k(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w", format="avi") as target:
        stream = target.add_stream("mjpeg", rate=24, width=8256, height=64, pix_fmt="yuvj420p")
        target.mux(stream.encode(av.VideoFrame(8256, 64, "yuvj420p")))
        target.mux(stream.encode(None))
    assert code_of(path) == "media.frame_too_large"


def test_a_tenth_of_a_second_of_sound(tmp_path):
    with pytest.raises(Refused) as caught:
        probe(wav(tmp_path / "a.wav", 0.1))
    assert caught.value.code == "media.too_short" and caught.value.params["seconds"] == 0.1


def test_a_header_that_claims_a_day(tmp_path):
    path = remux(clip(tmp_path / "a.mp4"), tmp_path / "a.webm", "matroska")
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Duration, eight bytes of float, in milliseconds
    content[at : at + 8] = struct.pack(">d", 86_400_000.0)
    path.write_bytes(content)
    assert code_of(path) == "media.too_long"


# ------------------------------------------------------------------------------------------------ attacks
def playlists(secret) -> dict[str, str]:
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "hls": hls.format(secret),
        "hls file url": hls.format(f"file://{secret}"),
        "hls with a bom": "\ufeff" + hls.format(secret),
        "hls after blank lines": "\n\n  " + hls.format(secret),
        "hls with a data url": hls.format("data:video/mp4;base64,AAAAHGZ0eXBpc29t"),
        "hls over http": hls.format("http://127.0.0.1:9/x.ts"),
        "hls with concat": hls.format(f"concat:{secret}|/etc/passwd"),
        "concat script": f"ffconcat version 1.0\nfile '{secret}'\n",
        "dash": f'<?xml version="1.0"?>\n<MPD><Period><BaseURL>file://{secret}</BaseURL></Period></MPD>',
        "pls": f"[playlist]\nFile1={secret}\n",
    }


@pytest.mark.parametrize("attack", playlists("x"))
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.wav"])
def test_a_playlist_is_never_opened(tmp_path, attack, name, monkeypatch):
    secret = clip(tmp_path / "secret.mp4")
    (tmp_path / name).write_text(playlists(secret)[attack])
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("opened"))
    assert code_of(tmp_path / name) == "media.playlist"


@pytest.mark.parametrize(
    "head", [b"\x00\x00\x00\x18ftypisom", b"\xff\xfb\x90\x00", b"ID3", b"RIFF\x00\x00\x00\x00WAVE"]
)
def test_a_playlist_behind_honest_first_bytes_meets_the_wrong_demuxer(tmp_path, head):
    """The demuxer is forced by what was sniffed, so FFmpeg never gets to guess hls or concat."""
    secret = clip(tmp_path / "secret.mp4")
    (tmp_path / "a.mp4").write_bytes(head + b"\n" + playlists(secret)["hls"].encode())
    assert code_of(tmp_path / "a.mp4") in ("media.broken", "media.not_media")


def test_a_name_that_looks_like_a_protocol_is_only_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = clip(tmp_path / "secret.mp4", num_frames=24)
    path = tmp_path / "concat:secret.mp4|secret.mp4"
    with pytest.raises(NotFound):
        probe(path.relative_to(tmp_path))
    path.write_bytes(secret.read_bytes())
    assert probe(path.relative_to(tmp_path)).num_frames == 24


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def with_data_reference(movie: bytes, target: str) -> bytes:
    """`movie` with every track's data reference turned into a Mac alias to `target`."""
    name = target.rpartition("/")[2].encode()
    record = b"\0" * 10 + bytes([4]) + b"disk".ljust(27, b"\0") + b"\0" * 12
    record += bytes([len(name)]) + name[:63].ljust(63, b"\0") + b"\0" * 16
    record += struct.pack(">HH", 1, 1) + b"\0" * 16
    record += struct.pack(">HH", 2, len(target)) + target.encode() + b"\0" * (len(target) % 2)
    record += struct.pack(">HH", 18, len(target)) + target.encode() + b"\0" * (len(target) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    dref = box(b"dref", b"\0" * 4 + struct.pack(">I", 1) + box(b"alis", b"\0" * 4 + record))

    def rebuilt(content: bytes) -> bytes:
        done, at = b"", 0
        while at < len(content):
            size, kind = struct.unpack(">I4s", content[at : at + 8])
            inside = content[at + 8 : at + size]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
                done += box(kind, rebuilt(inside))
            else:
                done += dref if kind == b"dref" else content[at : at + size]
            at += size
        return done

    return rebuilt(movie)


def test_a_movie_whose_pictures_lie_in_another_file(tmp_path):
    secret = clip(tmp_path / "secret.mp4", num_frames=24)
    own = remux(secret, tmp_path / "own.mov", "mov").read_bytes()
    at = own.index(b"mdat") + 4
    size = struct.unpack(">I", own[at - 8 : at - 4])[0] - 8
    hollow = own[:at] + b"\0" * size + own[at + size :]  # nothing of its own to show
    path = tmp_path / "thief.mov"
    path.write_bytes(with_data_reference(hollow, str(tmp_path / "own.mov")))
    assert code_of(path) == "media.broken"


def test_ffmpeg_itself_would_follow_that_reference(tmp_path):
    """The attack above is real: with `enable_drefs` the same file shows the other file's pictures."""
    secret = remux(clip(tmp_path / "secret.mp4", num_frames=24), tmp_path / "own.mov", "mov")
    own = secret.read_bytes()
    at = own.index(b"mdat") + 4
    size = struct.unpack(">I", own[at - 8 : at - 4])[0] - 8
    path = tmp_path / "thief.mov"
    path.write_bytes(with_data_reference(own[:at] + b"\0" * size + own[at + size :], str(secret)))
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(path), format="mov", options=options) as source:
        assert next(source.decode(video=0)).width == W


def test_a_film_of_countless_boxes_is_given_up(tmp_path, monkeypatch):
    """Two gigabytes of empty boxes would keep us reading for hours."""
    path = clip(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8, b"free") * 100)
    assert probe(path).kind == "video"
    monkeypatch.setattr(module, "MAX_BOXES", 50)
    assert code_of(path) == "media.broken"


def test_only_files_and_one_container(tmp_path, monkeypatch):
    seen = {}
    real = av.open
    monkeypatch.setattr(av, "open", lambda *args, **more: seen.update(more, name=args[0]) or real(*args, **more))
    with open_media(clip(tmp_path / "a.mp4")):
        pass
    assert seen["name"].startswith("file:/") and seen["format"] == "mov"
    assert seen["options"]["protocol_whitelist"] == "file" and "hls" not in seen["options"]["format_whitelist"]


def test_every_container_has_a_demuxer_that_reads_no_other_file():
    assert not {"hls", "concat", "dash", "imf", "image2", "lavfi"} & set(module.DEMUXERS.values())


# ------------------------------------------------------------------------------------------------ what is seen of it
def test_what_can_be_seen_through_lies_on_white_and_16_bit_grey_stays_grey(tmp_path):
    from studio.media.frames import picture_of

    cut = np.zeros((8, 8, 4), np.uint8)  # hidden black all around
    cut[2:6, 2:6] = (200, 40, 30, 255)
    Image.fromarray(cut).save(tmp_path / "cut.png")
    seen = picture_of(tmp_path / "cut.png", "first")
    assert seen[0, 0].tolist() == [255, 255, 255] and seen[3, 3].tolist() == [200, 40, 30]
    Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(tmp_path / "grey.png")
    assert picture_of(tmp_path / "grey.png", "first")[0, 0].tolist() == [128, 128, 128]


def test_a_turned_clip_is_as_wide_as_it_is_shown():
    facts = Facts("video", "mp4", "h264", width=1920, height=1080)
    assert facts.upright == (1920, 1080) and replace(facts, rotation=270).upright == (1080, 1920)
