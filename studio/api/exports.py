"""/api/exports: thin routes over service.exports."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from studio.api.answers import language, owners_only, studio_of
from studio.domain import State
from studio.service.cutting import Aspect, ClipWish, FilmKind, Format, Missing, Subtitles

router = APIRouter(tags=["exports"])

KINDS = {
    ".mp4": "video/mp4", ".zip": "application/zip", ".srt": "application/x-subrip", ".webp": "image/webp",
    ".avif": "image/avif", ".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg",
}  # fmt: skip


class NewExport(BaseModel):
    """`film`: one MP4. `stems`: dialogue, effects, music and mix as WAV. `subtitles`: SRT and VTT alone."""

    model_config = ConfigDict(extra="forbid")
    kind: FilmKind = "film"
    missing: Missing = "ask"
    aspect: Aspect = "own"
    subtitles: Subtitles = "file"


class NewClip(BaseModel):
    """A moving picture from `start` to `end`, or the still at `at`; seconds."""

    model_config = ConfigDict(extra="forbid")
    format: Format = "webp"
    animated: StrictBool = True
    short_side: int = Field(480, ge=64, le=2160)
    fps: float = Field(12, ge=1, le=30, allow_inf_nan=False)
    loop: StrictBool = True
    start: float = Field(0, ge=0, le=36_000, allow_inf_nan=False)
    end: float | None = Field(None, gt=0, le=36_000, allow_inf_nan=False)
    at: float = Field(0, ge=0, le=36_000, allow_inf_nan=False)


@router.post("/queues/{queue_id}/exports", status_code=202)
def make_export(request: Request, queue_id: str, body: NewExport | None = None) -> dict[str, Any]:
    """Cut the film. 409 "cut.missing" names the scenes without a take and asks what to do with them."""
    wish = body or NewExport()
    return studio_of(request).exports.cut(
        queue_id, wish.missing, kind=wish.kind, aspect=wish.aspect, subtitles=wish.subtitles
    )


@router.post("/takes/{take_id}/exports", status_code=202)
def make_clip(request: Request, take_id: str, body: NewClip | None = None) -> dict[str, Any]:
    """A take as WebP, AVIF, GIF, PNG or JPEG."""
    return studio_of(request).exports.clip(take_id, ClipWish(**(body or NewClip()).model_dump()))


@router.get("/queues/{queue_id}/exports")
def list_exports(request: Request, queue_id: str) -> list[dict[str, Any]]:
    """Newest first; an error has its words."""
    return [_worded(request, export) for export in studio_of(request).exports.list(queue_id)]


def _worded(request: Request, export: dict[str, Any]) -> dict[str, Any]:
    studio = studio_of(request)
    return {**export, "error": export["error"] and studio.words.error(export["error"], language(request, studio))}


@router.get("/queues/{queue_id}/exports/name")
def name_export(request: Request, queue_id: str, template: str, aspect: Aspect = "own") -> dict[str, str]:
    """What a film would be called by this template; 422 where nothing can be called that."""
    return {"name": studio_of(request).exports.name(queue_id, template, aspect)}


@router.get("/queues/{queue_id}/timeline")
def get_timeline(request: Request, queue_id: str) -> dict[str, Any]:
    """What a timeline draws: the same plan that the film is cut by."""
    return studio_of(request).exports.timeline(queue_id)


@router.get("/exports/{export_id}")
def get_export(request: Request, export_id: str) -> dict[str, Any]:
    return _worded(request, studio_of(request).exports.get(export_id))


@router.delete("/exports/{export_id}", status_code=204)
def cancel_export(request: Request, export_id: str, forever: bool = False) -> None:
    """Stop it; with `forever` one that is over goes, file and all: a finished film by the owner alone."""
    exports = studio_of(request).exports
    if forever:
        if exports.get(export_id)["state"] == State.DONE:
            owners_only(request)
        exports.remove(export_id)
    else:
        exports.cancel(export_id)


@router.get("/exports/{export_id}/file")
def export_file(request: Request, export_id: str, download: bool = False) -> FileResponse:
    path = studio_of(request).exports.file(export_id)
    kind = KINDS.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=path.name if download or kind == KINDS[".zip"] else None)


@router.get("/exports/{export_id}/subtitles.vtt")
def export_subtitles(request: Request, export_id: str) -> FileResponse:
    return FileResponse(studio_of(request).exports.subtitles(export_id), media_type="text/vtt")


@router.get("/exports/{export_id}/subtitles.srt")
def export_srt(request: Request, export_id: str) -> FileResponse:
    path = studio_of(request).exports.subtitles(export_id, "srt")
    return FileResponse(path, media_type="application/x-subrip", filename=path.name)
