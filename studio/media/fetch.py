"""The one client that fetches what a stranger's URL names. Refuses private addresses when it connects, not before.

Checking the name first and connecting later leaves a gap in which the name may point elsewhere; here the address that
is checked is the address that is dialled, for every redirect too. Knows nothing of scenes or assets.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2

from studio.errors import Forbidden, Refused, StudioError, TooLarge, Unavailable

MAX_REDIRECTS = 5
QUIET_SECONDS = 15.0  # without a byte
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Fetched:
    path: Path
    name: str  # last part of the URL's path, for the user's eyes; may be ""
    content_type: str
    size: int  # bytes


def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    max_seconds: float = 600.0,
    allow: Collection[Address] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Download `url` into the new file `target`; on failure there is no file.

    `allow`: private (address, port) pairs that the user named in the settings. Raises Refused("fetch.url"),
    Forbidden("fetch.private"), TooLarge("fetch.size"), Unavailable("fetch.failed" | "fetch.slow" | "fetch.status").
    """
    parts = _checked(url)
    host = parts.hostname or ""
    backend = _Guarded(allow, clock() + max_seconds, clock)
    transport = httpx2.HTTPTransport(retries=0)
    transport._pool._network_backend = backend  # no public door yet; tests/test_media_fetch.py notices if it moves
    file = target.open("xb")
    try:
        with (
            file,
            httpx2.Client(
                transport=transport, trust_env=False, follow_redirects=True, max_redirects=MAX_REDIRECTS,
                timeout=QUIET_SECONDS, headers={"Accept-Encoding": "identity", "User-Agent": "Lanterna"},
            ) as client,
            client.stream("GET", url) as answer,
        ):  # fmt: skip
            size = _save(answer, file, host, max_bytes)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError)):
            raise _told(error, backend, host, max_seconds) from error
        raise
    name = PurePosixPath(unquote(answer.url.path)).name
    return Fetched(target, name, answer.headers.get("content-type", "").partition(";")[0].strip(), size)


def _told(error: Exception, backend: "_Guarded", host: str, max_seconds: float) -> StudioError:
    if isinstance(error, httpx2.InvalidURL):
        return Refused("fetch.url", url=host)
    if backend.refused or isinstance(error, httpx2.UnsupportedProtocol):  # the latter: a redirect to file:, gopher: …
        return Forbidden("fetch.private", host=backend.refused or host)
    if backend.late():
        return Unavailable("fetch.slow", host=host, seconds=int(max_seconds))
    return Unavailable("fetch.failed", host=host, reason=type(error).__name__)


def _checked(url: str) -> Any:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises when it is no number
    except ValueError as error:
        raise Refused("fetch.url", url=url[:80]) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("fetch.url", url=url[:80].partition("?")[0])
    return parts


def _save(answer: httpx2.Response, file: IO[bytes], host: str, max_bytes: int) -> int:
    """Returns the size in bytes. Raises TooLarge, Unavailable."""
    if answer.status_code != 200:
        raise Unavailable("fetch.status", host=host, status=answer.status_code)
    # we asked for none; unpacking one would let a small answer fill the disk
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unavailable("fetch.failed", host=host, reason="content-encoding")
    announced = answer.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise TooLarge("fetch.size", host=host, limit_mb=max_bytes // 1_000_000)
    size = 0
    for chunk in answer.iter_raw(64 * 1024):
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge("fetch.size", host=host, limit_mb=max_bytes // 1_000_000)
        file.write(chunk)
    return size


def is_public(address: str) -> bool:
    """An address of the open internet, also when it is IPv4 in IPv6 clothes."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Guarded(httpcore2.NetworkBackend):
    """Resolves, checks and dials in one step; hands out streams that all end at the deadline."""

    def __init__(self, allow: Collection[Address], deadline: float, clock: Callable[[], float]) -> None:
        self.inner = httpcore2.SyncBackend()
        self.allow, self.deadline, self.clock = frozenset(allow), deadline, clock
        self.refused = ""  # the host that was turned away

    def late(self) -> bool:
        return self.clock() >= self.deadline

    def left(self, timeout: float | None) -> float:
        left = self.deadline - self.clock()
        if left <= 0:
            raise httpcore2.ReadTimeout("deadline")
        return min(left, timeout or left)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"unknown host {host}") from error
        addresses = [str(info[4][0]) for info in found]
        for address in addresses:
            if is_public(address) or (address, port) in self.allow:
                stream = self.inner.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
                return _Hurried(stream, self)
        self.refused = host
        raise httpcore2.ConnectError("private address")

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        self.refused = path
        raise httpcore2.ConnectError("private address")


class _Hurried(httpcore2.NetworkStream):
    """A stream whose every wait ends at the deadline: a server that drips a byte a second gains nothing."""

    def __init__(self, stream: httpcore2.NetworkStream, backend: _Guarded) -> None:
        self.stream, self.backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self.backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, self.backend.left(timeout))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Hurried(self.stream.start_tls(ssl_context, server_hostname, self.backend.left(timeout)), self.backend)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)
