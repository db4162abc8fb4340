"""A voice that says half of a line, waits until somebody heard it, and then says the rest. For test_api_sound.py."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from studio.pipelines.base import Engine, Limits, Made, Run

RATE = 16_000
PIECE = RATE // 2  # samples
PATIENCE = 60.0  # seconds until it gives the test up


class SlowVoice(Engine):
    id = "slow-voice"
    tasks = frozenset({"speech"})
    lane = "cpu"
    limits = Limits()

    class Options(Engine.Options):
        marker: str  # a file that whoever heard the first half writes

    def run(self, scene: Any, options: Options, run: Run) -> Made:
        piece = np.linspace(0, 0.5, PIECE, dtype=np.float32)
        run.phase("steps")
        run.sound(piece, RATE)
        until = time.monotonic() + PATIENCE
        while not Path(options.marker).exists():
            run.step(0, 2)
            assert time.monotonic() < until, "nobody listened"
            time.sleep(0.002)
        run.sound(-piece, RATE)
        return Made(run.save_audio(np.concatenate([piece, -piece]), RATE))
