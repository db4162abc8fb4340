"""Files that come over HTTP: written to disk as they come, looked at, then kept under their hash."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from studio.api.casting import parts
from studio.api.relink import assets
from studio.errors import Refused, TooLarge
from studio.service import Studio
from studio.service.roles import Part

CHUNK = 1 << 20
MAX_EPISODE = 20_000_000  # bytes; it is held in memory
ZIP = b"PK"  # no episode begins like this


@dataclass(frozen=True, slots=True)
class Wishes:
    """What comes with an episode: files that lie elsewhere now, who was cast, and what lies beside it in a browser."""

    relinked: Mapping[str, str]
    cast: Mapping[str, Part]
    beside: Sequence[str] | None = None


NONE = Wishes({}, {})


@dataclass(frozen=True, slots=True)
class Sent:
    """An episode file (`text`), or a package on disk."""

    name: str  # without suffix; empty: nobody said
    text: bytes = b""
    package: Path | None = None
    wishes: Wishes = NONE


async def kept(studio: Studio, file: UploadFile) -> dict[str, Any]:
    """The asset that an upload became. Raises TooLarge, and what is wrong with the file."""
    async with on_disk(studio, file) as path:
        return await run_in_threadpool(studio.library.add, path, file.filename or "upload")


@asynccontextmanager
async def on_disk(studio: Studio, file: UploadFile) -> AsyncIterator[Path]:
    """An upload as a file of ours that is not let in yet; gone afterwards. Raises TooLarge."""
    most = studio.settings.max_upload_mb
    if (file.size or 0) > most * 1_000_000:
        raise TooLarge("upload.too_large", most=most)
    with studio.library.incoming() as path:
        with path.open("wb") as out:
            while chunk := await file.read(CHUNK):
                out.write(chunk)
        yield path


async def small_file(request: Request, most: int) -> bytes:
    """A file that is held in memory, raw or as multipart `file`. One of more than `most` bytes is not read to its end:
    then there are more."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > most:
                break
        return bytes(content)
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused("request.invalid", field="file", reason="missing")
        return await file.read(most + 1)


@asynccontextmanager
async def sent(request: Request, studio: Studio) -> AsyncIterator[Sent]:
    """What was sent to /queues/check or /queues/import, raw or as multipart `file`; gone afterwards. A package goes to
    disk as it comes, an episode may have MAX_EPISODE bytes. Other fields of a form: `relinked`, `cast`, `beside`, all
    JSON."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with _received(request.stream(), "", studio) as one:
            yield one
        return
    async with request.form(max_files=1, max_fields=10, max_part_size=MAX_EPISODE) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused("request.invalid", field="file", reason="missing")
        wished = wishes({name: _json(name, form[name]) for name in ("relinked", "cast", "beside") if name in form})
        async with _received(_chunks(file), (file.filename or "").rsplit(".", 1)[0][:200], studio) as one:
            yield replace(one, wishes=wished)


async def wishes_in(request: Request) -> Wishes:
    """Those of a request whose episode is a path: its body is {relinked, cast}, or nothing."""
    body = await request.body()
    return wishes(_json("body", body.decode("utf-8", "replace"))) if body.strip() else NONE


def wishes(sent: Any) -> Wishes:
    """Raises Refused("request.invalid") or Refused("relink.no_asset")."""
    if not isinstance(sent, dict):
        raise Refused("request.invalid", field="body", reason="not an object")
    relinked, beside = sent.get("relinked", {}), sent.get("beside")
    if not isinstance(relinked, dict):
        raise Refused("request.invalid", field="relinked", reason="not an object")
    if beside is not None and not (isinstance(beside, list) and all(isinstance(name, str) for name in beside)):
        raise Refused("request.invalid", field="beside", reason="not a list of names")
    return Wishes(assets(relinked), parts(sent.get("cast", {})), beside)


def _json(name: str, text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused("request.invalid", field=name, reason="no JSON") from error


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk


@asynccontextmanager
async def _received(chunks: AsyncIterator[bytes], name: str, studio: Studio) -> AsyncIterator[Sent]:
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if content[: len(ZIP)] == ZIP:
            with studio.library.incoming() as path:
                path.write_bytes(content)
                with path.open("ab") as out:
                    async for more in chunks:
                        out.write(more)
                yield Sent(name, package=path)
            return
        if len(content) > MAX_EPISODE:
            raise TooLarge("episode.too_large", size=len(content), most=MAX_EPISODE)
    yield Sent(name, bytes(content))
