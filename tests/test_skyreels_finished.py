"""Finished windows on disk: what is found again and what is not, and a disk that is full."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import skyreels_runs as runs
import torch
from safetensors import SafetensorError

from studio.errors import DiskFull
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.parts import SHELF
from studio.pipelines.skyreels_v3.finished import Finished

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 46, 62, 3), np.uint8)
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


def test_after_an_early_end_that_could_not_be_saved_all_of_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A roll that was ended early leaves nothing that the next one could go on from."""
    engine_id, kept, told = "skyreels-v3-v2v-14b", dict[str, Any](), list[int]()
    runs.put_on_shelf([engine_id], tmp_path / "models", tmp_path / "repositories")
    monkeypatch.setenv(SHELF, str(tmp_path / "models"))
    torch.set_num_threads(1)
    engine = runs.loaded(engine_id)
    scene = runs.scene_of("single_shot_extension", input_video="x", duration=6.0)
    options = engine.Options(width=32, height=32, num_inference_steps=4)
    files = {"input_video": runs.clip(tmp_path / "clip.mp4", 40)}

    def attempt(**more: Any) -> np.ndarray:
        run = runs.run_of(files, 6.0, tmp_path, scratch=tmp_path / "scratch", **more)
        saved = runs.Saved(run)
        engine.run(scene, options, run)
        return np.stack(saved.frames)

    whole = attempt(commit=lambda key, value: None)
    full = patch("studio.media.writer._commit", side_effect=DiskFull("disk.full", path="x", free=0))
    with full, pytest.raises(DiskFull):
        attempt(
            report=lambda done, total, preview: told.append(done), enough=lambda: len(told) >= 3,
            commit=lambda key, value: kept.update({key: value}),
        )  # fmt: skip
    assert told == [1, 2, 3]
    assert np.array_equal(attempt(kept=kept), whole)
    engine.close()
