"""/api/scenes, /api/tasks, /api/engines: thin routes over service.scenes and service.engines."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse

from studio.api.answers import studio_of
from studio.errors import Refused

router = APIRouter(tags=["scenes"])

POLL = 0.05  # seconds between two looks at a line that is being spoken


@router.post("/scenes", status_code=201)
def generate(request: Request, body: dict[str, Any], run: bool = True) -> dict[str, Any]:
    """One scene of its own: the fields of its task. Rendered at once unless `run` is false."""
    return studio_of(request).scenes.generate(body, run=run)


@router.post("/queues/{queue_id}/scenes", status_code=201)
def add_scene(request: Request, queue_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """A scene at the end of a queue, or at position `at` (from 0)."""
    at = body.pop("at", None)
    if at is not None and (not isinstance(at, int) or isinstance(at, bool) or not 0 <= at <= 1_000_000):
        raise Refused("request.invalid", field="at", reason="0 …")
    return studio_of(request).scenes.add(queue_id, body, at)


@router.post("/scenes/skip")
def skip(request: Request) -> dict[str, Any]:
    """Cancel what is being rendered now; the next one starts."""
    return {"skipped": studio_of(request).scenes.skip()}


@router.get("/scenes/{scene_id}")
def get_scene(request: Request, response: Response, scene_id: str) -> dict[str, Any]:
    scene = studio_of(request).scenes.get(scene_id)
    response.headers["etag"] = f'"{scene["version"]}"'
    return scene


@router.patch("/scenes/{scene_id}")
def edit_scene(
    request: Request, scene_id: str, body: dict[str, Any], if_match: str | None = Header(None, max_length=40)
) -> dict[str, Any]:
    """Change fields. `If-Match` with the version you read; 409 when somebody was faster."""
    version = None
    if if_match is not None:
        text = if_match.strip().strip('"')
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise Refused("request.invalid", field="If-Match", reason=text[:20])
        version = int(text)
    return studio_of(request).scenes.edit(scene_id, body, version)


@router.delete("/scenes/{scene_id}", status_code=204)
def delete_scene(request: Request, scene_id: str, force: bool = False) -> None:
    """409 `scene.needed` with their names when other scenes read its picture, unless `force`."""
    studio_of(request).scenes.delete(scene_id, force=force)


@router.post("/scenes/{scene_id}/cancel")
def cancel_scene(request: Request, scene_id: str) -> dict[str, Any]:
    return studio_of(request).scenes.cancel(scene_id)


@router.post("/scenes/{scene_id}/enough")
def enough(request: Request, scene_id: str) -> dict[str, Any]:
    """Finish with the steps done so far and keep that. 409 when it is not being rendered, or by an engine that cannot
    stop early (`stops_early` in /engines)."""
    return studio_of(request).scenes.enough(scene_id)


@router.post("/scenes/{scene_id}/duplicate", status_code=201)
def duplicate_scene(request: Request, scene_id: str) -> dict[str, Any]:
    return studio_of(request).scenes.duplicate(scene_id)


@router.get("/scenes/{scene_id}/preview")
def preview(request: Request, scene_id: str) -> Response:
    """The newest picture of a scene that is being rendered; 204 when there is none."""
    jpeg = studio_of(request).scenes.preview(scene_id)
    headers = {"cache-control": "no-store"}
    if jpeg is None:
        return Response(status_code=204, headers=headers)
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.get("/scenes/{scene_id}/sound", response_class=Response)
def sound(request: Request, scene_id: str, line: str | None = Query(None, max_length=60)) -> Response:
    """What is being said, while it is said: a WAV that grows until the job ends. After that the voice take of the line,
    or the newest one of the scene. 204 while there is nothing to hear."""
    found = studio_of(request).scenes.sound(scene_id, line)
    headers = {"cache-control": "no-store"}
    if found is None:
        return Response(status_code=204, headers=headers)
    if isinstance(found, Path):
        return FileResponse(found, media_type="audio/wav", headers=headers)
    return StreamingResponse(_growing(found, request), media_type="audio/wav", headers=headers)


async def _growing(heard: Any, request: Request) -> AsyncIterator[bytes]:
    """A WAV as far as it is there, and what comes, until nothing more does or nobody listens."""
    yield heard.header()
    at, over = 0, False
    while not over:
        over = heard.over  # looked at first: what is added before it is true is still sent
        piece, at = heard.since(at)
        while piece:
            yield piece
            piece, at = heard.since(at)
        if not over:
            if await request.is_disconnected():
                return
            await asyncio.sleep(POLL)


@router.get("/scenes/{scene_id}/log", response_class=PlainTextResponse)
def scene_log(request: Request, scene_id: str) -> str:
    return studio_of(request).scenes.log(scene_id)


@router.get("/tasks")
def tasks(request: Request) -> dict[str, Any]:
    """The JSON schema of each task's scene."""
    scenes = studio_of(request).scenes
    return {task: scenes.schema(task) for task in scenes.tasks()}


@router.get("/engines")
def engines(request: Request) -> list[dict[str, Any]]:
    """Every engine with its tasks, limits, knobs and whether it is ready here."""
    return studio_of(request).engines.list()
