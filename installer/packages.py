"""The environment `.venv` and what pip puts into it; every failure with its cure. Knows no verbs of launch.py."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from installer import Outside, Place, SetUpError
from installer.machine import has_nvidia
from installer.progress import Progress

CPU_INDEX = "https://download.pytorch.org/whl/cpu"

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


# ------------------------------------------------------------------------------------------------ the environment
def venv_works(place: Place, outside: Outside) -> bool:
    if not place.python.exists() or not place.venv_python():
        return False
    return outside.run([str(place.python), "-m", "pip", "--version"]).code == 0


def make_venv(place: Place, outside: Outside) -> None:
    print("  making .venv")
    # an old Python's .venv, or half a one, is of no use: --clear empties it
    made = outside.run([outside.executable, "-m", "venv", "--clear", str(place.venv)])
    if not made.code:
        return
    if re.search(r"ensurepip|No module named venv", made.text):
        minor = f"{outside.python[0]}.{outside.python[1]}"
        cure = f"On Debian or Ubuntu: sudo apt install python{minor}-venv    then run the same command again."
        raise SetUpError("This Python comes without its venv module.", cure)
    if re.search(r"Errno 28|No space left", made.text):
        raise SetUpError(*NO_SPACE)
    raise SetUpError(f"Making .venv failed:\n{last_lines(made.text)}", "Delete the folder .venv and try again.")


# ------------------------------------------------------------------------------------------------ pip
def install_torch(place: Place, outside: Outside) -> None:
    """First and alone: the largest by far, and without an NVIDIA GPU a ten times smaller build will do."""
    pin = next(
        line.split("#")[0].strip()
        for line in place.requirements("app").read_text(encoding="utf-8").splitlines()
        if line.startswith("torch==")
    )
    # macOS has one build only; the default ones of Linux and Windows carry gigabytes of CUDA or none at all
    if outside.platform != "darwin" and not has_nvidia(outside) and outside.answers(CPU_INDEX + "/torch/"):
        try:
            pip_install(place, outside, ["--extra-index-url", CPU_INDEX, pin], title="PyTorch, the build without CUDA")
            return
        except SetUpError:
            print("  that index failed; taking the usual one")
    pip_install(place, outside, [pin], title="PyTorch")


def pip_install(place: Place, outside: Outside, arguments: Sequence[str], title: str) -> None:
    command = [
        str(place.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--prefer-binary",
        "--progress-bar", "raw" if pip_counts_bytes(place) else "off", *arguments,
    ]  # fmt: skip
    said: deque[str] = deque(maxlen=400)
    with Progress(title) as progress:

        def heard(line: str) -> None:
            if not progress.heard(line.strip()):
                said.append(line)

        code = outside.listen(command, heard)
    if code:
        text = "\n".join(said)
        what, cure = next(
            (meaning for pattern, meaning in PIP_FAILURES if re.search(pattern, text)),
            ("Installing failed.", "Run the same command again; if it fails again, report these lines."),
        )
        raise SetUpError(f"{last_lines(text)}\n\n{what}", cure)


def pip_counts_bytes(place: Place) -> bool:
    """`--progress-bar raw` came with pip 24.1."""
    found = [path.name for path in place.venv.glob("**/site-packages/pip-*.dist-info")]
    numbers = re.match(r"pip-(\d+)\.(\d+)", found[0]) if found else None
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (24, 1)


def last_lines(text: str, count: int = 12) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    return "\n".join("    " + line[:300] for line in lines[-count:])
