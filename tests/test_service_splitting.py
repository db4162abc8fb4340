"""A scene that is said longer than its engine can make becomes several, linked, and one undo puts it back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.domain import AIR_AFTER, AIR_BEFORE, Line, SceneAdapter, lay_lines
from studio.pipelines.base import Limits
from studio.service import Studio
from studio.service.splitting import parts_of, scenes_of
from studio.service.spoken import Speaking

SENTENCES = [
    "The storm is coming.",
    "We must light the lamp!",
    "Will you climb with me?",
    "It has been dark for years.",
]
FITS, LONG = "Now.", " ".join(SENTENCES)
SPEAKING = Speaking([])


@pytest.fixture
def limited(instant: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda **seconds: monkeypatch.setattr(instant.Instant, "limits", replace(Limits(), seconds=seconds))


@pytest.fixture
def portrait(studio: Studio, picture: Path) -> str:
    return str(studio.library.adopt(picture)["ref"])


def queue_of(studio: Studio, *scenes: dict[str, Any]) -> str:
    queue_id = str(studio.queues.create("Night")["id"])
    for scene in scenes:
        studio.scenes.add(queue_id, {"prompt": "the pier", **scene})
    return queue_id


def scenes(studio: Studio, queue_id: str) -> list[dict[str, Any]]:
    return [studio.scenes.get(card["id"]) for card in studio.queues.get(queue_id)["scenes"]]


# ------------------------------------------------------------------------------------------------ where it is cut
def line(text: str, line_id: str = "a") -> Line:
    return Line(id=line_id, text=text)


def test_lines_stay_whole_where_that_is_enough() -> None:
    lines = [line(FITS, name) for name in "abcd"]
    parts = parts_of(lines, [3.0, 3.0, 3.0, 3.0], 8.0, SPEAKING)
    assert [[one.id for one in part.lines] for part in parts] == [["a", "b"], ["c", "d"]]
    assert parts_of(lines, [3.0, 3.0, 3.0, 3.0], 60.0, SPEAKING)[0].lines == lines


def test_a_line_is_cut_between_its_sentences_and_joined_where_they_fit_together() -> None:
    parts = parts_of([line(LONG)], [12.0], 8.0, SPEAKING)
    assert len(parts) == 2
    assert " ".join(one.text for part in parts for one in part.lines) == LONG
    assert all(len(part.lines) == 1 and part.seconds <= 8.0 for part in parts)
    assert sum(part.seconds for part in parts) == pytest.approx(12.0 + 2 * (AIR_BEFORE + AIR_AFTER))


def test_one_sentence_that_is_too_long_is_not_cut() -> None:
    assert parts_of([line(SENTENCES[0])], [30.0], 8.0, SPEAKING) == []


@given(st.lists(st.floats(0.3, 40), min_size=1, max_size=12), st.floats(3, 60))
def test_no_part_is_longer_than_the_engine_and_no_word_is_lost(seconds: list[float], most: float) -> None:
    lines = [line(LONG, str(number)) for number in range(len(seconds))]
    parts = parts_of(lines, seconds, most, SPEAKING)
    for part in parts:
        assert lay_lines([piece.seconds for piece in part.pieces], None)[1] <= most + 1e-6
    if parts:
        said = " ".join(one.text for part in parts for one in part.lines)
        assert said.split() == " ".join(one.text for one in lines).split()


# ------------------------------------------------------------------------------------------------ what becomes of it
def test_preflight_shows_the_parts_and_a_run_makes_them(studio: Studio, limited: Any, portrait: str) -> None:
    limited(talking_avatar=(0.4, 4.5))
    queue = queue_of(
        studio, {"task_type": "text_to_video", "prompt": "before"},
        {"task_type": "talking_avatar", "label": "Inês", "input_image": portrait, "transition": "dissolve",
         "lines": [{"character": "Inês", "text": LONG}]},
        {"task_type": "text_to_video", "prompt": "after"},
    )  # fmt: skip
    (problem,) = studio.preflight.queue(queue)["scenes"][1]["problems"]
    assert (problem["level"], problem["code"]) == ("warning", "preflight.splits")
    count = problem["params"]["count"]
    assert count > 1 and problem["params"]["parts"].count(" s") == count
    studio.runs.run(queue)
    studio.drain()
    made = scenes(studio, queue)
    assert [one["state"] for one in made] == ["done"] * (2 + count)
    parts = [one["scene"] for one in made[1:-1]]
    assert [one["label"] for one in parts] == [f"Inês ({n}/{count})" for n in range(1, count + 1)]
    assert " ".join(said["text"] for one in parts for said in one["lines"]) == LONG
    assert [one["input_image"] for one in parts[1:]] == [f"scene:{one['id']}" for one in made[1:-2]]
    assert [one["transition"] for one in parts] == ["cut"] * (count - 1) + ["dissolve"]
    assert all(one["take_list"][0]["duration"] <= 4.5 for one in made[1:-1])


LEFT, RIGHT = (0.05, 0.1, 0.45, 0.9), (0.55, 0.1, 0.95, 0.9)


def test_each_part_shows_those_who_speak_in_it_where_they_are(studio: Studio, limited: Any, portrait: str) -> None:
    """A place in a portrait is no place in a frame of the film, so each part begins with the portrait."""
    limited(talking_avatar=(0.4, 5.0))
    said = [("Inês", SENTENCES[0]), ("Tio", SENTENCES[1]), ("Tio", SENTENCES[2]), ("Inês", SENTENCES[3])]
    lines = [{"character": who, "text": f"{text} {text}"} for who, text in said]
    scene = {"task_type": "talking_avatar", "engine": "draft", "input_image": portrait, "lines": lines}
    parts = parts_of(
        [Line(id=str(number), **one) for number, one in enumerate(lines)], [3.0, 2.0, 4.0, 3.0], 6.0, SPEAKING
    )
    whole = SceneAdapter.validate_python({**scene, "speaker_boxes": [LEFT, RIGHT]})
    made = scenes_of(whole, parts, "first", 0.4)
    assert [[one.character for one in part.lines] for part in made] == [["Inês", "Tio"], ["Tio"], ["Inês"]]
    assert [part.speaker_boxes for part in made] == [[LEFT, RIGHT], [RIGHT], [LEFT]]  # type: ignore[attr-defined]
    assert {part.input_image for part in made} == {portrait}  # type: ignore[attr-defined]


def test_one_undo_puts_it_back(studio: Studio, limited: Any, portrait: str) -> None:
    limited(image_to_video=(0.2, 4.5))
    shot = {"task_type": "image_to_video", "input_image": portrait, "end_image": portrait, "duration": 1,
            "lines": [{"text": LONG}]}  # fmt: skip
    queue = queue_of(studio, shot)
    (before,) = scenes(studio, queue)
    studio.runs.run(queue)
    made = scenes(studio, queue)
    assert len(made) > 1 and made[0]["scene"]["end_image"] is None and made[-1]["scene"]["end_image"]
    studio.runs.stop(queue)
    studio.editing.undo(queue)
    (after,) = scenes(studio, queue)
    assert after["scene"] == before["scene"]


def test_a_queue_may_forbid_it(studio: Studio, limited: Any) -> None:
    limited(text_to_video=(0.2, 4.5))
    queue = queue_of(studio, {"task_type": "text_to_video", "duration": 1, "lines": [{"text": LONG}]})
    studio.queues.update(queue, {"split_long": False})
    (problem,) = studio.preflight.queue(queue)["scenes"][0]["problems"]
    assert (problem["level"], problem["code"]) == ("error", "preflight.speech_long")


def test_nobody_begins_a_picture_while_it_is_being_split(
    studio: Studio, limited: Any, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another lane may be free at the moment in which the last line is spoken."""
    limited(text_to_video=(0.2, 16.0))
    monkeypatch.setattr(instant, "SECONDS_PER_LETTER", 0.2)
    queue = queue_of(studio, {"task_type": "text_to_video", "duration": 1, "lines": [{"text": LONG}]})
    store, voices = studio._store, studio._store.survey.voices
    seen: list[int] = []

    def claim() -> None:
        assert store.jobs.claim("cpu", None, studio.runs.now())
        seen.append(len(store.queues.scenes(queue)))

    def slowly() -> Any:
        other = Thread(target=claim)
        other.start()
        other.join(timeout=0.3)
        others.append(other)
        return voices()

    others: list[Thread] = []
    studio.runs.run(queue)
    monkeypatch.setattr(store.survey, "voices", slowly)
    studio.drain(1)
    assert len(others) == 1
    others[0].join()
    assert seen == [2]


def test_what_turns_out_too_long_once_it_is_spoken_is_split_then(
    studio: Studio, limited: Any, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate said that it fits; the voice speaks more slowly than any before."""
    limited(text_to_video=(0.2, 16.0))
    monkeypatch.setattr(instant, "SECONDS_PER_LETTER", 0.2)
    queue = queue_of(studio, {"task_type": "text_to_video", "duration": 1, "lines": [{"text": LONG}]})
    assert [problem["code"] for problem in studio.preflight.queue(queue)["scenes"][0]["problems"]] == [
        "preflight.grows"
    ]
    studio.runs.run(queue)
    studio.drain()
    made = scenes(studio, queue)
    assert len(made) == 2 and [one["state"] for one in made] == ["done", "done"]
    assert all(one["take_list"][0]["duration"] <= 16.0 for one in made)
    (run,) = studio.reports.list(queue)
    assert run["state"] == "done" and run["counts"]["scenes"] == 2
