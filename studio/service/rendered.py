"""What an engine really renders of a scene: pixels, frames and their rate. Data only: no engine is loaded here.

The scene says how large the film is; some engines make what they were trained at, or the size of the queue.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from studio.domain import Frame, SceneBase
from studio.errors import Refused
from studio.pipelines.base import Engine, Inputs, Limits


@dataclass(frozen=True, slots=True)
class Rendered:
    width: int
    height: int
    num_frames: float  # 1 of an image
    fps: float

    @property
    def pixels(self) -> float:
        """Of all frames."""
        return self.width * self.height * self.num_frames


def rendered(cls: type[Engine] | None, scene: SceneBase, seconds: float, frame: Frame | None = None) -> Rendered:
    """`cls`: None where the engine has gone. `seconds`: how long its picture lasts. `frame`: the queue's."""
    limits = cls.limits if cls else Limits()
    if limits.in_frame and frame:
        (width, height), fps = (frame.width, frame.height), float(frame.fps)
    else:
        (width, height), fps = _size(cls, scene, seconds) if cls else scene.size, limits.rate(seconds)
    frames = 1.0 if scene.kind == "image" else float(limits.fixed_frames) or seconds * fps
    return Rendered(width, height, frames, fps)


def _size(cls: type[Engine], scene: SceneBase, seconds: float) -> tuple[int, int]:
    """By the engine's own word; what it refuses has the scene's."""
    try:
        options = cls.Options.model_validate(scene.options.get(cls.id, {}))
        shape = cls().shape(scene, options, Inputs(duration=seconds))
    except (Refused, ValidationError):
        return scene.size
    return (shape.width, shape.height) if shape else scene.size
