"""The doctor at the machine: Python, packages, ffmpeg, SQLite, GPU and its driver, speech, fonts. Loads no torch."""

import importlib.metadata
import importlib.util
import platform
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from installer import Place
from studio.cli.checks import Found, State
from studio.settings import ROOT, Settings

SAFE_SQLITE = (3, 51, 3)  # older ones may corrupt a WAL when two connections write at the same instant; we use one
BUILT_FOR = re.compile(r"^(cuda|hip)\b[^=]*= '([\d.]+)", re.MULTILINE)  # in torch/version.py
GIB = 1024**3


def python(settings: Settings) -> Iterator[Found]:
    version = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Found("warn" if sys.version_info >= (3, 14) else "bad", "python", version, "python.cure")
    else:
        yield Found("ok", "python", f"{version} · {platform.platform(terse=True)}")
    inside = Path(sys.prefix).resolve() == Place.at(ROOT).venv.resolve()
    yield Found("ok" if inside else "warn", "venv", sys.prefix, "" if inside else "venv.cure")


def packages(settings: Settings) -> Iterator[Found]:
    """Every package of requirements.txt, at a version that it allows."""
    from packaging.requirements import Requirement

    seen, wrong = {}, []
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
        seen[wanted.name] = version
        if not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version} ({wanted.specifier})")
    named = (f"{name} {seen.get(name, '-')}" for name in ("gradio", "torch"))
    yield Found("ok", "packages", " · ".join([str(len(seen)), *named]))
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


def writer(settings: Settings) -> Iterator[Found]:
    import av

    yield Found("ok", "pyav", f"{av.__version__} · libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}")


def sqlite(settings: Settings) -> Iterator[Found]:
    version = sqlite3.sqlite_version_info
    state: State = "ok" if version >= (3, 35) else "bad"
    note = "" if version >= SAFE_SQLITE else "sqlite.note"
    yield Found(state, "sqlite", sqlite3.sqlite_version, note)


# ------------------------------------------------------------------------------------------------ GPU
def torch(settings: Settings) -> Iterator[Found]:
    """Which PyTorch is here, and can the driver that is here run it?"""
    version, (kind, number) = importlib.metadata.version("torch"), torch_build()
    value = f"{version} · {kind} {number}" if kind else version
    driver = None if settings.force_cpu else cuda_of_driver()
    if driver is None:
        yield Found("ok", "torch", value)
    elif kind != "cuda":
        yield Found("warn", "torch", value, "torch.cure")
    elif int(number.partition(".")[0]) > driver[0]:  # within a major version newer builds run on older drivers
        told = (("driver", ".".join(map(str, driver))), ("built", number))
        yield Found("bad", "torch", value, "torch.driver", told)
    else:
        yield Found("ok", "torch", value)


def torch_build() -> tuple[str, str]:
    """("cuda", "13.0"), ("hip", "7.2") or ("", ""), read from its files: importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ImportError("torch", name="torch")
    found = BUILT_FOR.search(Path(spec.origin).with_name("version.py").read_text("utf-8"))
    return (found[1], found[2]) if found else ("", "")


def cuda_of_driver() -> tuple[int, int] | None:
    """The newest CUDA that NVIDIA's driver runs; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        version = int(pynvml.nvmlSystemGetCudaDriverVersion())  # 13010: 13.1
    except pynvml.NVMLError:
        return None
    return version // 1000, version % 1000 // 10


def gpu(settings: Settings) -> Iterator[Found]:
    """By NVML: torch is not loaded for a question."""
    if settings.force_cpu:
        yield Found("ok", "gpu", "force_cpu")
        return
    import pynvml

    from studio.pipelines.diffusion.acceleration import best_attention, faster_wheel

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        yield Found("warn", "gpu", str(error), "gpu.cure")
        return
    driver = pynvml.nvmlSystemGetDriverVersion()
    for index in range(count):
        device = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        name = pynvml.nvmlDeviceGetName(device)
        yield Found("ok", "gpu", f"{name} · {memory.free / GIB:.1f} / {memory.total / GIB:.1f} GiB · {driver}")
        capability = pynvml.nvmlDeviceGetCudaComputeCapability(device)
        wheel = faster_wheel(tuple(capability))
        yield Found("warn" if wheel else "ok", "attention", best_attention(tuple(capability)),
                    "attention.cure" if wheel else "", (("wheel", wheel),) if wheel else ())  # fmt: skip


# ------------------------------------------------------------------------------------------------ speech and letters
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
