"""Looks at this computer and says what is missing, with the cure: a line for each finding, or one JSON document.

Each check is a function of studio/cli/checks that yields what it found; a new one is a function and a line in CHECKS.
Changes nothing. A check that breaks is a finding too: the doctor is asked when something is broken.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from studio.cli.checks import Check, Found, around, home, machine
from studio.cli.speech import Speaker
from studio.settings import Settings

COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}

CHECKS: tuple[Check, ...] = (
    machine.python, machine.packages, machine.ffmpeg, machine.writer, machine.sqlite, home.disk, home.folders,
    home.database, home.models, machine.torch, machine.gpu, machine.speech, machine.fonts, around.running, around.port,
    around.reach, around.internet,
)  # fmt: skip


def examine(settings: Settings, speaker: Speaker, as_json: bool = False) -> int:
    """Print what all checks find. Returns 1 if anything is bad."""
    if as_json:
        return told(findings(settings), speaker)
    worst = False
    for found in findings(settings):
        one = said(found, speaker)
        line = f"{found.state:<5}{one['message']}: {found.value}"
        speaker.out.print(line, style=COLOURS[found.state] if found.state != "ok" else None)
        if one["cure"]:
            speaker.out.print("     -> " + one["cure"])
        worst = worst or found.state == "bad"
    speaker.say("doctor.bad" if worst else "doctor.well")
    return int(worst)


def told(found: Iterable[Found], speaker: Speaker) -> int:
    """{ok, checks: [{what, state, value, message, cure}]} on stdout."""
    checks = [said(one, speaker) for one in found]
    ok = all(one["state"] != "bad" for one in checks)
    speaker.out.print(json.dumps({"ok": ok, "checks": checks}, ensure_ascii=False, indent=1))
    return int(not ok)


def said(found: Found, speaker: Speaker) -> dict[str, Any]:
    """`message` names the thing in the user's language, `cure` is what to do about it; empty where nothing is."""
    return {
        "what": found.what, "state": found.state, "value": found.value,
        "message": speaker.text(f"doctor.{found.what}"),
        "cure": speaker.text(f"doctor.{found.cure}", **dict(found.params)) if found.cure else "",
    }  # fmt: skip


def findings(settings: Settings, checks: Iterable[Check] = CHECKS) -> Iterator[Found]:
    """What these checks find, one after another. None of them can take the others along."""
    for check in checks:
        try:
            yield from check(settings)
        except ImportError as error:
            yield Found("bad", "packages_wrong", f"{error.name} (-)", "packages.cure")
        except Exception as error:  # the doctor's edge: what breaks a check is just what is looked for
            yield Found(
                "bad", "check_broken", f"{check.__name__}: {type(error).__name__}: {error}", "check_broken.cure"
            )
