"""A release: one zip per system that starts with a double click and needs no Python on the computer.

    python scripts/bundle.py --platform linux-x64 --out dist --with-python
    python scripts/bundle.py --platform all --out dist --with-python --releases https://example.org/lanterna

Lanterna-program/app is the program as the commit has it, its bin/uv fetches a Python where the bundle carries none,
its python/ is one. The same commit gives the same bytes. docs/release.md says how a release is made.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bundling import python, tools
from bundling.members import PROGRAM, Member, write_zip
from bundling.source import Commit, program, version

REPOSITORY = Path(__file__).resolve().parent.parent
TOP = "Lanterna-program"  # unpacked in a home, not where ~/Lanterna is: films and settings lie there
STARTERS = {  # what is clicked, by system
    "linux-x64": "Lanterna.sh",
    "linux-arm64": "Lanterna.sh",
    "macos-arm64": "Lanterna.command",
    "windows-x64": "Lanterna.bat",
}
OF_THE_SHELL = "packaging/bundle/Lanterna.sh"  # macOS opens a .command in a terminal; what stands in it is the same


def starters(files: dict[str, Member], platform: str, built: Path | None) -> list[Member]:
    """What lies at the top to be clicked, and what explains it. `built`: the program of packaging/starter, if any."""
    name = STARTERS[platform]
    source = "packaging/bundle/Lanterna.bat" if name.endswith(".bat") else OF_THE_SHELL
    found = [
        Member(name, with_line_ends(files[source].content, name), PROGRAM),
        Member("README.txt", with_line_ends(files["packaging/bundle/README.txt"].content, name)),
        Member("LICENSE.txt", with_line_ends(files["LICENSE"].content, name)),
    ]
    if built:
        found.append(Member(built.name, built.read_bytes(), PROGRAM))
    return found


def with_line_ends(content: bytes, beside: str) -> bytes:
    """Windows' own: cmd.exe loses its way in a batch file without them."""
    plain = content.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", b"\r\n") if beside.endswith(".bat") else plain


def below(folder: str, members: list[Member]) -> list[Member]:
    return [Member(f"{folder}/{one.path}", one.content, one.mode) for one in members]


def application(files: dict[str, Member], commit: Commit, platform: str, releases: str) -> list[Member]:
    """app/: the program, and the note that tells it that it lies in a bundle."""
    note = {"version": version(files), "platform": platform, "commit": commit.name, "releases": releases}
    source = [
        Member(one.path, with_line_ends(one.content, one.path), one.mode) if one.path.endswith(".bat") else one
        for one in program(files)
    ]
    return [*source, Member("bundle.json", (json.dumps(note, indent=1) + "\n").encode())]


def bundle(
    commit: Commit, platform: str, out: Path, releases: str = "", folder: Path | None = None, built: Path | None = None
) -> Path:
    """Write one zip and its .sha256. `folder`: the Python installation that goes into it, if any."""
    files = commit.files()
    lock = files["packaging/tools.lock"].content.decode()
    with tempfile.TemporaryDirectory() as scratch:
        uv = tools.programs(tools.wheel("uv", lock, Path(scratch), platform), "uv")
    members = [
        *starters(files, platform, built),
        *below("app", application(files, commit, platform, releases)),
        *below("bin", uv),
        *below("python", python.tree(folder, lock) if folder else []),
    ]
    target = out / f"Lanterna-{version(files)}-{platform}.zip"
    digest = write_zip(target, below(TOP, members), commit.made_at)
    print(f"{target}  {target.stat().st_size / 1e6:.1f} MB  sha256 {digest}")
    return target


def fetched_python(platform: str, lock: str, scratch: Path) -> Path:
    """The Python for `platform`, through the uv of this computer."""
    uv = next(one for one in tools.programs(tools.wheel("uv", lock, scratch), "uv") if one.mode == PROGRAM)
    own = scratch / uv.path
    own.write_bytes(uv.content)
    own.chmod(0o700)
    return python.from_uv(own, platform, scratch / "pythons" / platform)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=[*STARTERS, "all"], required=True)
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--commit", default="HEAD", help="what is released")
    parser.add_argument("--releases", default="", help="the address where `launch.py update` finds later releases")
    inside = parser.add_mutually_exclusive_group()
    inside.add_argument("--python", type=Path, metavar="FOLDER", help="put the Python that is installed there into it")
    inside.add_argument("--this-python", action="store_true", help="put the Python that runs this into it")
    inside.add_argument("--with-python", action="store_true", help="put the Python into it that uv fetches")
    parser.add_argument(
        "--starter", type=Path, metavar="FILE", help="the program that PyInstaller made of lanterna.spec"
    )
    asked = parser.parse_args(given)
    if asked.platform == "all" and (asked.python or asked.this_python or asked.starter):
        parser.error("a Python or a starter is for one system: name that with --platform")
    return asked


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    commit = Commit.of(REPOSITORY, asked.commit)
    lock = (REPOSITORY / "packaging" / "tools.lock").read_text("utf-8")
    folder = Path(sys.base_prefix) if asked.this_python else asked.python
    try:
        for platform in STARTERS if asked.platform == "all" else [asked.platform]:
            with tempfile.TemporaryDirectory() as scratch:
                inside = fetched_python(platform, lock, Path(scratch)) if asked.with_python else folder
                bundle(commit, platform, asked.out, asked.releases, inside, asked.starter)
    except tools.ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
