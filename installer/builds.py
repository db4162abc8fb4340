"""Which build of PyTorch runs on which machine. Knows no pip.

The facts are those of PyTorch 2.13 (docs/install.md names what is a guess). A build that would not run is never taken:
a driver that is too old is told, with its cure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from installer import SetUpError
from installer.machine import Machine

INDEX = "https://download.pytorch.org/whl/"
DRIVERS = "https://www.nvidia.com/drivers"


@dataclass(frozen=True)
class Build:
    name: str  # the local part of its version and its folder of PyTorch's index; "" has neither
    title: str
    gb: float  # of disk for setting it up, downloads included
    usual: bool = False  # what every package index has will do as well
    remark: str = ""  # what whoever gets it should know

    def version(self, torch: str) -> str:
        """`2.13.0+cu130`"""
        return f"{torch}+{self.name}" if self.name else torch


CPU = Build("cpu", "PyTorch, the build without a GPU", 1.5, usual=True)
APPLE = Build("", "PyTorch for Apple's chips (MPS)", 1.5, usual=True)
ROCM = Build("rocm7.2", "PyTorch for AMD's cards (ROCm 7.2)", 18)
ROCM_CARDS = (  # that its build has code for
    "gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101", "gfx1102",
    "gfx1150", "gfx1151", "gfx1200", "gfx1201",
)  # fmt: skip


@dataclass(frozen=True)
class Cuda:
    """A build for NVIDIA's cards: the oldest driver that it runs on, and from which to which card it has code for."""

    build: Build
    driver: dict[str, tuple[int, ...]]  # platform -> version
    oldest: tuple[int, int]  # compute capability
    newest: tuple[int, int]

    def runs_on(self, machine: Machine) -> bool:
        return machine.driver >= self.driver[machine.platform] and self.knows(machine.capability)

    def knows(self, capability: tuple[int, int]) -> bool:
        return capability == (0, 0) or self.oldest <= capability <= self.newest


CUDAS = (  # the newest first
    Cuda(
        Build("cu130", "PyTorch for NVIDIA's cards (CUDA 13.0)", 7.5),
        {"linux": (580,), "win32": (580,)},
        oldest=(7, 5),
        newest=(99, 0),
    ),
    # drivers from 525 on run all of CUDA 12; from 560 on they know 12.6 themselves
    Cuda(
        Build("cu126", "PyTorch for NVIDIA's cards (CUDA 12.6)", 7.5),
        {"linux": (525, 60), "win32": (527, 41)},
        oldest=(5, 0),
        newest=(9, 0),
    ),
)


def choose(machine: Machine, asked: str, again: str) -> Build:
    """asked: "cpu", "cuda", "rocm", or "" for what suits the machine. `again`: the command that set-up is started with.

    Raises SetUpError where nothing that was asked for, or nothing for the card that is here, would run.
    """
    if machine.platform == "darwin":
        return _for_mac(machine, asked, again)
    if asked == "cpu":
        return CPU
    if asked == "cuda" or (machine.gpu == "nvidia" and not asked):
        return _for_nvidia(machine, asked, again)
    if asked == "rocm" and machine.platform != "linux":
        raise SetUpError("PyTorch's ROCm build is for Linux only.", f"Without a GPU: {again} --cpu")
    if asked == "rocm" or (machine.gpu == "amd" and machine.gfx in ROCM_CARDS):
        return ROCM
    if machine.gpu == "amd":
        remark = f"PyTorch has no code for this AMD card ({machine.gfx}). If you know better: {again} --rocm"
        return replace(CPU, remark=remark)
    return CPU


def _for_mac(machine: Machine, asked: str, again: str) -> Build:
    if machine.arch != "arm64":
        raise SetUpError(
            "PyTorch 2.13 has no build for Intel Macs, nor for an Intel Python on an Apple chip.",
            "On an Apple chip, install the Python for arm64 (https://www.python.org) and run the same command with it.",
        )
    if asked in ("cuda", "rocm"):
        raise SetUpError(f"There is no {asked.upper()} on a Mac.", f"Run: {again}")
    return APPLE


def _for_nvidia(machine: Machine, asked: str, again: str) -> Build:
    without = f"or go without the card: {again} --cpu"
    if not machine.driver:
        if asked == "cuda":  # somebody prepares a disk for another computer, and knows what it has
            return _usual(CUDAS[0].build, machine)
        raise SetUpError(
            "There is an NVIDIA driver here, but nvidia-smi does not tell which.",
            f"Install the driver again ({DRIVERS}), take the newest CUDA anyhow ({again} --cuda), {without}",
        )
    for cuda in CUDAS:
        if cuda.runs_on(machine):
            return _usual(cuda.build, machine)
    suited = [cuda for cuda in CUDAS if cuda.knows(machine.capability)]
    if not suited:
        raise SetUpError(f"{machine.name} is older than all cards that PyTorch 2.13 runs on.", f"Run: {again} --cpu")
    needed = ".".join(map(str, suited[-1].driver[machine.platform]))
    raise SetUpError(
        f"The driver of this computer's card is too old: {machine.told}. PyTorch needs {needed} or newer for it.",
        f"Install a newer driver ({DRIVERS}), restart the computer and run the same command again, {without}",
    )


def _usual(build: Build, machine: Machine) -> Build:
    """On Linux every index has the newest CUDA build for PCs; on Windows what they have knows no GPU."""
    pc = machine.platform == "linux" and machine.arch == "x86_64"
    return replace(build, usual=pc and build.name == CUDAS[0].build.name)
