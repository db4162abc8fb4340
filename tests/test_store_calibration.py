"""What runs teach: real over predicted, in bounds, newest first; and what the machine was measured to be."""

from pathlib import Path
from typing import Any

import pytest
from store_tools import open_store

from studio.pipelines.memory.profiles import UNTAUGHT
from studio.store import Store
from studio.store.calibration import MEMORY, TIME


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def learn(store: Store, *, engine: str = "one", profile: str = "hybrid", **more: Any) -> None:
    """A run: 100 bytes of weights and 100 of work were predicted, and 2 s a step."""
    plan = {
        "peak_bytes": 200, "working_bytes": 100, "phase": "denoise", "step_seconds": 2.0, **more.pop("plan", {}),
    }  # fmt: skip
    facts = {"profile": profile, "peak_bytes": 200, "step_seconds": 2.0, "steps": 4, "plan": plan, **more}
    store.calibration.learn(engine, "text_to_video", facts, (832, 480, 81))


def test_nothing_is_learnt_without_history_and_without_a_plan(store: Store) -> None:
    learn(store, plan={"peak_bytes": 0})
    learn(store, oom_retries=1, peak_bytes=900)  # it ran by another plan than the one that was predicted
    assert store.calibration.learnt("one") == UNTAUGHT


def test_memory_is_the_median_of_what_is_no_weight(store: Store) -> None:
    for peak in (210, 220, 290):
        learn(store, peak_bytes=peak)
    learn(store, engine="other", peak_bytes=150)
    assert store.calibration.learnt("one").memory == {"denoise": pytest.approx(1.2)}


def test_a_phase_teaches_only_itself(store: Store) -> None:
    learn(store, peak_bytes=230, plan={"phase": "decode"})
    assert store.calibration.learnt("one").memory == {"decode": pytest.approx(1.3)}


def test_factors_are_bounded(store: Store) -> None:
    learn(store, peak_bytes=5000, step_seconds=1e6)
    found = store.calibration.learnt("one")
    assert (found.memory["denoise"], found.time["hybrid"]) == (MEMORY[1], TIME[1])
    for _ in range(3):
        learn(store, peak_bytes=20, step_seconds=1e-6)
    found = store.calibration.learnt("one")
    assert (found.memory["denoise"], found.time["hybrid"]) == (MEMORY[0], TIME[0])


def test_time_is_learnt_by_profile_and_for_the_others_together(store: Store) -> None:
    learn(store, step_seconds=4.0)
    learn(store, step_seconds=6.0, profile="tight")
    found = store.calibration.learnt("one")
    assert found.time == {"hybrid": 2.0, "tight": 3.0, "": 2.5}
    assert (found.slower("tight"), found.slower("disk"), UNTAUGHT.slower("disk")) == (3.0, 2.5, 1.0)


def test_what_was_learnt_before_is_not_learnt_twice(store: Store) -> None:
    """The second run was predicted with the factors of the first, and they were right."""
    learn(store, peak_bytes=220, step_seconds=3.0)
    learned = {"peak_bytes": 220, "working_bytes": 120, "learnt_memory": 1.2, "step_seconds": 3.0, "learnt_time": 1.5}
    learn(store, peak_bytes=220, step_seconds=3.0, plan=learned)
    found = store.calibration.learnt("one")
    assert found.memory["denoise"] == pytest.approx(1.2) and found.time["hybrid"] == pytest.approx(1.5)


def test_a_cpu_that_does_not_count_its_peak_teaches_time_alone(store: Store) -> None:
    learn(store, peak_bytes=0, step_seconds=1.0)
    found = store.calibration.learnt("one")
    assert not found.memory and found.time["hybrid"] == 0.5


def test_steps_that_a_cache_skipped_teach_no_time(store: Store) -> None:
    learn(store, step_seconds=0.5, skipped_forwards=3)
    assert store.calibration.learnt("one").time == {}
    learn(store, step_seconds=4.0, skipped_forwards=0)
    assert store.calibration.learnt("one").time["hybrid"] == 2.0


def test_measuring_the_machine_begins_time_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.calibration.machine() == ({}, "")
    learn(store, step_seconds=8.0)
    monkeypatch.setattr("studio.store.calibration.now", lambda: "2999-01-01T00:00:00.000Z")
    store.calibration.save({"copy_gb_s": 20.0, "tflops": 100.0})
    assert store.calibration.machine() == ({"copy_gb_s": 20.0, "tflops": 100.0}, "2999-01-01T00:00:00.000Z")
    assert store.calibration.learnt("one").time == {} and store.calibration.learnt("one").memory
    store.calibration.save({"tflops": 90.0})
    assert store.calibration.machine()[0] == {"copy_gb_s": 20.0, "tflops": 90.0}
