"""A hub on this computer: the listing, the redirects, the ranges and the refusals of the real one, with tiny files.

`Hub(folder)` serves `folder/<owner>/<name>/…`. Files above LARGE bytes are large ones: SHA-256, and a redirect to a
second host ("the CDN"), where no token may arrive. What goes wrong is set on the server: `gated`, `cut_after` …
"""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 2000  # bytes
HUGE = 1_000_000  # bytes; only answers of such files are cut
COMMIT = "c" * 40
TOKEN = "hf_goodtokengoodtoken"


class Hub:
    """Use as a context manager; `url` is the endpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commit = COMMIT
        self.branches = {"main", "refs/pr/1"}
        self.asked: list[tuple[str, str, str, bool]] = []  # method, path, Range, was there a token
        self.sent = 0  # bytes of files
        self.gated: set[str] = set()  # repositories
        self.refused = 0  # a status for everything
        self.no_ranges = False
        self.cut_after: list[int] = []  # bytes after which the next huge answers end
        self.broken: set[str] = set()  # file names whose content is wrong
        self.on_bytes = lambda sent: None  # hears of every piece
        hub = self
        handler = type("Handler", (_Handler,), {"hub": hub})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fetched(self) -> list[tuple[str, str]]:
        """(path, Range) of every file that was asked for."""
        return [(path, wanted) for method, path, wanted, _ in self.asked if method == "GET" and "/cdn/" in path]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        quoted = urlsplit(self.path).path
        path = unquote(quoted)
        token = self.headers.get("authorization", "")
        self.hub.asked.append((self.command, path, self.headers.get("range", ""), bool(token)))
        parts = [unquote(part) for part in quoted.strip("/").split("/")]  # a revision may have slashes of its own
        if self.hub.refused:
            return self._error(self.hub.refused, "")
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], token)
        if parts[0] == "cdn":
            return self._file(self.hub.folder.joinpath(*parts[1:]))
        if "resolve" in parts:
            return self._resolve(parts, token)
        return self._error(404, "RepoNotFound")

    # ------------------------------------------------------------------------------------------ what there is
    def _api(self, parts: list[str], token: str) -> None:
        repo = self.hub.folder.joinpath(*parts[:2])
        if not repo.is_dir():
            return self._error(401 if not token else 404, "RepoNotFound")
        revision = parts[3] if len(parts) > 3 else "main"
        if revision not in (*self.hub.branches, self.hub.commit):
            return self._error(404, "RevisionNotFound")
        if len(parts) < 3 or parts[2] == "revision":
            return self._json({"_id": "1", "id": "/".join(parts[:2]), "sha": self.hub.commit, "siblings": []})
        folder = repo.joinpath(*parts[4:])
        if not folder.is_dir():
            return self._error(404, "EntryNotFound")
        return self._json([_row(path, repo) for path in sorted(folder.iterdir())])

    def _resolve(self, parts: list[str], token: str) -> None:
        at = parts.index("resolve")
        repo, path = "/".join(parts[:at]), self.hub.folder.joinpath(*parts[:at], *parts[at + 2 :])
        if repo in self.hub.gated and token != f"Bearer {TOKEN}":
            return self._error(403 if token else 401, "GatedRepo")
        if not path.is_file():
            return self._error(404, "EntryNotFound")
        if path.stat().st_size > LARGE:  # localhost is another host than 127.0.0.1, and the same computer
            where = f"http://localhost:{self.hub.port}/cdn/{path.relative_to(self.hub.folder).as_posix()}"
            return self._empty(302, {"Location": where, "X-Repo-Commit": self.hub.commit, **_etags(path)})
        return self._file(path)

    # ------------------------------------------------------------------------------------------ bytes
    def _file(self, path: Path) -> None:
        content = path.read_bytes()
        if path.name in self.hub.broken:
            content = bytes([content[0] ^ 1]) + content[1:]
        wanted, begin = self.headers.get("range", ""), 0
        if wanted and not self.hub.no_ranges:
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
        rest = content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("ETag", f'"{_digest(path)}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        huge = path.stat().st_size > HUGE
        cut = self.hub.cut_after.pop(0) if huge and self.hub.cut_after else None
        self._send(rest[:cut])
        if cut is not None and cut < len(rest):
            self.close_connection = True
            self.wfile.flush()

    def _send(self, content: bytes) -> None:
        for at in range(0, len(content), 1 << 16):
            piece = content[at : at + (1 << 16)]
            self.hub.sent += len(piece)
            self.hub.on_bytes(self.hub.sent)
            self.wfile.write(piece)

    def _json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._empty(status, {"X-Error-Code": code} if code else {})

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()


def _row(path: Path, repo: Path) -> dict[str, Any]:
    name = path.relative_to(repo).as_posix()
    if path.is_dir():
        return {"type": "directory", "oid": "d" * 40, "size": 0, "path": name}
    size = path.stat().st_size
    row = {"type": "file", "oid": git_digest(path), "size": size, "path": name}
    if size > LARGE:
        row["lfs"] = {"oid": _digest(path), "size": size, "pointerSize": 134}
    return row


def _etags(path: Path) -> dict[str, str]:
    return {"X-Linked-Etag": f'"{_digest(path)}"', "X-Linked-Size": str(path.stat().st_size)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size > LARGE else git_digest(path)


def git_digest(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
