"""Every route of /api: what it answers, what it refuses, and that files and errors come as they should."""

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import media_tools
import pytest
from httpx import Response
from starlette.testclient import TestClient
from visitors import Known

from studio.api import make_api
from studio.api.guard import Guard
from studio.service import Studio

SHOT = {
    "task_type": "text_to_video",
    "prompt": "a lamp",
    "duration": 0.25,
    "lines": [{"character": "Inês", "text": "Olá"}],
}
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    api = make_api(studio)
    api.add_middleware(Known)
    with TestClient(api, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def world(studio: Studio, client: TestClient, picture: Path) -> dict[str, str]:
    """A queue with two rendered scenes and a film, and the ids of everything in it."""
    queue = client.post("/queues", json={"name": "Pier", "frame": {"width": 256, "height": 144, "fps": 8}}).json()["id"]
    scene = client.post(f"/queues/{queue}/scenes", json=SHOT).json()["id"]
    image = client.post(f"/queues/{queue}/scenes", json={"task_type": "text_to_image", "prompt": "boat"}).json()["id"]
    client.post(f"/queues/{queue}/run")
    studio.drain()
    export = client.post(f"/queues/{queue}/exports").json()["id"]
    finish_exports()
    full = client.get(f"/scenes/{scene}").json()
    voice = next(iter(full["line_takes"].values()))["id"]
    preset = client.post("/presets", json={"name": "Dusk", "scene_id": scene}).json()["id"]
    asset = upload(client, picture.read_bytes(), "a.png").json()["sha256"]
    run = client.get(f"/queues/{queue}/runs").json()[0]["id"]
    hook = client.post("/hooks", json={"kind": "generic", "url": "https://hooks.example.com/x"}).json()["id"]
    return {
        "queue": queue, "scene": scene, "image": image, "take": full["take"]["id"], "voice": voice,
        "export": export, "asset": asset, "preset": preset, "run": run, "hook": hook, "model": "sd-turbo",
    }  # fmt: skip


def upload(client: TestClient, content: bytes, name: str) -> Response:
    answer: Response = client.post("/assets", files={"file": (name, io.BytesIO(content))})
    return answer


def finish_exports() -> None:
    """Films are cut in threads of their own."""
    for thread in threading.enumerate():
        if thread.name.startswith("cut-"):
            thread.join(60)


def error_of(answer: Response) -> dict[str, Any]:
    """The error of an answer, which is whole."""
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "params", "message", "hint"} and error["message"]
    return error


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status_code, str(error_of(answer)["code"])


# ------------------------------------------------------------------------------------------------ every route
EPISODE = [{"task_type": "text_to_video", "prompt": "a lamp"}]
WALK = [  # in this order; {name} is an id of the world
    ("POST", "/storage/cache", {"json": {"names": ["frames"]}}, 200),
    ("GET", "/queues", {}, 200),
    ("POST", "/queues", {"json": {"name": "Other"}}, 201),
    ("POST", "/queues/check", {"json": EPISODE}, 200),
    ("POST", "/queues/import?name=Third", {"json": EPISODE}, 201),
    ("POST", "/queues/sample", {}, 201),
    ("GET", "/queues/{queue}", {}, 200),
    ("GET", "/queues/{queue}/episode", {}, 200),
    ("GET", "/queues/{queue}/preflight", {}, 200),
    ("POST", "/lines/seconds", {"json": {"lines": [{"text": "The lamp is lit."}]}}, 200),
    ("PATCH", "/queues/{queue}", {"json": {"name": "Night pier"}}, 200),
    ("GET", "/queues/{queue}/exports", {}, 200),
    ("GET", "/queues/{queue}/exports/name", {"params": {"template": "{code}_{aspect}"}}, 200),
    ("GET", "/queues/{queue}/timeline", {}, 200),
    ("GET", "/exports/{export}", {}, 200),
    ("GET", "/exports/{export}/file", {}, 200),
    ("GET", "/exports/{export}/subtitles.vtt", {}, 200),
    ("GET", "/exports/{export}/subtitles.srt", {}, 200),
    ("POST", "/takes/{take}/exports", {"json": {"format": "png", "animated": False}}, 202),
    ("DELETE", "/exports/{export}", {}, 204),
    ("POST", "/queues/{queue}/scenes", {"json": EPISODE[0]}, 201),
    ("POST", "/queues/{queue}/exports", {"json": {"missing": "ask"}}, 409),
    ("POST", "/queues/{queue}/pause", {}, 204),
    ("POST", "/queues/{queue}/resume", {}, 204),
    ("POST", "/queues/{queue}/run", {"json": {"only": ["{scene}"]}}, 200),
    ("POST", "/queues/{queue}/speak", {}, 200),
    ("POST", "/queues/{queue}/retry", {}, 200),
    ("POST", "/queues/{queue}/retry-from-error", {}, 422),
    ("POST", "/queues/{queue}/restart", {}, 200),
    ("POST", "/queues/{queue}/stop-after-scene", {}, 200),
    ("POST", "/queues/{queue}/move", {"json": {"to": 0}}, 204),
    ("POST", "/power/cancel", {}, 200),
    ("POST", "/queues/{queue}/stop", {}, 204),
    ("POST", "/queues/{queue}/reorder", {"json": {"scene_ids": ["{scene}"]}}, 409),
    ("POST", "/scenes?run=false", {"json": EPISODE[0]}, 201),
    ("POST", "/scenes/skip", {}, 200),
    ("GET", "/scenes/{scene}", {}, 200),
    ("GET", "/scenes/{scene}/preview", {}, 204),
    ("GET", "/scenes/{scene}/sound", {}, 200),
    ("GET", "/scenes/{scene}/log", {}, 200),
    ("PATCH", "/scenes/{scene}", {"json": {"label": "Lamp"}}, 200),
    ("POST", "/scenes/{scene}/run", {}, 200),
    ("POST", "/scenes/{scene}/cancel", {}, 200),
    ("POST", "/scenes/{scene}/duplicate", {}, 201),
    ("GET", "/tasks", {}, 200),
    ("GET", "/engines", {}, 200),
    ("GET", "/takes?q=lamp&draft=false&limit=1", {}, 200),
    ("GET", "/takes/{take}", {}, 200),
    ("PATCH", "/takes/{take}", {"json": {"private": True, "rating": 5}}, 200),
    ("GET", "/takes/{take}/file", {}, 200),
    ("GET", "/takes/{take}/poster", {}, 200),
    ("GET", "/takes/{take}/strip", {}, 200),
    ("GET", "/takes/{take}/peaks", {}, 404),
    ("GET", "/takes/{voice}/peaks", {}, 200),
    ("GET", "/takes/{voice}/poster", {}, 404),
    ("DELETE", "/takes/{take}", {}, 204),
    ("POST", "/takes/{take}/restore", {}, 204),
    ("POST", "/assets", {"files": {"file": ("t.txt", b"no media")}}, 422),
    ("POST", "/assets/fetch", {"json": {"url": "http://127.0.0.1:1/a.png"}}, 403),
    ("GET", "/assets/{asset}", {}, 200),
    ("GET", "/assets/{asset}/file", {}, 200),
    ("GET", "/assets/{asset}/poster", {}, 200),
    ("GET", "/assets/{asset}/peaks", {}, 404),
    ("POST", "/queues/{queue}/scenes/edit", {"json": {"scene_ids": ["{scene}"], "changes": {"aspect": "1:1"}}}, 200),
    ("GET", "/queues/{queue}/edits", {}, 200),
    ("POST", "/queues/{queue}/undo", {}, 200),
    ("POST", "/queues/{queue}/redo", {}, 200),
    ("POST", "/scenes/{scene}/continue", {}, 422),
    ("GET", "/presets?task_type=text_to_video", {}, 200),
    ("POST", "/presets", {"json": {"name": "Night", "scene_id": "{scene}"}}, 201),
    ("PATCH", "/presets/{preset}", {"json": {"name": "Dawn"}}, 200),
    ("POST", "/presets/{preset}/apply", {"json": {"queue_id": "{queue}", "scene_ids": ["{scene}"]}}, 200),
    ("DELETE", "/presets/{preset}", {}, 204),
    ("GET", "/wildcards", {}, 200),
    ("POST", "/queues/{queue}/scenes/delete", {"json": {"scene_ids": ["{image}"]}}, 200),
    ("PUT", "/scenes/{scene}/retake", {"json": {"note": None}}, 200),
    ("POST", "/scenes/{scene}/seeds", {"json": {"count": 2}}, 200),
    ("GET", "/queues/{queue}/contact-sheet.html", {}, 200),
    ("GET", "/queues/{queue}/contact-sheet.png", {}, 200),
    ("GET", "/storage", {}, 200),
    ("POST", "/storage/spare", {"json": {"keep_rating": 6}}, 200),
    ("POST", "/storage/trash", {"json": {"older_than_days": 3}}, 200),
    ("POST", "/storage/uploads", {}, 200),
    ("POST", "/storage/leftovers", {}, 200),
    ("GET", "/folders", {}, 200),
    ("POST", "/searches", {"json": {"files": [{"path": "a.wav"}], "wanted": [{"name": "a", "kind": "audio"}]}}, 202),
    ("GET", "/searches/{queue}", {}, 404),
    ("POST", "/searches/{queue}/take", {}, 404),
    ("DELETE", "/searches/{queue}", {}, 404),
    ("GET", "/queues/{queue}/missing", {}, 200),
    ("POST", "/queues/{queue}/relink", {"json": {"relinked": {}}}, 200),
    ("GET", "/queues/{queue}/casting", {}, 200),
    ("POST", "/queues/{queue}/casting", {"json": {"cast": {}}}, 200),
    ("GET", "/queues/{queue}/runs", {}, 200),
    ("GET", "/runs/{run}", {}, 200),
    ("GET", "/runs/{run}/report", {}, 200),
    ("GET", "/runs/{run}/report.html", {}, 200),
    ("GET", "/notices", {}, 200),
    ("GET", "/deliveries", {}, 200),
    ("GET", "/hooks", {}, 200),
    ("POST", "/hooks", {"json": {"kind": "ntfy", "url": "https://ntfy.example.com/film"}}, 201),
    ("PATCH", "/hooks/{hook}", {"json": {"name": "Phone"}}, 200),
    ("POST", "/hooks/{hook}/test", {}, 503),  # such a host there is never
    ("DELETE", "/hooks/{hook}", {}, 204),
    ("GET", "/queues/{queue}/package", {}, 200),
    ("POST", "/queues/{queue}/package", {"json": {"takes": "selected"}}, 202),
    ("GET", "/installations", {}, 200),
    ("POST", "/installations", {"json": {"path": "nowhere"}}, 404),
    ("GET", "/installations/{scene}", {}, 404),
    ("DELETE", "/installations/{scene}", {}, 404),
    ("GET", "/catalogue", {}, 200),
    ("GET", "/catalogue/files", {}, 200),
    ("POST", "/catalogue/import", {"json": {"folder": "nowhere"}}, 404),
    ("GET", "/catalogue/queues/{queue}", {}, 200),
    ("POST", "/catalogue/queues/{queue}", {"json": {"accept_licences": False}}, 202),
    ("GET", "/catalogue/{model}", {}, 200),
    ("POST", "/catalogue/{model}/get", {}, 422),  # its licence
    ("POST", "/catalogue/{model}/cancel", {}, 200),
    ("POST", "/catalogue/{model}/verify", {}, 404),
    ("DELETE", "/catalogue/{model}", {}, 200),
    ("GET", "/preferences", {}, 200),
    ("PATCH", "/preferences", {"json": {"trash_days": 9}}, 200),
    ("POST", "/scenes/{scene}/enough", {}, 409),
    ("GET", "/memory", {}, 200),
    ("POST", "/memory/plan", {"json": {"scene": {"task_type": "text_to_video"}}}, 200),
    ("GET", "/memory/queues/{queue}", {}, 200),
    ("POST", "/memory/measure", {}, 200),
    ("POST", "/memory/measure/cancel", {}, 200),
    ("GET", "/now", {}, 200),
    ("GET", "/status", {}, 200),
    ("GET", "/dictionary?lang=zh", {}, 200),
    ("DELETE", "/scenes/{scene}", {}, 204),
    ("DELETE", "/queues/{queue}", {}, 204),
    ("GET", "/docs", {}, 200),
    ("GET", "/openapi.json", {}, 200),
]  # fmt: skip
VOICES = {  # tests/test_api_voices.py
    ("GET", "/voices"), ("POST", "/voices"), ("POST", "/voices/look"), ("GET", "/voices/{}"), ("PATCH", "/voices/{}"),
    ("DELETE", "/voices/{}"), ("GET", "/voices/{}/sample"), ("GET", "/voices/{}/package"),
    ("POST", "/voices/import"), ("POST", "/voices/{}/say"), ("GET", "/characters"), ("POST", "/voices/{}/characters"),
    ("DELETE", "/voices/{}/characters/{}"), ("GET", "/projects/{}/pronunciations"),
    ("PUT", "/projects/{}/pronunciations"),
}  # fmt: skip
AVATARS = {("POST", "/portraits/look"), ("POST", "/portraits/crop"), ("POST", "/avatars")}  # test_service_avatars.py
LISTENING = {("POST", "/transcripts"), ("GET", "/takes/{}/transcript")}  # test_service_listening.py
PEOPLE = {  # tests/test_api_rights.py
    ("GET", "/me"), ("PATCH", "/me"), ("GET", "/people"), ("POST", "/people/owner"), ("PATCH", "/people/{}"),
    ("DELETE", "/people/{}"), ("GET", "/invitations"), ("POST", "/invitations"), ("DELETE", "/invitations/{}"),
    ("GET", "/sessions"), ("DELETE", "/sessions/{}"),
}  # fmt: skip
REVIEWS = {  # tests/test_api_reviews.py
    ("GET", "/queues/{}/review"), ("POST", "/queues/{}/review"), ("GET", "/reviews"), ("GET", "/reviews/{}"),
    ("GET", "/reviews/{}/versions/{}/scenes/{}/poster.jpg"),
    ("PATCH", "/reviews/{}"), ("GET", "/reviews/{}/versions/{}/film"), ("GET", "/reviews/{}/versions/{}/poster.jpg"),
    ("GET", "/reviews/{}/versions/{}/subtitles.vtt"), ("POST", "/reviews/{}/comments"), ("PUT", "/reviews/{}/verdict"),
    ("GET", "/reviews/{}/package"), ("POST", "/reviews/{}/comments/import"), ("GET", "/scenes/{}/comments"),
    ("PATCH", "/comments/{}"), ("DELETE", "/comments/{}"), ("GET", "/comments/{}/frame"),
}  # fmt: skip
SHARING = {  # tests/test_api_sharing.py
    ("GET", "/sharing"), ("POST", "/sharing/{}"), ("GET", "/sharing/qr.svg"), ("GET", "/audit"),
}  # fmt: skip
ENDLESS = {("GET", "/events")}  # test_events_say_what_changed
ELSEWHERE = PEOPLE | REVIEWS | SHARING | VOICES | AVATARS | LISTENING | ENDLESS
UNSEEN = {("GET", "/docs"), ("GET", "/openapi.json")}  # not in the schema


def test_every_route_answers(client: TestClient, world: dict[str, str]) -> None:
    for method, path, more, status in WALK:
        sent = json.loads(_filled(json.dumps(more["json"]), world)) if "json" in more else None
        answer = client.request(method, _filled(path, world), **({"json": sent} if sent is not None else more))
        assert answer.status_code == status, f"{method} {path}: {answer.text[:300]}"
        if status >= 400:
            error_of(answer)


def _filled(text: str, world: dict[str, str]) -> str:
    for name, value in world.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def test_no_route_is_forgotten(client: TestClient) -> None:
    api: Any = client.app
    paths = api.openapi()["paths"]
    routes = {(method.upper(), _shape(path)) for path, methods in paths.items() for method in methods}
    walked = {(method, _shape(path)) for method, path, _, _ in WALK}
    assert walked - UNSEEN | ELSEWHERE == routes


def _shape(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join("{}" if part.startswith("{") else part for part in parts)


@pytest.mark.parametrize(
    "row",
    [row for row in WALK if "{" in row[1]],
    ids=lambda row: f"{row[0]} {row[1]}" if isinstance(row, tuple) else None,
)
def test_what_nobody_knows_is_404(client: TestClient, row: tuple[str, str, dict[str, Any], int]) -> None:
    method, path, more, _ = row
    world = {name: NOBODY for name in ("queue", "scene", "take", "voice", "export", "asset")}
    if path.endswith("/preview"):
        return  # there is no picture of it: 204, as for any scene that is not being rendered
    answer = client.request(method, _filled(path, world), **more)
    status, code = code_of(answer)
    assert status == 404 and code.endswith(".unknown")


# ------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "request.no_route"),
        ("PUT", "/queues", 405, "request.method"),
        ("DELETE", "/now", 405, "request.method"),
        ("GET", "/takes?limit=0", 422, "request.invalid"),
        ("GET", "/takes?limit=99999999999999999999", 422, "request.invalid"),
        ("GET", "/takes?private=perhaps", 422, "request.invalid"),
        ("POST", "/queues", 422, "request.invalid"),
        ("GET", "/takes/..%2F..%2Fetc%2Fpasswd", 404, "request.no_route"),
        ("GET", "/takes/..%5C..%5Cwindows/file", 404, "take.unknown"),
        ("GET", "/takes/%00/file", 404, "take.unknown"),
        ("GET", "/assets/..%00..%2F/file", 404, "request.no_route"),
        ("GET", "/assets/%2e%2e/file", 404, "asset.unknown"),
        ("GET", "/exports/%F0%9F%8E%AC/file", 404, "export.unknown"),
        ("GET", "/scenes/" + "x" * 5000, 404, "scene.unknown"),
    ],
)
def test_errors_have_words(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert code_of(answer) == (status, code)
    assert status != 405 or answer.headers["allow"]
    other = client.request(method, path, headers={"accept-language": "zh-CN,zh"})
    assert error_of(other)["message"] != error_of(answer)["message"]


def test_the_language_is_the_callers(client: TestClient) -> None:
    def said(accept: str, cookie: str = "", **params: str) -> str:
        headers = {"accept-language": accept, "cookie": f"lanterna_lang={cookie}"}
        return str(error_of(client.get("/queues/x", params=params, headers=headers))["message"])

    assert said("zh", "en", lang="pt") == said("zh", "pt") == said("pt-BR", "", lang="xx") != said("zh")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b"null", b"\xff", b'{"task_type": NaN}', b"[" * 5000, b'{"seed": ' + b"9" * 5000 + b"}"],
)
def test_a_body_that_is_no_scene_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/scenes", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    error_of(answer)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"prompt": ""}, "scene.field"),
        ({"prompt": "\ud800" * 3}, None),
        ({"\ud800": 1}, "scene.field"),
        ({"seed": 2**63}, "scene.field"),
        ({"seed": 1e400}, None),
        ({"duration": float("nan")}, "scene.field"),
        ({"duration": float("inf")}, "scene.field"),
        ({"task_type": "video_morph"}, "task.unknown"),
        ({"task_type": {}}, "task.unknown"),
        ({"lines": [{"text": "\udfff"}]}, None),
        ({"options": {"instant": {"x": [[[[1]]]]}}}, None),
        ({"at": "1"}, "request.invalid"),
        ({"at": True}, "request.invalid"),
        ({"at": 2**63}, "request.invalid"),
    ],
)
def test_wrong_values_are_named_and_odd_ones_kept_harmless(
    client: TestClient, change: dict[str, Any], code: str | None
) -> None:
    queue = client.post("/queues", json={"name": "Q"}).json()["id"]
    body = json.dumps({**SHOT, **change})
    answer = client.post(f"/queues/{queue}/scenes", content=body, headers={"content-type": "application/json"})
    if code:
        assert code_of(answer) == (422, code)
        assert client.get(f"/queues/{queue}").json()["scenes"] == []
    else:
        assert answer.status_code == 201
        assert client.get(f"/scenes/{answer.json()['id']}").status_code == 200


def test_options_nested_too_deep_are_refused(client: TestClient) -> None:
    body = json.dumps(SHOT)[:-1] + ', "options": {"x": ' + '{"a":' * 300 + "1" + "}" * 302
    answer = client.post("/scenes", content=body, headers={"content-type": "application/json"})
    assert code_of(answer) == (422, "scene.too_deep")


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": 3}, {"name": "\ud800"}, {"name": "x" * 201}, {"frame": None}, {"frame": {"width": 1e9}},
     {"frame": {"fps": 2**70}}, {"music": "a.wav"}, {"music": {"ref": "nobody.wav"}}, {"on_error": "panic"},
     {"allow_paid": "yes"}, {"paused": True}, {"id": "x"}, {"\ud800": 1}],
)  # fmt: skip
def test_a_queue_takes_only_what_it_has(client: TestClient, change: dict[str, Any]) -> None:
    before = client.post("/queues", json={"name": "Q"}).json()
    path = f"/queues/{before['id']}"
    answer = client.patch(path, content=json.dumps(change), headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422), answer.text  # 404: the music is not there
    error_of(answer)
    assert client.get(path).json()["queue"] == before


def test_a_queue_is_changed(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    queue = client.post("/queues", json={"name": " Q "}).json()["id"]
    media_tools.wav(studio.settings.output_dir / "m.wav")
    changes = {
        "name": "New", "frame": {"width": 640, "height": 360, "fps": 25}, "allow_draft": False, "allow_paid": True,
        "on_error": "stop", "music": {"ref": "m.wav", "level": -30},
    }  # fmt: skip
    view = client.patch(f"/queues/{queue}", json=changes).json()
    assert {name: view[name] for name in changes if name != "music"} == {
        k: v for k, v in changes.items() if k != "music"
    }
    assert view["music"]["level"] == -30 and view["music"]["ref"].startswith("asset:")
    view = client.patch(f"/queues/{queue}", json={"music": None, "allow_draft": True}).json()
    assert view["music"] is None and view["allow_draft"] and view["allow_paid"]


# ------------------------------------------------------------------------------------------------ versions and repeats
def test_a_stale_edit_is_409(client: TestClient) -> None:
    scene = client.post("/scenes?run=false", json=SHOT).json()
    path, tag = f"/scenes/{scene['id']}", client.get(f"/scenes/{scene['id']}").headers["etag"]
    assert client.patch(path, json={"label": "a"}, headers={"if-match": tag}).json()["version"] == 2
    stale = client.patch(path, json={"label": "b"}, headers={"if-match": tag})
    assert code_of(stale) == (409, "scene.stale") and error_of(stale)["params"]["current"] == 2
    assert client.patch(path, json={"label": "c"}, headers={"if-match": "2"}).status_code == 200
    assert client.patch(path, json={"label": "d"}).json()["version"] == 4
    for wrong in ("x", "-1", "*", "²", "9" * 30, 'W/"1"'):
        answer = client.patch(path, json={"label": "e"}, headers={"if-match": wrong.encode()})
        assert code_of(answer) == (422, "request.invalid")
    assert client.get(path).json()["title"] == "d"


def test_a_post_with_a_key_is_carried_out_once(client: TestClient) -> None:
    key = {"idempotency-key": "click-1"}
    first, again = (client.post("/queues", json={"name": "Once"}, headers=key) for _ in range(2))
    assert first.json() == again.json() and again.status_code == 201 and again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    refused = [client.post("/scenes", json={}, headers={"idempotency-key": "bad"}) for _ in range(2)]
    assert code_of(refused[0]) == code_of(refused[1]) == (422, "task.unknown")
    client.post("/queues", json={"name": "Twice"}, headers={"idempotency-key": "click-2"})
    assert [row["name"] for row in client.get("/queues").json()] == ["Once", "Twice"]
    assert code_of(client.post("/queues", json={"name": "x"}, headers={"idempotency-key": "k" * 201}))[0] == 422


def test_a_double_click_makes_one(client: TestClient) -> None:
    def click(_: int) -> Response:
        answer: Response = client.post("/queues", json={"name": "Once"}, headers={"idempotency-key": "same"})
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(click, range(6)))
    assert len({answer.json()["id"] for answer in answers}) == 1 and len(client.get("/queues").json()) == 1


def test_the_loop_never_waits_for_the_database(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long write, an import say, holds the database: the page and everybody else go on meanwhile."""
    on_loop: list[str] = []

    def watched(name: str) -> Any:
        method = getattr(studio._store, name)

        def called(*arguments: Any) -> Any:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop()
                on_loop.append(name)
            return method(*arguments)

        return called

    for name in ("answer", "remember"):
        monkeypatch.setattr(studio._store, name, watched(name))
    client.post("/queues", json={"name": "Once"}, headers={"idempotency-key": "k"})
    assert on_loop == []


def test_a_page_hears_only_what_changed(client: TestClient, world: dict[str, str]) -> None:
    path = f"/queues/{world['queue']}"
    page = client.get(path).json()
    assert [card["number"] for card in page["scenes"]] == [1, 2]
    assert all(len(json.dumps(card)) < 1000 for card in page["scenes"])
    quiet = client.get(path, params={"since": page["version"]}).json()
    assert quiet["scenes"] == [] and quiet["removed"] == []
    client.patch(f"/scenes/{world['image']}", json={"label": "Boat"})
    client.delete(f"/scenes/{world['scene']}")
    changed = client.get(path, params={"since": page["version"]}).json()
    assert [(card["id"], card["number"], card["title"]) for card in changed["scenes"]] == [(world["image"], 1, "Boat")]
    assert changed["removed"] == [world["scene"]]
    assert len(client.get(path, params={"since": "other-1"}).json()["scenes"]) == 1


# ------------------------------------------------------------------------------------------------ files
def test_a_take_is_served_in_parts(client: TestClient, world: dict[str, str]) -> None:
    path = f"/takes/{world['take']}/file"
    whole = client.get(path)
    assert whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"
    part = client.get(path, headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"
    assert client.get(path, headers={"range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert client.get(path, headers={"range": "bytes=-4"}).content == whole.content[-4:]
    download = client.get(path, params={"download": 1})
    assert download.headers["content-disposition"].startswith("attachment")
    assert "content-disposition" not in whole.headers
    film = client.get(f"/exports/{world['export']}/file", headers={"range": "bytes=0-99"})
    assert film.status_code == 206 and film.headers["content-type"] == "video/mp4"


def test_a_file_that_somebody_moved_is_404(studio: Studio, client: TestClient, world: dict[str, str]) -> None:
    studio.takes.file(world["take"]).unlink()
    assert code_of(client.get(f"/takes/{world['take']}/file")) == (404, "take.file_gone")
    studio.exports.file(world["export"]).unlink()
    assert code_of(client.get(f"/exports/{world['export']}/file")) == (404, "export.no_file")


@pytest.mark.parametrize("content", [HTML, SVG, b"\x89PNG\r\n\x1a\n" + HTML, b"", b"GIF89a" + HTML])
def test_what_is_no_media_is_not_let_in(client: TestClient, content: bytes, studio: Studio) -> None:
    for name in ("a.png", "a.svg", "a.html", "../../a.mp4"):
        answer = upload(client, content, name)
        assert answer.status_code in (413, 422, 502), answer.text
        error_of(answer)
    kept = [path for path in (studio.settings.data_dir / "assets").rglob("*") if path.is_file()]
    assert kept == []


@pytest.mark.parametrize(
    "name", ["a.svg", "a.html", "a.xhtml", "a", "a.png.htm", "..", "\x00.png", "ü" * 300 + ".png", "a.PNG"]
)
def test_a_picture_is_served_as_one_only_by_a_name_that_is_one(client: TestClient, picture: Path, name: str) -> None:
    asset = upload(client, picture.read_bytes(), name)
    assert asset.status_code == 201, asset.text
    answer = client.get(f"/assets/{asset.json()['sha256']}/file")
    shown = name.lower().endswith(".png")
    assert answer.headers["content-type"] == ("image/png" if shown else "application/octet-stream")
    assert answer.headers.get("content-disposition", "").startswith("attachment") != shown


def test_an_upload_needs_a_file(client: TestClient) -> None:
    assert code_of(client.post("/assets", content=b"x")) == (422, "request.invalid")
    assert code_of(client.post("/assets", data={"file": "text"})) == (422, "request.invalid")
    assert code_of(client.post("/queues/check", files={"other": b"x"})) == (422, "request.invalid")


@pytest.mark.parametrize(
    "ref", ["/etc/passwd", "../../etc/passwd", "/nobody/here.png", "~/a.png", "file:///etc/passwd"]
)
def test_over_the_network_paths_stay_inside(client: TestClient, ref: str) -> None:
    scene = {"task_type": "image_to_video", "input_image": ref}
    assert code_of(client.post("/scenes", json=scene)) == (403, "input.outside")
    report = client.post("/queues/check", json=[scene]).json()
    assert [problem["code"] for problem in report["scenes"][0]["problems"]] == ["input.outside"]
    assert report["scenes"][0]["problems"][0]["message"]


# ------------------------------------------------------------------------------------------------ episodes and films
def test_an_episode_is_imported_raw_or_as_a_form(client: TestClient) -> None:
    raw = client.post("/queues/import", content=json.dumps({"title": "Night", "scenes": EPISODE}))
    assert raw.status_code == 201 and raw.json()["queue"]["name"] == "Night"
    form = client.post("/queues/import", files={"file": ("My night.json", json.dumps(EPISODE))})
    assert form.json()["queue"]["name"] == "My night" and form.json()["report"]["valid"] == 1
    bad = client.post("/queues/import?lang=pt", json=[*EPISODE, 7])
    assert code_of(bad) == (422, "episode.problems")
    problem = error_of(bad)["params"]["report"]["scenes"][1]["problems"][0]
    assert problem["code"] == "scene.not_an_object" and problem["message"] != "error.scene.not_an_object"
    assert client.post("/queues/import?only_valid=true", json=[*EPISODE, 7]).json()["queue"]["counts"]["total"] == 1
    assert code_of(client.post("/queues/import", content=b"\xff")) == (422, "episode.not_utf8")


def test_a_film_asks_about_what_is_missing(client: TestClient, world: dict[str, str]) -> None:
    queue = world["queue"]
    extra = client.post(f"/queues/{queue}/scenes", json={**SHOT, "label": "Missing"}).json()["id"]
    asked = client.post(f"/queues/{queue}/exports")
    assert code_of(asked) == (409, "cut.missing")
    assert error_of(asked)["params"]["ids"] == [extra] and "3 · Missing" in error_of(asked)["message"]
    export = client.post(f"/queues/{queue}/exports", json={"missing": "leave_out"})
    assert export.status_code == 202
    finish_exports()
    film = client.get(f"/exports/{export.json()['id']}").json()
    assert (film["state"], film["missing"]) == ("done", [3]), film
    assert client.get(f"/queues/{queue}").json()["queue"]["film"]["id"] == film["id"]
    assert client.get(f"/exports/{film['id']}/subtitles.vtt").text.startswith("WEBVTT")
    empty = client.post("/queues", json={"name": "Empty"}).json()["id"]
    assert code_of(client.post(f"/queues/{empty}/exports")) == (422, "cut.nothing")


# ------------------------------------------------------------------------------------------------ what goes on
def test_events_say_what_changed(studio: Studio, client: TestClient) -> None:
    import asyncio

    from studio.api import system

    class Page:
        looks = 0

        async def is_disconnected(self) -> bool:
            self.looks += 1
            if self.looks == 3:
                studio.queues.create("New")
            return self.looks > 6

    async def listen() -> list[str]:
        return [event async for event in system._stream(Page(), studio)]  # type: ignore[arg-type]

    quick = pytest.MonkeyPatch()
    quick.setattr(system, "LOOK_SECONDS", 0.0)
    try:
        events = asyncio.run(listen())
    finally:
        quick.undo()
    assert len(events) == 2 and all(event.startswith("data: {") and event.endswith("\n\n") for event in events)
    first, second = (json.loads(event[6:]) for event in events)
    assert first["queues"] != second["queues"] and first["library"] == second["library"]


def test_the_whole_dictionary_comes_in_one_language(client: TestClient) -> None:
    assert client.get("/dictionary", params={"lang": "pt"}).json() != client.get("/dictionary").json()
    assert client.get("/dictionary", params={"lang": "xx"}).status_code == 200
    assert client.get("/status", params={"lang": "zh"}).json()["lang"] == "zh"


def test_a_broken_route_tells_nothing(studio: Studio, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(studio.engines), "list", lambda self: 1 / 0)
    answer = client.get("/engines")
    assert code_of(answer) == (500, "request.broken") and "division" not in answer.text


def test_behind_the_door_it_is_the_same(studio: Studio) -> None:
    guard = Guard(make_api(studio), studio.words, "token", studio.people, 1000)
    with TestClient(guard, base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        assert client.get("/queues").json() == []
        assert client.get("/queues").headers["x-content-type-options"] == "nosniff"
        assert code_of(client.post("/queues", json={"name": "x" * 2000})) == (413, "guard.too_large")
