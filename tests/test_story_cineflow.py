"""studio/story/cineflow.py: storyboards V1 and V2, read through the one door that reads episodes."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from studio.story.episode import Episode, parse
from studio.story.translation import Beside

V1 = {
    "_comment": "template",
    "segments": [
        {
            "segment_index": 1, "image_url": None,
            "prompt_text": "`小美@xiaomei `走进教室, meets `Li@li ` and Lina @lina.",
            "asset": {"characters": ["小美@xiaomei", "Li@li"], "scene": "教室", "props": ["书"]}, "duration_seconds": 5,
            "is_pro": True, "resolution": "vertical", "director_intent": "开场镜头",
        },
        {"segment_index": 2, "prompt_text": "写信到 mail@li.pt 的人", "resolution": "vertical"},
        {"segment_index": 3, "prompt_text": "on", "image_url": "https://x.example/a.png", "resolution": "vertical"},
    ],
}  # fmt: skip
V2 = {
    "metadata": {"project_name": "O vale", "global_summary": "…"},
    "character_bible": [
        {"id": "@ines", "name": "Inês", "aliases": ["ela"], "description": "28, cabelo curto", "voice_id": "pt_f"},
        {"id": "@ines2", "name": "Inês, a velha", "description": "", "voice_id": ""},
    ],
    "segments": [
        {
            "segment_index": 1, "beat_ref": "Beat 1: abertura", "source_text_chunk": "…", "dialogue": "“Bom dia.”",
            "prompt_text": "((Inês)) entra. ((Inês, a velha)) olha.", "video_params":
            {"duration": 5, "resolution": "horizontal", "camera_movement": "Slow push in"},
            "asset": {"characters": [{"name": "Inês", "id": "@ines"}], "scene": "Sala", "props": []},
        },
        {"segment_index": 2, "prompt_text": "x", "dialogue": "Tomás: Não vou.", "asset": {"characters": []}},
    ],
}  # fmt: skip


def beside(*names: str, lost: Collection[str] = ()) -> Beside:
    def first(wanted: Sequence[str]) -> str:
        return next((name for name in wanted if name in names), "")

    return Beside(first, lost)


def read(content: Any, *names: str, lost: Collection[str] = ()) -> Episode:
    episode = parse(json.dumps(content), beside(*names, lost=lost))
    assert episode.dialect == "cineflow"
    return episode


def scenes(content: Any, *names: str) -> list[Any]:
    episode = read(content, *names)
    assert not [entry.problems for entry in episode.entries if entry.problems]
    return [entry.scene for entry in episode.entries]


def notes(episode: Episode, index: int = 0) -> set[tuple[str, str]]:
    return {(note.field, note.code) for note in episode.entries[index].notes}


def segment(**more: Any) -> dict[str, Any]:
    return {"segments": [{"segment_index": 1, "prompt_text": "a lamp", "duration_seconds": 5, **more}]}


def test_their_own_template_is_taken() -> None:
    """It has five seconds, which their own check refuses."""
    first, second, third = scenes(V1)
    assert (first.task_type, first.duration, first.aspect) == ("text_to_video", 5, "9:16")
    assert (second.duration, second.aspect) == (10, "9:16")
    assert (third.task_type, third.input_image) == ("image_to_video", "https://x.example/a.png")
    assert [scene.label for scene in (first, second, third)] == ["1 · 开场镜头", "2", "3"]


def test_handles_go_and_names_stay() -> None:
    first, second, _ = scenes(V1)
    assert first.prompt == "小美 走进教室, meets Li and Lina."
    assert second.prompt == "写信到 mail@li.pt 的人"


def test_a_name_inside_a_name_is_left_alone() -> None:
    text = "Li@li_2 sees Li@li, (@li) and @lina"
    people = [{"name": "Li", "id": "@li"}]
    (scene,) = scenes(segment(prompt_text=text, asset={"characters": people}))
    assert scene.prompt == "Li sees Li, and"


def test_what_is_not_kept_is_said() -> None:
    episode = read(V1)
    assert notes(episode) == {("is_pro", "translated.dropped"), ("asset", "translated.no_pictures")}
    assert notes(episode, 1) == {("duration", "translated.default")}
    long = read(segment(director_intent="why " * 60))
    assert notes(long) == {("director_intent", "translated.dropped")} and long.entries[0].label == "1"


def test_a_film_of_upright_shots_stands_upright() -> None:
    frame = read(V1).head.frame
    assert frame and (frame.width, frame.height) == (720, 1280)
    assert read(V2).head.frame is None


def test_the_second_version_brings_its_cast_and_its_dialogue() -> None:
    episode = read(V2)
    assert episode.head.title == "O vale"
    assert [(row.name, row.voice, row.look) for row in episode.head.cast] == [
        ("Inês", "pt_f", "28, cabelo curto"), ("Inês, a velha", "", ""),
    ]  # fmt: skip
    first, second = (entry.scene for entry in episode.entries)
    assert first and second
    assert first.prompt == "Inês entra. Inês, a velha olha. Slow push in."
    assert [(line.character, line.text) for line in first.lines] == [("Inês", "Bom dia.")]
    assert [(line.character, line.text) for line in second.lines] == [("Tomás", "Não vou.")]
    assert first.label == "1 · Beat 1: abertura"


# ------------------------------------------------------------------------------------------------ pictures beside it
PEOPLE = {"characters": ["Inês @ines", "Tomás"], "scene": "Sala, noite", "props": ["lâmpada"]}
START, END = "asset/segment/1_start.png", "asset/segment/1_end.webp"
PICTURES = {
    "first frame": ([START], "image_to_video", [START]),
    "first and last frame": ([START, END], "image_to_video", [START, END]),
    "first frame without a part": (["asset/segment/segment-1.jpg"], "image_to_video", ["asset/segment/segment-1.jpg"]),
    "beside the file itself": (["1_start.png", "1.png"], "image_to_video", ["1_start.png"]),
    "the first frame wins": ([START, "asset/character/Tomás.png"], "image_to_video", [START]),
    "only a last frame": ([END], "reference_to_video", [END]),
    "only a grid": (["1_grid.png"], "reference_to_video", ["1_grid.png"]),
    "place first, then people": (
        ["asset/character/Tomás.png", "asset/scene/Sala, noite.png", "asset/character/Inês @ines.png"],
        "reference_to_video",
        ["asset/scene/Sala, noite.png", "asset/character/Inês @ines.png", "asset/character/Tomás.png"],
    ),
    "a name without its handle": (["asset/character/Inês.png"], "reference_to_video", ["asset/character/Inês.png"]),
    "nothing": ([], "text_to_video", []),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_beside_the_file_decide_the_task(name: str) -> None:
    there, task, refs = PICTURES[name]
    (scene,) = scenes(segment(asset=PEOPLE), *there)
    assert (scene.task_type, [item.ref for item in scene.inputs()]) == (task, refs)


def test_a_fifth_picture_is_left_out_and_said() -> None:
    names = [f"asset/props/p{number}.png" for number in range(5)]
    episode = read(segment(asset={"props": [f"p{number}" for number in range(5)]}), *names)
    scene = episode.entries[0].scene
    assert scene and [item.ref for item in scene.inputs()] == names[:4]
    assert notes(episode) == {("ref_imgs", "translated.dropped")}


def test_a_named_picture_that_nobody_has_can_be_done_without() -> None:
    content = segment(image_url="frames/1.png", asset={"characters": ["Tomás"]})
    assert notes(read(content)) == {("input_image", "translated.can_do_without")}
    episode = read(content, "asset/character/Tomás.png", lost={"frames/1.png"})
    scene = episode.entries[0].scene
    assert scene and [item.ref for item in scene.inputs()] == ["asset/character/Tomás.png"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a\\b", "a\0b", ""])
def test_names_that_are_no_file_names_are_never_asked_for(name: str) -> None:
    asked: list[str] = []

    def first(names: Sequence[str]) -> str:
        asked.extend(names)
        return ""

    parse(json.dumps(segment(asset={"characters": [name], "scene": name, "props": [name]})), Beside(first))
    assert all(asked.count(one) and ".." not in one and "\\" not in one and "\0" not in one for one in asked)
    assert {one.rpartition("/")[0] for one in asked} == {"", "asset/segment"}


# ------------------------------------------------------------------------------------------------ Markdown
def test_a_storyboard_in_a_fence_is_read_and_its_stray_commas_forgiven() -> None:
    block = '{"segments": [{"prompt_text": "a, ]b", "duration_seconds": 5,},],}'
    text = f"# 分镜\n\nSome words: nothing.\n\n```json\n{block}\n```\n"
    (entry,) = parse(text).entries
    assert entry.scene and (entry.scene.prompt, entry.scene.duration) == ("a, ]b", 5)  # type: ignore[attr-defined]


def test_headings_with_fields_are_segments() -> None:
    text = """# O vale
    ## Abertura
    - **prompt_text**: Inês entra: devagar
    - duration_seconds: 5
    - resolution: vertical
    - characters: Inês@ines、Tomás
    - is_pro: sim
    ## Notas
    - autor: alguém
    """
    episode = parse(text, beside("asset/character/Tomás.png"))
    (entry,) = episode.entries
    assert (episode.dialect, episode.head.title, entry.label) == ("cineflow", "O vale", "1 · Abertura")
    assert entry.scene and entry.scene.prompt == "Inês entra: devagar" and entry.scene.aspect == "9:16"
    assert [item.ref for item in entry.scene.inputs()] == ["asset/character/Tomás.png"]
    assert notes(episode) == {("is_pro", "translated.dropped")}


# ------------------------------------------------------------------------------------------------ what is wrong
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt_text": "  "}, "prompt"), ({"prompt_text": 7}, "prompt"), ({"duration_seconds": "long"}, "duration"),
        ({"resolution": "round"}, "aspect"), ({"duration_seconds": 0}, "duration"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named_and_the_rest_is(wrong: dict[str, Any], field: str) -> None:
    content = {"segments": [{"prompt_text": "a", "duration_seconds": 5} | wrong, {"prompt_text": "b"}, 7]}
    bad, good, none = read(content).entries
    assert [problem.field for problem in bad.problems] == [field]
    assert good.scene and none.problems[0].code == "scene.not_an_object"


@pytest.mark.parametrize(
    "asset", [None, 3, "x", [], {"characters": "Inês", "props": None}, {"characters": [None, 3, {}]}]
)
def test_an_odd_asset_breaks_nothing(asset: Any) -> None:
    assert scenes(segment(asset=asset))[0].prompt == "a lamp"
