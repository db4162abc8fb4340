"""Wan2GP: a program of the user's own, in its own folder and Python, driven without its screen.

Nothing of it is imported or shipped, and nothing in its folder is written by us: settings, inputs and results lie in
the job's scratch. Its licence is its own (WanGP Community License); docs/wan2gp.md says how to get it, and what it may
be used for.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from studio.errors import Cancelled, EngineError, OutOfMemory, Refused
from studio.pipelines import wan2gp_words as words
from studio.pipelines.base import Availability, Engine, Inputs, Limits, Machine, Made, Run
from studio.pipelines.program import Program

log = logging.getLogger(__name__)

LICENCE = "WanGP Community License 2.0"
ENVIRONMENTS = ("env", "venv", ".venv", "env_uv", "env_venv", "python_env", "env_conda", "conda_env")
PYTHONS = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe")
MOST_TEMPLATE = 200_000  # bytes
ALIVE_SECONDS = 300.0  # after which whoever watches is told that we are still here: a model may be fetched for an hour
LATE_SECONDS = 1.0  # by which its film may be shorter than what is said; the last frame stays for so long

ModelName = Literal[
    "auto", "infinitetalk", "infinitetalk_multi", "multitalk", "fantasy", "hunyuan_avatar", "t2v", "t2v_1.3B",
    "t2v_2_2", "i2v", "i2v_2_2",
]  # fmt: skip


class Wan2GP(Engine):
    id = "wan2gp"
    tasks = frozenset({"talking_avatar", "text_to_video", "image_to_video"})
    outside = True
    licence = LICENCE
    limits = Limits(
        resolutions=("480P", "720P"), seconds={"text_to_video": (0.5, 20), "image_to_video": (0.5, 20)}, fps=16,
        frame_step=4, end_image=False, speakers=2,
    )  # fmt: skip

    class Options(Engine.Options):
        model: ModelName = Field("auto", description="one of its models; auto: InfiniteTalk, or Wan 2.2")
        num_inference_steps: int | None = Field(None, ge=1, le=100, description="empty: as its model has them")
        memory_profile: Literal["", "1", "2", "3", "4", "5"] = Field(
            "", description="its own profiles; empty: as it is set"
        )
        quiet_minutes: int = Field(30, ge=1, le=600, description="it is given up after so long without a word")

    def availability(self, machine: Machine) -> Availability:
        try:
            installation()
        except Refused as refused:
            return Availability("unfit", refused.code, refused.params, licence=LICENCE)
        return Availability(licence=LICENCE)

    def run(self, scene: Any, options: Options, run: Run) -> Made:
        folder, python = installation()
        home = run.scratch("wan2gp")
        shutil.rmtree(home, ignore_errors=True)  # of an attempt that a crash cut off
        home.mkdir(parents=True)
        try:
            ask = _ask(scene, options, run, home)
            settings = words.settings_of(ask, template(folder, ask.model))
            (home / "settings.json").write_text(json.dumps(settings, ensure_ascii=False, indent=1), "utf-8")
            out = home / "out"
            command: list[str | Path] = [
                python,
                "-u",
                "wgp.py",
                "--process",
                home / "settings.json",
                "--output-dir",
                out,
            ]
            command += ["--profile", options.memory_profile] if options.memory_profile else []
            with Program(command, folder, self.id) as program:
                _follow(program, run, options.quiet_minutes * 60)
            film = _newest(out, program)
            run.describe(program=f"Wan2GP · {ask.model}")
            return Made(_saved(film, run), {"model": ask.model, "settings": _facts(settings)})
        finally:
            shutil.rmtree(home, ignore_errors=True)


# ------------------------------------------------------------------------------------------------ where it is
def installation() -> tuple[Path, Path]:
    """(its folder, its Python). Raises Refused naming what is missing."""
    named = os.environ.get("LANTERNA_WAN2GP_DIR", "").strip()
    if not named:
        raise Refused("wan2gp.no_folder", engine=Wan2GP.id)
    folder = Path(named).expanduser()
    if not (folder / "wgp.py").is_file():
        raise Refused("wan2gp.not_there", engine=Wan2GP.id, path=str(folder))
    chosen = os.environ.get("LANTERNA_WAN2GP_PYTHON", "").strip()
    places = [Path(chosen).expanduser()] if chosen else [folder / name for name in ENVIRONMENTS]
    for place in places:
        for python in (place, *(place / inside for inside in PYTHONS)):
            if python.is_file():
                return folder, python
    raise Refused("wan2gp.no_python", engine=Wan2GP.id, path=chosen or str(folder))


def template(folder: Path, model: str) -> Mapping[str, Any]:
    """What its own files say of a model: as it comes, and on top of that as the user left it on its screen."""
    found: dict[str, Any] = {}
    for file in (folder / "defaults" / f"{model}.json", folder / "settings" / f"{model}_settings.json"):
        try:
            if file.stat().st_size > MOST_TEMPLATE:
                continue
            content = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            found |= content
    return found


# ------------------------------------------------------------------------------------------------ what is asked
def _ask(scene: Any, options: Wan2GP.Options, run: Run, home: Path) -> words.Ask:
    voices = list(_voices(run.inputs, home)) if scene.task_type == "talking_avatar" else []
    name: str = options.model
    if name == "auto":
        name = words.USUAL_FOR_TWO if len(voices) > 1 else words.USUAL[scene.task_type]
    model = words.MODELS[name]
    if model.task != scene.task_type:
        raise Refused("wan2gp.wrong_model", field="options.wan2gp.model", model=name, task=scene.task_type)
    if len(voices) > model.people:
        raise Refused("wan2gp.too_many", field="options.wan2gp.model", model=name, count=len(voices), most=model.people)
    boxes = [(left, right) for left, _, right, _ in getattr(scene, "speaker_boxes", ())]
    return words.Ask(
        name, scene.prompt, scene.negative_prompt, scene.size, run.inputs.seconds, run.seed,
        options.num_inference_steps, _picture(run.inputs, home), voices, boxes,
    )  # fmt: skip


def _picture(inputs: Inputs, home: Path) -> Path | None:
    """Upright, opaque, as every program reads it."""
    given = inputs.files.get("input_image")
    if given is None:
        return None
    from PIL import Image

    from studio.media.frames import picture_of

    path = home / "picture.png"
    Image.fromarray(picture_of(given, "first")).save(path)
    return path


def _voices(inputs: Inputs, home: Path) -> Iterator[Path]:
    """A sound for each person, as long as the scene."""
    from studio.media.sound import write_soundtrack

    said: dict[str, list[tuple[Path, float]]] = {}
    for line in inputs.lines:
        said.setdefault(line.character, []).append((line.path, line.start))
    people = list(said.values()) or [[recording] for recording in inputs.recordings]
    for number, sounds in enumerate(people):
        path = home / f"voice{number + 1}.wav"
        write_soundtrack(path, sounds, inputs.seconds)
        yield path


# ------------------------------------------------------------------------------------------------ while it works
def _follow(program: Program, run: Run, quiet_seconds: float) -> None:
    """Tell its progress until it has ended. Raises Cancelled, OutOfMemory, EngineError; it is gone then."""
    done, total, phase, memory = 0, 0, "", False
    spoke = told_at = time.monotonic()
    for line in program.lines():
        now = time.monotonic()
        if run.cancelled:
            raise Cancelled
        if now - told_at > ALIVE_SECONDS:
            run.step(done, total)
            told_at = now
        if line is None:
            if now - spoke > quiet_seconds:
                raise EngineError("wan2gp.silent", engine=program.name, minutes=round(quiet_seconds / 60))
            continue
        spoke = now
        memory = memory or words.no_memory(line)
        told = words.heard(line)
        if told is None:
            program.last.append(line.strip()[:300])
            log.info("%s: %s", program.name, line[:500])
            continue
        does: Literal["steps", "decode"] = "decode" if "decod" in told.what.casefold() else "steps"
        if does != phase:
            phase = does
            run.phase(does)
        if (told.done, told.total) != (done, total):
            done, total, told_at = told.done, told.total, now
            run.step(done, total)
    _judge(program, memory)


def _judge(program: Program, memory: bool) -> None:
    """How it ended, by its exit status and its last words."""
    status, last = program.status(), last_words(program)
    if status == 0:
        return
    if memory:
        raise OutOfMemory("engine.out_of_memory", engine=program.name)
    if words.TOO_OLD in last:
        raise EngineError("wan2gp.too_old", engine=program.name)
    raise EngineError("wan2gp.failed", engine=program.name, status=status, lines=last)


def last_words(program: Program) -> str:
    """In one line: what it said last, but for its rulers and progress."""
    return " · ".join(line for line in program.last if set(line) != {"="})[-600:]


def _newest(out: Path, program: Program) -> Path:
    """The film that it made. Raises EngineError("wan2gp.nothing"): it skips what it finds wrong, and says that all is
    well."""
    films = [path for path in out.rglob("*") if path.suffix.lower() in (".mp4", ".mkv", ".mov") and path.stat().st_size]
    if not films:
        raise EngineError("wan2gp.nothing", engine=program.name, lines=last_words(program))
    return max(films, key=lambda path: path.stat().st_mtime_ns)


# ------------------------------------------------------------------------------------------------ what it made
def _saved(film: Path, run: Run) -> Path:
    """Its pictures in our form, under the scene's own sound; its own sound where the scene has none."""
    from studio.media.probe import probe

    facts = probe(film)
    wished = run.inputs.duration if run.inputs.soundtrack else None
    count = max(1, round(wished * facts.fps)) if wished else facts.num_frames
    if facts.num_frames < count - LATE_SECONDS * facts.fps:
        raise EngineError(
            "wan2gp.short", engine=Wan2GP.id, seconds=round(facts.duration, 1), wanted=round(wished or 0, 1)
        )
    run.phase("save")
    sound = film if facts.has_audio and not run.inputs.soundtrack else None
    return run.save_video(_frames(film, count), facts.fps, count, audio=sound, progress=False)


def _frames(film: Path, count: int) -> Iterator[Any]:
    """(H, W, 3) uint8, exactly `count`: what is more is left out, the last one stays where there are less."""
    import numpy as np

    from studio.media.probe import open_media

    last: Any = None
    given = 0
    with open_media(film) as source:
        for frame in source.decode(video=0):
            if given == count:
                return
            picture = frame.to_ndarray(format="rgb24")
            last = np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
            yield last
            given += 1
    for _ in range(count - given):
        yield last


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be kept: without where our files lay."""
    return {name: value for name, value in settings.items() if name not in words.MEDIA and name != "prompt"}
