"""Presets: the settings of a scene under a name, for the next one of its task. Never what it is about, unless asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from studio.domain import SCENE_CLASSES
from studio.errors import Refused
from studio.service.editing import Editing
from studio.service.field_errors import free
from studio.service.views import View
from studio.store import Store

KEPT = ("engine", "options", "resolution", "aspect", "duration", "negative_prompt", "profile")
EXTRA = ("prompt", "seed", "lines", "inputs")  # kept where somebody asks for them
MAX_NAME = 80


class Presets:
    def __init__(self, store: Store, editing: Editing) -> None:
        self._store, self._editing = store, editing

    def list(self, task_type: str | None = None) -> list[View]:
        return [_view(row) for row in self._store.presets.all(task_type)]

    def get(self, preset_id: str) -> View:
        return _view(self._store.presets.get(preset_id))

    def save(self, name: str, values: Mapping[str, Any], include: Sequence[str] = ()) -> View:
        """Keep the settings of a scene's fields (`task_type` among them); a name that the task has already gets them.
        `include`: prompt, seed, lines, inputs. Raises Refused for a name that is none and for fields that are wrong."""
        task = values.get("task_type")
        if not isinstance(task, str) or task not in SCENE_CLASSES:
            raise Refused("task.unknown", task=str(task)[:60], known=", ".join(SCENE_CLASSES))
        if wrong := set(include) - set(EXTRA):
            raise Refused("request.invalid", field="include", reason=sorted(wrong)[0][:40])
        body = free({field: values[field] for field in _fields(task, include) if field in values}, "settings")
        return self.get(self._store.presets.save(_named(name), task, body))

    def save_scene(self, name: str, scene_id: str, include: Sequence[str] = ()) -> View:
        """The settings of a scene as it stands."""
        row = self._store.queues.scene(scene_id)
        return self.save(name, row.scene.model_dump(mode="json"), include)

    def rename(self, preset_id: str, name: str) -> View:
        """Raises Conflict when the task has another of that name."""
        self._store.presets.rename(preset_id, _named(name))
        return self.get(preset_id)

    def delete(self, preset_id: str) -> None:
        self._store.presets.delete(preset_id)

    def merged(self, preset_id: str, scene: Mapping[str, Any]) -> dict[str, Any]:
        """A scene's fields with a preset's over them."""
        return merged(scene, self._store.presets.get(preset_id)["body"])

    def apply(self, preset_id: str, queue_id: str, scene_ids: Sequence[str]) -> View:
        """Merge it into scenes, of any task: each takes the fields that it has. Answers as `Editing.edit_many`."""
        preset = self._store.presets.get(preset_id)
        return self._editing.edit_each(
            queue_id, scene_ids, lambda row: merged(row.scene.model_dump(mode="json"), preset["body"]),
            verb="preset", title=preset["name"],
        )  # fmt: skip


def merged(scene: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A scene's fields with a preset's over them: those that its task has. Options of other engines stay."""
    fields = SCENE_CLASSES[scene["task_type"]].model_fields
    found = {name: value for name, value in settings.items() if name in fields}
    if "options" in found:
        found["options"] = {**(scene.get("options") or {}), **found["options"]}
    return {**scene, **found}


def _fields(task: str, include: Sequence[str]) -> list[str]:
    fields = SCENE_CLASSES[task].model_fields
    kept = [name for name in (*KEPT, *(extra for extra in include if extra != "inputs")) if name in fields]
    if "inputs" in include:
        kept += [
            name for name, info in fields.items()
            if isinstance(info.json_schema_extra, dict) and "ref" in info.json_schema_extra
        ]  # fmt: skip
    return kept


def _named(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Refused("preset.name", most=MAX_NAME)
    return name


def _view(row: Mapping[str, Any]) -> View:
    return {name: row[name] for name in ("id", "name", "task_type", "created")} | {"settings": row["body"]}
