"""Owner, editor and reviewer, desktop and phone, through a tunnel: every connection comes from 127.0.0.1 under a public
name. The tunnel's program and its server are tests/stub_tunnel.py; everything else is the real thing."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import START_S, Site

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[4])
from studio.app import serve; from studio.reach import tunnel; from studio.settings import Settings
stub = [sys.executable, Path(sys.argv[4]) / "stub_tunnel.py", "--as", "http://{name}.gradio.live:{port}"]
tunnel.gradios_program = lambda: stub
serve(Settings(root=Path(sys.argv[1]), port=int(sys.argv[2]), share_server=f"127.0.0.1:{sys.argv[3]}",
      open_browser=False), lambda said: None)
"""
LONG = "three plain words"
DESKTOP, PHONE = (1366, 860), (390, 844)
SCENES = [
    {"task_type": "text_to_video", "label": label, "prompt": prompt, "engine": "draft", "duration": 1, "seed": seed}
    for seed, (label, prompt) in enumerate((("Boat", "a boat at dawn"), ("Lamp", "a lamp at night")), 1)
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def more_flags() -> list[str]:
    return ["--host-resolver-rules=MAP *.gradio.live 127.0.0.1"]


@pytest.fixture(scope="module")
def stub_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, stub_port: int) -> Iterator[Site]:
    """A studio whose public link is the stub's."""
    root, port = tmp_path_factory.mktemp("shared"), free_port()
    said = (root / "said.txt").open("wb")
    command = [sys.executable, "-c", SERVE, str(root), str(port), str(stub_port), str(ROOT / "tests")]
    server = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=said)
    found = Site(f"http://127.0.0.1:{port}", root)
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            found.call("GET", "/now")
            break
        except OSError:
            time.sleep(0.1)
    try:
        yield found
    finally:
        server.terminate()
        server.wait(20)
        said.close()


@pytest.fixture
def window(chromium: Any) -> Iterator[Callable[..., Any]]:
    """window(size, url) -> a page of somebody who was never here. Fails the test on page errors."""
    contexts, wrong = [], []

    def opened(size: tuple[int, int], url: str) -> Any:
        width, height = size
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale="en-US", is_mobile=width < 500, has_touch=width < 500
        )
        contexts.append(context)
        context.add_init_script("localStorage.lanterna_lang ??= 'en'; localStorage.lanterna_welcome ??= '1'")
        page = context.new_page()
        page.on("pageerror", lambda error: "dynamically imported" in str(error) or wrong.append(f"page error: {error}"))
        page.goto(url)  # a part of Gradio's page that is still to be fetched may fail when the tunnel goes: not ours
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture(scope="module")
def film(site: Site) -> dict[str, str]:
    """A film of two shots, open for review: made at home, before anything is shared."""
    queue = site.episode("Night", SCENES, {"width": 320, "height": 180, "fps": 12})
    site.call("POST", f"/queues/{queue}/run")
    site.wait(queue)
    export = site.call("POST", f"/queues/{queue}/exports", {})["id"]
    end = time.monotonic() + 60
    while (state := site.call("GET", f"/exports/{export}")["state"]) in ("queued", "running"):
        assert time.monotonic() < end, state
        time.sleep(0.2)
    site.call("POST", f"/queues/{queue}/review", {"export_id": export})
    return {"queue": queue, "export": export}


def fits(page: Any) -> bool:
    """Nothing hangs out of the page at its side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def plays(page: Any) -> None:
    page.wait_for_function(
        "() => { const v = document.querySelector('video');"
        " return v && v.videoWidth > 0 && v.getVideoPlaybackQuality().totalVideoFrames > 3 }"
    )


def asked(page: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """(status, JSON) of a request that the page itself makes, with its cookie."""
    status, text = page.evaluate(
        """async ([method, path, body]) => {
          const headers = body === null ? {} : {"content-type": "application/json"};
          const answer = await fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)});
          return [answer.status, await answer.text()];
        }""",
        [method, path, body],
    )
    return status, json.loads(text) if text.startswith(("{", "[")) else text


@pytest.fixture(scope="module")
def shared(site: Site, film: dict[str, str], chromium: Any) -> Iterator[dict[str, Any]]:
    """The owner opens the studio to others on screen, at the computer itself, and invites two people."""
    context = chromium.new_context(viewport={"width": 1366, "height": 860}, locale="en-US")
    context.add_init_script("localStorage.lanterna_lang ??= 'en'; localStorage.lanterna_welcome ??= '1'")
    page = context.new_page()
    page.goto(site.url)
    page.locator("#share").click()
    page.locator("#owner-name").fill("Mina")
    page.locator("#owner-password").fill(LONG)
    page.locator("#owner-save").click()
    page.locator("#owner-name").wait_for(state="hidden")
    page.locator("#way-share").check()
    page.locator(".l-share-way[data-way=share][data-state=on] input[readonly]").first.wait_for()
    links = {}
    page.locator("#share-next").click()
    for role, wanted in (("reviewer", film["queue"]), ("editor", None)):
        page.locator("#invite-role").select_option(role)
        if wanted:
            page.locator("#invite-film").select_option(wanted)
        page.locator("#invite-most").fill("2")
        page.locator("#invite-make").click()
        made = page.locator(".l-share-made input")
        page.wait_for_function(
            "known => { const i = document.querySelector('.l-share-made input');"
            " return i && i.value.includes('/invite/') && !known.includes(i.value) }",
            arg=list(links.values()),
        )
        links[role] = made.input_value()
        assert page.locator(".l-share-made img, .l-share-made svg").first.is_visible()
    yield {"owner": page, "context": context, **links}
    context.close()


def base(link: str) -> str:
    return link.partition("/invite/")[0]


def test_the_owner_stays_in_while_the_studio_is_shared(shared: dict[str, Any], site: Site) -> None:
    """And nobody else is, even on this computer: no right comes with an address."""
    assert re.fullmatch(r"http://\w+\.gradio\.live:\d+", base(shared["reviewer"]))
    status, me = asked(shared["owner"], "GET", "/api/me")
    assert (status, me["name"], me["role"], me["way"]) == (200, "Mina", "owner", "local")
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site.url}/api/queues", timeout=10)
    assert refused.value.code == 401


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "Ana"), (PHONE, "Bo")], ids=["desktop", "phone"])
def test_an_editor_works_in_the_studio(
    shared: dict[str, Any],
    film: dict[str, str],
    window: Callable[..., Any],
    shot: Any,
    size: tuple[int, int],
    name: str,
) -> None:
    page = window(size, shared["editor"])
    page.locator("input[name=user]").fill(name)
    page.locator("input[name=password]").fill(LONG)
    page.locator("button").click()
    page.wait_for_url(base(shared["editor"]) + "/")
    page.locator("#l-sidebar .l-sidebar").wait_for(state="attached", timeout=30_000)
    page.locator(".l-card, .l-scene, [data-scene]").first.wait_for(state="attached")
    assert page.locator("#share").is_hidden()
    assert fits(page)
    shot(page, f"tunnel_editor_{size[0]}")
    # polling, writing, an upload and a part of a film, with nothing but the cookie
    queue = film["queue"]
    status, told = asked(page, "GET", f"/api/queues/{queue}")
    assert status == 200 and asked(page, "GET", f"/api/queues/{queue}?since={told['version']}")[1]["scenes"] == []
    added = asked(page, "POST", f"/api/queues/{queue}/scenes", {"task_type": "text_to_video", "prompt": name})
    assert added[0] == 201
    assert asked(page, "DELETE", f"/api/scenes/{added[1]['id']}")[0] in (200, 204)
    uploaded = page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(64, 64); canvas.getContext("2d").fillRect(0, 0, 64, 64);
          const form = new FormData(); form.append("file", await canvas.convertToBlob(), "square.png");
          return (await fetch("/api/assets", {method: "POST", body: form})).status;
        }"""
    )
    assert uploaded in (200, 201)
    part = page.evaluate(
        """async (path) => {
          const answer = await fetch(path, {headers: {range: "bytes=100-199"}});
          return [answer.status, (await answer.arrayBuffer()).byteLength, answer.headers.get("content-range")];
        }""",
        f"/api/exports/{film['export']}/file",
    )
    assert part[:2] == [206, 100] and part[2].startswith("bytes 100-199/")
    for method, path in (("GET", "/api/people"), ("POST", "/api/sharing/share"), ("GET", "/api/preferences")):
        status, told = asked(page, method, path, {"on": False} if method == "POST" else None)
        assert (status, told["error"]["code"]) == (403, "guard.role")


@pytest.mark.parametrize(("size", "name"), [(DESKTOP, "Clara"), (PHONE, "Davi")], ids=["desktop", "phone"])
def test_a_reviewer_sees_the_film_and_says_what_to_change(
    shared: dict[str, Any],
    film: dict[str, str],
    window: Callable[..., Any],
    shot: Any,
    size: tuple[int, int],
    name: str,
) -> None:
    page = window(size, shared["reviewer"])
    page.locator("input[name=user]").fill(name)
    page.locator("button").click()
    page.wait_for_url("**/review**")
    if page.locator("#play").count() == 0:  # the list of films comes first
        page.locator("a[href*='review/']").first.click()
    page.locator("#play").click()
    plays(page)
    page.locator("#play").click()
    page.locator("#text").fill(f"The lamp is too bright, says {name}. <img src=x onerror=alert(1)> ${{7*7}}")
    page.locator("input[name=wish][value=retake]").check(force=True)
    page.locator("#send").click()
    page.locator("#comments").get_by_text(f"says {name}").wait_for()
    assert "${7*7}" in page.locator("#comments").inner_text() and page.locator("#comments img[src=x]").count() == 0
    assert fits(page)
    shot(page, f"tunnel_reviewer_{size[0]}")
    page.locator("#approve").click()
    page.wait_for_function("() => document.querySelector('#approve').getAttribute('aria-pressed') === 'true'")
    # nothing else is theirs, by no road
    take = asked(shared["owner"], "GET", "/api/takes?limit=1")[1]["takes"][0]["id"]
    for path in ("/api/queues", f"/api/takes/{take}", f"/api/takes/{take}/file", "/api/takes", "/config", "/theme.css"):
        assert asked(page, "GET", path)[0] == 403, path
    page.goto(base(shared["reviewer"]) + "/")
    page.wait_for_url("**/review**")


def test_the_owner_finds_the_notes_on_the_scenes(shared: dict[str, Any], film: dict[str, str], shot: Any) -> None:
    owner = shared["owner"]
    scenes = asked(owner, "GET", f"/api/queues/{film['queue']}")[1]["scenes"]
    noted = [card for card in scenes if card["comments"]["retake"]]
    assert noted and "says" in noted[0]["retake"]
    said = asked(owner, "GET", f"/api/scenes/{noted[0]['id']}/comments")[1]
    assert {one["author"] for one in said} == {"Clara", "Davi"}
    frame = owner.evaluate(
        "async (path) => (await fetch(path)).headers.get('content-type')", f"/api/comments/{said[0]['id']}/frame"
    )
    assert frame == "image/jpeg"
    written = asked(owner, "GET", "/api/audit?limit=200")[1]["entries"]
    assert {row["name"] for row in written} >= {"Ana", "Bo", "Clara", "Davi"}
    assert all(row["text"] for row in written)
    shot(owner, "tunnel_owner")


def test_a_tunnel_that_dies_comes_back_under_another_name(
    shared: dict[str, Any], stub_port: int, window: Callable[..., Any]
) -> None:
    from stub_tunnel import say

    owner, before = shared["owner"], base(shared["editor"])
    page = window(DESKTOP, before + "/sign-in")
    page.locator("input[name=user]").fill("Ana")
    page.locator("input[name=password]").fill(LONG)
    page.locator("form button").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.locator("#l-sidebar .l-sidebar").wait_for(state="attached", timeout=30_000)
    say(stub_port, "die")
    end, after = time.monotonic() + 40, ""
    while not after or after == before:
        assert time.monotonic() < end, "the tunnel did not come back"
        ways = asked(owner, "GET", "/api/sharing")[1]["ways"]
        after = next(one["url"] or "" for one in ways if one["way"] == "share").rstrip("/")
        time.sleep(0.2)
    again = window(PHONE, after + "/sign-in")
    assert again.locator("input[name=password]").is_visible()
    shared["after"] = after


def test_off_means_off(shared: dict[str, Any], window: Callable[..., Any], site: Site, stub_port: int) -> None:
    page = window(DESKTOP, shared["after"] + "/sign-in")
    page.locator("input[name=user]").fill("Mina")
    page.locator("input[name=password]").fill(LONG)
    page.locator("form button").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.locator("#l-sidebar .l-sidebar").wait_for(state="attached", timeout=30_000)
    assert asked(page, "GET", "/api/me")[0] == 200
    owner = shared["owner"]
    status, told = asked(owner, "POST", "/api/sharing/share", {"on": False})
    assert status == 200 and all(one["state"] == "off" for one in told["ways"])
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", stub_port), 2).close()
    host = shared["after"].partition("//")[2]
    with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), 5) as raw:
        raw.sendall(f"GET /api/me HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert b" 421 " in raw.recv(200)
    assert asked(owner, "GET", "/api/me")[0] == 200
    ways = {row["way"] for row in asked(owner, "GET", "/api/sessions")[1]["sessions"]}
    assert "share" not in ways
