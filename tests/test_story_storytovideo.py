"""studio/story/storytovideo.py: storyboards and shots, read through the one door that reads episodes."""

import json
from typing import Any

import pytest

from studio.story.episode import Episode, parse
from studio.story.translation import nearest_size

ITEM = {
    "scene_id": "s1",
    "title": "清晨的街道",
    "prompt": "morning street",
    "narration": "清晨，主角踏上旅程。",
    "bgm": "calm",
}
REQUEST = {
    "story": "…", "style": "movie", "scenes": 4, "width": 384, "height": 256, "img_steps": 4, "cfg_scale": 1.5,
    "fps": 12, "clip_seconds": 4.5, "video_frames": 60, "speaker": "female_1", "speed": 1.0,
}  # fmt: skip


def read(content: Any) -> Episode:
    episode = parse(json.dumps(content))
    assert episode.dialect == "storytovideo"
    assert not [entry.problems for entry in episode.entries if entry.problems]
    return episode


def notes(episode: Episode, index: int = 0) -> list[tuple[str, str]]:
    return [(note.field, note.code) for note in episode.entries[index].notes]


@pytest.mark.parametrize(
    "wrapped",
    [
        [ITEM], {"storyboard": [ITEM]}, {"shots": [ITEM]}, {"data": {"result": {"shots": [ITEM]}}},
        {"result": {"legacy": {"storyboard": [ITEM]}}},
    ],
)  # fmt: skip
def test_a_storyboard_is_found_wherever_their_answers_put_it(wrapped: Any) -> None:
    (entry,) = read(wrapped).entries
    assert entry.scene and (entry.label, entry.scene.prompt) == ("清晨的街道", "morning street")
    assert [(line.character, line.text) for line in entry.scene.lines] == [("旁白", "清晨，主角踏上旅程。")]


def test_what_is_said_around_the_items_holds_for_all() -> None:
    episode = read({**REQUEST, "storyboard": [ITEM, {**ITEM, "narration": "Once.", "duration_sec": 7}]})
    first, second = (entry.scene for entry in episode.entries)
    assert first and second and first.prompt == "movie, morning street"
    assert (first.resolution, first.aspect, first.duration, second.duration) == ("480P", "4:3", 4.5, 7)  # type: ignore[attr-defined]
    assert [(row.name, row.voice) for row in episode.head.cast] == [("Narrator", "female_1"), ("旁白", "female_1")]
    assert notes(episode) == [
        ("resolution", "translated.size"), ("options", "translated.dropped"),
        ("narration", "translated.narration"), ("bgm", "translated.dropped"),
    ]  # fmt: skip


def test_frames_and_their_rate_are_a_duration() -> None:
    (entry,) = read({"fps": 12, "video_frames": 60, "shots": [ITEM]}).entries
    assert entry.scene and entry.scene.duration == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wanted", "got", "said"),
    [("cut", "cut", False), ("Fade", "fade", False), ("crossfade", "dissolve", False), ("dissolve", "dissolve", False),
     ("wipe", "dissolve", True), ("zoom", "dissolve", True), ("kenburns", "dissolve", True), ("star", "cut", True)],
)  # fmt: skip
def test_transitions_become_ours(wanted: str, got: str, said: bool) -> None:
    episode = read([{"scene_id": 1, "prompt": "x", "transition": wanted}])
    scene = episode.entries[0].scene
    assert scene and scene.transition == got
    assert notes(episode) == ([("transition", "translated.transition")] if said else [])


def test_a_sound_file_is_the_music_and_a_wish_is_not() -> None:
    episode = read([{**ITEM, "bgm": "bed, calm.mp3"}])
    assert episode.head.music and episode.head.music.ref == "bed, calm.mp3"
    assert ("bgm", "translated.music") in notes(episode)
    assert read([ITEM]).head.music is None


def test_a_shot_with_a_picture_starts_from_it() -> None:
    episode = read({"shots": [{"shot_id": "a", "prompt": "x", "imagePath": "frames/a.png", "seed": 7}]})
    scene = episode.entries[0].scene
    assert scene and [item.ref for item in scene.inputs()] == ["frames/a.png"] and scene.seed == 7
    assert notes(episode) == [("input_image", "translated.can_do_without")]
    again = parse(json.dumps([{"shot_id": "a", "description": "y"}])).entries[0].scene
    assert again and again.prompt == "y" and not list(again.inputs())


@pytest.mark.parametrize("odd", [{}, {"data": {}}, {"result": {"legacy": {"storyboard": []}}}, {"shots": 3}])
def test_what_holds_no_items_is_not_theirs(odd: Any) -> None:
    with pytest.raises(Exception, match="episode"):
        parse(json.dumps(odd))


@pytest.mark.parametrize(
    ("size", "found"),
    [((384, 256), ("480P", "4:3")), ((512, 288), ("480P", "16:9")), ((1024, 576), ("720P", "16:9")),
     ((576, 1024), ("720P", "9:16")), ((640, 640), ("480P", "1:1")), ((960, 540), ("540P", "16:9")),
     ((4000, 2000), ("720P", "16:9"))],
)  # fmt: skip
def test_a_size_becomes_the_nearest_there_is(size: tuple[int, int], found: tuple[str, str]) -> None:
    assert nearest_size(*size) == found
