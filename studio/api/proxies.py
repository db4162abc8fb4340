"""Somebody's proxy before us: what it says about its visitors, and the path below which it shows us. Knows no people,
no rights and no route.

Two layers around the door. `Fronted`, outermost, believes the forwarding headers of the user's own proxy and of nobody
else, and takes the path's beginning away, so that the door judges the same paths whether a proxy strips it or not.
`Below`, behind the door, puts it back as ASGI's `root_path`. What comes from a proxy says who somebody is for lists
and limits only: no right hangs on it. The headers stay in the request, because a studio of one user's own lets in
nobody who was forwarded.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from studio.api.guard import App, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Pairs = list[tuple[bytes, bytes]]

PLACES = {b"location": rb"^/", b"set-cookie": rb"(?i)(?<=; path=)/"}  # of an answer: where a path of ours begins
OWN_HOST = (b"x-forwarded-host", b"x-gradio-server")  # by which Gradio would believe anybody about our address


class Fronted:
    """`root_path`: "" or "/lanterna"; `trusted`: addresses and networks of the user's proxies; `knows`: is this Host
    one of ours?"""

    def __init__(self, app: App, root_path: str, trusted: Sequence[str], knows: Callable[[str], bool]) -> None:
        self.app, self.root_path, self.knows = app, root_path, knows
        self.trusted = [ip_network(one, strict=False) for one in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        scope = dict(scope)
        if self._trusts(_peer(scope)):
            scope |= self._told(scope)
        if self.root_path and scope["path"] == self.root_path and scope["type"] == "http":
            return await _to_folder(self.root_path, scope, send)  # the page's own addresses are relative to its folder
        if self.root_path:
            scope.pop("raw_path", None)  # it may be written in another way than the path
            if scope["path"].startswith(self.root_path + "/"):
                scope["path"] = scope["path"][len(self.root_path) :]
            send = self._prefixed(send)
        await self.app(scope, receive, send)

    def _trusts(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found in network for network in self.trusted)

    def _told(self, scope: Scope) -> Scope:
        """What its headers change of the request. Of each the last word counts: that one the proxy has written."""
        headers: Pairs = list(scope["headers"])
        told: Scope = {"client": (self._visitor(headers, _peer(scope)), 0)}
        scheme = _last(headers, b"x-forwarded-proto").lower()
        if scheme in ("http", "https"):
            told["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
            headers = [pair for pair in headers if pair[0] != b"x-forwarded-proto"]
        host = _last(headers, b"x-forwarded-host")
        # both must be ours: a page of another site can send this header too, under a Host that is none of ours
        if host and all(self.knows(value.decode("latin-1")) for name, value in headers if name == b"host"):
            headers = [(name, host.encode("latin-1") if name == b"host" else value) for name, value in headers]
        told["headers"] = headers
        return told

    def _visitor(self, headers: Pairs, peer: str) -> str:
        """The last address that no proxy of ours is; what stands before it, anybody may have written."""
        hops = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for").split(",")
        for hop in reversed(hops):
            found = _address(hop.strip())
            if not found:
                return peer
            peer = found
            if not self._trusts(found):
                return found
        return peer

    def _prefixed(self, send: Send) -> Send:
        """Ways to go and cookies of the studio are below the path too."""

        async def prefixed(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(name, self._place(name, value)) for name, value in message.get("headers", ())]
            await send(message)

        return prefixed

    def _place(self, name: bytes, value: bytes) -> bytes:
        if (start := PLACES.get(name.lower())) is None:
            return value
        root = self.root_path.encode()
        return re.sub(start + rb"(?!/|%b(?:/|$))" % re.escape(root[1:]), root + b"/", value)


class Below:
    """What stands behind the door: the whole path with ASGI's `root_path`, and nobody's word about our own address."""

    def __init__(self, app: App, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = [pair for pair in scope["headers"] if pair[0] not in OWN_HOST]
            scope = {**scope, "headers": headers, "path": self.root_path + scope["path"], "root_path": self.root_path}
        await self.app(scope, receive, send)


def _peer(scope: Scope) -> str:
    """The address that is connected to us."""
    return scope["client"][0] if scope.get("client") else ""


def _last(headers: Pairs, name: bytes) -> str:
    said = [value for key, value in headers if key == name]
    return said[-1].decode("latin-1").rpartition(",")[2].strip() if said else ""


def _address(hop: str) -> str:
    """`203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711` without the port; "": no address."""
    found = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?|([0-9A-Fa-f:.]+)", hop)
    try:
        return str(ip_address(next(filter(None, found.groups())))) if found else ""
    except ValueError:
        return ""


async def _to_folder(root_path: str, scope: Scope, send: Send) -> None:
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    where = (b"location", root_path.encode() + b"/" + query)
    await send({"type": "http.response.start", "status": 307, "headers": [where, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
