"""/api/memory: how models fit into this machine. Thin routes over service.memory."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import language, studio_of

router = APIRouter(prefix="/memory", tags=["memory"])


class PlanWish(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene: dict[str, Any] = Field(description="a scene, finished or not: task_type, resolution, duration, engine …")
    queue_id: str | None = Field(None, max_length=40, description="whose policy counts")


@router.get("")
def memory(request: Request) -> dict[str, Any]:
    """The machine, what was measured of it, what the user lets us have, and the profiles."""
    return _said(request, studio_of(request).memory.view())


@router.post("/measure")
def measure(request: Request) -> dict[str, Any]:
    """Find out how fast RAM, disk and device are; two minutes at most. `GET /memory` says how far it is."""
    return _said(request, studio_of(request).memory.measure())


@router.post("/measure/cancel")
def cancel_measuring(request: Request) -> dict[str, Any]:
    """Stop measuring; what was known stays."""
    return _said(request, studio_of(request).memory.cancel_measuring())


@router.post("/plan")
def plan(request: Request, body: PlanWish) -> dict[str, Any]:
    """How a scene would be made here now, or why not and what would fit; and what each profile would do."""
    found = studio_of(request).memory.plan_of(body.scene, body.queue_id)
    profiles = [{**one, "reason": _error(request, one["reason"])} for one in found["profiles"]]
    return {**found, "refused": _error(request, found["refused"]), "profiles": profiles}


@router.get("/queues/{queue_id}")
def queue_memory(request: Request, queue_id: str) -> dict[str, Any]:
    """Each profile for all scenes of a queue: the largest peak, how long, how many fit."""
    found = studio_of(request).memory.queue(queue_id)
    return {"profiles": [{**one, "reason": _error(request, one["reason"])} for one in found["profiles"]]}


def _said(request: Request, view: dict[str, Any]) -> dict[str, Any]:
    return {**view, "measure_error": _error(request, view["measure_error"])}


def _error(request: Request, error: dict[str, Any] | None) -> dict[str, Any] | None:
    studio = studio_of(request)
    return studio.words.error(error, language(request, studio)) if error else None
