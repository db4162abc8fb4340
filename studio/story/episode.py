"""The episode file: a JSON array of scenes, or {title, defaults, music, frame, cast, scenes}; SkyReels' queues too.

`parse` never gives up on the whole because of one scene: each scene is understood or carries its problems, by field.
References to other scenes come out as `{{new:N}}`, N counting the file's scenes from 0. Knows no store and no disk.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from studio.domain import SCENE_CLASSES, CutSettings, Frame, Input, Kind, Music, SceneAdapter, SceneBase
from studio.errors import Refused, TooLarge
from studio.story.dialects import OURS, translated
from studio.story.problem import Problem
from studio.story.text import content_of
from studio.story.text import plain as plain
from studio.story.translation import Beside, switched

MAX_SCENES = 10_000
MAX_SAID = 50  # problems, and notes, of one scene: its next thousand helps nobody
PEERS_FLAGS = ("offload", "low_vram")  # the first asks for what `profile: auto`, the default, decides by itself

TOLD = ("resolution", "aspect", "duration", "seed")  # whoever left these open wants to know what they became

_PREV = re.compile(r"\{\{\s*prev\s*\}\}(#first|#last)?")
_JOB = re.compile(r"\{\{\s*job:(\d{1,6})\s*\}\}(#first|#last)?")


class Cast(BaseModel):
    """A character of the episode and the voice that speaks for them."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    name: str = Field(min_length=1, max_length=120)
    voice: str = Field("", max_length=120)
    look: str = Field("", max_length=1000, description="how they look, in words for a prompt")


class Head(BaseModel):
    """Everything of the file but its scenes."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    title: str = Field("", max_length=200)
    defaults: dict[str, Any] = Field(default_factory=dict)
    music: Music | None = None
    frame: Frame | None = None
    cut: CutSettings | None = None
    cast: list[Cast] = Field(default_factory=list, max_length=200)


@dataclass(frozen=True, slots=True)
class Entry:
    """One scene of the file: understood (`scene`) or not (`problems`)."""

    index: int
    label: str
    task_type: str
    scene: SceneBase | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    defaults: tuple[str, ...] = ()  # those of TOLD that nobody said

    def with_problem(self, problem: Problem) -> "Entry":
        return replace(self, problems=(*self.problems, problem))


@dataclass(frozen=True, slots=True)
class Episode:
    head: Head
    entries: tuple[Entry, ...]
    dialect: str = OURS


def parse(text: bytes | str, beside: Beside | None = None) -> Episode:
    """Raises Refused or TooLarge when the file as a whole cannot be read."""
    dialect, content, notes = translated(content_of(text), beside or Beside())
    if isinstance(content, dict) and "scenes" not in content and "task_type" in content:
        content = [content]  # one scene alone
    if isinstance(content, list):
        content = {"scenes": content}
    if not isinstance(content, dict) or not isinstance(content.get("scenes"), list):
        raise Refused("episode.not_an_episode")
    scenes = content["scenes"]
    if not scenes:
        raise Refused("episode.empty")
    if len(scenes) > MAX_SCENES:
        raise TooLarge("episode.too_many_scenes", count=len(scenes), most=MAX_SCENES)
    try:
        head = Head.model_validate({name: value for name, value in content.items() if name != "scenes"})
    except ValidationError as error:
        first = problems_of(error)[0]
        raise Refused("episode.head", field=first.field, why={"code": first.code, "params": first.params}) from error
    return Episode(head, tuple(_without_cycles(_entries(scenes, head.defaults, notes))), dialect)


def _entries(scenes: Sequence[Any], defaults: Mapping[str, Any], notes: Mapping[int, Sequence[Problem]]) -> list[Entry]:
    entries: list[Entry] = []
    previous = -1  # the nearest earlier scene with a picture
    for index, values in enumerate(scenes):
        entry = _entry(values, defaults, index, previous)
        entries.append(replace(entry, notes=(*entry.notes, *notes.get(index, ()))[:MAX_SAID]))
        previous = previous if entry.task_type == "speech" else index
    return entries


# ------------------------------------------------------------------------------------------------ one scene
def _entry(values: Any, defaults: Mapping[str, Any], index: int, previous: int) -> Entry:
    if not isinstance(values, dict):
        return Entry(index, "", "", None, (Problem("", "scene.not_an_object"),))
    task = str(values.get("task_type") or defaults.get("task_type") or "")
    label = str(values.get("label") or "")[:200]
    if task not in SCENE_CLASSES:
        code = "field.unknown_task" if task else "field.missing"
        problem = Problem("task_type", code, {"value": task[:60], "known": ", ".join(SCENE_CLASSES)})
        return Entry(index, label, task[:60], None, (problem,))
    known = SCENE_CLASSES[task].model_fields
    merged = {k: v for k, v in defaults.items() if k in known} | values | {"task_type": task}
    if switched({**defaults, **values}.get("low_vram")) is True:
        merged.setdefault("profile", "smallest")
    merged = {k: v for k, v in merged.items() if k not in PEERS_FLAGS}
    notes = []
    if task == "talking_avatar" and str(merged.get("resolution")).upper() == "540P":
        merged["resolution"] = "480P"  # no avatar has it, and everybody's exports ask for it
        notes.append(Problem("resolution", "translated.resolution", {"wanted": "540P", "got": "480P"}))
    try:
        scene = cast(SceneBase, SceneAdapter.validate_python(merged))
    except ValidationError as error:
        return Entry(index, label, task, None, tuple(problems_of(error, MAX_SAID)), tuple(notes))
    silent = ("duration",) if task == "talking_avatar" else ()  # the speech decides
    left_open = tuple(k for k in TOLD if k in known and merged.get(k) is None and k not in silent)
    scene, problems = _with_references(scene, previous)
    return Entry(index, label, task, scene, tuple(problems), tuple(notes), left_open)


def _with_references(scene: SceneBase, previous: int) -> tuple[SceneBase, list[Problem]]:
    """`{{prev}}` (the nearest earlier scene with a picture) and `{{job:N}}` as `{{new:N}}`; N may be out of range."""
    refs, problems = {}, []
    for item in scene.inputs():
        if match := _PREV.fullmatch(item.ref):
            refs[item.field] = _new(previous, match[1])
        elif match := _JOB.fullmatch(item.ref):
            refs[item.field] = _new(int(match[1]), match[2])
        elif item.ref.startswith("{{"):
            problems.append(Problem(item.field, "reference.unreadable", {"ref": item.ref[:80]}))
    return (scene.with_inputs(refs) if refs else scene), problems


def _new(number: int, part: str | None) -> str:
    return f"{{{{new:{number}}}}}{part or ''}"


def sources(scene: SceneBase) -> Iterator[tuple[Input, int]]:
    """(input, index) of the scenes of the same file that this one reads."""
    for item in scene.inputs():
        if match := re.fullmatch(r"\{\{new:(-?\d+)\}\}(#first|#last)?", item.ref):
            yield item, int(match[1])


def misfit(field: str, wanted: Kind, task: str, number: int) -> Problem | None:
    """Why a scene of this task cannot be read where `wanted` stands. A frame of a video is an image."""
    kind = SCENE_CLASSES[task].kind
    if kind == "audio":
        return Problem(field, "reference.no_picture", {"number": number})
    if kind != wanted and (kind, wanted) != ("video", "image"):
        return Problem(field, "input.kind", {"field": field, "wanted": wanted, "got": kind})
    return None


def _without_cycles(entries: list[Entry]) -> list[Entry]:
    """Scenes whose references lead nowhere, or back to themselves, get a problem."""
    reads = [[source for _, source in sources(entry.scene)] if entry.scene else [] for entry in entries]
    ring = _rings(reads)
    checked = []
    for entry in entries:
        for item, source in sources(entry.scene) if entry.scene and reads[entry.index] else ():
            params = {"number": source + 1}
            if not 0 <= source < len(entries):
                entry = entry.with_problem(Problem(item.field, "reference.no_scene", params))
            elif source == entry.index or ring[source] == ring[entry.index]:
                entry = entry.with_problem(Problem(item.field, "reference.circle", params))
            elif entries[source].task_type in SCENE_CLASSES:
                problem = misfit(item.field, item.kind, entries[source].task_type, source + 1)
                entry = entry.with_problem(problem) if problem else entry
        checked.append(entry)
    return checked


def _rings(reads: Sequence[Sequence[int]]) -> list[int]:
    """For each scene the number of its ring: two that reach each other have the same (Kosaraju, without recursion:
    a chain may be ten thousand scenes long)."""
    count = len(reads)
    readers: list[list[int]] = [[] for _ in range(count)]
    for reader, its in enumerate(reads):
        for source in its:
            if 0 <= source < count:
                readers[source].append(reader)
    ring = [-1] * count
    for number, start in enumerate(reversed(_finished(reads))):
        todo = [start]
        while todo:
            at = todo.pop()
            if ring[at] < 0:
                ring[at] = number
                todo += readers[at]
    return ring


def _finished(reads: Sequence[Sequence[int]]) -> list[int]:
    """All scenes in the order in which a depth-first walk is done with them."""
    count, seen, order = len(reads), [False] * len(reads), []
    for start in range(count):
        todo = [(start, False)]
        while todo:
            at, done = todo.pop()
            if done:
                order.append(at)
            elif not seen[at]:
                seen[at] = True
                todo.append((at, True))
                todo += [(source, False) for source in reads[at] if 0 <= source < count and not seen[source]]
    return order


# ------------------------------------------------------------------------------------------------ pydantic's complaints
_CODES = {  # pydantic's type -> (our code, the parameters of the message)
    "missing": ("field.missing", ()),
    "extra_forbidden": ("field.unknown", ()),
    "literal_error": ("field.choice", ("expected",)),
    "too_long": ("field.too_many", ("max_length", "actual_length")),
    "too_short": ("field.too_few", ("min_length", "actual_length")),
    "string_too_long": ("field.too_long", ("max_length",)),
    "string_too_short": ("field.empty", ()),
    "greater_than": ("field.above", ("gt",)),
    "greater_than_equal": ("field.at_least", ("ge",)),
    "less_than_equal": ("field.at_most", ("le",)),
    "string_type": ("field.not_text", ()),
    "float_parsing": ("field.not_a_number", ()),
    "float_type": ("field.not_a_number", ()),
    "int_parsing": ("field.not_a_number", ()),
    "int_type": ("field.not_a_number", ()),
    "int_parsing_size": ("field.too_large", ()),
    "int_from_float": ("field.not_whole", ()),
    "finite_number": ("field.not_a_number", ()),
    "multiple_of": ("field.multiple_of", ("multiple_of",)),
    "bool_type": ("field.not_a_switch", ()),
    "bool_parsing": ("field.not_a_switch", ()),
    "list_type": ("field.not_a_list", ()),
    "dict_type": ("field.not_an_object", ()),
    "model_type": ("field.not_an_object", ()),
    "model_attributes_type": ("field.not_an_object", ()),
    "string_pattern_mismatch": ("field.characters", ()),
    "string_unicode": ("field.not_text", ()),
    "cut_prefix": ("field.cut_prefix", ("known",)),
    "box": ("field.box", ()),
    "boxes_overlap": ("field.boxes_overlap", ()),
    "music_end": ("field.music_end", ("start",)),
    "file_name": ("field.file_name", ("wrong", "known")),
}


def problems_of(error: ValidationError, most: int | None = None) -> list[Problem]:
    """What is wrong, field by field, in codes that have words; only the first `most`."""
    return [_problem(detail) for detail in error.errors(include_url=False)[:most]]


def _problem(detail: ErrorDetails) -> Problem:
    name = ".".join(str(part) for part in detail["loc"] if part not in SCENE_CLASSES)
    kind = "missing" if detail["input"] is None else detail["type"]  # null is no text and no number: it is not there
    code, wanted = _CODES.get(kind, ("field.invalid", ()))
    context = detail.get("ctx", {})
    params = {key: context[key] for key in wanted if key in context}
    if code == "field.invalid":
        params["reason"] = detail["msg"].removeprefix("Value error, ")
    if "expected" in params:
        params["expected"] = params["expected"].replace(" or ", ", ")  # a list in any language
    return Problem(name, code, params)


# ------------------------------------------------------------------------------------------------ and back
def dump(head: Head, scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """The episode file of these scenes; defaults left out."""
    return {**head.model_dump(mode="json", exclude_none=True, exclude_defaults=True), "scenes": scenes}
