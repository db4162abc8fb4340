"""A run begins with its first job, ends with its last one, survives a restart, and is told of."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from instant_engine import ON_RUN

from studio.errors import NotFound, Refused
from studio.service import Studio, preflight_facts
from studio.service.library import hash_of

FINE, BAD = "a shot", "fail here"


def queue_of(studio: Studio, *prompts: str) -> str:
    scenes = [{"task_type": "text_to_video", "prompt": prompt, "label": f"S{n}"} for n, prompt in enumerate(prompts)]
    queue_id: str = studio.queues.create("Night")["id"]
    for scene in scenes:
        studio.scenes.add(queue_id, scene)
    return queue_id


def after(studio: Studio, queue_id: str, scene_id: str) -> str:
    """A scene that reads the picture of another; its id."""
    scene = {"task_type": "image_to_video", "prompt": "on", "input_image": f"scene:{scene_id}"}
    added: str = studio.scenes.add(queue_id, scene)["id"]
    return added


def ids(studio: Studio, queue_id: str) -> list[str]:
    return [scene["id"] for scene in studio.queues.get(queue_id)["scenes"]]


def kinds(studio: Studio) -> list[str]:
    return [notice["kind"] for notice in reversed(studio.notices.list())]


def test_a_run_begins_with_its_jobs_and_ends_with_them(studio: Studio) -> None:
    queue = queue_of(studio, FINE, FINE)
    assert studio.reports.list(queue) == []
    studio.runs.run(queue)
    (run,) = studio.reports.list(queue)
    assert run["state"] == "running" and run["counts"]["left"] == 2
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert run["state"] == "done" and run["ended"] >= run["started"]
    assert run["counts"] == {"scenes": 2, "done": 2, "failed": 0, "cancelled": 0, "left": 0}
    assert (run["takes"], run["loads"]) == (2, 1)  # the second scene found its engine loaded
    assert run["engines"]["instant"]["jobs"] == 2
    assert kinds(studio) == ["finished"]


def test_a_run_with_nothing_to_do_is_none(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    studio.drain()
    studio.runs.run(queue)
    assert len(studio.reports.list(queue)) == 1


def test_a_scene_whose_takes_are_all_in_the_trash_is_made_again(studio: Studio) -> None:
    queue = queue_of(studio, FINE, FINE)
    studio.runs.run(queue)
    studio.drain()
    first, second = ids(studio, queue)
    (bad,) = studio.scenes.get(first)["take_list"]
    studio.takes.trash(bad["id"])
    assert studio.runs.run(queue)["queued"] == 1
    studio.drain()
    shown = [scene["take"]["id"] for scene in studio.queues.get(queue)["scenes"]]
    assert len(set(shown)) == 2 and bad["id"] not in shown
    assert len(studio.scenes.get(second)["take_list"]) == 1


def test_what_is_queued_while_a_run_goes_on_joins_it(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "more"})
    studio.runs.run(queue)
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert run["counts"]["done"] == 2
    studio.runs.restart(queue)
    studio.drain()
    assert [one["counts"]["done"] for one in studio.reports.list(queue)] == [2, 2]


def test_the_first_failure_is_told_once_and_the_run_has_failed(studio: Studio) -> None:
    queue = queue_of(studio, BAD, FINE, BAD)
    studio.runs.run(queue)
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert (run["state"], run["counts"]["failed"], run["counts"]["done"]) == ("failed", 2, 1)
    assert kinds(studio) == ["failure", "finished"]
    first = studio.notices.list(lang="en")[-1]
    assert first["scene_id"] == ids(studio, queue)[0] and "S0" in first["title"]


def test_a_failed_scene_that_is_run_again_at_once_counts_as_what_it_became(studio: Studio) -> None:
    queue = queue_of(studio, BAD, FINE)
    first = ids(studio, queue)[0]
    studio.runs.run(queue)

    def mend(scene: Any, run: Any) -> None:
        if scene.label == "S1":
            studio.scenes.edit(first, {"prompt": FINE})
            studio.runs.run(queue, only=[first])

    ON_RUN.append(mend)
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert run["state"] == "done" and run["counts"]["done"] == 2


def test_a_stopped_run_says_so(studio: Studio) -> None:
    queue = queue_of(studio, FINE, FINE)
    studio.runs.run(queue)
    ON_RUN.append(lambda scene, run: studio.runs.stop(queue))
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert run["state"] == "stopped"


def test_what_is_held_back_after_a_scene_is_left_and_not_done(studio: Studio) -> None:
    queue = queue_of(studio, FINE, FINE)
    studio.runs.run(queue)
    ON_RUN.append(lambda scene, run: studio.runs.stop_after_scene(queue) and None)
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert (run["state"], run["counts"]["done"], run["counts"]["left"]) == ("stopped", 1, 1)
    assert [scene["state"] for scene in studio.reports.report(run["id"])["left"]] == ["draft"]


def test_scenes_that_can_never_be_made_do_not_keep_a_run_open(studio: Studio) -> None:
    """Nobody is going to make what they wait for, directly or through another scene."""
    queue = queue_of(studio, BAD)
    second = after(studio, queue, ids(studio, queue)[0])
    after(studio, queue, second)
    studio.runs.run(queue)
    studio.drain()
    (run,) = studio.reports.list(queue)
    assert (run["state"], run["counts"]["left"]) == ("failed", 2)
    assert [scene["number"] for scene in studio.reports.report(run["id"])["left"]] == [1, 2, 3]


def test_a_run_waits_for_what_another_queue_is_going_to_make(studio: Studio) -> None:
    other, queue = queue_of(studio, FINE), str(studio.queues.create("After")["id"])
    after(studio, queue, ids(studio, other)[0])
    studio.runs.run(other)
    studio.runs.pause(other)
    studio.runs.run(queue)
    studio.drain()
    studio.notices.beat()
    assert [one["state"] for one in studio.reports.list(queue)] == ["running"]
    studio.runs.resume(other)
    studio.drain()
    assert [one["state"] for one in studio.reports.list(queue)] == ["done"]


def test_a_paused_run_stays_open(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    studio.runs.pause(queue)
    studio.drain()
    studio.notices.beat()
    assert studio.reports.list(queue)[0]["state"] == "running"
    studio.runs.resume(queue)
    studio.drain()
    assert studio.reports.list(queue)[0]["state"] == "done"


def test_editing_the_only_waiting_scene_does_not_end_its_run(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is cancelled and chosen anew; somebody who looks right in between must not see an empty queue."""
    queue = queue_of(studio, FINE)
    (scene,) = ids(studio, queue)
    studio.runs.run(queue)
    plain, lookers = studio._store.jobs.unqueue, []

    def unqueue(scene_ids: Any) -> int:
        count = plain(scene_ids)
        lookers.append(Thread(target=studio._store.runs.end_finished))
        lookers[-1].start()
        lookers[-1].join(0.2)
        return count

    monkeypatch.setattr(studio._store.jobs, "unqueue", unqueue)
    studio.scenes.edit(scene, {"prompt": "another shot"})
    for looker in lookers:
        looker.join()
    studio.drain()
    assert lookers and len(studio.reports.list(queue)) == 1 and kinds(studio) == ["finished"]


def test_a_run_goes_on_after_a_restart_of_the_studio(instant: Any, build: Callable[..., Studio]) -> None:
    studio = build()
    queue = queue_of(studio, FINE, FINE)
    studio.runs.run(queue)
    job = studio._store.jobs.claim("cpu")
    assert job
    studio.close()
    again = build()
    again._runner.recover()
    again.drain()
    (run,) = again.reports.list(queue)
    assert (run["state"], run["crashes"], run["counts"]["done"]) == ("done", 1, 2)
    assert kinds(again) == ["resumed", "finished"]


def test_a_run_whose_last_job_ended_with_the_studio_ends_at_the_next_start(
    instant: Any, build: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = build()
    queue = queue_of(studio, FINE)
    monkeypatch.setattr(studio._runner, "_end_runs", lambda: None)  # it died in between
    studio.runs.run(queue)
    studio.drain()
    studio.close()
    again = build()
    again._runner.recover()
    assert again.reports.list(queue)[0]["state"] == "done"


def test_a_queue_that_is_deleted_takes_its_runs_along(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    studio.drain()
    (run,) = studio.reports.list(queue)
    studio.queues.delete(queue)
    with pytest.raises(NotFound):
        studio.reports.get(run["id"])
    assert [notice["gone"] for notice in studio.notices.list()] == [True]  # what was told stays told


def test_a_callback_is_no_place_for_other_protocols(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    with pytest.raises(Refused):
        studio.runs.run(queue, callback_url="file:///etc/passwd")
    assert studio.reports.list(queue) == []


# ------------------------------------------------------------------------------------------------ standing still
@pytest.fixture
def clock(studio: Studio) -> Iterator[list[float]]:
    """The runner's clock, to be moved by hand."""
    now = [0.0]
    studio._runner.clock = lambda: now[0]
    yield now


def test_a_scene_that_stands_still_is_told_once(studio: Studio, clock: list[float]) -> None:
    queue = queue_of(studio, FINE)
    told: list[int] = []

    def stand_still(scene: Any, run: Any) -> None:
        run.step(1, 10)
        clock[0] += 599
        told.append(studio.notices.look_for_stalls())
        clock[0] += 2
        told.append(studio.notices.look_for_stalls())
        clock[0] += 5000
        told.append(studio.notices.look_for_stalls())

    ON_RUN.append(stand_still)
    studio.runs.run(queue)
    studio.drain()
    assert told == [0, 1, 0]
    assert kinds(studio) == ["stalled", "finished"]
    assert "10" in studio.notices.list(lang="en")[1]["text"]


def test_an_engine_with_long_steps_is_given_its_time(studio: Studio, clock: list[float]) -> None:
    queue = queue_of(studio, FINE)
    told: list[int] = []

    def step_slowly(scene: Any, run: Any) -> None:
        live = next(iter(studio._runner.live.values()))
        clock[0] += 400
        live.done, live.total, live.moved = 1, 10, clock[0]
        clock[0] += 1900  # less than five times its step
        told.append(studio.notices.look_for_stalls())
        clock[0] += 200
        told.append(studio.notices.look_for_stalls())

    ON_RUN.append(step_slowly)
    studio.runs.run(queue)
    studio.drain()
    assert told == [0, 1]


def test_a_full_disk_is_told(studio: Studio) -> None:
    queue = queue_of(studio, "full")
    studio.runs.run(queue)
    studio.drain()
    assert kinds(studio) == ["disk_full"]
    assert studio.reports.list(queue)[0]["state"] == "running"  # it waits for room


# ------------------------------------------------------------------------------------------------ beside others
def test_nobody_waits_while_a_run_looks_at_files(
    studio: Studio, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(studio)
    kept = studio.library.add(picture)
    studio.scenes.add(queue, {"task_type": "image_to_video", "prompt": "on", "input_image": kept["ref"]})
    os.utime(studio.library.file(kept["sha256"]), (1, 1))  # touched: it is read again, however large it is
    heard: list[int] = []

    def read(path: Path) -> str:
        other = Thread(target=lambda: heard.append(len(studio.queues.list())), daemon=True)
        other.start()
        other.join(timeout=5)
        return hash_of(path)

    monkeypatch.setattr(preflight_facts, "hash_of", read)
    assert studio.runs.run(queue)["queued"] == 1
    assert heard == [1]


def test_a_scene_that_is_deleted_while_a_run_begins_is_left_out(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(studio, FINE, FINE)
    gate = studio.preflight.gate

    def slow(*rows: Any, **more: Any) -> set[str]:
        left_out = gate(*rows, **more)
        studio.scenes.delete(ids(studio, queue)[0])
        return left_out

    monkeypatch.setattr(studio.preflight, "gate", slow)
    assert studio.runs.run(queue)["jobs"] == 1
    assert studio.drain() == 1
