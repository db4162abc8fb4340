"""Where Lanterna lies on this computer, and what is installed there. Knows nobody who installs.

a checkout                     a bundle (bundle.json lies beside launch.py)
launch.py          root        app/launch.py     root
.venv              venv        .venv             venv: an update that replaces app/ keeps it
data, outputs      user        ~/Lanterna       user: never inside the bundle
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PARTS = {"app": "requirements.txt", "dev": "requirements-dev.txt"}


@dataclass(frozen=True)
class Place:
    root: Path  # the folder of launch.py
    home: Path  # the folder of .venv
    user: Path  # the folder of data/ and outputs/, unless the user sets others
    windows: bool = os.name == "nt"

    @classmethod
    def at(cls, root: Path, environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Place:
        if not (root / "bundle.json").exists():
            return cls(root, root, root, platform == "win32")
        return cls(root, root.parent, users_folder(environ, platform), platform == "win32")

    @property
    def bundled(self) -> bool:
        return (self.root / "bundle.json").exists()

    @property
    def launcher(self) -> Path:
        return self.root / "launch.py"

    @property
    def command(self) -> str:
        """What a user types before a verb, in the folder that they unpacked or cloned."""
        if not self.bundled:
            return ("py" if self.windows else "python3") + " launch.py"
        if self.windows:
            return "Lanterna.bat"
        return "./Lanterna.command" if (self.home / "Lanterna.command").exists() else "./Lanterna.sh"

    def typed(self, text: str) -> str:
        """A text as it is right here: in a bundle there is no python3 to type."""
        return text.replace("python3 launch.py", self.command)

    @property
    def venv(self) -> Path:
        return self.home / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if self.windows else "bin/python")

    @property
    def stamp(self) -> Path:
        """What is installed; written last, so that an interrupted install is simply run again."""
        return self.venv / "lanterna.json"

    @property
    def data(self) -> Path:
        return self.user / "data"

    @property
    def log(self) -> Path:
        return self.data / "logs" / "install.log"

    def requirements(self, part: str) -> Path:
        """What `part` ("app" or "dev") is made of. A bundle brings exactly what it was tested with, to the hash."""
        locked = self.root / "requirements.lock"
        return locked if part == "app" and self.bundled and locked.exists() else self.root / PARTS[part]

    @property
    def torch(self) -> str:
        """Which version of torch the studio wants: `2.13.0`."""
        lines = (self.root / PARTS["app"]).read_text(encoding="utf-8").splitlines()
        pin = next(line for line in lines if line.startswith("torch=="))
        return pin.split("#")[0].split("==")[1].strip()

    @property
    def version(self) -> str:
        found = re.search(r'__version__ = "(.+)"', (self.root / "studio" / "__init__.py").read_text(encoding="utf-8"))
        return found[1] if found else "?"

    # ------------------------------------------------------------------------------------------- what is installed
    def wanted(self, part: str) -> str:
        """Changes whenever `part` has to be installed anew."""
        return hashlib.sha256(self.requirements(part).read_bytes()).hexdigest()[:16]

    def installed(self) -> dict[str, str]:
        """What was installed; empty when .venv is of no use.

        python: as `venv_python` has it. app, dev: what `wanted(part)` was then. torch: its version, `2.13.0+cu130`.
        gpu: what the user asked for, `cpu`. shortcuts: their paths, a line each.
        """
        try:
            stamp: dict[str, str] = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not self.python.exists() or stamp.get("python") != self.venv_python():
            return {}
        if "torch" not in stamp and stamp.get("app") == self.wanted("app"):  # as it was written until November 2026
            stamp["torch"] = self.torch
        return stamp

    def write_down(self, installed: Mapping[str, str]) -> None:
        unfinished = self.stamp.with_suffix(".part")
        unfinished.write_text(json.dumps({**installed, "python": self.venv_python()}), encoding="utf-8")
        os.replace(unfinished, self.stamp)

    def venv_python(self) -> str:
        """`3.11.7 /usr/bin`: which Python .venv was made with. A changed one means another .venv."""
        try:
            lines = (self.venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
        facts = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
        interpreter = Path(facts.get("executable", sys.executable))
        return f"{facts.get('version', '')} {facts.get('home', '')}" if interpreter.exists() else ""


def users_folder(environ: Mapping[str, str], platform: str) -> Path:
    """Where a bundle's user finds films, settings and models: Lanterna in their home, or what LANTERNA_HOME names."""
    if named := environ.get("LANTERNA_HOME"):
        return Path(named).expanduser()
    home = Path(environ.get("USERPROFILE" if platform == "win32" else "HOME") or Path.home())
    return home / "Lanterna"
