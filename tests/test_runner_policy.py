"""What a queue's settings do to its run: trying again, stopping after a scene, by hand, by model, at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from runner_tools import add, states

from studio.domain import State
from studio.errors import Refused
from studio.runner import RETRY_SECONDS
from studio.service import Studio

NINE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


class Clock:
    """A date that goes on only when somebody sleeps."""

    def __init__(self, studio: Studio) -> None:
        self.at, self.slept = NINE, []
        studio._runner.date, studio._runner._sleep = lambda: self.at, self.sleep

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds))
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock(studio: Studio) -> Clock:
    return Clock(studio)


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Night pier", frame={"width": 256, "height": 144})["id"])


def state(studio: Studio, queue: str) -> str:
    return str(studio.queues.view(queue)["state"])


def during(instant: Any, action: Callable[[], Any]) -> list[Any]:
    """Do something while the first scene is being rendered; what it gave."""
    given: list[Any] = []
    instant.ON_RUN.append(lambda scene, run: given or given.append(action()))
    return given


# ------------------------------------------------------------------------------------------------ trying again
def test_a_failed_scene_is_tried_again_later_and_the_others_go_on(
    studio: Studio, queue: str, instant: Any, clock: Clock
) -> None:
    bad, _ = add(studio, queue, "fail"), add(studio, queue, "fine")
    studio.queues.update(queue, {"on_error": "retry", "retries": 2})
    notes: list[Any] = []
    instant.ON_RUN.append(lambda scene, run: notes.append((scene.prompt, studio.scenes.get(bad)["note"])))
    studio.runs.run(queue)
    assert studio.drain() == 4
    assert notes == [
        ("fail", None),
        ("fine", "note.tried_again"),
        ("fail", "note.tried_again"),
        ("fail", "note.tried_again"),
    ]
    assert clock.slept == [RETRY_SECONDS[0], 2 * RETRY_SECONDS[0]]  # ever longer
    assert states(studio, queue) == ["failed", "done"]
    assert studio.scenes.get(bad)["error"]["code"] == "engine.failed"


def test_what_goes_well_the_second_time_leaves_no_trace(studio: Studio, queue: str, instant: Any, clock: Clock) -> None:
    scene = add(studio, queue, "one", "fail once")
    studio.queues.update(queue, {"on_error": "retry"})
    studio.runs.run(queue)
    during(instant, lambda: None)
    once = iter([True])
    obey = instant._obey
    instant._obey, restore = lambda scene, run: obey(scene, run) if next(once, False) else None, obey
    try:
        assert studio.drain() == 3  # the voice, again, the picture
    finally:
        instant._obey = restore
    card = studio.scenes.get(scene)
    assert (card["state"], card["error"], card["takes"]) == ("done", None, 1)


def test_what_cannot_become_better_is_not_tried_again(
    studio: Studio, queue: str, clock: Clock, picture: Any, instant: Any
) -> None:
    asset = studio.library.add(picture, "a.png")
    scene = studio.scenes.add(queue, {"task_type": "image_to_video", "input_image": asset["ref"], "duration": 0.25})
    studio.queues.update(queue, {"on_error": "retry"})
    studio.runs.run(queue)
    studio.library.file(asset["sha256"]).unlink()  # in the middle of the night
    assert studio.drain() == 1 and clock.slept == []
    assert studio.scenes.get(scene["id"])["error"]["code"] == "input.gone"


# ------------------------------------------------------------------------------------------------ stop, go on
def test_stop_after_this_scene_finishes_it_with_its_picture(studio: Studio, queue: str, instant: Any) -> None:
    first, second = add(studio, queue, "one", "hello"), add(studio, queue, "two")
    studio.runs.run(queue)
    told = during(instant, lambda: studio.runs.stop_after_scene(queue))
    studio.drain()
    assert told == [{"finishing": [first], "held_back": 1}]
    assert states(studio, queue) == ["done", "draft"] and state(studio, queue) == "idle"
    assert studio.scenes.get(second)["note"] == "note.held_back"
    assert studio.runs.run(queue)["queued"] == 1
    studio.drain()
    assert states(studio, queue) == ["done", "done"]


def test_retry_from_error_takes_the_first_failed_scene_and_what_is_not_done_after_it(
    studio: Studio, queue: str
) -> None:
    with pytest.raises(Refused) as refused:
        studio.runs.retry_from_error(queue)
    assert refused.value.code == "run.no_error"
    prompts = ("never asked for", "fine", "fail", "fine", "not yet")
    scenes = [add(studio, queue, prompt) for prompt in prompts]
    studio.runs.run(queue, only=scenes[1:4])
    studio.drain()
    assert states(studio, queue) == ["draft", "done", "failed", "done", "draft"]
    assert studio.runs.retry_from_error(queue)["queued"] == 2
    assert states(studio, queue) == ["draft", "done", "queued", "done", "queued"]


def test_one_scene_of_a_paused_queue_runs_alone(studio: Studio, queue: str) -> None:
    scenes = [add(studio, queue, name) for name in ("one", "two", "three")]
    studio.runs.run(queue)
    studio.runs.pause(queue)
    studio.scenes.run(scenes[1])
    studio.scenes.edit(scenes[1], {"prompt": "two, edited"})
    studio.drain()
    assert states(studio, queue) == ["queued", "done", "queued"] and state(studio, queue) == "paused"
    studio.runs.resume(queue)
    studio.drain()
    assert set(states(studio, queue)) == {"done"}


# ------------------------------------------------------------------------------------------------ when, in which order
def test_a_queue_begins_at_its_time_also_after_a_restart(
    studio: Studio, queue: str, build: Callable[..., Studio], clock: Clock
) -> None:
    add(studio, queue), add(studio, queue)
    studio.queues.update(queue, {"starts_at": "2026-11-20T23:30:00+01:00"})
    studio.runs.run(queue)
    assert studio.drain() == 0 and state(studio, queue) == "scheduled"
    assert studio.system.now()["waiting"] == 0
    studio.close()
    again = build()
    clock = Clock(again)
    assert again.drain() == 0 and state(again, queue) == "scheduled"
    clock.at += timedelta(minutes=90)
    assert state(again, queue) == "running" and again.drain() == 2
    assert state(again, queue) == "done"


def test_going_on_by_hand_does_not_wait_for_the_time(studio: Studio, queue: str, clock: Clock) -> None:
    add(studio, queue)
    studio.queues.update(queue, {"starts_at": "2026-11-21T06:00:00Z"})
    studio.runs.run(queue)
    studio.runs.resume(queue)
    assert studio.queues.view(queue)["starts_at"] is None and studio.drain() == 1


def test_a_time_in_the_past_begins_at_once(studio: Studio, queue: str, clock: Clock) -> None:
    add(studio, queue)
    studio.queues.update(queue, {"starts_at": "2026-11-20T06:00:00Z"})
    studio.runs.run(queue)
    assert state(studio, queue) == "running" and studio.drain() == 1


@pytest.mark.parametrize(("order", "loads"), [("written", 6), ("model", 2)])
def test_by_model_each_engine_is_loaded_once(
    studio: Studio, queue: str, instant: Any, monkeypatch: pytest.MonkeyPatch, order: str, loads: int
) -> None:
    from studio.pipelines import ENGINES

    loaded: list[str] = []
    monkeypatch.setitem(ENGINES, "other", "instant_engine:Other")
    monkeypatch.setattr(instant.Instant, "load", lambda engine, plan: loaded.append(engine.id), raising=False)
    for _ in range(3):
        add(studio, queue, engine="instant"), add(studio, queue, engine="other")
    studio.queues.update(queue, {"order": order})
    studio.runs.run(queue)
    assert studio.drain() == 6
    changes = [one for one, before in zip(loaded, ["", *loaded], strict=False) if one != before]
    assert len(changes) == loads and set(states(studio, queue)) == {State.DONE}
