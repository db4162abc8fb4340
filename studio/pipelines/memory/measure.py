"""How fast this machine is: RAM to device, disk to RAM, 16-bit matrix products. Knows no engine and no plan.

Numbers that a plan reckons with (docs/memory.md), each the best of a few rounds: what else goes on only slows it down.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.media.files import free_bytes

ROUND_SECONDS = 8.0  # for each of the three, at most
ROUNDS = 24
COPY_BYTES = 512_000_000
DISK_BYTES = 1_000_000_000
CHUNK = 16_000_000  # read at once
ROOM = 10  # times as much must be free on the disk as is written
PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns of a matrix


Step = Callable[[int, int, str], None]
"""(done, total, what is measured now); raises Cancelled."""


def measure(device: str, folder: Path, step: Step, scale: float = 1.0) -> dict[str, float]:
    """copy_gb_s, disk_gb_s and tflops; 0: cannot be measured. `device`: torch's name of it. `folder`: of the models.
    `scale`: of the bytes and the seconds."""
    turn = _Turn(step, scale)
    copy = turn.best("copy", _copy(device, int(COPY_BYTES * scale)))
    disk = _disk(folder, int(DISK_BYTES * scale), turn)
    product = turn.best("tflops", _product(device))
    step(3 * ROUNDS, 3 * ROUNDS, "tflops")
    return {"copy_gb_s": round(copy / 1e9, 2), "disk_gb_s": round(disk / 1e9, 2), "tflops": round(product / 1e12, 3)}


class _Turn:
    """Says how far the three are, and takes the best rate of the rounds of each."""

    def __init__(self, step: Step, scale: float) -> None:
        self._step, self._seconds, self._before = step, ROUND_SECONDS * scale, 0

    def best(self, what: str, once: Callable[[], tuple[float, float]]) -> float:
        """`once()` does it and says (amount, seconds). The highest amount a second; the first round warms up."""
        until, rates = time.monotonic() + self._seconds, list[float]()
        for number in range(ROUNDS):
            self._step(self._before + number, 3 * ROUNDS, what)
            amount, seconds = once()
            rates.append(amount / max(seconds, 1e-9))
            if time.monotonic() > until and len(rates) > 1:
                break
        self._before += ROUNDS
        return max(rates[1:])

    def skip(self) -> None:
        self._before += ROUNDS


# ------------------------------------------------------------------------------------------------ RAM to device
def _copy(device: str, size: int) -> Callable[[], tuple[float, float]]:
    """Page-locked RAM to the device, as streamed blocks go; from RAM to RAM where that is the device."""
    if device == "cpu":
        import numpy as np

        source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)

        def copied() -> tuple[float, float]:
            return size, _timed(lambda: np.copyto(target, source))

        return copied
    import torch

    pinned, there = (
        torch.ones(size, dtype=torch.uint8, pin_memory=True),
        torch.empty(size, dtype=torch.uint8, device=device),
    )

    def moved() -> tuple[float, float]:
        return size, _timed(lambda: there.copy_(pinned, non_blocking=True), torch.cuda.synchronize)

    return moved


# ------------------------------------------------------------------------------------------------ matrix products
def _product(device: str) -> Callable[[], tuple[float, float]]:
    """bfloat16 on a device, float32 on a CPU: what a plan works in there."""
    side = PRODUCT[device.partition(":")[0]]
    if device == "cpu":
        import numpy as np

        one = np.random.default_rng(0).random((side, side), np.float32)
        return lambda: (2.0 * side**3, _timed(lambda: one @ one))
    import torch

    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return lambda: (2.0 * side**3, _timed(lambda: matrix @ matrix, torch.cuda.synchronize))


def _timed(work: Callable[[], Any], settle: Callable[[], Any] = lambda: None) -> float:
    settle()
    started = time.perf_counter()
    work()
    settle()
    return time.perf_counter() - started


# ------------------------------------------------------------------------------------------------ disk
def _disk(folder: Path, size: int, turn: _Turn) -> float:
    """Bytes a second from the disk that the models lie on: a file of ours, written out of the system's cache. 0 where
    the disk is too full, or where the system cannot be told to forget what it has just written (Windows)."""
    folder.mkdir(parents=True, exist_ok=True)
    if free_bytes(folder) < ROOM * size or not hasattr(os, "posix_fadvise"):
        turn.skip()
        return 0.0
    path = folder / f"measure-{os.getpid()}.part"
    try:
        _write(path, size)
        return turn.best("disk", lambda: (size, _read(path)))
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, size: int) -> None:
    chunk = os.urandom(min(CHUNK, size))  # some disks pack what repeats; a chunk is longer than what they look back
    with path.open("wb") as file:
        for _ in range(max(1, size // len(chunk))):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> float:
    """Seconds to read all of it, from the disk and not from the cache."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        buffer = memoryview(bytearray(CHUNK))
        started = time.perf_counter()
        while file.readinto(buffer):
            pass
        return time.perf_counter() - started
