"""Runs more blocks than the device holds: they flow through a few slots beside the sums. Knows torch, no model.

Some blocks stay on the device, evenly spaced; the others are copied into K slots at fixed addresses, each as one
piece, the next ones while this one computes. Events order copies and sums, so the host never waits. A block is fetched
because one before it is computed: one that a cache skips is not, and what lies in a slot waits there for its turn.
After the last comes the first of the next step. Nothing is copied back: a slot is given up by pointing at the host's
tensors.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from studio.pipelines.memory import innermost
from studio.pipelines.memory.copier import Copier
from studio.pipelines.memory.parcel import Parcel


class Source(Protocol):
    """Where a block's bytes come from."""

    ram_bytes: int  # that it holds
    pinned_bytes: int

    def ready(self) -> bool:
        """Can `send` go on without waiting for a disk?"""
        ...

    def send(self, copier: Copier, slot: torch.Tensor) -> None:
        """Queue the copies that fill the slot."""
        ...

    def sent(self, event: Any) -> None:
        """The copies are done at the event."""
        ...

    def close(self) -> None:
        """The module's tensors lie in RAM, plain."""
        ...


class Slab:
    """One piece of locked RAM, laid out like the slot: one copy for a block."""

    def __init__(self, parcel: Parcel, copier: Copier) -> None:
        self._copier, self._name = copier, parcel.name
        self._slab = copier.pinned(parcel.size)
        parcel.write(self._slab)
        parcel.adopt(parcel.views(self._slab))  # what they were in before is free
        self.ram_bytes = self.pinned_bytes = parcel.size

    def ready(self) -> bool:
        return True

    def send(self, copier: Copier, slot: torch.Tensor) -> None:
        copier.copy(slot, self._slab, self._name)

    def sent(self, event: Any) -> None: ...

    def close(self) -> None:
        self._copier.unpin(self._slab)


class AsRead:
    """The tensors as they lie in RAM or in a mapped file: nothing is locked, the host waits for each copy."""

    pinned_bytes = 0

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self.ram_bytes = parcel.weight_bytes

    def ready(self) -> bool:
        return True

    def send(self, copier: Copier, slot: torch.Tensor) -> None:
        for piece, leaf in zip(self._parcel.pieces, self._parcel.leaves(), strict=True):
            leaf = leaf.detach()
            if leaf.stride() != piece.stride:
                leaf = torch.empty_strided(piece.shape, piece.stride, dtype=piece.dtype).copy_(leaf)
            plain = leaf.as_strided((leaf.numel(),), (1,)).view(torch.uint8)
            copier.copy(slot, plain, self._parcel.name, at=piece.offset)

    def sent(self, event: Any) -> None: ...

    def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class Slot:
    """A place on the device through which blocks flow, or in which one stays."""

    memory: torch.Tensor
    holds: int | None = None  # block
    filled: Any = None  # event
    used: Any = None  # event: the last sums that read it


class BlockStreamer:
    """The blocks of one network, in the order in which they are run."""

    def __init__(
        self,
        name: str,
        blocks: Sequence[torch.nn.Module],
        copier: Copier,
        *,
        slots: int = 2,
        resident: int = 0,
        without: Collection[int] = (),
        source: Callable[[Parcel, bool], Source] | None = None,
    ) -> None:
        """`resident`: so many stay on the device while it runs, evenly spaced. `without`: ids of tensors that are not
        the blocks' own. `source`: makes the Source of a block, given whether it flows; else locked slabs for those
        that do."""
        self.copier, self._count = copier, slots
        self._make = source or (lambda parcel, flows: Slab(parcel, copier) if flows else AsRead(parcel))
        self.parcels = [Parcel(f"{name}.{index}", [block], without) for index, block in enumerate(blocks)]
        self._sources: dict[int, Source] = {}
        self._flows: dict[int, bool] = {}  # for which its source was made
        self._slots: list[Slot] = []
        self._staying: dict[int, Slot] = {}
        self._views: dict[tuple[int, int], list[Any]] = {}  # by block and slot
        self.running = False
        self.keep(resident)
        self._unwrap = [innermost.wrap(block, self._gate(index)) for index, block in enumerate(blocks)]

    # ------------------------------------------------------------------------------------------ what flows, what stays
    def keep(self, resident: int) -> None:
        """So many blocks stay on the device from the next `start` on."""
        if self.running:
            raise RuntimeError("blocks are being run")
        count = len(self.parcels)
        self.resident = min(resident, count)
        staying = {i for i in range(count) if (i + 1) * self.resident // count > i * self.resident // count}
        self.streamed = [index for index in range(count) if index not in staying]
        self._place = {index: place for place, index in enumerate(self.streamed)}
        for index in (*self.streamed, *sorted(staying)):  # what flows is locked first
            flows, parcel = index in self._place, self.parcels[index]
            if self._flows.get(index) != flows:
                if index in self._sources:
                    self._sources[index].close()
                self._sources[index] = self._make(parcel, flows)
                self._flows[index] = flows

    def tensor_ids(self) -> set[int]:
        """Of the host's tensors that it takes care of."""
        return {found for parcel in self.parcels for found in parcel.tensor_ids()}

    @property
    def device_bytes(self) -> int:
        return sum(slot.memory.nbytes for slot in (*self._slots, *self._staying.values()))

    @property
    def ram_bytes(self) -> int:
        return sum(source.ram_bytes for source in self._sources.values())

    @property
    def pinned_bytes(self) -> int:
        return sum(source.pinned_bytes for source in self._sources.values())

    # ------------------------------------------------------------------------------------------ life
    def start(self) -> None:
        """Take memory on the device and queue the first blocks, in the order in which they will be needed."""
        self.running = True
        largest = max((self.parcels[index].size for index in self.streamed), default=0)
        for _ in range(min(self._count, len(self.streamed))):
            self._slots.append(Slot(self.copier.slot(largest)))
        for index, parcel in enumerate(self.parcels):
            if index not in self._place:
                self._staying[index] = slot = Slot(self.copier.slot(parcel.size))
                self._fetch(index, slot)
                parcel.bind(parcel.views(slot.memory))
            elif self._place[index] < len(self._slots) and self._sources[index].ready():
                self._fetch(index, self._slots[self._place[index]])

    def stop(self) -> None:
        """Leave the device. Also after a failure in the middle of a forward, or of `start`."""
        self.running = False
        for parcel in self.parcels:
            parcel.unbind()
        for slot in (*self._slots, *self._staying.values()):
            self.copier.release(slot.memory)
        self._slots.clear()
        self._staying.clear()
        self._views.clear()

    def close(self) -> None:
        """The blocks are as they were, their tensors plain in RAM."""
        self.stop()
        for unwrap in self._unwrap:
            unwrap()
        self._unwrap.clear()
        for source in self._sources.values():
            source.close()
        self._sources.clear()
        self._flows.clear()

    # ------------------------------------------------------------------------------------------ one block
    def _gate(self, index: int) -> Any:
        def around(forward: Any) -> Any:
            def gated(*args: Any, **named: Any) -> Any:
                if not self.running:
                    return forward(*args, **named)
                slot = self._enter(index)
                try:
                    return forward(*args, **named)
                finally:
                    self._leave(index, slot)

            return gated

        return around

    def _enter(self, index: int) -> Slot:
        """The block's weights are there for the sums queued next, and the blocks after it are on their way."""
        slot = self._staying.get(index)
        if slot is None:
            ahead = self._ahead(index)
            slot = self._slot_with(index) or self._fetch(index, self._free(ahead))
            for following in ahead[1:]:
                if self._slot_with(following) is None and self._sources[following].ready():
                    self._fetch(following, self._free(ahead))
            self.parcels[index].bind(self._seen(index, slot))
        if slot.filled is not None:
            self.copier.sums_wait(slot.filled)
        return slot

    def _leave(self, index: int, slot: Slot) -> None:
        if index in self._place:
            slot.used = self.copier.used(slot.memory)
            self.parcels[index].unbind()
        else:
            slot.filled = None  # it stays: nobody waits for it again

    def _ahead(self, index: int) -> list[int]:
        """The streamed block and those that follow it, as many as there are slots, round and round."""
        place = self._place[index]
        return [self.streamed[(place + step) % len(self.streamed)] for step in range(len(self._slots))]

    def _slot_with(self, index: int) -> Slot | None:
        return next((slot for slot in self._slots if slot.holds == index), None)

    def _free(self, ahead: list[int]) -> Slot:
        return next(slot for slot in self._slots if slot.holds not in ahead)

    def _fetch(self, index: int, slot: Slot) -> Slot:
        """Queue a block's copy into a slot, after the sums that still read it. The slot is empty if that fails."""
        slot.holds = None
        if slot.used is not None:
            self.copier.copies_wait(slot.used)
        source = self._sources[index]
        source.send(self.copier, slot.memory)
        slot.filled = self.copier.copied()
        slot.holds = index
        source.sent(slot.filled)
        self.copier.ledger.fetched[self.parcels[index].name] += 1
        return slot

    def _seen(self, index: int, slot: Slot) -> list[Any]:
        key = index, id(slot)
        if key not in self._views:
            self._views[key] = self.parcels[index].views(slot.memory)
        return self._views[key]
