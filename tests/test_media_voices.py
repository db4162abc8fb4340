"""Recordings become samples: what is read, what is written, what is measured, and what each bad one is told."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import voice_samples as recorded
from starlette.testclient import TestClient

from studio.errors import Refused, StudioError
from studio.media import voices
from studio.media.recording import read
from studio.service import Studio

Prepared = tuple[dict[str, Any], set[str], np.ndarray]


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Prepared]:
    """(profile, codes of its checks, samples that were written) of samples or of a file."""

    def one(source: np.ndarray | Path, **how: Any) -> Prepared:
        path = source if isinstance(source, Path) else recorded.save(tmp_path / "in.wav", source)
        profile, checks = voices.prepare(path, tmp_path / "out.wav", **how)
        return profile, {check["code"] for check in checks}, soundfile.read(tmp_path / "out.wav")[0]

    return one


def upload(client: TestClient, path: Path) -> str:
    answer = client.post("/assets", files={"file": (path.name, path.read_bytes())})
    assert answer.status_code in (200, 201), answer.text
    return f"asset:{answer.json()['sha256']}"


# ---------------------------------------------------------------------------------------------- from file to voice
def test_a_recording_becomes_a_voice(client: TestClient, tmp_path: Path) -> None:
    path = recorded.save(tmp_path / "in" / "Inês.wav", recorded.said(12.0, "woman-1"))
    looked = client.post("/voices/look", json={"ref": upload(client, path), "start": 1.0, "end": 11.0}).json()
    assert looked.get("checks") == [], looked
    assert looked["sample"]["name"] == "Inês.wav" and 8.0 < looked["sample"]["seconds"] < 10.3

    fields = {"name": "Inês", "sample": looked["sample"]["sha256"], "consent": "the speaker"}
    made = client.post("/voices", json=fields)
    assert made.status_code == 201, made.text
    profile = made.json()["profile"]
    assert abs(profile["pitch_hz"] - looked["profile"]["pitch_hz"]) < 2 and len(profile["spectrum"]) == 48
    written = client.get(f"/voices/{made.json()['id']}/sample")
    assert soundfile.info(io.BytesIO(written.content)).channels == 1


@pytest.mark.parametrize(("rate", "kept"), [(8_000, 8_000), (44_100, 44_100), (96_000, 48_000)])
def test_a_sample_keeps_its_rate_up_to_48_khz(
    prepare: Callable[..., Prepared], tmp_path: Path, rate: int, kept: int
) -> None:
    prepare(recorded.save(tmp_path / "r.wav", recorded.said(4.0), rate))
    assert soundfile.info(tmp_path / "out.wav").samplerate == kept


def test_a_sample_has_no_silence_around_it_nor_long_pauses_and_the_loudness_of_lines(
    prepare: Callable[..., Prepared],
) -> None:
    spoken = 0.1 * recorded.said(6.0)
    gap = recorded.silence(4.0)
    profile, _, samples = prepare(np.concatenate([gap, spoken, gap, spoken, gap]))
    assert 11.0 < len(samples) / recorded.RATE < 13.0
    loud = np.flatnonzero(np.abs(samples) > 0.02) / recorded.RATE
    assert loud[0] < 0.4 and len(samples) / recorded.RATE - loud[-1] < 0.5
    assert profile["lufs"] == pytest.approx(-18.0, abs=0.7)


def test_sides_that_cancel_each_other_are_heard(prepare: Callable[..., Prepared], tmp_path: Path) -> None:
    spoken = recorded.said(5.0)
    soundfile.write(tmp_path / "x.wav", np.column_stack([spoken, -spoken]), recorded.RATE)
    profile, _, _ = prepare(tmp_path / "x.wav")
    assert profile["speech_seconds"] > 4


def test_denoising_takes_the_noise_and_leaves_the_voice(prepare: Callable[..., Prepared]) -> None:
    noisy = recorded.in_noise(recorded.said(8.0, "man-1"), 12.0)
    clean, _, _ = prepare(recorded.said(8.0, "man-1"))
    before, found, _ = prepare(noisy)
    after, found_after, _ = prepare(noisy, denoise=True)
    assert after["snr_db"] > before["snr_db"] + 10
    assert "voice.noisy" in found and "voice.noisy" not in found_after
    assert abs(voices.pitch_cents(after, clean) or 0) < 40
    assert (voices.spectrum_db(after, clean) or 99) < (voices.spectrum_db(before, clean) or 0) / 2


def test_denoising_a_clean_voice_changes_little(prepare: Callable[..., Prepared]) -> None:
    clean = recorded.said(6.0)
    before, _, _ = prepare(clean)
    after, _, _ = prepare(clean, denoise=True)
    assert (voices.spectrum_db(after, before) or 0) < 2.0


# ---------------------------------------------------------------------------------------------- what is measured
@pytest.mark.parametrize("seconds", [3.0, 10.0])
@pytest.mark.parametrize("hz", [100.0, 180.0, 260.0])
def test_pitch_and_pace_are_those_of_the_throat(prepare: Callable[..., Prepared], hz: float, seconds: float) -> None:
    for snr_db in (40.0, 12.0):
        sound = recorded.in_noise(recorded.babble(hz, seconds, pace=4.0), snr_db)
        profile, _, _ = prepare(sound)
        assert profile["pitch_hz"] == pytest.approx(hz, rel=0.06)
        assert profile["pitch_low_hz"] < 0.95 * hz and profile["pitch_high_hz"] > 1.05 * hz
        assert profile["pace"] == pytest.approx(4.0, rel=0.2)


def test_noise_is_measured(prepare: Callable[..., Prepared]) -> None:
    for snr_db in (8.0, 14.0, 20.0, 30.0):
        profile, _, _ = prepare(recorded.in_noise(recorded.babble(150, 8.0), snr_db))
        assert profile["snr_db"] == pytest.approx(snr_db, abs=3.0)


@pytest.mark.parametrize("language", recorded.TEXTS)
@pytest.mark.parametrize("voice", ["woman-1", "man-2", "child-1"])
def test_one_speaker_is_one(prepare: Callable[..., Prepared], voice: str, language: str) -> None:
    for seconds in (3.2, 12.0):
        assert prepare(recorded.said(seconds, voice, language))[0]["speakers"] == 1


@pytest.mark.parametrize(
    ("pair", "seconds"),
    [
        (("man-2", "woman-3"), 6.0),  # an old man, a bright woman
        (("man-1", "woman-1"), 6.0),
        (("woman-1", "woman-2"), 12.0),  # two women, four semitones apart
        (("woman-2", "man-3"), 12.0),  # hardly a semitone apart
    ],
)
def test_two_speakers_are_two(prepare: Callable[..., Prepared], pair: tuple[str, str], seconds: float) -> None:
    profile, found, _ = prepare(recorded.dialogue(pair, seconds))
    assert profile["speakers"] == 2 and "voice.two_speakers" in found


def test_similarity_tells_a_voice_from_another(tmp_path: Path) -> None:
    profile = voices.profile_of(recorded.save(tmp_path / "a.wav", recorded.said(8.0, "woman-1")))
    same = recorded.save(tmp_path / "b.wav", recorded.said(8.0, "woman-1", first=3))
    other = recorded.save(tmp_path / "c.wav", recorded.said(8.0, "man-2"))
    near, far = voices.similarity(same, profile), voices.similarity(other, profile)
    assert abs(near["pitch_cents"]) < 100 < 900 < abs(far["pitch_cents"])
    assert near["spectrum_db"] < 2.5 < 4.0 < far["spectrum_db"]
    assert voices.similarity(same, {}) == {"pitch_cents": None, "spectrum_db": None, "speaker": None}


# ---------------------------------------------------------------------------------------------- what is wrong with it
def advice() -> dict[str, tuple[np.ndarray, str]]:
    spoken = recorded.said(8.0, "woman-1")
    return {
        "two seconds": (spoken[: 2 * recorded.RATE], "voice.short"),
        "clipped": (recorded.too_loud(spoken), "voice.clipped"),
        "clipped, then made quiet": (0.2 * recorded.too_loud(spoken), "voice.clipped"),
        "in noise": (recorded.in_noise(spoken, 9.0), "voice.noisy"),
        "far away": (0.01 * spoken, "voice.quiet"),
        "in a hall": (recorded.in_a_hall(spoken, 0.8), "voice.echo"),
        "by telephone": (recorded.by_telephone(spoken), "voice.narrow"),
        "two people": (recorded.dialogue(("man-2", "woman-3"), 9.0), "voice.two_speakers"),
    }


@pytest.mark.parametrize("kind", advice())
def test_what_is_wrong_with_a_recording_is_said(prepare: Callable[..., Prepared], kind: str) -> None:
    samples, code = advice()[kind]
    assert code in prepare(samples)[1]


@pytest.mark.parametrize("voice", ["woman-1", "man-1", "child-1"])
@pytest.mark.parametrize("language", recorded.TEXTS)
def test_nothing_is_said_of_a_good_one(prepare: Callable[..., Prepared], voice: str, language: str) -> None:
    assert prepare(recorded.said(9.0, voice, language))[1] == set()


def test_a_second_of_speech_is_an_error_for_engines_and_four_a_warning(tmp_path: Path) -> None:
    for seconds, level in ((2.0, "error"), (4.2, "warning")):
        path = recorded.save(tmp_path / f"{seconds}.wav", recorded.said(seconds))
        _, checks = voices.prepare(path, tmp_path / "out.wav")
        assert [check["level"] for check in checks if check["code"] == "voice.short"] == [level]


def nobody() -> dict[str, np.ndarray]:
    clock = np.arange(6 * recorded.RATE) / recorded.RATE
    knocks = recorded.silence(6.0)
    for at in range(0, len(knocks) - 4000, recorded.RATE // 3):
        knocks[at : at + 3000] += recorded.noise(3000 / recorded.RATE) * np.exp(-np.arange(3000) / 400)
    return {
        "silence": recorded.silence(6.0),
        "noise": recorded.noise(6.0),
        "knocking": 8 * knocks,
        "a hum": (0.2 * np.sin(2 * np.pi * 100 * clock)).astype(np.float32),
        "a siren": (0.2 * np.sin(2 * np.pi * np.cumsum(400 + 100 * np.sin(3 * clock)) / recorded.RATE)).astype(
            np.float32
        ),
        "a tune": recorded.music(8.0),
        "a slow tune": recorded.music(10.0, 4, 0.9),
        "a fast tune": recorded.music(8.0, 7, 0.22),
    }


@pytest.mark.parametrize("kind", nobody())
def test_where_nobody_speaks_there_is_no_sample(prepare: Callable[..., Prepared], tmp_path: Path, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        prepare(nobody()[kind], name="Strange.wav")
    assert refused.value.code == "voice.no_speech" and refused.value.params["name"] == "Strange.wav"
    assert not (tmp_path / "out.wav").exists()


# ---------------------------------------------------------------------------------------------- only the part asked for
def test_only_the_part_between_start_and_end_is_heard(prepare: Callable[..., Prepared], tmp_path: Path) -> None:
    man, woman = recorded.said(6.0, "man-2"), recorded.said(6.0, "woman-3")
    path = recorded.save(tmp_path / "both.wav", np.concatenate([man, woman]))
    first, found, _ = prepare(path, start=0.0, end=6.0)
    second, _, _ = prepare(path, start=6.0, end=12.0)
    assert first["pitch_hz"] < 110 < 200 < second["pitch_hz"] and "voice.long" not in found


@pytest.mark.parametrize("container", ["mp3", "ogg", "flac", "mp4", "webm"])
def test_a_part_of_any_format_begins_where_it_was_asked_to(tmp_path: Path, container: str) -> None:
    """Tones, one for each second, as high as the second's number."""
    sound = np.concatenate([np.sin(np.arange(24_000) * 2 * np.pi * 100 * (n + 1) / 24_000) for n in range(20)])
    path = encoded(tmp_path / f"x.{container}", sound.astype(np.float32), 24_000)
    stretch = read(path, 7.2, 7.8, most=60.0)
    assert len(stretch.samples) / stretch.rate == pytest.approx(0.6, abs=0.01)
    middle = stretch.samples[len(stretch.samples) // 4 : -len(stretch.samples) // 4]
    crossings = np.flatnonzero((middle[:-1] <= 0) & (middle[1:] > 0))
    hz = (len(crossings) - 1) * stretch.rate / (crossings[-1] - crossings[0])
    assert hz == pytest.approx(800, rel=0.02)


def encoded(path: Path, samples: np.ndarray, rate: int) -> Path:
    codec = {"mp3": "mp3", "ogg": "libopus", "flac": "flac", "mp4": "aac", "webm": "libopus"}[path.suffix[1:]]
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=48_000 if codec == "libopus" else rate, layout="mono")
        resampler = av.AudioResampler(stream.format.name, "mono", stream.rate, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("start", "end"), [(5.0, 5.0), (6.0, 2.0), (30.0, None), (30.0, 40.0)])
def test_a_part_that_is_not_there_is_refused(prepare: Callable[..., Prepared], start: float, end: float | None) -> None:
    with pytest.raises(Refused) as refused:
        prepare(recorded.said(8.0), start=start, end=end, name="x.wav")
    assert refused.value.code == "voice.range" and refused.value.params["seconds"] == 8.0


def test_of_a_minute_the_best_half_is_taken(prepare: Callable[..., Prepared], tmp_path: Path) -> None:
    sound = np.concatenate([recorded.music(26.0), recorded.silence(2.0), recorded.said(32.0, "man-1")])
    path = recorded.save(tmp_path / "x.wav", sound)
    _, checks = voices.prepare(path, tmp_path / "out.wav")
    (long,) = (check for check in checks if check["code"] == "voice.long")
    assert long["level"] == "info" and long["params"]["start"] > 25 and long["params"]["seconds"] == 60
    assert 15.0 < soundfile.info(tmp_path / "out.wav").duration <= 30.0


@pytest.fixture(scope="module")
def three_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of speech, then silence, in 2.9 hours: 84 MB of samples, a sparse file."""
    path = tmp_path_factory.mktemp("long") / "reading.wav"
    rate, seconds = 4_000, round(2.9 * 3600)
    recorded.save(path, recorded.said(20.0, "woman-2"), rate)
    head = bytearray(path.read_bytes())
    size = 44 + 2 * rate * seconds
    head[4:8], head[40:44] = (size - 8).to_bytes(4, "little"), (size - 44).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def test_of_a_long_recording_only_a_minute_is_decoded(
    three_hours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []
    listen = voices.listen
    monkeypatch.setattr(
        voices, "listen", lambda samples, rate: heard.append(len(samples) / rate) or listen(samples, rate)
    )
    monkeypatch.setattr("studio.media.recording._frames", counting := Counting())
    _, checks = voices.prepare(three_hours, tmp_path / "out.wav")
    assert max(heard) <= 60.0 and counting.seconds <= 61.0
    (long,) = (check for check in checks if check["code"] == "voice.long")
    assert long["params"]["seconds"] == round(2.9 * 3600) and long["params"]["end"] < 61


class Counting:
    """Stands before recording._frames and adds up how long the decoded frames are."""

    def __init__(self) -> None:
        from studio.media import recording

        self._frames, self.seconds = recording._frames, 0.0

    def __call__(self, source: Any, stream: Any, start: float) -> Any:
        for frame in self._frames(source, stream, start):
            self.seconds += frame.samples / frame.sample_rate
            yield frame


# ---------------------------------------------------------------------------------------------- through the service
def silent_video(path: Path) -> Path:
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(20):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        target.mux(stream.encode(None))
    return path


def refused_by(studio: Studio, path: Path, **how: Any) -> str:
    with pytest.raises(StudioError) as refused:
        studio.voices.look(str(path), trusted=True, **how)
    assert refused.value.status in (404, 413, 422, 502), refused.value
    assert refused.value.params.get("name", path.name) == path.name
    return refused.value.code


def test_bad_recordings_are_told_what_is_wrong(studio: Studio, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    recorded.save(folder / "noise.wav", recorded.noise(5.0))
    recorded.save(folder / "cough.wav", recorded.said(0.7))
    (folder / "list.wav").write_text("#EXTM3U\nfile:///etc/passwd\n")
    (folder / "text.mp3").write_text("nothing to hear " * 100)
    (folder / "empty.wav").write_bytes(b"")
    cut = recorded.save(folder / "cut.wav", recorded.said(5.0)).read_bytes()
    (folder / "cut.flac").write_bytes(b"fLaC" + cut[:3000])
    told = {
        "noise.wav": "voice.no_speech",
        "cough.wav": "voice.too_short",
        "silent.mp4": "media.no_sound",
        "list.wav": "media.playlist",
        "text.mp3": "media.not_media",
        "empty.wav": "media.empty",
        "cut.flac": "media.broken",
    }
    silent_video(folder / "silent.mp4")
    assert {name: refused_by(studio, folder / name) for name in told} == told
    assert not any((tmp_path / "data").rglob("*.part")) and not list(studio.voices.list())


def test_short_and_crowded_samples_are_kept_with_advice(studio: Studio, tmp_path: Path) -> None:
    short = recorded.save(tmp_path / "in" / "short.wav", recorded.said(2.0))
    two = recorded.save(tmp_path / "in" / "two.wav", recorded.dialogue(("man-2", "woman-3"), 9.0))
    assert recorded.codes(studio.voices.look(str(short), trusted=True)) == {"voice.short"}
    looked = studio.voices.look(str(two), trusted=True)
    assert recorded.codes(looked) == {"voice.two_speakers"} and looked["profile"]["speakers"] == 2


def test_a_long_recording_becomes_a_voice(studio: Studio, three_hours: Path) -> None:
    looked = studio.voices.look(str(three_hours), trusted=True)
    assert "voice.long" in recorded.codes(looked) and looked["sample"]["seconds"] < 30
    made = studio.voices.create({"name": "Reader", "sample": looked["sample"]["sha256"]}, consent="herself")
    assert made["profile"]["pitch_hz"] > 100
