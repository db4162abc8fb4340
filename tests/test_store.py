"""The store: pragmas and migrations, claims, the fence, the selection among takes, positions, what changed since."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database
from store_tools import ERROR, after, all_of, claimed, made, open_store, picture, render, shot, states, voice

from studio import domain
from studio.domain import Line, Speech, State, words
from studio.errors import Conflict, DiskFull, Forbidden, NotFound, Unavailable
from studio.media.roots import Roots
from studio.store import Store, Wanted
from studio.store.database import BACKUPS_KEPT, Connection
from studio.store.ends import MAX_CRASHES
from studio.store.migrations import migrations


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> str:
    return store.queues.create("Night pier")


def labels(store: Store, queue: str) -> list[str]:
    rows = store.queues.scenes(queue)
    assert [row.position for row in rows] == list(range(len(rows)))
    return [row.scene.label for row in rows]


# ------------------------------------------------------------------------------------------------ the file
def test_the_connection_has_what_a_power_cut_asks_for(store: Store) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    assert {name: store._connection.value(f"pragma {name}") for name in wanted} == wanted
    assert store.facts()["journal"] == "wal"


def test_a_file_with_a_migration_this_app_lacks_is_left_alone(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    path = tmp_path / "data" / "studio.db"
    with sqlite3.connect(path) as raw:
        raw.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at)"
            " select migration_set, 'm999_later', applied_at from _sqlite_migrations limit 1"
        )
    raw.close()
    before = path.read_bytes()
    with pytest.raises(Unavailable) as refused:
        open_store(tmp_path)
    assert refused.value.code == "store.newer" and refused.value.params["migrations"] == "m999_later"
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "studio.db").write_text("no database " * 100)
    with pytest.raises(Unavailable) as refused:
        open_store(tmp_path)
    assert refused.value.code == "store.damaged"


def test_a_copy_is_kept_before_a_migration(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    path, backups = tmp_path / "data" / "studio.db", tmp_path / "data" / "backups"
    assert not backups.exists()  # nothing was there to lose

    grown = type(migrations)("studio")
    grown._migrations = list(migrations._migrations)

    def more(number: int) -> None:
        @grown(name=f"m9{number:02}_more")
        def step(db: Database) -> None:
            db.execute(f"create table more_{number} (id integer)")

    for number in range(BACKUPS_KEPT + 2):
        more(number)
        Connection(path, grown).close()
    kept = sorted(backups.glob("studio-*.db"))
    assert len(kept) == BACKUPS_KEPT
    with sqlite3.connect(kept[-1]) as raw:
        tables = {name for (name,) in raw.execute("select name from sqlite_master where type = 'table'")}
    raw.close()
    newest = BACKUPS_KEPT + 1
    assert f"more_{newest - 1}" in tables and f"more_{newest}" not in tables and "scenes" in tables


def test_a_failed_write_leaves_nothing_and_the_next_one_works(store: Store, queue: str) -> None:
    with pytest.raises(ZeroDivisionError), store._connection.write():
        store.queues.add_scenes(queue, [shot("lost")])
        raise ZeroDivisionError
    assert labels(store, queue) == []
    store.queues.add_scenes(queue, [shot("kept")])
    assert labels(store, queue) == ["kept"]


def test_a_full_disk_is_called_one(store: Store, queue: str) -> None:
    pages = store._connection.value("pragma page_count")
    store._connection.value(f"pragma max_page_count = {pages}")  # SQLite finds no more room than this
    with pytest.raises(DiskFull):
        store.queues.add_scenes(queue, [shot("x" * 200) for _ in range(500)])
    store._connection.value("pragma max_page_count = 1000000")
    assert labels(store, queue) == []


def test_a_commit_that_fails_does_not_block_the_next(store: Store, queue: str) -> None:
    with pytest.raises(sqlite3.IntegrityError), store._connection.write() as db:
        db.execute("pragma defer_foreign_keys = on")  # now the commit itself finds what is wrong
        db.execute(
            "insert into scenes (id, queue_id, position, task_type, body, created, updated)"
            " values ('x', 'nowhere', 0, 'speech', '{}', '', '')"
        )
    store.queues.add_scenes(queue, [shot("kept")])
    assert labels(store, queue) == ["kept"]


def test_folders_may_move_and_a_stored_path_never_leads_out(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    scene = store.queues.add_scenes(store.queues.create("Q"), [shot()])[0]
    take = render(store, scene, path="default/a.mp4")
    hostile = render(store, scene, path="../../etc/passwd")
    assert store.takes.get(take).path == (tmp_path / "outputs" / "default" / "a.mp4").resolve()
    with pytest.raises(Forbidden):
        store.takes.get(hostile)
    store.close()
    moved = Store(tmp_path / "data" / "studio.db", Roots({"outputs": tmp_path / "elsewhere"}))
    assert moved.takes.get(take).path == (tmp_path / "elsewhere" / "default" / "a.mp4").resolve()
    moved.close()


# ------------------------------------------------------------------------------------------------ claim and fence
def test_eight_threads_claim_each_job_once(store: Store, queue: str) -> None:
    scenes = store.queues.add_scenes(queue, [shot(str(n)) for n in range(60)])
    store.jobs.enqueue([picture(scene) for scene in scenes])
    claims: list[str] = []
    start = threading.Barrier(8)

    def take_all() -> None:
        start.wait()
        while job := store.jobs.claim("cpu"):
            claims.append(job.scene_id)

    threads = [threading.Thread(target=take_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == sorted(scenes)


def test_two_first_scenes_at_once_make_one_inbox(store: Store) -> None:
    start, found = threading.Barrier(8), []

    def first() -> None:
        start.wait()
        found.append(store.queues.inbox())

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_a_job_is_queued_once_while_it_lives(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    assert [store.jobs.enqueue([picture(scene)]) for _ in range(2)] == [1, 0]
    job = claimed(store)
    assert store.jobs.enqueue([picture(scene)]) == 0  # it runs
    store.ends.finish(job, made(job))
    assert store.jobs.enqueue([picture(scene)]) == 1


def test_an_attempt_that_was_given_up_writes_nothing(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    stale = claimed(store)
    assert store.ends.put_back(stale, "note.resumed", ERROR) is State.QUEUED
    fresh = claimed(store)
    assert (fresh.id, fresh.attempt) == (stale.id, stale.attempt + 1)
    assert store.ends.finish(stale, made(stale)) is None
    assert not store.ends.fail(stale, ERROR)
    assert not store.ends.cancelled(stale)
    assert not store.ends.keep(stale, "order", 1)
    assert store.ends.put_back(stale, "note.resumed", ERROR) is None
    assert store.takes.of_scene(scene) == [] and states(store, queue) == [State.RUNNING]
    assert store.ends.finish(fresh, made(fresh))
    assert store.ends.finish(fresh, made(fresh)) is None  # once is enough
    assert len(store.takes.of_scene(scene)) == 1 and states(store, queue) == [State.DONE]


def test_the_scene_of_a_running_job_may_be_deleted(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    job = claimed(store)
    store.queues.delete_scenes(queue, [scene])
    assert store.ends.finish(job, made(job)) is None
    assert store.ends.put_back(job, "note.resumed", ERROR) is None
    assert not store.ends.fail(job, ERROR)


def test_what_was_kept_is_there_at_the_next_attempt(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    job = claimed(store)
    assert store.ends.keep(job, "order", {"id": 17}) and store.ends.keep(job, "window", 3)
    store.ends.put_back(job, "note.resumed", ERROR)
    assert claimed(store).kept == {"order": {"id": 17}, "window": 3}


def test_after_three_crashes_a_job_has_failed(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    ends = [store.ends.put_back(claimed(store), "note.resumed", ERROR) for _ in range(MAX_CRASHES)]
    assert ends == [State.QUEUED] * (MAX_CRASHES - 1) + [State.FAILED]
    row = store.queues.scene(scene)
    assert (row.state, row.error, row.note) == (State.FAILED, ERROR, "note.resumed")
    assert store.jobs.claim("cpu") is None


def test_what_is_not_the_jobs_fault_does_not_count_as_a_crash(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    for _ in range(MAX_CRASHES + 2):
        assert store.ends.put_back(claimed(store), "note.disk_full", ERROR, crashed=False) is State.QUEUED


# ------------------------------------------------------------------------------------------------ the order of claims
def test_voices_come_before_their_picture(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=2)])[0]
    store.jobs.enqueue(all_of(store, scene)[::-1])
    first, second = claimed(store), claimed(store)
    assert {first.layer, second.layer} == {"voice"}
    assert store.jobs.claim("cpu") is None  # both are still being spoken
    store.ends.finish(first, made(first))
    assert store.jobs.claim("cpu") is None
    store.ends.finish(second, made(second))
    assert claimed(store).layer == "picture"


def test_a_picture_waits_for_the_scene_it_reads(store: Store, queue: str) -> None:
    later, first = store.queues.add_scenes(queue, [after("{{new:1}}"), shot()])
    store.jobs.enqueue([picture(later)])
    assert store.jobs.claim("cpu") is None  # nobody makes it: blocked
    store.jobs.enqueue([picture(first)])
    job = claimed(store)
    assert job.scene_id == first
    store.ends.finish(job, made(job))
    assert claimed(store).scene_id == later


def test_a_picture_that_is_made_again_is_waited_for(store: Store, queue: str) -> None:
    first, later = store.queues.add_scenes(queue, [shot(), after("{{new:0}}")])
    render(store, first)
    store.jobs.enqueue([picture(first), picture(later)])
    again = claimed(store)
    assert again.scene_id == first and store.jobs.claim("cpu") is None
    store.ends.fail(again, ERROR)
    assert claimed(store).scene_id == later  # the take of before is still there


def test_a_take_in_the_trash_feeds_nobody(store: Store, queue: str) -> None:
    first, later = store.queues.add_scenes(queue, [shot(), after("{{new:0}}")])
    take = render(store, first)
    store.takes.trash(take)
    store.jobs.enqueue([picture(later)])
    assert store.jobs.claim("cpu") is None
    store.takes.trash(take, restore=True)
    assert claimed(store).scene_id == later


def test_a_paused_queue_starts_nothing_and_the_others_go_on(store: Store, queue: str) -> None:
    other = store.queues.create("Other")
    mine, theirs = store.queues.add_scenes(queue, [shot()])[0], store.queues.add_scenes(other, [shot()])[0]
    store.jobs.enqueue([picture(mine), picture(theirs)])
    store.queues.update(queue, {"paused": 1})
    assert claimed(store).scene_id == theirs
    assert store.jobs.claim("cpu") is None
    store.queues.update(queue, {"paused": 0})
    assert claimed(store).scene_id == mine


def test_order_is_inbox_then_queue_then_scene(store: Store, queue: str) -> None:
    other, inbox = store.queues.create("Other"), store.queues.inbox()
    a, b = store.queues.add_scenes(queue, [shot(), shot()])
    c = store.queues.add_scenes(other, [shot()])[0]
    d = store.queues.add_scenes(inbox, [shot()])[0]
    store.jobs.enqueue([picture(scene) for scene in (c, b, a, d)])
    assert [claimed(store).scene_id for _ in range(4)] == [d, a, b, c]


def test_a_new_order_is_the_order_of_claims(store: Store, queue: str) -> None:
    a, b, c = store.queues.add_scenes(queue, [shot(), shot(), shot()])
    store.jobs.enqueue([picture(scene) for scene in (a, b, c)])
    store.queues.reorder(queue, [c, a, b])
    d = store.queues.add_scenes(queue, [shot()], at=0)[0]
    store.jobs.enqueue([picture(d)])
    assert [claimed(store).scene_id for _ in range(4)] == [d, c, a, b]


def test_lanes_do_not_take_each_others_jobs(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([picture(scene)])
    assert store.jobs.claim("gpu") is None and store.jobs.claim("net") is None
    assert claimed(store)


# ------------------------------------------------------------------------------------------------ where a scene stands
def test_a_voice_that_fails_takes_its_picture_with_it(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=2)])[0]
    store.jobs.enqueue(all_of(store, scene))
    store.ends.fail(claimed(store), ERROR)
    assert store.jobs.live(scene_id=scene) == []
    row = store.queues.scene(scene)
    assert (row.state, row.error) == (State.FAILED, ERROR)


def test_a_voice_that_was_stopped_does_not_outlive_the_picture(store: Store, queue: str) -> None:
    """Everything was to be made anew, the voice was stopped, and the picture was made with the voice of before."""
    scene = store.queues.add_scenes(queue, [shot(lines=1)])[0]
    line = store.queues.scene(scene).scene.lines[0].id
    store.jobs.enqueue([voice(scene, line)])
    job = claimed(store)
    store.ends.finish(job, made(job))
    store.jobs.enqueue(all_of(store, scene))
    store.jobs.unqueue([scene])
    assert states(store, queue) == [State.CANCELLED]
    render(store, scene)
    assert states(store, queue) == [State.DONE]


def test_a_scene_that_waits_again_does_not_look_failed(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=1)])[0]
    line = store.queues.scene(scene).scene.lines[0].id
    store.jobs.enqueue([voice(scene, line)])
    job = claimed(store)
    store.ends.finish(job, made(job))
    store.jobs.enqueue(all_of(store, scene))
    store.ends.fail(claimed(store), ERROR)
    store.jobs.enqueue([picture(scene)])  # with the voice of before
    row = store.queues.scene(scene)
    assert (row.state, row.error) == (State.QUEUED, None)


def test_the_failure_of_a_deleted_line_is_forgotten(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=1)])[0]
    store.jobs.enqueue(all_of(store, scene))
    store.ends.fail(claimed(store), ERROR)
    store.queues.edit(scene, shot(), None)
    store.jobs.enqueue([picture(scene)])
    assert states(store, queue) == [State.QUEUED]


def test_unqueue_leaves_a_scene_alone_that_waits_for_nothing(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    render(store, scene)
    store.jobs.reset(scene)
    assert store.jobs.unqueue([scene]) == 0
    assert states(store, queue) == [State.DRAFT]  # it was edited: its take no longer shows it


# ------------------------------------------------------------------------------------------------ takes
def shown(store: Store, scene: str) -> str | None:
    take = store.takes.selected([scene]).get(scene)
    return take.id if take else None


def test_the_newest_take_is_selected(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    takes = [render(store, scene) for _ in range(3)]
    assert shown(store, scene) == takes[-1]
    assert [take.number for take in store.takes.of_scene(scene)] == [3, 2, 1]
    assert sum(take.selected for take in store.takes.of_scene(scene)) == 1


@pytest.mark.parametrize("mark", ["selected", "locked"])
def test_a_take_that_was_chosen_or_locked_stays(store: Store, queue: str, mark: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    first, _ = render(store, scene), render(store, scene)
    store.takes.mark(first, {mark: True})
    assert shown(store, scene) == first
    third = render(store, scene)
    assert shown(store, scene) == first
    if mark == "locked":
        store.takes.mark(first, {"locked": False})
        assert shown(store, scene) == first
        fourth = render(store, scene)
        assert shown(store, scene) == fourth
    else:
        store.takes.mark(third, {"selected": True})
        assert shown(store, scene) == third


def test_the_trash_hands_the_selection_on_and_gives_it_back(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    first, second = render(store, scene), render(store, scene)
    store.takes.trash(second)
    assert shown(store, scene) == first and [take.id for take in store.takes.of_scene(scene)] == [first]
    store.takes.trash(first)
    assert shown(store, scene) is None
    store.takes.trash(second, restore=True)
    assert shown(store, scene) == second
    store.takes.trash(first, restore=True)
    assert shown(store, scene) == second
    assert render(store, scene) == shown(store, scene)  # a take in the trash holds nothing


def test_what_lies_in_the_trash_cannot_be_chosen(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot()])[0]
    first, second = render(store, scene), render(store, scene)
    store.takes.trash(first)
    with pytest.raises(Conflict) as refused:
        store.takes.mark(first, {"selected": True})
    assert refused.value.code == "take.in_trash" and shown(store, scene) == second
    store.takes.mark(first, {"private": True, "rating": 3})
    assert store.takes.get(first).private


def test_takes_of_lines_and_pictures_do_not_mix(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=2)])[0]
    store.jobs.enqueue(all_of(store, scene))
    takes = []
    while job := store.jobs.claim("cpu"):
        takes.append(store.ends.finish(job, made(job)))
    lines = [line.id for line in store.queues.scene(scene).scene.lines]
    spoken = store.takes.selected([scene], "voice")
    assert [spoken[line].id for line in lines] == takes[:2] and shown(store, scene) == takes[2]
    assert store.takes.counts([scene]) == {scene: 1}


def test_the_gallery_finds_words_filters_and_pages(store: Store, queue: str) -> None:
    a, b = store.queues.add_scenes(queue, [shot("Lamp 100%"), shot("Boat_2")])
    one = render(store, a, settings={"label": "Lamp 100%", "prompt": "it burns"})
    two = render(store, b, settings={"label": "Boat_2", "prompt": "it rows"}, draft=True)
    store.takes.mark(two, {"private": True})

    def found(before: str | None = None, limit: int = 9, **filters: object) -> list[str]:
        return [row["id"] for row in store.takes.search(filters, before=before, limit=limit)[0]]

    assert found() == [two, one] and found(limit=1) == [two] and found(before=two) == [one]
    assert found(words="lamp burns") == [one] and found(words="100%") == [one] and found(words="boat_2") == [two]
    assert found(words="%") == [one] and found(words="_") == [two] and found(words="night") == [two, one]
    assert found(draft=1) == [two] and found(private=0) == [one] and found(kind="image") == []
    assert found(trashed=True) == []
    store.takes.trash(one)
    assert found(trashed=True) == [one] and found() == [two]


def test_the_gallery_finds_words_of_every_language_and_no_names_of_fields(store: Store, queue: str) -> None:
    a, b = store.queues.add_scenes(queue, [shot(), shot()])
    one = render(store, a, settings={"label": "Inês", "prompt": "à noite", "resolution": "720P"})
    two = render(store, b, settings={"prompt": "灯塔", "lines": [{"text": "A luz caiu"}, {"text": "Não"}]})

    def found(words: str) -> list[str]:
        return [row["id"] for row in store.takes.search({"words": words}, before=None, limit=9)[0]]

    assert found("Inês à") == [one] and found("灯塔") == [two] and found("caiu Não") == [two]
    assert found("prompt") == found("720P") == found("u00ea") == []


def test_an_asset_is_known_by_its_content(store: Store, tmp_path: Path) -> None:
    from studio.domain import Asset

    path = tmp_path / "outputs" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"x")
    asset = Asset("ab" * 32, "image", path, "a.png", 1, 4, 4)
    store.takes.add_asset(asset, {"from": "path"})
    assert store.takes.asset_at(path) == asset
    path.write_bytes(b"xy")
    assert store.takes.asset_at(path) is None  # another size: look again
    moved = path.rename(path.with_name("b.png"))
    store.takes.add_asset(Asset("ab" * 32, "image", moved, "b.png", 1, 4, 4), {})
    assert store.takes.asset("ab" * 32).path == moved.resolve()
    with pytest.raises(NotFound):
        store.takes.asset("cd" * 32)


# ------------------------------------------------------------------------------------------------ scenes and positions
def test_positions_stay_whole(store: Store, queue: str) -> None:
    a, b = store.queues.add_scenes(queue, [shot("a"), shot("b")])
    store.queues.add_scenes(queue, [shot("c"), shot("d")], at=1)
    assert labels(store, queue) == ["a", "c", "d", "b"]
    store.queues.add_scenes(queue, [shot("e")], at=99)
    assert labels(store, queue) == ["a", "c", "d", "b", "e"]
    store.queues.delete_scenes(queue, [b])
    assert labels(store, queue) == ["a", "c", "d", "e"]
    ids = [row.id for row in store.queues.scenes(queue)]
    store.queues.reorder(queue, ids[::-1])
    assert labels(store, queue) == ["e", "d", "c", "a"]
    for wrong in (ids[:-1], [*ids, a], [*ids[:-1], "nobody"], [*ids[:-1], ids[0]]):
        with pytest.raises(Conflict):
            store.queues.reorder(queue, wrong)
    assert labels(store, queue) == ["e", "d", "c", "a"]


def test_a_stale_edit_is_refused(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot("a")])[0]
    store.queues.edit(scene, shot("b"), 1)
    with pytest.raises(Conflict) as stale:
        store.queues.edit(scene, shot("c"), 1)
    assert stale.value.code == "scene.stale" and stale.value.params["current"] == 2
    store.queues.edit(scene, shot("d"), None)
    row = store.queues.scene(scene)
    assert (row.scene.label, row.version) == ("d", 3)


def test_a_scene_that_a_worker_has_is_not_edited(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot("a")])[0]
    store.jobs.enqueue([picture(scene)])
    assert store.jobs.claim("cpu")
    with pytest.raises(Conflict) as refused:
        store.queues.edit(scene, shot("b"), None)
    assert refused.value.code == "scene.running" and labels(store, queue) == ["a"]


def test_lines_keep_their_takes_by_their_ids(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=2)])[0]
    first, second = store.queues.scene(scene).scene.lines
    stranger = store.queues.scene(store.queues.add_scenes(queue, [shot(lines=1)])[0]).scene.lines[0]
    edited = [Line(id=second.id, text="now first"), Line(text="new"), stranger, Line(id=second.id, text="twice")]
    store.queues.edit(scene, shot().model_copy(update={"lines": edited}), None)
    lines = store.queues.scene(scene).scene.lines
    assert [line.text for line in lines] == ["now first", "new", "line 0", "twice"]
    assert lines[0].id == second.id
    assert not {first.id, second.id, stranger.id} & {line.id for line in lines[1:]}
    assert len({line.id for line in lines}) == 4


def test_needs_follow_an_edit(store: Store, queue: str) -> None:
    a, b, c = store.queues.add_scenes(queue, [shot(), shot(), after("{{new:0}}")])
    assert store.queues.needs(c) == [a]
    store.queues.edit(c, after(f"{b}#first"), None)
    assert store.queues.needs(c) == [b]


def test_codes_never_come_back(store: Store) -> None:
    ids = [store.queues.create(name) for name in "abc"]
    store.queues.delete(ids[1])
    codes = [store.queues.get(store.queues.create("d")).code, store.queues.get(ids[2]).code]
    assert codes == ["EP004", "EP003"]


def test_a_deleted_queue_takes_its_rows_along(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [shot(lines=1)])[0]
    take = render_with_voice(store, scene)
    store.takes.add_export(queue, "film")
    store.queues.delete_scenes(queue, [store.queues.add_scenes(queue, [shot()])[0]])
    store.queues.delete(queue)
    assert store.changes._scenes == store.changes._removed == {}  # nobody asks for them any more
    for table in ("scenes", "lines", "jobs", "takes", "exports"):
        assert store._connection.value(f"select count(*) from {table}") == 0
    with pytest.raises(NotFound):
        store.takes.get(take)


def render_with_voice(store: Store, scene: str) -> str:
    store.jobs.enqueue(all_of(store, scene))
    take = None
    while job := store.jobs.claim("cpu"):
        take = store.ends.finish(job, made(job))
    assert take
    return take


def test_a_character_keeps_its_voice(store: Store, queue: str) -> None:
    project = store.queues.get(queue).project_id
    store.queues.add_character(project, "Inês")
    assert store.speakers(project).name(Line(character="INÊS", text="x")) == ""
    store.queues.add_character(project, "Ines", "deep")
    store.queues.add_character(project, "Inês", "")
    assert store.speakers(project).name(Line(character="inês ", text="x")) == "deep"
    assert store.speakers(project).name(Line(character="inês", voice="own", text="x")) == "own"
    assert store.speakers(project).name(Line(character="nobody", text="x")) == ""


# ------------------------------------------------------------------------------------------------ what changed since
def test_a_page_hears_only_what_changed(store: Store, queue: str) -> None:
    a, b = store.queues.add_scenes(queue, [shot("a"), shot("b")])
    version, everything, removed = store.since(queue, None)
    assert [row.id for row in everything] == [a, b] and removed == []
    assert store.since(queue, version)[1:] == ([], [])
    store.queues.edit(b, shot("b2"), None)
    assert [row.id for row in store.since(queue, version)[1]] == [b]
    take = render(store, a)
    assert [row.id for row in store.since(queue, version)[1]] == [a, b]
    seen = store.since(queue, version)[0]
    store.takes.mark(take, {"private": True})
    assert [row.id for row in store.since(queue, seen)[1]] == [a]
    store.queues.delete_scenes(queue, [a])
    _, changed, removed = store.since(queue, seen)
    assert [row.id for row in changed] == [b] and removed == [a]  # b has another number now


@pytest.mark.parametrize("version", ["", "x", "other-3", "-", "{boot}-", "{boot}-²", "{boot}--1", "{boot}-1e9"])
def test_an_unknown_version_is_sent_everything(store: Store, queue: str, version: str) -> None:
    scenes = store.queues.add_scenes(queue, [shot(), shot()])
    asked = version.replace("{boot}", store.changes.boot)
    assert [row.id for row in store.since(queue, asked)[1]] == scenes


def test_every_boot_is_another(tmp_path: Path) -> None:
    first, second = open_store(tmp_path), open_store(tmp_path / "other")
    assert first.changes.boot != second.changes.boot
    first.close(), second.close()


def test_an_answer_is_given_again(store: Store) -> None:
    store.remember("key", 201, "{}")
    store.remember("key", 500, "never")
    assert store.answer("key") == {"status": 201, "body": "{}"} and store.answer("other") is None


def test_an_answer_is_forgotten_after_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store._connection.write():
        for key, age in (("old", "-25 hours"), ("young", "-23 hours")):
            at = store._connection.value("select strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)", [age])
            store._connection.insert("answers", {"key": key, "status": 200, "body": "", "at": at})
    store.remember("new", 200, "")
    assert store.answer("old") is None and store.answer("young") and store.answer("new")


def test_speech_without_a_picture_is_done_when_it_is_spoken(store: Store, queue: str) -> None:
    scene = store.queues.add_scenes(queue, [Speech(lines=[Line(text="a"), Line(text="b")])])[0]
    lines = store.queues.scene(scene).scene.lines
    store.jobs.enqueue([voice(scene, line.id) for line in lines])
    seen = []
    while job := store.jobs.claim("cpu"):
        store.ends.finish(job, made(job))
        seen.append(states(store, queue)[0])
    assert seen == [State.QUEUED, State.DONE]


def test_ids_grow_even_where_the_clock_went_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    queue = store.queues.create("a")
    scene = store.queues.add_scenes(queue, [shot()])[0]
    store.jobs.enqueue([Wanted(scene, None, "picture", "draft", "cpu")])
    ahead = "7" + "0" * 25  # made by a clock that stood in a far century
    with store._connection.write():
        store._connection.execute("update jobs set id = ?", [ahead])
    store.close()
    monkeypatch.setattr(words, "_newest", words._newest)  # the next test keeps its clock
    open_store(tmp_path).close()
    assert ahead < domain.new_id() < domain.new_id()
