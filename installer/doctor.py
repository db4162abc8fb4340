"""First aid: `launch.py doctor` before the studio is set up, or where its packages are broken. Installs nothing.

What it says has the shape of the studio's own doctor (studio/cli/doctor.py), which takes over as soon as it can.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from installer import Outside, Place, SetUpError
from installer.builds import CPU, INDEX, choose
from installer.machine import look
from installer.steps import GB, OLDEST

STUDIO = ("studio.cli.making", "studio.cli.doctor")  # what the studio's own doctor cannot do without
NOT_SET_UP = "not set up yet: run  python3 launch.py install"


def first_aid(arguments: Sequence[str], place: Place, outside: Outside) -> int | None:
    """The exit code, or None where the studio's own doctor can do it. Inside .venv it is tried whether it can."""
    if "app" not in place.installed():
        return tell(checks(place, outside, broken=""), place, "--json" in arguments)
    if Path(sys.prefix).resolve() != place.venv.resolve():
        return None
    try:
        for name in STUDIO:
            importlib.import_module(name)
    except ImportError as error:
        return tell(checks(place, outside, broken=str(error)), place, "--json" in arguments)
    return None


def tell(found: Iterator[dict[str, str]], place: Place, as_json: bool) -> int:
    """Print what was found. Returns 1 if anything is bad."""
    checked = list(found)
    ok = all(one["state"] != "bad" for one in checked)
    if as_json:
        print(json.dumps({"ok": ok, "checks": checked}, ensure_ascii=False, indent=1))
        return int(not ok)
    for one in checked:
        print(f"{one['state']:<5}{one['message']}: {one['value']}")
        if one["cure"]:
            print("     -> " + place.typed(one["cure"]))
    return int(not ok)


def checks(place: Place, outside: Outside, broken: str) -> Iterator[dict[str, str]]:
    """{what, state, value, message, cure} of each. `broken`: what the studio's own doctor lacked; empty where nothing
    is installed yet."""
    yield _python(outside)
    yield _venv_module(outside)
    yield _disk(place, outside, installed=bool(broken))
    yield _writable(place)
    yield _gpu(outside)
    yield _network(outside)
    if broken:
        cure = f"Delete the folder {place.venv} and run: python3 launch.py install"
        yield _check("bad", "packages_wrong", "Packages", broken, cure)
    else:
        yield _check("bad", "environment", "Environment", NOT_SET_UP, "python3 launch.py install")


def _check(state: str, what: str, message: str, value: str, cure: str = "") -> dict[str, str]:
    return {"what": what, "state": state, "value": value, "message": message, "cure": cure if state != "ok" else ""}


def _python(outside: Outside) -> dict[str, str]:
    version = ".".join(str(number) for number in outside.python)
    good = outside.python >= OLDEST and outside.bits == 64
    cure = "Install Python 3.11 to 3.13 (64 bit) from https://www.python.org"
    return _check("ok" if good else "bad", "python", "Python", f"{version} · {outside.bits} bit", cure)


def _venv_module(outside: Outside) -> dict[str, str]:
    lacks = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    cure = f"On Debian or Ubuntu: sudo apt install python{outside.python[0]}.{outside.python[1]}-venv"
    return _check("bad" if lacks else "ok", "venv", "venv", f"lacks {', '.join(lacks)}" if lacks else "there", cure)


def _disk(place: Place, outside: Outside, installed: bool) -> dict[str, str]:
    free, needed = outside.free_bytes(place.home) / 1e9, GB["app"] + CPU.gb
    state = "ok" if free >= needed else "warn" if installed else "bad"
    return _check(
        state, "disk", "Free disk", f"{free:.0f} GB · {place.home}", f"A set-up needs {needed} GB: free some."
    )


def _gpu(outside: Outside) -> dict[str, str]:
    machine = look(outside)
    try:
        build = choose(machine, "", "python3 launch.py install")
    except SetUpError as error:
        return _check("bad", "gpu", "GPU driver", str(error), error.cure)
    return _check("ok", "gpu", "GPU driver", f"{machine.told} · {build.title}")


def _writable(place: Place) -> dict[str, str]:
    state = "ok" if os.access(str(place.home), os.W_OK) else "bad"
    cure = "Move Lanterna into a folder of your own, for example your home."
    return _check(state, "write_home", "May write", str(place.home), cure)


def _network(outside: Outside) -> dict[str, str]:
    there = outside.answers(INDEX + "cpu/torch/")
    cure = "Check the connection, and HTTPS_PROXY if you need a proxy."
    value = "PyTorch's index answers" if there else "PyTorch's index does not answer"
    return _check("ok" if there else "warn", "internet", "Network", value, cure)
