"""Making room: what may go and what stays, files that go whole, and a crash in the middle of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from drawing import draw
from starlette.testclient import TestClient

from studio.domain import VoiceFields
from studio.errors import Conflict, NotFound
from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25}


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"])


def rendered(studio: Studio, queue: str, times: int = 1, **fields: Any) -> list[str]:
    """A scene with so many takes; their ids, oldest first."""
    scene = str(studio.scenes.add(queue, {**SHOT, **fields})["id"])
    for _ in range(times):
        studio.scenes.run(scene)
        studio.drain()
    return [take["id"] for take in studio.scenes.get(scene)["take_list"]][::-1]


def files(studio: Studio) -> set[str]:
    """Every file of takes and films, and every small picture."""
    folders = (studio.settings.output_dir, studio.settings.cache_dir / "takes", studio.settings.cache_dir / "frames")
    return {path.name for folder in folders for path in folder.rglob("*") if path.is_file()}


def film(studio: Studio, queue: str) -> Path:
    made = studio.exports.cut(queue, wait=True)
    assert made["state"] == "done", made
    return studio.exports.file(made["id"])


# ------------------------------------------------------------------------------------------------ looking
def test_the_view_adds_up(studio: Studio, queue: str) -> None:
    old, new = rendered(studio, queue, 2)
    thrown = rendered(studio, queue)[0]
    studio.takes.trash(thrown)
    sizes = {take: studio.takes.file(take).stat().st_size for take in (old, new, thrown)}
    (row,) = studio.storage.view()["queues"]
    assert (row["selected"], row["unselected"], row["trash"]) == (sizes[new], sizes[old], sizes[thrown])
    assert (row["takes"], row["finished"], row["films"], row["spare"]) == (3, False, 0, {"takes": 0, "bytes": 0})
    view = studio.storage.view()
    assert view["trash"] == {"takes": 1, "bytes": sizes[thrown], "days": 30}
    assert view["cache"]["posters"] > 0 and view["free"] > 0 and view["leftovers"] == []
    json.dumps(view)


# ------------------------------------------------------------------------------------------------ spare takes
def test_only_spare_takes_of_finished_films_go(studio: Studio, queue: str) -> None:
    spare, locked, rated, poor, selected = rendered(studio, queue, 5)
    studio.takes.mark(rated, {"rating": 4})
    studio.takes.mark(poor, {"rating": 3})
    studio.takes.mark(locked, {"locked": True})
    studio.takes.mark(selected, {"selected": True})
    other = rendered(studio, str(studio.queues.create("Unfinished")["id"]), 2)[0]
    assert studio.storage.trash_spare() == {"takes": 0, "bytes": 0}  # there is no film yet
    film(studio, queue)
    (row, _) = studio.storage.view()["queues"]
    assert row["spare"]["takes"] == 2 and row["films"] > 0
    assert studio.storage.trash_spare() == row["spare"]
    gone = {take["id"] for take in studio.takes.list(trashed=True)["takes"]}
    assert gone == {spare, poor} and not studio.takes.get(other)["trashed"]
    assert studio.takes.file(spare).is_file()  # out of sight, not off the disk


def test_a_package_or_a_clip_is_no_finished_film(studio: Studio, queue: str) -> None:
    rendered(studio, queue, 2)
    studio.packages.pack_now(queue)
    (row,) = studio.storage.view()["queues"]
    assert row["finished"] is False and row["films"] > 0
    assert studio.storage.trash_spare() == {"takes": 0, "bytes": 0}


def test_a_voice_that_a_picture_was_cut_to_stays(studio: Studio, queue: str) -> None:
    scene = str(studio.scenes.add(queue, {**SHOT, "lines": [{"text": "one"}]})["id"])
    studio.scenes.run(scene)
    studio.drain()
    first = studio.scenes.get(scene)["take"]["id"]
    line = studio.scenes.get(scene)["scene"]["lines"][0]
    for text in ("two", "three"):
        studio.scenes.edit(scene, {"lines": [{**line, "text": text}]})
        studio.runs.restart(queue)
        studio.drain()
    studio.takes.mark(first, {"selected": True})
    film(studio, queue)
    studio.storage.trash_spare()
    kept = {take["title"] for take in studio.takes.list(layer="voice")["takes"]}
    assert kept == {"one", "three"}  # of the picture that is shown, and of the line as it is now


# ------------------------------------------------------------------------------------------------ the trash
def test_emptying_removes_all_that_belongs_to_a_take(studio: Studio, queue: str) -> None:
    kept = rendered(studio, queue)[0]
    before = files(studio)
    (gone,) = rendered(studio, queue)
    reader = {**SHOT, "task_type": "image_to_video", "input_image": f"scene:{studio.takes.get(gone)['scene_id']}#last"}
    studio.scenes.delete(rendered_scene(studio, queue, reader))  # leaves a frame of it in the cache
    studio.storage.remove_leftovers()
    size = sum(path.stat().st_size for path in studio.settings.output_dir.rglob("*"))
    studio.takes.trash(gone)
    freed = studio.storage.empty_trash()
    assert freed["takes"] == 1 and freed["bytes"] > 0
    assert files(studio) == before
    assert size - sum(path.stat().st_size for path in studio.settings.output_dir.rglob("*")) <= freed["bytes"]
    with pytest.raises(NotFound):
        studio.takes.get(gone)
    assert studio.takes.file(kept).is_file() and studio.takes.list(trashed=True)["total"] == 0


def rendered_scene(studio: Studio, queue: str, scene: dict[str, Any]) -> str:
    scene_id = str(studio.scenes.add(queue, scene)["id"])
    studio.scenes.run(scene_id)
    studio.drain()
    return scene_id


def test_only_what_lay_there_long_enough_goes(studio: Studio, queue: str) -> None:
    old, new = rendered(studio, queue, 2)
    studio.takes.trash(old)
    studio.takes.trash(new)
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    with studio._store.storage._c.write() as db:
        db.conn.execute("update takes set trashed = ? where id = ?", [long_ago, old])
    assert studio.storage.empty_trash(50)["takes"] == 0
    studio.storage.tidy()  # thirty days, unless it is set otherwise
    assert [take["id"] for take in studio.takes.list(trashed=True)["takes"]] == [new]


def test_a_trash_that_keeps_for_ever_is_left_alone(build: Callable[..., Studio], instant: Any) -> None:
    studio = build(trash_days=0)
    (take,) = rendered(studio, str(studio.queues.create("Pier")["id"]))
    studio.takes.trash(take)
    with studio._store.storage._c.write() as db:
        db.conn.execute("update takes set trashed = '2001-01-01T00:00:00Z'")
    studio.storage.tidy()
    assert studio.takes.list(trashed=True)["total"] == 1


def test_one_take_is_removed_for_ever_and_only_from_the_trash(studio: Studio, queue: str) -> None:
    take, other = rendered(studio, queue, 2)
    with pytest.raises(Conflict) as refused:
        studio.storage.remove_take(take)
    assert refused.value.code == "take.not_in_trash" and studio.takes.file(take).is_file()
    studio.takes.trash(take)
    studio.takes.trash(other)
    studio.storage.remove_take(take)
    assert [one["id"] for one in studio.takes.list(trashed=True)["takes"]] == [other]


def test_a_take_whose_file_a_scene_reads_stays(studio: Studio, queue: str) -> None:
    (take,) = rendered(studio, queue)
    path = studio.takes.file(take)
    scene = {**SHOT, "task_type": "single_shot_extension", "input_video": str(path)}
    reader = studio.scenes.add(queue, scene)["id"]
    studio.takes.trash(take)
    assert studio.storage.empty_trash()["takes"] == 0
    with pytest.raises(Conflict) as refused:
        studio.storage.remove_take(take)
    assert refused.value.code == "take.in_use" and path.is_file()
    studio.scenes.delete(reader)
    assert studio.storage.empty_trash()["takes"] == 0  # that can be undone
    with studio._store.storage._c.write() as db:
        db.conn.execute("delete from edits")  # much has been edited since
    assert studio.storage.empty_trash()["takes"] == 1 and not path.is_file()


def test_a_take_that_lies_in_a_folder_of_the_user_only_loses_its_row(
    studio: Studio, queue: str, tmp_path: Path
) -> None:
    (take,) = rendered(studio, queue)
    mine = tmp_path / "mine.mp4"
    studio.takes.file(take).rename(mine)
    root, path = studio._store.roots.place(mine)
    with studio._store.storage._c.write() as db:
        db.conn.execute("update takes set root = ?, path = ? where id = ?", [root, path, take])
    studio.takes.trash(take)
    assert studio.storage.empty_trash() == {"takes": 1, "bytes": 0} and mine.is_file()


# ------------------------------------------------------------------------------------------------ crashes
class Killed(BaseException):
    """Like a power cut: nothing catches it."""


@pytest.mark.parametrize("survivors", range(4))
def test_a_crash_while_emptying_is_made_good_at_the_next_start(
    studio: Studio, queue: str, build: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    """Killed before the first file, and after each of the next ones: never a row without a file, nor a file without
    a row that somebody might adopt."""
    kept = rendered(studio, queue)[0]
    before = files(studio)
    for take in rendered(studio, queue, 2):
        studio.takes.trash(take)
    unlink, count = Path.unlink, 0

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal count
        if count == survivors:
            raise Killed
        count += 1
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            studio.storage.empty_trash()
    assert studio.takes.list(trashed=True)["total"] == 0  # no row is left of a file that is going
    studio.close()
    again = build()
    again._runner.recover()
    again.storage.tidy()
    assert files(again) == before and again.takes.file(kept).is_file() and again.takes.list()["total"] == 1
    assert again._store.storage.doomed() == []


def test_a_crash_before_the_rows_are_gone_changes_nothing(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (take,) = rendered(studio, queue)
    studio.takes.trash(take)
    monkeypatch.setattr(studio._store.storage, "_doom", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        studio.storage.empty_trash()
    assert studio.takes.get(take)["trashed"] and studio.takes.file(take).is_file()


def test_a_file_that_somebody_holds_open_goes_later(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (take,) = rendered(studio, queue)
    path = studio.takes.file(take)
    studio.takes.trash(take)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError("in use")))
        assert studio.storage.empty_trash() == {"takes": 1, "bytes": 0}
    assert path.is_file()
    studio.storage.tidy()
    assert not path.is_file()


# ------------------------------------------------------------------------------------------------ what is left behind
def test_files_of_deleted_queues_and_scenes_are_shown_and_removed(studio: Studio, queue: str) -> None:
    rendered(studio, queue, 2)
    scene = studio.takes.get(rendered(studio, queue)[0])["scene_id"]
    path = film(studio, queue)
    studio.scenes.delete(scene)
    (row,) = studio.storage.view()["leftovers"]
    assert (row["queue"], row["files"]) == ("Pier", 1)
    studio.queues.delete(queue)
    other = rendered(studio, str(studio.queues.create("Other")["id"]))[0]
    (row,) = studio.storage.view()["leftovers"]
    assert (row["queue"], row["files"]) == ("Pier", 4) and path.is_file()
    assert studio.storage.remove_leftovers("nobody")["files"] == 0
    freed = studio.storage.remove_leftovers("Pier")
    assert freed["files"] == 4 and freed["bytes"] >= row["bytes"]
    assert not path.is_file() and not path.with_suffix(".vtt").is_file()
    assert studio.storage.view()["leftovers"] == [] and studio.takes.file(other).is_file()
    left = {one.name for one in studio.settings.output_dir.rglob("*") if one.is_file()}
    assert left == {studio.takes.file(other).name, studio.takes.file(other).name + ".json"}


# ------------------------------------------------------------------------------------------------ uploads and caches
def test_a_file_that_is_gone_is_no_leftover(studio: Studio, queue: str) -> None:
    take = rendered(studio, queue)[0]
    studio.scenes.delete(str(studio.takes.get(take)["scene_id"]))
    studio.editing.undo(queue)  # the take is back; that it once lay about must be forgotten with its file
    studio.takes.trash(take)
    assert studio.storage.empty_trash()["takes"] == 1
    assert studio.storage.view()["leftovers"] == []


def test_uploads_that_nothing_names_go(studio: Studio, queue: str, tmp_path: Path) -> None:
    used, unused, fresh = (
        studio.library.add(draw(tmp_path / f"{name}.png", (width, 48)), f"{name}.png")
        for name, width in (("used", 64), ("unused", 66), ("fresh", 68))
    )
    scene = studio.scenes.add(queue, {**SHOT, "task_type": "image_to_video", "input_image": used["ref"]})
    with studio._store.storage._c.write() as db:
        old = "2001-01-01T00:00:00.000Z"
        db.conn.execute("update assets set created = ? where sha256 != ?", [old, fresh["sha256"]])
    view = studio.storage.view()["uploads"]
    assert (view["files"], view["unused"]["files"]) == (3, 1)
    path = studio.library.file(unused["sha256"])
    assert studio.storage.remove_uploads()["files"] == 1 and not path.is_file()
    assert studio.library.file(used["sha256"]).is_file() and studio.library.file(fresh["sha256"]).is_file()
    again = studio.library.add(draw(tmp_path / "again.png", (66, 48)), "again.png")  # it may come back
    assert studio.library.file(again["sha256"]).is_file()
    studio.scenes.delete(scene["id"])


def test_that_somebody_listened_to_an_upload_keeps_it_not(studio: Studio, tmp_path: Path) -> None:
    """Nor what was heard in it, once it is gone."""
    heard = {"language": "en", "text": "My own words", "words": [], "model": "whisper-base"}
    spoken, sample = (
        studio.library.add(draw(tmp_path / f"{name}.png", (width, 48)), f"{name}.png")
        for name, width in (("spoken", 64), ("sample", 66))
    )
    studio._store.voices.add(VoiceFields(name="Inês", sample=sample["sha256"]), {"by": "Me"}, {})
    for upload in (spoken, sample):
        studio._store.voices.heard(upload["ref"], heard)
    with studio._store.storage._c.write() as db:
        db.conn.execute("update assets set created = '2001-01-01T00:00:00.000Z'")
    assert studio.storage.remove_uploads()["files"] == 1
    assert list(studio._store.voices.transcripts([spoken["ref"], sample["ref"]])) == [sample["ref"]]


def test_an_upload_that_comes_again_is_new(studio: Studio, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png")
    studio.library.add(picture)
    studio.storage._clock = lambda: datetime.now(UTC) + timedelta(days=6)
    with studio._store.together():
        studio._store._connection.execute("update assets set created = '2020-01-01T00:00:00.000Z'")
    studio.library.add(picture)  # into a form that nobody has saved yet
    assert studio.storage.remove_uploads()["files"] == 0


def test_an_upload_that_comes_while_its_like_is_removed_stays(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = draw(tmp_path / "a.png")
    first = studio.library.add(picture)
    keep, removed = studio.library._keep, list[int]()

    def slow(*paths: Path) -> None:
        keep(*paths)
        if not removed:  # before its row says that it is new
            removed.append(studio.storage.remove_uploads(0)["files"])

    studio.storage._clock = lambda: datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(studio.library, "_keep", slow)
    assert studio.library.add(picture) == first and removed == [1]
    assert studio.library.file(first["sha256"]).is_file()


def test_caches_are_cleared_and_made_again(studio: Studio, queue: str) -> None:
    (take,) = rendered(studio, queue)
    poster = studio.takes.poster(take)
    assert poster and studio.storage.clear_caches(["posters"])["bytes"] > 0 and not poster.is_file()
    assert studio.storage.view()["cache"]["posters"] == 0
    assert studio.takes.poster(take) == poster and poster.is_file()


def test_caches_stay_while_something_reads_them(studio: Studio, queue: str) -> None:
    rendered(studio, queue)
    studio._store.takes.add_export(queue, "film")
    with pytest.raises(Conflict) as refused:
        studio.storage.clear_caches()
    assert refused.value.code == "storage.busy"


# ------------------------------------------------------------------------------------------------ REST
def test_storage_over_rest(studio: Studio, queue: str, client: TestClient) -> None:
    old, new = rendered(studio, queue, 2)
    assert client.get("/storage").json()["queues"][0]["takes"] == 2
    film(studio, queue)
    assert client.post("/storage/spare", json={"queue_ids": [queue]}).json()["takes"] == 1
    assert client.post("/storage/spare", json={"queue_ids": ["nobody"]}).status_code == 404
    assert client.delete(f"/takes/{new}?forever=true").status_code == 409
    assert client.delete(f"/takes/{old}?forever=true").status_code == 204
    assert client.get(f"/takes/{old}").status_code == 404
    client.delete(f"/takes/{new}")
    assert client.post("/storage/trash", json={"older_than_days": 1}).json()["takes"] == 0
    assert client.post("/storage/trash").json()["takes"] == 1
    assert client.post("/storage/cache", json={"names": ["models"]}).status_code == 422
    assert client.post("/storage/cache").json()["bytes"] > 0
    assert client.post("/storage/uploads").json()["files"] == 0
    assert client.post("/storage/leftovers").json()["files"] == 0


def test_a_file_that_the_user_keeps_below_data_is_no_upload(studio: Studio) -> None:
    mine = draw(studio.settings.data_dir / "my pictures" / "lamp.png")
    studio.library.adopt(mine)
    studio.storage.remove_uploads(older_than_days=-1)
    assert mine.is_file()
