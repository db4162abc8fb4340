"""Looks at this computer: Python, packages, ffmpeg, SQLite, disk, GPU, fonts, speech, folders, port. Changes nothing.

Each check is a function that returns one or more `Found`; a new one is a function and a line in CHECKS.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio.cli.speech import Speaker
from studio.settings import ROOT, Settings

SAFE_SQLITE = (3, 51, 3)  # older ones may corrupt a WAL when two connections write at the same instant; we use one
COMFORTABLE_GB, LEAST_GB = 20, 3  # of free disk
COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}


Check = Callable[[Settings], Iterator["Found"]]


@dataclass(frozen=True, slots=True)
class Found:
    """`what` is the name of the thing, `value` what was seen; words of the cure: doctor.<cure>."""

    state: Literal["ok", "warn", "bad"]
    what: str
    value: str
    cure: str = ""
    params: tuple[tuple[str, Any], ...] = ()


def examine(settings: Settings, speaker: Speaker) -> int:
    """Print a line per finding. Returns 1 if anything is bad."""
    worst = False
    for check in CHECKS:
        for found in _found(check, settings):
            line = f"{found.state:<5}{speaker.text('doctor.' + found.what)}: {found.value}"
            speaker.out.print(line, style=COLOURS[found.state] if found.state != "ok" else None)
            if found.cure:
                speaker.out.print("     -> " + speaker.text("doctor." + found.cure, **dict(found.params)))
            worst = worst or found.state == "bad"
    speaker.say("doctor.bad" if worst else "doctor.well")
    return int(worst)


def _found(check: Check, settings: Settings) -> Iterator[Found]:
    """What a check finds; a package that it would have needed is a finding too."""
    try:
        yield from check(settings)
    except ImportError as error:
        yield Found("bad", "packages_wrong", f"{error.name} (-)", "packages.cure")


def python(settings: Settings) -> Iterator[Found]:
    version = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Found("warn" if sys.version_info >= (3, 14) else "bad", "python", version, "python.cure")
    else:
        yield Found("ok", "python", f"{version} · {platform.platform(terse=True)}")
    inside = Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()
    yield Found("ok" if inside else "warn", "venv", sys.prefix, "" if inside else "venv.cure")


def packages(settings: Settings) -> Iterator[Found]:
    """Every package of requirements.txt, at a version that it allows."""
    from packaging.requirements import Requirement

    seen, wrong = [], []
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} (-)")
            continue
        seen.append(wanted.name)
        if not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version} ({wanted.specifier})")
    torch = next((importlib.metadata.version(name) for name in seen if name == "torch"), "-")
    yield Found("ok", "packages", f"{len(seen)} · gradio {importlib.metadata.version('gradio')} · torch {torch}")
    if wrong:
        yield Found("bad", "packages_wrong", ", ".join(wrong), "packages.cure")


def ffmpeg(settings: Settings) -> Iterator[Found]:
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        said = subprocess.run(
            [program, "-hide_banner", "-version"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
        )
        found = re.search(r"ffmpeg version (\S+)", said.stdout)
        yield Found("ok", "ffmpeg", f"{found[1] if found else '?'} · {program}")
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        yield Found("bad", "ffmpeg", str(error)[:120], "packages.cure")
    import av

    yield Found("ok", "pyav", f"{av.__version__} · libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}")


def sqlite(settings: Settings) -> Iterator[Found]:
    version = sqlite3.sqlite_version_info
    state: Literal["ok", "bad"] = "ok" if version >= (3, 35) else "bad"
    note = "" if version >= SAFE_SQLITE else "sqlite.note"
    yield Found(state, "sqlite", sqlite3.sqlite_version, note)


def disk(settings: Settings) -> Iterator[Found]:
    for what, folder in (("disk_outputs", settings.output_dir), ("disk_data", settings.data_dir)):
        free = shutil.disk_usage(_existing(folder)).free / 1e9
        state: Literal["ok", "warn", "bad"]
        state = "bad" if free < LEAST_GB else "warn" if free < COMFORTABLE_GB else "ok"
        yield Found(state, what, f"{free:.0f} GB · {folder}", "" if state == "ok" else "disk.cure")


def folders(settings: Settings) -> Iterator[Found]:
    for what, folder in (("write_outputs", settings.output_dir), ("write_data", settings.data_dir)):
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)):
                pass
            yield Found("ok", what, str(folder))
        except OSError as error:
            yield Found("bad", what, f"{folder}: {error.strerror}", "write.cure")
    for root in settings.media_roots:
        if not root.is_dir():
            yield Found("warn", "media_root", str(root), "media_root.cure")


def gpu(settings: Settings) -> Iterator[Found]:
    """By NVML: torch is not loaded for a question."""
    if settings.force_cpu:
        yield Found("ok", "gpu", "force_cpu")
        return
    import pynvml

    from studio.pipelines.diffusion.acceleration import best_attention, faster_wheel

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield Found("warn", "gpu", str(error), "gpu.cure")
        return
    driver = pynvml.nvmlSystemGetDriverVersion()
    for index in range(pynvml.nvmlDeviceGetCount()):
        device = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        gib = 1024**3
        value = (
            f"{pynvml.nvmlDeviceGetName(device)} · {memory.free / gib:.1f} / {memory.total / gib:.1f} GiB · {driver}"
        )
        yield Found("ok", "gpu", value)
        capability = pynvml.nvmlDeviceGetCudaComputeCapability(device)
        wheel = faster_wheel(tuple(capability))
        yield Found("warn" if wheel else "ok", "attention", best_attention(tuple(capability)),
                    "attention.cure" if wheel else "", (("wheel", wheel),) if wheel else ())  # fmt: skip
    if importlib.metadata.version("torch").endswith("+cpu"):
        yield Found("warn", "torch", importlib.metadata.version("torch"), "torch.cure")


def speech(settings: Settings) -> Iterator[Found]:
    """In a child process: a speech library that crashes must not take us along."""
    program = "import espeakng_loader as e, ctypes; l = ctypes.CDLL(e.get_library_path()); print(e.get_data_path())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    if said.returncode == 0:
        yield Found("ok", "speech", f"eSpeak NG · {importlib.metadata.version('espeakng-loader')}")
    else:
        yield Found("bad", "speech", (said.stderr.strip().splitlines() or ["?"])[-1][:120], "packages.cure")


def fonts(settings: Settings) -> Iterator[Found]:
    """The bundled faces that the draft engine writes with: can they be read, and have they their letters?"""
    from studio.errors import EngineError
    from studio.media.fonts import ROLES, Face

    files = {file: (file, weight, letters) for faces in ROLES.values() for file, weight, letters in faces}
    try:
        for face in files.values():
            Face(*face, 16)
    except EngineError as error:
        yield Found("bad", "fonts", str(error), "fonts.cure")
    else:
        yield Found("ok", "fonts", str(len(files)))


def port(settings: Settings) -> Iterator[Found]:
    from studio.app import port_holder
    from studio.lock import StudioLock

    owner = StudioLock(settings.data_dir).holder()
    if owner and owner.url:
        yield Found("ok", "studio", f"{owner.url} · {owner.pid}")
        return
    holder = port_holder(settings.port)
    if holder:
        yield Found("warn", "port", f"{settings.port}: {holder}", "port.cure")
    else:
        yield Found("ok", "port", str(settings.port))


def network(settings: Settings) -> Iterator[Found]:
    """Whether others may reach the studio as it is set up now."""
    if settings.local_only:
        yield Found("ok", "reach", settings.host)
    elif settings.auth:
        yield Found("ok", "reach", f"{settings.host} · auth")
    else:
        yield Found("bad", "reach", f"{settings.host} ({settings.origin('host')})", "reach.cure")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not os.path.isdir(folder):
        folder = folder.parent
    return folder


CHECKS: tuple[Check, ...] = (
    python, packages, ffmpeg, sqlite, disk, folders, gpu, speech, fonts, port, network,
)  # fmt: skip
