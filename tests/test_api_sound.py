"""What is being said, while it is said: GET /scenes/{id}/sound, with engines here and in a worker process."""

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slow_voice import PIECE, RATE, SlowVoice
from starlette.testclient import TestClient

from studio import app
from studio.api import make_api, scenes
from studio.execution.inprocess import InProcess
from studio.execution.process import WorkerProcess
from studio.execution.wire import WorkerSettings
from studio.pipelines import ENGINES, engine_class
from studio.runner import Lanes
from studio.runner.live import AT_ONCE, Heard
from studio.service import Studio

HEAD = 44  # bytes of a WAV before its samples
WHERE = {"slow-voice": "slow_voice:SlowVoice"}


@pytest.fixture(params=["here", "in a worker"])
def studio(
    request: pytest.FixtureRequest, build: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    monkeypatch.setitem(ENGINES, SlowVoice.id, WHERE[SlowVoice.id])
    executor: Any = InProcess() if request.param == "here" else WorkerProcess(WorkerSettings(engines=WHERE))
    lanes = Lanes(gpu=[executor], cpu=[executor], tools=[executor])
    monkeypatch.setattr(app, "_lanes", lambda settings, in_process: lanes)
    yield build(force_cpu=True)
    engine_class.cache_clear()


class Listener:
    """A browser that reads an answer as it comes, and may close the page."""

    def __init__(self, on_bytes: Callable[[bytes], bool] = lambda content: True) -> None:
        """`on_bytes`: told all that came so far, each time; False: the page is closed."""
        self._on_bytes = on_bytes
        self.status, self.headers, self.content = 0, dict[str, str](), b""
        self._gone = asyncio.Event()

    def get(self, api: Any, path: str) -> "Listener":
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [], "scheme": "http",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "",
        }  # fmt: skip
        asyncio.run(api(scope, self._receive, self._send))
        return self

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.content += message.get("body", b"")
            if not self._on_bytes(self.content):
                self._gone.set()


def line(studio: Studio, marker: Path) -> str:
    """A scene that is one line, run by the slow voice."""
    values = {
        "task_type": "speech", "engine": SlowVoice.id, "lines": [{"text": "Hello there."}],
        "options": {SlowVoice.id: {"marker": str(marker)}},
    }  # fmt: skip
    return str(studio.scenes.generate(values)["id"])


def until(found: Callable[[], Any]) -> Any:
    """Wait for what another thread does."""
    for _ in range(6000):
        if result := found():
            return result
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_a_line_is_heard_before_it_is_done(studio: Studio, tmp_path: Path) -> None:
    api, marker = make_api(studio), tmp_path / "heard"
    scene = line(studio, marker)
    path, client = f"/scenes/{scene}/sound", TestClient(api)
    assert client.get(path).status_code == 204  # it waits still: there is nothing to hear
    states: list[str] = []

    def heard(content: bytes) -> bool:
        if len(content) == HEAD + 2 * PIECE:  # the header and the first half
            states.append(studio.scenes.get(scene)["state"])
            marker.touch()
        return True

    working = threading.Thread(target=studio.drain)
    working.start()
    until(lambda: studio.scenes.sound(scene))
    answer = Listener(heard).get(api, path)
    working.join()
    assert states == ["running"]
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert "content-length" not in answer.headers and answer.headers["cache-control"] == "no-store"
    assert answer.content[:4] == b"RIFF" and struct.unpack("<IHHI", answer.content[16:28]) == (16, 1, 1, RATE)
    samples = np.frombuffer(answer.content[HEAD:], "<i2")
    assert len(samples) == 2 * PIECE and samples[PIECE - 1] > 16_000 and samples[-1] < -16_000

    take = client.get(path)
    assert take.status_code == 200 and take.headers["content-type"] == "audio/wav"
    assert int(take.headers["content-length"]) == len(take.content) > 4 * PIECE
    assert client.get(path, headers={"range": "bytes=0-3"}).content == b"RIFF"
    (line_id,) = studio.scenes.get(scene)["line_takes"]
    assert client.get(f"{path}?line={line_id}").content == take.content
    unknown = client.get(f"{path}?line=nobody")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "line.unknown")


def test_a_closed_page_ends_it_and_not_the_line(studio: Studio, tmp_path: Path) -> None:
    api, marker = make_api(studio), tmp_path / "heard"
    scene = line(studio, marker)
    working = threading.Thread(target=studio.drain)
    working.start()
    until(lambda: studio.scenes.sound(scene))
    answer = Listener(lambda content: len(content) <= HEAD).get(api, f"/scenes/{scene}/sound")  # returns
    assert HEAD < len(answer.content) <= HEAD + 2 * PIECE
    assert studio.scenes.get(scene)["state"] == "running"
    marker.touch()
    working.join()
    assert studio.scenes.get(scene)["state"] == "done"


def test_a_line_that_is_cancelled_ends_it(studio: Studio, tmp_path: Path) -> None:
    api = make_api(studio)
    scene = line(studio, tmp_path / "never")
    working = threading.Thread(target=studio.drain)
    working.start()
    until(lambda: studio.scenes.sound(scene))

    def heard(content: bytes) -> bool:
        if len(content) > HEAD:
            studio.scenes.cancel(scene)
        return True

    answer = Listener(heard).get(api, f"/scenes/{scene}/sound")
    working.join()
    assert len(answer.content) == HEAD + 2 * PIECE
    assert TestClient(api).get(f"/scenes/{scene}/sound").status_code == 204


def test_an_hour_is_never_all_in_memory_and_who_comes_late_begins_later() -> None:
    heard = Heard(most=1001)
    for number in range(500):
        heard.add(struct.pack("<h", number) * 10, RATE)
    piece, at = heard.since(0)
    assert len(piece) <= 1001 and at == 10_000
    assert set(np.frombuffer(piece, "<i2")) == set(range(450, 500))  # whole samples, the newest
    assert heard.since(at) == (b"", at)
    assert heard.since(at - 6) == (struct.pack("<h", 499) * 3, at)


def test_a_long_wait_is_sent_in_pieces_and_nothing_is_missed() -> None:
    heard, got = Heard(), []
    samples = np.arange(3 * AT_ONCE, dtype="<i2").tobytes()
    heard.add(samples, RATE)

    class Page:
        async def is_disconnected(self) -> bool:
            heard.add(b"end!", RATE)
            heard.over = True  # between two looks
            return False

    async def listen() -> None:
        async for piece in scenes._growing(heard, Page()):  # type: ignore[arg-type]
            got.append(piece)

    asyncio.run(listen())
    assert max(map(len, got)) <= AT_ONCE
    assert b"".join(got)[HEAD:] == samples + b"end!"
