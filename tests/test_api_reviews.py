"""Review by REST: a film becomes a version, somebody says something of it, its scene asks for a retake."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from studio.api import make_api
from studio.api.guard import VISITOR
from studio.domain import Visitor
from studio.service import Studio

FRAME = {"width": 256, "height": 144, "fps": 24}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.5}
HOSTILE = '<script>alert(1)</script> & "quotes" {braces} \''
OWNER = Visitor("", "", "owner", "local")
ANA = Visitor("p-ana", "Ana", "reviewer", "share", "s-ana")
BO = Visitor("p-bo", "Bo", "reviewer", "share", "s-bo", queue_id="somewhere else")

As = Callable[[Visitor], TestClient]


@pytest.fixture
def by(studio: Studio) -> As:
    """REST as somebody sees it behind the door."""
    api = make_api(studio)

    def client(visitor: Visitor) -> TestClient:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await api({**scope, VISITOR: visitor}, receive, send)

        return TestClient(app, raise_server_exceptions=False)

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
