"""An engine that makes every task in milliseconds, with real tiny files; and one that fails the way it is told to.

A prompt may carry an order: "fail", "full" (disk full), "lost" (the worker died), "wait" (until somebody cancels).
Registered by tests/conftest.py; its takes are no drafts.
"""

import errno
import time
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from pydantic import BaseModel

from studio.domain import TaskType
from studio.errors import EngineError, Unavailable
from studio.pipelines.base import Engine, Made, Run

FPS, SIZE = 8, (32, 48)  # frames per second; height, width
RATE = 8_000  # Hz
SECONDS_PER_LETTER = 0.05
PATIENCE = 20.0  # seconds that "wait" waits before it gives the test up

MADE: list[tuple[str, str, str]] = []  # (task, label, what was said): one for each run, in order
ON_RUN: list[Callable[[Any, Run], None]] = []  # called at the start of each run


class Instant(Engine):
    id = "instant"
    tasks = frozenset(get_args(TaskType))
    lane = "cpu"

    class Options(BaseModel, extra="forbid"):
        grey: int = 90

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        MADE.append((scene.task_type, scene.label, " ".join(line.text for line in scene.lines)))
        for hook in list(ON_RUN):
            hook(scene, run)
        _obey(scene, run)
        if scene.task_type == "speech":
            seconds = max(0.25, SECONDS_PER_LETTER * len(scene.lines[0].text))
            samples = np.full(round(seconds * RATE), 0.1, np.float32)
            return Made(run.save_audio(samples, RATE), {"voice": scene.lines[0].voice})
        if scene.task_type == "text_to_image":
            return Made(run.save_image(np.full((*SIZE, 3), options.grey, np.uint8)))
        count = max(1, round((run.inputs.duration or 0.5) * FPS))
        frames = (np.full((*SIZE, 3), (options.grey + run.seed) % 256, np.uint8) for _ in range(count))
        return Made(run.save_video(frames, FPS, count))


def _obey(scene: Any, run: Run) -> None:
    said = " ".join([scene.prompt, *(line.text for line in scene.lines)])
    if "fail" in said:
        raise EngineError("engine.failed", engine="instant", reason="told to")
    if "full" in said:
        raise OSError(errno.ENOSPC, "no space left on device")
    if "lost" in said:
        raise Unavailable("worker.died", how="told to")
    if "wait" in said:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            run.step(0, 10)
            time.sleep(0.005)
        raise AssertionError("nobody came")


class Other(Instant):
    id = "other"
