#!/usr/bin/env python3
"""Lanterna: a film studio on your own machine.

    python3 launch.py                      open the studio in the browser
    python3 launch.py demo                 render the sample episode and cut its film
    python3 launch.py render EPISODE       an episode becomes a film, without a server
    python3 launch.py generate --task_type text_to_video --prompt "..."
    python3 launch.py doctor               what this computer has and lacks
    python3 launch.py bench draft          how fast the draft engine is here
    python3 launch.py install              only set up (--dev: with the tools of the tests)
    python3 launch.py test [pytest args]   run the tests
    python3 launch.py --help               every flag

The first start makes .venv beside this file and installs requirements.txt into it; that needs the network once.
Standard library only: this file runs before anything is installed. It knows how to set up and start `studio.cli`,
and nothing of scenes or settings.
"""

from __future__ import annotations  # so that an old Python reaches the message that says it is too old

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "lanterna.json"  # what is installed; written last, so an interrupted install is simply run again
REQUIREMENTS = {"app": ROOT / "requirements.txt", "dev": ROOT / "requirements-dev.txt"}
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 4, "nvidia": 10}  # of free disk; what a set-up here took, rounded up
OLDEST = (3, 11)
ALL_TESTS = ("-n", "auto", "--dist", "loadfile")  # a worker per core, each file in one of them

NO_NETWORK = (
    "The package index could not be reached.",
    "Check the connection (and HTTPS_PROXY, if you need a proxy), then run the same command again.",
)
NO_SPACE = ("The disk is full.", "Free some space (a set-up takes several GB), then run the same command again.")
PIP_FAILURES = (  # what pip says -> (what it means, the cure); the first that matches
    (r"No space left on device|Errno 28", NO_SPACE),
    (
        r"Permission denied|Access is denied",
        ("A file could not be written.", "Close programs that use .venv; make sure this folder is yours to write."),
    ),
    (
        r"NewConnectionError|ConnectTimeout|NameResolution|Name or service not known|getaddrinfo|ProxyError"
        r"|SSLError|Read timed out|Network is unreachable|Connection refused",
        NO_NETWORK,
    ),
    (
        r"No matching distribution found|requires a different Python",
        (
            "A package has no build for this Python or system, or the index could not be reached.",
            "Use Python 3.11 to 3.13 (64 bit), check the connection, then run the same command again.",
        ),
    ),
    (
        r"error: metadata-generation-failed|Failed to build|error: command .* failed",
        ("A package had to be compiled and that failed.", "Use Python 3.11 to 3.13, for which ready builds exist."),
    ),
)


class SetUpError(Exception):
    """What went wrong and, in `cure`, what to do about it."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.cure = cure


def main(arguments: list[str]) -> int:
    """Set up what is missing, then hand over. Returns the exit code."""
    verb = arguments[0] if arguments else ""
    if verb == "--version":
        print("Lanterna " + version())
        return 0
    if verb in ("-h", "--help") and not STAMP.exists():
        print(__doc__)
        return 0
    try:
        if verb == "install":
            set_up("app", *(["dev"] if "--dev" in arguments[1:] else []))
            print("Ready. Start the studio with: python3 launch.py    or watch it work: python3 launch.py demo")
            return 0
        if verb == "test":
            set_up("app", "dev")
            return hand_over([str(PYTHON), "-m", "pytest", *(arguments[1:] or ALL_TESTS)], folder=ROOT)
        set_up("app")
    except SetUpError as error:
        print(f"\n{error}\n  -> {error.cure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    if Path(sys.prefix).resolve() != VENV.resolve():
        return hand_over([str(PYTHON), str(ROOT / "launch.py"), *arguments])
    from studio.cli import main as studio

    return studio(arguments)


def version() -> str:
    found = re.search(r'__version__ = "(.+)"', (ROOT / "studio" / "__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "?"


def hand_over(command: list[str], folder: Path | None = None) -> int:
    """Become `command`. Windows cannot, so there it runs below us."""
    sys.stdout.flush()
    if folder:
        os.chdir(folder)
    if os.name != "nt":
        os.execv(command[0], command)
    os.environ.setdefault("PYTHONUTF8", "1")
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the child got Ctrl+C too and is closing its workers
            continue


# ------------------------------------------------------------------------------------------------ what is installed
def wanted(part: str) -> str:
    """Changes whenever `part` ("app" or "dev") has to be installed anew."""
    return hashlib.sha256(REQUIREMENTS[part].read_bytes()).hexdigest()[:16]


def installed() -> dict[str, str]:
    """part -> what `wanted(part)` was when it was installed. Empty when .venv is of no use."""
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if PYTHON.exists() and stamp.get("python") == venv_python() else {}


def venv_python() -> str:
    """`3.11.7 /usr/bin`: which Python .venv was made with. A changed one means another .venv."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    facts = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    interpreter = Path(facts.get("executable", sys.executable))
    return f"{facts.get('version', '')} {facts.get('home', '')}" if interpreter.exists() else ""


def set_up(*parts: str) -> None:
    """Make .venv and install `parts`, as far as that has not been done. No subprocess when nothing is missing."""
    have = installed()
    missing = [part for part in parts if have.get(part) != wanted(part)]
    if not missing:
        return
    check_machine()
    if "app" not in have:
        print("Setting up Lanterna in " + str(VENV) + " (once; several minutes and a few GB of downloads).")
    if not venv_works():
        make_venv()
    for part in missing:
        if part == "app":
            install_torch()
        pip_install(["-r", str(REQUIREMENTS[part])], title="the studio" if part == "app" else "the test tools")
        have = {**have, "python": venv_python(), part: wanted(part)}
        unfinished = STAMP.with_suffix(".part")
        unfinished.write_text(json.dumps(have), encoding="utf-8")
        os.replace(unfinished, STAMP)


def check_machine() -> None:
    if sys.version_info < OLDEST:
        newer = [name for minor in (13, 12, 11) if (name := shutil.which(f"python3.{minor}"))]
        cure = f"Run: {newer[0]} launch.py" if newer else "Install Python 3.11 or newer from https://www.python.org"
        raise SetUpError(f"Lanterna needs Python 3.11 or newer; this is {sys.version.split()[0]}.", cure)
    if sys.maxsize < 2**32:
        raise SetUpError("This is a 32-bit Python.", "Install the 64-bit Python from https://www.python.org")
    if not os.access(ROOT, os.W_OK):
        raise SetUpError(
            f"{ROOT} cannot be written.", "Move Lanterna into a folder of your own, for example your home."
        )
    needed = NEEDED_GB["nvidia" if has_nvidia() else "cpu"]
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < needed and not (VENV / "pyvenv.cfg").exists():
        raise SetUpError(f"Only {free:.1f} GB are free on this disk; a set-up needs {needed} GB.", NO_SPACE[1])


def venv_works() -> bool:
    if not PYTHON.exists() or not venv_python():
        return False
    return subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True).returncode == 0


def make_venv() -> None:
    print("  making .venv")
    # an old Python's .venv, or half a one, is of no use: --clear empties it
    made = subprocess.run(
        [getattr(sys, "_base_executable", None) or sys.executable, "-m", "venv", "--clear", str(VENV)],
        capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        said = (made.stdout + made.stderr).strip()
        if re.search(r"ensurepip|No module named venv", said):
            minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
            cure = f"On Debian or Ubuntu: sudo apt install python{minor}-venv    then run the same command again."
            raise SetUpError("This Python comes without its venv module.", cure)
        if re.search(r"Errno 28|No space left", said):
            raise SetUpError(*NO_SPACE)
        raise SetUpError(f"Making .venv failed:\n{last_lines(said)}", "Delete the folder .venv and try again.")


# ------------------------------------------------------------------------------------------------ packages
def install_torch() -> None:
    """First and alone: the largest by far, and without an NVIDIA GPU a ten times smaller build will do."""
    pin = next(
        line.split("#")[0].strip()
        for line in REQUIREMENTS["app"].read_text(encoding="utf-8").splitlines()
        if line.startswith("torch==")
    )
    # macOS has one build only; the default ones of Linux and Windows carry gigabytes of CUDA or none at all
    if sys.platform != "darwin" and not has_nvidia() and answers(CPU_INDEX + "/torch/"):
        try:
            pip_install(["--extra-index-url", CPU_INDEX, pin], title="PyTorch, the build without CUDA")
            return
        except SetUpError:
            print("  that index failed; taking the usual one")
    pip_install([pin], title="PyTorch")


def has_nvidia() -> bool:
    """Asks for the driver, not for the card: without it the card is of no use."""
    if os.name == "nt":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def answers(url: str, seconds: float = 3.0) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return True
    except (OSError, urllib.error.URLError):
        return False


def pip_install(arguments: list[str], title: str) -> None:
    """pip, with its talk condensed to one moving line (on a terminal) or one line per download (in a log)."""
    command = [
        str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--prefer-binary",
        "--progress-bar", "raw" if pip_counts_bytes() else "off", *arguments,
    ]  # fmt: skip
    said: deque[str] = deque(maxlen=400)
    with Progress(title) as progress:
        pip = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                if not progress.heard(line.strip()):
                    said.append(line.rstrip())
            code = pip.wait()
        except BaseException:
            pip.terminate()
            pip.wait()
            raise
    if code:
        text = "\n".join(said)
        what, cure = next(
            (meaning for pattern, meaning in PIP_FAILURES if re.search(pattern, text)),
            ("Installing failed.", "Run the same command again; if it fails again, report these lines."),
        )
        raise SetUpError(f"{last_lines(text)}\n\n{what}", cure)


def pip_counts_bytes() -> bool:
    """`--progress-bar raw` came with pip 24.1."""
    found = [path.name for path in VENV.glob("**/site-packages/pip-*.dist-info")]
    numbers = re.match(r"pip-(\d+)\.(\d+)", found[0]) if found else None
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (24, 1)


def last_lines(text: str, count: int = 12) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    return "\n".join("    " + line[:300] for line in lines[-count:])


class Progress:
    """One line that says what pip is doing and since when."""

    def __init__(self, title: str) -> None:
        self.title, self.doing, self.packages = title, "", 0
        self.moving = sys.stdout.isatty()
        self.began = time.monotonic()
        self.over = threading.Event()
        self.lock = threading.Lock()  # over `doing` and the terminal line
        self.ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        if self.moving:
            self.ticker.start()  # a download of a gigabyte must not look dead
        else:
            print(f"  installing {self.title}", flush=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.over.set()
        if self.moving:
            self.ticker.join()
        end = "done" if kind is None else "stopped"
        self._write(f"  {self.title}: {end} in {time.monotonic() - self.began:.0f} s", last=True)

    def heard(self, line: str) -> bool:
        """True if the line is only progress and worth no memory."""
        if found := re.match(r"Progress (\d+) of (\d+)", line):
            done, total = int(found[1]), int(found[2])
            with self.lock:
                self.doing = re.sub(r" · .*", "", self.doing) + (f" · {done / total:.0%}" if total else "")
            return True
        if found := re.match(r"Collecting ([\w.\-]+)", line):
            self.packages += 1
            self._say(f"looking for {found[1]}", aloud=False)
        elif found := re.match(r"(?:Downloading|Using cached) (\S+)(?: \(([\d.]+) (\w+)\))?", line):
            name = found[1].rpartition("/")[2].split("-")[0]
            size = f" ({found[2]} {found[3]})" if found[2] else ""
            self._say(f"fetching {name}{size}", aloud=found[3] in ("MB", "GB"))
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self._say(f"unpacking {len(found[1].split(', '))} packages", aloud=True)
        else:
            return line.startswith(("Requirement already satisfied", "Looking in ", "WARNING: Location"))
        return False

    def _say(self, doing: str, aloud: bool) -> None:
        with self.lock:
            self.doing = doing
        if aloud and not self.moving:
            print("    " + doing, flush=True)

    def _tick(self) -> None:
        while not self.over.wait(0.5):
            count = f" · {self.packages} packages" if self.packages else ""
            self._write(f"  {self.title}: {self.doing}{count} · {time.monotonic() - self.began:.0f} s")

    def _write(self, text: str, last: bool = False) -> None:
        with self.lock:
            if self.moving:
                width = shutil.get_terminal_size().columns - 1
                sys.stdout.write("\r" + text[:width].ljust(width) + ("\n" if last else ""))
                sys.stdout.flush()
            elif last:
                print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
