"""The sign-in page and the keys that open the studio. No user text is ever drawn into the page.

`Keys` knows the one user and password of the settings and makes session tokens that survive a restart but not a
changed password. The page is for people (HttpOnly cookie), the same address is for scripts (JSON in, token out).
"""

import hashlib
import hmac
import html
import json
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from studio.errors import Forbidden, Unavailable
from studio.service.words import Words

COOKIE = "lanterna_session"
LANGUAGE_COOKIE = "lanterna_lang"
SESSION_SECONDS = 30 * 24 * 3600
TRIES, TRY_SECONDS = 5, 60.0  # wrong passwords per address before it has to wait
ALL_TRIES = 40  # in the same time from anywhere: behind a tunnel every visitor has one address, or a thousand
MAX_FORM_BYTES = 4096


class Keys:
    """Who may come in. `secret_file` (0600) is made on first use; without it every restart would sign everyone out."""

    def __init__(self, user_and_password: str, secret_file: Path, clock: Callable[[], float] = time.time) -> None:
        self.user, _, self.password = user_and_password.partition(":")
        # bound to user and password, so that changing either ends every session
        self._key = hmac.digest(_secret(secret_file), user_and_password.encode(), "sha256")
        self.clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._trying = Lock()  # protects _failures: guesses that come at once are counted one by one

    def try_password(self, user: str, password: str, address: str) -> str:
        """A new session token. Raises Forbidden("sign_in.wrong") or Unavailable("sign_in.wait", seconds)."""
        with self._trying:
            self._slow_down(address)
            # both are always compared, in constant time: neither tells how far a guess got
            right_user = hmac.compare_digest(_digest(user), _digest(self.user))
            right_password = hmac.compare_digest(_digest(password), _digest(self.password))
            if not (right_user and right_password):
                self._failures.setdefault(address, deque(maxlen=ALL_TRIES)).append(self.clock())
                raise Forbidden("sign_in.wrong")
            self._failures.pop(address, None)
        return self.new_session()

    def new_session(self) -> str:
        until = f"{int(self.clock()) + SESSION_SECONDS:x}.{secrets.token_urlsafe(12)}"
        return f"{until}.{self._signature(until)}"

    def valid(self, token: str) -> bool:
        until, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._signature(until).encode()):
            return False
        return int(until.partition(".")[0], 16) > self.clock()

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(errors="replace"), hashlib.sha256).hexdigest()

    def _slow_down(self, address: str) -> None:
        since = self.clock() - TRY_SECONDS
        for known in list(self._failures):
            recent = self._failures[known]
            while recent and recent[0] <= since:
                recent.popleft()
            if not recent:
                del self._failures[known]
        mine = self._failures.get(address, deque())
        if len(mine) >= TRIES or sum(map(len, self._failures.values())) >= ALL_TRIES:
            oldest = mine[0] if len(mine) >= TRIES else min(recent[0] for recent in self._failures.values())
            raise Unavailable("sign_in.wait", seconds=max(1, int(oldest - since) + 1))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _secret(file: Path) -> bytes:
    try:
        found = file.read_bytes()
        if len(found) >= 32:
            return found
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    fresh = secrets.token_bytes(32)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(fresh)
    return fresh


def next_path(wanted: str) -> str:
    """Where to go after signing in: a path of this studio, never another site."""
    plain = wanted.isascii() and wanted.isprintable() and wanted.startswith("/")
    return wanted if plain and not wanted.startswith(("//", "/\\", "/sign-in")) else "/"


def language(request: Request, words: Words) -> str:
    """?lang=, then the cookie, then what the browser prefers."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return words.pick(asked or request.headers.get("accept-language", ""))


def routes(keys: Keys | None, words: Words) -> list[Route]:
    """GET and POST /sign-in, POST /sign-out. Without `keys` there is nothing to sign in to."""

    async def page(request: Request) -> Response:
        if keys is None or keys.valid(request.cookies.get(COOKIE, "")):
            return RedirectResponse(next_path(request.query_params.get("next", "/")), 303)
        return _page(words, language(request, words))

    async def check(request: Request) -> Response:
        if keys is None:
            return RedirectResponse("/", 303)
        user, password, is_script = await _credentials(request)
        address = request.client.host if request.client else ""
        lang = language(request, words)
        try:
            token = await run_in_threadpool(keys.try_password, user, password, address)
        except (Forbidden, Unavailable) as error:
            wait = {"Retry-After": str(error.params["seconds"])} if "seconds" in error.params else {}
            status = 429 if wait else 403
            if is_script:
                return JSONResponse({"error": words.error(error, lang)}, status, wait)
            return _page(words, lang, problem=words.error(error, lang)["message"], status=status, headers=wait)
        answer: Response
        if is_script:
            answer = JSONResponse({"token": token, "seconds": SESSION_SECONDS})
        else:
            answer = RedirectResponse(next_path(request.query_params.get("next", "/")), 303)
        # Secure where the browser spoke TLS: a tunnel ends it before us and says so
        tls = request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"
        answer.set_cookie(
            COOKIE, token, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="lax", secure=tls
        )  # fmt: skip
        return answer

    async def leave(request: Request) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return answer

    return [
        Route("/sign-in", page, methods=["GET"], include_in_schema=False),
        Route("/sign-in", check, methods=["POST"], include_in_schema=False),
        Route("/sign-out", leave, methods=["POST"], include_in_schema=False),
    ]


async def _credentials(request: Request) -> tuple[str, str, bool]:
    """(user, password, whether a script asks). Anything malformed is simply a wrong password."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return "", "", False
    is_script = request.headers.get("content-type", "").startswith("application/json")
    try:
        fields = json.loads(body) if is_script else {k: v[0] for k, v in parse_qs(body.decode()).items()}
        return str(fields.get("user", "")), str(fields.get("password", "")), is_script
    except (ValueError, AttributeError, RecursionError):
        return "", "", is_script


_PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>Lanterna</title><style>
:root{{color-scheme:dark}}*{{box-sizing:border-box}}
body{{margin:0;min-height:100vh;display:grid;place-items:center;background:#0d0f12;color:#ece9e2;
font:14px/1.5 Inter,system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}}
form{{width:min(340px,calc(100vw - 32px));padding:28px;background:#13161a;
border:1px solid #ffffff0e;border-radius:11px}}
h1{{margin:0;font:400 26px/1.2 "Instrument Serif",Georgia,serif}}p{{margin:4px 0 20px;color:#a6a8ab}}
label{{display:block;margin:14px 0 5px;color:#a6a8ab;font-size:12px}}
input{{width:100%;padding:10px 12px;background:#08090b;color:inherit;font:inherit;
border:1px solid #ffffff1c;border-radius:8px}}
input:focus-visible,button:focus-visible{{outline:2px solid #e8a855;outline-offset:1px}}
button{{width:100%;margin-top:22px;padding:10px;background:#e8a855;color:#14100a;border:0;border-radius:8px;
font:inherit;font-weight:600;cursor:pointer}}
.bad{{margin:0 0 6px;color:#dd6f5f}}</style></head><body><form method="post"><h1>Lanterna</h1><p>{lead}</p>{problem}
<label for="u">{user}</label><input id="u" name="user" autocomplete="username" autocapitalize="none" required autofocus>
<label for="p">{password}</label><input id="p" name="password" type="password" autocomplete="current-password" required>
<button>{enter}</button></form></body></html>"""


def _page(
    words: Words, lang: str, problem: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """The form has no action: it posts to its own address, `next` included, without that being drawn."""
    text = {name: html.escape(words.text(f"sign_in.{name}", lang)) for name in ("lead", "user", "password", "enter")}
    shown = f'<p class="bad" role="alert">{html.escape(problem)}</p>' if problem else ""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return HTMLResponse(
        _PAGE.format(lang=lang, problem=shown, **text), status,
        {"Content-Security-Policy": policy, "Cache-Control": "no-store", **(headers or {})},
    )  # fmt: skip
