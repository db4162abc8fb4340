"""Reads weights from disk and says in words what is wrong with a file. Knows no engine and fetches nothing.

Two shapes of a model: folders as the hub has them, part by part, and single files ("checkpoints") as people trade them.
"""

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import Any

from studio.errors import Refused
from studio.pipelines.diffusion.signs import (
    GGUF,
    WAN_CLASSES,
    check,
    check_wan,
    folder_header,
    header,
    looks_like,
)
from studio.pipelines.parts import LOOSE, Shelf

log = logging.getLogger(__name__)

UNREADABLE = (RuntimeError, ValueError, KeyError, AttributeError, IndexError, TypeError)  # what their converters raise
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})  # reading one runs whatever its author put in
LTX = {  # what diffusers reads from a single file of LTX's authors, by class -> how the names of its tensors begin
    "LTX2VideoTransformer3DModel": "model.diffusion_model.", "AutoencoderKLLTX2Video": "vae.",
}  # fmt: skip
LTX_NEWER = {  # names of LTX-2.3 that diffusers' converter leaves as they are -> those of diffusers
    "prompt_adaln_single.": "prompt_adaln.",
    "up_blocks.7.": "up_blocks.3.upsamplers.0.", "up_blocks.8.": "up_blocks.3.",
}  # fmt: skip
HELD = {  # how the names of tensors begin by which a single file holds more than the network
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}


@dataclass(frozen=True, slots=True)
class Described:
    """A network that a file may hold."""

    where: str  # its class: "diffusers:UNet2DConditionModel"
    folder: Path  # with the configuration that describes it
    dtype: Any  # that it is wanted in


def read_part(where: str, folder: Path, dtype: Any, variant: str = "") -> Any:
    """One component from its folder by its own `from_pretrained`; `where` is "diffusers:AutoencoderKLWan".

    Raises Refused: a damaged file, or weights of another network than the folder's configuration describes."""
    import torch

    module, _, name = where.partition(":")
    cls = getattr(import_module(module), name)
    if not issubclass(cls, torch.nn.Module):
        return cls.from_pretrained(folder, local_files_only=True)
    for file in sorted(folder.glob("*.safetensors")):
        header(file)
    named = {"dtype" if module == "transformers" else "torch_dtype": dtype, **({"variant": variant} if variant else {})}
    try:
        model, told = cls.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **named
        )
    except (RuntimeError, ValueError, KeyError) as error:  # shapes that do not fit the configuration
        raise Refused("model.wrong_architecture", file=str(folder), wanted=name, found=_first_line(error)) from error
    wrong = [*told["missing_keys"], *(str(key) for key in told["mismatched_keys"])]
    if wrong:
        raise Refused("model.wrong_architecture", file=str(folder), wanted=name, found=f"- {sorted(wrong)[0]}")
    return model.eval()


def read_single(
    file: Path, wanted: Mapping[str, Described], needed: Collection[str], blocks: Mapping[str, Collection[str]]
) -> dict[str, Any]:
    """Modules by name from a single file: those of `wanted` that it holds. What it lacks, the folders have. `blocks`:
    by name, attributes below which most weights are; a GGUF's stay packed there.

    Raises Refused where one that is `needed` is not in it, or one that it holds is another network."""
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    for name in needed:
        check(file, _class_of(wanted[name]), wanted[name].folder)
    if all(_class_of(wanted[name]) in WAN_CLASSES for name in needed):
        return {name: _wan(file, wanted[name], blocks[name]) for name in needed}
    shapes = header(file)
    more = [name for name, starts in HELD.items() if any(key.startswith(starts) for key in shapes)]
    held = [*needed, *(name for name in wanted if name in more)]
    checkpoint = load_single_file_checkpoint(str(file), local_files_only=True)
    return {name: _module_of(file, checkpoint, wanted[name]) for name in held}


def _wan(file: Path, what: Described, blocks: Collection[str]) -> Any:
    """A Wan's network, by the names of its authors or by diffusers', plain in any precision, or packed."""
    from accelerate import init_empty_weights
    from safetensors import safe_open

    kind = _class_of(what)
    cls, keys = getattr(import_module("diffusers"), kind), check_wan(file, kind, folder_header(what.folder))
    with init_empty_weights():
        model = cls.from_config(cls.load_config(what.folder))
    if file.suffix.lower() == GGUF:
        from studio.pipelines.diffusion.quantised import Packed, keep_packed

        packed = Packed(file)
        keep_packed(model, blocks, packed, keys, what.dtype)
        read = packed.plain
    else:
        tensors = safe_open(file, framework="pt")
        read = lambda key, shape: tensors.get_tensor(key).reshape(shape)  # noqa: E731
    model.load_state_dict(
        {name: read(keys[name], empty.shape).to(precision(cls, name, what.dtype))
         for name, empty in model.state_dict().items() if empty.is_meta},
        strict=False, assign=True,
    )  # fmt: skip
    return model.eval()


def precision(cls: Any, name: str, dtype: Any) -> Any:
    """Of a tensor, as `from_pretrained` reads it: some layers lose too much in 16 bit."""
    import torch

    return dtype if set(name.split(".")).isdisjoint(cls._keep_in_fp32_modules or ()) else torch.float32


def _module_of(file: Path, checkpoint: Mapping[str, Any], what: Described) -> Any:
    """One network of a single file, by diffusers' own names or by those of the model's authors."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError, create_diffusers_clip_model_from_ldm

    library, kind = what.where.partition(":")[0], _class_of(what)
    cls = getattr(import_module(library), kind)
    read = partial(create_diffusers_clip_model_from_ldm, cls) if library == "transformers" else cls.from_single_file
    try:
        tensors = _ltx_names(kind, checkpoint) if kind in LTX else dict(checkpoint)
        module = read(
            tensors, config=str(what.folder.parent), subfolder=what.folder.name, torch_dtype=what.dtype,
            local_files_only=True,
        )  # fmt: skip
        if any(tensor.is_meta for tensor in module.parameters()):
            raise NotImplementedError("no data")
    except NotImplementedError as error:  # as casting a tensor that nothing came for raises
        raise Refused("model.checkpoint_lacks", file=file.name, wanted=kind, found=looks_like(file)) from error
    except (SingleFileComponentError, *UNREADABLE) as error:
        log.warning("%s holds no %s: %s", file.name, kind, _first_line(error))
        raise Refused("model.wrong_architecture", file=file.name, wanted=kind, found=looks_like(file)) from error
    return module.eval()


def _ltx_names(kind: str, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of one part of LTX by diffusers' names."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    start = LTX[kind]
    ours = {key: tensor for key, tensor in checkpoint.items() if key.startswith(start)} or dict(checkpoint)
    loadable: Any = SINGLE_FILE_LOADABLE_CLASSES
    named = loadable[kind]["checkpoint_mapping_fn"](ours)
    for old, new in LTX_NEWER.items():
        named = {key.replace(old, new): tensor for key, tensor in named.items()}
    return named


def _class_of(what: Described) -> str:
    return what.where.partition(":")[2]


def find_file(name: str, kind: str) -> Path:
    """A file of the user below `checkpoints` or `loras` of the models folder, or below a folder of these that was
    imported. Raises Refused."""
    shelf, spelled = Shelf.here(), PureWindowsPath(name)  # which knows the separators of every system, and drives
    folder = str(shelf.folder / kind)
    if spelled.anchor or ".." in spelled.parts or "\0" in name:  # before any disk is asked: it may be a stranger's
        raise Refused("model.file_outside", file=name, folder=folder)
    if spelled.suffix.lower() in PICKLES:
        raise Refused("model.pickle", file=name)
    if spelled.suffix.lower() not in LOOSE[kind]:
        raise Refused("model.file_unknown", file=name)
    for home in shelf.homes(kind):
        path = (home / name).resolve()
        if not path.is_relative_to(home.resolve()):
            raise Refused("model.file_outside", file=name, folder=folder)
        if os.path.isfile(path):
            return path
    raise Refused("model.file_missing", file=name, folder=folder)


def mark(path: Path) -> str:
    """What tells files from others without reading them: the commit of a snapshot, else names, sizes and times."""
    from studio.pipelines.diffusion.embeddings import digest

    if path.parent.parent.name == "snapshots" or path.parent.name == "snapshots":
        return path.name if path.parent.name == "snapshots" else path.parent.name
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    facts = [(str(file.relative_to(path.parent)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest(facts)[:16]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]
