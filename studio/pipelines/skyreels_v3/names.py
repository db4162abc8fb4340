"""What SkyReels-V3 and InfiniteTalk call their weights and settings, in our words. Knows names and shapes, no files.

Both use the names of the original Wan ("self_attn", "head.head"); diffusers has the table that makes them its own, and
our networks are built of diffusers' parts. Weights that carry diffusers' names already stay as they are.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from studio.errors import Refused

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

PREFIXES = ("model.diffusion_model.", "diffusion_model.")  # that tools put before every name
OURS = re.compile(r"(^|\.)(attn[12]\.|condition_embedder\.|proj_out\.|scale_shift_table)")  # in no original name
HEAD_WIDTH = 128  # of every published network; where a configuration does not say how many heads there are
VAE_FRAMES = 4  # frames in a latent one
WAV2VEC_WIDTH = 768  # channels of a layer of chinese-wav2vec2-base
IGNORED = ("norm_added_q",)  # in some files, of no use
ESSENTIAL = (
    "patch_embedding.weight", "condition_embedder.time_embedder.linear_1.weight",
    "condition_embedder.text_embedder.linear_1.weight", "blocks.0.attn1.to_q.weight", "blocks.0.ffn.net.0.proj.weight",
    "proj_out.weight",
)  # fmt: skip
MARKS = {  # a part that only this kind of network has -> how people call it; the first that is found counts
    "audio_proj.proj1.weight": "SkyReels-V3 A2V, InfiniteTalk",
    "vace_patch_embedding.weight": "Wan VACE",
    "condition_embedder.image_embedder.norm1.weight": "Wan 2.1 I2V",
}
PLAIN = "SkyReels-V3 R2V, V2V"  # Wan 2.1 T2V: nothing in the weights tells these apart


def renamed(names: Iterable[str]) -> dict[str, str]:
    """{our name: the name it was published under}."""
    published = {_bare(name): name for name in names}
    if any(OURS.search(name) for name in published):
        return published
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    found: dict[str, str] = convert_wan_transformer_to_diffusers(dict(published))  # it moves what it is given
    return found


def converted(state: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """The same tensors under our names."""
    return {ours: state[published] for ours, published in renamed(state).items()}


def _bare(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


# ------------------------------------------------------------------------------------------------ which network
def kind_of(shapes: Shapes) -> str:
    """Which network weights are of, as people call it; "" where nobody can tell. Under any names."""
    ours = renamed(shapes)
    marks = (found for mark, found in MARKS.items() if mark in ours)
    return next(marks, "" if set(ESSENTIAL) - ours.keys() else PLAIN)


def check(network: Shapes, shapes: Shapes, wanted: str, file: str = "-") -> None:
    """Are these the weights of that network? `network`: what it is built of, under our names; `shapes`: what there is,
    under any. `wanted`: what the network is called. `file`: where the weights are from, for the words.

    Raises Refused: "model.wrong_network", "model.wrong_network_more", "model.wrong_network_shape"."""
    given = {ours: shapes[published] for ours, published in renamed(shapes).items()}
    said = {"wanted": wanted, "file": file, "found": kind_of(shapes) or "-"}
    missing = sorted(network.keys() - given.keys())
    if missing:
        raise Refused("model.wrong_network", name=_part(missing[0], given), **said)
    more = sorted(name for name in given.keys() - network.keys() if not any(word in name for word in IGNORED))
    if more:
        raise Refused("model.wrong_network_more", name=_part(more[0], network), **said)
    for name, shape in network.items():
        if tuple(given[name]) != tuple(shape):
            sizes = {"there": _size(given[name]), "needed": _size(shape)}
            raise Refused("model.wrong_network_shape", name=name, **sizes, **said)


def _part(name: str, others: Iterable[str]) -> str:
    """The whole part by its name where the others have nothing of it: "audio_proj"."""
    part = name.partition(".")[0]
    return name if any(other.startswith(part + ".") for other in others) else part


def _size(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


# ------------------------------------------------------------------------------------------------ its configuration
def config_of(config: Mapping[str, Any], shapes: Shapes, file: str = "-") -> dict[str, Any]:
    """Arguments of the network's class. `config`: as it was published, in the original's words or in diffusers';
    `shapes`: of the weights, which say everything but the number of heads. With sound: arguments of
    WanAudioTransformer3DModel, else those of WanTransformer3DModel. `file`: for the words of an error.

    Raises Refused("model.wrong_network"), ("model.heads_unknown")."""
    given = {ours: tuple(shapes[published]) for ours, published in renamed(shapes).items()}
    for name in ESSENTIAL:
        if name not in given:
            raise Refused("model.wrong_network", name=name, wanted="Wan", file=file, found=kind_of(shapes) or "-")
    dim, in_channels, *patch = given["patch_embedding.weight"]
    heads = config.get("num_heads") or config.get("num_attention_heads") or dim // HEAD_WIDTH
    if not heads or dim % heads:
        raise Refused("model.heads_unknown", file=file, width=dim, heads=heads)
    found: dict[str, Any] = {
        "patch_size": tuple(patch),
        "num_attention_heads": heads,
        "attention_head_dim": dim // heads,
        "in_channels": in_channels,
        "out_channels": given["proj_out.weight"][0] // math.prod(patch),
        "text_dim": given["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": given["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": given["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": 1 + max(int(name.split(".")[1]) for name in given if name.startswith("blocks.")),
        "cross_attn_norm": "blocks.0.norm2.weight" in given,
        "eps": config.get("eps", 1e-6),
        **_of_pictures(given),
        **({"rope_max_seq_len": config["rope_max_seq_len"]} if "rope_max_seq_len" in config else {}),
    }
    return found | (_of_sound(config, given) if "audio_proj.proj1.weight" in given else {})


def _of_pictures(given: Shapes) -> dict[str, Any]:
    """Of a network that sees a picture through CLIP."""
    names = {
        "image_dim": ("condition_embedder.image_embedder.norm1.weight", 0),
        "added_kv_proj_dim": ("blocks.0.attn2.add_k_proj.weight", 1),
        "pos_embed_seq_len": ("condition_embedder.image_embedder.pos_embed", 1),
    }
    return {setting: given[name][axis] for setting, (name, axis) in names.items() if name in given}


def _of_sound(config: Mapping[str, Any], given: Shapes) -> dict[str, Any]:
    """The first latent frame hears a window of the sound's frames, the others a window and what VAE_FRAMES add."""
    frames = config.get("vae_scale", VAE_FRAMES)
    inner, window_width = given["audio_proj.proj1.weight"]
    features = (given["audio_proj.proj1_vf.weight"][1] - window_width) // (frames - 1)  # layers * channels
    audio_dim = given["blocks.0.audio_attn2.kv_linear.weight"][1]
    channels = WAV2VEC_WIDTH if features % WAV2VEC_WIDTH == 0 else features
    return {
        "vae_scale": frames,
        "audio_window": window_width // features,
        "audio_layers": features // channels,
        "audio_channels": channels,
        "audio_inner_dim": inner,
        "audio_dim": audio_dim,
        "audio_tokens": given["audio_proj.proj3.weight"][0] // audio_dim,
        "norm_audio": "audio_proj.norm.weight" in given,
        "norm_audio_query": "blocks.0.norm_x.weight" in given,
    }
