"""Files that were made to keep a studio busy: what reading them costs grows with their length, not its square."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import StudioError
from studio.story.episode import MAX_SAID, parse
from studio.story.text import content_of
from studio.story.wildcards import Wildcards

SMALL, GROWTH = 4000, 8
FLOOR = 0.005  # seconds; anything faster is fast


def cineflow(**more: Any) -> str:
    return json.dumps({"segments": [{"prompt_text": "x", **more}]})


def skyreels(**more: Any) -> str:
    return json.dumps({"jobs": [{"task_type": "shot_switching_extension", "status": "idle", "prompt": "x", **more}]})


def many_handles(n: int) -> str:
    bible = [{"name": f"n{i}", "id": f"@id{i}"} for i in range(n // 40)]
    segments = [{"prompt_text": "by @id1 and (@id22) " * 10} for _ in range(n // 40)]
    return json.dumps({"character_bible": bible, "segments": segments})


HOSTILE: dict[str, Callable[[int], str]] = {
    "spaces before no handle": lambda n: cineflow(prompt_text=" " * n + "x"),
    "marks that never close": lambda n: cineflow(prompt_text="((a" * n),
    "parentheses": lambda n: cineflow(prompt_text="(" * n),
    "handles without end": lambda n: cineflow(prompt_text=" (@" * n),
    "a spoken line of spaces": lambda n: cineflow(dialogue=" " * n + ":x"),
    "a result of digits": lambda n: skyreels(input_video="/result/t/1_2020-01-01_" + "1" * n),
    "a result in any file": lambda n: json.dumps([{"input_video": "/result/t/1_2020-01-01_" + "1" * n}]),
    "pictures that are none": lambda n: skyreels(ref_imgs="a" * n),
    "pictures without commas": lambda n: skyreels(ref_imgs=".png" * n),
    "pictures of spaces": lambda n: skyreels(ref_imgs=" " * n),
    "dots in a label": lambda n: skyreels(label="·a " * n, audio_text="x"),
    "empty lines": lambda n: "\n" * n + "x",
    "a fence and spaces": lambda n: "# a\n```" + " " * n + "x",
    "fences that never close": lambda n: "# a\n" + "```json\n" * n,
    "quotes that never close": lambda n: '# a\n```json\n{"' + '\\"' * n + "\n```\n",
    "commas": lambda n: "# a\n```json\n{" + ", " * n + "\n```\n",
    "headings": lambda n: "#" * n,
}
PROMPTS: dict[str, Callable[[int], str]] = {
    "open braces": lambda n: "{" * n,
    "open choices": lambda n: "{a|" * n,
    "bars": lambda n: "|" * n,
    "underscores": lambda n: "_" * n,
    "half a name": lambda n: "__a_" * n,
}


def seconds(work: Callable[[], Any]) -> float:
    """Of this thread, the best of three: what other programs do meanwhile does not count."""
    took = []
    for _ in range(3):
        began = time.thread_time()
        with suppress(StudioError):
            work()
        took.append(time.thread_time() - began)
    return min(took)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_costs_the_square_of_its_length(name: str) -> None:
    small, large = HOSTILE[name](SMALL), HOSTILE[name](SMALL * GROWTH)
    assert seconds(lambda: parse(large)) < 3 * GROWTH * max(FLOOR, seconds(lambda: parse(small)))


def test_a_long_list_of_characters_is_looked_for_once() -> None:
    small, large = many_handles(SMALL), many_handles(SMALL * 2)
    assert seconds(lambda: parse(large)) < 3 * 2 * max(FLOOR, seconds(lambda: parse(small)))


@pytest.mark.parametrize("name", PROMPTS)
def test_no_prompt_costs_the_square_of_its_length(name: str, tmp_path: Path) -> None:
    wildcards = Wildcards(tmp_path)
    small, large = PROMPTS[name](SMALL // 10), PROMPTS[name](SMALL * GROWTH // 10)
    took = seconds(lambda: wildcards.expand(small, "1"))
    assert seconds(lambda: wildcards.expand(large, "1")) < 3 * GROWTH * max(FLOOR / 5, took)


def test_the_first_fence_with_json_is_read() -> None:
    text = (
        '# Title\n\n```python\nprint("[]")\n```\n~~~\nno json\n~~~\n```JSON  \r\n[{"prompt": "a, \\"b\\",",},]\r\n```\n'
    )
    assert content_of(text) == [{"prompt": 'a, "b",'}]


def test_a_scene_says_the_first_of_its_many_problems() -> None:
    scene = {"task_type": "text_to_video", "prompt": "x", **{f"field{n}": n for n in range(1000)}}
    assert len(parse(json.dumps([scene])).entries[0].problems) == MAX_SAID


# ------------------------------------------------------------------------------------------------ values
NAMES = sorted({
    "scenes", "jobs", "segments", "storyboard", "shots", "task_type", "prompt", "prompt_text", "narration", "scene_id",
    "title", "name", "status", "width", "height", "fps", "video_frames", "clip_seconds", "seed", "duration", "lines",
    "resolution", "asset", "characters", "props", "scene", "video_params", "dialogue", "image_url", "image_prompt",
    "audio_text", "voice_id", "audio_bg", "ref_imgs", "input_image", "input_video", "output_video", "bgm", "transition",
    "metadata", "character_bible", "id", "segment_index", "duration_seconds", "request", "speaker", "frame", "music",
    "effects", "trim_start", "director_intent", "cast", "defaults", "label",
})  # fmt: skip
ODD = st.sampled_from(
    [0, -1, 1, 10**400, -(10**400), 2**63, 5e-324, 1e308, True, None, "", " ", "\u0000", "\ud800", "{{prev}}", "²",
     "{{job:999999}}", "9" * 400, "1e999", "text_to_video", "talking_avatar", "result/t/1_2020-01-01_0.mp4", "((a))",
     "@", "a@b", "(@李)", "horizontal", "wipe", "x.mp3", "\u202egpj.exe", [], {}]
)  # fmt: skip
CONTENT = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None, database=None)
@given(CONTENT)
def test_any_content_is_read_or_refused(content: Any) -> None:
    try:
        parse(json.dumps(content))
    except StudioError as error:
        assert error.code


@pytest.mark.parametrize("field", ["width", "height", "clip_seconds", "video_frames", "fps"])
def test_a_number_that_nothing_has_is_left(field: str) -> None:
    content = {"storyboard": [{"scene_id": "a", "narration": "hi", "prompt": "p"}], "width": 9, "height": 9, "fps": 8,
               "video_frames": 8, field: 10**400}  # fmt: skip
    assert parse(json.dumps(content)).entries[0].scene is not None


@pytest.mark.parametrize("shape", [["vertical"], {"width": 9}, 9.16])
def test_a_shape_of_another_kind_is_a_problem_of_its_scene(shape: Any) -> None:
    content = {"segments": [{"prompt_text": "p", "resolution": shape}] * 2}
    episode = parse(json.dumps(content))
    assert [entry.scene for entry in episode.entries] == [None, None] and episode.head.frame is None
    assert {problem.field for entry in episode.entries for problem in entry.problems} == {"aspect"}
