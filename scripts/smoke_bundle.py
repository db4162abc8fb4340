"""Does a bundle start on a computer without Python? Unpacked into an empty folder, it renders the demo and its film.

    python scripts/smoke_bundle.py dist/Lanterna-0.1.0-linux-x64.zip [--folder FOLDER] [--offline WHEELS]

The folder's name has a space and an accent; PATH has some programs of the shell and no Python; the home is empty. The
set-up is real: it installs everything into the bundle's own environment with the bundle's own Python. Linux and macOS.
"""

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

OF_THE_SHELL = ("sh", "dirname", "uname", "cat", "ls", "mkdir", "rm", "cp", "mv", "ln", "sed", "grep", "tr", "head")
PASSED_ON = (
    "PIP_",
    "SSL_",
    "REQUESTS_CA",
    "HTTP",
    "http",
    "NO_PROXY",
    "no_proxy",
)  # how this machine reaches the index
LEAST_FRAMES = 24 * 20
LOOK = """
import av, json, sys
film = av.open(sys.argv[1])
video = film.streams.video[0]
frames = [frame for frame in film.decode(video=0)]
grey = [float(frame.reformat(format="gray", width=64, height=36).to_ndarray().std()) for frame in frames[::48]]
print(json.dumps({"frames": len(frames), "size": [video.width, video.height], "fps": float(video.average_rate),
                  "sound": len(film.streams.audio), "contrast": max(grey), "python": sys.version.split()[0],
                  "prefix": sys.base_prefix}))
"""


class Broken(Exception):
    """What the bundle did not do."""


def unpack(archive: Path, folder: Path) -> Path:
    """As a user's unpacker does it, modes and all. Returns the one folder in it."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        for entry in opened.infolist():
            (folder / entry.filename).chmod(stat.S_IMODE(entry.external_attr >> 16))
    (top,) = folder.iterdir()
    return top


def bare_path(folder: Path) -> str:
    """A PATH on which there is no Python."""
    folder.mkdir()
    for name in OF_THE_SHELL:
        (folder / name).symlink_to(str(shutil.which(name)))
    found = [name for name in ("python", "python3", "python3.11", "uv", "pip") if shutil.which(name, path=str(folder))]
    if found:
        raise Broken(f"the test itself is wrong: PATH has {found}")
    return str(folder)


def environment(folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir()
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {**passed, "PATH": bare_path(folder / "bin"), "HOME": str(home), "LANG": "C.UTF-8"}


def starters(top: Path) -> list[Path]:
    """What a user may click: the shell's script, and the program, where one was made."""
    return [top / name for name in ("Lanterna.sh", "Lanterna.command", "Lanterna") if (top / name).exists()]


def start(starter: Path, environ: dict[str, str], *arguments: str) -> float:
    """Run it as a double click does, from another folder. Returns how many seconds it took."""
    began = time.monotonic()
    code = subprocess.run([str(starter), *arguments], env=environ, cwd="/").returncode
    if code:
        raise Broken(f"{starter.name} {' '.join(arguments)} ended with {code}")
    return time.monotonic() - began


def look(top: Path, home: Path) -> dict[str, object]:
    """The film that the demo made, looked at by the environment of the bundle."""
    films = sorted((home / "Lanterna" / "outputs").rglob("*.mp4"), key=lambda path: path.stat().st_size)
    if not films:
        raise Broken(f"no film in {home / 'Lanterna' / 'outputs'}")
    python = top / ".venv" / "bin" / "python"
    said = subprocess.run([str(python), "-c", LOOK, str(films[-1])], capture_output=True, text=True)
    if said.returncode:
        raise Broken(f"{films[-1]} cannot be looked at: {said.stderr.strip().splitlines()[-1]}")
    facts: dict[str, object] = {"film": films[-1].name, **json.loads(said.stdout)}
    if int(str(facts["frames"])) < LEAST_FRAMES or not facts["sound"] or float(str(facts["contrast"])) < 5:
        raise Broken(f"that is no film: {facts}")
    return facts


def check_folders(top: Path, before: set[str], facts: dict[str, object]) -> None:
    carried = top / "python"
    if carried.exists() and Path(str(facts["prefix"])).resolve() != carried.resolve():
        raise Broken(f"it ran on {facts['prefix']}, not on its own Python")
    new = {name for name in files_of(top / "app") - before if "__pycache__" not in name}
    if new:
        raise Broken(f"the code folder has new files in it: {sorted(new)[:5]}")


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def smoke(archive: Path, scratch: Path, options: Sequence[str]) -> dict[str, object]:
    inside = scratch / "Meus filmes é ü"
    inside.mkdir(parents=True)
    top = unpack(archive, inside)
    environ = environment(scratch)
    before = files_of(top / "app")
    clicked = starters(top)
    seconds = {
        "set-up": start(clicked[0], environ, "install", "--no-shortcut", *options),
        "demo": start(clicked[-1], environ, "demo"),
    }
    facts = look(top, Path(environ["HOME"]))
    check_folders(top, before, facts)
    return {**facts, "seconds": {name: round(took) for name, took in seconds.items()}}


def main(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--folder", type=Path, help="where to unpack; it is kept. Otherwise a temporary one")
    parser.add_argument("--offline", type=Path, metavar="WHEELS", help="a folder of wheels, given to the set-up")
    asked = parser.parse_args(given)
    options = ["--offline", str(asked.offline)] if asked.offline else []
    try:
        if asked.folder:
            facts = smoke(asked.archive, asked.folder, options)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                facts = smoke(asked.archive, Path(scratch), options)
    except Broken as broken:
        print(f"The bundle does not work: {broken}", file=sys.stderr)
        return 1
    print(json.dumps(facts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
