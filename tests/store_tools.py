"""Rows for the tests of studio.store: a store without a studio around it, scenes, jobs and takes without files."""

from pathlib import Path
from typing import Any

from studio.domain import ImageToVideo, Job, Line, SceneBase, State, TextToVideo
from studio.media.roots import Roots
from studio.store import NewTake, Store, Wanted

ERROR = {"code": "job.broken", "params": {"reason": "test"}}


def open_store(folder: Path) -> Store:
    return Store(folder / "data" / "studio.db", Roots({"outputs": folder / "outputs"}))


def shot(label: str = "", lines: int = 0, **fields: Any) -> SceneBase:
    return TextToVideo(label=label, prompt="a shot", lines=[Line(text=f"line {n}") for n in range(lines)], **fields)


def after(source: str) -> SceneBase:
    """A scene that reads the picture of another."""
    return ImageToVideo(prompt="and then", input_image=source if source.startswith("{{") else f"scene:{source}")


def picture(scene_id: str, engine: str = "one") -> Wanted:
    return Wanted(scene_id, None, "picture", engine, "cpu")


def voice(scene_id: str, line_id: str, engine: str = "one") -> Wanted:
    return Wanted(scene_id, line_id, "voice", engine, "cpu")


def all_of(store: Store, scene_id: str, engine: str = "one") -> list[Wanted]:
    """A job for every line, then the picture."""
    lines = store.queues.scene(scene_id).scene.lines
    return [*(voice(scene_id, line.id, engine) for line in lines), picture(scene_id, engine)]


def made(job: Job, **values: Any) -> NewTake:
    """What came of a job."""
    plain: dict[str, Any] = {
        "kind": "video" if job.layer == "picture" else "audio", "root": "outputs", "path": f"{job.id}.mp4",
        "profile": "cpu", "seed": 1, "width": 32, "height": 32, "fps": 8.0, "num_frames": 8, "duration": 1.0,
        "bytes": 100, "facts": {}, "settings": {"label": "", "prompt": "a shot"}, "draft": False,
    }  # fmt: skip
    return NewTake(**(plain | values))


def render(store: Store, scene_id: str, **values: Any) -> str:
    """Queue the picture of a scene, claim it and finish it; the take's id."""
    store.jobs.enqueue([picture(scene_id)])
    job = store.jobs.claim("cpu")
    assert job is not None and job.scene_id == scene_id
    take_id = store.ends.finish(job, made(job, **values))
    assert take_id
    return take_id


def claimed(store: Store, resident: str | None = None) -> Job:
    job = store.jobs.claim("cpu", resident)
    assert job is not None
    return job


def states(store: Store, queue_id: str) -> list[State]:
    return [row.state for row in store.queues.scenes(queue_id)]
