"""install.log: which step ran when and for how long, what pip said, and how it failed. Knows no steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LARGEST = 1_000_000  # bytes; then the file becomes install.log.1


class Journal:
    """One log file. A folder that cannot be written costs the log, never the set-up: the disk may be full."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > LARGEST:
                os.replace(path, path.with_name(path.name + ".1"))
        except OSError:
            pass

    def line(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(time.strftime("%Y-%m-%dT%H:%M:%S ") + text + "\n")
        except OSError:
            pass

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self.line(f"{name}: begins")
        try:
            yield
        except BaseException as error:
            cure = getattr(error, "cure", "")
            self.line(f"{name}: failed after {time.monotonic() - began:.1f} s: {str(error) or type(error).__name__}")
            if cure:
                self.line(f"{name}: cure: {cure}")
            raise
        self.line(f"{name}: done in {time.monotonic() - began:.1f} s")
