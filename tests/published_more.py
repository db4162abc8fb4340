"""Published configurations of the Stable Diffusion, Stable Video Diffusion and LTX-2 families, built without weights.

Each is what the repository's own config.json says; docs/models.md cites where it was read. On the meta device a model
of 19 billion parameters is built in a second and holds nothing.
"""

from collections.abc import Callable
from typing import Any

import torch

UNET_SD = {
    "sample_size": 64, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}  # fmt: skip
UNET_SDXL = {
    "sample_size": 128, "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280], "use_linear_projection": True,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
UNET_SVD = {"num_frames": 25, "num_attention_heads": [5, 10, 20, 20], "sample_size": 96}
KL = {
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
LTX_AUDIO_VAE = {
    "base_channels": 128, "output_channels": 2, "ch_mult": (1, 2, 4), "num_res_blocks": 2, "in_channels": 2,
    "resolution": 256, "latent_channels": 8, "norm_type": "pixel", "causality_axis": "height", "sample_rate": 16000,
    "mel_hop_length": 160, "is_causal": True, "mel_bins": 64, "double_z": True,
}  # fmt: skip
LTX20_VAE = {
    "latent_channels": 128, "block_out_channels": (256, 512, 1024, 2048),
    "decoder_block_out_channels": (256, 512, 1024),
    "layers_per_block": (4, 6, 6, 2, 2), "decoder_layers_per_block": (5, 5, 5, 5), "patch_size": 4, "patch_size_t": 1,
    "decoder_spatio_temporal_scaling": (True,) * 3, "decoder_inject_noise": (False,) * 4, "upsample_factor": (2, 2, 2),
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"), "upsample_residual": (True,) * 3,
    "upsample_type": ("spatiotemporal",) * 3, "encoder_causal": True, "decoder_causal": False,
    "decoder_spatial_padding_mode": "reflect", "spatial_compression_ratio": 32, "temporal_compression_ratio": 8,
}  # fmt: skip
LTX23_VAE = {
    "latent_channels": 128, "block_out_channels": (256, 512, 1024, 1024),
    "decoder_block_out_channels": (256, 512, 512, 1024), "layers_per_block": (4, 6, 4, 2, 2),
    "decoder_layers_per_block": (4, 6, 4, 2, 2), "patch_size": 4, "patch_size_t": 1,
    "decoder_spatio_temporal_scaling": (True,) * 4, "decoder_inject_noise": (False,) * 5,
    "upsample_factor": (2, 2, 1, 2), "upsample_residual": (False,) * 4,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
    "encoder_causal": True, "decoder_causal": False, "decoder_spatial_padding_mode": "zeros",
    "spatial_compression_ratio": 32, "temporal_compression_ratio": 8,
}  # fmt: skip
LTX20_DIT = {"rope_type": "split"}
LTX23_DIT = {
    "rope_type": "split", "gated_attn": True, "cross_attn_mod": True, "audio_gated_attn": True,
    "audio_cross_attn_mod": True, "use_prompt_embeddings": False, "perturbed_attn": True,
}  # fmt: skip
LTX20_CONNECTORS = {"rope_type": "split"}
LTX23_CONNECTORS = {
    "rope_type": "split", "video_connector_num_attention_heads": 32, "video_connector_num_layers": 8,
    "video_gated_attn": True, "audio_connector_num_attention_heads": 32, "audio_connector_attention_head_dim": 64,
    "audio_connector_num_layers": 8, "audio_gated_attn": True, "per_modality_projections": True, "proj_bias": True,
}  # fmt: skip
LTX23_VOCODER = {"act_fn": "snakebeta", "antialias": True, "bwe_act_fn": "snakebeta", "bwe_antialias": True}


def diffuser(name: str, **config: Any) -> torch.nn.Module:
    import diffusers
    from diffusers.pipelines.ltx2 import connectors, vocoder

    cls = next(getattr(module, name) for module in (diffusers, connectors, vocoder) if hasattr(module, name))
    return cls(**config)


def clip_text(name: str, **config: Any) -> torch.nn.Module:
    import transformers

    return getattr(transformers, name)(transformers.CLIPTextConfig(vocab_size=49408, **config))


def clip_image() -> torch.nn.Module:
    """laion/CLIP-ViT-H-14."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=16, projection_dim=1024,
        patch_size=14, image_size=224, hidden_act="gelu",
    ))  # fmt: skip


def gemma3_12b() -> torch.nn.Module:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

    text = Gemma3TextConfig(
        vocab_size=262208, hidden_size=3840, intermediate_size=15360, num_hidden_layers=48, num_attention_heads=16,
        num_key_value_heads=8, head_dim=256, sliding_window=1024,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, image_size=896,
        patch_size=14, vision_use_head=False,
    )  # fmt: skip
    return Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision))


def _clip_l() -> torch.nn.Module:
    return clip_text("CLIPTextModel", hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                     num_attention_heads=12, projection_dim=768)  # fmt: skip


def _clip_g() -> torch.nn.Module:
    return clip_text("CLIPTextModelWithProjection", hidden_size=1280, intermediate_size=5120, num_hidden_layers=32,
                     num_attention_heads=20, projection_dim=1280)  # fmt: skip


def _clip_h() -> torch.nn.Module:
    """OpenCLIP ViT-H without its last layer, as Stable Diffusion 2 has it."""
    return clip_text("CLIPTextModel", hidden_size=1024, intermediate_size=4096, num_hidden_layers=23,
                     num_attention_heads=16, projection_dim=512)  # fmt: skip


def _ltx_shared() -> dict[str, Callable[[], torch.nn.Module]]:
    return {"text_encoder": gemma3_12b, "audio_vae": lambda: diffuser("AutoencoderKLLTX2Audio", **LTX_AUDIO_VAE)}


PUBLISHED: dict[str, dict[str, Callable[[], torch.nn.Module]]] = {  # engine -> part -> how it is built
    "sd-turbo": {
        "unet": lambda: diffuser("UNet2DConditionModel", **UNET_SD),
        "text_encoder": _clip_h,
        "vae": lambda: diffuser("AutoencoderKL", **KL),
    },
    "sdxl": {
        "unet": lambda: diffuser("UNet2DConditionModel", **UNET_SDXL),
        "text_encoder": _clip_l,
        "text_encoder_2": _clip_g,
        "vae": lambda: diffuser("AutoencoderKL", **KL),
    },
    "svd-xt": {
        "unet": lambda: diffuser("UNetSpatioTemporalConditionModel", **UNET_SVD),
        "image_encoder": clip_image,
        "vae": lambda: diffuser("AutoencoderKLTemporalDecoder", block_out_channels=KL["block_out_channels"],
                                layers_per_block=2, down_block_types=KL["down_block_types"]),
    },
    "ltx2": {
        **_ltx_shared(),
        "transformer": lambda: diffuser("LTX2VideoTransformer3DModel", **LTX20_DIT),
        "connectors": lambda: diffuser("LTX2TextConnectors", **LTX20_CONNECTORS),
        "vae": lambda: diffuser("AutoencoderKLLTX2Video", **LTX20_VAE),
        "vocoder": lambda: diffuser("LTX2Vocoder"),
    },
    "ltx2.3-distilled": {
        **_ltx_shared(),
        "transformer": lambda: diffuser("LTX2VideoTransformer3DModel", **LTX23_DIT),
        "connectors": lambda: diffuser("LTX2TextConnectors", **LTX23_CONNECTORS),
        "vae": lambda: diffuser("AutoencoderKLLTX2Video", **LTX23_VAE),
        "vocoder": lambda: diffuser("LTX2VocoderWithBWE", **LTX23_VOCODER),
    },
}  # fmt: skip


def build(engine_id: str, part: str) -> torch.nn.Module:
    """One part of a published model on the meta device."""
    with torch.device("meta"):
        return PUBLISHED[engine_id][part]().to("meta").eval()  # a legacy constructor makes some scalars on the CPU
