"""Ways in by themselves: the tunnel's program comes, dies and returns; listeners of the local network come and go."""

import asyncio
import hashlib
import http.client
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import stub_tunnel
import uvicorn

from studio.errors import Unavailable
from studio.reach import Standing, lan
from studio.reach.proxy import Proxy
from studio.reach.tunnel import Server, Tunnel, gradios_program, gradios_server

STUB = [sys.executable, stub_tunnel.__file__]


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Heard:
    """What a way told, in its order."""

    def __init__(self) -> None:
        self.all: queue.Queue[Standing] = queue.Queue()

    def __call__(self, standing: Standing) -> None:
        self.all.put(standing)

    def next(self, state: str) -> Standing:
        found = self.all.get(timeout=30)
        assert found.state == state, found
        return found


# ------------------------------------------------------------------------------------------------ the tunnel
@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Callable[..., Tunnel]]:
    made: list[Tunnel] = []

    def one(port: int = 1, program: list[str] | None = None, server: Any = None, **more: Any) -> Tunnel:
        server = server or (lambda: Server(f"127.0.0.1:{port}"))
        made.append(Tunnel(9, server, tmp_path, program=lambda: program or STUB, pauses=(0.0,), **more))
        return made[-1]

    yield one
    for tunnel in made:
        tunnel.close()


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if stub_tunnel.__file__ in one.cmdline()]


def test_a_link_comes_and_goes_with_its_program(tunnel):
    port, heard = free_port(), Heard()
    one = tunnel(port)
    one.open(heard)
    heard.next("opening")
    on = heard.next("on")
    assert on.urls == (f"https://{on.names[0]}",) and on.names[0].endswith(".gradio.live")
    assert children()
    one.close()
    assert not children()
    assert heard.all.empty(), "who closed it knows"


def test_opening_twice_is_opening_once(tunnel):
    port, heard = free_port(), Heard()
    one = tunnel(port)
    one.open(heard)
    heard.next("opening")
    heard.next("on")
    one.open(heard)
    assert heard.all.empty()


def test_a_link_that_dies_is_there_again_under_another_name(tunnel):
    port, heard = free_port(), Heard()
    one = tunnel(port)
    one.open(heard)
    heard.next("opening")
    first = heard.next("on")
    stub_tunnel.say(port, "die")
    broke = heard.next("failed")
    assert broke.error and broke.error.code == "sharing.broke" and broke.again and not broke.names
    assert heard.next("opening").error
    second = heard.next("on")
    assert second.names and second.names != first.names


def test_a_program_that_finds_its_server_again_tells_the_new_name(tunnel):
    port, heard = free_port(), Heard()
    one = tunnel(port)
    one.open(heard)
    heard.next("opening")
    first = heard.next("on")
    stub_tunnel.say(port, "lose")
    assert not heard.next("opening").names
    assert heard.next("on").names != first.names


def test_one_that_never_opens_says_why_and_is_not_tried_again(tunnel):
    heard = Heard()
    says = "print('2026/11/21 02:40:00 [W] [service.go:104] login to server failed: no route', flush=True); input()"
    one = tunnel(program=[sys.executable, "-c", says])
    one.open(heard)
    heard.next("opening")
    failed = heard.next("failed")
    assert failed.error and failed.error.params["reason"] == "login to server failed: no route"
    one.close()
    assert heard.all.empty()


def test_a_full_disk_is_told(tunnel):
    def full() -> Server:
        raise OSError(28, "No space left on device")

    heard = Heard()
    tunnel(server=full).open(heard)
    heard.next("opening")
    error = heard.next("failed").error
    assert error and error.code == "sharing.tunnel" and "No space left" in error.params["reason"]


def test_a_program_that_cannot_be_started_is_told(tmp_path, tunnel):
    heard = Heard()
    tunnel(program=[str(tmp_path / "nowhere")]).open(heard)
    heard.next("opening")
    error = heard.next("failed").error
    assert error and error.code == "sharing.tunnel"


def test_a_program_that_ends_at_once_does_not_keep_us_waiting(tunnel):
    heard = Heard()
    tunnel(program=[sys.executable, "-c", "print('certificate expired')"]).open(heard)
    heard.next("opening")
    error = heard.next("failed").error
    assert error and "certificate expired" in error.params["reason"]


def test_after_a_failure_it_can_be_opened_again(tunnel):
    port, heard, wrong = free_port(), Heard(), [Unavailable("sharing.no_server", reason="x")]

    def server() -> Server:
        if wrong:
            raise wrong.pop()
        return Server(f"127.0.0.1:{port}")

    one = tunnel(server=server)
    one.open(heard)
    heard.next("opening")
    error = heard.next("failed").error
    assert error and error.code == "sharing.no_server"
    one.close()
    one.open(heard)
    heard.next("opening")
    heard.next("on")


def test_a_server_of_ones_own_may_name_several_addresses(tunnel):
    port, heard = free_port(), Heard()
    one = tunnel(port, program=[*STUB, "--as", "a.example:8080,b.example"])
    one.open(heard)
    heard.next("opening")
    on = heard.next("on")
    assert on.urls == ("http://a.example:8080", "http://b.example") and on.names == ("a.example", "b.example")


def test_the_line_is_always_encrypted_and_trusts_the_given_certificate(tmp_path, tunnel):
    heard, says = Heard(), "import sys; print('start proxy success: https://' + '.'.join(sys.argv[1:]), flush=True)"
    server = Server("s:7000", tmp_path / "own.pem")
    tunnel(program=[sys.executable, "-c", says], server=lambda: server).open(heard)
    heard.next("opening")
    said = heard.next("on").urls[0]
    assert f"--tls_enable.--tls_trusted_ca_file.{tmp_path / 'own.pem'}" in said and "-i.127.0.0.1" in said


def test_without_network_it_cannot_be_opened(tunnel):
    assert tunnel().why_not() is None
    error = tunnel(offline=lambda: True).why_not()
    assert error and error.code == "sharing.offline"


# ------------------------------------------------------------------------------------------------ what Gradio has
@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradio's program is these bytes, and nothing is fetched."""
    from gradio import tunneling

    path = tmp_path / "frpc"
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(path))
    monkeypatch.setitem(tunneling.CHECKSUMS, tunneling.BINARY_URL, hashlib.sha256(b"right").hexdigest())
    monkeypatch.setattr(tunneling.Tunnel, "download_binary", staticmethod(lambda: path.write_bytes(b"right")))
    return path


def test_the_program_is_fetched_once(program):
    assert gradios_program() == [program]
    made = program.stat().st_mtime_ns
    assert gradios_program() == [program] and program.stat().st_mtime_ns == made


def test_another_program_in_its_place_is_never_started(program):
    program.write_bytes(b"wrong")
    gradios_program()
    assert program.read_bytes() == b"right"


def test_a_download_that_is_another_is_thrown_away(program, monkeypatch):
    from gradio import tunneling

    def wrong() -> None:
        program.write_bytes(b"wrong")
        raise tunneling.ChecksumMismatchError

    monkeypatch.setattr(tunneling.Tunnel, "download_binary", staticmethod(wrong))
    with pytest.raises(Unavailable) as refused:
        gradios_program()
    assert refused.value.code == "sharing.no_download" and not program.exists()


def test_a_computer_that_gradio_has_no_program_for_is_told(program, monkeypatch):
    from gradio import tunneling

    monkeypatch.setattr(tunneling, "CHECKSUMS", {})
    with pytest.raises(Unavailable) as refused:
        gradios_program()
    assert refused.value.code == "sharing.no_program"


def test_gradios_server_is_asked_for(tmp_path, monkeypatch):
    import httpx2

    def answer(content: Any) -> Any:
        request = httpx2.Request("GET", "https://a.example")
        return lambda url, **more: httpx2.Response(200, json=content, request=request)

    monkeypatch.setattr(httpx2, "get", answer([{"host": "1.2.3.4", "port": 7000, "root_ca": "CERT"}]))
    server = gradios_server(tmp_path / "new")
    assert server.address == "1.2.3.4:7000" and server.certificate and server.certificate.read_text() == "CERT"
    for nonsense in ({}, [], [{"host": "x"}], "no"):
        monkeypatch.setattr(httpx2, "get", answer(nonsense))
        with pytest.raises(Unavailable):
            gradios_server(tmp_path)


# ------------------------------------------------------------------------------------------------ the local network
class House:
    """An app on 127.0.0.1, and `addresses` that the cards have."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.port = free_port("127.0.0.2")
        config = uvicorn.Config(
            self.app, interface="asgi3", log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        self.server = lan.Server(config)
        self.addresses = ["127.0.0.2"]
        self.lan = lan.Lan(self.server, self.port, lambda: self.addresses)
        self.socket = lan.listen_on("127.0.0.1", self.port)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"first,", "more_body": True})
        if scope["path"] == "/slow":
            await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, 30)
        await send({"type": "http.response.body", "body": b"last"})

    def get(self, address: str, path: str = "/") -> str:
        connection = http.client.HTTPConnection(address, self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@pytest.fixture
def house() -> Iterator[House]:
    one = House()
    one.thread.start()
    yield one
    one.gate.set()
    one.lan.close()
    one.server.should_exit = True
    one.thread.join(10)
    assert not one.thread.is_alive()


needs_loopback = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is there on Linux alone")


@needs_loopback
def test_a_listener_opens_and_closes_while_the_server_runs(house):
    heard = Heard()
    assert house.get("127.0.0.1") == "first,last"
    with pytest.raises(OSError):
        house.get("127.0.0.2")
    house.lan.open(heard)
    on = heard.next("on")
    assert on.urls == (f"http://127.0.0.2:{house.port}",)
    assert on.names == ("127.0.0.2", *lan.computer_names())
    assert house.get("127.0.0.2") == "first,last"
    house.lan.open(heard)
    house.lan.close()
    assert heard.all.empty()
    with pytest.raises(OSError):
        house.get("127.0.0.2")
    assert house.get("127.0.0.1") == "first,last"
    house.lan.open(heard)
    heard.next("on")
    assert house.get("127.0.0.2") == "first,last"


@needs_loopback
def test_what_is_open_before_the_server_runs_answers_when_it_does():
    one, heard = House(), Heard()
    one.lan.open(heard)
    heard.next("on")
    one.thread.start()
    assert one.get("127.0.0.2") == "first,last"
    one.server.should_exit = True
    one.thread.join(10)
    with pytest.raises(OSError):
        one.get("127.0.0.2")
    one.lan.close()


@needs_loopback
def test_closing_cuts_off_who_is_in_the_middle(house):
    heard = Heard()
    house.lan.open(heard)
    connection = http.client.HTTPConnection("127.0.0.2", house.port, timeout=10)
    connection.request("GET", "/slow")
    answer = connection.getresponse()
    assert answer.read(6) == b"first,"
    house.lan.close()
    house.gate.set()  # the app goes on and would send the rest
    with pytest.raises((OSError, http.client.HTTPException)):
        answer.read()


@needs_loopback
def test_cards_that_come_and_go_are_followed(house, monkeypatch):
    monkeypatch.setattr(lan, "LOOK_SECONDS", 0.01)
    heard = Heard()
    house.lan.open(heard)
    heard.next("on")
    house.addresses = ["127.0.0.3"]
    assert heard.next("on").urls == (f"http://127.0.0.3:{house.port}",)
    assert house.get("127.0.0.3") == "first,last"
    with pytest.raises(OSError):
        house.get("127.0.0.2")


@needs_loopback
def test_a_busy_port_is_told(house):
    heard = Heard()
    with lan.listen_on("127.0.0.2", house.port):
        house.lan.open(heard)
        error = heard.next("failed").error
    assert error and error.code == "sharing.no_listener" and error.params["port"] == house.port
    house.lan.open(heard)
    heard.next("on")


@needs_loopback
def test_a_computer_without_a_network_waits_for_one(house, monkeypatch):
    monkeypatch.setattr(lan, "LOOK_SECONDS", 0.01)
    house.addresses, heard = [], Heard()
    error = house.lan.why_not()
    assert error and error.code == "sharing.no_network"
    house.lan.open(heard)
    waits = heard.next("failed")
    assert waits.again and waits.error and waits.error.code == "sharing.no_network"
    house.addresses = ["127.0.0.2"]
    heard.next("on")
    house.addresses = []
    assert heard.next("failed").names == ()


def test_no_address_of_a_card_is_this_computers_alone():
    for address in lan.card_addresses():
        assert not address.startswith(("127.", "fe80", "169.254.", "0.")) and "%" not in address and address != "::1"


# ------------------------------------------------------------------------------------------------ a proxy
def test_a_proxy_is_only_its_names():
    heard = Heard()
    Proxy(["studio.example"], "/film").open(heard)
    assert heard.next("on") == Standing("on", ("https://studio.example/film",), ("studio.example",))
    error = Proxy([]).why_not()
    assert error and error.code == "sharing.no_proxy"
