"""launch.py: sets up once, starts at once, goes on after an interruption, and says the cure when it cannot."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def launch(tmp_path: Path) -> ModuleType:
    """A launch.py of its own, in an empty folder with small requirements."""
    spec = importlib.util.spec_from_file_location("launch_under_test", REPOSITORY / "launch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV = tmp_path, tmp_path / ".venv"
    module.PYTHON = module.VENV / module.PYTHON.relative_to(REPOSITORY / ".venv")
    module.STAMP = module.VENV / "lanterna.json"
    module.REQUIREMENTS = {"app": tmp_path / "requirements.txt", "dev": tmp_path / "requirements-dev.txt"}
    module.REQUIREMENTS["app"].write_text("rich\ntorch==9.9.9    # pinned\n")
    module.REQUIREMENTS["dev"].write_text("pytest\n")
    (tmp_path / "studio").mkdir()
    (tmp_path / "studio" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    module.has_nvidia = lambda: False
    module.answers = lambda url: False
    return module


class World:
    """In place of pip, venv and the network: what was asked, and what should happen."""

    def __init__(self, launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.launch, self.asked, self.fail_on = launch, [], ""
        self.failure: Exception = launch.SetUpError("broken", "mend it")
        monkeypatch.setattr(launch, "pip_install", self.pip)
        monkeypatch.setattr(launch, "make_venv", self.venv)
        monkeypatch.setattr(launch, "venv_works", lambda: launch.PYTHON.exists())
        monkeypatch.setattr(launch, "hand_over", self.hand_over)

    def venv(self) -> None:
        self.asked.append("venv")
        self.launch.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        self.launch.PYTHON.write_text("")
        (self.launch.VENV / "pyvenv.cfg").write_text(
            f"home = /usr/bin\nversion = 3.11.7\nexecutable = {sys.executable}\n"
        )

    def pip(self, arguments: list[str], title: str) -> None:
        what = " ".join(Path(part).name if "requirements" in part else part for part in arguments)
        self.asked.append(what)
        if self.fail_on and self.fail_on in what:
            raise self.failure

    def hand_over(self, command: list[str], folder: Path | None = None) -> int:
        self.asked.append("start " + " ".join(command[1:]).replace(str(self.launch.ROOT), ""))
        return 7


@pytest.fixture
def world(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(launch, monkeypatch)


# ------------------------------------------------------------------------------------------------ once
def test_the_first_start_sets_up_and_hands_over(launch, world):
    assert launch.main(["render", "a.json"]) == 7
    assert world.asked == ["venv", "torch==9.9.9", "-r requirements.txt", "start /launch.py render a.json"]


def test_the_second_start_does_nothing_but_start(launch, world, monkeypatch):
    launch.main([])
    world.asked.clear()
    for name in ("run", "Popen"):
        monkeypatch.setattr(subprocess, name, lambda *a, **k: pytest.fail("a subprocess on a start that needs none"))
    monkeypatch.setattr(launch, "answers", lambda url: pytest.fail("the network on a start that needs none"))
    assert launch.main(["demo"]) == 7
    assert world.asked == ["start /launch.py demo"]


def test_changed_requirements_are_installed_and_the_venv_is_kept(launch, world):
    launch.main([])
    world.asked.clear()
    launch.REQUIREMENTS["app"].write_text("rich>=14\ntorch==9.9.9\n")
    launch.main([])
    assert world.asked[:-1] == ["torch==9.9.9", "-r requirements.txt"]


def test_another_python_makes_another_venv(launch, world):
    launch.main([])
    world.asked.clear()
    launch.STAMP.write_text(launch.STAMP.read_text().replace("3.11.7", "3.10.1"))
    launch.main([])
    assert "-r requirements.txt" in world.asked


@pytest.mark.parametrize("fail_on", ["torch", "requirements"])
@pytest.mark.parametrize("failure", ["interrupt", "error"])
def test_after_an_interruption_it_goes_on(launch, world, fail_on, failure, capsys):
    world.fail_on = fail_on
    if failure == "interrupt":
        world.failure = KeyboardInterrupt()  # type: ignore[assignment]
    assert launch.main([]) == (130 if failure == "interrupt" else 1)
    assert not launch.STAMP.exists()
    said = capsys.readouterr().err
    assert "same command again" in said or "mend it" in said
    world.fail_on = ""
    assert launch.main([]) == 7
    assert launch.STAMP.exists()


def test_a_damaged_stamp_is_no_stamp(launch, world):
    launch.main([])
    launch.STAMP.write_text('{"app": ')
    world.asked.clear()
    launch.main([])
    assert "-r requirements.txt" in world.asked


def test_a_venv_whose_python_has_gone_is_made_anew(launch, world):
    launch.main([])
    (launch.VENV / "pyvenv.cfg").write_text("executable = /nowhere/python3\n")
    assert launch.installed() == {}


# ------------------------------------------------------------------------------------------------ torch
def test_without_a_gpu_the_small_build_is_tried_first(launch, world, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    launch.answers = lambda url: url.startswith(launch.CPU_INDEX)
    launch.install_torch()
    assert world.asked == [f"--extra-index-url {launch.CPU_INDEX} torch==9.9.9"]


def test_an_index_that_fails_is_left(launch, world, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    launch.answers = lambda url: True
    world.fail_on = "--extra-index-url"
    launch.install_torch()
    assert world.asked[-1] == "torch==9.9.9"


@pytest.mark.parametrize(("platform", "nvidia"), [("linux", True), ("win32", True), ("darwin", False)])
def test_with_a_gpu_or_on_a_mac_it_is_the_usual_build(launch, world, monkeypatch, platform, nvidia):
    monkeypatch.setattr(sys, "platform", platform)
    launch.has_nvidia = lambda: nvidia
    launch.answers = lambda url: pytest.fail("asked for an index it must not use")
    launch.install_torch()
    assert world.asked == ["torch==9.9.9"]


def test_an_index_out_of_reach_is_quick_and_quiet(launch, capsys):
    spec = importlib.util.spec_from_file_location("fresh", REPOSITORY / "launch.py")
    assert spec and spec.loader
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert fresh.answers("http://127.0.0.1:9/whl/cpu") is False
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------------ verbs
def test_test_installs_the_tools_and_returns_pytests_code(launch, world):
    assert launch.main(["test", "-k", "queue", "-x"]) == 7
    assert world.asked[1:4] == ["torch==9.9.9", "-r requirements.txt", "-r requirements-dev.txt"]
    assert world.asked[-1] == "start -m pytest -k queue -x"
    launch.main(["test"])
    assert world.asked[-1] == "start -m pytest -n auto --dist loadfile"


def test_install_installs_and_ends(launch, world, capsys):
    assert launch.main(["install"]) == 0
    assert world.asked == ["venv", "torch==9.9.9", "-r requirements.txt"]
    assert "launch.py demo" in capsys.readouterr().out
    assert launch.main(["install", "--dev"]) == 0
    assert world.asked[3:] == ["-r requirements-dev.txt"]


@pytest.mark.parametrize("argument", ["--version", "--help", "-h"])
def test_a_question_installs_nothing(launch, world, capsys, argument):
    assert launch.main([argument]) == 0
    assert world.asked == []
    said = capsys.readouterr().out
    assert "1.2.3" in said or "launch.py demo" in said


# ------------------------------------------------------------------------------------------------ what can go wrong
def test_an_old_python_is_told_so(launch, world, monkeypatch, capsys):
    monkeypatch.setattr(launch, "OLDEST", (9, 0))
    assert launch.main([]) == 1
    assert "needs Python" in capsys.readouterr().err and world.asked == []


def test_too_little_disk_is_told_before_anything_is_fetched(launch, world, monkeypatch, capsys):
    monkeypatch.setattr(launch.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**9})())
    assert launch.main([]) == 1
    assert "1.0 GB are free" in capsys.readouterr().err and world.asked == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection\nERROR: No matching distribution", "reached"),
        ("ERROR: No matching distribution found for torch==9.9.9", "no build for this Python"),
        ("PermissionError: [Errno 13] Permission denied: '.venv/x'", "could not be written"),
        ("error: metadata-generation-failed", "compiled"),
        ("something nobody has seen before", "Installing failed"),
    ],
)
def test_what_pip_says_becomes_a_cure(launch, monkeypatch, tmp_path, said, told):
    """A real subprocess, in which a module called pip stands for the real one."""
    (tmp_path / "pip.py").write_text(f"print('Collecting torch'); print({said!r}); raise SystemExit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    launch.PYTHON = sys.executable
    with pytest.raises(launch.SetUpError) as failed:
        launch.pip_install(["torch"], "PyTorch")
    assert told in str(failed.value), "the meaning"
    assert said.splitlines()[-1] in str(failed.value), "and the last lines"
    assert failed.value.cure


def test_pips_talk_is_condensed(launch, monkeypatch, tmp_path, capsys):
    lines = [
        "Requirement already satisfied: rich", "Collecting torch==9", "Downloading torch-9-cp311.whl (900.1 MB)",
        "Progress 45 of 90", "Downloading small-1.whl (12 kB)", "Installing collected packages: a, b, c",
    ]  # fmt: skip
    (tmp_path / "pip.py").write_text(f"print({chr(10).join(lines)!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    launch.PYTHON = sys.executable
    launch.pip_install(["torch"], "PyTorch")
    said = capsys.readouterr().out
    assert "fetching torch (900.1 MB)" in said and "unpacking 3 packages" in said and "PyTorch: done" in said
    assert "small" not in said and "satisfied" not in said and "Progress" not in said


@pytest.mark.parametrize(("said", "told"), [("No module named ensurepip", "venv module"), ("Errno 28", "disk is full")])
def test_a_python_without_venv_is_told(launch, monkeypatch, said, told):
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(launch.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(launch.SetUpError) as error:
        launch.make_venv()
    assert told in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's environment")
def test_a_real_venv_without_a_network_ends_with_a_cure(tmp_path):
    """Everything real but the index."""
    for name in ("launch.py", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    (tmp_path / "studio").mkdir()
    away = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(tmp_path / "none")}
    away |= {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "launch.py", "demo"], cwd=tmp_path, env=away, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "No matching distribution found for torch" in done.stderr and "->" in done.stderr
    assert (tmp_path / ".venv").is_dir() and not (tmp_path / ".venv" / "lanterna.json").exists()


def test_it_imports_the_standard_library_only():
    import ast

    tree = ast.parse((REPOSITORY / "launch.py").read_text("utf-8"))
    names = {
        name.split(".")[0]
        for node in tree.body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= set(sys.stdlib_module_names)


# ------------------------------------------------------------------------------------------------ requirements
def packages(name: str) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (REPOSITORY / name).read_text("utf-8").splitlines()]
    found: dict[str, str] = {}
    for line in filter(None, lines):
        package = line.split(";")[0].strip()
        end = next((i for i, c in enumerate(package) if c in "<>=!~"), len(package))
        found[package[:end]] = line
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_explained_and_nothing_else(name):
    text = (REPOSITORY / "docs" / "dependencies.md").read_text("utf-8")
    part = text.split("## ")[1 if name == "requirements.txt" else 2]
    explained = {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}
    assert explained == set(packages(name))


def test_pins():
    pins = packages("requirements.txt")
    assert pins["gradio"] == "gradio==6.31.0" and pins["torch"] == "torch==2.13.0"
    assert 'sys_platform == "linux"' in pins["xfuser"]
    assert "<5" in pins["opencv-python-headless"] and ">=0.42.1" in pins["diffusers"]
    assert not {"torchvision", "torchaudio"} & set(pins)


def test_no_requirement_brings_torchvision_or_torchaudio():
    import importlib.metadata as metadata

    from packaging.requirements import Requirement

    seen: set[str] = set()
    todo = list(packages("requirements.txt"))
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        wanted = [Requirement(text) for text in needs]
        todo += [w.name for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]
    assert not {"torchvision", "torchaudio"} & seen


def test_the_stamp_is_small_and_readable(launch, world: Any):
    launch.main([])
    assert set(json.loads(launch.STAMP.read_text())) == {"python", "app"}
