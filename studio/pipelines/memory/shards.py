"""Blocks straight from a model's safetensors files, for weights that RAM cannot hold. Knows files; knows no model.

A few threads read a block into one of a few locked slabs while the blocks before it compute. A slab is filled again
once the device has what it held. Tensors that the model keeps in another precision than its files are cast on the way,
and what is in 8 bit there becomes what it stands for.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from studio.errors import Refused
from studio.pipelines.memory.copier import Copier, page_aligned
from studio.pipelines.memory.parcel import Parcel, Piece

READERS = 4  # threads: one alone reaches a third of what a fast disk gives
CHUNK = 16 << 20  # bytes that one of them reads at a time
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class At(NamedTuple):
    """Where a tensor is."""

    file: Path
    name: str  # there
    scale: str = ""  # name of the numbers that its rows are multiplied with, where it is in 8 bit


Located = Mapping[str, At]  # by the name of a tensor in the module


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file."""

    file: Path
    start: int  # bytes from the file's beginning
    size: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    scale: "Stored | None" = None


class Shards:
    """What safetensors files hold: those of a folder by the module's own names, or wherever else its tensors are."""

    def __init__(self, where: "Path | Located") -> None:
        if isinstance(where, Path):
            self.folder = where
            files = [_held(file) for file in sorted(where.glob("*.safetensors"))]
            self._stored = {name: stored for held in files for name, stored in held.items()}
        else:
            held = {file: _held(file) for file in {at.file for at in where.values()}}
            self.folder = next((file.parent for file in held), Path())
            self._stored = {
                ours: replace(held[at.file][at.name], scale=held[at.file][at.scale] if at.scale else None)
                for ours, at in where.items()
            }

    def find(self, name: str, piece: Piece) -> Stored:
        """Where a tensor of that name and shape is. Raises Refused("memory.not_in_files")."""
        found = self._stored.get(name.replace(".base_layer.", "."))  # what an adapter calls the layer it sits on
        if found is None or found.shape != tuple(piece.shape) or not _contiguous(piece):
            raise Refused("memory.not_in_files", tensor=name, folder=str(self.folder))
        return found


def _held(file: Path) -> dict[str, Stored]:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        found[name] = Stored(file, start, end - start, DTYPES[entry["dtype"]], tuple(entry["shape"]))
    return found


class Staging:
    """A few locked slabs on the way from disk to device, and the threads that fill them."""

    def __init__(self, copier: Copier, count: int, size: int) -> None:
        """`size`: bytes of the largest block."""
        self.copier = copier
        self._slabs = [copier.pinned(size) for _ in range(count)]
        self._free: list[tuple[torch.Tensor, Any]] = [(slab, None) for slab in self._slabs]  # and when it may be filled
        self._coming: dict[FromFiles, tuple[torch.Tensor, Future[None]]] = {}
        self._readers = ThreadPoolExecutor(READERS, "shards")
        self._fillers = ThreadPoolExecutor(count, "staging")
        self.users = 0
        self.keep = True  # will anybody want the tensors in RAM when they stream no longer?

    @property
    def bytes(self) -> int:
        return sum(slab.nbytes for slab in self._slabs)

    def ask(self, source: "FromFiles") -> bool:
        """Have it read if a slab is free. Is it there?"""
        if source not in self._coming and self._free:
            slab, event = self._free.pop(0)
            self._coming[source] = slab, self._fillers.submit(self._fill, slab, event, source.stored)
        return source in self._coming and self._coming[source][1].done()

    def take(self, source: "FromFiles") -> torch.Tensor:
        """The slab that holds it, to be given back. Waits; raises what reading raised."""
        if not self._free and source not in self._coming:  # what was read ahead was left out: its turn comes again
            other = next(iter(self._coming))
            wait([self._coming[other][1]])
            self.give_back(self._coming.pop(other)[0], None)
        self.ask(source)
        slab, full = self._coming.pop(source)
        try:
            full.result()
        except BaseException:
            wait([full])
            self.give_back(slab, None)
            raise
        return slab

    def give_back(self, slab: torch.Tensor, event: Any) -> None:
        """It may be filled again after the event."""
        self._free.append((slab, event))

    def close(self) -> None:
        self._fillers.shutdown()
        self._readers.shutdown()
        for slab in self._slabs:
            self.copier.unpin(slab)
        self._slabs.clear()

    def _fill(self, slab: torch.Tensor, event: Any, stored: "Sequence[tuple[Stored, Piece]]") -> None:
        if event is not None:
            self.copier.host_waits(event)
        for future in wait([read for one, piece in stored for read in self._read(slab, one, piece)]).done:
            future.result()

    def _read(self, slab: torch.Tensor, stored: Stored, piece: Piece) -> "list[Future[None]]":
        if stored.dtype != piece.dtype:
            return [self._readers.submit(_cast, stored, piece.view(slab))]
        place = _bytes(slab[piece.offset : piece.offset + piece.size])
        return [
            self._readers.submit(_into, place[start : start + CHUNK], stored.file, stored.start + start)
            for start in range(0, stored.size, CHUNK)
        ]


class FromFiles:
    """A block's source: its tensors on the host are empty, its bytes are in files."""

    def __init__(self, parcel: Parcel, names: Mapping[int, str], shards: Shards, staging: Staging) -> None:
        """`names`: of tensors in the files, by id. Raises Refused("memory.not_in_files")."""
        self._parcel, self._staging = parcel, staging
        self.stored = [
            (shards.find(names.get(id(leaf), parcel.name), piece), piece)
            for leaf, piece in zip(parcel.leaves(), parcel.pieces, strict=True)
        ]
        parcel.adopt([_empty(leaf) for leaf in parcel.leaves()])
        self._taken: torch.Tensor | None = None
        staging.users += 1
        self.ram_bytes = self.pinned_bytes = 0  # the slabs are everybody's

    def ready(self) -> bool:
        return self._staging.ask(self)

    def send(self, copier: Copier, slot: torch.Tensor) -> None:
        slab = self._staging.take(self)
        try:
            copier.copy(slot, slab[: self._parcel.size], self._parcel.name)
        except BaseException:
            self._staging.give_back(slab, copier.copied())
            raise
        self._taken = slab

    def sent(self, event: Any) -> None:
        if self._taken is not None:
            self._staging.give_back(self._taken, event)
            self._taken = None

    def close(self) -> None:
        """Reads all of it, for whoever has it next."""
        if self._staging.keep:
            slab = page_aligned(self._parcel.size)
            for stored, piece in self.stored:
                _cast(stored, piece.view(slab))
            self._parcel.adopt(self._parcel.views(slab))
        self._staging.users -= 1
        if not self._staging.users:
            self._staging.close()


def _into(place: memoryview, file: Path, start: int) -> None:
    """Fill `place` with a file's bytes."""
    with file.open("rb", buffering=0) as opened:
        opened.seek(start)
        done = 0
        while done < len(place):
            count = opened.readinto(place[done:])
            if not count:
                raise Refused("model.not_safetensors", file=str(file))
            done += count


def _cast(stored: Stored, place: torch.Tensor) -> None:
    values = _values(stored)
    place.copy_(values.float() * _values(stored.scale).float() if stored.scale else values)


def _values(stored: Stored) -> torch.Tensor:
    raw = torch.empty(stored.size, dtype=torch.uint8)
    _into(_bytes(raw), stored.file, stored.start)
    return raw.view(stored.dtype).view(stored.shape)


def _bytes(slab: Any) -> memoryview:
    return memoryview(slab.numpy())


def _empty(leaf: torch.Tensor) -> Any:
    """Of the same shape and precision; whoever uses it by mistake is told."""
    empty = torch.empty_like(leaf, device="meta")
    return torch.nn.Parameter(empty, requires_grad=False) if isinstance(leaf, torch.nn.Parameter) else empty


def _contiguous(piece: Piece) -> bool:
    return torch.empty(piece.shape, device="meta").stride() == piece.stride
