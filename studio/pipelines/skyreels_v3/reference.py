"""SkyReels-V3 R2V (Skywork): a film with the people and things of one to four reference pictures. Light: no torch.

The first reference chooses the size. Steps, guidance, shift and sizes: docs/models.md. Its network is Wan's own, its
references are latent frames beside those of the film (reference_pipeline.py).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import Part
from studio.pipelines.skyreels_v3.footprints import REFERENCE
from studio.pipelines.skyreels_v3.sizes import nearest
from studio.pipelines.wan import SCHEDULER_BYTES, T2V_SMALL, TEXT, VAE, Wan

R2V = "Skywork/SkyReels-V3-R2V-14B"
FPS = 24.0  # that the networks were trained at
SLOTS = 4  # latent frames of references, filled or not
TRANSFORMER_BYTES = 28_576_983_168  # 14.3 B parameters in 16 bit
SCHEDULER = Part("scheduler", T2V_SMALL, SCHEDULER_BYTES)  # of Wan 2.1: UniPC with flow sigmas; the shift is ours


class SkyReelsV3(Wan):
    """What references and extensions share: 8 steps without guidance, sizes by the first thing that is given."""

    licence = "Skywork"
    readers: ClassVar[Mapping[str, str]] = {"transformer": "studio.pipelines.skyreels_v3.published"}
    sized_by: ClassVar[str]  # the input whose ratio of sides chooses the size
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 8},
        "fast": {"num_inference_steps": 4},
    }

    class Options(Wan.Options):
        num_inference_steps: int = Field(8, ge=1, le=200)
        guidance_scale: float = Field(1.0, ge=0, le=30, description="1: it was made to do without, in half the time")

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        height, width = size_of(inputs.files.get(self.sized_by), scene)
        shape = super().shape(scene, options, inputs)
        return replace(shape, width=options.width or width, height=options.height or height, encodes=True)

    def remembered(self, what: str, asked: Any, make: Any) -> Any:
        """Latents that `make()` encodes on the VAE: from disk where the same was `asked` before."""
        from studio.pipelines.diffusion.embeddings import Remembered, content

        def encode() -> Any:
            with self.placement.using("vae"):
                return make()

        key = {"asked": content(asked), **self._identity(what, ["vae"])}
        return Remembered.here().get(key, encode).to(self.plan.device)


def size_of(path: Path | None, scene: Any) -> tuple[int, int]:
    """(height, width) of the published table at the scene's resolution whose ratio is nearest to the picture or clip;
    to the scene's aspect where it is not known yet."""
    width, height = scene.size
    if path is not None:
        from studio.media.probe import probe

        width, height = probe(path).upright
    return nearest("r2v_v2v", scene.resolution, height, width)


class SkyReelsV3Reference(SkyReelsV3):
    id = "skyreels-v3-r2v-14b"
    tasks = frozenset({"reference_to_video"})
    pipeline = "studio.pipelines.skyreels_v3.reference_pipeline:SkyReelsV3ReferencePipeline"
    sized_by = "ref_imgs.0"
    shift_720p = shift_480p = 5.0
    limits = Limits(seconds={"reference_to_video": (1.0, 5.0)}, references=(1, SLOTS), fps=FPS, frame_step=4)
    parts = (*TEXT, VAE, SCHEDULER, Part("transformer", R2V, TRANSFORMER_BYTES))
    footprint = REFERENCE

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        return replace(super().shape(scene, options, inputs), extra_frames=SLOTS)

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        shape = self.shape(scene, options, run.inputs)
        images = [pictures.whole_picture(path) for path in run.inputs.list("ref_imgs")]
        encode = partial(self.pipe.encode_references, images, shape.height, shape.width)
        return {"given_latents": self.remembered("references", [images, shape.height, shape.width], encode)}
