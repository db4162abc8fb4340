"""Bytes from the net: a small text, a file with its SHA-256. HTTPS, or this computer itself. Knows no releases."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from installer import SetUpError
from installer.packages import NO_NETWORK

SECONDS = 30.0  # without a byte
MOST_TEXT, MOST_FILE = 1_000_000, 4_000_000_000  # bytes
CHUNK = 1 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def text(url: str) -> str:
    with _open(url) as answer:
        return str(answer.read(MOST_TEXT).decode("utf-8", "replace"))


def file(url: str, target: Path) -> None:
    """Appears under its name when all of it is here and it is what its .sha256 says."""
    wanted = digest_in(text(url + ".sha256"))
    part = target.with_name(target.name + ".part")
    with _open(url) as answer, part.open("wb") as out:
        _copy(answer, out, int(answer.headers.get("Content-Length") or 0))
    check(part, wanted)
    os.replace(str(part), str(target))


def check(path: Path, wanted: str) -> None:
    """Raises SetUpError where a file is not what was published."""
    seen = hashlib.sha256()
    with path.open("rb") as content:
        for block in iter(lambda: content.read(CHUNK), b""):
            seen.update(block)
    if seen.hexdigest() != wanted:
        raise SetUpError(
            f"{path.name.replace('.part', '')} is damaged, or not what was published: its SHA-256 is not the one"
            " that stands beside it.",
            "Fetch both files again from where they are published.",
        )


def digest_in(said: str) -> str:
    """Of the text of a .sha256 file: `<64 hex digits>  name`."""
    found = re.match(r"[0-9a-fA-F]{64}\b", said.strip())
    if not found:
        raise SetUpError("The .sha256 beside the release holds no SHA-256.", "Fetch it again, or report it.")
    return found[0].lower()


def _open(url: str) -> Any:
    door = urlsplit(url)
    if door.scheme != "https" and not (door.scheme == "http" and door.hostname in LOOPBACK):
        raise SetUpError(f"{url} is not fetched: only https is.", "Use an address that begins with https://")
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": "Lanterna"}), timeout=SECONDS)
    except urllib.error.HTTPError as error:
        cure = "Check the address; it may have moved."
        raise SetUpError(f"{url} answers {error.code} {error.reason}.", cure) from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise SetUpError(f"{url} could not be reached: {error}.", NO_NETWORK[1]) from error


def _copy(answer: Any, out: IO[bytes], total: int) -> None:
    done, moving = 0, sys.stdout.isatty()
    while True:
        try:
            block = answer.read(CHUNK)
        except OSError as error:
            raise SetUpError(f"The connection broke after {done / 1e6:.0f} MB: {error}.", NO_NETWORK[1]) from error
        if not block:
            break
        done += len(block)
        if done > MOST_FILE:
            raise SetUpError("The file never ends.", "Check the address.")
        out.write(block)
        if moving and total:
            sys.stdout.write(f"\r  fetched {done / 1e6:.0f} of {total / 1e6:.0f} MB")
            sys.stdout.flush()
    if moving:
        print()
    out.flush()
    os.fsync(out.fileno())
    if total and done < total:
        raise SetUpError(f"The connection broke after {done / 1e6:.0f} of {total / 1e6:.0f} MB.", NO_NETWORK[1])
