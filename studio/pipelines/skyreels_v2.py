"""SkyReels-V2 Diffusion Forcing (Skywork): a clip goes on where it ended, on diffusers' own pipeline.

The end of the clip is read at 24 frames a second, and every frame has a noise level of its own: those that are given
have none. What is longer than a window is made window by window, each from the end of the one before. The take holds
the new frames only. Steps, guidance, shift and sizes: docs/models.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.memory.footprint import Network, Shape
from studio.pipelines.parts import Part
from studio.pipelines.wan import FOOTPRINT, LARGE, SCHEDULER_BYTES, SMALL, TEXT, VAE, Wan, answering

if TYPE_CHECKING:
    from studio.pipelines.diffusion.steps import Watch

DF_SMALL, DF_LARGE = "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers", "Skywork/SkyReels-V2-DF-14B-720P-Diffusers"
FPS = 24.0  # that the network was trained at
OVERLAP = 17  # frames of the clip, or of the window before, that a window continues
STEP = 4  # frames in a latent one; the first stands alone
WINDOW_540P, WINDOW_720P = 97, 121  # frames that go through at once

# every latent frame has its own modulation: more is alive than in Wan's blocks
SMALL_NETWORK: Network = replace(
    SMALL, rest_bytes=90_126_464, activation=35.0, activation_rest=1_575_936, activation_chunked=18.3334,
    chunk_rest=1_572_864, chunk_few=(17.3334, 64_553_984),
)  # fmt: skip
LARGE_NETWORK: Network = replace(
    LARGE, activation=32.1, activation_rest=5_242_880, activation_chunked=18.1, chunk_rest=5_242_880,
    chunk_few=(17.1, 215_160_832),
)  # fmt: skip


class SkyReelsV2(Wan):
    """What both sizes share."""

    licence = "Skywork"
    tasks = frozenset({"single_shot_extension"})
    pipeline = "SkyReelsV2DiffusionForcingVideoToVideoPipeline"
    classes: ClassVar[Mapping[str, str]] = {**Wan.classes, "transformer": "diffusers:SkyReelsV2Transformer3DModel"}
    shift_720p = shift_480p = 8.0

    class Options(Wan.Options):
        guidance_scale: float = Field(6.0, ge=0, le=30)
        addnoise_condition: float = Field(
            20.0, ge=0, le=50, description="noise on what is given, of 1000: smooths the seam; too much drifts away"
        )

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        shape = super().shape(scene, options, inputs)
        window = _window(shape)
        windows = _windows(_latents(shape.num_frames + OVERLAP), _latents(window))
        return replace(
            shape, steps=windows * options.num_inference_steps, extra_frames=_latents(OVERLAP), window=window,
            lead=OVERLAP, encodes=True,
        )  # fmt: skip

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        shape = self.shape(scene, options, run.inputs)
        size = (shape.width, shape.height)
        frames = pictures.last_frames(run.inputs.files["input_video"], OVERLAP, FPS, *size)
        with self.placement.using("vae"):
            pixels = self.pipe.video_processor.preprocess_video(frames, height=shape.height, width=shape.width)
            encoded = self.pipe.vae.encode(pixels.to(self.plan.device, self.pipe.vae.dtype))
        return {"video": frames, "ahead": {"encode": encoded}}

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        return {
            **super().arguments(scene, options, run, shape), "num_frames": shape.num_frames + OVERLAP,
            "base_num_frames": _window(shape), "overlap_history": OVERLAP, "fps": int(FPS),
            "addnoise_condition": options.addnoise_condition,
        }  # fmt: skip

    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        import torch

        devices = [self.plan.device] if self.plan.device.startswith("cuda") else []
        ahead = arguments.pop("ahead")
        # the pipeline draws the noise on what is given from torch's own generator
        with torch.random.fork_rng(devices), answering(self.pipe.vae, ahead):
            torch.manual_seed(arguments["generator"].initial_seed())
            latents = super().denoised(arguments, watch)
        if watch.stopped_at is None:
            return latents
        window, given = _latents(arguments["base_num_frames"]), _latents(OVERLAP)
        begun = -(-watch.stopped_at // arguments["num_inference_steps"])  # later windows hold nothing but noise
        return latents[:, :, : window + (begun - 1) * (window - given)]

    def decoded(self, latents: Any) -> Any:
        return super().decoded(latents)[OVERLAP:]


def _window(shape: Shape) -> int:
    """Frames of a window at this size."""
    return WINDOW_720P if shape.width * shape.height > 960 * 544 else WINDOW_540P


def _latents(frames: int) -> int:
    return (frames - 1) // STEP + 1


def _windows(latents: int, window: int) -> int:
    """How many windows of `window` latent frames it takes, of which each after the first repeats the overlap."""
    return 1 + max(0, -(-(latents - window) // (window - _latents(OVERLAP))))


class SkyReelsV2Small(SkyReelsV2):
    id = "skyreels-v2-df-1.3b"
    limits = Limits(
        resolutions=("540P",), seconds={"single_shot_extension": (0.3, 30.0)}, fps=FPS, frame_step=STEP,
        frame_start=0, clip_frames={0: OVERLAP},
    )  # fmt: skip
    parts = (
        *TEXT, VAE, Part("scheduler", DF_SMALL, SCHEDULER_BYTES), Part("transformer", DF_SMALL, 5_742_102_784),
    )  # fmt: skip
    footprint = replace(FOOTPRINT, network=SMALL_NETWORK)


class SkyReelsV2Large(SkyReelsV2):
    id = "skyreels-v2-df-14b"
    limits = Limits(
        resolutions=("540P", "720P"), seconds={"single_shot_extension": (0.3, 30.0)}, fps=FPS, frame_step=STEP,
        frame_start=0, clip_frames={0: OVERLAP},
    )  # fmt: skip
    parts = (
        *TEXT, VAE, Part("scheduler", DF_LARGE, SCHEDULER_BYTES), Part("transformer", DF_LARGE, 57_153_966_336),
    )  # fmt: skip
    footprint = replace(FOOTPRINT, network=LARGE_NETWORK)
