"""A take under voices that were spoken anew: its picture stays, what is heard is what the film will have."""

from pathlib import Path
from typing import Any

import media_tools
import numpy as np
from starlette.testclient import TestClient

from studio.service import Studio


def test_the_player_hears_the_voice_that_counts(studio: Studio, client: TestClient, instant: Any) -> None:
    queue = studio.queues.create("Q", frame={"width": 256, "height": 144, "fps": 8})["id"]
    shot = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 3, "engine": "instant"}
    scene = studio.scenes.add(queue, {**shot, "lines": [{"text": "No."}]})["id"]
    studio.runs.run(queue)
    studio.drain()
    card = studio.queues.get(queue)["scenes"][0]
    assert "heard" not in card["take"]
    first = studio.takes.file(card["take"]["id"])
    assert studio.heard.file(card["take"]["id"]) == first

    line = studio.scenes.get(scene)["scene"]["lines"][0]
    studio.scenes.edit(scene, {"lines": [{**line, "text": "Never again, not in this house."}]})
    studio.runs.run(queue)
    studio.drain()
    card = studio.queues.get(queue)["scenes"][0]
    assert card["takes"] == 1, "an audio edit costs no picture"
    assert card["take"]["heard"]

    answer = client.get(f"/takes/{card['take']['id']}/file", params={"heard": card["take"]["heard"]})
    assert answer.status_code == 200
    heard = studio.heard.file(card["take"]["id"])
    assert heard != first and heard.read_bytes() == answer.content
    assert spoken_seconds(heard) > spoken_seconds(first) + 0.5
    before, after = media_tools.decoded(first), media_tools.decoded(heard)
    assert len(before) == len(after)
    assert studio.takes.file(card["take"]["id"]) == first, "the take is what it was"


def spoken_seconds(path: Path) -> float:
    """How long something is heard."""
    from studio.media.sound import load48

    samples = load48(path)
    loud = np.abs(samples if samples.ndim == 1 else samples.max(axis=1)) > 0.02
    return float(loud.mean() * len(loud) / 48_000)
