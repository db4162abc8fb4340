"""Undo: whatever was done to a queue, undoing it all leaves the rows that were there, and redoing it those after."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from store_tools import after, claimed, made, open_store, picture, render, shot

from studio.domain import State
from studio.errors import Conflict
from studio.store import Store
from studio.store.edits import KEPT

ROWS = {
    "scenes": "select id, position, task_type, body, state, error, note, retake from scenes order by position",
    "lines": "select * from lines order by id",
    "needs": "select * from needs order by 1, 2",
    "jobs": "select * from jobs order by id",
    "takes": "select * from takes order by id",
}


def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    return {table: store._connection.rows(sql) for table, sql in ROWS.items()}


class Undoing(RuleBasedStateMachine):
    """Random edits; every state on the way is kept and must come back, exactly, backwards and forwards."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name))
        self.store._connection.db.conn.execute("pragma synchronous = off")
        self.queue = self.store.queues.create("Q")
        for lines in (0, 2, 1):
            (scene,) = self.store.queues.add_scenes(self.queue, [shot(lines=lines)])
            render(self.store, scene) if not lines else None
        self.stood = [rows(self.store)]  # one more than there are entries to undo
        self.undone: list[dict[str, Any]] = []

    def teardown(self) -> None:
        while len(self.stood) > 1:
            self.undo()
        while self.undone:
            self.redo()
        self.store.close()
        self.folder.cleanup()

    def _order(self) -> list[str]:
        return [row.id for row in self.store.queues.scenes(self.queue)]

    def _did(self) -> None:
        now = rows(self.store)
        if now != self.stood[-1]:
            self.stood.append(now)
            self.undone = []

    @rule(at=st.integers(0, 5), lines=st.integers(0, 2), reads=st.booleans())
    def add(self, at: int, lines: int, reads: bool) -> None:
        order = self._order()
        scene = after(order[0]) if reads and order else shot(lines=lines)
        with self.store.edits.recording(self.queue, "add"):
            self.store.queues.add_scenes(self.queue, [scene], at)
        self._did()

    @precondition(lambda self: self._order())
    @rule(picks=st.sets(st.integers(0, 9), min_size=1, max_size=3), text=st.sampled_from("abc"), keep=st.integers(0, 2))
    def edit(self, picks: set[int], text: str, keep: int) -> None:
        order = self._order()
        chosen = sorted({order[pick % len(order)] for pick in picks})
        with self.store.edits.recording(self.queue, "edit", chosen):
            for scene_id in chosen:
                scene = self.store.queues.scene(scene_id).scene
                fields = {"prompt": text, "lines": scene.lines[:keep]}
                self.store.queues.edit(scene_id, scene.model_copy(update=fields), None)
        self._did()

    @precondition(lambda self: self._order())
    @rule(order=st.randoms(use_true_random=False))
    def reorder(self, order: Any) -> None:
        ids = self._order()
        order.shuffle(ids)
        with self.store.edits.recording(self.queue, "reorder"):
            self.store.queues.reorder(self.queue, ids)
        self._did()

    @precondition(lambda self: self._order())
    @rule(picks=st.sets(st.integers(0, 9), min_size=1, max_size=2))
    def delete(self, picks: set[int]) -> None:
        order = self._order()
        chosen = sorted({order[pick % len(order)] for pick in picks})
        with self.store.edits.recording(self.queue, "delete", chosen, deep=True):
            self.store.queues.delete_scenes(self.queue, chosen)
        self._did()

    @precondition(lambda self: len(self.stood) > 1)
    @rule()
    def undo(self) -> None:
        self.store.edits.step(self.queue, "undo")
        self.undone.append(self.stood.pop())
        assert rows(self.store) == self.stood[-1]

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        self.store.edits.step(self.queue, "redo")
        self.stood.append(self.undone.pop())
        assert rows(self.store) == self.stood[-1]


Undoing.TestCase.settings = settings(
    max_examples=int(os.environ.get("LANTERNA_EXAMPLES", "40")), stateful_step_count=20, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestUndoing = Undoing.TestCase


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = open_store(tmp_path)
    yield store
    store.close()


def test_what_was_rendered_since_stays(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot("first")])
    with store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, shot("second"), None)
    take, version = render(store, scene), store.queues.scene(scene).version
    store.edits.step(queue, "undo")
    row = store.queues.scene(scene)
    assert (row.scene.label, row.state, row.version) == ("first", State.DONE, version + 1)  # others must read it again
    assert store.takes.get(take).selected


def test_a_scene_that_is_being_rendered_is_left_alone(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot("first")])
    with store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, shot("second"), None)
    store.jobs.enqueue([picture(scene)])
    claimed(store)
    with pytest.raises(Conflict, match=r"edit\.running"):
        store.edits.step(queue, "undo")
    assert store.queues.scene(scene).scene.label == "second" and store.edits.names(queue)["undo"]


def test_a_scene_that_began_while_it_was_deleted_waits_again_when_it_is_back(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot("first")])
    store.jobs.enqueue([picture(scene)])
    job = claimed(store)
    with store.edits.recording(queue, "delete", [scene], deep=True):
        store.queues.delete_scenes(queue, [scene])
    assert store.ends.finish(job, made(job)) is None
    store.edits.step(queue, "undo")
    assert store.queues.scene(scene).state is State.QUEUED  # nobody works on it any more
    assert claimed(store).id == job.id


def test_what_was_deleted_for_good_does_not_come_back_half(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot("first")])
    with store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, shot("second"), None)
    render(store, scene)
    with store.edits.recording(queue, "delete", [scene], deep=True):
        store.queues.delete_scenes(queue, [scene])
    assert store.storage.doom_leftovers(None) == 1  # its take goes, and with it the way back
    store.edits.step(queue, "undo")
    assert store.queues.scenes(queue) == []
    store.edits.step(queue, "redo")
    assert store.queues.scenes(queue) == []


def test_a_new_edit_ends_what_could_be_done_again_and_old_ones_go(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot()])
    for number in range(KEPT + 5):
        with store.edits.recording(queue, "edit", [scene], title=str(number)):
            store.queues.edit(scene, shot(str(number)), None)
    assert len(store.edits.history(queue)) == KEPT
    store.edits.step(queue, "undo")
    assert store.edits.names(queue)["redo"] == {"verb": "edit", "title": str(KEPT + 4), "count": 1}
    with store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, shot("new"), None)
    with pytest.raises(Conflict, match=r"edit\.nothing_to_redo"):
        store.edits.step(queue, "redo")


def test_an_edit_that_changes_nothing_is_no_entry_and_one_that_breaks_leaves_none(store: Store) -> None:
    queue = store.queues.create("Q")
    (scene,) = store.queues.add_scenes(queue, [shot("same", lines=1)])
    with store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, store.queues.scene(scene).scene, None)
    with pytest.raises(Conflict), store.edits.recording(queue, "edit", [scene]):
        store.queues.edit(scene, shot("other"), None)
        store.queues.edit(scene, shot("other"), 1)  # stale
    assert store.queues.scene(scene).scene.label == "same"
    with pytest.raises(Conflict, match=r"edit\.nothing_to_undo"):
        store.edits.step(queue, "undo")
