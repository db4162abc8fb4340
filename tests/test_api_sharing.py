"""Shared while it runs: the whole app on a port, a stub tunnel before it, a listener of the network beside it."""

import http.client
import io
import json
import queue
import socket
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import stub_tunnel
import uvicorn

from studio import app
from studio.domain import Way
from studio.reach import Standing, lan
from studio.reach.proxy import Proxy
from studio.reach.tunnel import Server as ShareServer
from studio.reach.tunnel import Tunnel
from studio.service import Studio
from studio.settings import Settings

LONG = "three plain words"
PROXY = "studio.example"
AWAY = "127.0.0.2"  # stands for the address of a network card


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Live:
    """A studio that is served, and everything that can be switched on about it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.stub = free_port(AWAY), free_port()
        self.studio: Studio = app.build_studio(
            Settings(root=folder, port=self.port, open_browser=False), in_process=True
        )
        config = uvicorn.Config(
            app.web_app(self.studio, "command-line"), log_config=None, access_log=False, ws="none",
            proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = lan.Server(config)
        self.told: queue.Queue[tuple[Way, Standing]] = queue.Queue()
        self.pauses = [0.0]
        program = [sys.executable, stub_tunnel.__file__]
        ways = {
            "share": Tunnel(
                self.port, lambda: ShareServer(f"127.0.0.1:{self.stub}"), folder, program=lambda: program,
                pauses=self.pauses,
            ),
            "lan": lan.Lan(self.server, self.port, lambda: [AWAY]),
            "proxy": Proxy([PROXY]),
        }  # fmt: skip
        self.studio.sharing.use(ways, lambda way, standing: self.told.put((way, standing)))  # type: ignore[arg-type]
        listener = lan.listen_on("127.0.0.1", self.port)
        self.thread = threading.Thread(target=self.server.run, args=([listener],), daemon=True)
        self.thread.start()
        self.studio.people.make_owner("Mina", LONG)

    def close(self) -> None:
        self.studio.sharing.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.studio.close()

    def caller(self, address: str, port: int, host: str) -> httpx2.Client:
        headers = {"host": host, "origin": f"http://{host}"}
        return httpx2.Client(base_url=f"http://{address}:{port}", headers=headers, trust_env=False, timeout=30)

    def home(self) -> httpx2.Client:
        return self.caller("127.0.0.1", self.port, f"127.0.0.1:{self.port}")

    def away(self) -> httpx2.Client:
        """By the local network."""
        return self.caller(AWAY, self.port, f"{AWAY}:{self.port}")

    def by_proxy(self) -> httpx2.Client:
        return self.caller("127.0.0.1", self.port, PROXY)

    def by_link(self, name: str) -> httpx2.Client:
        return self.caller("127.0.0.1", self.stub, name)

    def until(self, way: Way, state: str) -> Standing:
        """What is told first of a way in this state."""
        while True:
            found, standing = self.told.get(timeout=30)
            if (found, standing.state) == (way, state):
                return standing

    def share(self, home: httpx2.Client) -> str:
        """Switch the link on; the name that it has."""
        assert home.post("/api/sharing/share", json={"on": True}).status_code == 202
        return self.until("share", "on").names[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with closing(Live(tmp_path_factory.mktemp("home"))) as live:
        yield live


@pytest.fixture
def live(whole: Live) -> Iterator[Live]:
    yield whole
    for way in ("share", "lan", "proxy"):
        whole.studio.sharing.switch(way, False)  # type: ignore[arg-type]
    while not whole.told.empty():
        whole.told.get()


@pytest.fixture
def home(live: Live) -> Iterator[httpx2.Client]:
    """The browser on this computer."""
    with live.home() as client:
        yield client


@pytest.fixture
def link(live: Live, home: httpx2.Client) -> Iterator[httpx2.Client]:
    """A browser far away that has the link and has signed in."""
    with live.by_link(live.share(home)) as client:
        sign_in(client)
        yield client


def sign_in(client: httpx2.Client, user: str = "Mina") -> None:
    assert client.post("/sign-in", data={"user": user, "password": LONG}).status_code == 303


def way_of(view: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in view["ways"] if one["way"] == name)


def sound(seconds: float) -> bytes:
    """Silence in CD quality: 176 400 bytes for each second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((2, 2, 44_100, 0, "NONE", ""))
        writer.writeframes(bytes(int(44_100 * seconds) * 4))
    return file.getvalue()


# ------------------------------------------------------------------------------------------------ on
def test_at_home_it_is_all_off(home):
    view = home.get("/api/sharing").json()
    assert view["at_home"] and view["has_owner"]
    assert [(one["way"], one["state"], one["possible"]) for one in view["ways"]] == [
        ("share", "off", True), ("lan", "off", True), ("proxy", "off", True),
    ]  # fmt: skip


def test_who_switches_it_on_is_signed_in_and_nobody_else_on_this_computer(live, home):
    assert home.get("/api/queues").status_code == 200
    name = live.share(home)
    view = home.get("/api/sharing").json()
    assert not view["at_home"] and view["sessions"] == 1
    assert way_of(view, "share")["url"] == f"https://{name}" and way_of(view, "share")["since"]
    assert home.get("/api/me").json()["name"] == "Mina"
    with live.home() as stranger:
        assert stranger.get("/api/queues").status_code == 401
        assert stranger.get("/api/queues", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 401
        assert stranger.get("/api/queues", headers={"authorization": "Bearer command-line"}).status_code == 200


def test_on_again_is_the_same(live, home):
    name = live.share(home)
    again = home.post("/api/sharing/share", json={"on": True})
    assert again.status_code == 200 and way_of(again.json(), "share")["url"] == f"https://{name}"
    assert len(programs()) == 1 and live.told.empty()


def test_the_command_line_gets_no_cookie(live, home):
    ours = {"authorization": "Bearer command-line"}
    answer = home.post("/api/sharing/proxy", json={"on": True}, headers=ours)
    assert answer.status_code == 200 and "set-cookie" not in answer.headers


def test_it_needs_an_owner(tmp_path, build):
    from starlette.testclient import TestClient

    studio = build()
    studio.sharing.use({"proxy": Proxy([PROXY])})
    with TestClient(app.web_app(studio, "t"), base_url="http://127.0.0.1:7860") as client:
        answer = client.post("/api/sharing/proxy", json={"on": True})
        assert answer.status_code == 409 and answer.json()["error"]["code"] == "sharing.no_owner"
        assert "set-cookie" not in answer.headers
        gone = client.post("/api/sharing/share", json={"on": True})
        assert gone.status_code == 409 and gone.json()["error"]["code"] == "sharing.not_served"
        assert client.post("/api/sharing/elsewhere", json={"on": True}).status_code == 422
        for wrong in ({}, {"on": "maybe"}, {"on": True, "more": 1}, []):
            assert client.post("/api/sharing/proxy", json=wrong).status_code == 422


def test_an_editor_may_not(live, home, link):
    made = home.post("/api/invitations", json={"role": "editor", "note": "for Ana"}).json()
    with live.by_link(link.headers["host"]) as ana:
        assert ana.post(made["url_path"], data={"user": "Ana", "password": LONG}).status_code == 303
        assert ana.get("/api/queues").status_code == 200
        assert ana.get("/api/sharing").status_code == 403
        for on in (True, False):
            assert ana.post("/api/sharing/share", json={"on": on}).status_code == 403
        assert ana.get("/api/audit").status_code == 403


# ------------------------------------------------------------------------------------------------ by the link
def test_the_page_asks_who_it_is(live, home):
    with live.by_link(live.share(home)) as stranger:
        answer = stranger.get("/", headers={"accept": "text/html"})
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        assert stranger.get("/api/queues").status_code == 401
        assert (
            stranger.get("/api/queues", headers={"host": "127.0.0.1"}).status_code == 404
        )  # the tunnel knows one name
        wrong = stranger.post("/sign-in", data={"user": "Mina", "password": "wrong wrong"})
        assert wrong.status_code == 403
        sign_in(stranger)
        page = stranger.get("/", headers={"accept": "text/html"})
        assert page.status_code == 200 and "Lanterna" in page.text
        assert stranger.get("/api/me").json()["way"] == "share"


def test_a_queue_is_polled(link):
    made = link.post("/api/queues", json={"name": "By the link"}).json()
    first = link.get(f"/api/queues/{made['id']}").json()
    assert link.get(f"/api/queues/{made['id']}", params={"since": first["version"]}).json()["queue"] is None
    body = {"task_type": "text_to_video", "prompt": "a lamp"}
    link.post(f"/api/queues/{made['id']}/scenes", json=body)
    after = link.get(f"/api/queues/{made['id']}", params={"since": first["version"]}).json()
    assert [card["prompt"] for card in after["scenes"]] == ["a lamp"]


def test_files_go_up_and_come_down_in_parts(link):
    content = sound(2)
    up = link.post("/api/assets", files={"file": ("hum.wav", content, "audio/wav")})
    assert up.status_code < 300, up.text
    where = f"/api/assets/{up.json()['sha256']}/file"
    whole = link.get(where)
    assert whole.status_code == 200 and whole.content == content
    part = link.get(where, headers={"range": "bytes=1000-1999"})
    assert part.status_code == 206 and part.content == content[1000:2000]
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
    assert link.get(where, headers={"range": f"bytes={len(content)}-"}).status_code == 416


def test_half_an_upload_leaves_nothing(live, link):
    before = files_in(live)
    cookie = "; ".join(f"{name}={value}" for name, value in link.cookies.items())
    head = (
        f"POST /api/assets HTTP/1.1\r\nHost: {link.headers['host']}\r\nCookie: {cookie}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="half.wav"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", live.stub)) as browser:
        browser.sendall(head.encode() + sound(1))
        wait_for(lambda: bool(live.server.server_state.tasks))  # the studio waits for the rest
    wait_for(lambda: not live.server.server_state.tasks)
    assert files_in(live) == before


def files_in(live: Live) -> set[str]:
    folders = (live.studio.settings.data_dir, live.studio.settings.output_dir)
    return {
        str(path) for folder in folders for path in folder.rglob("*") if path.is_file() and "studio.db" not in path.name
    } - {str(path) for path in live.studio.settings.log_dir.rglob("*")}


def wait_for(done: Callable[[], bool]) -> None:
    pulse = threading.Event()
    for _ in range(3000):
        if done():
            return
        pulse.wait(0.01)
    raise AssertionError("it never came")


# ------------------------------------------------------------------------------------------------ it breaks
def test_a_tunnel_that_dies_is_told_and_returns_under_another_name(live, home, link):
    stub_tunnel.say(live.stub, "die")
    broke = live.until("share", "failed")
    assert broke.error and broke.error.code == "sharing.broke"
    with live.home() as old:
        assert old.get("/api/queues", headers={"host": link.headers["host"]}).status_code == 421
    back = live.until("share", "on").names[0]
    assert back != link.headers["host"]
    view = home.get("/api/sharing", params={"lang": "pt"}).json()
    assert way_of(view, "share")["urls"] == [f"https://{back}"] and way_of(view, "share")["error"] is None
    assert link.get("/api/queues").status_code == 404
    with live.by_link(back) as again:
        again.cookies.update(link.cookies)
        assert again.get("/api/queues").status_code == 200, "nobody switched it off"


def test_while_it_is_broken_the_state_says_so_in_words(live, home):
    live.pauses[:] = [60.0]
    live.share(home)
    stub_tunnel.say(live.stub, "die")
    live.until("share", "failed")
    found = way_of(home.get("/api/sharing", params={"lang": "zh"}).json(), "share")
    assert (found["state"], found["on"], found["url"]) == ("failed", True, None)
    assert "60" in found["error"]["message"] and found["error"]["hint"]
    live.pauses[:] = [0.0]
    assert home.post("/api/sharing/share", json={"on": True}).status_code == 202, "nobody has to wait for it"
    live.until("share", "on")


# ------------------------------------------------------------------------------------------------ off
def programs() -> list[psutil.Process]:
    """Those of the tunnel, without the leashes that hold them."""
    return [one for one in psutil.Process().children(recursive=True) if one.cmdline()[1:2] == [stub_tunnel.__file__]]


def test_off_is_off(live, home, link):
    host = link.headers["host"]
    assert home.post("/api/sharing/share", json={"on": False}).json()["at_home"]
    assert not programs()
    with pytest.raises(httpx2.TransportError):
        link.get("/api/queues")
    assert home.get("/api/queues", headers={"host": host, "origin": f"http://{host}"}).status_code == 421
    with live.home() as anybody:
        assert anybody.get("/api/queues").status_code == 200


def test_a_cookie_of_before_opens_nothing_after_off_and_on(live, home, link):
    home.post("/api/sharing/share", json={"on": False})
    with live.by_link(live.share(home)) as again:
        again.cookies.update(link.cookies)
        assert again.get("/api/queues").status_code == 401
        sign_in(again)
        assert again.get("/api/queues").status_code == 200


def test_a_cookie_of_one_way_opens_no_other(live, home, link):
    home.post("/api/sharing/proxy", json={"on": True})
    with live.by_proxy() as other:
        other.cookies.update(link.cookies)
        assert other.get("/api/queues").status_code == 401
    with live.home() as here:
        here.cookies.update(link.cookies)
        assert here.get("/api/queues").status_code == 401


@pytest.mark.parametrize("way", ["share", "lan", "proxy"])
def test_a_download_in_the_middle_breaks_off(live, home, way):
    """The file is larger than all the buffers on its way; who reads it stops, and everything waits."""
    up = home.post("/api/assets", files={"file": ("long.wav", sound(180), "audio/wav")}).json()
    if way == "share":
        client = live.by_link(live.share(home))
    else:
        assert home.post(f"/api/sharing/{way}", json={"on": True}).status_code == 200
        client = live.away() if way == "lan" else live.by_proxy()
    with client:
        sign_in(client)
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=30)
        connection.request(
            "GET", f"/api/assets/{up['sha256']}/file", headers={"host": client.headers["host"], "cookie": cookies}
        )
        answer = connection.getresponse()
        length = int(answer.headers["content-length"])
        assert answer.status == 200 and answer.read(1000)
        home.post(f"/api/sharing/{way}", json={"on": False})
        got = 1000
        with suppress(OSError, http.client.HTTPException):
            while piece := answer.read1(1_000_000):
                got += len(piece)
        connection.close()
        assert got < length


# ------------------------------------------------------------------------------------------------ the local network
def test_the_local_network_is_opened_and_closed_while_the_studio_runs(live, home):
    with live.away() as phone:
        with pytest.raises(httpx2.ConnectError):
            phone.get("/api/queues")
        view = home.post("/api/sharing/lan", json={"on": True})
        assert view.status_code == 200
        assert way_of(view.json(), "lan")["urls"] == [f"http://{AWAY}:{live.port}"]
        assert phone.get("/api/queues").status_code == 401
        sign_in(phone)
        assert phone.get("/api/me").json()["way"] == "lan"
        by_name = {"host": f"{socket.gethostname()}:{live.port}"}
        assert phone.get("/api/queues", headers=by_name).status_code == 200
        home.post("/api/sharing/lan", json={"on": False})
        with pytest.raises(httpx2.TransportError):
            phone.get("/api/queues")
    assert home.get("/api/queues").status_code == 200
    assert home.get("/api/queues", headers={"host": AWAY}).status_code == 421


def test_two_ways_are_two(live, home):
    name = live.share(home)
    home.post("/api/sharing/lan", json={"on": True})
    with live.away() as phone:
        sign_in(phone)
        home.post("/api/sharing/share", json={"on": False})
        assert phone.get("/api/queues").status_code == 200
        assert phone.get("/api/queues", headers={"host": name}).status_code == 421
        with live.home() as stranger:
            assert stranger.get("/api/queues").status_code == 401, "the network is still open"


def test_an_owner_may_switch_off_the_way_by_which_they_came(live, home, link):
    with suppress(httpx2.TransportError):  # the answer may go with the line
        link.post("/api/sharing/share", json={"on": False})
    live.until("share", "off")
    assert home.get("/api/sharing").json()["at_home"]


# ------------------------------------------------------------------------------------------------ afterwards
def test_the_audit_says_who_opened_it_and_who_came(live, home):
    before = len(home.get("/api/audit", params={"limit": 200}).json()["entries"])
    with live.by_link(live.share(home)) as stranger:
        stranger.post("/sign-in", data={"user": "Mina", "password": "wrong wrong"})
        sign_in(stranger)
        stranger.post("/api/queues", json={"name": "From afar"})
    home.post("/api/sharing/share", json={"on": False})
    entries = home.get("/api/audit", params={"limit": 200}).json()["entries"]
    told = [(one["name"], one["way"], one["text"]) for one in entries[: len(entries) - before]]
    told = [one for one in reversed(told) if "refused" not in one[2]]  # one row an hour, which may be an earlier one
    assert told == [
        ("", "local", "Opened the public link"), ("Mina", "share", "Signed in"), ("Mina", "share", "Made a queue"),
        ("Mina", "local", "Closed the public link"),
    ]  # fmt: skip
    assert any(one["what"] == "sign_in.refused" for one in entries)
    assert {one["address"] for one in entries if one["way"] == "share"} == {""}, "the tunnel's own is nobody's"


def test_an_address_for_the_phone(live, home):
    name = live.share(home)
    drawn = home.get("/api/sharing/qr.svg", params={"text": f"https://{name}/invite/abc"})
    assert drawn.status_code == 200 and drawn.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in drawn.content
    refused = home.get("/api/sharing/qr.svg", params={"text": "https://evil.example"})
    assert refused.status_code == 422 and json.loads(refused.text)["error"]["code"] == "sharing.not_ours"
    home.post("/api/sharing/share", json={"on": False})
    assert home.get("/api/sharing/qr.svg", params={"text": f"https://{name}"}).status_code == 422
