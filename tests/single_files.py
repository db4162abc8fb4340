"""Checkpoints as people trade them: a whole Stable Diffusion or LTX-2 in one file, or a Wan's network alone, with the
names of their first authors.

Written here by hand, name by name, so that what reads them is compared with something that is not itself.
"""

import re
from typing import Any

import torch

State = dict[str, torch.Tensor]

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}  # fmt: skip
VAE = (
    (r"^(encoder\.down)_blocks", r"\1"), (r"resnets\.", "block."), (r"(down|up)samplers\.0", r"\1sample"),
    (r"mid_block\.block\.0", "mid.block_1"), (r"mid_block\.block\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"), (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"), (r"attn_1\.to_([qkv])", r"attn_1.\1"), (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
)  # fmt: skip


def traded(pipe: Any, *without: str) -> State:
    """The tensors of a pipeline's parts in one file, the first step of a training beside them. `without`: parts."""
    second = getattr(pipe, "text_encoder_2", None)
    state = {f"model.diffusion_model.{key}": tensor for key, tensor in unet(pipe.unet).items()}
    state["model_ema.decay"] = torch.tensor(0.9999)
    if "vae" not in without:
        state |= {f"first_stage_model.{key}": tensor for key, tensor in vae(pipe.vae).items()}
    if "text_encoder" not in without:
        state |= (
            {f"conditioner.embedders.0.transformer.{key}": tensor for key, tensor in clip(pipe.text_encoder).items()}
            if second
            else {f"cond_stage_model.model.{key}": tensor for key, tensor in open_clip(pipe.text_encoder).items()}
        )
    if second and "text_encoder_2" not in without:
        state |= {f"conditioner.embedders.1.model.{key}": tensor for key, tensor in open_clip(second).items()}
    return {key: tensor.contiguous().clone() for key, tensor in state.items()}


def unet(network: Any) -> State:
    layers = network.config.layers_per_block + 1
    state = {unet_key(key, layers): tensor for key, tensor in network.state_dict().items()}
    attentive = {key.partition(".1.transformer_blocks")[0] for key in state if ".1.transformer_blocks" in key}
    return {
        re.sub(r"^(output_blocks\.\d+)\.UP", lambda m: f"{m[1]}.{2 if m[1] in attentive else 1}", key): tensor
        for key, tensor in state.items()
    }


def unet_key(key: str, layers: int) -> str:
    """`layers`: input blocks of a down block, or output blocks of an up block."""
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", key)
    if not found:
        start = next(start for start in UNET if key.startswith(f"{start}."))
        rest = key.removeprefix(f"{start}.")
        return f"{UNET[start]}.{resnet(rest) if 'resnets' in start else rest}"
    way, block, what, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if what == "downsamplers":
        return f"input_blocks.{(block + 1) * layers}.0.{rest.replace('conv', 'op')}"
    if what == "upsamplers":  # the last of its block, after an attention where there is one
        return f"output_blocks.{(block + 1) * layers - 1}.UP.{rest}"
    place = block * layers + number
    start = f"input_blocks.{1 + place}" if way == "down" else f"output_blocks.{place}"
    return f"{start}.0.{resnet(rest)}" if what == "resnets" else f"{start}.1.{rest}"


def resnet(rest: str) -> str:
    name, _, kind = rest.partition(".")
    return f"{RESNET[name]}.{kind}"


def vae(network: Any) -> State:
    blocks = len(network.config.up_block_types)
    found = {}
    for key, tensor in network.state_dict().items():
        name = re.sub(r"^decoder\.up_blocks\.(\d+)", lambda m: f"decoder.up.{blocks - 1 - int(m[1])}", key)
        for pattern, new in VAE:
            name = re.sub(pattern, new, name)
        squares = ".mid.attn_1." in f".{name}" and tensor.dim() == 2  # they were convolutions of one pixel
        found[name] = tensor[:, :, None, None] if squares else tensor
    return found


def clip(encoder: Any) -> State:
    """As OpenAI's file has it, in the words of transformers of that time."""
    state = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in encoder.state_dict().items()}
    return {**state, "text_model.embeddings.position_ids": torch.arange(77)[None]}


def open_clip(encoder: Any) -> State:
    """As OpenCLIP has it: queries, keys and values in one matrix."""
    state = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    found = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"], "ln_final.bias": state["final_layer_norm.bias"],
        "logit_scale": torch.tensor(4.6),
        "text_projection": state.get("text_projection.weight", torch.eye(encoder.config.hidden_size)).T,
    }  # fmt: skip
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}  # fmt: skip
    for number in range(encoder.config.num_hidden_layers):
        layer, block = f"encoder.layers.{number}", f"transformer.resblocks.{number}"
        for kind in ("weight", "bias"):
            joined = [state[f"{layer}.self_attn.{one}_proj.{kind}"] for one in "qkv"]
            found[f"{block}.attn.in_proj_{kind}"] = torch.cat(joined)
            found |= {f"{block}.{new}.{kind}": state[f"{layer}.{old}.{kind}"] for old, new in names.items()}
    return found


# ------------------------------------------------------------------------------------------------ Wan
WAN = (
    (r"^condition_embedder\.(time|text)_embedder\.linear_1", r"\1_embedding.0"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_2", r"\1_embedding.2"),
    (r"^condition_embedder\.time_proj", "time_projection.1"),
    (r"^condition_embedder\.image_embedder\.norm1", "img_emb.proj.0"),
    (r"^condition_embedder\.image_embedder\.ff\.net\.0\.proj", "img_emb.proj.1"),
    (r"^condition_embedder\.image_embedder\.ff\.net\.2", "img_emb.proj.3"),
    (r"^condition_embedder\.image_embedder\.norm2", "img_emb.proj.4"),
    (r"^scale_shift_table", "head.modulation"), (r"^proj_out", "head.head"), (r"scale_shift_table", "modulation"),
    (r"\.proj_in\.", ".before_proj."), (r"\.proj_out\.", ".after_proj."), (r"\.norm2\.", ".norm3."),
    (r"\.attn1\.", ".self_attn."), (r"\.attn2\.", ".cross_attn."), (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."), (r"\.add_([kv])_proj\.", r".\1_img."), (r"\.norm_added_k\.", ".norm_k_img."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."), (r"\.ffn\.net\.2\.", ".ffn.2."),
)  # fmt: skip


def wan(network: Any, prefix: str = "") -> State:
    """The network alone, as Alibaba names it."""
    return {f"{prefix}{_renamed(key, WAN)}": tensor.clone() for key, tensor in network.state_dict().items()}


# ------------------------------------------------------------------------------------------------ LTX-2
LTX = (
    (r"^audio_proj_in", "audio_patchify_proj"), (r"^proj_in", "patchify_proj"),
    (r"^(audio_)?time_embed\.", r"\1adaln_single."), (r"^(audio_)?prompt_adaln\.", r"\1prompt_adaln_single."),
    (r"^av_cross_attn_(video|audio)_scale_shift", r"av_ca_\1_scale_shift_adaln_single"),
    (r"^av_cross_attn_video_a2v_gate", "av_ca_a2v_gate_adaln_single"),
    (r"^av_cross_attn_audio_v2a_gate", "av_ca_v2a_gate_adaln_single"),
    (r"(video|audio)_a2v_cross_attn_scale_shift_table", r"scale_shift_table_a2v_ca_\1"),
    (r"norm_([qk])\.", r"\1_norm."),
)  # fmt: skip
LTX_VAE = (
    (r"resnets\.", "res_blocks."), (r"^latents_mean", "per_channel_statistics.mean-of-means"),
    (r"^latents_std", "per_channel_statistics.std-of-means"),
)  # fmt: skip


def ltx(parts: Any, *without: str) -> State:
    """All of LTX-2 that its authors put in one file, as far as the tests have it."""
    state = {f"model.diffusion_model.{_renamed(k, LTX)}": t for k, t in parts["transformer"].state_dict().items()}
    state["model.diffusion_model.video_embeddings_connector.learnable_registers"] = torch.zeros(8, 16)
    if "vae" not in without:
        state |= {f"vae.{_ltx_vae(key)}": tensor for key, tensor in parts["vae"].state_dict().items()}
        state["vae.per_channel_statistics.mean-of-stds"] = torch.zeros(4)
    state["audio_vae.decoder.conv_in.conv.bias"] = torch.zeros(4)  # with the vocoder: nobody reads them from here
    return {key: tensor.contiguous().clone() for key, tensor in state.items()}


def _ltx_vae(key: str) -> str:
    """Its blocks lie in one list: what works, what makes smaller or larger, and so on."""
    key = re.sub(r"^encoder\.down_blocks\.(\d+)\.downsamplers\.0", lambda m: f"encoder.DOWN.{2 * int(m[1]) + 1}", key)
    key = re.sub(r"^encoder\.down_blocks\.(\d+)", lambda m: f"encoder.DOWN.{2 * int(m[1])}", key)
    key = re.sub(r"^decoder\.up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"decoder.UP.{2 * int(m[1]) + 1}", key)
    key = re.sub(r"^decoder\.up_blocks\.(\d+)", lambda m: f"decoder.UP.{2 * int(m[1]) + 2}", key)
    key = key.replace("encoder.mid_block", "encoder.DOWN.8").replace("decoder.mid_block", "decoder.UP.0")
    return _renamed(key.replace("DOWN", "down_blocks").replace("UP", "up_blocks"), LTX_VAE)


def _renamed(key: str, names: Any) -> str:
    for pattern, new in names:
        key = re.sub(pattern, new, key)
    return key
