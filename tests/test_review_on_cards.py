"""What reviewers said, as the makers see it on their scenes: the take and the second that is meant, who approved."""

from typing import Any

import pytest

from studio.domain import Visitor
from studio.service import Studio
from studio.service.reviewing import Said

FRAME = {"width": 256, "height": 144, "fps": 24}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 1.0}
OWNER = Visitor("", "", "owner", "local")
ANA = Visitor("p-ana", "Ana", "reviewer", "share", "s-ana")


@pytest.fixture
def review(studio: Studio) -> dict[str, Any]:
    """Two scenes of a second each; the second one begins a quarter of a second into its take."""
    queue = str(studio.queues.create("Night pier", frame=FRAME)["id"])
    for label in ("one", "two"):
        studio.scenes.add(queue, {**SHOT, "label": label, "trim_start": 0.25 if label == "two" else 0.0})
    studio.runs.run(queue)
    studio.drain()
    film = studio.exports.cut(queue, wait=True)
    assert film["state"] == "done", film["error"]
    return dict(studio.reviewing.publish(queue, str(film["id"]), OWNER))


def cards(studio: Studio, review: dict[str, Any]) -> list[dict[str, Any]]:
    return list(studio.queues.get(review["queue_id"])["scenes"])


def test_a_note_names_the_take_and_the_second_that_somebody_saw(studio: Studio, review: dict[str, Any]) -> None:
    second = cards(studio, review)[1]
    studio.reviewing.comment(review["id"], Said(version=1, at=1.5, text="slower", wish="retake"), ANA)
    studio.reviewing.comment(review["id"], Said(version=1, at=0.5, text="good"), ANA)
    (note,) = studio.scenes.get(second["id"])["comments"]
    assert (note["take_id"], note["second"]) == (second["take"]["id"], 0.75)
    assert list(studio.reviewing.of_scene(second["id"])) == [note]
    assert [card["comments"] for card in cards(studio, review)] == [{"open": 1, "retake": 0}, {"open": 1, "retake": 1}]


def test_an_approval_holds_for_the_take_that_was_seen(studio: Studio, review: dict[str, Any]) -> None:
    first = cards(studio, review)[0]["id"]
    version = studio.queues.get(review["queue_id"])["version"]
    studio.reviewing.judge(review["id"], 1, first, True, ANA)
    (changed,) = studio.queues.get(review["queue_id"], since=version)["scenes"]  # every page hears of it
    assert (changed["id"], changed["verdicts"]) == (first, [{"author": "Ana", "approved": True}])
    studio.reviewing.judge(review["id"], 1, first, False, ANA)
    assert cards(studio, review)[0]["verdicts"] == [{"author": "Ana", "approved": False}]
    studio.review.seeds(first, seeds=[77])
    studio.drain()
    assert [card["verdicts"] for card in cards(studio, review)] == [[], []]
