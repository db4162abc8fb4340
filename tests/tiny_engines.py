"""Engines and tools for the tests of studio.execution: as small as can be, and able to go wrong in every way."""

import ctypes
import errno
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from studio.errors import Refused
from studio.pipelines.base import Engine, Made, Plan, Run

FPS = 24.0
LOADS: list[str] = []  # what in-process engines were told, in order

Trouble = Literal[
    "", "kill", "segfault", "exit", "memory", "stop", "full", "refused", "bug", "forever", "stuck", "until_enough"
]  # fmt: skip


class Tiny(Engine):
    """A few grey frames of 96x64, or one of the troubles, after the first frame."""

    id = "tiny"
    tasks = frozenset({"text_to_video", "single_shot_extension", "talking_avatar", "text_to_image", "speech"})

    class Options(BaseModel, extra="forbid"):
        frames: int = 5
        trouble: Trouble = ""  # "forever" steps and never ends, "until_enough" until told, "stuck" does not step
        marker: str = ""  # a file that whoever commits what is kept writes; `committed`: it was there after `keep`
        preview: bool = False
        phases: bool = False  # says what it does, and takes four steps

    def load(self, plan: Plan) -> None:
        LOADS.append(f"load {self.id}")

    def park(self) -> None:
        LOADS.append(f"park {self.id}")

    def close(self) -> None:
        LOADS.append(f"close {self.id}")

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        facts = {"kept": dict(run.kept), "pid": os.getpid()}
        if options.marker:
            run.keep("order", 17)
            facts["committed"] = Path(options.marker).exists()
        if options.preview:
            noise = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
            run.step(0, options.frames, lambda: noise)
        if scene.task_type == "text_to_image":
            return Made(run.save_image(np.full((64, 96, 3), 90, np.uint8)), facts)
        if scene.task_type == "speech":
            return Made(run.save_audio(np.zeros(24_000, np.float32), 24_000), facts)
        if options.phases:
            for phase, steps in (("text", 0), ("steps", 4), ("decode", 0), ("save", 0)):
                run.phase(phase)
                for done in range(1, steps + 1):
                    run.step(done, steps)
            run.describe(revision="abc")
        frames = self._frames(options, run)
        count = options.frames if run.inputs.duration is None else round(run.inputs.duration * FPS)
        return Made(run.save_video(itertools.islice(frames, count), FPS, count), facts)

    def _frames(self, options: Any, run: Run) -> Any:
        for number in itertools.count():
            yield np.full((64, 96, 3), number * 9 % 256, np.uint8)
            if number == 0:
                _trouble(options.trouble, run)


class Other(Tiny):
    id = "other"


def _trouble(kind: Trouble, run: Run) -> None:
    match kind:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "memory":
            raise MemoryError
        case "full":
            raise OSError(errno.ENOSPC, "no space left on device")
        case "refused":
            raise Refused("scene.field", scene="3 · Lamp", field="ref_imgs", reason={"most": 4})
        case "bug":
            raise ZeroDivisionError("frames of nothing")
        case "forever":
            for step in itertools.count():
                run.step(step, 0)
                time.sleep(0.002)
        case "until_enough":
            for step in itertools.count():
                run.step(step, 0)
                if run.enough:
                    return
                time.sleep(0.002)
        case "stuck":
            threading.Event().wait()


# ------------------------------------------------------------------------------------------------ tools
def double(arguments: dict[str, Any], run: Any) -> Any:
    for done in (1, 2):
        run.step(done, 2)
    return {"doubled": arguments["number"] * 2}


def refuse(arguments: dict[str, Any], run: Any) -> Any:
    raise Refused("scene.field", scene="", field="path", reason="no")


def endless(arguments: dict[str, Any], run: Any) -> Any:
    for step in itertools.count():
        run.step(step, 0)
        time.sleep(0.002)


def modules(arguments: dict[str, Any], run: Any) -> Any:
    """What this process has loaded, and what it was told."""
    import cv2

    return {
        "pid": os.getpid(),
        "modules": sorted(sys.modules),
        "environment": dict(os.environ),
        "cv2_threads": cv2.getNumThreads(),
    }


ENGINES = {"tiny": "tiny_engines:Tiny", "other": "tiny_engines:Other"}
TOOLS = {f"test.{f.__name__}": f"tiny_engines:{f.__name__}" for f in (double, refuse, endless, modules)}
