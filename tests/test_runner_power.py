"""Awake while a queue renders, asleep when everything is done: with a fake hold, fake commands and a fake clock."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from store_tools import ERROR, after, claimed, made, open_store, picture, shot

from studio.domain import Job
from studio.runner.power import COMMANDS, COUNTDOWN, Power
from studio.service import Studio


class Night:
    """A store with one queue, and everything the watch would do written down."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(folder)
        self.queue = self.store.queues.create("Q")
        self.did: list[str] = []
        self.holds: list[str] = []
        self.seconds = 0.0
        self.refuses = False
        self.power = Power(self.store, self.hold, self.do, lambda: self.seconds)

    @contextmanager
    def hold(self) -> Iterator[str]:
        self.holds.append("held")
        yield "test"
        self.holds.append("let go")

    def do(self, what: str) -> None:
        if self.refuses:
            raise subprocess.CalledProcessError(1, "systemctl")
        self.did.append(what)

    def policy(self, **values: Any) -> None:
        self.store.queues.update(self.queue, {"policy": values})

    def queued(self, queue: str | None = None) -> str:
        (scene,) = self.store.queues.add_scenes(queue or self.queue, [shot()])
        self.store.jobs.enqueue([picture(scene)])
        return scene

    def finish(self, job: Job) -> None:
        assert self.store.ends.finish(job, made(job))

    def coming(self) -> object:
        self.power.tick()
        return self.power.coming()

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.power.tick()


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path)
    yield night
    night.store.close()


# ------------------------------------------------------------------------------------------------ awake
def test_awake_from_the_first_scene_to_the_last(night: Night) -> None:
    night.power.tick()
    assert night.holds == [] and night.power.status()["awake"] == "off"
    night.queued()
    night.power.tick()
    assert night.power.status() == {"awake": "held", "by": "test", "trouble": ""}
    job = claimed(night.store)
    night.power.tick()
    night.finish(job)
    night.power.tick()
    assert night.holds == ["held", "let go"] and night.power.status()["awake"] == "off"


@pytest.mark.parametrize(
    ("changes", "awake"),
    [
        ({"policy": {"keep_awake": False}}, False),
        ({"paused": 1}, False),
        ({"starts_at": "2999-01-01T00:00:00.000Z"}, True),  # asleep it would miss its time
    ],
)
def test_who_keeps_it_awake(night: Night, changes: dict[str, Any], awake: bool) -> None:
    night.queued()
    night.store.queues.update(night.queue, changes)
    night.power.tick()
    assert night.holds == ["held"] * awake


def test_a_computer_that_cannot_be_held_renders_all_the_same(night: Night) -> None:
    night.hold = nobody  # type: ignore[method-assign]
    night.power = Power(night.store, nobody)
    night.queued()
    night.power.tick()
    assert night.power.status()["awake"] == "cannot"


@contextmanager
def nobody() -> Iterator[str]:
    yield ""


# ------------------------------------------------------------------------------------------------ afterwards
def test_by_default_nothing_happens(night: Night) -> None:
    night.queued()
    night.finish(claimed(night.store))
    assert night.coming() is None
    night.wait(10 * COUNTDOWN)
    assert night.did == []


def test_it_sleeps_a_minute_after_the_last_scene_of_the_last_queue_and_once(night: Night) -> None:
    other = night.store.queues.create("Other")
    night.policy(afterwards="sleep")
    night.queued(), night.queued(other)
    night.finish(claimed(night.store))
    assert night.coming() is None  # the other queue is not done
    night.finish(claimed(night.store))
    assert night.coming() == {"what": "sleep", "in": 60}
    night.wait(COUNTDOWN - 1)
    assert night.power.coming() == {"what": "sleep", "in": 1} and night.did == []
    night.wait(1)
    assert night.did == ["sleep"] and night.power.coming() is None
    assert night.store.queues.get(night.queue).policy["afterwards"] == "nothing"
    night.wait(10 * COUNTDOWN)
    assert night.did == ["sleep"]


def test_shutting_down_wins_over_sleeping(night: Night) -> None:
    other = night.store.queues.create("Other", policy={"afterwards": "shut_down"})
    night.policy(afterwards="sleep")
    night.queued(), night.queued(other)
    night.finish(claimed(night.store)), night.finish(claimed(night.store))
    assert night.coming() == {"what": "shut_down", "in": 60}


def test_a_failure_and_what_waits_for_it_for_ever_keep_nobody_up(night: Night) -> None:
    night.policy(afterwards="sleep")
    first, second = night.store.queues.add_scenes(night.queue, [shot(), after("{{new:0}}")])
    night.store.jobs.enqueue([picture(first), picture(second)])
    night.store.ends.fail(claimed(night.store), ERROR)
    assert night.coming() == {"what": "sleep", "in": 60} and night.power.status()["awake"] == "off"


def test_anybody_may_cancel_it(night: Night) -> None:
    night.policy(afterwards="shut_down")
    night.queued()
    night.finish(claimed(night.store))
    assert night.coming() and night.power.cancel()
    night.wait(10 * COUNTDOWN)
    assert night.did == [] and not night.power.cancel()


def test_who_cancels_at_the_last_moment_is_heard(night: Night) -> None:
    night.policy(afterwards="shut_down")
    night.queued()
    night.finish(claimed(night.store))
    assert night.coming()
    cancel = night.power.cancel

    def too_late() -> bool:
        cancel()  # somebody pressed the button while the watch was about to act
        return cancel()

    night.power.cancel = too_late  # type: ignore[method-assign]
    night.wait(COUNTDOWN)
    assert night.did == []


def test_what_comes_in_is_waited_for(night: Night) -> None:
    arriving = True
    night.power.busy.append(lambda: arriving)
    night.policy(afterwards="shut_down")
    night.queued()
    night.finish(claimed(night.store))
    assert night.coming() is None
    arriving = False
    assert night.coming()
    arriving = True
    assert night.coming() is None


def test_new_work_stops_the_countdown(night: Night) -> None:
    night.policy(afterwards="sleep")
    night.queued()
    night.finish(claimed(night.store))
    assert night.coming()
    night.queued()
    night.wait(2 * COUNTDOWN)
    assert night.did == [] and night.power.coming() is None
    night.finish(claimed(night.store))
    assert night.coming() == {"what": "sleep", "in": 60}


def test_a_full_disk_brings_nothing_about(night: Night) -> None:
    night.policy(afterwards="sleep")
    night.queued(), night.queued()
    night.finish(claimed(night.store))
    night.store.ends.put_back(claimed(night.store), "note.disk_full", ERROR, crashed=False)
    night.store.queues.update(night.queue, {"paused": 1})
    assert night.coming() is None


def test_a_film_that_is_being_cut_is_waited_for(night: Night) -> None:
    night.policy(afterwards="sleep")
    night.queued()
    night.finish(claimed(night.store))
    export = night.store.takes.add_export(night.queue, "film")
    assert night.coming() is None
    night.store.takes.update_export(export, state="done")
    assert night.coming()


def test_what_was_done_before_the_studio_began_counts_no_more(night: Night) -> None:
    night.policy(afterwards="sleep")
    night.queued()
    night.finish(claimed(night.store))
    night.power = Power(night.store, night.hold, night.do)
    assert night.coming() is None


def test_a_computer_that_will_not_sleep_says_so(night: Night) -> None:
    night.policy(afterwards="sleep")
    night.refuses = True
    night.queued()
    night.finish(claimed(night.store))
    night.power.tick()
    night.wait(COUNTDOWN)
    assert "systemctl" in str(night.power.status()["trouble"]) and night.power.coming() is None


def test_every_platform_has_its_commands() -> None:
    assert all(set(commands) == {"linux", "darwin", "win32"} for commands in COMMANDS.values())
    assert sys.platform in COMMANDS["sleep"]


# ------------------------------------------------------------------------------------------------ through the faces
def test_the_screen_hears_of_it_and_may_cancel(studio: Studio, client: Any) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    studio.queues.update(queue, {"afterwards": "sleep"})
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "a shot", "duration": 0.25})
    studio.runs.run(queue)
    studio.drain()
    studio._runner.power._clock = lambda: 0.0
    studio._runner.power.tick()
    assert client.get("/now").json()["power"] == {"what": "sleep", "in": 60}
    assert client.get("/status").json()["power"] == {"awake": "off", "by": "", "trouble": ""}
    assert client.post("/power/cancel").json() == {"cancelled": True}
    assert client.get("/now").json()["power"] is None
    assert client.post("/power/cancel").json() == {"cancelled": False}


def test_who_stops_a_queue_is_there_in_the_morning(studio: Studio) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    studio.queues.update(queue, {"afterwards": "sleep"})
    studio.runs.stop(queue)
    assert studio.queues.view(queue)["afterwards"] == "nothing"
