"""Whatever anybody sends to any route, ours or peers': an answer, and never a 5xx. Routes come from the OpenAPI schema.

LANTERNA_EXAMPLES raises the number of requests.
"""

import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from visitors import AT_HOME, Known

from studio.api import make_api
from studio.api.compat import add_peers
from studio.domain import SCENE_CLASSES
from studio.domain.reviews import Placed
from studio.errors import Forbidden
from studio.service import Studio
from studio.service.review_comments import Said

REQUESTS = int(os.environ.get("LANTERNA_EXAMPLES", "600"))
LEFT_OUT = {("get", "/api/events"), ("get", "/stream"), ("post", "/api/queues/sample")}  # the first two may never end
PEERS = ("/nqueues", "/queue", "/generate", "/status", "/stream", "/video", "/file", "/download", "/uploads",
         "/projects", "/skyreels", "/system-prompt")  # fmt: skip
BELOW_API = ("/api/voice/", "/api/jobs", "/api/models")  # peers' too

ODD = st.sampled_from(
    ["", " ", "..", "../..", "%00", "\x00", "'; drop table scenes; --", "{{prev}}", "{0}", "${x}", "🎬", "²", "-1",
     "9" * 30, "1e999", "NaN", "true", "null", "[]", "\ud800", "a" * 300, "scene:x", "asset:x", "asset:", "http://",
     "https://[", "/etc/passwd", "~nobody/x", "file://", "\\\\host\\share"]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 0.5, 1e308, float("inf"), float("nan")]
)
JSONS = st.recursive(
    st.none() | st.booleans() | NUMBERS | ODD | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD | st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
FIELDS = sorted(
    {name for cls in SCENE_CLASSES.values() for name in cls.model_fields}
    | {"name", "frame", "music", "on_error", "allow_paid", "scene_ids", "only", "missing", "kind", "at", "selected",
       "locked", "private", "rating", "url", "width", "fps", "ref", "level", "scenes", "title", "defaults", "cast",
       "jobs", "project", "audio_bg", "audio_text", "image_prompt", "voice_id", "status", "changes", "versions",
       "force", "settings", "include", "note", "count", "seeds", "queue_ids", "names", "older_than_days", "queue",
       "path",
       "takes", "aspect", "subtitles", "format", "start", "end", "secret", "target", "events", "local",
       "lang", "cut", "priority", "starts_at", "retries", "queue_id", "scene_id", "seed_step", "keep_rating",
       "version", "text", "wish", "region", "approved", "open", "state", "id", "export_id", "author", "comments",
       "verdicts", "lanterna_review", "review_id"}
)  # fmt: skip
GOOD = {
    "task_type": "text_to_video", "prompt": "a lamp", "lines": [{"text": "hello"}], "label": "Lamp", "duration": 1,
    "frame": {"width": 256, "height": 144, "fps": 8}, "seed": 7, "rating": 3, "options": {"instant": {"grey": 1}},
}  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSONS, max_size=4).flatmap(
    lambda odd: st.sets(st.sampled_from(sorted(GOOD))).map(
        lambda names: {**{name: GOOD[name] for name in names}, **odd}
    )
)
BODIES = (OBJECTS | st.lists(OBJECTS, max_size=3) | JSONS).map(json.dumps).map(str.encode) | st.binary(max_size=40)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "if-match": st.sampled_from(["1", '"1"', "x", "", "*", "9" * 50]),
        "range": st.sampled_from(
            ["bytes=0-1", "bytes=-0", "bytes=9-1", "x", "bytes=0-0,1-1", "bytes=" + "9" * 40 + "-"]
        ),
        "accept-language": st.sampled_from(["zh", "", "x;q=;", "🎬".encode().decode("latin-1")]),
        "idempotency-key": st.sampled_from(["", "k", "k" * 300, "ü"]),
    },
)


@pytest.fixture
def client(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(studio.exports, "_make", lambda *_: None)  # films are cut elsewhere

    def nowhere(url: str, *_: Any, **__: Any) -> None:
        raise Forbidden("fetch.private", host=urllib.parse.urlsplit(url).hostname or "")

    monkeypatch.setattr("studio.media.fetch.fetch", nowhere)
    monkeypatch.setattr(studio.hooks, "_post", nowhere)
    site = FastAPI()
    site.add_middleware(Known)
    site.mount("/api", make_api(studio))
    add_peers(site, studio)
    with TestClient(site, raise_server_exceptions=False) as opened:
        yield opened


def operations(client: TestClient) -> list[tuple[str, str, tuple[str, ...]]]:
    """(method, path, names of its query parameters)."""
    site: Any = client.app
    api = next(route.app for route in site.routes if getattr(route, "path", "") == "/api")
    found = []
    for before, schema in (("/api", api.openapi()), ("", site.openapi())):
        for path, methods in schema["paths"].items():
            for method, described in methods.items():
                names = tuple(row["name"] for row in described.get("parameters", ()) if row["in"] == "query")
                if (method, before + path) not in LEFT_OUT:
                    found.append((method, before + path, names))
    return found


def ids(studio: Studio) -> dict[str, list[str]]:
    """What there is to hit, now."""
    queues = [row["id"] for row in studio.queues.list()]
    scenes = [card["id"] for queue in queues[:3] for card in studio.queues.get(queue)["scenes"][:3]]
    takes = [take["id"] for take in studio.takes.list(limit=3)["takes"]]
    exports = [row["id"] for queue in queues[:2] for row in studio.exports.list(queue)[:1]]
    return {
        "queue_id": queues, "scene_id": scenes, "job_id": scenes, "take_id": takes, "export_id": exports, "sha256": [],
        "run_id": [row["id"] for queue in queues[:2] for row in studio.reports.list(queue)[:1]],
        "preset_id": [row["id"] for row in studio.presets.list()[:2]],
        "hook_id": [row["id"] for row in studio.hooks.list()[:2]],
        "name": [row["name"] for row in studio.projects.list()[:3]], "folder": ["imagens", "docs"],
        "path": [f"result/x/{take}.mp4" for take in takes],
        "review_id": [row["id"] for row in studio.reviewing.list(AT_HOME)], "number": ["1"],
        "comment_id": [row["id"] for scene in scenes for row in studio.reviewing.of_scene(scene)[:2]],
    }  # fmt: skip


def test_the_routes_of_every_module_are_known(client: TestClient) -> None:
    """A route that is in no schema would be tried by nobody."""
    known = {path for _, path, _ in operations(client)}
    for part in ("packages", "installations", "hooks", "notices", "deliveries", "storage/spare", "storage/leftovers"):
        assert f"/api/{part}" in known or any(path.endswith(f"/{part.rstrip('s')}") for path in known), part
    assert not [path for path in known if not path.startswith(("/api/", *PEERS))]
    assert {path.split("/")[1] for path in known} >= {peer.strip("/") for peer in PEERS} - {"stream"}


def _populate(client: TestClient, queue: str) -> None:
    for values in (GOOD, {"task_type": "speech", "lines": [{"text": "hello"}]}):
        body = {name: value for name, value in values.items() if name not in ("frame", "rating")}
        assert client.post(f"/api/queues/{queue}/scenes", json=body).status_code == 201


def _review(studio: Studio, queue: str) -> None:
    """A film of one take, with something said of it."""
    card = next(card for card in studio.queues.get(queue)["scenes"] if card["take"]["kind"] == "video")
    take = studio.takes.get(card["take"]["id"])
    scene = Placed(card["id"], take["id"], [take["id"]], 1, "Lamp", 0.0, take["duration"], [0, 0])
    facts = {"scenes": [scene.as_dict()], "takes": [take["id"]], "duration": take["duration"]}
    facts |= {name: take[name] for name in ("fps", "width", "height")}
    export = studio._store.takes.add_export(queue, "film")
    studio._store.takes.update_export(export, state="done", file=studio.takes.file(take["id"]), facts=facts)
    review = studio.reviewing.publish(queue, export, AT_HOME)["id"]
    studio.reviewing.comment(review, Said(1, 0.0, "slower", "retake"), AT_HOME)


def test_nothing_breaks_a_route(studio: Studio, client: TestClient, picture: Path) -> None:
    queue = client.post("/api/queues", json={"name": "Q", "frame": GOOD["frame"]}).json()["id"]
    _populate(client, queue)
    client.post(f"/api/queues/{queue}/run")
    studio.drain()
    _review(studio, queue)
    client.post("/api/hooks", json={"url": "https://example.com/in"})
    client.post("/api/presets", json={"name": "P", "settings": {"task_type": "text_to_video", "duration": 2}})
    asset = client.post("/api/assets", files={"file": ("a.png", picture.read_bytes())}).json()["sha256"]
    every = operations(client)
    hit: set[tuple[str, int]] = set()

    @settings(max_examples=REQUESTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def one(data: st.DataObject) -> None:
        method, path, names = data.draw(st.sampled_from(every))
        known = {**ids(studio), "sha256": [asset]}
        for name, found in known.items():
            if f"{{{name}}}" in path or f"{{{name}:path}}" in path:
                path = path.replace(":path}", "}")
                odd, which = data.draw(ODD), data.draw(st.integers(0, 9))  # drawn whatever there is to hit
                value = found[which % len(found)] if found and which > 2 else odd
                path = path.replace(f"{{{name}}}", urllib.parse.quote(value.encode("utf-8", "replace"), safe="") or "x")
        query = data.draw(st.dictionaries(st.sampled_from(names), ODD | NUMBERS.map(str))) if names else {}
        encoded = urllib.parse.urlencode({k: v.encode("utf-8", "replace") for k, v in query.items()})
        body = data.draw(BODIES) if method in ("post", "patch", "put") else None
        headers = {name: value.encode("latin-1") for name, value in data.draw(HEADERS).items()}
        headers |= {
            "content-type": data.draw(st.sampled_from([b"application/json", b"multipart/form-data; boundary=x", b""]))
        }
        answer = client.request(method.upper(), f"{path}?{encoded}", content=body, headers=headers)
        theirs = path.startswith((*PEERS, *BELOW_API))
        assert answer.status_code not in (500, 505), answer.text
        assert answer.status_code != 501 or theirs
        hit.add((f"{method} {path}", answer.status_code // 100))
        if answer.status_code >= 400 and answer.status_code != 416 and "range" not in headers:
            told = answer.json()
            if not theirs or isinstance(told.get("error"), dict):  # an id with a slash in it leads past their routes
                assert told["error"]["message"] and told["error"]["code"] and "hint" in told["error"]
            elif told and "detail" not in told:  # {} of /video-meta; the app's own 404 and 405
                assert told["error"] and told["code"]
        queues = client.get("/api/queues")
        assert queues.status_code == 200  # what was written can be read
        if not any(row["counts"]["total"] for row in queues.json()):
            _populate(client, client.post("/api/queues", json={"name": "Q"}).json()["id"])

    one()
    assert {kind for _, kind in hit} >= {2, 4}
