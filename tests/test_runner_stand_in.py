"""An engine that fails is replaced by the next one that `auto` would take: by whom, when, where, and what is said."""

from collections.abc import Callable, Iterator
from typing import Any

import instant_engine
import pytest
from runner_tools import add, states

from studio.domain import VoiceFields
from studio.errors import EngineError, OutOfMemory, Refused, StudioError, Unavailable
from studio.execution import Failed
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Limits
from studio.runner import stand_in
from studio.service import Studio

FAILS: dict[str, Callable[[], StudioError]] = {}  # by engine: how its runs end
DEAR = False  # does the second engine cost money?


class First(instant_engine.Instant):
    id = "first"

    def run(self, scene: Any, options: Any, run: Any) -> Any:
        if self.id in FAILS:
            raise FAILS[self.id]()
        return super().run(scene, options, run)


class Second(First):
    id = "second"
    lane = "gpu"


class Third(First):
    id = "third"


@pytest.fixture
def engines(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """`first` and `second` are there and ready, in this order, and the draft engine; nothing else."""
    kept = {name: ENGINES[name] for name in ("draft",)}
    for name in list(ENGINES):
        monkeypatch.delitem(ENGINES, name)
    for name, where in {
        "first": "test_runner_stand_in:First", "second": "test_runner_stand_in:Second", **kept
    }.items():  # fmt: skip
        monkeypatch.setitem(ENGINES, name, where)
    FAILS.clear()
    yield FAILS
    FAILS.clear()
    engine_class.cache_clear()


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Night pier", frame={"width": 256, "height": 144})["id"])


def broken(engine: str = "first") -> Callable[[], StudioError]:
    return lambda: EngineError("engine.failed", engine=engine, reason="it broke")


def finished(studio: Studio, queue: str) -> tuple[str, str | None, Any]:
    """(state, engine of the take, why it stood in) of the only scene."""
    card = studio.queues.get(queue)["scenes"][0]
    take = card["take"]
    return str(card["state"]), take and take["engine"], card["degraded"]


# ------------------------------------------------------------------------------------------------ who takes over
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (lambda: EngineError("engine.failed", engine="first", reason="it broke"), "engine.failed"),
        (lambda: OutOfMemory("engine.out_of_memory", engine="first"), "engine.out_of_memory"),
        (lambda: Refused("model.part_missing", engine="first", part="vae", repo="a/b"), "model.part_missing"),
        (lambda: Refused("memory.nothing_fits", engine="first", why={}), "memory.nothing_fits"),
    ],
)
def test_the_next_engine_takes_over_in_its_lane_and_says_why(
    studio: Studio, queue: str, engines: Any, error: Any, code: str
) -> None:
    engines["first"] = error
    add(studio, queue)
    studio.runs.run(queue)
    assert studio.drain() == 2
    state, engine, why = finished(studio, queue)
    assert (state, engine) == ("done", "second")
    assert why["code"] == "job.stood_in"
    assert (why["params"]["engine"], why["params"]["failed"]) == ("second", "first")
    assert why["params"]["why"]["code"] == code
    job = studio._store.jobs.latest([studio.queues.get(queue)["scenes"][0]["id"]])
    assert [(one.engine, one.lane) for jobs in job.values() for one in jobs] == [("second", "gpu")]


@pytest.mark.parametrize(
    "error",
    [
        lambda: Refused("scene.field", scene="3", field="prompt", reason="no"),  # of the scene, not of the engine
        lambda: Refused("input.gone", field="input_image", name="a.png"),
        lambda: Unavailable("worker.died", how="told to"),  # tried again on the same engine, three times
    ],
)
def test_what_is_not_the_engines_own_failure_stays_with_it(
    studio: Studio, queue: str, engines: Any, error: Any
) -> None:
    engines["first"] = error
    scene = add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    assert finished(studio, queue)[:2] == ("failed", None)
    assert studio.scenes.get(scene)["engine"] == "auto"


def test_a_file_that_cannot_be_read_would_break_the_next_one_too() -> None:
    assert not stand_in.is_its_own(Failed("media.broken", {}, "MediaError"))
    assert not stand_in.is_its_own(Failed("disk.full", {}, "DiskFull"))
    assert not stand_in.is_its_own(Failed("cancelled", {}, "Cancelled"))
    assert stand_in.is_its_own(Failed("engine.failed", {}, "EngineError"))


def test_an_engine_that_is_named_gets_it_or_an_error(studio: Studio, queue: str, engines: Any) -> None:
    engines["first"] = broken()
    scene = add(studio, queue, engine="first")
    studio.runs.run(queue)
    assert studio.drain() == 1
    assert finished(studio, queue)[0] == "failed"
    assert studio.scenes.get(scene)["error"]["code"] == "engine.failed"


def test_each_is_asked_once_and_then_it_has_failed(studio: Studio, queue: str, engines: Any) -> None:
    engines["first"], engines["second"] = broken(), broken("second")
    scene = add(studio, queue)
    studio.runs.run(queue)
    assert studio.drain() == 2
    assert finished(studio, queue)[0] == "failed"
    assert studio.scenes.get(scene)["error"]["params"]["engine"] == "second"
    run = studio._store.runs.of_queue(queue)[0]
    assert run.state == "failed"


def test_one_that_costs_money_never_stands_in(
    studio: Studio, queue: str, engines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Second, "costs_money", True)
    studio.queues.update(queue, {"allow_paid": True})
    engines["first"] = broken()
    add(studio, queue)
    studio.runs.run(queue)
    assert studio.drain() == 1
    assert finished(studio, queue)[0] == "failed"


def test_one_that_cannot_take_the_scene_is_passed_over(
    studio: Studio, queue: str, engines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Second, "limits", Limits(seconds={"text_to_video": (3.0, 5.0)}))
    monkeypatch.setitem(ENGINES, "third", "test_runner_stand_in:Third")
    engines["first"] = broken()
    add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    assert finished(studio, queue)[:2] == ("done", "third")


@pytest.mark.parametrize(("allowed", "state"), [(False, "failed"), (True, "done")])
def test_a_draft_stands_in_only_where_the_queue_says_so(
    studio: Studio, queue: str, engines: Any, allowed: bool, state: str
) -> None:
    engines["first"], engines["second"] = broken(), broken("second")
    studio.queues.update(queue, {"draft_on_failure": allowed})
    add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    now, engine, why = finished(studio, queue)
    assert (now, engine) == (state, "draft" if allowed else None)
    if allowed:
        assert why["params"]["failed"] == "first, second" and why["params"]["why"]["params"]["engine"] == "second"


# ------------------------------------------------------------------------------------------------ voices
def test_a_voice_is_said_by_the_next_engine_and_the_picture_goes_on(studio: Studio, queue: str, engines: Any) -> None:
    engines["first"] = broken()
    add(studio, queue, "a shot", "Good evening.")
    studio.runs.run(queue)
    studio.drain()
    assert finished(studio, queue)[:2] == ("done", "second")
    voices = studio.takes.list(queue=queue, layer="voice")["takes"]
    assert [(take["engine"], take["degraded"]["params"]["failed"]) for take in voices] == [("second", "first")]


def test_a_voice_that_names_its_engine_gets_it_or_an_error(studio: Studio, queue: str, engines: Any) -> None:
    engines["first"] = broken()
    studio._store.voices.add(VoiceFields(name="Maya", engine="first", language="en"), {}, {})
    studio.scenes.add(
        queue,
        {"task_type": "text_to_video", "prompt": "a", "duration": 0.25, "lines": [{"text": "Hi.", "voice": "Maya"}]},
    )
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["failed"]


# ------------------------------------------------------------------------------------------------ and when
def test_the_queues_own_retries_come_first(studio: Studio, queue: str, engines: Any) -> None:
    tried: list[str] = []
    engines["first"] = lambda: tried.append("first") or broken()()  # type: ignore[func-returns-value]
    studio._runner._sleep = lambda seconds: None
    studio.queues.update(queue, {"on_error": "retry", "retries": 2})
    studio._runner.date = _hurrying(studio)
    add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    assert tried == ["first"] * 3
    assert finished(studio, queue)[:2] == ("done", "second")


def _hurrying(studio: Studio) -> Callable[[], Any]:
    """A date that goes on a minute each time it is asked."""
    from datetime import UTC, datetime, timedelta

    at = [datetime(2026, 11, 20, tzinfo=UTC)]

    def date() -> datetime:
        at[0] += timedelta(minutes=1)
        return at[0]

    return date


def test_what_was_cancelled_stays_cancelled_however_it_ended(studio: Studio, queue: str, engines: Any) -> None:
    scene = add(studio, queue)

    def fails_while_it_is_stopped() -> StudioError:
        studio.runs.stop(queue)
        return broken()()

    engines["first"] = fails_while_it_is_stopped
    studio.runs.run(queue)
    assert studio.drain() == 1
    assert studio.scenes.get(scene)["state"] == "cancelled"


def test_what_is_cancelled_while_the_next_one_is_looked_for_is_cancelled(
    studio: Studio, queue: str, engines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = studio._runner
    find = runner.next_engine

    def slowly(job: Any, failed: Any) -> Any:
        found = find(job, failed)
        studio.runs.stop(queue)
        return found

    monkeypatch.setattr(runner, "next_engine", slowly)
    add(studio, queue)
    engines["first"] = broken()
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["cancelled"] and instant_engine.MADE == []


def test_a_queue_that_stops_at_an_error_goes_on_where_another_engine_takes_over(
    studio: Studio, queue: str, engines: Any
) -> None:
    engines["first"] = broken()
    studio.queues.update(queue, {"on_error": "stop"})
    add(studio, queue), add(studio, queue, "another")
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done", "done"]


def test_the_next_engine_finds_nothing_of_the_one_before_but_its_seed(studio: Studio, queue: str, engines: Any) -> None:
    seen: list[Any] = []

    def leave(scene: Any, run: Any) -> None:
        seen.append((dict(run.kept), run.scratch("window").exists(), run.seed))

    def run_first(self: Any, scene: Any, options: Any, run: Any) -> Any:
        run.keep("window", 3)
        run.scratch("window").write_text("of the first")
        seen.append(run.seed)
        raise broken()()

    instant_engine.ON_RUN.append(leave)
    original, First.run = First.run, lambda self, *rest: (run_first if self.id == "first" else original)(self, *rest)  # type: ignore[method-assign]
    try:
        add(studio, queue)
        studio.runs.run(queue)
        studio.drain()
    finally:
        First.run = original  # type: ignore[method-assign]
    first, (kept, old, second) = seen
    assert set(kept) == {"seed"} and not old and first == second


# ------------------------------------------------------------------------------------------------ what is said
def test_report_and_every_language_say_it(studio: Studio, queue: str, engines: Any) -> None:
    engines["first"] = broken()
    add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    run = studio._store.runs.of_queue(queue)[0]
    told = studio.reports.report(run.id)["scenes"][0]["stood_in"]
    assert told["message"].startswith("Rendered by second, because first failed: ") and "it broke" in told["message"]
    why = finished(studio, queue)[2]
    for lang in ("en", "pt", "zh"):
        assert "it broke" in studio.words.error(why, lang)["message"]


def test_a_reason_stays_short_whatever_the_engine_said() -> None:
    long = stand_in.reason("b", ["a"], {"code": "engine.failed", "params": {"engine": "a", "reason": "x" * 5000}})
    assert len(long) < 1000
