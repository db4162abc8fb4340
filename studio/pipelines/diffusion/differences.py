"""What a LoRA of a Wan adds to biases and norms as it is: adapters have no place for it. For workers only.

Files for few steps carry such numbers beside their pairs of matrices: `diff` is added to a weight, `diff_b` to a bias.
Weights in 8 bit keep their biases and norms plain, so these files do for them too. Taking a LoRA off puts the tensors
back that were there, bit for bit. Knows no pipeline's class and no plan.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from studio.errors import Refused
from studio.pipelines.diffusion.signs import header, wan_keys
from studio.pipelines.memory.parcel import is_wrapper

ENDS = {".diff_b": ".bias", ".diff": ".weight"}
WANS = "diffusion_model."  # how the names of a Wan's LoRA begin
MEANT = "lora_differences"  # where a pipeline keeps what was there before

Tensors = dict[str, torch.Tensor]


def apart(file: Path) -> tuple[Tensors | None, Tensors]:
    """(pairs by the names of the file, differences by the names of the parameters in diffusers' network). None: there
    are no differences, and the file can be read as it is."""
    shapes = header(file)
    ends = {key: end for key in shapes for end in ENDS if key.startswith(WANS) and key.endswith(end)}
    if not ends:
        return None, {}
    tensors = load_file(file)
    theirs = {key.removeprefix(WANS).removesuffix(end) + ENDS[end]: key for key, end in ends.items()}
    first = "patch_embedding.weight"  # by which the names of a whole network are told
    ours = wan_keys([first, ".self_attn.", *theirs])
    added = {name: tensors.pop(theirs[key]) for name, key in ours.items() if key in theirs}
    return tensors, {name: tensor for name, tensor in added.items() if tensor.count_nonzero()}


def add(pipe: Any, file: Path, networks: Mapping[str, Any], added: Tensors, weight: float) -> None:
    """Raises Refused("model.lora_unfit") where there is no plain tensor of that name and size."""
    kept = vars(pipe).setdefault(MEANT, [])
    for network in networks.values():
        parameters = {name.replace(".base_layer.", "."): one for name, one in network.named_parameters()}
        for name, difference in added.items():
            parameter = parameters.get(name)
            if parameter is None or is_wrapper(parameter.data) or parameter.shape != difference.shape:
                raise Refused("model.lora_unfit", file=file.name, found=name, wanted=type(network).__name__)
            kept.append((network, name, parameter.data))
            parameter.data = (parameter.data.float() + weight * difference.float()).to(parameter.dtype)


def put_back(pipe: Any) -> None:
    """What was there before the first was added; by name, because placing a network gives it other tensors."""
    for network, name, before in reversed(vars(pipe).pop(MEANT, [])):
        network.get_parameter(name).data = before
