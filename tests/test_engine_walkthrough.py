"""docs/engines.md: the engine of the walk-through, taken out of the page and run."""

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


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's engine as a module, and its one line in ENGINES."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)[0]
    module = ModuleType("walkthrough_bars")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(pipelines.ENGINES, "bars", f"{module.__name__}:Bars")
    pipelines.engine_class.cache_clear()
    yield "bars"
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
