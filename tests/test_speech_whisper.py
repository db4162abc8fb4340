"""Whisper: words and their times in a recording, as a model of the catalogue and as the tool `transcribe`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_whisper

from studio.errors import Cancelled, MediaError, Refused
from studio.execution import Failed, ToolDone
from studio.execution.work import use
from studio.media import sound
from studio.pipelines.parts import SHELF
from studio.pipelines.speech import whisper
from studio.service import Studio

WHISPER = "whisper-base"


# ------------------------------------------------------------------------------------------------ the catalogue
def test_a_model_that_makes_no_scene_is_in_the_catalogue_and_not_among_the_engines(studio: Studio) -> None:
    model = next(one for one in studio.models.list()["models"] if one["id"] == WHISPER)
    assert (model["tasks"], model["serves"], model["fit"], model["state"]) == ([], "listening", None, "missing")
    assert model == studio.models.get(WHISPER)
    assert WHISPER not in {engine["id"] for engine in studio.engines.list()}
    assert sorted(engine["rank"] for engine in studio.engines.list()) == list(range(len(studio.engines.list())))


def test_no_scene_can_ask_for_it(studio: Studio) -> None:
    queue = studio.queues.create("Q")["id"]
    with pytest.raises(Refused) as refused:
        studio.engines.pick("speech", WHISPER, studio._store.queues.get(queue).policy)
    assert refused.value.code == "engine.wrong_task"


# ------------------------------------------------------------------------------------------------ pieces
def hum(seconds: float, level: float = 0.2) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * whisper.RATE)) / whisper.RATE)).astype(
        np.float32
    )


def test_a_long_recording_is_cut_where_it_is_quietest() -> None:
    samples = np.concatenate([hum(22.0), hum(1.0, 0.0), hum(30.0), hum(0.5, 0.0), hum(3.0)])
    cut = list(whisper.pieces(np.array_split(samples, 100)))
    assert all(len(piece) <= whisper.LONGEST * whisper.RATE for _, piece in cut)
    assert 22.0 < cut[1][0] < 23.0  # in the pause
    assert sum(len(piece) for _, piece in cut) == len(samples)
    assert np.array_equal(np.concatenate([piece for _, piece in cut]), samples)


def test_what_is_silent_is_not_listened_to() -> None:
    hiss = np.random.default_rng(0).normal(0, 3e-4, 20 * whisper.RATE).astype(np.float32)
    assert list(whisper.pieces([hiss])) == []
    begins = [at for at, _ in whisper.pieces([np.concatenate([np.zeros(28 * whisper.RATE, np.float32), hum(5.0)])])]
    assert len(begins) == 1 and begins[0] > 15


# ------------------------------------------------------------------------------------------------ listening
@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch

    folder, threads = tmp_path_factory.mktemp("whisper"), torch.get_num_threads()
    tiny_whisper.put_on_shelf(folder / "models", folder / "base")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder / "models"))
        yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def recording(shelf: Path) -> Path:
    """Two pieces: half a minute and more."""
    path = shelf / "said.wav"
    sound.save(path, np.repeat(np.concatenate([hum(20.0), hum(0.6, 0.0), hum(12.0)]), 3))
    return path


def asked(path: Path, **more: Any) -> Any:
    return use("transcribe", {"path": str(path), "model": WHISPER, **more}, lambda event: None, lambda: False)


def test_words_have_times_on_the_clock_of_the_whole_recording(recording: Path) -> None:
    done = asked(recording)
    assert isinstance(done, ToolDone), done
    found = done.result
    assert found["model"] == WHISPER and found["language"] in tiny_whisper.LANGUAGES and found["text"]
    assert json.loads(json.dumps(found)) == found
    assert all(0 <= start <= end <= 32.7 and word for start, end, word in found["words"])
    assert any(start > 20 for start, _, _ in found["words"])  # heard in the second piece


def test_a_later_piece_is_heard_at_its_own_seconds(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"language": "en", "text": "a", "words": [(0.5, 1.0, "a")]}
    monkeypatch.setattr(whisper._Ear, "hear", lambda self, samples, language, alive: told)
    first, second = whisper.transcribe(recording, WHISPER)["words"]
    assert first == [0.5, 1.0, "a"] and second[1] - second[0] == pytest.approx(0.5, abs=0.01)
    assert 20.0 < second[0] - 0.5 < 20.6  # it is cut in the pause


def test_a_language_that_is_told_is_not_guessed(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper._Ear, "_language", lambda self, samples: pytest.fail("guessed"))
    assert whisper.transcribe(recording, WHISPER, "pt")["language"] == "pt"


def test_it_is_cancelled_between_two_words(recording: Path) -> None:
    told: list[float] = []

    def stop(done: float, total: float) -> None:
        told.append(done)
        if len(told) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        whisper.transcribe(recording, WHISPER, "en", stop)
    assert told == [0.0, 0.0, 0.0]  # not at the end of the piece


def test_without_the_model_or_without_sound_it_says_so(recording: Path, tmp_path: Path) -> None:
    failed = use("transcribe", {"path": str(recording), "model": "whisper-large-v3-turbo"}, print, lambda: False)
    assert isinstance(failed, Failed) and failed.code == "listening.no_model"
    from media_tools import clip

    with pytest.raises(MediaError) as refused:
        whisper.transcribe(clip(tmp_path / "mute.mp4", num_frames=4, size=(64, 64)), WHISPER)
    assert refused.value.code == "media.no_sound"
