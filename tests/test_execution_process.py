"""The worker process: every way to die, who notices, what is left, and what the worker and its parent never load."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_execution import SETTINGS, assignment, failure, last, names

from studio import logs
from studio.errors import Unavailable
from studio.execution import Event, Failed, Finished, Kept, Progress, ToolDone, meter
from studio.execution.process import WorkerProcess
from studio.pipelines.base import Plan

ROOT = Path(__file__).resolve().parent.parent
Start = Callable[..., WorkerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(limits…, settings…) -> a worker that is closed after the test."""
    workers: list[WorkerProcess] = []

    def start(*, settings: dict[str, Any] | None = None, **limits: Any) -> WorkerProcess:
        workers.append(WorkerProcess(replace(SETTINGS, **(settings or {})), **limits))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def until(events: Iterator[Event], kind: Any) -> None:
    while not isinstance(next(events), kind):
        pass


# ------------------------------------------------------------------------------------------------ ways to die
def test_each_death_is_told_and_leaves_nothing_and_the_next_job_is_done(start: Start, tmp_path: Path) -> None:
    worker = start()
    pids = set()
    for trouble, how in (("kill", "SIGKILL"), ("segfault", "SIGSEGV"), ("exit", "exit 7")):
        failed = failure(worker.submit(assignment(tmp_path / trouble, trouble=trouble)))
        assert (failed.code, failed.params, failed.transient) == ("worker.died", {"how": how}, True)
        assert isinstance(failed.error, Unavailable)
        assert names(tmp_path / trouble) == set()
        assert worker.state == "off"
        final = last(worker.submit(assignment(tmp_path / f"after {trouble}")))
        assert isinstance(final, Finished)
        pids.add(final.facts["pid"])
    assert len(pids) == 3


def test_a_frozen_process_is_noticed_and_killed(start: Start, tmp_path: Path) -> None:
    worker = start(frozen_after=0.7)
    failed = failure(worker.submit(assignment(tmp_path, trouble="stop")))
    assert (failed.code, failed.transient, names(tmp_path)) == ("worker.frozen", True, set())
    assert isinstance(last(worker.submit(assignment(tmp_path))), Finished)


def test_a_step_that_never_ends_is_killed_though_the_heart_beats(start: Start, tmp_path: Path) -> None:
    failed = failure(start(stalled_after=0.7).submit(assignment(tmp_path, trouble="stuck")))
    assert (failed.code, failed.transient, names(tmp_path)) == ("worker.stalled", True, set())


def test_a_plan_of_long_steps_is_waited_for_longer(start: Start, tmp_path: Path) -> None:
    worker, stuck = start(stalled_after=0.2), assignment(tmp_path, trouble="stuck")
    failed = failure(worker.submit(replace(stuck, plan=replace(stuck.plan, step_seconds=0.5))))
    assert (failed.code, failed.params["seconds"]) == ("worker.stalled", 2)
    failed = failure(worker.submit(replace(stuck, plan=replace(stuck.plan, step_seconds=0.01))))
    assert (failed.code, failed.params["seconds"]) == ("worker.stalled", 0), "never less than the limit"


def test_who_does_not_stop_when_asked_is_killed(start: Start, tmp_path: Path) -> None:
    worker, job = start(cancel_grace=0.2), assignment(tmp_path, trouble="stuck")
    events = worker.submit(job)
    until(events, Progress)
    worker.cancel(job.job_id)
    failed = failure(events)
    assert (failed.code, failed.transient, names(tmp_path)) == ("cancelled", False, set())
    assert worker.state == "off"


def test_whoever_walks_away_from_a_stuck_job_gets_the_worker_back(start: Start, tmp_path: Path) -> None:
    worker = start(cancel_grace=0.2)
    events = worker.submit(assignment(tmp_path, trouble="stuck"))
    until(events, Progress)
    events.close()  # type: ignore[attr-defined]
    assert worker.adopt() == set() and names(tmp_path) == set()
    assert isinstance(last(worker.submit(assignment(tmp_path))), Finished)


def test_what_was_kept_outlives_the_worker(start: Start, tmp_path: Path) -> None:
    worker, committed = start(), {}
    job = assignment(tmp_path, marker=str(tmp_path / "marker"), trouble="kill")
    for event in worker.submit(job):
        if isinstance(event, Kept):
            committed[event.key] = event.value
    assert isinstance(event, Failed) and committed == {"order": 17}
    final = last(worker.submit(replace(assignment(tmp_path), attempt=2, kept=committed)))
    assert isinstance(final, Finished) and final.facts["kept"] == {"order": 17}


# ------------------------------------------------------------------------------------------------ around the name
def test_work_that_was_done_is_found_when_only_the_word_was_lost(start: Start, tmp_path: Path) -> None:
    worker = start(settings={"environment": {"LANTERNA_FAULT": "work.renamed:1"}})
    final = last(worker.submit(assignment(tmp_path)))
    assert isinstance(final, Finished) and final.path.is_file() and final.facts["num_frames"] == 5
    assert names(tmp_path / "out") == {"shot 1.mp4", "shot 1.mp4.json"}


def test_a_sidecar_without_its_file_says_nothing(start: Start, tmp_path: Path) -> None:
    worker = start(settings={"environment": {"LANTERNA_FAULT": "work.sidecar:1"}})
    assert failure(worker.submit(assignment(tmp_path))).code == "worker.died"
    assert names(tmp_path / "out") == set()


@pytest.mark.parametrize("point", ["worker.received", "worker.loaded", "writer.half", "work.sidecar", "work.renamed"])
def test_a_full_disk_anywhere_leaves_nothing_unfinished(start: Start, tmp_path: Path, point: str) -> None:
    worker = start(settings={"environment": {"LANTERNA_FAULT": f"{point}:1:enospc"}})
    failed = failure(worker.submit(assignment(tmp_path)))
    assert (failed.code, failed.kind) == ("disk.full", "DiskFull")
    assert not [name for name in names(tmp_path) if name.endswith((".part", ".mp4", ".json"))]
    assert isinstance(last(worker.submit(assignment(tmp_path))), Finished)


def test_a_strangers_file_beside_ours_is_left_alone(start: Start, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    strangers = {"shot 1.notes.json": '{"by": "hand"}', "shot 1.part": "x", "shot 10.mp4.part": "y", "a.json": "{"}
    for name, text in strangers.items():
        (tmp_path / "out" / name).write_text(text)
    failure(start().submit(assignment(tmp_path, trouble="kill")))
    assert {name: (tmp_path / "out" / name).read_text() for name in names(tmp_path / "out")} == strangers


# ------------------------------------------------------------------------------------------------ closing
def test_closing_ends_what_runs(start: Start, tmp_path: Path) -> None:
    worker = start()
    events = worker.submit(assignment(tmp_path, trouble="forever"))
    until(events, Progress)
    said: list[Event] = []
    listener = threading.Thread(target=lambda: said.extend(events))
    listener.start()
    worker.close()
    listener.join(timeout=20)
    assert isinstance(said[-1], Failed) and (said[-1].code, said[-1].transient) == ("worker.closed", True)
    assert names(tmp_path) == set() and worker.state == "off"
    assert failure(worker.submit(assignment(tmp_path))).code == "worker.closed"
    worker.close()


def test_a_worker_that_cannot_start_says_so(start: Start, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    worker = start(settings={"log_dir": tmp_path / "logs"})
    failed = failure(worker.submit(assignment(tmp_path)))
    assert (failed.code, failed.params) == ("worker.no_start", {"how": "exit 1"})


PARENT = """
import sys
from pathlib import Path
from test_execution import SETTINGS, assignment
from studio.execution import Finished, Progress
from studio.execution.process import WorkerProcess

if __name__ == "__main__":
    worker = WorkerProcess(SETTINGS)
    for event in worker.submit(assignment(Path(sys.argv[1]), trouble=sys.argv[2])):
        if isinstance(event, Progress if sys.argv[2] else Finished):
            print(worker.greeting.pid, flush=True)
    input()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits on a process that is not ours: Linux")
@pytest.mark.parametrize("trouble", ["stuck", ""])  # a worker that is busy, and one that is idle
def test_a_killed_parent_leaves_no_orphan(tmp_path: Path, trouble: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), trouble],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as parent:  # fmt: skip
        assert parent.stdout
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([orphan], [], [], 20)[0], "the worker outlived its parent"
    finally:
        os.close(orphan)


# ------------------------------------------------------------------------------------------------ what is loaded
def test_the_parents_side_loads_nothing_heavy() -> None:
    heavy = "{'cv2', 'torch', 'av', 'numpy', 'scipy', 'PIL', 'diffusers', 'transformers', 'gradio'}"
    code = f"import sys, studio.execution.process; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_worker_loads_no_face_and_obeys_its_settings(start: Start, tmp_path: Path) -> None:
    worker = start(settings={"threads": 1, "environment": {"HF_HOME": "/models"}})
    assert worker.state == "off" and worker.greeting is None
    assert isinstance(last(worker.submit(assignment(tmp_path))), Finished)
    told = last(worker.call("test.modules", {}))
    assert isinstance(told, ToolDone)
    tops = {".".join(name.split(".")[:2]) for name in told.result["modules"]}
    faces = {f"studio.{name}" for name in ("tabs", "api", "service", "app", "cli", "store", "runner", "story")}
    assert not tops & {"gradio", "fastapi", "uvicorn", "torch", "sqlite_utils", *faces}
    environment = told.result["environment"]
    assert environment["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert (environment["HF_HOME"], environment["OMP_NUM_THREADS"], told.result["cv2_threads"]) == ("/models", "1", 1)
    assert worker.state == "idle" and worker.greeting
    assert worker.greeting.pid == told.result["pid"] != os.getpid()
    assert {"av", "numpy"} <= worker.greeting.versions.keys()


def test_the_log_of_one_scene_is_found(start: Start, tmp_path: Path) -> None:
    worker = start(settings={"log_dir": tmp_path / "logs", "secrets": ("the lamp",)})
    for scene_id, trouble in (("SCENE1", "bug"), ("SCENE2", "")):
        job = assignment(tmp_path / scene_id, trouble=trouble)
        last(worker.submit(replace(job, scene_id=scene_id)))
    said = logs.read_scene_log(tmp_path / "logs", "SCENE1")
    assert "ZeroDivisionError: frames of nothing" in said and "Traceback" in said and "SCENE2" not in said
    assert "finished" in logs.read_scene_log(tmp_path / "logs", "SCENE2")


def test_after_an_unnamed_failure_on_a_device_the_process_is_replaced(start: Start, tmp_path: Path) -> None:
    worker = start()
    on_device = replace(assignment(tmp_path), plan=Plan("resident", "cuda"))
    before = last(worker.submit(on_device))
    broken = replace(assignment(tmp_path, trouble="bug"), plan=on_device.plan)
    assert failure(worker.submit(broken)).code == "engine.failed"
    after = last(worker.submit(replace(assignment(tmp_path), attempt=2)))
    assert isinstance(before, Finished) and isinstance(after, Finished)
    assert before.facts["pid"] != after.facts["pid"]


# ------------------------------------------------------------------------------------------------ memory
def test_its_last_word_about_memory_is_what_stays(start: Start, tmp_path: Path) -> None:
    """A plan for the next job counts on what an idle worker holds, not on what it held in the middle of the last."""
    worker = start()
    heard: list[Any] = []
    hear = worker._hear
    worker._hear = lambda seconds: heard.append(hear(seconds)) or heard[-1]  # type: ignore[method-assign,func-returns-value]
    assert isinstance(last(worker.submit(assignment(tmp_path))), Finished)
    words = [word for word in heard if word is not None]
    assert [type(word).__name__ for word in words[-2:]] == ["Beat", "Said"]


def test_what_torch_keeps_for_itself_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver says that it is taken; our next run can have it."""
    cuda = SimpleNamespace(is_initialized=lambda: True, memory_allocated=lambda: 1, memory_reserved=lambda: 5)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert meter.held().device_bytes == 5
