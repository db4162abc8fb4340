"""Wan 2.1 and 2.2 (Alibaba, Apache-2.0) on diffusers' own pipelines.

Steps, guidance, shift and sizes: docs/models.md, which cites where each comes from.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Limits, Run
from studio.pipelines.diffusion import DiffusersEngine
from studio.pipelines.footprint import Shape
from studio.pipelines.parts import Part

SHARED = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"  # text encoder, tokenizer and VAE are the same files in every Wan 2.1
TEXT = (
    Part("tokenizer", SHARED, 21_000_000),
    Part("text_encoder", SHARED, 22_700_000_000),
)
VAE = Part("vae", SHARED, 508_000_000)


class Wan(DiffusersEngine):
    """What all Wan models share."""

    licence = "Apache-2.0"
    pipeline = "WanPipeline"
    keep_float32 = frozenset({"vae"})
    classes: ClassVar[Mapping[str, str]] = {
        "tokenizer": "transformers:AutoTokenizer",
        "text_encoder": "transformers:UMT5EncoderModel",
        "vae": "diffusers:AutoencoderKLWan",
        "scheduler": "diffusers:UniPCMultistepScheduler",
        "transformer": "diffusers:WanTransformer3DModel",
    }

    class Options(DiffusersEngine.Options):
        flow_shift: float = Field(3.0, ge=0.1, le=20)

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        prompt, negative = self.pipe.encode_prompt(
            scene.prompt, scene.negative_prompt, do_classifier_free_guidance=options.guidance_scale > 1
        )
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        self.pipe.scheduler.register_to_config(flow_shift=options.flow_shift)
        return super().arguments(scene, options, run, shape)

    def decoded(self, latents: Any) -> Any:
        import torch

        vae = self.pipe.vae
        latents = latents.to(vae.dtype)
        mean, std = (
            torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        return vae.decode(latents * std + mean, return_dict=False)[0][0].transpose(0, 1)  # (F, 3, H, W)


class WanT2V13(Wan):
    id = "wan2.1-t2v-1.3b"
    tasks = frozenset({"text_to_video"})
    limits = Limits(resolutions=("480P",), seconds={"text_to_video": (0.3, 5.1)}, fps=16.0, frame_step=4)
    parts = (*TEXT, VAE, Part("scheduler", SHARED, 1_000), Part("transformer", SHARED, 5_680_000_000))
