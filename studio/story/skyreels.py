"""The queues of the SkyReels web UI, JSON and Markdown, in the fields of our own episode file. Knows no disk.

Their scenes are nearly ours: this module renames what is called otherwise, reads numbers and booleans that were written
as text, and says in a note for each scene what was translated. What they keep about a run (status, times, output) is
left behind; whether it can be used belongs to the import of a whole installation. A picture that nobody has yet but
that is described (`image_prompt`) becomes a scene of its own before the one that reads it.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from studio.domain import SCENE_CLASSES, SceneBase
from studio.errors import Refused
from studio.story.problem import Problem
from studio.story.translation import Beside, Notes, Translation, numbered, speaker_in, switched, words

# of one job, as /nqueues exports it: what a run left there, not what the user wrote
RUN_FIELDS = frozenset({
    "id", "nq_id", "nq_job_index", "status", "created_at", "started_at", "finished_at", "output_video", "error",
    "progress", "log", "model_id", "use_usp", "pid", "job_id", "audio_duration", "image_path", "project", "ep_code",
})  # fmt: skip
EXTRAS = frozenset({"image_prompt", "audio_text", "voice_id", "audio_bg"})  # what their AI writer adds
FLAGS = frozenset({"offload", "low_vram"})  # signs of SkyReels; the second asks for a profile of ours
TABLE = frozenset({"ref_imgs", "input_video", "input_image", "input_audio", "duration"})  # by task, but always exported
OUR_HEAD = ("title", "frame", "music", "cut", "cast", "defaults")  # a file of ours in which a scene carries their flags
LISTS = ("jobs", "scenes")  # where an exported queue keeps them
SPOKEN_LEVEL = -16  # LUFS of a recording that speaks, as of the whole film
INPUTS = ("input_video", "input_image", "input_audio")

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".avif", ".tif", ".tiff")
_LEGACY = re.compile(r"(?:^|/)result/(?:[^/]+/)?(?P<task>\w+)/(?P<seed>\d+)_\d{4}-\d\d-\d\d_[\d-]++\w*+\.mp4$")
_JOB = re.compile(r"\{\{\s*job:(\d{1,6})\s*\}\}(#first|#last)?")
_PREV = re.compile(r"\{\{\s*prev\s*\}\}(#first|#last)?")


def recognises(content: Any) -> bool:
    """A queue of theirs: a list of jobs in which something is written as only SkyReels does."""
    return any(_is_theirs(job) for job in _jobs(content) if isinstance(job, dict))


def _is_theirs(job: Mapping[str, Any]) -> bool:
    """By what only they write. A file without any such sign is read as ours: most fields are the same."""
    signs = "task_type" in job and bool((EXTRAS | RUN_FIELDS | FLAGS) & job.keys())
    return signs or "jobs" in job or bool(_LEGACY.search(str(job.get("input_video", ""))))


def _jobs(content: Any) -> list[Any]:
    if isinstance(content, dict):
        if "task_type" in content:
            return [content]
        return next((content[name] for name in LISTS if isinstance(content.get(name), list)), [])
    return content if isinstance(content, list) else []


def translate(content: Any, beside: Beside) -> Translation:
    """Raises Refused for the list of all queues that their studio keeps: those are many episodes."""
    content = _one_queue(content)
    jobs = _jobs(content)
    head = content if isinstance(content, dict) and "task_type" not in content else {}
    notes: Notes = {index: [] for index in range(len(jobs))}
    scenes = [_scene(job, notes[index], beside) if isinstance(job, dict) else job for index, job in enumerate(jobs)]
    _link_results(scenes, jobs, notes)
    episode = {name: head[name] for name in OUR_HEAD if name in head}
    episode["title"] = words(head.get("name") or head.get("title"))
    _music(episode, jobs, notes)
    episode["scenes"], notes = _with_pictures(scenes, jobs, notes, beside)
    return Translation(episode, {index: found for index, found in notes.items() if found})


def _one_queue(content: Any) -> Any:
    if isinstance(content, list) and any(isinstance(row, dict) and "jobs" in row for row in content):
        if len(content) > 1:
            names = ", ".join(words(row.get("name"), 60) for row in content[:8] if isinstance(row, dict))
            raise Refused("episode.many_queues", count=len(content), names=names)
        return content[0]
    return content


# ------------------------------------------------------------------------------------------------ one scene
def _scene(job: Mapping[str, Any], notes: list[Problem], beside: Beside) -> dict[str, Any]:
    task = str(job.get("task_type"))
    left = RUN_FIELDS | EXTRAS | {"offload"}
    scene = {name: value for name, value in job.items() if name not in left and value not in ("", None)}
    if isinstance(scene.get("ref_imgs"), str):
        scene["ref_imgs"] = _pictures_in(scene["ref_imgs"]) or [scene["ref_imgs"]]
    scene |= {name: numbered(scene[name]) for name in ("duration", "seed") if name in scene}
    scene |= {name: switched(scene[name]) for name in ("in_cut",) if name in scene}
    if isinstance(scene.get("seed"), int) and scene["seed"] < 0:
        notes.append(Problem("seed", "translated.seed", {"value": scene.pop("seed")}))
    if isinstance(scene.get("resolution"), str):
        scene["resolution"] = scene["resolution"].strip().upper()
    _speech(scene, job, notes, beside)
    if task in SCENE_CLASSES:
        _drop_strangers(scene, SCENE_CLASSES[task], job.keys() & RUN_FIELDS != set(), notes)
    return scene


def _pictures_in(text: str) -> list[str]:
    """Paths of pictures between commas; a name may have commas of its own: it ends where a picture's name can."""
    found: list[str] = []
    parts: list[str] = []
    for part in text.split(","):
        parts.append(part)
        if part.rstrip().lower().endswith(_PICTURES):
            found.append(",".join(parts).strip())
            parts = []
    return found


def _drop_strangers(scene: dict[str, Any], task: type[SceneBase], exported: bool, notes: list[Problem]) -> None:
    """Fields of another task, which their exports carry all; in an export also what nobody here knows."""
    for name in [name for name in scene if name not in task.model_fields and name != "task_type"]:
        if scene[name] in ([], {}, False):
            del scene[name]
        elif name in TABLE or exported:
            notes.append(Problem(name, "translated.dropped", {"value": words(scene.pop(name), 80) or name}))


def _speech(scene: dict[str, Any], job: Mapping[str, Any], notes: list[Problem], beside: Beside) -> None:
    """What is heard: a recording (of an avatar its input, else a sound under the scene); without one the text of a
    voice, as a line."""
    said, recording = words(job.get("audio_text"), 2000), scene.get("input_audio")
    avatar = scene.get("task_type") == "talking_avatar"
    if said and isinstance(recording, str) and recording in beside.lost:
        del scene["input_audio"]
        recording = None
    if avatar and (recording or said):
        scene.pop("duration", None)  # they ignore it there: the sound decides
    if isinstance(recording, str) and not avatar and _is_video(scene):
        scene["effects"] = [{"ref": scene.pop("input_audio"), "at": 0, "level": SPOKEN_LEVEL}]
        notes.append(Problem("input_audio", "translated.effect", {"name": recording}))
    if said and recording:
        field = "input_audio" if avatar else "effects.0.ref"
        notes.append(Problem("audio_text", "translated.recorded", {"value": said[:80]}))
        notes.append(Problem(field, "translated.can_do_without", {"name": recording}))
    elif said:
        voice = words(job.get("voice_id"), 120)
        scene["lines"] = [{"text": said, "voice": voice, "character": speaker_in(str(scene.get("label", "")))}]
        notes.append(Problem("audio_text", "translated.line", {}))


def _is_video(scene: Mapping[str, Any]) -> bool:
    task = SCENE_CLASSES.get(str(scene.get("task_type")))
    return task is not None and task.kind == "video"


def _music(episode: dict[str, Any], jobs: list[Any], notes: Notes) -> None:
    """One bed lies under the whole film: the first that a scene names."""
    beds = {index: words(job.get("audio_bg"), 1000) for index, job in enumerate(jobs) if isinstance(job, dict)}
    beds = {index: name for index, name in beds.items() if name}
    first = next(iter(beds.values()), "")
    for number, (index, name) in enumerate(beds.items()):
        if number == 0:
            notes[index].append(Problem("audio_bg", "translated.music", {"name": name}))
        elif name != first:
            notes[index].append(Problem("audio_bg", "translated.dropped", {"value": name}))
    if first:
        episode["music"] = {"ref": first}


# ------------------------------------------------------------------------------------------------ what scenes read
def _link_results(scenes: list[Any], jobs: list[Any], notes: Notes) -> None:
    """A file that a scene of this very queue made means that scene: by its name, else by `<seed>` in the name."""
    outputs = {
        job["output_video"]: index
        for index, job in enumerate(jobs)
        if isinstance(job, dict) and isinstance(job.get("output_video"), str) and job["output_video"]
    }
    made: dict[tuple[str, str], list[int]] = {}
    for index, scene in enumerate(scenes):
        if isinstance(scene, dict):
            made.setdefault((str(scene.get("task_type")), str(scene.get("seed"))), []).append(index)
    for index, scene in enumerate(scenes):
        for name in INPUTS if isinstance(scene, dict) else ():
            ref = scene.get(name)
            if not isinstance(ref, str):
                continue
            match = _LEGACY.search(ref)
            candidates = made.get((match["task"], match["seed"]), []) if match else []
            source = outputs.get(ref, _nearest(candidates, index))
            if source is not None and source != index:
                note = Problem(name, "translated.reference", {"value": ref, "number": source + 1})
                notes[index].append(note)
                scene[name] = f"{{{{job:{source}}}}}"


def _nearest(candidates: list[int], index: int) -> int | None:
    """The last one before `index`, else the first one after it."""
    at = bisect_left(candidates, index)
    after = [other for other in candidates[at : at + 2] if other != index]
    return candidates[at - 1] if at else after[0] if after else None


def _with_pictures(scenes: list[Any], jobs: list[Any], notes: Notes, beside: Beside) -> tuple[list[Any], Notes]:
    """Before each scene whose picture is only described, a scene that makes it. References count anew."""
    painted = {index for index, scene in enumerate(scenes) if _lacks_picture(scene, jobs[index], notes[index], beside)}
    if not painted:
        return scenes, notes
    places, at = [], 0
    for index in range(len(scenes)):
        at += index in painted
        places.append(at + index)
    found: list[Any] = []
    said: Notes = {}
    for index, scene in enumerate(scenes):
        if isinstance(scene, dict):
            scene = _renumbered(scene, index, places)
        if index in painted:
            found.append(_picture_scene(scene, jobs[index]))
            said[places[index] - 1] = [Problem("prompt", "translated.image_prompt", {"number": places[index] + 1})]
            scene = _reading(scene, f"{{{{job:{places[index] - 1}}}}}", beside)
        found.append(scene)
        said[places[index]] = [_moved(note, places) for note in notes[index]]
    return found, said


def _lacks_picture(scene: Any, job: Any, notes: list[Problem], beside: Beside) -> bool:
    """Is its picture still to be made? One that is named and one that lies there needs no prompt any more."""
    if not isinstance(scene, dict) or not isinstance(job, dict) or not words(job.get("image_prompt")):
        return False
    name = _picture_field(scene)
    named = scene.get(name) if name else None
    first = named[0] if isinstance(named, list) and named else named
    if name and (not first or first in beside.lost):
        return True
    if name and isinstance(first, str) and not first.startswith("{{"):
        notes.append(Problem("ref_imgs.0" if name == "ref_imgs" else name, "translated.can_make", {"name": first}))
    else:
        notes.append(Problem("image_prompt", "translated.dropped", {"value": words(job["image_prompt"], 80)}))
    return False


def _picture_field(scene: Mapping[str, Any]) -> str | None:
    """Where a scene of its task reads the picture that `image_prompt` describes."""
    task = SCENE_CLASSES.get(str(scene.get("task_type")))
    return next((name for name in ("ref_imgs", "input_image") if task and name in task.model_fields), None)


def _picture_scene(scene: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: scene[name] for name in ("resolution", "aspect", "seed") if name in scene}
    prompt = str(job["image_prompt"]).strip()
    return {"task_type": "text_to_image", "label": words(scene.get("label"), 180), "prompt": prompt, **kept}


def _reading(scene: Mapping[str, Any], ref: str, beside: Beside) -> dict[str, Any]:
    name = _picture_field(scene) or ""
    if name != "ref_imgs":
        return {**scene, name: ref}
    others = [other for other in scene.get(name) or () if other not in beside.lost]
    return {**scene, name: [ref, *others][:4]}


def _renumbered(scene: dict[str, Any], index: int, places: list[int]) -> dict[str, Any]:
    """`{{job:N}}` counts the scenes that were put in; `{{prev}}` never meant a picture that was put in."""
    for name in INPUTS:
        ref = scene.get(name)
        if not isinstance(ref, str):
            continue
        if match := _JOB.fullmatch(ref):
            number = int(match[1])
            scene[name] = (
                f"{{{{job:{places[number] if number < len(places) else number + len(places)}}}}}{match[2] or ''}"
            )
        elif (match := _PREV.fullmatch(ref)) and index:
            scene[name] = f"{{{{job:{places[index - 1]}}}}}{match[1] or ''}"
    return scene


def _moved(note: Problem, places: list[int]) -> Problem:
    if note.code != "translated.reference":
        return note
    return Problem(note.field, note.code, {**note.params, "number": places[note.params["number"] - 1] + 1})
