"""SkyReels-V3 V2V at tiny size: rolls and their seams, the shot after a cut, and what the network is really asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import media_tools
import numpy as np
import pytest
import skyreels_runs as runs

from studio.errors import Refused
from studio.media import sound
from studio.media.probe import probe
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs
from studio.pipelines.parts import SHELF
from studio.pipelines.skyreels_v3.rolls import rolls

SINGLE, SHOT = "skyreels-v3-v2v-14b", "skyreels-v3-shot-14b"
TASKS = {SINGLE: "single_shot_extension", SHOT: "shot_switching_extension"}
SIDES = {"width": 32, "height": 32, "num_inference_steps": runs.STEPS}


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch

    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    runs.put_on_shelf([SINGLE, SHOT], folder / "models", folder / "repositories")
    runs.clip(folder / "clip.mp4", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder / "models"))
        yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def engines(shelf: Path) -> Iterator[dict[str, Any]]:
    engines = {name: runs.loaded(name) for name in (SINGLE, SHOT)}
    yield engines
    for engine in engines.values():
        engine.close()


def scene_of(engine_id: str, seconds: float, **more: Any) -> Any:
    words = {SHOT: "[STATIC_CUT] the harbour", SINGLE: "the harbour"}[engine_id]
    return runs.scene_of(TASKS[engine_id], input_video="x", duration=seconds, **{"prompt": words, **more})


class Through:
    """What goes through the network, by call."""

    def __init__(self, engine: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self._engine = engine

    def __enter__(self) -> list[dict[str, Any]]:
        network = self._engine.pipe.transformer
        self._forward = network.forward

        def watched(*args: Any, **named: Any) -> Any:
            answer = self._forward(*args, **named)
            self.calls.append({**named, "answer": answer[0]})
            return answer

        network.forward = watched
        return self.calls

    def __exit__(self, *_: Any) -> None:
        del self._engine.pipe.transformer.forward


def made(engine: Any, shelf: Path, folder: Path, seconds: float, **more: Any) -> tuple[Any, runs.Saved, Any]:
    """(made, what went to the Writer, the run)."""
    options = more.pop("options", {})
    files = {"input_video": more.pop("clip", shelf / "clip.mp4")}
    run = runs.run_of(files, seconds, folder, **more)
    saved = runs.Saved(run)
    done = engine.run(scene_of(engine.id, seconds), engine.Options(**{**SIDES, **options}), run)
    return done, saved, run


# ------------------------------------------------------------------------------------------------ rolls
@pytest.mark.parametrize(
    ("seconds", "frames"),
    [
        (5, [132]), (6, [132, 36]), (10, [132, 132]), (12, [132, 132, 36]), (30, [132, 132, 100, 132, 132, 100]),
        (1, [36]), (3, [100]), (4.5, [132]),
    ],
)  # fmt: skip
def test_rolls_are_the_published_ones(seconds: float, frames: list[int]) -> None:
    found = rolls(round(24 * seconds))
    assert [4 * roll.latents for roll in found] == frames
    assert [roll.decoded - 25 for roll in found] == frames


@pytest.mark.parametrize("frames", [1, 24, 119, 120, 121, 126, 264, 500, 624, 720])
def test_rolls_show_what_was_asked_and_none_is_drawn_for_nothing(frames: int) -> None:
    found = rolls(frames)
    assert sum(roll.shown for roll in found) == frames
    assert all(0 < roll.shown <= 4 * roll.latents for roll in found)
    assert all(roll.through % 8 == 0 for roll in found)
    assert [roll.last for roll in found] == [False] * (len(found) - 1) + [True]


def test_what_earlier_rolls_drew_too_much_of_is_not_drawn_again() -> None:
    assert [roll.shown for roll in rolls(24 * 11)] == [132, 132]


# ------------------------------------------------------------------------------------------------ the same shot, longer
def test_a_roll_goes_on_from_the_end_of_the_clip_and_the_next_from_the_end_of_that(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    engine = engines[SINGLE]
    encoded: list[Any] = []
    encode = engine.pipe.encode_pixels
    monkeypatch.setattr(engine.pipe, "encode_pixels", lambda pixels: (encoded.append(pixels), encode(pixels))[1])
    with Through(engine) as calls:
        _, saved, _ = made(engine, shelf, tmp_path, 6.0)
    shown = [runs.number((frame.permute(1, 2, 0) + 1) * 127.5) for frame in encoded[0][0].transpose(0, 1)]
    assert shown == list(range(15, 40))  # the last 25 of 40
    levels = [call["timestep"][0] for call in calls]
    assert [len(level) for level in levels] == [40, 40, 16, 16]
    assert all((level[:7] == 0).all() and level[7] > 0 and (level[7:] == level[7]).all() for level in levels)
    assert all(call.get("frame_index") is None for call in calls)
    for call, pixels in zip(calls[::2], encoded, strict=True):
        assert torch.equal(call["hidden_states"][:, :, :7], encode(pixels))
    before = np.stack(saved.frames[132 - 25 : 132])  # of the roll before, as they are shown
    prefix = ((encoded[1][0].permute(1, 2, 3, 0) + 1) * 127.5).round().numpy()
    assert np.abs(prefix - before).max() <= 1
    assert len(saved.frames) == saved.num_frames == 144


def test_the_same_seed_starts_each_roll(engines: dict[str, Any], shelf: Path, tmp_path: Path) -> None:
    import torch

    with Through(engines[SINGLE]) as calls:
        made(engines[SINGLE], shelf, tmp_path, 10.0)
    first, second = calls[0]["hidden_states"], calls[runs.STEPS]["hidden_states"]
    assert torch.equal(first[:, :, 7:], second[:, :, 7:]) and not torch.equal(first[:, :, :7], second[:, :, :7])


def test_a_roll_is_decoded_with_what_it_goes_on_from(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, decoded = engines[SINGLE], list[Any]()
    decode = engine.pipe.vae.decode
    monkeypatch.setattr(
        engine.pipe.vae, "decode", lambda z, **named: (decoded.append(z.shape[2]), decode(z, **named))[1]
    )
    with Through(engine) as calls:
        made(engine, shelf, tmp_path, 5.0)
    scene, options = scene_of(SINGLE, 5.0), engine.Options(**SIDES)
    shape = engine.shape(scene, options, Inputs(duration=5.0))
    assert decoded == [40]
    assert engine.footprint.tokens(shape) == calls[0]["hidden_states"].shape[2] * 2 * 2
    one_a_frame = engine.footprint.decode_frame_bytes * 32 * 32
    fixed = engine.footprint.decode_bytes * 32 * 32
    assert engine.footprint.decode_peak(shape) == pytest.approx(fixed + one_a_frame * (4 * 40 - 3), abs=2)


@pytest.mark.parametrize("seconds", [1.0, 2.5, 3.0, 5.0, 7.0])
def test_the_take_has_the_frames_that_were_asked_for(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, seconds: float
) -> None:
    done, _, _ = made(engines[SINGLE], shelf, tmp_path, seconds, options={"num_inference_steps": 1})
    facts = probe(done.path)
    assert (facts.num_frames, facts.fps, facts.width, facts.height) == (round(24 * seconds), 24.0, 32, 32)


def test_a_long_shot_counts_all_steps_and_is_planned_by_its_longest_roll(
    engines: dict[str, Any], shelf: Path, tmp_path: Path
) -> None:
    engine, told = engines[SINGLE], list[tuple[int, int]]()
    made(engine, shelf, tmp_path, 6.0, report=lambda done, total, preview: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    shape = engine.shape(scene_of(SINGLE, 30.0), engine.Options(), Inputs(duration=30.0))
    assert shape.steps == 6 * 8 and engine.footprint.tokens(shape) == 40 * shape.width * shape.height // 256


# ------------------------------------------------------------------------------------------------ joined
@pytest.mark.parametrize(("fps", "count"), [(24, 40), (12, 30), (30, 50)])
def test_joined_the_clip_comes_first_and_no_frame_is_doubled_or_lost(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, fps: int, count: int
) -> None:
    clip = runs.clip(tmp_path / "in.mp4", count, fps)
    _, alone, _ = made(engines[SINGLE], shelf, tmp_path, 1.0, clip=clip)
    done, joined, run = made(engines[SINGLE], shelf, tmp_path, 1.0, clip=clip, options={"joined": True})
    before = count * 24 // fps
    shown = [runs.number(frame) for frame in joined.frames[:before]]
    assert shown == [i * fps // 24 for i in range(before)]
    assert np.array_equal(joined.frames[before:], alone.frames)
    assert probe(done.path).num_frames == before + 24 and run.described["joined"] == before


def test_joined_the_clip_is_heard_under_its_part_alone(engines: dict[str, Any], shelf: Path, tmp_path: Path) -> None:
    clip = runs.clip(tmp_path / "in.mp4", 48, audio=media_tools.wav(tmp_path / "a.wav", seconds=2.0))
    done, _, _ = made(engines[SINGLE], shelf, tmp_path, 1.0, clip=clip, options={"joined": True})
    heard = np.abs(sound.load48(done.path)).max(axis=1)
    assert heard[: 2 * 48_000 - 4800].max() > 0.1 and heard[2 * 48_000 + 4800 :].max() < 0.01
    own = media_tools.wav(tmp_path / "own.wav", seconds=1.0)
    done, _, _ = made(engines[SINGLE], shelf, tmp_path, 1.0, clip=clip, soundtrack=own, options={"joined": True})
    assert np.abs(sound.load48(done.path)[2 * 48_000 + 4800 :]).max() > 0.1
    silent, _, _ = made(engines[SINGLE], shelf, tmp_path, 1.0, options={"joined": True})
    assert not probe(silent.path).has_audio


# ------------------------------------------------------------------------------------------------ crash and enough
class Crash(Exception):
    """The power went."""


def test_after_a_crash_it_goes_on_with_the_next_roll_and_makes_the_same(
    engines: dict[str, Any], shelf: Path, tmp_path: Path
) -> None:
    engine = engines[SINGLE]
    _, whole, _ = made(engine, shelf, tmp_path, 6.0)

    def crash(done: int, total: int, preview: Any) -> None:
        if done == 3:
            raise Crash

    files, kept = {"input_video": shelf / "clip.mp4"}, dict[str, Any]()
    scene, options = scene_of(SINGLE, 6.0), engine.Options(**SIDES)
    scratch = tmp_path / "scratch"
    with pytest.raises(Crash):
        engine.run(scene, options, runs.run_of(
            files, 6.0, tmp_path, scratch=scratch, report=crash, commit=lambda key, value: kept.update({key: value})
        ))  # fmt: skip
    again = runs.run_of(files, 6.0, tmp_path, scratch=scratch, kept=kept)
    saved = runs.Saved(again)
    with Through(engine) as calls:
        done = engine.run(scene, options, again)
    assert len(calls) == runs.STEPS and done.facts["resumed_windows"] == 1
    assert np.array_equal(saved.frames, whole.frames)


def test_enough_saves_the_rolls_that_are_there(engines: dict[str, Any], shelf: Path, tmp_path: Path) -> None:
    told: list[int] = []
    done, saved, _ = made(
        engines[SINGLE], shelf, tmp_path, 6.0,
        report=lambda done, total, preview: told.append(done), enough=lambda: len(told) >= 2,
    )  # fmt: skip
    assert told == [1, 2] and len(saved.frames) == probe(done.path).num_frames == 132


# ------------------------------------------------------------------------------------------------ the next shot
@pytest.mark.parametrize(
    ("seconds", "context", "frames"), [(2, 9, 49), (3, 17, 73), (4, 25, 97), (5, 33, 121), (3.9, 17, 97), (2.5, 9, 61)]
)
def test_a_new_shot_sees_the_end_of_the_one_before_far_away_in_time(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    seconds: float, context: int, frames: int,
) -> None:  # fmt: skip
    import torch

    engine, encoded, decoded = engines[SHOT], list[Any](), list[int]()
    encode, decode = engine.pipe.encode_pixels, engine.pipe.vae.decode
    monkeypatch.setattr(engine.pipe, "encode_pixels", lambda pixels: (encoded.append(pixels), encode(pixels))[1])
    monkeypatch.setattr(
        engine.pipe.vae, "decode", lambda z, **named: (decoded.append(z.shape[2]), decode(z, **named))[1]
    )
    with Through(engine) as calls:
        done, _, run = made(engine, shelf, tmp_path, seconds)
    shown = [runs.number((frame.permute(1, 2, 0) + 1) * 127.5) for frame in encoded[0][0].transpose(0, 1)]
    assert shown == list(range(40 - context, 40))
    drawn, given = (frames - 1) // 4 + 1, (context - 1) // 4 + 1
    for call in calls:
        level, index = call["timestep"][0], call["frame_index"]
        assert index.tolist() == [*range(drawn), *range(1024, 1024 + given)]
        assert level[0] > 0 and (level[:drawn] == level[0]).all() and (level[drawn:] == 0).all()
        assert torch.equal(call["hidden_states"][:, :, drawn:], encode(encoded[0]))
        assert call["answer"].shape[2] == drawn + given
    assert decoded == [drawn]  # alone
    facts = probe(done.path)
    assert (facts.num_frames, facts.fps) == (frames, 24.0)
    shape = engine.shape(scene_of(SHOT, seconds), engine.Options(**SIDES), run.inputs)
    assert engine.footprint.tokens(shape) == (drawn + given) * 2 * 2


def test_a_new_shot_begins_with_one_of_five_cuts() -> None:
    assert len(engine_class(SHOT).limits.prefixes) == 5
    with pytest.raises(ValueError, match="begin"):
        scene_of(SHOT, 2.0, prompt="the harbour")


# ------------------------------------------------------------------------------------------------ both
def test_both_know_their_networks_apart(engines: dict[str, Any]) -> None:
    parts = {name: {part.name: part for part in engine_class(name).parts} for name in TASKS}
    assert parts[SINGLE].pop("transformer").where == "transformer"
    assert parts[SHOT].pop("transformer").where == "shot_transformer"
    assert parts[SINGLE] == parts[SHOT]


@pytest.mark.parametrize("engine_id", TASKS)
def test_the_clip_chooses_the_size(engine_id: str, tmp_path: Path) -> None:
    clip = runs.clip(tmp_path / "tall.mp4", 40, size=(64, 114))
    scene, engine = scene_of(engine_id, 5.0, resolution="720P"), engine_class(engine_id)()
    shape = engine.shape(scene, engine.Options(), Inputs(files={"input_video": clip}, duration=5.0))
    assert (shape.width, shape.height) == (720, 1280)
    assert (shape.forwards, shape.encodes) == (1, True)


@pytest.mark.parametrize(
    ("engine_id", "seconds", "count", "fps", "needed"),
    [(SINGLE, 1.0, 24, 24, 1.04), (SINGLE, 1.0, 48, 60, 1.04), (SHOT, 5.0, 32, 24, 1.38), (SHOT, 2.0, 8, 24, 0.38)],
)
def test_a_clip_that_is_too_short_is_refused_with_the_cure(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, engine_id: str, seconds: float, count: int, fps: int,
    needed: float,
) -> None:  # fmt: skip
    clip = runs.clip(tmp_path / "short.mp4", count, fps)
    with Through(engines[engine_id]) as calls, pytest.raises(Refused) as refused:
        made(engines[engine_id], shelf, tmp_path, seconds, clip=clip)
    assert refused.value.code == "engine.clip_too_short"
    assert (refused.value.params["field"], refused.value.params["needed"]) == ("input_video", needed)
    assert not calls


@pytest.mark.parametrize(("engine_id", "seconds", "count"), [(SINGLE, 1.0, 25), (SHOT, 2.0, 9)])
def test_a_clip_that_is_just_long_enough_is_taken(
    engines: dict[str, Any], shelf: Path, tmp_path: Path, engine_id: str, seconds: float, count: int
) -> None:
    made(engines[engine_id], shelf, tmp_path, seconds, clip=runs.clip(tmp_path / "short.mp4", count))
