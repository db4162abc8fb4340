"""voices list, add, rm, export, import: here and in a studio that runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from through import Through

from studio.api import make_api
from studio.cli import main
from studio.cli.desk import There
from studio.domain import Line
from studio.lock import Holder
from studio.pipelines.draft.speech import VOICES, speak
from studio.service import Studio

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "The lamp has been dark for eleven years, and tonight it burns again over the water. Come and see."
    samples, rate, _ = speak(Line(text=text), VOICES["man-1"], 1)
    path = tmp_path_factory.mktemp("recording") / "Tomás.wav"
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(params=["here", "there"])
def say(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, build: Callable[..., Studio],
) -> Iterator[Say]:  # fmt: skip
    """say("voices", "list") -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    if request.param == "there":
        client = TestClient(Starlette(routes=[Mount("/api", make_api(build()))]))

        def there(settings: object) -> There:
            return There(Holder(1, "http://127.0.0.1:7860", "token"), Through(client))

        monkeypatch.setattr("studio.cli.desk.open_desk", there)

    def spoken(*arguments: str) -> tuple[int, str, str]:
        code = main(
            [f"--data-dir={tmp_path / 'data'}", f"--output-dir={tmp_path / 'outputs'}", "--lang=en", *arguments]
        )
        said = capsys.readouterr()
        return code, said.out, said.err

    yield spoken


def test_a_voice_is_made_listed_taken_along_and_removed(say: Say, recording: Path, tmp_path: Path) -> None:
    code, out, _ = say("voices", "list")
    assert code == 0 and "voices add" in out
    code, _, err = say("voices", "add", str(recording), "--name", "Tomás")
    assert code == 1 and "agreed" in err
    code, out, _ = say("voices", "add", str(recording), "--name", "Tomás", "--consent", "Tomás himself")
    assert code == 0 and "pitch" in out
    code, out, _ = say("voices", "list", "--json")
    (voice,) = json.loads(out)
    assert (voice["name"], voice["consent"]["by"]) == ("Tomás", "Tomás himself")
    code, out, _ = say("voices", "export", "tomás", "--out", str(tmp_path / "t.voice.zip"))
    assert code == 0 and Path(out.strip()).stat().st_size > 10_000
    assert say("voices", "rm", "TOMÁS")[0] == 0
    assert say("voices", "rm", "Tomás")[0] == 1
    code, out, _ = say("voices", "import", str(tmp_path / "t.voice.zip"))
    assert (code, out.strip()) == (0, "Tomás")
    code, out, _ = say("voices", "list")
    assert code == 0 and "recording" in out


def test_what_is_not_there_is_said(say: Say, tmp_path: Path) -> None:
    code, _, err = say("voices", "add", str(tmp_path / "none.wav"), "--name", "x", "--consent", "y")
    assert code == 1 and "none.wav" in err
    assert say("voices", "import", str(tmp_path / "none.zip"))[0] == 1
    assert say("voices", "export", "nobody")[0] == 1
