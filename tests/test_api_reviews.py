"""Review by REST: a film becomes a version, somebody says something of it, its scene asks for a retake."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from visitors import AT_HOME, Known

from studio.api import make_api
from studio.domain import Visitor
from studio.service import Studio
from studio.service.review_package import MOST_BYTES

FRAME = {"width": 256, "height": 144, "fps": 24}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.5}
HOSTILE = '<script>alert(1)</script> & "quotes" {braces} \''
OWNER = AT_HOME
ANA = Visitor("p-ana", "Ana", "reviewer", "share", "s-ana")
BO = Visitor("p-bo", "Bo", "reviewer", "share", "s-bo", queue_id="somewhere else")

As = Callable[[Visitor], TestClient]


@pytest.fixture
def by(studio: Studio) -> As:
    """REST as somebody sees it behind the door."""
    api = make_api(studio)

    def client(visitor: Visitor) -> TestClient:
        return TestClient(Known(api, visitor), raise_server_exceptions=False)

    return client


@pytest.fixture
def queue(studio: Studio) -> str:
    """Two scenes with takes."""
    made = str(studio.queues.create("Night pier", frame=FRAME)["id"])
    for label in ("one", "two"):
        studio.scenes.add(made, {**SHOT, "label": label})
    studio.runs.run(made)
    studio.drain()
    return made


def cut(studio: Studio, queue: str) -> str:
    """A film of the queue as it is; its id."""
    film = studio.exports.cut(queue, wait=True)
    assert film["state"] == "done", film["error"]
    return str(film["id"])


@pytest.fixture
def review(studio: Studio, queue: str, by: As) -> dict[str, Any]:
    answer = by(OWNER).post(f"/queues/{queue}/review", json={"export_id": cut(studio, queue)})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_reviewer_plays_a_film_and_wishes_for_a_retake(studio: Studio, by: As, review: dict[str, Any]) -> None:
    ana = by(ANA)
    assert ana.get("/reviews").json() == {
        "reviews": [
            {
                "id": review["id"], "queue_id": review["queue_id"], "name": "Night pier", "open": True, "version": 1,
                "comments": 0, "verdict": None,
            }
        ]
    }  # fmt: skip
    seen = ana.get(f"/reviews/{review['id']}").json()
    assert [(scene["number"], scene["title"], scene["change"]) for scene in seen["version"]["scenes"]] == [
        (1, "one", ""), (2, "two", "")
    ]  # fmt: skip
    film = ana.get(f"/reviews/{review['id']}/versions/1/film", headers={"range": "bytes=4-7"})
    assert (film.status_code, film.content) == (206, b"ftyp")
    said = {"id": "c" * 12, "version": 1, "at": 0.75, "text": HOSTILE, "wish": "retake", "region": [0, 0.1, 0.5, 1]}
    answer = ana.post(f"/reviews/{review['id']}/comments", json=said)
    assert answer.status_code == 201, answer.text
    comment = answer.json()
    scene = seen["version"]["scenes"][1]["scene_id"]
    assert (comment["scene_id"], comment["number"], comment["author"], comment["mine"]) == (scene, 2, "Ana", True)
    assert (comment["text"], comment["state"], comment["region"]) == (HOSTILE, "open", [0, 0.1, 0.5, 1])
    card = studio.scenes.get(scene)
    assert card["comments"][0]["text"] == HOSTILE and card["retake"] == f"Ana · 0:00.8: {HOSTILE}"
    assert studio.queues.get(review["queue_id"])["scenes"][1]["comments"] == {"open": 1, "retake": 1}
    frame = ana.get(f"/comments/{comment['id']}/frame")
    assert frame.headers["content-type"] == "image/jpeg" and frame.content[:3] == b"\xff\xd8\xff"


def test_a_private_take_withholds_every_address_of_its_version(
    studio: Studio, by: As, review: dict[str, Any]
) -> None:  # fmt: skip
    at = f"/reviews/{review['id']}"
    said = by(ANA).post(f"{at}/comments", json={"version": 1, "at": 0, "text": "look"}).json()["id"]
    scenes = studio.queues.get(review["queue_id"])["scenes"]
    addresses = [at, f"{at}?version=1", f"{at}/versions/1/film", f"{at}/versions/1/poster.jpg",
                 f"{at}/versions/1/subtitles.vtt", f"/comments/{said}/frame",
                 *(f"{at}/versions/1/scenes/{scene['id']}/poster.jpg" for scene in scenes)]  # fmt: skip
    there = [by(ANA).get(address).status_code for address in addresses]
    assert there == [200] * (6 + len(scenes))
    take = studio.queues.get(review["queue_id"])["scenes"][0]["take"]["id"]
    studio.takes.mark(take, {"private": True})
    answers = [by(ANA).get(address) for address in addresses]
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(404, "review.withheld")}
    assert "one" not in answers[0].json()["error"]["message"].split()
    assert by(ANA).get("/reviews").json() == {"reviews": []}
    mine = by(OWNER).get(at).json()["version"]["withheld"]
    assert mine == ["1 · one"]
    for answer in (
        by(OWNER).get(f"{at}/package"),
        by(OWNER).post(f"/queues/{review['queue_id']}/review", json={"export_id": cut(studio, review["queue_id"])}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "review.private")
        assert "1 · one" in answer.json()["error"]["message"]


def test_what_is_not_there_is_said(by: As, review: dict[str, Any]) -> None:
    at = f"/reviews/{review['id']}"
    asked = {
        ("GET", "/reviews/none"): (404, "review.unknown"),
        ("GET", f"{at}?version=2"): (404, "review.no_version"),
        ("GET", f"{at}/versions/2/film"): (404, "review.no_version"),
        ("GET", f"{at}/versions/1/scenes/none/poster.jpg"): (404, "review.no_picture"),
        ("GET", "/comments/none/frame"): (404, "comment.unknown"),
        ("DELETE", "/comments/none"): (404, "comment.unknown"),
        ("GET", "/queues/none/review"): (404, "queue.unknown"),
        ("GET", "/scenes/none/comments"): (404, "scene.unknown"),
    }
    for (method, path), told in asked.items():
        answer = by(OWNER).request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == told, path
    guest = by(BO)  # invited to another film
    assert guest.get("/reviews").json() == {"reviews": []}
    for path in (at, f"{at}/versions/1/film", f"{at}/versions/1/poster.jpg"):
        assert guest.get(path).json()["error"]["code"] == "review.unknown"


def test_a_queue_without_a_review_has_none(studio: Studio, by: As) -> None:
    queue = studio.queues.create("Empty")["id"]
    answer = by(OWNER).get(f"/queues/{queue}/review")
    assert (answer.status_code, answer.json()) == (200, None)


def test_opening_closing_and_dealing_with_comments(by: As, review: dict[str, Any]) -> None:
    at, owner = f"/reviews/{review['id']}", by(OWNER)
    said = by(ANA).post(f"{at}/comments", json={"version": 1, "at": 0, "text": "look", "wish": "retake"}).json()
    assert owner.patch(f"/comments/{said['id']}", json={"state": "done"}).json()["state"] == "done"
    assert owner.patch(at, json={"open": False}).json()["open"] is False
    answer = by(ANA).post(f"{at}/comments", json={"version": 1, "at": 0, "text": "hello?"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "review.closed")
    assert owner.patch(at, json={"open": True}).json()["open"] is True
    assert owner.get(f"/queues/{review['queue_id']}/review").json() == owner.get(at).json()
    verdict = by(ANA).put(f"{at}/verdict", json={"version": 1, "approved": True}).json()["verdicts"]
    assert [(one["author"], one["approved"], one["mine"]) for one in verdict] == [("Ana", True, True)]
    assert by(ANA).put(f"{at}/verdict", json={"version": 1, "approved": None}).json()["verdicts"] == []
    assert by(ANA).delete(f"/comments/{said['id']}").status_code == 204
    assert owner.get(f"/scenes/{said['scene_id']}/comments").json() == []


def test_at_home_the_owner_has_a_name_too(by: As, review: dict[str, Any]) -> None:
    said = {"version": 1, "at": 0, "text": "mine"}
    answer = by(OWNER).post(f"/reviews/{review['id']}/comments?lang=pt", json=said)
    assert (answer.json()["author"], answer.json()["mine"]) == ("Produção", True)


def saved(review: dict[str, Any]) -> bytes:
    comments = [{"id": "offline-1", "version": 1, "at": 0.2, "text": HOSTILE, "wish": "comment", "region": None}]
    file = {"lanterna_review": 1, "review_id": review["id"], "author": "Zoe", "comments": comments, "verdicts": []}
    return json.dumps(file).encode()


def test_a_package_leaves_and_its_comments_come_back(by: As, review: dict[str, Any]) -> None:
    at, owner = f"/reviews/{review['id']}", by(OWNER)
    answer = owner.get(f"{at}/package")
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''night-pier_review_v1.zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None and archive.namelist()[:2] == ["index.html", "film.mp4"]
    file = saved(review)
    raw = owner.post(f"{at}/comments/import", content=file)
    assert (raw.status_code, raw.json()) == (200, {"added": 1, "known": 0, "verdicts": 0})
    form = owner.post(f"{at}/comments/import", files={"file": ("comments.json", file)})
    assert form.json() == {"added": 0, "known": 1, "verdicts": 0}
    comment = owner.get(at).json()["comments"][0]
    assert (comment["text"], comment["author"], comment["imported"]) == (HOSTILE, "Zoe", True)


def test_half_an_upload_leaves_nothing(by: As, review: dict[str, Any]) -> None:
    at, owner, file = f"/reviews/{review['id']}", by(OWNER), saved(review)
    form = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + file
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    for content, headers in ((file[: len(file) // 2], {}), (form[:-9], multipart), (b"", multipart), (b"", {})):
        answer = owner.post(f"{at}/comments/import", content=content, headers=headers)
        assert answer.status_code in (400, 422) and answer.json()["error"]["code"] != "request.broken", answer.text
    assert owner.post(f"{at}/comments/import", content=b" " * (MOST_BYTES + 1)).status_code == 413
    assert owner.get(at).json()["comments"] == []
