"""Choosing takes: notes that ask for another, several seeds of one scene, no take made twice, the contact sheet."""

from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from studio.domain import State
from studio.errors import Refused
from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25}
HOSTILE = '<script>alert(1)</script> & "quotes" {braces}'


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Pier", frame={"width": 256, "height": 144})["id"])


def rendered(studio: Studio, queue: str, **fields: Any) -> str:
    """A scene with one take; its id."""
    scene = str(studio.scenes.add(queue, {**SHOT, **fields})["id"])
    studio.scenes.run(scene)
    studio.drain()
    return scene


def review_of(studio: Studio, scene: str) -> tuple[str, int, int]:
    """(where the review of the scene stands, unreviewed in its queue, asked for again in its queue)"""
    card = studio.scenes.get(scene)
    view = studio.queues.view(card["queue_id"])
    return card["review"], view["unreviewed"], view["retake"]


# ------------------------------------------------------------------------------------------------ review
def test_a_take_is_new_until_somebody_decides_about_it(studio: Studio, queue: str) -> None:
    unmade = studio.scenes.add(queue, dict(SHOT))["id"]
    assert review_of(studio, unmade) == ("", 0, 0)
    scene = rendered(studio, queue)
    assert review_of(studio, scene) == ("new", 1, 0)
    assert studio.queues.list()[0]["unreviewed"] == 1
    studio.takes.mark(studio.scenes.get(scene)["take"]["id"], {"rating": 3})
    assert review_of(studio, scene) == ("seen", 0, 0)
    assert studio.scenes.get(scene)["take"]["rating"] == 3


def test_a_note_asks_for_another_take_and_its_answer_is_looked_at_again(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue)
    before = studio.scenes.get(scene)
    assert studio.review.ask_again(scene, "  slower, please ")["retake"] == "slower, please"
    after = studio.scenes.get(scene)
    assert (after["version"], after["state"]) == (before["version"], State.DONE)
    assert after["take_list"][0]["note"] == "slower, please"
    assert review_of(studio, scene) == ("retake", 0, 1)
    studio.scenes.run(scene)
    studio.drain()
    assert review_of(studio, scene) == ("retaken", 1, 0)
    assert studio.scenes.get(scene)["retake"] == "slower, please"
    old, new = (take["id"] for take in reversed(studio.scenes.get(scene)["take_list"]))
    studio.takes.mark(old, {"rating": 2})  # the take that the note is about says nothing of its answer
    assert review_of(studio, scene)[0] == "retaken"
    studio.takes.mark(new, {"rating": 5})
    assert review_of(studio, scene) == ("seen", 0, 0) and studio.scenes.get(scene)["retake"] is None
    assert studio.takes.get(old)["note"] == "slower, please"


def test_a_note_is_withdrawn(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue)
    studio.review.ask_again(scene, "no")
    assert studio.review.ask_again(scene, None)["retake"] is None
    assert review_of(studio, scene) == ("new", 1, 0) and studio.scenes.get(scene)["take_list"][0]["note"] is None


def test_a_note_needs_a_take_and_an_end(studio: Studio, queue: str) -> None:
    unmade = studio.scenes.add(queue, dict(SHOT))["id"]
    with pytest.raises(Refused) as refused:
        studio.review.ask_again(unmade, "again")
    assert refused.value.code == "retake.no_take"
    with pytest.raises(Refused) as refused:
        studio.review.ask_again(unmade, "x" * 501)
    assert refused.value.code == "retake.too_long"


# ------------------------------------------------------------------------------------------------ seeds
def test_several_seeds_of_one_scene_are_several_takes(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue, seed=7, lines=[{"text": "hello"}])
    version = studio.scenes.get(scene)["version"]
    asked = studio.review.seeds(scene, seeds=[7, 11, 12, 11])
    (first,) = studio.scenes.get(scene)["take_list"]
    assert (asked["seeds"], asked["existing"]) == ([11, 12], {"7": first["id"]})
    assert studio.scenes.get(scene)["state"] == State.QUEUED
    assert studio.review.seeds(scene, seeds=[12])["jobs"] == 0  # it waits already
    studio.drain()
    view = studio.scenes.get(scene)
    assert [take["seed"] for take in view["take_list"]] == [12, 11, 7]
    assert (view["scene"]["seed"], view["version"], view["state"]) == (7, version, State.DONE)
    assert studio.takes.list(layer="voice")["total"] == 1  # its line was not spoken again


def test_new_seeds_are_all_different(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue)
    seeds = studio.review.seeds(scene, 5)["seeds"]
    assert len(set(seeds)) == 5
    studio.drain()
    assert {take["seed"] for take in studio.scenes.get(scene)["take_list"]} > set(seeds)


def test_one_seed_that_fails_does_not_take_the_others_with_it(studio: Studio, queue: str, instant: Any) -> None:
    scene = rendered(studio, queue)

    def fail(_: Any, run: Any) -> None:
        if run.seed == 21:
            raise RuntimeError("this one only")

    instant.ON_RUN.append(fail)
    studio.review.seeds(scene, seeds=[21, 22, 23])
    studio.drain()
    assert [take["seed"] for take in studio.scenes.get(scene)["take_list"]][:2] == [23, 22]
    assert studio.scenes.get(scene)["state"] == State.DONE


def test_cancelling_a_scene_cancels_all_its_seeds(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue)
    studio.review.seeds(scene, 3)
    studio.scenes.cancel(scene)
    assert studio.drain() == 0 and len(studio.scenes.get(scene)["take_list"]) == 1


@pytest.mark.parametrize(("count", "seeds", "code"), [
    (0, None, "seeds.count"), (33, None, "seeds.count"), (0, list(range(40)), "seeds.count"), (0, [-1], "seeds.seed"),
    (0, [2**63], "seeds.seed"),
])  # fmt: skip
def test_seeds_are_seeds_and_not_too_many(
    studio: Studio, queue: str, count: int, seeds: list[int] | None, code: str
) -> None:
    scene = studio.scenes.add(queue, dict(SHOT))["id"]
    with pytest.raises(Refused) as refused:
        studio.review.seeds(scene, count, seeds)
    assert refused.value.code == code
    assert studio.drain() == 0


def test_what_is_only_heard_has_no_seeds(studio: Studio, queue: str) -> None:
    scene = studio.scenes.add(queue, {"task_type": "speech", "lines": [{"text": "hello"}]})["id"]
    with pytest.raises(Refused):
        studio.review.seeds(scene, 2)


# ------------------------------------------------------------------------------------------------ the same again
def test_the_same_settings_and_seed_make_no_second_take(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue, seed=7, label="One", lines=[{"text": "hello"}])
    (take,) = studio.scenes.get(scene)["take_list"]
    studio.scenes.edit(scene, {"label": "Two", "trim_end": 0.05})  # changes nothing in the picture
    assert studio.review.run(scene)["existing"] == take["id"] and studio.drain() == 0
    assert studio.review.run(scene, seed=7)["existing"] == take["id"]
    assert studio.review.run(scene, force=True)["existing"] is None and studio.drain() == 1
    assert studio.review.run(scene, seed=8)["existing"] is None and studio.drain() == 1
    assert studio.scenes.get(scene)["scene"]["seed"] == 7


@pytest.mark.parametrize(
    "change",
    [{"prompt": "a boat"}, {"seed": 8}, {"negative_prompt": "rain"}, {"options": {"instant": {"grey": 3}}},
     {"duration": 0.5}, {"lines": [{"text": "another"}]}, {"engine": "draft"}, {"resolution": "480P"}],
)  # fmt: skip
def test_whatever_shapes_the_picture_makes_a_new_one(studio: Studio, queue: str, change: dict[str, Any]) -> None:
    scene = rendered(studio, queue, seed=7, lines=[{"text": "hello"}])
    studio.scenes.edit(scene, change)
    assert studio.review.existing(scene) is None


def test_another_take_of_what_is_read_makes_a_new_picture(studio: Studio, queue: str) -> None:
    first = rendered(studio, queue)
    scene = rendered(studio, queue, task_type="image_to_video", input_image=f"scene:{first}#last", seed=7)
    assert studio.review.existing(scene)
    studio.scenes.run(first)
    studio.drain()
    assert studio.review.existing(scene) is None


def test_takes_in_the_trash_and_random_seeds_stand_for_nothing(studio: Studio, queue: str) -> None:
    scene = rendered(studio, queue, seed=7)
    studio.takes.trash(studio.scenes.get(scene)["take"]["id"])
    assert studio.review.existing(scene) is None
    free = rendered(studio, queue)
    assert studio.review.run(free)["existing"] is None and studio.drain() == 1


# ------------------------------------------------------------------------------------------------ REST
def test_review_over_rest(studio: Studio, queue: str, client: TestClient) -> None:
    scene = rendered(studio, queue, seed=7)
    assert client.put(f"/scenes/{scene}/retake", json={"note": "closer"}).json()["review"] == "retake"
    assert client.put(f"/scenes/{scene}/retake", json={"note": None}).json()["retake"] is None
    assert client.post(f"/scenes/{scene}/run").json()["existing"]
    assert client.post(f"/scenes/{scene}/run", json={"force": True}).json()["existing"] is None
    assert len(client.post(f"/scenes/{scene}/seeds", json={"count": 2}).json()["seeds"]) == 2
    assert client.post(f"/scenes/{scene}/seeds", json={"count": 0}).status_code == 422
    assert client.put(f"/scenes/{scene}/retake", json={"nota": "x"}).status_code == 422


# ------------------------------------------------------------------------------------------------ contact sheet
def test_the_contact_sheet_is_one_page_that_runs_nothing(studio: Studio, queue: str, client: TestClient) -> None:
    scene = rendered(studio, queue, label=HOSTILE)
    studio.scenes.add(queue, {**SHOT, "label": "Not made"})
    studio.takes.mark(studio.scenes.get(scene)["take"]["id"], {"rating": 3})
    studio.review.ask_again(scene, HOSTILE)
    answer = client.get(f"/queues/{queue}/contact-sheet.html?lang=pt")
    assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.text
    assert "<script" not in page and "&lt;script&gt;" in page and page.count("<figure>") == 2
    assert page.count("data:image/jpeg;base64,") == 1 and "★★★" in page and "2 cenas" in page and "http" not in page
    assert client.get("/queues/nobody/contact-sheet.html").status_code == 404


def test_the_contact_sheet_is_also_one_picture(studio: Studio, queue: str, client: TestClient) -> None:
    rendered(studio, queue, label="灯塔 · São João")
    studio.scenes.add(queue, {**SHOT, "label": "Not made " * 20})
    answer = client.get(f"/queues/{queue}/contact-sheet.png")
    assert answer.headers["content-type"] == "image/png"
    path = studio.contact_sheets.png(queue, "zh")
    with Image.open(path) as sheet:
        assert sheet.width > 700 and sheet.getcolors(1) is None


def test_a_picture_of_too_many_scenes_is_refused(studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.service.contact_sheet.MOST_CELLS", 1)
    studio.scenes.add(queue, dict(SHOT))
    studio.scenes.add(queue, dict(SHOT))
    with pytest.raises(Refused) as refused:
        studio.contact_sheets.png(queue, "en")
    assert refused.value.code == "sheet.too_many"


def test_a_page_hears_that_a_note_is_settled(studio: Studio) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    scene = str(studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25})["id"])
    studio.scenes.run(scene)
    studio.drain()
    studio.review.ask_again(scene, "darker")
    studio.scenes.run(scene)
    studio.drain()
    version = studio.queues.get(queue)["version"]
    studio._store.review.settle(studio.scenes.get(scene)["take"]["id"])
    (card,) = studio.queues.get(queue, version)["scenes"]
    assert card["retake"] is None
