"""/api/queues/{id}/preflight: what a run would do. Thin over service.preflight."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from studio.api.answers import foreseen, language, packed, studio_of

router = APIRouter(tags=["preflight"])


@router.get("/queues/{queue_id}/preflight", response_model=dict[str, Any])
def preflight_queue(
    request: Request, queue_id: str, only: Annotated[list[str] | None, Query(description="ids, done or not")] = None
) -> Response:
    """What a run of the queue, or of `only`, would do: problems, engines, time, room. Nothing is written."""
    studio = studio_of(request)
    found = studio.preflight.queue(queue_id, only)
    return packed(request, foreseen(studio, found, language(request, studio)))
