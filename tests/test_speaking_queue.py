"""A queue of talking avatars, as a producer makes one: voices first, pictures second, lengths that fit, one line
changed afterwards."""

from pathlib import Path
from typing import Any

import pytest
from instant_engine import MADE, SECONDS_PER_LETTER

from studio.domain import AIR_AFTER, AIR_BEFORE, State
from studio.service import Studio

LINES = 38
AIR = AIR_BEFORE + AIR_AFTER
WORDS = ("The lamp is lit.", "Não há ninguém.", "灯塔又亮了。", "Why did you climb all the way up here tonight?")


@pytest.fixture
def queue(studio: Studio, picture: Path) -> str:
    ref = studio.library.adopt(picture)["ref"]
    made = str(studio.queues.create("Thirty-eight")["id"])
    for number in range(LINES):
        line = {"character": ("Inês", "Tomás")[number % 2], "text": f"{number + 1}: {WORDS[number % len(WORDS)]}"}
        studio.scenes.add(made, {"task_type": "talking_avatar", "input_image": ref, "lines": [line]})
    return made


def cards(studio: Studio, queue: str) -> list[dict[str, Any]]:
    return list(studio.queues.get(queue)["scenes"])


def test_every_voice_before_the_first_picture_and_every_picture_as_long_as_its_line(studio: Studio, queue: str) -> None:
    studio.runs.run(queue)
    studio.drain()
    tasks = [task for task, _, _ in MADE]
    assert tasks == ["speech"] * LINES + ["talking_avatar"] * LINES
    for card in cards(studio, queue):
        scene = studio.scenes.get(card["id"])
        (voice,) = scene["line_takes"].values()
        assert scene["state"] == State.DONE
        spoken = max(0.25, SECONDS_PER_LETTER * len(scene["scene"]["lines"][0]["text"]))
        assert voice["duration"] == pytest.approx(spoken, abs=0.01)
        assert scene["take_list"][0]["duration"] == pytest.approx(voice["duration"] + AIR, abs=0.13)  # a frame at 8 fps


def test_one_changed_line_makes_that_scene_alone_anew(studio: Studio, queue: str) -> None:
    studio.runs.run(queue)
    studio.drain()
    before = {card["id"]: card["take"] for card in cards(studio, queue)}
    changed = studio.scenes.get(cards(studio, queue)[16]["id"])
    line = {**changed["scene"]["lines"][0], "text": "17: Another word."}
    studio.scenes.edit(changed["id"], {"lines": [line]})
    MADE.clear()
    studio.runs.run(queue)
    studio.drain()
    assert [(task, said) for task, _, said in MADE] == [("speech", line["text"]), ("talking_avatar", line["text"])]
    after = {card["id"]: card["take"] for card in cards(studio, queue)}
    assert [scene for scene in before if before[scene] != after[scene]] == [changed["id"]]


def test_a_line_that_cannot_be_said_holds_nobody_else_up(studio: Studio, queue: str) -> None:
    """It is known before the first picture, and the other thirty-seven are made."""
    scene = studio.scenes.get(cards(studio, queue)[4]["id"])
    studio.scenes.edit(scene["id"], {"lines": [{**scene["scene"]["lines"][0], "text": "please fail"}]})
    studio.runs.run(queue)
    studio.drain()
    states = [card["state"] for card in cards(studio, queue)]
    assert states.count("done") == LINES - 1 and states[4] == "failed"
    assert [task for task, _, _ in MADE].index("talking_avatar") == LINES  # all voices were tried first
