"""/api/notices, /api/hooks, /api/deliveries: what is told, and to whom; thin routes over service.notices and .hooks."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Query, Request

from studio.api.answers import language, studio_of
from studio.domain import MAX_INT

router = APIRouter(tags=["notices"])


@router.get("/notices")
def list_notices(
    request: Request, since: int = Query(0, ge=0, le=MAX_INT), limit: int = Query(50, ge=1, le=200)
) -> list[dict[str, Any]]:
    """Newest first, in words: finished runs, first failures, scenes that stand still or were resumed, a full disk."""
    studio = studio_of(request)
    return studio.notices.list(since, limit, language(request, studio))


@router.get("/hooks")
def list_hooks(request: Request) -> list[dict[str, Any]]:
    """Where notices go. Secrets never come back: `has_secret` says whether there is one."""
    return studio_of(request).hooks.list()


@router.post("/hooks", status_code=201)
def create_hook(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """`{kind: generic | ntfy | telegram | discord, name, url, target, secret, local, lang, events}`"""
    return studio_of(request).hooks.create(body)


@router.patch("/hooks/{hook_id}")
def change_hook(request: Request, hook_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """What is not named stays; an empty secret or url too."""
    return studio_of(request).hooks.update(hook_id, body)


@router.delete("/hooks/{hook_id}", status_code=204)
def delete_hook(request: Request, hook_id: str) -> None:
    studio_of(request).hooks.delete(hook_id)


@router.post("/hooks/{hook_id}/test")
def test_hook(request: Request, hook_id: str) -> dict[str, Any]:
    """Send a test now; what was answered, or 503 with the reason."""
    return studio_of(request).hooks.test(hook_id)


@router.get("/deliveries")
def list_deliveries(request: Request, limit: int = Query(100, ge=1, le=500)) -> Sequence[dict[str, Any]]:
    """What was sent and what still waits to be, newest first."""
    return studio_of(request).hooks.deliveries(limit)
