"""check, import, run, status, retry, cut, export: here and in a studio that runs, as sentences and as JSON."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import instant_engine
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from through import Through

from studio.api import make_api
from studio.api.guard import Guard
from studio.cli import desk, main
from studio.cli.desk import Here, There
from studio.lock import Holder
from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25, "engine": "instant"}
Say = Callable[..., tuple[int, str]]


class Lock:
    """Nobody else is there."""

    def release(self) -> None:
        pass


@pytest.fixture(params=["here", "there"])
def say(
    request: pytest.FixtureRequest, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Say]:  # fmt: skip
    """`say("run", "EP001")` -> (exit code, what it printed). The studio renders while the command line waits."""
    environment = dict(os.environ)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.chdir(tmp_path)
    if request.param == "here":
        at = Here.__new__(Here)
        at._studio, at._lock = studio, Lock()  # type: ignore[assignment]
    else:
        site = Starlette(routes=[Mount("/api", make_api(studio))])
        client = TestClient(Guard(site, studio.words, "token", studio.people, 10**9), base_url="http://127.0.0.1:7860")
        at = There(Holder(1, "http://127.0.0.1:7860", "token"), Through(client))  # type: ignore[assignment]
    monkeypatch.setattr(at, "close", lambda: None)
    monkeypatch.setattr("studio.cli.production.open_desk", lambda settings: at)
    monkeypatch.setattr("time.sleep", lambda seconds: studio.drain())

    def said(*arguments: str) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().out

    yield said
    os.environ.clear()
    os.environ.update(environment)


def episode(folder: Path, *scenes: dict[str, Any], title: str = "Pier") -> Path:
    path = folder / "Episódio um.json"
    path.write_text(json.dumps({"title": title, "scenes": scenes or [SHOT, {**SHOT, "label": "Two"}]}), "utf-8")
    return path


def test_a_night_from_check_to_film(say: Say, tmp_path: Path) -> None:
    path = episode(tmp_path)
    assert say("check", path)[0] == 0
    code, said = say("import", path)
    assert code == 0 and "EP001" in said and "Pier" in said
    code, said = say("run", "EP001")
    assert code == 0 and "2 of 2" in said
    code, said = say("status", "--json")
    assert [queue["counts"]["done"] for queue in json.loads(said)] == [2]
    code, said = say("status", "pier")
    assert code == 0 and said.count("Done") == 2
    code, said = say("cut", "Pier", "--out", "film.mp4", "--json")
    assert code == 0 and Path(json.loads(said)["path"]).stat().st_size > 0
    assert (tmp_path / "film.mp4").is_file()


def test_a_file_that_is_not_right_is_said_and_nothing_is_written(say: Say, studio: Studio, tmp_path: Path) -> None:
    path = episode(tmp_path, SHOT, {"task_type": "image_to_video", "input_image": "nobody.png", "prompt": "x"})
    code, said = say("check", path)
    assert code == 1 and "nobody.png" in said
    code, said = say("check", path, "--json")
    assert json.loads(said)[0]["report"]["totals"]["missing"] == 1
    assert say("import", path)[0] == 1 and studio.queues.list() == []
    assert say("import", path, "--only-valid", "--name", "Half")[0] == 0
    assert studio.queues.list()[0]["counts"]["total"] == 1 and studio.queues.list()[0]["name"] == "Half"
    assert say("import", tmp_path / "nowhere.json")[0] == 1


def test_what_failed_is_said_retried_and_counted(say: Say, studio: Studio, tmp_path: Path) -> None:
    say("import", episode(tmp_path, SHOT, {**SHOT, "prompt": "fail"}, {**SHOT, "label": "Three"}))
    code, said = say("run", "EP001", "--json")
    assert code == 1 and [card["state"] for card in json.loads(said)["scenes"]] == ["done", "failed", "done"]
    failed = studio.queues.get(studio.queues.list()[0]["id"])["scenes"][1]
    assert say("retry", "EP001")[0] == 1, "it fails again"
    studio.scenes.edit(failed["id"], {"prompt": "a street"})
    assert say("run", "EP001")[0] == 0
    instant_engine.MADE.clear()
    assert say("run", "EP001", "--only", "1,3-3")[0] == 0
    assert [label for _, label, _ in instant_engine.MADE] == ["", "Three"]


@pytest.mark.parametrize("numbers", ["0", "9", "a", "1-", "2-1", ","])
def test_numbers_that_name_no_scene_are_refused(say: Say, tmp_path: Path, numbers: str) -> None:
    say("import", episode(tmp_path))
    assert say("run", "EP001", "--only", numbers)[0] == 1


def test_a_queue_goes_elsewhere_and_comes_back(say: Say, studio: Studio, tmp_path: Path) -> None:
    say("import", episode(tmp_path))
    say("run", "EP001")
    assert say("export", "EP001", "--kind", "episode", "--out", "again.json")[0] == 0
    assert len(json.loads((tmp_path / "again.json").read_text("utf-8"))["scenes"]) == 2
    code, said = say("export", "EP001", "--kind", "episode")
    assert json.loads(said)["title"] == "Pier"
    code, said = say("export", "EP001", "--out", "pier.zip", "--json")
    assert code == 0 and (tmp_path / "pier.zip").is_file()
    code, said = say("import", "pier.zip", "--json")
    assert code == 0 and json.loads(said)[0]["counts"]["done"] == 2
    assert say("run", "Pier")[0] == 1, "two queues are called so now"
    assert say("cut", "EP002", "--missing", "stop")[0] == 0


def test_only_a_studio_that_runs_goes_on_without_us(say: Say, studio: Studio, tmp_path: Path, request: Any) -> None:
    say("import", episode(tmp_path))
    code, said = say("run", "EP001", "--no-wait")
    running = studio.queues.list()[0]["counts"]["queued"]
    assert (code, running) == ((0, 2) if "there" in request.node.name else (1, 0))


def test_what_is_being_rendered_ends_early_and_is_kept(
    say: Say, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant_engine.Instant, "stops_early", True)
    say("import", episode(tmp_path))
    assert say("enough", "EP001")[0] == 1, "nothing is being rendered"
    heard: list[Any] = []

    def hook(scene: Any, run: Any) -> None:
        run.step(1, 10)
        heard.append((run.enough, *say("enough", "EP001"), run.enough))

    instant_engine.ON_RUN.append(hook)
    assert say("run", "EP001", "--only", "1")[0] == 0
    ((before, code, said, after),) = heard
    assert (before, code, after) == (False, 0, True) and "1" in said


def test_stopping_gives_130(say: Say, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say("import", episode(tmp_path))

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    assert say("run", "EP001")[0] == 130
    assert studio.queues.list()[0]["counts"]["queued"] == 0


def test_the_desks_promise_the_same() -> None:
    verbs = {name for name in vars(desk.Desk) if not name.startswith("_")}
    for each in (Here, There):
        assert verbs <= set(dir(each)), each
