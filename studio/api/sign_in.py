"""The pages that lead in: /sign-in, /invite/<token>, /sign-out. No user text is ever drawn into them.

The pages are for people (HttpOnly cookie), /sign-in is for scripts too (JSON in, token out). Reading a link changes
nothing: programs that look at every link of a message must not use up an invitation.
"""

import asyncio
import html
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from studio.domain import Visitor, Way
from studio.errors import StudioError, TooOften
from studio.service.passwords import SHORTEST
from studio.service.people import SESSION_DAYS, People
from studio.service.words import Words

COOKIE = "lanterna_session"
LANGUAGE_COOKIE = "lanterna_lang"
SESSION_SECONDS = SESSION_DAYS * 24 * 3600
MAX_FORM_BYTES = 4096
MOST_AT_DOOR = 4  # threads that compare passwords, or wait to; they are not those in which everybody else is answered
FIRST_PAGE = {"reviewer": "/review"}  # of whom the studio itself does not open to


def next_path(wanted: str) -> str:
    """Where to go after signing in: a path of this studio, never another site."""
    plain = wanted.isascii() and wanted.isprintable() and wanted.startswith("/")
    return wanted if plain and not wanted.startswith(("//", "/\\", "/sign-in", "/invite")) else "/"


def first_page(visitor: Visitor, wanted: str = "/") -> str:
    wanted = next_path(wanted)
    return FIRST_PAGE.get(visitor.role, wanted) if wanted == "/" else wanted


def language(request: Request, words: Words) -> str:
    """?lang=, then the cookie, then what the browser prefers."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return words.pick(asked or request.headers.get("accept-language", ""))


def give_cookie(answer: Response, request: Request, token: str) -> None:
    """The browser is signed in from here on."""
    # Secure where the browser spoke TLS: a tunnel ends it before us and says so
    tls = request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"
    answer.set_cookie(COOKIE, token, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="lax", secure=tls)


def caller(people: People, request: Request) -> tuple[Way, str, str]:
    """(way, address, browser) of a request, as sessions remember them."""
    address = request.client.host if request.client else ""
    way = people.hosts.way(request.headers.get("host", "")) or "local"
    return way, address, request.headers.get("user-agent", "")


def routes(people: People, words: Words) -> list[Route]:
    """GET and POST /sign-in, GET and POST /invite/<token>, POST /sign-out."""
    at_door = ThreadPoolExecutor(MOST_AT_DOOR, "door")

    async def apart(come_in: Callable[..., tuple[str, Visitor]], *said: Any) -> tuple[str, Visitor]:
        return await asyncio.get_running_loop().run_in_executor(at_door, partial(come_in, *said))

    def signed_in(request: Request) -> Visitor | None:
        return people.visitor(request.cookies.get(COOKIE, ""), caller(people, request)[0])

    async def page(request: Request) -> Response:
        visitor = signed_in(request)
        if visitor or people.at_home:
            wanted = request.query_params.get("next", "/")
            return RedirectResponse(first_page(visitor, wanted) if visitor else next_path(wanted), 303)
        return _page(words, language(request, words), SIGN_IN)

    async def check(request: Request) -> Response:
        if people.at_home:
            return RedirectResponse("/", 303)
        fields, is_script = await _fields(request)
        lang, wanted = language(request, words), request.query_params.get("next", "/")
        try:
            token, visitor = await apart(
                people.try_password, fields.get("user", ""), fields.get("password", ""), *caller(people, request)
            )
        except StudioError as error:
            return _refused(error, words, lang, SIGN_IN, is_script)
        if is_script:
            answer: Response = JSONResponse({"token": token, "seconds": SESSION_SECONDS, "role": visitor.role})
        else:
            answer = RedirectResponse(first_page(visitor, wanted), 303)
        give_cookie(answer, request, token)
        return answer

    async def invitation(request: Request) -> Response:
        lang = language(request, words)
        try:
            invited = await run_in_threadpool(people.invited, request.path_params["token"])
        except StudioError as error:
            return _refused(error, words, lang, CLOSED)
        return _page(words, lang, _welcome(invited))

    async def accept(request: Request) -> Response:
        fields, is_script = await _fields(request)
        lang, token = language(request, words), request.path_params["token"]
        try:
            invited = await run_in_threadpool(people.invited, token)
        except StudioError as error:
            return _refused(error, words, lang, CLOSED, is_script)
        try:
            session, visitor = await apart(
                people.accept, token, fields.get("user", ""), fields.get("password", ""), *caller(people, request)
            )
        except StudioError as error:
            return _refused(error, words, lang, _welcome(invited), is_script)
        answer: Response = JSONResponse({"token": session, "role": visitor.role}) if is_script else RedirectResponse(
            first_page(visitor), 303
        )  # fmt: skip
        give_cookie(answer, request, session)
        return answer

    async def leave(request: Request) -> Response:
        if visitor := signed_in(request):
            await run_in_threadpool(people.end_session, visitor.session_id)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return answer

    return [
        Route("/sign-in", page, methods=["GET"], include_in_schema=False),
        Route("/sign-in", check, methods=["POST"], include_in_schema=False),
        Route("/invite/{token}", invitation, methods=["GET"], include_in_schema=False),
        Route("/invite/{token}", accept, methods=["POST"], include_in_schema=False),
        Route("/sign-out", leave, methods=["POST"], include_in_schema=False),
    ]


async def _fields(request: Request) -> tuple[Mapping[str, str], bool]:
    """(what the form holds, whether a script asks). Anything malformed holds nothing."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return {}, False
    is_script = request.headers.get("content-type", "").startswith("application/json")
    try:
        found: Any = json.loads(body) if is_script else {k: v[0] for k, v in parse_qs(body.decode()).items()}
        return {str(name): str(value) for name, value in found.items()}, is_script
    except (ValueError, AttributeError, RecursionError):
        return {}, is_script


def _refused(
    error: StudioError, words: Words, lang: str, form: Mapping[str, Any], is_script: bool = False
) -> Response:  # fmt: skip
    wait = {"Retry-After": str(error.params["seconds"])} if isinstance(error, TooOften) else {}
    told = words.error(error, lang)
    if is_script:
        return JSONResponse({"error": told}, error.status, wait)
    return _page(words, lang, form, told["message"], told["hint"] if form is CLOSED else "", error.status, wait)


# ------------------------------------------------------------------------------------------------ the pages
SIGN_IN: Mapping[str, Any] = {
    "lead": "sign_in.lead", "user": "sign_in.user", "password": "current", "enter": "sign_in.enter",
}  # fmt: skip
CLOSED: Mapping[str, Any] = {"lead": "", "user": "", "password": "", "enter": ""}


def _welcome(invited: Mapping[str, Any]) -> Mapping[str, Any]:
    """The form of an invitation: a name, and a password where one is needed; or just a button for who comes back."""
    if invited["returns"]:
        return {"lead": "invite.again", "user": "", "password": "", "enter": "invite.enter"}
    return {
        "lead": f"invite.{invited['role']}", "user": "invite.name", "password": "new" if invited["password"] else "",
        "enter": "invite.enter",
    }  # fmt: skip


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
.bad{{margin:0 0 6px;color:#dd6f5f}}</style></head>
<body><form method="post"><h1>Lanterna</h1>{lead}{problem}{fields}</form></body></html>"""

_FIELD = '<label for="{id}">{label}</label><input id="{id}" name="{name}" {more} required>'


def _page(
    words: Words, lang: str, form: Mapping[str, Any], problem: str = "", hint: str = "", status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:  # fmt: skip
    """The form has no action: it posts to its own address, `next` included, without that being drawn."""

    def text(key: str, **params: Any) -> str:
        return html.escape(words.text(key, lang, **params))

    fields = ""
    if form["user"]:
        more = f'autocomplete="username" autocapitalize="{"none" if form is SIGN_IN else "words"}" autofocus'
        fields += _FIELD.format(id="u", label=text(form["user"]), name="user", more=more)
    if form["password"]:
        key = "sign_in.password" if form is SIGN_IN else "invite.password"
        more = f'type="password" autocomplete="{form["password"]}-password"'
        more += f' minlength="{SHORTEST}"' if form["password"] == "new" else ""
        fields += _FIELD.format(id="p", label=text(key, least=SHORTEST), name="password", more=more)
    fields += f"<button>{text(form['enter'])}</button>" if form["enter"] else ""
    shown = f'<p class="bad" role="alert">{html.escape(problem)}</p>' if problem else ""
    shown += f"<p>{html.escape(hint)}</p>" if hint else ""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    lead = f"<p>{text(form['lead'])}</p>" if form["lead"] else ""
    return HTMLResponse(
        _PAGE.format(lang=lang, lead=lead, problem=shown, fields=fields), status,
        {"Content-Security-Policy": policy, "Cache-Control": "no-store", **(headers or {})},
    )  # fmt: skip
