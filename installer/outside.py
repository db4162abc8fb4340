"""The computer as the installer meets it: its Python, programs, network and disk. Tests bring another one.

Knows neither what is installed nor where.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a program that has ended said, and its exit code."""

    code: int
    text: str


class Outside:
    """This computer. Whoever wants another one overrides what is different."""

    def __init__(self) -> None:
        self.platform = sys.platform  # "linux", "darwin", "win32"
        self.arch = platform.machine().lower()  # "x86_64", "amd64", "arm64", "aarch64"
        self.python: tuple[int, ...] = sys.version_info[:3]
        self.bits = 64 if sys.maxsize > 2**32 else 32
        # of a .venv the Python that it was made with
        self.executable: str = getattr(sys, "_base_executable", None) or sys.executable
        self.libc = platform.libc_ver()  # ("glibc", "2.36"); of musl and of other systems ("", "")
        self.environ: Mapping[str, str] = os.environ
        self.home = Path.home()

    def run(self, command: Sequence[str], seconds: float | None = None) -> Said:
        """Wait for a program. One that is not there has code 127, one that took longer than `seconds` code 124."""
        import subprocess

        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Said(124, f"took longer than {seconds} s")
        except OSError as error:
            return Said(127, str(error))
        return Said(done.returncode, done.stdout.strip())

    def listen(
        self, command: Sequence[str], heard: Callable[[str], None], environ: Mapping[str, str] | None = None
    ) -> int:
        """Run a program that takes long, line by line. It ends with us. Returns its exit code. `environ`: what it
        finds in its environment besides ours."""
        import subprocess

        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env={**os.environ, **(environ or {})},
        )  # fmt: skip
        assert program.stdout is not None
        try:
            for line in program.stdout:
                heard(line.rstrip())
            return program.wait()
        except BaseException:
            program.terminate()
            program.wait()
            raise

    def become(self, command: Sequence[str], folder: Path | None = None) -> int:
        """End as another program. Windows cannot, so there it runs below us."""
        sys.stdout.flush()
        if folder:
            os.chdir(folder)
        if os.name != "nt":
            os.execv(command[0], list(command))
        import subprocess

        os.environ.setdefault("PYTHONUTF8", "1")
        child = subprocess.Popen(command)
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # the child got Ctrl+C too and is closing its workers
                continue

    def answers(self, url: str, seconds: float = 3.0) -> bool:
        """Whether there is something at an address; through the user's proxy, if there is one."""
        import urllib.request

        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
                return True
        except OSError:  # URLError is one
            return False

    def which(self, program: str) -> str | None:
        return shutil.which(program)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def read(self, path: str) -> str | None:
        """A small file of the system's, or None."""
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(folder).free
