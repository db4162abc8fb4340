"""The program that is clicked to start Lanterna: PyInstaller makes `Lanterna` or `Lanterna.exe` of it (lanterna.spec).

It finds the bundle's Python, or has uv fetch one, and starts launch.py with it, in a terminal where the user sees the
set-up and can end the studio. Standard library only. Knows nothing of what launch.py does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

MINOR = "3.11"  # of the Python that is fetched where the bundle carries none
USUAL = ("--or-show", "--window")
NOT_PASSED_ON = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "_MEIPASS2", "_PYI_ARCHIVE_FILE")
TERMINALS = (  # program, what stands before the command in it
    ("x-terminal-emulator", "-e"), ("gnome-terminal", "--"), ("konsole", "-e"), ("kgx", "-e"),
    ("xfce4-terminal", "-x"), ("xterm", "-e"),
)  # fmt: skip
NO_PYTHON = "Python could not be fetched. Check the connection (and HTTPS_PROXY), then start Lanterna again."


@dataclass(frozen=True)
class Bundle:
    """The folder that was unpacked, and what lies where in it."""

    top: PurePath
    windows: bool

    @property
    def python(self) -> PurePath:
        return self.top / "python" / ("python.exe" if self.windows else "bin/python3")

    @property
    def uv(self) -> PurePath:
        return self.top / "bin" / ("uv.exe" if self.windows else "uv")

    @property
    def launcher(self) -> PurePath:
        return self.top / "app" / "launch.py"

    @property
    def set_up(self) -> PurePath:
        """There when it was set up."""
        return self.top / ".venv" / "lanterna.json"

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What programs below us get: nothing of another Python, nor of the folder that we were unpacked into."""
        found = {name: value for name, value in environ.items() if name not in NOT_PASSED_ON}
        if "LD_LIBRARY_PATH_ORIG" in environ:  # PyInstaller keeps there what the user had
            found["LD_LIBRARY_PATH"] = environ["LD_LIBRARY_PATH_ORIG"]
        found.pop("LD_LIBRARY_PATH_ORIG", None)
        found["UV_PYTHON_INSTALL_DIR"] = str(self.top / "python")
        return {**found, "PYTHONUTF8": "1"} if self.windows else found

    def commands(self, python: str, arguments: Sequence[str], is_set_up: bool) -> list[list[str]]:
        """What is run, one after the other. What the user typed is passed on; a click means the usual."""
        if arguments:
            return [[python, str(self.launcher), *arguments]]
        first = [] if is_set_up else [[python, str(self.launcher), "install"]]
        return [*first, [python, str(self.launcher), *USUAL]]


def find_python(bundle: Bundle, exists: Callable[[PurePath], bool], uv: Callable[..., str]) -> str | None:
    """The Python that the bundle carries, or one that uv has or fetches. None: there is none to be had."""
    if exists(bundle.python):
        return str(bundle.python)
    find = ("python", "find", "--managed-python", MINOR)
    found = uv(*find)
    if not found:
        print("Fetching Python (once).", flush=True)
        uv("python", "install", "--no-bin", MINOR)
        found = uv(*find)
    return found or None


def in_a_terminal(command: Sequence[str], which: Callable[[str], str | None]) -> list[str] | None:
    """How to run it where a user sees it; None where no terminal is to be found."""
    found = next(((path, before) for name, before in TERMINALS if (path := which(name))), None)
    return [*found, *command] if found else None


def run(commands: Sequence[Sequence[str]], environ: Mapping[str, str]) -> int:
    """One after the other, as long as they succeed. Returns the exit code of the last."""
    code = 0
    for command in commands:
        child = subprocess.Popen(command, env=dict(environ))
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:  # the child got Ctrl+C too and is closing its workers
                continue
        if code:
            break
    return code


def main(arguments: Sequence[str]) -> int:
    program = Path(sys.executable if hasattr(sys, "frozen") else __file__).resolve()
    bundle = Bundle(program.parent, os.name == "nt")
    environ = bundle.environment(os.environ)
    seen = sys.stdin is not None and sys.stdin.isatty()
    if not seen and not arguments and sys.platform == "linux" and "LANTERNA_IN_TERMINAL" not in os.environ:
        if command := in_a_terminal([str(program)], shutil.which):
            os.execve(command[0], command, {**environ, "LANTERNA_IN_TERMINAL": "1"})

    def uv(*words: str) -> str:
        return subprocess.run([str(bundle.uv), *words], env=environ, stdout=subprocess.PIPE, text=True).stdout.strip()

    python = find_python(bundle, os.path.exists, uv)
    code = 1
    if python:
        code = run(bundle.commands(python, arguments, os.path.exists(bundle.set_up)), environ)
    else:
        print(NO_PYTHON, file=sys.stderr)
    if code not in (0, 130) and seen and not arguments:
        input("Press Enter to close this window. ")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
