"""A studio behind the user's own proxy: whose word is believed, and everything below the proxy's path."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from studio import app
from studio.api.proxies import Below, Fronted
from studio.api.sign_in import COOKIE
from studio.domain import Visitor
from studio.service import Studio
from studio.service.passwords import TRIES
from studio.settings import OURS, Settings

PROXY, STRANGER, VISITOR = "172.18.0.2", "198.51.100.4", "203.0.113.7"
TRUSTED = ["172.18.0.0/16", "fd00::/8"]
NAME, BELOW = "films.example", "/films"
TOLD = {"x-forwarded-for": VISITOR, "x-forwarded-proto": "https", "x-forwarded-host": NAME}
PASSWORD = {"user": "mina", "password": "lantern light"}
OWNER = Visitor("", "", "owner", "local")
PAGE = {"accept": "text/html"}


# ------------------------------------------------------------------------------------------------ who is believed
def seen(peer: str, headers: list[tuple[str, str]], root_path: str = "", **more: Any) -> dict[str, Any]:
    """What stands behind `Fronted` when `peer` sends these headers."""
    found: dict[str, Any] = {}

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    front = Fronted(inside, root_path, TRUSTED, lambda host: host in ("127.0.0.1:7860", NAME))
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "client": (peer, 1), "headers": pairs}
    asyncio.run(front(scope | more, None, None))  # type: ignore[arg-type]
    return found


def hosts(scope: dict[str, Any]) -> list[str]:
    return [value.decode() for name, value in scope["headers"] if name == b"host"]


@pytest.mark.parametrize("peer", [PROXY, "::ffff:172.18.0.2", "fd00::2"])
def test_our_own_proxy_says_who_asks_and_for_what(peer):
    scope = seen(peer, [("host", "127.0.0.1:7860"), *TOLD.items()])
    assert (scope["client"][0], scope["scheme"], hosts(scope)) == (VISITOR, "https", [NAME])
    assert seen(peer, list(TOLD.items()), type="websocket", scheme="ws")["scheme"] == "wss"


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "::1", "172.19.0.2", "", "testclient", "/run/x.sock"])
def test_nobody_else_is_believed(peer):
    sent = [("host", "127.0.0.1:7860"), *TOLD.items()]
    scope = seen(peer, sent)
    assert (scope["client"][0], scope["scheme"], hosts(scope)) == (peer, "http", ["127.0.0.1:7860"])
    assert scope["headers"] == [(name.encode(), value.encode()) for name, value in sent]


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ([VISITOR], VISITOR),
        ([f"127.0.0.1, {VISITOR}"], VISITOR),  # what the visitor wrote stands before what the proxy wrote
        ([f"{VISITOR}, 172.18.0.9"], VISITOR),  # through two proxies of ours
        (["10.1.1.1", VISITOR], VISITOR),
        ([f"{VISITOR}:4711"], VISITOR),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["172.18.0.9"], "172.18.0.9"),
        ([f"{VISITOR}, unknown"], PROXY),
        ([f"{VISITOR},"], PROXY),
        (["<script>"], PROXY), ([""], PROXY), ([], PROXY), (["999.1.1.1"], PROXY), (["1" * 5000], PROXY),
    ],
)  # fmt: skip
def test_the_visitor_is_the_last_that_is_no_proxy_of_ours(said, address):
    assert seen(PROXY, [("x-forwarded-for", one) for one in said])["client"][0] == address


def test_the_proxys_own_word_is_the_last():
    scope = seen(PROXY, [("host", NAME), ("x-forwarded-proto", "https, http"), ("x-forwarded-proto", "gopher, https")])
    assert scope["scheme"] == "https"
    assert seen(PROXY, [("x-forwarded-proto", "https, gopher")])["scheme"] == "http"


def test_a_page_of_another_site_names_no_host_of_ours():
    """It may send the header, but under a Host that is its own."""
    assert hosts(seen(PROXY, [("host", "evil.example"), ("x-forwarded-host", NAME)])) == ["evil.example"]
    assert hosts(seen(PROXY, [("host", NAME), ("host", "evil.example"), ("x-forwarded-host", NAME)]))[1] != NAME


def test_gradio_hears_nobodys_word_about_our_address():
    heard: list[Any] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope)

    names = ("host", "x-forwarded-host", "x-gradio-server", "cookie")
    scope = {"type": "http", "path": "/config", "headers": [(name.encode(), b"x") for name in names]}
    asyncio.run(Below(inside, BELOW)(scope, None, None))  # type: ignore[arg-type]
    assert [name for name, _ in heard[0]["headers"]] == [b"host", b"cookie"]
    assert (heard[0]["path"], heard[0]["root_path"]) == (BELOW + "/config", BELOW)


@pytest.mark.parametrize(
    ("name", "value", "goes"),
    [
        ("Location", "/review", "/films/review"),
        ("Location", "/", "/films/"),
        ("Location", "/films/review", "/films/review"),
        ("Location", "/filmset", "/films/filmset"),
        ("Location", "//other.example/", "//other.example/"),
        ("Location", "https://other.example/", "https://other.example/"),
        ("Location", "scenes/", "scenes/"),
        ("set-cookie", "a=/; path=/", "a=/; path=/films/"),
        ("Set-Cookie", "a=1; HttpOnly; Path=/; Secure", "a=1; HttpOnly; Path=/films/; Secure"),
        ("set-cookie", "a=1; path=/films/", "a=1; path=/films/"),
        ("content-location", "/review", "/review"),
    ],
)
def test_ways_to_go_and_cookies_are_below_the_path(name, value, goes):
    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 303, "headers": [(name.encode(), value.encode())]})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/films/x", "client": None, "headers": []}
    asyncio.run(Fronted(inside, BELOW, [], lambda host: True)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["headers"] == [(name.encode(), goes.encode())]


@pytest.mark.parametrize(
    ("asked", "judged"),
    [
        ("/films/api/queues", "/api/queues"), ("/api/queues", "/api/queues"), ("/films/", "/"), ("/", "/"),
        ("/filmset/x", "/filmset/x"), ("/FILMS/api", "/FILMS/api"), ("/films//api", "//api"),
        ("/films/../api", "/../api"), ("/films/films/api", "/films/api"), ("//films/api", "//films/api"),
    ],
)  # fmt: skip
def test_the_door_judges_the_path_without_its_beginning(asked, judged):
    scope = seen(STRANGER, [], root_path=BELOW, path=asked, raw_path=asked.encode())
    assert scope["path"] == judged and "raw_path" not in scope


# ------------------------------------------------------------------------------------------------ the whole studio
@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    before = dict(os.environ)
    settings = Settings(
        root=tmp_path_factory.mktemp("proxied"), auth="mina:lantern light", allowed_hosts=[NAME],
        root_path=BELOW + "/", trusted_proxies=TRUSTED,
    )  # fmt: skip
    found = app.build_studio(settings, in_process=True)
    found.sharing.use(app.ways(settings, app_server()))
    yield found
    found.close()
    os.environ.clear()
    os.environ.update(before)


def app_server() -> Any:
    import uvicorn

    from studio.reach.lan import Server

    return Server(uvicorn.Config(lambda scope: None))


@pytest.fixture(scope="module")
def site(studio: Studio) -> Any:
    found = app.web_app(studio, "token")
    studio.sharing.start(app.wished(studio.settings))
    return found


@pytest.fixture(params=[True, False], ids=["stripped", "whole"])
def strips(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def browse(site: Any, strips: bool) -> Callable[..., TestClient]:
    """browse(peer) -> a browser behind a proxy that strips the path, or does not. It asks for "/films/x" all the same,
    and gets cookies by the paths that they have there."""

    def one(peer: str = PROXY, **headers: str) -> TestClient:
        async def proxy(scope: Any, receive: Any, send: Any) -> None:
            if strips and scope["type"] == "http":
                assert scope["path"].startswith(BELOW + "/"), "the proxy has nothing else of ours"
                scope = {**scope, "path": scope["path"].removeprefix(BELOW)}
            await site(scope, receive, send)

        return TestClient(
            proxy, base_url=f"https://{NAME}{BELOW}", client=(peer, 1), follow_redirects=False,
            raise_server_exceptions=False,
            headers={"x-forwarded-for": VISITOR, "x-forwarded-proto": "https", **headers},
        )  # fmt: skip

    return one


def test_signing_in_and_out_stays_below_the_path(browse, studio):
    browser = browse()
    led = browser.get("/?queue=1", headers=PAGE)
    assert (led.status_code, led.headers["location"]) == (303, "/films/sign-in?next=/%3Fqueue%3D1")
    assert '<form method="post">' in browser.get("/sign-in").text
    done = browser.post("/sign-in?next=/%3Fqueue%3D1", data=PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, "/films/?queue=1")
    cookie = done.headers["set-cookie"]
    assert "Path=/films/;" in cookie and "Secure" in cookie and "HttpOnly" in cookie
    assert browser.get("/api/me").json()["way"] == "proxy"
    out = browser.post("/sign-out", headers={"origin": f"https://{NAME}"})
    assert out.headers["location"] == "/films/sign-in" and "Path=/films/;" in out.headers["set-cookie"]
    assert browser.get("/api/me").status_code == 401


def test_the_page_asks_for_nothing_outside_of_the_path(browse):
    browser = browse()
    browser.post("/sign-in", data=PASSWORD)
    page = browser.get("/", headers=PAGE)
    assert page.status_code == 200
    named = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
    assert len(named) > 20 and all(one.startswith("/films/") for one in named)
    assert "https://films.example/films" in page.text and "http://films.example" not in page.text
    assert browser.get("/config", headers={"x-gradio-server": "https://evil.example"}).text.count("evil.example") == 0
    assert browser.get("/ui/js/core.js").status_code == 200


def test_the_prefix_without_its_slash_leads_to_the_page(site):
    browser = TestClient(site, base_url=f"https://{NAME}", follow_redirects=False)
    led = browser.get("/films?queue=1")
    assert (led.status_code, led.headers["location"]) == (307, "/films/?queue=1")
    assert browser.post("/films").headers["location"] == "/films/"


def test_a_reviewer_is_led_to_the_films(browse, studio, strips):
    token = studio.people.invite("reviewer", "", None, 1, 1, OWNER)["token"]
    browser = browse()
    shown = browser.get(f"/invite/{token}", headers=PAGE)
    assert shown.status_code == 200
    done = browser.post(f"/invite/{token}", data={"user": f"Ana {strips}"})
    assert (done.status_code, done.headers["location"]) == (303, "/films/review")
    assert browser.get("/", headers=PAGE).headers["location"] == "/films/review"
    page = browser.get("/review", headers=PAGE)
    assert page.status_code == 200 and re.search(r'(?:href|src)="/(?!films/)', page.text) is None
    for path in ("/api/people", "/films/api/people", "/api/queues", "//api/queues"):
        assert browser.get(path).status_code in (403, 404), path


@pytest.mark.parametrize(
    "path",
    [
        "/api/queues", "/%2e%2e/api/queues", "//api/queues", "/films/api/queues", "/%2e/api/queues", "/api/queues/",
        "/ui/app/%2e%2e/%2e%2e/api/queues", "/sign-in/%2e%2e/api/queues", "/API/queues", "/config", "/theme.css",
        "/films/sign-in/%2e%2e/%2e%2e/api/queues",
    ],
)  # fmt: skip
def test_no_way_of_writing_the_path_gets_past_the_door(browse, path):
    """Whether the proxy strips or not, signed out is signed out."""
    browser = browse()
    answer = browser.get(f"https://{NAME}{BELOW}{path}")
    assert answer.status_code == 401


def test_a_slash_too_many_stays_below_the_path(browse):
    browser = browse()
    browser.post("/sign-in", data=PASSWORD)
    assert browser.get("/api/queues/").headers["location"] == "https://films.example/films/api/queues"


# ------------------------------------------------------------------------------------------------ lists and limits
def test_sessions_and_the_audit_know_the_visitors_address(browse, studio):
    browse(**{"x-forwarded-for": "203.0.113.77"}).post("/sign-in", data=PASSWORD)
    assert "203.0.113.77" in {row["address"] for row in studio.people.sessions(OWNER)}


def test_whoever_is_no_proxy_of_ours_is_known_by_their_own_address(browse, studio):
    browse(STRANGER, **{"x-forwarded-for": "203.0.113.78"}).post("/sign-in", data=PASSWORD)
    known = {row["address"] for row in studio.people.sessions(OWNER)}
    assert STRANGER in known and "203.0.113.78" not in known


def test_guesses_are_counted_for_each_visitor(browse, strips):
    wrong, mark = {"user": "mina", "password": "guess"}, int(strips)
    guess = lambda address: browse(**{"x-forwarded-for": address}).post("/sign-in", data=wrong).status_code  # noqa: E731
    assert [guess(f"203.0.113.{100 + mark}") for _ in range(TRIES)] == [403] * TRIES
    assert guess(f"203.0.113.{100 + mark}") == 429 and guess(f"203.0.113.{110 + mark}") == 403


def test_a_stranger_gets_no_more_guesses_by_naming_others(browse, strips):
    wrong, peer = {"user": "mina", "password": "guess"}, f"198.51.100.{50 + strips}"
    said = [
        browse(peer, **{"x-forwarded-for": f"203.0.113.{n}"}).post("/sign-in", data=wrong).status_code
        for n in range(TRIES + 1)
    ]
    assert said == [403] * TRIES + [429]


# ------------------------------------------------------------------------------------------------ no right
@pytest.mark.parametrize("peer", [PROXY, STRANGER, "127.0.0.1"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", PROXY])
def test_no_right_hangs_on_an_address(browse, peer, address):
    browser = browse(peer, **{"x-forwarded-for": address, "x-real-ip": address})
    assert browser.get("/api/queues").status_code == 401


@pytest.mark.parametrize(
    ("peer", "host", "told", "status"),
    [
        (PROXY, "127.0.0.1:7860", NAME, 401),  # let in as far as the sign-in
        (PROXY, "127.0.0.1:7860", "evil.example", 421),
        (PROXY, "127.0.0.1:7860", f"{NAME}, evil.example", 421),
        (PROXY, "evil.example", NAME, 421),
        (STRANGER, "evil.example", NAME, 421),
        (STRANGER, "127.0.0.1:7860", "evil.example", 401),  # not heard
    ],
)
def test_the_host_is_one_of_ours_whoever_names_it(browse, peer, host, told, status):
    browser = browse(peer)
    assert browser.get("/api/queues", headers={"host": host, "x-forwarded-host": told}).status_code == status


def test_a_session_of_one_way_is_none_of_another(browse, site):
    browser = browse()
    browser.post("/sign-in", data=PASSWORD)
    token = browser.cookies[COOKIE]
    asked = {"cookie": f"{COOKIE}={token}", "host": "127.0.0.1:7860"}
    assert TestClient(site, client=(STRANGER, 1)).get("/films/api/me", headers=asked).status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP"])
def test_a_studio_of_ones_own_lets_nobody_in_by_a_proxy(build, header):
    home = TestClient(app.web_app(build(), "token"), base_url="http://127.0.0.1:7860")
    assert home.get("/api/me").status_code == 200
    answer = home.get("/api/me", headers={header: "127.0.0.1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guard.proxy")


@pytest.mark.parametrize("setting", [{"trusted_proxies": TRUSTED}, {"root_path": BELOW}, {"allowed_hosts": [NAME]}])
def test_a_proxy_that_says_nothing_opens_no_studio(build, setting):
    """It may lead here without one forwarding header, under a name of this computer."""
    client = TestClient(app.web_app(build(**setting), "token"), base_url="http://127.0.0.1:7860", client=(PROXY, 1))
    assert client.get("/api/me").status_code == 401


# ------------------------------------------------------------------------------------------------ the path itself
def first_names(routes: Any) -> set[str]:
    found: set[str] = set()
    for route in routes:
        path = getattr(route, "path", "")
        if isinstance(route, Mount) and not path:
            found |= first_names(route.routes)
        found |= set(re.findall(r"^/([^/{]+)", path))
    return found


def test_no_path_of_the_studios_own_can_be_its_root_path(site):
    names = first_names(site.app.app.app.routes)
    assert {"api", "ui", "review", "sign-in", "gradio_api"} <= names
    assert [name for name in sorted(names) if not OURS.fullmatch(f"/{name}")] == []
