"""How much a full Queues tab costs: bytes per update, and the browser's main thread, at one update a second.

    python scripts/bench_cards.py [--cards 500] [--seconds 20]

A real studio, its store, REST and page, an engine that reports a step a second, and a real Chromium. Nothing is mocked
but the engine. Prints one line of Markdown for docs/benchmarks.md.
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

STEPS, STEP_S, PORT = 12, 1.0, 7899
PICTURES = 24
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


class Metronome(Engine):
    """The first PICTURES scenes at once, so that the list has pictures; then one step a second."""

    id: ClassVar[str] = "metronome"
    tasks = frozenset({"text_to_video"})
    lane = "cpu"

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        if int(scene.label.split()[-1]) > PICTURES:
            for done in range(STEPS):
                run.step(done, STEPS)
                time.sleep(STEP_S)
        rng = np.random.default_rng(run.seed)
        sky = np.linspace(rng.integers(0, 120, 3), rng.integers(80, 250, 3), 96).astype(np.uint8)  # (96, 3)
        frame = np.repeat(sky[:, None, :], 160, axis=1)  # (96, 160, 3)
        return Made(run.save_video((frame for _ in range(8)), 8, 8))


def call(method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    address = f"http://127.0.0.1:{PORT}/api{path}"
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or "null")


def open_studio(root: Path) -> Any:
    """A studio with the metronome in it, serving in a thread of this process."""
    import bench_cards  # by its own name: the registry imports the engine from there
    import uvicorn

    from studio.api.guard import Hosts
    from studio.app import build_studio, web_app
    from studio.pipelines import ENGINES
    from studio.settings import Settings

    ENGINES["metronome"] = f"{bench_cards.__name__}:Metronome"
    studio = build_studio(Settings(root=root, port=PORT, open_browser=False), in_process=True)
    server = uvicorn.Server(uvicorn.Config(web_app(studio, Hosts([]), "bench"), port=PORT, log_level="warning"))
    studio.start()
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return studio


def fill(cards: int) -> str:
    """A queue of so many scenes, the first ones rendered, one running, the others waiting."""
    scenes = [
        {
            "label": f"The keeper walks into the storm {n}", "task_type": "text_to_video", "engine": "metronome",
            "prompt": f"Shot {n}: the lighthouse keeper walks into the storm, slow push-in, 35 mm, tungsten and violet",
            "resolution": "480P", "duration": 1, "seed": n,
        }
        for n in range(1, cards + 1)
    ]  # fmt: skip
    queue_id = str(call("POST", "/queues/import", {"title": f"{cards} scenes", "scenes": scenes})["queue"]["id"])
    call("POST", f"/queues/{queue_id}/run", {})
    while call("GET", f"/queues/{queue_id}")["queue"]["counts"]["done"] < min(PICTURES, cards - 1):
        time.sleep(0.3)
    return queue_id


def measure(seconds: float) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.add_init_script(
            "window.__long = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) =>"
            " { window.__long = Math.max(window.__long, entry.duration); })).observe({ type: 'longtask' });"
        )
        started = time.monotonic()
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.locator(".l-scene").first.wait_for()
        first = time.monotonic() - started
        page.wait_for_timeout(4000)
        page.evaluate("window.__long = 0")
        sizes: list[int] = []
        page.on("response", lambda answer: "/api/queues/" in answer.url and sizes.append(len(answer.body())))
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # a busy machine must not count
        before, clock = _metrics(cdp), time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        after, elapsed = _metrics(cdp), time.monotonic() - clock
        long_ms = page.evaluate("window.__long")
        rows = page.locator(".l-scene").count()
        browser.close()
    return {
        "rows": rows,
        "first": first,
        "updates": len(sizes),
        "bytes": sum(sizes) / max(1, len(sizes)),
        "most": max(sizes, default=0),
        "main": (after["TaskDuration"] - before["TaskDuration"]) / elapsed,
        "long": long_ms,
        "heap": after["JSHeapUsedSize"] / 1e6,
    }


def _metrics(cdp: Any) -> dict[str, float]:
    return {row["name"]: row["value"] for row in cdp.send("Performance.getMetrics")["metrics"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Path(folder))
        queue_id = fill(wanted.cards)
        try:
            seen = measure(wanted.seconds)
        finally:
            call("POST", f"/queues/{queue_id}/stop")
            studio.close()
    print(
        f"| {seen['rows']:.0f} | {seen['bytes']:.0f} B (most {seen['most']:.0f}) | {seen['main']:.1%} | "
        f"{seen['long']:.0f} ms | {seen['first']:.2f} s | {seen['heap']:.0f} MB | {seen['updates']} updates |"
    )


if __name__ == "__main__":
    main()
