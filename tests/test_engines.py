"""The contract of an engine, held by every engine in ENGINES, with real scenes at a tiny size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

from studio.domain import CUT_PREFIXES, Frame, Line, SceneAdapter, SpokenLine
from studio.errors import Cancelled
from studio.media import sound
from studio.media.probe import probe
from studio.media.writer import write_video
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool

FRAME = Frame(width=256, height=144, fps=24)
PLENTY = 10**9


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One input of each kind."""
    folder = tmp_path_factory.mktemp("media")
    y, x = np.mgrid[0:160, 0:120]
    picture = np.stack([x * 2, y, 255 - x], axis=-1).astype(np.uint8)
    picture[40:120, 35:85] = (220, 180, 150)
    Image.fromarray(picture).save(folder / "picture.png")
    frames = (np.roll(np.full((108, 192, 3), 90, np.uint8) + np.arange(192, dtype=np.uint8)[None, :, None] // 2, i, 1)
              for i in range(24))  # fmt: skip
    write_video(folder / "clip.mp4", frames, 24, 24, layout="rgb24", audio=None, comment={}, posters=folder / "clip")
    seconds = np.arange(int(0.6 * 48_000)) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 180 * seconds) * (1 + np.sin(2 * np.pi * 4 * seconds)) / 2).astype(np.float32)
    sound.save(folder / "voice.wav", np.stack([tone, tone], axis=1))
    return {"image": folder / "picture.png", "video": folder / "clip.mp4", "audio": folder / "voice.wav"}


def scene_of(task: str) -> Any:
    values: dict[str, Any] = {"task_type": task, "prompt": "A lighthouse at dusk, slow push-in", "seed": 7}
    extra = {
        "image_to_video": {"input_image": "x", "duration": 0.5},
        "reference_to_video": {"ref_imgs": ["x", "x"], "duration": 0.5},
        "single_shot_extension": {"input_video": "x", "duration": 5},
        "shot_switching_extension": {"input_video": "x", "duration": 2, "prompt": f"{CUT_PREFIXES[0]} closer"},
        "talking_avatar": {"input_image": "x", "input_audio": "x"},
        "text_to_video": {"duration": 0.5},
        "speech": {"lines": [Line(character="Inês", text="The lamp is lit.").model_dump()]},
    }
    return SceneAdapter.validate_python(values | extra.get(task, {}))


def inputs_of(scene: Any, media: dict[str, Path]) -> Inputs:
    files = {item.field: media[item.kind] for item in scene.inputs()}
    avatar = scene.task_type == "talking_avatar"
    lines = (SpokenLine("l", "Inês", "ah", media["audio"], 0.0, 0.6),) if avatar else ()
    duration = 0.6 if avatar else getattr(scene, "duration", None)
    return Inputs(files=files, lines=lines, soundtrack=files.get("input_audio"), duration=duration, frame=FRAME,
                  style="test", number=2, total=5)  # fmt: skip


def run_of(folder: Path, inputs: Inputs, name: str = "made", stop_at: int = PLENTY) -> tuple[Run, list[int]]:
    seen: list[int] = []
    run = Run(
        7, inputs, Plan(), folder / name, folder / f"{name}-small",
        report=lambda done, total, preview: seen.append(done), cancelled=lambda: len(seen) >= stop_at,
    )  # fmt: skip
    return run, seen


def options_of(engine: Any) -> Any:
    """Its defaults, or as little as it can do where it has weights."""
    if not engine.parts:
        return engine.Options()
    return engine.Options(width=32, height=32, num_inference_steps=2)


def frames_of(engine: Any, scene: Any, inputs: Inputs) -> int:
    """The engine's own rule."""
    if engine.limits.in_frame:
        return round((inputs.duration or 0) * FRAME.fps)
    return engine.limits.frames(inputs.duration or 0)


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every engine finds its weights, at tiny size, as after an import from a folder."""
    folder = tmp_path_factory.mktemp("shelf")
    tiny_models.put_on_shelf(folder / "models", folder / "repositories")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder / "models"))
        yield


PAIRS = [(engine, task) for engine in ENGINES for task in sorted(engine_class(engine).tasks)]


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(pair))
def case(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    engine_id, task = request.param
    engine = engine_class(engine_id)()
    engine.pool = Pool()
    engine.load(Plan())
    yield engine, scene_of(task)
    engine.close()


def make(engine: Any, scene: Any, run: Run) -> Made:
    return engine.run(scene, options_of(engine), run)


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_run_makes_one_file_of_the_right_kind_and_length(
    case: tuple[Any, Any], media: dict[str, Path], tmp_path: Path
) -> None:
    engine, scene = case
    inputs = inputs_of(scene, media)
    run, seen = run_of(tmp_path, inputs)
    made = make(engine, scene, run)
    facts = probe(made.path)
    assert facts.kind == scene.kind
    if facts.kind == "video":
        assert facts.num_frames == frames_of(engine, scene, inputs)
        width, height, fps = (
            (FRAME.width, FRAME.height, FRAME.fps) if engine.limits.in_frame else (32, 32, engine.limits.fps)
        )
        assert (facts.width, facts.height, facts.fps) == (width, height, fps)
        assert seen == list(range(1, (2 if engine.parts else facts.num_frames) + 1))
        assert (tmp_path / "made-small.poster.jpg").is_file()
    if facts.kind == "audio":
        assert facts.duration > 0.4
        assert [at for at, _ in made.facts["visemes"]] == sorted(at for at, _ in made.facts["visemes"])


def test_the_same_seed_makes_the_same_packets(case: tuple[Any, Any], media: dict[str, Path], tmp_path: Path) -> None:
    engine, scene = case
    inputs = inputs_of(scene, media)
    first, second = (make(engine, scene, run_of(tmp_path, inputs, name)[0]).path for name in ("one", "two"))
    if scene.kind == "video":
        assert packets(first) == packets(second)
    elif scene.kind == "image":
        assert np.array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(second)))
    else:
        assert np.array_equal(sound.load48(first), sound.load48(second))


def test_cancelled_at_the_next_step_and_nothing_stays(
    case: tuple[Any, Any], media: dict[str, Path], tmp_path: Path
) -> None:
    engine, scene = case
    if scene.kind != "video":
        pytest.skip("made in one step")
    run, seen = run_of(tmp_path, inputs_of(scene, media), stop_at=2)
    with pytest.raises(Cancelled):
        make(engine, scene, run)
    assert len(seen) == 2
    assert not list(tmp_path.glob("*.part"))
