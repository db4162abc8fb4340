"""A long film that was interrupted goes on with the window that is next, and becomes the film it would have been."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avatar_films import packets, portrait, published, voice
from engine_calls import SEED, loaded, scene

from studio.domain import JSON, SpokenLine
from studio.execution import Assignment, Finished, Kept, Progress
from studio.execution.work import perform
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.manager import PipelineManager
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.finished import Finished as Windows

SECONDS, SIDE, STEPS = 4.0, 32, 2  # a key pass and two windows
PASSES = 3


class Lost(BaseException):
    """The worker's process is gone: nothing is caught and nothing tidied."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SkyReelsA2V]:
    with published(tmp_path_factory.mktemp("shelf")):
        engine = loaded(SkyReelsA2V)
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    recording = voice(folder, SECONDS)
    files = {"input_image": portrait(folder), "input_audio": recording}
    return Inputs(files=files, soundtrack=recording, recordings=((recording, 0.0),), duration=SECONDS)


class Job:
    """Attempts of one job: what they kept and laid aside is there for the next."""

    def __init__(self, engine: Any, folder: Path) -> None:
        self.engine, self.folder, self.kept = engine, folder, dict[str, JSON]()
        self.attempts = 0

    def attempt(self, inputs: Inputs, lost_at: int = 0, seed: int = SEED, **options: Any) -> "tuple[Any, list[int]]":
        """What was made, and the steps that were told. `lost_at`: the worker is lost when so many were."""
        self.attempts += 1
        steps: list[int] = []

        def report(done: int, total: int, preview: Any) -> None:
            assert total == PASSES * STEPS
            steps.append(done)
            if len(steps) == lost_at:
                raise Lost

        run = Run(
            seed, inputs, Plan(), self.folder / f"made{self.attempts}", self.folder / "small", report=report,
            scratch=self.folder / "scratch", kept=self.kept, commit=self.kept.__setitem__,
        )  # fmt: skip
        said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P")
        small = {"width": SIDE, "height": SIDE, "num_inference_steps": STEPS} | options
        try:
            return self.engine.run(said, self.engine.Options(**small), run), steps
        except Lost:
            return None, steps


@pytest.fixture(scope="module")
def whole(engine: SkyReelsA2V, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Packets of a film that nothing interrupted."""
    made, steps = Job(engine, tmp_path_factory.mktemp("whole")).attempt(inputs)
    assert steps == [1, 2, 3, 4, 5, 6]
    return packets(made.path)


@pytest.mark.parametrize(
    ("lost_at", "after"),
    [
        (1, [1, 2, 3, 4, 5, 6]),  # in the key pass: nothing was finished
        (3, [3, 4, 5, 6]),
        (6, [5, 6]),
    ],
)
def test_a_film_goes_on_with_the_window_that_is_next(
    lost_at: int, after: list[int], engine: SkyReelsA2V, inputs: Inputs, whole: list[bytes], tmp_path: Path
) -> None:
    job = Job(engine, tmp_path)
    assert job.attempt(inputs, lost_at) == (None, list(range(1, lost_at + 1)))
    made, steps = job.attempt(inputs)
    assert steps == after
    assert packets(made.path) == whole
    assert made.facts["steps"] == PASSES * STEPS
    assert made.facts.get("resumed_windows", 0) == PASSES - len(after) // STEPS


def test_a_film_that_is_lost_again_and_again_is_made_all_the_same(
    engine: SkyReelsA2V, inputs: Inputs, whole: list[bytes], tmp_path: Path
) -> None:
    job = Job(engine, tmp_path)
    told = [job.attempt(inputs, lost_at=3)[1] for _ in range(PASSES - 1)]
    assert told == [[1, 2, 3], [3, 4, 5]]
    made, steps = job.attempt(inputs)
    assert steps == [5, 6] and packets(made.path) == whole


@pytest.mark.parametrize("changed", ["seed", "options", "recording", "damaged", "gone"])
def test_what_was_finished_of_another_film_is_not_used(
    changed: str, engine: SkyReelsA2V, inputs: Inputs, tmp_path: Path
) -> None:
    job, more = Job(engine, tmp_path), dict[str, Any]()
    job.attempt(inputs, lost_at=5)
    if changed == "seed":
        more["seed"] = SEED + 1
    if changed == "options":
        more["color_strength"] = 0.5
    if changed == "recording":
        recording = voice(tmp_path, SECONDS, 320.0)
        inputs = replace(inputs, recordings=((recording, 0.0),), soundtrack=recording)
    film = tmp_path / "scratch" / "window-001.mkv"
    if changed == "damaged":
        film.write_bytes(film.read_bytes()[:-100])
    if changed == "gone":
        film.unlink()
    assert job.attempt(inputs, lost_at=1, **more)[1] == [1]


def test_another_profile_may_finish_the_film(
    engine: SkyReelsA2V, inputs: Inputs, whole: list[bytes], tmp_path: Path
) -> None:
    job = Job(engine, tmp_path)
    job.attempt(inputs, lost_at=5)
    engine.load(Plan(profile="stream", text_encoder="stream", transformer="stream", vae="swap"))
    made, steps = job.attempt(inputs)
    engine.load(Plan())
    assert steps == [5, 6] and packets(made.path) == whole


def test_a_job_whose_worker_is_lost_goes_on_in_another(inputs: Inputs, engine: SkyReelsA2V, tmp_path: Path) -> None:
    """Lines are laid on the scene's clock anew for each attempt: it is the same film all the same."""
    line = SpokenLine("l", "Inês", "ah", inputs.files["input_audio"], 0.0, SECONDS)
    spoken = Inputs(files={"input_image": inputs.files["input_image"]}, lines=(line,), duration=SECONDS)
    options = {"width": SIDE, "height": SIDE, "num_inference_steps": STEPS}
    said = scene("talking_avatar", input_image="x", resolution="480P", options={engine.id: options})
    kept, told = dict[str, JSON](), list[int]()

    def listen(event: Any) -> None:
        if isinstance(event, Kept):
            kept[event.key] = event.value
        if isinstance(event, Progress) and event.note == "decode":
            told.append(event.done)
            if told == [2, 4]:
                raise Lost

    def attempt(number: int) -> Any:
        assignment = Assignment(
            "job", number, engine.id, said.model_dump(mode="json"), spoken, Plan(), SEED, tmp_path / "take",
            tmp_path / "small", kept=dict(kept), scratch=tmp_path / "scratch",
        )  # fmt: skip
        manager = PipelineManager()
        try:
            return perform(assignment, manager, listen, lambda: False)
        finally:
            manager.close()

    with pytest.raises(Lost):
        attempt(1)
    finished = attempt(2)
    assert isinstance(finished, Finished) and finished.facts["resumed_windows"] == 1
    assert told == [2, 4, 4, 6] and finished.facts["num_frames"] == 100


def test_only_what_is_still_needed_is_laid_aside(engine: SkyReelsA2V, inputs: Inputs, tmp_path: Path) -> None:
    job = Job(engine, tmp_path)
    job.attempt(inputs)
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == [
        "window-000.safetensors",  # the key frames
        "window-001.mkv", "window-002.mkv", "window-002.safetensors",
    ]  # fmt: skip


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    run = Run(1, Inputs(), Plan(), tmp_path / "made", tmp_path / "small")
    frames = np.random.default_rng(0).integers(0, 256, (5, 46, 62, 3), np.uint8)
    one, two = torch.randn(2, 3), torch.randn(4)
    finished = Windows(run, "film")
    finished.add(frames, {"keys": one, "motion": two})
    finished.add(frames[:0], {"motion": two * 2})
    again = Windows(run, "film")
    assert (len(again), again.num_frames, again.resumed) == (2, 5, 2)
    assert np.array_equal(np.stack(list(again.frames(0))), frames) and not list(again.frames(1))
    assert torch.equal(again.left()["keys"], one) and torch.equal(again.left()["motion"], two * 2)
    assert len(Windows(run, "another film")) == 0
