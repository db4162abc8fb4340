"""/api/queues, /api/exports: thin routes over service.queues and service.exports."""

from typing import Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from studio.api.answers import language, packed, studio_of, worded
from studio.errors import Refused, TooLarge

router = APIRouter(tags=["queues"])

MAX_EPISODE = 20_000_000  # bytes


class NewQueue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200)
    frame: dict[str, Any] | None = None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scene_ids: list[str] = Field(max_length=10_000)


class Selection(BaseModel):
    model_config = ConfigDict(extra="forbid")
    only: list[str] | None = Field(None, max_length=10_000, description="scene ids, done or not; empty: all not done")


class NewExport(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["film"] = "film"
    missing: Literal["ask", "leave_out", "draft_card", "stop"] = "ask"


@router.get("/queues")
def list_queues(request: Request) -> list[dict[str, Any]]:
    return studio_of(request).queues.list()


@router.post("/queues", status_code=201)
def create_queue(request: Request, body: NewQueue) -> dict[str, Any]:
    return studio_of(request).queues.create(body.name, frame=body.frame)


@router.post("/queues/check")
async def check_episode(request: Request) -> dict[str, Any]:
    """What an episode file holds and what is wrong with it; nothing is written. Body: the file, raw or multipart."""
    studio = studio_of(request)
    text, _ = await _episode(request)
    found = await run_in_threadpool(studio.queues.check_episode, text)
    return worded(studio, found, language(request, studio))


@router.post("/queues/import", status_code=201)
async def import_episode(
    request: Request, name: str = Query("", max_length=200), only_valid: bool = False
) -> dict[str, Any]:
    """A new queue from an episode file. 422 with a report when a scene is not valid and `only_valid` is false."""
    studio = studio_of(request)
    text, file_name = await _episode(request)

    def imported() -> dict[str, Any]:
        found = studio.queues.import_episode(text, name=name, only_valid=only_valid, fallback_name=file_name)
        return {**found, "report": worded(studio, found["report"], language(request, studio))}

    return await run_in_threadpool(imported)


@router.post("/queues/sample", status_code=201)
def import_sample(request: Request) -> dict[str, Any]:
    """The bundled sample episode as a new queue."""
    return studio_of(request).queues.import_sample()


async def _episode(request: Request) -> tuple[bytes, str]:
    """(content, name without suffix) of an episode sent raw or as multipart `file`."""
    name = ""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Refused("request.invalid", field="file", reason="missing")
            name = (file.filename or "").rsplit(".", 1)[0][:200]
            content = await file.read(MAX_EPISODE + 1)
    else:
        content = await request.body()
    if len(content) > MAX_EPISODE:
        raise TooLarge("episode.too_large", size=len(content), most=MAX_EPISODE)
    return content, name


@router.get("/queues/{queue_id}", response_model=dict[str, Any])
def get_queue(request: Request, queue_id: str, since: str | None = Query(None, max_length=60)) -> Response:
    """What changed since `since` (a version of this boot), or everything; the progress; what goes on everywhere."""
    return packed(request, studio_of(request).snapshot(queue_id, since))


@router.patch("/queues/{queue_id}")
def change_queue(request: Request, queue_id: str, body: dict[str, Any]) -> dict[str, Any]:
    return studio_of(request).queues.update(queue_id, body)


@router.delete("/queues/{queue_id}", status_code=204)
def delete_queue(request: Request, queue_id: str) -> None:
    studio_of(request).queues.delete(queue_id)


@router.get("/queues/{queue_id}/episode")
def get_episode(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).queues.export_episode(queue_id)


@router.post("/queues/{queue_id}/run")
def run_queue(request: Request, queue_id: str, body: Selection | None = None) -> dict[str, Any]:
    return studio_of(request).queues.run(queue_id, only=body.only if body else None)


@router.post("/queues/{queue_id}/retry")
def retry_queue(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).queues.retry(queue_id)


@router.post("/queues/{queue_id}/restart")
def restart_queue(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).queues.restart(queue_id)


@router.post("/queues/{queue_id}/pause", status_code=204)
def pause_queue(request: Request, queue_id: str) -> None:
    studio_of(request).queues.pause(queue_id)


@router.post("/queues/{queue_id}/resume", status_code=204)
def resume_queue(request: Request, queue_id: str) -> None:
    studio_of(request).queues.resume(queue_id)


@router.post("/queues/{queue_id}/stop", status_code=204)
def stop_queue(request: Request, queue_id: str) -> None:
    studio_of(request).queues.stop(queue_id)


@router.post("/queues/{queue_id}/reorder", status_code=204)
def reorder_queue(request: Request, queue_id: str, body: Order) -> None:
    studio_of(request).queues.reorder(queue_id, body.scene_ids)


# ------------------------------------------------------------------------------------------------ exports
@router.post("/queues/{queue_id}/exports", status_code=202, tags=["exports"])
def cut_film(request: Request, queue_id: str, body: NewExport | None = None) -> dict[str, Any]:
    """Cut the film. 409 "cut.missing" names the scenes without a take and asks what to do with them."""
    return studio_of(request).exports.cut(queue_id, (body or NewExport()).missing)


@router.get("/queues/{queue_id}/exports", tags=["exports"])
def list_exports(request: Request, queue_id: str) -> list[dict[str, Any]]:
    return list(studio_of(request).exports.list(queue_id))


@router.get("/exports/{export_id}", tags=["exports"])
def get_export(request: Request, export_id: str) -> dict[str, Any]:
    studio = studio_of(request)
    found = studio.exports.get(export_id)
    if found["error"]:
        found = {**found, "error": studio.words.error(found["error"], language(request, studio))}
    return found


@router.delete("/exports/{export_id}", status_code=204, tags=["exports"])
def cancel_export(request: Request, export_id: str) -> None:
    studio_of(request).exports.cancel(export_id)


@router.get("/exports/{export_id}/file", tags=["exports"])
def export_file(request: Request, export_id: str, download: bool = False) -> FileResponse:
    path = studio_of(request).exports.file(export_id)
    return FileResponse(path, media_type="video/mp4", filename=path.name if download else None)


@router.get("/exports/{export_id}/subtitles.vtt", tags=["exports"])
def export_subtitles(request: Request, export_id: str) -> FileResponse:
    return FileResponse(studio_of(request).exports.subtitles(export_id), media_type="text/vtt")
