"""The web API of All-in-one, a local digital-human studio: /api/voice/clone, /api/jobs, /api/models. Its paths lie
below our own /api, and are asked first there.

Its README and its code say the same in two spellings. Both are understood; what is answered is the code's, or the
README's for whoever asks with `?spelling=readme` (docs/api.md, "Clients of All-in-one"). Errors are `{detail, code}`.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from studio.api.answers import Told, language, studio_of
from studio.api.compat.route import route_that_tells
from studio.api.uploads import kept
from studio.errors import MediaError, Refused, StudioError
from studio.service import Studio
from studio.service.digital_humans import USUAL_MODEL, Wish

View = dict[str, Any]
Spelling = Literal["code", "readme"]
README = {"running": "processing"}
THEIR_STATUS = {403: 400, 409: 400}


class JobIn(BaseModel):
    voice_id: str = Field(min_length=1, max_length=4096)
    avatar_url: str = Field(min_length=1, max_length=30_000_000)
    script_mode: Literal["ai", "auto", "manual"]
    script_input: str = Field(min_length=1, max_length=20_000)
    preferred_engine: str = Field("auto", max_length=60)
    wangp_model: str = Field(USUAL_MODEL, max_length=200)


class ModelIn(BaseModel):
    model_id: str = Field(min_length=1, max_length=200)


def _refusal(request: Request, error: StudioError, status: int) -> JSONResponse:
    studio = studio_of(request)
    said = studio.words.error(error, language(request, studio))
    if error.code == "preflight.errors":  # of the one scene that a job is
        said = studio.words.error(error.params["why"], language(request, studio))
    theirs = isinstance(error, MediaError) or type(error) is Refused  # what they sent
    status = status or (400 if theirs else THEIR_STATUS.get(error.status, error.status))
    return Told({"detail": " ".join(filter(None, (said["message"], said["hint"]))), "code": said["code"]}, status)


router = APIRouter(tags=["All-in-one"], route_class=route_that_tells(_refusal))


# ------------------------------------------------------------------------------------------------ voices
@router.post("/api/voice/clone")
async def clone(request: Request) -> View:
    """Multipart `audio_file`: who sends it says that the speaker agreed, and that is written down."""
    studio = studio_of(request)
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("audio_file")
        if not isinstance(file, UploadFile):
            raise Refused("request.invalid", field="audio_file", reason="missing")
        asset = await kept(studio, file)
        return await run_in_threadpool(studio.digital_humans.clone, asset["ref"], file.filename or "", _client(request))


def _client(request: Request) -> str:
    """As it is written down beside the consent."""
    address = request.client.host if request.client else "?"
    agent = "".join(c for c in request.headers.get("user-agent", "?") if c.isprintable())[:120]
    return f"API client {address} ({agent})"


# ------------------------------------------------------------------------------------------------ jobs
@router.post("/api/jobs")
def create_job(request: Request, body: JobIn, spelling: Spelling = "code") -> View:
    studio = studio_of(request)
    job = studio.digital_humans.create(Wish(**body.model_dump()))
    told = _told(request, studio, job, spelling)
    return {name: told[name] for name in ("job_id", "selected_engine", "wangp_model", "status", "state", "message")}


@router.get("/api/jobs/{job_id}")
def get_job(request: Request, job_id: str, spelling: Spelling = "code") -> View:
    studio = studio_of(request)
    return _told(request, studio, studio.digital_humans.get(job_id), spelling)


def _told(request: Request, studio: Studio, job: View, spelling: Spelling) -> View:
    lang = language(request, studio)
    state, done = job["state"], job["state"] == "completed"
    status = state
    if spelling == "readme" and state == "running":
        status = "fallback" if job["reason"] else README[state]
    return {
        "job_id": job["id"], "status": status, "state": state, "progress": job["progress"],
        "message": _message(studio, job, lang), "selected_engine": job["engine"], "wangp_model": job["wangp_model"],
        "fallback_reason": studio.words.error(job["reason"], lang)["message"] if job["reason"] else None,
        "generated_script": job["script"] if done else None,
        "result_url": f"/api/jobs/{job['id']}/download" if done else None, "scene_id": job["scene_id"],
    }  # fmt: skip


def _message(studio: Studio, job: View, lang: str) -> str:
    if job["error"] and job["state"] == "failed":
        said = studio.words.error(job["error"], lang)
        return " ".join(filter(None, (said["message"], said["hint"])))
    words = studio.words.text(f"all_in_one.{job['state']}", lang)
    note = studio.words.text("all_in_one.words_only", lang, model=job["wangp_model"]) if job["words_only"] else ""
    return " ".join(filter(None, (words, note)))


@router.get("/api/jobs/{job_id}/result", response_model=None)
def result(request: Request, job_id: str, format: Literal["", "json", "mp4"] = "") -> FileResponse | View:
    """The video; `{status, url, filename}` for `?format=json`, and for who asks for JSON, as their own page does."""
    studio = studio_of(request)
    path = studio.digital_humans.result(job_id)
    wants = (request.headers.get(name, "") for name in ("accept", "content-type"))
    if format == "json" or (not format and any("application/json" in wish for wish in wants)):
        return {"status": "ready", "url": f"/api/jobs/{job_id}/download", "filename": f"{job_id}.mp4"}
    return FileResponse(path, media_type="video/mp4")


@router.get("/api/jobs/{job_id}/download")
def download(request: Request, job_id: str) -> FileResponse:
    path = studio_of(request).digital_humans.result(job_id)
    return FileResponse(path, media_type="video/mp4", filename=f"{job_id}.mp4")


# ------------------------------------------------------------------------------------------------ models
@router.get("/api/models/status")
def models(request: Request) -> list[View]:
    return studio_of(request).digital_humans.models()


@router.post("/api/models/download")
def fetch_model(request: Request, body: ModelIn) -> View:
    return studio_of(request).digital_humans.fetch(body.model_id)


@router.get("/api/models/download")
def fetching_model(request: Request, model_id: str) -> View:
    return studio_of(request).digital_humans.model(model_id)


@router.get("/api/models/download/{model_id:path}")
def fetching(request: Request, model_id: str) -> View:
    return studio_of(request).digital_humans.model(model_id)
