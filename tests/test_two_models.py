"""Two models through the whole studio, real pipelines at tiny size: how often each is loaded, what a take knows of its
making, and that its settings make it again."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import skyreels_episode
import tiny_models
from runner_tools import states

from studio.execution.work import read_sidecar, sidecar_path
from studio.pipelines.base import Room
from studio.pipelines.wan import WanT2VSmall
from studio.pipelines.wan_vace import WanVACESmall
from studio.service import Studio

WORDS, CAST = WanT2VSmall.id, WanVACESmall.id
OPTIONS = {"width": 32, "height": 32, "num_inference_steps": 2}
REPOS = sorted({part.repo for part in (*WanT2VSmall.parts, *WanVACESmall.parts)})


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    import torch

    torch.set_num_threads(1)  # so small that threads would only wait for each other
    folder = tmp_path_factory.mktemp("repositories")
    return {repo: [str(tiny_models.build(repo, folder / repo.replace("/", "--")))] for repo in REPOS}


@pytest.fixture
def studio(build: Callable[..., Studio], tmp_path: Path, repositories: dict[str, list[str]]) -> Studio:
    """A studio whose models folder points at the tiny twins."""
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "folders.json").write_text(json.dumps(repositories), "utf-8")
    return build()


def shot(engine: str, seed: int, **more: Any) -> dict[str, Any]:
    return {
        "task_type": "text_to_video", "prompt": "A lighthouse at dusk", "seed": seed, "duration": 0.3,
        "resolution": "480P", "engine": engine, "options": {engine: OPTIONS}, **more,
    }  # fmt: skip


def packets(path: Path) -> str:
    """One hash of all encoded packets."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            digest.update(bytes(packet))
    return digest.hexdigest()


def take_of(studio: Studio, scene: str) -> dict[str, Any]:
    return studio.takes.get(studio.scenes.get(scene)["take_list"][0]["id"])


# ------------------------------------------------------------------------------------------------ 59 scenes, 2 loads
def test_an_episode_of_two_models_loads_each_once(studio: Studio, picture: Path) -> None:
    """Wide shots and close-ups take turns as in a real episode of 59 scenes, and there is room for one model only."""
    (executor,) = studio._runner.lanes.gpu
    executor._manager._free = lambda plan: Room()  # type: ignore[attr-defined]
    seen = studio.library.add(picture, "a.png")["ref"]
    order = [job["task_type"] == "reference_to_video" for job in skyreels_episode.scenes()]
    queue = str(studio.queues.create("Night pier")["id"])
    assert (len(order), sum(order)) == (59, 21)
    assert sum(one != other for one, other in zip(order, order[1:], strict=False)) == 20  # switches as written
    for number, wide in enumerate(order):
        more = {"task_type": "reference_to_video", "ref_imgs": [seen]} if wide else {}
        studio.scenes.add(queue, shot(CAST if wide else WORDS, number, **more))
    studio.queues.update(queue, {"order": "model"})
    studio.runs.run(queue)
    assert studio.drain() == 59
    assert set(states(studio, queue)) == {"done"}
    (run,) = studio.reports.list(queue)
    assert run["loads"] == 2


# ------------------------------------------------------------------------------------------------ a take and its making
def test_a_take_knows_how_it_was_made_and_its_settings_make_it_again(studio: Studio) -> None:
    first = studio.scenes.generate(shot(WORDS, 11))["id"]
    studio.drain()
    take = take_of(studio, first)
    facts = take["facts"]
    assert take["profile"] == "cpu" and facts["plan"]["peak_bytes"] > 0
    assert facts["steps"] == 2 and facts["step_seconds"] > 0 and facts["ram_peak_bytes"] > 10_000_000
    assert {"load", "text", "steps", "decode", "save"} <= set(facts["phases"])
    assert facts["revision"]
    path = studio.takes.file(take["id"])
    sidecar = read_sidecar(sidecar_path(path))
    assert sidecar and sidecar["facts"]["revision"] == facts["revision"]
    assert sidecar["task"]["options"][WORDS] == OPTIONS and sidecar["seed"] == 11
    with av.open(str(path)) as container:
        comment = json.loads(container.metadata["comment"])
    assert comment["made"]["revision"] == facts["revision"] and comment["seed"] == 11
    assert comment["scene"]["options"][WORDS] == OPTIONS

    again = studio.scenes.generate(take["settings"])["id"]
    other = studio.scenes.generate({**take["settings"], "seed": 12})["id"]
    studio.drain()
    same, different = (studio.takes.file(take_of(studio, scene)["id"]) for scene in (again, other))
    assert packets(same) == packets(path) != packets(different)
