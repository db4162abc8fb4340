"""Real pipeline classes at tiny size with random weights, built offline, as folders like those that are published.

`build("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", folder)` writes one repository. Recipes follow the published layouts: the
same classes, the same files, only small numbers.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tiny_models_more
import tiny_models_skyreels
import tiny_models_speech

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"


def t5_tokenizer() -> Any:
    """T5Tokenizer with one piece per character: 4 specials and 84 pieces."""
    from transformers import T5Tokenizer

    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    vocab += [(c, -3.0) for c in CHARACTERS] + [("\u2581" + c, -3.5) for c in CHARACTERS]
    return T5Tokenizer(vocab=vocab, extra_ids=0)


def umt5() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config(
        vocab_size=128, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu", dropout_rate=0.0, pad_token_id=0, eos_token_id=1,
    )).eval()  # fmt: skip


def wan_vae() -> Any:
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()


WAN_TRANSFORMER = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16, "out_channels": 16,
    "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 4, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 64,
}  # fmt: skip


def wan_transformer(**more: Any) -> Any:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**{**WAN_TRANSFORMER, **more}).eval()


def wan_scheduler(flow_shift: float) -> Any:
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=flow_shift)


def wan_parts(flow_shift: float = 3.0) -> dict[str, Any]:
    """What every Wan has beside its transformer."""
    return {
        "tokenizer": t5_tokenizer(),
        "text_encoder": umt5(),
        "vae": wan_vae(),
        "scheduler": wan_scheduler(flow_shift),
    }


def wan_t2v() -> Any:
    from diffusers import WanPipeline

    return WanPipeline(**wan_parts(), transformer=wan_transformer())


def wan_i2v() -> Any:
    """With CLIP, 36 channels: noise, mask, picture."""
    from diffusers import WanImageToVideoPipeline
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    encoder = CLIPVisionModel(CLIPVisionConfig(
        hidden_size=4, projection_dim=4, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        intermediate_size=16, patch_size=16,
    )).eval()  # fmt: skip
    return WanImageToVideoPipeline(
        **wan_parts(), transformer=wan_transformer(in_channels=36, image_dim=4, added_kv_proj_dim=24),
        image_encoder=encoder, image_processor=CLIPImageProcessor(crop_size=32, size=32),
    )  # fmt: skip


def wan_ti2v() -> Any:
    """A VAE of 48 channels that is 16 times smaller than the picture; no image encoder."""
    from diffusers import AutoencoderKLWan, WanImageToVideoPipeline

    vae = AutoencoderKLWan(
        base_dim=3, z_dim=48, in_channels=12, out_channels=12, is_residual=True, patch_size=2,
        latents_mean=[0.0] * 48, latents_std=[1.0] * 48, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        temperal_downsample=[False, True, True], scale_factor_spatial=16, scale_factor_temporal=4,
    ).eval()  # fmt: skip
    return WanImageToVideoPipeline(
        **(wan_parts(5.0) | {"vae": vae}), transformer=wan_transformer(in_channels=48, out_channels=48),
        expand_timesteps=True,
    )  # fmt: skip


def wan_t2v_a14b() -> Any:
    """Two transformers that take turns."""
    from diffusers import WanPipeline

    return WanPipeline(
        **wan_parts(), transformer=wan_transformer(), transformer_2=wan_transformer(), boundary_ratio=0.875
    )


def wan_i2v_a14b() -> Any:
    from diffusers import WanImageToVideoPipeline

    two = {name: wan_transformer(in_channels=36) for name in ("transformer", "transformer_2")}
    return WanImageToVideoPipeline(**wan_parts(5.0), **two, boundary_ratio=0.9)


def wan_vace() -> Any:
    from diffusers import WanVACEPipeline, WanVACETransformer3DModel

    transformer = WanVACETransformer3DModel(**WAN_TRANSFORMER, vace_layers=[0, 2], vace_in_channels=96).eval()
    return WanVACEPipeline(**wan_parts(), transformer=transformer)


def skyreels(**more: Any) -> Any:
    from diffusers import SkyReelsV2DiffusionForcingVideoToVideoPipeline, SkyReelsV2Transformer3DModel

    transformer = SkyReelsV2Transformer3DModel(**WAN_TRANSFORMER, **more).eval()
    return SkyReelsV2DiffusionForcingVideoToVideoPipeline(**wan_parts(8.0), transformer=transformer)


REPOS: dict[str, Callable[[], Any]] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": wan_t2v,
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": wan_t2v,
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": wan_i2v,
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": wan_ti2v,
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers": wan_t2v_a14b,
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers": wan_i2v_a14b,
    "Wan-AI/Wan2.1-VACE-1.3B-diffusers": wan_vace,
    "Wan-AI/Wan2.1-VACE-14B-diffusers": wan_vace,
    "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers": partial(skyreels, inject_sample_info=True),
    "Skywork/SkyReels-V2-DF-14B-720P-Diffusers": skyreels,
    **tiny_models_more.REPOS,
    **tiny_models_skyreels.REPOS,
    **tiny_models_speech.REPOS,
}


def build(repo: str, folder: Path) -> Path:
    """Write a repository's tiny twin; the same weights every time."""
    import torch

    torch.manual_seed(0)
    if not folder.exists():
        REPOS[repo]().save_pretrained(folder)
    return folder


def put_on_shelf(shelf: Path, folders: Path) -> None:
    """Build every repository below `folders` and point the shelf at them, as an import from a folder does."""
    named = {repo: [str(build(repo, folders / repo.replace("/", "--")))] for repo in REPOS}
    shelf.mkdir(parents=True, exist_ok=True)
    tiny_models_speech.write_vectors(shelf / "xvectors")
    (shelf / "folders.json").write_text(json.dumps(named), "utf-8")
