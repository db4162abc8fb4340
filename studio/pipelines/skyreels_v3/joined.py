"""A clip and what continues it as one film: the clip's frames, then the new ones, and the clip's sound under its part.

Reads the clip frame by frame. Knows no model; what is new comes from the caller.
"""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from studio.pipelines.base import Run
from studio.pipelines.diffusion import pictures

if TYPE_CHECKING:
    import numpy as np


def save_joined(
    run: Run, clip: Path, frames: "Iterable[np.ndarray]", num_frames: int, fps: float, width: int, height: int
) -> Path:
    """The clip at `fps`, filling (width, height), followed by `num_frames` frames, (height, width, 3) uint8 each.

    The scene's own sound begins where the new frames do. Raises what `Run.save_video` does."""
    import numpy as np

    count, before = pictures.every_frame(clip, fps, width, height)
    run.describe(joined=count)
    audio = _sound(run, clip, count / fps, (count + num_frames) / fps)
    shown = chain(map(np.asarray, before), frames)
    return run.save_video(shown, fps, count + num_frames, audio=audio, progress=False)


def _sound(run: Run, clip: Path, seam: float, end: float) -> Path | None:
    """The clip's sound as far as its picture goes, and the scene's after that; silence where there is none. None:
    neither has any. `seam`, `end`: seconds."""
    import numpy as np

    from studio.media import sound
    from studio.media.probe import probe

    own, heard = run.inputs.soundtrack, probe(clip).has_audio
    if not (own or heard):
        return None
    bus = np.zeros((round(end * sound.RATE), 2), np.float32)
    if heard:
        sound.place(bus, sound.softened(sound.load48(clip, seam)), 0.0)
    if own:
        sound.place(bus, sound.load48(own, end - seam), seam)
    path = run.scratch("joined.wav")
    sound.save(path, bus)
    return path
