"""Packages: what a queue takes along, that it comes back the same here and elsewhere, and what is never let in."""

import errno
import json
import os
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from drawing import draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_tools import wav
from sqlite_utils import Database
from starlette.testclient import TestClient

from studio.app import build_studio
from studio.domain import ImageToVideo, new_id
from studio.errors import Refused, StudioError, Unavailable
from studio.service import Studio, landing
from studio.service.library import hash_of
from studio.settings import Settings
from studio.store import fingerprint
from studio.store.migrations import migrations
from studio.story.package import PackedScene, PackedTake

SHOT: dict[str, Any] = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25, "engine": "instant"}
MARKS = ("id", "scene_id", "line_id", "layer", "number", "kind", "engine", "profile", "seed", "width", "height", "fps",
         "num_frames", "duration", "bytes", "facts", "settings", "created", "draft", "selected", "chosen", "locked",
         "private", "rating", "note", "degraded_reason")  # fmt: skip

SETTINGS = ("name", "frame", "music", "cut", "priority", "on_error", "allow_8bit", "counts")


@pytest.fixture
def elsewhere(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A second studio, in a folder of its own."""
    other = build_studio(Settings(root=tmp_path_factory.mktemp("elsewhere")), in_process=True)
    yield other
    other.close()


@pytest.fixture
def queue(studio: Studio, picture: Path, tmp_path: Path) -> str:
    """An episode with everything: lines, a portrait, music, an effect, references, takes, marks, a failure."""
    draw(tmp_path / "portrait, Inês.png", (40, 40))
    wav(tmp_path / "bed.wav", 1.0)
    wav(tmp_path / "door.wav", 0.5)
    scenes = [
        {**SHOT, "label": "Farol — 灯塔", "lines": [{"character": "Inês", "text": "Olá"}, {"text": "again"}], "seed": 4,
         "effects": [{"ref": "door.wav", "at": 0.1}], "trim_start": 0.05, "focus": [0.2, 0.4]},
        {"task_type": "image_to_video", "input_image": "{{prev}}", "duration": 0.25, "engine": "instant"},
        {"task_type": "talking_avatar", "input_image": "portrait, Inês.png", "engine": "instant",
         "lines": [{"character": "Inês", "text": "hello"}]},
        {"task_type": "speech", "lines": [{"text": "only heard"}], "engine": "instant"},
        {**SHOT, "prompt": "fail"},
        {**SHOT, "label": "never run", "transition": "dissolve"},
    ]  # fmt: skip
    episode = {"title": "A noite, №1", "scenes": scenes, "music": {"ref": "bed.wav", "level": -20},
               "frame": {"width": 256, "height": 144, "fps": 8}, "cut": {"title": "Noite"},
               "cast": [{"name": "Inês", "voice": "woman-1"}]}  # fmt: skip
    made = studio.episodes.import_file(json.dumps(episode), base=tmp_path, trusted=True)["queue"]["id"]
    ids = [card["id"] for card in studio.queues.get(made)["scenes"]]
    studio.runs.run(made, only=ids[:5])
    studio.drain()
    studio.scenes.run(ids[0])
    studio.drain()
    takes = studio.scenes.get(ids[0])["take_list"]
    assert len(takes) == 2
    studio.takes.mark(takes[1]["id"], {"selected": True, "rating": 4, "private": True})
    studio.review.ask_again(ids[1], "slower, please")
    studio.queues.update(made, {"priority": 3, "on_error": "stop", "allow_8bit": True})
    return made


def packed(studio: Studio, queue: str, takes: Any = "all") -> Path:
    return studio.packages.pack_now(queue, takes)


def contents(studio: Studio, queue: str) -> dict[str, Any]:
    """Everything a package must bring back."""
    rows = studio._store.queues.scenes(queue)
    takes = studio._store.transfers.takes_of(queue)
    view = studio.queues.view(queue)
    cast = studio._store.queues.cast(studio._store.queues.get(queue).project_id)
    return {
        "scenes": [(row.id, row.scene, row.state, row.error, row.note, row.retake) for row in rows],
        "takes": [{name: take[name] for name in MARKS} for take in takes],
        "hashes": [hash_of(take["file"]) for take in takes],
        "queue": {name: view[name] for name in SETTINGS},
        "cast": {name: (row["name"], row["voice"], row["look"], row["portrait"]) for name, row in cast.items()},
        "reviewed": studio._store.review.states([row.id for row in rows]),
        "changed": [(card["changed"], card["blocked"], card["takes"]) for card in studio.queues.get(queue)["scenes"]],
        "needs": [studio._store.queues.needs(row.id) for row in rows],
    }  # fmt: skip


def plain_ids(studio: Studio, queue: str, value: Any) -> Any:
    """The same with every id replaced by its rank: what must be equal where ids are new."""
    rows = studio._store.queues.scenes(queue)
    ids = [row.id for row in rows] + [line.id for row in rows for line in row.scene.lines]
    ids += [take["id"] for take in studio._store.transfers.takes_of(queue)]
    text = repr(value)
    for rank, one in enumerate(ids):
        text = text.replace(one, f"<{rank}>")
    return text


def test_a_package_read_in_another_studio_is_the_same(studio: Studio, queue: str, elsewhere: Studio) -> None:
    before = contents(studio, queue)
    imported = elsewhere.packages.bring(packed(studio, queue))["queue"]
    assert imported["id"] == queue and imported["code"] == "EP001"
    assert contents(elsewhere, queue) == before
    for take in elsewhere._store.transfers.takes_of(queue):
        sidecar = json.loads(take["file"].with_name(take["file"].name + ".json").read_text("utf-8"))
        assert sidecar["job_id"] == take["job_id"] and sidecar["file"] == take["file"].name
        assert sidecar["sha256"] == hash_of(take["file"])
    film = elsewhere.exports.cut(queue, "leave_out", wait=True)
    assert film["state"] == "done", film["error"]


def test_a_package_read_where_it_was_made_is_a_second_queue(studio: Studio, queue: str) -> None:
    before = contents(studio, queue)
    path = packed(studio, queue)
    again = studio.packages.bring(path, "Again")["queue"]
    assert again["id"] != queue and again["name"] == "Again" and again["code"] == "EP002"
    after = contents(studio, again["id"])
    after["queue"]["name"] = before["queue"]["name"]
    assert plain_ids(studio, again["id"], after) == plain_ids(studio, queue, before)
    assert contents(studio, queue) == before  # the first one is untouched


def test_a_package_has_the_takes_that_were_asked_for(studio: Studio, queue: str, elsewhere: Studio) -> None:
    sizes = studio.packages.sizes(queue)
    counts = [sizes[name]["takes"] for name in ("all", "selected", "none")]
    assert counts[0] > counts[1] > counts[2] == 0
    assert sizes["all"]["bytes"] > sizes["selected"]["bytes"] > sizes["none"]["bytes"] > 0
    elsewhere.packages.bring(packed(studio, queue, "selected"))
    assert len(elsewhere._store.transfers.takes_of(queue)) == counts[1]
    bare = elsewhere.packages.bring(packed(studio, queue, "none"))["queue"]
    assert bare["counts"]["done"] == 0 and bare["counts"]["failed"] == 1
    elsewhere.queues.update(bare["id"], {"on_error": "skip"})
    elsewhere.runs.run(bare["id"])
    elsewhere.drain()
    assert elsewhere.queues.view(bare["id"])["counts"]["done"] == 5


# ------------------------------------------------------------------------------------------------ REST
def test_a_package_goes_out_and_in_over_rest(studio: Studio, client: TestClient, queue: str, tmp_path: Path) -> None:
    assert client.get(f"/queues/{queue}/package").json()["all"]["takes"] > 5
    made = client.post(f"/queues/{queue}/package", json={"takes": "selected"})
    assert made.status_code == 202 and made.json()["kind"] == "package"
    studio.exports.close()  # waits for its thread
    row = client.get(f"/exports/{made.json()['id']}").json()
    assert row["state"] == "done" and row["progress"] == 1 and row["file_name"].endswith(".zip"), row
    answer = client.get(f"/exports/{row['id']}/file")
    assert answer.headers["content-type"] == "application/zip" and "attachment" in answer.headers["content-disposition"]
    assert client.get(f"/queues/{queue}").json()["queue"]["film"] is None  # a package is no film
    content, before = answer.content, len(client.get("/queues").json())
    checked = client.post("/queues/check", content=content).json()
    assert checked["valid"] == 6 and checked["package"]["takes"] > 0
    assert len(client.get("/queues").json()) == before
    for sent in ({"content": content}, {"files": {"file": ("noite.zip", content)}}):
        imported = client.post("/queues/import?name=Twice", **sent)
        assert imported.status_code == 201 and imported.json()["queue"]["name"] == "Twice", imported.text
        assert imported.json()["report"]["valid"] == 6
    assert (
        client.post("/queues/import", content=content[: len(content) // 2]).json()["error"]["code"] == "package.broken"
    )
    incoming = studio.settings.data_dir / "assets" / "incoming"
    assert not list(incoming.iterdir()) and not list((studio.settings.output_dir / ".incoming").iterdir())


def test_an_episode_is_still_no_larger_than_memory_allows(client: TestClient) -> None:
    for sent in ({"content": b" " * 20_000_001}, {"files": {"file": ("a.json", b" " * 20_000_001)}}):
        refused = client.post("/queues/import", **sent)
        assert refused.status_code == 413 and refused.json()["error"]["code"] == "episode.too_large"


# ------------------------------------------------------------------------------------------------ strangers' packages
def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The package with another manifest: the one that `change` returns, or the one that it changed."""
    with zipfile.ZipFile(path) as old:
        content = {info.filename: old.read(info) for info in old.infolist()}
    manifest = json.loads(content["lanterna.json"])
    changed = change(manifest)
    changed = changed if isinstance(changed, dict) and "format" in changed else manifest
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as new:
        for name, body in (content | {"lanterna.json": json.dumps(changed).encode()}).items():
            new.writestr(name, body)
    return out


def nothing_came(studio: Studio) -> bool:
    files = [path for path in studio.settings.output_dir.rglob("*") if path.is_file()]
    kept = [path for path in (studio.settings.data_dir / "assets").rglob("*") if path.is_file()]
    return not (studio.queues.list() or files or kept)


def test_a_newer_package_says_what_to_do(studio: Studio, queue: str, elsewhere: Studio) -> None:
    path = rewritten(packed(studio, queue), lambda manifest: manifest.update(version=2, studio="9.9", surprise=1))
    with pytest.raises(Unavailable) as refused:
        elsewhere.packages.bring(path)
    assert refused.value.params == {"version": 2, "known": 1, "studio": "9.9"} and nothing_came(elsewhere)
    assert "9.9" in elsewhere.words.error(refused.value, "en")["message"]


def _first_take(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: manifest["takes"][0].update(values)


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda m: m["scenes"].pop(), "scenes"),
    (lambda m: m["scenes"][0].update(id=m["scenes"][1]["id"]), "id"),
    (lambda m: m["scenes"][0].update(id="8" * 26), "scenes.0.id"),
    (lambda m: m["scenes"][0].update(state="running"), "scenes.0.state"),
    (lambda m: m["episode"]["scenes"].append(5), "episode.scenes"),
    (lambda m: m["episode"]["scenes"][0].pop("prompt"), "episode.scenes.0.prompt"),
    (lambda m: m["episode"]["scenes"][0].update(surprise=1), "episode.scenes.0.surprise"),
    (lambda m: m["queue"].update(code="../../x"), "queue.code"),
    (lambda m: m["queue"]["policy"].update(on_error="burn"), "queue.policy.on_error"),
    (_first_take(scene="0" * 26), "takes.0.scene"),
    (_first_take(line=None), "takes.0.line"),
    (_first_take(file="../x.wav"), "takes.0"),
    (_first_take(file="con.wav"), "takes.0"),
    (_first_take(file="x.exe"), "takes.0"),
    (_first_take(file=".hidden.wav"), "takes.0"),
    (_first_take(width=-1), "takes.0.width"),
    (_first_take(created="yesterday"), "takes.0.created"),
    (_first_take(sha256="x"), "takes.0.sha256"),
    (lambda m: m["takes"][1].update(file=m["takes"][0]["file"].upper().replace(".WAV", ".wav")), "takes.1.file"),
    (lambda m: m.pop("assets") and m.update(assets=3), "assets"),
    (lambda m: m.update(surprise=1), "surprise"),
]


def test_a_manifest_that_was_changed_is_refused_by_its_field(studio: Studio, queue: str, elsewhere: Studio) -> None:
    path = packed(studio, queue)
    for change, field in WRONG:
        with pytest.raises(Refused) as refused:
            elsewhere.packages.bring(rewritten(path, change))
        assert (refused.value.code, refused.value.params["field"]) == ("package.manifest", field)
    assert nothing_came(elsewhere)


def test_a_file_that_is_not_what_it_is_said_to_be_is_refused(studio: Studio, queue: str, elsewhere: Studio) -> None:
    path = packed(studio, queue)

    def as_picture(manifest: dict[str, Any]) -> None:
        take = next(take for take in manifest["takes"] if take["kind"] == "audio")
        asset = next(asset for asset in manifest["assets"] if asset["kind"] == "image")
        manifest["assets"].remove(asset)
        take.update(kind="audio", sha256=asset["sha256"], bytes=asset["bytes"])

    with zipfile.ZipFile(path) as opened:
        names = [name for name in opened.namelist() if name.endswith(".png")]
        picture = opened.read(names[0])
    changed = rewritten(path, as_picture)
    with zipfile.ZipFile(changed, "a") as opened:
        opened.writestr(names[0].replace(".png", ".wav"), picture)
    with pytest.raises(Refused) as refused:
        elsewhere.packages.bring(changed)
    assert refused.value.code == "package.wrong_file" and nothing_came(elsewhere)


def test_ids_from_the_future_are_not_kept(studio: Studio, queue: str, elsewhere: Studio) -> None:
    """Ids are ordered: one from the year 10000 would be newer than everything that is ever rendered here."""
    path = packed(studio, queue)
    with zipfile.ZipFile(path) as opened:
        old = json.loads(opened.read("lanterna.json"))["takes"][-1]["id"]
    far = "7" + "Z" * 25
    path = rewritten(path, lambda m: json.loads(json.dumps(m).replace(old, far)))
    came = elsewhere.packages.bring(path)["queue"]["id"]
    assert came != queue and max(take["id"] for take in elsewhere._store.transfers.takes_of(came)) < new_id()


def test_nobody_agreed_here_to_spend_money(studio: Studio, queue: str, elsewhere: Studio) -> None:
    studio.queues.update(queue, {"allow_paid": True, "afterwards": "shut_down"})
    came = elsewhere.packages.bring(packed(studio, queue))
    assert came["queue"]["allow_paid"] is False and came["queue"]["afterwards"] == "nothing"
    assert came["report"]["package"]["asked_again"] == ["allow_paid", "afterwards"]


def test_what_other_queues_show_is_packed_as_a_file(studio: Studio, queue: str, elsewhere: Studio) -> None:
    source = studio.queues.get(queue)["scenes"][0]["id"]
    other = studio.queues.create("Other")["id"]
    studio.scenes.add(other, {"task_type": "image_to_video", "input_image": f"scene:{source}#first", "duration": 0.25})
    studio.scenes.add(other, {"task_type": "single_shot_extension", "input_video": f"scene:{source}", "duration": 0.25})
    elsewhere.packages.bring(packed(studio, other))
    first, second = (row.scene for row in elsewhere._store.queues.scenes(other))
    for ref, kind in ((first.input_image, "image"), (second.input_video, "video")):  # type: ignore[attr-defined]
        assert elsewhere.library.get(ref.removeprefix("asset:"))["kind"] == kind


def test_files_that_have_gone_are_named_and_left_out(studio: Studio, queue: str, elsewhere: Studio) -> None:
    take = studio._store.transfers.takes_of(queue)[0]
    take["file"].unlink()
    assert studio.packages.sizes(queue)["all"]["missing"] == [take["file"].name]
    elsewhere.packages.bring(packed(studio, queue))
    assert take["id"] not in {row["id"] for row in elsewhere._store.transfers.takes_of(queue)}


def test_a_package_that_cannot_be_made_is_no_export_that_goes_on(studio: Studio, queue: str, elsewhere: Studio) -> None:
    taken = studio._runner.ask
    studio._runner.ask = lambda executor, tool, *rest, **more: (  # type: ignore[method-assign]
        (_ for _ in ()).throw(StudioError("disk.full")) if tool == "pack" else taken(executor, tool, *rest, **more)
    )
    with pytest.raises(StudioError):
        studio.packages.pack_now(queue)
    assert {row["state"] for row in studio.exports.list(queue)} == {"failed"}
    assert not studio._store.storage.exporting()


def test_a_queue_without_scenes_is_no_package(studio: Studio) -> None:
    with pytest.raises(Refused) as refused:
        studio.packages.export(studio.queues.create("Empty")["id"])
    assert refused.value.code == "package.empty"


# ------------------------------------------------------------------------------------------------ a full disk, a crash
def test_a_disk_that_fills_up_leaves_nothing(
    studio: Studio, queue: str, elsewhere: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, left = packed(studio, queue), 0

    def full_at_last(real: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(errno.ENOSPC, "no space left on device")
            return real(*arguments, **more)

        return once

    for name in ("_give_name", "fsync_file", "fsync_dir"):
        monkeypatch.setattr(landing, name, full_at_last(getattr(landing, name)))
    for turn in range(1, 40):
        left = turn
        try:
            elsewhere.packages.bring(path)
            break
        except (StudioError, OSError):
            assert nothing_came(elsewhere)
    assert turn > 10 and contents(elsewhere, queue) == contents(studio, queue)


def test_what_a_crash_left_between_names_and_rows_is_taken_back(
    studio: Studio, queue: str, elsewhere: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(studio, queue)
    with monkeypatch.context() as patch:
        patch.setattr(landing.shutil, "rmtree", lambda *_, **__: None)  # a process that dies cleans nothing up
        patch.setattr(landing.Path, "unlink", lambda *_, **__: None)

        def dies(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(landing, "fsync_dir", dies)
        with pytest.raises(KeyboardInterrupt):
            elsewhere.packages.bring(path)
    assert list(elsewhere.settings.output_dir.rglob("*.mp4")) and not elsewhere.queues.list()
    elsewhere.packages.tidy()
    elsewhere.library.tidy()
    assert nothing_came(elsewhere)
    elsewhere.packages.bring(path)
    elsewhere.packages.tidy()
    assert contents(elsewhere, queue) == contents(studio, queue)


def test_every_column_of_a_take_is_packed_or_known_to_stay() -> None:
    """A column that somebody adds must be decided about here."""
    stay = {"root", "path", "job_id", "trashed", "fingerprint"}  # where it lies; made anew
    with closing(sqlite3.connect(":memory:")) as raw:
        migrations.apply(Database(raw))
        columns = {row[1] for row in raw.execute("pragma table_info(takes)")}
        scenes = {row[1] for row in raw.execute("pragma table_info(scenes)")}
    packed_fields = (set(PackedTake.model_fields) - {"scene", "line", "sha256", "file"}) | {"scene_id", "line_id"}
    assert columns == packed_fields | stay
    assert scenes == set(PackedScene.model_fields) | {
        "queue_id", "position", "task_type", "body", "version", "created", "updated"
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ small queues, many
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
LINES = st.fixed_dictionaries({"text": TEXT.map(lambda text: f"y{text}"), "character": TEXT})
SCENES = st.lists(
    st.fixed_dictionaries(
        {"task_type": st.just("text_to_video"), "prompt": TEXT.map(lambda text: f"x{text}")},
        optional={
            "label": TEXT, "seed": st.integers(0, 2**63 - 1), "in_cut": st.booleans(), "duration": st.floats(0.5, 9),
            "lines": st.lists(LINES, max_size=2),
            "transition": st.sampled_from(["cut", "dissolve", "fade", "dip"]), "trim_end": st.floats(0, 3),
            "focus": st.tuples(st.floats(0, 1), st.floats(0, 1)).map(list), "negative_prompt": TEXT,
        },
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def test_any_small_queue_comes_back_the_same(studio: Studio, elsewhere: Studio, picture: Path) -> None:
    made = studio.scenes.generate({**SHOT, "lines": [{"text": "hello"}]})["id"]
    studio.drain()
    voice, shown = studio._store.transfers.takes_of(studio._store.queues.inbox())[:2]
    assert made and (voice["layer"], shown["layer"]) == ("voice", "picture")

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(SCENES, st.data())
    def one(values: list[dict[str, Any]], data: st.DataObject) -> None:
        try:
            queue = studio.episodes.import_file(json.dumps(values), name="Any")["queue"]["id"]
        except Refused:
            return
        rows = studio._store.queues.scenes(queue)
        if len(rows) > 1 and data.draw(st.booleans()):  # one reads another
            studio._store.queues.add_scenes(
                queue, [ImageToVideo(input_image=f"scene:{rows[data.draw(st.integers(0, len(rows) - 1))].id}#first")]
            )
        _scatter(studio, data, queue, voice, shown)
        before = contents(studio, queue)
        path = packed(studio, queue)
        assert contents(elsewhere, elsewhere.packages.bring(path)["queue"]["id"]) == before
        again = studio.packages.bring(path)["queue"]["id"]
        assert plain_ids(studio, again, contents(studio, again)) == plain_ids(studio, queue, before)

    one()


def _scatter(studio: Studio, data: st.DataObject, queue: str, voice: dict[str, Any], shown: dict[str, Any]) -> None:
    """Takes with all kinds of marks on the scenes of a queue; their files are those of two that were rendered."""
    store = studio._store
    rank = {"rating": st.integers(0, 5), "locked": st.booleans(), "private": st.booleans(), "note": st.none() | TEXT}
    for row in store.queues.scenes(queue):
        places = [(None, shown)] * data.draw(st.integers(0, 3)) + [(line.id, voice) for line in row.scene.lines[:1]]
        for number, (line_id, like) in enumerate(places, start=1):
            marks = {name: data.draw(values) for name, values in rank.items()}
            values = {**like, **marks, "id": new_id(), "job_id": new_id(), "scene_id": row.id, "line_id": line_id,
                      "number": number, "selected": int(number == 1 or line_id is not None), "file": None}  # fmt: skip
            scene = row.scene.model_dump(mode="json")
            values["fingerprint"] = fingerprint.of_take(like["layer"], like["engine"], scene, {})
            values |= {"facts": json.dumps({"lines": []}), "settings": json.dumps(scene)}
            values["path"] = f"copies/{values['id']}{like['file'].suffix}"
            copy = studio.settings.output_dir / values["path"]
            copy.parent.mkdir(exist_ok=True)
            os.link(like["file"], copy)
            del values["file"]
            with store._connection.write():
                store._connection.insert("takes", values)
                store._connection.execute("update scenes set state = 'done' where id = ?", [row.id])
