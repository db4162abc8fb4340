"""The steps of a set-up in their order: what is missing is done, what is there is left. Each is in install.log.

Knows no flags and no shortcuts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from installer import Outside, Place, SetUpError
from installer.builds import CPU, Build, choose
from installer.journal import Journal
from installer.lock import lock
from installer.machine import look
from installer.packages import NO_SPACE, compile_bytecode, install_requirements, install_torch, make_venv, venv_works

OLDEST, NEWEST = (3, 11), (3, 13)  # the Pythons that we are tested with
GLIBC = (2, 28)  # what PyTorch's builds for Linux want
# of disk for a part beside torch, downloads included: what a set-up here took, rounded up
GB = {"app": 2.5, "dev": 0.5}
RENEWED_GB = 0.5  # where another version of a part is there: most packages stay


@dataclass(frozen=True)
class Wish:
    """What whoever installs asked for."""

    gpu: str = ""  # "cpu", "cuda", "rocm", or "" for what suits this machine
    wheels: Path | None = None  # a folder to install from, without a network


def set_up(place: Place, outside: Outside, *parts: str, wish: Wish | None = None) -> None:
    """Make .venv and install torch and `parts` ("app", "dev"), as far as that has not been done.

    Without a wish it is an ordinary start: what was wished for last time counts, and where nothing is missing nobody
    looks at the machine and no program runs.
    """
    if "dev" in parts and not place.requirements("dev").exists():
        raise SetUpError("A bundle comes without the tests.", "Take the source with git, and run them there.")
    have, asked = place.installed(), wish is not None
    missing = [part for part in parts if have.get(part) != place.wanted(part)]
    same_torch = have.get("torch", "").partition("+")[0] == place.torch
    if not asked and not missing and same_torch:
        return
    journal = Journal(place.log)
    journal.line(f"Lanterna {place.version} in {place.root}, Python {dotted(outside.python)}: {' '.join(parts)}")
    wish = wish or Wish(have.get("gpu", ""))
    with journal.step("check"):
        check_system(place, outside)
        build = CPU
        if asked or not same_torch:  # else the card is asked nothing: one that sleeps today would cost its build
            build = choose_build(place, outside, wish, journal)
            if not same_torch or have["torch"] not in _will_do(build, place.torch):
                missing.insert(0, "torch")
        check_disk(place, outside, build, missing, renewed=set(have) & set(GB))
    if not missing:
        if have.get("gpu", "") != wish.gpu:
            place.write_down({**have, "gpu": wish.gpu})
        return
    with alone(place):
        if "app" not in have:
            takes = "several minutes" if wish.wheels else "several minutes and a few GB of downloads"
            print(f"Setting up Lanterna in {place.venv} (once; {takes}).")
        if not venv_works(place, outside):
            with journal.step("venv"):
                make_venv(place, outside)
        _install(place, outside, missing, build, wish, journal)


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Whoever clicks twice sets up once. The lock goes with us, however we end."""
    with (place.home / ".venv.lock").open("a") as file:
        if not lock(file):
            raise SetUpError(
                "Lanterna is being set up already, by another window.", "Wait until that one is done, then start again."
            )
        yield


def _install(
    place: Place, outside: Outside, missing: list[str], build: Build, wish: Wish, journal: Journal
) -> None:  # fmt: skip
    """Each thing is written down when it is done, so that whoever is interrupted goes on where they were."""
    have = {**place.installed(), "gpu": wish.gpu}
    for part in missing:
        have.pop(part, None)
    for part in missing:
        with journal.step({"torch": "torch", "app": "requirements", "dev": "test tools"}[part]):
            if part == "torch":
                have["torch"] = install_torch(place, outside, build, wish.wheels, journal.line)
            else:
                install_requirements(place, outside, part, build, wish.wheels, journal.line)
                have[part] = place.wanted(part)
        place.write_down(have)
    with journal.step("bytecode"):
        if trouble := compile_bytecode(place, outside):
            journal.line("bytecode: not all of it, and nothing hangs on it:\n" + trouble)


# ------------------------------------------------------------------------------------------------ check
def check_system(place: Place, outside: Outside) -> None:
    if outside.python[:2] < OLDEST:
        newer = [name for minor in (13, 12, 11) if (name := outside.which(f"python3.{minor}"))]
        cure = f"Run: {newer[0]} launch.py" if newer else "Install Python 3.11 or newer from https://www.python.org"
        raise SetUpError(f"Lanterna needs Python 3.11 or newer; this is {dotted(outside.python)}.", cure)
    if outside.bits < 64:
        raise SetUpError("This is a 32-bit Python.", "Install the 64-bit Python from https://www.python.org")
    name, version = outside.libc
    if outside.platform == "linux" and (name != "glibc" or tuple(map(int, version.split("."))) < GLIBC):
        told = f"glibc {version}" if name == "glibc" else "no glibc (musl?)"
        raise SetUpError(
            f"This Linux has {told}; PyTorch's builds need glibc {dotted(GLIBC)} or newer.",
            "Use a newer system (Debian 10, Ubuntu 20.04, RHEL 8 or later), or a container of one.",
        )
    if not os.access(place.home, os.W_OK):
        raise SetUpError(
            f"{place.home} cannot be written.", "Move Lanterna into a folder of your own, for example your home."
        )


def choose_build(place: Place, outside: Outside, wish: Wish, journal: Journal) -> Build:
    machine = look(outside)
    build = choose(machine, wish.gpu, "python3 launch.py install")
    journal.line(f"check: {machine.platform} {machine.arch}, {machine.told}; {build.title}")
    if outside.python[:2] > NEWEST:
        remark = f"Python {dotted(outside.python)} is newer than those we are tested with ({dotted(NEWEST)}); going on."
        journal.line(f"check: {remark}")
        print("  " + remark)
    if build.remark:
        journal.line(f"check: {build.remark}")
        print("  " + place.typed(build.remark))
    return build


def check_disk(place: Place, outside: Outside, build: Build, missing: list[str], renewed: set[str]) -> None:
    """Counts what is still to be installed: whoever goes on after an interruption needs less, and so does whoever has
    another version of it already (`renewed`)."""
    sizes = {**GB, "torch": build.gb, **dict.fromkeys(renewed, RENEWED_GB)}
    needed = sum(sizes[part] for part in missing)
    free = outside.free_bytes(place.home) / 1e9
    if free < needed:
        cure = NO_SPACE[1]
        if build.gb > CPU.gb and "torch" in missing:
            cure += f" Without the GPU it is {needed - build.gb + CPU.gb:.1f} GB: python3 launch.py install --cpu"
        raise SetUpError(f"Only {free:.1f} GB are free on this disk; what is to be installed needs {needed:.1f}.", cure)


def _will_do(build: Build, torch: str) -> tuple[str, ...]:
    return (build.version(torch), torch) if build.usual else (build.version(torch),)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
