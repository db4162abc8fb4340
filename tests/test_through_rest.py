"""Every engine with weights, every task, from a scene over REST to its file: one queue of all of them, one run."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import media_tools
import pytest
from drawing import draw
from starlette.testclient import TestClient

from studio.api import make_api
from studio.app import build_studio
from studio.domain import CUT_PREFIXES
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.settings import Settings

PAIRS = [
    (engine, task)
    for engine in ENGINES
    if issubclass(engine_class(engine), DiffusersEngine)
    for task in sorted(engine_class(engine).tasks)
]
STEPS = 2


@dataclass
class World:
    """What stands there after the run."""

    client: TestClient
    scenes: dict[tuple[str, str], str]  # (engine, task) -> id
    planned: dict[tuple[str, str], dict[str, Any]]
    loads: list[str]  # engines in the order in which they were fetched from disk
    cards: dict[str, dict[str, Any]]


def scene_of(engine: str, task: str, assets: dict[str, str]) -> dict[str, Any]:
    cls: Any = engine_class(engine)
    side = max(32, min(64, 2 * cls.multiple))
    seconds = max(0.3, cls.limits.seconds.get(task, (0.3, 0.0))[0])
    said: dict[str, Any] = {
        "text_to_image": {},
        "image_to_video": {"input_image": assets["image"], "duration": seconds},
        "reference_to_video": {"ref_imgs": [assets["image"]], "duration": seconds},
        "single_shot_extension": {"input_video": assets["video"], "duration": seconds},
        "shot_switching_extension": {
            "input_video": assets["video"], "duration": seconds, "prompt": f"{CUT_PREFIXES[0]} a lamp",
        },
        "talking_avatar": {"input_image": assets["image"], "input_audio": assets["audio"]},
    }.get(task, {"duration": seconds})  # fmt: skip
    return {
        "task_type": task, "prompt": "A lamp at dusk", "seed": 7, "engine": engine,
        "resolution": min(cls.limits.resolutions),
        "options": {engine: {"width": side, "height": side, "num_inference_steps": STEPS}}, **said,
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tiny_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import os

    import torch

    from studio.pipelines.diffusion.loading import Loading

    root, threads, loads = tmp_path_factory.mktemp("studio"), torch.get_num_threads(), list[str]()
    torch.set_num_threads(1)
    (root / "data" / "models").mkdir(parents=True)
    shutil.copy(tiny_shelf / "folders.json", root / "data" / "models")
    files = {
        "image": draw(root / "in" / "a.png"),
        "video": media_tools.clip(root / "in" / "clip.mp4", num_frames=30, size=(96, 64)),
        "audio": media_tools.wav(root / "in" / "voice.wav", seconds=1.1),
    }
    read = Loading._read

    def counted(self: Any, plan: Any) -> None:
        loads.append(self.id)
        read(self, plan)

    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:  # building a studio sets some
            patch.setenv(name, os.environ[name])
        patch.setattr(Loading, "_read", counted)
        studio = build_studio(Settings(root=root, force_cpu=True), in_process=True)
        with TestClient(make_api(studio), raise_server_exceptions=False) as client:
            assets = {kind: "asset:" + sent(client, path) for kind, path in files.items()}
            yield rendered(studio, client, assets, loads)
        studio.close()
    torch.set_num_threads(threads)


def sent(client: TestClient, path: Path) -> str:
    with path.open("rb") as file:
        return str(client.post("/assets", files={"file": (path.name, file)}).json()["sha256"])


def rendered(studio: Any, client: TestClient, assets: dict[str, str], loads: list[str]) -> World:
    """All tasks of all engines in one queue, the engines in turn, and the run that makes them."""
    queue = client.post("/queues", json={"name": "All"}).json()["id"]
    assert client.patch(f"/queues/{queue}", json={"order": "model"}).status_code == 200
    scenes, planned = {}, {}
    for engine, task in sorted(PAIRS, key=lambda pair: (pair[1], pair[0])):
        wish = scene_of(engine, task, assets)
        planned[engine, task] = client.post("/memory/plan", json={"scene": wish, "queue_id": queue}).json()
        answer = client.post(f"/queues/{queue}/scenes", json=wish)
        assert answer.status_code == 201, answer.text
        scenes[engine, task] = answer.json()["id"]
    answer = client.post(f"/queues/{queue}/run")
    assert answer.status_code == 200, answer.text
    studio.drain()
    cards = {card["id"]: card for card in client.get(f"/queues/{queue}").json()["scenes"]}
    return World(client, scenes, planned, loads, cards)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_it_is_planned_made_and_served(world: World, pair: tuple[str, str]) -> None:
    engine, task = pair
    plan = world.planned[pair]
    assert (plan["engine"], plan["refused"]) == (engine, None)
    assert plan["plan"]["profile"] == "cpu" and plan["plan"]["peak_bytes"] > 0
    assert any(one["ok"] for one in plan["profiles"])
    card = world.cards[world.scenes[pair]]
    assert card["state"] == "done", card["error"]
    take = world.client.get(f"/takes/{card['take']['id']}").json()
    assert (take["engine"], take["profile"]) == (engine, "cpu")
    facts = take["facts"]
    assert facts["revision"] and facts["steps"] >= STEPS and facts["steps"] % STEPS == 0
    assert facts["size"][0] == max(32, min(64, 2 * engine_class(engine).multiple))
    path = f"/takes/{take['id']}/file"
    whole, part = world.client.get(path), world.client.get(path, headers={"range": "bytes=0-9"})
    kind = "image/png" if task == "text_to_image" else "video/mp4"
    assert (whole.status_code, whole.headers["content-type"]) == (200, kind)
    assert (part.status_code, part.content) == (206, whole.content[:10])


def test_each_model_is_read_once(world: World) -> None:
    assert sorted(world.loads) == sorted({engine for engine, _ in PAIRS})
