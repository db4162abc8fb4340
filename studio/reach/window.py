"""The studio in a window of its own: a browser of Chromium's family as an app, else pywebview, else the usual browser.

The window is a program beside us with a profile of its own: closing it ends nothing here. Knows no studio.
"""

import importlib.util
import logging
import os
import platform
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Literal, Protocol

log = logging.getLogger(__name__)

Shown = Literal["app", "pywebview", "browser"]

STARTS_SECONDS = 3.0  # a program that cannot open a window has ended by then
NAMES = (  # on Linux, by preference
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "microsoft-edge-stable",
    "brave-browser", "vivaldi",
)  # fmt: skip
APPLICATIONS = (  # on macOS: the application and the program in it
    ("Google Chrome", "Google Chrome"), ("Microsoft Edge", "Microsoft Edge"), ("Chromium", "Chromium"),
    ("Brave Browser", "Brave Browser"), ("Vivaldi", "Vivaldi"),
)  # fmt: skip
PROGRAMS = (  # on Windows: below each of HOMES
    ("msedge.exe", r"Microsoft\Edge\Application"), ("chrome.exe", r"Google\Chrome\Application"),
    ("brave.exe", r"BraveSoftware\Brave-Browser\Application"), ("chrome.exe", r"Chromium\Application"),
    ("vivaldi.exe", r"Vivaldi\Application"),
)  # fmt: skip
HOMES = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")  # environment variables
FLAGS = (
    "--no-first-run", "--no-default-browser-check", "--class=Lanterna", "--window-size=1500,960",
    "--disable-gpu",  # its share of video memory is what a render may lack; the page has no effects that need it
)  # fmt: skip
PYWEBVIEW = (
    "import sys, webview; webview.create_window('Lanterna', sys.argv[1], width=1500, height=960); webview.start()"
)


class Running(Protocol):
    def wait(self, timeout: float | None = None) -> int: ...


def _registered(name: str) -> str | None:
    """Where Windows knows a program by its name (App Paths)."""
    if sys.platform != "win32":
        return None
    import winreg

    for root in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        try:
            return winreg.QueryValue(root, rf"SOFTWARE\Microsoft\Windows\CurrentVersion\App Paths\{name}")
        except OSError:
            continue
    return None


@dataclass(frozen=True)
class Desktop:
    """What is asked of this computer."""

    system: str = field(default_factory=platform.system)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[[str], str | None] = shutil.which
    exists: Callable[[PurePath], bool] = os.path.exists
    registered: Callable[[str], str | None] = _registered
    start: Callable[[Sequence[str]], Running] = lambda command: subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    has_pywebview: Callable[[], bool] = lambda: importlib.util.find_spec("webview") is not None
    browse: Callable[[str], object] = webbrowser.open


def show(url: str, profile: Path, desktop: Desktop | None = None) -> Shown:
    """Open a window on `url` and say what it became. `profile`: a folder for what the browser keeps of it."""
    desktop = desktop or Desktop()
    for kind, command in _commands(url, profile, desktop):
        if _stays(command, desktop):
            return kind
        log.warning("no window by %s", command[0])
    desktop.browse(url)
    return "browser"


def _commands(url: str, profile: Path, desktop: Desktop) -> Iterator[tuple[Shown, Sequence[str]]]:
    for browser in dict.fromkeys(browsers(desktop)):
        # a profile of its own: else a browser that is open already shows us in one of its windows, with its own flags
        yield "app", [browser, f"--app={url}", f"--user-data-dir={profile}", *FLAGS]
    if desktop.has_pywebview():
        yield "pywebview", [sys.executable, "-c", PYWEBVIEW, url]


def _stays(command: Sequence[str], desktop: Desktop) -> bool:
    """Does it open a window? One that hands over to a window of ours, which is open already, ends well at once."""
    try:
        return desktop.start(command).wait(STARTS_SECONDS) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def browsers(desktop: Desktop) -> Iterator[str]:
    """Programs of Chromium's family on this computer, the best first."""
    if desktop.system == "Windows":
        for name, place in PROGRAMS:
            if known := desktop.registered(name):
                yield known
            for home in filter(None, map(desktop.environ.get, HOMES)):
                path = PureWindowsPath(home) / place / name
                if desktop.exists(path):
                    yield str(path)
    elif desktop.system == "Darwin":
        for application, program in APPLICATIONS:
            for home in ("/", desktop.environ.get("HOME", "/")):
                inside = PurePosixPath(home) / f"Applications/{application}.app/Contents/MacOS/{program}"
                if desktop.exists(inside):
                    yield str(inside)
    else:
        yield from filter(None, map(desktop.which, NAMES))
