"""/api/takes, /api/assets: thin routes over service.takes and service.library, and the files behind them."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.datastructures import UploadFile

from studio.api.answers import owners_only, studio_of
from studio.api.uploads import kept
from studio.errors import NotFound, Refused

router = APIRouter(tags=["takes"])

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}  # a take never changes
PICTURES = {".mp4": "video/mp4", ".png": "image/png", ".wav": "audio/wav"}
SHOWN = {  # kinds of uploads that a browser may show; anything else is only downloaded
    ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".png": "image/png", ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif", ".gif": "image/gif", ".wav": "audio/wav",
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".flac": "audio/flac", ".ogg": "audio/ogg",
}  # fmt: skip


class Marks(BaseModel):
    model_config = ConfigDict(extra="forbid")
    selected: StrictBool | None = None
    locked: StrictBool | None = None
    private: StrictBool | None = None
    rating: int | None = Field(None, ge=0, le=5)


class Url(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = Field(min_length=8, max_length=4096)


@router.get("/takes")
def list_takes(
    request: Request,
    q: str = Query("", max_length=200),
    task: str = Query("", max_length=60),
    kind: str = Query("", max_length=20),
    engine: str = Query("", max_length=60),
    queue: str = Query("", max_length=60),
    layer: str = Query("", max_length=20),
    private: bool | None = None,
    draft: bool | None = None,
    trashed: bool = False,
    before: str | None = Query(None, max_length=60),
    limit: int = Query(60, ge=1, le=200),
) -> dict[str, Any]:
    """A page of the gallery, newest first; `before` is the `next` of the page before."""
    return studio_of(request).takes.list(
        q=q, task=task, kind=kind, engine=engine, queue=queue, layer=layer, private=private, draft=draft,
        trashed=trashed, before=before, limit=limit,
    )  # fmt: skip


@router.get("/takes/{take_id}")
def get_take(request: Request, take_id: str) -> dict[str, Any]:
    return studio_of(request).takes.get(take_id)


@router.patch("/takes/{take_id}")
def mark_take(request: Request, take_id: str, body: Marks) -> dict[str, Any]:
    return studio_of(request).takes.mark(take_id, body.model_dump(exclude_none=True))


@router.delete("/takes/{take_id}", status_code=204)
def trash_take(request: Request, take_id: str, forever: bool = False) -> None:
    """Into the trash, where the file stays on disk; `forever`: out of the trash, file and all."""
    studio = studio_of(request)
    if forever:
        owners_only(request)
        studio.storage.remove_take(take_id)
    else:
        studio.takes.trash(take_id)


@router.post("/takes/{take_id}/restore", status_code=204)
def restore_take(request: Request, take_id: str) -> None:
    studio_of(request).takes.restore(take_id)


@router.get("/takes/{take_id}/file")
def take_file(
    request: Request, take_id: str, download: bool = False, heard: str = Query("", max_length=700)
) -> FileResponse:
    """The file itself; understands ranges. `heard` (from a scene's card): under the voices that count now."""
    studio = studio_of(request)
    path = studio.heard.file(take_id) if heard else studio.takes.file(take_id)
    kind = PICTURES.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=path.name if download else None, headers=FOREVER)


@router.get("/takes/{take_id}/poster")
def take_poster(request: Request, take_id: str) -> FileResponse:
    return _small(studio_of(request).takes.poster(take_id), "image/jpeg")


@router.get("/takes/{take_id}/strip")
def take_strip(request: Request, take_id: str) -> FileResponse:
    """Ten thumbnails side by side, for hovering."""
    return _small(studio_of(request).takes.strip(take_id), "image/jpeg")


@router.get("/takes/{take_id}/peaks")
def take_peaks(request: Request, take_id: str) -> FileResponse:
    """The waveform of a voice take."""
    return _small(studio_of(request).takes.peaks(take_id), "application/json")


def _small(path: Path | None, media_type: str) -> FileResponse:
    if path is None:
        raise NotFound("take.no_poster")
    return FileResponse(path, media_type=media_type, headers=FOREVER)


# ------------------------------------------------------------------------------------------------ assets
@router.post("/assets", status_code=201, tags=["assets"])
async def upload(request: Request) -> dict[str, Any]:
    """Multipart `file`: looked at, then kept under its hash. Raises what is wrong with it."""
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused("request.invalid", field="file", reason="missing")
        return await kept(studio_of(request), file)


@router.post("/assets/fetch", status_code=201, tags=["assets"])
def fetch_asset(request: Request, body: Url) -> dict[str, Any]:
    """A file of the web, fetched once; private addresses are refused."""
    return studio_of(request).library.fetch(body.url)


@router.get("/assets/{sha256}", tags=["assets"])
def get_asset(request: Request, sha256: str) -> dict[str, Any]:
    return studio_of(request).library.get(sha256)


@router.get("/assets/{sha256}/file", tags=["assets"])
def asset_file(request: Request, sha256: str) -> FileResponse:
    path = studio_of(request).library.file(sha256)
    kind = SHOWN.get(path.suffix.lower())
    if kind is None:  # SVG or HTML from a stranger would run in our origin
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)
    return FileResponse(path, media_type=kind, headers=FOREVER)


@router.get("/assets/{sha256}/poster", tags=["assets"])
def asset_poster(request: Request, sha256: str) -> FileResponse:
    return _small(studio_of(request).library.poster(sha256), "image/jpeg")


@router.get("/assets/{sha256}/peaks", tags=["assets"])
def asset_peaks(request: Request, sha256: str) -> FileResponse:
    """The waveform of a sound: `{duration, peaks: [0..1]}`."""
    return _small(studio_of(request).library.peaks(sha256), "application/json")
