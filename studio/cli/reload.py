"""For developers: the studio in a child process that is started again whenever a source file changes."""

import subprocess
import sys
import time
from pathlib import Path

from studio.settings import ROOT

LOOK_SECONDS = 1.0
WATCHED = (("studio", "*.py"), ("assets", "*.js"), ("assets", "*.css"), ("assets", "*.json"))


def run_again_on_change(arguments: list[str]) -> int:
    """Returns when the child ends by itself or Ctrl+C is pressed."""
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    seen, child = _newest(), subprocess.Popen(command)
    try:
        while child.poll() is None:
            time.sleep(LOOK_SECONDS)
            if (now := _newest()) == seen:
                continue
            seen = now
            _end(child)
            extra = [] if "--no-browser" in arguments else ["--no-browser"]  # the page is open already
            child = subprocess.Popen([*command, *extra])
        return child.returncode
    except KeyboardInterrupt:
        _end(child)
        return 0


def _newest() -> float:
    files = [path for folder, pattern in WATCHED for path in (ROOT / folder).rglob(pattern)]
    return max(_changed(path) for path in files)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # an editor that saves by renaming
        return 0.0


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
