"""The local network: listeners on the addresses of this computer's cards, in the loop of the server that already runs.

Each address has a listener of its own, on the studio's port: the one on 127.0.0.1 stays as it is, and what is switched
off is closed. A card that comes later gets a listener, one that goes loses it. Knows no visitor and no host list.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from threading import Event, Lock, Thread

import psutil
import uvicorn

from studio.errors import StudioError, Unavailable
from studio.reach import Standing, Told

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two looks at the cards
CLOSE_SECONDS = 5.0
ELSEWHERE = ("192.0.2.1", 9)  # documentation's own network: nothing is sent, only the way there is asked for


class Server(uvicorn.Server):
    """The server on this computer, and its guests: others beside it, in its loop, that end before it does.

    `_lock` protects the guests: they are let in and out by other threads."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guests: dict[socket.socket, _Guest] = {}
        self._lock = Lock()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        with self._lock:
            self._loop = asyncio.get_running_loop()
            for guest in self._guests.values():
                guest.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        with self._lock:
            guests, self._guests, self._loop = list(self._guests.values()), {}, None
        await asyncio.gather(*(guest.end() for guest in guests))
        await super().shutdown(sockets)

    def let_in(self, listener: socket.socket) -> None:
        """Answer at this socket too, at once, or as soon as the server runs."""
        with self._lock:
            guest = self._guests[listener] = _Guest(self.config, listener)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(guest.begin)

    def let_go(self, listener: socket.socket) -> None:
        """Close this socket and every connection that came by it. Not to be called from the loop."""
        with self._lock:
            guest, loop = self._guests.pop(listener, None), self._loop
        if guest is not None and loop is not None:
            asyncio.run_coroutine_threadsafe(guest.close(), loop).result(CLOSE_SECONDS)
        listener.close()


class _Guest(uvicorn.Server):
    """One more listener for the same app. Signals and the app's own start and end are the first server's."""

    def __init__(self, first: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                first.app,
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=first.server_header,
                ws=first.ws,
                proxy_headers=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )  # fmt: skip
        )
        self._listener = listener
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.serve([self._listener]))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def close(self) -> None:
        """Nobody comes any more, and whoever is in the middle of something is cut off."""
        while self._task is not None and not (self.started or self._task.done()):
            await asyncio.sleep(0)  # it is just beginning
        self.should_exit = True
        for server in self.servers if self.started else ():
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def end(self) -> None:
        await self.close()
        if self._task is not None:
            await self._task


class Lan:
    """`_lock`: what listens where."""

    def __init__(self, server: Server, port: int, addresses: Callable[[], list[str]] | None = None) -> None:
        """`addresses` to listen on; those of every card, if not given."""
        self._server, self._port, self._addresses = server, port, addresses or card_addresses
        self._listeners: dict[str, socket.socket] = {}
        self._lock = Lock()
        self._closed = Event()
        self._closed.set()

    def why_not(self) -> StudioError | None:
        return None if self._addresses() else Unavailable("sharing.no_network")

    def open(self, told: Told) -> None:
        """Where there is no network it waits for one; where an address cannot be had, that is told."""
        with self._lock:
            if not self._closed.is_set():
                return
            error = self._follow()
            if error and not self._listeners:
                return told(Standing("failed", error=error))
            self._closed = Event()
            told(self._standing())
        Thread(target=self._watch, args=(self._closed, told), name="network cards", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            for listener in self._listeners.values():
                self._server.let_go(listener)
            self._listeners.clear()

    def _watch(self, closed: Event, told: Told) -> None:
        while not closed.wait(LOOK_SECONDS):
            with self._lock:
                before = set(self._listeners)
                if not closed.is_set():
                    self._follow()
                    if set(self._listeners) != before:
                        told(self._standing())

    def _follow(self) -> StudioError | None:
        """Listen where there is an address, and nowhere else; the last reason why one could not be had."""
        there, error = self._addresses(), None
        for address in [known for known in self._listeners if known not in there]:
            self._server.let_go(self._listeners.pop(address))
        for address in [new for new in there if new not in self._listeners]:
            try:
                listener = listen_on(address, self._port)
            except OSError as problem:
                log.warning("cannot listen on %s: %s", address, problem)
                error = Unavailable("sharing.no_listener", address=address, port=self._port, reason=problem.strerror)
                continue
            self._listeners[address] = listener
            self._server.let_in(listener)
        return error

    def _standing(self) -> Standing:
        if not self._listeners:
            return Standing("failed", error=Unavailable("sharing.no_network"), again=True)
        urls = tuple(f"http://{f'[{one}]' if ':' in one else one}:{self._port}" for one in self._listeners)
        return Standing("on", urls, (*self._listeners, *computer_names()))


def listen_on(address: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # there REUSEADDR would let two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def card_addresses() -> list[str]:
    """Under which this computer is called in its networks; the one that leads out comes first."""
    found = []
    for card in psutil.net_if_addrs().values():
        for one in card:
            if one.family in (socket.AF_INET, socket.AF_INET6) and _is_for_others(one.address):
                found.append(one.address)
    first = _leads_out()
    return sorted(dict.fromkeys(found), key=lambda one: (one != first, ":" in one))


def _is_for_others(address: str) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # with the name of its card: of this cable only
        return False
    return not (known.is_loopback or known.is_link_local or known.is_unspecified)


def _leads_out() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def computer_names() -> tuple[str, ...]:
    """What this computer is called in a local network."""
    name = socket.gethostname()
    return (name, f"{name.partition('.')[0]}.local")
