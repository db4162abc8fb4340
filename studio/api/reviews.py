"""/api/reviews, /api/comments: thin routes over service.reviewing. Who may ask for which is api.rights' business."""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.concurrency import run_in_threadpool

from studio.api.answers import language, packed, studio_of, visitor_of
from studio.api.uploads import small_file
from studio.domain import Box
from studio.domain.reviews import Wish
from studio.service.review_comments import Said
from studio.service.review_package import MOST_BYTES

router = APIRouter(tags=["reviews"])

NOW = {"cache-control": "private, no-cache"}  # asked for anew each time: a take may have been made private since
Number = Query(None, ge=1, le=1_000_000, description="of the version; empty: the newest")
NUMBER = InPath(ge=1, le=1_000_000)


class NewVersion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    export_id: str = Field(min_length=1, max_length=60, description="a finished film of the queue")


class Open(BaseModel):
    model_config = ConfigDict(extra="forbid")
    open: StrictBool


class NewComment(BaseModel):
    """`at`: seconds of that version's film; `region`: left, top, right, bottom in shares of its picture."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field("", pattern=r"^([A-Za-z0-9_-]{8,64})?$", description="made by the page: the same one twice is one")
    version: int = Field(ge=1, le=1_000_000)
    at: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)
    region: Box | None = None
    text: str = Field(max_length=4000)
    wish: Wish = "comment"


class Standing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    state: Literal["open", "done"]


class Verdict(BaseModel):
    """`scene_id` empty: on the film. `approved`: false asks for a retake, null takes the verdict back."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1, le=1_000_000)
    scene_id: str = Field("", max_length=60)
    approved: StrictBool | None


# ------------------------------------------------------------------------------------------------ the makers
@router.get("/queues/{queue_id}/review")
def review_of_queue(request: Request, queue_id: str) -> dict[str, Any] | None:
    """The review of its film; null where there is none."""
    return studio_of(request).reviewing.of_queue(queue_id, visitor_of(request))


@router.post("/queues/{queue_id}/review", status_code=201)
def publish_version(request: Request, queue_id: str, body: NewVersion) -> dict[str, Any]:
    """A finished film becomes the next version, at the same link."""
    return studio_of(request).reviewing.publish(queue_id, body.export_id, visitor_of(request))


@router.patch("/reviews/{review_id}")
def open_review(request: Request, review_id: str, body: Open) -> dict[str, Any]:
    """Let reviewers in, or not."""
    return studio_of(request).reviewing.set_open(review_id, body.open, visitor_of(request))


@router.get("/reviews/{review_id}/package")
def pack_review(request: Request, review_id: str, version: int | None = Number) -> StreamingResponse:
    """A zip for somebody who is not let in: the page, the film, its subtitles. It is made while it is sent."""
    studio = studio_of(request)
    package = studio.review_packages.pack(review_id, visitor_of(request), language(request, studio), version)
    headers = {
        "content-length": str(package.size),
        "content-disposition": f"attachment; filename*=utf-8''{quote(package.name)}",
    }
    return StreamingResponse(package.chunks, media_type="application/zip", headers=headers)


@router.post("/reviews/{review_id}/comments/import")
async def import_comments(request: Request, review_id: str) -> dict[str, Any]:
    """The file that the page of a package saves, raw or as multipart `file`: {added, known, verdicts}. All of it or
    nothing; the same file twice is once."""
    content = await small_file(request, MOST_BYTES)
    brings = studio_of(request).review_packages.bring
    return await run_in_threadpool(brings, review_id, content, visitor_of(request))


@router.get("/scenes/{scene_id}/comments")
def comments_of_scene(request: Request, scene_id: str) -> list[dict[str, Any]]:
    """What was said of it, newest first."""
    return list(studio_of(request).reviewing.of_scene(scene_id))


@router.patch("/comments/{comment_id}")
def mark_comment(request: Request, comment_id: str, body: Standing) -> dict[str, Any]:
    return studio_of(request).reviewing.set_state(comment_id, body.state, visitor_of(request))


# ------------------------------------------------------------------------------------------------ everybody
@router.get("/reviews")
def list_reviews(request: Request) -> dict[str, Any]:
    """Those that the visitor may open, newest first."""
    return {"reviews": studio_of(request).reviewing.list(visitor_of(request))}


@router.get("/reviews/{review_id}")
def get_review(request: Request, review_id: str, version: int | None = Number) -> Response:
    """All that the review page shows."""
    return packed(request, studio_of(request).reviewing.view(review_id, visitor_of(request), version))


@router.get("/reviews/{review_id}/versions/{number}/film")
def version_film(request: Request, review_id: str, number: int = NUMBER) -> FileResponse:
    """The film; understands ranges."""
    return _file(studio_of(request).reviewing.film(review_id, number, visitor_of(request)), "video/mp4")


@router.get("/reviews/{review_id}/versions/{number}/poster.jpg")
def version_poster(request: Request, review_id: str, number: int = NUMBER) -> FileResponse:
    return _file(studio_of(request).reviewing.poster(review_id, number, visitor_of(request)), "image/jpeg")


@router.get("/reviews/{review_id}/versions/{number}/subtitles.vtt")
def version_subtitles(request: Request, review_id: str, number: int = NUMBER) -> FileResponse:
    return _file(studio_of(request).reviewing.subtitles(review_id, number, visitor_of(request)), "text/vtt")


@router.get("/reviews/{review_id}/versions/{number}/scenes/{scene_id}/poster.jpg")
def scene_picture(request: Request, review_id: str, scene_id: str, number: int = NUMBER) -> FileResponse:
    """A small still of a scene as this version shows it."""
    return _file(studio_of(request).reviewing.picture(review_id, number, scene_id, visitor_of(request)), "image/jpeg")


@router.post("/reviews/{review_id}/comments", status_code=201)
def add_comment(request: Request, review_id: str, body: NewComment) -> dict[str, Any]:
    """Say something about a moment, or wish for a retake of its scene."""
    studio = studio_of(request)
    said = Said(**body.model_dump())
    return studio.reviewing.comment(review_id, said, visitor_of(request), language(request, studio))


@router.put("/reviews/{review_id}/verdict")
def judge(request: Request, review_id: str, body: Verdict) -> dict[str, Any]:
    """Approve the film or a scene, or ask for a retake; answers like the review."""
    studio = studio_of(request)
    return studio.reviewing.judge(
        review_id, body.version, body.scene_id, body.approved, visitor_of(request), language(request, studio)
    )


@router.get("/comments/{comment_id}/frame")
def comment_frame(request: Request, comment_id: str) -> FileResponse:
    """What the film shows at that time."""
    return _file(studio_of(request).reviewing.frame(comment_id, visitor_of(request)), "image/jpeg")


@router.delete("/comments/{comment_id}", status_code=204)
def delete_comment(request: Request, comment_id: str) -> None:
    """By whoever wrote it, or by an editor."""
    studio_of(request).reviewing.delete(comment_id, visitor_of(request))


def _file(path: Path, media_type: str) -> FileResponse:
    return FileResponse(path, media_type=media_type, headers=NOW)
