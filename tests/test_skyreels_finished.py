"""Finished windows on disk: what is found again and what is not, and a disk that is full."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import skyreels_runs as runs
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from studio.errors import DiskFull
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.parts import SHELF
from studio.pipelines.skyreels_v3.finished import Finished

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 46, 62, 3), np.uint8)
ENGINE = "skyreels-v3-v2v-14b"
FULL = "Error while serializing: I/O error: No space left on device (os error 28)"  # safetensors' words for it


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(1, Inputs(), Plan(), tmp_path / "made", tmp_path / "small")


def test_a_window_that_was_ended_early_is_there_for_this_attempt_alone(run: Run) -> None:
    """Another one would take it for a whole window."""
    finished = Finished(run, "film")
    finished.add(FRAMES, {"motion": torch.zeros(2)})
    finished.add(FRAMES[:2], {"motion": torch.ones(2)}, whole=False)
    assert np.array_equal(np.stack(list(finished.frames(1))), FRAMES[:2]) and finished.num_frames == 7
    again = Finished(run, "film")
    assert len(again) == 1 and torch.equal(again.left()["motion"], torch.zeros(2))
    again.add(FRAMES, {"motion": torch.ones(2) * 2})
    assert Finished(run, "film").num_frames == 10


def test_a_disk_that_is_full_says_so(run: Run) -> None:
    finished = Finished(run, "film")
    with patch("safetensors.torch.save_file", side_effect=SafetensorError(FULL)), pytest.raises(DiskFull):
        finished.add(FRAMES, {"motion": torch.zeros(2)})
    assert len(Finished(run, "film")) == 0


class Job:
    """Attempts at an extension of two rolls."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept, self.told = folder, dict[str, Any](), list[int]()
        self.engine = runs.loaded(ENGINE)
        self.scene = runs.scene_of("single_shot_extension", input_video="x", duration=6.0)
        self.files = {"input_video": runs.clip(folder / "clip.mp4", 40)}

    def attempt(self, number: str = "1", options: Any = (), **more: Any) -> np.ndarray:
        self.told.clear()
        run = runs.run_of(
            self.files, 6.0, self.folder, scratch=self.folder / number, kept=self.kept,
            commit=lambda key, value: self.kept.update({key: value}),
            **{"report": lambda done, total, preview: self.told.append(done), **more},
        )  # fmt: skip
        saved = runs.Saved(run)
        small = {"width": 32, "height": 32, "num_inference_steps": 4, **dict(options)}
        self.facts = self.engine.run(self.scene, self.engine.Options(**small), run).facts
        return np.stack(saved.frames)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    runs.put_on_shelf([ENGINE], tmp_path / "models", tmp_path / "repositories")
    monkeypatch.setenv(SHELF, str(tmp_path / "models"))
    torch.set_num_threads(1)
    job = Job(tmp_path)
    yield job
    job.engine.close()


def test_after_an_early_end_that_could_not_be_saved_all_of_it_is_made(job: Job) -> None:
    """A roll that was ended early leaves nothing that the next one could go on from."""
    whole = job.attempt("whole")
    job.kept.clear()
    full = patch("studio.media.writer._commit", side_effect=DiskFull("disk.full", path="x", free=0))
    with full, pytest.raises(DiskFull):
        job.attempt(enough=lambda: len(job.told) >= 3)
    assert job.told == [1, 2, 3]
    assert np.array_equal(job.attempt(), whole)


def test_rolls_with_a_lora_that_was_changed_meanwhile_are_not_gone_on_from(job: Job) -> None:
    file = job.folder / "models" / "loras" / "style.safetensors"
    file.parent.mkdir()
    wide = (
        job.engine.pipe.transformer.config.num_attention_heads * job.engine.pipe.transformer.config.attention_head_dim
    )
    query = "diffusion_model.blocks.0.self_attn.q"

    def put(value: float) -> None:
        pair = {"lora_A": torch.full((4, wide), value), "lora_B": torch.full((wide, 4), value)}
        save_file({f"{query}.{name}.weight": tensor for name, tensor in pair.items()}, file)

    options = {"loras": [{"file": file.name}]}
    put(0.1)
    with patch("studio.media.writer._commit", side_effect=OSError("lost")), pytest.raises(OSError, match="lost"):
        job.attempt(options=options)
    job.attempt(options=options)
    assert job.told == [], "nothing was left to do"
    put(0.2)
    job.attempt(options=options)
    assert len(job.told) == 8


def test_a_film_that_was_ended_between_two_rolls_says_so(job: Job) -> None:
    phases: list[str] = []
    assert len(job.attempt(phase=phases.append, enough=lambda: "decode" in phases)) == 132
    assert job.told == [1, 2, 3, 4] and job.facts["stopped_at"] == 4
