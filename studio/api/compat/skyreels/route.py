"""How these routes speak: `{"error": "…"}` with 400, 404, 409, 501 or 500, as the original did."""

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from studio.api.answers import Told, language, studio_of
from studio.errors import NotYet, StudioError

log = logging.getLogger(__name__)

THEIR_STATUS = {422: 400, 403: 400}


class Route(APIRoute):
    """Whatever goes wrong becomes a sentence in the caller's language; none shows a traceback."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def spoken(request: Request) -> Response:
            try:
                return await handle(request)
            except StudioError as error:
                return _answer(request, error)
            except RequestValidationError as error:
                first = error.errors()[0]
                field = ".".join(str(part) for part in first["loc"][1:]) or "body"
                return _answer(request, StudioError("request.invalid", field=field, reason=first["msg"]))
            except HTTPException as error:  # a body that is no multipart, no UTF-8, or nested too deeply
                why = StudioError("request.failed", path=request.url.path, reason=str(error.detail))
                return _answer(request, why, error.status_code)
            except Exception:
                log.exception("%s %s", request.method, request.url.path)
                return _answer(request, StudioError("request.broken"))

        return spoken


def _answer(request: Request, error: StudioError, status: int = 0) -> JSONResponse:
    studio = studio_of(request)
    said = studio.words.error(error, language(request, studio))
    status = status or (400 if error.code == "request.invalid" else THEIR_STATUS.get(error.status, error.status))
    return Told({"error": " ".join(filter(None, (said["message"], said["hint"]))), "code": said["code"]}, status)


def peer_router() -> APIRouter:
    return APIRouter(route_class=Route)


def not_yet(code: str) -> NoReturn:
    """Raises NotYet: this needs a part of the studio that is not built yet."""
    raise NotYet(code)
