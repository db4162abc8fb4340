"""The episode file: a JSON array of scenes, or {title, defaults, music, frame, cast, scenes}; SkyReels' queues too.

`parse` never gives up on the whole because of one scene: each scene is understood or carries its problems, by field.
References to other scenes come out as `{{new:N}}`, N counting the file's scenes from 0. Knows no store and no disk.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from studio.domain import SCENE_CLASSES, Frame, Input, Kind, Music, SceneAdapter, SceneBase
from studio.errors import Refused, TooLarge
from studio.story import skyreels
from studio.story.problem import Problem

MAX_BYTES = 20_000_000
MAX_SCENES = 10_000
MAX_DEPTH = 40  # of nested lists and objects; our own files need six
PEERS_FLAGS = ("offload", "low_vram")  # `profile: auto`, the default, decides by itself what they asked for

_PREV = re.compile(r"\{\{\s*prev\s*\}\}(#first|#last)?")
_JOB = re.compile(r"\{\{\s*job:(\d{1,6})\s*\}\}(#first|#last)?")


class Cast(BaseModel):
    """A character of the episode and the voice that speaks for them."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    name: str = Field(min_length=1, max_length=120)
    voice: str = Field("", max_length=120)


class Head(BaseModel):
    """Everything of the file but its scenes."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    title: str = Field("", max_length=200)
    defaults: dict[str, Any] = Field(default_factory=dict)
    music: Music | None = None
    frame: Frame | None = None
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

    def with_problem(self, problem: Problem) -> "Entry":
        return replace(self, problems=(*self.problems, problem))


@dataclass(frozen=True, slots=True)
class Episode:
    head: Head
    entries: tuple[Entry, ...]


def parse(text: bytes | str) -> Episode:
    """Raises Refused or TooLarge when the file as a whole cannot be read."""
    content, notes = _translated(text)
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
    entries: list[Entry] = []
    for index, values in enumerate(scenes):
        entry = _entry(values, head.defaults, entries)
        entries.append(replace(entry, notes=(*entry.notes, *notes.get(index, ()))))
    return Episode(head, tuple(_without_cycles(entries)))


def _translated(text: bytes | str) -> tuple[Any, skyreels.Notes]:
    """What the file holds, in our fields whoever wrote it, and what was translated, by scene."""
    decoded = _decoded(text)
    markdown = skyreels.from_markdown(decoded) if decoded.lstrip().startswith("#") else None
    content = plain(markdown) if markdown else _json(decoded)
    if markdown or skyreels.recognises(content):
        return skyreels.translate(content)
    return content, {}


def _decoded(text: bytes | str) -> str:
    if len(text) > MAX_BYTES:
        raise TooLarge("episode.too_large", size=len(text), most=MAX_BYTES)
    try:
        return text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise Refused("episode.not_utf8", position=error.start) from error


def _json(text: str) -> Any:
    try:
        return plain(json.loads(text, parse_constant=_no_constant))
    except RecursionError as error:
        raise Refused("episode.too_deep", most=MAX_DEPTH) from error
    except json.JSONDecodeError as error:
        raise Refused("episode.not_json", line=error.lineno, column=error.colno, reason=error.msg) from error
    except ValueError as error:  # the only one left: a number of thousands of digits
        raise Refused("episode.bad_number", value="…") from error


def _no_constant(name: str) -> Any:
    raise Refused("episode.bad_number", value=name)


def plain(value: Any, depth: int = 0) -> Any:
    """JSON that every part of the house can store and send: half emoji replaced, numbers too large for any machine
    made null. Raises RecursionError when it is nested deeper than MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {plain(name): plain(item, depth + 1) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------------------------------------ one scene
def _entry(values: Any, defaults: Mapping[str, Any], earlier: list[Entry]) -> Entry:
    index = len(earlier)
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
    merged = {k: v for k, v in merged.items() if k not in PEERS_FLAGS}
    try:
        scene = cast(SceneBase, SceneAdapter.validate_python(merged))
    except ValidationError as error:
        return Entry(index, label, task, None, tuple(problems_of(error)))
    scene, problems = _with_references(scene, earlier)
    return Entry(index, label, task, scene, tuple(problems))


def _with_references(scene: SceneBase, earlier: list[Entry]) -> tuple[SceneBase, list[Problem]]:
    """`{{prev}}` (the nearest earlier scene with a picture) and `{{job:N}}` as `{{new:N}}`; N may be out of range."""
    refs, problems = {}, []
    previous = max((entry.index for entry in earlier if entry.task_type != "speech"), default=-1)
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
    checked = []
    for entry in entries:
        for item, source in sources(entry.scene) if entry.scene else ():
            params = {"number": source + 1}
            if not 0 <= source < len(entries):
                entry = entry.with_problem(Problem(item.field, "reference.no_scene", params))
            elif _reaches(entries, source, entry.index):
                entry = entry.with_problem(Problem(item.field, "reference.circle", params))
            elif entries[source].task_type in SCENE_CLASSES:
                problem = misfit(item.field, item.kind, entries[source].task_type, source + 1)
                entry = entry.with_problem(problem) if problem else entry
        checked.append(entry)
    return checked


def _reaches(entries: list[Entry], start: int, target: int) -> bool:
    seen, todo = set(), [start]
    while todo:
        at = todo.pop()
        if at == target:
            return True
        if at in seen or not 0 <= at < len(entries):
            continue
        seen.add(at)
        scene = entries[at].scene
        todo += [source for _, source in sources(scene)] if scene else []
    return False


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
}


def problems_of(error: ValidationError) -> list[Problem]:
    """What is wrong, field by field, in codes that have words."""
    return [_problem(detail) for detail in error.errors(include_url=False)]


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
