"""A route on which whatever goes wrong is told the way a peer tells it. Knows no peer."""

import logging
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from studio.errors import Refused, StudioError

log = logging.getLogger(__name__)

Tell = Callable[[Request, StudioError, int], Response]
"""(request, error, status): the answer; 0: the error's own status, in the peer's words."""


def route_that_tells(tell: Tell) -> type[APIRoute]:
    """Whatever goes wrong becomes a sentence in the caller's language; none shows a traceback."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            handle = super().get_route_handler()

            async def spoken(request: Request) -> Response:
                try:
                    return await handle(request)
                except StudioError as error:
                    return tell(request, error, 0)
                except RequestValidationError as error:
                    first = error.errors()[0]
                    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
                    return tell(request, Refused("request.invalid", field=field, reason=first["msg"]), 422)
                except HTTPException as error:  # a body that is no multipart, no UTF-8, or nested too deeply
                    why = StudioError("request.failed", path=request.url.path, reason=str(error.detail))
                    return tell(request, why, error.status_code)
                except Exception:
                    log.exception("%s %s", request.method, request.url.path)
                    return tell(request, StudioError("request.broken"), 0)

            return spoken

    return Route
