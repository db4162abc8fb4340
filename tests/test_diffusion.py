"""DiffusersEngine on Wan at tiny size: what is read when, what a run says of itself, and how it may end."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from studio.domain import SceneAdapter
from studio.pipelines import checkpoints
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.embeddings import CACHE
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
