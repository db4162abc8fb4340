"""The contract of an engine, held by every engine in ENGINES for every task, with real scenes at a tiny size.

Engines with weights load them from folders, through exactly the code that a download takes: the real classes of
diffusers and transformers, built at tiny size by tiny_models.py.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.domain import CUT_PREFIXES, Frame, Line, SceneAdapter, SpokenLine
from studio.errors import Cancelled
from studio.execution import Assignment, Finished
from studio.execution.work import perform, sidecar_path
from studio.media import sound
from studio.media.probe import probe
from studio.media.writer import write_video
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Inputs, Made, Plan, Run, Speaker
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.manager import PipelineManager
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool
from studio.pipelines.speech.own_python import OwnPython
from studio.pipelines.speech.remote import Remote

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
              for i in range(30))  # fmt: skip
    write_video(folder / "clip.mp4", frames, 24, 30, layout="rgb24", audio=None, comment={}, posters=folder / "clip")
    seconds = np.arange(int(0.6 * 48_000)) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 180 * seconds) * (1 + np.sin(2 * np.pi * 4 * seconds)) / 2).astype(np.float32)
    sound.save(folder / "voice.wav", np.stack([tone, tone], axis=1))
    return {"image": folder / "picture.png", "video": folder / "clip.mp4", "audio": folder / "voice.wav"}


SEED, OTHER = 7, 8
STEPS = 2
SHORT = 0.3  # seconds


def scene_of(task: str) -> Any:
    values: dict[str, Any] = {"task_type": task, "prompt": "A lighthouse at dusk, slow push-in", "seed": SEED}
    extra = {
        "text_to_video": {"duration": SHORT},
        "image_to_video": {"input_image": "x", "duration": SHORT},
        "reference_to_video": {"ref_imgs": ["x", "x"], "duration": SHORT},
        "single_shot_extension": {"input_video": "x", "duration": SHORT},
        "shot_switching_extension": {
            "input_video": "x", "duration": SHORT, "prompt": f"{CUT_PREFIXES[0]} closer",
        },
        "talking_avatar": {"input_image": "x", "input_audio": "x"},
        "speech": {"lines": [Line(character="Inês", text="The lamp is lit.").model_dump()]},
    }  # fmt: skip
    return SceneAdapter.validate_python(values | extra.get(task, {}))


def inputs_of(scene: Any, media: dict[str, Path], clones: bool = False) -> Inputs:
    files = {item.field: media[item.kind] for item in scene.inputs()}
    avatar = scene.task_type == "talking_avatar"
    lines = (SpokenLine("l", "Inês", "ah", media["audio"], 0.0, 0.6),) if avatar else ()
    duration = 0.6 if avatar else getattr(scene, "duration", None)
    recording = files.get("input_audio")
    speaker = Speaker("Inês", sample=media["audio"], transcript="ah", print="p") if clones else Speaker()
    return Inputs(files=files, lines=lines, soundtrack=recording, duration=duration, frame=FRAME, style="test",
                  number=2, total=5, recordings=((recording, 0.0),) if recording else (),
                  speaker=speaker)  # fmt: skip


@dataclass
class Case:
    """An engine that is loaded, a scene of one of its tasks, and what the first run made of it."""

    engine: Any
    scene: Any
    inputs: Inputs
    folder: Path
    made: Made = field(init=False)
    told: list[tuple[int, int]] = field(default_factory=list)  # (done, total)
    previews: list[np.ndarray] = field(default_factory=list)

    def run(self, name: str, seed: int = SEED, stop_at: int = PLENTY) -> Made:
        """`stop_at`: the user cancels when so many steps were told."""
        told: list[int] = []
        forget_sentences()

        def report(done: int, total: int, preview: Any) -> None:
            told.append(done)
            if name == "first":
                self.told.append((done, total))
                if preview:
                    self.previews.append(preview())

        run = Run(
            seed, self.inputs, Plan(), self.folder / name, self.folder / f"{name}-small",
            report=report, cancelled=lambda: len(told) >= stop_at, comment={"prompt": self.scene.prompt},
        )  # fmt: skip
        try:
            return self.engine.run(self.scene, self.options, run)
        finally:
            self.steps = len(told)

    @property
    def options(self) -> Any:
        """The engine's own, or as little as it can do where it has weights."""
        if not self.engine.parts or self.scene.kind == "audio":
            return self.engine.Options()
        return self.engine.Options(width=self.side, height=self.side, num_inference_steps=STEPS)

    @property
    def side(self) -> int:
        """Pixels of a square that it can make."""
        return max(32, min(64, 2 * self.engine.multiple))

    @property
    def frames(self) -> int:
        """The engine's own rule."""
        if self.engine.limits.in_frame:
            return round((self.inputs.duration or 0) * FRAME.fps)
        return self.engine.limits.frames(self.inputs.duration or 0)

    @property
    def size(self) -> tuple[int, int, float]:
        if self.engine.limits.in_frame:
            return FRAME.width, FRAME.height, FRAME.fps
        return self.side, self.side, self.engine.limits.rate(self.inputs.duration or 0)

    def same(self, one: Path, other: Path) -> bool:
        """Not of the files, which say when they were made, but of what they hold."""
        if self.scene.kind == "video":
            return packets(one) == packets(other)
        if self.scene.kind == "image":
            return np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
        return np.array_equal(sound.load48(one), sound.load48(other))


MAKE_NO_SCENE = [engine for engine in ENGINES if not engine_class(engine).tasks]


def forget_sentences() -> None:
    """What was spoken before is spoken anew."""
    shutil.rmtree(Path(os.environ[CACHE]) / "speech", ignore_errors=True)


# somebody else's computer, a program beside us, a package in a Python of its own: their tests hold this contract with
# fakes of those
ELSEWHERE = [
    engine for engine in ENGINES
    if issubclass(engine_class(engine), (Remote, OwnPython)) or engine_class(engine).outside
]  # fmt: skip
PAIRS = [(engine, task) for engine in ENGINES if engine not in ELSEWHERE for task in sorted(engine_class(engine).tasks)]


@pytest.fixture(scope="module", autouse=True)
def shelf(tiny_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every engine finds its weights, at tiny size, as after an import from a folder."""
    import torch

    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)  # tiny sums: threads only wait for each other
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(tiny_shelf))
        patch.setenv(CACHE, str(folder / "cache"))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(params=PAIRS, ids="-".join, scope="module")
def case(
    request: pytest.FixtureRequest, media: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    engine_id, task = request.param
    engine, scene = engine_class(engine_id)(), scene_of(task)
    engine.pool = Pool()
    engine.load(Plan())
    clones = bool(engine.speaks and engine.speaks.clones and not engine.draft)
    case = Case(engine, scene, inputs_of(scene, media, clones), tmp_path_factory.mktemp("made"))
    case.made = case.run("first")
    yield case
    engine.close()


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_run_makes_one_file_of_the_right_kind_size_and_length(case: Case) -> None:
    facts = probe(case.made.path)
    assert facts.kind == case.scene.kind
    if facts.kind == "video":
        assert facts.num_frames == case.frames
        assert (facts.width, facts.height, facts.fps) == case.size
        assert (case.folder / "first-small.poster.jpg").is_file()
    if facts.kind == "image" and case.engine.parts:
        assert (facts.width, facts.height) == case.size[:2]
    if facts.kind == "audio":
        assert facts.duration > 0.4
        assert facts.sample_rate == case.engine.rate if case.engine.parts else facts.sample_rate > 16_000
        visemes = case.made.facts.get("visemes", [])
        assert [at for at, _ in visemes] == sorted(at for at, _ in visemes) and bool(visemes) == case.engine.draft


def test_progress_counts_every_step_and_ends_at_the_last(case: Case) -> None:
    if not case.told:
        assert case.scene.kind != "video" and not case.engine.parts
        return
    total = case.told[0][1]
    assert case.told == [(done, total) for done in range(1, total + 1)]
    if case.scene.kind == "audio":
        assert total == 1  # sentence
        return
    assert total % STEPS == 0 if case.engine.parts else total == case.frames


def test_previews_are_pictures(case: Case) -> None:
    pictures = case.scene.kind != "audio" and (case.engine.parts or case.scene.kind == "video")
    assert len(case.previews) == (len(case.told) if pictures else 0)
    for picture in case.previews:
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        assert min(picture.shape[:2]) >= 8


def test_another_seed_makes_something_else(case: Case) -> None:
    if case.scene.kind == "audio":
        pytest.skip("a voice reads the same words the same way")
    if case.engine.draft and case.scene.task_type == "single_shot_extension":
        pytest.skip("the drawn way on from a still clip is the clip")
    assert not case.same(case.made.path, case.run("other", seed=OTHER).path)


def test_parked_it_makes_the_same_again(case: Case) -> None:
    case.engine.park()
    case.engine.load(Plan())
    assert case.same(case.made.path, case.run("parked").path)


def test_cancelled_at_the_next_step_and_nothing_stays(case: Case) -> None:
    if not case.told:
        pytest.skip("made in one step")
    with pytest.raises(Cancelled):
        case.run("cancelled", stop_at=1)
    assert case.steps == 1
    assert not list(case.folder.glob("cancelled*.part"))


def test_closed_and_loaded_by_a_manager_it_makes_the_same_and_says_how(case: Case, tmp_path: Path) -> None:
    case.engine.close()
    forget_sentences()
    manager, events = PipelineManager(), []
    task = {**case.scene.model_dump(), "options": {case.engine.id: case.options.model_dump()}}
    assignment = Assignment(
        "job", 1, case.engine.id, task, case.inputs, Plan(), SEED, tmp_path / "take", tmp_path / "small",
        comment={"prompt": case.scene.prompt},
    )  # fmt: skip
    finished = perform(assignment, manager, events.append, lambda: False)
    manager.close()
    case.engine.load(Plan())
    assert isinstance(finished, Finished), finished
    assert case.same(case.made.path, finished.path)
    sidecar = json.loads(sidecar_path(finished.path).read_text("utf-8"))
    assert (sidecar["engine"], sidecar["seed"], sidecar["settings"]) == (case.engine.id, SEED, assignment.comment)
    if case.engine.parts:
        facts = sidecar["facts"]
        assert facts["steps"] == case.told[-1][0] and facts["revision"] and facts["dtype"] == "float32"
        assert case.scene.kind == "audio" or facts["size"][:2] == [case.side, case.side]


@pytest.mark.parametrize("engine_id", MAKE_NO_SCENE)
def test_a_model_that_makes_no_scene_says_what_it_is_for(engine_id: str) -> None:
    cls = engine_class(engine_id)
    assert cls.serves and cls.parts
    for file in sorted((Path(__file__).parent.parent / "assets" / "locales").glob("*.json")):
        assert f"models.serves.{cls.serves}" in json.loads(file.read_text("utf-8")), file.name
