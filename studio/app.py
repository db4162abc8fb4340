"""The composition root: settings -> store -> runner -> service -> faces. The only module that knows every other one.

`build_studio` is enough for the command line and for tests; `web_app` puts the faces and the door around it; `serve`
binds a port and stays until it is told to stop. Gradio is imported inside `web_app`: a render needs none.
"""

import logging
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import closing
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from studio import logs
from studio.domain import Way
from studio.errors import StudioError, Unavailable
from studio.lock import StudioLock
from studio.media.roots import Roots
from studio.runner import Lanes, Runner
from studio.runner.power import Power, do, stay_awake
from studio.service import Studio
from studio.service.system import this_machine
from studio.settings import LOOPBACK, WILDCARDS, Settings
from studio.store import Store
from studio.story.wildcards import Wildcards

if TYPE_CHECKING:
    from studio.api.guard import App
    from studio.execution import Executor

log = logging.getLogger(__name__)

MB = 1_000_000
TOOL_SECONDS = 180.0  # a stranger's file that keeps a decoder busy for longer is given up
KEEP_UPLOADS = (3600, 86400)  # seconds between sweeps of Gradio's cache, age at which a file goes


# ------------------------------------------------------------------------------------------------ the core
def build_studio(settings: Settings, *, in_process: bool = False) -> Studio:
    """Everything but faces. `in_process`: engines run here instead of in workers; for tests. Close it when done."""
    settings.export()
    for folder in (settings.output_dir, settings.data_dir, settings.cache_dir):
        folder.mkdir(parents=True, exist_ok=True)
    logs.start(settings.log_dir, "app", settings.log_level, settings.secrets())
    store = Store(settings.database, Roots(settings.roots))
    runner = Runner(
        store, _lanes(settings, in_process), settings.output_dir, settings.cache_dir,
        None if in_process else Power(store, stay_awake, do),
        expand=Wildcards(settings.data_dir / "wildcards").expand, name_template=settings.name_template,
    )  # fmt: skip
    return Studio.build(settings, store, runner, partial(this_machine, settings), settings.assets_dir)


def _lanes(settings: Settings, in_process: bool) -> Lanes:
    from studio.execution.inprocess import InProcess
    from studio.execution.process import WorkerProcess
    from studio.execution.wire import WorkerSettings

    if in_process:
        here = InProcess()
        return Lanes(
            gpu=[here], cpu=[here], net=[here], tools=[here], exports=[here], downloads=[here], listening=[here]
        )
    worker = WorkerSettings(settings.log_dir, settings.log_level, tuple(settings.secrets()))
    cpu = WorkerProcess(worker)
    # net: calls that wait for somebody else's computer need no process of their own. exports: a film that is being cut
    # must not wait for a render, nor stop one; nor must a model that is fetched. Processes start on first use.
    net: list[Executor] = [InProcess() for _ in range(settings.max_concurrent_tasks)]
    tools = WorkerProcess(worker, stalled_after=TOOL_SECONDS)
    exports, downloads, listening = WorkerProcess(worker), WorkerProcess(worker), WorkerProcess(worker)
    return Lanes(
        gpu=[WorkerProcess(worker)],
        cpu=[cpu],
        net=net,
        tools=[tools],
        exports=[exports],
        downloads=[downloads],
        listening=[listening],
    )


# ------------------------------------------------------------------------------------------------ the faces
def web_app(studio: Studio, token: str) -> "App":
    """Page, REST, sign-in and health behind the door, as one ASGI app."""
    from studio import quick_import

    quick_import.install()
    import gradio as gr
    from fastapi import FastAPI
    from starlette.responses import JSONResponse, PlainTextResponse

    from studio import tabs
    from studio.api import make_api, sign_in
    from studio.api.compat import add_peers
    from studio.api.guard import Guard

    settings = studio.settings
    studio.people.start(settings.auth)
    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    site.router.routes.extend(sign_in.routes(studio.people, studio.words))
    site.add_api_route("/health", lambda: JSONResponse(studio.system.health()))
    for path in ("/healthz", "/ready"):  # we listen before we are built, so whoever is answered finds us ready
        site.add_api_route(path, lambda: PlainTextResponse("ok"))
    site.mount("/api", make_api(studio))
    add_peers(site, studio)
    site.mount("/ui", tabs.Bundled(directory=settings.assets_dir))

    page = tabs.build_blocks(studio)
    page.delete_cache = KEEP_UPLOADS
    lang = "" if settings.lang == "auto" else settings.lang
    gr.mount_gradio_app(
        site,
        page,
        path="/",
        app_kwargs={"middleware": [tabs.page_middleware(lang)], "openapi_url": None},
        max_file_size=settings.max_upload_mb * MB,
        enable_monitoring=False,
        mcp_server=False,
        show_error=False,
        **tabs.page_options(),
    )
    # outside of FastAPI: Gradio's own layers, CORS among them, must not answer before the door has been passed
    return Guard(site, studio.words, token, studio.people, settings.max_upload_mb * MB)


def known_hosts(settings: Settings) -> dict[str, Way]:
    """The names under which a browser may call this studio, besides the loopback ones, and the way each one is."""
    names: dict[str, Way] = {}
    if settings.host in WILDCARDS:
        import psutil

        addresses = [address for card in psutil.net_if_addrs().values() for address in card]
        cards = [a.address.partition("%")[0] for a in addresses if a.family in (socket.AF_INET, socket.AF_INET6)]
        names = dict.fromkeys(
            [*cards, socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local"], "lan"
        )  # fmt: skip
    elif settings.host not in LOOPBACK:
        names[settings.host] = "lan"
    return names | dict.fromkeys(settings.allowed_hosts, "proxy")


# ------------------------------------------------------------------------------------------------ a port
def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Open the studio and stay until SIGINT or SIGTERM. Raises StudioError when it cannot be opened.

    The port answers before Gradio is imported: whoever comes meanwhile waits in the backlog.
    """
    lock = StudioLock(settings.data_dir)
    lock.acquire()
    signal.signal(signal.SIGTERM, _leave)  # so that the blocks below close what they opened
    try:
        with closing(build_studio(settings)) as studio:
            _let_in(studio, settings)
            with listen(settings) as listener:
                _serve(studio, settings, lock, listener, say)
    finally:
        lock.release()


def _let_in(studio: Studio, settings: Settings) -> None:
    """Tell the door our names. Raises Unavailable where others could address us and nobody has a password."""
    for name, way in known_hosts(settings).items():
        studio.people.hosts.add(name, way)
    alone = settings.local_only and studio.people.hosts.alone
    if not (alone or settings.auth or studio.people.has_owner()):
        raise Unavailable("app.needs_auth", host=settings.host, origin=settings.origin("host"))


def _serve(
    studio: Studio, settings: Settings, lock: StudioLock, listener: socket.socket, say: Callable[[str], None]
) -> None:
    import uvicorn

    url = browser_url(settings)
    if settings.open_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    config = uvicorn.Config(
        web_app(studio, lock.token), log_config=None, access_log=False, server_header=False, ws="none",
        # what a proxy says about its visitors is not believed: a right must never hang on it
        proxy_headers=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    studio.start()
    lock.announce(url)
    say(url)
    if settings.share:
        threading.Thread(target=_share, args=(studio, settings, say), daemon=True).start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("stopped from the keyboard")


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def browser_url(settings: Settings) -> str:
    return settings.address


def listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises Unavailable: "app.port_busy" naming who holds it, or "app.bad_host"."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if sys.platform == "win32":  # there REUSEADDR would let two programs have one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        if holder := port_holder(settings.port):
            raise Unavailable("app.port_busy", port=settings.port, holder=holder, free=_free_port(settings)) from error
        origin = settings.origin("host")
        raise Unavailable(
            "app.bad_host", host=f"{settings.host}:{settings.port}", origin=origin, reason=error
        ) from error
    return listener


def port_holder(port: int) -> str:
    """`python3 (process 4711)`; empty when nobody listens there."""
    import psutil

    try:
        listening = [
            c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
    except psutil.AccessDenied:  # macOS tells only root; somebody answers, or nobody does
        with socket.socket() as probe:
            return "another program" if probe.connect_ex(("127.0.0.1", port)) == 0 else ""
    if not listening:
        return ""
    pid = listening[0].pid
    if pid is None:
        return "a program of another user"
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"


def _free_port(settings: Settings) -> int:
    for port in range(settings.port + 1, min(settings.port + 100, 65536)):
        with socket.socket() as probe:
            try:
                probe.bind((settings.host if settings.host not in LOOPBACK else "127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0  # the system chooses one


def _share(studio: Studio, settings: Settings, say: Callable[[str], None]) -> None:
    """A public link through Gradio's tunnel. Its name is known to the door only from here on."""
    from gradio import networking

    try:
        found: Any = networking.setup_tunnel("127.0.0.1", settings.port, secrets.token_urlsafe(32), None, None)
        name = urlsplit(found).hostname or ""
    except Exception as error:  # whatever the tunnel's program and its server may raise: the studio goes on without
        log.exception("no public link")
        told = studio.words.error(StudioError("app.share", reason=type(error).__name__), settings.lang)
        say(f"{told['message']} {told['hint']}")
        return
    studio.people.hosts.add(name, "share")
    say(f"https://{name}")
