"""The queues of the SkyReels web UI, JSON and Markdown, in the fields of our own episode file. Knows no disk.

Their scenes are nearly ours: this module renames what is called otherwise, reads numbers and booleans that were written
as text, and says in a note for each scene what was translated. What they keep about a run (status, times, output) is
left behind; whether it can be used belongs to the import of a whole installation.
"""

import re
from collections.abc import Mapping
from typing import Any

from studio.domain import SCENE_CLASSES
from studio.story.problem import Problem

# of one job, as /nqueues exports it: what a run left there, not what the user wrote
RUN_FIELDS = frozenset({
    "id", "nq_id", "nq_job_index", "status", "created_at", "started_at", "finished_at", "output_video", "error",
    "progress", "log", "model_id", "use_usp", "pid", "job_id",
})  # fmt: skip
EXTRAS = frozenset({"image_prompt", "audio_text", "voice_id", "audio_bg"})  # what their AI writer adds
MAX_PATHS = 20_000  # characters of four paths; the search for their ends is slow on more
LISTS = ("jobs", "scenes")  # where an exported queue keeps them

_PICTURES = re.compile(r"\s*(.+?\.(?:png|jpe?g|webp|bmp|gif|avif|tiff?))\s*(?:,|$)", re.IGNORECASE)
_LEGACY = re.compile(r"(?:^|/)result/(?:[^/]+/)?(?P<task>\w+)/(?P<seed>\d+)_\d{4}-\d\d-\d\d_[\d-]+\w*\.mp4$")

Notes = dict[int, list[Problem]]


def recognises(content: Any) -> bool:
    """A queue of theirs: a list of jobs in which something is written as only SkyReels does."""
    jobs = _jobs(content)
    return jobs is not None and any(_is_theirs(job) for job in jobs if isinstance(job, dict))


def _is_theirs(job: Mapping[str, Any]) -> bool:
    """By what only they write. A file without any such sign is read as ours: most fields are the same."""
    return bool((EXTRAS | RUN_FIELDS) & job.keys()) or bool(_LEGACY.search(str(job.get("input_video", ""))))


def _jobs(content: Any) -> list[Any] | None:
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        return next((content[name] for name in LISTS if isinstance(content.get(name), list)), None)
    return None


def from_markdown(text: str) -> list[dict[str, Any]] | None:
    """A heading starts a scene and is its name; `- key: value` are its fields. None: this is no such file."""
    jobs: list[dict[str, Any]] = []
    for line in map(str.strip, text.splitlines()):
        name, colon, value = line[1:].partition(":")
        if line.startswith("#") and (heading := line.lstrip("#").strip()):
            jobs.append({"label": heading})
        elif line.startswith(("-", "*")) and colon and jobs and name.strip().isidentifier():
            jobs[-1][name.strip().lower()] = value.strip()
    scenes = [job for job in jobs if "task_type" in job]
    return scenes or None


def translate(content: Any) -> tuple[dict[str, Any], Notes]:
    """Our episode, and notes by scene. `content` was recognised, or came out of `from_markdown`."""
    jobs = _jobs(content) or []
    head = content if isinstance(content, dict) else {}
    notes: Notes = {}
    scenes = [_scene(job, notes.setdefault(index, [])) if isinstance(job, dict) else job
              for index, job in enumerate(jobs)]  # fmt: skip
    _link_legacy(scenes, notes)
    episode: dict[str, Any] = {"title": str(head.get("name") or head.get("title") or ""), "scenes": scenes}
    beds = [str(job["audio_bg"]) for job in jobs if isinstance(job, dict) and job.get("audio_bg")]
    if beds:
        episode["music"] = {"ref": beds[0]}
        notes[0].append(Problem("audio_bg", "translated.music", {"name": beds[0]}))
    return episode, {index: found for index, found in notes.items() if found}


def _scene(job: Mapping[str, Any], notes: list[Problem]) -> dict[str, Any]:
    known = SCENE_CLASSES[task].model_fields if (task := str(job.get("task_type"))) in SCENE_CLASSES else None
    scene = {name: value for name, value in job.items() if name not in RUN_FIELDS | EXTRAS and value not in ("", None)}
    if isinstance(scene.get("ref_imgs"), str) and len(scene["ref_imgs"]) <= MAX_PATHS:
        scene["ref_imgs"] = _PICTURES.findall(scene["ref_imgs"]) or [scene["ref_imgs"]]
    for name in ("duration", "seed"):
        scene = _numbered(scene, name)
    if isinstance(scene.get("seed"), int) and scene["seed"] < 0:
        del scene["seed"]
        notes.append(Problem("seed", "translated.seed", {"value": job["seed"]}))
    if "resolution" in scene:
        scene["resolution"] = str(scene["resolution"]).upper()
        if task == "talking_avatar" and scene["resolution"] == "540P":
            scene["resolution"] = "480P"
            notes.append(Problem("resolution", "translated.resolution", {"wanted": "540P", "got": "480P"}))
    if known and task != "talking_avatar" and "input_audio" in scene:
        notes.append(Problem("input_audio", "translated.dropped", {"value": scene.pop("input_audio")}))
    if job.get("audio_text") and not scene.get("input_audio"):
        scene["lines"] = [{"text": str(job["audio_text"]), "voice": str(job.get("voice_id") or "")[:120]}]
        notes.append(Problem("audio_text", "translated.line", {}))
    if job.get("image_prompt"):
        notes.append(Problem("image_prompt", "translated.dropped", {"value": str(job["image_prompt"])[:80]}))
    for name in [name for name in scene if known and name not in known and name not in ("offload", "low_vram")]:
        if scene[name] in ([], {}, False):
            del scene[name]  # an empty field of another task, as their exports carry them all
    return scene


def _numbered(scene: dict[str, Any], name: str) -> dict[str, Any]:
    """A number that was written as text; text that is no number stays, and is refused with its field's name."""
    value = scene.get(name)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}(\.\d{1,6})?", value):
        return {**scene, name: float(value) if "." in value else int(value)}
    return scene


def _link_legacy(scenes: list[Any], notes: Notes) -> None:
    """`result/<task>/<seed>_<time>.mp4` of a scene in this very queue means that scene."""
    made = {
        (str(scene.get("task_type")), str(scene.get("seed"))): index
        for index, scene in enumerate(scenes)
        if isinstance(scene, dict)
    }
    for index, scene in enumerate(scenes):
        if not isinstance(scene, dict):
            continue
        for name in ("input_video", "input_image", "input_audio"):
            match = _LEGACY.search(str(scene.get(name, "")))
            source = made.get((match["task"], match["seed"])) if match else None
            if source is not None and source != index:
                notes.setdefault(index, []).append(
                    Problem(name, "translated.reference", {"value": scene[name], "number": source + 1})
                )
                scene[name] = f"{{{{job:{source}}}}}"
