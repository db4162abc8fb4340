"""Stable Diffusion: SD-Turbo and SDXL (Stability AI), pictures from words, on diffusers' own pipelines.

Steps, guidance and sizes: docs/models.md, which cites where each comes from. A picture has the size that its model was
trained at, by the scene's aspect; a scene's resolution says how large the film is and changes nothing here. Knows no
plan: what a model weighs stands here as numbers, and profiles.py reckons with them.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.pipelines.diffusion.loading import FileOptions
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.tiles import decode
from studio.pipelines.parts import Part

TURBO, XL = "stabilityai/sd-turbo", "stabilityai/stable-diffusion-xl-base-1.0"
HALF = "fp16"  # half of the bytes of the other files, and what the models were published in
TOKENIZER_BYTES, SCHEDULER_BYTES = 1_590_000, 600
XL_ATTENTIONS = {"down_blocks.1": 2, "down_blocks.2": 2, "mid_block": 1, "up_blocks.0": 3, "up_blocks.1": 3}
XL_BLOCKS = tuple(  # most of the network lies in its attention: 70 pieces that are small enough to stream
    f"{block}.attentions.{i}.transformer_blocks" for block, count in XL_ATTENTIONS.items() for i in range(count)
)


class StableDiffusion(DiffusersEngine):
    """What both share."""

    tasks = frozenset({"text_to_image"})
    multiple = 8
    sizes: ClassVar[Mapping[str, tuple[int, int]]]  # aspect -> (width, height) in pixels
    denoisers = ("unet",)
    classes: ClassVar[Mapping[str, str]] = {
        "tokenizer": "transformers:CLIPTokenizer",
        "tokenizer_2": "transformers:CLIPTokenizer",
        "text_encoder": "transformers:CLIPTextModel",
        "text_encoder_2": "transformers:CLIPTextModelWithProjection",
        "unet": "diffusers:UNet2DConditionModel",
        "vae": "diffusers:AutoencoderKL",
        "scheduler": "diffusers:EulerDiscreteScheduler",
    }

    class Options(FileOptions, DiffusersEngine.Options):
        """With a file of the user's own instead of the weights: people trade these as checkpoints."""

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        width, height = self.sizes[scene.aspect]
        width, height = options.width or width, options.height or height
        self.must_fit(width, height)
        return Shape(width, height, batch=2 if options.guidance_scale > 1 else 1, steps=options.num_inference_steps)

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        return {
            "width": shape.width, "height": shape.height, "num_inference_steps": options.num_inference_steps,
            "guidance_scale": options.guidance_scale,
        }  # fmt: skip

    def decoded(self, latents: Any) -> Any:
        vae = self.pipe.vae
        return decode(vae, latents / vae.config.scaling_factor, self.plan)  # (1, 3, H, W)


class SDTurbo(StableDiffusion):
    """One to four steps without guidance: it does not read a negative prompt."""

    id = "sd-turbo"
    licence = "Stability AI Community"
    pipeline = "StableDiffusionPipeline"
    built_with: ClassVar[Mapping[str, Any]] = {
        "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False,
    }  # fmt: skip
    blocks: ClassVar[Mapping[str, tuple[str, ...]]] = {"unet": ("down_blocks", "mid_block", "up_blocks")}
    limits = Limits()
    sizes: ClassVar[Mapping[str, tuple[int, int]]] = {  # the pixels of 512 x 512
        "16:9": (688, 384), "9:16": (384, 688), "1:1": (512, 512), "4:3": (592, 448), "3:4": (448, 592),
    }  # fmt: skip
    parts = (
        Part("tokenizer", TURBO, TOKENIZER_BYTES), Part("scheduler", TURBO, SCHEDULER_BYTES),
        Part("text_encoder", TURBO, 680_820_000, variant=HALF), Part("vae", TURBO, 167_340_000, variant=HALF),
        Part("unet", TURBO, 1_731_910_000, variant=HALF),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 4},
        "fast": {"num_inference_steps": 1},
    }
    footprint = Footprint(
        network=Network(
            blocks=9, block_bytes=520_593_920, block_bytes_8bit=409_664_000, blocks_bytes=1_727_672_320,
            rest_bytes=4_149_128, hidden=320, patch=(1, 1, 1), activation=26.0, activation_chunked=26.0,
            flops_per_token=166.45e6, attention_width=1825,
        ),
        text_bytes=680_775_680, text_streamed_bytes=50_547_304, text_working_bytes=5_834_752,
        vae_bytes=167_307_726, scale=(1, 8, 8), decode_bytes=1536.2, tiled_bytes=9.4, steps=4, cpu=True,
    )  # fmt: skip

    class Options(StableDiffusion.Options):
        num_inference_steps: int = Field(4, ge=1, le=100, description="1 to 4")
        guidance_scale: float = Field(0.0, ge=0, le=30, description="0: it was trained without")

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        prompt, negative = self.pipe.encode_prompt(
            scene.prompt, self.pipe.device, 1, options.guidance_scale > 1, scene.negative_prompt
        )
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}


class SDXL(StableDiffusion):
    """SDXL base. Its VAE works in float32: in 16 bit some pictures come out black."""

    id = "sdxl"
    licence = "CreativeML Open RAIL++-M"
    pipeline = "StableDiffusionXLPipeline"
    built_with: ClassVar[Mapping[str, Any]] = {"add_watermarker": False}
    encoders = ("text_encoder", "text_encoder_2")
    keep_float32 = frozenset({"vae"})
    blocks: ClassVar[Mapping[str, tuple[str, ...]]] = {"unet": XL_BLOCKS}
    limits = Limits()
    sizes: ClassVar[Mapping[str, tuple[int, int]]] = {  # of the sizes it was trained at
        "16:9": (1344, 768), "9:16": (768, 1344), "1:1": (1024, 1024), "4:3": (1152, 896), "3:4": (896, 1152),
    }  # fmt: skip
    parts = (
        Part("tokenizer", XL, TOKENIZER_BYTES), Part("tokenizer_2", XL, TOKENIZER_BYTES),
        Part("scheduler", XL, SCHEDULER_BYTES), Part("text_encoder", XL, 246_144_152, variant=HALF),
        Part("text_encoder_2", XL, 1_389_382_176, variant=HALF), Part("vae", XL, 167_335_342, variant=HALF),
        Part("unet", XL, 5_135_149_760, variant=HALF),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 30},
        "fast": {"num_inference_steps": 20},
    }
    footprint = Footprint(
        network=Network(
            blocks=70, block_bytes=69_511_680, block_bytes_8bit=34_821_120, blocks_bytes=4_370_803_200,
            rest_bytes=764_124_168, hidden=320, patch=(1, 1, 1), activation=15.75, activation_chunked=15.75,
            activation_rest=5_774, flops_per_token=366.8e6, attention_width=700,
        ),
        text_bytes=1_635_440_640, text_streamed_bytes=82_189_416, text_working_bytes=9_067_520,
        vae_bytes=334_615_452, scale=(1, 8, 8), decode_bytes=3072.3, tile=512, tiled_bytes=10.5, steps=30,
    )  # fmt: skip

    class Options(StableDiffusion.Options):
        num_inference_steps: int = Field(30, ge=1, le=200)
        guidance_scale: float = Field(5.0, ge=0, le=30, description="5 to 7")

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        prompt, negative, pooled, negative_pooled = self.pipe.encode_prompt(
            scene.prompt, do_classifier_free_guidance=options.guidance_scale > 1,
            negative_prompt=scene.negative_prompt or None,
        )  # fmt: skip
        return {
            "prompt_embeds": prompt, "negative_prompt_embeds": negative, "pooled_prompt_embeds": pooled,
            "negative_pooled_prompt_embeds": negative_pooled,
        }  # fmt: skip
