"""How REST speaks: errors in the caller's language, one body for each, idempotent POSTs. Knows no route."""

import asyncio
import gzip
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from studio.api.guard import LOCAL, VISITOR
from studio.api.sign_in import LANGUAGE_COOKIE
from studio.domain import Visitor
from studio.errors import Forbidden, Refused, StudioError, TooOften
from studio.service import LANGUAGES, Studio

log = logging.getLogger(__name__)

PACKED_FROM = 700  # bytes; less does not shrink by more than the headers cost
MAX_KEY = 200  # characters of an Idempotency-Key
TOLD_ONCE = "/invitations"  # its answer has a link of which only the hash is kept
MAX_REMEMBERED = 1_000_000  # bytes of an answer


class Told(JSONResponse):
    """What an error says may repeat a stranger's text: half an emoji in it must not break the answer."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def studio_of(request: Request) -> Studio:
    """The studio behind this app."""
    studio: Studio = request.app.state.studio
    return studio


def language(request: Request, studio: Studio) -> str:
    """?lang=, then the page's cookie, then what the browser asks for."""
    for wish in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wish in LANGUAGES:
            return wish
    return studio.words.pick(request.headers.get("accept-language", ""))


def local(request: Request) -> bool:
    """Was this asked by the command line of the user who runs the studio, who may name any path?"""
    return bool(request.scope.get(LOCAL))


def visitor_of(request: Request) -> Visitor:
    """Who sent this request. The door has let them in, so there is somebody."""
    visitor: Visitor = request.scope[VISITOR]
    return visitor


def owners_only(request: Request) -> None:
    """Raises Forbidden: for what hangs on more of a request than its path, which rights.py does not see."""
    role = visitor_of(request).role
    if role != "owner":
        raise Forbidden("guard.role", role=role)


def packed(request: Request, content: Any) -> Response:
    """JSON, gzipped where the caller can read that and it pays: a page asks for the same kind of thing every second."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"vary": "accept-encoding"}
    if len(body) > PACKED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body, compresslevel=5, mtime=0), "gzip"
    return Response(body, headers=headers, media_type="application/json")


def error_answer(request: Request, error: StudioError) -> JSONResponse:
    studio = studio_of(request)
    body = {"error": _refusal(studio, error.as_dict(), language(request, studio))}  # an episode's problems too
    return Told(body, error.status)


def worded(studio: Studio, report: dict[str, Any], lang: str) -> dict[str, Any]:
    """A report of an import with a sentence for each problem and note."""

    def said(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**problem, **_said(studio, problem, lang)} for problem in problems]

    rows = [{**row, "problems": said(row["problems"]), "notes": said(row["notes"])} for row in report["scenes"]]
    run = {"preflight": foreseen(studio, report["preflight"], lang)} if "preflight" in report else {}
    return {**report, **run, "scenes": rows, "head": said(report["head"])}


def foreseen(studio: Studio, found: dict[str, Any], lang: str) -> dict[str, Any]:
    """A preflight with a sentence for each problem, and why each engine was chosen."""

    def said(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**problem, **_said(studio, problem, lang)} for problem in problems]

    def because(why: dict[str, Any]) -> dict[str, Any]:
        return {**why, "message": studio.words.text(f"preflight.why.{why['id']}", lang)}

    rows = [{**row, "problems": said(row["problems"]), "why": because(row["why"])} for row in found["scenes"]]
    return {**found, "scenes": rows, "problems": said(found["problems"])}


def worded_refusals(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """What was done to many, with a sentence for each that refused."""
    studio = studio_of(request)
    lang = language(request, studio)
    return {**told, "refused": [{**one, "error": studio.words.error(one["error"], lang)} for one in told["refused"]]}


def worded_files(studio: Studio, found: dict[str, Any], lang: str) -> dict[str, Any]:
    """The same of many files, some of which could not be read at all."""
    files = []
    for row in found["files"]:
        told = {"report": worded(studio, row["report"], lang)} if "report" in row else {}
        error = {"error": _refusal(studio, row["error"], lang)} if "error" in row else {}
        files.append({**row, **told, **error})
    return {**found, "files": files}


def _refusal(studio: Studio, error: dict[str, Any], lang: str) -> dict[str, Any]:
    """An error in words; the report that it carries too."""
    said = studio.words.error(error, lang)
    report = error["params"].get("report") if error["code"].startswith("episode.") else None
    if report:
        said["params"]["report"] = worded(studio, report, lang)
    return said


def _said(studio: Studio, problem: dict[str, Any], lang: str) -> dict[str, Any]:
    said = studio.words.error({"code": problem["code"], "params": problem["params"]}, lang)
    return {"message": said["message"], "hint": said["hint"], "params": said["params"]}


def install(api: FastAPI) -> None:
    """Every error becomes {"error": {code, params, message, hint}}; none shows a traceback or a stranger's text."""

    @api.exception_handler(StudioError)
    async def ours(request: Request, error: StudioError) -> Response:
        return error_answer(request, error)

    @api.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        return _answer(request, 422, "request.invalid", field=field or "body", reason=first["msg"])

    @api.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> Response:
        code = {404: "request.no_route", 405: "request.method"}.get(error.status_code, "request.failed")
        answer = _answer(request, error.status_code, code, path=request.url.path, reason=str(error.detail))
        answer.headers.update(error.headers or {})  # Allow, for 405
        return answer

    @api.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        log.exception("%s %s", request.method, request.url.path, exc_info=error)
        return _answer(request, 500, "request.broken")

    api.state.in_flight = WeakValueDictionary()
    api.middleware("http")(_idempotent)


def _answer(request: Request, status: int, code: str, **params: Any) -> JSONResponse:
    answer = error_answer(request, StudioError(code, **params))
    return JSONResponse(json.loads(bytes(answer.body)), status)


async def _idempotent(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """A POST with an Idempotency-Key is carried out once; its answer is given again for a day, to the same person."""
    key = request.headers.get("idempotency-key", "")
    if request.method != "POST" or not key or request.url.path.endswith(TOLD_ONCE):
        return await call_next(request)
    if len(key) > MAX_KEY:
        return error_answer(request, Refused("request.key_too_long", most=MAX_KEY))
    studio = studio_of(request)
    key = f"{visitor_of(request).person_id} {request.url.path}?{request.url.query} {key}"
    async with _in_flight(request, key):  # the second click of a double click waits for the answer of the first
        known = await run_in_threadpool(studio.answered, key)  # never on the loop: a write may hold the database
        if known:
            return Response(known[1], known[0], {"idempotent-replay": "true"}, media_type="application/json")
        return await _remembered(key, await call_next(request), studio)


def _in_flight(request: Request, key: str) -> asyncio.Lock:
    """One lock for each key, as long as somebody holds it."""
    locks: WeakValueDictionary[str, asyncio.Lock] = request.app.state.in_flight
    lock = locks.get(key) or asyncio.Lock()
    locks[key] = lock
    return lock


async def _remembered(key: str, answer: Response, studio: Studio) -> Response:
    if not isinstance(answer, StreamingResponse) and not hasattr(answer, "body_iterator"):
        return answer
    body = b"".join([part async for part in answer.body_iterator])
    if answer.status_code < 500 and answer.status_code != TooOften.status and len(body) <= MAX_REMEMBERED:
        await run_in_threadpool(studio.remember, key, answer.status_code, body.decode())
    return Response(body, answer.status_code, dict(answer.headers), answer.media_type)
