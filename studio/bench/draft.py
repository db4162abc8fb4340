"""Frames per CPU second of the draft engine, for every task at 720P, encoding and set-up included.

`launch.py bench draft`. CPU seconds of one thread, so that other work on the machine hardly shows. Knows no queue.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from studio.domain import CUT_PREFIXES, Line, SceneAdapter
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.draft.engine import FPS, Draft

SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
SECONDS, ROUNDS = 5.0, 3
WALK = "Medium shot: a woman walks through the rain in the night city, tracking"


def main() -> None:
    """Print the machine and a table: task, the median of ROUNDS runs, times real time."""
    say = sys.stdout.write
    say(f"{_machine()}\n{SECONDS:g} s of 1280 x 720 at {FPS} fps, median of {ROUNDS}, one core\n\n")
    say(f"{'task':48}{'frames / CPU s':>15}{'x real time':>13}\n")
    with tempfile.TemporaryDirectory() as folder:
        _warm_up(Path(folder))
        for name, scene, files in _scenes(Path(folder)):
            rates = [_rate(Path(folder), scene, files) for _ in range(ROUNDS)]
            rate = statistics.median(rates)
            times = "" if scene["task_type"] == "text_to_image" else f"{rate / FPS:.1f}"
            say(f"{name:48}{rate:15.1f}{times:>13}\n")
            sys.stdout.flush()


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {os.cpu_count()} cores{load}, {platform.system()}, Python {platform.python_version()}"


def _scenes(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Path]]]:
    """Name, scene and its files. The clip that extensions grow from is made on the way."""
    people, plate = [SAMPLES / "ines.png", SAMPLES / "tomas.png"], SAMPLES / "cape_dusk.jpg"
    yield "text_to_video, sea and lighthouse", _scene("text_to_video", "Wide: a lighthouse at dusk, push in"), {}
    yield "text_to_video, city in the rain", _scene("text_to_video", WALK), {}
    yield (
        "text_to_video, forest in the snow",
        _scene("text_to_video", "Wide: a forest at dawn, snow falls, two figures"),
        {},
    )
    yield "text_to_image (pictures)", _scene("text_to_image", WALK), {}
    cast = {f"ref_imgs.{index}": path for index, path in enumerate([plate, *people])}
    yield "reference_to_video, place and two people", _scene("reference_to_video", WALK, ref_imgs=["-"] * 3), cast
    alone = {"ref_imgs.0": people[0]}
    yield "reference_to_video, one person, drawn place", _scene("reference_to_video", WALK, ref_imgs=["-"]), alone
    yield "image_to_video", _scene("image_to_video", "Push in", input_image="-"), {"input_image": plate}
    both = {"input_image": plate, "end_image": SAMPLES / "cape_night.jpg"}
    yield "image_to_video with an end image", _scene("image_to_video", "", input_image="-", end_image="-"), both
    clip = {"input_video": folder / "clip.mp4"}
    _make(folder, _scene("text_to_video", "Wide: a lighthouse at dusk, pan right"), {}).replace(clip["input_video"])
    yield "single_shot_extension", _scene("single_shot_extension", "It goes on", input_video="-"), clip
    for cut in CUT_PREFIXES:
        yield f"shot_switching, {cut}", _scene("shot_switching_extension", f"{cut} the sea", input_video="-"), clip
    yield (
        "talking_avatar, before a drawn place",
        _scene("talking_avatar", "By the sea at dusk", input_image="-"),
        {"input_image": people[0]},
    )
    full = {"input_image": _filling_the_frame(folder, people[0])}
    yield "talking_avatar, a picture that fills the frame", _scene("talking_avatar", "", input_image="-"), full
    yield "speech (seconds of sound x 24)", {"task_type": "speech", "lines": [Line(text="The lamp is lit. " * 6)]}, {}


def _scene(task: str, prompt: str, **more: Any) -> dict[str, Any]:
    timed = {} if task == "text_to_image" else {"duration": SECONDS}
    return {"task_type": task, "prompt": prompt, **timed, **more}


def _rate(folder: Path, scene: dict[str, Any], files: dict[str, Path]) -> float:
    started = _cpu_seconds()
    made = _make(folder, scene, files)
    spent = _cpu_seconds() - started
    if scene["task_type"] == "text_to_image":
        return 1 / spent
    if scene["task_type"] == "speech":
        with wave.open(str(made)) as sound:
            return sound.getnframes() / sound.getframerate() * FPS / spent
    return SECONDS * FPS / spent


def _cpu_seconds() -> float:
    """Of this process and its children, those that are over and the one that speaks."""
    own = os.times()
    alive = [child.cpu_times() for child in psutil.Process().children()]
    return time.process_time() + own.children_user + own.children_system + sum(row.user + row.system for row in alive)


def _make(folder: Path, scene: dict[str, Any], files: dict[str, Path]) -> Path:
    sound = _tone(folder) if scene["task_type"] == "talking_avatar" else None
    inputs = Inputs(files=files, duration=scene.get("duration"), style="bench", soundtrack=sound, number=3, total=12)
    run = Run(7, inputs, Plan(), folder / "bench", folder / "bench")
    return Draft().run(SceneAdapter.validate_python(scene), None, run).path


def _warm_up(folder: Path) -> None:
    """Imports, typefaces and film stock belong to the worker, not to a shot."""
    _make(folder, {**_scene("text_to_video", "The sea"), "duration": 0.5}, {})


def _filling_the_frame(folder: Path, portrait: Path) -> Path:
    """The portrait lit from one side: nothing can be cut out of that."""
    import cv2
    import numpy as np

    picture, path = cv2.imread(str(portrait)), folder / "lit.png"
    light = np.linspace(0.75, 1.0, picture.shape[1])[None, :, None]
    cv2.imwrite(str(path), (picture * light).astype(np.uint8))
    return path


def _tone(folder: Path) -> Path:
    """SECONDS of something that opens and shuts like speech."""
    import numpy as np

    rate, path = 16_000, folder / "voice.wav"
    at = np.arange(int(SECONDS * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 9)) * np.clip(np.sin(2 * np.pi * 2.3 * at), 0, 1)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((voice * 9000).astype("<i2").tobytes())
    return path


if __name__ == "__main__":
    main()
