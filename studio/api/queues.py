"""/api/queues: thin routes over service.queues."""

from typing import Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import owners_only, packed, studio_of

router = APIRouter(tags=["queues"])

OWNERS = {"allow_paid": False, "afterwards": "nothing"}  # by field, what anybody may go back to


class NewQueue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200)
    frame: dict[str, Any] | None = None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene_ids: list[str] = Field(max_length=10_000)


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")
    to: int = Field(ge=0, le=1_000_000, description="from 0; beyond the last: to the end")


@router.get("/queues")
def list_queues(request: Request) -> list[dict[str, Any]]:
    return studio_of(request).queues.list()


@router.post("/queues", status_code=201)
def create_queue(request: Request, body: NewQueue) -> dict[str, Any]:
    return studio_of(request).queues.create(body.name, frame=body.frame)


@router.get("/queues/{queue_id}", response_model=dict[str, Any])
def get_queue(request: Request, queue_id: str, since: str | None = Query(None, max_length=60)) -> Response:
    """What changed since `since` (a version of this boot), or everything; the progress; what goes on everywhere."""
    return packed(request, studio_of(request).snapshot(queue_id, since))


@router.patch("/queues/{queue_id}")
def change_queue(request: Request, queue_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Some of its fields. To spend money, or to have the computer sleep afterwards, is the owner's to say."""
    if any(body.get(name, harmless) != harmless for name, harmless in OWNERS.items()):
        owners_only(request)
    return studio_of(request).queues.update(queue_id, body)


@router.delete("/queues/{queue_id}", status_code=204)
def delete_queue(request: Request, queue_id: str) -> None:
    studio_of(request).queues.delete(queue_id)


@router.post("/queues/{queue_id}/move", status_code=204)
def move_queue(request: Request, queue_id: str, body: Place) -> None:
    """Among the queues: of those of one priority, the first is run first."""
    studio_of(request).queues.move(queue_id, body.to)


@router.post("/queues/{queue_id}/reorder", status_code=204)
def reorder_queue(request: Request, queue_id: str, body: Order) -> None:
    studio_of(request).queues.reorder(queue_id, body.scene_ids)
