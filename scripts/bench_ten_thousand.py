"""What a queue of ten thousand scenes costs: seconds of processor time of every verb that touches all of them.

    python scripts/bench_ten_thousand.py [--scenes 10000] [--rendered 1000]

A real studio in this process with its real store; only the engine is missing: jobs are claimed and ended the way the
runner does it, and all takes are one and the same file. Prints lines of Markdown for docs/benchmarks.md.
"""

import argparse
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from PIL import Image  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from studio.api import make_api  # noqa: E402
from studio.app import build_studio  # noqa: E402
from studio.pipelines import ENGINES  # noqa: E402
from studio.pipelines.base import Engine  # noqa: E402
from studio.service import Studio  # noqa: E402
from studio.settings import Settings  # noqa: E402
from studio.store import NewTake  # noqa: E402

PICTURES = 200
PEOPLE = ("Ana", "Bo", "Inês", "小林")


class Absent(Engine):
    """Can do everything and is never asked to."""

    id: ClassVar[str] = "absent"
    tasks = frozenset({"text_to_video", "image_to_video", "single_shot_extension", "speech"})
    lane = "cpu"


def episode(folder: Path, scenes: int) -> str:
    """Of ten scenes two speak, two begin with a picture, one goes on where the scene before ended."""
    for number in range(PICTURES):
        Image.new("RGB", (64, 48), (number, 120, 90)).save(folder / f"{number}.png")
    return json.dumps({"title": f"{scenes} scenes", "scenes": [_scene(number) for number in range(scenes)]})


def _scene(number: int) -> dict[str, Any]:
    plain = {
        "label": f"Shot {number + 1}", "task_type": "text_to_video", "engine": "absent", "duration": 3, "seed": number,
        "prompt": f"Shot {number + 1}: the keeper walks into the storm, slow push-in, 35 mm, tungsten and violet",
    }  # fmt: skip
    match number % 10:
        case 1 | 6:
            said = {"character": PEOPLE[number % 4], "text": f"The lamp went out {number} nights ago, and nobody came."}
            return {**plain, "lines": [said]}
        case 2 | 7:
            return {**plain, "task_type": "image_to_video", "input_image": f"{number % PICTURES}.png"}
        case 9:
            return {**plain, "task_type": "single_shot_extension", "input_video": "{{prev}}"}
    return plain


class Table:
    """Rows of what was measured."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}

    @contextmanager
    def row(self, what: str, each: int = 0) -> Iterator[None]:
        """`each`: of so many, milliseconds for one of them are shown too."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu[what] = cpu
        print(
            f"| {what} | {cpu:.2f} | {wall:.2f} |" + (f" {1000 * cpu / each:.2f} ms each" if each else ""), flush=True
        )


def measure(folder: Path, scenes: int, rendered: int) -> dict[str, float]:
    studio = build_studio(Settings(root=folder / "studio"), in_process=True)
    table, text = Table(), episode(folder, scenes)
    row = table.row
    print(f"\n| {scenes:,} scenes | CPU s | wall s |\n|---|---|---|")
    try:
        with row("check the file, its pictures and its preflight"):
            studio.episodes.check(text, base=folder, trusted=True)
        with row("import"):
            queue = str(studio.episodes.import_file(text, base=folder, trusted=True)["queue"]["id"])
        _look(studio, queue, row)
        _edit(studio, queue, row)
        _run(studio, queue, row, rendered, folder)
        _leave(studio, queue, row, rendered)
    finally:
        studio.close()
    return table.cpu


def _look(studio: Studio, queue: str, row: Any) -> None:
    with row("first GET of the queue"):
        first = studio.snapshot(queue)
    client = TestClient(make_api(studio))
    with row("the same over REST, packed"):
        answer = client.get(f"/queues/{queue}", headers={"Accept-Encoding": "gzip"})
    print(f"| (bytes on the wire: {int(answer.headers['content-length']):,}) | | |")
    with row("delta, nothing changed"):
        studio.snapshot(queue, first["version"])
    studio.scenes.edit(first["scenes"][-1]["id"], {"seed": 9})
    with row("delta, one scene changed"):
        assert len(studio.snapshot(queue, first["version"])["scenes"]) == 1
    with row("preflight"):
        assert studio.preflight.queue(queue)["counts"]["errors"] == 0
    with row("GET the list of queues"):
        studio.queues.list()
    with row("GET timeline over REST, nothing rendered"):
        assert client.get(f"/queues/{queue}/timeline").is_success


def _edit(studio: Studio, queue: str, row: Any) -> None:
    ids = [card["id"] for card in studio.snapshot(queue)["scenes"]]
    shuffled = random.Random(1).sample(ids, len(ids))
    with row("reorder all"):
        studio.queues.reorder(queue, shuffled)
    with row("undo that"):
        studio.editing.undo(queue)
    with row("change the resolution of all"):
        assert not studio.editing.edit_many(queue, ids, {"resolution": "540P"})["refused"]
    with row("undo that too"):
        studio.editing.undo(queue)
    with row("delete every second scene"):
        studio.editing.delete_many(queue, ids[::2], force=True)
    with row("bring them back"):
        studio.editing.undo(queue)


def _run(studio: Studio, queue: str, row: Any, rendered: int, folder: Path) -> None:
    store = studio._store
    with row("run: preflight and queue all jobs"):
        studio.runs.run(queue)
    with row("run again while all wait"):
        studio.runs.run(queue)
    ids = [card["id"] for card in studio.snapshot(queue)["scenes"]]
    with row("change the seed of all while they wait"):
        assert not studio.editing.edit_many(queue, ids, {"seed": 1}, seed_step=1)["refused"]
    studio.runs.pause(queue)
    with row("look for a job while all of them are paused"):
        assert store.jobs.claim("cpu", "absent") is None
    studio.runs.resume(queue)
    with row("preflight while all wait"):
        studio.preflight.queue(queue)
    with row(f"claim and end the first {rendered:,} jobs", rendered):
        for _ in range(rendered):
            job = store.jobs.claim("cpu", "absent", "9998")
            assert job
            store.ends.finish(job, _take(job.layer, job.queue_id, folder))
            store.runs.end_finished()


def _take(layer: str, queue: str, folder: Path) -> NewTake:
    return NewTake(
        kind="video" if layer == "picture" else "audio", root="outputs", path=f"{layer}.mp4", profile="cpu", seed=1,
        width=1280, height=720, fps=24.0, num_frames=72, duration=3.0, bytes=1_000_000, facts={}, settings={},
        draft=False, seconds=1.0,
    )  # fmt: skip


def _leave(studio: Studio, queue: str, row: Any, rendered: int) -> None:
    with row(f"first GET with {rendered:,} takes"):
        studio.snapshot(queue)
    with row("GET timeline over REST"):
        assert TestClient(make_api(studio)).get(f"/queues/{queue}/timeline").is_success
    with row("stop"):
        studio.runs.stop(queue)
        studio._store.runs.end_finished()
    with row("report of the run"):
        run = studio.reports.list(queue)[0]["id"]
        studio.reports.report(run)
    with row("the same as a page"):
        studio.reports.html(run)
    with row("retry what was stopped"):
        studio.runs.retry(queue)
    with row("delete the queue"):
        studio.queues.delete(queue)


def machine() -> str:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return (
        f"{model}, {cores} cores, load {load:.1f}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--rendered", type=int, default=1000)
    wanted = parser.parse_args()
    ENGINES["absent"] = "bench_ten_thousand:Absent"
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), wanted.scenes, min(wanted.rendered, wanted.scenes))


if __name__ == "__main__":
    main()
