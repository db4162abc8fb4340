"""SkyReels-V3 V2V (Skywork): a clip goes on where it ended, or is followed by the next shot. Light: no torch.

Two engines of one repository, which differ in their network and share the rest. The clip is read at 24 frames a second
and chooses the size. Steps, guidance, shift and sizes: docs/models.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import Part
from studio.pipelines.skyreels_v3.footprints import EXTENSION
from studio.pipelines.skyreels_v3.reference import FPS, SCHEDULER, TRANSFORMER_BYTES, SkyReelsV3
from studio.pipelines.skyreels_v3.rolls import PREFIX, STEP, Roll, latents, rolls
from studio.pipelines.skyreels_v3.windowed import Film, Windowed
from studio.pipelines.wan import TEXT, VAE

if TYPE_CHECKING:
    import numpy as np
    import torch

    from studio.pipelines.diffusion.steps import Watch

V2V = "Skywork/SkyReels-V3-V2V-14B"
CONTEXT = {2: 9, 3: 17, 4: 25, 5: 33}  # seconds of a new shot, 3.9 as 3 -> frames of the one before that it is shown


class SkyReelsV3Extension(SkyReelsV3):
    """What both share."""

    sized_by = "input_video"
    shift_720p = shift_480p = 8.0
    classes: ClassVar[Mapping[str, str]] = {
        **SkyReelsV3.classes, "transformer": "studio.pipelines.skyreels_v3.frame_wan:FrameWanTransformer3DModel",
    }  # fmt: skip

    def end_of_clip(self, scene: Any, options: Any, run: Run) -> Any:
        """(1, 3, F, H, W) in -1..1, as many frames as the limits say. Raises Refused where the clip is shorter."""
        frames = self.limits.of_clip(run.inputs.seconds)
        shape = self.shape(scene, options, run.inputs)
        shown = pictures.last_frames(run.inputs.files["input_video"], frames, FPS, shape.width, shape.height)
        return self.pipe.video_processor.preprocess_video(shown, height=shape.height, width=shape.width)


class SkyReelsV3ShotSwitching(SkyReelsV3Extension):
    """The next shot after a cut, of the same people and places."""

    id = "skyreels-v3-shot-14b"
    tasks = frozenset({"shot_switching_extension"})
    pipeline = "studio.pipelines.skyreels_v3.extension_pipeline:SkyReelsV3ShotSwitchingPipeline"
    limits = Limits(seconds={"shot_switching_extension": (2.0, 5.0)}, fps=FPS, frame_step=STEP, clip_frames=CONTEXT)
    parts = (*TEXT, VAE, SCHEDULER, Part("transformer", V2V, TRANSFORMER_BYTES, folder="shot_transformer"))
    footprint = EXTENSION

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        shape = super().shape(scene, options, inputs)
        return replace(shape, extra_frames=latents(self.limits.of_clip(inputs.seconds)))

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        pixels = self.end_of_clip(scene, options, run)
        with self.placement.using("vae"):
            return {"given_latents": self.pipe.encode_pixels(pixels)}


class SkyReelsV3SingleShot(SkyReelsV3Extension, Windowed):
    """The same shot, longer: rolls of about five seconds, each from the end of the one before."""

    id = "skyreels-v3-v2v-14b"
    tasks = frozenset({"single_shot_extension"})
    pipeline = "studio.pipelines.skyreels_v3.extension_pipeline:SkyReelsV3SingleShotPipeline"
    limits = Limits(seconds={"single_shot_extension": (1.0, 30.0)}, fps=FPS, clip_frames={0: PREFIX})
    parts = (*TEXT, VAE, SCHEDULER, Part("transformer", V2V, TRANSFORMER_BYTES))
    footprint = EXTENSION

    class Options(SkyReelsV3Extension.Options):
        joined: bool = Field(False, description="the take begins with the clip itself, at 24 frames a second")

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        """A roll goes through the network and the VAE as a whole, also where fewer frames are wanted."""
        shape = super().shape(scene, options, inputs)
        made = rolls(shape.num_frames)
        decoded = max(roll.decoded for roll in made)
        return replace(
            shape, steps=len(made) * options.num_inference_steps, extra_frames=latents(decoded), window=decoded,
            lead=decoded, decoded=decoded,
        )  # fmt: skip

    def windows(self, scene: Any, options: Any, inputs: Inputs) -> Sequence[Roll]:
        return rolls(self.taken(scene, options, inputs))

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        return {"end": self.end_of_clip(scene, options, run)}

    def begun(self, film: Film, window: Roll, left: "Mapping[str, torch.Tensor]") -> dict[str, Any]:
        end = left["end"] if window.number else film.given["end"]
        with self.placement.using("vae"):
            return {"given_latents": self.pipe.encode_pixels(end)}

    def stepped(self, film: Film, window: Roll, begun: dict[str, Any], watch: "Watch") -> "torch.Tensor":
        import torch

        shape = replace(film.shape, num_frames=STEP * window.latents - (STEP - 1))
        words = {name: film.given[name] for name in ("prompt_embeds", "negative_prompt_embeds")}
        arguments = {**words, **begun, **self.arguments(film.scene, film.options, film.run, shape)}
        arguments["generator"] = torch.Generator("cpu").manual_seed(film.run.seed)  # the same for every roll
        return self.denoised(arguments, watch)

    def ended(
        self, film: Film, window: Roll, begun: dict[str, Any], latents: "torch.Tensor", last: bool
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        import torch

        frames = self.decoded(torch.cat([begun["given_latents"], latents], dim=2))  # (25 + 4 * new, 3, H, W)
        left = {} if window.last or last else {"end": frames[-PREFIX:].transpose(0, 1)[None]}
        return frames[PREFIX:][: window.shown], left

    def played(self, frames: "Iterable[np.ndarray]", num_frames: int, film: Film) -> Path:
        if not film.options.joined:
            return super().played(frames, num_frames, film)
        from studio.pipelines.skyreels_v3.joined import save_joined

        run, shape = film.run, film.shape
        clip = run.inputs.files["input_video"]
        return save_joined(run, clip, frames, num_frames, FPS, shape.width, shape.height)
