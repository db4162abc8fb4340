"""The tensors of some modules as one piece of memory, wherever it lies. Knows torch; knows no stream and no plan.

A module sees its own tensors or views of a piece with the same bytes: binding sets what `module._parameters` names, so
nothing is copied and the host's tensors are never written.
"""

import ctypes
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from studio.pipelines.memory.copier import ALIGNMENT

LINE = 64  # bytes: what torch's own allocations in RAM begin at


@dataclass(frozen=True, slots=True)
class Site:
    """Where a module keeps a tensor."""

    table: dict[str, Any]  # module._parameters or module._buffers
    name: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A plain tensor in a slab."""

    offset: int  # bytes
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]
    size: int  # bytes

    def view(self, slab: torch.Tensor) -> torch.Tensor:
        flat = slab[self.offset : self.offset + self.size].view(self.dtype)
        return flat.as_strided(self.shape, self.stride)


def sites(module: torch.nn.Module) -> Iterable[tuple[torch.Tensor, Site]]:
    """Every tensor of a module and where it is kept; a shared one as often as it is shared."""
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield tensor, Site(table, name)


def weight_bytes(module: torch.nn.Module) -> int:
    """What its tensors hold, as they are stored: 8-bit ones too; shared ones once."""
    found = {id(tensor): tensor for tensor, _ in sites(module)}
    return sum(leaf.nbytes for tensor in found.values() for leaf in leaves(tensor))


def leaves(tensor: Any) -> list[torch.Tensor]:
    """The plain tensors that a tensor consists of: itself, or those inside one of torchao's."""
    if not is_wrapper(tensor):
        return [tensor]
    return [leaf for name in tensor.__tensor_flatten__()[0] for leaf in leaves(getattr(tensor, name))]


def lie_evenly(module: torch.nn.Module) -> None:
    """Tensors at odd places, as a mapped file has them, come to where a slab would begin: the CPU adds up in another
    order elsewhere, and slower."""
    for tensor, _ in sites(module):
        for leaf in leaves(tensor):
            if leaf.data_ptr() % LINE:
                with torch.inference_mode(False):
                    leaf.data = leaf.detach().clone()


def let_go_of_file(module: torch.nn.Module) -> None:
    """A model that was read in another precision than its file has holds copies, but for the few tensors that keep
    theirs: each of these holds the whole mapped file in RAM, so they become copies too."""
    found = {id(leaf): leaf for tensor, _ in sites(module) for leaf in leaves(tensor)}.values()
    sizes: Counter[torch.dtype] = Counter()
    for leaf in found:
        sizes[leaf.dtype] += leaf.nbytes
    for leaf in found:
        if leaf.dtype != sizes.most_common(1)[0][0]:
            with torch.inference_mode(False):
                leaf.data = leaf.detach().clone()


def give_back() -> None:
    """What was freed goes back to the system: glibc keeps pieces of less than 32 MB for whoever asks next, which is all
    of a network of medium size once its blocks lie in slabs."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def is_wrapper(tensor: torch.Tensor) -> bool:
    return hasattr(type(tensor), "__tensor_flatten__") and type(tensor) is not torch.nn.Parameter


class Parcel:
    """The tensors of one block, or of what is left of a module."""

    def __init__(self, name: str, modules: Iterable[torch.nn.Module], without: Collection[int] = ()) -> None:
        """`without`: ids of tensors that belong elsewhere."""
        self.name = name
        found: dict[int, tuple[torch.Tensor, list[Site]]] = {}
        for module in modules:
            for tensor, site in sites(module):
                if id(tensor) not in without:
                    found.setdefault(id(tensor), (tensor, []))[1].append(site)
        self._own = [tensor for tensor, _ in found.values()]
        self._sites = [places for _, places in found.values()]
        self.pieces, self.size = _laid_out(self._own)
        self.weight_bytes = sum(piece.size for piece in self.pieces)

    def tensor_ids(self) -> set[int]:
        return {id(tensor) for tensor in self._own}

    def leaves(self) -> list[torch.Tensor]:
        """The host's plain tensors, one for each piece."""
        return [leaf for tensor in self._own for leaf in leaves(tensor)]

    def write(self, slab: torch.Tensor) -> None:
        """Copy the tensors' bytes to a slab of `size` bytes."""
        for piece, leaf in zip(self.pieces, self.leaves(), strict=True):
            piece.view(slab).copy_(leaf.detach())

    def views(self, slab: torch.Tensor) -> list[Any]:
        """What `bind` takes: the tensors as they look in a slab that holds the parcel's bytes."""
        plain = iter(self.pieces)
        with torch.inference_mode(False):
            return [_rebuilt(tensor, plain, slab) for tensor in self._own]

    def bind(self, tensors: list[Any]) -> None:
        """The modules see these."""
        for tensor, places in zip(tensors, self._sites, strict=True):
            for site in places:
                site.table[site.name] = tensor

    def unbind(self) -> None:
        """The modules see the host's own again."""
        self.bind(self._own)

    def adopt(self, tensors: list[Any]) -> None:
        """These are the host's own from now on."""
        self._own = tensors
        self.unbind()


def _laid_out(tensors: Iterable[torch.Tensor]) -> tuple[list[Piece], int]:
    """Pieces side by side, and the bytes of all: each begins where a device's own allocation might."""
    pieces, end = [], 0
    for tensor in tensors:
        for leaf in leaves(tensor):
            start = -(-end // ALIGNMENT) * ALIGNMENT
            stride = torch.empty_like(leaf, device="meta").stride()  # as it is, if it has no gaps
            pieces.append(Piece(start, leaf.dtype, leaf.shape, stride, leaf.nbytes))
            end = start + leaf.nbytes
    return pieces, end


def _rebuilt(tensor: Any, pieces: Any, slab: torch.Tensor, inside: bool = False) -> Any:
    if not is_wrapper(tensor):
        built = next(pieces).view(slab)
    else:
        names, context = tensor.__tensor_flatten__()
        inner = {name: _rebuilt(getattr(tensor, name), pieces, slab, inside=True) for name in names}
        built = type(tensor).__tensor_unflatten__(inner, context, tensor.shape, tensor.stride())
    if inside or not isinstance(tensor, torch.nn.Parameter):
        return built
    return torch.nn.Parameter(built, requires_grad=False)
