"""`launch.py install`: its flags, and what belongs to it besides the steps: shortcuts, the first start."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from installer import Outside, Place, SetUpError
from installer.journal import Journal
from installer.shortcut import make_shortcuts
from installer.steps import Wish, set_up


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "launch.py install", description="Set Lanterna up, or go on where it stopped. docs/install.md explains it."
    )
    gpu = parser.add_mutually_exclusive_group()
    for name, what in (
        ("cpu", "PyTorch without a GPU, whatever card there is"),
        ("cuda", "PyTorch for NVIDIA's cards; the newest if no driver is found"),
        ("rocm", "PyTorch for AMD's cards; Linux only"),
    ):
        gpu.add_argument(f"--{name}", dest="gpu", action="store_const", const=name, default="", help=what)
    parser.add_argument("--offline", metavar="WHEELS", type=Path, help="install from this folder, without a network")
    parser.add_argument("--dev", action="store_true", help="with the tools of the tests; makes no shortcuts")
    parser.add_argument("--no-shortcut", action="store_true", help="no icon on the desktop and in the menu")
    parser.add_argument("--start", action="store_true", help="open the studio when it is done")
    return parser


def main(arguments: Sequence[str], place: Place, outside: Outside) -> int:
    asked = flags().parse_args(arguments)
    wheels = asked.offline.expanduser().resolve() if asked.offline else None
    if wheels and not any(wheels.glob("*.whl")):
        raise SetUpError(
            f"{wheels} holds no wheels.",
            "Name the folder that `pip download` filled: docs/install.md, without a network.",
        )
    set_up(place, outside, "app", *(["dev"] if asked.dev else []), wish=Wish(asked.gpu, wheels))
    if not asked.dev and not asked.no_shortcut:
        _shortcuts(place, outside)
    if asked.start:
        Journal(place.log).line("start: handing over")
        return outside.become([str(place.python), str(place.launcher), "--or-show"])
    print(f"Ready. Start the studio with: {place.command}    or watch it work: {place.command} demo")
    return 0


def _shortcuts(place: Place, outside: Outside) -> None:
    """The studio works without them: a failure is told, and the set-up goes on."""
    journal = Journal(place.log)
    try:
        with journal.step("shortcut"):
            made = make_shortcuts(place, outside)
            journal.line("shortcut: " + (", ".join(made) or "no desktop here"))
    except SetUpError as error:
        print(f"  {error}\n  -> {place.typed(error.cure)}")
        return
    if made:
        place.write_down({**place.installed(), "shortcuts": "\n".join(made)})
        print("  made: " + ", ".join(made))
