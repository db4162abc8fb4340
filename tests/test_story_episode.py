"""The episode file: defaults, references, the peers' flags; and every way in which a file can be wrong."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.domain import SCENE_CLASSES, Frame
from studio.errors import Refused, StudioError, TooLarge
from studio.story.episode import MAX_SCENES, Entry, Head, dump, parse, sources
from studio.story.text import MAX_DEPTH, plain

SHOT = {"task_type": "text_to_video", "prompt": "a lamp"}
IMAGE = {"task_type": "text_to_image", "prompt": "a boat"}
SPEECH = {"task_type": "speech", "lines": [{"text": "hello"}]}
AVATAR = {"task_type": "talking_avatar", "input_image": "a.png"}
SWITCH = {"task_type": "shot_switching_extension", "input_video": "a.mp4"}
REFERENCES = {"task_type": "reference_to_video"}


def after(ref: str, task: str = "image_to_video", field: str = "input_image") -> dict[str, Any]:
    return {"task_type": task, field: ref, "prompt": "[STATIC_CUT] on"}


def entries(*scenes: Any, **head: Any) -> tuple[Entry, ...]:
    return parse(json.dumps({**head, "scenes": list(scenes)})).entries


def problems(*scenes: Any, **head: Any) -> list[tuple[int, str, str]]:
    """(scene, field, code) of everything that is wrong."""
    found = entries(*scenes, **head)
    return [(entry.index, problem.field, problem.code) for entry in found for problem in entry.problems]


def refused(text: bytes | str) -> StudioError:
    with pytest.raises(StudioError) as caught:
        parse(text)
    return caught.value


# ------------------------------------------------------------------------------------------------ the file as a whole
@pytest.mark.parametrize("wrapped", [SHOT, [SHOT], {"scenes": [SHOT]}, {"title": "T", "scenes": [SHOT]}])
def test_an_episode_is_an_object_a_list_or_one_scene(wrapped: Any) -> None:
    episode = parse(json.dumps(wrapped))
    assert len(episode.entries) == 1 and episode.entries[0].scene is not None
    assert episode.entries[0].scene.prompt == "a lamp"


def test_a_byte_order_mark_is_no_trouble() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps([SHOT]).encode()).entries[0].scene


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "episode.not_json"),
        ("{", "episode.not_json"),
        ("[{}]x", "episode.not_json"),
        (b"\xff\xfe[\x00]\x00", "episode.not_utf8"),
        (b'["\xe9"]', "episode.not_utf8"),
        ("null", "episode.not_an_episode"),
        ("3", "episode.not_an_episode"),
        ('"x"', "episode.not_an_episode"),
        ("{}", "episode.not_an_episode"),
        ('{"scenes": {}}', "episode.not_an_episode"),
        ('{"scenes": null}', "episode.not_an_episode"),
        ("[]", "episode.empty"),
        ('{"scenes": []}', "episode.empty"),
        ('[{"seed": NaN}]', "episode.bad_number"),
        ('[{"seed": -Infinity}]', "episode.bad_number"),
        ('[{"seed": ' + "9" * 5000 + "}]", "episode.bad_number"),
        ("[" * 100_000, "episode.too_deep"),
        ("[" * 500 + "]" * 500, "episode.too_deep"),
        ('[{"a":' * 60 + "1" + "}]" * 60, "episode.too_deep"),
        (json.dumps([SHOT] * (MAX_SCENES + 1)), "episode.too_many_scenes"),
        ('{"scenes": [{}], "hello": 1}', "episode.head"),
        ('{"scenes": [{}], "frame": {"width": 1e999}}', "episode.head"),
        ('{"scenes": [{}], "frame": 3}', "episode.head"),
        ('{"scenes": [{}], "frame": {"width": 129}}', "episode.head"),
        ('{"scenes": [{}], "music": "a.wav"}', "episode.head"),
        ('{"scenes": [{}], "defaults": []}', "episode.head"),
        ('{"scenes": [{}], "cast": [{"voice": "x"}]}', "episode.head"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(text: bytes | str, code: str) -> None:
    assert refused(text).code == code


def test_where_the_json_breaks_is_said() -> None:
    assert refused('[{"a": 1},\n {"b" 2}]').params == {"line": 2, "column": 7, "reason": "Expecting ':' delimiter"}


def test_a_head_that_is_wrong_names_its_field() -> None:
    error = refused('{"scenes": [{}], "frame": {"width": 129}}')
    assert error.params["field"] == "frame.width" and error.params["why"]["code"] == "field.multiple_of"


def test_a_file_without_end_is_not_read() -> None:
    error = refused(b" " * 20_000_001)
    assert isinstance(error, TooLarge) and error.code == "episode.too_large"


# ------------------------------------------------------------------------------------------------ defaults and flags
def test_defaults_fill_what_a_scene_leaves_open_and_what_its_task_has() -> None:
    defaults = {"resolution": "480P", "duration": 2, "seed": 7, "task_type": "text_to_video", "negative_prompt": "no"}
    shot, still, own = entries({"prompt": "a"}, IMAGE, {**SHOT, "seed": 8, "resolution": "540P"}, defaults=defaults)
    assert shot.scene and still.scene and own.scene
    assert (shot.scene.resolution, shot.scene.duration, shot.scene.seed) == ("480P", 2, 7)  # type: ignore[attr-defined]
    assert (still.scene.negative_prompt, still.problems) == ("no", ())  # an image has no duration, and needs none
    assert (own.scene.resolution, own.scene.seed) == ("540P", 8)


@pytest.mark.parametrize(
    ("flags", "profile"),
    [
        ({"offload": True}, "auto"),
        ({"low_vram": "true"}, "smallest"),
        ({"low_vram": "sim", "profile": "swap"}, "swap"),
        ({"offload": "yes", "profile": "swap"}, "swap"),
        ({"offload": "false", "low_vram": 0}, "auto"),
    ],
)
def test_the_peers_memory_flags_are_understood(flags: dict[str, Any], profile: str) -> None:
    (entry,) = entries({**SHOT, **flags})
    assert entry.scene and entry.scene.profile == profile


def test_flags_among_the_defaults_are_understood_too() -> None:
    assert problems(SHOT, IMAGE, defaults={"offload": True, "low_vram": "1"}) == []


def test_names_may_repeat() -> None:
    assert problems({**SHOT, "label": "same"}, {**SHOT, "label": "same"}) == []


# ------------------------------------------------------------------------------------------------ references
def read(*scenes: Any) -> list[list[int]]:
    return [[source for _, source in sources(entry.scene)] if entry.scene else [] for entry in entries(*scenes)]


def test_prev_is_the_nearest_scene_with_a_picture() -> None:
    assert read(SHOT, after("{{prev}}"), SPEECH, after("{{ prev }}#first")) == [[], [0], [], [1]]


def test_job_counts_from_zero_and_may_point_ahead() -> None:
    assert read(after("{{job:1}}#last"), SHOT, after("{{job:0}}")) == [[1], [], [0]]
    assert problems(after("{{job:1}}#last"), SHOT, after("{{job:0}}")) == []


def test_a_reference_keeps_its_frame() -> None:
    scene = entries(SHOT, after("{{prev}}#first"))[1].scene
    assert [item.ref for item in scene.inputs()] == ["{{new:0}}#first"] if scene else False


@pytest.mark.parametrize(
    ("scenes", "found"),
    [
        ([after("{{prev}}")], (0, "input_image", "reference.no_scene")),
        ([SPEECH, after("{{prev}}")], (1, "input_image", "reference.no_scene")),
        ([SHOT, after("{{job:2}}")], (1, "input_image", "reference.no_scene")),
        ([SHOT, after("{{job:999999}}")], (1, "input_image", "reference.no_scene")),
        ([SHOT, after("{{job:1}}")], (1, "input_image", "reference.circle")),
        ([SPEECH, after("{{job:0}}")], (1, "input_image", "reference.no_picture")),
        ([IMAGE, after("{{prev}}", "single_shot_extension", "input_video")], (1, "input_video", "input.kind")),
        ([SHOT, after("{{prev}}", "shot_switching_extension", "input_video")], None),
        ([SHOT, {**REFERENCES, "ref_imgs": ["{{prev}}", "{{job:0}}#first"]}], None),
        ([SHOT, {**REFERENCES, "ref_imgs": ["a", "{{job:9}}"]}], (1, "ref_imgs.1", "reference.no_scene")),
        ([SHOT, {**AVATAR, "input_image": "{{prev}}", "input_audio": "{{prev}}"}],
         (1, "input_audio", "input.kind")),
        ([SHOT, after("{{new:0}}")], (1, "input_image", "reference.unreadable")),
        ([SHOT, after("{{new:x}}")], (1, "input_image", "reference.unreadable")),
        ([SHOT, after("{{job:-1}}")], (1, "input_image", "reference.unreadable")),
        ([SHOT, after("{{job:99999999}}")], (1, "input_image", "reference.unreadable")),
        ([SHOT, after("{{prev}}#middle")], (1, "input_image", "reference.unreadable")),
    ],
)  # fmt: skip
def test_references_that_lead_nowhere_are_named(scenes: list[Any], found: tuple[int, str, str] | None) -> None:
    assert problems(*scenes) == ([found] if found else [])


def test_every_scene_of_a_circle_is_named() -> None:
    circle = [after("{{job:1}}"), after("{{job:2}}"), after("{{job:0}}"), after("{{job:0}}")]
    assert [found[0] for found in problems(*circle)] == [0, 1, 2]  # the fourth only reads one of them


def test_a_chain_or_a_ring_of_thousands_is_no_trouble() -> None:
    count = 4000
    chain = [SHOT, *([after("{{prev}}")] * (count - 1))]
    assert problems(*chain) == []
    backwards = [*(after(f"{{{{job:{number + 1}}}}}") for number in range(count - 1)), SHOT]
    assert problems(*backwards) == []
    ring = [after(f"{{{{job:{(number + 1) % count}}}}}") for number in range(count)]
    assert [found[0] for found in problems(*ring)] == list(range(count))


def test_two_rings_that_one_scene_joins_stay_two() -> None:
    two = [after("{{job:1}}"), after("{{job:0}}"), after("{{job:1}}"), after("{{job:4}}"), after("{{job:3}}")]
    two[3]["end_image"] = "{{job:2}}"
    assert problems(*two) == [
        (0, "input_image", "reference.circle"), (1, "input_image", "reference.circle"),
        (3, "input_image", "reference.circle"), (4, "input_image", "reference.circle"),
    ]  # fmt: skip


def test_an_avatar_of_540_lines_becomes_one_of_480_and_says_so() -> None:
    (entry,) = entries({**AVATAR, "resolution": "540P"})
    assert entry.scene and entry.scene.resolution == "480P"
    assert [(note.field, note.code) for note in entry.notes] == [("resolution", "translated.resolution")]
    (entry,) = entries(AVATAR, defaults={"resolution": "540p"})
    assert entry.scene and entry.scene.resolution == "480P"


# ------------------------------------------------------------------------------------------------ wrong scenes
WRONG = {
    "no scene": (3, "", "scene.not_an_object"),
    "nothing": (None, "", "scene.not_an_object"),
    "a list": ([SHOT], "", "scene.not_an_object"),
    "no task": ({"prompt": "a"}, "task_type", "field.missing"),
    "task of a peer": ({"task_type": "video_morph"}, "task_type", "field.unknown_task"),
    "task as number": ({"task_type": 7}, "task_type", "field.unknown_task"),
    "task as list": ({"task_type": ["speech"]}, "task_type", "field.unknown_task"),
    "no prompt": ({"task_type": "text_to_video"}, "prompt", "field.missing"),
    "null prompt": ({"task_type": "text_to_video", "prompt": None}, "prompt", "field.missing"),
    "prompt of blanks": ({**SHOT, "prompt": "  "}, "prompt", "field.empty"),
    "prompt as number": ({**SHOT, "prompt": 3}, "prompt", "field.not_text"),
    "prompt as list": ({**SHOT, "prompt": ["a"]}, "prompt", "field.not_text"),
    "prompt without end": ({**SHOT, "prompt": "a" * 10_001}, "prompt", "field.too_long"),
    "unknown field": ({**SHOT, "promt": "a"}, "promt", "field.unknown"),
    "seed below zero": ({**SHOT, "seed": -1}, "seed", "field.at_least"),
    "seed beyond 2^63": ({**SHOT, "seed": 2**63}, "seed", "field.at_most"),
    "seed beyond everything": ({**SHOT, "seed": 10**400}, "seed", "field.at_most"),
    "seed with a half": ({**SHOT, "seed": 1.5}, "seed", "field.not_whole"),
    "seed as word": ({**SHOT, "seed": "seven"}, "seed", "field.not_a_number"),
    "seed as object": ({**SHOT, "seed": {}}, "seed", "field.not_a_number"),
    "duration as word": ({**SHOT, "duration": "long"}, "duration", "field.not_a_number"),
    "no time": ({**SHOT, "duration": 0}, "duration", "field.above"),
    "too much time": ({**SHOT, "duration": 601}, "duration", "field.at_most"),
    "time without end": ({**SHOT, "duration": "inf"}, "duration", "field.not_a_number"),
    "size": ({**SHOT, "resolution": "8K"}, "resolution", "field.choice"),
    "avatar at 8K": ({**AVATAR, "resolution": "8K"}, "resolution", "field.choice"),
    "five references": ({**REFERENCES, "ref_imgs": list("abcde")}, "ref_imgs", "field.too_many"),
    "no reference": ({**REFERENCES, "ref_imgs": []}, "ref_imgs", "field.too_few"),
    "references as text": ({**REFERENCES, "ref_imgs": "a,b"}, "ref_imgs", "field.not_a_list"),
    "reference as number": ({**REFERENCES, "ref_imgs": [1]}, "ref_imgs.0", "field.not_text"),
    "empty reference": ({"task_type": "image_to_video", "input_image": ""}, "input_image", "field.empty"),
    "no cut": ({**SWITCH, "prompt": "b"}, "prompt", "field.cut_prefix"),
    "speech of nobody": ({"task_type": "speech", "lines": []}, "lines", "field.too_few"),
    "lines as text": ({"task_type": "speech", "lines": "hello"}, "lines", "field.not_a_list"),
    "line as text": ({"task_type": "speech", "lines": ["hello"]}, "lines.0", "field.not_an_object"),
    "line without text": ({"task_type": "speech", "lines": [{"text": ""}]}, "lines.0.text", "field.empty"),
    "no language": ({**SPEECH, "lines": [{"text": "a", "language": "x"}]}, "lines.0.language", "field.choice"),
    "options as list": ({**SHOT, "options": [1]}, "options", "field.not_an_object"),
    "options as number": ({**SHOT, "options": {"draft": 1}}, "options.draft", "field.not_an_object"),
    "engine with a path": ({**SHOT, "engine": "../x"}, "engine", "field.characters"),
    "in_cut as word": ({**SHOT, "in_cut": "perhaps"}, "in_cut", "field.not_a_switch"),
    "in_cut as list": ({**SHOT, "in_cut": []}, "in_cut", "field.not_a_switch"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_scene_is_named_by_field_and_the_others_are_understood(name: str) -> None:
    scene, field, code = WRONG[name]
    assert problems(SHOT, scene, SHOT) == [(1, field, code)]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {**SHOT, "seed": -1, "duration": 0, "resolution": "x"}
    assert {found[1] for found in problems(wrong)} == {"seed", "duration", "resolution"}


@pytest.mark.parametrize(
    "prompt",
    [
        'she says "no"', "it's 'so'", "🎬🌊 夜の海 👩‍👩‍👧", "${HOME} $(ls) `id` %s {0} {{x}}",
        "<img src=x onerror=alert(1)>", "a\\nb\n\tc",
    ],
)  # fmt: skip
def test_prompts_stay_what_they_are(prompt: str) -> None:
    (entry,) = entries({**SHOT, "prompt": prompt, "label": prompt})
    assert entry.scene and entry.scene.prompt == prompt and entry.scene.label == prompt


def test_half_an_emoji_and_numbers_beyond_all_machines_are_made_harmless() -> None:
    (entry,) = parse('[{"task_type": "text_to_video", "prompt": "a \\ud83d b", "label": "\\udc00"}]').entries
    assert entry.scene and (entry.scene.prompt, entry.scene.label) == ("a ? b", "?")
    assert plain({"\ud800": [float("inf"), float("nan"), 1.5, 10**30]}) == {"?": [None, None, 1.5, 10**30]}


# ------------------------------------------------------------------------------------------------ never an exception
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["{{prev}}", "{{job:0}}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({name for cls in SCENE_CLASSES.values() for name in cls.model_fields} | {"offload", "low_vram", "x"})
SCENES = st.dictionaries(st.sampled_from(FIELDS), JSONS, max_size=6).flatmap(
    lambda scene: st.sampled_from([*SCENE_CLASSES, "x"]).map(lambda task: {"task_type": task, **scene})
)


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.lists(SCENES | JSONS, max_size=4) | JSONS,
    st.dictionaries(st.sampled_from([*FIELDS, "title"]), JSONS, max_size=3),
)
def test_no_file_breaks_the_door(scenes: Any, defaults: dict[str, Any]) -> None:
    try:
        episode = parse(json.dumps({"defaults": defaults, "scenes": scenes}))
    except StudioError:
        return
    for entry in episode.entries:
        assert (entry.scene is not None) or entry.problems
        if entry.scene:
            entry.scene.model_dump_json()


@settings(max_examples=200, deadline=None, database=None)
@given(st.text() | st.binary())
def test_no_text_breaks_the_door(text: str | bytes) -> None:
    try:
        parse(text)
    except StudioError:
        return


@pytest.mark.parametrize("depth", range(MAX_DEPTH - 8, MAX_DEPTH + 3))
def test_depth_is_either_fine_or_too_deep(depth: int) -> None:
    text = json.dumps(SHOT)[:-1] + ', "options": {"x": {"y": ' + "[" * depth + "]" * depth + "}}}"
    try:
        (entry,) = parse(text).entries
    except Refused as error:
        assert error.code == "episode.too_deep"
    else:
        assert entry.scene and json.loads(entry.scene.model_dump_json())["options"]["x"]["y"] is not None


# ------------------------------------------------------------------------------------------------ and back
def test_a_file_leaves_out_what_is_not_said() -> None:
    assert dump(Head(), [SHOT]) == {"scenes": [SHOT]}
    written = dump(Head(title="T", frame=Frame(width=640, height=360)), [SHOT])
    assert parse(json.dumps(written)).head.frame == Frame(width=640, height=360)
