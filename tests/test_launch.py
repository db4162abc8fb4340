"""launch.py: sets up once, starts at once, goes on after an interruption, and says the cure when it cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from computer import Computer, lay_out

import launch
from installer import Outside, Place, Said, SetUpError
from installer.packages import make_venv, pip_install

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder with small requirements."""
    return lay_out(tmp_path)


@pytest.fixture
def computer(place: Place) -> Computer:
    return Computer(place)


@pytest.fixture
def start(place: Place, computer: Computer) -> Any:
    return lambda *arguments: launch.main(list(arguments), place, computer)


# ------------------------------------------------------------------------------------------------ once
def test_the_first_start_sets_up_and_hands_over(start, computer):
    assert start("render", "a.json") == 7
    assert computer.asked == ["venv", "torch==9.9.9", "-r requirements.txt", "start /launch.py render a.json"]


def test_the_second_start_does_nothing_but_start(start, computer, monkeypatch):
    start()
    computer.asked.clear()
    computer.commands.clear()
    monkeypatch.setattr(computer, "answers", lambda url: pytest.fail("the network on a start that needs none"))
    assert start("demo") == 7
    assert computer.asked == ["start /launch.py demo"] and computer.commands == []


def test_changed_requirements_are_installed_and_the_venv_is_kept(start, place, computer):
    start()
    computer.asked.clear()
    place.requirements("app").write_text("rich>=14\ntorch==9.9.9\n")
    start()
    assert computer.asked[:-1] == ["-r requirements.txt"]
    place.requirements("app").write_text("rich>=14\ntorch==9.9.10\n")
    start()
    assert computer.asked[2:4] == ["torch==9.9.10", "-r requirements.txt"]


def test_another_python_makes_another_venv(start, place, computer):
    start()
    computer.asked.clear()
    place.stamp.write_text(place.stamp.read_text().replace('"3.', '"2.'))
    start()
    assert "-r requirements.txt" in computer.asked


@pytest.mark.parametrize("fail_on", ["torch", "requirements"])
@pytest.mark.parametrize("interrupt", [True, False])
def test_after_an_interruption_it_goes_on(start, place, computer, fail_on, interrupt, capsys):
    computer.fail_on, computer.interrupt = fail_on, interrupt
    assert start() == (130 if interrupt else 1)
    assert "app" not in place.installed()
    assert "same command again" in capsys.readouterr().err
    computer.fail_on = ""
    computer.asked.clear()
    assert start() == 7
    again = ["torch==9.9.9"] if fail_on == "torch" else []  # what was finished is not done again
    assert computer.asked == [*again, "-r requirements.txt", "start /launch.py"]


def test_a_damaged_stamp_is_no_stamp(start, place, computer):
    start()
    place.stamp.write_text('{"app": ')
    computer.asked.clear()
    start()
    assert "-r requirements.txt" in computer.asked


def test_a_venv_whose_python_has_gone_is_made_anew(start, place):
    start()
    (place.venv / "pyvenv.cfg").write_text("executable = /nowhere/python3\n")
    assert place.installed() == {}


# ------------------------------------------------------------------------------------------------ the network
def test_an_index_out_of_reach_is_quick_and_quiet(capsys):
    assert Outside().answers("http://127.0.0.1:9/whl/cpu") is False
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------------ verbs
def test_test_installs_the_tools_and_returns_pytests_code(start, computer):
    assert start("test", "-k", "queue", "-x") == 7
    assert computer.asked[1:4] == ["torch==9.9.9", "-r requirements.txt", "-r requirements-dev.txt"]
    assert computer.asked[-1] == "start -m pytest -k queue -x"
    start("test")
    assert computer.asked[-1] == "start -m pytest -n auto --dist loadfile"


def test_install_installs_and_ends(start, computer, capsys):
    assert start("install") == 0
    assert computer.asked == ["venv", "torch==9.9.9", "-r requirements.txt"]
    assert "launch.py demo" in capsys.readouterr().out
    assert start("install", "--dev") == 0
    assert computer.asked[3:] == ["-r requirements-dev.txt"]


@pytest.mark.parametrize("argument", ["--version", "--help", "-h"])
def test_a_question_installs_nothing(start, computer, capsys, argument):
    assert start(argument) == 0
    assert computer.asked == []
    said = capsys.readouterr().out
    assert "1.2.3" in said or "launch.py demo" in said


# ------------------------------------------------------------------------------------------------ what can go wrong
def test_an_old_python_is_told_so(start, computer, capsys):
    computer.python = (3, 8, 18)
    assert start() == 1
    assert "needs Python" in capsys.readouterr().err and computer.asked == []


def test_too_little_disk_is_told_before_anything_is_fetched(start, computer, capsys):
    computer.free = 1e9
    assert start() == 1
    assert "1.0 GB are free" in capsys.readouterr().err and computer.asked == []


@pytest.mark.skipif(os.name == "nt", reason="a link to a Python")
def test_pips_talk_is_condensed(place, monkeypatch, tmp_path, capsys):
    """A real subprocess, in which a module called pip stands for the real one."""
    lines = [
        "Requirement already satisfied: rich", "Collecting torch==9", "Downloading torch-9-cp311.whl (900.1 MB)",
        "Progress 45 of 90", "Downloading small-1.whl (12 kB)", "Installing collected packages: a, b, c",
    ]  # fmt: skip
    (tmp_path / "pip.py").write_text(f"print({chr(10).join(lines)!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    place.python.parent.mkdir(parents=True)
    place.python.symlink_to(sys.executable)
    pip_install(place, Outside(), ["torch"], "PyTorch")
    said = capsys.readouterr().out
    assert "fetching torch (900.1 MB)" in said and "unpacking 3 packages" in said and "PyTorch: done" in said
    assert "small" not in said and "satisfied" not in said and "Progress" not in said


@pytest.mark.parametrize(("said", "told"), [("No module named ensurepip", "venv module"), ("Errno 28", "disk is full")])
def test_a_python_without_venv_is_told(place, computer, said, told):
    computer.fail_on, computer.failure = "venv", Said(1, said)
    with pytest.raises(SetUpError) as error:
        make_venv(place, computer)
    assert told in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's environment")
def test_a_real_venv_without_a_network_ends_with_a_cure(tmp_path):
    """Everything real but the index."""
    own = ["launch.py", "requirements.txt", "requirements-dev.txt", "studio/__init__.py"]
    for path in [*map(REPOSITORY.joinpath, own), *(REPOSITORY / "installer").glob("*.py")]:
        target = tmp_path / path.relative_to(REPOSITORY)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    away = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(tmp_path / "none")}
    away |= {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "launch.py", "demo"], cwd=tmp_path, env=away, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "No matching distribution found for torch" in done.stderr and "->" in done.stderr
    assert (tmp_path / ".venv").is_dir() and not (tmp_path / ".venv" / "lanterna.json").exists()
    log = (tmp_path / "data" / "logs" / "install.log").read_text("utf-8")
    assert "venv: done in" in log and "torch: failed after" in log and "torch: cure: " in log


SET_UP = [REPOSITORY / "launch.py", *sorted((REPOSITORY / "installer").glob("*.py"))]


@pytest.mark.parametrize("path", SET_UP, ids=lambda path: path.name)
def test_it_imports_the_standard_library_only_in_words_that_an_old_python_reads(path):
    import ast

    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
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
    assert names <= {*sys.stdlib_module_names, "installer"}


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


def test_the_stamp_is_small_and_readable(start, place):
    start()
    assert set(json.loads(place.stamp.read_text())) == {"python", "torch", "gpu", "app"}


def test_a_stamp_of_last_month_counts(start, place, computer):
    start()
    stamp = json.loads(place.stamp.read_text())
    place.stamp.write_text(json.dumps({"python": stamp["python"], "app": stamp["app"]}))
    computer.asked.clear()
    assert start("demo") == 7 and computer.asked == ["start /launch.py demo"]
