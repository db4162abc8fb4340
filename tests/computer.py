"""A simulated computer for tests of the installer: what is asked of it is written down, what happens is chosen."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from installer import Outside, Place, Said

ALWAYS = {  # what pip is always told
    "--disable-pip-version-check", "--no-input", "--prefer-binary", "--no-compile", "--progress-bar", "raw", "off"
}  # fmt: skip


def lay_out(root: Path, bundle: bool = False) -> Place:
    """A folder with what the installer reads: small requirements and a version."""
    app = root / "app" if bundle else root
    (app / "studio").mkdir(parents=True)
    (app / "studio" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (app / "requirements.txt").write_text("rich\ntorch==9.9.9    # pinned\n")
    (app / "requirements-dev.txt").write_text("pytest\n")
    if bundle:
        (app / "bundle.json").write_text("{}")
        (app / "requirements.lock").write_text("rich==14.0.0 --hash=sha256:00\n")
    return Place.at(app, {"HOME": str(root / "home"), "USERPROFILE": str(root / "home")}, "linux")


class Computer(Outside):
    """In place of programs, pip, venv, disk and network."""

    def __init__(self, place: Place, platform: str = "linux", home: Path | None = None, **facts: object) -> None:
        super().__init__()
        self.place, self.platform, self.arch, self.libc = place, platform, "x86_64", ("glibc", "2.36")
        self.executable = "C:\\Python\\python.exe" if platform == "win32" else "/usr/bin/python3.11"
        self.python, self.bits = (3, 11, 7), 64
        self.home = home or place.home
        self.environ = {"HOME": str(self.home)}
        self.asked: list[str] = []  # in words
        self.commands: list[list[str]] = []  # as they were given
        self.fail_on, self.failure = "", Said(1, "something nobody has seen before")
        self.interrupt = False  # instead of failing
        self.reachable: tuple[str, ...] = ()  # addresses that answer, by their beginning
        self.files: dict[str, str] = {}  # of the system: path -> what is in it
        self.programs: dict[str, str | Said] = {}  # name -> what it says
        self.free = 500e9
        vars(self).update(facts)

    # ------------------------------------------------------------------------------------------- what it is asked
    def run(self, command: Sequence[str], seconds: float | None = None) -> Said:
        self.commands.append(list(command))
        words = " ".join(command[1:])
        if words.startswith("-m venv"):
            return self._venv()
        if words == "-m pip --version":
            return Said(0 if self.place.python.exists() else 1, "pip 24.2")
        if words.startswith("-m pip uninstall"):
            self.asked.append("without " + words.split()[-1])
            return Said(0, "")
        if words.startswith("-m compileall"):
            return self._failed("compileall") or Said(0, "")
        name = command[0].replace("\\", "/").rpartition("/")[2]
        said = self.programs.get(name, Said(127, f"{command[0]} is not there"))
        return self._failed(name) or (said if isinstance(said, Said) else Said(0, said))

    def listen(
        self, command: Sequence[str], heard: Callable[[str], None], environ: Mapping[str, str] | None = None
    ) -> int:
        self.commands.append(list(command))
        words = [Path(word).name if "requirements" in word else word for word in command]
        words = words[words.index("install") + 1 :]
        what = " ".join(word for word in words if word not in ALWAYS)
        self.asked.append(what)
        failed = self._failed(what)
        for line in failed.text.splitlines() if failed else []:
            heard(line)
        return failed.code if failed else 0

    def become(self, command: Sequence[str], folder: Path | None = None) -> int:
        self.asked.append("start " + " ".join(command[1:]).replace(str(self.place.root), ""))
        return 7

    def answers(self, url: str, seconds: float = 3.0) -> bool:
        return bool(self.reachable) and url.startswith(self.reachable)

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def exists(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def free_bytes(self, folder: Path) -> int:
        return int(self.free)

    # ------------------------------------------------------------------------------------------- what happens
    def _failed(self, what: str) -> Said | None:
        if not self.fail_on or self.fail_on not in what:
            return None
        if self.interrupt:
            raise KeyboardInterrupt
        return self.failure

    def _venv(self) -> Said:
        self.asked.append("venv")
        if failed := self._failed("venv"):
            return failed
        self.place.python.parent.mkdir(parents=True, exist_ok=True)
        self.place.python.write_text("")
        version = ".".join(str(number) for number in self.python)
        (self.place.venv / "pyvenv.cfg").write_text(
            f"home = /usr/bin\nversion = {version}\nexecutable = {sys.executable}\n"
        )
        return Said(0, "")
