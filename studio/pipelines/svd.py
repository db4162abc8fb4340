"""Stable Video Diffusion XT (Stability AI): a picture set in motion, without words, on diffusers' own pipeline.

Numbers: docs/models.md, which cites where each comes from. It makes 25 frames, always; how fast they play is what makes
a scene longer or shorter, and the model is told. Knows no plan: what it weighs stands here as numbers.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.tiles import decode
from studio.pipelines.parts import Part

if TYPE_CHECKING:
    from studio.pipelines.diffusion.steps import Watch

XT = "stabilityai/stable-video-diffusion-img2vid-xt"
FRAMES = 25
SLOWEST, FASTEST = 5, 30  # frames per second that it was trained with
DECODED_AT_ONCE = 8  # frames: their decoder looks at neighbours


class SVDXT(DiffusersEngine):
    id = "svd-xt"
    tasks = frozenset({"image_to_video"})
    licence = "Stability AI Community"
    pipeline = "StableVideoDiffusionPipeline"
    multiple = 64  # pixels: its network halves the latents three times and cannot round
    placed: ClassVar[Mapping[str, tuple[str, ...]]] = {"_encode_vae_image": ("vae",)}
    encoders = ("image_encoder",)
    denoisers = ("unet",)
    keep_float32 = frozenset({"vae"})
    blocks: ClassVar[Mapping[str, tuple[str, ...]]] = {"unet": ("down_blocks", "mid_block", "up_blocks")}
    classes: ClassVar[Mapping[str, str]] = {
        "feature_extractor": "transformers:CLIPImageProcessor",
        "image_encoder": "transformers:CLIPVisionModelWithProjection",
        "unet": "diffusers:UNetSpatioTemporalConditionModel",
        "vae": "diffusers:AutoencoderKLTemporalDecoder",
        "scheduler": "diffusers:EulerDiscreteScheduler",
    }
    limits = Limits(
        seconds={"image_to_video": (round(FRAMES / FASTEST, 2), FRAMES / SLOWEST)}, fps=7.0, fixed_frames=FRAMES,
        rates=(SLOWEST, FASTEST), end_image=False,
    )  # fmt: skip
    sizes: ClassVar[Mapping[str, tuple[int, int]]] = {  # the pixels of 1024 x 576
        "16:9": (1024, 576), "9:16": (576, 1024), "1:1": (768, 768), "4:3": (832, 640), "3:4": (640, 832),
    }  # fmt: skip
    parts = (
        Part("feature_extractor", XT, 500), Part("scheduler", XT, 600),
        Part("image_encoder", XT, 1_264_217_240, variant="fp16"), Part("vae", XT, 195_531_910, variant="fp16"),
        Part("unet", XT, 3_049_435_836, variant="fp16"),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 25},
        "fast": {"num_inference_steps": 15},
    }
    footprint = Footprint(
        network=Network(
            blocks=9, block_bytes=978_997_772, block_bytes_8bit=668_756_492, blocks_bytes=3_039_825_996,
            rest_bytes=9_420_168, hidden=320, patch=(1, 1, 1), activation=28.13, activation_chunked=28.13,
            flops_per_token=279.7e6, attention_width=73,
        ),
        image_encoder_bytes=1_264_153_600, vae_bytes=390_971_388, scale=(1, 8, 8),
        encode_bytes=2560.0, decode_bytes=4096.0 * DECODED_AT_ONCE, decode_frame_bytes=7.7, tile=288, tiled_bytes=11.6,
        steps=25,
    )  # fmt: skip

    class Options(DiffusersEngine.Options):
        num_inference_steps: int = Field(25, ge=1, le=200)
        guidance_scale: float = Field(3.0, ge=1, le=30, description="of the last frame; of the first it is 1")
        motion_bucket_id: int = Field(127, ge=1, le=255, description="how much moves")
        noise_aug_strength: float = Field(0.02, ge=0, le=1, description="how far it may leave the picture")
        decode_chunk_size: int = Field(
            DECODED_AT_ONCE, ge=1, le=DECODED_AT_ONCE, description="frames decoded at once: fewer need less memory"
        )

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        width, height = self.sizes[scene.aspect]
        width, height = options.width or width, options.height or height
        self.must_fit(width, height)
        batch = 2 if options.guidance_scale > 1 else 1
        return Shape(width, height, FRAMES, batch=batch, steps=options.num_inference_steps, encodes=True)

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        shape = self.shape(scene, options, run.inputs)
        return {"image": pictures.picture(run.inputs.files["input_image"], shape.width, shape.height)}

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        self._at_once = options.decode_chunk_size
        return {
            "width": shape.width, "height": shape.height, "num_frames": FRAMES,
            "num_inference_steps": options.num_inference_steps, "min_guidance_scale": 1.0,
            "max_guidance_scale": options.guidance_scale, "fps": int(self.limits.rate(run.inputs.seconds)),
            "motion_bucket_id": options.motion_bucket_id, "noise_aug_strength": options.noise_aug_strength,
        }  # fmt: skip

    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        """(1, F, 4, h, w)."""
        return self.pipe(**arguments, output_type="latent", return_dict=False, callback_on_step_end=watch.told)

    def pictured(self, latents: Any) -> Any:
        return latents[0].transpose(0, 1) / self.pipe.vae.config.scaling_factor  # (4, F, h, w)

    def decoded(self, latents: Any) -> Any:
        import torch

        vae = self.pipe.vae
        parts = (latents[0] / vae.config.scaling_factor).split(self._at_once)
        return torch.cat([decode(vae, part, self.plan) for part in parts])  # (25, 3, H, W)
