"""A real studio in its own process, and a real Chromium that fails the test on page errors and outside requests."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "tests" / "shots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
SERVE = """
import sys; from pathlib import Path; from studio.app import serve; from studio.settings import Settings
serve(Settings(root=Path(sys.argv[1]), port=int(sys.argv[2]), open_browser=False), lambda said: None)
"""
START_S = 60.0  # a cold disk and two busy cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).parent.name == "browser":
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@dataclass(frozen=True)
class Site:
    """A running studio: its address, and REST for setting the scene of a test."""

    url: str
    root: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/api" + path, content, {"Content-Type": "application/json"})
        request.method = method
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def episode(self, name: str, scenes: list[dict[str, Any]], frame: dict[str, int] | None = None) -> str:
        """Import an episode; the id of its queue."""
        small = {"width": 480, "height": 272, "fps": 24}
        file = {"title": name, "frame": frame or small, "scenes": scenes}
        return str(self.call("POST", "/queues/import", file)["queue"]["id"])

    def cards(self, queue_id: str) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/queues/{queue_id}")["scenes"])

    def wait(self, queue_id: str, seconds: float = 120.0) -> None:
        """Until nothing of the queue is waiting or running."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            counts = self.call("GET", f"/queues/{queue_id}")["queue"]["counts"]
            if not counts["queued"] and not counts["running"]:
                return
            time.sleep(0.2)
        raise AssertionError(f"still rendering after {seconds} s")


@pytest.fixture(scope="module")
def serve() -> list[str]:
    """What a module's studio is started by, and what that is told after folder and port."""
    return [SERVE]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serve: list[str]) -> Iterator[Site]:
    """One studio per test module, in an empty folder."""
    root = tmp_path_factory.mktemp("studio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = (root / "said.txt").open("wb")
    script, *more = serve
    command = [sys.executable, "-c", script, str(root), str(port), *more]
    server = subprocess.Popen(command, cwd=root, env=environment, stdout=said, stderr=said)
    try:
        yield _once_ready(Site(f"http://127.0.0.1:{port}", root), server)
    finally:
        server.terminate()
        server.wait(20)
        said.close()


def _once_ready(site: Site, server: "subprocess.Popen[bytes]") -> Site:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            site.call("GET", "/now")
            return site
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the studio did not start:\n" + (site.root / "said.txt").read_text(errors="replace")[-2000:])


@pytest.fixture(scope="module")
def more_flags() -> list[str]:
    """What a module's browser is started with besides FLAGS: a module that wants any has a fixture of its own."""
    return []


@pytest.fixture(scope="module")
def chromium(more_flags: list[str]) -> Iterator[Any]:
    """Per module, not per session: while Playwright is open, nothing else in this thread may run an event loop."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # two busy cores; what is there is seen at once all the same
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more_flags])
        yield browser
        browser.close()


@pytest.fixture
def open_page(site: Site, chromium: Any) -> Iterator[Callable[..., Any]]:
    """open_page(width, height, lang, path) -> a page in a fresh context, on the Queues tab, without the welcome."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def watched(page: Any) -> None:
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("request", lambda request: _is_ours(site, request.url) or wrong.append(f"outside: {request.url}"))

    def opened(width: int = 1600, height: int = 1000, lang: str = "en", path: str = "/") -> Any:
        phone = width < 500
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale="en-US", has_touch=phone, is_mobile=phone
        )
        contexts.append(context)
        context.add_init_script(f"localStorage.lanterna_lang ??= '{lang}'; localStorage.lanterna_welcome ??= '1'")
        page = context.new_page()
        watched(page)
        page.goto(site.url + path)
        page.locator("#l-sidebar .l-sidebar").wait_for(timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong


def _is_ours(site: Site, url: str) -> bool:
    return url.startswith((site.url, "data:", "blob:"))


@pytest.fixture(scope="session")
def shot() -> Callable[[Any, str], None]:
    """shot(page, "queues_1366") writes tests/shots/queues_1366.png, for anybody to look at; git ignores them."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SHOTS / f"{name}.png")
