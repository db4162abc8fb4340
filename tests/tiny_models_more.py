"""Stable Diffusion, Stable Video Diffusion and LTX-2 at tiny size with random weights, as tiny_models.py has Wan.

`REPOS` is added to the one there. The recipes follow the published layouts: the same classes and the same names of
files, only small numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'- "


class HalfPrecision:
    """A pipeline whose weights are saved as `*.fp16.safetensors`, as its repository also has them."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def save_pretrained(self, folder: Path) -> None:
        self._pipe.save_pretrained(folder, variant="fp16")


def clip_tokenizer() -> Any:
    """CLIPTokenizer of single bytes without merges: 512 signs and two marks."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    alphabet = sorted(ByteLevel.alphabet())
    signs = [*alphabet, *(sign + "</w>" for sign in alphabet), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={sign: i for i, sign in enumerate(signs)}, merges=[], model_max_length=77)


def clip_text(name: str = "CLIPTextModel", **more: Any) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(**{
        "vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513, "hidden_size": 32,
        "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 3, "projection_dim": 32, **more,
    })  # fmt: skip
    return getattr(transformers, name)(config).eval()


def kl_vae() -> Any:
    """8 x 8 pixels in a latent, as the published ones have."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[4, 4, 4, 8], latent_channels=4, norm_num_groups=2, sample_size=32,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    ).eval()  # fmt: skip


def euler(**more: Any) -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, **more
    )


def sd_turbo() -> Any:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=32, cross_attention_dim=32, norm_num_groups=2,
        attention_head_dim=(2, 4), use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    return HalfPrecision(StableDiffusionPipeline(
        tokenizer=clip_tokenizer(), text_encoder=clip_text(), unet=unet, vae=kl_vae(),
        scheduler=euler(timestep_spacing="trailing"), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ))  # fmt: skip


def sdxl() -> Any:
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=(4, 8, 8), layers_per_block=2, sample_size=32, cross_attention_dim=64, norm_num_groups=2,
        attention_head_dim=(2, 4, 4), use_linear_projection=True, transformer_layers_per_block=(1, 1, 2),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=80,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    return HalfPrecision(StableDiffusionXLPipeline(
        tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(), text_encoder=clip_text(hidden_size=16),
        text_encoder_2=clip_text("CLIPTextModelWithProjection", hidden_size=48), unet=unet, vae=kl_vae(),
        scheduler=euler(timestep_spacing="leading"), add_watermarker=False,
    ))  # fmt: skip


def svd_xt() -> Any:
    from diffusers import AutoencoderKLTemporalDecoder, StableVideoDiffusionPipeline, UNetSpatioTemporalConditionModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32), layers_per_block=1, sample_size=32, num_attention_heads=(2, 4), num_frames=25,
        cross_attention_dim=32, projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    ).eval()  # fmt: skip
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=[32] * 4, down_block_types=["DownEncoderBlock2D"] * 4, latent_channels=4
    ).eval()
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=32, projection_dim=32, num_hidden_layers=2, num_attention_heads=4, image_size=224,
        intermediate_size=37, patch_size=32,
    )).eval()  # fmt: skip
    scheduler = euler(
        interpolation_type="linear", prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002,
        timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
    )  # fmt: skip
    return HalfPrecision(StableVideoDiffusionPipeline(
        vae=vae, image_encoder=encoder, unet=unet, scheduler=scheduler, feature_extractor=CLIPImageProcessor()
    ))  # fmt: skip


def gemma_tokenizer() -> Any:
    """One sign, one token; padded on the left, as Gemma's is."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<bos>", "<unk>", *CHARACTERS]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>",
        padding_side="left", model_max_length=1024,
    )  # fmt: skip


def gemma3() -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

    text = Gemma3TextConfig(
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=1024, sliding_window=16,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=127)
    return Gemma3ForConditionalGeneration(config).eval()


def ltx_vae() -> Any:
    """32 x 32 pixels and 8 frames in a latent, as the published ones have."""
    from diffusers import AutoencoderKLLTX2Video

    return AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1), patch_size=4, patch_size_t=1,
        down_block_types=("LTX2VideoDownBlock3D",) * 3, spatio_temporal_scaling=(True,) * 3,
        decoder_spatio_temporal_scaling=(True,) * 3, decoder_inject_noise=(False,) * 4,
        downsample_type=("spatiotemporal",) * 3, upsample_type=("spatiotemporal",) * 3, upsample_residual=(False,) * 3,
        upsample_factor=(1, 1, 1), encoder_causal=True, decoder_causal=False,
    ).eval()  # fmt: skip


def ltx_parts(newer: bool) -> dict[str, Any]:
    """LTX-2, or `newer` LTX-2.3: gated attention, and projections of the text per modality."""
    from diffusers import AutoencoderKLLTX2Audio, FlowMatchEulerDiscreteScheduler, LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder, LTX2VocoderWithBWE

    gates = dict.fromkeys(("gated_attn", "cross_attn_mod", "audio_gated_attn", "audio_cross_attn_mod"), newer)
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        audio_in_channels=16, audio_out_channels=16, audio_num_attention_heads=2, audio_attention_head_dim=4,
        audio_cross_attention_dim=8, num_layers=3, caption_channels=16, rope_double_precision=False, rope_type="split",
        use_prompt_embeddings=not newer, perturbed_attn=newer, **gates,
    ).eval()  # fmt: skip
    connectors = LTX2TextConnectors(
        caption_channels=16, text_proj_in_factor=3, video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8, video_connector_num_layers=1, video_connector_num_learnable_registers=8,
        audio_connector_num_attention_heads=2, audio_connector_attention_head_dim=4 if newer else 8,
        audio_connector_num_layers=1, audio_connector_num_learnable_registers=8, connector_rope_base_seq_len=32,
        rope_double_precision=False, rope_type="split", per_modality_projections=newer, proj_bias=newer,
        video_hidden_dim=16, audio_hidden_dim=8, video_gated_attn=newer, audio_gated_attn=newer,
    ).eval()  # fmt: skip
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=16, ch_mult=(1, 1, 1), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=32
    ).eval()
    sounds: dict[str, Any] = {
        "in_channels": 64, "hidden_channels": 16, "out_channels": 2, "upsample_kernel_sizes": [11, 4, 4, 4],
        "upsample_factors": [5, 4, 4, 2], "resnet_kernel_sizes": [3], "resnet_dilations": [[1, 3, 5]],
    }  # fmt: skip
    if newer:
        vocoder = LTX2VocoderWithBWE(
            **sounds, bwe_in_channels=64, bwe_hidden_channels=32, bwe_upsample_kernel_sizes=[12, 11, 4, 4],
            bwe_upsample_factors=[6, 5, 4, 2], bwe_resnet_kernel_sizes=[3], bwe_resnet_dilations=[[1, 3, 5]],
            num_mel_channels=32,
        )  # fmt: skip
    else:
        faster = {"upsample_kernel_sizes": [16, 15, 8, 4], "upsample_factors": [6, 5, 4, 2]}
        vocoder = LTX2Vocoder(**(sounds | faster), output_sampling_rate=24000)
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1, max_image_seq_len=4096,
        base_image_seq_len=1024,
    )  # fmt: skip
    return {
        "transformer": transformer, "connectors": connectors, "vae": ltx_vae(), "audio_vae": audio_vae,
        "vocoder": vocoder.eval(), "scheduler": scheduler, "text_encoder": gemma3(), "tokenizer": gemma_tokenizer(),
    }  # fmt: skip


def ltx(newer: bool) -> Any:
    from diffusers import LTX2Pipeline

    return LTX2Pipeline(**ltx_parts(newer))


REPOS: dict[str, Callable[[], Any]] = {
    "stabilityai/sd-turbo": sd_turbo,
    "stabilityai/stable-diffusion-xl-base-1.0": sdxl,
    "stabilityai/stable-video-diffusion-img2vid-xt": svd_xt,
    "Lightricks/LTX-2": lambda: ltx(newer=False),
    "diffusers/LTX-2.3-Distilled-Diffusers": lambda: ltx(newer=True),
}
