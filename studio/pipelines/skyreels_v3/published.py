"""Weights as SkyReels-V3 and InfiniteTalk publish them, read as our networks want them. For workers only.

Folders with the original's names and settings, certain files of a folder, and files that are laid over another
folder's: where both have a tensor, the file that is laid over counts. Files in 8 bit are those of optimum-quanto: of a
weight there is `_data`, and a `_scale` for each of its rows. Knows names through names.py, no plan and no engine.
"""

import inspect
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from studio.errors import Refused
from studio.pipelines.diffusion.checkpoints import precision
from studio.pipelines.diffusion.signs import header
from studio.pipelines.memory.shards import At
from studio.pipelines.parts import Part, weights_of
from studio.pipelines.skyreels_v3.names import check, config_of, kind_of, renamed

DATA, SCALE = "._data", "._scale"  # of a weight in 8 bit, after its name
UNUSED = (SCALE, ".input_scale", ".output_scale")  # names that end so are no weights

Layers = Sequence[tuple[Path, Part]]  # a part's folder, then those of the parts that are laid over it


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor in a file."""

    file: Path
    name: str  # there
    shape: tuple[int, ...]
    scale: str = ""  # name of the numbers that its rows are multiplied with, where it is in 8 bit


def read(where: str, layers: Layers, dtype: torch.dtype, keep_8bit: bool = False, without: Sequence[str] = ()) -> Any:
    """A network of the class `where` ("module:Class") from its files, in `dtype`, file by file and each tensor once.
    `keep_8bit`: linear layers of its blocks that are in 8 bit stay so. `without`: attributes whose tensors stay empty,
    because they come from the disk each time they are wanted.

    Raises Refused: a damaged file as signs.header says it, the weights of another network as names.check does."""
    from accelerate import init_empty_weights

    module, _, name = where.partition(":")
    cls = getattr(import_module(module), name)
    found = tensors_of(layers)
    shapes = {ours: one.shape for ours, one in found.items()}
    file = " + ".join(_called(folder, part) for folder, part in layers)
    with init_empty_weights():
        model = cls(**_arguments(cls, config_of(_config(layers[0]), shapes, file)))
    empty = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_meta}
    network = {name: tuple(tensor.shape) for name, tensor in empty.items()}
    check(network, shapes, kind_of(network), file)
    by_file: dict[Path, list[str]] = defaultdict(list)
    for ours in empty:
        if not ours.startswith(tuple(f"{name}." for name in without)):
            by_file[found[ours].file].append(ours)
    linear = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    for path, names in by_file.items():
        with safe_open(path, framework="pt") as tensors:
            state = {
                ours: _tensor(tensors, found[ours], precision(cls, ours, dtype), keep_8bit and _in_block(ours, linear))
                for ours in names
            }
        model.load_state_dict(state, strict=False, assign=True)
    return model.requires_grad_(False).eval()


def located(layers: Layers) -> dict[str, At]:
    """By our name of a tensor: where it is, for blocks that come straight from the disk."""
    return {ours: At(one.file, one.name, one.scale) for ours, one in tensors_of(layers).items()}


def tensors_of(layers: Layers) -> dict[str, Found]:
    """By our name. Raises Refused: a damaged file, weights in 8 bit without their scale."""
    found: dict[str, Found] = {}
    for folder, part in layers:
        here: dict[str, Found] = {}
        for file in weights_of(folder, part):
            shapes = header(file)
            for name, shape in shapes.items():
                bare = name.removesuffix(DATA)
                scale = bare + SCALE if bare != name else ""
                if scale and scale not in shapes:
                    raise Refused("model.wrong_network", name=scale, wanted="8 bit", file=file.name, found="-")
                if not name.endswith(UNUSED):
                    here[bare] = Found(file, name, tuple(shape), scale)
        found |= {ours: here[published] for ours, published in renamed(here).items()}
    return found


def _tensor(tensors: Any, found: Found, dtype: torch.dtype, keep_8bit: bool) -> torch.Tensor:
    value = tensors.get_tensor(found.name)
    if not found.scale:
        return value.to(dtype)
    scale = tensors.get_tensor(found.scale)
    if keep_8bit:
        return _in_8bit(value, scale, dtype)
    return (value.to(torch.float32) * scale.to(torch.float32)).to(dtype)


def _in_8bit(value: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(outputs, inputs) with a scale (outputs, 1), multiplied in `dtype`, as memory.eightbit stores it."""
    from torchao.quantization import Float8Tensor

    rows = scale.to(torch.float32).reshape(-1, 1).expand(value.shape[0], 1).contiguous()
    return Float8Tensor(value, rows, block_size=[1, value.shape[1]], dtype=dtype)


def _in_block(ours: str, linear: set[str]) -> bool:
    return ours.startswith("blocks.") and ours in linear


def _config(layer: tuple[Path, Part]) -> dict[str, Any]:
    """What the base says of itself; nothing where it says nothing: the weights do."""
    file = layer[0] / "config.json"
    if layer[1].files and "config.json" not in layer[1].files:
        return {}
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise Refused("model.config_broken", file=str(file)) from error


def _arguments(cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Of the class, from the weights that were found. How many channels come in and whether it sees pictures is the
    class's own affair: weights of another kind must not make another network of it."""
    known = inspect.signature(cls).parameters
    pictures = known["image_dim"].default is not None
    own = {
        "in_channels",
        "out_channels",
        *(() if pictures else ("image_dim", "added_kv_proj_dim", "pos_embed_seq_len")),
    }
    return {name: value for name, value in config.items() if name in known and name not in own}


def _called(folder: Path, part: Part) -> str:
    return "/".join((part.repo, *([part.where] if part.where else []), *(one for one in part.files[:1] if "." in one)))
