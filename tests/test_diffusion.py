"""DiffusersEngine on Wan at tiny size: what is read when, what a run says of itself, and how it may end."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from studio.domain import SceneAdapter
from studio.errors import Cancelled, OutOfMemory
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.diffusion import checkpoints, preview, steps
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool
from studio.pipelines.wan import WanT2VLarge, WanT2VSmall

REPOS = sorted({part.repo for part in (*WanT2VSmall.parts, *WanT2VLarge.parts)})


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("repositories")
    return {repo: [str(tiny_models.build(repo, folder / repo.replace("/", "--")))] for repo in REPOS}


@pytest.fixture
def shelf(repositories: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder that points at tiny repositories, and a cache of its own."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "folders.json").write_text(json.dumps(repositories), "utf-8")
    monkeypatch.setenv(SHELF, str(tmp_path / "models"))
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "models"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the parts that were read from disk, in order."""
    seen: list[str] = []
    real = checkpoints.read_part

    def listening(where: str, folder: Path, *more: Any) -> Any:
        seen.append(folder.name)
        return real(where, folder, *more)

    monkeypatch.setattr(checkpoints, "read_part", listening)
    return seen


@pytest.fixture
def engine(shelf: Path) -> Iterator[WanT2VSmall]:
    made = loaded()
    yield made
    made.close()


def loaded(pool: Pool | None = None) -> WanT2VSmall:
    engine = WanT2VSmall()
    engine.pool = pool or Pool()
    engine.load(Plan())
    return engine


def scene(prompt: str = "A lamp", **more: Any) -> Any:
    return SceneAdapter.validate_python({"task_type": "text_to_video", "prompt": prompt, "duration": 0.5, **more})


def options(**more: Any) -> Any:
    return WanT2VSmall.Options(**{"width": 32, "height": 32, "num_inference_steps": 3, **more})


def make(
    engine: Any, folder: Path, shot: Any = None, wish: Any = None, report: Callable[..., None] = lambda *_: None,
    name: str = "made", **more: Any,
) -> Made:  # fmt: skip
    run = Run(7, Inputs(duration=0.5), engine.plan, folder / name, folder / f"{name}-small", report=report, **more)
    return engine.run(shot or scene(), wish or options(), run)


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


# ------------------------------------------------------------------------------------------------ what is read when
def test_the_same_words_never_read_the_text_encoder_again(shelf: Path, read: list[str], tmp_path: Path) -> None:
    first = loaded()
    assert "text_encoder" not in read  # nobody asked anything yet
    one = make(first, tmp_path, name="one")
    assert read.count("text_encoder") == 1
    first.close()
    read.clear()
    second = loaded()
    two = make(second, tmp_path, name="two")
    assert sorted(read) == ["scheduler", "tokenizer", "transformer", "vae"]
    assert packets(one.path) == packets(two.path)
    make(second, tmp_path, scene("Another lamp"))
    assert read.count("text_encoder") == 1


# ------------------------------------------------------------------------------------------------ where it is
def test_another_plan_moves_things_and_reads_nothing(shelf: Path, read: list[str], tmp_path: Path) -> None:
    engine = loaded()
    one = make(engine, tmp_path, name="one")
    read.clear()
    engine.load(replace(engine.plan, profile="hybrid", transformer="stream", resident_blocks=1, text_encoder="stream"))
    two = make(engine, tmp_path, scene(), name="two")
    assert read == [] and two.facts["profile"] == "hybrid"
    assert packets(one.path) == packets(two.path)


def test_after_other_engines_the_same_seed_makes_the_same_file(shelf: Path, tmp_path: Path) -> None:
    pool = Pool()
    first, other = loaded(pool), WanT2VLarge()
    one = make(first, tmp_path, name="one")
    other.pool = pool
    other.load(Plan(transformer="stream", text_encoder="stream"))
    wish = WanT2VLarge.Options(width=32, height=32, num_inference_steps=2)
    make(other, tmp_path, scene("Something else"), wish)
    first.park()
    two = make(first, tmp_path, name="two")
    other.close()
    assert packets(one.path) == packets(two.path)
    assert one.facts["revision"] == two.facts["revision"] and len(one.facts["revision"]) == 16


def test_a_model_that_was_fetched_anew_is_read_anew(shelf: Path, repositories: Any, tmp_path: Path) -> None:
    """Under the same plan; and nothing that its old encoder said is taken for the new one's."""
    engine = loaded()
    before = make(engine, tmp_path, name="before")
    pointed = {repo: list(paths) for repo, paths in repositories.items()}
    for number, repo in enumerate(pointed):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(pointed[repo][0], copy)
        for file in copy.glob("t*/*.safetensors"):  # transformer and text encoder
            save_file({key: tensor * 1.5 for key, tensor in load_file(file).items()}, file, {"format": "pt"})
        pointed[repo] = [str(copy)]
    (shelf / "folders.json").write_text(json.dumps(pointed), "utf-8")
    words = engine.pipe.encode_prompt("A lamp")[0]
    engine.load(Plan())
    after = make(engine, tmp_path, name="after")
    assert before.facts["revision"] != after.facts["revision"] and packets(before.path) != packets(after.path)
    assert not torch.equal(words, engine.pipe.encode_prompt("A lamp")[0])
    engine.close()


# ------------------------------------------------------------------------------------------------ what it says
def test_a_take_says_how_it_was_made(engine: Any, tmp_path: Path) -> None:
    facts = make(engine, tmp_path).facts
    assert facts["steps"] == 3 and facts["step_seconds"] >= 0 and facts["ram_peak_bytes"] > 0
    assert (facts["profile"], facts["dtype"], facts["attention"], facts["vae_tile"]) == ("cpu", "float32", "native", 0)
    assert facts["size"] == [32, 32, 9] and "stopped_at" not in facts


def test_who_looks_sees_the_middle_of_the_film(engine: Any, tmp_path: Path) -> None:
    """Colours are those of the finished film, though the VAE is not asked."""
    pictures: list[Any] = []
    wish = options(width=64, height=64)
    made = make(engine, tmp_path, wish=wish, report=lambda done, total, preview: pictures.append(preview()))
    assert [(picture.shape, picture.dtype.name) for picture in pictures] == [((32, 32, 3), "uint8")] * 3
    assert made.facts["steps"] == 3 and len({picture.tobytes() for picture in pictures}) == 3


def test_nobody_looks_and_nothing_is_painted(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def painted(*_: Any) -> None:
        raise AssertionError("somebody looked")

    monkeypatch.setattr(preview, "picture", painted)
    make(engine, tmp_path, report=lambda done, total, preview: None)


# ------------------------------------------------------------------------------------------------ how it may end
def test_enough_keeps_what_is_there(engine: Any, tmp_path: Path) -> None:
    seen: list[int] = []
    made = make(
        engine, tmp_path, wish=options(num_inference_steps=8), report=lambda done, total, preview: seen.append(done),
        enough=lambda: len(seen) >= 3,
    )  # fmt: skip
    assert made.facts["stopped_at"] == made.facts["steps"] == 3 and seen == [1, 2, 3]
    assert len(packets(made.path)) == 9


def test_cancel_does_not_wait_for_the_step(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step that takes for ever: the user is heard between two of its blocks."""
    blocks: list[int] = []
    monkeypatch.setattr(steps, "LOOK_SECONDS", 0.0)
    for number, block in enumerate(engine.pipe.transformer.blocks):
        block.register_forward_pre_hook(lambda *_, number=number: blocks.append(number), prepend=True)
    with pytest.raises(Cancelled):
        make(engine, tmp_path, cancelled=lambda: blocks[-1:] == [1])
    assert blocks == [0, 1]
    again = make(engine, tmp_path)
    assert again.facts["steps"] == 3


def out_of_memory_at(engine: Any, monkeypatch: pytest.MonkeyPatch, *calls: int) -> list[int]:
    """These calls of the transformer find no memory."""
    import torch

    seen: list[int] = []

    def fail(*_: Any) -> None:
        seen.append(len(seen))
        if seen[-1] in calls:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    engine.pipe.transformer.register_forward_pre_hook(fail)
    return seen


def test_out_of_memory_tries_once_more_with_less(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded()
    wanted = make(engine, tmp_path, name="wanted")
    engine.load(replace(engine.plan, transformer="stream", resident_blocks=2))
    seen = out_of_memory_at(engine, monkeypatch, 3)  # in the second step
    made = make(engine, tmp_path)
    assert made.facts["oom_retries"] == 1 and len(seen) == 4 + 6
    assert packets(made.path) == packets(wanted.path)


def test_out_of_memory_twice_is_an_error_with_a_cure(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded()
    engine.load(replace(engine.plan, transformer="stream", resident_blocks=2))
    out_of_memory_at(engine, monkeypatch, 0, 1)
    with pytest.raises(OutOfMemory) as caught:
        make(engine, tmp_path)
    assert caught.value.code == "engine.out_of_memory" and caught.value.params == {"engine": engine.id}
    assert make(engine, tmp_path).facts["steps"] == 3  # usable


def test_where_nothing_can_be_given_up_there_is_no_second_try(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = out_of_memory_at(engine, monkeypatch, 0)
    with pytest.raises(OutOfMemory):
        make(engine, tmp_path)
    assert seen == [0]
