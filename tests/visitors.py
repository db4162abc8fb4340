"""Who asks, where a test has no door before its routes."""

from starlette.types import ASGIApp, Receive, Scope, Send

from studio.api.guard import VISITOR
from studio.domain import Visitor

AT_HOME = Visitor("", "", "owner", "local")


class Known:
    """Middleware: every request is this visitor's."""

    def __init__(self, app: ASGIApp, visitor: Visitor = AT_HOME) -> None:
        self.app, self.visitor = app, visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, VISITOR: self.visitor}, receive, send)
