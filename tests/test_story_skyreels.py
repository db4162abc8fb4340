"""studio/story/skyreels.py: their queues, read through the one door that reads episodes."""

import json
from typing import Any

import pytest

from studio.errors import Refused
from studio.story.episode import Episode, parse
from studio.story.translation import Beside, speaker_in

MARKDOWN = """# EP01 · O Vale
Some words that are no field.

## C01 · Valen entra
- task_type: reference_to_video
- prompt: Valen walks in, slow: wide shot
- ref_imgs: imgs/ChatGPT Image 7 de mai, 00_51.png, imgs/b c.JPG
- duration: 4
- seed: 1001
- offload: sim

### C01 · Maya fala
- task_type: talking_avatar
- resolution: 540p
- input_image: maya.png
- audio_text: Olha só — ela voltou!
- voice_id: abc123

## Notas
- prompt: a block without a task is no scene
"""


def notes(episode: Episode) -> list[tuple[int, str, str]]:
    return [(entry.index, note.field, note.code) for entry in episode.entries for note in entry.notes]


def job(**fields: Any) -> dict[str, Any]:
    """As /nqueues exports it: every field of every task, and what the run left there."""
    empty = {"input_video": "", "input_image": "", "input_audio": "", "ref_imgs": [], "low_vram": False}
    return {
        "id": "7f",
        "nq_id": "q",
        "nq_job_index": 0,
        "status": "done",
        "output_video": "result/x.mp4",
        **empty,
        **fields,
    }


def test_a_markdown_queue_keeps_its_headings_as_labels() -> None:
    episode = parse(MARKDOWN)
    first, second = (entry.scene for entry in episode.entries)
    assert [entry.label for entry in episode.entries] == ["C01 · Valen entra", "C01 · Maya fala"]
    assert first and first.ref_imgs == ["imgs/ChatGPT Image 7 de mai, 00_51.png", "imgs/b c.JPG"]
    assert (first.duration, first.seed, first.profile) == (4, 1001, "auto")
    assert second and second.resolution == "480P"
    assert [(line.text, line.voice) for line in second.lines] == [("Olha só — ela voltou!", "abc123")]
    assert notes(episode) == [(1, "resolution", "translated.resolution"), (1, "audio_text", "translated.line")]
    assert not any(entry.problems for entry in episode.entries)


def test_a_markdown_queue_may_begin_with_a_byte_order_mark() -> None:
    assert [entry.label for entry in parse(("\ufeff" + MARKDOWN).encode()).entries][0] == "C01 · Valen entra"


def test_an_exported_queue_comes_back_with_its_name_music_and_links() -> None:
    queue = {
        "name": "EP001",
        "jobs": [
            job(task_type="reference_to_video", ref_imgs=["a.png"], seed="42", duration="4", audio_bg="m.mp3"),
            job(task_type="single_shot_extension", prompt="b", seed=-1, duration=5,
                input_video="result/vale/reference_to_video/42_2026-02-21_10-11-12.mp4"),
            job(task_type="single_shot_extension", prompt="c", duration=5,
                input_video="result/reference_to_video/99_2026-02-21_10-11-12.mp4"),
        ],
    }  # fmt: skip
    episode = parse(json.dumps(queue))
    assert not [entry.problems for entry in episode.entries if entry.problems]
    assert (episode.head.title, episode.head.music and episode.head.music.ref) == ("EP001", "m.mp3")
    first, second, third = (entry.scene for entry in episode.entries)
    assert first and second and third
    assert (first.seed, first.duration, second.seed) == (42, 4, None)
    assert second.input_video == "{{new:0}}"
    assert third.input_video.startswith("result/")  # nothing of this queue made it: it is looked for as a file
    assert notes(episode) == [
        (0, "audio_bg", "translated.music"), (1, "seed", "translated.seed"), (1, "input_video", "translated.reference"),
    ]  # fmt: skip


def test_a_recording_wins_over_the_text_it_was_made_from() -> None:
    spoken = job(task_type="talking_avatar", input_image="a.png", input_audio="a.mp3", audio_text="Oi", voice_id="v")
    scene = parse(json.dumps([spoken])).entries[0].scene
    assert scene and (scene.input_audio, scene.lines) == ("a.mp3", [])


@pytest.mark.parametrize("broken", [{"seed": "12x"}, {"duration": "long"}, {"task_type": ["a"]}, {"ref_imgs": 7}])
def test_what_cannot_be_read_is_still_named(broken: dict[str, Any]) -> None:
    wrong = {**job(task_type="reference_to_video", prompt="a", ref_imgs=["a.png"]), **broken}
    bad, good = parse(json.dumps([wrong, job(task_type="text_to_video", prompt="b")])).entries
    assert [problem.field.split(".")[0] for problem in bad.problems] == list(broken)
    assert good.scene and not good.problems


def test_our_own_file_is_not_taken_for_theirs() -> None:
    assert notes(parse(json.dumps([{"task_type": "text_to_video", "prompt": "a", "seed": 1}]))) == []
    assert [
        p.code
        for p in parse(json.dumps([{"task_type": "text_to_video", "prompt": "a", "seed": -1}])).entries[0].problems
    ]


# ------------------------------------------------------------------------------------------------ every field of theirs
FIELDS = {  # a job of each task with every field of their table filled in
    "reference_to_video": {"ref_imgs": ["a.png", "b, c.png"], "duration": 5},
    "single_shot_extension": {"input_video": "uploads/a.mp4", "duration": 10},
    "shot_switching_extension": {"input_video": "uploads/a.mp4", "duration": 5, "prompt": "[STATIC_CUT] x"},
    "talking_avatar": {"input_image": "a.png", "input_audio": "https://x.example/a.mp3", "resolution": "480P"},
}


@pytest.mark.parametrize("task", FIELDS)
def test_every_field_of_their_table_is_taken(task: str) -> None:
    shared = {"label": "A · ção", "prompt": "x", "resolution": "540P", "seed": 42, "offload": True, "low_vram": False}
    wanted = {"task_type": task, **shared, **FIELDS[task]}
    episode = parse(json.dumps(wanted))  # one object alone is a queue too
    (entry,) = episode.entries
    assert (episode.dialect, entry.problems, entry.notes) == ("skyreels", (), ())
    assert entry.scene
    found = entry.scene.model_dump()
    assert {name: found[name] for name in wanted if name not in ("offload", "low_vram")} == {
        name: value for name, value in wanted.items() if name not in ("offload", "low_vram")
    }


@pytest.mark.parametrize(
    ("word", "profile"),
    [*((on, "smallest") for on in ("true", "yes", "1", "sim", "Sim", True, 1)),
     *((off, "auto") for off in ("false", "não", "no", 0, ""))],
)  # fmt: skip
def test_their_switches_are_read_in_any_form(word: Any, profile: str) -> None:
    text = f"## A\n- task_type: text_to_video\n- prompt: x\n- offload: {word}\n- low_vram: {word}\n- in_cut: sim\n"
    scene = parse(text).entries[0].scene
    assert scene and scene.profile == profile and scene.in_cut is True


def test_names_with_commas_and_spaces_and_accents_are_whole_in_a_list_of_text() -> None:
    names = ["uploads/ChatGPT Image 25 de fev. de 2026, 00_51_49.png", "a, b, c.JPG", "Inês.webp", "小林, 正面.png"]
    for separator in (", ", ",", " , "):
        scene = (
            parse(json.dumps([job(task_type="reference_to_video", ref_imgs=separator.join(names))])).entries[0].scene
        )
        assert scene and [item.ref for item in scene.inputs()] == names


def test_a_queue_of_ours_keeps_its_head_when_a_scene_carries_their_flags() -> None:
    content = {
        "title": "Night", "frame": {"width": 640, "height": 360, "fps": 25}, "cast": [{"name": "Inês"}],
        "defaults": {"resolution": "480P"}, "music": {"ref": "a.mp3"},
        "scenes": [{"task_type": "text_to_video", "prompt": "x", "offload": True}],
    }  # fmt: skip
    episode = parse(json.dumps(content))
    head, scene = episode.head, episode.entries[0].scene
    assert (head.title, head.cast[0].name, head.frame and head.frame.fps, head.music and head.music.ref) == (
        "Night", "Inês", 25, "a.mp3",
    )  # fmt: skip
    assert scene and scene.resolution == "480P"


def test_an_export_leaves_what_nobody_here_knows_and_a_typing_error_is_named() -> None:
    (entry,) = parse(json.dumps([job(task_type="text_to_video", prompt="x", gpu_slot=3)])).entries
    assert entry.problems == () and [(note.field, note.code) for note in entry.notes] == [
        ("gpu_slot", "translated.dropped")
    ]
    (entry,) = parse(json.dumps([{"task_type": "text_to_video", "promt": "x", "offload": True}])).entries
    assert ("promt", "field.unknown") in [(problem.field, problem.code) for problem in entry.problems]


def test_a_field_of_another_task_is_left_behind_and_said() -> None:
    (entry,) = parse(json.dumps([job(task_type="reference_to_video", ref_imgs=["a.png"], input_video="b.mp4")])).entries
    assert entry.scene and [(note.field, note.code) for note in entry.notes] == [("input_video", "translated.dropped")]


def test_the_recording_of_a_scene_without_a_mouth_is_heard_under_it() -> None:
    """As their writer makes them: a voice is bought and laid under the clip."""
    jobs = [
        job(task_type="reference_to_video", ref_imgs=["a.png"], input_audio="b, c.mp3", audio_text="Oi", voice_id="v")
    ]
    (entry,) = parse(json.dumps(jobs)).entries
    assert entry.scene and [(sound.ref, sound.at, sound.level) for sound in entry.scene.effects] == [
        ("b, c.mp3", 0, -16)
    ]
    assert entry.scene.lines == [] and entry.problems == ()
    assert [(note.field, note.code) for note in entry.notes] == [
        ("input_audio", "translated.effect"), ("audio_text", "translated.recorded"),
        ("effects.0.ref", "translated.can_do_without"),
    ]  # fmt: skip
    again = parse(json.dumps(jobs), Beside(lost={"b, c.mp3"})).entries[0].scene
    assert again and again.effects == [] and [line.text for line in again.lines] == ["Oi"]


def test_the_files_of_all_their_queues_are_many_episodes() -> None:
    queue = {"id": 1, "name": "EP1", "jobs": [job(task_type="text_to_video", prompt="x")]}
    assert parse(json.dumps([queue])).head.title == "EP1"
    with pytest.raises(Refused) as refused:
        parse(json.dumps([queue, {**queue, "name": "EP2"}]))
    assert (refused.value.code, refused.value.params["names"]) == ("episode.many_queues", "EP1, EP2")


# ------------------------------------------------------------------------------------------------ references by result
def test_a_result_is_the_scene_that_made_it() -> None:
    def extension(video: str, **more: Any) -> dict[str, Any]:
        return job(task_type="single_shot_extension", prompt="x", duration=5, input_video=video, **more)

    def made(seed: int) -> str:
        return f"result/text_to_video/{seed}_2026-02-21_10-11-12.mp4"

    shot = {"task_type": "text_to_video", "prompt": "x", "id": 1}
    jobs = [
        {**shot, "seed": 7}, {**shot, "seed": 7}, extension(made(7)), {**shot, "seed": 7},
        extension("result/odd.mp4"), {**shot, "seed": 9, "output_video": "result/odd.mp4"}, extension(made(9)),
        extension(made(10)), {**shot, "seed": 10},
    ]  # fmt: skip
    refs = [list(entry.scene.inputs()) if entry.scene else [] for entry in parse(json.dumps(jobs)).entries]
    assert [[item.ref for item in row] for row in refs if row] == [
        ["{{new:1}}"], ["{{new:5}}"], ["{{new:5}}"], ["{{new:8}}"],
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------- what their writer adds
@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("C01-B · Valen — 'Foi mal.'", "Valen"), ("Inês — “Olá”", "Inês"), ("C2 | 小林 — 「你好」", "小林"),
        ("C02-C · Ana Luísa – 'Oi'", "Ana Luísa"), ("C01-A · Corredor — Estabelecimento", ""), ("'Iluminação'", ""),
        ("", ""), ("Lumi", ""),
    ],
)  # fmt: skip
def test_the_label_says_who_speaks_where_it_quotes_them(label: str, name: str) -> None:
    assert speaker_in(label) == name


def test_a_text_that_is_to_be_spoken_is_its_speakers_line() -> None:
    spoken = job(
        task_type="talking_avatar", label="C1 · Lumi — 'Oi'", input_image="a.png", audio_text="Oi", voice_id="v"
    )
    (entry,) = parse(json.dumps([spoken])).entries
    assert entry.scene and [(line.character, line.voice, line.text) for line in entry.scene.lines] == [
        ("Lumi", "v", "Oi")
    ]


def test_every_music_but_the_first_is_said_to_be_left_out() -> None:
    shots = [job(task_type="text_to_video", prompt="x", audio_bg=name) for name in ("", "a.mp3", "a.mp3", "b.mp3")]
    episode = parse(json.dumps([7, *shots]))
    assert episode.head.music and episode.head.music.ref == "a.mp3"
    assert notes(episode) == [(2, "audio_bg", "translated.music"), (4, "audio_bg", "translated.dropped")]


def test_a_described_picture_becomes_a_scene_and_references_count_anew() -> None:
    avatar = job(task_type="talking_avatar", prompt="x", resolution="480P", seed=5, label="B", audio_text="oi")
    jobs = [
        {**avatar, "image_prompt": "a face"},
        job(task_type="single_shot_extension", prompt="on", input_video="{{prev}}"),
        job(task_type="single_shot_extension", prompt="on", input_video="{{job:0}}#first"),
        {**avatar, "image_prompt": "another"},
        job(task_type="single_shot_extension", prompt="on", input_video="{{job:1}}"),
        job(task_type="single_shot_extension", prompt="on", input_video="{{job:77}}"),
    ]
    episode = parse(json.dumps(jobs))
    assert [entry.task_type for entry in episode.entries][:2] == ["text_to_image", "talking_avatar"]
    first = episode.entries[0].scene
    assert first and (first.prompt, first.seed, first.resolution, first.in_cut) == ("a face", 5, "480P", False)
    refs = [[item.ref for item in entry.scene.inputs()] for entry in episode.entries if entry.scene]
    assert refs == [
        [],
        ["{{new:0}}"],
        ["{{new:1}}"],
        ["{{new:1}}#first"],
        [],
        ["{{new:4}}"],
        ["{{new:2}}"],
        ["{{new:83}}"],
    ]
    assert [problem.code for problem in episode.entries[-1].problems] == ["reference.no_scene"]
    assert [(row, code) for row, _, code in notes(episode)] == [
        (0, "translated.image_prompt"), (1, "translated.line"), (4, "translated.image_prompt"), (5, "translated.line"),
    ]  # fmt: skip


def test_a_described_picture_that_is_there_needs_no_scene() -> None:
    shot = job(task_type="reference_to_video", prompt="x", image_prompt="a room", ref_imgs=["a.png", "b.png"])
    episode = parse(json.dumps([shot, job(task_type="text_to_video", prompt="x", image_prompt="a room")]))
    assert notes(episode) == [(0, "ref_imgs.0", "translated.can_make"), (1, "image_prompt", "translated.dropped")]
    made = parse(json.dumps([shot]), Beside(lost={"a.png"})).entries[1].scene
    assert made and [item.ref for item in made.inputs()] == ["{{new:0}}", "b.png"]
