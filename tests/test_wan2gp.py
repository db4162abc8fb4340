"""The adapter of a user's own Wan2GP, against tests/fake_wan2gp/wgp.py, which speaks its settings and its progress."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import soundfile
from drawn_faces import cartoon

from studio.domain import SpokenLine
from studio.domain.scenes import ImageToVideo, TalkingAvatar, TextToVideo
from studio.errors import Cancelled, EngineError, OutOfMemory, Refused
from studio.media.probe import probe
from studio.pipelines import ENGINES, engine_class, engines_for, program, wan2gp, wan2gp_words
from studio.pipelines.base import Inputs, Machine, Plan, Run
from studio.pipelines.manager import PipelineManager
from studio.pipelines.program import users_environment
from studio.pipelines.wan2gp import Wan2GP
from studio.service import Studio
from studio.settings import Settings

FAKE = Path(__file__).with_name("fake_wan2gp")
MACHINE = Machine(cores=8, ram_gb=64)
Seen = dict[str, Any]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The fake is set up as the user's; what it was given is written to the file."""
    log = tmp_path / "seen.json"
    monkeypatch.setenv("LANTERNA_WAN2GP_DIR", str(FAKE))
    monkeypatch.setenv("LANTERNA_WAN2GP_PYTHON", sys.executable)
    monkeypatch.setenv("FAKE_WAN2GP_LOG", str(log))
    return log


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "maya.png"
    cv2.imwrite(str(path), cartoon())
    return path


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "voice.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(48_000) * 0.05), 48_000)  # one second
    return path


class Told:
    """What a run was told, and a way to stop it."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.phases: list[str] = []
        self.stop_at = 0  # steps after which it is cancelled; 0: never

    def report(self, done: int, total: int, preview: Any = None) -> None:
        self.steps.append((done, total))

    @property
    def cancelled(self) -> bool:
        return 0 < self.stop_at <= len(self.steps)


def avatar(prompt: str = "she talks", **more: Any) -> TalkingAvatar:
    return TalkingAvatar(prompt=prompt, resolution="480P", input_image="asset:" + "0" * 64, **more)


def made(
    folder: Path, scene: Any, inputs: Inputs, told: Told | None = None, seed: int = 7, **options: Any
) -> tuple[Path, Any]:
    told = told or Told()
    run = Run(
        seed, inputs, Plan(), folder / "film", folder / "posters", scratch=folder / "scratch", report=told.report,
        cancelled=lambda: told.cancelled, phase=told.phases.append,
    )  # fmt: skip
    result = Wan2GP().run(scene, Wan2GP.Options(**options), run)
    return result.path, result.facts


def spoken(portrait: Path, *voices: tuple[str, Path, float], seconds: float = 1.5) -> Inputs:
    """One line of each of these: (who, file, second at which it starts)."""
    lines = tuple(
        SpokenLine(line_id=f"l{n}", character=who, text="…", path=path, start=at, duration=1.0)
        for n, (who, path, at) in enumerate(voices)
    )
    return Inputs(
        files={"input_image": portrait}, lines=lines, soundtrack=voices[0][1] if voices else None, duration=seconds
    )


def seen(log: Path) -> Seen:
    found: Seen = json.loads(log.read_text("utf-8"))
    return found


# ------------------------------------------------------------------------------------------------ what it makes
def test_a_portrait_speaks_for_exactly_as_long_as_is_said(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path
) -> None:
    told = Told()
    path, facts = made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0.25)), told)
    found = probe(path)
    assert (found.width, found.height, found.fps, found.num_frames) == (848, 480, 25.0, round(1.5 * 25))
    assert found.has_audio and facts["model"] == "infinitetalk"
    assert told.steps == [(1, 3), (2, 3), (3, 3)] and told.phases == ["steps", "decode", "save"]
    asked = seen(installed)
    assert all(asked["there"].values()) and set(asked["there"]) == {"image_refs", "audio_guide"}
    settings = asked["settings"]
    assert (settings["seed"], settings["video_length"], settings["resolution"]) == (7, 41, "848x480")
    assert settings["audio_prompt_type"] == "A" and settings["video_prompt_type"] == "0KI"


def test_its_own_files_say_what_a_model_needs_and_the_users_wishes_win(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path
) -> None:
    made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0)))
    settings = seen(installed)["settings"]
    assert settings["num_inference_steps"] == 3  # defaults/
    assert settings["guidance_scale"] == 4.5  # settings/: saved on its own screen
    assert settings["settings_version"] == 2.5 and settings["sliding_window_size"] == 81
    assert settings["prompt"] == "she talks" and "somebody" not in json.dumps(settings)
    assert settings["flow_shift"] == 11
    made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0)), num_inference_steps=2)
    assert seen(installed)["settings"]["num_inference_steps"] == 2


def test_two_people_have_a_track_each(tmp_path: Path, portrait: Path, voice: Path, installed: Path) -> None:
    inputs = spoken(portrait, ("Maya", voice, 0), ("Valen", voice, 1.2), seconds=2.4)
    boxes = [(0.0, 0.1, 0.4, 0.9), (0.6, 0.1, 1.0, 0.9)]
    _, facts = made(tmp_path, avatar(speaker_boxes=boxes), inputs, num_inference_steps=1)
    settings = seen(installed)["settings"]
    assert facts["model"] == "infinitetalk_multi" and settings["audio_prompt_type"] == "PAB"
    assert settings["speakers_locations"] == "0:40 60:100"
    assert seen(installed)["there"] == {"image_refs": True, "audio_guide": True, "audio_guide2": True}


@pytest.mark.parametrize(
    ("scene", "model", "fps"),
    [
        (TextToVideo(prompt="a lamp", resolution="480P", duration=0.5), "t2v_1.3B", 16),
        (TextToVideo(prompt="a lamp", resolution="480P", duration=0.5), "auto", 16),
        (ImageToVideo(prompt="on", resolution="480P", duration=0.5, input_image="asset:" + "0" * 64), "auto", 16),
        (avatar(), "fantasy", 23),
        (avatar(), "hunyuan_avatar", 25),
        (avatar(), "multitalk", 25),
    ],
)
def test_every_task_and_model_in_its_own_way(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path, scene: Any, model: str, fps: float
) -> None:
    inputs = spoken(portrait, ("Maya", voice, 0), seconds=0.5)
    if not isinstance(scene, TalkingAvatar):
        inputs = Inputs(files={"input_image": portrait} if isinstance(scene, ImageToVideo) else {}, duration=0.5)
    path, facts = made(tmp_path, scene, inputs, model=model, num_inference_steps=1)
    assert probe(path).fps == fps
    settings, name = seen(installed)["settings"], facts["model"]
    how = wan2gp_words.MODELS[name]
    assert how.task == scene.task_type and settings["model_type"] == name
    assert ("image_start" in settings, "image_refs" in settings) == (
        how.portrait == "start",
        how.portrait == "reference",
    )
    assert settings.get("image_prompt_type", "") == ("S" if how.portrait == "start" else "")


def test_windows_are_one_progress(tmp_path: Path, portrait: Path, voice: Path, installed: Path) -> None:
    told = Told()
    made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0), seconds=4), told)
    assert told.steps == [(done, 6) for done in range(1, 7)]


def test_nothing_is_left_and_its_folder_is_as_it_was(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path
) -> None:
    def look() -> list[tuple[str, int]]:
        return sorted(
            (str(path), path.stat().st_mtime_ns) for path in FAKE.rglob("*") if "__pycache__" not in str(path)
        )

    before = look()
    made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0)))
    with pytest.raises(EngineError):
        made(tmp_path, avatar("fail"), spoken(portrait, ("Maya", voice, 0)))
    assert look() == before and not list((tmp_path / "scratch").rglob("*"))


def test_it_inherits_the_users_environment_without_keys(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = {"HF_HOME": "/home/me/hf", "PATH": "/bin"}
    Settings(root=tmp_path, hf_home=tmp_path / "models").export(environment)
    assert environment["HF_HOME"] == str(tmp_path / "models")
    assert users_environment(environment)["HF_HOME"] == "/home/me/hf"
    assert "HF_TOKEN" not in users_environment({**environment, "HF_TOKEN": "x"})
    made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0)))
    given = seen(installed)["environment"]
    assert "FAL_KEY" not in given and "PYTHONPATH" not in given
    assert not [name for name in given if name.startswith("LANTERNA_")]


# ------------------------------------------------------------------------------------------------ what goes wrong
@pytest.mark.parametrize(
    ("order", "kind", "code"),
    [
        ("fail", EngineError, "wan2gp.failed"),
        ("memory", OutOfMemory, "engine.out_of_memory"),
        ("skip", EngineError, "wan2gp.nothing"),
        ("short", EngineError, "wan2gp.short"),
    ],
)
def test_its_failures_have_names(
    tmp_path: Path, portrait: Path, voice: Path, order: str, kind: type[EngineError], code: str
) -> None:
    with pytest.raises(EngineError) as error:
        made(tmp_path, avatar(order), spoken(portrait, ("Maya", voice, 0)))
    assert (type(error.value), error.value.code) == (kind, code)
    if order == "fail":
        assert "the lamp is broken" in error.value.params["lines"] and error.value.params["status"] == 1
    if order == "skip":
        assert "[SKIP]" in error.value.params["lines"]


def test_one_that_is_too_old_is_told_to_be_updated(
    tmp_path: Path, portrait: Path, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WAN2GP", "old")
    with pytest.raises(EngineError, match=r"wan2gp\.too_old"):
        made(tmp_path, avatar(), spoken(portrait, ("Maya", voice, 0)))


def gone(pid: int) -> bool:
    """A moment later at most: it was killed, and its parent need not have noticed yet."""
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(os.name == "nt", reason="POSIX process groups")
def test_a_cancel_ends_it_and_what_it_started(tmp_path: Path, portrait: Path, voice: Path, installed: Path) -> None:
    told = Told()
    told.stop_at = 1
    with pytest.raises(Cancelled):
        made(tmp_path, avatar("family"), spoken(portrait, ("Maya", voice, 0)), told)
    assert gone(seen(installed)["pid"])
    child = installed.with_suffix(".child")
    assert not child.exists() or gone(int(child.read_text()))


@pytest.mark.skipif(os.name == "nt", reason="POSIX process groups")
def test_it_ends_with_a_worker_that_is_killed(tmp_path: Path, portrait: Path, voice: Path, installed: Path) -> None:
    """Nobody closes anything: the worker is simply gone."""
    import subprocess

    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path\nfrom studio.pipelines.program import Program\n"
        "p = Program([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'],"
        " Path(sys.argv[1]), 'x')\n"
        "print(next(line for line in p.lines() if line), flush=True)\nimport time; time.sleep(600)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "", str(FAKE.parent.parent)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout
    pid = int(worker.stdout.readline())
    assert psutil.pid_exists(pid)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert gone(pid)


def test_silence_is_given_up(tmp_path: Path, portrait: Path, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**9, 50))
    monkeypatch.setattr(wan2gp.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(program, "LOOK", 0.01)
    with pytest.raises(EngineError, match=r"wan2gp\.silent"):
        made(tmp_path, avatar("hang"), spoken(portrait, ("Maya", voice, 0)), quiet_minutes=1)


@pytest.mark.parametrize(
    ("options", "people", "code"),
    [({"model": "t2v"}, 1, "wan2gp.wrong_model"), ({"model": "hunyuan_avatar"}, 2, "wan2gp.too_many")],
)
def test_a_model_that_cannot_is_refused_before_it_starts(
    tmp_path: Path, portrait: Path, voice: Path, installed: Path, options: Any, people: int, code: str
) -> None:
    said = [(f"p{n}", voice, 0.0) for n in range(people)]
    with pytest.raises(Refused) as error:
        made(tmp_path, avatar(), spoken(portrait, *said), **options)
    assert error.value.code == code and not installed.exists()


# ------------------------------------------------------------------------------------------------ is it here?
@pytest.mark.parametrize(
    ("folder", "python", "reason"),
    [
        ("", "", "wan2gp.no_folder"),
        ("/nowhere", "", "wan2gp.not_there"),
        (str(FAKE), "", "wan2gp.no_python"),
        (str(FAKE), "/nowhere/python", "wan2gp.no_python"),
    ],
)
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, folder: str, python: str, reason: str) -> None:
    monkeypatch.setenv("LANTERNA_WAN2GP_DIR", folder)
    monkeypatch.setenv("LANTERNA_WAN2GP_PYTHON", python)
    found = Wan2GP().availability(MACHINE)
    assert (found.state, found.reason) == ("unfit", reason) and "WanGP" in found.licence


@pytest.mark.parametrize(
    "inside", ["env/bin/python", "venv/Scripts/python.exe", ".venv/bin/python3", "python_env/python.exe"]
)
def test_its_python_is_found_in_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: str) -> None:
    (tmp_path / "wgp.py").touch()
    python = tmp_path / inside
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv("LANTERNA_WAN2GP_DIR", str(tmp_path))
    monkeypatch.setenv("LANTERNA_WAN2GP_PYTHON", "")
    assert wan2gp.installation() == (tmp_path, python)
    assert Wan2GP().availability(MACHINE).state == "ready"


def test_settings_tell_the_engine_where_it_is(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    Settings(root=tmp_path, wan2gp_dir="Wan2GP", wan2gp_python="~/py").export(environment)
    assert environment["LANTERNA_WAN2GP_DIR"] == str(tmp_path / "Wan2GP")
    assert environment["LANTERNA_WAN2GP_PYTHON"] == str(Path("~/py").expanduser())


def test_it_stands_after_our_own_engines_and_before_the_draft() -> None:
    order = [cls.id for cls in engines_for("talking_avatar")]
    assert order.index("ltx2") < order.index("wan2gp") < order.index("draft")


def test_auto_takes_our_own_engines_first(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(cores=8, ram_gb=64, gpu="a card", vram_gb=12)
    ranks = {
        name: studio.engines._planner.rank(engine_class(name), machine) for name in ENGINES
        if "talking_avatar" in engine_class(name).tasks and not engine_class(name).draft
    }  # fmt: skip
    assert max(ranks, key=lambda name: ranks[name]) == "wan2gp"


def test_whoever_is_loaded_makes_room_for_it(tmp_path: Path) -> None:
    closed: list[str] = []

    class Loaded(Wan2GP):
        id = "loaded"
        outside = False

        def close(self) -> None:
            closed.append(self.id)

    manager = PipelineManager(find=lambda name: Wan2GP if name == "wan2gp" else Loaded)
    with manager.lease("loaded", Plan()):
        pass
    with manager.lease("wan2gp", Plan()):
        assert closed == ["loaded"]


# ------------------------------------------------------------------------------------------------ lines of output
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  [12/30] Prompt 1/3 - Denoising | Phase 2/2 Low Noise", (12, 30)),
        ("  [3/30] Prompt 1/1, Sliding Window 2/5 - Denoising", (33, 150)),
        ("  [3/30] Sliding Window 6/5 - Denoising", (153, 180)),
        ("  [31/30] VAE Decoding", (30, 30)),
        ("  [0/0] Loading", None),
        ("[Task 1/1] she talks...", None),
        ("Loaded 3 task(s)", None),
        ("", None),
    ],
)
def test_a_line_says_how_far_it_is(line: str, told: tuple[int, int] | None) -> None:
    found = wan2gp_words.heard(line)
    assert (found and (found.done, found.total)) == told


def test_it_makes_four_n_and_one_frames_and_never_too_few() -> None:
    for seconds in (0.4, 1.0, 1.5, 3.3, 60.0):
        count = wan2gp_words.frames("infinitetalk", seconds)
        assert count % 4 == 1 and seconds * 25 <= count < seconds * 25 + 5


# ------------------------------------------------------------------------------------------------ in a queue
@pytest.fixture
def here(build: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    yield build(wan2gp_dir=str(FAKE), wan2gp_python=sys.executable)


def test_where_it_fails_another_engine_takes_over(
    here: Studio, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(ENGINES):
        if name not in ("wan2gp", "draft"):
            monkeypatch.delitem(ENGINES, name)
    asset = here.library.add(portrait, "maya.png")
    queue = str(here.queues.create("Night", frame={"width": 256, "height": 144})["id"])
    here.queues.update(queue, {"draft_on_failure": True})
    scene = {"task_type": "talking_avatar", "prompt": "fail", "input_image": asset["ref"], "lines": [{"text": "Hi."}],
             "resolution": "480P"}  # fmt: skip
    here.scenes.add(queue, scene)
    here.runs.run(queue)
    here.drain()
    card = here.queues.get(queue)["scenes"][0]
    assert (card["state"], card["take"]["engine"]) == ("done", "draft")
    assert card["degraded"]["params"]["failed"] == "wan2gp"
    assert "the lamp is broken" in here.words.error(card["degraded"])["message"]
