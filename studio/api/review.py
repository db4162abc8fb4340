"""/api/scenes/{id}/retake and /seeds, /api/queues/{id}/contact-sheet: thin routes over service.review and its sheet."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import language, studio_of
from studio.domain import MAX_INT, Layer

router = APIRouter(tags=["takes"])

# the sheet asks for nothing and runs nothing
ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"


class Retake(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: str | None = Field(None, max_length=2000, description="what to make otherwise; empty: withdraw it")


class Seeds(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(0, ge=0, le=1000, description="how many new seeds")
    seeds: list[int] | None = Field(None, max_length=1000, description="these seeds instead")
    force: bool = Field(False, description="also those that a take has already")


class Again(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int | None = Field(None, ge=0, le=MAX_INT, description="for this take only; empty: the scene's own")
    force: bool = Field(False, description="also where a take is exactly this")
    layers: list[Layer] = Field(default_factory=list, max_length=2, description="just picture or voice, changed or not")


@router.post("/scenes/{scene_id}/run", tags=["scenes"])
def run_scene(request: Request, scene_id: str, body: Again | None = None) -> dict[str, Any]:
    """Render it (again). `existing` names the take that is exactly that: then nothing is rendered unless forced."""
    again = body or Again()
    return studio_of(request).review.run(scene_id, seed=again.seed, force=again.force, layers=again.layers)


@router.put("/scenes/{scene_id}/retake", tags=["scenes"])
def ask_again(request: Request, scene_id: str, body: Retake) -> dict[str, Any]:
    """Ask for another take with a note, or withdraw that. Needs no version and makes no take stale."""
    return studio_of(request).review.ask_again(scene_id, body.note)


@router.post("/scenes/{scene_id}/seeds", tags=["scenes"])
def more_seeds(request: Request, scene_id: str, body: Seeds) -> dict[str, Any]:
    """Several takes that differ by their seed alone; the scene stays as it is."""
    return studio_of(request).review.seeds(scene_id, body.count, body.seeds, force=body.force)


@router.get("/queues/{queue_id}/contact-sheet.html", tags=["queues"])
def contact_sheet_page(request: Request, queue_id: str) -> StreamingResponse:
    """Every scene by the picture it shows: one page that needs nothing beside itself."""
    studio = studio_of(request)
    pieces = studio.contact_sheets.html(queue_id, language(request, studio))
    return StreamingResponse(pieces, media_type="text/html; charset=utf-8", headers={"content-security-policy": ALONE})


@router.get("/queues/{queue_id}/contact-sheet.png", tags=["queues"])
def contact_sheet_picture(request: Request, queue_id: str) -> FileResponse:
    studio = studio_of(request)
    path = studio.contact_sheets.png(queue_id, language(request, studio))
    return FileResponse(path, media_type="image/png", headers={"cache-control": "no-store"})
