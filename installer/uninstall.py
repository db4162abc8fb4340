"""`launch.py uninstall`: what Lanterna has put on this computer, and taking away what the user does not keep.

Only folders of our own are touched: beside launch.py, beside a bundle's program, and the user's folder of a bundle.
What the user put elsewhere, and every media folder, is named and left.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from installer import Outside, Place, SetUpError
from installer.folders import Folders, folders
from installer.lock import FILE, owning
from installer.unfinished import remove

KEPT = ("outputs", "data", "models")  # may be kept, and are unless the user says otherwise
STARTERS = ("Lanterna.sh", "Lanterna.command", "Lanterna.bat", "Lanterna", "Lanterna.exe")
BESIDE = ("bin", "python", "README.txt", "LICENSE.txt")  # with a starter they are what scripts/bundle.py put there
SHORTCUTS = ("lanterna.desktop", "Lanterna.app", "Lanterna.lnk")  # as installer/shortcut.py calls them


@dataclass(frozen=True)
class Item:
    name: str
    title: str
    paths: tuple[Path, ...]
    ours: bool = True  # else it lies where the user put it, and is left


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("launch.py uninstall", description="Remove Lanterna. docs/updating.md")
    parser.add_argument(
        "--keep",
        metavar="LIST",
        help=f"keep exactly these of {','.join(KEPT)}; none: nothing. Without it you are asked",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def main(arguments: Sequence[str], place: Place, outside: Outside) -> int:
    asked = flags().parse_args(arguments)
    if Path(sys.prefix).resolve() == place.venv.resolve():  # a Python cannot take away the ground it stands on
        return outside.become([outside.executable, str(place.launcher), "uninstall", *arguments])
    keep = None if asked.keep is None else chosen(asked.keep)
    home = folders(place, outside.environ)
    if home.data.is_dir():
        with owning(home.data, "uninstalling"):
            pass
    items = found(place, home)
    for item in items:
        print(line(item))
    if keep is None:
        keep = set(KEPT) if asked.yes else wanted_still(items)
    going = [item for item in items if item.ours and item.name not in keep]
    if not going:
        print("There is nothing to remove.")
        return 0
    print(f"\nRemoved now: {', '.join(item.title for item in going)}.")
    if not asked.yes and answer("Go on? [y/N] ") not in ("y", "yes"):
        print("Nothing was changed.")
        return 1
    left = [path for item in items if item not in going for path in item.paths]
    failed = take_away(place, home, going, [*left, *home.media])
    for one in failed:
        print(f"Could not be removed: {one}", file=sys.stderr)
    if failed:
        print("  -> Close the programs that use these files, then delete them by hand.", file=sys.stderr)
    if not any(item.name == "program" for item in going):
        print(f"The program itself is left: delete the folder {place.root} if you want it gone too.")
    print("Done.")
    return int(bool(failed))


def chosen(text: str) -> set[str]:
    names = {name.strip() for name in text.split(",") if name.strip()} - {"none"}
    if unknown := names - set(KEPT):
        raise SetUpError(
            f"--keep does not know {', '.join(sorted(unknown))}.", f"It knows {', '.join(KEPT)}, and none."
        )
    return names


# ------------------------------------------------------------------------------------------------ what there is
def found(place: Place, home: Folders) -> list[Item]:
    """Everything that is there, the larger before what lies in it."""
    mine = (place.root, place.home, place.user)
    shortcuts = [Path(path) for path in place.installed().get("shortcuts", "").splitlines()]
    items = [
        Item(
            "environment",
            "the environment",
            (place.venv, place.home / ".venv.lock", place.root / ".uv", home.data / "envs"),
        ),
        Item("caches", "caches", (home.data / "cache", place.root / ".update")),
        Item("shortcuts", "shortcuts", tuple(path for path in shortcuts if path.name in SHORTCUTS)),
        Item("models", "models", (home.models,), inside(home.models, mine)),
        Item("outputs", "takes and films", (home.outputs,), inside(home.outputs, mine)),
        Item("data", "database, settings and uploads", (home.data, place.user / ".env"), inside(home.data, mine)),
    ]
    if place.bundled:
        whole = any((place.home / name).is_file() for name in STARTERS)  # else app/ was moved away from the rest
        names = (place.root.name, *((*STARTERS, *BESIDE) if whole else ()))
        items.append(Item("program", "the program", tuple(place.home / name for name in names)))
    there = (Item(i.name, i.title, tuple(p for p in i.paths if os.path.lexists(str(p))), i.ours) for i in items)
    return [item for item in there if item.paths]


def inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(folder.resolve() in (path, *path.parents) for folder in folders)


def line(item: Item) -> str:
    size = sum(map(size_of, item.paths))
    where = "" if item.ours else "    you put it there: it is left"
    more = f" and {len(item.paths) - 1} more" if len(item.paths) > 1 else ""
    return f"  {item.title:<32}{size / 1e6:>10,.1f} MB  {item.paths[0]}{more}{where}"


def size_of(path: Path) -> int:
    """Bytes; a link counts as itself."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(str(path)):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def wanted_still(items: Iterable[Item]) -> set[str]:
    """Asks for each thing that would be missed."""
    may = [item for item in items if item.ours and item.name in KEPT]
    return {item.name for item in may if answer(f"Remove {item.title} too? [y/N] ") not in ("y", "yes")}


def answer(question: str) -> str:
    if not sys.stdin.isatty():
        raise SetUpError("There is nobody here to ask.", "Run: python3 launch.py uninstall --yes --keep LIST")
    return input(question).strip().lower()


# ------------------------------------------------------------------------------------------------ taking it away
def take_away(place: Place, home: Folders, going: Iterable[Item], kept: Iterable[Path]) -> list[str]:
    """What could not be removed, with the reason."""
    failed: list[str] = []
    lock = home.data / FILE
    names = {item.name for item in going}
    stays = {path for path in kept if os.path.lexists(str(path))}
    if home.data.is_dir():
        with owning(home.data, "uninstalling"):
            for item in going:
                failed += _clear(item.paths, stays | {lock})
        if "data" in names:
            failed += _clear((lock,), set())
    else:
        for item in going:
            failed += _clear(item.paths, stays)
    for folder in (home.data, home.outputs, place.user, place.home):
        with suppress(OSError):  # what is not empty stays
            if folder != place.root and names & {"data", "outputs", "program"}:
                folder.rmdir()
    return failed


def _clear(paths: Iterable[Path], stays: set[Path]) -> list[str]:
    failed = []
    for path in paths:
        if path in stays or not os.path.lexists(str(path)):
            continue
        if any(path in one.parents for one in stays):
            failed += _clear(sorted(path.iterdir()), stays)
            continue
        try:
            remove(path)
        except OSError as error:
            failed.append(f"{path}: {error.strerror or error}")
    return failed
