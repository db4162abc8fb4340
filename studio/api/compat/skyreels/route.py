"""How these routes speak: `{"error": "…"}` with 400, 404, 409, 501 or 500, as the original did."""

from typing import NoReturn

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from studio.api.answers import Told, language, studio_of
from studio.api.compat.route import route_that_tells
from studio.errors import NotYet, StudioError

THEIR_STATUS = {422: 400, 403: 400}


def _answer(request: Request, error: StudioError, status: int) -> JSONResponse:
    studio = studio_of(request)
    said = studio.words.error(error, language(request, studio))
    status = 400 if error.code == "request.invalid" else status or THEIR_STATUS.get(error.status, error.status)
    return Told({"error": " ".join(filter(None, (said["message"], said["hint"]))), "code": said["code"]}, status)


def peer_router() -> APIRouter:
    return APIRouter(route_class=route_that_tells(_answer))


def not_yet(code: str) -> NoReturn:
    """Raises NotYet: this needs a part of the studio that is not built yet."""
    raise NotYet(code)
