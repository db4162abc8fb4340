"""The icon on the desktop and the entry in the menu that start the studio. Knows nothing of what is installed.

They run launch.py in a terminal, so that closing it ends the studio, and with `--or-show`: where a studio is open
already, its page is shown instead. The Python is the one that .venv was made with: launch.py makes .venv anew when it
has to.
"""

from __future__ import annotations

import base64
import os
import plistlib
import re
import shlex
from pathlib import Path

from installer import Outside, Place, SetUpError

ICONS = {"linux": "lanterna-256.png", "win32": "lanterna.ico", "darwin": "lanterna.icns"}
COMMENTS = {
    "": "A film studio on your own machine",
    "[pt_BR]": "Um estúdio de cinema no seu computador",
    "[pt]": "Um estúdio de cinema no seu computador",
    "[zh_CN]": "你自己电脑上的电影工作室",
}
CURE = "The studio works without it: python3 launch.py    To try again: python3 launch.py install"


def make_shortcuts(place: Place, outside: Outside) -> list[str]:
    """Returns the paths of what was made; none on a computer without a desktop. Raises SetUpError."""
    makers = {"linux": _linux, "darwin": _mac, "win32": _windows}
    try:
        return makers[outside.platform](place, outside) if outside.platform in makers else []
    except OSError as error:
        raise SetUpError(f"A shortcut could not be made: {error}", CURE) from error


def _icon(place: Place, outside: Outside) -> Path | None:
    icon = place.root / "assets" / "app" / ICONS[outside.platform]
    return icon if icon.exists() else None


# ------------------------------------------------------------------------------------------------ Linux
def _linux(place: Place, outside: Outside) -> list[str]:
    if not (outside.environ.get("DISPLAY") or outside.environ.get("WAYLAND_DISPLAY")):
        return []
    shared = Path(outside.environ.get("XDG_DATA_HOME") or outside.home / ".local" / "share")
    folders = [shared / "applications"]
    told = outside.run(["xdg-user-dir", "DESKTOP"])
    desktop = Path(told.text) if not told.code and told.text else outside.home / "Desktop"
    if desktop.is_dir() and desktop != outside.home:  # xdg-user-dir says the home where there is no desktop folder
        folders.append(desktop)
    made = []
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lanterna.desktop"
        path.write_text(desktop_entry(place, outside.executable, _icon(place, outside)), encoding="utf-8")
        path.chmod(0o755)
        made.append(str(path))
    if len(folders) > 1:  # GNOME shows an icon on the desktop as a text file until somebody trusts it
        outside.run(["gio", "set", made[1], "metadata::trusted", "true"])
    return made


def desktop_entry(place: Place, python: str, icon: Path | None) -> str:
    """A freedesktop.org Desktop Entry."""
    lines = ["[Desktop Entry]", "Type=Application", "Version=1.0", "Name=Lanterna"]
    lines += [f"Comment{language}={text}" for language, text in COMMENTS.items()]
    lines += [
        f"Exec={_exec_word(python)} {_exec_word(str(place.launcher))} --or-show",
        "Path=" + _value(str(place.root)),
        *(["Icon=" + _value(str(icon))] if icon else []),
        "Terminal=true",
        "Categories=AudioVideo;Video;AudioVideoEditing;",
    ]
    return "\n".join(lines) + "\n"


def _exec_word(text: str) -> str:
    """One argument of `Exec`: quoted first, then escaped as every value is; % begins a field code."""
    quoted = '"' + re.sub(r'(["`$\\])', r"\\\1", text) + '"'
    return _value(quoted).replace("%", "%%")


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


# ------------------------------------------------------------------------------------------------ macOS
def _mac(place: Place, outside: Outside) -> list[str]:
    """A small .app folder that opens a .command in Terminal, and a link to it on the desktop."""
    app = outside.home / "Applications" / "Lanterna.app"
    inside = app / "Contents"
    for folder in ("MacOS", "Resources"):
        (inside / folder).mkdir(parents=True, exist_ok=True)
    facts = {
        "CFBundleName": "Lanterna",
        "CFBundleIdentifier": "studio.lanterna.starter",
        "CFBundleVersion": place.version,
        "CFBundlePackageType": "APPL",
        "CFBundleExecutable": "Lanterna",
        "LSUIElement": True,  # Terminal is what shows in the Dock
    }
    if icon := _icon(place, outside):
        (inside / "Resources" / icon.name).write_bytes(icon.read_bytes())
        facts["CFBundleIconFile"] = icon.name
    (inside / "Info.plist").write_bytes(plistlib.dumps(facts))
    command = inside / "Resources" / "Lanterna.command"
    start = f"exec {shlex.quote(outside.executable)} {shlex.quote(str(place.launcher))} --or-show"
    starter = f"exec open -a Terminal {shlex.quote(str(command))}"
    for path, line in ((command, start), (inside / "MacOS" / "Lanterna", starter)):
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        path.chmod(0o755)
    link = outside.home / "Desktop" / "Lanterna.app"
    if not link.parent.is_dir():
        return [str(app)]
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(app)
    return [str(app), str(link)]


# ------------------------------------------------------------------------------------------------ Windows
def _windows(place: Place, outside: Outside) -> list[str]:
    icon = _icon(place, outside)
    script = windows_script(outside.executable, str(place.launcher), str(place.root), str(icon) if icon else "")
    # as UTF-16 in base 64: no code page and no quoting comes between us and a name with accents or spaces
    encoded = base64.b64encode(script.encode("utf-16-le")).decode("ascii")
    program = outside.which("powershell") or os.path.join(
        outside.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "WindowsPowerShell", "v1.0", "powershell.exe"
    )
    said = outside.run([program, "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded], seconds=60)
    if said.code:
        raise SetUpError(f"A shortcut could not be made: {said.text[-300:]}", CURE)
    return [line.strip() for line in said.text.splitlines() if line.strip().endswith(".lnk")]


def windows_script(python: str, launcher: str, folder: str, icon: str) -> str:
    """PowerShell that makes a .lnk on the desktop and in the start menu, and says their paths."""
    arguments = f'"{launcher}" --or-show'
    lines = [
        "$ErrorActionPreference = 'Stop'",
        "[Console]::OutputEncoding = [Text.Encoding]::UTF8",
        "$shell = New-Object -ComObject WScript.Shell",
        "foreach ($name in 'Desktop', 'Programs') {",
        "  $path = Join-Path ([Environment]::GetFolderPath($name)) 'Lanterna.lnk'",
        "  $link = $shell.CreateShortcut($path)",
        f"  $link.TargetPath = {_literal(python)}",
        f"  $link.Arguments = {_literal(arguments)}",
        f"  $link.WorkingDirectory = {_literal(folder)}",
        f"  $link.Description = {_literal(COMMENTS[''])}",
        *([f"  $link.IconLocation = {_literal(icon)}"] if icon else []),
        "  $link.Save()",
        "  $path",
        "}",
    ]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """PowerShell takes typographic quotes for quotes too."""
    return "'" + re.sub("(['‘’‚‛])", r"\1\1", text) + "'"
