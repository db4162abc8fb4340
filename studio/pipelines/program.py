"""A program beside us, on a leash: what it says, line by line, and its end. Knows no engine.

It is started through leash.py, so that it ends with us however we end. What it inherits is the user's environment, as
it was before the studio told its own libraries something by it, without keys and passwords.
"""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from studio.errors import EngineError

log = logging.getLogger(__name__)

LEASH = Path(__file__).with_name("leash.py")
LOOK = 0.2  # seconds between two words of silence
MOST_LINE = 4000  # characters of a line that are kept
LAST_LINES = 8
OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV")  # mean our own Python
SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH", "LANTERNA_")  # parts of names


class Program:
    """Use it in a `with` block, at whose end it is gone, with all that it started."""

    def __init__(self, command: Sequence[str | Path], folder: Path, name: str) -> None:
        """`folder`: where it stands. `name`: of the engine, for errors. Raises EngineError("program.no_start")."""
        self.name, self.last = name, deque[str](maxlen=LAST_LINES)  # lines that it said last
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        hidden = 0x08000000 if os.name == "nt" else 0  # CREATE_NO_WINDOW
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(LEASH), *map(str, command)], cwd=folder, env=users_environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, creationflags=hidden,
            )  # fmt: skip
        except OSError as error:
            raise EngineError("program.no_start", engine=name, reason=str(error)[:300]) from error
        log.info("%s: process %d", name, self._process.pid)
        self._reader = threading.Thread(target=self._read, name=f"reads {name}", daemon=True)
        self._reader.start()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def lines(self) -> Iterator[str | None]:
        """What it says, and None for each moment of silence; ends when it has ended."""
        while True:
            try:
                line = self._said.get(timeout=LOOK)
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            yield line

    def status(self) -> int:
        """How it ended, after `lines`."""
        return self._process.wait()

    def close(self) -> None:
        """Let go of the leash: whatever still runs is killed."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.close()
        except OSError:
            log.debug("%s: the leash is gone", self.name)
        self._process.wait()
        self._reader.join(timeout=5)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        rest = b""
        try:
            while piece := os.read(self._process.stdout.fileno(), 65536):
                *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
                rest = rest[-MOST_LINE:]
                for line in lines:
                    self._hear(line)
        except OSError:
            log.debug("%s: its pipe is closed", self.name)
        self._hear(rest)
        self._said.put(None)

    def _hear(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").rstrip()[:MOST_LINE]:
            self._said.put(text)


def users_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """As the user has it: what the studio told its own libraries is taken back, keys are left out."""
    from studio.settings import EXPORTED

    found = dict(environment)
    for name, (before, told) in json.loads(found.get(EXPORTED, "{}")).items():
        if found.get(name) == told:
            if before is None:
                del found[name]
            else:
                found[name] = before
    kept = {
        name: value for name, value in found.items()
        if name not in OURS and not any(part in name.upper() for part in SECRETS)
    }  # fmt: skip
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
