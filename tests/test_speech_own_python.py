"""Speech by packages in a Python of their own: real environments, real processes, and packages that only have the names
of the real ones. What such a program may do wrong, it does here."""

import json
import math
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from studio.domain import Line, SceneAdapter
from studio.errors import Cancelled, EngineError, OutOfMemory, Refused
from studio.media import sound
from studio.pipelines.base import Inputs, Machine, Made, Plan, Run, Speaker
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.parts import SHELF
from studio.pipelines.speech import own_python
from studio.pipelines.speech.own_python import ENVS, SCRIPTS, Child, OwnPython
from studio.pipelines.speech.pocket_package import PocketPackage
from studio.pipelines.speech.qwen3_tts import Qwen3TTS
from studio.pipelines.speech.voxcpm import VoxCPM2

MACHINE = Machine(2, 8.0)
ENGINES: tuple[type[OwnPython], ...] = (PocketPackage, Qwen3TTS, VoxCPM2)
TEXT = "The lamp is lit."
every = pytest.mark.parametrize("cls", ENGINES, ids=lambda cls: cls.id)

TORCH = """
float32, bfloat16 = "float32", "bfloat16"
def manual_seed(seed):
    global seeded
    seeded = seed
"""
BEHAVIOUR = """
import json, math, os, sys, time
import numpy as np
import torch

def note(folder, **told):
    with open(os.path.join(folder, "calls.jsonl"), "a") as file:
        file.write(json.dumps({**told, "pid": os.getpid()}) + "\\n")

def spoken(text, rate):
    print("a package that prints")
    print("progress\\rit says this last", file=sys.stderr, flush=True)
    if "HANG" in text:
        time.sleep(1000)
    if "DIE" in text:
        os._exit(9)
    if "FAIL" in text:
        raise ValueError("too many cooks")
    if "MEMORY" in text:
        raise MemoryError
    seconds = 0.4
    hertz = 200 + torch.seeded % 100
    return (0.3 * np.sin(2 * math.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("f4")
"""
QWEN = """
import os
from behaviour import note, spoken, torch

class Qwen3TTSModel:
    @classmethod
    def from_pretrained(cls, path, *, device_map, dtype):
        self = cls()
        self.path = path
        note(path, load=path, device=device_map, dtype=dtype, files=sorted(os.listdir(path)),
             environment={name: os.environ[name] for name in sorted(os.environ)})
        return self

    def create_voice_clone_prompt(self, *, ref_audio, ref_text, x_vector_only_mode):
        note(self.path, sample=os.path.getsize(ref_audio), words=ref_text, alone=x_vector_only_mode)
        return [ref_audio]

    def generate_voice_clone(self, *, text, language, voice_clone_prompt, temperature):
        note(self.path, text=text, language=language, temperature=temperature, seed=torch.seeded)
        return [spoken(text, 24000)], 24000
"""
VOXCPM = """
from behaviour import note, spoken, torch

class VoxCPM:
    @classmethod
    def from_pretrained(cls, path, *, load_denoiser, optimize, device):
        self = cls()
        self.path, self.tts_model = path, type("T", (), {"sample_rate": 48000})
        note(path, load=path, device=device, denoiser=load_denoiser)
        return self

    def generate(self, *, text, cfg_value, inference_timesteps, reference_wav_path, prompt_wav_path=None,
                 prompt_text=None):
        note(self.path, text=text, cfg=cfg_value, steps=inference_timesteps, words=prompt_text, seed=torch.seeded)
        return spoken(text, 48000)
"""
POCKET = """
import os
import yaml
from behaviour import np, note, spoken, torch

class TTSModel:
    @classmethod
    def load_model(cls, *, config):
        self = cls()
        told = yaml.safe_load(open(config, encoding="utf-8"))
        self.weights, self.sample_rate, self.temp = told["weights_path"], 24000, 0.3
        self.folder = os.path.dirname(self.weights)
        note(self.folder, load=self.weights, tokenizer=told["flow_lm"]["lookup_table"]["tokenizer_path"],
             there=os.path.isfile(self.weights), keys=sorted(told))
        return self

    def get_state_for_audio_prompt(self, path):
        note(self.folder, sample=os.path.getsize(path))
        return {}

    def generate_audio_stream(self, state, text):
        note(self.folder, text=text, temperature=self.temp, seed=torch.seeded)
        yield from np.array_split(spoken(text, 24000), 4)
"""
YAML = """weights_path: hf://kyutai/pocket-tts/languages/x/model.safetensors@1
weights_path_without_voice_cloning: hf://kyutai/other/x@1
flow_lm:
  lookup_table: {tokenizer_path: 'hf://kyutai/other/tokenizer.json@1', dim: 4}
"""
PACKAGES = {
    "qwen_tts-0.1.1": {"qwen_tts/__init__.py": QWEN},
    "voxcpm-2.0.3": {"voxcpm/__init__.py": VOXCPM},
    "pocket_tts-4.0.1": {
        "pocket_tts/__init__.py": POCKET, "pocket_tts/config/english.yaml": YAML,
        "pocket_tts/config/portuguese.yaml": YAML,
    },
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ an environment
def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with all three packages, and our own numpy."""
    folder = tmp_path_factory.mktemp("env") / "theirs"
    venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
    (packages,) = [path for place in own_python.PLACES for path in folder.glob(place)]
    put(packages, {"torch.py": TORCH, "behaviour.py": BEHAVIOUR, "ours.pth": sysconfig.get_path("purelib")})
    for name, files in PACKAGES.items():
        put(packages, {**files, f"{name}.dist-info/METADATA": ""})
    return folder


def weights(path: Path) -> None:
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"a": np.zeros(2, np.float32)}, path)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything is; returns the folder of models."""
    folder, models = tmp_path / "data" / "models", tmp_path / "published"
    pointed = {}
    for cls in ENGINES:
        for part in cls.parts:
            root = models / part.repo.replace("/", "--")
            pointed[part.repo] = [str(root)]
            if "tokenizer.json" in part.files:
                put(root / part.where, {"tokenizer.json": "{}"})
                continue
            put(root / part.where, {"config.json": "{}", "merges.txt": "", "tokenizer_config.json": "{}"})
            weights(root / part.where / "model.safetensors")
    put(models / VoxCPM2.parts[0].repo.replace("/", "--"), {"audiovae.pth": "a pickle"})
    put(folder, {"folders.json": json.dumps(pointed)})
    monkeypatch.setenv(SHELF, str(folder))
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    for name in (ENVS, *(f"LANTERNA_{cls.package.setting.upper()}" for cls in ENGINES)):
        monkeypatch.delenv(name, raising=False)
    own_python._version.cache_clear()
    return folder


@dataclass
class Desk:
    """One engine with its child, and what its package was asked."""

    engine: Any
    folder: Path
    sample: Path
    heard: list[np.ndarray] = field(default_factory=list)
    cancelled: bool = False

    def run(
        self, text: str = TEXT, *, language: str = "en", direction: str = "", transcript: str = "", **options: Any
    ) -> Made:
        line = Line(character="Inês", text=text, direction=direction, language=language).model_dump()
        scene = SceneAdapter.validate_python({"task_type": "speech", "lines": [line]})
        speaker = Speaker("Mina", sample=self.sample, transcript=transcript, print="p")
        run = Run(
            7, Inputs(speaker=speaker), Plan(), self.folder / "take", self.folder / "small",
            cancelled=lambda: self.cancelled, sound=self.sounded,
        )  # fmt: skip
        return self.engine.run(scene, self.engine.Options(**options), run)

    def sounded(self, samples: np.ndarray, rate: int) -> None:
        self.heard.append(samples)

    @property
    def calls(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "published").rglob("calls.jsonl"))
        return [json.loads(row) for file in files for row in file.read_text("utf-8").splitlines()]

    def said(self, name: str) -> list[Any]:
        return [call[name] for call in self.calls if name in call]

    @property
    def pid(self) -> int:
        return int(self.engine._child._process.pid)


@pytest.fixture
def desk_of(shelf: Path, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Any] = []
    path = tmp_path / "sample.wav"
    tone = (0.3 * np.sin(2 * math.pi * 220 * np.arange(4 * 48_000) / 48_000)).astype(np.float32)
    sound.save(path, np.stack([tone, tone], axis=1))

    def desk(cls: type[OwnPython]) -> Desk:
        monkeypatch.setenv(f"LANTERNA_{cls.package.setting.upper()}", str(environment))
        engine = cls()
        engine.load(Plan())
        made.append(engine)
        return Desk(engine, tmp_path, path)

    yield desk
    for engine in made:
        engine.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# ------------------------------------------------------------------------------------------------ speaking
@every
def test_a_line_is_spoken_by_one_child_that_stays(cls: type[OwnPython], desk_of: Any) -> None:
    desk = desk_of(cls)
    made = desk.run("The lamp is lit. The sea is calm.")
    assert len(sound.load48(made.path)) > 0.8 * 48_000 and made.facts["spoken"] == 2
    pid = desk.pid
    desk.run("And on it goes.")
    assert desk.pid == pid and set(desk.said("pid")) == {pid} and len(desk.said("load")) == 1
    assert desk.said("text") == ["The lamp is lit.", "The sea is calm.", "And on it goes."]
    assert desk.engine.held()[desk.engine.id, "child"].ram > 0
    desk.engine.park()
    assert gone(pid) and not desk.engine.held()


@every
def test_the_same_sentence_is_read_the_same_way_and_only_once(cls: type[OwnPython], desk_of: Any) -> None:
    desk = desk_of(cls)
    desk.run()
    desk.run()
    assert desk.said("text") == [TEXT]
    first = desk.said("seed")
    desk.engine.close()
    for path in (desk.folder / "cache").rglob("*.wav"):
        path.unlink()
    desk.run()
    assert desk.said("seed") == first * 2


def test_qwen_is_asked_by_its_own_names(desk_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "LANTERNA_ELEVENLABS_API_KEY", "FAL_KEY"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    desk = desk_of(Qwen3TTS)
    desk.run("灯亮了。", language="zh", transcript="Once.", temperature=0.5)
    desk.run("A luz está acesa.", language="pt")
    load = next(call for call in desk.calls if "load" in call)
    assert (load["device"], load["dtype"]) == ("cpu", "float32") and "speech_tokenizer" in load["files"]
    assert "a secret" not in load["environment"].values() and "PYTHONPATH" not in load["environment"]
    assert load["environment"]["HF_HUB_OFFLINE"] == "1"
    assert desk.said("language") == ["Chinese", "Portuguese"] and desk.said("temperature") == [0.5, 0.9]
    assert desk.said("words") == ["Once.", None] and desk.said("alone") == [False, True]
    assert desk.said("sample")[0] > 4 * 2 * 48_000  # four seconds of 16 bit


def test_voxcpm_takes_the_direction_before_the_words_and_else_the_transcript(desk_of: Any) -> None:
    desk = desk_of(VoxCPM2)
    desk.run(direction="whispering", transcript="Once.")
    desk.run("And on.", transcript="Once.", steps=6)
    assert desk.said("text") == [f"(whispering){TEXT}", "And on."] and desk.said("words") == [None, "Once."]
    assert desk.said("steps") == [10, 6] and desk.said("denoiser") == [False]
    assert desk.engine.made_by()["package"] == "voxcpm 2.0.3"


def test_pocket_tts_reads_the_files_that_are_here_and_is_heard_while_it_speaks(desk_of: Any) -> None:
    desk = desk_of(PocketPackage)
    desk.run()
    desk.run("A luz está acesa.", language="pt")
    assert all(desk.said("there")) and len(desk.said("load")) == 2
    assert all(Path(path).is_file() for path in desk.said("tokenizer"))
    assert all("weights_path_without_voice_cloning" not in keys for keys in desk.said("keys"))
    assert len([piece for piece in desk.heard if len(piece)]) >= 8


# ------------------------------------------------------------------------------------------------ what goes wrong
def test_a_child_that_says_nothing_is_ended(desk_of: Any) -> None:
    desk = desk_of(Qwen3TTS)
    desk.run()
    pid, desk.engine.quiet_seconds = desk.pid, 0.2
    with pytest.raises(EngineError) as error:
        desk.run("HANG now.")
    assert error.value.code == "speech.child_quiet" and gone(pid)


def test_a_child_that_dies_says_why_and_is_started_anew(desk_of: Any) -> None:
    desk = desk_of(Qwen3TTS)
    with pytest.raises(EngineError) as error:
        desk.run("DIE now.")
    assert (error.value.code, error.value.params["reason"]) == ("speech.child_died", "it says this last")
    desk.run()
    assert len(desk.said("load")) == 2


@pytest.mark.parametrize(("text", "kind", "code"), [
    ("FAIL now.", EngineError, "speech.child_failed"), ("MEMORY is full.", OutOfMemory, "engine.out_of_memory"),
])  # fmt: skip
def test_a_package_that_fails_is_told_and_the_child_stays(
    text: str, kind: type[Exception], code: str, desk_of: Any
) -> None:
    desk = desk_of(Qwen3TTS)
    with pytest.raises(kind) as error:
        desk.run(text)
    assert error.value.code == code  # type: ignore[attr-defined]
    pid = desk.pid
    desk.run()
    assert desk.pid == pid


def test_a_cancel_ends_the_child(desk_of: Any) -> None:
    desk = desk_of(Qwen3TTS)
    desk.run()
    pid = desk.pid
    look, looks = desk.engine._child.ask, []

    def ask(request: Any, cancelled: Any, seconds: float) -> Any:
        return look(request, lambda: looks.append(1) or len(looks) > 1, seconds)

    desk.engine._child.ask = ask
    with pytest.raises(Cancelled):
        desk.run("HANG now.")
    assert gone(pid)


def test_a_cancel_between_two_pieces_ends_the_child(desk_of: Any) -> None:
    desk = desk_of(PocketPackage)
    desk.run()
    pid = desk.pid

    def sounded(samples: np.ndarray, rate: int) -> None:
        raise Cancelled

    desk.sounded = sounded
    with pytest.raises(Cancelled):
        desk.run("And on.")
    assert gone(pid)


def test_a_package_that_cannot_be_imported_says_so(desk_of: Any, environment: Path, monkeypatch: Any) -> None:
    desk = desk_of(Qwen3TTS)
    monkeypatch.setattr(Qwen3TTS, "script", "speak_nothing.py")
    with pytest.raises(EngineError) as error:
        desk.run()
    assert error.value.code == "speech.child_died" and "speak_nothing.py" in error.value.params["reason"]


@pytest.mark.parametrize("line", [
    b"I am no JSON\n", b"[]\n", b"17\n", b'{"rate": 24000, "bytes": -4}\n', b'{"rate": 24000, "bytes": 99999999999}\n',
    b'{"bytes": 8}\n12345678', b'{"rate": "x", "bytes": 4}\n1234', b"\xff\xfe\n",
])  # fmt: skip
def test_a_child_that_talks_nonsense_is_ended(line: bytes, tmp_path: Path) -> None:
    script = tmp_path / "nonsense.py"
    script.write_text(f"import sys, time; sys.stdout.buffer.write({line!r}); sys.stdout.flush(); time.sleep(1000)")
    child = Child("x", Path(sys.executable), script)
    with pytest.raises(EngineError) as error:
        list(child.ask({"text": "x"}, lambda: False, 60))
    assert error.value.code == "speech.child_died" and "no answer" in error.value.params["reason"]
    assert not child.alive


def test_samples_that_are_cut_off_are_a_death(tmp_path: Path) -> None:
    script = tmp_path / "cut.py"
    script.write_text("""import sys; sys.stdout.write('{"rate": 24000, "bytes": 400}\\n1234'); sys.exit(3)""")
    child = Child("x", Path(sys.executable), script)
    with pytest.raises(EngineError) as error:
        list(child.ask({"text": "x"}, lambda: False, 60))
    assert (error.value.code, error.value.params["reason"]) == ("speech.child_died", "exit status 3")


def test_a_python_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("not a program")
    with pytest.raises(EngineError) as error:
        Child("x", program, tmp_path / "script.py")
    assert error.value.code == "speech.child_failed"


def test_a_child_whose_studio_is_gone_ends_while_it_speaks(environment: Path, shelf: Path, tmp_path: Path) -> None:
    python = own_python._program(environment)
    process = subprocess.Popen(
        [str(python), str(SCRIPTS / Qwen3TTS.script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=own_python.child_environment(), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin and process.stdout
    load = {"parts": {"model": str(tmp_path)}, "device": "cpu", "dtype": "float32"}
    (tmp_path / "voice.wav").write_bytes(b"")
    asked = {"text": "HANG", "language": "en", "seed": 1, "sample": str(tmp_path / "voice.wav"), "transcript": "",
             "temperature": 0.9}  # fmt: skip
    process.stdin.write(json.dumps({"load": load}).encode() + b"\n" + json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"done": True}
    process.stdin.close()
    try:
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.stdout.close()


# ------------------------------------------------------------------------------------------------ whether it is here
@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may start one only to look."""

    def forbidden(*args: Any, **more: Any) -> None:
        raise AssertionError("a process")

    monkeypatch.setattr(subprocess, "Popen", forbidden)


@every
def test_without_its_python_it_tells_the_commands(cls: type[OwnPython], shelf: Path, no_process: None) -> None:
    found = cls().availability(MACHINE)
    assert (found.state, found.reason) == ("unfit", "speech.no_package")
    commands = found.params["commands"]
    assert f"-m pip install {cls.package.name}{cls.package.version}" in commands
    assert str(shelf.parent / "envs" / cls.id) in commands and found.params["setting"] == cls.package.setting


@every
def test_a_python_without_the_package_is_told_to_install_it(
    cls: type[OwnPython], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    put(tmp_path / "bare", {"bin/python": "", "lib/python3.12/site-packages/x.py": ""})
    monkeypatch.setenv(f"LANTERNA_{cls.package.setting.upper()}", str(tmp_path / "bare" / "bin" / "python"))
    found = cls().availability(MACHINE)
    assert found.reason == "speech.no_package"
    assert found.params["commands"].startswith(f'"{tmp_path / "bare" / "bin" / "python"}" -m pip install')


@every
def test_a_path_without_a_python_is_told(
    cls: type[OwnPython], shelf: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setenv(f"LANTERNA_{cls.package.setting.upper()}", "/nowhere/python")
    found = cls().availability(MACHINE)
    assert (found.reason, found.params["path"]) == ("speech.no_python", "/nowhere/python")


@every
def test_named_or_in_the_usual_place_it_is_ready(
    cls: type[OwnPython], shelf: Path, environment: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setenv(f"LANTERNA_{cls.package.setting.upper()}", str(environment))
    assert cls().availability(MACHINE).state == "ready"
    monkeypatch.delenv(f"LANTERNA_{cls.package.setting.upper()}")
    usual = shelf.parent / "envs"
    usual.mkdir()
    (usual / cls.id).symlink_to(environment)
    assert cls().availability(MACHINE).state == "ready"


@every
def test_without_its_weights_it_offers_them(
    cls: type[OwnPython], shelf: Path, environment: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setenv(f"LANTERNA_{cls.package.setting.upper()}", str(environment))
    (shelf / "folders.json").write_text("{}")
    found = cls().availability(MACHINE)
    assert (found.state, found.licence) == ("needs_download", cls.licence)
    assert found.bytes == sum(part.bytes for part in cls.parts) > 0


def test_only_pocket_tts_may_live_in_our_own_python(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setattr(own_python, "find_spec", lambda name: object())
    assert PocketPackage()._python() == Path(sys.executable)
    for cls in (Qwen3TTS, VoxCPM2):
        with pytest.raises(Refused):
            cls()._python()


def test_the_codec_of_voxcpm_is_fetched_by_the_user(
    shelf: Path, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setenv("LANTERNA_VOXCPM_PYTHON", str(environment))
    (tmp_path / "published" / "openbmb--VoxCPM2" / "audiovae.pth").unlink()
    found = VoxCPM2().availability(MACHINE)
    assert (found.state, found.reason) == ("unfit", "speech.no_codec")
    assert found.params["command"].startswith("hf download openbmb/VoxCPM2 audiovae.pth --local-dir")
    (tmp_path / "published" / "openbmb--VoxCPM2" / "audiovae.safetensors").touch()
    assert VoxCPM2().availability(MACHINE).state == "ready"


@every
def test_the_app_need_not_load_anything_to_know_them(cls: type[OwnPython]) -> None:
    code = f"import sys, {cls.__module__}; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
