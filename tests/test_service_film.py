"""An episode becomes a film, with the real draft engine: every task once, small and short, in this process."""

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import media_tools
import pytest
from drawing import draw

from studio.errors import NotFound, Refused
from studio.media.probe import open_media, probe
from studio.service import Studio, cutting

W, H, FPS = 256, 144, 24
DISSOLVE = 0.5  # seconds
EPISODE = {
    "title": "Night pier",
    "frame": {"width": W, "height": H, "fps": FPS},
    "defaults": {"seed": 7},
    "music": {"ref": "bed.wav", "level": -30},
    "cast": [{"name": "Ana"}],
    "scenes": [
        {"task_type": "text_to_video", "label": "one", "prompt": "A lighthouse at night, rain", "duration": 0.5,
         "lines": [{"character": "Ana", "text": "The lamp is out."}], "transition": "dissolve"},
        {"task_type": "single_shot_extension", "prompt": "it goes on", "duration": 1.5, "input_video": "{{prev}}"},
        {"task_type": "text_to_image", "prompt": "A boat"},
        {"task_type": "image_to_video", "prompt": "the boat moves", "duration": 0.5, "input_image": "{{prev}}"},
        {"task_type": "shot_switching_extension", "prompt": "[ZOOM_IN_CUT] her face", "duration": 0.5,
         "input_video": "{{job:0}}"},
        {"task_type": "reference_to_video", "prompt": "noise walks", "duration": 0.5,
         "ref_imgs": ["a.png", "{{job:0}}#first"]},
        {"task_type": "talking_avatar", "prompt": "speaks", "input_image": "a.png",
         "lines": [{"character": "Ana", "text": "Olá!", "language": "pt"}]},
        {"task_type": "talking_avatar", "prompt": "listens", "input_image": "a.png", "input_audio": "said.wav"},
        {"task_type": "speech", "lines": [{"character": "Bo", "text": "hello"}]},
    ],
}  # fmt: skip
IN_CUT = 7


@pytest.fixture
def rendered(build: Callable[..., Studio], tmp_path: Path) -> tuple[Studio, str]:
    studio = build(force_cpu=True)
    draw(tmp_path / "a.png", (96, 128))
    media_tools.wav(tmp_path / "bed.wav", seconds=2.0)
    media_tools.wav(tmp_path / "said.wav", seconds=0.8)
    queue = str(studio.episodes.import_file(json.dumps(EPISODE), base=tmp_path, trusted=True)["queue"]["id"])
    assert studio.runs.run(queue) == {"queued": 9, "jobs": 11}
    assert studio.drain() == 11
    return studio, queue


def test_an_episode_becomes_a_film(rendered: tuple[Studio, str]) -> None:
    studio, queue = rendered
    cards = studio.queues.get(queue)["scenes"]
    assert [(card["state"], card["error"]) for card in cards] == [("done", None)] * 9
    _takes_are_what_they_say(studio, cards)
    _speech_sets_the_length(studio, cards)

    film = studio.exports.cut(queue, wait=True)
    assert (film["state"], film["error"], film["missing"]) == ("done", None, [])
    shots = [card["take"]["duration"] for card in cards if card["in_cut"]]
    assert len(shots) == IN_CUT
    assert film["seconds"] == pytest.approx(sum(shots) - DISSOLVE, abs=0.5 / FPS)
    _film_is_whole(studio, film, cards)


def _takes_are_what_they_say(studio: Studio, cards: list[dict[str, Any]]) -> None:
    for card in cards:
        take = studio.takes.get(card["take"]["id"])
        path = studio.takes.file(take["id"])
        looked = probe(path)
        assert (looked.kind, looked.num_frames) == (take["kind"], take["num_frames"])
        assert (
            take["draft"] and take["engine"] == "draft" and take["seed"] == 7 and take["bytes"] == path.stat().st_size
        )
        assert take["settings"]["prompt"] == card["prompt"]
        sidecar = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
        assert sidecar["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        if take["kind"] == "video":
            assert (take["width"], take["height"], take["fps"]) == (W, H, FPS)
            assert len(media_tools.decoded(path)) == take["num_frames"] == round(take["duration"] * FPS)
            assert json.loads(media_tools.metadata(path)["comment"])["number"] == card["number"]
        if take["kind"] != "audio":
            assert studio.takes.poster(take["id"])
    tasks = {scene["task_type"] for scene in EPISODE["scenes"]}  # type: ignore[index]
    assert {take["task_type"] for take in studio.takes.list()["takes"]} == tasks


def _speech_sets_the_length(studio: Studio, cards: list[dict[str, Any]]) -> None:
    air = 0.7
    for card in (cards[0], cards[6]):
        full = studio.scenes.get(card["id"])
        (voice,) = full["line_takes"].values()
        assert card["take"]["duration"] == pytest.approx(voice["duration"] + air, abs=1 / FPS)
        (line,) = studio.takes.get(card["take"]["id"])["facts"]["lines"]
        assert (line["start"], line["duration"]) == (0.25, voice["duration"])
    assert cards[0]["take"]["duration"] > 0.5  # what was wished for was too short for the line
    assert cards[7]["take"]["duration"] == pytest.approx(0.8, abs=1 / FPS)  # a recording, exactly
    assert [card["take"]["duration"] for card in cards[3:6]] == [0.5, 0.5, 0.5]


def _film_is_whole(studio: Studio, film: dict[str, Any], cards: list[dict[str, Any]]) -> None:
    path = studio.exports.file(film["id"])
    frames = media_tools.decoded(path)
    assert len(frames) == round(film["seconds"] * FPS) and frames[0].shape == (H, W, 3)
    with open_media(path) as opened:
        kinds = sorted(stream.type for stream in opened.streams)
        sound = sum(frame.samples for frame in opened.decode(audio=0)) / 48_000
    assert kinds == ["audio", "subtitle", "video"] or kinds == ["audio", "data", "subtitle", "video"]
    assert sound == pytest.approx(film["seconds"], abs=0.1)
    assert [chapter["start"] for chapter in film["facts"]["chapters"]][0] == 0.0
    before_avatar = sum(card["take"]["duration"] for card in cards[:6] if card["in_cut"]) - DISSOLVE
    vtt = studio.exports.subtitles(film["id"]).read_text("utf-8")
    times = [line.split(" --> ") for line in vtt.splitlines() if " --> " in line]
    assert [_seconds(start) for start, _ in times] == pytest.approx([0.25, before_avatar + 0.25], abs=1.5 / FPS)
    assert all(_seconds(start) < _seconds(end) <= film["seconds"] + 0.01 for start, end in times)
    assert vtt.startswith("WEBVTT") and "The lamp is out." in vtt and "Olá!" in vtt


def _seconds(clock: str) -> float:
    *hours, minutes, seconds = clock.split()[0].split(":")
    return int(hours[0] if hours else 0) * 3600 + int(minutes) * 60 + float(seconds)


def test_the_same_seed_gives_the_same_picture(build: Callable[..., Studio], tmp_path: Path) -> None:
    studio = build(force_cpu=True)
    queue = studio.queues.create("Q", frame={"width": W, "height": H, "fps": FPS})["id"]
    scene = {"task_type": "text_to_video", "prompt": "A street in the rain, push in", "duration": 0.3, "seed": 11}
    spoken = {"task_type": "speech", "lines": [{"text": "hello"}], "seed": 11}
    ids = [studio.scenes.add(queue, values)["id"] for values in (scene, scene, {**scene, "seed": 12}, spoken)]
    studio.runs.run(queue)
    studio.runs.restart(queue)
    studio.drain()
    studio.scenes.run(ids[0]), studio.scenes.run(ids[3])
    studio.drain()
    first, again = (_packets(studio.takes.file(take["id"])) for take in studio.scenes.get(ids[0])["take_list"])
    twin, other = (_packets(studio.takes.file(studio.scenes.get(scene)["take"]["id"])) for scene in ids[1:3])
    assert first == again != other
    assert twin != "" and len({first, twin, other}) >= 2
    takes = [take["id"] for take in studio.takes.list(layer="voice")["takes"]]
    voices = {_packets(studio.takes.file(take)) for take in takes}
    assert len(takes) == 2 and len(voices) == 1


def _packets(path: Path) -> str:
    """A hash of what is encoded, without the metadata around it."""
    digest = hashlib.sha256()
    with open_media(path) as opened:
        for packet in opened.demux(opened.streams[0]):
            digest.update(bytes(packet))
    return digest.hexdigest()


def test_scenes_without_a_take_become_cards_or_are_left_out(build: Callable[..., Studio], tmp_path: Path) -> None:
    studio = build(force_cpu=True)
    queue = studio.queues.create("Q", frame={"width": W, "height": H, "fps": FPS})["id"]
    shot = {"task_type": "text_to_video", "prompt": "A lighthouse", "duration": 0.5}
    done, _ = (studio.scenes.add(queue, {**shot, "label": name})["id"] for name in ("one", "two"))
    studio.runs.run(queue, only=[done])
    studio.drain()
    left = studio.exports.cut(queue, "leave_out", wait=True)
    cards = studio.exports.cut(queue, "draft_card", wait=True)
    assert (left["seconds"], left["missing"], cards["seconds"], cards["missing"]) == (0.5, [2], 1.0, [])
    assert cards["facts"]["cards"] == 1 and studio.takes.list()["total"] == 1  # a card is no take
    assert studio.exports.newest(queue) == studio.exports.get(cards["id"])


def test_a_film_that_is_cancelled_before_it_begins(build: Callable[..., Studio], instant: Any) -> None:
    studio = build(force_cpu=True)
    queue = studio.queues.create("Q", frame={"width": W, "height": H, "fps": FPS})["id"]
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "A lighthouse", "duration": 0.5})
    studio.runs.run(queue)
    studio.drain()
    with studio.exports._turn:
        film = studio.exports.cut(queue)
        studio.exports.cancel(film["id"])
    _join(film["id"])
    film = studio.exports.get(film["id"])
    assert (film["state"], film["error"]["code"]) == ("cancelled", "cancelled")
    assert studio.exports.newest(queue) is None


@pytest.fixture
def unmade(build: Callable[..., Studio], instant: Any) -> tuple[Studio, str]:
    """A queue of two scenes that nobody has rendered: a film of it is all cards."""
    studio = build(force_cpu=True)
    queue = studio.queues.create("Q", frame={"width": W, "height": H, "fps": FPS})["id"]
    for label in ("one", "two"):
        studio.scenes.add(queue, {"task_type": "text_to_video", "label": label, "prompt": "A pier", "duration": 0.25})
    return studio, queue


def _during_cards(studio: Studio, monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> list[str]:
    """Do something while the first card is being drawn; the names of all that are begun."""
    begun: list[str] = []
    lane = studio._runner.lanes.exports[0]
    submit = lane.submit

    def submitted(assignment: Any) -> Any:
        begun.append(assignment.task["label"])
        events = submit(assignment)
        if len(begun) == 1:
            action()
        return events

    monkeypatch.setattr(lane, "submit", submitted)
    return begun


def test_a_film_is_cancelled_while_its_cards_are_drawn(
    unmade: tuple[Studio, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, queue = unmade
    begun = _during_cards(studio, monkeypatch, lambda: studio.exports.cancel(studio.exports.list(queue)[0]["id"]))
    film = studio.exports.cut(queue, "draft_card", wait=True)
    assert (film["state"], film["error"]["code"]) == ("cancelled", "cancelled") and begun == ["one"]
    studio.exports.cancel(film["id"])
    assert studio.exports._cancelled == set()  # nobody remembers what is over


def test_a_cancel_that_comes_before_the_worker_knows_the_film_is_not_lost(
    unmade: tuple[Studio, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, queue = unmade
    lane = studio._runner.lanes.exports[0]
    call = lane.call

    def called(tool: str, arguments: Any, *, job_id: str = "") -> Any:
        studio.exports.cancel(job_id)
        return call(tool, arguments, job_id=job_id)

    monkeypatch.setattr(lane, "call", called)
    assert studio.exports.cut(queue, "draft_card", wait=True)["state"] == "cancelled"


def test_cards_are_gone_when_the_film_is_cut(unmade: tuple[Studio, str]) -> None:
    studio, queue = unmade
    film = studio.exports.cut(queue, "draft_card", wait=True)
    assert film["state"] == "done" and film["facts"]["cards"] == 2
    assert not list(studio.settings.cache_dir.glob("cards/*"))


def test_two_films_of_one_second_are_two_files(unmade: tuple[Studio, str], monkeypatch: pytest.MonkeyPatch) -> None:
    studio, queue = unmade
    monkeypatch.setattr(cutting, "datetime", SimpleNamespace(now=lambda: datetime(2026, 1, 2)))
    films = [studio.exports.file(studio.exports.cut(queue, "draft_card", wait=True)["id"]) for _ in range(2)]
    assert films[0] != films[1] and all(film.is_file() for film in films)


def test_a_film_is_removed_with_what_lies_beside_it(unmade: tuple[Studio, str], tmp_path: Path) -> None:
    studio, queue = unmade
    ours = studio.exports.cut(queue, "draft_card", wait=True)["id"]
    file = studio.exports.file(ours)
    file.with_suffix(".srt").write_text("1\n")
    elsewhere = tmp_path / "mine" / "film.mp4"
    theirs = studio.exports.cut(queue, "draft_card", out=elsewhere, wait=True)["id"]
    for export in (ours, theirs):
        studio.exports.remove(export)
    assert studio.exports.list(queue) == [] and studio.exports.newest(queue) is None
    assert not file.exists() and not file.with_suffix(".srt").exists()
    assert elsewhere.is_file(), "what was exported out of our folders is not ours to remove"


def test_a_name_is_tried_before_anything_is_exported(unmade: tuple[Studio, str]) -> None:
    studio, queue = unmade
    assert studio.exports.name(queue, "{code}_{aspect}_{n}", "9:16") == "EP001_9x16_1"
    with pytest.raises(Refused) as refused:
        studio.exports.name(queue, "../{film}")
    assert (refused.value.code, refused.value.params["why"]["code"]) == ("scene.field", "field.file_name")


def test_a_deleted_queue_stops_its_film(unmade: tuple[Studio, str], monkeypatch: pytest.MonkeyPatch) -> None:
    studio, queue = unmade
    begun = _during_cards(studio, monkeypatch, lambda: studio.queues.delete(queue))
    with pytest.raises(NotFound):  # it went with its queue
        studio.exports.cut(queue, "draft_card", wait=True)
    assert begun == ["one"] and not list(studio.settings.output_dir.rglob("*.mp4"))


def _join(export_id: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"cut-{export_id[-6:]}":
            thread.join(30)
