"""Talking pictures from end to end at tiny size: SkyReels-V3 A2V and InfiniteTalk, as their repositories are laid out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from engine_calls import SEED, loaded, picture, scene, shelf

from studio.errors import Cancelled, OutOfMemory, Refused
from studio.media import sound
from studio.media.probe import probe
from studio.media.writer import write_video
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.skyreels_v3.avatar import SkyReelsA2V
from studio.pipelines.skyreels_v3.avatar_pipeline import noise_levels
from studio.pipelines.skyreels_v3.infinitetalk import FEW_STEPS, InfiniteTalk, InfiniteTalkFp8, InfiniteTalkMulti

REPOS = (
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    "Skywork/SkyReels-V3-A2V-19B", "MeiGen-AI/InfiniteTalk", "TencentGameMate/chinese-wav2vec2-base",
)  # fmt: skip
SIDE, STEPS = 32, 2
SHORT, LONG = 0.6, 6.0  # seconds: one pass; a key pass and three windows, or two windows of InfiniteTalk
ENGINES = (SkyReelsA2V, InfiniteTalk, InfiniteTalkMulti, InfiniteTalkFp8)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    with shelf(folder, *REPOS), pytest.MonkeyPatch.context() as context:
        context.setenv(CACHE, str(folder / "cache"))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def a2v() -> Iterator[SkyReelsA2V]:
    engine = loaded(SkyReelsA2V)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def talk() -> Iterator[InfiniteTalk]:
    engine = loaded(InfiniteTalk)
    yield engine
    engine.close()


def voice(folder: Path, seconds: float, pitch: float = 180.0) -> Path:
    at = np.arange(round(seconds * sound.RATE)) / sound.RATE
    tone = 0.3 * np.sin(2 * np.pi * pitch * at) * (1 + np.sin(2 * np.pi * 4 * at)) / 2
    path = folder / f"voice-{seconds}-{pitch}.wav"
    sound.save(path, np.stack([tone, tone], axis=1).astype(np.float32))
    return path


def spoken(folder: Path, seconds: float, **more: Any) -> Inputs:
    """A portrait and a recording."""
    recording = voice(folder, seconds)
    files = {"input_image": picture(folder), "input_audio": recording}
    return replace(
        Inputs(files=files, soundtrack=recording, recordings=((recording, 0.0),), duration=seconds), **more
    )  # fmt: skip


class Told:
    """A run, and what it said on the way."""

    def __init__(self, folder: Path, inputs: Inputs, **more: Any) -> None:
        self.steps: list[tuple[int, int]] = []
        self.phases: list[str] = []
        self.run = Run(
            SEED, inputs, Plan(), folder / "made", folder / "small", phase=self.phases.append,
            report=lambda done, total, preview: self.steps.append((done, total)), **more,
        )  # fmt: skip


def made(engine: Any, folder: Path, inputs: Inputs, told: Told | None = None, **options: Any) -> Made:
    said = scene("talking_avatar", input_image="x", input_audio="x", resolution="480P")
    small = {"width": SIDE, "height": SIDE, "num_inference_steps": STEPS} | options
    return engine.run(said, engine.Options(**small), (told or Told(folder, inputs)).run)


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


# ------------------------------------------------------------------------------------------------ one film
@pytest.mark.parametrize("cls", ENGINES)
def test_a_portrait_speaks_a_short_recording_in_one_pass(cls: type[Any], tmp_path: Path) -> None:
    engine = loaded(cls)
    inputs = spoken(tmp_path, SHORT)
    told = Told(tmp_path, inputs)
    facts = probe(made(engine, tmp_path, inputs, told).path)
    assert (facts.width, facts.height, facts.fps, facts.num_frames) == (SIDE, SIDE, 25.0, 15)
    assert facts.has_audio
    assert told.steps == [(1, 2), (2, 2)]
    engine.close()


@pytest.mark.parametrize(("cls", "passes"), [(SkyReelsA2V, 4), (InfiniteTalk, 2)])
def test_a_long_recording_is_made_in_windows(cls: type[Any], passes: int, tmp_path: Path) -> None:
    engine = loaded(cls)
    inputs = spoken(tmp_path, LONG)
    told = Told(tmp_path, inputs)
    result = made(engine, tmp_path, inputs, told)
    assert probe(result.path).num_frames == 150
    assert told.steps == [(done, passes * STEPS) for done in range(1, passes * STEPS + 1)]
    assert told.phases == ["text", *["steps", "decode"] * passes, "save"]
    assert (result.facts["windows"], result.facts["steps"]) == (passes, passes * STEPS)
    engine.close()
