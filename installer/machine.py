"""What graphics card this computer has, as its driver tells. Knows no packages.

The driver is asked, not the card: without one the card is of no use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from installer.outside import Outside

NVIDIA_SMI = {  # where it may lie besides PATH
    "linux": ("/usr/lib/wsl/lib/nvidia-smi",),
    "win32": (r"C:\Windows\System32\nvidia-smi.exe", r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe"),
}
NVIDIA_DRIVER = {  # files that only its driver brings
    "linux": ("/proc/driver/nvidia/version",),
    "win32": (r"C:\Windows\System32\nvcuda.dll",),
}
AMD_NODES = "/sys/class/kfd/kfd/topology/nodes/{}/properties"  # one per processor that AMD's driver can compute on


@dataclass(frozen=True)
class Machine:
    platform: str  # "linux", "darwin", "win32"
    arch: str  # "x86_64", "arm64"
    gpu: str = ""  # "nvidia", "amd", "apple" or none
    name: str = ""  # what the driver calls the card
    driver: tuple[int, ...] = ()  # of NVIDIA: (580, 65, 6); empty where nobody tells it
    capability: tuple[int, int] = (0, 0)  # of an NVIDIA card: (8, 9); (0, 0) where nobody tells it
    gfx: str = ""  # of an AMD card: "gfx1100"

    @property
    def told(self) -> str:
        """For a person: `NVIDIA GeForce RTX 4090, driver 580.65.06`."""
        words = {"nvidia": "an NVIDIA card", "amd": "an AMD card", "apple": "an Apple chip", "": "no GPU"}[self.gpu]
        driver = ", driver " + ".".join(f"{number:02}" for number in self.driver) if self.driver else ""
        return (self.name or words) + (f" ({self.gfx})" if self.gfx else "") + driver


def look(outside: Outside) -> Machine:
    arch = {"amd64": "x86_64", "aarch64": "arm64"}.get(outside.arch, outside.arch)
    if outside.platform == "darwin":
        return Machine("darwin", arch, "apple" if arch == "arm64" else "")
    return _nvidia(outside, arch) or _amd(outside, arch) or Machine(outside.platform, arch)


def _nvidia(outside: Outside, arch: str) -> Machine | None:
    platform = outside.platform
    beside = [path for path in NVIDIA_SMI.get(platform, ()) if outside.exists(path)]
    program = outside.which("nvidia-smi") or (beside[0] if beside else "")
    if program:
        for fields in ("driver_version,compute_cap,name", "driver_version,name"):  # older drivers know no compute_cap
            said = outside.run([program, f"--query-gpu={fields}", "--format=csv,noheader"])
            cards = [_card(line, platform, arch) for line in said.text.splitlines() if re.match(r"\d+\.\d+", line)]
            if not said.code and cards:
                return max(cards, key=lambda card: card.capability)
    if platform == "linux" and (text := outside.read(NVIDIA_DRIVER["linux"][0])):
        found = re.search(r"\b\d{3,}\.\d[\d.]*", text)
        return Machine(platform, arch, "nvidia", driver=_numbers(found[0]) if found else ())
    if any(outside.exists(path) for path in NVIDIA_DRIVER.get(platform, ())):
        return Machine(platform, arch, "nvidia")
    return None


def _card(line: str, platform: str, arch: str) -> Machine:
    """One line of nvidia-smi: `580.65.06, 8.9, NVIDIA GeForce RTX 4090`; old drivers leave the middle out."""
    driver, *rest = [part.strip() for part in line.split(",")]
    capability = _numbers(rest[0]) if len(rest) > 1 else ()
    pair = (capability[0], capability[1]) if len(capability) > 1 else (0, 0)
    return Machine(platform, arch, "nvidia", rest[-1] if rest else "", _numbers(driver), pair)


def _amd(outside: Outside, arch: str) -> Machine | None:
    """The card that computes most, of those that Linux's driver lists; 64 nodes are more than any computer has."""
    if outside.platform != "linux":
        return None
    found = []
    for node in range(64):
        facts = dict(line.split()[:2] for line in (outside.read(AMD_NODES.format(node)) or "").splitlines() if line)
        if version := int(facts.get("gfx_target_version", 0)):
            # 90010 is gfx90a: major, minor and step, the last two of them in hexadecimal
            gfx = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
            found.append((int(facts.get("simd_count", 0)), gfx))
    return Machine("linux", arch, "amd", gfx=max(found)[1]) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
