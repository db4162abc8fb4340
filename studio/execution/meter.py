"""The memory of this process: RAM, and what lies on the device where torch is loaded. Loads nothing itself."""

import sys
from typing import Any

import psutil

from studio.execution import Held


def held() -> Held:
    """What this process holds now, with what torch keeps for its next tensors. Safe from any thread."""
    torch = _device_torch()
    return Held(psutil.Process().memory_info().rss, int(torch.cuda.memory_reserved()) if torch else 0)


def watch_peak() -> None:
    """Forget the most that the device held so far."""
    if torch := _device_torch():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """The most that tensors took of the device since `watch_peak`; 0 where everything is in RAM."""
    torch = _device_torch()
    return int(torch.cuda.max_memory_allocated()) if torch else 0


def _device_torch() -> Any:
    """torch, if an engine has loaded it and works on a GPU."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # None also while torch is still being imported in another thread
    return torch if cuda is not None and cuda.is_initialized() else None
