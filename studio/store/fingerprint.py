"""What of a scene a take depends on, as a few letters: two that differ say that the scene was changed since the take.

A field at its default counts as absent, so a field that a later release adds makes no take stale. The seed, the engine
and the takes of other scenes are compared on their own (service/changed.py).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from studio.domain import Layer, Line, SceneAdapter, SceneBase

IN_CUT_ONLY = frozenset(  # what only the cut reads
    {"in_cut", "transition"}
    | {
        name for name, info in SceneBase.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("group") == "cut"
    }
)  # fmt: skip
# lines have takes of their own; a profile says how an engine gets by with its memory, not what it draws
NOT_IN_PICTURE = IN_CUT_ONLY | {"label", "lines", "seed", "engine", "profile", "options"}


def of_picture(scene: SceneBase, engine: str, template: Mapping[str, str] | None = None) -> str:
    """`template`: the fields as they were written, where wildcards stood in them."""
    values = scene.model_dump(mode="json", exclude=set(NOT_IN_PICTURE), exclude_defaults=True)
    task = scene.task_type  # type: ignore[attr-defined]
    return _letters({**values, **(template or {}), "task_type": task, "options": scene.options.get(engine) or {}})


def of_voice(line: Line, voice: str, scene: SceneBase, engine: str, sound: str = "") -> str:
    """`voice`: the one that speaks, after a look at the cast. `sound`: what it sounds like, where somebody made it, and
    how words of this line are said."""
    said = [line.text, "" if sound else voice, line.direction, line.language, scene.options.get(engine) or {}]
    return _letters([*said, sound] if sound else said)


def of_take(layer: Layer, engine: str, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Of the scene as it was when the take was made. Empty: these settings are no scene, and nobody can tell."""
    try:
        scene: SceneBase = SceneAdapter.validate_python(dict(settings))
    except ValidationError:  # a take of another program
        return ""
    if layer == "voice":
        sound = str(facts.get("voice_print") or "")
        return of_voice(scene.lines[0], scene.lines[0].voice, scene, engine, sound) if scene.lines else ""
    return of_picture(scene, engine, facts.get("template"))


def _letters(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
