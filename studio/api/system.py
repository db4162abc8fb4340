"""/api/now, /api/status, /api/events, /api/dictionary: what goes on, and what this machine is."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from studio.api.answers import language, studio_of
from studio.service import Studio

router = APIRouter(tags=["system"])

PING_SECONDS = 15.0
LOOK_SECONDS = 0.5


@router.get("/now")
def now(request: Request) -> dict[str, Any]:
    """What is being rendered, how much waits, and the versions of library and queues."""
    return studio_of(request).system.now()


@router.get("/status")
def status(request: Request) -> dict[str, Any]:
    """This machine: memory, disk, GPU."""
    studio = studio_of(request)
    return {**studio.system.status(), "lang": language(request, studio)}


@router.post("/power/cancel")
def cancel_power(request: Request) -> dict[str, Any]:
    """The computer neither sleeps nor shuts down for what is done by now: `{cancelled: was one of them coming}`."""
    return studio_of(request).system.stay_on()


@router.get("/dictionary")
def dictionary(request: Request, lang: str = Query("", max_length=5)) -> dict[str, str]:
    """Every sentence of the screen in one language."""
    studio = studio_of(request)
    return studio.words.dictionary(lang or language(request, studio))


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Server-sent events: a `now` whenever something changed. For API clients; a browser page polls instead, since
    six open streams would use up its connections."""
    return StreamingResponse(
        _stream(request, studio_of(request)),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _stream(request: Request, studio: Studio) -> AsyncIterator[str]:
    last, quiet = None, 0.0
    while not await request.is_disconnected():
        mark = studio.system.mark()
        if mark != last:
            last, quiet = mark, 0.0
            now = await run_in_threadpool(studio.system.now)  # never on the loop: a write may hold the database
            yield f"data: {json.dumps(now, ensure_ascii=False)}\n\n"
        elif quiet >= PING_SECONDS:
            quiet = 0.0
            yield ": ping\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS
