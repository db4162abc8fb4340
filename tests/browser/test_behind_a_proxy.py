"""Below a path of the user's own proxy, in a real Chromium: one proxy strips the path and passes the name on, the other
does neither and says both in its headers. Nothing that the page asks for lies outside of the path."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import START_S
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from reverse_proxy import ReverseProxy  # noqa: E402

BELOW, NAME, VISITOR = "/lanterna", "films.example", "203.0.113.7"
SERVE = """
import sys; from pathlib import Path; from studio.app import serve; from studio.settings import Settings
serve(Settings(root=Path(sys.argv[1]), port=int(sys.argv[2]), auth="mina:lantern light", root_path="/lanterna",
      allowed_hosts=["films.example"], trusted_proxies=["127.0.0.1"], open_browser=False), lambda said: None)
"""
DESKTOP, PHONE = (1366, 860), (390, 844)
SCENE = {"task_type": "text_to_video", "label": "Boat", "prompt": "a boat at dawn", "engine": "draft", "duration": 1}


@pytest.fixture(scope="module")
def more_flags() -> list[str]:
    return [f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]


@pytest.fixture(scope="module")
def studio_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a studio that a proxy leads to, with a password."""
    root = tmp_path_factory.mktemp("proxied")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    said = (root / "said.txt").open("wb")
    command = [sys.executable, "-c", SERVE, str(root), str(port)]
    server = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=said)
    end = time.monotonic() + START_S
    try:
        while True:
            assert server.poll() is None and time.monotonic() < end, (root / "said.txt").read_text(errors="replace")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(20)
        said.close()


@pytest.fixture(scope="module")
def both(studio_port: int) -> Iterator[dict[str, ReverseProxy]]:
    """Two proxies before the same studio."""
    tells = (f"X-Forwarded-Host: {NAME}:{{port}}", f"X-Forwarded-For: {VISITOR}", "X-Forwarded-Proto: http")
    with ExitStack() as open_ones:
        strips = open_ones.enter_context(ReverseProxy(studio_port, BELOW).running())
        tell = ReverseProxy(studio_port, BELOW, strip=False, keep_host=False, adds=tells)
        yield {"strips": strips, "tells": open_ones.enter_context(tell.running())}


@pytest.fixture(params=["strips", "tells"])
def proxy(request: pytest.FixtureRequest, both: dict[str, ReverseProxy]) -> Iterator[ReverseProxy]:
    found = both[request.param]
    yield found
    assert found.outside == [], "the page asked for something outside of the path"


def base(proxy: ReverseProxy) -> str:
    return f"http://{NAME}:{proxy.port}{BELOW}"


@pytest.fixture
def window(chromium: Any, proxy: ReverseProxy) -> Iterator[Callable[..., Any]]:
    """window(size, path) -> a page of somebody who was never here, below the proxy's path. Fails the test on page
    errors, on requests outside of the path, and on what is not there."""
    contexts, wrong = [], []

    def judged(request: Any) -> None:
        if not request.url.startswith((base(proxy) + "/", "data:", f"blob:http://{NAME}:{proxy.port}/")):
            wrong.append(f"outside: {request.url}")

    def failed(answer: Any) -> None:
        if answer.status == 404:
            wrong.append(f"not there: {answer.url}")

    def opened(size: tuple[int, int], path: str = "/") -> Any:
        width, height = size
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale="en-US", is_mobile=width < 500, has_touch=width < 500
        )
        contexts.append(context)
        context.add_init_script("localStorage.lanterna_lang ??= 'en'; localStorage.lanterna_welcome ??= '1'")
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("request", judged)
        page.on("response", failed)
        page.goto(base(proxy) + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong


def sign_in(page: Any) -> None:
    page.locator("input[name=user]").fill("mina")
    page.locator("input[name=password]").fill("lantern light")
    page.locator("form button").click()
    page.locator("#l-sidebar .l-sidebar").wait_for(state="attached", timeout=30_000)


class Owner:
    """REST with the owner's token, through a proxy."""

    def __init__(self, proxy: ReverseProxy) -> None:
        self.proxy, self.token = proxy, ""
        self.token = self.call("POST", "/sign-in", {"user": "mina", "password": "lantern light"})["token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Host": f"{NAME}:{self.proxy.port}"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.proxy.origin + BELOW + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def until(self, path: str, done: Callable[[Any], bool], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not done(found := self.call("GET", path)):
            assert time.monotonic() < end, found
            time.sleep(0.2)


@pytest.fixture(scope="module")
def film(both: dict[str, ReverseProxy]) -> dict[str, str]:
    """A film of one shot that is open for review."""
    owner = Owner(both["strips"])
    small = {"width": 320, "height": 180, "fps": 12}
    made = owner.call("POST", "/api/queues/import", {"title": "Night", "frame": small, "scenes": [SCENE]})
    queue = str(made["queue"]["id"])
    owner.call("POST", f"/api/queues/{queue}/run", {})
    owner.until(f"/api/queues/{queue}", lambda told: told["queue"]["counts"]["done"] == 1)
    export = owner.call("POST", f"/api/queues/{queue}/exports", {})["id"]
    owner.until(f"/api/exports/{export}", lambda told: told["state"] not in ("queued", "running"))
    owner.call("POST", f"/api/queues/{queue}/review", {"export_id": export})
    return {"queue": queue, "export": export}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_owner_signs_in_and_works(film: Any, window: Any, proxy: ReverseProxy, shot: Any, size: Any) -> None:
    page = window(size)
    assert page.url == base(proxy) + "/sign-in?next=/"
    sign_in(page)
    assert page.url.partition("?")[0] == base(proxy) + "/"
    cookies = {cookie["name"]: cookie["path"] for cookie in page.context.cookies()}
    assert set(cookies.values()) == {BELOW + "/"} and "lanterna_session" in cookies
    shot(page, f"proxy_{'strips' if proxy.strip else 'tells'}_{size[0]}")
    if size == PHONE:
        return
    page.locator("#l-sidebar").get_by_label("New queue").click()
    page.keyboard.type("Harbour")
    page.keyboard.press("Enter")
    expect(page.locator(".l-queue[aria-current] .l-queue-name")).to_have_text("Harbour")
    page.locator("#l-sidebar").get_by_label("Add a scene").first.click()
    page.locator("dialog textarea").fill("A rope creaks")
    page.locator("dialog").get_by_role("button", name="Add a scene").click()
    expect(page.locator(".l-scene-title")).to_have_text(["A rope creaks"])
    # what Gradio draws and asks for: the form of the scene, and every tab
    page.locator("#l-insp-form:not([data-loading])").wait_for(state="attached")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#l-insp-form textarea')].some((one) => one.value === 'A rope creaks')"
    )
    for tab in page.locator("#l-nav > .tab-wrapper button[data-tab-id]").all():
        tab.click()
        page.wait_for_load_state("networkidle")


def test_a_take_plays_and_comes_in_parts(film: Any, window: Any, proxy: ReverseProxy) -> None:
    page = window(DESKTOP)
    sign_in(page)
    page.locator(f'.l-queue[data-id="{film["queue"]}"]').click()
    page.locator("#l-stage video").first.wait_for(state="attached")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#l-stage video')].some((v) => !v.hidden && v.videoWidth > 0)"
    )
    part = page.evaluate(
        """async (path) => {
          const answer = await fetch(path, {headers: {range: "bytes=100-199"}});
          return [answer.status, (await answer.arrayBuffer()).byteLength, answer.headers.get("content-range")];
        }""",
        f"{BELOW}/api/exports/{film['export']}/file",
    )
    assert part[:2] == [206, 100] and part[2].startswith("bytes 100-199/")
    posters = page.locator("#l-sidebar img, .l-scene img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert posters and all(posters)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_somebody_who_is_invited_reviews_the_film(film: Any, window: Any, proxy: ReverseProxy, size: Any) -> None:
    owner = Owner(proxy)
    wanted = {"role": "reviewer", "note": "", "queue_id": film["queue"], "hours": 1, "most": 1}
    link = owner.call("POST", "/api/invitations", wanted)["url_path"]
    page = window(size, link)
    page.locator("input[name=user]").fill(name := f"Ana {size[0]} {proxy.port}")
    page.locator("form button").click()
    page.wait_for_url(lambda url: url.startswith(base(proxy) + "/review"))
    if page.locator("#play").count() == 0:
        page.locator("a[href*='review/']").first.click()
    page.locator("#play").click()
    page.wait_for_function(
        "() => { const v = document.querySelector('video');"
        " return v && v.videoWidth > 0 && v.getVideoPlaybackQuality().totalVideoFrames > 3 }"
    )
    page.locator("#text").fill(f"Darker, says {name}")
    page.locator("#send").click()
    page.locator("#comments").get_by_text(f"says {name}").wait_for()
    page.goto(base(proxy) + "/")
    page.wait_for_url(lambda url: url.startswith(base(proxy) + "/review"))
    addresses = {row["name"]: row["address"] for row in owner.call("GET", "/api/sessions")["sessions"]}
    assert addresses[name] == ("127.0.0.1" if proxy.strip else VISITOR)


def test_the_links_that_the_screen_shows_lead_through_the_proxy(film: Any, window: Any, proxy: ReverseProxy) -> None:
    page = window(DESKTOP)
    sign_in(page)
    page.locator("#share").click()
    page.locator(".l-share-way[data-way=proxy][data-state=on]").wait_for()
    shown = page.locator(".l-share-way[data-way=proxy] input[readonly]").first.input_value()
    assert shown.startswith(f"https://{NAME}{BELOW}")
    page.locator("#share-next").click()
    page.locator("#invite-role").select_option("reviewer")
    page.locator("#invite-film").select_option(film["queue"])
    page.locator("#invite-make").click()
    made = page.locator(".l-share-made input")
    made.wait_for()
    assert f"{BELOW}/invite/" in made.input_value()
    picture = page.locator(".l-share-made img").first
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=picture.element_handle())


def test_nobody_comes_in_by_the_proxy_without_a_password(proxy: ReverseProxy) -> None:
    """Though every connection of the proxy comes from this computer."""
    request = urllib.request.Request(f"{proxy.origin}{BELOW}/api/queues", headers={"Host": f"{NAME}:{proxy.port}"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 401
