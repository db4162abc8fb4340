"""What the worker measures of a finished file stands in its facts and its sidecar, and never costs a take."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_faces import cartoon
from starlette.testclient import TestClient

from studio.domain import Frame, Line, SceneAdapter
from studio.execution import Assignment, Finished, measures
from studio.execution.work import perform, sidecar_path
from studio.media import lipsync, sound
from studio.pipelines.base import Inputs, Plan, Speaker
from studio.pipelines.manager import PipelineManager
from studio.pipelines.speech import likeness
from studio.service import Studio

MEASURED = {"lag_ms": 12, "correlation": 0.8, "in_sync": True, "mouth": "found", "closed_in_silence": True}


def order(folder: Path, task: str, inputs: Inputs, **scene: Any) -> Assignment:
    asked = SceneAdapter.validate_python({"task_type": task, "prompt": "x", **scene}).model_dump()
    return Assignment("job", 1, "draft", asked, inputs, Plan(), 5, folder / "take", folder / "small")


def avatar(folder: Path) -> Assignment:
    cv2.imwrite(str(folder / "face.png"), cartoon())
    at = np.arange(sound.RATE) / sound.RATE
    sound.save(
        folder / "a.wav", (0.3 * np.sin(2 * np.pi * 200 * at) * (np.sin(2 * np.pi * 3 * at) > 0)).astype(np.float32)
    )
    inputs = Inputs(
        {"input_image": folder / "face.png"}, soundtrack=folder / "a.wav", duration=1.0,
        frame=Frame(width=256, height=144, fps=12),
    )  # fmt: skip
    return order(folder, "talking_avatar", inputs, input_image="x", input_audio="x")


def done(assignment: Assignment) -> Finished:
    finished = perform(assignment, PipelineManager(), lambda event: None, lambda: False)
    assert isinstance(finished, Finished), finished
    return finished


def test_every_measure_is_a_function() -> None:
    for where in measures.MEASURES.values():
        module, _, name = where.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_lips_of_an_avatar_are_measured_in_its_finished_file(tmp_path: Path) -> None:
    finished = done(avatar(tmp_path))
    assert finished.facts["lipsync"] == lipsync.measure(finished.path)
    assert json.loads(sidecar_path(finished.path).read_text("utf-8"))["facts"]["lipsync"] == finished.facts["lipsync"]


def test_what_cannot_be_measured_is_left_out_and_the_take_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(path: Path) -> None:
        raise ValueError("a strange picture")

    monkeypatch.setattr(lipsync, "measure", broken)
    with caplog.at_level(logging.ERROR):
        finished = done(avatar(tmp_path))
    assert finished.path.is_file() and "lipsync" not in finished.facts
    assert "was not measured" in caplog.text


def test_likeness_is_measured_of_voices_with_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, alike = {"pitch_hz": 180.0}, {"pitch_cents": 20, "spectrum_db": 3.1, "speaker": None}
    asked = []
    monkeypatch.setattr(likeness, "similarity", lambda *given: asked.append(given) or alike)
    plain = order(tmp_path, "speech", Inputs(), lines=[Line(character="Ana", text="The lamp is lit.").model_dump()])
    assert "similarity" not in done(plain).facts and asked == []
    given = replace(plain, inputs=Inputs(speaker=Speaker("Ana", profile=profile)), out=tmp_path / "other")
    assert done(given).facts["similarity"] == alike
    assert [one[1:] for one in asked] == [(profile, None)]


def test_pictures_of_other_tasks_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lipsync, "measure", lambda path: pytest.fail("looked at"))
    inputs = Inputs(duration=0.3, frame=Frame(width=256, height=144, fps=12))
    assert "lipsync" not in done(order(tmp_path, "text_to_video", inputs, duration=0.3)).facts


def test_faces_show_it(studio: Studio, client: TestClient, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lipsync, "measure", lambda path: MEASURED)
    queue = studio.queues.create("Q")["id"]
    scene = {
        "task_type": "talking_avatar", "prompt": "x", "engine": "draft",
        "input_image": f"asset:{studio.library.add(picture, 'a.png')['sha256']}",
        "duration": 0.5,
    }  # fmt: skip
    added = studio.scenes.add(queue, scene)["id"]
    studio.runs.run(queue)
    studio.drain()
    take = client.get("/takes").json()["takes"][0]
    assert take["lipsync"] == MEASURED
    assert client.get(f"/takes/{take['id']}").json()["facts"]["lipsync"] == MEASURED
    assert next(row for row in studio.queues.get(queue)["scenes"] if row["id"] == added)["take"]["lipsync"] == MEASURED
