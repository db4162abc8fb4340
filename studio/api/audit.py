"""/api/audit: who did what. A thin route over service.audit."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from studio.api.answers import language, studio_of

router = APIRouter(prefix="/audit", tags=["sharing"])


@router.get("")
def list_audit(
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """What people who signed in have changed, newest first, kept for 180 days: `{entries: [{id, at, name, role, way,
    address, what, subject, text}], next}`. `next` is the `before` of the page that follows, null at the end."""
    studio = studio_of(request)
    return studio.audit.list(before, limit, language(request, studio))
