"""For tests of talking pictures: tiny repositories, portraits, voices, clips, and a run of an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from engine_calls import SEED, scene, shelf
from PIL import Image

from studio.media import sound
from studio.media.writer import write_video
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.diffusion.embeddings import CACHE

REPOS = (
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    "Skywork/SkyReels-V3-A2V-19B", "MeiGen-AI/InfiniteTalk", "TencentGameMate/chinese-wav2vec2-base",
)  # fmt: skip
SIDE, STEPS = 32, 2
SHORT, LONG = 0.6, 3.4  # seconds: one pass; a key pass and two windows, or two windows of InfiniteTalk
LONGER = 6.0  # a key pass and three windows


@contextmanager
def published(folder: Path) -> Iterator[None]:
    """Tiny twins of what the engines read."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny sums: threads only wait for each other
    with shelf(folder, *REPOS), pytest.MonkeyPatch.context() as context:
        context.setenv(CACHE, str(folder / "cache"))
        yield
    torch.set_num_threads(threads)


def voice(folder: Path, seconds: float, pitch: float = 180.0) -> Path:
    at = np.arange(round(seconds * sound.RATE)) / sound.RATE
    tone = 0.3 * np.sin(2 * np.pi * pitch * at) * (1 + np.sin(2 * np.pi * 4 * at)) / 2
    path = folder / f"voice-{seconds}-{pitch}.wav"
    sound.save(path, np.stack([tone, tone], axis=1).astype(np.float32))
    return path


def mp3(source: Path, path: Path) -> Path:
    """Stereo at 48 kHz."""
    with av.open(str(source)) as wave, av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("mp3", rate=48_000, layout="stereo")
        for frame in wave.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def portrait(folder: Path) -> Path:
    """120 by 160, of many colours: frames take its spread of each."""
    y, x = np.mgrid[0:160, 0:120]
    path = folder / "portrait.png"
    Image.fromarray(np.stack([x * 2, y + 60, 255 - x], axis=-1).astype(np.uint8)).save(path)
    return path


def clip(folder: Path, frames: int, fps: int = 30) -> Path:
    """Each frame another grey."""
    path = folder / f"clip-{frames}.mp4"
    shown = (np.full((64, 64, 3), 250 - 2 * number, np.uint8) for number in range(frames))
    write_video(path, shown, fps, frames, layout="rgb24", audio=None, comment={}, posters=folder / "clip")
    return path


def spoken(folder: Path, seconds: float, **more: Any) -> Inputs:
    """A portrait and a recording."""
    recording = voice(folder, seconds)
    files = {"input_image": portrait(folder), "input_audio": recording}
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
    with av.open(str(path), format="mov") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def pixels(path: Path) -> np.ndarray:
    with av.open(str(path), format="mov") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def calls(module: Any) -> Any:
    """A list that grows with every forward of a module."""
    made: list[Any] = []
    hook = module.register_forward_pre_hook(lambda module, args, named: made.append((args, named)), with_kwargs=True)
    return made, hook
