"""What is wrong with weights keeps one scene from being made, in words and with a cure, and the next one is made."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import single_files
import tiny_models
import torch
from hub_server import Hub
from safetensors.torch import save_file

from studio.domain import State
from studio.pipelines import engine_class
from studio.pipelines.base import Machine
from studio.service import Studio, planner
from studio.service.preflight import Gate

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


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.media.hub.time.sleep", lambda seconds: None)


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


def problems(studio: Studio) -> list[dict[str, Any]]:
    """Of the first scene of the last queue."""
    queue = str(studio.queues.list()[-1]["id"])
    found: list[dict[str, Any]] = studio.preflight.queue(queue)["scenes"][0]["problems"]
    return found


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
    assert told == ["model.part_half"]
    (problem,) = problems(studio)
    assert problem["params"]["part"] == "transformer"
    in_words(studio, problem)


def test_weights_of_another_network_fail_when_they_are_read(studio: Studio, repositories: Path) -> None:
    file = weights(repositories, WAN, "transformer")
    shutil.copy(weights(repositories, TURBO, "unet"), file)
    _, error = run(studio, shot())
    assert error["code"] == "model.wrong_architecture"
    in_words(studio, error)


def files(tmp_path: Path) -> None:
    """Checkpoints and LoRAs of which none is what it is called."""
    checkpoints, loras = (tmp_path / "data" / "models" / kind for kind in ("checkpoints", "loras"))
    for folder in (checkpoints, loras):
        folder.mkdir(exist_ok=True)
    (checkpoints / "rotten.safetensors").write_bytes(b"\xff" * 200)
    (checkpoints / "rotten.gguf").write_bytes(b"GGUF" + b"\xff" * 200)
    wan = single_files.wan(tiny_models.wan_transformer())
    save_file(wan, checkpoints / "wan.safetensors")
    save_file({**wan, "patch_embedding.weight": torch.zeros(48, 16, 1, 2, 2)}, checkpoints / "wide.safetensors")
    save_file({key: t for key, t in wan.items() if "blocks.1." not in key}, checkpoints / "half.safetensors")
    (checkpoints / "cut.safetensors").write_bytes((checkpoints / "wan.safetensors").read_bytes()[:-100])
    for name, layer, width in (("wan", "transformer.blocks.0.attn1.to_q", 5120), ("sd", SD_LAYER, 2048)):
        pair = {f"{layer}.lora_A.weight": torch.ones(4, width), f"{layer}.lora_B.weight": torch.ones(width, 4)}
        save_file(pair, loras / f"{name}.safetensors")


SD_LAYER = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
BAD_FILES = [
    (GOOD, {"checkpoint": "mine.ckpt"}, "model.pickle"),
    (GOOD, {"checkpoint": "gone.safetensors"}, "model.file_missing"),
    (GOOD, {"checkpoint": "rotten.safetensors"}, "model.not_safetensors"),
    (GOOD, {"checkpoint": "cut.safetensors"}, "model.file_cut"),
    (GOOD, {"checkpoint": "wan.safetensors"}, "model.wrong_architecture"),
    (GOOD, {"loras": [{"file": "mine.pt"}]}, "model.pickle"),
    (GOOD, {"loras": [{"file": "wan.safetensors"}]}, "model.lora_unfit"),
    (GOOD, {"loras": [{"file": "sd.safetensors"}]}, "model.lora_unfit"),
    (BAD, {"checkpoint": "rotten.gguf"}, "model.not_gguf"),
    (BAD, {"checkpoint": "wide.safetensors"}, "model.wrong_architecture"),
    (BAD, {"checkpoint": "half.safetensors"}, "model.checkpoint_lacks"),
    (BAD, {"loras": [{"file": "wan.safetensors"}]}, "model.lora_unfit"),
]


def named_by(engine: str, options: dict[str, Any]) -> str:
    field = "checkpoint" if "checkpoint" in options else "loras.0.file"
    return f"options.{engine}.{field}"


def with_bad_files(studio: Studio, tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    """A queue with all of them and a good scene at its end, and what preflight says of each of the bad ones."""
    files(tmp_path)
    queue = str(studio.queues.create("Q")["id"])
    for engine, options, _ in BAD_FILES:
        studio.scenes.add(queue, (still if engine == GOOD else shot)(**options))
    studio.scenes.add(queue, still())
    *told, good = [scene["problems"] for scene in studio.preflight.queue(queue)["scenes"]]
    assert not good and all(len(one) == 1 for one in told), told
    return queue, [one[0] for one in told]


def test_files_that_do_not_fit_are_named_before_the_run(studio: Studio, tmp_path: Path) -> None:
    _, told = with_bad_files(studio, tmp_path)
    assert [(one["field"], one["code"]) for one in told] == [
        (named_by(engine, options), code) for engine, options, code in BAD_FILES
    ]
    for problem in told:
        in_words(studio, problem)


def test_files_that_are_exchanged_after_preflight_fail_in_the_same_words(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, told = with_bad_files(studio, tmp_path)
    monkeypatch.setattr(studio.preflight, "gate", lambda *args, **named: Gate(set(), {}))
    studio.runs.run(queue)
    studio.drain()
    *bad, good = studio.queues.get(queue)["scenes"]
    assert good["state"] == State.DONE, good["error"]
    for scene, problem in zip(bad, told, strict=True):
        error = scene["error"]
        assert error["code"] == problem["code"]
        if error["code"] != "model.lora_unfit":  # there the run names the very layer
            assert error["params"] == {name: value for name, value in problem["params"].items() if name != "field"}
        in_words(studio, error)


def test_good_files_are_found_good(studio: Studio, tmp_path: Path) -> None:
    files(tmp_path)
    loras = tmp_path / "data" / "models" / "loras"
    for name, layer, width in (("wan", "transformer.blocks.0.attn1.to_q", 24), ("sd", SD_LAYER, 32)):
        pair = {f"{layer}.lora_A.weight": torch.ones(4, width), f"{layer}.lora_B.weight": torch.ones(24, 4)}
        save_file(pair, loras / f"{name}.safetensors")
    queue = str(studio.queues.create("Q")["id"])
    lora = [{"file": "wan.safetensors"}]
    studio.scenes.add(queue, shot(checkpoint="wan.safetensors", loras=lora))
    assert problems(studio) == []
    studio.runs.run(queue)
    studio.drain()
    (scene,) = studio.queues.get(queue)["scenes"]
    assert scene["state"] == State.DONE, scene["error"]


def test_a_checkpoint_and_a_profile_that_cannot_hold_it(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(tmp_path)
    planned = studio.memory._planner.plan_or_next
    monkeypatch.setattr(
        studio.memory._planner, "plan_or_next", lambda *args, **named: replace(planned(*args, **named), weights="disk")
    )
    queue = str(studio.queues.create("Q")["id"])
    studio.scenes.add(queue, shot(checkpoint="wan.safetensors"))
    (problem,) = problems(studio)
    assert (problem["code"], problem["field"]) == ("model.checkpoint_streams", "profile")
    in_words(studio, problem)


@pytest.mark.parametrize("trouble", ["model.gated", "model.no_network"])
def test_one_queue_of_all_that_can_be_wrong(
    build: Callable[..., Studio], repositories: Path, tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every bad scene is named with its cure, and the good one after them is made."""
    files(tmp_path)
    folders = tmp_path / "data" / "models" / "folders.json"
    here = json.loads(folders.read_text("utf-8"))
    (tmp_path / "served").mkdir()
    shutil.copytree(here.pop(WAN)[0], tmp_path / "served" / WAN)
    folders.write_text(json.dumps(here), "utf-8")
    wishes = [
        (still(**options), code) for engine, options, code in BAD_FILES if engine == GOOD
    ] + [
        (still(width=37), "engine.size_multiple"),
        (still(width=4096, height=4096), "memory.nothing_fits"),
        (shot(), "engine.needs_download"),
    ]  # fmt: skip
    with Hub(tmp_path / "served") as hub:
        hub.gated = {WAN}
        studio = build(hf_endpoint=hub.url if trouble == "model.gated" else "http://127.0.0.1:9", force_cpu=True)
        monkeypatch.setattr(planner, "on_shelf", lambda cls, footprint: footprint)  # as large as is published
        monkeypatch.setattr(studio.memory._planner, "_machine", lambda: Machine(4, 8.0, ram_free_gb=8.0))
        queue = str(studio.queues.create("Q")["id"])
        for scene, _ in [*wishes, (still(), "")]:
            studio.scenes.add(queue, scene)
        told = [scene["problems"] for scene in studio.preflight.queue(queue)["scenes"]]
        studio.models.fetch_needs(queue, accept_licences=True)
        studio.downloads.drain()
        missing = studio.models.get(BAD)["download"]["error"]
        studio.runs.run(queue, override=True)
        studio.drain()
        scenes = studio.queues.get(queue)["scenes"]
    assert [[problem["code"] for problem in one] for one in told] == [*([code] for _, code in wishes), []]
    assert missing["code"] == trouble
    for problem in (*(one[0] for one in told[:-1]), missing):
        in_words(studio, problem)
    assert [scene["state"] == State.DONE for scene in scenes] == [False] * len(wishes) + [True], scenes[-1]["error"]


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
