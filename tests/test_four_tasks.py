"""An episode of all four SkyReels-V3 tasks, real networks at tiny size: each model loaded once, every take as it should
be. Over REST and from the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import media_tools
import pytest
import skyreels_runs as runs
from drawing import draw
from starlette.testclient import TestClient

from studio.api import make_api
from studio.cli import main
from studio.cli.desk import Here
from studio.media.probe import probe
from studio.pipelines.base import Room
from studio.service import Studio

ENGINES = {
    "reference_to_video": "skyreels-v3-r2v-14b",
    "single_shot_extension": "skyreels-v3-v2v-14b",
    "shot_switching_extension": "skyreels-v3-shot-14b",
    "talking_avatar": "skyreels-v3-a2v-19b",
}
SIDES = (64, 32)  # width, height
ORDER = (  # task, seconds, frames; in an order in which each scene needs another model than the one before
    ("reference_to_video", 1.0, 25), ("single_shot_extension", 1.0, 24), ("shot_switching_extension", 2.0, 49),
    ("talking_avatar", 0.6, 15), ("single_shot_extension", 6.0, 144), ("reference_to_video", 1.5, 37),
    ("talking_avatar", 0.6, 15), ("shot_switching_extension", 2.5, 61),
)  # fmt: skip
FPS = {"talking_avatar": 25.0}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    runs.put_on_shelf(list(ENGINES.values()), folder / "models", folder)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "in"
    return {
        "image": draw(folder / "a.png"), "video": media_tools.clip(folder / "clip.mp4", num_frames=30, size=(96, 64)),
        "audio": media_tools.wav(folder / "voice.wav", seconds=0.6),
    }  # fmt: skip


@pytest.fixture
def studio(build: Callable[..., Studio], tmp_path: Path, repositories: Path) -> Iterator[Studio]:
    """With room for one model at a time."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "data" / "models").mkdir(parents=True)
    named = (repositories / "models" / "folders.json").read_text("utf-8")
    (tmp_path / "data" / "models" / "folders.json").write_text(named, "utf-8")
    studio = build(force_cpu=True)
    (executor,) = studio._runner.lanes.gpu
    executor._manager._free = lambda plan: Room()  # type: ignore[attr-defined]
    yield studio
    torch.set_num_threads(threads)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Engines in the order in which they were read from disk."""
    from studio.pipelines.diffusion.loading import Loading

    read, found = Loading._read, list[str]()
    monkeypatch.setattr(Loading, "_read", lambda self, plan: (found.append(self.id), read(self, plan))[1])
    return found


def episode(given: dict[str, str]) -> list[dict[str, Any]]:
    """`given`: references by kind."""
    takes = {
        "reference_to_video": {"ref_imgs": [given["image"]] * 2},
        "single_shot_extension": {"input_video": given["video"]},
        "shot_switching_extension": {"input_video": given["video"], "prompt": "[ZOOM_IN_CUT] a lamp"},
        "talking_avatar": {"input_image": given["image"], "input_audio": given["audio"]},
    }
    return [
        {
            "label": f"{number}", "task_type": task, "prompt": "A lamp at dusk", "seed": number, "resolution": "480P",
            "engine": ENGINES[task],
            "options": {ENGINES[task]: {"width": SIDES[0], "height": SIDES[1], "num_inference_steps": 2}},
            **({} if task == "talking_avatar" else {"duration": seconds}), **takes[task],
        }
        for number, (task, seconds, _) in enumerate(ORDER)
    ]  # fmt: skip


def looked_at(studio: Studio, queue: str) -> None:
    """Every take is what was asked for."""
    cards = studio.queues.get(queue)["scenes"]
    assert [(card["state"], card["error"]) for card in cards] == [("done", None)] * len(ORDER)
    for card, (task, _, frames) in zip(cards, ORDER, strict=True):
        take = studio.takes.get(card["take"]["id"])
        facts = probe(studio.takes.file(take["id"]))
        assert (facts.num_frames, facts.fps) == (frames, FPS.get(task, 24.0)), task
        assert (facts.width, facts.height) == SIDES and facts.has_audio == (task == "talking_avatar")
        assert take["engine"] == ENGINES[task] and take["facts"]["revision"]


def test_over_rest_each_model_is_loaded_once(studio: Studio, files: dict[str, Path], loads: list[str]) -> None:
    client = TestClient(make_api(studio), raise_server_exceptions=False)
    given = {}
    for kind, path in files.items():
        with path.open("rb") as file:
            sent = client.post("/assets", files={"file": (path.name, file)})
        given[kind] = "asset:" + sent.json()["sha256"]
    queue = client.post("/queues", json={"name": "Four tasks"}).json()["id"]
    assert client.patch(f"/queues/{queue}", json={"order": "model"}).status_code == 200
    for scene in episode(given):
        answer = client.post(f"/queues/{queue}/scenes", json=scene)
        assert answer.status_code == 201, answer.text
    found = client.get(f"/queues/{queue}/preflight").json()
    assert [row["engine"] for row in found["scenes"]] == [ENGINES[task] for task, _, _ in ORDER]
    assert all(row["level"] != "error" for row in found["scenes"]), found
    assert client.post(f"/queues/{queue}/run").status_code == 200
    assert studio.drain() == len(ORDER)
    looked_at(studio, queue)
    assert sorted(loads) == sorted(ENGINES.values())
    (run,) = studio.reports.list(queue)
    assert run["loads"] == len(ENGINES)


class Lock:
    """Nobody else is there."""

    def release(self) -> None:
        pass


def test_from_the_command_line_each_model_is_loaded_once(
    studio: Studio, files: dict[str, Path], loads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    here = Here.__new__(Here)
    here._studio, here._lock = studio, Lock()  # type: ignore[assignment]
    monkeypatch.setattr(here, "close", lambda: None)
    monkeypatch.setattr("studio.cli.production.open_desk", lambda settings: here)
    monkeypatch.setattr("time.sleep", lambda seconds: studio.drain())
    path = tmp_path / "in" / "episode.json"
    scenes = episode({kind: path.name for kind, path in files.items()})
    path.write_text(json.dumps({"title": "Four tasks", "scenes": scenes}), "utf-8")
    assert main(["import", str(path)]) == 0
    (queue,) = [row["id"] for row in studio.queues.list() if row["name"] == "Four tasks"]
    studio.queues.update(queue, {"order": "model"})
    assert main(["run", "Four tasks"]) == 0, capsys.readouterr().out
    assert f"{len(ORDER)} of {len(ORDER)}" in capsys.readouterr().out
    looked_at(studio, queue)
    assert sorted(loads) == sorted(ENGINES.values())


def test_what_cannot_be_made_is_found_before_the_run(studio: Studio, files: dict[str, Path], tmp_path: Path) -> None:
    given = {kind: studio.library.add(path, path.name)["ref"] for kind, path in files.items()}
    short = studio.library.add(media_tools.clip(tmp_path / "short.mp4", num_frames=24), "short.mp4")["ref"]
    references, single, shot, _ = episode(given)[:4]
    odd = {references["engine"]: {"width": 72, "height": 32}}
    queue = str(studio.queues.create("Bad")["id"])
    for scene in (
        {**references, "options": odd}, {**single, "input_video": short}, {**shot, "input_video": short},
        {**shot, "input_video": short, "duration": 4.0}, {**single, "duration": 31.0}, {**references, "duration": 6.0},
    ):  # fmt: skip
        studio.scenes.add(queue, scene)
    found = [
        [(problem["level"], problem["code"], problem["field"]) for problem in row["problems"]]
        for row in studio.preflight.queue(queue)["scenes"]
    ]
    assert found == [
        [("error", "engine.size_multiple", f"options.{references['engine']}.width")],
        [("error", "preflight.clip_short", "input_video")],
        [],
        [("error", "preflight.clip_short", "input_video")],
        [("error", "engine.limit_seconds", "duration")],
        [("error", "engine.limit_seconds", "duration")],
    ]
    path = tmp_path / "in" / "episode.json"
    scenes = episode({kind: path.name for kind, path in files.items()})
    scenes[2]["prompt"] = "[WIPE_CUT] a lamp"
    path.write_text(json.dumps({"title": "Wrong cut", "scenes": scenes}), "utf-8")
    (told,) = studio.episodes.check_path(str(path), trusted=True)["files"]
    rows = told["report"]["preflight"]["scenes"]
    assert [row["level"] for row in rows] == ["ok", "ok", "error", *["ok"] * (len(rows) - 3)], rows[2]
