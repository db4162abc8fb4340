"""/api/voices, /api/characters, how words are said in a project: thin routes over service.voices."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from studio.api.answers import studio_of
from studio.api.uploads import on_disk
from studio.domain import Language, Pronunciation
from studio.errors import Refused

router = APIRouter(tags=["voices"])


class Recording(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ref: str = Field(min_length=1, max_length=4096, description="asset:<sha256>, scene:<id>, a URL or a path")
    start: float = Field(0.0, ge=0, le=86_400, allow_inf_nan=False, description="seconds")
    end: float | None = Field(None, gt=0, le=86_400, allow_inf_nan=False, description="seconds; empty: its end")
    denoise: bool = False


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=2000)
    engine: str = Field("", max_length=60, pattern=r"^[a-z0-9_.\-]*$", description="empty: the voice's own")
    options: dict[str, Any] = Field(default_factory=dict, description="knobs of that engine")
    language: Language | None = None
    direction: str = Field("", max_length=300)


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")
    character: str = Field(min_length=1, max_length=26, description="id of the character")


class Words(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entries: list[Pronunciation] = Field(max_length=2000)


@router.get("/voices")
def list_voices(request: Request) -> dict[str, Any]:
    """Every voice that was made, by name."""
    return {"voices": studio_of(request).voices.list()}


@router.post("/voices/import", status_code=201)
async def import_voice(request: Request) -> dict[str, Any]:
    """A voice of another studio: multipart `file`, as `/voices/{id}/package` gave it."""
    studio = studio_of(request)
    async with request.form(max_files=1, max_fields=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused("request.invalid", field="file", reason="missing")
        async with on_disk(studio, file) as path:
            return await run_in_threadpool(studio.voice_packages.unpack, path)


@router.post("/voices/look")
def look(request: Request, body: Recording) -> dict[str, Any]:
    """A recording made ready as a sample, measured and judged; nothing is kept under a name yet."""
    return studio_of(request).voices.look(body.ref, start=body.start, end=body.end, denoise=body.denoise)


@router.post("/voices", status_code=201)
def create_voice(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a voice, and `consent`: who says that the speaker agreed. 422 `voice.consent` without it where
    there is a sample."""
    consent = str(body.pop("consent", "") or "")
    return studio_of(request).voices.create(body, consent=consent)


@router.get("/voices/{voice_id}")
def get_voice(request: Request, voice_id: str) -> dict[str, Any]:
    return studio_of(request).voices.get(voice_id)


@router.patch("/voices/{voice_id}")
def change_voice(request: Request, voice_id: str, body: dict[str, Any]) -> dict[str, Any]:
    consent = str(body.pop("consent", "") or "")
    return studio_of(request).voices.change(voice_id, body, consent=consent)


@router.delete("/voices/{voice_id}", status_code=204)
def delete_voice(request: Request, voice_id: str, force: bool = False) -> None:
    """409 `voice.used` while characters speak with it, unless `force`."""
    studio_of(request).voices.delete(voice_id, force=force)


@router.get("/voices/{voice_id}/package")
def voice_package(request: Request, voice_id: str) -> FileResponse:
    """The voice as one zip: its fields, who agreed, its sample."""
    studio = studio_of(request)
    name = f"{studio.voices.get(voice_id)['name']}.voice.zip"
    return FileResponse(studio.voice_packages.pack(voice_id), media_type="application/zip", filename=name)


@router.get("/voices/{voice_id}/sample")
def voice_sample(request: Request, voice_id: str) -> FileResponse:
    """The prepared recording; understands ranges."""
    return FileResponse(studio_of(request).voices.sample(voice_id), media_type="audio/wav")


@router.post("/voices/{voice_id}/say", status_code=201)
def say(request: Request, voice_id: str, body: Said) -> dict[str, Any]:
    """A scene of speech in the Inbox; listen at /scenes/{id}/sound while it is made."""
    asked = body.model_dump(exclude={"text"})
    return studio_of(request).voices.say(voice_id, body.text, **asked)


@router.post("/voices/{voice_id}/characters")
def give_voice(request: Request, voice_id: str, body: Given) -> dict[str, Any]:
    """The character speaks with this voice from now on."""
    return studio_of(request).voices.give(voice_id, body.character)


@router.delete("/voices/{voice_id}/characters/{character_id}")
def take_voice(request: Request, voice_id: str, character_id: str) -> dict[str, Any]:
    """The character speaks with no voice of its own from now on, where this one was its own."""
    return studio_of(request).voices.take_from(voice_id, character_id)


@router.get("/characters")
def characters(request: Request, project: str | None = None) -> dict[str, Any]:
    """Who speaks, by project and name. `project`: its id."""
    return {"characters": studio_of(request).voices.characters(project)}


@router.get("/projects/{project}/pronunciations")
def pronunciations(request: Request, project: str) -> dict[str, Any]:
    """How words are said in a project. `project`: its name."""
    return studio_of(request).voices.pronunciations(project)


@router.put("/projects/{project}/pronunciations")
def pronounce(request: Request, project: str, body: Words) -> dict[str, Any]:
    return studio_of(request).voices.pronounce(project, body.entries)
