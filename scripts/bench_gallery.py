"""How soon a large gallery shows its first picture, and what looking at it costs the browser and the network.

    python scripts/bench_gallery.py [--takes 500]

A real studio, its store, REST and page, and a real Chromium; only the engine is a stand-in that paints quickly.
Prints one line of Markdown for docs/benchmarks.md.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from bench_page import HOME, Meter, call, open_studio, opened  # isort: skip - makes the repository importable

import numpy as np

from studio.pipelines.base import Engine, Made, Run

SIZE, FRAMES, FPS = (360, 640), 24, 24  # height, width
GRAIN = 9.0  # so that a poster weighs what a poster of a film weighs
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
    with opened() as page:
        page.goto(HOME)
        page.locator("#l-sidebar .l-sidebar").wait_for()
        page.wait_for_timeout(1500)
        answers: list[Any] = []
        page.on("response", lambda answer: answers.append(answer))
        meter = Meter(page)
        busy = meter.read()["TaskDuration"]
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
            "busy": meter.read()["TaskDuration"] - busy,
        }
        started = time.monotonic()
        page.locator("#gallery .l-tile").nth(3).hover()
        page.wait_for_function(PLAYING, polling="raf")
        found["hover"] = time.monotonic() - started
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=500)
    takes = parser.parse_args().takes
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Path(folder), "painter", "bench_gallery:Painter")
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
