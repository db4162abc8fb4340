"""What lies in a folder of SkyReels' web UI, in our words: its queues, the videos they made, the cast of its projects.

Reads what a JSON says and how a file is called; never fails as a whole: what cannot be used is said in problems. Knows
no disk, no store and no video.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from ulid import ULID

from studio.domain import SCENE_CLASSES, SceneAdapter, SceneBase, one_line
from studio.errors import StudioError
from studio.story.episode import Episode, parse, plain
from studio.story.problem import Problem

QUEUES = "uploads/queues.json"
RESULTS, PROJECTS = "result", "projetos"
PORTRAITS = "figurantes"
PROJECT_FOLDERS = ("imagens", "figurantes", "audios")  # what is in them belongs to the project
FINISHED = "finalized"  # films that were cut already: no scenes
MAX_QUEUES = 1000
ENGINE = "skyreels"  # what made those takes

_VIDEO = re.compile(
    r"result/(?:(?P<project>[^/]+)/)?(?P<task>\w+)/(?P<seed>\d{1,18})_(?P<at>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)"
    r"(?P<audio>_with_audio)?\.mp4"
)
_CODE = re.compile(r"EP\d{3,9}")


@dataclass(frozen=True, slots=True)
class OldVideo:
    """A finished video, by its name."""

    path: str  # relative to the installation
    project: str
    task: str
    seed: int
    at: str  # ISO 8601, local time; sorts as text
    with_audio: bool

    @property
    def silent(self) -> str:
        """The path of the same video before the sound was put in."""
        return self.path.replace("_with_audio.mp4", ".mp4")


@dataclass(frozen=True, slots=True)
class OldQueue:
    key: str  # an id made of what only this queue has: the same at every reading
    number: int | None  # its id over there
    name: str
    project: str
    code: str
    episode: Episode | None  # None: without a scene that can be read
    jobs: Sequence[Mapping[str, Any]]  # as they are over there, one for each entry of the episode
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class OldInstallation:
    queues: Sequence[OldQueue] = ()
    problems: Sequence[Problem] = field(default=())


def read_queues(text: bytes | str) -> OldInstallation:
    """What uploads/queues.json holds."""
    try:
        content = plain(json.loads(text.decode("utf-8", "replace") if isinstance(text, bytes) else text))
    except (ValueError, RecursionError) as error:
        return OldInstallation((), (Problem("", "installation.broken_queues", {"reason": str(error)[:200]}),))
    if not isinstance(content, list):
        return OldInstallation((), (Problem("", "installation.broken_queues", {"reason": "no list"}),))
    problems = [
        Problem(str(index), "installation.broken_queue", {"number": index + 1})
        for index, queue in enumerate(content)
        if not isinstance(queue, dict)
    ]
    found = [_queue(queue) for queue in content[:MAX_QUEUES] if isinstance(queue, dict)]
    return OldInstallation(tuple(found), tuple(problems))


def _queue(values: Mapping[str, Any]) -> OldQueue:
    listed = values.get("jobs")
    jobs = [job for job in listed if isinstance(job, dict)] if isinstance(listed, list) else []
    name = one_line(str(values.get("name") or "")) or "SkyReels"
    code = str(values.get("ep_code") or "")
    number = values.get("id")
    episode, problems = None, []
    try:
        episode = parse(json.dumps({"name": name, "jobs": jobs})) if jobs else None
    except StudioError as error:
        problems.append(Problem("", error.code, error.params))
    return OldQueue(
        key=_key(values, jobs),
        number=number if isinstance(number, int) else None,
        name=name,
        project=one_line(str(values.get("project") or "")),
        code=code if _CODE.fullmatch(code) else "",
        episode=episode,
        jobs=jobs,
        problems=tuple(problems),
    )


def _key(values: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]) -> str:
    """Shaped like our ids; the same wherever the folder lies, so that a second import finds what is here already."""
    facts = [values.get("id"), values.get("name"), values.get("created_at"), [job.get("id") for job in jobs]]
    return key_of(json.dumps(facts, default=str))


def key_of(text: str) -> str:
    return str(ULID.from_bytes(sha256(text.encode("utf-8", "replace")).digest()[:16]))


# ------------------------------------------------------------------------------------------------ videos
def video_of(path: str) -> OldVideo | None:
    """A video of result/ by its path below the installation; None for a film, or another file."""
    match = _VIDEO.fullmatch(path.replace("\\", "/"))
    if match is None or match["task"] == FINISHED:
        return None
    try:
        at = datetime.strptime(match["at"], "%Y-%m-%d_%H-%M-%S").isoformat()
    except ValueError:
        return None
    return OldVideo(match[0], match["project"] or "", match["task"], int(match["seed"]), at, bool(match["audio"]))


def without_silent_twins(videos: Sequence[OldVideo]) -> list[OldVideo]:
    """An avatar is written silent first; of the two only the one with sound is a take."""
    spoken = {video.silent for video in videos if video.with_audio}
    return [video for video in videos if video.path not in spoken]


def takes_of(
    queue: OldQueue, videos: Sequence[OldVideo], made_for: Mapping[str, Mapping[str, Any]]
) -> dict[int, list[OldVideo]]:
    """By scene of a queue its videos, oldest first, the one that SkyReels shows last.

    `made_for`: by path, the job that the sidecar `<stem>.input.json` holds."""
    by_path = {video.path: video for video in videos}
    places = {job.get("id"): index for index, job in enumerate(queue.jobs) if job.get("id") is not None}
    found: dict[int, list[OldVideo]] = {}
    for path, job in made_for.items():
        index = places.get(job.get("id")) if job.get("nq_id") == queue.number is not None else None
        if index is not None and path in by_path and by_path[path].task == queue.jobs[index].get("task_type"):
            found.setdefault(index, []).append(by_path[path])
    for index, job in enumerate(queue.jobs):
        shown = by_path.get(_output(job))
        rows = sorted((video for video in found.get(index, ()) if video != shown), key=lambda video: video.at)
        if rows or shown:
            found[index] = [*rows, shown] if shown else rows
    return found


def _output(job: Mapping[str, Any]) -> str:
    return str(job.get("output_video") or "").replace("\\", "/")


def scene_of(video: OldVideo, sidecar: Mapping[str, Any]) -> tuple[SceneBase, list[Problem]]:
    """A scene for a video that no queue speaks of, from its sidecar; at worst one that has its name for a prompt."""
    stem = video.path.rpartition("/")[2].removesuffix(".mp4")
    values = {**sidecar, "task_type": video.task, "seed": video.seed, "label": stem, "status": "done"}
    seconds = re.match(r"\d+(\.\d+)?", str(sidecar.get("duration", "")))
    values.pop("duration", None)
    if seconds:
        values["duration"] = float(seconds[0])
    problems: list[Problem] = []
    if video.task in SCENE_CLASSES:
        try:
            entry = parse(json.dumps([plain(values)])).entries[0]
        except (StudioError, ValueError, RecursionError):
            entry = None
        if entry and entry.scene is not None and not entry.problems:
            return entry.scene, problems
        problems = list(entry.problems) if entry else []
    prompt = str(sidecar.get("prompt") or stem)[:10_000]
    scene: SceneBase = SceneAdapter.validate_python(
        {"task_type": "text_to_video", "label": stem, "prompt": plain(prompt), "seed": video.seed}
    )
    return scene, problems


def odd_state(job: Mapping[str, Any], finished: bool) -> Problem | None:
    """What the queue says of a scene and what there is of it do not fit."""
    status = str(job.get("status") or "idle")[:40]
    if finished or status == "idle":
        return None
    if status == "done":
        return Problem("output_video", "installation.no_video", {"name": _output(job)[:200] or "…"})
    return Problem("status", "installation.state", {"state": status})


# ------------------------------------------------------------------------------------------------ cast
def character_name(file_name: str) -> str:
    """`figurantes_escola.png` is called "figurantes escola"."""
    return re.sub(r"[\s_]+", " ", file_name.rpartition(".")[0] or file_name).strip()[:120] or "…"


def sidecar_of(text: bytes) -> dict[str, Any]:
    """What a sidecar says; nothing where it is broken."""
    try:
        content = plain(json.loads(text.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
