"""A thousand lives of a queue, in four parts so that they run side by side."""

import os
from collections.abc import Iterator
from typing import Any

import life
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from studio import logs
from studio.media import probe, sound
from studio.pipelines import ENGINES, engine_class

LIVES, STEPS, PARTS = int(os.environ.get("LANTERNA_LIVES", "1000")), 16, 4


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = dict(os.environ)
    monkeypatch.setitem(ENGINES, "paper", "life:Paper")
    monkeypatch.setattr(probe, "probe", life.looked_at)
    monkeypatch.setattr(sound, "write_soundtrack", lambda path, said, duration: path.write_text("sound"))
    monkeypatch.setattr(os, "fsync", lambda number: None)
    monkeypatch.setattr(logs, "start", lambda *_: None)  # a thousand studios would open a thousand log files
    yield
    engine_class.cache_clear()
    os.environ.clear()
    os.environ.update(environment)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_take_is_lost_or_doubled(paper: Any, part: int) -> None:
    lives = settings(
        max_examples=LIVES // PARTS, stateful_step_count=STEPS, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(seed(part)(life.Life), settings=lives)
