"""Runs of SkyReels-V3 engines at tiny size: weights on a shelf, clips whose frames say their number."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models

from studio.domain import SceneAdapter
from studio.media.writer import write_video
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.pool import Pool

SIDE = 32  # pixels
STEPS = 2


def put_on_shelf(engine_ids: Sequence[str], models: Path, folders: Path) -> None:
    """The weights of these engines alone."""
    repos = {part.repo for name in engine_ids for part in engine_class(name).parts}
    named = {repo: [str(tiny_models.build(repo, folders / repo.replace("/", "--")))] for repo in sorted(repos)}
    models.mkdir(parents=True, exist_ok=True)
    (models / "folders.json").write_text(json.dumps(named), "utf-8")


def clip(path: Path, count: int, fps: int = 24, audio: Path | None = None, size: tuple[int, int] = (64, 32)) -> Path:
    """Frame i is grey 4 * i, so that its brightness says its number; 63 at most."""
    width, height = size
    frames = (np.full((height, width, 3), 4 * i, np.uint8) for i in range(count))
    posters = path.with_suffix("")
    write_video(path, frames, fps, count, layout="rgb24", audio=audio, comment={}, posters=posters)
    return path


def number(frame: Any) -> int:
    """Of a clip's frame, from its brightness in 0..255."""
    return round(float(np.asarray(frame).mean()) / 4)


def loaded(engine_id: str) -> Any:
    engine = engine_class(engine_id)()
    engine.pool = Pool()
    engine.load(Plan())
    engine._picture = lambda: None  # the preview asks the VAE for its colours
    return engine


def scene_of(task: str, **more: Any) -> Any:
    return SceneAdapter.validate_python({"task_type": task, "prompt": "a lighthouse", "seed": 1, **more})


def run_of(files: dict[str, Path], seconds: float, folder: Path, seed: int = 1, **more: Any) -> Run:
    inputs = Inputs(files=files, duration=seconds, soundtrack=more.pop("soundtrack", None))
    return Run(seed, inputs, Plan(), folder / "made", folder / "small", **more)


class Saved:
    """Frames as they went to the Writer, and with what."""

    def __init__(self, run: Run) -> None:
        self.frames: list[np.ndarray] = []
        self.audio: Path | None = None
        self._save, run.save_video = run.save_video, self._watched  # type: ignore[method-assign]

    def _watched(self, frames: Any, fps: float, num_frames: int, **named: Any) -> Path:
        self.frames.clear()  # what is saved again counts
        self.fps, self.num_frames, self.audio = fps, num_frames, named.get("audio")
        return self._save(self._noted(frames), fps, num_frames, **named)

    def _noted(self, frames: Any) -> Any:
        for frame in frames:
            self.frames.append(np.array(frame))
            yield frame
