"""What graphics card this computer has, as its driver tells. Knows no packages."""

from __future__ import annotations

from installer.outside import Outside


def has_nvidia(outside: Outside) -> bool:
    """Asks for the driver, not for the card: without it the card is of no use."""
    if outside.platform == "win32":
        return outside.exists(outside.environ.get("SYSTEMROOT", r"C:\Windows") + r"\System32\nvcuda.dll")
    return outside.exists("/proc/driver/nvidia/version") or outside.which("nvidia-smi") is not None
