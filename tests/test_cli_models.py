"""models list, get, rm, verify, import: here and in a studio that runs, against a hub on this computer."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_models
from hub_server import Hub
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from through import Through

from studio.api import make_api
from studio.api.guard import Guard
from studio.cli import main, production, verbs
from studio.cli.desk import Here, There
from studio.lock import Holder
from studio.service import Studio

WAN = "wan2.1-t2v-1.3b"
PUBLISHED = ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.2-TI2V-5B-Diffusers")
SHOT = {
    "task_type": "text_to_video", "prompt": "a lighthouse", "resolution": "480P", "duration": 0.3, "seed": 7,
    "engine": WAN, "options": {WAN: {"width": 32, "height": 32, "num_inference_steps": 2}},
}  # fmt: skip
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for repo in PUBLISHED:
        tiny_models.build(repo, folder / repo)
    return folder


@pytest.fixture
def hub(published: Path, tmp_path: Path) -> Iterator[Hub]:
    shutil.copytree(published, tmp_path / "served")
    with Hub(tmp_path / "served") as opened:
        yield opened


@pytest.fixture
def studio(build: Callable[..., Studio], hub: Hub) -> Studio:
    return build(hf_endpoint=hub.url, force_cpu=True)


@pytest.fixture(params=["here", "there"])
def say(
    request: pytest.FixtureRequest, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Say]:  # fmt: skip
    """`say("models", "list")` -> (exit code, stdout, stderr). The studio works while the command line waits."""
    environment = dict(os.environ)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.chdir(tmp_path)
    if request.param == "here":
        at = Here.__new__(Here)
        at._studio = studio
    else:
        site = Starlette(routes=[Mount("/api", make_api(studio))])
        client = TestClient(Guard(site, studio.words, "token", studio.people, 10**9), base_url="http://127.0.0.1:7860")
        at = There(Holder(1, "http://127.0.0.1:7860", "token"), Through(client))  # type: ignore[assignment]
    monkeypatch.setattr(at, "close", lambda: None)
    assert production and verbs  # imported before: they would keep the one that is put in here
    monkeypatch.setattr("studio.cli.desk.open_desk", lambda settings: at)
    monkeypatch.setattr("time.sleep", lambda seconds: (studio.downloads.drain(), studio.drain()))

    def said(*arguments: str) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    yield said
    os.environ.clear()
    os.environ.update(environment)


def test_list_get_verify_rm(say: Say, studio: Studio, hub: Hub) -> None:
    code, out, _ = say("models", "list")
    (line,) = [line for line in out.splitlines() if line.startswith(WAN + " ")]
    assert code == 0 and "not here" in line and "Apache-2.0" in line and "17.6 GB" in line
    code, _, err = say("models", "get", WAN)
    assert code == 1 and "licence" in err and "--accept-licence" in err and hub.sent == 0
    code, out, _ = say("models", "get", WAN, "--accept-licence")
    assert (code, out) == (0, f"{WAN} is here.\n")
    code, out, _ = say("models", "verify", WAN)
    assert code == 0 and "0 wrong" in out
    weights = next(Path(studio.models.get(WAN)["parts"][2]["path"]).glob("*.safetensors"))
    weights.resolve().write_bytes(b"x" + weights.read_bytes()[1:])
    code, out, _ = say("models", "verify", WAN, "--json")
    assert code == 1 and json.loads(out)["bad"] == [f"vae/{weights.name}"]
    code, out, _ = say("models", "rm", WAN)
    assert code == 0 and "off the disk" in out
    assert studio.models.get(WAN)["state"] == "missing"


def test_get_tells_why_it_did_not_come(say: Say, hub: Hub) -> None:
    hub.gated = set(PUBLISHED)
    code, out, err = say("models", "get", WAN, "--accept-licence", "--json")
    assert code == 1 and "access token" in err
    assert json.loads(out)[0]["download"]["error"]["code"] == "model.gated"


def test_get_what_a_queue_needs_and_run_it(say: Say, studio: Studio) -> None:
    queue = studio.queues.create("Pier")
    studio.scenes.add(queue["id"], SHOT)
    code, out, _ = say("models", "get", "--queue", "pier", "--accept-licence", "--run")
    assert (code, out) == (0, f"{WAN} is here.\n")
    assert studio.queues.view(queue["id"])["counts"]["done"] == 1


def test_ctrl_c_keeps_what_came(say: Say, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pressed)
    assert say("models", "get", WAN, "--accept-licence")[0] == 130
    assert studio.models.get(WAN)["download"]["state"] == "cancelled"


def test_import(say: Say, studio: Studio, published: Path, tmp_path: Path) -> None:
    code, out, _ = say("models", "import", published)
    assert code == 0 and f"{WAN}: here" in out
    (tmp_path / "nothing").mkdir()
    code, _, err = say("models", "import", tmp_path / "nothing")
    assert code == 1 and "model_index.json" in err


def test_get_wants_something(say: Say) -> None:
    assert say("models", "get")[0] == 2
    assert say("models", "get", "nothing")[0] == 1
    assert say("models", "rm", "draft")[0] == 1
