"""`launch.py update`: the newer program, its packages and the database's migration, or everything as it was before.

Each step is noted before it begins (unfinished.py). A step that fails, a full disk or Ctrl+C undoes all of them at
once; of an update that was killed, the next start of launch.py does. Knows neither git nor zips.
"""

from __future__ import annotations

import argparse
import errno
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from installer import Outside, Place, SetUpError, checkout, database, release
from installer.folders import Folders, folders
from installer.journal import Journal
from installer.lock import owning
from installer.news import News
from installer.packages import NO_SPACE
from installer.place import PARTS
from installer.steps import RENEWED_GB, check_system
from installer.unfinished import ROOM, Unfinished, remove

WAYS = {"git": checkout, "archive": release}
TORCH_GB = 8.0  # of disk, where another PyTorch has to come
FIRST = "Run: python3 launch.py doctor    It says what is wrong here."


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("launch.py update", description="Fetch the newer Lanterna. docs/updating.md")
    parser.add_argument(
        "--from", dest="source", default="", metavar="ARCHIVE", help="a release: its zip, or an address"
    )
    parser.add_argument("--check", action="store_true", help="only say what is new")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def main(arguments: Sequence[str], place: Place, outside: Outside) -> int:
    asked = flags().parse_args(arguments)
    check_system(place, outside)
    home = folders(place, outside.environ)
    if asked.check and not asked.source:  # nothing is written: a studio may run
        heard(place, look(place, outside, "", True))
        return 0
    with owning(home.data, "an update"):
        one = Unfinished(place)
        remove(one.folder)  # what an update left that never began
        try:
            news = look(place, outside, asked.source, asked.check)
            heard(place, news)
            if asked.check or news is None:
                return 0
            check_room(place, outside, home, news)
            if not asked.yes and not agreed():
                print("Nothing was changed.")
                return 1
            Update(place, outside, home, news, one).run()
        except OSError as error:
            raise SetUpError(*told(error, "Nothing was changed.")) from error
        finally:
            if not one.file.exists():  # what was fetched and unpacked, and is no part of a note
                remove(one.folder)
    print(f"Lanterna {place.version} is ready. Start it with: {place.command}")
    return 0


def heard(place: Place, news: News | None) -> None:
    if news is None:
        print(f"Lanterna {place.version} is the newest.")
    else:
        print("\n\n".join(filter(None, (f"Lanterna {news.old} -> {news.new}", news.changes))) + "\n")


def look(place: Place, outside: Outside, source: str, only_look: bool) -> News | None:
    if not (place.root / ".git").exists():
        return release.look(place, outside, source, only_look)
    if source:
        raise SetUpError(
            "This is a git checkout: it is updated by git.",
            "Run it without --from; or unpack the release into a folder of its own.",
        )
    return checkout.look(place, outside)


def agreed() -> bool:
    if not sys.stdin.isatty():
        raise SetUpError("There is nobody here to ask.", "Run: python3 launch.py update --yes")
    return input("Update now? [Y/n] ").strip().lower() in ("", "y", "yes")


# ------------------------------------------------------------------------------------------------ room
def check_room(place: Place, outside: Outside, home: Folders, news: News) -> None:
    """Before anything is changed. Raises SetUpError."""
    for folder, needed in (
        (place.root, ROOM + 2 * news.code_bytes),
        (place.home, packages_bytes(place, news)),
        (home.data, 2 * database.size_of(home.database)),
    ):
        free = outside.free_bytes(folder)
        if free < needed:
            what = f"Only {free / 1e9:.2f} GB are free for {folder}; the update needs {needed / 1e9:.2f}."
            raise SetUpError(what, "Free some space, then run this again. Nothing was changed.")


def packages_bytes(place: Place, news: News) -> int:
    """What changed requirements may take: a guess to the safe side, nothing where they are the same."""
    have = place.installed()
    changed = [
        part for part in PARTS
        if part in have and news.requirements.get(place.requirements(part).name, b"").strip()
        != place.requirements(part).read_bytes().strip()
    ]  # fmt: skip
    pin = f"torch=={place.torch}".encode()
    torch = "app" in changed and pin not in news.requirements["requirements.txt"]
    return int((RENEWED_GB * len(changed) + (TORCH_GB if torch else 0)) * 1e9)


# ------------------------------------------------------------------------------------------------ the steps
@dataclass
class Update:
    place: Place
    outside: Outside
    home: Folders
    news: News
    one: Unfinished

    def run(self) -> None:
        """Every step, or SetUpError and everything as it was."""
        journal = Journal(self.home.data / "logs" / "update.log")
        journal.line(f"{self.news.old} -> {self.news.new} in {self.place.root}")
        self.one.facts.update(self.news.facts, data=str(self.home.data), database=str(self.home.database), backup="")
        self.one.prepare(self.place)
        doing = ""
        try:
            for name, what, step in STEPS:
                doing = what
                with journal.step(name):
                    step(self, name)
        except BaseException as error:
            what, cure = told(error, FIRST)
            print(f"\nThe update failed while {doing}. Putting everything back …", flush=True)
            with journal.step("undo"):
                undo(self.place, self.outside, self.one)
            if isinstance(error, KeyboardInterrupt):
                what = "It was stopped."
            old = f"Everything is as it was: Lanterna {self.news.old}."
            raise SetUpError(f"The update failed while {doing}: {what}\n{old}", cure) from error
        self.one.over()
        database.forget_old(self.home.database)

    def back_up(self, name: str) -> None:
        self.one.begin(name)
        if self.home.database.exists():
            print("  copying the database", flush=True)
            self.one.facts["backup"] = str(database.back_up(self.home.database))

    def change_code(self, name: str) -> None:
        print("  changing the program", flush=True)
        self.one.begin(name)
        WAYS[self.one.facts["kind"]].apply(self.place, self.outside, self.one)

    def change_packages(self, name: str) -> None:
        have = self.place.installed()
        parts = [part for part in PARTS if part in have]
        if not parts or all(have[part] == self.place.wanted(part) for part in parts):
            return
        print("  changing the packages", flush=True)
        other_torch = have.get("torch", "").partition("+")[0] != self.place.torch
        self.one.facts.update(parts=parts, unsure=[*parts, *(["torch"] if other_torch else [])])
        self.one.begin(name)
        in_new_code(self.place, self.outside, self.outside.executable, "packages", *parts)

    def migrate(self, name: str) -> None:
        if not self.one.facts["backup"] or "app" not in self.place.installed():
            return  # nothing to migrate, or not set up: the first start does it
        print("  bringing the database up to date", flush=True)
        self.one.begin(name)
        in_new_code(self.place, self.outside, str(self.place.python), "migrate", str(self.home.database))

    def test(self, name: str) -> None:
        if "app" not in self.place.installed():
            return
        print("  trying it out", flush=True)
        self.one.begin(name)
        in_new_code(self.place, self.outside, str(self.place.python), "check", str(self.home.database))


STEPS: tuple[tuple[str, str, Callable[[Update, str], None]], ...] = (
    ("backup", "copying the database", Update.back_up),
    ("code", "changing the program", Update.change_code),
    ("packages", "changing the packages", Update.change_packages),
    ("migration", "bringing the database up to date", Update.migrate),
    ("selftest", "trying the new version out", Update.test),
)


def in_new_code(place: Place, outside: Outside, python: str, verb: str, *arguments: str) -> None:
    """Run a verb of the program that lies here now (selftest.py). Raises SetUpError with what it said last."""
    said: list[str] = []

    def heard(line: str) -> None:
        said.append(line)
        if verb == "packages":
            print("  " + line, flush=True)

    if outside.listen([python, str(place.root / "installer" / "selftest.py"), verb, *arguments], heard):
        last = "\n".join("    " + line[:300] for line in [line for line in said if line.strip()][-8:])
        if "No space left" in last or "disk is full" in last:
            raise SetUpError(f"{last}\n{NO_SPACE[0]}", NO_SPACE[1])
        raise SetUpError(f"\n{last}", "Report these lines. Your version goes on working; try the next update.")


def forget(place: Place, unsure: Sequence[str]) -> None:
    """Of these nobody knows any more what is installed: whoever starts next installs them again."""
    place.write_down({name: value for name, value in place.installed().items() if name not in unsure})


# ------------------------------------------------------------------------------------------------ undoing
def undo(place: Place, outside: Outside, one: Unfinished) -> None:
    """Everything as it was before, as often as it takes. Raises SetUpError where it cannot be done now: the note stays,
    and the next start tries again."""
    try:
        one.make_room()
        if one.begun("migration"):
            database.restore(Path(one.facts["backup"]), Path(one.facts["database"]))
        if one.begun("code"):
            WAYS[one.facts["kind"]].undo(place, outside, one)
    except (OSError, SetUpError) as error:
        what, cure = told(error, "Put that right.")
        raise SetUpError(
            f"The update failed and cannot be undone yet: {what}", f"{cure} Then start launch.py: it goes on undoing."
        ) from error
    packages = one.facts.get("parts") if one.begun("packages") else None
    if packages:
        forget(place, one.facts["unsure"])
    one.over()
    if packages:
        _old_packages(place, outside, packages)


def _old_packages(place: Place, outside: Outside, parts: Sequence[str]) -> None:
    """Program and data are back: where this fails, the next start does it, as it does for every set-up."""
    try:
        in_new_code(place, outside, outside.executable, "packages", *parts)
    except SetUpError as error:
        print(f"The former packages could not be put back: {error}\n  -> {error.cure}", file=sys.stderr)
        print("  -> With a network, the next start of launch.py puts them back.", file=sys.stderr)


def resume(arguments: Sequence[str], place: Place, outside: Outside) -> int:
    """An update was cut off (killed, power cut): undo it, then start again as it was asked."""
    one = Unfinished.found(place)
    if one is not None:
        with owning(Path(one.facts["data"]), "the update that is under way, or its undoing,"):
            print("The last update was cut off. Putting everything back …", flush=True)
            undo(place, outside, one)
        print(f"Everything is as it was: Lanterna {place.version}.", flush=True)
    return outside.become([sys.executable, str(place.launcher), *arguments])


def told(error: BaseException, cure: str) -> tuple[str, str]:
    """(what went wrong, the cure)"""
    if isinstance(error, SetUpError):
        return str(error), error.cure
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return NO_SPACE
    return f"{type(error).__name__}: {error}", cure
