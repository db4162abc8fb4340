"""The steps of a set-up in their order: what is missing is done, what is there is left. Knows no pip."""

from __future__ import annotations

import os

from installer import Outside, Place, SetUpError
from installer.machine import has_nvidia
from installer.packages import NO_SPACE, install_torch, make_venv, pip_install, venv_works

OLDEST = (3, 11)
NEEDED_GB = {"cpu": 4, "nvidia": 10}  # of free disk; what a set-up here took, rounded up


def set_up(place: Place, outside: Outside, *parts: str) -> None:
    """Make .venv and install `parts`, as far as that has not been done. No subprocess when nothing is missing."""
    have = place.installed()
    missing = [part for part in parts if have.get(part) != place.wanted(part)]
    if not missing:
        return
    check(place, outside)
    if "app" not in have:
        print(f"Setting up Lanterna in {place.venv} (once; several minutes and a few GB of downloads).")
    if not venv_works(place, outside):
        make_venv(place, outside)
    for part in missing:
        if part == "app":
            install_torch(place, outside)
        title = "the studio" if part == "app" else "the test tools"
        pip_install(place, outside, ["-r", str(place.requirements(part))], title=title)
        have = {**have, part: place.wanted(part)}
        place.write_down(have)


def check(place: Place, outside: Outside) -> None:
    if outside.python < OLDEST:
        newer = [name for minor in (13, 12, 11) if (name := outside.which(f"python3.{minor}"))]
        cure = f"Run: {newer[0]} launch.py" if newer else "Install Python 3.11 or newer from https://www.python.org"
        version = ".".join(str(number) for number in outside.python)
        raise SetUpError(f"Lanterna needs Python 3.11 or newer; this is {version}.", cure)
    if outside.bits < 64:
        raise SetUpError("This is a 32-bit Python.", "Install the 64-bit Python from https://www.python.org")
    if not os.access(place.home, os.W_OK):
        raise SetUpError(
            f"{place.home} cannot be written.", "Move Lanterna into a folder of your own, for example your home."
        )
    needed = NEEDED_GB["nvidia" if has_nvidia(outside) else "cpu"]
    free = outside.free_bytes(place.home) / 1e9
    if free < needed and not (place.venv / "pyvenv.cfg").exists():
        raise SetUpError(f"Only {free:.1f} GB are free on this disk; a set-up needs {needed} GB.", NO_SPACE[1])
