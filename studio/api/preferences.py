"""/api/preferences: thin routes over service.preferences."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from studio.api.answers import local, studio_of

router = APIRouter(prefix="/preferences", tags=["preferences"])

Values = Annotated[
    dict[str, str | bool | int | float | list[str] | None],
    Body(max_length=100, examples=[{"lang": "pt", "media_roots": ["footage"], "fal_key": None}]),
]


@router.get("")
def list_settings(request: Request) -> dict[str, Any]:
    """Every setting: value (of a secret only whether it is set), where it comes from, how it is drawn."""
    return studio_of(request).preferences.list()


@router.patch("")
def change_settings(request: Request, body: Values) -> dict[str, Any]:
    """Save settings by name; null takes one out of data/settings.toml. 403 for anybody but the studio's owner; 422
    names a setting that cannot be so, or that a flag or the environment sets."""
    return studio_of(request).preferences.change(body, trusted=local(request))
