"""/api: editing many scenes, undo, presets, wildcards. Thin routes over service.editing and service.presets."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import studio_of, worded_refusals
from studio.errors import Refused

router = APIRouter(tags=["editing"])
MOST = 10_000  # scenes of a queue


class Edit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene_ids: list[str] = Field(min_length=1, max_length=MOST)
    changes: dict[str, Any] = Field(default_factory=dict, description="fields of a scene")
    seed_step: int | None = Field(None, ge=-1_000_000, le=1_000_000, description="seeds count up by it, from the first")
    versions: dict[str, int] = Field(default_factory=dict, max_length=MOST, description="by scene: the one you read")


class Deletion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene_ids: list[str] = Field(min_length=1, max_length=MOST)
    force: bool = Field(False, description="also those whose picture other scenes read")


class NewPreset(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)
    settings: dict[str, Any] | None = Field(None, description="fields of a scene, task_type among them")
    scene_id: str | None = Field(None, max_length=40, description="or the scene that has them")
    include: list[str] = Field(default_factory=list, max_length=4, description="prompt, seed, lines, inputs")


class Name(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)


class Target(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queue_id: str = Field(max_length=40)
    scene_ids: list[str] = Field(min_length=1, max_length=MOST)


@router.post("/queues/{queue_id}/scenes/edit")
def edit_scenes(request: Request, queue_id: str, body: Edit) -> dict[str, Any]:
    """The same changes to several scenes; those that cannot be changed are `refused`, the others are `changed`."""
    answer = studio_of(request).editing.edit_many(
        queue_id, body.scene_ids, body.changes, versions=body.versions, seed_step=body.seed_step
    )
    return worded_refusals(request, answer)


@router.post("/queues/{queue_id}/scenes/delete")
def delete_scenes(request: Request, queue_id: str, body: Deletion) -> dict[str, Any]:
    """409 `scene.needed` with their names when other scenes read one of them, unless `force`."""
    return worded_refusals(request, studio_of(request).editing.delete_many(queue_id, body.scene_ids, force=body.force))


@router.post("/queues/{queue_id}/undo")
def undo(request: Request, queue_id: str) -> dict[str, Any]:
    """Undo the newest edit of a queue: what it was, and what would be undone and done again next."""
    return studio_of(request).editing.undo(queue_id)


@router.post("/queues/{queue_id}/redo")
def redo(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).editing.undo(queue_id, "redo")


@router.get("/queues/{queue_id}/edits")
def history(request: Request, queue_id: str) -> list[dict[str, Any]]:
    """The edits that can be undone or done again, newest first."""
    return studio_of(request).editing.history(queue_id)


@router.post("/scenes/{scene_id}/continue")
def continue_scene(request: Request, scene_id: str) -> dict[str, Any]:
    """It begins where the scene before it ends."""
    return studio_of(request).editing.continue_from_previous(scene_id)


# ------------------------------------------------------------------------------------------------ presets
@router.get("/presets")
def list_presets(request: Request, task_type: str | None = Query(None, max_length=60)) -> list[dict[str, Any]]:
    return studio_of(request).presets.list(task_type)


@router.post("/presets", status_code=201)
def save_preset(request: Request, body: NewPreset) -> dict[str, Any]:
    """The settings of `scene_id`, or of `settings`; a name that the task has already gets them."""
    presets = studio_of(request).presets
    if (body.scene_id is None) == (body.settings is None):
        raise Refused("request.invalid", field="settings", reason="settings | scene_id")
    if body.scene_id is not None:
        return presets.save_scene(body.name, body.scene_id, body.include)
    return presets.save(body.name, body.settings or {}, body.include)


@router.patch("/presets/{preset_id}")
def rename_preset(request: Request, preset_id: str, body: Name) -> dict[str, Any]:
    return studio_of(request).presets.rename(preset_id, body.name)


@router.delete("/presets/{preset_id}", status_code=204)
def delete_preset(request: Request, preset_id: str) -> None:
    studio_of(request).presets.delete(preset_id)


@router.post("/presets/{preset_id}/apply")
def apply_preset(request: Request, preset_id: str, body: Target) -> dict[str, Any]:
    """Merge it into scenes of a queue, as `/scenes/edit` does."""
    return worded_refusals(request, studio_of(request).presets.apply(preset_id, body.queue_id, body.scene_ids))


@router.get("/wildcards")
def wildcards(request: Request) -> Sequence[str]:
    """What may stand between `__` and `__` in a prompt."""
    return studio_of(request).engines.wildcards()
