"""A reverse proxy on loopback, for tests: one path of its own leads to a studio, all else is 404 and written down.

Every request gets a connection of its own, so whatever the studio sends passes through byte by byte.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class ReverseProxy:
    """`strip`: the studio sees paths without `path`; `keep_host`: it sees the name that the browser used."""

    studio_port: int
    path: str = "/lanterna"
    strip: bool = True
    keep_host: bool = True
    adds: tuple[str, ...] = ()  # header lines; {port}: its own
    port: int = 0
    outside: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator["ReverseProxy"]:
        """In a thread of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), loop).result(10)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(server), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, browser: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await browser.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *headers = head.rstrip().split("\r\n")
            method, target, version = line.split(" ")
            if not target.startswith(self.path + "/") and target != self.path:
                self.outside.append(target)
                back.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            else:
                told = [f"{method} {self._seen(target)} {version}", *self._told(headers)]
                await self._pass_on("\r\n".join(told) + "\r\n\r\n", browser, back)
        back.close()

    def _seen(self, target: str) -> str:
        return (target.removeprefix(self.path) or "/") if self.strip else target

    def _told(self, headers: list[str]) -> list[str]:
        kept = [one for one in headers if not one.lower().startswith(("connection:", "x-forwarded-"))]
        if not self.keep_host:
            kept = [one for one in kept if not one.lower().startswith("host:")] + [
                f"Host: 127.0.0.1:{self.studio_port}"
            ]
        return [*kept, *(one.format(port=self.port) for one in self.adds), "Connection: close"]

    async def _pass_on(self, head: str, browser: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answer, studio = await asyncio.open_connection("127.0.0.1", self.studio_port)
        studio.write(head.encode("latin-1"))
        up = asyncio.create_task(_pump(browser, studio))
        try:
            await _pump(answer, back)
        finally:
            up.cancel()
            studio.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(65536):
        target.write(chunk)
        await target.drain()
