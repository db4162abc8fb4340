"""The gallery, marks and the trash; one-shot scenes in the Inbox; queues that come and go."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import instant_engine
import pytest

from studio.app import build_studio
from studio.errors import Conflict, NotFound, Refused
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Limits
from studio.service import Studio
from studio.service.views import title_of
from studio.settings import Settings

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25}


@pytest.fixture
def takes(studio: Studio) -> list[str]:
    """Three takes of one scene, oldest first."""
    queue = studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"]
    scene = studio.scenes.add(queue, {**SHOT, "lines": [{"text": "hello"}]})["id"]
    for _ in range(3):
        studio.scenes.run(scene)
        studio.drain()
    return [take["id"] for take in studio.scenes.get(scene)["take_list"]][::-1]


def test_the_gallery_is_read_page_by_page(studio: Studio, takes: list[str]) -> None:
    seen, before = [], None
    while True:
        page = studio.takes.list(limit=2, before=before)
        seen.append([take["id"] for take in page["takes"]])
        assert page["total"] == 3
        before = page["next"]
        if before is None:
            break
    assert seen == [[takes[2], takes[1]], [takes[0]]]
    assert studio.takes.list(limit=3)["next"] is None  # just enough is all
    assert studio.takes.list(limit=10_000)["next"] is None


def test_voices_show_only_where_they_are_asked_for(studio: Studio, takes: list[str]) -> None:
    assert {take["layer"] for take in studio.takes.list()["takes"]} == {"picture"}
    (voice,) = studio.takes.list(kind="audio")["takes"]
    assert voice["title"] == "hello"  # what it says, not the scene it belongs to
    assert voice["layer"] == "voice" and studio.takes.list(layer="voice")["total"] == 1
    heard = studio.scenes.generate({"task_type": "speech", "lines": [{"text": "only heard"}]})
    studio.drain()
    assert studio.takes.list(limit=1)["takes"][0]["scene_id"] == heard["id"]  # its voice is all there is of it
    assert studio.takes.list(q="lamp pier")["total"] == 3 and studio.takes.list(q="boat")["total"] == 0


def test_a_picture_does_not_wait_for_a_voice_in_the_trash(studio: Studio) -> None:
    queue = studio.queues.create("Q")["id"]
    scene = studio.scenes.add(queue, {**SHOT, "lines": [{"text": "hello"}]})["id"]
    studio.runs.run(queue)
    assert studio.drain(1) == 1
    (voice,) = studio.scenes.get(scene)["line_takes"].values()
    studio.takes.trash(voice["id"])  # in between: its picture still waits
    studio.drain()
    assert studio.scenes.get(scene)["state"] == "done"
    assert studio.takes.list(layer="voice")["total"] == 1


def test_a_take_knows_the_scene_that_made_it(studio: Studio, takes: list[str]) -> None:
    take = studio.takes.get(takes[0])
    assert take["settings"]["prompt"] == "a lamp" and take["settings"]["seed"] == take["seed"]
    again = studio.scenes.generate({k: v for k, v in take["settings"].items()}, run=False)
    assert again["scene"]["prompt"] == "a lamp"


@pytest.mark.parametrize(
    "marks", [{"colour": 1}, {"locked": 1}, {"private": "yes"}, {"selected": None}, {"rating": 6}, {"rating": "5"}]
)
def test_marks_are_what_they_are(studio: Studio, takes: list[str], marks: dict[str, Any]) -> None:
    before = studio.takes.get(takes[0])
    with pytest.raises(Refused):
        studio.takes.mark(takes[0], marks)
    assert studio.takes.get(takes[0]) == before


def test_a_choice_shows_on_the_card_and_in_the_film(studio: Studio, takes: list[str]) -> None:
    scene = studio.takes.get(takes[0])["scene_id"]
    assert studio.scenes.get(scene)["take"]["id"] == takes[2]
    studio.takes.mark(takes[0], {"selected": True, "rating": 4})
    card = studio.scenes.get(scene)
    assert (card["take"]["id"], card["takes"]) == (takes[0], 3)
    studio.takes.trash(takes[0])
    assert (studio.scenes.get(scene)["take"]["id"], studio.scenes.get(scene)["takes"]) == (takes[2], 2)
    with pytest.raises(Conflict):
        studio.takes.mark(takes[0], {"selected": True})
    assert studio.takes.file(takes[0]).is_file()  # out of sight, not off the disk
    assert [take["id"] for take in studio.takes.list(trashed=True)["takes"]] == [takes[0]]
    studio.takes.restore(takes[0])
    assert studio.takes.get(takes[0])["rating"] == 4 and studio.takes.list()["total"] == 3


def test_small_pictures_come_back_when_the_cache_is_emptied(studio: Studio, takes: list[str]) -> None:
    poster, strip = studio.takes.poster(takes[0]), studio.takes.strip(takes[0])
    assert poster and strip and studio.takes.peaks(takes[0]) is None
    poster.unlink(), strip.unlink()
    assert studio.takes.poster(takes[0]) == poster and poster.is_file() and strip.is_file()
    studio.takes.file(takes[0]).unlink()
    with pytest.raises(NotFound):
        studio.takes.file(takes[0])


def test_small_pictures_are_made_once_however_many_ask(studio: Studio, takes: list[str]) -> None:
    poster = studio.takes.poster(takes[0])
    assert poster
    for small in poster.parent.glob("*"):
        small.unlink()
    asked, ask, ready = [], studio._runner.ask, threading.Barrier(8)

    def counted(executor: Any, tool: str, *rest: Any, **more: Any) -> Any:
        asked.append(tool)
        return ask(executor, tool, *rest, **more)

    def look(number: int) -> None:
        ready.wait(20)
        assert (studio.takes.poster if number % 2 else studio.takes.strip)(takes[0])

    studio._runner.ask = counted  # type: ignore[method-assign]
    threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert asked == ["posters"]


def test_an_image_has_no_strip_and_nobody_looks_for_one(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = studio.scenes.generate({"task_type": "text_to_image", "prompt": "a lamp"})["id"]
    studio.drain()
    monkeypatch.setattr(studio._runner, "ask", lambda *_, **__: pytest.fail("asked a worker"))
    take = studio.scenes.get(scene)["take"]["id"]
    assert studio.takes.strip(take) is None and studio.takes.poster(take)


# ------------------------------------------------------------------------------------------------ one shot
def test_a_shot_of_its_own_lands_in_the_inbox(studio: Studio) -> None:
    first, second = studio.scenes.generate(dict(SHOT)), studio.scenes.generate(dict(SHOT), run=False)
    assert (first["state"], second["state"]) == ("queued", "draft")
    (inbox,) = studio.queues.list()
    assert inbox["inbox"] and inbox["counts"]["total"] == 2
    studio.drain()
    assert "inbox" in studio.takes.file(studio.scenes.get(first["id"])["take"]["id"]).parts


def test_a_shot_that_cannot_run_leaves_nothing(studio: Studio) -> None:
    with pytest.raises(Conflict) as refused:
        studio.scenes.generate({**SHOT, "engine": "nobody"})
    assert (refused.value.code, refused.value.params["field"]) == ("preflight.errors", "engine")
    assert [queue["counts"]["total"] for queue in studio.queues.list()] == [0]


def test_a_copy_stands_behind_its_original(studio: Studio, takes: list[str]) -> None:
    original = studio.takes.get(takes[0])["scene_id"]
    copy = studio.scenes.duplicate(original)
    assert (copy["number"], copy["state"], copy["takes"]) == (2, "draft", 0)
    old, new = studio.scenes.get(original)["scene"], copy["scene"]
    assert old["lines"][0]["id"] != new["lines"][0]["id"]
    assert old["prompt"] == new["prompt"] and old["lines"][0]["text"] == new["lines"][0]["text"]


# ------------------------------------------------------------------------------------------------ queues
def test_a_deleted_queue_leaves_its_files(studio: Studio, takes: list[str]) -> None:
    path, queue = studio.takes.file(takes[0]), studio.takes.get(takes[0])["queue_id"]
    studio.runs.run(queue, only=[studio.takes.get(takes[0])["scene_id"]])  # something still waits
    studio.queues.delete(queue)
    assert studio.queues.list() == [] and path.is_file() and studio.drain() == 0


def test_the_sample_is_whole(studio: Studio) -> None:
    queue = studio.episodes.import_sample()
    cards = studio.queues.get(queue["id"])["scenes"]
    assert {card["task_type"] for card in cards} == set(studio.scenes.tasks())
    assert all(len(json.dumps(card)) < 1200 for card in cards)
    speaking = {line["character"] for card in cards for line in card["lines"]}
    assert len(speaking) >= 2 and queue["music"]


def test_every_engine_says_what_it_can(studio: Studio, build: Callable[..., Studio]) -> None:
    engines = {engine["id"]: engine for engine in studio.engines.list()}
    scenes = [name for name in ENGINES if not engine_class(name).serves]  # the others listen, or compare
    assert list(engines) == scenes and "instant" in engines
    assert {name for name, engine in engines.items() if engine["draft"]} == {"draft"}
    assert engines["instant"]["options"]["properties"]["grey"]["default"] == 90
    json.dumps(list(engines.values()))


class Wide(instant_engine.Instant):
    id = "wide"


def test_auto_takes_an_engine_that_can_make_the_scene(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "wide", "test_service_takes:Wide")
    monkeypatch.setattr(Wide, "limits", Limits())
    monkeypatch.setattr(instant_engine.Instant, "limits", Limits(resolutions=("480P",)))
    queue = studio.queues.create("Q")["id"]
    small, large = (studio.scenes.add(queue, {**SHOT, "resolution": size})["id"] for size in ("480P", "720P"))
    named = studio.scenes.add(queue, {**SHOT, "resolution": "720P", "engine": "instant"})["id"]
    report = studio.preflight.queue(queue)
    assert [one["problems"][0]["code"] if one["problems"] else "" for one in report["scenes"]] == [
        "",
        "",
        "engine.limit_resolution",
    ]
    assert [studio.runs.wanted(one)[0].engine for one in (small, large)] == ["instant", "wide"]
    with pytest.raises(Refused, match="engine.limit_resolution"):
        studio.runs.wanted(named)


def test_auto_takes_the_real_engine_and_draft_where_it_is_named(studio: Studio) -> None:
    queue = studio.queues.create("Q")["id"]
    auto, named = (studio.scenes.add(queue, {**SHOT, "engine": name})["id"] for name in ("auto", "draft"))
    studio.runs.run(queue)
    jobs = {job.scene_id: job.engine for job in studio._store.jobs.live(queue_id=queue)}
    assert jobs == {auto: "instant", named: "draft"}


@pytest.mark.parametrize(
    ("label", "prompt", "title"),
    [("Lamp", "x", "Lamp"), ("", "a b", "a b"), ("", "one\ntwo", "one"), ("", "word " * 40, "word " * 16 + "…"),
     ("", "字" * 100, "字" * 80), ("", "", "")],
)  # fmt: skip
def test_a_scene_is_called_by_its_label_or_its_first_words(label: str, prompt: str, title: str) -> None:
    assert title_of(label, prompt) == title


def test_a_studio_closes_while_a_film_is_being_cut(instant: Any, tmp_path: Path) -> None:
    studio = build_studio(Settings(root=tmp_path), in_process=True)
    queue = studio.queues.create("Q", frame={"width": 256, "height": 144})["id"]
    studio.scenes.add(queue, dict(SHOT))
    studio.runs.run(queue)
    studio.drain()
    film = studio.exports.cut(queue)
    studio.close()
    assert not any(thread.name == f"cut-{film['id'][-6:]}" for thread in threading.enumerate())
