"""What was changed since a take: marked by layer, made anew by layer, and an audio edit costs no picture."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from store_tools import made as made_of
from store_tools import open_store

from studio.domain import Job, State, TextToVideo, new_id
from studio.errors import Refused
from studio.service import Studio
from studio.service.stale import Stale
from studio.store import NewTake
from studio.store.migrations import migrations

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 4.0, "lines": [{"text": "now"}]}


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"])


def made(studio: Studio, queue: str, **fields: Any) -> str:
    """The id of a scene that has been rendered."""
    scene = studio.scenes.add(queue, {**SHOT, **fields})["id"]
    studio.scenes.run(scene)
    studio.drain()
    return str(scene)


def changed(studio: Studio, scene: str, **fields: Any) -> list[str]:
    return list(studio.scenes.edit(scene, fields)["changed"])


def said_so(studio: Studio, scene: str, *texts: str) -> list[dict[str, Any]]:
    lines = studio.scenes.get(scene)["scene"]["lines"]
    return [{**(lines[n] if n < len(lines) else {}), "text": text} for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("fields", "layers"),
    [
        ({"prompt": "a boat"}, ["picture"]),
        ({"negative_prompt": "blur"}, ["picture"]),
        ({"resolution": "480P"}, ["picture"]),
        ({"aspect": "1:1"}, ["picture"]),
        ({"duration": 5.0}, ["picture"]),
        ({"options": {"instant": {"grey": 3}}}, ["voice", "picture"]),
        ({"options": {"draft": {"hold": 3}}}, []),  # another engine's
        ({"engine": "draft"}, ["picture"]),
        ({"engine": "instant"}, []),  # the one that made it
        ({"profile": "cpu", "label": "Lamp", "in_cut": False, "transition": "fade", "trim_end": 1.0}, []),
        ({"lines": []}, []),
    ],
)
def test_each_field_marks_the_layer_it_shows_in_and_going_back_unmarks_it(
    studio: Studio, queue: str, fields: dict[str, Any], layers: list[str]
) -> None:
    scene = made(studio, queue)
    before = studio.scenes.get(scene)["scene"]
    assert changed(studio, scene, **fields) == layers
    card = next(card for card in studio.queues.get(queue)["scenes"])
    assert (card["changed"], card["state"], card["takes"]) == (layers, "done", 1)
    if "lines" not in fields:
        assert changed(studio, scene, **{name: before[name] for name in fields}) == []


def test_a_seed_is_compared_with_the_one_that_was_used(studio: Studio, queue: str) -> None:
    scene = made(studio, queue)
    used = studio.scenes.get(scene)["take_list"][0]["seed"]
    assert changed(studio, scene, seed=used) == []
    assert changed(studio, scene, seed=used + 1) == ["picture"]


def test_an_audio_edit_costs_no_picture(studio: Studio, queue: str, instant: Any) -> None:
    scene = made(studio, queue)
    assert changed(studio, scene, lines=said_so(studio, scene, "never", "and again")) == ["voice"]
    instant.MADE.clear()
    assert studio.runs.run(queue)["queued"] == 1
    studio.drain()
    assert [task for task, _, _ in instant.MADE] == ["speech", "speech"]
    assert studio.scenes.get(scene)["changed"] == [] and studio.scenes.get(scene)["takes"] == 1
    assert [line["text"] for line in studio.exports.timeline(queue)["lines"]] == ["never", "and again"]
    assert studio.runs.run(queue)["queued"] == 0


def test_speech_that_no_longer_fits_costs_one(studio: Studio, queue: str, instant: Any) -> None:
    scene = made(studio, queue)
    assert changed(studio, scene, lines=said_so(studio, scene, "x" * 200)) == ["voice"]  # 10 s
    instant.MADE.clear()
    studio.runs.run(queue)
    studio.drain()
    assert [task for task, _, _ in instant.MADE] == ["speech", "text_to_video"]
    view = studio.scenes.get(scene)
    assert (view["changed"], view["takes"], view["take"]["duration"]) == ([], 2, pytest.approx(10.7, abs=0.1))


def test_lips_are_drawn_anew_when_they_say_something_else(
    studio: Studio, queue: str, instant: Any, picture: Any
) -> None:
    ref = studio.library.adopt(picture)["ref"]
    scene = made(studio, queue, task_type="talking_avatar", input_image=ref, duration=None)
    assert changed(studio, scene, lines=said_so(studio, scene, "not")) == ["voice", "picture"]
    instant.MADE.clear()
    studio.runs.run(queue)
    studio.drain()
    assert [task for task, _, _ in instant.MADE] == ["speech", "talking_avatar"]
    assert studio.scenes.get(scene)["changed"] == []


def test_a_scene_knows_when_what_it_reads_was_made_anew(studio: Studio, queue: str) -> None:
    first = made(studio, queue, lines=[])
    second = made(studio, queue, task_type="image_to_video", input_image=f"scene:{first}#last", lines=[])
    third = made(studio, queue, task_type="image_to_video", input_image=f"scene:{second}#last", lines=[])
    version = studio.queues.get(queue)["version"]
    studio.scenes.run(first)
    studio.drain()
    news = {card["id"]: card["changed"] for card in studio.queues.get(queue, version)["scenes"]}
    assert news[second] == ["picture"] and third not in news  # the page hears of it
    takes = studio.scenes.get(first)["take_list"]
    studio.takes.mark(takes[1]["id"], {"selected": True})
    assert studio.scenes.get(second)["changed"] == []  # the old one stands for it again
    changed(studio, first, prompt="another")
    assert studio.runs.run(queue)["queued"] == 3  # what comes of it is made anew in the same night
    studio.takes.mark(takes[1]["id"], {"selected": True})


def test_a_changed_scene_that_failed_since_is_drawn(studio: Studio, queue: str, instant: Any) -> None:
    scene = made(studio, queue)
    studio.scenes.edit(scene, {"prompt": "fail"})
    studio.runs.run(queue)
    studio.drain()
    studio.scenes.edit(scene, {"prompt": "a lamp", "lines": said_so(studio, scene, "later")})
    instant.MADE.clear()
    studio.runs.run(queue)
    studio.drain()
    assert [task for task, _, _ in instant.MADE] == ["speech", "text_to_video"]


def test_wildcards_are_recorded_and_change_nothing_by_themselves(studio: Studio, queue: str) -> None:
    written = "a {red|green|blue} boat"
    scene = made(studio, queue, prompt=written, negative_prompt="{fog|rain}", lines=[])
    take = studio.takes.get(studio.scenes.get(scene)["take"]["id"])
    assert take["settings"]["prompt"] in {"a red boat", "a green boat", "a blue boat"}
    assert take["settings"]["negative_prompt"] in {"fog", "rain"}
    assert take["facts"]["template"] == {"prompt": written, "negative_prompt": "{fog|rain}"}
    assert studio.scenes.get(scene)["changed"] == []
    again = studio.scenes.generate({**studio.scenes.get(scene)["scene"], "seed": take["seed"]})
    studio.drain()
    assert studio.takes.get(studio.scenes.get(again["id"])["take"]["id"])["settings"] == take["settings"]
    assert changed(studio, scene, prompt=take["settings"]["prompt"]) == ["picture"]


def test_500_cards_are_compared_in_one_pass(studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [made(studio, queue) for _ in range(2)]
    few = studio._store.queues.scenes(queue)
    asked: list[str] = []
    rows = studio._store._connection.rows
    monkeypatch.setattr(studio._store._connection, "rows", lambda sql, v=(): (asked.append(sql), rows(sql, v))[1])
    studio.queues.cards(few)
    two = len(asked)
    asked.clear()
    studio.queues.cards(few * 250)
    assert ids and len(asked) == two


def test_takes_of_an_older_studio_are_compared_too(tmp_path: Path) -> None:
    path = tmp_path / "data" / "studio.db"
    path.parent.mkdir()
    scene = TextToVideo(prompt="a lamp")
    old = Database(path)
    migrations.apply(old, stop_before="m002_production")
    old["projects"].insert({"id": "p", "slug": "default", "name": "p", "created": "1"})
    old["queues"].insert({"id": "q", "project_id": "p", "code": "EP001", "name": "q", "position": 0, "created": "1"})
    old["scenes"].insert(
        {"id": "s", "queue_id": "q", "position": 0, "task_type": "text_to_video", "body": scene.model_dump_json(),
         "created": "1", "updated": "1"}
    )  # fmt: skip
    take = made_of(Job("j", "s", None, "picture", "one", "cpu", 1, State.DONE), settings=scene.model_dump(mode="json"))
    plain = {name: getattr(take, name) for name in NewTake.__slots__ if name != "seconds"}
    plain |= {"facts": "{}", "settings": json.dumps(take.settings), "id": new_id(), "scene_id": "s", "layer": "picture"}
    old["takes"].insert(plain | {"job_id": "j", "number": 1, "engine": "one", "created": "1", "selected": 1})
    old.conn.close()
    store = open_store(tmp_path)
    row, takes = store.queues.scene("s"), store.takes.selected(["s"])
    assert takes["s"].fingerprint and not Stale(store).of([row], takes)["s"].layers
    store.close()


def test_one_layer_is_made_anew_when_somebody_asks_for_it(studio: Studio, queue: str, instant: Any) -> None:
    scene = made(studio, queue)
    for layer, task in (("voice", "speech"), ("picture", "text_to_video")):
        instant.MADE.clear()
        studio.review.run(scene, layers=[layer])
        studio.drain()
        assert [said for said, _, _ in instant.MADE] == [task]
    mute = made(studio, queue, lines=[])
    with pytest.raises(Refused, match=r"scene\.no_lines"):
        studio.review.run(mute, layers=["voice"])
