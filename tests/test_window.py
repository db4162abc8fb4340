"""The studio's own window: which program opens it on which system, and what happens when it cannot."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

import pytest

from studio import app
from studio.cli import main
from studio.lock import StudioLock
from studio.reach import window
from studio.reach.window import Desktop
from studio.settings import Settings

URL = "http://127.0.0.1:7860"
HOME = r"C:\Usuários\João Café\AppData\Local"


class Ended:
    """A program that ends at once, or stays."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            raise subprocess.TimeoutExpired("window", timeout or 0)
        return self.code


class Computer:
    def __init__(self, system: str, there: Sequence[str] = (), ends: dict[str, int | None] | None = None) -> None:
        self.there, self.ends, self.ran, self.browsed = there, ends or {}, [], []
        self.desktop = Desktop(
            system=system, environ={"PROGRAMFILES": r"C:\Program Files", "LOCALAPPDATA": HOME, "HOME": "/me"},
            which=lambda name: f"/usr/bin/{name}" if name in there else None, exists=self.exists,
            registered=lambda name: None, start=self.start, has_pywebview=lambda: "webview" in there,
            browse=self.browsed.append,
        )  # fmt: skip

    def exists(self, path: PurePath) -> bool:
        return str(path) in self.there

    def start(self, command: Sequence[str]) -> Ended:
        self.ran.append(list(command))
        if command[0] in self.ends and self.ends[command[0]] == -1:
            raise FileNotFoundError(command[0])
        return Ended(self.ends.get(command[0]))


EDGE = r"C:\Program Files\Microsoft\Edge\Application\msedge.exe"
MINE = HOME + r"\Google\Chrome\Application\chrome.exe"
MAC = "/me/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


@pytest.mark.parametrize(
    ("system", "there", "program"),
    [
        ("Linux", ["brave-browser", "chromium"], "/usr/bin/chromium"),
        ("Windows", [MINE, EDGE], EDGE),
        ("Windows", [MINE], MINE),
        ("Darwin", [MAC], MAC),
    ],
)
def test_a_browser_shows_it_as_an_app(tmp_path: Path, system: str, there: list[str], program: str) -> None:
    computer = Computer(system, there)
    assert window.show(URL, tmp_path / "João Café", computer.desktop) == "app"
    (ran,) = computer.ran
    assert ran[0] == program and f"--app={URL}" in ran and f"--user-data-dir={tmp_path / 'João Café'}" in ran
    assert "--disable-gpu" in ran and not computer.browsed


def test_a_program_that_windows_knows_by_name_comes_first(tmp_path: Path) -> None:
    computer = Computer("Windows", [EDGE])
    known = r"D:\Edge\msedge.exe"
    desktop = Desktop(
        system="Windows", environ=computer.desktop.environ, exists=computer.exists, start=computer.start,
        registered=lambda name: known if name == "msedge.exe" else None,
    )  # fmt: skip
    assert list(window.browsers(desktop)) == [known, EDGE]


@pytest.mark.parametrize("code", [1, 127, -1])
def test_one_that_cannot_is_followed_by_the_next(tmp_path: Path, code: int) -> None:
    computer = Computer("Linux", ["chromium", "google-chrome"], {"/usr/bin/chromium": code})
    assert window.show(URL, tmp_path, computer.desktop) == "app"
    assert [ran[0] for ran in computer.ran] == ["/usr/bin/chromium", "/usr/bin/google-chrome"]


def test_one_that_hands_over_to_an_open_window_has_done_it(tmp_path: Path) -> None:
    computer = Computer("Linux", ["chromium", "google-chrome"], {"/usr/bin/chromium": 0})
    assert window.show(URL, tmp_path, computer.desktop) == "app" and len(computer.ran) == 1


def test_without_such_a_browser_pywebview_then_the_usual_one(tmp_path: Path) -> None:
    computer = Computer("Linux", ["webview"])
    assert window.show(URL, tmp_path, computer.desktop) == "pywebview" and computer.ran[0][-1] == URL
    bare = Computer("Linux")
    assert window.show(URL, tmp_path, bare.desktop) == "browser" and bare.browsed == [URL]


def test_the_setting_chooses_between_window_and_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(window, "show", lambda *how: shown.append(how))
    monkeypatch.setattr("webbrowser.open", lambda url: shown.append(url))
    app.show(Settings(root=tmp_path), URL)
    app.show(Settings(root=tmp_path, window=True), URL)
    assert shown == [URL, (URL, tmp_path / "data" / "cache" / "window")]


# ------------------------------------------------------------------------------------------------ a second start
@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(app, "show", lambda settings, url: found.append(url))
    return found


@pytest.fixture
def held(tmp_path: Path) -> Any:
    lock = StudioLock(tmp_path / "data")
    lock.acquire()
    yield lock
    lock.release()


def flags(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data"), "--output-dir", str(tmp_path / "outputs")]


def test_a_second_start_shows_the_first_studio(tmp_path: Path, shown: list[str], held: Any, capsys: Any) -> None:
    held.announce(URL)
    assert main([*flags(tmp_path), "--or-show"]) == 0
    assert shown == [URL] and URL in capsys.readouterr().out


def test_without_the_flag_it_is_refused_and_the_first_is_named(
    tmp_path: Path, shown: list[str], held: Any, capsys: Any
) -> None:
    held.announce(URL)
    assert main(flags(tmp_path)) == 1
    assert not shown and URL in capsys.readouterr().err


def test_a_studio_that_is_just_starting_is_waited_for(tmp_path: Path, held: Any) -> None:
    from studio.cli.beside import open_studio

    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            held.announce(URL)

    settings = Settings(root=tmp_path)
    assert open_studio(settings, nap) == URL and len(naps) == 3


def test_where_nothing_is_open_nothing_is_waited_for(tmp_path: Path) -> None:
    from studio.cli.beside import open_studio

    wait: Callable[[float], None] = lambda seconds: pytest.fail("it waited")  # noqa: E731
    assert open_studio(Settings(root=tmp_path), wait) == ""
