"""Exports of a queue and of a take: what is asked for is what lies there, under its own name, whole or not at all."""

import errno
import io
import threading
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import media_tools
import pytest
import soundfile
from starlette.testclient import TestClient

from studio.domain import CutSettings, Frame
from studio.media.bus import Bus
from studio.media.probe import probe
from studio.service import Studio
from studio.service.cutting import shaped
from studio.service.file_names import film_name

FRAME = {"width": 256, "height": 144, "fps": 24}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 1.0}


@pytest.fixture
def queue(studio: Studio, tmp_path: Path) -> str:
    """Two scenes, one of them speaks; music under both."""
    made = str(studio.queues.create("Night pier", frame=FRAME)["id"])
    bed = studio.library.adopt(media_tools.wav(tmp_path / "bed.wav", 3.0))["ref"]
    studio.scenes.add(made, {**SHOT, "label": "one", "lines": [{"character": "Ana", "text": "Olá"}]})
    studio.scenes.add(made, {**SHOT, "label": "two"})
    studio.runs.run(made)
    studio.drain()
    studio.queues.update(made, {"music": {"ref": bed}})
    return made


def done(client: TestClient, answer: Any) -> dict[str, Any]:
    """The export when it is over."""
    assert answer.status_code == 202, answer.text
    for thread in threading.enumerate():
        if thread.name.startswith("cut-"):
            thread.join(60)
    found: dict[str, Any] = client.get(f"/exports/{answer.json()['id']}").json()
    return found


def test_stems_are_as_long_as_the_film(client: TestClient, studio: Studio, queue: str) -> None:
    film = done(client, client.post(f"/queues/{queue}/exports"))
    stems = done(client, client.post(f"/queues/{queue}/exports", json={"kind": "stems"}))
    assert (stems["state"], stems["error"], stems["kind"]) == ("done", None, "stems")
    with zipfile.ZipFile(io.BytesIO(client.get(f"/exports/{stems['id']}/file").content)) as archive:
        waves = {name.rpartition("_")[2]: soundfile.read(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    assert set(waves) == {"mix.wav", "dialogue.wav", "effects.wav", "music.wav"}
    assert {len(samples) for samples, _ in waves.values()} == {round(film["seconds"] * 48_000)}
    parts = sum(waves[f"{name}.wav"][0] for name in ("dialogue", "effects", "music"))
    assert abs(waves["mix.wav"][0] - parts).max() < 1e-5 and abs(waves["dialogue.wav"][0]).max() > 0.01
    assert client.get(f"/queues/{queue}").json()["queue"]["film"]["id"] == film["id"]  # stems are no film


def test_subtitles_alone(client: TestClient, queue: str) -> None:
    made = done(client, client.post(f"/queues/{queue}/exports", json={"kind": "subtitles"}))
    srt = client.get(f"/exports/{made['id']}/file").text
    assert srt == client.get(f"/exports/{made['id']}/subtitles.srt").text and "Olá" in srt
    assert client.get(f"/exports/{made['id']}/subtitles.vtt").text.startswith("WEBVTT")


def test_a_film_of_another_shape_with_burnt_subtitles(client: TestClient, studio: Studio, queue: str) -> None:
    asked = {"aspect": "9:16", "subtitles": "burnt"}
    made = done(client, client.post(f"/queues/{queue}/exports", json=asked))
    facts = probe(studio.exports.file(made["id"]))
    assert (facts.width, facts.height, made["facts"]["aspect"]) == (144, 256, "9:16")
    answer = client.get(f"/exports/{made['id']}/subtitles.vtt")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "export.no_subtitles")
    assert studio.exports.newest(queue) is None  # the player shows the film in its own shape


def test_a_clip_of_a_take(client: TestClient, studio: Studio, queue: str) -> None:
    take = studio.takes.list()["takes"][0]["id"]
    made = done(client, client.post(f"/takes/{take}/exports", json={"format": "gif", "short_side": 64, "fps": 6}))
    answer = client.get(f"/exports/{made['id']}/file")
    assert answer.content[:6] == b"GIF89a" and answer.headers["content-type"] == "image/gif"
    assert (made["kind"], made["facts"]["take"], made["facts"]["frames"]) == ("clip", take, 6)
    again = done(client, client.post(f"/takes/{take}/exports", json={"format": "gif", "short_side": 64}))
    assert again["file_name"] != made["file_name"]
    voice = studio.takes.list(layer="voice")["takes"][0]["id"]
    refused = client.post(f"/takes/{voice}/exports")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "media.no_picture")


def test_a_list_of_exports_says_what_went_wrong_in_words(
    client: TestClient, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Bus, samples: Any, at: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Bus, "add", full)
    made = done(client, client.post(f"/queues/{queue}/exports"))
    (row,) = client.get(f"/queues/{queue}/exports?lang=pt").json()
    assert (made["state"], row["error"]["code"]) == ("failed", "disk.full")
    assert row["error"]["message"] and row["error"]["hint"] and "error." not in row["error"]["message"]


# ------------------------------------------------------------------------------------------------ a full disk
@pytest.mark.parametrize("kind", ["film", "stems"])
@pytest.mark.parametrize("part", ["mux", "close", "replace", "fsync"])
def test_a_full_disk_leaves_nothing(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch, kind: Any, part: str
) -> None:
    """At the first write of whatever is being made, at its end, when it is synced and when it gets its name."""
    before = {path for path in studio.settings.output_dir.rglob("*") if path.is_file()}
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_: Any, **__: Any) -> None:
        raise full

    targets = {
        "mux": [("studio.media.join._Film.write", fail), ("studio.media.stems._Wave.write", fail)],
        "close": [("studio.media.join._Film.__exit__", fail), ("studio.media.stems._Wave.__exit__", fail)],
        "replace": [("studio.media.cut.replace", fail), ("studio.media.stems.replace", fail)],
        "fsync": [("studio.media.join.fsync_file", fail), ("studio.media.stems.fsync_file", fail)],
    }[part]
    for target, action in targets:
        monkeypatch.setattr(target, action)
    made = studio.exports.cut(queue, kind=kind, wait=True)
    assert (made["state"], made["error"]["code"]) == ("failed", "disk.full")
    left = {path for path in studio.settings.output_dir.rglob("*") if path.is_file()} - before
    assert not [path for path in left if path.suffix not in (".vtt", ".srt")]
    assert not list(studio.settings.cache_dir.rglob("*.part"))


# ------------------------------------------------------------------------------------------------ names and shapes
@pytest.mark.parametrize("bad", ["{nobody}", "a/b", "..", "a\\b", "{queue", "x:y", "a..b", "what?"])
def test_a_name_that_is_none_is_refused_with_the_cure(client: TestClient, queue: str, bad: str) -> None:
    answer = client.patch(f"/queues/{queue}", json={"cut": {"name": bad}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "scene.field") and "{queue}" in error["message"]


def test_a_name_is_filled_and_nothing_is_overwritten(studio: Studio, queue: str) -> None:
    studio.queues.update(queue, {"cut": {"name": "{code} {queue} {aspect} final"}})
    names = [studio.exports.cut(queue, wait=True)["file_name"] for _ in range(2)]
    assert names == ["EP001 night-pier 16x9 final.mp4", "EP001 night-pier 16x9 final_2.mp4"]


def test_every_field_of_a_name_is_filled() -> None:
    template = "{queue}_{code}_{project}_{date}_{time}_{aspect}_{n}"
    assert CutSettings(name=template).name == template
    name = film_name(template, "Café 灯", "EP002", "Série", Frame(width=720, height=720), 3, datetime(2026, 1, 2, 3, 4))
    assert name == "cafe-灯_EP002_serie_2026-01-02_03-04-00_1x1_3"
    assert len(film_name("x" * 200, "q", "EP001", "p", Frame(), 1, datetime(2026, 1, 1))) == 120


def test_music_ends_after_it_begins(client: TestClient, studio: Studio, queue: str) -> None:
    music = studio.queues.view(queue)["music"]
    answer = client.patch(f"/queues/{queue}", json={"music": {**music, "start": 2.0, "end": 1.0}})
    assert answer.status_code == 422 and "2.0" in answer.json()["error"]["message"]


def test_shapes_keep_the_short_side() -> None:
    frame = Frame(width=1280, height=720)
    sizes = [(shaped(frame, aspect).width, shaped(frame, aspect).height) for aspect in ("own", "16:9", "9:16", "1:1")]
    assert sizes == [(1280, 720), (1280, 720), (720, 1280), (720, 720)]
    assert shaped(Frame(width=848, height=480), "9:16").height % 2 == 0
