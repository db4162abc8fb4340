"""Hostile URLs against the one client that fetches. The servers are real, on this machine; no network is used."""

import gzip
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpcore2
import pytest

from studio.errors import Forbidden, Refused, TooLarge, Unavailable
from studio.media.fetch import _Guarded, fetch, is_public

SECRET = b"the neighbour's secret"


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        path = self.path
        if path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to?"))
            self._body(b"")
        elif path == "/big":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/announced":
            self.send_response(200)
            self.send_header("Content-Length", "99999999")
            self.end_headers()
            self.close_connection = True
        elif path == "/packed":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self._body(gzip.compress(b"0" * 1_000_000))
        elif path == "/drip":
            self.send_response(200)
            self.end_headers()
            while not self.server.over.wait(0.02):  # type: ignore[attr-defined]
                self.wfile.write(b".")
        elif path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "image/png; charset=x")
            self._body(SECRET)

    def _body(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[http.server.ThreadingHTTPServer, http.server.ThreadingHTTPServer]]:
    both = tuple(_Server(("127.0.0.1", 0), _Answers) for _ in range(2))
    for server in both:
        server.asked, server.over, server.daemon_threads = [], threading.Event(), True  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield both  # type: ignore[misc]
    for server in both:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


def _get(servers, path: str, target: Path, **more):
    port = servers[0].server_address[1]
    return fetch(f"http://127.0.0.1:{port}{path}", target, allow={("127.0.0.1", port)}, **{"max_bytes": 10**6, **more})


def test_a_file_arrives_with_its_name_and_type(servers, tmp_path):
    got = _get(servers, "/pictures/lamp%20post.png?sig=1", tmp_path / "x")
    assert got.path.read_bytes() == SECRET
    assert (got.name, got.content_type, got.size) == ("lamp post.png", "image/png", len(SECRET))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433", "127.1", "0177.0.0.1",
        "0.0.0.0", "169.254.169.254", "100.64.0.1", "[64:ff9b::7f00:1]", "10.0.0.1", "192.168.1.1", "172.16.0.1",
        "[fe80::1]", "[fd00::1]", "[2002:7f00:1::]", "[::]", "224.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(servers, tmp_path, host):
    port = servers[1].server_address[1]
    before = len(servers[1].asked)
    # some spellings are no URL, or unknown to some resolvers; whichever it was, nobody was asked
    with pytest.raises((Refused, Unavailable)):
        fetch(f"http://{host}:{port}/secret", tmp_path / "x", max_bytes=10**6, max_seconds=5)
    assert len(servers[1].asked) == before
    assert not (tmp_path / "x").exists()


def test_the_refusal_names_the_reason(tmp_path):
    with pytest.raises(Forbidden) as refused:
        fetch("http://127.0.0.1:9/", tmp_path / "x", max_bytes=1)
    assert refused.value.code == "fetch.private"


def test_a_name_that_resolves_to_a_private_address_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: [(2, 1, 6, "", ("192.168.0.7", 80))])
    with pytest.raises(Forbidden):
        fetch("http://innocent.example/", tmp_path / "x", max_bytes=1)


def test_redirects_are_checked_again(servers, tmp_path):
    port = servers[1].server_address[1]
    before = len(servers[1].asked)
    with pytest.raises(Forbidden):
        _get(servers, f"/to?http://127.0.0.1:{port}/secret", tmp_path / "x")
    with pytest.raises(Forbidden):
        _get(servers, "/to?file:///etc/passwd", tmp_path / "x")
    assert len(servers[1].asked) == before


def test_endless_redirects_end(servers, tmp_path):
    port = servers[0].server_address[1]
    with pytest.raises(Unavailable):
        _get(servers, f"/to?http://127.0.0.1:{port}/to?/to?/to?/to?/to?/to?/to?/x", tmp_path / "x")


@pytest.mark.parametrize("path", ["/big", "/announced"])
def test_too_much_is_refused_and_leaves_nothing(servers, tmp_path, path):
    with pytest.raises(TooLarge):
        _get(servers, path, tmp_path / "x", max_bytes=50_000)
    assert list(tmp_path.iterdir()) == []


def test_packed_answers_are_refused(servers, tmp_path):
    with pytest.raises(Unavailable):
        _get(servers, "/packed", tmp_path / "x")


def test_a_dripping_server_is_left_at_the_deadline(servers, tmp_path):
    began = time.monotonic()
    # the clock runs 1000 times faster than the drip, so the test need not wait
    with pytest.raises(Unavailable) as slow:
        _get(servers, "/drip", tmp_path / "x", max_seconds=100, clock=lambda: (time.monotonic() - began) * 1000)
    assert slow.value.code == "fetch.slow"
    assert list(tmp_path.iterdir()) == []


def test_an_error_page_is_no_file(servers, tmp_path):
    with pytest.raises(Unavailable) as missing:
        _get(servers, "/missing", tmp_path / "x")
    assert missing.value.params["status"] == 404


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "gopher://a", "http://", "http://a:b/", "//x", ""])
def test_only_web_addresses(tmp_path, url):
    with pytest.raises(Refused) as refused:
        fetch(url, tmp_path / "x", max_bytes=1)
    assert refused.value.code == "fetch.url"


def test_an_existing_file_is_never_overwritten(servers, tmp_path):
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        _get(servers, "/a", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True), ("2606:4700::1111", True), ("64:ff9b::101:101", True), ("::ffff:1.1.1.1", True),
        ("2002:101:101::", True), ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False), ("2002:a00:1::", False),
        ("64:ff9b::a00:1", False), ("240.0.0.1", False), ("::7f00:1", False), ("fe80::1%lo", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_public_addresses(address, public):
    """Also those that carry an IPv4 address inside."""
    assert is_public(address) is public


def test_no_wait_outlasts_the_deadline():
    backend = _Guarded((), deadline=10.0, clock=lambda: 4.0)
    assert backend.left(15.0) == 6.0 and backend.left(2.0) == 2.0 and backend.left(None) == 6.0
    with pytest.raises(httpcore2.TimeoutException):
        _Guarded((), deadline=4.0, clock=lambda: 4.0).left(1.0)
