"""The door: one ASGI layer around everything, also around OPTIONS and websockets. Knows hosts, sites and keys only.

In this order: is it addressed to us (Host), may another site send it (Sec-Fetch-Site, Origin), is it too large,
and, where the studio has a password, does the visitor have a session or a token. No right is ever given by the
address somebody comes from: behind a tunnel or proxy everybody comes from this computer.
"""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import ClientDisconnect

from studio.api.sign_in import COOKIE, LANGUAGE_COOKIE, Keys
from studio.errors import Forbidden, Refused, StudioError, TooLarge
from studio.service.words import Words

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/sign-in", "/health", "/healthz", "/ready")  # before signing in; they tell nothing about the library
UPLOADS = re.compile(
    r"/(api/assets|api/voice/clone|api/voices/import|api/queues/(import|check)|gradio_api/upload|generate|projects/[^/]+/upload/\w+)"
)  # written to disk as it comes
PLAIN_BYTES = 25_000_000  # of any other body: it is held in memory; an episode may have 20 MB
LOCAL = "lanterna.local"  # in the scope: this request comes from the command line of the user who runs the studio
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "via")
ANSWER_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"frame-ancestors 'self'",  # nobody lays our buttons under their picture
}


class Hosts:
    """The names under which browsers may reach us. The share host is one only while sharing."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = {name.lower() for name in (*LOOPBACK_NAMES, *names)}

    def add(self, name: str) -> None:
        self.names.add(name.lower())

    def remove(self, name: str) -> None:
        self.names.discard(name.lower())

    def knows(self, host: str) -> bool:
        """`host` as the header has it, with or without a port."""
        try:
            parts = urlsplit("//" + host)
            parts.port  # noqa: B018  raises when it is no number
        except ValueError:
            return False
        return parts.netloc == host and "@" not in host and (parts.hostname or "") in self.names


class Guard:
    """Wraps `app`. Without `keys` it must be reachable from this computer only; `token` is the command line's own.

    `max_bytes`: of an upload."""

    def __init__(self, app: App, hosts: Hosts, words: Words, token: str, keys: Keys | None, max_bytes: int) -> None:
        self.app, self.hosts, self.words = app, hosts, words
        self.token, self.keys, self.max_bytes = token, keys, max_bytes

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
        if len(request.all("host")) != 1 or not self.hosts.knows(request.one("host")):
            raise _WrongHost("guard.host", host=request.one("host")[:80])
        trusted = self._has_token(request)
        request.scope[LOCAL] = self._is_ours(request)
        # a token in a header cannot be sent by another site without asking first, and asking (OPTIONS) is refused here
        if not trusted and not _same_site(request):
            raise Forbidden("guard.cross_site")
        if self.keys is None:
            if not trusted and any(request.all(name) for name in PROXY_HEADERS):
                raise Forbidden("guard.proxy")
        elif not trusted and request.path not in OPEN_PATHS and not self.keys.valid(request.cookie(COOKIE)):
            raise _SignedOut("guard.signed_out")
        length = request.one("content-length")
        if length and (not length.isdecimal() or len(length) > 18 or int(length) > self._limit(request)):
            raise self._too_large(request)

    def _limit(self, request: "_Request") -> int:
        """Bytes that the body of this request may have."""
        return self.max_bytes if UPLOADS.fullmatch(request.path) else min(self.max_bytes, PLAIN_BYTES)

    def _too_large(self, request: "_Request") -> TooLarge:
        return TooLarge("guard.too_large", limit_mb=self._limit(request) // 1_000_000)

    def _has_token(self, request: "_Request") -> bool:
        return self._is_ours(request) or (
            self.keys is not None and bool(request.token()) and self.keys.valid(request.token())
        )

    def _is_ours(self, request: "_Request") -> bool:
        """The token of the lock file: whoever has it can read this user's files anyway, and may name any path."""
        sent = request.token()
        return bool(sent) and hmac.compare_digest(sent.encode(), self.token.encode())

    async def _within_limit(self, request: "_Request", receive: Receive, send: Send) -> None:
        """Counts what a body without Content-Length really brings; adds our headers to the answer."""
        received, answered, cut_off, limit = 0, False, False, self._limit(request)

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
            nonlocal answered
            if cut_off:
                return
            if message["type"] == "http.response.start":
                answered = True
                headers = list(message.get("headers", ()))
                known = {name.lower() for name, _ in headers}
                message["headers"] = headers + [pair for pair in ANSWER_HEADERS.items() if pair[0] not in known]
            await send(message)

        try:
            await self.app(request.scope, counted, guarded)
        except ClientDisconnect:
            if not cut_off:
                raise

    async def _refuse(self, request: "_Request", error: StudioError, receive: Receive, send: Send) -> None:
        if request.scope["type"] == "websocket":
            await receive()  # websocket.connect; closing before accepting is answered with 403
            return await send({"type": "websocket.close", "code": 1008})
        if isinstance(error, _SignedOut) and request.wants_page():
            where = quote(request.path + (f"?{request.query}" if request.query else ""), safe="/?=&")
            return await _answer(send, 303, b"", {b"location": f"/sign-in?next={quote(where)}".encode()})
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


class _Request:
    """What the guard reads of a request: nothing of its body."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.query = scope.get("query_string", b"").decode("latin-1")
        self.headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def cookie(self, name: str) -> str:
        for header in self.all("cookie"):
            try:
                found = SimpleCookie(header).get(name)
            except CookieError:
                continue
            if found:
                return found.value
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
