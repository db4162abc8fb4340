"""The one client that asks, and tells, what a URL names. Refuses private addresses when it connects, not before.

Checking the name first and connecting later leaves a gap in which the name may point elsewhere; here the address that
is checked is the address that is dialled, for every redirect too. Knows nothing of scenes or assets.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2

from studio.errors import Forbidden, Refused, StudioError, TooLarge, Unavailable

MAX_REDIRECTS = 5
QUIET_SECONDS = 15.0  # without a byte
LOOK = 0.2  # seconds between two looks at who waits
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# this computer and the networks of homes, offices and VPNs; never 169.254.0.0/16, where clouds keep their keys
_HOME = [
    ipaddress.ip_network(net)
    for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
]

_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Fetched:
    path: Path
    name: str  # last part of the URL's path, for the user's eyes; may be ""
    content_type: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What a service said to a question."""

    status: int  # HTTP's
    headers: Mapping[str, str]  # by their names in lower case
    content: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the other side asks us to wait."""
        wait = self.headers.get("retry-after", "")
        return float(wait) if wait.isascii() and wait.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Posted:
    status: int  # HTTP's; what was answered beside it is not read
    retry_after: float | None  # seconds that the other side asks us to wait


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    home: bool = False,
    max_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Posted:
    """Send a message. Redirects are not followed: 3xx is an answer like any other. `home`: private networks, and this
    computer, are allowed too. Raises Refused("fetch.url"), Forbidden("fetch.private"), Unavailable("fetch.failed" |
    "fetch.slow")."""
    host = check_url(url).hostname or ""
    backend = _Guarded((), clock() + max_seconds, clock, home=home)
    try:
        with (
            _client(backend, follow_redirects=False, timeout=max_seconds) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            wait = answer.headers.get("retry-after", "")
            return Posted(answer.status_code, float(wait) if wait.isascii() and wait.isdecimal() else None)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise _told(error, backend, host, max_seconds) from error


def ask(
    url: str,
    *,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    files: Mapping[str, tuple[str, bytes, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    home: bool = False,
    max_bytes: int,
    max_seconds: float,
    going: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Answered:
    """GET, or POST where there is something to send: JSON, or the fields and files (name, content, type) of a form.
    Redirects are not followed: 3xx is an answer like any other. `home`: private networks, and this computer, are
    allowed too. `going` is called every moment until the answer is here, and may raise. Raises Refused("fetch.url"),
    Forbidden("fetch.private"), TooLarge("fetch.size"), Unavailable("fetch.failed" | "fetch.slow"), whose parameter
    `sent` says whether the other side may have heard the question."""
    host = check_url(url).hostname or ""
    backend = _Guarded((), clock() + max_seconds, clock, home=home, going=going)
    method = "GET" if json is None and form is None and files is None else "POST"
    try:
        with (
            _client(backend, follow_redirects=False, timeout=max_seconds) as client,
            client.stream(method, url, json=json, data=form, files=files, headers=headers) as answer,
        ):
            content = _read(answer, host, max_bytes)
            return Answered(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, content)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        told = _told(error, backend, host, max_seconds)
        told.params["sent"] = not isinstance(error, _UNSENT)
        raise told from error


def _read(answer: httpx2.Response, host: str, max_bytes: int) -> bytes:
    """Raises TooLarge, Unavailable."""
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unavailable("fetch.failed", host=host, reason="content-encoding", sent=True)
    content = bytearray()
    for chunk in answer.iter_raw(64 * 1024):
        content += chunk
        if len(content) > max_bytes:
            raise TooLarge("fetch.size", host=host, limit_mb=max_bytes // 1_000_000)
    return bytes(content)


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
    parts = check_url(url)
    host = parts.hostname or ""
    backend = _Guarded(allow, clock() + max_seconds, clock)
    file = target.open("xb")
    try:
        with (
            file,
            _client(backend, follow_redirects=True, timeout=QUIET_SECONDS) as client,
            client.stream("GET", url) as answer,
        ):
            size = _save(answer, file, host, max_bytes)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError)):
            raise _told(error, backend, host, max_seconds) from error
        raise
    name = PurePosixPath(unquote(answer.url.path)).name
    return Fetched(target, name, answer.headers.get("content-type", "").partition(";")[0].strip(), size)


def _client(backend: "_Guarded", *, follow_redirects: bool, timeout: float) -> httpx2.Client:
    transport = httpx2.HTTPTransport(retries=0)
    transport._pool._network_backend = backend  # no public door yet; tests/test_media_fetch.py notices if it moves
    return httpx2.Client(
        transport=transport, trust_env=False, follow_redirects=follow_redirects, max_redirects=MAX_REDIRECTS,
        timeout=timeout, headers={"Accept-Encoding": "identity", "User-Agent": "Lanterna"},
    )  # fmt: skip


def _told(error: Exception, backend: "_Guarded", host: str, max_seconds: float) -> StudioError:
    if isinstance(error, httpx2.InvalidURL):
        return Refused("fetch.url", url=host)
    if backend.refused or isinstance(error, httpx2.UnsupportedProtocol):  # the latter: a redirect to file:, gopher: …
        return Forbidden("fetch.private", host=backend.refused or host)
    if backend.late():
        return Unavailable("fetch.slow", host=host, seconds=int(max_seconds))
    return Unavailable("fetch.failed", host=host, reason=type(error).__name__)


def check_url(url: str) -> Any:
    """Its parts. Raises Refused("fetch.url")."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises when it is no number
    except ValueError as error:
        raise Refused("fetch.url", url=url[:80]) from error
    # urlsplit drops line breaks and leaves blanks: what it looked at would not be what is dialled
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
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
    ip = _undressed(address)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_home(address: str) -> bool:
    """This computer, or a network such as people have at home."""
    ip = _undressed(address)
    return any(ip in net for net in _HOME)


def _undressed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(address.partition("%")[0])  # without the name of the network card
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner
    return ip


class _Guarded(httpcore2.NetworkBackend):
    """Resolves, checks and dials in one step; hands out streams that all end at the deadline."""

    def __init__(
        self,
        allow: Collection[Address],
        deadline: float,
        clock: Callable[[], float],
        *,
        home: bool = False,
        going: Callable[[], None] | None = None,
    ) -> None:
        """`going` is called every LOOK seconds of waiting, and may raise."""
        self.inner = httpcore2.SyncBackend()
        self.allow, self.deadline, self.clock, self.home = frozenset(allow), deadline, clock, home
        self.going = going
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
            if is_public(address) or (address, port) in self.allow or (self.home and is_home(address)):
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
        going = self.backend.going
        if going is None:
            return self.stream.read(max_bytes, self.backend.left(timeout))
        until = self.backend.clock() + self.backend.left(timeout)
        while True:
            going()
            left = until - self.backend.clock()
            try:
                return self.stream.read(max_bytes, max(0.001, min(LOOK, left)))
            except httpcore2.ReadTimeout:
                if left <= LOOK:
                    raise

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
