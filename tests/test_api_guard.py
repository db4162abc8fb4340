"""Hostile requests against the door: other hosts, other sites, forged origins, tunnels, floods, wrong passwords."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from studio.api import guard
from studio.api.guard import Guard
from studio.api.sign_in import COOKIE, SESSION_SECONDS, next_path, routes
from studio.errors import StudioError
from studio.media.roots import Roots
from studio.service.hosts import Hosts
from studio.service.passwords import TRIES
from studio.service.people import People
from studio.service.words import Words
from studio.store import Store

WORDS = Words(Path(__file__).parent.parent / "assets" / "locales")
HERE = "http://127.0.0.1:7860"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Inside:
    """The app behind the door; remembers whether anything got through."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def app(self, people: People) -> Any:
        async def anything(request: Request) -> PlainTextResponse:
            body = await request.body()
            self.reached.append(f"{request.method} {request.url.path}")
            return PlainTextResponse(f"inside {len(body)}")

        async def socket(socket: WebSocket) -> None:
            self.reached.append("websocket")
            await socket.accept()
            await socket.close()

        return Starlette(
            routes=[
                *routes(people, WORDS),
                WebSocketRoute("/socket", socket),
                Route("/{path:path}", anything, methods=METHODS),
            ]
        )


HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # what it costs is not what is tested


def people_of(folder: Path, auth: str = "", at_home: bool = True) -> People:
    folder.mkdir(parents=True, exist_ok=True)
    people = People(Store(folder / "studio.db", Roots({})), Hosts(), at_home and not auth, Clock(), HASHER)
    people.start(SecretStr(auth) if auth else None)
    return people


@pytest.fixture
def home(tmp_path: Path) -> People:
    """One user's own studio: nobody has to sign in."""
    return people_of(tmp_path / "home")


@pytest.fixture
def keys(tmp_path: Path) -> People:
    """A studio with a password."""
    return people_of(tmp_path / "locked", "mina:lantern light")


def door(people: People, max_bytes: int = 10_000) -> tuple[TestClient, Inside]:
    inside = Inside()
    at_door = Guard(inside.app(people), WORDS, "command-line-token", people, max_bytes)
    return TestClient(at_door, base_url=HERE, follow_redirects=False), inside


# ------------------------------------------------------------------------------------------------ host
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7860", "localhost:1", "LOCALHOST", "[::1]:7860", "[::1]"])
def test_our_own_names_are_answered(home, host):
    client, inside = door(home)
    assert client.get("/api/queues", headers={"host": host}).status_code == 200
    assert inside.reached


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "evil.example:7860", "localhost.evil", "127.0.0.1@evil.example",
        "evil@127.0.0.1", "", "127.0.0.2", "[::2]", "[::1", "localhost:port", "127.0.0.1:7860/x", "0.0.0.0",
        "xn--lcalhost-e2a", "127.1", "2130706433", "studio.gradio.live",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_names_are_not(home, host, method):
    client, inside = door(home)
    answer = client.request(method, "/api/queues", headers={"host": host})
    assert answer.status_code == 421
    assert not inside.reached


def test_two_hosts_are_none(home):
    client, inside = door(home)
    assert client.get("/", headers=[("host", "127.0.0.1"), ("host", "evil.example")]).status_code == 421
    assert not inside.reached


def test_the_share_host_is_known_only_while_sharing(keys):
    hosts = keys.hosts
    client, inside = door(keys)
    shared = {"host": "abc123.gradio.live", "authorization": "Bearer command-line-token"}
    assert client.get("/", headers=shared).status_code == 421
    hosts.add("ABC123.gradio.live", "share")
    assert client.get("/", headers=shared).status_code == 200
    hosts.remove(["abc123.gradio.live"])
    assert client.get("/", headers=shared).status_code == 421


# ------------------------------------------------------------------------------------------------ other sites
EVIL = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://localhost:7860"},  # not the name it was addressed to
    {"origin": "http://127.0.0.1:7860.evil.example"},
    {"origin": "http://["},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site", "origin": HERE},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    {"sec-fetch-site": "nonsense"},
]


@pytest.mark.parametrize("headers", EVIL)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_writes_of_other_sites_are_refused(home, headers, method):
    client, inside = door(home)
    answer = client.request(method, "/api/queues", headers=headers, content=b"{}")
    assert answer.status_code == 403
    if method != "HEAD":
        assert answer.json()["error"]["code"] == "guard.cross_site"
    assert not inside.reached


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict", "/sign-in"]
)
def test_the_doors_of_gradio_are_no_way_around(home, path):
    client, inside = door(home)
    assert client.post(path, headers={"origin": "https://evil.example"}, files={"f": b"x"}).status_code == 403
    assert not inside.reached


PEERS_WRITE = [
    ("POST", "/nqueues"), ("POST", "/nqueues/import"), ("DELETE", "/nqueues/1?force=true"), ("POST", "/nqueues/1/run"),
    ("POST", "/generate"), ("POST", "/queue/add"), ("POST", "/queue/clear"), ("DELETE", "/projects/x"),
    ("POST", "/projects/x/upload/imagens"), ("POST", "/projects/x/config"), ("PATCH", "/nqueues/1/jobs/2"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PEERS_WRITE)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_of_another_site_can_send_reaches_no_peers_route(home, method, path, kind):
    client, inside = door(home)
    for headers in EVIL:
        answer = client.request(method, path, content=b"{}", headers=headers | {"content-type": kind})
        assert answer.status_code == 403, headers
    assert not inside.reached


@pytest.mark.parametrize(
    "path", ["/nqueues", "/status", "/stream", "/videos", "/video/x", "/file/x", "/projects/x/config"]
)
def test_peers_routes_are_read_by_us_alone(home, keys, path):
    client, inside = door(home)
    assert client.get(path, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}).status_code == 403
    assert client.get(path, headers={"host": "evil.example"}).status_code == 421
    assert client.get(path, headers={"x-forwarded-for": "10.0.0.1"}).status_code == 403
    behind, within = door(keys)
    assert behind.get(path).status_code == 401
    assert not inside.reached and not within.reached


def test_only_the_lock_files_token_may_name_any_path(keys):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope[guard.LOCAL])
        await PlainTextResponse("")(scope, receive, send)

    client = TestClient(Guard(app, WORDS, "command-line-token", keys, 100), base_url=HERE)
    session, _ = keys.session_for_owner("local")
    for headers in (
        {"authorization": "Bearer command-line-token"}, {"authorization": f"Bearer {session}"},
        {"cookie": f"{COOKIE}={session}"}, {"cookie": f"{COOKIE}={session}", "authorization": "Bearer command-line"},
        {"cookie": f"{COOKIE}={session}", guard.LOCAL: "1", "authorization": "Basic command-line-token"},
    ):  # fmt: skip
        assert client.get("/api/queues", headers=headers).status_code == 200
    assert seen == [True, False, False, False, False]


def test_a_preflight_of_another_site_is_refused(home):
    client, inside = door(home)
    headers = {"origin": "https://evil.example", "access-control-request-method": "PATCH"}
    answer = client.options("/api/queues", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not inside.reached


def test_reads_of_other_sites_are_refused_but_a_link_may_be_followed(home):
    client, inside = door(home)
    cross = {"sec-fetch-site": "cross-site"}
    assert client.get("/api/takes/1/file", headers=cross | {"sec-fetch-mode": "no-cors"}).status_code == 403
    frame = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
    assert client.get("/", headers=cross | frame).status_code == 403
    assert not inside.reached
    link = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=cross | link).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"origin": HERE}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_our_page_and_programs_may_write(home, headers):
    client, inside = door(home)
    assert client.post("/api/queues", headers=headers).status_code == 200


def test_a_token_may_write_from_anywhere_a_wrong_one_may_not(home):
    client, inside = door(home)
    evil = {"origin": "https://evil.example"}
    assert client.post("/api/x", headers=evil | {"authorization": "Bearer nonsense"}).status_code == 403
    assert client.post("/api/x", headers=evil | {"authorization": "Basic Og=="}).status_code == 403
    assert not inside.reached
    assert client.post("/api/x", headers=evil | {"authorization": "bearer command-line-token"}).status_code == 200


@pytest.mark.parametrize("headers", [*EVIL[:3], {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_sockets_of_other_sites_are_refused(home, headers):
    client, inside = door(home)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
        pass
    assert not inside.reached


def test_our_sockets_open(home):
    client, inside = door(home)
    with client.websocket_connect("ws://127.0.0.1:7860/socket", headers={"host": "127.0.0.1:7860", "origin": HERE}):
        pass
    assert inside.reached == ["websocket"]


# ------------------------------------------------------------------------------------------------ tunnels and floods
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "X-Real-IP", "Via"])
def test_a_proxy_before_a_studio_without_a_password_is_refused(home, header):
    client, inside = door(home)
    answer = client.get("/api/queues", headers={header: "127.0.0.1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guard.proxy")
    assert not inside.reached


def test_an_announced_flood_is_refused_unread(home):
    client, inside = door(home, max_bytes=100)
    assert client.post("/api/x", content=b"x" * 101).status_code == 413
    assert client.post("/api/x", content=b"x" * 100).text == "inside 100"
    assert client.post("/api/x", headers={"content-length": "-1"}).status_code == 413
    assert len(inside.reached) == 1


def test_an_unannounced_flood_is_cut_off(home):
    client, inside = door(home, max_bytes=100)
    answer = client.post("/api/x", content=(b"x" * 60 for _ in range(5)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "guard.too_large")
    assert not inside.reached


def test_only_an_upload_may_be_large(home, monkeypatch):
    monkeypatch.setattr(guard, "PLAIN_BYTES", 100)  # any other body is held in memory
    client, inside = door(home, max_bytes=1000)
    assert client.post("/api/queues", content=b"x" * 101).status_code == 413
    assert client.post("/api/scenes", content=(b"x" * 60 for _ in range(5))).status_code == 413
    for path in ("/api/assets", "/api/queues/import", "/api/queues/check"):  # a package may be large
        assert client.post(path, content=b"x" * 1000).text == "inside 1000"
    assert inside.reached.pop() == "POST /api/queues/check" and inside.reached.pop() == "POST /api/queues/import"
    for path in ("/generate", "/projects/a b/upload/imagens"):
        assert client.post(path, content=b"x" * 1000).text == "inside 1000" and inside.reached.pop()
    for path in ("/generate/x", "/nqueues/import", "/queue/import", "/projects/a/b/upload/imagens",
                 "/projects/a/upload/x/y", "/projects//upload/imagens", "/x/projects/a/upload/imagens"):  # fmt: skip
        assert client.post(path, content=b"x" * 101).status_code == 413, path
    assert client.post("/api/assets", content=b"x" * 1001).status_code == 413
    assert inside.reached == ["POST /api/assets"]


def test_no_length_is_too_long_to_be_read(home):
    client, inside = door(home)
    assert client.post("/api/x", headers={"content-length": "9" * 5000}).status_code == 413
    assert not inside.reached


def test_answers_cannot_be_framed_or_sniffed(home):
    client, _ = door(home)
    headers = client.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_refusals_speak_the_readers_language(home):
    client, _ = door(home)
    said = [
        client.post("/x", headers={"origin": "null", "accept-language": lang}).json()["error"]["message"]
        for lang in ("en-GB", "pt-BR,pt;q=0.9", "zh-CN")
    ]
    assert len(set(said)) == 3
    assert client.post("/x?lang=zh", headers={"origin": "null"}).json()["error"]["message"] == said[2]


# ------------------------------------------------------------------------------------------------ session and token
@pytest.mark.parametrize("method", [m for m in METHODS if m != "HEAD"])
def test_with_a_password_nothing_is_open(keys, method):
    client, inside = door(keys)
    for path in (
        "/",
        "/api/queues",
        "/gradio_api/startup-events",
        "/ui/x.js",
        "//sign-in",
        "/sign-in/../api",
        "/SIGN-IN",
    ):
        assert client.request(method, path).status_code == 401
    assert not inside.reached


def test_no_right_comes_with_the_peer_address(keys):
    client, inside = door(keys)
    for headers in ({}, {"x-forwarded-for": "127.0.0.1"}, {"x-real-ip": "::1"}):
        assert client.get("/api/queues", headers=headers).status_code == 401
    assert not inside.reached


def test_health_answers_to_all(keys):
    client, _ = door(keys)
    assert {client.get(path).status_code for path in ("/health", "/healthz", "/ready")} == {200}


def test_a_browser_is_led_to_the_page_and_back(keys):
    client, inside = door(keys)
    sent = client.get("/?queue=1", headers={"accept": "text/html"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=/%3Fqueue%3D1")
    page = client.get(sent.headers["location"], headers={"accept-language": "pt"})
    assert "Entrar" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    done = client.post(sent.headers["location"], data={"user": "mina", "password": "lantern light"})
    assert (done.status_code, done.headers["location"]) == (303, "/?queue=1")
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert client.get("/").text == "inside 0"
    client.post("/sign-out", headers={"origin": HERE})
    client.cookies.clear()
    assert client.get("/").status_code == 401


def test_the_cookie_is_secure_behind_tls(keys):
    client, _ = door(keys)
    done = client.post(
        "/sign-in", data={"user": "mina", "password": "lantern light"}, headers={"x-forwarded-proto": "https"}
    )
    assert "secure" in done.headers["set-cookie"].lower()


def test_a_script_gets_a_token(keys):
    client, _ = door(keys)
    token = client.post("/sign-in", json={"user": "mina", "password": "lantern light"}).json()["token"]
    client.cookies.clear()
    assert client.get("/api/queues", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/api/queues", headers={"authorization": f"Bearer {token}0"}).status_code == 401


def test_the_page_shows_no_user_text(keys):
    client, _ = door(keys)
    poison = "<img src=x onerror=alert(1)>${7*7}"
    shown = client.get("/sign-in", params={"next": poison, "lang": poison}, headers={"accept-language": poison}).text
    wrong = client.post("/sign-in", params={"next": poison}, data={"user": poison, "password": poison})
    assert wrong.status_code == 403
    for page in (shown, wrong.text):
        assert "onerror" not in page and "7*7" not in page


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 4000, b"user=mina", b"x" * 5000, b"null", b'{"user": {}}'])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_malformed_forms_are_wrong_passwords(keys, body, kind):
    client, _ = door(keys)
    assert client.post("/sign-in", content=body, headers={"content-type": kind}).status_code == 403


def test_guessing_is_slowed_down(keys):
    client, _ = door(keys)
    wrong = {"user": "mina", "password": "guess"}
    assert [client.post("/sign-in", json=wrong).status_code for _ in range(TRIES)] == [403] * TRIES
    slowed = client.post("/sign-in", json={"user": "mina", "password": "lantern light"})
    assert slowed.status_code == 429 and int(slowed.headers["retry-after"]) >= 1
    keys.clock.now += 61  # type: ignore[attr-defined]
    assert client.post("/sign-in", json={"user": "mina", "password": "lantern light"}).status_code == 200


def test_guesses_that_come_at_once_are_counted_one_by_one(keys, monkeypatch):
    meeting, met = threading.Barrier(2), []

    def matches(kept, password):
        try:
            met.append(meeting.wait(0.1))  # two guesses are being compared at the same time
        except threading.BrokenBarrierError:
            meeting.reset()
        return False

    monkeypatch.setattr(keys.passwords, "matches", matches)
    answers = []

    def guess():
        with pytest.raises(StudioError) as refused:
            keys.try_password("mina", "guess", "local", "10.0.0.1")
        answers.append(refused.value.code)

    threads = [threading.Thread(target=guess) for _ in range(TRIES + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == ["sign_in.wait"] * 3 + ["sign_in.wrong"] * TRIES and not met


def test_sessions_end_with_time_and_with_the_password(keys, tmp_path):
    token, _ = keys.session_for_owner("local")
    again = people_of(tmp_path / "locked", "mina:lantern light")
    assert keys.visitor(token, "local") and again.visitor(token, "local"), "a restart signs nobody out"
    keys.clock.now += SESSION_SECONDS + 1
    assert not keys.visitor(token, "local")
    assert not people_of(tmp_path / "other", "mina:lantern light").visitor(token, "local")
    assert not people_of(tmp_path / "locked", "mina:changed").visitor(token, "local")


@pytest.mark.parametrize("token", ["", ".", "..", "ffffffffff.x.", "zz.x.y", "é.é.é", "\udce9"])
def test_nonsense_is_no_session(keys, token):
    assert not keys.visitor(token, "local")


def test_odd_cookies_are_no_session(keys):
    client, inside = door(keys)
    for cookie in (f"{COOKIE}=", f"{COOKIE}=x; {COOKIE}=y", "=;;=", f'{COOKIE}="\\377"'):
        assert client.get("/api", headers={"cookie": cookie}).status_code == 401
    assert not inside.reached


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/", "/"), ("/?queue=1#x", "/?queue=1#x"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("", "/"),
        ("https://evil.example", "/"), ("javascript:alert(1)", "/"), ("/sign-in", "/"), ("/a\r\nSet-Cookie: x", "/"),
    ],
)  # fmt: skip
def test_signing_in_never_leads_elsewhere(wanted, goes):
    assert next_path(wanted) == goes


def test_refusals_are_json_for_programs(keys):
    client, _ = door(keys)
    answer = client.get("/api/queues")
    assert answer.headers["www-authenticate"] == "Bearer"
    told = json.loads(answer.content)["error"]
    assert told["code"] == "guard.signed_out" and told["hint"]
