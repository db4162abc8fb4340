"""/api/queues/{id}/preflight, /api/lines/seconds: what a run would do, how long lines are. Thin over
service.preflight."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import foreseen, language, packed, studio_of
from studio.domain import Line

router = APIRouter(tags=["preflight"])


@router.get("/queues/{queue_id}/preflight", response_model=dict[str, Any])
def preflight_queue(
    request: Request, queue_id: str, only: Annotated[list[str] | None, Query(description="ids, done or not")] = None
) -> Response:
    """What a run of the queue, or of `only`, would do: problems, engines, time, room. Nothing is written."""
    studio = studio_of(request)
    found = studio.preflight.queue(queue_id, only)
    return packed(request, foreseen(studio, found, language(request, studio)))


class Lines(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lines: list[Line] = Field(max_length=500)


@router.post("/lines/seconds")
def seconds_of_lines(request: Request, body: Lines) -> dict[str, Any]:
    """How long lines will take to say, before anybody has said them: {lines: [{seconds, low, high}]}."""
    return {"lines": studio_of(request).preflight.seconds(body.lines)}
