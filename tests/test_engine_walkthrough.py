"""docs/engines.md: the engine of the walk-through, taken out of the page and run."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from studio import pipelines
from studio.app import build_studio
from studio.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "engines.md"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A studio tells its workers by the environment where things are."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def registered(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of the page as a module, and its one line in ENGINES."""
    module = ModuleType(f"walkthrough_{name.lower()}")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    engine = getattr(module, name)
    monkeypatch.setitem(pipelines.ENGINES, engine.id, f"{module.__name__}:{name}")
    pipelines.engine_class.cache_clear()


def code_of_the_page(engine: str) -> str:
    """The block that has this class in it."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    return next(block for block in blocks if f"class {engine}(" in block)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    registered("Bars", code_of_the_page("Bars"), monkeypatch)
    yield "bars"
    pipelines.engine_class.cache_clear()


@pytest.fixture
def your_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    registered("YourModel", code_of_the_page("YourModel"), monkeypatch)
    yield "your-model"
    pipelines.engine_class.cache_clear()


def test_the_engine_of_the_page_makes_a_take(bars: str, tmp_path: Path) -> None:
    studio = build_studio(Settings(root=tmp_path), in_process=True)
    try:
        scene = studio.scenes.generate(
            {"task_type": "text_to_video", "prompt": "bars", "duration": 0.5, "options": {"bars": {"bars": 3}}}
        )
        assert studio.drain() == 1
        made = studio.scenes.get(scene["id"])
        assert (made["state"], made["engine"], made["error"]) == ("done", "bars", None)
        take = studio.takes.get(made["take"]["id"])
        assert (take["num_frames"], take["width"], take["height"]) == (12, 1280, 720)
        assert not take["draft"]
    finally:
        studio.close()


def test_its_limits_and_knobs_are_checked(bars: str, tmp_path: Path) -> None:
    studio = build_studio(Settings(root=tmp_path), in_process=True)
    try:
        listed = {engine["id"]: engine for engine in studio.engines.list()}
        assert listed["bars"]["options"]["properties"]["bars"]["default"] == 8
        with pytest.raises(Exception) as refused:
            studio.scenes.generate({"task_type": "text_to_video", "prompt": "x", "duration": 60})
        assert refused.value.code == "preflight.errors"
        assert refused.value.params["why"]["code"] == "engine.limit_seconds"
        with pytest.raises(Exception) as refused:
            studio.scenes.generate(
                {"task_type": "text_to_video", "prompt": "x", "duration": 1, "options": {"bars": {"stripes": 3}}}
            )
        assert refused.value.params["why"]["code"] == "engine.options"
    finally:
        studio.close()


def test_the_model_of_the_page_renders_from_a_folder(your_model: str, tmp_path: Path) -> None:
    import tiny_models

    folder = tmp_path / "mine"
    tiny_models.wan_t2v().save_pretrained(folder)
    settings = Settings(root=tmp_path)
    settings.models_dir.mkdir(parents=True)
    listed = json.dumps({"you/your-film-model": [str(folder)]})
    (settings.models_dir / "folders.json").write_text(listed, "utf-8")
    studio = build_studio(settings, in_process=True)
    try:
        options = {your_model: {"width": 32, "height": 32, "num_inference_steps": 2}}
        scene = studio.scenes.generate(
            {"task_type": "text_to_video", "prompt": "a lighthouse", "duration": 0.5, "engine": your_model,
             "options": options}
        )  # fmt: skip
        assert studio.drain() == 1
        made = studio.scenes.get(scene["id"])
        assert (made["state"], made["engine"], made["error"]) == ("done", your_model, None)
        take = studio.takes.get(made["take"]["id"])
        assert (take["num_frames"], take["width"], take["height"], take["fps"]) == (9, 32, 32, 16)
    finally:
        studio.close()
