"""After a crash, a full disk or a close: what a sweep removes and leaves alone, and that no job is lost or stuck."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.domain import new_id
from studio.errors import DiskFull, Unavailable
from studio.runner.recovery import sweep
from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a shot", "duration": 0.25}
PATIENCE = 20.0  # seconds until a test gives up


def until(happened: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.01)


def sidecar(path: Path, job_id: str, **more: Any) -> None:
    values = {"lanterna": "0", "job_id": job_id, "attempt": 1, "engine": "instant", "seed": 1, "task": {}, "facts": {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**values, "settings": {}, "file": "a.mp4", **more}))


def test_a_sweep_removes_only_unfinished_files_that_carry_an_id_of_ours(tmp_path: Path) -> None:
    ours, alive, strange = new_id(), new_id(), new_id()
    gone = [f"03-lamp_t1_7.{ours}.mp4.part", f"film.mp4.{ours}.part", f"03-lamp.{ours}.soundtrack.wav.part"]
    stay = [
        f"03-lamp_t1_7.{alive}.mp4.part", f"03-lamp_t1_7.{strange}.mp4.part", f"03-lamp_t1_7.{ours}.mp4",
        "holiday.mp4.part", f"{ours}.part.mp4", "notes.json", f"talk.{ours[:-1]}.part",
    ]  # fmt: skip
    folder = tmp_path / "outputs" / "EP001"
    folder.mkdir(parents=True)
    for name in gone + stay:
        (folder / name).write_bytes(b"x")
    assert sweep([tmp_path / "outputs", tmp_path / "absent"], {ours, alive}.__contains__, {alive}) == len(gone)
    assert sorted(path.name for path in folder.iterdir()) == sorted(stay)


def test_one_strange_sidecar_keeps_no_other_job_from_going_on(studio: Studio) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    scenes = [str(studio.scenes.add(queue, dict(SHOT))["id"]) for _ in range(2)]
    studio.runs.run(queue)
    jobs = [studio._store.jobs.claim("cpu") for _ in scenes]
    folder = studio._runner.assigner.folder(studio._store.queues.get(queue))
    assert jobs[0]
    sidecar(folder / "a.mp4.json", jobs[0].id, facts={"kind": "video"})  # ours by its name, and says too little
    (folder / "a.mp4").write_bytes(b"x")
    (folder / "deep.json").write_text("[" * 100_000)
    studio._runner.recover()
    first, second = (studio.scenes.get(scene) for scene in scenes)
    assert (first["state"], first["error"]["code"]) == ("failed", "job.broken")
    assert (second["state"], second["note"]) == ("queued", "note.resumed")


def test_a_film_that_is_begun_while_a_crash_is_put_right_is_left_alone(studio: Studio) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    store, folder = studio._store, studio.settings.output_dir
    wreck = store.takes.add_export(queue, "film")
    (folder / f"film.mp4.{wreck}.part").write_bytes(b"x")
    looked = threading.Event()
    recover, studio._runner.recover = studio._runner.recover, lambda: looked.wait(PATIENCE)  # type: ignore[method-assign,assignment,return-value]
    studio.start()
    begun = store.takes.add_export(queue, "film")  # the screen is quicker than the sweep
    (folder / f"film.mp4.{begun}.part").write_bytes(b"x")
    looked.set()
    recover()
    assert [studio.exports.get(export)["state"] for export in (wreck, begun)] == ["failed", "queued"]
    assert [path.name for path in folder.glob("*.part")] == [f"film.mp4.{begun}.part"]


def test_a_job_whose_end_could_not_be_written_is_not_stuck(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, full = studio._store.ends, [True]

    def unless_full(name: str) -> Callable[..., Any]:
        write = getattr(ends, name)

        def written(*arguments: Any, **more: Any) -> Any:
            if full:
                if name == "fail":
                    full.clear()  # somebody makes room, but too late for this try
                raise sqlite3.OperationalError("database or disk is full")
            return write(*arguments, **more)

        return written

    for name in ("finish", "fail"):
        monkeypatch.setattr(ends, name, unless_full(name))
    studio.start()
    scene = str(studio.scenes.generate(dict(SHOT))["id"])
    until(lambda: studio.scenes.get(scene)["state"] == "done")
    assert studio.scenes.get(scene)["takes"] == 1
    assert len(list(studio.settings.output_dir.rglob("*.mp4"))) == 1  # what was made is adopted, not made again


def test_what_runs_when_the_studio_closes_goes_on_at_the_next_start(build: Callable[..., Studio], instant: Any) -> None:
    begun = threading.Event()
    instant.ON_RUN.append(lambda scene, run: begun.set())
    studio = build()
    studio.start()
    scene = str(studio.scenes.generate({**SHOT, "prompt": "wait"})["id"])
    assert begun.wait(PATIENCE)
    studio.close()
    again = build()
    assert again.scenes.get(scene)["state"] == "running"  # nobody cancelled it
    again._runner.recover()
    assert (again.scenes.get(scene)["state"], again.scenes.get(scene)["note"]) == ("queued", "note.resumed")


def test_nothing_remembers_a_cancel_of_what_is_over(studio: Studio) -> None:
    scene = str(studio.scenes.generate(dict(SHOT))["id"])
    studio.drain()
    (job,) = studio._store.jobs.latest([scene])[scene]
    studio._runner.cancel(job.id)
    assert studio._runner._cancelled == set()


# ------------------------------------------------------------------------------------------------ several lanes
def test_the_end_of_one_line_does_not_hide_the_other(studio: Studio, instant: Any) -> None:
    """Two lines of a scene may be spoken at once, in two places of a lane."""
    scene = str(studio.scenes.generate(dict(SHOT))["id"])
    other = object()
    instant.ON_RUN.append(lambda *_: studio._runner.live.update({scene: other}))  # type: ignore[dict-item]
    studio.drain()
    assert studio._runner.live == {scene: other}


def test_a_frame_that_two_lanes_want_is_taken_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, asked, ready = studio.settings.cache_dir / "frame.png", [], threading.Barrier(4)

    def ask(executor: Any, tool: str, arguments: Any) -> None:
        asked.append(tool)
        frame.write_bytes(b"png")

    def want() -> None:
        ready.wait(PATIENCE)
        studio._runner._frame(studio._runner.lanes.cpu[0], Path("a.mp4"), "last", frame)

    monkeypatch.setattr(studio._runner, "ask", ask)
    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert asked == ["frame"]


def test_what_a_job_laid_aside_waits_for_its_next_attempt_and_goes_when_it_ends(studio: Studio, instant: Any) -> None:
    queue = str(studio.queues.create("Pier")["id"])
    scene = str(studio.scenes.add(queue, dict(SHOT))["id"])
    scratch, found = studio._runner.assigner.scratch, []

    def lays_aside_and_is_lost(scene: Any, run: Any) -> None:
        path = run.scratch("window-1")
        found.append(path.read_text() if path.exists() else None)
        path.write_text("the first window")
        run.keep("windows", 1)
        if len(found) == 1:
            raise Unavailable("worker.died", how="told to")

    instant.ON_RUN.append(lays_aside_and_is_lost)
    studio.runs.run(queue)
    assert studio._runner.drain(1) == 1
    assert [path.name for path in scratch.rglob("window-*")] == ["window-1"], "it may be needed again"
    stranger = scratch / new_id()
    stranger.mkdir()
    studio._runner.recover()
    assert not stranger.exists() and list(scratch.rglob("window-*"))
    studio.drain()
    assert found == [None, "the first window"]
    assert studio.scenes.get(scene)["state"] == "done" and not list(scratch.iterdir())


def test_the_seed_that_a_job_drew_is_that_of_its_next_attempt_too(studio: Studio, instant: Any) -> None:
    """What is laid aside for it was made with that one."""
    seeds: list[int] = []

    def is_lost_once(scene: Any, run: Any) -> None:
        seeds.append(run.seed)
        if len(seeds) == 1:
            raise Unavailable("worker.died", how="told to")

    instant.ON_RUN.append(is_lost_once)
    scene = str(studio.scenes.generate({**SHOT, "seed": None})["id"])
    studio.drain()
    first, second = seeds
    (take,) = studio._store.takes.of_scene(scene)
    assert first == second == take.seed
    studio.scenes.run(scene)
    studio.drain()
    assert seeds[2] != first, "another take has another"


@pytest.mark.parametrize("open_studio", [True, False])
def test_what_a_job_laid_aside_goes_when_it_is_cancelled_before_its_next_attempt(
    open_studio: bool, studio: Studio, instant: Any
) -> None:
    """Or a disk that is full stays full."""
    scratch = studio._runner.assigner.scratch

    def lays_aside_and_finds_the_disk_full(scene: Any, run: Any) -> None:
        run.scratch("window-1").write_text("the first window")
        raise DiskFull("disk.full", path="x", free=0)

    instant.ON_RUN.append(lays_aside_and_finds_the_disk_full)
    scene = str(studio.scenes.generate(dict(SHOT))["id"])
    if open_studio:
        studio.start()
        until(lambda: studio.scenes.get(scene)["note"])
    else:
        studio.drain()
    assert list(scratch.rglob("window-*")), "it waits for its next attempt"
    studio.scenes.cancel(scene)
    if open_studio:
        until(lambda: not list(scratch.iterdir()))
    else:
        studio.drain()
        assert not list(scratch.iterdir())
