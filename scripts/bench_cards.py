"""How much a full Queues tab costs: bytes per update, and the browser's main thread, at one update a second.

    python scripts/bench_cards.py [--cards 500] [--seconds 20]

A real studio, its store, REST and page, an engine that reports a step a second, and a real Chromium. Nothing is mocked
but the engine. Prints one line of Markdown for docs/benchmarks.md.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from bench_page import HOME, Meter, call, open_studio, opened  # isort: skip - makes the repository importable

import numpy as np

from studio.pipelines.base import Engine, Made, Run

STEPS, STEP_S = 12, 1.0
PICTURES = 24


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
    with opened() as page:
        page.add_init_script(
            "window.__long = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) =>"
            " { window.__long = Math.max(window.__long, entry.duration); })).observe({ type: 'longtask' });"
        )
        started = time.monotonic()
        page.goto(HOME)
        page.locator(".l-scene").first.wait_for()
        first = time.monotonic() - started
        page.wait_for_timeout(4000)
        page.evaluate("window.__long = 0")
        sizes: list[int] = []

        def weigh(answer: Any) -> None:
            if "/api/queues/" in answer.url:
                sizes.append(int(answer.headers["content-length"]))  # as it went over the wire

        page.on("response", weigh)
        meter = Meter(page)
        before, clock = meter.read(), time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        after, elapsed = meter.read(), time.monotonic() - clock
        long_ms = page.evaluate("window.__long")
        rows = page.locator(".l-scene").count()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Path(folder), "metronome", "bench_cards:Metronome")
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
