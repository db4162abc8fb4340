"""What the benches of the page share: a studio that serves in this process, calls of its REST, a real Chromium.

Knows no measurement. Import it before anything of `studio`: it makes the repository importable.
"""

import json
import shutil
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

PORT = 7897
HOME = f"http://127.0.0.1:{PORT}"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


def call(method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{HOME}/api{path}", content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or "null")


def open_studio(root: Path, engine_id: str, engine: str) -> Any:
    """A studio with an engine ("module:Class" in this folder) in it, serving in a thread of this process."""
    import uvicorn

    from studio.app import build_studio, web_app
    from studio.pipelines import ENGINES
    from studio.settings import Settings

    ENGINES[engine_id] = engine
    studio = build_studio(Settings(root=root, port=PORT, open_browser=False), in_process=True)
    server = uvicorn.Server(uvicorn.Config(web_app(studio, "bench"), port=PORT, log_level="warning"))
    studio.start()
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return studio


@contextmanager
def opened() -> Iterator[Any]:
    """An empty page of the size of a desk's screen."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser.new_page(viewport={"width": 1600, "height": 1000})
        browser.close()


class Meter:
    """What Chromium counts of a page: `TaskDuration` in seconds of its main thread, `JSHeapUsedSize` in bytes …"""

    def __init__(self, page: Any) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # a busy machine must not count

    def read(self) -> dict[str, float]:
        return {row["name"]: row["value"] for row in self._cdp.send("Performance.getMetrics")["metrics"]}
