"""Editing while the queue runs: two clients, many scenes at once, deleting what others read, presets, undo."""

import contextlib
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from studio.errors import Refused
from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25, "resolution": "720P"}


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"])


def add(studio: Studio, queue: str, **fields: Any) -> str:
    return str(studio.scenes.add(queue, {**SHOT, **fields})["id"])


def fields_of(studio: Studio, queue: str, *names: str) -> list[Any]:
    found = [studio.scenes.get(card["id"])["scene"] for card in studio.queues.get(queue)["scenes"]]
    return [tuple(scene[name] for name in names) if len(names) > 1 else scene[names[0]] for scene in found]


# ------------------------------------------------------------------------------------------------ two clients
def test_the_second_of_two_clients_hears_of_the_first_and_nothing_is_lost(
    client: TestClient, studio: Studio, queue: str
):
    scene = add(studio, queue)
    read = client.get(f"/scenes/{scene}")
    tag = {"If-Match": read.headers["etag"]}
    assert client.patch(f"/scenes/{scene}", json={"prompt": "from A"}, headers=tag).status_code == 200
    refused = client.patch(f"/scenes/{scene}", json={"prompt": "from B", "seed": 4}, headers=tag)
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "scene.stale"
    now = client.get(f"/scenes/{scene}").json()
    assert (now["scene"]["prompt"], now["scene"]["seed"]) == ("from A", None)
    tag = {"If-Match": f'"{now["version"]}"'}
    assert client.patch(f"/scenes/{scene}", json={"seed": 4}, headers=tag).json()["scene"]["prompt"] == "from A"


def test_changes_of_two_clients_who_name_no_version_are_both_there(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, parse, met = add(studio, queue), studio.scenes.parse, threading.Barrier(2)

    def both_have_read(*values: Any, **more: Any) -> Any:
        if not met.broken:
            with contextlib.suppress(threading.BrokenBarrierError):
                met.wait(5)
            met.abort()
        return parse(*values, **more)

    monkeypatch.setattr(studio.scenes, "parse", both_have_read)
    threads = [
        threading.Thread(target=studio.scenes.edit, args=(scene, change))
        for change in ({"prompt": "from A"}, {"negative_prompt": "from B"})
    ]
    [thread.start() for thread in threads], [thread.join(20) for thread in threads]
    assert fields_of(studio, queue, "prompt", "negative_prompt") == [("from A", "from B")]
    studio.editing.undo(queue), studio.editing.undo(queue)
    assert fields_of(studio, queue, "prompt", "negative_prompt") == [("a lamp", "")]


# ------------------------------------------------------------------------------------------------ many at once
def test_several_scenes_are_edited_at_once_and_each_refusal_is_told(
    client: TestClient, studio: Studio, queue: str, instant: Any
) -> None:
    ids = [add(studio, queue, label=str(n)) for n in range(4)]
    still = studio.scenes.add(queue, {"task_type": "text_to_image", "prompt": "a still"})["id"]
    answers: list[Any] = []
    body = {"scene_ids": [*ids, still, "gone"], "changes": {"resolution": "480P", "duration": 2.0},
            "versions": {ids[1]: 7}}  # fmt: skip
    instant.ON_RUN.append(
        lambda scene, run: answers or answers.append(client.post(f"/queues/{queue}/scenes/edit", json=body))
    )
    studio.scenes.run(ids[0])
    studio.drain()
    assert answers[0].status_code == 200
    told = {one["id"]: one["error"]["code"] for one in answers[0].json()["refused"]}
    assert told == {ids[0]: "scene.running", ids[1]: "scene.stale", still: "scene.field", "gone": "scene.unknown"}
    assert all(one["error"]["message"] for one in answers[0].json()["refused"])
    assert {one["id"]: one["version"] for one in answers[0].json()["changed"]} == {ids[2]: 2, ids[3]: 2}
    assert fields_of(studio, queue, "resolution") == ["720P", "720P", "480P", "480P", "720P"]
    studio.editing.undo(queue)
    assert fields_of(studio, queue, "resolution") == ["720P"] * 5


def test_seeds_count_up_from_the_first_in_the_order_of_the_queue(studio: Studio, queue: str) -> None:
    a, b, c = (add(studio, queue, seed=seed) for seed in (10, 5, None))
    studio.editing.edit_many(queue, [c, a, b], {}, seed_step=1)
    assert fields_of(studio, queue, "seed") == [10, 11, 12]
    studio.editing.edit_many(queue, [b, c], {"seed": 100}, seed_step=-10)
    assert fields_of(studio, queue, "seed") == [10, 100, 90]
    refused = studio.editing.edit_many(queue, [b, c], {"seed": 3}, seed_step=-10)["refused"]
    assert [one["id"] for one in refused] == [c]  # below zero
    with pytest.raises(Refused, match="task_type"):
        studio.editing.edit_many(queue, [a], {"task_type": "speech"})


def test_what_waits_is_queued_anew_when_it_is_edited_or_undone(studio: Studio, queue: str, instant: Any) -> None:
    ids = [add(studio, queue, lines=[{"text": "old"}]) for _ in range(2)]
    studio.runs.run(queue)
    studio.editing.edit_many(queue, ids, {"prompt": "edited", "engine": "draft"})
    assert {job.engine for job in studio._store.jobs.live(queue_id=queue) if job.layer == "picture"} == {"draft"}
    studio.editing.undo(queue)
    assert {job.engine for job in studio._store.jobs.live(queue_id=queue)} == {"instant"}
    studio.drain()
    assert {label for task, label, _ in instant.MADE} == {""} and len(instant.MADE) == 4


# ------------------------------------------------------------------------------------------------ deleting
def test_a_scene_that_others_read_is_deleted_only_when_that_was_said(
    client: TestClient, studio: Studio, queue: str
) -> None:
    first = add(studio, queue, label="Lamp")
    reader = add(studio, queue, task_type="image_to_video", input_image=f"scene:{first}", label="After")
    refused = client.delete(f"/scenes/{first}")
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "scene.needed"
    assert refused.json()["error"]["params"]["ids"] == [reader] and "2 · After" in refused.json()["error"]["message"]
    body = {"scene_ids": [first]}
    assert client.post(f"/queues/{queue}/scenes/delete", json=body).json()["error"]["code"] == "scene.needed"
    assert len(studio.queues.get(queue)["scenes"]) == 2
    both = client.post(f"/queues/{queue}/scenes/delete", json={"scene_ids": [first, reader]})
    assert both.json() == {"deleted": [first, reader], "refused": []}  # nobody else reads it
    assert client.post(f"/queues/{queue}/undo").json()["done"]["verb"] == "delete"
    studio.runs.run(queue)
    assert client.delete(f"/scenes/{first}?force=true").status_code == 204
    (card,) = studio.queues.get(queue)["scenes"]
    assert card["blocked"]["code"] == "scene.input_gone"
    studio.editing.undo(queue)
    assert studio.drain() == 2 and all(card["take"] for card in studio.queues.get(queue)["scenes"])


def test_undoing_a_delete_brings_the_takes_back(studio: Studio, queue: str) -> None:
    scene = add(studio, queue, lines=[{"text": "hello"}])
    studio.scenes.run(scene)
    studio.drain()
    before, file = studio.scenes.get(scene), studio.takes.file(studio.scenes.get(scene)["take"]["id"])
    version = studio.queues.get(queue)["version"]
    studio.scenes.delete(scene)
    assert studio.queues.get(queue, version)["removed"] == [scene]
    version = studio.queues.get(queue)["version"]
    studio.editing.undo(queue)
    now, news = studio.scenes.get(scene), studio.queues.get(queue, version)
    assert [card["id"] for card in news["scenes"]] == [scene] and file.is_file()
    assert news["queue"]["undo"]["verb"] == "add" and news["queue"]["redo"]["verb"] == "delete"
    assert now.pop("version") > before.pop("version") and now == before
    assert studio.takes.list()["total"] == 1


# ------------------------------------------------------------------------------------------------ one after the other
def test_a_scene_continues_from_the_shot_before_it(studio: Studio, queue: str, picture: Any) -> None:
    first = add(studio, queue)
    studio.scenes.add(queue, {"task_type": "speech", "lines": [{"text": "a word between"}]})
    second = add(studio, queue, label="then")
    now = studio.editing.continue_from_previous(second)
    assert (now["task_type"], now["scene"]["input_image"]) == ("image_to_video", f"scene:{first}#last")
    third = add(studio, queue, task_type="single_shot_extension", input_video=f"scene:{first}")
    assert studio.editing.continue_from_previous(third)["scene"]["input_video"] == f"scene:{second}"
    with pytest.raises(Refused, match=r"scene\.no_previous"):
        studio.editing.continue_from_previous(first)
    still = studio.scenes.add(queue, {"task_type": "text_to_image", "prompt": "x"})["id"]
    with pytest.raises(Refused, match=r"scene\.cannot_continue"):
        studio.editing.continue_from_previous(still)
    studio.queues.reorder(queue, [second, first, third, *[c["id"] for c in studio.queues.get(queue)["scenes"][1:]
                                                          if c["id"] not in (first, second, third)]])  # fmt: skip
    with pytest.raises(Refused, match=r"scene\.no_previous"):
        studio.editing.continue_from_previous(second)


# ------------------------------------------------------------------------------------------------ presets
def test_a_preset_keeps_how_and_not_what(client: TestClient, studio: Studio, queue: str) -> None:
    how = {"resolution": "480P", "aspect": "9:16", "duration": 3.0, "negative_prompt": "blur", "engine": "instant",
           "profile": "cpu", "options": {"instant": {"grey": 7}}}  # fmt: skip
    scene = add(studio, queue, **how, seed=3, label="Lamp", lines=[{"text": "said"}])
    made = client.post("/presets", json={"name": " Vertical ", "scene_id": scene}).json()
    assert (made["name"], made["task_type"], made["settings"]) == ("Vertical", "text_to_video", how)
    with_seed = client.post("/presets", json={"name": "With seed", "scene_id": scene, "include": ["seed", "lines"]})
    assert with_seed.json()["settings"]["seed"] == 3 and with_seed.json()["settings"]["lines"][0]["text"] == "said"
    assert [one["name"] for one in client.get("/presets?task_type=text_to_video").json()] == ["Vertical", "With seed"]
    assert client.get("/presets?task_type=speech").json() == []
    other = add(studio, queue, prompt="another", options={"draft": {"hold": 2}})
    still = studio.scenes.add(queue, {"task_type": "text_to_image", "prompt": "a still"})["id"]
    target = {"queue_id": queue, "scene_ids": [other, still]}
    assert client.post(f"/presets/{made['id']}/apply", json=target).json()["refused"] == []
    now = studio.scenes.get(other)["scene"]
    assert {name: now[name] for name in how} == {**how, "options": {"draft": {"hold": 2}, "instant": {"grey": 7}}}
    assert (now["prompt"], now["seed"], now["lines"]) == ("another", None, [])
    assert studio.scenes.get(still)["scene"]["aspect"] == "9:16"  # what its task has
    assert studio.queues.view(queue)["undo"] == {"verb": "preset", "title": "Vertical", "count": 2}
    assert client.patch(f"/presets/{made['id']}", json={"name": "With seed"}).json()["error"]["code"] == "preset.exists"
    assert client.patch(f"/presets/{made['id']}", json={"name": "Tall"}).json()["name"] == "Tall"
    assert client.delete(f"/presets/{made['id']}").status_code == 204
    assert client.get(f"/presets/{made['id']}").status_code in (404, 405)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": " ", "settings": {"task_type": "speech"}}, "preset.name"),
        ({"name": "x" * 90, "settings": {"task_type": "speech"}}, "preset.name"),
        ({"name": "a", "settings": {"task_type": "opera"}}, "task.unknown"),
        ({"name": "a", "settings": {}}, "task.unknown"),
        ({"name": "a"}, "request.invalid"),
        ({"name": "a", "scene_id": "gone"}, "scene.unknown"),
        ({"name": "a", "settings": {"task_type": "speech"}, "include": ["label"]}, "request.invalid"),
    ],
)
def test_what_is_no_preset_is_refused(client: TestClient, body: dict[str, Any], code: str) -> None:
    assert client.post("/presets", json=body).json()["error"]["code"] == code
    assert client.get("/presets").json() == []


# ------------------------------------------------------------------------------------------------ wildcards
def test_a_missing_wildcard_file_stops_the_run_before_it_begins(client: TestClient, studio: Studio, queue: str) -> None:
    scene = add(studio, queue, prompt="__weather__ at sea")
    refused = client.post(f"/scenes/{scene}/run")
    assert refused.status_code == 409 and "weather.txt" in str(refused.json())
    folder = studio.settings.data_dir / "wildcards"
    folder.mkdir()
    (folder / "weather.txt").write_text("rain\nsnow\n")
    assert client.get("/wildcards").json() == ["weather"]
    assert client.post(f"/scenes/{scene}/run").status_code == 200
    studio.drain()
    take = studio.takes.get(studio.scenes.get(scene)["take"]["id"])
    assert take["settings"]["prompt"] in ("rain at sea", "snow at sea")


def test_takes_are_called_as_the_template_says_and_found_after_a_crash(instant: Any, build: Any) -> None:
    studio = build(name_template="{code} {scene} {label} no{take}")
    queue = studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"]
    scene = add(studio, queue, label="The lamp", lines=[{"text": "hello"}])
    studio.scenes.run(scene)
    studio.drain()
    names = sorted(studio.takes.get(take["id"])["file_name"] for take in studio.takes.list(layer="")["takes"])
    assert names == ["EP001 01 the-lamp no1.mp4"]
    voice = next(iter(studio.scenes.get(scene)["line_takes"].values()))
    assert voice["file_name"].startswith("EP001 01 the-lamp_voice1 no1.")


def test_nothing_to_undo_is_said(client: TestClient, queue: str) -> None:
    assert client.post(f"/queues/{queue}/undo").json()["error"]["code"] == "edit.nothing_to_undo"
    assert client.post(f"/queues/{queue}/redo").json()["error"]["code"] == "edit.nothing_to_redo"
    assert client.get(f"/queues/{queue}/edits").json() == []
