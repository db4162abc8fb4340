"""The program that is clicked: it finds the bundle's Python, or has uv fetch one, wherever the bundle lies."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def starter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("starter", ROOT / "packaging" / "starter" / "starter.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["starter"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


WINDOWS = PureWindowsPath(r"D:\Meus filmes\José & Ação\Lanterna-program")
LINUX = PurePosixPath("/home/user/filmes do José/Lanterna-program")


def test_where_things_lie_in_a_bundle_on_windows(starter: ModuleType) -> None:
    bundle = starter.Bundle(WINDOWS, True)
    inside = "D:\\Meus filmes\\José & Ação\\Lanterna-program\\"
    assert str(bundle.python) == inside + "python\\python.exe"
    assert str(bundle.uv) == inside + "bin\\uv.exe"
    assert str(bundle.launcher) == inside + "app\\launch.py"
    assert str(bundle.set_up) == inside + ".venv\\lanterna.json"


def test_where_things_lie_elsewhere(starter: ModuleType) -> None:
    bundle = starter.Bundle(LINUX, False)
    assert (bundle.python, bundle.uv) == (LINUX / "python/bin/python3", LINUX / "bin/uv")


@pytest.mark.parametrize("top", [WINDOWS, LINUX])
def test_a_click_sets_up_once_and_opens_what_is_typed_is_passed_on(starter: ModuleType, top: PurePath) -> None:
    bundle = starter.Bundle(top, isinstance(top, PureWindowsPath))
    launcher = str(top / "app" / "launch.py")
    usual = ["py", launcher, "--or-show", "--window"]
    assert bundle.commands("py", [], is_set_up=False) == [["py", launcher, "install"], usual]
    assert bundle.commands("py", [], is_set_up=True) == [usual]
    episode = r"C:\Meus filmes\é & ü.json"
    assert bundle.commands("py", ["render", episode], is_set_up=False) == [["py", launcher, "render", episode]]


def test_nothing_of_another_python_reaches_ours(starter: ModuleType) -> None:
    environ = {
        "PATH": "/usr/bin", "PYTHONHOME": "/conda", "PYTHONPATH": "/conda/lib", "LD_LIBRARY_PATH": "/tmp/_MEI1",
        "LD_LIBRARY_PATH_ORIG": "/opt/cuda/lib", "HOME": "/home/josé",
    }  # fmt: skip
    assert starter.Bundle(LINUX, False).environment(environ) == {
        "PATH": "/usr/bin", "LD_LIBRARY_PATH": "/opt/cuda/lib", "HOME": "/home/josé",
        "UV_PYTHON_INSTALL_DIR": str(LINUX / "python"),
    }  # fmt: skip
    unpacked = {"LD_LIBRARY_PATH": "/tmp/_MEI1"}  # PyInstaller's alone: the user had none
    assert "LD_LIBRARY_PATH" not in starter.Bundle(LINUX, False).environment(unpacked)
    windows = starter.Bundle(WINDOWS, True).environment({"PYTHONHOME": "C:\\conda", "USERPROFILE": "C:\\Users\\José"})
    assert windows == {
        "USERPROFILE": "C:\\Users\\José", "UV_PYTHON_INSTALL_DIR": str(WINDOWS / "python"), "PYTHONUTF8": "1",
    }  # fmt: skip


class Uv:
    """uv that has a Python only when it was told to fetch one, and the network is there."""

    def __init__(self, has: bool = False, network: bool = True) -> None:
        self.has, self.network, self.asked = has, network, [""][:0]

    def __call__(self, *words: str) -> str:
        self.asked.append(words[1])
        self.has = self.has or (words[1] == "install" and self.network)
        return "/b/python/cpython/bin/python3.11" if self.has and words[1] == "find" else ""


@pytest.mark.parametrize(
    ("carried", "uv", "found", "asked"),
    [
        (True, Uv(), str(LINUX / "python/bin/python3"), []),
        (False, Uv(has=True), "/b/python/cpython/bin/python3.11", ["find"]),
        (False, Uv(), "/b/python/cpython/bin/python3.11", ["find", "install", "find"]),
        (False, Uv(network=False), None, ["find", "install", "find"]),
    ],
    ids=["carried", "fetched before", "fetched now", "no network"],
)
def test_the_python_that_it_starts(
    starter: ModuleType, carried: bool, uv: Uv, found: str | None, asked: list[str]
) -> None:
    assert starter.find_python(starter.Bundle(LINUX, False), lambda path: carried, uv) == found
    assert uv.asked == asked


def test_a_click_on_linux_opens_the_terminal_that_is_there(starter: ModuleType) -> None:
    program = str(LINUX / "Lanterna")
    have = {"konsole": "/usr/bin/konsole", "xterm": "/usr/bin/xterm"}
    assert starter.in_a_terminal([program], have.get) == ["/usr/bin/konsole", "-e", program]
    assert starter.in_a_terminal([program], {"gnome-terminal": "/g"}.get) == ["/g", "--", program]
    assert starter.in_a_terminal([program], {}.get) is None


def test_a_failed_set_up_opens_nothing(starter: ModuleType, tmp_path: Path) -> None:
    mark = tmp_path / "opened"
    fail = [sys.executable, "-c", "raise SystemExit(3)"]
    touch = [sys.executable, "-c", f"open({str(mark)!r}, 'w')"]
    assert starter.run([fail, touch], os.environ) == 3 and not mark.exists()
    assert starter.run([touch], os.environ) == 0 and mark.exists()


def without_network(tmp_path: Path) -> Path:
    """An unpacked bundle that carries no Python, with a uv that can fetch none."""
    top = tmp_path / "Meus filmes é" / "Lanterna-program"
    (top / "bin").mkdir(parents=True)
    uv = top / "bin" / "uv"
    uv.write_text("#!/bin/sh\nexit 1\n")
    uv.chmod(0o755)
    return top


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for uv")
def test_without_python_and_network_it_says_the_cure(starter: ModuleType, tmp_path: Path) -> None:
    top = without_network(tmp_path)
    program = top / "starter.py"
    program.write_text(Path(str(starter.__file__)).read_text("utf-8"), "utf-8")
    said = subprocess.run([sys.executable, program, "demo"], capture_output=True, text=True)
    assert said.returncode == 1 and "Check the connection" in said.stderr


# ------------------------------------------------------------------------------------------------ the shell's
SHELL = (ROOT / "packaging" / "bundle" / "Lanterna.sh").read_text("utf-8")
BATCH = (ROOT / "packaging" / "bundle" / "Lanterna.bat").read_text("utf-8")


def test_the_scripts_that_are_clicked_do_the_same(starter: ModuleType) -> None:
    for script in (SHELL, BATCH):
        assert " ".join(starter.USUAL) in script and f"--managed-python {starter.MINOR}" in script
        assert f"install --no-bin {starter.MINOR}" in script and "lanterna.json" in script
        assert "UV_PYTHON_INSTALL_DIR" in script and "PYTHONHOME" in script and "PYTHONPATH" in script
    # %~dp0 and what comes of it stand in quotes: folders are called "José & Ação"
    assert all('"' in line for line in BATCH.splitlines() if "%HERE%" in line or "%PYTHON%" in line)


def test_every_jump_of_the_batch_file_has_one_place_to_go() -> None:
    labels = re.findall(r"^:(\w+)$", BATCH, re.M)
    jumps = set(re.findall(r"(?:goto|call :)\s*(\w+)", BATCH))
    assert len(labels) == len(set(labels)) and set(labels) == jumps
    # what stands before a label ends there or is meant to go on into it
    before = [BATCH[: BATCH.index(f"\n:{name}\n")].splitlines()[-2:] for name in ("failed", "verb", "find")]
    assert all(any("exit /b" in line for line in lines) for lines in before)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_a_set_up_that_fails_opens_nothing_in_the_shell_either(tmp_path: Path) -> None:
    top = without_network(tmp_path)
    script, python = top / "Lanterna.sh", top / "python" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    for path, text in ((script, SHELL), (python, '#!/bin/sh\necho "$2"; [ "$2" != install ]\n')):
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    failed = subprocess.run([script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (failed.returncode, failed.stdout) == (1, "install\n")
    (top / ".venv").mkdir()
    (top / ".venv" / "lanterna.json").touch()
    opened = subprocess.run([script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (opened.returncode, opened.stdout) == (0, "--or-show\n")


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_shell_script_passes_arguments_on_whole(tmp_path: Path) -> None:
    top = without_network(tmp_path)
    starter_script, python = top / "Lanterna.sh", top / "python" / "bin" / "python3"
    starter_script.write_text(SHELL, "utf-8")
    starter_script.chmod(0o755)
    refused = subprocess.run([starter_script, "demo"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert refused.returncode == 1 and "Check the connection" in refused.stderr
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "[$word]"; done\n')
    python.chmod(0o755)
    said = subprocess.run([starter_script, "render", "Meu filme é.json"], capture_output=True, text=True)
    assert said.stdout.splitlines() == [f"[{top}/app/launch.py]", "[render]", "[Meu filme é.json]"]
    clicked = subprocess.run([starter_script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    words = [line.strip("[]") for line in clicked.stdout.splitlines()]
    assert [word for word in words if not word.startswith("/")] == ["install", "--or-show", "--window"]


def test_what_a_click_asks_for_is_known_to_the_command_line(starter: ModuleType) -> None:
    from typer.main import get_command

    from studio.cli import cli

    known = {name for option in get_command(cli).params for name in option.opts}
    assert set(starter.USUAL) <= known
