"""The door: one ASGI layer around everything, also around OPTIONS and websockets. Knows hosts, sites, people, rights.

In this order: is it addressed to us (Host), may another site send it (Sec-Fetch-Site, Origin), who is it (a session or
a token, unless the studio is one user's own), may people of that role do this (rights.py), is it too large. No right
is ever given by the address somebody comes from: behind a tunnel or proxy everybody comes from this computer.
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from studio.api.rights import allowed, is_open
from studio.api.sign_in import COOKIE, LANGUAGE_COOKIE
from studio.domain import Visitor, Way
from studio.errors import Forbidden, Refused, StudioError, TooLarge
from studio.service.audit import Audit, Deed
from studio.service.hosts import LOOPBACK_NAMES
from studio.service.people import People
from studio.service.words import Words

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UPLOADS = re.compile(
    r"/(api/assets|api/voice/clone|api/voices/import|api/queues/(import|check)|gradio_api/upload|generate|projects/[^/]+/upload/\w+)"
)  # written to disk as it comes
PLAIN_BYTES = 25_000_000  # of any other body: it is held in memory; an episode may have 20 MB
LOCAL = "lanterna.local"  # in the scope: this request comes from the command line of the user who runs the studio
VISITOR = "lanterna.visitor"  # in the scope: who sends this request; None before signing in
REVIEWER_BYTES = 1_000_000  # of any body of theirs: JSON is read while everybody else waits
PROXY_HEADERS = re.compile(r"forwarded|x-forwarded-.*|x-real-ip|true-client-ip|cf-connecting-ip|via")
ANSWER_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"frame-ancestors 'self'",  # nobody lays our buttons under their picture
}


class Guard:
    """Wraps `app`. `token` is the command line's own; `max_bytes`: of an upload; `audit` keeps who wrote what."""

    def __init__(
        self, app: App, words: Words, token: str, people: People, max_bytes: int, audit: Audit | None = None
    ) -> None:
        self.app, self.words, self.token = app, words, token
        self.people, self.max_bytes, self.audit = people, max_bytes, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        request = _Request(scope)
        try:
            self._check(request)
        except StudioError as error:
            return await self._refuse(request, error, receive, send)
        if scope["type"] == "websocket":
            return await self.app(scope, receive, send)
        await self._within_limit(request, receive, send)

    def _check(self, request: "_Request") -> None:
        hosts = request.all("host")
        way = self.people.hosts.way(hosts[0]) if len(hosts) == 1 else None
        if way is None:
            raise _WrongHost("guard.host", host=request.one("host")[:80])
        request.way = way
        request.scope[LOCAL] = ours = self._is_ours(request)
        by_token = None if ours else self.people.visitor(request.token(), way) if request.token() else None
        # a token in a header cannot be sent by another site without asking first, and asking (OPTIONS) is refused here
        if not ours and by_token is None and not _same_site(request):
            raise Forbidden("guard.cross_site")
        request.scope[VISITOR] = visitor = self._visitor(request, way, ours, by_token)
        if visitor is None and not is_open(request.path):
            raise _SignedOut("guard.signed_out")
        if visitor and not allowed(visitor.role, request.method, request.path):
            raise _NotTheirs("guard.role", role=visitor.role)
        length = request.one("content-length")
        if length and (not length.isdecimal() or len(length) > 18 or int(length) > self._limit(request)):
            raise self._too_large(request)

    def _visitor(self, request: "_Request", way: Way, ours: bool, by_token: Visitor | None) -> Visitor | None:
        if ours:
            return Visitor("", "", "owner", way)
        if found := by_token or self.people.visitor(request.cookie(COOKIE), way):
            return found
        if not self.people.at_home:
            return None
        if request.is_forwarded:
            raise Forbidden("guard.proxy")
        # a network's listener opens before its names are known and closes after they are forgotten
        return Visitor("", "", "owner", way) if request.came_to in LOOPBACK_NAMES else None

    def _limit(self, request: "_Request") -> int:
        """Bytes that the body of this request may have."""
        if request.visitor and request.visitor.role == "reviewer":
            return min(self.max_bytes, REVIEWER_BYTES)
        return self.max_bytes if UPLOADS.fullmatch(request.path) else min(self.max_bytes, PLAIN_BYTES)

    def _too_large(self, request: "_Request") -> TooLarge:
        return TooLarge("guard.too_large", limit_mb=self._limit(request) // 1_000_000)

    def _is_ours(self, request: "_Request") -> bool:
        """The token of the lock file: whoever has it can read this user's files anyway, and may name any path."""
        sent = request.token()
        return bool(sent) and hmac.compare_digest(sent.encode(), self.token.encode())

    async def _within_limit(self, request: "_Request", receive: Receive, send: Send) -> None:
        """Counts what a body without Content-Length really brings; adds our headers to the answer."""
        received, limit, status = 0, self._limit(request), 0
        answered = cut_off = streaming = False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal received, cut_off
            message = await receive()
            received += len(message.get("body", b""))
            if received <= limit:
                return message
            if not (answered or cut_off):
                await self._refuse(request, self._too_large(request), receive, send)
            cut_off = True
            return {"type": "http.disconnect"}  # for the app the visitor has left

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal answered, status, streaming
            if cut_off:
                return
            if streaming and not self._welcome(request):  # sharing was switched off, or the session ended, meanwhile
                raise ClientDisconnect
            if message["type"] == "http.response.start":
                answered, status = True, message["status"]
                headers = list(message.get("headers", ()))
                known = {name.lower() for name, _ in headers}
                message["headers"] = headers + [pair for pair in ANSWER_HEADERS.items() if pair[0] not in known]
            else:
                streaming = True  # what follows the first part of a body: signing out is still answered whole
            await send(message)

        deed = await self._deed(request)
        try:
            await self.app(request.scope, counted, guarded)
        except ClientDisconnect:
            if not cut_off and self._welcome(request):
                raise
        if deed and answered and status < 400:
            await self._keep(request, deed)

    async def _deed(self, request: "_Request") -> Deed | None:
        """What is about to be done, where somebody should know afterwards who did it."""
        if self.audit is None or request.visitor is None or request.method in SAFE_METHODS:
            return None
        return await run_in_threadpool(self.audit.about, request.visitor, request.method, request.path)

    async def _keep(self, request: "_Request", deed: Deed) -> None:
        assert self.audit and request.visitor
        try:
            await run_in_threadpool(self.audit.keep, request.visitor, deed, request.address)
        except StudioError as error:  # it is done and answered already
            log.warning("not written down: %s by %s: %s", deed.what, request.visitor.name, error)

    def _welcome(self, request: "_Request") -> bool:
        """Is the way still open, and the session not over?"""
        visitor = request.visitor
        return self.people.hosts.way(request.one("host")) == request.way and (
            visitor is None or self.people.is_inside(visitor)
        )

    async def _refuse(self, request: "_Request", error: StudioError, receive: Receive, send: Send) -> None:
        if request.scope["type"] == "websocket":
            await receive()  # websocket.connect; closing before accepting is answered with 403
            return await send({"type": "websocket.close", "code": 1008})
        if isinstance(error, _SignedOut) and request.wants_page():
            where = quote(request.path + (f"?{request.query}" if request.query else ""), safe="/?=&")
            return await _answer(send, 303, b"", {b"location": f"/sign-in?next={quote(where)}".encode()})
        if isinstance(error, _NotTheirs) and request.wants_page() and request.path == "/":
            return await _answer(send, 303, b"", {b"location": b"/review"})
        told = self.words.error(error, self._language(request))
        if request.wants_page():
            text = f"{told['message']}\n\n{told['hint']}\n".encode()
            return await _answer(send, error.status, text, {b"content-type": b"text/plain; charset=utf-8"})
        more = {b"www-authenticate": b"Bearer"} if isinstance(error, _SignedOut) else {}
        body = json.dumps({"error": told}, ensure_ascii=False).encode()
        await _answer(send, error.status, body, {b"content-type": b"application/json", **more})

    def _language(self, request: "_Request") -> str:
        asked = parse_qs(request.query).get("lang", [""])[0] or request.cookie(LANGUAGE_COOKIE)
        return self.words.pick(asked or request.one("accept-language"))


class _WrongHost(Refused):
    status = 421


class _SignedOut(Refused):
    status = 401


class _NotTheirs(Forbidden):
    """Their role may not do this."""


class _Request:
    """What the guard reads of a request: nothing of its body."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")  # a websocket has none
        self.way: Way = "local"
        self.query = scope.get("query_string", b"").decode("latin-1")
        self.headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    @property
    def visitor(self) -> Visitor | None:
        found: Visitor | None = self.scope[VISITOR]
        return found

    @property
    def address(self) -> str:
        return str(self.scope["client"][0]) if self.scope.get("client") else ""

    @property
    def came_to(self) -> str:
        """The address of ours that they are connected to."""
        server = self.scope.get("server")
        return str(server[0]) if server else ""

    @property
    def is_forwarded(self) -> bool:
        """Has a proxy sent it? One that says nothing of itself speaks HTTP/1.0, as no browser does."""
        silent = self.scope.get("http_version") == "1.0" and not is_open(self.path)
        return silent or any(PROXY_HEADERS.fullmatch(name) for name, _ in self.headers)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def cookie(self, name: str) -> str:
        """As browsers write it. Whoever else has a port of this computer puts theirs beside it, and writes them as
        they like."""
        for header in self.all("cookie"):
            for pair in header.split(";"):
                key, _, value = pair.strip().partition("=")
                if key == name and value:
                    return value
        return ""

    def token(self) -> str:
        """Of `Authorization: Bearer …`; empty: none."""
        kind, _, token = self.one("authorization").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def wants_page(self) -> bool:
        return self.scope.get("method") == "GET" and "text/html" in self.one("accept")


def _same_site(request: _Request) -> bool:
    """False for what a page of another site makes a browser send: writes, sockets, and also reads other than a link.

    The rule of Go's CrossOriginProtection for writes, and the fetch-metadata isolation policy for reads. Programs that
    are no browser send neither header.
    """
    is_read = request.scope["type"] == "http" and request.scope["method"] in SAFE_METHODS
    site = request.one("sec-fetch-site")
    if site:
        follows_link = (
            request.one("sec-fetch-mode") == "navigate"
            and request.scope.get("method") == "GET"
            and request.one("sec-fetch-dest") not in ("object", "embed", "iframe", "frame")
        )
        return site in ("same-origin", "none") or (is_read and follows_link)
    origin = request.one("origin")
    if not origin or (is_read and request.scope["method"] != "OPTIONS"):
        return True  # an old browser's read: the answer stays unreadable for the other site
    try:
        return origin != "null" and urlsplit(origin).netloc == request.one("host")
    except ValueError:  # "http://["
        return False


async def _answer(send: Send, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    more = {b"content-length": str(len(body)).encode(), b"cache-control": b"no-store"}
    start = {"type": "http.response.start", "status": status, "headers": [*headers.items(), *more.items()]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
