"""/api: who is in a queue, and one confirmation for all. Thin routes over service.casting."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from studio.api.answers import studio_of, worded_refusals
from studio.errors import Refused
from studio.service.roles import Part

router = APIRouter(tags=["casting"])


class Confirmed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=120)
    voice: str = Field("", max_length=120)


class Cast(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cast: dict[str, Confirmed] = Field(max_length=1000, description="by the key of the proposal; who is left out stays")


_CAST: TypeAdapter[dict[str, Confirmed]] = TypeAdapter(dict[str, Confirmed])


@router.get("/queues/{queue_id}/casting")
def get_casting(request: Request, queue_id: str) -> dict[str, Any]:
    """One role for each person, by the picture they have and the name they are given."""
    return studio_of(request).casting.of_queue(queue_id)


@router.post("/queues/{queue_id}/casting")
def cast_queue(request: Request, queue_id: str, body: Cast) -> dict[str, Any]:
    """Name the speakers and keep them as characters, with portrait and voice; one edit that can be undone."""
    studio = studio_of(request)
    told = studio.casting.cast_queue(queue_id, _parts(body.cast))
    return worded_refusals(request, told)


def parts(sent: Any) -> dict[str, Part]:
    """What an import was sent as `cast`. Raises Refused("request.invalid")."""
    try:
        return _parts(_CAST.validate_python(sent))
    except ValidationError as error:
        raise Refused("request.invalid", field="cast", reason=error.errors()[0]["msg"]) from error


def _parts(confirmed: Mapping[str, Confirmed]) -> dict[str, Part]:
    return {key: Part(one.name, one.voice) for key, one in confirmed.items()}
