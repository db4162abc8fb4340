"""/api: missing files are found again, and the folders to look in. Thin routes over service.relink, service.folders."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.api.answers import language, local, studio_of, worded_refusals
from studio.errors import Refused

router = APIRouter(tags=["relink"])

MOST_WANTED = 40_000  # what one episode may name
MOST_FILES = 200_000  # of a folder that a browser holds


class WantedFile(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a row of a check's `missing` says more
    ref: str = Field("", max_length=4096, description="what stands for it in the mapping; empty: its name")
    name: str = Field(min_length=1, max_length=4096, description="its path or name, as the file says it")
    kind: Literal["image", "audio", "video"]
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    size: int = Field(0, ge=0)


class HeldFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = Field(min_length=1, max_length=4096)
    size: int = Field(0, ge=0)


class NewSearch(BaseModel):
    """Where: `path` of a folder here, or `files` of one that you hold. What: `wanted`, or all that a queue lost."""

    model_config = ConfigDict(extra="forbid")
    path: str = Field("", max_length=4096)
    files: list[HeldFile] = Field(default_factory=list, max_length=MOST_FILES)
    wanted: list[WantedFile] = Field(default_factory=list, max_length=MOST_WANTED)
    queue_id: str = Field("", max_length=40)

    @model_validator(mode="after")
    def _says_where_and_what(self) -> "NewSearch":
        if bool(self.path) == bool(self.files):
            raise ValueError("either path or files")
        if bool(self.wanted) == bool(self.queue_id):
            raise ValueError("either wanted or queue_id")
        return self


class Choices(BaseModel):
    model_config = ConfigDict(extra="forbid")
    choices: dict[str, str] = Field(default_factory=dict, description="by ref one of its candidates; '' for none")


class Mapped(BaseModel):
    model_config = ConfigDict(extra="forbid")
    relinked: dict[str, str] = Field(max_length=MOST_WANTED, description="by ref: asset:<sha256>")


@router.get("/folders")
def look_into_folder(request: Request, path: str = Query("", max_length=4096)) -> dict[str, Any]:
    """What lies in a folder of this machine that you may read; without a path, where to begin."""
    return studio_of(request).folders.look(path, trusted=local(request))


@router.post("/searches", status_code=202)
def begin_search(request: Request, body: NewSearch) -> dict[str, Any]:
    """Look for missing files. In a folder of this machine it goes on by itself: ask again until `state` is done."""
    relink = studio_of(request).relink
    rows = [{**one.model_dump(), "ref": one.ref or one.name} for one in body.wanted]
    wanted = rows or relink.missing(body.queue_id)["files"]
    if body.files:
        return relink.compare(wanted, [(file.path, file.size) for file in body.files])
    return _worded(request, relink.begin(body.path, wanted, trusted=local(request)))


@router.get("/searches/{search_id}")
def get_search(request: Request, search_id: str) -> dict[str, Any]:
    """How many files it has seen, and once it is done what it found: `matches`."""
    return _worded(request, studio_of(request).relink.get(search_id))


@router.delete("/searches/{search_id}", status_code=204)
def stop_search(request: Request, search_id: str) -> None:
    studio_of(request).relink.cancel(search_id)


@router.post("/searches/{search_id}/take")
def take_found(request: Request, search_id: str, body: Choices | None = None) -> dict[str, Any]:
    """What was found in a folder of this machine becomes assets, where it lies."""
    studio = studio_of(request)
    told = studio.relink.take(search_id, body.choices if body else {})
    return worded_refusals(request, told)


@router.get("/queues/{queue_id}/missing")
def missing_files(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).relink.missing(queue_id)


@router.post("/queues/{queue_id}/relink")
def relink_queue(request: Request, queue_id: str, body: Mapped) -> dict[str, Any]:
    """Put other assets where these refs stand, in all scenes and the music; one edit that can be undone."""
    studio = studio_of(request)
    told = studio.relink.relink(queue_id, assets(body.relinked))
    return worded_refusals(request, told)


def assets(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Raises Refused("relink.no_asset") where a ref is mapped to anything else."""
    for ref, found in mapping.items():
        mark, _, sha256 = str(found).partition(":")
        if mark != "asset" or len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise Refused("relink.no_asset", ref=ref[:80], found=str(found)[:80])
    return dict(mapping)


def _worded(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    studio = studio_of(request)
    return {**row, "error": row["error"] and studio.words.error(row["error"], language(request, studio))}
