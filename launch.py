#!/usr/bin/env python3
"""Lanterna: a film studio on your own machine.

    python3 launch.py                      open the studio in the browser
    python3 launch.py demo                 render the sample episode and cut its film
    python3 launch.py render EPISODE       an episode becomes a film, without a server
    python3 launch.py generate --task_type text_to_video --prompt "..."
    python3 launch.py doctor               what this computer has and lacks
    python3 launch.py bench draft          how fast the draft engine is here
    python3 launch.py install              only set up, and make icons (install --help: which PyTorch, offline, --dev)
    python3 launch.py update               fetch the newer version; goes back by itself where that fails
    python3 launch.py uninstall            remove it; asks what to keep
    python3 launch.py test [pytest args]   run the tests
    python3 launch.py --help               every flag

The first start makes .venv beside this file and installs requirements.txt into it; that needs the network once.
Standard library only: this file runs before anything is installed. It chooses between setting up (`installer`) and
starting (`studio.cli`), and knows nothing of either.
"""

from __future__ import annotations  # so that an old Python reaches the message that says it is too old

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer import Outside, Place

# verb -> installer.<verb>.main(arguments, place, outside); all others are the studio's
OWN_VERBS = ("install", "update", "uninstall")
ALL_TESTS = ("-n", "auto", "--dist", "loadfile")  # a worker per core, each file in one of them


def main(arguments: list[str], place: Place | None = None, outside: Outside | None = None) -> int:
    """Set up what is missing, then hand over. Returns the exit code."""
    undo = (place.root if place else Path(__file__).resolve().parent) / ".update"
    unfinished = (undo / "update.json").exists()
    if unfinished:  # the code here may be half old and half new: the installer that began the update lies there
        sys.path.insert(0, str(undo))
    # here and not above: every worker of the studio imports this file
    from installer import Outside, Place, SetUpError

    place = place or Place.at(Path(__file__).resolve().parent)
    outside = outside or Outside()
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb == "--version":
        print("Lanterna " + place.version)
        return 0
    if verb in ("-h", "--help") and not place.stamp.exists():
        print(__doc__)
        return 0
    try:
        code = before_the_studio(arguments, unfinished, place, outside)
        if code is not None:
            return code
    except SetUpError as error:
        print(f"\n{error}\n  -> {place.typed(error.cure)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    if verb == "test":
        return outside.become([str(place.python), "-m", "pytest", *(rest or ALL_TESTS)], folder=place.root)
    if Path(sys.prefix).resolve() != place.venv.resolve():
        return outside.become([str(place.python), str(place.launcher), *arguments])
    from studio.cli import main as studio

    return studio(arguments)


def before_the_studio(arguments: list[str], unfinished: bool, place: Place, outside: Outside) -> int | None:
    """Set up what the verb needs. The exit code where that was all that was asked for."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    code: int | None
    if unfinished:
        code = importlib.import_module("installer.update").resume(arguments, place, outside)
        return code
    if verb in OWN_VERBS:
        code = importlib.import_module("installer." + verb).main(rest, place, outside)
        return code
    if verb == "doctor":  # it looks, and installs nothing
        code = importlib.import_module("installer.doctor").first_aid(rest, place, outside)
        return code
    from installer.steps import set_up

    set_up(place, outside, "app", *(["dev"] if verb == "test" else []))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
