"""The icon on the desktop and the entry in the menu: their text, for folders with spaces, accents and quotes."""

import base64
import os
import plistlib
import re
import subprocess
from pathlib import Path

import pytest
from computer import Computer, lay_out

from installer import Place, Said, SetUpError
from installer.install import main as install
from installer.shortcut import ICONS, _icon, desktop_entry, make_shortcuts, windows_script

FOLDER = """João's "Café" 50% $HOME 灯塔"""
SCREEN = {"DISPLAY": ":0"}


@pytest.fixture
def place(tmp_path):
    return lay_out(tmp_path / FOLDER)


@pytest.fixture
def computer(place, tmp_path):
    home = tmp_path / "Usuário"
    home.mkdir()
    return Computer(place, home=home, environ=SCREEN)


def with_icons(place):
    folder = place.root / "assets" / "app"
    folder.mkdir(parents=True)
    for name in ("lanterna-256.png", "lanterna.ico", "lanterna.icns"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_the_icons_are_where_they_are_looked_for(computer):
    """In a checkout and in a bundle: the program's own, not those that a test made."""
    ours = Place.at(Path(__file__).parent.parent)
    for computer.platform in ICONS:
        assert _icon(ours, computer), computer.platform


# ------------------------------------------------------------------------------------------------ Linux
def unquoted(value: str) -> list[str]:
    """`Exec` as a desktop reads it: first the escapes that every value has, then quoted words, then field codes."""
    text = re.sub(r"\\(.)", lambda found: {"n": "\n", "s": " ", "t": "\t"}.get(found[1], found[1]), value)
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text)
    return [re.sub(r"\\(.)", r"\1", quoted or plain).replace("%%", "%") for quoted, plain in words]


def entry(path: Path) -> dict[str, str]:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "[Desktop Entry]"
    return dict(line.split("=", 1) for line in lines[1:])


def test_linux_gets_an_icon_and_an_entry(place, computer, tmp_path):
    desktop = computer.home / "Área de trabalho"
    desktop.mkdir()
    computer.programs = {"xdg-user-dir": str(desktop), "gio": ""}
    icon = with_icons(place) / "lanterna-256.png"
    made = make_shortcuts(place, computer)
    menu = computer.home / ".local" / "share" / "applications" / "lanterna.desktop"
    assert made == [str(menu), str(desktop / "lanterna.desktop")]
    facts = entry(menu)
    assert unquoted(facts["Exec"]) == ["/usr/bin/python3.11", str(place.launcher), "--or-show"]
    assert facts["Icon"] == str(icon) and facts["Path"] == str(place.root) and facts["Terminal"] == "true"
    assert facts["Comment[pt_BR]"] and facts["Comment[zh_CN]"]
    assert os.access(made[1], os.X_OK) and computer.commands[-1][:3] == ["gio", "set", made[1]]


def test_linux_without_a_desktop_folder_gets_the_entry_only(place, computer):
    computer.programs = {"xdg-user-dir": str(computer.home)}
    assert len(make_shortcuts(place, computer)) == 1
    computer.programs = {}  # nor the program that would know it
    assert len(make_shortcuts(place, computer)) == 1
    (computer.home / "Desktop").mkdir()
    assert len(make_shortcuts(place, computer)) == 2


def test_a_server_gets_nothing(place, computer):
    computer.environ = {}
    assert make_shortcuts(place, computer) == [] and not (computer.home / ".local").exists()


def test_without_a_drawing_there_is_no_icon_line(place):
    assert "Icon=" not in desktop_entry(place, "/usr/bin/python3", None)


@pytest.mark.skipif(os.name == "nt", reason="freedesktop.org's checker")
def test_the_entry_is_well_formed(place, computer, tmp_path):
    import shutil

    checker = shutil.which("desktop-file-validate")
    if not checker:
        pytest.skip("desktop-file-validate is not here")
    for path in make_shortcuts(place, computer):
        assert subprocess.run([checker, path], capture_output=True, text=True).stdout == ""


# ------------------------------------------------------------------------------------------------ macOS
def test_macos_gets_an_app_that_opens_a_terminal(place, computer):
    computer.platform = "darwin"
    (computer.home / "Desktop").mkdir()
    with_icons(place)
    app, link = make_shortcuts(place, computer)
    assert Path(link).resolve() == Path(app) == computer.home / "Applications" / "Lanterna.app"
    facts = plistlib.loads((Path(app) / "Contents" / "Info.plist").read_bytes())
    assert (Path(app) / "Contents" / "MacOS" / facts["CFBundleExecutable"]).exists()
    assert (Path(app) / "Contents" / "Resources" / facts["CFBundleIconFile"]).exists()
    assert make_shortcuts(place, computer) == [app, link], "and again"


@pytest.mark.skipif(os.name == "nt", reason="runs a POSIX shell")
def test_macoss_scripts_start_the_studio_by_its_whole_name(place, computer, tmp_path):
    """Run by a real shell, in which `open` and the Python say how they were called."""
    computer.platform = "darwin"
    bin = tmp_path / "a bin"
    bin.mkdir()
    for name in ("open", "python3"):
        (bin / name).write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
        (bin / name).chmod(0o755)
    computer.executable = str(bin / "python3")
    inside = Path(make_shortcuts(place, computer)[0]) / "Contents"

    def said(script: Path) -> list[str]:
        done = subprocess.run([str(script)], env={"PATH": f"{bin}:/bin:/usr/bin"}, capture_output=True, text=True)
        return done.stdout.splitlines()

    command = inside / "Resources" / "Lanterna.command"
    assert said(inside / "MacOS" / "Lanterna") == ["-a", "Terminal", str(command)]
    assert said(command) == [str(place.launcher), "--or-show"]


# ------------------------------------------------------------------------------------------------ Windows
def test_windows_gets_a_link_on_the_desktop_and_in_the_start_menu(place, computer):
    computer.platform = "win32"
    links = [r"C:\Usuários\João Café\Desktop\Lanterna.lnk", r"C:\Usuários\João Café\Start Menu\Programs\Lanterna.lnk"]
    computer.programs = {"powershell": "\r\n".join(links)}
    with_icons(place)
    assert make_shortcuts(place, computer) == links
    script = base64.b64decode(computer.commands[-1][-1]).decode("utf-16-le")
    assert str(place.root).replace("'", "''") in script and "lanterna.ico" in script


def test_powershell_reads_names_as_they_are():
    r"""C:\Usuários\João Café\Lanterna, and an apostrophe of either kind."""
    folder = "C:\\Usuários\\João Café\\D'Ávila’s Lanterna"
    script = windows_script(r"C:\Program Files\Python311\python.exe", folder + r"\launch.py", folder, "")
    lines = [line.strip() for line in script.splitlines()]
    quoted = folder.replace("'", "''").replace("’", "’’")
    assert f"$link.WorkingDirectory = '{quoted}'" in lines
    assert f"""$link.Arguments = '"{quoted}\\launch.py" --or-show'""" in lines
    assert r"$link.TargetPath = 'C:\Program Files\Python311\python.exe'" in lines
    assert not any("IconLocation" in line for line in lines)


def test_powershell_that_is_forbidden_is_told(place, computer):
    computer.platform, computer.programs = "win32", {"powershell": Said(1, "running scripts is disabled")}
    with pytest.raises(SetUpError, match="scripts is disabled") as error:
        make_shortcuts(place, computer)
    assert "launch.py install" in error.value.cure


# ------------------------------------------------------------------------------------------------ as a step
def test_shortcuts_are_written_down_for_whoever_uninstalls(place, computer, capsys):
    assert install([], place, computer) == 0
    menu = str(computer.home / ".local" / "share" / "applications" / "lanterna.desktop")
    assert place.installed()["shortcuts"].splitlines() == [menu] and menu in capsys.readouterr().out
    assert "shortcut: done in" in place.log.read_text("utf-8")


@pytest.mark.parametrize("flag", ["--no-shortcut", "--dev"])
def test_whoever_wants_none_gets_none(place, computer, flag):
    install([flag], place, computer)
    assert "shortcuts" not in place.installed() and not (computer.home / ".local").exists()


def test_a_shortcut_that_fails_stops_nothing(place, computer, capsys):
    (computer.home / ".local").write_text("a file where the folder should be")
    assert install([], place, computer) == 0
    said = capsys.readouterr().out
    assert "could not be made" in said and "launch.py install" in said and "Ready" in said
    assert "shortcut: failed after" in place.log.read_text("utf-8")
    (computer.home / ".local").unlink()
    assert install([], place, computer) == 0 and place.installed()["shortcuts"]


def test_another_platform_gets_none(tmp_path):
    place = Place.at(tmp_path)
    assert make_shortcuts(place, Computer(place, platform="freebsd14")) == []
