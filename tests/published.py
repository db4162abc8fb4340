"""Published configurations of the Wan family, built without weights: what each repository's config.json says.

docs/models.md cites where each was read. On the meta device a model of 19 billion parameters is built in a second and
holds nothing.
"""

from collections.abc import Callable
from typing import Any

import torch

DIT = {
    "attention_head_dim": 128, "cross_attn_norm": True, "eps": 1e-6, "freq_dim": 256, "in_channels": 16,
    "out_channels": 16, "patch_size": (1, 2, 2), "qk_norm": "rms_norm_across_heads", "text_dim": 4096,
}  # fmt: skip
SMALL = DIT | {"num_attention_heads": 12, "num_layers": 30, "ffn_dim": 8960}
LARGE = DIT | {"num_attention_heads": 40, "num_layers": 40, "ffn_dim": 13824}
TI2V = DIT | {
    "num_attention_heads": 24, "num_layers": 30, "ffn_dim": 14336, "in_channels": 48, "out_channels": 48,
}  # fmt: skip
I2V = LARGE | {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}
I2V_A14B = LARGE | {"in_channels": 36}
VACE_SMALL = SMALL | {"vace_layers": list(range(0, 30, 2)), "vace_in_channels": 96}
VACE_LARGE = LARGE | {"vace_layers": list(range(0, 40, 5)), "vace_in_channels": 96}
UMT5_XXL = {
    "vocab_size": 256_384, "d_model": 4096, "d_kv": 64, "d_ff": 10_240, "num_layers": 24, "num_heads": 64,
    "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32,
}  # fmt: skip
CLIP_H = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "projection_dim": 1024, "hidden_act": "gelu",
}  # fmt: skip
VAE22 = {
    "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "in_channels": 12, "out_channels": 12, "is_residual": True,
    "patch_size": 2, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48, "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2, "temperal_downsample": [False, True, True], "scale_factor_spatial": 16,
    "scale_factor_temporal": 4,
}  # fmt: skip


def wan(**config: Any) -> torch.nn.Module:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**config)


def vace(**config: Any) -> torch.nn.Module:
    from diffusers import WanVACETransformer3DModel

    return WanVACETransformer3DModel(**config)


def skyreels(**config: Any) -> torch.nn.Module:
    from diffusers import SkyReelsV2Transformer3DModel

    return SkyReelsV2Transformer3DModel(**config)


def umt5(**config: Any) -> torch.nn.Module:
    from transformers import UMT5Config, UMT5EncoderModel

    model = UMT5EncoderModel(UMT5Config(**config))
    model.encoder.embed_tokens = model.shared  # on the meta device the tie is lost
    return model


def clip(**config: Any) -> torch.nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(**config))


def wan_vae(**config: Any) -> torch.nn.Module:
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(**config)


TEXT: tuple[Callable[..., torch.nn.Module], dict[str, Any]] = (umt5, UMT5_XXL)
VAE: tuple[Callable[..., torch.nn.Module], dict[str, Any]] = (wan_vae, {})

# engine -> part -> (what builds it, its configuration)
PUBLISHED: dict[str, dict[str, tuple[Callable[..., torch.nn.Module], dict[str, Any]]]] = {
    "wan2.1-t2v-1.3b": {"transformer": (wan, SMALL), "text_encoder": TEXT, "vae": VAE},
    "wan2.1-t2v-14b": {"transformer": (wan, LARGE), "text_encoder": TEXT, "vae": VAE},
    "wan2.1-i2v-14b": {
        "transformer": (wan, I2V), "text_encoder": TEXT, "vae": VAE, "image_encoder": (clip, CLIP_H),
    },
    "wan2.2-ti2v-5b": {"transformer": (wan, TI2V), "text_encoder": TEXT, "vae": (wan_vae, VAE22)},
    "wan2.2-t2v-a14b": {
        "transformer": (wan, LARGE), "transformer_2": (wan, LARGE), "text_encoder": TEXT, "vae": VAE,
    },
    "wan2.2-i2v-a14b": {
        "transformer": (wan, I2V_A14B), "transformer_2": (wan, I2V_A14B), "text_encoder": TEXT, "vae": VAE,
    },
    "wan2.1-vace-1.3b": {"transformer": (vace, VACE_SMALL), "text_encoder": TEXT, "vae": VAE},
    "wan2.1-vace-14b": {"transformer": (vace, VACE_LARGE), "text_encoder": TEXT, "vae": VAE},
    "skyreels-v2-df-1.3b": {
        "transformer": (skyreels, SMALL | {"inject_sample_info": True}), "text_encoder": TEXT, "vae": VAE,
    },
    "skyreels-v2-df-14b": {
        "transformer": (skyreels, LARGE | {"inject_sample_info": False}), "text_encoder": TEXT, "vae": VAE,
    },
}  # fmt: skip


def build(engine: str, part: str) -> torch.nn.Module:
    """One part as it is published, on the meta device, in float32."""
    make, config = PUBLISHED[engine][part]
    with torch.device("meta"):
        return make(**config)
