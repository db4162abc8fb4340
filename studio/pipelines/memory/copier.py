"""Bytes from RAM to the device beside the sums that run there. Knows torch; knows no block, model or plan.

Two streams: copies are queued on their own, sums on the device's current one. Events order them; the host waits for
neither. Weights move in one direction only: there is no way back, because nothing changes them.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import torch

from studio.errors import Refused

PAGE = 4096  # bytes: memory is locked in pages
ALIGNMENT = 256  # bytes: what torch's own allocations have at least, so that the same kernels are chosen


@dataclass(slots=True)
class Ledger:
    """Every byte of weights that was moved, by the name of what it belongs to."""

    to_device: Counter[str] = field(default_factory=Counter)  # bytes
    fetched: Counter[str] = field(default_factory=Counter)  # times


class Copier(Protocol):
    """Host slabs, device slots, copies between them, and events that order copies and sums."""

    ledger: Ledger
    pinned_bytes: int  # locked now
    device_bytes: int  # in slots now

    def pinned(self, size: int) -> torch.Tensor:
        """A slab: `size` bytes of RAM that stay where they are. Raises Refused("memory.pin_failed")."""
        ...

    def unpin(self, slab: torch.Tensor) -> None:
        """The slab is ordinary RAM again; what it holds stays."""
        ...

    def slot(self, size: int) -> torch.Tensor:
        """`size` bytes on the device that copies may write once every sum queued before is done."""
        ...

    def release(self, slot: torch.Tensor) -> None:
        """The slot's memory may be used for something else: by sums queued after this."""
        ...

    def copy(self, slot: torch.Tensor, slab: torch.Tensor, name: str, at: int = 0) -> None:
        """Queue: the slot's bytes from `at` on become those of the slab, which is any uint8 tensor in RAM."""
        ...

    def copied(self) -> Any:
        """An event: all copies queued so far are done."""
        ...

    def used(self, slot: torch.Tensor) -> Any:
        """An event: all sums queued so far are done, among them those that read the slot."""
        ...

    def copies_wait(self, event: Any) -> None:
        """Copies queued from now on begin after the event."""
        ...

    def sums_wait(self, event: Any) -> None:
        """Sums queued from now on begin after the event."""
        ...

    def host_waits(self, event: Any) -> None:
        """Return when the event has come: only for slabs that are filled again, and at the end."""
        ...


def page_aligned(size: int) -> torch.Tensor:
    """(size,) uint8 on page boundaries, not touched yet. torch's own pinned memory is rounded up to a power of two,
    half as much again for a 14B model; a plain allocation that is registered is not."""
    with torch.inference_mode(False):
        room = torch.empty(size + PAGE, dtype=torch.uint8)
    start = -room.data_ptr() % PAGE
    return room[start : start + size]


class CudaCopier:
    """One copy stream on one NVIDIA or AMD card."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.stream = torch.cuda.Stream(self.device)
        self.ledger = Ledger()
        self.pinned_bytes = self.device_bytes = 0
        self._pinned: dict[int, int] = {}  # address -> bytes

    def pinned(self, size: int) -> torch.Tensor:
        slab = page_aligned(size)
        with torch.cuda.device(self.device):
            failed = int(torch.cuda.cudart().cudaHostRegister(slab.data_ptr(), size, 0))
        if failed:
            raise Refused("memory.pin_failed", gb=round((self.pinned_bytes + size) / 1e9, 1), reason=failed)
        self._pinned[slab.data_ptr()] = size
        self.pinned_bytes += size
        return slab

    def unpin(self, slab: torch.Tensor) -> None:
        if size := self._pinned.pop(slab.data_ptr(), 0):
            self.stream.synchronize()
            torch.cuda.cudart().cudaHostUnregister(slab.data_ptr())
            self.pinned_bytes -= size

    def slot(self, size: int) -> torch.Tensor:
        with torch.inference_mode(False):
            slot = torch.empty(size, dtype=torch.uint8, device=self.device)
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        self.device_bytes += size
        return slot

    def release(self, slot: torch.Tensor) -> None:
        torch.cuda.current_stream(self.device).wait_stream(self.stream)
        self.device_bytes -= slot.nbytes

    def copy(self, slot: torch.Tensor, slab: torch.Tensor, name: str, at: int = 0) -> None:
        with torch.cuda.stream(self.stream):
            slot[at : at + len(slab)].copy_(slab, non_blocking=True)
        self.ledger.to_device[name] += slab.nbytes

    def copied(self) -> Any:
        return self.stream.record_event()

    def used(self, slot: torch.Tensor) -> Any:
        return torch.cuda.current_stream(self.device).record_event()

    def copies_wait(self, event: Any) -> None:
        self.stream.wait_event(event)

    def sums_wait(self, event: Any) -> None:
        torch.cuda.current_stream(self.device).wait_event(event)

    def host_waits(self, event: Any) -> None:
        event.synchronize()


@dataclass(frozen=True, slots=True)
class _Instant:
    seconds: float
    copies: int  # that were queued before it; 0: it is no event of the copy stream


class ClockCopier:
    """The same on the CPU: two streams on a clock that nobody waits for, so that schedules can be told exactly.

    A copy is made only when somebody waits for it, and its slot holds nonsense until then: weights that are used
    without an event come out wrong. A copy that would begin before the last sum that read its slot is an error."""

    def __init__(self, bytes_per_second: float = 1e9) -> None:
        self.bytes_per_second = bytes_per_second
        self.ledger = Ledger()
        self.pinned_bytes = self.device_bytes = self.most_device_bytes = 0
        self.copying = self.summing = 0.0  # seconds: until when each stream is busy
        self._pinned: dict[int, int] = {}
        self._queue: deque[Callable[[], object]] = deque()
        self._queued = self._made = 0
        self._making = Lock()  # of the queue: threads that read from disk wait for copies too
        self._read_until: dict[int, float] = {}  # slot's address -> seconds

    def sum(self, seconds: float) -> None:
        """Sums that take so long are queued."""
        self.summing += seconds

    def pinned(self, size: int) -> torch.Tensor:
        slab = page_aligned(size)
        self._pinned[slab.data_ptr()] = size
        self.pinned_bytes += size
        return slab

    def unpin(self, slab: torch.Tensor) -> None:
        self.pinned_bytes -= self._pinned.pop(slab.data_ptr(), 0)

    def slot(self, size: int) -> torch.Tensor:
        self.copying = max(self.copying, self.summing)
        self.device_bytes += size
        self.most_device_bytes = max(self.most_device_bytes, self.device_bytes)
        return page_aligned(size)

    def release(self, slot: torch.Tensor) -> None:
        self._make(self._queued)
        self.summing = max(self.summing, self.copying)
        self._read_until.pop(slot.data_ptr(), None)
        self.device_bytes -= slot.nbytes

    def copy(self, slot: torch.Tensor, slab: torch.Tensor, name: str, at: int = 0) -> None:
        if self.copying < self._read_until.get(slot.data_ptr(), 0.0):
            raise RuntimeError(f"{name} is copied over weights that are still in use")
        slot[at : at + len(slab)].fill_(0xFF)
        self.copying += slab.nbytes / self.bytes_per_second
        self._queue.append(lambda: slot[at : at + len(slab)].copy_(slab))
        self._queued += 1
        self.ledger.to_device[name] += slab.nbytes

    def copied(self) -> _Instant:
        return _Instant(self.copying, self._queued)

    def used(self, slot: torch.Tensor) -> _Instant:
        self._read_until[slot.data_ptr()] = self.summing
        return _Instant(self.summing, 0)

    def copies_wait(self, event: _Instant) -> None:
        self.copying = max(self.copying, event.seconds)

    def sums_wait(self, event: _Instant) -> None:
        self._make(event.copies)
        self.summing = max(self.summing, event.seconds)

    def host_waits(self, event: _Instant) -> None:
        self._make(event.copies)

    def _make(self, until: int) -> None:
        with self._making:
            while self._made < until:
                self._made += 1
                self._queue.popleft()()


def copier_for(device: str) -> Copier:
    """What moves weights to a device: torch's name of it."""
    return CudaCopier(device) if device.startswith("cuda") else ClockCopier()
