"""How many bytes are alive at the peak of a call, told on the meta device: nothing is computed and nothing is held.

Used by the tests and by the benchmark; constants of a Footprint come from here. Attention is stood in for by an empty
result, as the kernels that never write the whole matrix of scores would leave it.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tracker(TorchDispatchMode):
    """Counts the storages that are made inside it; views count once, what was there before does not count."""

    def __init__(self, ignored: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.peak = self._alive = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in ignored}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._alive += size
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._alive -= size


def peak_bytes(module: torch.nn.Module, call: Callable[[], Any], inputs: Iterable[torch.Tensor] = ()) -> int:
    """Bytes alive at the peak of `call()`, beside the module's weights and `inputs`."""
    ignored = [*module.parameters(), *module.buffers(), *inputs]
    with _attention_without_scores(), torch.no_grad(), Tracker(ignored) as tracker:
        call()
    return tracker.peak


def cast(module: torch.nn.Module, dtype: torch.dtype = torch.bfloat16) -> torch.nn.Module:
    """To 16 bit as `from_pretrained` does it: what the class wants in float32 stays."""
    kept = getattr(module, "_keep_in_fp32_modules", None) or []
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and not any(part in name.split(".") for part in kept):
            tensor.data = tensor.data.to(dtype)
    return module.eval()


def weight_bytes(module: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in module.parameters())


@contextmanager
def _attention_without_scores() -> Iterator[None]:
    def attend(query: Any, key: Any, value: Any, *args: Any, **more: Any) -> Any:
        return torch.empty_like(query)  # it lies in memory as the query does, so that heads join without a copy

    with patch.object(torch.nn.functional, "scaled_dot_product_attention", attend):
        yield
