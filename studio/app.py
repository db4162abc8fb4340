"""The composition root: settings -> store -> runner -> service -> faces. The only module that knows every other one.

`build_studio` is enough for the command line and for tests; `web_app` puts the faces and the door around it; `serve`
binds a port and stays until it is told to stop. Gradio is imported inside `web_app`: a render needs none.
"""

import logging
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from studio import logs
from studio.domain import Way
from studio.errors import Unavailable
from studio.lock import StudioLock
from studio.media.roots import Roots
from studio.reach import Reach, Standing
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
    from studio.reach.lan import Server
    from studio.reach.tunnel import Server as ShareServer

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
    from studio.api import make_api, review_page, sign_in
    from studio.api.compat import add_peers
    from studio.api.guard import Guard
    from studio.api.proxies import Below, Fronted

    settings = studio.settings
    studio.people.start(settings.auth)
    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    site.router.routes.extend(sign_in.routes(studio.people, studio.words))
    site.router.routes.extend(review_page.routes(studio))
    site.add_api_route("/health", lambda: JSONResponse(studio.system.health()))
    for path in ("/healthz", "/ready"):  # we listen before we are built, so whoever is answered finds us ready
        site.add_api_route(path, lambda: PlainTextResponse("ok"))
    site.mount("/api", make_api(studio))
    add_peers(site, studio)
    site.mount("/ui", tabs.Bundled(directory=settings.assets_dir))
    site.router.routes.append(tabs.manifest_route(studio.words))

    page = tabs.build_blocks(studio)
    page.delete_cache = KEEP_UPLOADS
    lang = "" if settings.lang == "auto" else settings.lang
    gr.mount_gradio_app(
        site,
        page,
        path="/",
        root_path="",  # not what GRADIO_ROOT_PATH says: the request brings it
        app_kwargs={"middleware": [tabs.page_middleware(lang, settings.root_path)], "openapi_url": None},
        max_file_size=settings.max_upload_mb * MB,
        enable_monitoring=False,
        mcp_server=False,
        show_error=False,
        **tabs.page_options(),
    )
    # outside of FastAPI: Gradio's own layers, CORS among them, must not answer before the door has been passed
    below = Below(site, settings.root_path)
    door = Guard(below, studio.words, token, studio.people, settings.max_upload_mb * MB, studio.audit)
    hosts = studio.people.hosts
    return Fronted(door, settings.root_path, settings.trusted_proxies, lambda host: hosts.way(host) is not None)


# ------------------------------------------------------------------------------------------------ ways in
def ways(settings: Settings, server: "Server") -> dict[Way, Reach]:
    """Everything that Sharing can open for a studio that `server` serves."""
    from studio.reach.lan import Lan
    from studio.reach.proxy import Proxy
    from studio.reach.tunnel import Tunnel

    chosen = settings.host not in (*LOOPBACK, *WILDCARDS)
    folder = settings.cache_dir / "share"
    return {
        "share": Tunnel(
            settings.port, partial(share_server, settings, folder), folder, lambda: settings.offline,
            host="::1" if settings.host == "::1" else LOOPBACK[0],
        ),
        "lan": Lan(server, settings.port, (lambda: [settings.host]) if chosen else None),
        "proxy": Proxy(settings.allowed_hosts, settings.root_path),
    }  # fmt: skip


def share_server(settings: Settings, folder: Path) -> "ShareServer":
    """Where the public link ends: a server of the user's own, else the one that Gradio's makers run."""
    from studio.reach.tunnel import Server, gradios_server

    if not settings.share_server:
        return gradios_server(folder)
    if not settings.share_server_certificate:
        return Server(settings.share_server)
    certificate = settings.inside(Path(settings.share_server_certificate))
    if not certificate.is_file():
        raise Unavailable("sharing.no_certificate", path=str(certificate))
    return Server(settings.share_server, certificate)


def wished(settings: Settings) -> list[Way]:
    """The ways that the settings want to be open from the start."""
    wishes: dict[Way, bool] = {
        "share": settings.share, "lan": settings.host not in LOOPBACK, "proxy": bool(settings.allowed_hosts),
    }  # fmt: skip
    return [way for way, wish in wishes.items() if wish]


def _tell(studio: Studio, say: Callable[[str], None], way: Way, standing: Standing) -> None:
    """To the terminal: where the studio may be found, and why it may not."""
    for url in standing.urls:
        say(url)
    if standing.state == "failed" and standing.error:
        told = studio.words.error(standing.error, studio.settings.lang)
        say(f"{told['message']} {told['hint']}")


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
            if not (settings.local_only or settings.auth or studio.people.has_owner()):
                asked = ", ".join(f"{name} ({settings.origin(name)})" for name in settings.opens)
                raise Unavailable("app.needs_auth", asked=asked)
            with listen(settings) as listener:
                _serve(studio, settings, lock, listener, say)
    finally:
        lock.release()


def _serve(
    studio: Studio, settings: Settings, lock: StudioLock, listener: socket.socket, say: Callable[[str], None]
) -> None:
    import uvicorn

    from studio.reach.lan import Server

    url = browser_url(settings)
    if settings.open_browser:
        threading.Thread(target=show, args=(settings, url), daemon=True).start()
    server = Server(
        uvicorn.Config(
            web_app(studio, lock.token), log_config=None, access_log=False, server_header=False, ws="none",
            # what a proxy says about its visitors is not believed: a right must never hang on it
            proxy_headers=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    studio.sharing.use(ways(settings, server), partial(_tell, studio, say))
    studio.start()
    lock.announce(url)
    say(url)
    studio.sharing.start(wished(settings))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("stopped from the keyboard")


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def show(settings: Settings, url: str) -> None:
    """The page, in a window of its own where that is wished."""
    if settings.window:
        from studio.reach import window

        window.show(url, settings.cache_dir / "window")
    else:
        webbrowser.open(url)


def browser_url(settings: Settings) -> str:
    return f"{settings.address}{settings.root_path}/" if settings.root_path else settings.address


def listen(settings: Settings) -> socket.socket:
    """A socket that listens on this computer only: what others reach is opened by Sharing. Raises Unavailable:
    "app.port_busy" naming who holds it, or "app.bad_host"."""
    from studio.reach.lan import listen_on

    host = settings.host if settings.host in LOOPBACK else LOOPBACK[0]
    try:
        return listen_on(host, settings.port)
    except OSError as error:
        if holder := port_holder(settings.port):
            raise Unavailable("app.port_busy", port=settings.port, holder=holder, free=_free_port(settings)) from error
        origin = settings.origin("host")
        raise Unavailable("app.bad_host", host=f"{host}:{settings.port}", origin=origin, reason=error) from error


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
                probe.bind((LOOPBACK[0], port))
            except OSError:
                continue
            return port
    return 0  # the system chooses one
