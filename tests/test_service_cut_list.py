"""The timeline shows what the film will be."""

from typing import Any

import media_tools
import pytest
from starlette.testclient import TestClient

from studio.service import Studio

FRAME = {"width": 256, "height": 144, "fps": 24}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 2.0}


@pytest.fixture
def queue(studio: Studio, tmp_path: Any) -> str:
    """Three scenes, the last one not rendered; the first speaks and dissolves, and has a gull."""
    made = str(studio.queues.create("Pier", frame=FRAME)["id"])
    gull = studio.library.adopt(media_tools.wav(tmp_path / "gull.wav", 5.0))["ref"]
    bed = studio.library.adopt(media_tools.wav(tmp_path / "bed.wav", 3.0))["ref"]
    said = {"lines": [{"character": "Ana", "text": "Olá"}], "transition": "dissolve", "label": "one"}
    ids = [
        studio.scenes.add(made, {**SHOT, **more})["id"]
        for more in ({**said, "effects": [{"ref": gull, "at": 0.5, "level": -20}]}, {}, {"label": "three"})
    ]
    studio.runs.run(made, only=ids[:2])
    studio.drain()
    studio.queues.update(made, {"music": {"ref": bed, "start": 0.5}, "cut": {"title": "Pier", "credits": "Ana"}})
    return made


def test_a_timeline_has_everything_on_one_clock(client: TestClient, queue: str) -> None:
    seen = client.get(f"/queues/{queue}/timeline").json()
    assert seen["frame"] == FRAME and seen["seconds"] == 3 + 2 - 0.5 + 2 + 2 + 6
    one, two, three = seen["clips"]
    assert [(clip["start"], clip["duration"], clip["missing"]) for clip in seen["clips"]] == [
        (3.0, 2.0, False), (4.5, 2.0, False), (6.5, 2.0, True),
    ]  # fmt: skip
    assert (one["title"], one["number"], one["overlap"], two["overlap"], three["take_id"]) == ("one", 1, 0.5, 0.0, None)
    (line,) = seen["lines"]
    assert (line["character"], line["text"], line["start"], line["scene_id"]) == ("Ana", "Olá", 3.25, one["scene_id"])
    (effect,) = seen["effects"]
    assert (effect["name"], effect["start"], effect["duration"], effect["level"]) == ("gull.wav", 3.5, 1.5, -20)
    assert (seen["music"]["start"], seen["music"]["duration"], seen["music"]["name"]) == (0.5, 2.5, "bed.wav")
    assert (seen["title"]["duration"], seen["credits"]["start"], seen["credits"]["text"]) == (3.0, 8.5, "Ana")
    assert client.get(f"/assets/{seen['music']['sha256']}/peaks").json()["duration"] == 3.0


def test_a_trim_moves_what_follows(studio: Studio, queue: str) -> None:
    scene = studio.exports.timeline(queue)["clips"][0]["scene_id"]
    studio.scenes.edit(scene, {"trim_start": 0.5, "trim_end": 0.5})
    seen = studio.exports.timeline(queue)
    one, two, _ = seen["clips"]
    assert (one["duration"], one["trim"], one["take_duration"]) == (1.0, [0.5, 0.5], 2.0)
    assert two["start"] == pytest.approx(3 + 1 - 8 / 24, abs=1e-3)  # a third of what is left is shared
    (effect,) = seen["effects"]
    assert (effect["start"], effect["duration"], effect["skip"]) == (3.0, 1.0, 0.0)
