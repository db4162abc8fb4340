"""Which job is claimed next: as written, by model with the fewest loads, by priority, by hand, at its time."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_tools import ERROR, after, all_of, claimed, made, open_store, picture, render, shot, states, voice

from studio.domain import State
from studio.store import Store
from studio.store.claims import FAIRNESS

NIGHT, MORNING = "2026-11-20T23:00:00.000Z", "2026-11-21T06:00:00.000Z"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def queue(store: Store) -> str:
    return store.queues.create("Q")


def by_model(store: Store, queue: str) -> str:
    store.queues.update(queue, {"policy": {"order": "model"}})
    return queue


def worked(store: Store, resident: str | None = None) -> list[str]:
    """Do all there is, as one lane would; the engine of each job, in order."""
    engines = []
    while job := store.jobs.claim("cpu", resident):
        store.ends.finish(job, made(job))
        engines.append(resident := job.engine)
    return engines


def loads(engines: Sequence[str]) -> int:
    return sum(one != before for one, before in zip(engines, ["", *engines], strict=False))


# ------------------------------------------------------------------------------------------------ as written, by model
def test_as_written_nothing_overtakes_whatever_is_loaded(store: Store, queue: str) -> None:
    scenes = store.queues.add_scenes(queue, [shot() for _ in range(4)])
    store.jobs.enqueue([picture(scene, engine) for scene, engine in zip(scenes, "abab", strict=True)])
    assert worked(store, resident="b") == list("abab")


def test_by_model_each_engine_is_loaded_once(store: Store, queue: str) -> None:
    scenes = store.queues.add_scenes(by_model(store, queue), [shot() for _ in range(30)])
    store.jobs.enqueue([picture(scene, "abc"[n % 3]) for n, scene in enumerate(scenes)])
    assert worked(store, resident="b") == ["b"] * 10 + ["a"] * 10 + ["c"] * 10


def test_by_model_all_voices_come_before_the_first_picture(store: Store, queue: str) -> None:
    scenes = store.queues.add_scenes(by_model(store, queue), [shot(lines=2) for _ in range(12)])
    rows = [store.queues.scene(scene) for scene in scenes]
    spoken = [voice(row.id, line.id, "speech") for row in rows for line in row.scene.lines]
    store.jobs.enqueue([*spoken, *(picture(scene, "video") for scene in scenes)])
    assert loads(worked(store)) == 2


def test_by_model_an_engine_that_can_do_all_it_has_left_is_loaded_first(store: Store, queue: str) -> None:
    """Voices, stills that two shots begin with, shots: each once, though a shot stands before a still."""
    ids = store.queues.add_scenes(
        by_model(store, queue), [shot(), shot(), after("{{new:1}}"), shot(), after("{{new:3}}")]
    )
    engines = ["video", "still", "video", "still", "video"]
    store.jobs.enqueue([picture(scene, engine) for scene, engine in zip(ids, engines, strict=True)])
    assert worked(store) == ["still"] * 2 + ["video"] * 3


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_by_model_never_loads_oftener_than_as_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever reads whatever before it; and once each where nothing reads anything."""
    count = data.draw(st.integers(1, 10))
    reads = [data.draw(st.none() | st.integers(0, n - 1)) if n else None for n in range(count)]
    engines = data.draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    store = open_store(tmp_path_factory.mktemp("store"))
    store._connection.db.conn.execute("pragma synchronous = off")
    found = {}
    for order in ("written", "model"):
        queue = store.queues.create(order, policy={"order": order})
        scenes = [shot() if source is None else after(f"{{{{new:{source}}}}}") for source in reads]
        ids = store.queues.add_scenes(queue, scenes)
        store.jobs.enqueue([picture(scene, engine) for scene, engine in zip(ids, engines, strict=True)])
        done = worked(store)
        assert sorted(done) == sorted(engines)
        found[order] = loads(done)
    store.close()
    assert found["model"] <= found["written"]
    if not any(source is not None for source in reads):
        assert found["model"] == len(set(engines))


def test_what_is_queued_later_does_not_overtake_for_ever(
    store: Store, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold, *warm = store.queues.add_scenes(by_model(store, queue), [shot() for _ in range(FAIRNESS + 3)])
    at(monkeypatch, NIGHT)
    store.jobs.enqueue([picture(cold, "cold")])
    at(monkeypatch, MORNING)
    store.jobs.enqueue([picture(scene, "warm") for scene in warm])
    order = [claimed(store, resident="warm").engine for _ in range(FAIRNESS + 3)]
    assert order == ["warm"] * FAIRNESS + ["cold", "warm", "warm"]


def at(monkeypatch: pytest.MonkeyPatch, time: str) -> None:
    """What is queued from here on is queued at this time."""
    monkeypatch.setattr("studio.store.jobs.now", lambda: time)


def test_no_queue_is_overtaken_by_one_after_it(store: Store, queue: str) -> None:
    other = by_model(store, store.queues.create("Other"))
    mine = store.queues.add_scenes(by_model(store, queue), [shot(), shot()])
    theirs = store.queues.add_scenes(other, [shot(), shot()])
    store.jobs.enqueue([picture(scene, "cold") for scene in mine] + [picture(scene, "warm") for scene in theirs])
    assert worked(store, resident="warm") == ["cold", "cold", "warm", "warm"]


def test_the_next_job_of_ten_thousand_is_found_at_once(store: Store, queue: str) -> None:
    """By the number of rows SQLite looks at, not by the clock of a busy machine."""
    scenes = store.queues.add_scenes(by_model(store, queue), [shot() for _ in range(300)])
    store.jobs.enqueue([picture(scene, "a") for scene in scenes])
    steps = [0]
    store._connection.db.conn.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1), 100)
    assert store.jobs.claim("cpu", "a")
    assert steps[0] < 20


# ------------------------------------------------------------------------------------------------ priority and place
def test_a_higher_priority_goes_first_and_the_inbox_before_all(store: Store, queue: str) -> None:
    urgent, inbox = store.queues.create("Urgent"), store.queues.inbox()
    scenes = [store.queues.add_scenes(one, [shot()])[0] for one in (queue, urgent, inbox)]
    store.jobs.enqueue([picture(scene) for scene in scenes])
    store.queues.update(urgent, {"priority": 9})  # while everything waits
    assert [claimed(store).scene_id for _ in range(3)] == [scenes[2], scenes[1], scenes[0]]


def test_a_queue_is_moved_among_the_others(store: Store, queue: str) -> None:
    others = [store.queues.create(name) for name in ("B", "C")]
    scenes = {one: store.queues.add_scenes(one, [shot()])[0] for one in (queue, *others)}
    store.jobs.enqueue([picture(scene) for scene in scenes.values()])
    store.queues.move(others[1], 0)
    store.queues.move(queue, 99)
    assert [one.name for one in store.queues.all()] == ["C", "B", "Q"]
    assert [claimed(store).scene_id for _ in range(3)] == [scenes[others[1]], scenes[others[0]], scenes[queue]]


# ------------------------------------------------------------------------------------------------ when
def test_nothing_begins_before_its_time(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    store.queues.update(queue, {"starts_at": MORNING})
    assert store.jobs.claim("cpu", at=NIGHT) is None and store.jobs.waiting(NIGHT) == []
    assert store.night.unfinished()  # only later
    assert store.jobs.claim("cpu", at=MORNING)


@pytest.mark.parametrize("held", [{"paused": 1}, {"starts_at": "2999-01-01T00:00:00.000Z"}])
def test_what_is_asked_for_by_hand_goes_whatever_its_queue_does(
    store: Store, queue: str, held: dict[str, object]
) -> None:
    mine, rest = store.queues.add_scenes(queue, [shot(lines=1), shot()])
    store.jobs.enqueue([picture(rest), *all_of(store, mine)])
    store.queues.update(queue, held)
    assert store.jobs.claim("cpu") is None and store.jobs.waiting() == []
    store.jobs.enqueue(all_of(store, mine), by_hand=True)  # they wait already
    assert sum(row["jobs"] for row in store.jobs.waiting()) == 2
    assert worked(store) == ["one", "one"] and states(store, queue) == [State.DONE, State.QUEUED]


# ------------------------------------------------------------------------------------------------ again, and no more
def test_a_job_that_is_tried_again_waits_in_its_place_and_blocks_nobody(store: Store, queue: str) -> None:
    first, second, third = store.queues.add_scenes(queue, [shot(), shot(), shot()])
    store.jobs.enqueue([picture(scene) for scene in (first, second, third)])
    job = claimed(store)
    store.queues.reorder(queue, [second, first, third])  # while it runs
    assert store.ends.try_again(job, ERROR, MORNING)
    row = store.queues.scene(first)
    assert (row.state, row.error, row.note) == (State.QUEUED, None, "note.tried_again")
    assert store.ends.failures(job) == 1 and store.jobs.next_try(NIGHT) == MORNING
    assert not store.ends.try_again(job, ERROR, MORNING)  # that attempt no longer counts
    found = store.jobs.claim("cpu", at=NIGHT)
    assert found and found.scene_id == second
    assert [store.jobs.claim("cpu", at=MORNING).scene_id for _ in range(2)] == [first, third]  # type: ignore[union-attr]


def test_what_a_crash_put_back_resumes_its_place(store: Store, queue: str) -> None:
    first, second, third = store.queues.add_scenes(queue, [shot(), shot(), shot()])
    store.jobs.enqueue([picture(scene) for scene in (first, second, third)])
    job = claimed(store)
    store.queues.reorder(queue, [second, first, third])
    store.ends.put_back(job, "note.resumed", ERROR)
    assert store.queues.scene(first).note == "note.resumed"
    assert [claimed(store).scene_id for _ in range(3)] == [second, first, third]


def test_what_waits_goes_back_to_draft_and_what_is_begun_is_finished(store: Store, queue: str) -> None:
    begun, waits, done = store.queues.add_scenes(queue, [shot(lines=1), shot(lines=1), shot()])
    render(store, done)
    store.jobs.enqueue([*all_of(store, begun), *all_of(store, waits), picture(done)])
    speaking = claimed(store)
    store.queues.update(queue, {"paused": 1})
    assert store.jobs.finish_begun(queue) == ([begun], 2)
    assert states(store, queue) == [State.RUNNING, State.DRAFT, State.DRAFT]
    assert store.queues.scene(waits).note == "note.held_back" and store.queues.scene(waits).error is None
    store.ends.finish(speaking, made(speaking))
    assert worked(store) == ["one"] and states(store, queue) == [State.DONE, State.DRAFT, State.DRAFT]
    store.jobs.enqueue([*all_of(store, waits), picture(done)])
    store.queues.update(queue, {"paused": 0})
    assert len(worked(store)) == 3 and set(states(store, queue)) == {State.DONE}


def test_what_can_never_run_is_not_waited_for(store: Store, queue: str) -> None:
    source, reader = store.queues.add_scenes(queue, [shot(), after("{{new:0}}")])
    store.jobs.enqueue([picture(source), picture(reader)])
    assert store.night.unfinished()
    store.ends.fail(claimed(store), ERROR)
    assert states(store, queue) == [State.FAILED, State.QUEUED] and not store.night.unfinished()
