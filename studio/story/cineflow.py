"""CineFlow's storyboards, V1 and V2, JSON and Markdown, in the fields of our own episode file. Knows no disk.

A segment names its people, place and props and never a file: their pictures lie beside the storyboard by name
(`asset/character/Inês.png`, `asset/segment/3_start.png`). With a first frame a segment becomes image_to_video, with
pictures of what it shows reference_to_video, otherwise text_to_video. Their `@ids` mean something to one paid service
only and are taken out of the prompt; the names stay.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from studio.story.problem import Problem
from studio.story.translation import PICTURES, Beside, Notes, Translation, frame_for, listed, numbered, switched, words

SECONDS = 10  # what they take where nothing is said
ASPECTS = {"horizontal": "16:9", "vertical": "9:16", "square": "1:1", "landscape": "16:9", "portrait": "9:16"}
MAX_REFERENCES = 4
MAX_LABEL = 120
MAX_CAST = 200  # as of any episode

_BEFORE = r"(?<!\s)\s*+\(?@"  # a run of spaces is looked at once, not from each of its spaces
_AFTER = r"(?![A-Za-z0-9_-]|\.\w)\)?"
_HANDLE = re.compile(rf"{_BEFORE}[A-Za-z0-9_-]+{_AFTER}")  # a mail address is none
_MARKED = re.compile(r"\(\((?!\()(.{1,300}?)\)\)")
_SAID_BY = re.compile(r"^\s*(?P<who>[^:：\"“「]{1,40})[:：]\s*(?P<what>.+)$", re.DOTALL)


def recognises(content: Any) -> bool:
    return any(isinstance(segment, dict) and "prompt_text" in segment for segment in _segments(content))


def _segments(content: Any) -> list[Any]:
    if isinstance(content, dict):
        alone = [content] if "prompt_text" in content else []
        content = content.get("segments", content.get("scenes", alone))  # `scenes`: as Markdown is read
    return content if isinstance(content, list) else []


def translate(content: Any, beside: Beside) -> Translation:
    head = content if isinstance(content, dict) else {}
    meta = head["metadata"] if isinstance(head.get("metadata"), dict) else {}
    bible = _bible(head.get("character_bible"))
    notes: Notes = {}
    scenes = []
    for index, segment in enumerate(_segments(content)):
        if isinstance(segment, dict):
            segment = _scene(segment, index, bible, beside, notes.setdefault(index, []))
        scenes.append(segment)
    episode: dict[str, Any] = {
        "title": words(meta.get("project_name") or meta.get("title") or head.get("title")),
        "scenes": scenes,
    }
    if bible:
        episode["cast"] = [
            {"name": name, "voice": words(row.get("voice_id"), 120), "look": words(row.get("description"), 1000)}
            for name, row in bible.items()
        ]
    if frame := frame_for(scenes):
        episode["frame"] = frame
    return Translation(episode, {index: found for index, found in notes.items() if found})


def _bible(rows: Any) -> dict[str, Mapping[str, Any]]:
    """Their characters by name."""
    found = [row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)]
    return dict([(name, row) for row in found if (name := words(row.get("name"), 120))][:MAX_CAST])


# ------------------------------------------------------------------------------------------------ one segment
def _scene(
    segment: Mapping[str, Any], index: int, bible: Mapping[str, Any], beside: Beside, notes: list[Problem]
) -> dict[str, Any]:
    number = words(segment.get("segment_index"), 20) or str(index + 1)
    asset = segment["asset"] if isinstance(segment.get("asset"), dict) else segment  # Markdown has its fields flat
    people = [person for person in map(_person, listed(asset.get("characters"))) if any(person)]
    handles = {handle for _, handle in people} | {words(row.get("id"), 60).lstrip("@") for row in bible.values()}
    scene: dict[str, Any] = {
        "task_type": "text_to_video",
        "label": _label(segment, number, words(asset.get("scene")), notes),
        "prompt": _prompt(segment["prompt_text"], handles) if isinstance(segment.get("prompt_text"), str) else None,
    }
    _video(scene, segment, notes)
    if lines := _lines(segment.get("dialogue"), [name for name, _ in people]):
        scene["lines"] = lines
        notes.append(Problem("dialogue", "translated.line", {}))
    if switched(segment.get("is_pro")) is True:
        notes.append(Problem("is_pro", "translated.dropped", {"value": "is_pro"}))
    return scene | _pictures(segment, asset, people, number, beside, notes)


def _label(segment: Mapping[str, Any], number: str, place: str, notes: list[Problem]) -> str:
    """What the director meant is the best name of a shot; a long one is said in full, because it is not kept."""
    intent = words(segment.get("director_intent"), 10_000)
    named = words(segment.get("beat_ref") or segment.get("label")) or (intent if len(intent) <= MAX_LABEL else "")
    if intent and intent != named:
        notes.append(Problem("director_intent", "translated.dropped", {"value": intent[:300]}))
    return f"{number} · {named or place}".rstrip(" ·")[:200]


def _video(scene: dict[str, Any], segment: Mapping[str, Any], notes: list[Problem]) -> None:
    """Duration and aspect, V1 flat and V2 in `video_params`; a camera move belongs into the prompt."""
    params = segment["video_params"] if isinstance(segment.get("video_params"), dict) else {}
    duration = numbered(segment.get("duration_seconds", params.get("duration")))
    scene["duration"] = SECONDS if duration in (None, "") else duration
    if duration in (None, ""):
        notes.append(Problem("duration", "translated.default", {"value": f"{SECONDS} s"}))
    shape = segment.get("resolution", params.get("resolution"))
    if shape not in (None, ""):
        scene["aspect"] = ASPECTS.get(str(shape).strip().lower(), shape)
    camera = words(params.get("camera_movement"))
    if camera and scene["prompt"]:
        scene["prompt"] = f"{scene['prompt']} {camera}."
        notes.append(Problem("camera_movement", "translated.into_prompt", {"value": camera}))


def _prompt(text: str, handles: Iterable[str]) -> str:
    """Names without marks and handles. Only whole handles go: `@li` does not touch `@lina` or `mail@li.pt`."""
    text = _MARKED.sub(lambda found: found[1].strip(), text)
    here = sorted((handle for handle in handles if handle and handle in text), key=len, reverse=True)
    if here:  # those that we know may be of any alphabet
        text = re.sub(rf"{_BEFORE}\s*+(?:{'|'.join(map(re.escape, here))}){_AFTER}", " ", text)
    text = _HANDLE.sub(" ", text)
    text = re.sub(r"`([^`\n]*)`", lambda found: f"{found[1].strip()} ", text)
    return re.sub(r" +([,.;:!?，。；：！？、]|$)", r"\1", re.sub(r"[ \t]+", " ", text)).strip()


def _person(item: Any) -> tuple[str, str]:
    """(name, handle) of `{name, id}`, "Name@id", "Name (@id)" or "[Name]"."""
    if isinstance(item, dict):
        return words(item.get("name"), 120), words(item.get("id"), 60).lstrip("@")
    name, _, handle = words(item).replace("`", "").partition("@")
    return name.strip(" ([])（）"), handle.strip(" )]")


def _lines(dialogue: Any, people: list[str]) -> list[dict[str, str]]:
    """Spoken words, each with who says them where that is known: named before a colon, or alone in the shot."""
    found = []
    for item in dialogue if isinstance(dialogue, list) else [dialogue]:
        row = item if isinstance(item, dict) else {"text": item}
        text = words(row.get("text") or row.get("line") or row.get("content"), 2000)
        who = words(row.get("character") or row.get("speaker") or row.get("name"), 120)
        if not who and (match := _SAID_BY.match(text)):
            who, text = match["who"].strip(), match["what"]
        if text := text.strip(' "“”「」'):
            found.append({"character": who or (people[0] if len(people) == 1 else ""), "text": text})
    return found


# ------------------------------------------------------------------------------------------------ its pictures
def _pictures(
    segment: Mapping[str, Any], asset: Mapping[str, Any], people: list[tuple[str, str]], number: str, beside: Beside,
    notes: list[Problem],
) -> dict[str, Any]:  # fmt: skip
    """The task and the inputs that the pictures beside the storyboard allow."""
    url = segment.get("image_url")
    first = url.strip() if isinstance(url, str) and url.strip() not in beside.lost else ""
    if first and not first.startswith(("http://", "https://")):
        notes.append(Problem("input_image", "translated.can_do_without", {"name": first}))
    last = beside.first(_frames(number, "end"))
    if first := first or beside.first([*_frames(number, "start"), *_named("segment", f"segment-{number}", number)]):
        return {"task_type": "image_to_video", "input_image": first, **({"end_image": last} if last else {})}
    wanted = [(place := words(asset.get("scene")), _named("scene", place))]
    wanted += [(name or handle, _named("character", *_portraits(name, handle))) for name, handle in people]
    wanted += [(prop, _named("props", prop)) for prop in map(words, listed(asset.get("props")))]
    found = [beside.first(names) for _, names in wanted]
    refs = list(dict.fromkeys([*filter(None, found), *filter(None, [beside.first(_frames(number, "grid")), last])]))
    if not refs:
        if people:
            names = ", ".join(name or handle for name, handle in people)
            notes.append(Problem("asset", "translated.no_pictures", {"names": names}))
        return {}
    if len(refs) > MAX_REFERENCES:
        notes.append(Problem("ref_imgs", "translated.dropped", {"value": ", ".join(refs[MAX_REFERENCES:])}))
    return {"task_type": "reference_to_video", "ref_imgs": refs[:MAX_REFERENCES]}


def _portraits(name: str, handle: str) -> list[str]:
    """What the picture of somebody may be called, the most exact first."""
    with_handle = [f"{name} @{handle}", f"{name}@{handle}", f"{name} (@{handle})"] if name and handle else []
    return [*with_handle, *([name, f"[{name}]"] if name else []), *([handle] if handle else [])]


def _frames(number: str, part: str) -> list[str]:
    """Where the first, last or grid frame of a segment may lie: in the asset folder, or beside the storyboard."""
    stems = (f"{number}_{part}", f"segment-{number}_{part}")
    return [*_named("segment", *stems), *(f"{stem}{suffix}" for stem in stems for suffix in PICTURES)]


def _named(folder: str, *stems: str) -> list[str]:
    """The files that may be the picture of a name; none for a name that cannot be a file's."""
    usable = [stem for stem in stems if stem and not re.search(r"[/\\\0]", stem)]
    return [f"asset/{folder}/{stem}{suffix}" for stem in usable for suffix in PICTURES]
