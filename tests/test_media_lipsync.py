"""Lips against sound, from a finished film alone: on draft avatars that were shifted, and on faces drawn here."""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from drawn_faces import cartoon

from studio.domain import Frame, SceneAdapter, SpokenLine
from studio.media import lipsync, sound
from studio.media.probe import probe
from studio.media.writer import write_video
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.draft.engine import Draft

FPS = 24
FRAME_MS = 1000 / FPS
SAMPLES = Path(__file__).parent.parent / "assets" / "samples"
LINES = {
    ("ines", "en"): "Uncle, nobody sails past here any more. They sold the last boat in the spring.",
    ("drawn", "en"): "Tomás! There is a child out there. Where is the oil?",
    ("tomas", "pt"): "Vender? Escuta, menina. O mar não esquece quem lhe deu luz.",
    ("dark", "pt"): "Acende a lâmpada, depressa, antes que a maré suba mais.",
    ("lin", "zh"): "我看见你们的灯了。谢谢你们！",
    ("ines", "zh"): "今天晚上的风很大，我们一起回家吧，妈妈在等你。",
}
DRAWN = {"drawn": cartoon(), "dark": cartoon(skin=(80, 120, 170), hair=(25, 20, 25))}


# ------------------------------------------------------------------------------------------------ draft avatars
@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """films(who, language): a line spoken and drawn by the draft engine at 24 fps."""
    folder = tmp_path_factory.mktemp("films")
    for name, image in DRAWN.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)

    @cache
    def one(who: str, language: str) -> Path:
        stem, text = f"{who}-{language}", LINES[who, language]
        line = {"character": who, "text": text, "language": language}
        run = Run(3, Inputs(), Plan(), folder / f"{stem}-voice", folder / f"{stem}-voice")
        spoken = Draft().run(SceneAdapter.validate_python({"task_type": "speech", "lines": [line]}), None, run)
        seconds = probe(spoken.path).duration
        track = folder / f"{stem}.wav"
        sound.write_soundtrack(track, [(spoken.path, 0.5)], seconds + 1.1)
        said = SpokenLine("l", who, text, spoken.path, 0.5, seconds, spoken.facts["visemes"])
        files = {"input_image": folder / f"{who}.png" if who in DRAWN else SAMPLES / f"{who}.png"}
        inputs = Inputs(files, (said,), track, duration=seconds + 1.1, frame=Frame(width=640, height=360, fps=FPS))
        scene = {"task_type": "talking_avatar", "prompt": "x", "seed": 3, "input_image": "x", "lines": [line]}
        run = Run(3, inputs, Plan(), folder / stem, folder / stem)
        return Draft().run(SceneAdapter.validate_python(scene), None, run).path

    return one


def with_sound(film: Path, change: Callable[[np.ndarray], np.ndarray], out: Path) -> Path:
    """The same picture, packet by packet, with another sound: `change` gets and gives (N, 2) float32."""
    samples = change(sound.load48(film))
    with av.open(str(film), format="mov") as source, av.open(str(out), "w", format="mp4") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("aac", rate=sound.RATE, layout="stereo")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.astype(np.float32)), "fltp", "stereo")
        frame.sample_rate, frame.pts = sound.RATE, 0
        target.mux(audio.encode(frame))
        target.mux(audio.encode(None))
    return out


def later(seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    count = round(abs(seconds) * sound.RATE)
    gap = np.zeros((count, 2), np.float32)
    return lambda samples: np.concatenate([gap, samples[:-count]] if seconds > 0 else [samples[count:], gap])


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_a_draft_avatar_is_in_sync_and_shifted_sound_is_off_by_so_much(
    line: tuple[str, str], films: Callable[..., Path], tmp_path: Path
) -> None:
    found = lipsync.measure(films(*line))
    assert found["mouth"] == "found" and found["in_sync"] and found["closed_in_silence"]
    assert abs(found["lag_ms"]) < FRAME_MS
    for shift in (0.08, -0.08):
        moved = lipsync.measure(with_sound(films(*line), later(shift), tmp_path / f"{shift}.mp4"))
        assert moved["lag_ms"] == pytest.approx(1000 * shift, abs=20)


def test_far_off_is_out_of_sync(films: Callable[..., Path], tmp_path: Path) -> None:
    found = lipsync.measure(with_sound(films("ines", "en"), later(0.2), tmp_path / "far.mp4"))
    assert found["lag_ms"] == pytest.approx(200, abs=20) and found["in_sync"] is False


def test_another_voice_than_that_of_the_lips_gives_no_lag(films: Callable[..., Path], tmp_path: Path) -> None:
    stranger = sound.load48(films("dark", "pt"))
    film = with_sound(
        films("ines", "en"), lambda samples: np.resize(stranger, samples.shape), tmp_path / "stranger.mp4"
    )
    found = lipsync.measure(film)
    assert (found["mouth"], found["lag_ms"], found["in_sync"]) == ("found", None, False)


def test_where_nothing_is_heard_there_is_nothing_to_compare_and_a_mouth_that_talks_is_not_closed(
    films: Callable[..., Path], tmp_path: Path
) -> None:
    found = lipsync.measure(with_sound(films("ines", "en"), np.zeros_like, tmp_path / "silent.mp4"))
    assert (found["mouth"], found["lag_ms"], found["in_sync"]) == ("found", None, None)
    assert found["closed_in_silence"] is False


# ------------------------------------------------------------------------------------------------ faces drawn here
BEATS = np.array([0.6, 0.85, 1.25, 1.5, 1.9, 2.05, 2.4, 2.9, 3.1, 3.5])  # seconds at which a vowel is loudest


def loudness(seconds: np.ndarray) -> np.ndarray:
    """0..1 of ten vowels."""
    return np.exp(-(((seconds[:, None] - BEATS) / 0.07) ** 2)).max(1)


def spoken(seconds: float) -> np.ndarray:
    """(N,) float32: a buzz with the loudness of the vowels."""
    at = np.arange(round(seconds * sound.RATE)) / sound.RATE
    buzz = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 16))
    return (0.2 * buzz * loudness(at)).astype(np.float32)


def face(opened: float, sway: float = 0.0, size: tuple[int, int] = (320, 424)) -> np.ndarray:
    """(h, w, 3) uint8 BGR of a head that sways, its mouth open by so much of what it can."""
    width, height = size
    image = cartoon(size=size)
    centre = (width // 2, round(0.59 * height) + round(0.02 * height * opened))
    if opened > 0.02:
        cv2.ellipse(
            image, centre, (round(0.08 * width), max(1, round(0.045 * height * opened))), 0, 0, 360, (30, 20, 60), -1
        )
    turn = cv2.getRotationMatrix2D((width / 2, height), 3 * sway, 1 + 0.02 * sway)
    turn[:, 2] += (6 * sway, 2 * sway)
    return cv2.warpAffine(image, turn, size, borderMode=cv2.BORDER_REFLECT_101)


def film(folder: Path, name: str, opened: np.ndarray, fps: float = 25, seconds: float = 4.0, late: float = 0.0) -> Path:
    """`opened`: of each frame; `late`: seconds by which the sound is."""
    track = folder / f"{name}.wav"
    samples = spoken(seconds)
    gap = np.zeros(round(abs(late) * sound.RATE), np.float32)
    if late:
        samples = (
            np.concatenate([gap, samples])[: len(samples)]
            if late > 0
            else np.concatenate([samples, gap])[-len(samples) :]
        )
    sound.save(track, samples)
    frames = (face(value, np.sin(n / 19)) for n, value in enumerate(opened))
    path = folder / f"{name}.mp4"
    write_video(path, frames, fps, len(opened), layout="bgr24", audio=track, comment={}, posters=folder / name)
    return path


@pytest.mark.parametrize(("fps", "late"), [(25, 0.0), (12, 0.12), (30, -0.06)])
def test_the_lag_is_finer_than_a_frame_at_any_rate(fps: float, late: float, tmp_path: Path) -> None:
    opened = loudness(np.arange(round(4 * fps)) / fps + lipsync.LEAD_SECONDS)
    found = lipsync.measure(film(tmp_path, "a", opened, fps, late=late))
    assert found["lag_ms"] == pytest.approx(1000 * late, abs=12)
    assert found["correlation"] > 0.8 and found["closed_in_silence"]


def test_so_short_a_film_is_not_called_out_of_sync(tmp_path: Path) -> None:
    """In two seconds strangers' lips may be as alike: another rhythm gives a verdict in four seconds only."""
    for seconds, verdict in ((2.0, None), (4.0, False)):
        at = np.arange(round(seconds * 25)) / 25
        other = 0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * at + 1)
        found = lipsync.measure(film(tmp_path, f"other{seconds}", other, seconds=seconds))
        assert (found["mouth"], found["lag_ms"], found["in_sync"]) == ("found", None, verdict)


def test_a_mouth_that_does_not_move_is_none_however_the_head_does(tmp_path: Path) -> None:
    found = lipsync.measure(film(tmp_path, "still", np.zeros(100)))
    assert found == {
        "lag_ms": None, "correlation": 0.0, "in_sync": None, "mouth": "none", "closed_in_silence": None,
    }  # fmt: skip


def test_a_mouth_that_goes_on_in_silence_is_not_closed(tmp_path: Path) -> None:
    seconds = np.arange(150) / 25
    opened = loudness(seconds) + (seconds > 4.2) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * seconds))
    assert lipsync.measure(film(tmp_path, "chews", opened, seconds=6.0))["closed_in_silence"] is False
    assert lipsync.measure(film(tmp_path, "rests", loudness(seconds), seconds=6.0))["closed_in_silence"] is True


def test_where_nobody_is_there_is_no_mouth(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    track = tmp_path / "a.wav"
    sound.save(track, spoken(2.0))
    frames = (rng.integers(0, 255, (180, 320, 3)).astype(np.uint8) for _ in range(48))
    write_video(tmp_path / "n.mp4", frames, 24, 48, layout="bgr24", audio=track, comment={}, posters=tmp_path / "n")
    assert lipsync.measure(tmp_path / "n.mp4")["mouth"] == "none"


def test_it_shares_nothing_with_whoever_renders() -> None:
    tree = ast.parse(Path(lipsync.__file__).read_text("utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in named if name.startswith("studio")}
    assert ours == {"studio.media.probe"}
