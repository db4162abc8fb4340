"""StoryToVideo's storyboards and shots in the fields of our own episode file. Knows no disk.

Its items are `{scene_id, title, prompt, narration, bgm}`; what a request to render says (size, seconds, speaker, style)
may stand around them and holds for all. A narration becomes a line of the narrator: the clip grows until it is spoken.
"""

from collections.abc import Mapping
from typing import Any

from studio.domain import Transition
from studio.story.problem import Problem
from studio.story.translation import (
    SOUNDS,
    Beside,
    Notes,
    Translation,
    frame_for,
    nearest_size,
    numbered,
    words,
)

LISTS = ("storyboard", "shots", "generated_shots", "scenes")
AROUND = ("result", "legacy", "task_shots", "data", "task")  # their answers wrap what we are looking for
SIGNS = frozenset({"narration", "bgm", "bgm_hint", "scene_id", "shot_id"})
TRANSITIONS: Mapping[str, Transition] = {
    "cut": "cut", "none": "cut", "": "cut", "fade": "fade", "dissolve": "dissolve", "crossfade": "dissolve",
    "wipe": "dissolve", "zoom": "dissolve", "kenburns": "dissolve",
}  # fmt: skip
EXACT = frozenset({"cut", "none", "", "fade", "dissolve", "crossfade"})
KNOBS = ("img_steps", "cfg_scale", "images_per_scene", "speed")  # of their models; ours have knobs of their own
PICTURE_FIELDS = ("image_url", "imageUrl", "imagePath", "image_path", "image")


def recognises(content: Any) -> bool:
    items = [item for item in _items(content) if isinstance(item, dict)]
    return any(SIGNS & item.keys() and "task_type" not in item and "prompt_text" not in item for item in items)


def _items(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        return []
    for name in LISTS:
        if isinstance(content.get(name), list):
            return list(content[name])
    wrapped = (content[name] for name in AROUND if isinstance(content.get(name), dict))
    return next((found for inner in wrapped if (found := _items(inner))), [])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def translate(content: Any, beside: Beside) -> Translation:
    items = _items(content)
    head = _dict(content)
    request = head | _dict(head.get("request")) | _dict(head.get("parameters"))
    notes: Notes = {index: [] for index in range(len(items))}
    shared = _shared(request, notes[0] if items else [])
    scenes = [
        _scene(item, index, request, shared, notes[index], beside) if isinstance(item, dict) else item
        for index, item in enumerate(items)
    ]
    episode: dict[str, Any] = {"title": words(head.get("title") or head.get("Title") or head.get("name"))}
    bed = next((name for item in items if isinstance(item, dict) and (name := words(item.get("bgm"), 1000))
                and name.lower().endswith(SOUNDS)), "")  # fmt: skip
    if bed:
        episode["music"] = {"ref": bed}
        notes[0].append(Problem("bgm", "translated.music", {"name": bed}))
    if frame := frame_for(scenes):
        episode["frame"] = frame
    speakers = {line["character"] for scene in scenes if isinstance(scene, dict) for line in scene.get("lines", ())}
    voice = words(request.get("speaker"), 120)
    if speakers and voice:
        episode["cast"] = [{"name": name, "voice": voice} for name in sorted(speakers)]
    episode["scenes"] = scenes
    return Translation(episode, {index: found for index, found in notes.items() if found})


def _shared(request: Mapping[str, Any], notes: list[Problem]) -> dict[str, Any]:
    """What the request around the items says of every scene."""
    shared: dict[str, Any] = {}
    width, height = _measure(request.get("width")), _measure(request.get("height"))
    if width and height:
        shared["resolution"], shared["aspect"] = nearest_size(width, height)
        got = f"{shared['resolution']} {shared['aspect']}"
        notes.append(Problem("resolution", "translated.size", {"wanted": f"{width} × {height}", "got": got}))
    seconds, frames, fps = (_measure(request.get(name)) for name in ("clip_seconds", "video_frames", "fps"))
    if seconds:
        shared["duration"] = seconds
    elif frames and fps:
        shared["duration"] = round(frames / fps, 2)
    for name in ("seed", "negative_prompt"):
        if request.get(name) not in (None, ""):
            shared[name] = numbered(request[name]) if name == "seed" else request[name]
    left = [name for name in KNOBS if name in request and request[name] not in (None, "", 1, 1.0)]
    if left:
        notes.append(Problem("options", "translated.dropped", {"value": ", ".join(left)}))
    return shared


def _measure(value: Any) -> int | float | None:
    """A size, a length, a rate; None for what is none, or what nothing in this world has."""
    number = numbered(value)
    fits = isinstance(number, (int, float)) and not isinstance(number, bool) and 0.01 <= number <= 1_000_000
    return number if fits else None


def _scene(
    item: Mapping[str, Any], index: int, request: Mapping[str, Any], shared: Mapping[str, Any], notes: list[Problem],
    beside: Beside,
) -> dict[str, Any]:  # fmt: skip
    own = {"duration": item.get("duration_sec", item.get("duration")), "seed": item.get("seed"),
           "negative_prompt": item.get("negative_prompt", item.get("negativePrompt"))}  # fmt: skip
    scene: dict[str, Any] = {
        "task_type": "text_to_video",
        **shared,
        **{name: numbered(value) for name, value in own.items() if value not in (None, "", 0)},
        "label": words(item.get("title")) or words(item.get("scene_id") or item.get("shot_id")),
        "prompt": _prompt(item, words(item.get("style") or request.get("style"))),
        "transition": _transition(item, notes),
    }
    said = words(item.get("narration"), 10_000)
    if said:
        scene["lines"] = [{"character": _narrator(said), "text": said}]
        notes.append(Problem("narration", "translated.narration", {"name": _narrator(said)}))
    wish = words(item.get("bgm") or item.get("bgm_hint"))
    if wish and not wish.lower().endswith(SOUNDS):
        notes.append(Problem("bgm", "translated.dropped", {"value": wish}))
    picture = next((words(item[name], 4000) for name in PICTURE_FIELDS if words(item.get(name))), "")
    if picture and picture not in beside.lost:
        scene |= {"task_type": "image_to_video", "input_image": picture}
        notes.append(Problem("input_image", "translated.can_do_without", {"name": picture}))
    return scene


def _prompt(item: Mapping[str, Any], style: str) -> Any:
    """Their style goes before every prompt, as they put it there themselves when they draw."""
    prompt = item.get("prompt") or item.get("description")
    if isinstance(prompt, str) and style and style not in prompt:
        return f"{style}, {prompt}"
    return prompt


def _transition(item: Mapping[str, Any], notes: list[Problem]) -> Transition:
    wanted = words(item.get("transition")).lower()
    got = TRANSITIONS.get(wanted, "cut")
    if wanted not in EXACT:
        notes.append(Problem("transition", "translated.transition", {"wanted": wanted, "got": got}))
    return got


def _narrator(text: str) -> str:
    return "旁白" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "Narrator"
