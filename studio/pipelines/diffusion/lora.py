"""LoRAs on a pipeline: small safetensors that change how a model draws. Knows no engine and no plan.

They come on as adapters beside the weights and are never fused, so that taking them off leaves every bit as it was. A
file is compared with the network before anything is changed: one of another model is refused by what it looks like.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.errors import Refused
from studio.pipelines.diffusion.checkpoints import find_file
from studio.pipelines.diffusion.signs import LORA_MARKS, Shapes, config_of, header, width_of

WANS = frozenset({"WanTransformer3DModel", "WanVACETransformer3DModel", "SkyReelsV2Transformer3DModel"})
UNETS = frozenset({"UNet2DConditionModel"})
LTXS = frozenset({"LTX2VideoTransformer3DModel"})


@dataclass(frozen=True, slots=True)
class Sign:
    """What keys of a LoRA tell of its model."""

    keys: str  # pattern of some of them
    name: str  # as people call it
    widths: Mapping[int, str] = field(default_factory=dict)  # of what some layer reads -> which size of it
    networks: frozenset[str] = frozenset()  # classes that it can fit
    telling: str = ""  # pattern of those keys whose layers read something as wide as `signs.width_of` says


# The first that matches
SIGNS = (
    Sign(r"double_blocks.*img_attn|single_transformer_blocks", "FLUX or HunyuanVideo"),
    Sign(r"lora_te2_|text_encoder_2|(^|_)add_k_proj.*joint", "SDXL", {}, UNETS, r"attn2[._]to_[kv]"),
    Sign(r"vace_blocks", "Wan VACE", {1536: "Wan VACE 1.3B", 5120: "Wan VACE 14B"},
         frozenset({"WanVACETransformer3DModel"}), r"(self_attn[._]|attn1[._]to_)[qkv]"),
    Sign(r"(^|\.|unet_)blocks[._]\d+[._](self_attn|cross_attn|ffn|attn1|attn2)", "Wan",
         {1536: "Wan 2.1 1.3B", 3072: "Wan 2.2 5B", 5120: "Wan 14B"}, WANS, r"(self_attn[._]|attn1[._]to_)[qkv]"),
    Sign(r"audio_attn|video_to_audio", "LTX-2", {}, LTXS, r"blocks[._]\d+[._]attn1[._]to_[qkv]"),
    Sign(r"(^|[._])transformer_blocks[._]\d+[._](img_mlp|attn[._]add_q_proj)", "Qwen-Image or Stable Diffusion 3"),
    Sign(r"down_blocks|input_blocks", "SDXL",
         {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}, UNETS, r"attn2[._]to_[kv]"),
    Sign(r"(^|[._])transformer_blocks[._]\d+[._]attn", "LTX-Video", {2048: "LTX-Video 2B", 4096: "LTX-Video 13B"},
         LTXS, r"blocks[._]\d+[._]attn1[._]to_[qkv]"),
)  # fmt: skip
INPUTS = r"lora_A|lora_down"  # the matrix of a pair that is as wide as what its layer reads
MAX_LORAS = 8


class Lora(BaseModel):
    """One of a scene's LoRAs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str = Field(min_length=1, max_length=400, description="below data/models/loras")
    weight: float = Field(1.0, ge=-4, le=4)

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        """`file`, or `file:weight` as a line of a form has it."""
        if not isinstance(value, str):
            return value
        file, colon, weight = value.rpartition(":")
        return {"file": file, "weight": weight} if colon else {"file": value}


@dataclass(frozen=True, slots=True)
class Stack:
    """LoRAs as they lie on disk now: what is on a pipeline is compared with what a scene wants."""

    loras: tuple[tuple[Path, float, int], ...] = ()  # file, weight, time of its last change in ns

    @classmethod
    def of(cls, wanted: Iterable[Lora]) -> "Stack":
        """Raises Refused: a file that is not there, a pickle, one outside of the models folder."""
        files = [(find_file(lora.file, "loras"), lora.weight) for lora in wanted if lora.weight]
        return cls(tuple((file, weight, file.stat().st_mtime_ns) for file, weight in files))

    def facts(self) -> list[dict[str, Any]]:
        return [{"file": file.name, "weight": weight} for file, weight, _ in self.loras]


def touched(stack: Stack) -> set[str]:
    """Text encoders that some of the LoRAs change too."""
    keys = [key for file, _, _ in stack.loras for key in header(file)]
    second = {"text_encoder_2"} if any(key.startswith(("text_encoder_2.", "lora_te2_")) for key in keys) else set()
    first = (
        {"text_encoder"} if any(key.startswith(("text_encoder.", "lora_te_", "lora_te1_")) for key in keys) else set()
    )
    return first | second


def put_on(pipe: Any, stack: Stack, networks: Mapping[str, Any]) -> None:
    """Adapters for all of the stack. `networks`: the denoising ones by name. Raises Refused and leaves nothing on."""
    names: list[str] = []
    if stack.loras and not hasattr(pipe, "load_lora_weights"):
        file = stack.loras[0][0]
        raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=_title(pipe))
    from studio.pipelines.diffusion.differences import add, apart

    try:
        for number, (file, weight, _) in enumerate(stack.loras):
            pairs, added = apart(file)
            name, state = f"lora{number}", _converted(pipe, file, pairs)
            _check(file, state, networks)
            add(pipe, file, networks, added, weight)
            names.append(name)
            for more in ({}, {"load_into_transformer_2": True}) if "transformer_2" in networks else ({},):
                _load(pipe, file, pairs, adapter_name=name, **more)
        if names:
            pipe.set_adapters(names, [weight for _, weight, _ in stack.loras])
    except BaseException:
        take_off(pipe)
        raise


def _load(pipe: Any, file: Path, pairs: dict[str, Any] | None, **named: Any) -> None:
    from studio.pipelines.diffusion.steps import out_of_memory

    try:
        pipe.load_lora_weights(_source(file, pairs), **_at(file), **named)
    except (ValueError, KeyError, RuntimeError) as error:  # matrices of another size for a text encoder
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=_title(pipe)) from error


def take_off(pipe: Any) -> None:
    """As if there never had been any."""
    from studio.pipelines.diffusion.differences import put_back

    pipe.unload_lora_weights()
    put_back(pipe)


def looks_like(file: Path) -> str:
    """The model that a LoRA was made for, as people call it; its first key where nobody knows."""
    shapes = header(file)
    sign, keys = _sign_of(shapes)
    if sign is None:
        return f"({next(iter(shapes), '-')})"
    inputs = {max(shapes[key][-1:], default=0) for key in keys if re.search(INPUTS, key)}
    return next((sign.widths[width] for width in sorted(sign.widths) if width in inputs), sign.name)


def check(file: Path, networks: Mapping[str, Path]) -> None:
    """As far as a header tells: may this LoRA lie on one of these networks? Their folders by their classes. One that
    nobody knows may: the network itself will tell. Raises Refused as `header` does, and "model.lora_unfit"."""
    shapes = header(file)
    sign, _ = _sign_of(shapes)
    fitting = {kind: folder for kind, folder in networks.items() if sign is None or kind in sign.networks}
    if fitting and sign is not None:
        read = {
            shapes[key][1] for key in shapes
            if len(shapes[key]) > 1 and re.search(INPUTS, key) and re.search(sign.telling, key)
        }  # fmt: skip
        fitting = {kind: one for kind, one in fitting.items() if not read or width_of(config_of(one)) in read}
    if not fitting or (sign is None and not any(mark in key for key in shapes for mark in LORA_MARKS)):
        raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=", ".join(networks))


def _sign_of(shapes: Shapes) -> tuple[Sign | None, list[str]]:
    """And the keys that tell it."""
    for sign in SIGNS:
        if keys := [key for key in shapes if re.search(sign.keys, key)]:
            return sign, keys
    return None, []


def _source(file: Path, pairs: Mapping[str, Any] | None) -> Any:
    return str(file.parent) if pairs is None else {key: tensor.clone() for key, tensor in pairs.items()}  # it is scaled


def _at(file: Path) -> dict[str, Any]:
    return {"weight_name": file.name, "local_files_only": True, "use_safetensors": True}


def _converted(pipe: Any, file: Path, pairs: dict[str, Any] | None) -> dict[str, Any]:
    """The tensors by diffusers' names, whoever named them. `pairs`: what is left of the file; None: all of it."""
    from diffusers.utils import convert_unet_state_dict_to_peft

    header(file)
    unet = getattr(pipe, "unet", None)  # its layout tells which of the first authors' blocks is which
    try:
        found = pipe.lora_state_dict(
            _source(file, pairs), **_at(file),
            **({"unet_config": unet.config} if unet is not None else {}),
        )  # fmt: skip
    except (ValueError, KeyError, RuntimeError, AttributeError, IndexError) as error:
        raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=_title(pipe)) from error
    state: dict[str, Any] = found[0] if isinstance(found, tuple) else found  # SD's comes with its alphas
    if unet is None:
        return state
    inner = {key: tensor for key, tensor in state.items() if key.startswith("unet.")}
    return {key.replace(".processor.", "."): tensor for key, tensor in convert_unet_state_dict_to_peft(inner).items()}


def _check(file: Path, state: Mapping[str, Any], networks: Mapping[str, Any]) -> None:
    """Every pair of matrices must lie beside a layer of its size."""
    fits = False
    for key, tensor in state.items():
        prefix, _, path = key.partition(".")
        layer, side, _ = path.partition(".lora_A.")
        if not side:
            continue
        for name, network in networks.items():
            if prefix in (name, name.removesuffix("_2")):
                module: Any = dict(network.named_modules()).get(layer)
                if not hasattr(module, "weight") or _inputs(module) != tensor.shape[1]:
                    wanted = f"{type(network).__name__}: {layer}"
                    raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=wanted)
                fits = True
    if not fits:
        wanted = ", ".join(type(network).__name__ for network in networks.values())
        raise Refused("model.lora_unfit", file=file.name, found=looks_like(file), wanted=wanted)


def _inputs(layer: Any) -> int:
    """Of a linear layer, however its weight is stored, or of a convolution."""
    return int(layer.in_features if hasattr(layer, "in_features") else layer.weight.shape[1])


def _title(pipe: Any) -> str:
    return type(pipe).__name__.removesuffix("Pipeline")
