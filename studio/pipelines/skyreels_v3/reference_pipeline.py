"""SkyReels-V3 R2V: up to four reference pictures lie behind the video as latent frames. For workers only.

The network is Wan's own. The references have the video's noise level, though they have no noise; four places are always
there, and those that nobody filled are zeros. Knows no file and no plan.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from studio.pipelines.skyreels_v3.beside import BesidePipeline, Named

if TYPE_CHECKING:
    from PIL.Image import Image

SLOTS = 4
WHITE = (255, 255, 255)


class SkyReelsV3ReferencePipeline(BesidePipeline):
    """WanPipeline with `given_latents` (1, C, 4, h, w) of references."""

    def laid(self, drawn: torch.Tensor, given: torch.Tensor, timestep: torch.Tensor) -> Named:
        return {"hidden_states": torch.cat([drawn, given], dim=2)}

    def encode_references(self, images: "Sequence[Image]", height: int, width: int) -> torch.Tensor:
        """(1, C, 4, h, w) of one to four pictures of any size; each is encoded alone."""
        found = [self.encode_frames([letterboxed(image, height, width)]) for image in images]
        empty = torch.zeros_like(found[0])
        return torch.cat([*found, *[empty] * (SLOTS - len(found))], dim=2)


def letterboxed(image: "Image", height: int, width: int) -> "Image":
    """The whole picture inside of that size, in the middle of white."""
    from PIL import Image, ImageOps

    fitted = ImageOps.contain(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (width, height), WHITE)
    page.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return page
