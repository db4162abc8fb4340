"""The public link: Gradio's tunnel program, watched, and started again when it ends. Knows no visitor and no host list.

Gradio starts the same program itself (`networking.setup_tunnel`), but does not notice that it ended, keeps a core busy
until then, never empties its pipe and writes into the working directory. So only the program, the address of its
server and the list of its hashes are Gradio's here. The program runs on a leash: it ends with us, however we end.
"""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

from studio.errors import EngineError, StudioError, Unavailable
from studio.pipelines.program import Program
from studio.reach import Standing, Told

log = logging.getLogger(__name__)

OPEN_SECONDS = 40.0  # until the program has to have a link
CLOSE_SECONDS = 5.0  # until it has to be gone
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds before it is started again; the last one for ever
STABLE_SECONDS = 60.0  # a link that held as long begins with the first pause again
LINK = re.compile(r"start proxy success: (\S+)")
REFUSED, AGAIN = "login to server failed", "try to reconnect to server"  # what the program says


@dataclass(frozen=True, slots=True)
class Server:
    """Where the link ends: its address, and the certificate that it must show. Without one the line is encrypted, but
    nobody knows to whom."""

    address: str  # host:port
    certificate: Path | None = None


class Tunnel:
    """`_lock`: opening and closing. What is told comes from one thread of its own, or before that has begun."""

    def __init__(
        self, port: int, server: Callable[[], Server], folder: Path, offline: Callable[[], bool] = lambda: False,
        program: Callable[[], Sequence[str | Path]] | None = None, pauses: Sequence[float] = PAUSES,
        host: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        """`host` and `port`: of the studio, here; `folder`: where the program stands; `program`: its command."""
        self._host, self._port, self._server, self._folder, self._offline = host, port, server, folder, offline
        self._program, self._pauses = program or gradios_program, pauses
        self._lock = Lock()
        self._closed = Event()
        self._thread: Thread | None = None

    def why_not(self) -> StudioError | None:
        return Unavailable("sharing.offline") if self._offline() else None

    def open(self, told: Told) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            told(Standing("opening"))
            self._closed = Event()
            self._thread = Thread(target=self._keep, args=(self._closed, told), name="tunnel", daemon=True)
            self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            if self._thread is not None:
                self._thread.join(CLOSE_SECONDS)  # one that still asks for the server starts nothing any more
            self._thread = None

    def _keep(self, closed: Event, told: Told) -> None:
        """Open it; where it had been open and broke, again and again. One that never opened is not tried any more."""
        had, pauses = False, self._growing()
        while True:
            began = time.monotonic()
            try:
                self._run(closed, told)
                had, reason = True, ""
            except (StudioError, OSError) as problem:  # OSError: a disk that is full
                reason = str(problem)
                if not (had or closed.is_set()):
                    log.warning("no public link: %s", problem)
                    error = problem if isinstance(problem, StudioError) else _failed(reason)
                    return told(Standing("failed", error=error))
            if closed.is_set():
                return
            pauses = self._growing() if time.monotonic() - began > STABLE_SECONDS else pauses
            seconds = next(pauses)
            broke = Unavailable("sharing.broke", seconds=round(seconds) or 1)
            log.warning("the public link broke %s", reason)
            told(Standing("failed", error=broke, again=True))
            if closed.wait(seconds):
                return
            told(Standing("opening", error=broke, again=True))

    def _growing(self) -> Iterator[float]:
        return chain(self._pauses, repeat(self._pauses[-1]))

    def _run(self, closed: Event, told: Told) -> None:
        """The program, until it is told to end, or had a link and ended by itself. Raises Unavailable where it found
        none."""
        if why_not := self.why_not():
            raise why_not
        server, program = self._server(), self._program()
        if closed.is_set():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        trust = ["--tls_trusted_ca_file", str(server.certificate)] if server.certificate else []
        command = [
            *program, "http", "-n", secrets.token_urlsafe(32), "-l", str(self._port), "-i", self._host, "--uc", "--ue",
            "--sd", "random", "--server_addr", server.address, "--disable_log_color", "--tls_enable", *trust,
        ]  # fmt: skip
        try:
            with Program(command, self._folder, "frpc") as running:
                _listen(running, closed, told)
        except EngineError as error:
            raise _failed(str(error.params["reason"])) from error


def _listen(running: Program, closed: Event, told: Told) -> None:
    """What it says until `closed`, or until it ends and had a link. Raises Unavailable where it found none."""
    linked, said, until = False, "", time.monotonic() + OPEN_SECONDS
    for line in running.lines():
        if closed.is_set():
            return
        said = line or said
        if found := LINK.search(line or ""):
            linked = True
            told(_on(found[1]))
        elif linked and AGAIN in said:
            told(Standing("opening", error=Unavailable("sharing.broke", seconds=1), again=True))
        elif not linked and (REFUSED in said or time.monotonic() > until):
            break
    if not linked:
        raise _failed(_clean(said))


def _failed(reason: str) -> Unavailable:
    return Unavailable("sharing.tunnel", reason=reason)


def _on(found: str) -> Standing:
    """`https://a.example`, or what a server of one's own calls it: `a.example:8080,b.example`."""
    urls = tuple(one if "://" in one else f"http://{one}" for one in found.split(",") if one)
    return Standing("on", urls, tuple(urlsplit(url).hostname or "" for url in urls))


def _clean(line: str) -> str:
    """A line of its log without date and place in its source."""
    return re.sub(r"^\S+ \S+ \[\w\] \[[^\]]*\] (\[\w+\] )?", "", line)[:200] or "…"


# ------------------------------------------------------------------------------------------------ what Gradio has
def gradios_server(folder: Path) -> Server:
    """The server that Gradio's makers run, with its certificate. Raises Unavailable("sharing.no_server")."""
    import httpx2
    from gradio import networking

    certificate = folder / "share.pem"
    try:
        answer = httpx2.get(networking.GRADIO_API_SERVER, timeout=30)
        answer.raise_for_status()
        found = answer.json()[0]
        address, authority = f"{found['host']}:{int(found['port'])}", str(found["root_ca"])
    except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
        raise Unavailable("sharing.no_server", reason=type(error).__name__) from error
    folder.mkdir(parents=True, exist_ok=True)
    certificate.write_text(authority, "utf-8")
    return Server(address, certificate)


def gradios_program() -> list[str | Path]:
    """The program that holds the link; fetched the first time, and what lies there is run only if it is the one that
    Gradio names. Raises Unavailable."""
    from gradio import tunneling

    path, wanted = Path(tunneling.BINARY_PATH), tunneling.CHECKSUMS.get(tunneling.BINARY_URL)
    if wanted is None:
        raise Unavailable("sharing.no_program", system=tunneling.BINARY_REMOTE_NAME.removeprefix("frpc_"))
    if path.is_file() and _hash(path) != wanted:  # half a file, or somebody else's
        path.unlink()
    if not path.is_file():
        try:
            tunneling.Tunnel.download_binary()
        except (tunneling.httpx.HTTPError, tunneling.ChecksumMismatchError, OSError) as error:
            path.unlink(missing_ok=True)
            raise Unavailable("sharing.no_download", reason=type(error).__name__) from error
    return [path]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
