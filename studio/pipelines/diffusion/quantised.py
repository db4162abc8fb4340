"""GGUF files: weights in groups with a few bits each, kept so in memory and unpacked for each product. Workers only.

Half to a quarter of the bytes of 16 bit, on disk, in RAM, on the way to the device and on it. A layer's weight is one
plain tensor of bytes, so that whatever places and streams tensors does so with these too. How the bits lie and how they
are unpacked is diffusers' own code.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, UNQUANTIZED_TYPES, dequantize_functions
from gguf import GGMLQuantizationType, GGUFReader, dequantize


class Quantised(torch.nn.Linear):
    """A linear layer whose weight is (outputs, bytes of a row) uint8, in groups of one GGUF kind."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, kind: GGMLQuantizationType) -> None:
        group, group_bytes = GGML_QUANT_SIZES[kind]
        super().__init__(weight.shape[1] // group_bytes * group, weight.shape[0], bias is not None, device="meta")
        self.kind = kind
        self.weight = torch.nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            self.bias = torch.nn.Parameter(bias, requires_grad=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        whole = torch.float32 if inputs.dtype == torch.float32 else torch.float16  # 8 of whose 11 bits bfloat16 has
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        return torch.nn.functional.linear(inputs, self.unpacked(whole).to(inputs.dtype), bias)

    def unpacked(self, dtype: torch.dtype) -> torch.Tensor:
        """(outputs, inputs)"""
        group, group_bytes = GGML_QUANT_SIZES[self.kind]
        groups = self.weight.reshape(-1, group_bytes)
        values: torch.Tensor = dequantize_functions[self.kind](groups, group, group_bytes, dtype)
        return values.reshape(self.out_features, self.in_features)


class Packed:
    """A GGUF file, tensor by tensor."""

    def __init__(self, file: Path) -> None:
        self._tensors = {tensor.name: tensor for tensor in GGUFReader(file).tensors}

    def plain(self, key: str, shape: torch.Size) -> torch.Tensor:
        tensor = self._tensors[key]
        return torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy()).reshape(shape)

    def packed(self, key: str) -> tuple[torch.Tensor, GGMLQuantizationType] | None:
        """(rows, bytes of a row) uint8 and how they are packed; None: it is plain."""
        tensor = self._tensors[key]
        if tensor.tensor_type in UNQUANTIZED_TYPES:
            return None
        return torch.from_numpy(tensor.data.copy()), tensor.tensor_type


def keep_packed(
    model: torch.nn.Module, names: Collection[str], file: Packed, keys: Mapping[str, str], dtype: torch.dtype
) -> None:
    """Packed layers take the place of those of `model`, which is still empty, below the modules called `names`.
    `keys`: of the file, by the name of a parameter. `dtype`: of what is added to a product."""
    starts = tuple(f"{name}." for name in names)
    layers = [(name, part) for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    for name, layer in layers:
        found = file.packed(keys[f"{name}.weight"]) if name.startswith(starts) else None
        if found is None:
            continue
        bias = None
        if layer.bias is not None:
            bias = file.plain(keys[f"{name}.bias"], layer.bias.shape).to(dtype)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, Quantised(found[0], bias, found[1]))
