"""What the names and shapes in a file of weights tell of its model. Reads headers only; knows no engine, no torch.

The app asks it before a run and workers ask it before they read, so that both say the same of a file.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.errors import Refused
from studio.pipelines.parts import header_of

Shapes = Mapping[str, tuple[int, ...]]
GGUF = ".gguf"
NO_GGUF = (ValueError, IndexError, KeyError, TypeError, OverflowError, OSError, MemoryError)  # what its reader raises
UNFIT = {  # how names end that tell of weights which mean something else than they seem to -> how people call it
    "v_pred": "v-prediction", "scaled_fp8": "scaled fp8", ".scale_weight": "scaled fp8", ".weight_scale": "scaled fp8",
}  # fmt: skip
PACKINGS = frozenset(  # that diffusers unpacks
    {
        "F32",
        "F16",
        "BF16",
        "Q8_0",
        "Q6_K",
        "Q5_0",
        "Q5_1",
        "Q5_K",
        "Q4_0",
        "Q4_1",
        "Q4_K",
        "Q3_K",
        "Q2_K",
        "IQ4_NL",
        "IQ4_XS",
    }
)
PLAIN = frozenset({"F32", "F16", "BF16"})  # those of them that are not packed
UNPACKING = 8  # bytes for each number of a layer while it is unpacked: its bits apart, scaled, and as it is used
LORA_MARKS = ("lora_", ".lora", "lora.", ".alpha", "hada_", "lokr_")

# Names of some tensor -> how people call the model. The first that is found says it; more exact ones come first.
KINDS: tuple[tuple[str, str], ...] = (
    (r"^(model\.diffusion_model\.)?(motion_encoder|face_adapter)\.", "Wan Animate"),
    (r"(^|\.)prompt_adaln(_single)?\.", "LTX-2.3"),
    (r"av_ca_a2v_gate_adaln_single|av_cross_attn_video_a2v_gate", "LTX-2"),
    (r"(^|\.)patchify_proj\.weight$|(^|\.)transformer_blocks\.27\.scale_shift_table$", "LTX-Video"),
    (r"^conditioner\.embedders\.0\.model\.", "SDXL Refiner"),
    (r"^conditioner\.embedders\.1\.", "SDXL"),
    (r"(^|\.)single_stream_modulation\.", "FLUX.2"),
    (r"(^|\.)double_blocks\.0\.img_attn\.norm\.key_norm\.scale$", "FLUX.1"),
    (r"(^|\.)txt_in\.individual_token_refiner\.", "HunyuanVideo"),
    (r"(^|\.)joint_blocks\.0\.", "Stable Diffusion 3"),
    (r"(^|\.)layers\.0\.adaLN_modulation\.0\.weight$", "Z-Image"),
    (r"^(control_model|controlnet_cond_embedding|input_hint_block)\.", "ControlNet"),
)
UNETS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 1280: "SDXL Refiner", 2048: "SDXL"}  # by the text
UNET = r"^(model\.diffusion_model\.input_blocks|(unet\.)?down_blocks)\."
LTX_PATCHES = r"(^|\.)(patchify_proj|proj_in)\.weight$"  # (D, C) of an LTX
WORDS = r"attn2\.to_k\.weight$"  # of a UNet: as wide as its text
PATCHES = "patch_embedding.weight"  # (D, C, 1, 2, 2) of a Wan
WANS = {  # (width, channels of a latent with what is given beside it) -> how people call it
    (1536, 16): "Wan 2.1 T2V 1.3B", (5120, 16): "Wan T2V 14B", (5120, 36): "Wan I2V 14B", (3072, 48): "Wan 2.2 TI2V 5B",
}  # fmt: skip
WAN_VACES = {1536: "Wan VACE 1.3B", 5120: "Wan VACE 14B"}
WAN_CLASSES = frozenset({"WanTransformer3DModel", "WanVACETransformer3DModel"})
WAN_NAMES = {  # of the model's authors -> of diffusers
    "self_attn": "attn1", "cross_attn": "attn2", "q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0",
    "k_img": "add_k_proj", "v_img": "add_v_proj", "norm_k_img": "norm_added_k", "norm3": "norm2", "norm2": "norm3",
    "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2", "head.modulation": "scale_shift_table",
    "modulation": "scale_shift_table", "head.head": "proj_out", "before_proj": "proj_in", "after_proj": "proj_out",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
}  # fmt: skip
_WAN_NAME = re.compile(
    r"(?<![^.])(" + "|".join(map(re.escape, sorted(WAN_NAMES, key=len, reverse=True))) + r")(?![^.])"
)


# ------------------------------------------------------------------------------------------------ headers
def header(file: Path) -> Shapes:
    """Shapes by key, and proof that the file is whole: its header says how long it must be.

    Raises Refused: "model.not_safetensors", "model.not_gguf", "model.gguf_kind", "model.file_cut"."""
    facts = file.stat()
    return _header(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=128)
def _header(file: Path, size: int, mtime: int) -> Shapes:
    if file.suffix.lower() == GGUF:
        return _of_gguf(file)
    entries = header_of(file)
    if entries is None:
        raise Refused("model.not_safetensors", file=file.name)
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    whole = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if whole != size:
        raise Refused("model.file_cut", file=file.name, size=size, whole=whole)
    return {key: tuple(entry["shape"]) for key, entry in entries.items()}


def _of_gguf(file: Path) -> Shapes:
    """Its reader lays every tensor over the file, so one that was cut off cannot be read."""
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(file).tensors
    except NO_GGUF as error:
        raise Refused("model.not_gguf", file=file.name) from error
    if unknown := {one.tensor_type.name for one in tensors} - PACKINGS:
        raise Refused("model.gguf_kind", file=file.name, kind=min(unknown))
    return {one.name: tuple(int(n) for n in reversed(one.shape)) for one in tensors}


def packed_bytes(file: Path, blocks: Iterable[str]) -> tuple[int, int, int, int]:
    """Bytes of a Wan in a GGUF: of all blocks together, of the rest, of the largest block, and what is needed beside
    while its largest layer is unpacked. `blocks`: how the names of what stays packed begin. Raises Refused."""
    header(file)
    facts = file.stat()
    return _packed_bytes(file, tuple(f"{one}." for one in blocks), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=128)
def _packed_bytes(file: Path, starts: tuple[str, ...], size: int, mtime: int) -> tuple[int, int, int, int]:
    from gguf import GGUFReader

    sums, rest, layer = dict[str, int](), 0, 0
    found = {tensor.name: tensor for tensor in GGUFReader(file).tensors}
    for name, key in wan_keys(found).items():
        tensor = found[key]
        numbers = int(tensor.n_elements)
        if not name.startswith(starts):
            rest += 2 * numbers
            continue
        packed = tensor.tensor_type.name not in PLAIN
        block = ".".join(name.split(".")[:2])
        sums[block] = sums.get(block, 0) + (int(tensor.n_bytes) if packed else 2 * numbers)
        layer = max(layer, UNPACKING * numbers * packed)
    return sum(sums.values()), rest, max(sums.values(), default=0), layer


def folder_header(folder: Path) -> Shapes:
    """Shapes by key of all weights of a part. Raises Refused."""
    return {key: shape for file in sorted(folder.glob("*.safetensors")) for key, shape in header(file).items()}


# ------------------------------------------------------------------------------------------------ words
def looks_like(file: Path) -> str:
    """What a single file seems to be, as people call it; its first key where nobody knows."""
    shapes = header(file)
    if sum(any(mark in key for mark in LORA_MARKS) for key in shapes) * 2 > len(shapes):
        return "LoRA"
    for pattern, name in KINDS:
        if any(re.search(pattern, key) for key in shapes):
            return name
    if (prefix := wan_prefix(shapes)) is not None:
        return _wan_name(shapes, prefix)
    if any(re.search(UNET, key) for key in shapes):
        texts = {shapes[key][-1] for key in shapes if re.search(WORDS, key)}
        return next((name for width, name in UNETS.items() if width in texts), UNETS[768])
    return f"({next(iter(shapes), '-')})"


def _wan_name(shapes: Shapes, prefix: str) -> str:
    width, channels = shapes[prefix + PATCHES][:2]
    if any(key.startswith(f"{prefix}vace_blocks.") for key in shapes):
        return WAN_VACES.get(width, "Wan VACE")
    return WANS.get((width, channels), "Wan")


def wan_prefix(shapes: Iterable[str]) -> str | None:
    """What stands before the names of a Wan's network: "model.diffusion_model." or nothing. None: it is no Wan."""
    ends = [key.removesuffix(PATCHES) for key in shapes if key.endswith(PATCHES)]
    return next((start for start in ends if not start or start.endswith(".")), None)


# ------------------------------------------------------------------------------------------------ fits
def check(file: Path, wanted: str, folder: Path) -> None:
    """As far as a header tells: may this file stand for the network of class `wanted` that `folder` describes?

    Raises Refused as `header` does, "model.wrong_architecture", "model.checkpoint_lacks", "model.gguf_unfit"."""
    shapes, looks = header(file), looks_like(file)
    for sign, name in UNFIT.items():
        if any(key.endswith(sign) for key in shapes):
            raise Refused("model.wrong_architecture", file=file.name, wanted=wanted, found=f"{looks}, {name}")
    if wanted in WAN_CLASSES:
        check_wan(file, wanted, folder_header(folder))
        return
    if file.suffix.lower() == GGUF:
        raise Refused("model.gguf_unfit", file=file.name, wanted=wanted)
    fits = CHECKS.get(wanted)
    if looks == "LoRA" or (fits and not fits(shapes, config_of(folder))):
        raise Refused("model.wrong_architecture", file=file.name, wanted=wanted, found=looks)


def _unet_fits(shapes: Shapes, config: Mapping[str, Any]) -> bool:
    texts = {shapes[key][-1] for key in shapes if re.search(WORDS, key)}
    return any(re.search(UNET, key) for key in shapes) and (not texts or width_of(config) in texts)


def _ltx_fits(shapes: Shapes, config: Mapping[str, Any]) -> bool:
    """With sound, as wide, and of the same generation."""
    found = {shapes[key] for key in shapes if re.search(LTX_PATCHES, key)}
    newer = any("prompt_adaln" in key for key in shapes)
    return (
        (width_of(config), config["in_channels"]) in found
        and any("audio_attn" in key for key in shapes)
        and newer == bool(config["cross_attn_mod"])
    )


CHECKS: Mapping[str, Callable[[Shapes, Mapping[str, Any]], bool]] = {
    "UNet2DConditionModel": _unet_fits, "LTX2VideoTransformer3DModel": _ltx_fits,
}  # fmt: skip


def config_of(folder: Path) -> dict[str, Any]:
    """How a part describes itself."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return found


def width_of(config: Mapping[str, Any]) -> int:
    """Of a token in a transformer; of the text in a UNet."""
    if "UNet" in str(config.get("_class_name", "")):
        return int(config["cross_attention_dim"])
    return int(config["num_attention_heads"] * config["attention_head_dim"])


# ------------------------------------------------------------------------------------------------ Wan
def wan_keys(keys: Iterable[str]) -> dict[str, str]:
    """By diffusers' name: the key of each tensor of a Wan's network, whoever named it; none of what else is there."""
    keys = list(keys)
    prefix = wan_prefix(keys)
    if prefix is None:
        return {}
    inner = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    authors = any(".self_attn." in key for key in inner)
    return {_WAN_NAME.sub(lambda m: WAN_NAMES[m[1]], key) if authors else key: prefix + key for key in inner}


def check_wan(file: Path, wanted: str, published: Shapes) -> dict[str, str]:
    """Keys of the file by the names of the network that it must be. `wanted`: that network's class. `published`: its
    shapes. Raises Refused naming what differs, then what is missing, then what is too much."""
    shapes = header(file)
    keys, looks = wan_keys(shapes), looks_like(file)
    if not keys or looks == "LoRA":
        raise Refused("model.wrong_architecture", file=file.name, wanted=wanted, found=looks)
    for name in sorted(published, key=lambda name: (name != PATCHES, name)):
        if name in keys and _long(shapes[keys[name]]) != _long(published[name]):
            raise Refused(
                "model.wrong_architecture", file=file.name, wanted=f"{wanted} ({name}: {_times(published[name])})",
                found=f"{looks} ({_times(shapes[keys[name]])})",
            )  # fmt: skip
    if missing := sorted(set(published) - set(keys)):
        raise Refused("model.checkpoint_lacks", file=file.name, wanted=f"{wanted} ({missing[0]})", found=looks)
    if more := sorted(set(keys) - set(published)):
        raise Refused("model.wrong_architecture", file=file.name, wanted=wanted, found=f"{looks} ({more[0]})")
    return keys


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    """Without sides of one, which some writers leave out."""
    return tuple(side for side in shape if side != 1)


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
