"""Plays Wan2GP's headless mode, for tests: reads a settings file, says what the real one says, writes a small film.

It needs PyAV, so it runs by the tests' own Python. The prompt may carry an order: "fail", "skip" (it finds the task
wrong and ends well), "memory", "hang" (after the first step), "family" (with a child that hangs too), "short", "old"
(knows no --process). `FAKE_WAN2GP_LOG`: a file that it writes what it was given to.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent
KNOWN = ("infinitetalk", "infinitetalk_multi", "multitalk", "fantasy", "hunyuan_avatar", "t2v", "t2v_1.3B", "t2v_2_2",
         "i2v", "i2v_2_2")  # fmt: skip
FPS = {"fantasy": 23, "t2v": 16, "t2v_1.3B": 16, "t2v_2_2": 16, "i2v": 16, "i2v_2_2": 16}
NO_MEMORY = (
    "The generation of the video has encountered an error: it is likely that you have unsufficient VRAM and you should"
    " therefore reduce the video resolution or its number of frames."
)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    if "old" in os.environ.get("FAKE_WAN2GP", ""):
        parser.parse_args()
    for flag in ("--process", "--output-dir", "--profile", "--verbose"):
        parser.add_argument(flag, default="")
    given = parser.parse_args()
    assert Path.cwd() == HERE, "it is started where it lies"
    settings = json.loads(Path(given.process).read_text("utf-8"))
    if log := os.environ.get("FAKE_WAN2GP_LOG"):
        seen = {"settings": settings, "argv": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid()}
        seen["there"] = {name: os.path.isfile(path) for name, path in _files(settings)}
        Path(log).write_text(json.dumps(seen), "utf-8")
    say(f"WanGP CLI Mode - Processing settings: {given.process}")
    out = Path(given.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    say(f"Output directory: {out}\nLoaded 1 task(s)\n\n[Task 1/1] {settings['prompt'][:60]}...")
    return _task(settings, out, settings["prompt"])


def _files(settings: dict) -> list[tuple[str, str]]:
    found = []
    for name in ("image_start", "image_refs", "audio_guide", "audio_guide2"):
        value = settings.get(name)
        found += [(name, path) for path in (value if isinstance(value, list) else [value] if value else [])]
    return found


def _task(settings: dict, out: Path, prompt: str) -> int:
    if settings["model_type"] not in KNOWN or "skip" in prompt:
        say("  [SKIP] Task 1 failed validation: Task failed validation.")
        return _end(0, skipped=1)
    steps = int(settings.get("num_inference_steps", 4))
    windows = 2 if settings["video_length"] > int(settings.get("sliding_window_size", 10**6)) else 1
    say("Loading Model")
    for window in range(1, windows + 1):
        where = f"Sliding Window {window}/{windows} - " if windows > 1 else ""
        for step in range(1, steps + 1):
            sys.stdout.write(f"\r  [{step}/{steps}] {where}Denoising | {step}s     ")
            sys.stdout.flush()
            if (trouble := _trouble(prompt)) is not None:
                return trouble
        sys.stdout.write(f"\r  [{steps}/{steps}] {where}VAE Decoding     ")
    _film(settings, out, prompt)
    say("\n  Task 1 completed")
    return _end(1)


def _trouble(prompt: str) -> int | None:
    if "memory" in prompt:
        say(f"\n  [ERROR] {NO_MEMORY}")
        return _end(0)
    if "fail" in prompt:
        say("\nTraceback (most recent call last):\nValueError: the lamp is broken\n  [ERROR] the lamp is broken")
        return _end(0)
    if "family" in prompt:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(f"\nchild {child.pid}")
        if log := os.environ.get("FAKE_WAN2GP_LOG"):
            begun = Path(log).with_suffix(".part")
            begun.write_text(str(child.pid))
            begun.replace(Path(log).with_suffix(".child"))  # whole, or not there: it may be ended at any moment
    if "family" in prompt or "hang" in prompt:
        time.sleep(600)
    return None


def _end(completed: int, skipped: int = 0) -> int:
    say(f"\n{'=' * 50}\nQueue completed: {completed}/1 tasks in 1s" + (f" ({skipped} skipped)" if skipped else ""))
    return 0 if completed == 1 - skipped else 1


def _film(settings: dict, out: Path, prompt: str) -> None:
    import av
    import numpy as np

    width, height = map(int, settings["resolution"].split("x"))
    count = 3 if "short" in prompt else int(settings["video_length"])
    with av.open(str(out / f"2026_seed{settings['seed']}_{settings['model_type']}.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(FPS.get(settings["model_type"], 25)))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for number in range(count):
            grey = np.full((height, width, 3), number * 7 % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        file.mux(stream.encode())


if __name__ == "__main__":
    sys.exit(main())
