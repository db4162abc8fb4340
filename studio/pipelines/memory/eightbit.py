"""Stores the weights of a network's blocks in 8 bits: half the RAM, half the bytes to copy, other pixels.

Weight-only, with torchao: a weight is stored as 8-bit numbers with one scale for each of its rows, and a product is
still done in 16 bit. Only linear layers inside the blocks: norms, modulation tables, biases and embeddings are small
and lose too much. Knows no plan and no model.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Literal

import torch

from studio.pipelines.memory.parcel import is_wrapper


def store(module: torch.nn.Module, blocks: Iterable[str], kind: Literal["int8", "fp8"] = "int8") -> torch.nn.Module:
    """The module, with the linear layers below the named attributes in 8 bits; cheap where that is done already.

    To be called once it is read and before it is placed; adapters come after. It goes layer by layer: never is more
    than one layer there twice."""
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    config = Int8WeightOnlyConfig(version=2) if kind == "int8" else Float8WeightOnlyConfig(version=2)
    for path in blocks:
        quantize_(attrgetter(path)(module), config, _plain_linear)
    return module


def _plain_linear(part: Any, name: str) -> bool:
    return isinstance(part, torch.nn.Linear) and not is_wrapper(part.weight)
