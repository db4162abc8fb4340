"""/api/portraits and /api/avatars: what a picture is good for, its crop, many lines over one portrait. Thin routes over
service.avatars."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import language, studio_of, worded_refusals
from studio.domain import Aspect, Share

router = APIRouter(tags=["avatars"])


class Picture(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ref: str = Field(min_length=1, max_length=4096, description="asset:<sha256>, scene:<id>, a URL or a path")
    aspect: Aspect = Field("16:9", description="of the scene that it is for")


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ref: str = Field(min_length=1, max_length=4096)
    box: tuple[Share, Share, Share, Share] = Field(description="left, top, right, bottom in shares of the picture")


@router.post("/portraits/look")
def look(request: Request, body: Picture) -> dict[str, Any]:
    """Its faces, what to say about it, and how to crop it; in shares of the upright picture. Nothing is kept."""
    studio = studio_of(request)
    found, lang = studio.avatars.look(body.ref, aspect=body.aspect), language(request, studio)
    return {**found, "advice": [{"level": one["level"], **studio.words.error(one, lang)} for one in found["advice"]]}


@router.post("/portraits/crop", status_code=201)
def crop(request: Request, body: Part) -> dict[str, Any]:
    """A part of a picture as an asset of its own: PNG, upright, with its alpha, at most 4096 pixels a side."""
    return studio_of(request).avatars.crop(body.ref, body.box)


@router.post("/avatars", status_code=201)
def make(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """A scene for each line or recording over one portrait. `refused`: why they were made and do not run yet."""
    return worded_refusals(request, studio_of(request).avatars.make(body))
