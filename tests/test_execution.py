"""One contract for every executor, in this process and in a worker: what a job says, keeps, leaves and survives."""

import itertools
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tiny_engines

from studio import pipelines, tools
from studio.domain import SpokenLine, new_id
from studio.errors import DiskFull, EngineError, NotFound, OutOfMemory, Refused
from studio.execution import (
    PREVIEW_BYTES,
    Assignment,
    Event,
    Executor,
    Failed,
    Finished,
    Kept,
    Loaded,
    Preview,
    Progress,
    Started,
    ToolDone,
)  # fmt: skip
from studio.execution.inprocess import InProcess
from studio.execution.process import WorkerProcess
from studio.execution.wire import WorkerSettings
from studio.execution.work import perform, read_sidecar, sidecar_path
from studio.media.probe import probe
from studio.media.sound import save
from studio.pipelines.base import Inputs, Plan
from studio.pipelines.manager import PipelineManager

SETTINGS = WorkerSettings(engines=tiny_engines.ENGINES, tools=tiny_engines.TOOLS)


def assignment(folder: Path, task_type: str = "text_to_video", engine: str = "tiny", **options: Any) -> Assignment:
    task: dict[str, Any] = {"task_type": task_type, "prompt": "a lamp", "options": {engine: options}}
    if task_type == "speech":
        task["lines"] = [{"text": "hello"}]
    return Assignment(
        job_id=new_id(), attempt=1, engine=engine, task=task, inputs=Inputs(), plan=Plan(), seed=7,
        out=folder / "out" / "shot 1", posters=folder / "posters" / "shot 1", comment={"prompt": "a lamp"},
    )  # fmt: skip


def last(events: Iterator[Event]) -> Event:
    *_, final = events
    return final


def failure(events: Iterator[Event]) -> Failed:
    final = last(events)
    assert isinstance(final, Failed), final
    return final


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


class Contract:
    """Inherited by the tests of each executor."""

    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------- a job
    def test_a_job_tells_its_story_and_leaves_a_whole_file(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path, frames=5)
        first, loaded, *between, final = executor.submit(job)
        assert first == Started(loads=True) and isinstance(loaded, Loaded)
        assert all(isinstance(event, Progress | Preview) for event in between)
        assert [event for event in between if isinstance(event, Progress)][-1] == Progress(5, 5)
        assert isinstance(final, Finished) and final.path == tmp_path / "out" / "shot 1.mp4"
        looked = probe(final.path)
        told = {name: final.facts[name] for name in ("kind", "width", "height", "fps", "num_frames", "duration")}
        assert told == {name: getattr(looked, name) for name in told}
        assert final.facts["bytes"] == final.path.stat().st_size and final.facts["profile"] == "cpu"
        assert names(tmp_path / "out") == {"shot 1.mp4", "shot 1.mp4.json"}
        sidecar = read_sidecar(sidecar_path(final.path))
        assert sidecar and (sidecar["job_id"], sidecar["attempt"], sidecar["seed"]) == (job.job_id, 1, 7)
        assert sidecar["facts"] == final.facts and sidecar["settings"] == {"prompt": "a lamp"}
        again = replace(assignment(tmp_path, frames=5), out=tmp_path / "out" / "shot 2")
        first, *rest = executor.submit(again)
        assert first == Started() and not any(isinstance(event, Loaded) for event in rest)  # it is there now
        assert names(tmp_path / "posters") == {"shot 1.poster.jpg", "shot 1.strip.jpg"}

    @pytest.mark.parametrize(
        ("task", "name", "kind"), [("text_to_image", "shot 1.png", "image"), ("speech", "shot 1.wav", "audio")]
    )
    def test_pictures_and_sound_too(self, executor: Executor, tmp_path: Path, task: str, name: str, kind: str) -> None:
        final = last(executor.submit(assignment(tmp_path, task)))
        assert isinstance(final, Finished) and final.path.name == name and final.facts["kind"] == kind
        assert names(tmp_path / "out") == {name, name + ".json"}

    def test_lines_become_the_soundtrack(self, executor: Executor, tmp_path: Path) -> None:
        voice = tmp_path / "voice.wav"
        save(voice, np.full(24_000, 0.3, np.float32), 48_000)
        line = SpokenLine("L1", "Ana", "hello", voice, start=0.25, duration=0.5)
        job = replace(assignment(tmp_path), inputs=Inputs(lines=(line,), duration=1.0))
        final = last(executor.submit(job))
        assert isinstance(final, Finished)
        looked = probe(final.path)
        assert looked.has_audio and looked.num_frames == 24
        assert names(tmp_path / "out") == {"shot 1.mp4", "shot 1.mp4.json"}

    def test_a_preview_is_small(self, executor: Executor, tmp_path: Path) -> None:
        previews = [e for e in executor.submit(assignment(tmp_path, preview=True)) if isinstance(e, Preview)]
        assert previews and previews[0].jpeg.startswith(b"\xff\xd8")
        assert 1000 < len(previews[0].jpeg) <= PREVIEW_BYTES

    # ---------------------------------------------------------------------------------------- what is kept
    def test_keep_returns_after_the_caller_has_committed(self, executor: Executor, tmp_path: Path) -> None:
        marker = tmp_path / "marker"
        for event in executor.submit(assignment(tmp_path, marker=str(marker))):
            if isinstance(event, Kept):
                assert event == Kept("order", 17)
                threading.Event().wait(0.05)  # a commit takes its time; an engine that did not wait would be past it
                marker.touch()
        assert isinstance(event, Finished) and event.facts["committed"]

    def test_what_was_kept_is_given_to_the_next_attempt(self, executor: Executor, tmp_path: Path) -> None:
        final = last(executor.submit(replace(assignment(tmp_path), attempt=2, kept={"order": 17})))
        assert isinstance(final, Finished) and final.facts["kept"] == {"order": 17}

    # ---------------------------------------------------------------------------------------- failures
    @pytest.mark.parametrize(
        ("trouble", "expected"),
        [
            ("refused", Refused("scene.field", scene="3 · Lamp", field="ref_imgs", reason={"most": 4})),
            ("memory", OutOfMemory("engine.out_of_memory", engine="tiny")),
            ("bug", EngineError("engine.failed", engine="tiny", reason="ZeroDivisionError: frames of nothing")),
        ],
    )
    def test_an_error_comes_back_with_its_code(
        self, executor: Executor, tmp_path: Path, trouble: str, expected: Any
    ) -> None:
        failed = failure(executor.submit(assignment(tmp_path, trouble=trouble)))
        assert type(failed.error) is type(expected) and failed.error.as_dict() == expected.as_dict()
        assert not failed.transient
        assert names(tmp_path) == set()

    def test_a_full_disk_has_its_own_name(self, executor: Executor, tmp_path: Path) -> None:
        failed = failure(executor.submit(assignment(tmp_path, trouble="full")))
        assert type(failed.error) is DiskFull and failed.code == "disk.full"
        assert names(tmp_path) == set()

    def test_an_unknown_engine_and_an_unknown_knob(self, executor: Executor, tmp_path: Path) -> None:
        failed = failure(executor.submit(assignment(tmp_path, engine="sora-3")))
        assert isinstance(failed.error, NotFound) and failed.code == "engine.unknown"
        failed = failure(executor.submit(assignment(tmp_path, steps=4)))
        assert failed.code == "engine.options" and failed.params["field"] == "steps"

    def test_after_every_failure_the_next_job_is_done(self, executor: Executor, tmp_path: Path) -> None:
        failure(executor.submit(assignment(tmp_path, trouble="bug")))
        assert isinstance(last(executor.submit(assignment(tmp_path))), Finished)

    # ---------------------------------------------------------------------------------------- cancelling
    def test_a_running_job_is_cancelled_at_its_next_step(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path, trouble="forever")
        for event in executor.submit(job):
            if isinstance(event, Progress):
                executor.cancel(job.job_id)
        assert isinstance(event, Failed) and event.code == "cancelled" and not event.transient
        assert names(tmp_path) == set()

    def test_a_job_is_known_and_cancelled_before_anybody_listens(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path)
        events = executor.submit(job)
        assert executor.adopt() == {job.job_id}
        executor.cancel(job.job_id)
        assert failure(events).code == "cancelled"
        assert executor.adopt() == set() and names(tmp_path) == set()

    def test_the_same_job_runs_again_after_a_cancel(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path)
        events = executor.submit(job)
        executor.cancel(job.job_id)
        failure(events)
        executor.cancel(job.job_id)  # too late: nothing to cancel
        assert isinstance(last(executor.submit(replace(job, attempt=2))), Finished)

    def test_a_job_that_waits_is_cancelled_without_waiting(self, executor: Executor, tmp_path: Path) -> None:
        running, waiting = assignment(tmp_path / "1", trouble="forever"), assignment(tmp_path / "2")
        events = executor.submit(running)
        next(events)
        said: list[Event] = []
        later = executor.submit(waiting)
        listener = threading.Thread(target=lambda: said.extend(later))
        listener.start()
        executor.cancel(waiting.job_id)
        listener.join(timeout=20)
        assert [type(event) for event in said] == [Failed] and said[0].code == "cancelled"  # type: ignore[union-attr]
        assert executor.adopt() == {running.job_id}
        executor.cancel(running.job_id)
        assert failure(events).code == "cancelled"

    def test_whoever_stops_listening_gives_the_work_up(self, executor: Executor, tmp_path: Path) -> None:
        for options in ({"trouble": "forever"}, {"marker": str(tmp_path / "marker")}):
            events = executor.submit(assignment(tmp_path, **options))
            while not isinstance(next(events), Progress | Kept):
                pass
            events.close()  # type: ignore[attr-defined]
        assert executor.adopt() == set()
        assert names(tmp_path) == set()
        assert isinstance(last(executor.submit(assignment(tmp_path))), Finished)

    # ---------------------------------------------------------------------------------------- enough
    def test_a_running_job_keeps_what_it_has_when_that_is_enough(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path, trouble="until_enough", frames=3)
        for event in executor.submit(job):
            if isinstance(event, Progress) and event.total == 0:
                executor.enough(job.job_id)
        assert isinstance(event, Finished) and event.facts["num_frames"] == 3
        executor.enough(job.job_id)  # too late: nothing happens

    def test_enough_is_known_before_anybody_listens_and_only_to_its_job(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        job = assignment(tmp_path, trouble="until_enough")
        events = executor.submit(job)
        executor.enough(job.job_id)
        assert isinstance(last(events), Finished)
        other = assignment(tmp_path / "2", trouble="until_enough")
        for event in executor.submit(other):
            if isinstance(event, Progress) and event.done >= 20:
                executor.cancel(other.job_id)
        assert isinstance(event, Failed) and event.code == "cancelled"

    # ---------------------------------------------------------------------------------------- phases and memory
    def test_phases_are_timed_and_how_it_was_made_is_kept(self, executor: Executor, tmp_path: Path) -> None:
        *events, final = executor.submit(assignment(tmp_path, phases=True))
        said = [event.note for event in events if isinstance(event, Progress)]
        assert [name for name, _ in itertools.groupby(said)] == ["text", "steps", "decode", "save"]
        assert isinstance(final, Finished) and final.facts["steps"] == 4
        assert set(final.facts["phases"]) >= {"text", "steps", "decode", "save"} and final.facts["step_seconds"] >= 0
        assert final.facts["revision"] == "abc"
        with av.open(str(final.path)) as container:
            assert json.loads(container.metadata["comment"]) == {"prompt": "a lamp", "made": {"revision": "abc"}}
        quiet = last(executor.submit(assignment(tmp_path / "2")))
        assert isinstance(quiet, Finished) and not {"phases", "steps", "step_seconds"} & set(quiet.facts)

    def test_it_says_how_much_memory_it_holds(self, executor: Executor, tmp_path: Path) -> None:
        job = assignment(tmp_path, trouble="forever")
        for event in executor.submit(job):
            held = executor.held()
            if isinstance(event, Progress) and held:
                assert 10_000_000 < held.ram_bytes < 10**11 and held.device_bytes == 0
                executor.cancel(job.job_id)
        assert isinstance(event, Failed) and event.code == "cancelled"

    # ---------------------------------------------------------------------------------------- tools
    def test_a_tool_reports_and_answers(self, executor: Executor) -> None:
        *progress, final = executor.call("test.double", {"number": 21})
        assert progress[-1] == Progress(2, 2) and final == ToolDone({"doubled": 42})

    def test_a_tool_refuses_breaks_or_is_not_there(self, executor: Executor) -> None:
        assert isinstance(failure(executor.call("test.refuse", {})).error, Refused)
        failed = failure(executor.call("test.double", {}))
        assert failed.code == "engine.failed" and failed.params["reason"] == "KeyError: 'number'"
        assert failure(executor.call("test.nothing", {})).code == "tool.unknown"

    def test_a_tool_is_cancelled(self, executor: Executor) -> None:
        job_id = new_id()
        events = executor.call("test.endless", {}, job_id=job_id)
        next(events)
        executor.cancel(job_id)
        assert failure(events).code == "cancelled"


def test_an_engine_that_steps_quickly_is_not_heard_each_time(tmp_path: Path) -> None:
    """48 frames, 0.05 s each by this clock: a report each 0.1 s and the last one, a preview each second."""
    events: list[Event] = []
    clock = itertools.count(0, 0.05)
    manager = PipelineManager(lambda _: tiny_engines.Tiny)
    perform(assignment(tmp_path, frames=48), manager, events.append, lambda: False, clock=clock.__next__)
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done[0] == 1 and done[-1] == 48 and 20 <= len(done) <= 27
    previews = [event for event in events if isinstance(event, Preview)]
    assert len(previews) == 3


def test_a_step_takes_what_the_last_ones_took(tmp_path: Path) -> None:
    """Twenty steps by a clock of our own: 1 s each, but for the first, which warms up, and one that waits."""
    now, told, facts = [0.0], [], {}

    class Stepping(tiny_engines.Tiny):
        def run(self, scene: Any, options: Any, run: Any) -> Any:
            run.phase("text")
            now[0] += 5
            run.phase("steps")
            for done in range(1, 21):
                now[0] += 30 if done in (1, 9) else 1
                run.step(done, 20)
            run.phase("decode")
            now[0] += 4
            return super().run(scene, options, run)

    def emit(event: Event) -> None:
        told.append(event)

    manager = PipelineManager(lambda _: Stepping)
    final = perform(assignment(tmp_path), manager, emit, lambda: False, clock=lambda: now[0])
    assert isinstance(final, Finished)
    facts = dict(final.facts)
    by_step = {e.done: e.step_seconds for e in told if isinstance(e, Progress) and e.note == "steps"}
    assert by_step[0] is None and by_step[1] == 30 and by_step[9] == 1 and by_step[20] == 1
    assert (facts["steps"], facts["step_seconds"]) == (20, 1)
    assert facts["phases"] == {"load": 0, "text": 5, "steps": 78, "decode": 4}


def test_the_plan_stands_in_the_facts(tmp_path: Path) -> None:
    plan = Plan("hybrid", transformer="stream", resident_blocks=12, peak_bytes=9_000_000_000)
    final = perform(
        replace(assignment(tmp_path), plan=plan), PipelineManager(lambda _: tiny_engines.Tiny), print, lambda: False
    )
    assert isinstance(final, Finished) and final.facts["profile"] == "hybrid"
    assert final.facts["plan"] == {
        "profile": "hybrid", "transformer": "stream", "resident_blocks": 12, "peak_bytes": 9_000_000_000,
    }  # fmt: skip


class TestInProcess(Contract):
    @pytest.fixture
    def executor(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        for name, where in tiny_engines.ENGINES.items():
            monkeypatch.setitem(pipelines.ENGINES, name, where)
        for name, where in tiny_engines.TOOLS.items():
            monkeypatch.setitem(tools.TOOLS, name, where)
        executor = InProcess()
        yield executor
        executor.close()

    def test_it_works_here(self, executor: Executor, tmp_path: Path) -> None:
        final = last(executor.submit(assignment(tmp_path)))
        assert isinstance(final, Finished) and final.facts["pid"] == os.getpid()


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    """One process for the whole contract: each test also shows that the one before left it in order."""
    worker = WorkerProcess(SETTINGS)
    yield worker
    worker.close()


class TestWorkerProcess(Contract):
    @pytest.fixture
    def executor(self, worker: WorkerProcess) -> Executor:
        return worker

    def test_it_works_elsewhere_and_stays(self, executor: Executor, tmp_path: Path) -> None:
        pids = set()
        for number in (1, 2):
            final = last(executor.submit(assignment(tmp_path / str(number))))
            assert isinstance(final, Finished)
            pids.add(final.facts["pid"])
        assert len(pids) == 1 and os.getpid() not in pids
