"""/api/installations: a folder of SkyReels comes in whole. Thin routes over service.installations."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import language, local, studio_of

router = APIRouter(tags=["installations"])


class Folder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = Field(min_length=1, max_length=4096, description="of the installation, below the studio's folders")


@router.post("/installations", status_code=202)
def import_installation(request: Request, body: Folder) -> dict[str, Any]:
    """Begin to import an installation of SkyReels: queues with their videos, projects with their files."""
    return _worded(request, studio_of(request).installations.begin(body.path, trusted=local(request)))


@router.get("/installations")
def list_installations(request: Request) -> list[dict[str, Any]]:
    return [_worded(request, one) for one in studio_of(request).installations.list()]


@router.get("/installations/{installation_id}")
def get_installation(request: Request, installation_id: str) -> dict[str, Any]:
    """How far it is, which queues are here, and everything that was odd, in words."""
    return _worded(request, studio_of(request).installations.get(installation_id))


@router.delete("/installations/{installation_id}", status_code=204)
def cancel_installation(request: Request, installation_id: str) -> None:
    """Stop after the queue in hand; what came in stays."""
    studio_of(request).installations.cancel(installation_id)


def _worded(request: Request, found: dict[str, Any]) -> dict[str, Any]:
    studio, lang = studio_of(request), language(request, studio_of(request))
    problems = [{**row, **studio.words.error(row, lang)} for row in found["problems"]]
    error = found["error"] and studio.words.error(found["error"], lang)
    return {**found, "problems": problems, "error": error}
