"""The environment `.venv` and what pip puts into it; every failure with its cure. Knows no verbs of launch.py."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from installer import Outside, Place, SetUpError
from installer.builds import INDEX, Build
from installer.progress import Progress

BYTECODE_SECONDS = 600


class NotFetched(SetUpError):
    """A package, or the index it should come from, is not to be had; another index may have it."""


NO_NETWORK = (
    "The package index could not be reached.",
    "Check the connection (and HTTPS_PROXY, if you need a proxy), then run the same command again.",
)
NO_SPACE = ("The disk is full.", "Free some space (a set-up takes several GB), then run the same command again.")
PIP_FAILURES = (  # what pip says -> (what it means, the cure); the first that matches
    (SetUpError, r"No space left on device|Errno 28|not enough space on the disk", *NO_SPACE),
    (
        SetUpError,
        r"Permission denied|Access is denied|WinError 5|WinError 32",
        "A file could not be written.",
        "Close programs that use .venv; make sure this folder is yours to write.",
    ),
    (
        NotFetched,
        r"NewConnectionError|ConnectTimeout|NameResolution|Name or service not known|getaddrinfo|ProxyError"
        r"|SSLError|Read timed out|Network is unreachable|Connection refused|IncompleteRead|ProtocolError",
        *NO_NETWORK,
    ),
    (
        SetUpError,
        r"DO NOT MATCH THE HASHES",
        "A package is not the one that this release was made with.",
        "Run the same command again. If it stays so, somebody between you and the index changes files: tell us.",
    ),
    (
        NotFetched,
        r"No matching distribution found|requires a different Python",
        "A package has no build for this Python or system, or the index could not be reached.",
        "Use Python 3.11 to 3.13 (64 bit), check the connection, then run the same command again.",
    ),
    (
        SetUpError,
        r"error: metadata-generation-failed|Failed to build|error: command .* failed",
        "A package had to be compiled and that failed.",
        "Use Python 3.11 to 3.13, for which ready builds exist.",
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
    raise SetUpError(
        f"Making .venv failed:\n{last_lines(made.text)}", f"Delete the folder {place.venv} and run the command again."
    )


def compile_bytecode(place: Place, outside: Outside) -> str:
    """Every module once, on all cores, so that the first start need not. Returns what went wrong, if anything did:
    packages bring files for other Pythons, and Python compiles what it finds uncompiled."""
    folders = [str(path) for path in place.venv.glob("**/site-packages")]
    command = [str(place.python), "-m", "compileall", "-q", "-j", "0", *folders]
    with Progress("bytecode, so that the first start is quick"):
        compiled = outside.run(command, seconds=BYTECODE_SECONDS)
    return (last_lines(compiled.text, 3) or f"    compileall ended with {compiled.code}") if compiled.code else ""


# ------------------------------------------------------------------------------------------------ pip
def ignore(line: str) -> None:
    """Nobody wants to know."""


def install_torch(
    place: Place, outside: Outside, build: Build, wheels: Path | None = None, note: Callable[[str], None] = ignore
) -> str:
    """First and alone: the largest by far, in the build for this machine or not at all. Returns its version."""
    if wheels:
        return _torch_of(wheels, place, outside, build, note)
    exact = build.version(place.torch)
    index = INDEX + build.name
    if build.name and (not build.usual or outside.answers(f"{index}/torch/")):
        try:
            pip_install(place, outside, ["--extra-index-url", index, f"torch=={exact}"], build.title, note)
            return exact
        except NotFetched as error:
            if not build.usual:
                cure = f"{error.cure} Without the GPU: python3 launch.py install --cpu"
                raise NotFetched(str(error), cure) from error
            note(str(error))
    if build.name:
        print(f"  {index} could not be reached; the usual index has a build that runs here too")
        note(f"torch: {index} could not be reached; taking the usual one")
        if place.installed().get("torch", "").startswith(place.torch + "+"):  # pip would keep another build of it
            outside.run([str(place.python), "-m", "pip", "uninstall", "-y", "torch"])
    pip_install(place, outside, [f"torch=={place.torch}"], build.title, note)
    return place.torch


def _torch_of(wheels: Path, place: Place, outside: Outside, build: Build, note: Callable[[str], None]) -> str:
    """Of a folder of wheels: this build's, or what every index has where that will do."""
    prefix = f"torch-{place.torch}"
    there = {path.name.replace("%2B", "+").split("-")[1] for path in wheels.glob(prefix + "*.whl")}
    wanted = [build.version(place.torch), *([place.torch] if build.usual else [])]
    version = next((version for version in wanted if version in there), "")
    if not version:
        found = f" (there is {', '.join(sorted(there))})" if there else ""
        raise SetUpError(f"{wheels} has no wheel of torch {wanted[0]}{found}.", how_to_fetch(place, build, wheels))
    offline = ["--no-index", "--find-links", str(wheels)]
    pip_install(place, outside, [*offline, f"torch=={version}"], build.title, note, (build, wheels))
    return version


def install_requirements(
    place: Place, outside: Outside, part: str, build: Build, wheels: Path | None = None,
    note: Callable[[str], None] = ignore,
) -> None:  # fmt: skip
    listed = place.requirements(part)
    arguments = ["--no-index", "--find-links", str(wheels)] if wheels else []
    arguments += ["--require-hashes", "--no-deps"] if listed.suffix == ".lock" else []
    title = "the studio" if part == "app" else "the test tools"
    pip_install(place, outside, [*arguments, "-r", str(listed)], title, note, (build, wheels) if wheels else None)


def pip_install(
    place: Place, outside: Outside, arguments: Sequence[str], title: str, note: Callable[[str], None] = ignore,
    offline: tuple[Build, Path] | None = None,
) -> None:  # fmt: skip
    """note: hears every line that is worth keeping. offline: which build and which wheels, for the cure."""
    command = [
        str(place.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--prefer-binary",
        "--no-compile", "--progress-bar", "raw" if pip_counts_bytes(place) else "off", *arguments,
    ]  # fmt: skip
    said: deque[str] = deque(maxlen=400)
    # gigabytes pass through the temporary folder, and /tmp may be no larger than the RAM
    room = place.venv / "tmp"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    try:
        with Progress(title) as progress:

            def heard(line: str) -> None:
                if not progress.heard(line.strip()):
                    said.append(line)
                    note("    " + line)

            code = outside.listen(
                command, heard, {**dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(room)), "PYTHONIOENCODING": "utf-8"}
            )
    finally:
        shutil.rmtree(room, ignore_errors=True)
    if code:
        raise _failure("\n".join(said), place, offline)


def _failure(said: str, place: Place, offline: tuple[Build, Path] | None) -> SetUpError:
    if offline and (missing := re.search(r"No matching distribution found for (\S+)", said)):
        build, wheels = offline
        return SetUpError(f"{wheels} has no wheel of {missing[1]} for this computer.", how_to_fetch(place, *offline))
    for kind, pattern, what, cure in PIP_FAILURES:
        if re.search(pattern, said):
            return kind(f"{last_lines(said)}\n\n{what}", cure)
    return SetUpError(
        f"{last_lines(said)}\n\nInstalling failed.",
        f"Run the same command again; if it fails again, report these lines and {place.log}.",
    )


def how_to_fetch(place: Place, build: Build, wheels: Path) -> str:
    """For a computer that has a network, and Lanterna's folder too."""
    index = f" --extra-index-url {INDEX}{build.name}" if build.name else ""
    torch = f"torch=={build.version(place.torch)}"
    download = f'{"py" if place.windows else "python3"} -m pip download --dest "{wheels.name}"'
    listed = place.requirements("app").name
    if listed.endswith(".lock"):
        commands = [f"{download}{index} {torch}", f"{download} --no-deps --require-hashes -r {listed}"]
    else:
        commands = [f"{download}{index} {torch} -r {listed}"]
    first = "On a computer with a network, the same system and the same Python, in the folder of launch.py, run:"
    return "\n     ".join([first, *commands, f"Bring the folder {wheels.name} here, then run the same command again."])


def pip_counts_bytes(place: Place) -> bool:
    """`--progress-bar raw` came with pip 24.1."""
    found = [path.name for path in place.venv.glob("**/site-packages/pip-*.dist-info")]
    numbers = re.match(r"pip-(\d+)\.(\d+)", found[0]) if found else None
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (24, 1)


def last_lines(text: str, count: int = 12) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    return "\n".join("    " + line[:300] for line in lines[-count:])
