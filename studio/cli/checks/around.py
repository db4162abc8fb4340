"""The doctor around the studio: one that runs, the port, who may reach it, and whether it reaches the internet."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from studio.cli.checks import Found
from studio.cli.checks.home import has_owner
from studio.settings import Settings

HUB = "https://huggingface.co"
SECONDS = 3.0  # that an answer may take


def running(settings: Settings) -> Iterator[Found]:
    """A studio, or a command, that owns the data folder now."""
    from studio.lock import StudioLock

    owner = StudioLock(settings.data_dir).holder()
    if owner:
        yield Found("ok", "studio", f"{owner.url or '-'} · {owner.pid}")


def port(settings: Settings) -> Iterator[Found]:
    from studio.app import port_holder
    from studio.lock import StudioLock

    holder = port_holder(settings.port)
    owner = StudioLock(settings.data_dir).holder()
    if holder and not (owner and urlsplit(owner.url).port == settings.port):
        yield Found("warn", "port", f"{settings.port}: {holder}", "port.cure")
    else:
        yield Found("ok", "port", str(settings.port))


def reach(settings: Settings) -> Iterator[Found]:
    """Whether others may reach the studio as it is set up now."""
    if settings.local_only:
        yield Found("ok", "reach", settings.host)
    elif settings.auth or has_owner(settings.database):
        yield Found("ok", "reach", f"{settings.host} · auth")
    else:
        yield Found("bad", "reach", f"{settings.host} ({settings.origin('host')})", "reach.cure")


def internet(settings: Settings) -> Iterator[Found]:
    """Whether models could be fetched: is the hub, the mirror or the proxy there? Nothing is asked of it."""
    if settings.offline:
        yield Found("ok", "internet", f"offline ({settings.origin('offline')})")
        return
    door = urlsplit(settings.proxy or settings.hf_endpoint or HUB)
    address = (door.hostname or "", door.port or (80 if door.scheme == "http" else 443))
    try:
        with socket.create_connection(address, timeout=SECONDS):
            yield Found("ok", "internet", address[0])
    except OSError as error:
        yield Found("warn", "internet", f"{address[0]}: {error.strerror or error}", "internet.cure")
