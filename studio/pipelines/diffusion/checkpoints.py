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
from studio.pipelines.parts import Shelf, header_of

log = logging.getLogger(__name__)

UNREADABLE = (RuntimeError, ValueError, KeyError, AttributeError, IndexError, TypeError)  # what their converters raise
PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})  # reading one runs whatever its author put in
KINDS = {  # diffusers' name of what a single file holds -> how people call it
    "v1": "Stable Diffusion 1.x", "v2": "Stable Diffusion 2.x", "inpainting": "Stable Diffusion 1.x Inpainting",
    "inpainting_v2": "Stable Diffusion 2.x Inpainting", "xl_base": "SDXL", "xl_refiner": "SDXL Refiner",
    "xl_inpaint": "SDXL Inpainting", "playground-v2-5": "Playground 2.5", "upscale": "Stable Diffusion Upscaler",
    "ltx-video": "LTX-Video", "ltx-video-0.9.1": "LTX-Video", "ltx-video-0.9.5": "LTX-Video",
    "ltx-video-0.9.7": "LTX-Video", "wan-t2v-1.3B": "Wan 2.1 T2V 1.3B", "wan-t2v-14B": "Wan 2.1 T2V 14B",
    "wan-i2v-14B": "Wan 2.1 I2V 14B", "wan-vace-1.3B": "Wan VACE 1.3B", "wan-vace-14B": "Wan VACE 14B",
    "flux-dev": "FLUX.1", "flux-schnell": "FLUX.1", "flux-2-dev": "FLUX.2", "sd3": "Stable Diffusion 3",
    "sd35_medium": "Stable Diffusion 3.5", "sd35_large": "Stable Diffusion 3.5", "hunyuan-video": "HunyuanVideo",
    "controlnet": "ControlNet", "controlnet_xl_large": "ControlNet XL", "z-image-turbo": "Z-Image",
}  # fmt: skip

HELD = {  # how the names of tensors begin by which a single file holds more than the network
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}
UNFIT = {  # how names end that tell of weights which mean something else than they seem to -> how people call it
    "v_pred": "v-prediction", "scaled_fp8": "scaled fp8", ".scale_weight": "scaled fp8", ".weight_scale": "scaled fp8",
}  # fmt: skip


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


def read_single(file: Path, wanted: Mapping[str, Described], needed: Collection[str]) -> dict[str, Any]:
    """Modules by name from a single file: those of `wanted` that it holds. What it lacks, the folders have.

    Raises Refused where one that is `needed` is not in it, or one that it holds is another network."""
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    shapes = header(file)
    more = [name for name, starts in HELD.items() if any(key.startswith(starts) for key in shapes)]
    held = [*needed, *(name for name in wanted if name in more)]
    for sign, name in UNFIT.items():
        if any(key.endswith(sign) for key in shapes):
            found = f"{looks_like(file)}, {name}"
            raise Refused("model.wrong_architecture", file=file.name, wanted=_class_of(wanted[held[0]]), found=found)
    checkpoint = load_single_file_checkpoint(str(file), local_files_only=True)
    return {name: _module_of(file, checkpoint, wanted[name]) for name in held}


def _module_of(file: Path, checkpoint: Mapping[str, Any], what: Described) -> Any:
    """One network of a single file, by diffusers' own names or by those of the model's authors."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError, create_diffusers_clip_model_from_ldm

    library, kind = what.where.partition(":")[0], _class_of(what)
    cls = getattr(import_module(library), kind)
    read = partial(create_diffusers_clip_model_from_ldm, cls) if library == "transformers" else cls.from_single_file
    try:
        module = read(
            dict(checkpoint), config=str(what.folder.parent), subfolder=what.folder.name, torch_dtype=what.dtype,
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
    if spelled.suffix.lower() != ".safetensors":
        raise Refused("model.file_unknown", file=name)
    for home in shelf.homes(kind):
        path = (home / name).resolve()
        if not path.is_relative_to(home.resolve()):
            raise Refused("model.file_outside", file=name, folder=folder)
        if os.path.isfile(path):
            return path
    raise Refused("model.file_missing", file=name, folder=folder)


def header(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by key, and proof that the file is whole: its header says how long it must be.

    Raises Refused("model.not_safetensors")."""
    entries, size = header_of(file), file.stat().st_size
    if entries is None:
        raise Refused("model.not_safetensors", file=file.name)
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    whole = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if whole != size:
        raise Refused("model.file_cut", file=file.name, size=size, whole=whole)
    return {key: tuple(entry["shape"]) for key, entry in entries.items()}


def looks_like(file: Path) -> str:
    """What a single file seems to be, as people call it; its first key where nobody knows."""
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type

    from studio.pipelines.shelving import kind_of

    shapes = header(file)
    if kind_of(file) == "lora":
        return "LoRA"
    try:
        kind = infer_diffusers_model_type({key: _Shaped(shape) for key, shape in shapes.items()})
    except (KeyError, IndexError, AttributeError):
        kind = "v1"
    if kind == "v1" and not any(key.startswith("model.diffusion_model.input_blocks.") for key in shapes):
        return f"({next(iter(shapes), '-')})"  # their answer where nothing fits
    return KINDS.get(kind, kind)


def mark(path: Path) -> str:
    """What tells files from others without reading them: the commit of a snapshot, else names, sizes and times."""
    from studio.pipelines.diffusion.embeddings import digest

    if path.parent.parent.name == "snapshots" or path.parent.name == "snapshots":
        return path.name if path.parent.name == "snapshots" else path.parent.name
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    facts = [(str(file.relative_to(path.parent)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest(facts)[:16]


class _Shaped:
    """A tensor as far as `infer_diffusers_model_type` looks at it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]
