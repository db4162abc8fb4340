"""Preflight: each rule with a case that breaks it and one that does not; estimates, clock, room, gate, ten thousand."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from drawing import draw
from media_tools import clip
from pydantic import ValidationError
from starlette.testclient import TestClient

from studio.domain import Line, SceneAdapter
from studio.errors import Conflict
from studio.pipelines.base import Availability, Limits
from studio.service import Studio
from studio.service.estimates import Paces, Room, next_time, spread
from studio.service.preflight_rules import Item, with_circles
from studio.service.spoken import Speaking, fitted
from studio.story.episode import problems_of

SHOT = {"task_type": "text_to_video", "prompt": "a lighthouse", "duration": 2.0}
LONG = " ".join(["The storm is coming and the lamp is dark."] * 12)
Add = Callable[..., str]


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Night")["id"])


@pytest.fixture
def add(studio: Studio, queue: str) -> Add:
    """add(label="Lamp", …) -> the id of a new scene of the queue."""
    return lambda **values: str(studio.scenes.add(queue, {**SHOT, **values})["id"])


@pytest.fixture
def limited(instant: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """limited(end_image=False) changes what the instant engine can take."""
    return lambda **values: monkeypatch.setattr(instant.Instant, "limits", replace(Limits(), **values))


def found(studio: Studio, queue: str, **more: Any) -> list[tuple[int, str, str, str]]:
    """(number, level, code, field) of all that is found."""
    report = studio.preflight.queue(queue, **more)
    return [
        (scene["number"], problem["level"], problem["code"], problem["field"])
        for scene in report["scenes"]
        for problem in scene["problems"]
    ]


def test_a_wildcard_that_is_missing_is_found_and_left_out(studio: Studio, queue: str, add: Add) -> None:
    add()
    add(prompt="a __weather__ day")
    assert found(studio, queue) == [(2, "error", "wildcard.missing", "prompt")]
    with pytest.raises(Conflict):
        studio.runs.run(queue)
    assert studio.runs.run(queue, override=True)["queued"] == 1


# ------------------------------------------------------------------------------------------------ inputs
def test_an_input_that_is_gone_or_changed_is_an_error_and_one_that_was_touched_is_not(
    studio: Studio, queue: str, tmp_path: Path
) -> None:
    names = ("stays", "gone", "changed", "touched")
    paths = [draw(tmp_path / f"{name}.png", (64, 48 + 2 * n)) for n, name in enumerate(names)]
    for path in paths:
        scene = studio.scenes.parse(
            {"task_type": "image_to_video", "prompt": "x", "input_image": str(path)}, base=tmp_path, trusted=True
        )
        studio.scenes.add(queue, scene.model_dump())
    assert found(studio, queue) == []
    paths[1].unlink()
    draw(paths[2], (96, 48))
    os.utime(paths[3], (1, 1))
    assert found(studio, queue) == [
        (2, "error", "input.gone", "input_image"), (3, "error", "input.changed", "input_image"),
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_an_error(studio: Studio, add: Add, queue: str, picture: Path) -> None:
    ref = studio.library.adopt(picture)["ref"]
    add(task_type="image_to_video", input_image=ref)
    picture.chmod(0)
    assert found(studio, queue) == [(1, "error", "input.unreadable", "input_image")]


def test_a_lost_effect_is_only_a_warning(studio: Studio, queue: str, add: Add, tmp_path: Path) -> None:
    from media_tools import wav

    sound = wav(tmp_path / "door.wav")
    add(effects=[{"ref": studio.library.adopt(sound)["ref"]}])
    assert found(studio, queue) == []
    sound.unlink()
    assert found(studio, queue) == [(1, "warning", "input.gone", "effects.0.ref")]


# ------------------------------------------------------------------------------------------------ scenes that are read
def test_a_source_must_be_there_be_made_or_be_on_its_way(studio: Studio, queue: str, add: Add) -> None:
    first = add(label="Lamp")
    second = add(task_type="image_to_video", input_image=f"scene:{first}")
    assert found(studio, queue) == []
    assert found(studio, queue, only=[second]) == [(2, "error", "scene.blocked", "input_image")]
    studio.runs.run(queue, only=[first])
    assert found(studio, queue, only=[second]) == []  # it waits in the queue
    studio.drain()
    assert found(studio, queue, only=[second]) == []  # it has a take
    Path(studio.takes.file(studio.scenes.get(first)["take"]["id"])).unlink()
    assert found(studio, queue, only=[second]) == [(2, "error", "input.gone", "input_image")]
    studio.scenes.delete(first, force=True)
    assert found(studio, queue) == [(1, "error", "scene.input_gone", "input_image")]


def test_a_bad_scene_takes_its_readers_with_it_unless_it_has_a_take(studio: Studio, queue: str, add: Add) -> None:
    bad = add(duration=5, engine="instant", options={"instant": {"gray": 3}})
    reader = add(task_type="image_to_video", input_image=f"scene:{bad}")
    add(task_type="image_to_video", input_image=f"scene:{reader}")
    assert found(studio, queue) == [
        (1, "error", "engine.options", "options.instant.gray"), (2, "error", "reference.bad_scene", "input_image"),
        (3, "error", "reference.bad_scene", "input_image"),
    ]  # fmt: skip
    studio.scenes.edit(bad, {"options": {}})
    studio.runs.run(queue, only=[bad])
    studio.drain()
    studio.scenes.edit(bad, {"options": {"instant": {"gray": 3}}})
    assert found(studio, queue) == [(1, "error", "engine.options", "options.instant.gray")]


def test_circles_are_named_and_what_hangs_on_them_is_not() -> None:
    items = {key: Item(key, number, "", "", None) for number, key in enumerate("abcdef", start=1)}
    reads = {"a": [("x", "b")], "b": [("x", "c")], "c": [("x", "a")], "d": [("x", "a")], "b2": [], "e": [("x", "e")]}
    checked = with_circles(items, {key: reads.get(key, []) for key in items})
    wrong = {key: [f.problem.params["number"] for f in item.findings] for key, item in checked.items() if item.findings}
    assert wrong == {"a": [2], "b": [3], "c": [1], "e": [5]}


# ------------------------------------------------------------------------------------------------ the engine's rules
def references(*pictures: str) -> dict[str, Any]:
    return {"task_type": "reference_to_video", "ref_imgs": list(pictures)}


@pytest.mark.parametrize(
    ("limits", "scene", "code"),
    [
        ({"seconds": {"text_to_video": (1, 3)}}, {"duration": 4}, "engine.limit_seconds"),
        ({"resolutions": ("480P",)}, {"resolution": "720P"}, "engine.limit_resolution"),
        ({"end_image": False}, {"task_type": "image_to_video", "end_image": "PICTURE"}, "engine.no_end_image"),
        ({"references": (2, 3)}, references("PICTURE"), "engine.needs_references"),
        ({"references": (1, 1)}, references("PICTURE", "PICTURE"), "engine.limit_references"),
        ({"languages": ("en",)}, {"lines": [{"text": "走吧。", "language": "zh"}]}, "engine.limit_language"),
    ],
)  # fmt: skip
def test_rules_of_the_engine(
    studio: Studio, queue: str, add: Add, limited: Any, picture: Path, limits: Any, scene: Any, code: str
) -> None:
    ref = studio.library.adopt(picture)["ref"]
    values = json.loads(json.dumps(scene).replace("PICTURE", ref))
    if values.get("task_type") == "image_to_video":
        values["input_image"] = ref
    add(**values)
    studio.queues.update(queue, {"allow_draft": False})  # which would speak for the one that cannot
    assert found(studio, queue) == []
    limited(**limits)
    assert [(level, what) for _, level, what, _ in found(studio, queue)] == [("error", code)]


LEFT, RIGHT = [0.0, 0.0, 0.4, 1.0], [0.6, 0.0, 1.0, 1.0]
TWO = [{"character": "Inês", "text": "Now."}, {"character": "Tomás", "text": "Not yet."}]


@pytest.mark.parametrize(
    ("limits", "scene", "code", "field"),
    [
        ({}, {"lines": TWO}, "engine.limit_speakers", "lines"),
        ({"speakers": 2}, {"lines": [*TWO, {"character": "Lin", "text": "Why?"}]}, "engine.limit_speakers", "lines"),
        ({"speakers": 2}, {"lines": TWO[:1], "speaker_boxes": [LEFT, RIGHT]}, "avatar.boxes_count", "speaker_boxes"),
        ({"speakers": 2}, {"lines": TWO, "speaker_boxes": [LEFT, RIGHT]}, None, ""),
        ({}, {}, "avatar.silent", "input_audio"),
        ({}, {"lines": TWO[:1], "input_image": None, "input_video": "VIDEO"}, "engine.no_avatar_video", "input_video"),
        ({"avatar_video": True}, {"lines": TWO[:1], "input_image": None, "input_video": "VIDEO"}, None, ""),
    ],
)  # fmt: skip
def test_who_speaks_must_suit_the_engine(
    studio: Studio, queue: str, add: Add, limited: Any, picture: Path, tmp_path: Path, limits: Any, scene: Any,
    code: str | None, field: str,
) -> None:  # fmt: skip
    limited(speakers=9, avatar_video=True)
    video = studio.library.adopt(clip(tmp_path / "people.mp4"))["ref"]
    values = json.loads(json.dumps(scene).replace("VIDEO", video))
    add(
        **{"task_type": "talking_avatar", "duration": None, "input_image": studio.library.adopt(picture)["ref"]}
        | values
    )
    limited(**limits)
    errors = [(what, where) for _, level, what, where in found(studio, queue) if level == "error"]
    assert errors == ([(code, field)] if code else [])


def test_boxes_of_two_people_do_not_overlap() -> None:
    with pytest.raises(ValidationError) as raised:
        SceneAdapter.validate_python(
            {"task_type": "talking_avatar", "input_image": "asset:1", "speaker_boxes": [LEFT, [0.3, 0.2, 0.9, 1.0]]}
        )
    assert [problem.code for problem in problems_of(raised.value)] == ["field.boxes_overlap"]


def test_a_recording_must_fit_the_engine(
    studio: Studio, queue: str, add: Add, limited: Any, picture: Path, tmp_path: Path
) -> None:
    from media_tools import wav

    sound = studio.library.adopt(wav(tmp_path / "said.wav", seconds=3))["ref"]
    add(task_type="talking_avatar", duration=None, input_image=studio.library.adopt(picture)["ref"], input_audio=sound)
    assert found(studio, queue) == []
    assert studio.preflight.queue(queue)["scenes"][0]["duration"] == pytest.approx(3, abs=0.1)
    limited(audio=(0.4, 2.0))
    assert found(studio, queue) == [(1, "error", "engine.limit_audio", "input_audio")]


def test_a_clip_must_be_long_enough_to_go_on_from(
    studio: Studio, queue: str, add: Add, limited: Any, tmp_path: Path
) -> None:
    from media_tools import clip

    short = studio.library.adopt(clip(tmp_path / "short.mp4", num_frames=24))["ref"]
    made = add(duration=0.5)
    add(task_type="single_shot_extension", input_video=short)
    add(task_type="single_shot_extension", input_video=f"scene:{made}")  # which is going to be made
    assert found(studio, queue) == []
    limited(clip_frames={0: 24})
    assert found(studio, queue) == []
    limited(clip_frames={0: 9, 2: 25})
    assert found(studio, queue) == [(2, "error", "preflight.clip_short", "input_video")]
    (problem,) = studio.preflight.queue(queue)["scenes"][1]["problems"]
    assert (problem["params"]["seconds"], problem["params"]["needed"]) == (1.0, 1.04)
    studio.runs.run(queue, override=True)
    studio.drain()
    other = str(studio.queues.create("Next")["id"])
    studio.scenes.add(other, {**SHOT, "task_type": "single_shot_extension", "input_video": f"scene:{made}"})
    assert found(studio, other) == [(1, "error", "preflight.clip_short", "input_video")]


def test_what_a_scene_needs_of_a_clip_goes_by_its_length() -> None:
    limits = Limits(clip_frames={2: 9, 3: 17, 4: 25, 5: 33})
    assert [limits.of_clip(seconds) for seconds in (0.3, 2.0, 2.9, 3.0, 4.99, 5.0, 9.0)] == [9, 9, 9, 17, 25, 33, 33]
    assert Limits().of_clip(5.0) == 0 and Limits(clip_frames={0: 25}).of_clip(1.0) == 25


def test_a_frame_rule_is_told_where_it_changes_the_length(studio: Studio, queue: str, add: Add, limited: Any) -> None:
    add(duration=2.0)
    limited(frame_step=4)
    assert found(studio, queue) == []  # 49 frames instead of 48
    limited(frame_step=40)
    assert found(studio, queue) == [(1, "info", "preflight.frames", "duration")]
    assert studio.preflight.queue(queue)["scenes"][0]["problems"][0]["params"]["frames"] == 81


def test_eight_bit_is_asked_for_where_weights_are(
    studio: Studio, queue: str, add: Add, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(profile="stream8")
    assert found(studio, queue) == []  # a CPU engine has no profile
    monkeypatch.setattr(instant.Instant, "lane", "gpu")
    assert found(studio, queue) == [(1, "error", "preflight.eight_bit", "profile")]
    assert studio.preflight.queue(queue)["asks"]["allow_8bit"] == {"value": False, "scenes": 1}
    studio.queues.update(queue, {"allow_8bit": True})
    assert found(studio, queue) == []


# ------------------------------------------------------------------------------------------------ who makes it
def test_who_makes_it_and_why(
    studio: Studio, queue: str, add: Add, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    add(engine="draft")

    def chosen() -> list[tuple[str, str]]:
        return [(scene["engine"], scene["why"]["id"]) for scene in studio.preflight.queue(queue)["scenes"]]

    assert chosen() == [("instant", "ready"), ("draft", "named")]
    lacking = Availability("needs_download", bytes=3_000_000_000, licence="MIT")
    monkeypatch.setattr(instant.Instant, "availability", lambda self, machine: lacking)
    report = studio.preflight.queue(queue)
    assert chosen() == [("draft", "stand_in"), ("draft", "named")]
    assert report["scenes"][0]["why"]["passed"][-1] == "instant"
    assert report["asks"]["allow_draft"] == {"value": True, "scenes": 1} and report["asks"]["open"]
    studio.queues.update(queue, {"allow_draft": False, "asked": True})
    assert found(studio, queue) == [(1, "error", "engine.only_draft", "engine")]
    assert not studio.preflight.queue(queue)["asks"]["open"]
    add(engine="instant")
    assert found(studio, queue)[1:] == [(3, "error", "engine.needs_download", "engine")]


def test_an_engine_that_costs_money_waits_for_consent(
    studio: Studio, queue: str, add: Add, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(engine="instant")
    add()
    monkeypatch.setattr(instant.Instant, "costs_money", True)
    assert found(studio, queue) == [(1, "error", "engine.costs_money", "engine")]
    assert studio.preflight.queue(queue)["scenes"][1]["engine"] == "draft"
    studio.queues.update(queue, {"allow_paid": True})
    assert found(studio, queue) == []
    assert studio.preflight.queue(queue)["scenes"][1]["why"]["id"] == "paid"


# ------------------------------------------------------------------------------------------------ speech
def test_speech_that_does_not_fit(studio: Studio, queue: str, add: Add, limited: Any) -> None:
    studio.queues.update(queue, {"split_long": False})
    limited(seconds={"text_to_video": (0.2, 20.0)})
    add(duration=5, lines=[{"text": "The storm is coming."}])
    add(duration=5, lines=[{"text": LONG}])
    assert found(studio, queue) == [(2, "error", "preflight.speech_long", "lines")]


def test_speech_that_may_not_fit_is_a_warning(studio: Studio, queue: str, add: Add, limited: Any) -> None:
    seconds = fitted(LONG, "en") + 0.7
    limited(seconds={"text_to_video": (0.2, seconds * 1.02)})
    add(duration=seconds, lines=[{"text": LONG}])
    assert found(studio, queue) == [(1, "warning", "preflight.speech_tight", "lines")]


def test_a_scene_that_grows_says_by_how_much(studio: Studio, queue: str, add: Add) -> None:
    add(duration=2.0, lines=[{"text": "The storm is coming, grandfather."}])
    add(duration=1.0, lines=[{"text": LONG}])
    scenes = studio.preflight.queue(queue)["scenes"]
    assert [(p["level"], p["code"]) for scene in scenes for p in scene["problems"]] == [
        ("info", "preflight.grows"), ("warning", "preflight.grows"),
    ]  # fmt: skip
    params = scenes[0]["problems"][0]["params"]
    assert params["more"] == pytest.approx(scenes[0]["duration"] - 2.0, abs=0.1) and params["wished"] == 2.0


def test_a_voice_take_counts_exactly_until_its_line_changes(studio: Studio, queue: str, add: Add) -> None:
    scene = add(duration=1.0, lines=[{"text": "a" * 100}])  # the instant engine says 0.05 s a letter
    studio.runs.run(queue)
    studio.drain()
    (row,) = studio.preflight.queue(queue, only=[scene])["scenes"]
    assert row["exact"] and row["duration"] == pytest.approx(5.0 + 0.7, abs=0.05)
    line = studio.scenes.get(scene)["scene"]["lines"][0]
    studio.scenes.edit(scene, {"lines": [{**line, "text": "b" * 100}]})
    assert not studio.preflight.queue(queue, only=[scene])["scenes"][0]["exact"]


def test_the_voice_of_a_line_must_still_be_there(studio: Studio, queue: str, add: Add) -> None:
    scene = add(lines=[{"text": "Now."}])
    studio.runs.run(queue)
    studio.drain()
    assert found(studio, queue, only=[scene]) == []
    for path in studio.settings.output_dir.rglob("*.wav"):
        path.unlink()
    assert found(studio, queue, only=[scene]) == [(1, "error", "preflight.voice_gone", "lines.0")]


def test_a_restart_speaks_a_lost_voice_again(studio: Studio, queue: str, add: Add) -> None:
    add(lines=[{"text": "Now."}])
    studio.runs.run(queue)
    studio.drain()
    for path in studio.settings.output_dir.rglob("*.wav"):
        path.unlink()
    assert studio.runs.restart(queue)["jobs"] == 2


def test_this_machines_own_voices_correct_the_estimate() -> None:
    line = Line(text="The storm is coming, grandfather.")
    plain = Speaking([]).estimate(line)
    assert plain.low < plain.seconds == fitted(line.text, "en") < plain.high
    twice = [{"text": line.text, "language": None, "duration": 2 * plain.seconds} for _ in range(9)]
    assert Speaking(twice).estimate(line).seconds == pytest.approx(2 * plain.seconds)
    assert Speaking(twice[:3]).estimate(line).seconds == plain.seconds  # too few to be believed
    assert Speaking(twice).estimate(Line(text="走吧，爷爷。")).seconds == fitted("走吧，爷爷。", "zh")


def test_nothing_to_say_is_an_error(studio: Studio, queue: str, add: Add) -> None:
    add(lines=[{"text": "🙂🙂"}])
    assert found(studio, queue) == [(1, "error", "speech.nothing_to_say", "lines.0")]


# ------------------------------------------------------------------------------------------------ time
class Past:
    """A history of runs: (width, height, frames, seconds)."""

    def __init__(self, *runs: tuple[int, int, int, float]) -> None:
        self._runs = [dict(zip(("width", "height", "num_frames", "seconds"), run, strict=True)) for run in runs]

    def runs(self, engine: str, task: str) -> list[dict[str, Any]]:
        return self._runs


def test_an_estimate_scales_with_pixels_and_frames() -> None:
    paces = Paces(Past((1000, 1000, 10, 20.0), (500, 1000, 10, 10.0), (1000, 1000, 20, 40.0)))  # type: ignore[arg-type]
    once, twice = paces.job("x", "gpu", "t", 10.0), paces.job("x", "gpu", "t", 20.0)
    assert once.median == pytest.approx(20) and twice.median == pytest.approx(40) and not once.guess


def test_the_range_is_that_of_most_runs() -> None:
    span = spread([float(n) for n in range(1, 22)])
    assert (span.low, span.median, span.high) == (3.0, 11.0, 19.0)


def test_a_voice_is_not_scaled_and_without_history_it_is_a_guess() -> None:
    voice = Paces(Past((0, 0, 0, 3.0), (0, 0, 0, 5.0))).job("x", "cpu", "speech", 0.0)  # type: ignore[arg-type]
    assert voice.median == 4.0 and not voice.guess
    guess = Paces(Past()).job("x", "gpu", "t", 10.0)  # type: ignore[arg-type]
    assert guess.guess and guess.low < guess.median < guess.high


def test_history_takes_the_guess_away(studio: Studio, queue: str, add: Add) -> None:
    add()
    assert studio.preflight.queue(queue)["time"]["seconds"]["guess"]
    studio.runs.run(queue)
    studio.drain()
    add(duration=4.0)
    time_ = studio.preflight.queue(queue)["time"]
    assert not time_["seconds"]["guess"] and time_["seconds"]["median"] >= 0


def test_lanes_run_side_by_side(
    studio: Studio, queue: str, add: Add, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(engine="draft"), add(engine="draft"), add(engine="instant")
    together = studio.preflight.queue(queue)["time"]
    monkeypatch.setattr(instant.Instant, "lane", "gpu")
    apart = studio.preflight.queue(queue)["time"]
    assert set(together["lanes"]) == {"cpu"} and set(apart["lanes"]) == {"cpu", "gpu"}
    assert apart["seconds"]["median"] == max(lane["median"] for lane in apart["lanes"].values())


def test_what_waits_elsewhere_goes_before(studio: Studio, queue: str, add: Add) -> None:
    add()
    other = str(studio.queues.create("Later")["id"])
    studio.scenes.add(other, SHOT)
    studio.runs.run(other)
    assert studio.preflight.queue(queue)["time"]["ahead"]["median"] == 0  # it comes after this one
    studio.queues.update(other, {"priority": 2})
    assert studio.preflight.queue(queue)["time"]["ahead"]["median"] > 0
    studio.runs.pause(other)
    assert studio.preflight.queue(queue)["time"]["ahead"]["median"] == 0


@pytest.mark.parametrize(
    ("after", "clock", "hours"),
    [("22:00", "07:00", 9.0), ("06:00", "07:00", 1.0), ("07:00", "07:00", 24.0), ("23:59", "00:00", 1 / 60)],
)
def test_the_next_time_of_the_clock(after: str, clock: str, hours: float) -> None:
    hour, minute = map(int, after.split(":"))
    start = datetime(2026, 3, 10, hour, minute).astimezone()
    assert (next_time(clock, start) - start) == timedelta(hours=hours)


def test_ready_by_is_checked_over_midnight_and_from_the_start_time(
    studio: Studio, queue: str, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(), studio.queues.update(queue, {"ready_by": "07:00"})
    evening = datetime(2026, 3, 10, 23, 0).astimezone()
    monkeypatch.setattr(studio.preflight, "_clock", lambda: evening)
    told = studio.preflight.queue(queue)["time"]
    assert told["ready_by_ok"] is True and told["due"].startswith("2026-03-11T07:00")
    starts = datetime(2026, 3, 11, 6, 59, 59).astimezone()
    studio.queues.update(queue, {"starts_at": starts.astimezone(UTC).isoformat()})
    report = studio.preflight.queue(queue)
    assert report["time"]["ready_by_ok"] is False and report["time"]["due"].startswith("2026-03-11T07:00")
    assert [problem["code"] for problem in report["problems"]] == ["preflight.late"]
    assert report["ok"] and not report["clean"]
    studio.queues.update(queue, {"starts_at": (starts + timedelta(minutes=5)).astimezone(UTC).isoformat()})
    assert studio.preflight.queue(queue)["time"]["due"].startswith("2026-03-12T07:00")


# ------------------------------------------------------------------------------------------------ room
def test_room_is_learnt_from_takes_of_that_size() -> None:
    row = {"engine": "e", "kind": "video", "width": 640, "height": 360, "duration": 2.0, "bytes": 1000}
    room = Room([row])
    assert room.take("e", "video", (640, 360), 4.0, 24) == (2000.0, False)
    small, guess = room.take("e", "video", (1280, 720), 4.0, 24)
    assert guess and room.take("e", "video", (1280, 720), 8.0, 24)[0] == 2 * small


@pytest.mark.parametrize(("free", "level"), [(10**12, None), (2 * 10**9, "warning"), (10, "error")])
def test_a_disk_that_is_too_small(
    studio: Studio, queue: str, add: Add, monkeypatch: pytest.MonkeyPatch, free: int, level: str | None
) -> None:
    add()
    monkeypatch.setattr(studio.preflight, "_free", lambda path: free)
    report = studio.preflight.queue(queue)
    assert [problem["level"] for problem in report["problems"]] == ([level] if level else [])
    assert report["disk"]["ok"] is (level is None) and report["ok"] is (level != "error")


# ------------------------------------------------------------------------------------------------ the gate
def test_a_run_starts_clean_or_overridden(studio: Studio, client: TestClient, queue: str, add: Add) -> None:
    good, bad = add(label="Lamp"), add(label="Reef", options={"instant": {"gray": 1}}, engine="instant")
    answer = client.post(f"/queues/{queue}/run")
    error = answer.json()["error"]
    assert answer.status_code == 409 and error["code"] == "preflight.errors"
    assert (error["params"]["count"], error["params"]["total"]) == (1, 2)
    assert "Reef" in error["message"] and error["params"]["address"] == f"/api/queues/{queue}/preflight"
    assert [card["state"] for card in client.get(f"/queues/{queue}").json()["scenes"]] == ["draft", "draft"]
    assert client.get(error["params"]["address"].removeprefix("/api")).json()["counts"]["errors"] == 1
    assert client.post(f"/queues/{queue}/run", json={"override": True}).json() == {
        "queued": 1, "jobs": 1, "left_out": [bad],
    }  # fmt: skip
    studio.drain()
    assert studio.scenes.get(good)["state"] == "done" and studio.scenes.get(bad)["state"] == "draft"


def test_a_retry_may_leave_out_what_cannot_run(
    studio: Studio, client: TestClient, queue: str, add: Add, picture: Path
) -> None:
    add(prompt="fail")
    lost = add(task_type="image_to_video", prompt="fail", input_image=studio.library.adopt(picture)["ref"])
    studio.runs.run(queue)
    studio.drain()
    picture.unlink()
    assert client.post(f"/queues/{queue}/retry").status_code == 409
    assert client.post(f"/queues/{queue}/retry", json={"override": True}).json()["left_out"] == [lost]


def test_a_clean_run_just_runs(studio: Studio, queue: str, add: Add) -> None:
    add()
    assert studio.runs.run(queue)["queued"] == 1


def test_one_scene_that_cannot_run_says_why(studio: Studio, queue: str, add: Add) -> None:
    scene = add(engine="instant", options={"instant": {"gray": 1}})
    with pytest.raises(Conflict) as refused:
        studio.scenes.run(scene)
    assert refused.value.code == "preflight.errors" and refused.value.params["field"] == "options.instant.gray"


# ------------------------------------------------------------------------------------------------ faces
def test_the_report_is_in_words(studio: Studio, client: TestClient, queue: str, add: Add) -> None:
    add(lines=[{"text": "🙂"}])
    english = client.get(f"/queues/{queue}/preflight").json()["scenes"][0]
    chinese = client.get(f"/queues/{queue}/preflight?lang=zh").json()["scenes"][0]
    assert english["problems"][0]["message"] and english["problems"][0]["hint"] and english["why"]["message"]
    assert chinese["problems"][0]["message"] != english["problems"][0]["message"]
    assert client.get("/queues/nope/preflight").status_code == 404


def test_an_episode_file_is_judged_before_it_is_imported(client: TestClient) -> None:
    scenes = [SHOT, {**SHOT, "duration": 1, "lines": [{"text": LONG}]}, {"task_type": "nope"}]
    told = client.post("/queues/check", content=json.dumps(scenes)).json()["preflight"]
    assert told["counts"] == {"total": 3, "ok": 1, "warnings": 1, "errors": 1, "done": 0}
    assert [scene["level"] for scene in told["scenes"]] == ["ok", "warning", "error"]
    assert told["scenes"][1]["problems"][0]["message"] and told["time"]["seconds"]["guess"]


def test_an_episode_says_which_three_media_are_missing(studio: Studio, picture: Path) -> None:
    scenes = [
        {"task_type": "image_to_video", "prompt": "x", "input_image": name}
        for name in ("a.png", "b.png", "a.png", "c.png", "d.png")
    ]
    told = studio.preflight.episode(json.dumps(scenes), base=picture.parent, trusted=True)
    missing = [problem["params"]["name"] for scene in told["scenes"] for problem in scene["problems"]]
    assert missing == ["b.png", "c.png", "d.png"]


# ------------------------------------------------------------------------------------------------ size
def _timed(studio: Studio, count: int) -> float:
    """Seconds of CPU for a queue of `count` scenes: every third speaks, every fourth reads the one before."""
    scenes = [{**SHOT, "lines": [{"text": f"Line {n}."}] if n % 3 == 0 else []} for n in range(count)]
    for n in range(1, count, 4):
        scenes[n] = {"task_type": "image_to_video", "prompt": "x", "input_image": "{{prev}}"}
    made = studio.episodes.import_file(json.dumps(scenes))["queue"]["id"]
    start = time.process_time()
    report = studio.preflight.queue(made)
    took = time.process_time() - start
    assert report["counts"]["total"] == count and report["counts"]["errors"] == 0
    return took


def test_ten_thousand_scenes_cost_as_much_each_as_five_hundred(studio: Studio) -> None:
    _timed(studio, 20)
    assert _timed(studio, 10_000) < 20 * 3 * _timed(studio, 500)


def test_a_line_says_how_long_it_will_take_before_anybody_has_said_it(client: TestClient) -> None:
    lines = [{"text": "The lamp is lit."}, {"text": LONG}, {"text": "…"}]
    found = client.post("/lines/seconds", json={"lines": lines}).json()["lines"]
    assert 0.5 < found[0]["seconds"] < 3 and found[1]["seconds"] > 10 * found[0]["seconds"]
    assert found[0]["low"] < found[0]["seconds"] < found[0]["high"]
    assert found[2]["seconds"] == 0


def test_who_is_not_in_the_cast_is_asked_for_once(studio: Studio, queue: str, add: Add) -> None:
    """By the character's name, never by what a label happens to contain."""
    add(label="Iluminação", lines=[{"character": "Lumi", "text": "Hello."}, {"character": "Inês", "text": "Hello."}])
    add(lines=[{"character": "lumi", "text": "Again."}, {"text": "Nobody says this."}])
    add(lines=[{"character": "Tomás", "text": "With a voice.", "voice": "man-2"}])
    (problem,) = studio.preflight.queue(queue)["problems"]
    assert (problem["level"], problem["code"]) == ("info", "preflight.speaker_unknown")
    assert problem["params"]["count"] == 2 and "Inês" in problem["params"]["characters"]
    assert "Tomás" not in problem["params"]["characters"]
    assert studio.preflight.queue(queue)["ok"]
    studio._store.queues.add_character(studio._store.projects.default(), "Lumi", "woman-1")
    (problem,) = studio.preflight.queue(queue)["problems"]
    assert problem["params"] == {"count": 1, "characters": "Inês"}
