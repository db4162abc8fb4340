"""While it renders: how far, which phase, how long still; and ending early with what is there."""

from collections.abc import Callable
from typing import Any

import pytest
from runner_tools import SHOT, add, states
from starlette.testclient import TestClient

from studio.domain import Job
from studio.errors import Conflict
from studio.runner.live import Expected, Live
from studio.service import Studio
from studio.service.estimates import expected

JOB = Job("J", "S", "Q", None, "picture", "instant", "cpu", 1, "running")  # type: ignore[arg-type]


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Night pier", frame={"width": 256, "height": 144})["id"])


# ------------------------------------------------------------------------------------------------ how long still
def test_the_time_left_is_that_of_the_steps_and_of_what_follows_them() -> None:
    live = Live(JOB, started=0.0, moved=100.0, done=10, total=40, step_seconds=2.0, began=20.0)
    assert live.eta(100.0) == 60
    assert live.eta(101.5) == 58.5  # the step in hand is under way
    live.expected = Expected(load=20.0, whole=130.0, after=25.0)
    assert live.eta(100.0) == 85
    live.done, live.phase, live.moved = 40, "decode", 160.0
    assert live.eta(170.0) == 15 and live.eta(900.0) == 0


def test_before_the_first_step_only_history_can_tell() -> None:
    live = Live(JOB, started=0.0, moved=0.0)
    assert live.eta(5.0) is None
    live.expected = Expected(load=20.0, whole=130.0, after=25.0)
    assert live.eta(5.0) == 145  # its engine is being loaded
    live.began = 30.0
    assert live.eta(40.0) == 120


def test_history_is_scaled_by_size_and_length() -> None:
    rows = [
        {"width": 100, "height": 10, "duration": 2.0, "phases": '{"text": 1, "steps": 10, "decode": 3, "save": 1}'},
        {"width": 100, "height": 10, "duration": 1.0, "phases": '{"load": 7, "steps": 5, "decode": 2}'},
    ]
    assert expected([], 1000.0) == Expected()
    assert expected(rows, 4000.0) == Expected(load=7, whole=29, after=8)  # twice and four times: 30 and 28, 8 and 8
    assert expected([{"width": 0, "height": 0, "duration": 2.0, "phases": '{"steps": 4}'}], 0.0).whole == 4


# ------------------------------------------------------------------------------------------------ on the page
def test_phase_and_step_are_on_the_page(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue)
    seen = []

    def hook(scene_: Any, run: Any) -> None:
        run.phase("text")
        seen.append(studio.snapshot(queue)["progress"][scene])
        run.phase("steps")
        for done in (1, 2):
            run.step(done, 2)
        run.phase("decode")
        seen.append(studio.snapshot(queue)["progress"][scene])
        seen.append(studio.system.now()["running"][0])

    instant.ON_RUN.append(hook)
    studio.runs.run(queue)
    studio.drain()
    text, decode, row = seen
    assert (text["phase"], text["done"], text["step_seconds"], text["eta"]) == ("text", 0, None, None)
    assert (decode["phase"], decode["done"], decode["total"]) == ("decode", 2, 2)
    assert decode["step_seconds"] >= 0 and (row["phase"], row["step_seconds"]) == ("decode", decode["step_seconds"])
    take = studio.takes.get(studio.scenes.get(scene)["take_list"][0]["id"])
    assert take["facts"]["steps"] == 2 and set(take["facts"]["phases"]) == {"load", "text", "steps", "decode"}


def test_the_second_scene_knows_from_the_first(studio: Studio, queue: str, instant: Any) -> None:
    add(studio, queue), add(studio, queue)
    seen: list[Any] = []

    def hook(scene: Any, run: Any) -> None:
        run.phase("text")
        seen.extend(one["eta"] for one in studio.snapshot(queue)["progress"].values())
        run.phase("decode")

    instant.ON_RUN.append(hook)
    studio.runs.run(queue)
    studio.drain()
    assert seen[0] is None and seen[1] is not None and seen[1] >= 0


def test_the_memory_of_our_workers_is_shown(studio: Studio) -> None:
    status = studio.system.status()
    assert status["worker_ram_gb"] > 0 and status["worker_vram_gb"] == 0


# ------------------------------------------------------------------------------------------------ stop early and keep
def steps_until_enough(ask: Callable[[], Any], most: int = 50) -> Callable[[Any, Any], None]:
    """A hook for the instant engine: it asks after the third step."""

    def hook(scene: Any, run: Any) -> None:
        for done in range(1, most + 1):
            run.step(done, most)
            if done == 3:
                ask()
            if run.enough:
                return
        raise AssertionError("nobody said that it is enough")

    return hook


def test_enough_keeps_the_picture_and_the_queue_goes_on(
    studio: Studio, client: TestClient, queue: str, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant.Instant, "stops_early", True)
    scene, other = add(studio, queue), add(studio, queue)
    seen: list[Any] = []

    def ask() -> None:
        seen.append(studio.snapshot(queue)["progress"][scene]["stops_early"])
        seen.append(client.post(f"/scenes/{scene}/enough").status_code)

    asking = steps_until_enough(ask)
    instant.ON_RUN.append(
        lambda scene_, run: asking(scene_, run) if len(instant.MADE) == 1 else seen.append(run.enough)
    )
    studio.runs.run(queue)
    studio.drain()
    assert seen == [True, 200, False]  # the second scene was not meant
    assert states(studio, queue) == ["done", "done"] and studio.scenes.get(scene)["take_list"]
    with pytest.raises(Conflict, match="scene.not_running"):
        studio.scenes.enough(other)


def test_an_engine_that_cannot_stop_early_says_so(studio: Studio, client: TestClient, queue: str, instant: Any) -> None:
    scene = add(studio, queue)
    answers: list[Any] = []
    instant.ON_RUN.append(lambda scene_, run: answers.append(client.post(f"/scenes/{scene}/enough")))
    studio.runs.run(queue)
    studio.drain()
    (answer,) = answers
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "engine.stops_not")
    assert client.post(f"/scenes/{scene}/enough").json()["error"]["code"] == "scene.not_running"
    assert client.post("/scenes/01NOBODY/enough").status_code == 404
    assert {row["id"]: row["stops_early"] for row in client.get("/engines").json()}["draft"] is False


def test_enough_that_comes_before_the_worker_has_the_job_is_not_lost(
    studio: Studio, queue: str, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant.Instant, "stops_early", True)
    scene = add(studio, queue, **SHOT | {"prompt": "early"})
    whole = studio._runner.assigner.assignment
    monkeypatch.setattr(
        studio._runner.assigner,
        "assignment",
        lambda job, extract: (studio.scenes.enough(scene), whole(job, extract))[1],
    )
    instant.ON_RUN.append(steps_until_enough(lambda: None))
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done"] and not studio._runner._enough
