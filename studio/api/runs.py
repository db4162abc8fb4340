"""/api/queues/{id}/run and its family: thin routes over service.runs."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import studio_of

router = APIRouter(tags=["runs"])


class Again(BaseModel):
    model_config = ConfigDict(extra="forbid")
    override: bool = Field(False, description="leave out what preflight says cannot run, instead of refusing all")


class Selection(Again):
    only: list[str] | None = Field(None, max_length=10_000, description="scene ids, done or not; empty: all not done")
    callback_url: str = Field("", max_length=2000, description="told of the end of the run, as SkyReels tells it")


@router.post("/queues/{queue_id}/run")
def run_queue(request: Request, queue_id: str, body: Selection | None = None) -> dict[str, Any]:
    body = body or Selection()
    return studio_of(request).runs.run(queue_id, only=body.only, override=body.override, callback_url=body.callback_url)


class Speaking(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lines: list[str] | None = Field(None, max_length=10_000, description="line ids, spoken or not; empty: all unspoken")


@router.post("/queues/{queue_id}/speak")
def speak_queue(request: Request, queue_id: str, body: Speaking | None = None) -> dict[str, Any]:
    """A voice for every line that has none or was changed since, or for these lines anew; no picture."""
    return studio_of(request).runs.speak(queue_id, lines=body.lines if body else None)


@router.post("/queues/{queue_id}/retry")
def retry_queue(request: Request, queue_id: str, body: Again | None = None) -> dict[str, Any]:
    return studio_of(request).runs.retry(queue_id, override=bool(body and body.override))


@router.post("/queues/{queue_id}/retry-from-error")
def retry_from_error(request: Request, queue_id: str, body: Again | None = None) -> dict[str, Any]:
    """The first failed scene and everything after it that is not done; 422 where none failed."""
    return studio_of(request).runs.retry_from_error(queue_id, override=bool(body and body.override))


@router.post("/queues/{queue_id}/restart")
def restart_queue(request: Request, queue_id: str, body: Again | None = None) -> dict[str, Any]:
    return studio_of(request).runs.restart(queue_id, override=bool(body and body.override))


@router.post("/queues/{queue_id}/pause", status_code=204)
def pause_queue(request: Request, queue_id: str) -> None:
    studio_of(request).runs.pause(queue_id)


@router.post("/queues/{queue_id}/resume", status_code=204)
def resume_queue(request: Request, queue_id: str) -> None:
    studio_of(request).runs.resume(queue_id)


@router.post("/queues/{queue_id}/stop-after-scene")
def stop_after_scene(request: Request, queue_id: str) -> dict[str, Any]:
    """What is being rendered is finished, what waits is a draft again: `{finishing: [scene ids], held_back}`."""
    return studio_of(request).runs.stop_after_scene(queue_id)


@router.post("/queues/{queue_id}/stop", status_code=204)
def stop_queue(request: Request, queue_id: str) -> None:
    studio_of(request).runs.stop(queue_id)
