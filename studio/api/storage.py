"""/api/storage: thin routes over service.storage."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import studio_of

router = APIRouter(prefix="/storage", tags=["storage"])


class Spare(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queue_ids: list[str] | None = Field(None, max_length=10_000, description="empty: every queue that has a film")
    keep_rating: int = Field(4, ge=1, le=6, description="stars from which a take is kept; 6: stars do not count")


class Age(BaseModel):
    model_config = ConfigDict(extra="forbid")
    older_than_days: float = Field(0, ge=0, le=36_500, allow_inf_nan=False)


class UploadAge(BaseModel):
    model_config = ConfigDict(extra="forbid")
    older_than_days: float = Field(7, ge=0, le=36_500, allow_inf_nan=False)


class Caches(BaseModel):
    model_config = ConfigDict(extra="forbid")
    names: list[Literal["conform", "frames", "posters"]] = ["conform", "frames", "posters"]


class Left(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queue: str | None = Field(None, max_length=200, description="name of the deleted queue; empty: all")


@router.get("")
def storage(request: Request) -> dict[str, Any]:
    """What lies on the disk, in bytes: by queue, trash, caches, uploads, files of deleted queues."""
    return studio_of(request).storage.view()


@router.post("/spare")
def trash_spare(request: Request, body: Spare | None = None) -> dict[str, Any]:
    """Takes of finished films that are neither selected nor locked nor rated well go to the trash."""
    spare = body or Spare()
    return studio_of(request).storage.trash_spare(spare.queue_ids, spare.keep_rating)


@router.post("/trash")
def empty_trash(request: Request, body: Age | None = None) -> dict[str, Any]:
    """Remove what is in the trash, or what is there for so many days, from the disk."""
    return studio_of(request).storage.empty_trash((body or Age()).older_than_days)


@router.post("/cache")
def clear_cache(request: Request, body: Caches | None = None) -> dict[str, Any]:
    """Posters, frames and conformed clips: made again when they are wanted. 409 while something is being made."""
    return studio_of(request).storage.clear_caches((body or Caches()).names)


@router.post("/uploads")
def remove_uploads(request: Request, body: UploadAge | None = None) -> dict[str, Any]:
    """Uploads that no scene, film, character or preset names any more."""
    return studio_of(request).storage.remove_uploads((body or UploadAge()).older_than_days)


@router.post("/leftovers")
def remove_leftovers(request: Request, body: Left | None = None) -> dict[str, Any]:
    """Files of takes and films whose queue or scene was deleted."""
    return studio_of(request).storage.remove_leftovers((body or Left()).queue)
