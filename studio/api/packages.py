"""/api/queues/{id}/package: thin routes over service.packages. Packages come in through /api/queues/import."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from studio.api.answers import studio_of

router = APIRouter(tags=["packages"])


class NewPackage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    takes: Literal["all", "selected", "none"] = "all"


@router.get("/queues/{queue_id}/package")
def package_sizes(request: Request, queue_id: str) -> dict[str, Any]:
    """How large the package of a queue would be, for each choice of takes."""
    return studio_of(request).packages.sizes(queue_id)


@router.post("/queues/{queue_id}/package", status_code=202)
def pack_queue(request: Request, queue_id: str, body: NewPackage | None = None) -> dict[str, Any]:
    """Begin to pack a queue; an export like a film: ask how far it is, cancel it, fetch its file."""
    return studio_of(request).packages.export(queue_id, (body or NewPackage()).takes)
