"""What goes on now: right after every change, and cheap for pages that ask every second."""

from typing import Any

import pytest

from studio.domain import Frame
from studio.service import Studio
from studio.service.preflight_report import pixels_of

SHOT = {"task_type": "text_to_video", "prompt": "a shot"}


def test_the_time_left_grows_with_what_is_asked_for(studio: Studio) -> None:
    queue = str(studio.queues.create("Night")["id"])
    for _ in range(3):
        studio.scenes.add(queue, {**SHOT, "duration": 1, "resolution": "480P"})
    studio.runs.run(queue)
    assert studio.system.now()["eta_is_guess"]
    studio.drain()
    assert studio.system.now()["eta"] is None

    def left(**how: Any) -> float:
        scene = studio.scenes.add(queue, {**SHOT, **how})["id"]
        studio.runs.run(queue, only=[scene])
        now = studio.system.now()
        studio.scenes.delete(scene)
        assert not now["eta_is_guess"]
        return float(now["eta"])

    short = left(duration=100, resolution="480P")
    assert left(duration=500, resolution="480P") == pytest.approx(5 * short, rel=0.05)
    assert left(duration=100, resolution="720P") > 2 * short


def test_what_waits_is_counted_once_for_every_change(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    count = studio._store.jobs.waiting

    def waiting(at: str) -> list[dict[str, Any]]:
        counted.append(at)
        return count(at)

    monkeypatch.setattr(studio._store.jobs, "waiting", waiting)
    minute = studio._runner.date()
    monkeypatch.setattr(studio._runner, "date", lambda: minute)
    queue = str(studio.queues.create("Night")["id"])
    studio.scenes.add(queue, SHOT)
    assert [studio.system.now()["waiting"] for _ in range(3)] == [0, 0, 0]
    assert len(counted) == 1
    studio.runs.run(queue)
    assert (studio.system.now()["waiting"], studio.system.now()["paused"]) == (1, False)
    studio.runs.pause(queue)
    assert (studio.system.now()["waiting"], studio.system.now()["paused"]) == (0, True)
    assert len(counted) == 3


@pytest.mark.parametrize(
    ("engine", "task", "size", "frames"),
    [
        ("wan2.1-t2v-14b", "text_to_video", (1280, 720), 10 * 16),
        ("skyreels-v2-df-14b", "single_shot_extension", (1280, 720), 10 * 24),
        ("svd-xt", "image_to_video", (1024, 576), 25),  # however long, and at the size it was trained at
        ("sdxl", "text_to_image", (1344, 768), 1),
        ("sd-turbo", "text_to_image", (688, 384), 1),
        ("wan2.2-ti2v-5b", "text_to_video", (1280, 704), 10 * 24),  # multiples of 32
        ("gone", "text_to_video", (1280, 720), 10 * 24),  # an engine that was taken out
        ("draft", "text_to_video", (640, 360), 10 * 12),  # in the queue's frame
    ],
)
def test_what_waits_is_as_many_frames_as_its_engine_makes(
    engine: str, task: str, size: tuple[int, int], frames: int
) -> None:
    frame = Frame(width=640, height=360, fps=12).model_dump_json()
    job = {"engine": engine, "task": task, "resolution": "720P", "aspect": "16:9", "frame": frame}
    assert pixels_of(job, 10.0) == size[0] * size[1] * frames
