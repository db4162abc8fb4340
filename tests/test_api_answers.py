"""studio/api/answers.py: what a page asks for every second comes packed where the caller can unpack it."""

from typing import Any

from starlette.testclient import TestClient

from studio.service import Studio


def snapshot(client: TestClient, queue: str, encoding: str) -> Any:
    return client.get(f"/queues/{queue}", headers={"accept-encoding": encoding})


def test_a_long_answer_is_packed_for_those_who_can_unpack_it(studio: Studio, client: TestClient) -> None:
    queue = studio.queues.create("Night pier")["id"]
    for number in range(20):
        studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": f"Shot {number} of a long night"})
    plain, packed = snapshot(client, queue, "identity"), snapshot(client, queue, "gzip")
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) * 4 < int(plain.headers["content-length"])
    assert packed.json() == plain.json() and len(packed.json()["scenes"]) == 20


def test_a_short_answer_is_left_alone(studio: Studio, client: TestClient) -> None:
    queue = studio.queues.create("Night pier")["id"]
    version = snapshot(client, queue, "gzip").json()["version"]
    nothing_new = client.get(f"/queues/{queue}?since={version}", headers={"accept-encoding": "gzip"})
    assert nothing_new.json()["scenes"] == [] and "content-encoding" not in nothing_new.headers
