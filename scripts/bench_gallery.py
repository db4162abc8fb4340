"""How soon a large gallery shows its first picture, and what looking at it costs the browser and the network.

    python scripts/bench_gallery.py [--takes 500]

A real studio, its store, REST and page, and a real Chromium; only the engine is a stand-in that paints quickly.
Prints one line of Markdown for docs/benchmarks.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import numpy as np  # noqa: E402

from studio.pipelines.base import Engine, Made, Run  # noqa: E402

PORT = 7897
SIZE, FRAMES, FPS = (360, 640), 24, 24  # height, width
GRAIN = 9.0  # so that a poster weighs what a poster of a film weighs
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
PICTURE = "() => [...document.querySelectorAll('#gallery img')].some((img) => img.complete && img.naturalWidth)"
PLAYING = "() => document.querySelector('#gallery video')?.getVideoPlaybackQuality().totalVideoFrames > 2"


class Painter(Engine):
    """A sky of its own for each seed, one second long."""

    id: ClassVar[str] = "painter"
    tasks = frozenset({"text_to_video"})
    lane = "cpu"

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        rng = np.random.default_rng(run.seed)
        sky = np.linspace(rng.integers(0, 120, 3), rng.integers(80, 250, 3), SIZE[0])  # (H, 3)
        picture = np.clip(sky[:, None, :] + rng.normal(0, GRAIN, (*SIZE, 1)), 0, 255).astype(np.uint8)  # (H, W, 3)
        return Made(run.save_video((np.roll(picture, 3 * i, axis=1) for i in range(FRAMES)), FPS, FRAMES))


def call(method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    address = f"http://127.0.0.1:{PORT}/api{path}"
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or "null")


def open_studio(root: Path) -> Any:
    """A studio with the painter in it, serving in a thread of this process."""
    import bench_gallery  # by its own name: the registry imports the engine from there
    import uvicorn

    from studio.api.guard import Hosts
    from studio.app import build_studio, web_app
    from studio.pipelines import ENGINES
    from studio.settings import Settings

    ENGINES["painter"] = f"{bench_gallery.__name__}:Painter"
    studio = build_studio(Settings(root=root, port=PORT, open_browser=False), in_process=True)
    server = uvicorn.Server(uvicorn.Config(web_app(studio, Hosts([]), "bench"), port=PORT, log_level="warning"))
    studio.start()
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return studio


def fill(takes: int) -> None:
    scenes = [
        {"task_type": "text_to_video", "engine": "painter", "resolution": "480P", "duration": 1, "seed": n,
         "label": f"The salt road {n}", "prompt": f"Shot {n}: dusk over the salt road, slow push-in, 35 mm"}
        for n in range(1, takes + 1)
    ]  # fmt: skip
    queue = call("POST", "/queues/import", {"title": f"{takes} takes", "scenes": scenes})["queue"]["id"]
    call("POST", f"/queues/{queue}/run", {})
    while (counts := call("GET", f"/queues/{queue}")["queue"]["counts"])["done"] < takes:
        if counts["failed"]:
            raise SystemExit(f"the painter failed: {counts}")
        time.sleep(0.5)


def measure() -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.locator("#l-sidebar .l-sidebar").wait_for()
        page.wait_for_timeout(1500)
        answers: list[Any] = []
        page.on("response", lambda answer: answers.append(answer))
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # a busy machine must not count
        busy = _busy(cdp)
        started = time.monotonic()
        page.locator('#l-nav button[data-tab-id="gallery"]').first.click()
        page.wait_for_function(PICTURE, polling="raf")
        first = time.monotonic() - started
        page.wait_for_timeout(3000)
        asked = [answer for answer in answers if "/takes" in answer.url]
        found = {
            "first": first,
            "requests": len(asked),
            "mb": sum(len(answer.body()) for answer in asked) / 1e6,
            "busy": _busy(cdp) - busy,
        }
        started = time.monotonic()
        page.locator("#gallery .l-tile").nth(3).hover()
        page.wait_for_function(PLAYING, polling="raf")
        found["hover"] = time.monotonic() - started
        browser.close()
    return found


def _busy(cdp: Any) -> float:
    """Seconds that the page's main thread has worked."""
    metrics = {row["name"]: row["value"] for row in cdp.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=500)
    takes = parser.parse_args().takes
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Path(folder))
        try:
            fill(takes)
            found = measure()
        finally:
            studio.close()
    print(
        f"| {takes} | {found['first']:.2f} s | {found['requests']} | {found['mb']:.2f} MB |"
        f" {found['busy']:.2f} s | {found['hover']:.2f} s |"
    )


if __name__ == "__main__":
    main()
