"""/video, /videos, /video-meta, /file, /download, /uploads/list: what was made and what was brought in."""

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, Response

from studio.api.answers import studio_of
from studio.api.compat.skyreels.route import peer_router
from studio.api.compat.skyreels.shapes import id_in, output_path
from studio.api.takes import PICTURES, asset_file
from studio.errors import NotFound
from studio.service import Studio

router = peer_router()

View = dict[str, Any]
FILMS = "finalized/"
MOST = 200  # files in one answer


def _path_of(studio: Studio, path: str) -> Path:
    """The file of a take or film. `path` names one by its id: nothing else can be reached."""
    found = id_in(path)
    return studio.exports.file(found) if FILMS in path else studio.takes.file(found)


@router.get("/videos")
def list_videos(request: Request) -> list[View]:
    """Newest first, without what is private."""
    studio = studio_of(request)
    return [
        {
            "path": output_path(take["task_type"], take), "name": take["file_name"], "task": take["task_type"],
            "size": take["bytes"], "has_meta": True,
        }
        for take in studio.takes.list(kind="video", private=False, limit=MOST)["takes"]
    ]  # fmt: skip


@router.get("/video/{path:path}")
def video(request: Request, path: str) -> FileResponse:
    file = _path_of(studio_of(request), path)
    return FileResponse(file, media_type=PICTURES.get(file.suffix, "application/octet-stream"))


@router.get("/download/{path:path}")
def download(request: Request, path: str) -> FileResponse:
    file = _path_of(studio_of(request), path)
    return FileResponse(file, media_type="application/octet-stream", filename=file.name)


@router.get("/video-meta/{path:path}")
def video_meta(request: Request, path: str) -> Response:
    """What made it, as their sidecars say it; 404 and {} where nothing is known."""
    studio = studio_of(request)
    try:
        take = studio.takes.get(id_in(path))
    except NotFound:
        return JSONResponse({}, 404)
    settings = take["settings"]
    names = ("ref_imgs", "input_video", "input_image", "input_audio")
    return JSONResponse(
        {
            "task_type": take["task_type"],
            "prompt": settings.get("prompt", ""),
            "resolution": settings.get("resolution", ""),
            "seed": str(take["seed"]),
            "offload": True,
            "low_vram": False,
            "inputs": {name: settings[name] for name in names if settings.get(name)},
            "duration": take["duration"],
            "generated_at": take["created"],
        }
    )


@router.get("/file/{path:path}")
def file(request: Request, path: str) -> FileResponse:
    """`asset:<sha256>` as jobs name their inputs, or a video."""
    if path.startswith("asset:"):
        return asset_file(request, path.removeprefix("asset:"))
    return video(request, path)


@router.get("/uploads/list")
def uploads(request: Request) -> View:
    """Pictures, videos and sounds that were brought in, newest first. Their text documents have no place here yet."""
    found = studio_of(request).peers.uploads(MOST)
    return {
        "files": [{"name": one["name"], "path": one["ref"], "kind": one["kind"], "size": one["size"]} for one in found],
        "docs": [],
    }
