"""What is said in recordings and takes: kept, by itself where a model is here, and words that were not heard."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import instant_engine
import numpy as np
import pytest
import tiny_whisper
from starlette.testclient import TestClient

from studio.errors import Refused, Unavailable
from studio.execution import ToolDone
from studio.execution.work import use
from studio.media import sound
from studio.media.subtitles import phrases
from studio.pipelines.parts import SHELF
from studio.pipelines.speech import whisper
from studio.service import Studio, listening
from studio.service.cut_list import CutLists
from studio.service.missing import missing_words

SAID = "Uncle, nobody sails past here any more."


# ------------------------------------------------------------------------------------------------ missing words
@pytest.mark.parametrize(
    ("said", "heard", "missing"),
    [
        (SAID, "uncle nobody sails past here anymore", []),
        (SAID, "Uncle, nobody sails here any more.", ["past"]),
        ("The lamp is lit. Come home, Mara!", "The lamp is lit.", ["Come", "home", "Mara"]),
        ("I have 3 boats.", "I have three boats.", []),
        ("We met in nineteen eighty-seven.", "We met in 1987.", []),
        ("Their night", "There knight", []),
        ("It is a lamp", "It is lamp", []),
        ("(softly) Go [pause 0.5] now", "Go now.", []),
        ("Não vá à praia amanhã.", "Nao va a praia amanha", []),
        ("Não vá à praia amanhã.", "Vá à praia amanhã.", ["Não"]),
        ("Acende a lâmpada, depressa, antes da maré.", "Acende a lâmpada antes da maré.", ["depressa"]),
        ("我看见你们的灯了。谢谢你们！", "我看見你們的燈了,謝謝你們", []),
        ("我看见你们的灯了。谢谢你们！", "我看见你们的灯了。", ["谢谢你们"]),
        ("今天晚上的风很大", "今天晚上风很大", ["的"]),
        (SAID, "", ["Uncle", "nobody", "sails", "past", "here", "any", "more"]),
        ("…", "hm", []),
    ],
)  # fmt: skip
def test_words_that_were_not_heard(said: str, heard: str, missing: list[str]) -> None:
    assert missing_words(said, heard) == missing


# ------------------------------------------------------------------------------------------------ what is heard
@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model that listens is here: which words it hears is told by `ear`."""
    folder = tmp_path / "listening"
    tiny_whisper.put_on_shelf(folder, tmp_path / "base")
    monkeypatch.setenv(SHELF, str(folder))
    yield folder


@pytest.fixture
def ear(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was listened to; instead of it the test's own words are heard."""
    asked: list[Any] = []

    def hear(path: Path, model: str, language: str | None, step: Any) -> dict[str, Any]:
        asked.append((path, model, language))
        return {
            "language": language or "en",
            "text": "Nobody sails past",
            "words": [[0.1, 0.5, "Nobody"]],
            "model": model,
        }

    monkeypatch.setattr(whisper, "transcribe", hear)
    return asked


def recording(studio: Studio, tmp_path: Path) -> str:
    sound.save(tmp_path / "a.wav", (0.1 * np.sin(np.arange(48_000) / 20)).astype(np.float32))
    return "asset:" + str(studio.library.add(tmp_path / "a.wav", "a.wav")["sha256"])


def test_a_recording_is_heard_once_and_kept(studio: Studio, client: TestClient, tmp_path: Path, ear: list[Any]) -> None:
    ref = recording(studio, tmp_path)
    found = client.post("/transcripts", json={"ref": ref, "language": "pt"})
    assert found.status_code == 200 and found.json() == {
        "language": "pt", "text": "Nobody sails past", "words": [[0.1, 0.5, "Nobody"]], "model": "whisper-base",
    }  # fmt: skip
    assert client.post("/transcripts", json={"ref": ref}).json() == found.json() and len(ear) == 1
    assert client.post("/transcripts", json={"ref": ref, "language": "en"}).json()["language"] == "en" and len(ear) == 2


def test_without_a_model_it_says_where_to_get_one(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    ref = recording(studio, tmp_path)
    refused = client.post("/transcripts?lang=en", json={"ref": ref})
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "listening.no_model"
    assert "Models" in refused.json()["error"]["hint"]
    assert studio.listening.beat() is False


def test_recordings_that_speak_for_scenes_are_heard_by_themselves(
    studio: Studio, tmp_path: Path, picture: Path, ear: list[Any]
) -> None:
    ref, queue = recording(studio, tmp_path), studio.queues.create("Q")["id"]
    face = f"asset:{studio.library.add(picture, 'a.png')['sha256']}"
    scene = {"task_type": "talking_avatar", "prompt": "x", "input_image": face, "input_audio": ref}
    for _ in range(2):
        studio.scenes.add(queue, scene)
    assert studio._store.voices.unheard() == [ref]
    assert studio.listening.beat() is True and studio.listening.beat() is False
    assert len(ear) == 1 and studio._store.voices.transcripts([ref])[ref]["text"] == "Nobody sails past"


def spoken(studio: Studio, engine: str) -> str:
    queue = studio.queues.create("Q")["id"]
    line = {"character": "Inês", "text": SAID, "language": "en"}
    studio.scenes.add(queue, {"task_type": "speech", "lines": [line], "engine": engine})
    studio.runs.run(queue)
    studio.drain()
    return studio.takes.list(queue=queue, layer="voice")["takes"][0]["id"]


def test_a_real_engine_is_heard_and_what_is_missing_stands_on_its_take(
    studio: Studio, client: TestClient, ear: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant_engine.Instant, "draft", False)
    take = spoken(studio, "instant")
    assert client.get(f"/takes/{take}/transcript").status_code == 404
    assert studio.listening.beat() is True
    missing = ["Uncle", "here", "any", "more"]
    found = client.get(f"/takes/{take}/transcript").json()
    assert found["missing"] == missing and found["text"] == "Nobody sails past"
    assert ear[0][2] == "en"
    view = client.get(f"/takes/{take}").json()
    assert view["missing"] == missing
    scene = studio.scenes.get(view["scene_id"])
    assert next(iter(scene["line_takes"].values()))["missing"] == missing


def test_a_draft_is_not_heard(studio: Studio, ear: list[Any]) -> None:
    take = spoken(studio, "draft")
    assert studio.listening.beat() is False and not ear
    assert "missing" not in studio.takes.get(take)


def test_what_cannot_be_heard_is_not_asked_for_ever(
    studio: Studio, ear: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*asked: Any) -> None:
        raise Refused("media.not_media", name="a")

    spoken(studio, "instant")
    monkeypatch.setattr(whisper, "transcribe", broken)
    assert studio.listening.beat() is True and studio.listening.beat() is False


@pytest.mark.parametrize("settings", [{}, {"lines": []}, {"lines": [{"character": "Inês"}]}, {"lines": "Hello."}])
def test_a_take_of_another_program_keeps_nobody_else_from_being_heard(
    studio: Studio, ear: list[Any], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """A package may bring takes whose settings name no line."""
    first, second = spoken(studio, "instant"), spoken(studio, "instant")
    known = studio._store.takes.settings
    monkeypatch.setattr(studio._store.takes, "settings", lambda take: settings if take == second else known(take))
    assert [studio.listening.beat() for _ in range(3)] == [True, True, False]
    assert studio.listening.of_take(first)["text"] == "Nobody sails past"


def test_a_voice_in_a_real_worker_hears_and_rests(shelf: Path, tmp_path: Path) -> None:
    """The process that listens goes when it is idle, and comes back."""
    from studio.execution.process import WorkerProcess

    sound.save(tmp_path / "a.wav", (0.1 * np.sin(np.arange(48_000) / 20)).astype(np.float32))
    worker = WorkerProcess()
    try:
        for _ in range(2):
            *_, last = worker.call("probe", {"path": str(tmp_path / "a.wav")})
            assert isinstance(last, ToolDone) and worker.state == "idle"
            worker.rest()
            assert worker.state == "off"
    finally:
        worker.close()
    assert json.loads((shelf / "folders.json").read_text("utf-8"))


# ------------------------------------------------------------------------------------------------ subtitles
def heard_words(text: str, gap: float = 0.4) -> list[tuple[float, float, str]]:
    return [(n * gap, n * gap + 0.3, word) for n, word in enumerate(text.split(" "))]


def test_words_become_phrases_that_can_be_read() -> None:
    text = "The lamp is lit. Nobody sails past this cape any more since the spring came with its long grey storms"
    found = phrases(heard_words(text))
    assert found[0][2] == "The lamp is lit." and " ".join(words for _, _, words in found) == text
    assert all(len(words) <= 42 and end - start <= 6 for start, end, words in found)
    chinese = phrases(heard_words(" ".join("今天晚上的风很大我们一起回家吧妈妈在等你"), 0.2))
    assert all(len(words) <= 16 for _, _, words in chinese) and "".join(words for _, _, words in chinese).isalpha()
    slow = phrases([(0.0, 0.4, "Wait"), (2.0, 2.4, "there")])
    assert [words for _, _, words in slow] == ["Wait", "there"]
    assert all(end - start <= 6 for start, end, _ in phrases(heard_words("so it is as it was and on it is", 0.7)))


def test_the_subtitles_of_a_recording_are_what_was_heard_in_it(
    studio: Studio, tmp_path: Path, picture: Path, ear: list[Any]
) -> None:
    ref, queue = (
        recording(studio, tmp_path),
        studio.queues.create("Q", frame={"width": 256, "height": 144, "fps": 24})["id"],
    )
    face = f"asset:{studio.library.add(picture, 'a.png')['sha256']}"
    scene = {"task_type": "talking_avatar", "prompt": "x", "input_image": face, "input_audio": ref, "engine": "instant"}
    studio.scenes.add(queue, scene)
    studio.runs.run(queue)
    studio.drain()
    studio.listening.beat()
    store = studio._store
    film = CutLists(store).of(store.queues.get(queue), store.queues.scenes(queue), {}).arguments()
    assert film["lines"] == [
        {"path": None, "clip": 0, "start": 0.1, "duration": 0.4, "character": "", "text": "Nobody"}
    ]  # fmt: skip
    assert film["clips"][0]["own_sound"] is True  # it is not heard twice
    done = use("captions", {**film, "out": str(tmp_path / "film.srt")}, lambda event: None, lambda: False)
    assert isinstance(done, ToolDone) and "Nobody" in (tmp_path / "film.srt").read_text("utf-8")


def test_who_asks_while_another_is_heard_waits_no_longer_than_that(
    studio: Studio, ear: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 0.05)
    sound.save(tmp_path / "a.wav", np.full(48_000, 0.1, np.float32))
    ref = str(studio.library.add(tmp_path / "a.wav", "a.wav")["ref"])
    with studio.listening._asking, pytest.raises(Unavailable) as refused:
        studio.listening.transcribe(ref)
    assert refused.value.code == "listening.busy" and ear == []
    assert studio.listening.transcribe(ref)["text"] == "Nobody sails past"
