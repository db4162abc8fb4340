"""What is wrong with weights fails one scene, in words and with a cure, and the next one is made."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import save_file

from studio.domain import State
from studio.pipelines import engine_class
from studio.pipelines.base import Machine
from studio.service import Studio

BAD, GOOD = "wan2.1-t2v-1.3b", "sd-turbo"
WAN, TURBO = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "stabilityai/sd-turbo"
SMALL = {"width": 32, "height": 32, "num_inference_steps": 1}


def shot(**options: Any) -> dict[str, Any]:
    return {
        "task_type": "text_to_video", "prompt": "a lamp", "resolution": "480P", "duration": 0.3, "seed": 7,
        "engine": BAD, "options": {BAD: {**SMALL, **options}},
    }  # fmt: skip


def still(**options: Any) -> dict[str, Any]:
    return {
        "task_type": "text_to_image", "prompt": "a lamp", "resolution": "480P", "seed": 7, "engine": GOOD,
        "options": {GOOD: {**SMALL, **options}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    repos = {part.repo for engine in (BAD, GOOD) for part in engine_class(engine).parts}
    for repo in repos:
        tiny_models.build(repo, folder / repo.replace("/", "--"))
    return folder


@pytest.fixture
def repositories(built: Path, tmp_path: Path) -> Path:
    """Copies of our own, which a test may break, on the studio's shelf."""
    folder, shelf = tmp_path / "repositories", tmp_path / "data" / "models"
    shutil.copytree(built, folder)
    shelf.mkdir(parents=True)
    named = {path.name.replace("--", "/", 1): [str(path)] for path in folder.iterdir()}
    (shelf / "folders.json").write_text(json.dumps(named), "utf-8")
    return folder


@pytest.fixture
def studio(build: Callable[..., Studio], repositories: Path) -> Iterator[Studio]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield build(force_cpu=True)
    torch.set_num_threads(threads)


def weights(repositories: Path, repo: str, part: str) -> Path:
    return next((repositories / repo.replace("/", "--") / part).glob("*.safetensors"))


def run(studio: Studio, bad: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """What preflight says of the bad scene, and the error that the run gives it; the good one after it is made."""
    queue = str(studio.queues.create("Q")["id"])
    for scene in (bad, still()):
        studio.scenes.add(queue, scene)
    told = [problem["code"] for problem in studio.preflight.queue(queue)["scenes"][0]["problems"]]
    studio.runs.run(queue, override=True)
    studio.drain()
    first, second = studio.queues.get(queue)["scenes"]
    assert second["state"] == State.DONE, second["error"]
    assert first["state"] != State.DONE
    return told, first["error"]


def in_words(studio: Studio, error: dict[str, Any]) -> None:
    for language in ("en", "pt", "zh"):
        told = studio.words.error(error, language)
        assert told["message"] and told["hint"] and "{" not in told["message"] + told["hint"], told
        assert "Traceback" not in told["message"]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def rot(file: Path) -> None:
    """Its header is no longer one; as long as before."""
    whole = file.read_bytes()
    file.write_bytes(whole[:8] + b"\xff" * 64 + whole[72:])


def lack(file: Path) -> None:
    index = {"metadata": {}, "weight_map": {"a": file.name, "b": "model-00002-of-00002.safetensors"}}
    (file.parent / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


@pytest.mark.parametrize("harm", [cut, rot, lack])
def test_half_a_download_is_named_before_the_run(studio: Studio, repositories: Path, harm: Any) -> None:
    harm(weights(repositories, WAN, "transformer"))
    told, _ = run(studio, shot())
    assert told == ["engine.needs_download"]


def test_weights_of_another_network_fail_when_they_are_read(studio: Studio, repositories: Path) -> None:
    file = weights(repositories, WAN, "transformer")
    shutil.copy(weights(repositories, TURBO, "unet"), file)
    _, error = run(studio, shot())
    assert error["code"] == "model.wrong_architecture"
    in_words(studio, error)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"checkpoint": "mine.ckpt"}, "model.pickle"),
        ({"checkpoint": "gone.safetensors"}, "model.file_missing"),
        ({"checkpoint": "rotten.safetensors"}, "model.not_safetensors"),
        ({"loras": [{"file": "mine.pt"}]}, "model.pickle"),
        ({"loras": [{"file": "other.safetensors"}]}, "model.lora_unfit"),
        ({"width": 37}, "engine.size_multiple"),
    ],
)
def test_files_and_sizes_that_do_not_fit(studio: Studio, tmp_path: Path, options: dict[str, Any], code: str) -> None:
    for kind in ("checkpoints", "loras"):
        (tmp_path / "data" / "models" / kind).mkdir()
    (tmp_path / "data" / "models" / "checkpoints" / "rotten.safetensors").write_bytes(b"\xff" * 200)
    name = "transformer.blocks.0.attn1.to_q"
    tensors = {f"{name}.lora_A.weight": torch.ones(4, 5120), f"{name}.lora_B.weight": torch.ones(5120, 4)}
    save_file(tensors, tmp_path / "data" / "models" / "loras" / "other.safetensors")
    told, error = run(studio, still(**options))
    if code == "engine.size_multiple":
        assert told == [code]
        return
    assert error["code"] == code
    in_words(studio, error)


def test_a_machine_that_an_engine_cannot_fit(
    build: Callable[..., Studio], repositories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = build(force_cpu=True)
    monkeypatch.setattr(studio.memory._planner, "_machine", lambda: Machine(4, 1.0, ram_free_gb=1.0))
    queue = str(studio.queues.create("Q")["id"])
    studio.scenes.add(queue, shot())
    (scene,) = studio.preflight.queue(queue)["scenes"]
    assert [problem["code"] for problem in scene["problems"]] == ["engine.unfit"]
    for problem in scene["problems"]:
        in_words(studio, problem)
