"""A night: an episode of 59 SkyReels scenes goes through the real draft engine in its worker process, which is killed
in the middle, and is a film in the morning. Small frames; everything else is as people have it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import media_tools
import numpy as np
import pyloudnorm
import pytest
import skyreels_episode

from studio.app import build_studio
from studio.media.fetch import Posted
from studio.media.loudness import true_envelope
from studio.media.probe import open_media, probe
from studio.media.sound import RATE, load48
from studio.service import Studio
from studio.settings import Settings

FRAME = {"width": 256, "height": 144, "fps": 12}
FPS = FRAME["fps"]
SCENES, AVATARS = 59, 38
DISSOLVED = (5, 11)  # wide shots that go over into the next one in DISSOLVE seconds
DISSOLVE = 0.5
CALLBACK = "https://producer.example/morning"
KILLED_AFTER = 20  # scenes
PATIENCE = 400.0  # seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
]


@dataclass
class Night:
    """What stands there in the morning."""

    studio: Studio
    folder: Path  # with the episode and its media
    report: dict[str, Any]  # of the import
    preflight: dict[str, Any]
    cards: list[dict[str, Any]]
    run: dict[str, Any]  # the report of the run
    film: dict[str, Any]
    posted: list[tuple[str, dict[str, Any]]]  # (url, body)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder, root = tmp_path_factory.mktemp("season"), tmp_path_factory.mktemp("studio")
    posted: list[tuple[str, dict[str, Any]]] = []

    def post(url: str, body: bytes, headers: Any, **more: Any) -> Posted:
        posted.append((url, json.loads(body)))
        return Posted(200, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studio.service.post", post)
        for name in os.environ:  # building a studio sets some
            patch.setenv(name, os.environ[name])
        studio = build_studio(Settings(root=root, force_cpu=True))
        try:
            yield _a_night(studio, folder, posted)
        finally:
            studio.close()


def _a_night(studio: Studio, folder: Path, posted: list[tuple[str, dict[str, Any]]]) -> Night:
    studio.start()
    file = skyreels_episode.write(folder)
    brought = studio.episodes.import_file(file.read_bytes(), base=folder, trusted=True)
    queue = str(brought["queue"]["id"])
    studio.queues.update(queue, {"frame": FRAME})
    ids = [card["id"] for card in studio.queues.get(queue)["scenes"]]
    studio.editing.edit_many(queue, [ids[number] for number in DISSOLVED], {"transition": "dissolve"})
    preflight = studio.preflight.queue(queue)
    studio.runs.run(queue, callback_url=CALLBACK)
    _kill_the_worker(studio, queue)
    until(lambda: not any(_counts(studio, queue)[state] for state in ("queued", "running")))
    until(lambda: studio.reports.list(queue)[0]["ended"])
    until(lambda: posted)
    film = studio.exports.cut(queue, wait=True)
    run = studio.reports.report(studio.reports.list(queue)[0]["id"])
    cards = studio.queues.get(queue)["scenes"]
    return Night(studio, folder, brought["report"], preflight, cards, run, film, posted)


def _kill_the_worker(studio: Studio, queue: str) -> None:
    """While it draws a wide shot, which takes long enough to be seen."""
    runner = studio._runner
    cards = {card["id"]: card for card in studio.queues.get(queue)["scenes"]}

    def drawing() -> bool:
        return any(
            cards[scene]["number"] > KILLED_AFTER
            and cards[scene]["task_type"] == "reference_to_video"
            and 0 < live.done < live.total / 2
            for scene, live in list(runner.live.items())
        )

    until(drawing, every=0.002)
    worker = runner.lanes.cpu[0].greeting  # type: ignore[attr-defined]
    os.kill(worker.pid, signal.SIGKILL)


def until(happened: Callable[[], object], every: float = 0.1) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit
        time.sleep(every)


def _counts(studio: Studio, queue: str) -> dict[str, int]:
    counts: dict[str, int] = studio.queues.view(queue)["counts"]
    return counts


# ------------------------------------------------------------------------------------------------ the evening
def test_nothing_is_lost_on_the_way_in(night: Night) -> None:
    totals = night.report["totals"]
    assert (totals["scenes"], totals["ok"], totals["missing"]) == (SCENES, SCENES, 0)
    assert not night.report["problems"]
    for written, card in zip(skyreels_episode.scenes(), night.cards, strict=True):
        scene = night.studio.scenes.get(card["id"])["scene"]
        for field in ("label", "task_type", "prompt", "seed"):
            assert scene[field] == written[field]
        assert len(scene.get("ref_imgs", ())) == len(written.get("ref_imgs", ()))
        assert bool(scene.get("input_audio")) == ("input_audio" in written)


def test_preflight_finds_nothing_against_it(night: Night) -> None:
    counts = night.preflight["counts"]
    assert night.preflight["ok"] and (counts["total"], counts["errors"]) == (SCENES, 0)
    assert night.preflight["time"]["seconds"]["guess"]  # this machine has never done it


def test_three_missing_files_are_named_and_no_others(night: Night, tmp_path: Path) -> None:
    lost = ("uploads/vale/ep01/小林.png", skyreels_episode.SETS[2], skyreels_episode.recording(7, 2))
    file = skyreels_episode.write(tmp_path / "lost", without=lost)
    told = night.studio.episodes.check(file.read_bytes(), base=file.parent, trusted=True)
    assert sorted(row["name"] for row in told["missing"]) == sorted(lost)


# ------------------------------------------------------------------------------------------------ the morning
def test_every_scene_has_a_take(night: Night) -> None:
    assert [(card["number"], card["state"], card["takes"]) for card in night.cards] == [
        (number, "done", 1) for number in range(1, SCENES + 1)
    ]
    assert all(card["take"]["draft"] and not card["error"] for card in night.cards)


def test_a_killed_worker_costs_one_attempt_and_a_note(night: Night) -> None:
    assert [card["note"] for card in night.cards if card["note"]] == ["note.resumed"]
    assert night.run["run"]["crashes"] == 1
    attempts = [scene["attempts"] for scene in night.run["scenes"]]
    assert sorted(attempts) == [1] * (SCENES - 1) + [2]
    assert not list(night.studio.settings.output_dir.rglob("*.part"))


def test_avatars_last_as_long_as_their_recordings(night: Night) -> None:
    avatars = 0
    for written, card in zip(skyreels_episode.scenes(), night.cards, strict=True):
        if "input_audio" in written:
            recording = probe(night.folder / written["input_audio"]).duration
            assert card["take"]["duration"] == pytest.approx(recording, abs=1 / FPS)
            avatars += 1
        else:
            assert card["take"]["duration"] == written["duration"]
    assert avatars == AVATARS


def test_the_report_says_so(night: Night) -> None:
    assert night.run["run"]["state"] == "done"
    assert night.run["run"]["counts"] == {"scenes": SCENES, "done": SCENES, "failed": 0, "cancelled": 0, "left": 0}
    assert night.run["failures"] == [] == night.run["left"]
    assert len(night.studio.reports.html(night.run["run"]["id"])) > 10_000


def test_whoever_asked_is_told_once(night: Night) -> None:
    ((url, body),) = night.posted
    assert url == CALLBACK
    assert body["status"] == "done" and body["failed_jobs"] == []
    assert len(body["output_videos"]) == SCENES
    (sent,) = night.studio.hooks.deliveries()
    assert (sent["state"], sent["attempts"]) == ("sent", 1)


def test_the_film_is_as_long_as_its_shots(night: Night) -> None:
    film = night.film
    assert (film["state"], film["error"], film["missing"]) == ("done", None, [])
    shots = sum(card["take"]["duration"] for card in night.cards if card["in_cut"])
    overlaps = len(DISSOLVED) * DISSOLVE
    assert film["seconds"] == pytest.approx(shots - overlaps, abs=len(DISSOLVED) / FPS)
    chapters = film["facts"]["chapters"]
    assert [chapter["title"] for chapter in chapters] == [card["title"] for card in night.cards]
    path = night.studio.exports.file(film["id"])
    frames = media_tools.decoded(path)
    assert len(frames) == round(film["seconds"] * FPS)
    assert frames[0].shape[:2] == (FRAME["height"], FRAME["width"])
    with open_media(path) as opened:
        assert len(opened.chapters()) == SCENES


def test_the_film_can_be_heard(night: Night) -> None:
    path = night.studio.exports.file(night.film["id"])
    samples = load48(path)  # (N, 2) float32
    assert pyloudnorm.Meter(RATE).integrated_loudness(samples) == pytest.approx(-16.0, abs=0.5)
    assert 20 * np.log10(true_envelope(samples, 0.0).max()) <= -1.0
    clips = night.studio.exports.timeline(night.cards[0]["queue_id"])["clips"]
    for clip, card in zip(clips, night.cards, strict=True):
        part = samples[round((clip["start"] + 0.1) * RATE) : round((clip["start"] + clip["duration"] - 0.1) * RATE)]
        level = 20 * np.log10(max(1e-9, float(np.sqrt(np.mean(np.square(part))))))
        if card["task_type"] == "talking_avatar":
            assert level > -30, f"nothing is heard in {card['title']}"
