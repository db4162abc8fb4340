"""What an update asks of the program it has just brought, each in a process of its own. An older updater calls these:

    selftest.py packages app dev    install what these parts want        (any Python; the standard library only)
    selftest.py migrate DATABASE    bring the database up to date         (the Python of .venv, as the next)
    selftest.py check DATABASE      packages, database, the app's modules, and a scene through the draft engine

Exit code 0: done. Anything else: the last lines say why. The three lines above stay as they are from now on.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("studio.app", "studio.api", "studio.tabs", "studio.cli.making", "studio.cli.doctor")
SCENE = ("--task_type", "text_to_video", "--prompt", "A lantern at dusk", "--duration", "0.5", "--engine", "draft")


def packages(*parts: str) -> int:
    from installer import Outside, Place, SetUpError
    from installer.steps import set_up

    try:
        set_up(Place.at(ROOT), Outside(), *parts)
    except SetUpError as error:
        print(f"{error}\n  -> {error.cure}")
        return 1
    return 0


def migrate(database: str) -> int:
    from studio.errors import StudioError
    from studio.media.roots import Roots
    from studio.store import Store

    path = Path(database)
    try:
        Store(path, Roots({"outputs": path.parent, "data": path.parent})).close()
    except StudioError as error:
        print(_words(error))
        return 1
    return 0


def check(database: str) -> int:
    for name in MODULES:
        importlib.import_module(name)
    from studio.cli.checks import home, machine
    from studio.cli.doctor import findings, said
    from studio.cli.speech import Speaker
    from studio.settings import Settings

    settings, speaker = Settings(data_dir=Path(database).parent), Speaker("en")
    bad = [said(one, speaker) for one in findings(settings, (machine.packages, home.database)) if one.state == "bad"]
    for one in bad:
        print(f"{one['message']}: {one['value']}\n  -> {one['cure']}")
    return 1 if bad else render()


def render() -> int:
    """A scene through the draft engine and its worker, in a folder that is thrown away."""
    from studio.cli import main

    with tempfile.TemporaryDirectory(prefix="lanterna-", ignore_cleanup_errors=True) as folder:
        os.environ["LANTERNA_OFFLINE"] = "1"
        return main(["generate", *SCENE, "--data-dir", f"{folder}/data", "--output-dir", f"{folder}/outputs"])


def _words(error: object) -> str:
    from studio.cli.speech import Speaker
    from studio.errors import StudioError

    assert isinstance(error, StudioError)
    told = Speaker("en").words.error(error, "en")
    return f"{told['message']}\n  -> {told['hint']}"


VERBS: dict[str, Callable[..., int]] = {"packages": packages, "migrate": migrate, "check": check}

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # and not this folder, whose modules have the names of others
    sys.exit(VERBS[sys.argv[1]](*sys.argv[2:]))
