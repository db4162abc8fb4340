"""Wan 2.1 VACE (Alibaba, Apache-2.0): video from reference pictures, or from its first and last picture.

Steps, guidance, shift and sizes: docs/models.md. A picture that is a frame of the video is shown to the model as such,
with a mask that says which frames are given; references lie before the first frame and are cut off again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.diffusion.loading import FileOptions
from studio.pipelines.memory.footprint import Network, Shape
from studio.pipelines.parts import Part
from studio.pipelines.wan import FOOTPRINT, LARGE, SCHEDULER_BYTES, SMALL, TEXT, VAE, Wan

VACE_SMALL, VACE_LARGE = "Wan-AI/Wan2.1-VACE-1.3B-diffusers", "Wan-AI/Wan2.1-VACE-14B-diffusers"
SECONDS: Mapping[str, tuple[float, float]] = {"reference_to_video": (0.3, 5.0), "image_to_video": (0.3, 5.0)}
GREY, GIVEN, WANTED = (128, 128, 128), 0, 255  # a frame that is wanted; values of the mask

SMALL_NETWORK: Network = replace(
    SMALL, blocks=45, block_bytes=102_349_312, block_bytes_8bit=51_282_944, blocks_bytes=4_256_315_904,
    rest_bytes=58_251_392, activation=32.0, activation_chunked=21.3334,
    chunk_few=(20.3334, 64_554_044), flops_per_token=3.827e9,
)  # fmt: skip
LARGE_NETWORK: Network = replace(
    LARGE, blocks=48, block_bytes=807_748_608, block_bytes_8bit=404_187_136, blocks_bytes=34_209_736_704,
    rest_bytes=524_472_448, activation=20.1, activation_chunked=14.1,
    chunk_few=(13.1, 215_160_832), flops_per_token=29.16e9,
)  # fmt: skip


class WanVACE(Wan):
    """What both sizes share."""

    tasks = frozenset({"reference_to_video", "image_to_video"})
    pipeline = "WanVACEPipeline"
    classes: ClassVar[Mapping[str, str]] = {**Wan.classes, "transformer": "diffusers:WanVACETransformer3DModel"}
    blocks: ClassVar[Mapping[str, Sequence[str]]] = {"transformer": ("vace_blocks", "blocks")}

    class Options(FileOptions, Wan.Options):
        conditioning_scale: float = Field(1.0, ge=0, le=2, description="how much the given pictures count")

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        references = len(scene.ref_imgs) if scene.task_type == "reference_to_video" else 0
        return replace(super().shape(scene, options, inputs), extra_frames=references, encodes=True)

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        shape = self.shape(scene, options, run.inputs)
        if scene.task_type == "reference_to_video":
            shown = {"reference_images": [pictures.whole_picture(path) for path in run.inputs.list("ref_imgs")]}
        else:
            shown = _framed(run.inputs.files, shape)
        return {**shown, "ahead": {"prepare_video_latents": self._latents(shape, **shown)}}

    def _latents(
        self, shape: Shape, video: Any = None, mask: Any = None, reference_images: Any = None
    ) -> Any:  # (1, 2 * C, references + F, h, w)
        """What the pipeline's `prepare_video_latents` makes of the same pictures."""
        import torch

        device = torch.device(self.plan.device)
        with self.placement.using("vae"):
            prepared = self.pipe.preprocess_conditions(
                video, mask, reference_images, 1, shape.height, shape.width, shape.num_frames, torch.float32, device
            )
            return self.pipe.prepare_video_latents(*prepared, None, device)

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        return {**super().arguments(scene, options, run, shape), "conditioning_scale": options.conditioning_scale}

    def saved(self, latents: Any, scene: Any, run: Run, audio: Path | None = None) -> Path:
        return super().saved(latents[:, :, len(run.inputs.list("ref_imgs")) :], scene, run, audio)


def _framed(files: Mapping[str, Path], shape: Shape) -> dict[str, list[Any]]:
    """Video and mask of the pipeline: the given pictures where they belong, and what is wanted between them."""
    from PIL import Image

    size = (shape.width, shape.height)
    given = {0: pictures.picture(files["input_image"], *size)}
    if "end_image" in files:
        given[shape.num_frames - 1] = pictures.picture(files["end_image"], *size)
    wanted, mask = Image.new("RGB", size, GREY), {value: Image.new("L", size, value) for value in (GIVEN, WANTED)}
    numbers = range(shape.num_frames)
    return {
        "video": [given.get(number, wanted) for number in numbers],
        "mask": [mask[GIVEN if number in given else WANTED] for number in numbers],
    }


class WanVACESmall(WanVACE):
    id = "wan2.1-vace-1.3b"
    limits = Limits(resolutions=("480P",), seconds=SECONDS, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", VACE_SMALL, SCHEDULER_BYTES), Part("transformer", VACE_SMALL, 8_615_888_128),
    )  # fmt: skip
    footprint = replace(FOOTPRINT, network=SMALL_NETWORK)


class WanVACELarge(WanVACE):
    id = "wan2.1-vace-14b"
    limits = Limits(seconds=SECONDS, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", VACE_LARGE, SCHEDULER_BYTES), Part("transformer", VACE_LARGE, 69_350_371_584),
    )  # fmt: skip
    footprint = replace(FOOTPRINT, network=LARGE_NETWORK)
