"""An update that is not over: the folder `.update` beside launch.py, with what is needed to undo it. Knows no steps.

`.update/update.json` is written before each step. Where it is found by launch.py, an update was cut off: the copy of
the installer that began it lies beside it and undoes it, whatever the code around is like just then.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from installer import Place, SetUpError

ROOM = 32_000_000  # bytes that are kept back, so that undoing has room where the disk is full


class Unfinished:
    def __init__(self, place: Place) -> None:
        self.folder = place.root / ".update"
        self.file = self.folder / "update.json"
        self.facts: dict[str, Any] = {"steps": []}

    @classmethod
    def found(cls, place: Place) -> Unfinished | None:
        """What a former update left. Raises SetUpError where nobody can read it."""
        one = cls(place)
        if not one.file.exists():
            return None
        try:
            one.facts = json.loads(one.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SetUpError(
                f"An update was cut off, and {one.file} cannot be read: {error}",
                "Fetch Lanterna anew into another folder; your data and outputs can be moved there.",
            ) from error
        return one

    def prepare(self, place: Place) -> None:
        """Nothing is changed yet: room to undo in, and the installer that can."""
        installer = self.folder / "installer"
        shutil.copytree(str(place.root / "installer"), str(installer), ignore=shutil.ignore_patterns("__pycache__"))
        with (self.folder / "room").open("wb") as file:
            for _ in range(ROOM // 1_000_000):
                file.write(b"\0" * 1_000_000)
            file.flush()
            os.fsync(file.fileno())
        sync()

    def begin(self, step: str) -> None:
        """From here on undoing includes this step."""
        self.facts["steps"].append(step)
        part = self.file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(self.facts, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(str(part), str(self.file))

    def begun(self, step: str) -> bool:
        return step in self.facts["steps"]

    def make_room(self) -> None:
        remove(self.folder / "room")

    def over(self) -> None:
        """Done or undone: the note goes first, so that what is left means nothing."""
        sync()
        remove(self.file)
        remove(self.folder)


def sync() -> None:
    """Everything that was written is on the disk, also after a power cut. Windows has no such call."""
    if hasattr(os, "sync"):
        os.sync()


def remove(path: Path) -> None:
    """A file or a folder with all that is in it; of a link only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    elif path.exists() or path.is_symlink():
        path.unlink()
