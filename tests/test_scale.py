"""Ten times the scenes take about ten times as long, not a hundred: nothing that touches a whole queue is quadratic.

Figures of ten thousand scenes: scripts/bench_ten_thousand.py. Here only how they grow; a hundred-fold would be seen.
"""

import json
import time
from collections.abc import Callable

from studio.service import Studio
from studio.store import NewTake

FEW, FACTOR = 120, 10
MOST = 40  # times as long, for FACTOR times the scenes: what is linear takes 10, what is quadratic 100
LEAST = 0.01  # seconds: below, a clock tells nothing


def chained(count: int) -> str:
    """Every scene goes on where the one before it ended; every third one speaks."""
    first = {"task_type": "text_to_video", "label": "0", "prompt": "a lamp", "duration": 1}
    scenes = [first] + [
        {
            "task_type": "single_shot_extension", "label": str(number), "prompt": "and on", "duration": 1,
            "input_video": "{{prev}}", "lines": [] if number % 3 else [{"text": f"Line {number}."}],
        }
        for number in range(1, count)
    ]  # fmt: skip
    return json.dumps({"title": str(count), "defaults": {"engine": "instant"}, "scenes": scenes})


def a_life(studio: Studio, count: int) -> dict[str, float]:
    """Seconds of processor time of every step in the life of a queue."""
    took: dict[str, float] = {}

    def timed(step: str, verb: Callable[[], object]) -> None:
        before = time.process_time()
        verb()
        took[step] = time.process_time() - before

    timed("check", lambda: studio.episodes.check(chained(count)))
    timed("import", lambda: studio.episodes.import_file(chained(count)))
    queue = str(studio.queues.list()[-1]["id"])
    ids = [card["id"] for card in studio.queues.get(queue)["scenes"]]
    timed("first look", lambda: studio.snapshot(queue))
    timed("preflight", lambda: studio.preflight.queue(queue))
    timed("timeline", lambda: studio.exports.timeline(queue))
    timed("reorder", lambda: studio.queues.reorder(queue, ids[::-1]))
    timed("undo the order", lambda: studio.editing.undo(queue))
    timed("edit", lambda: studio.editing.edit_many(queue, ids, {"resolution": "540P"}))
    timed("undo the edit", lambda: studio.editing.undo(queue))
    timed("run", lambda: studio.runs.run(queue))
    timed("edit what waits", lambda: studio.editing.edit_many(queue, ids, {"seed": 1}, seed_step=1))
    for layer in ("voice", "picture"):
        (studio.settings.output_dir / f"{layer}.mp4").touch()
    timed("render", lambda: _rendered(studio))
    timed("look at takes", lambda: studio.snapshot(queue))
    studio.scenes.edit(ids[0], {"prompt": "another lamp"})  # all that follows was made of it
    timed("run what follows", lambda: studio.runs.run(queue))
    timed("stop", lambda: studio.runs.stop(queue))
    studio._store.runs.end_finished()
    run = studio.reports.list(queue)[0]["id"]
    timed("report", lambda: studio.reports.report(run))
    timed("retry", lambda: studio.runs.retry(queue))
    timed("hold back", lambda: studio.runs.stop_after_scene(queue))
    timed("delete scenes", lambda: studio.editing.delete_many(queue, ids[::2], force=True))
    timed("bring them back", lambda: studio.editing.undo(queue))
    timed("delete", lambda: studio.queues.delete(queue))
    return took


def _rendered(studio: Studio) -> None:
    """Every job, in order, as the runner ends them; all takes are one file."""
    store = studio._store
    last: dict[str, str] = {}
    while job := store.jobs.claim("cpu", "instant"):
        needs = store.queues.needs(job.scene_id) if job.layer == "picture" else ()  # voices come before any picture
        sources = {scene: last[scene] for scene in needs}
        take = store.ends.finish(job, _take(job.layer, {"sources": sources}))
        if take and job.layer == "picture":
            last[job.scene_id] = take
        store.runs.end_finished()


def _take(layer: str, facts: dict[str, object]) -> NewTake:
    return NewTake(
        kind="video" if layer == "picture" else "audio", root="outputs", path=f"{layer}.mp4", profile="cpu", seed=1,
        width=32, height=32, fps=8.0, num_frames=8, duration=1.0, bytes=100, facts=facts, settings={}, draft=False,
    )  # fmt: skip


def test_no_step_in_the_life_of_a_queue_is_quadratic(studio: Studio) -> None:
    grown = grows(studio)
    if max(grown.values()) >= MOST:  # a busy machine measures short steps badly; what is quadratic is so again
        again = grows(studio)
        grown = {step: min(times, again[step]) for step, times in grown.items()}
    assert max(grown.values()) < MOST, grown


def grows(studio: Studio) -> dict[str, float]:
    """By step: how many times as long it takes for FACTOR times the scenes."""
    few, many = a_life(studio, FEW), a_life(studio, FEW * FACTOR)
    return {step: round(many[step] / max(few[step], LEAST), 1) for step in few}
