"""One still picture out of whatever is called one: a GIF's first frame, CMYK, 16 bit, a palette; upright, alpha kept.

Knows no faces and no scenes. Sizes are checked by the probe before anything is decoded.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from studio.errors import MediaError
from studio.media.frames import Which, picture_of, write_png
from studio.media.probe import STILLS, probe

LONGEST = 4096  # pixels of a side that is saved; engines read far less
SHALLOW = ("RGB", "RGBA")

Box = Sequence[float]
"""left, top, right, bottom in shares of the upright picture."""


def open_still(path: Path, which: Which = "first", longest: int = 0) -> tuple[Image.Image, int]:
    """(an upright RGB or RGBA picture, how many frames the file has). `which`: of a film; of a GIF it is the first.
    `longest`: a JPEG may come smaller, but not below this. Raises MediaError, Refused, TooLarge."""
    facts = probe(path)
    if facts.container not in (*STILLS, "gif"):
        return Image.fromarray(picture_of(path, which)), facts.num_frames
    try:
        with Image.open(path, formats=[STILLS.get(facts.container, "GIF")]) as image:
            count = int(getattr(image, "n_frames", 1))
            if longest:
                image.draft("RGB", (longest, longest))  # decodes smaller at no cost
            return shallow(ImageOps.exif_transpose(image)), count
    except (OSError, ValueError, SyntaxError) as failure:
        raise MediaError("media.broken", name=path.name, reason=str(failure)) from failure


def shallow(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where something is seen through, of any mode that Pillow reads; 16 bits are brought to 8."""
    if image.mode in SHALLOW:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def save_still(path: Path, out: Path, which: Which = "first", box: Box | None = None) -> tuple[int, int]:
    """PNG of a picture or of a part of it, no side longer than LONGEST; (width, height). Raises MediaError, Refused,
    TooLarge, DiskFull."""
    image, _ = open_still(path, which)
    if box is not None:
        image = image.crop(pixels(box, image.size))
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    write_png(image, out)
    return image.size


def pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a box in shares, at least one pixel wide and tall."""
    (width, height), (left, top, right, bottom) = size, box
    x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
    return x, y, max(x + 1, round(right * width)), max(y + 1, round(bottom * height))
