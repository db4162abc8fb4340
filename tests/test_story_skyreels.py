"""studio/story/skyreels.py: their queues, read through the one door that reads episodes."""

import json
from typing import Any

import pytest

from studio.story.episode import Episode, parse

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
