"""Helpers of the draft tests: drawn inputs, a run in a small frame, frames of a finished file."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from studio.domain import Frame, SceneAdapter
from studio.pipelines.base import Inputs, Made, Plan, Run
from studio.pipelines.draft.engine import Draft

SMALL = Frame(width=320, height=192, fps=12)


def make(
    folder: Path, *, seed: int = 5, style: str = "episode", files: dict[str, Path] | None = None, **scene: Any
) -> Made:
    """Run one scene in a frame of 320 x 192 at 12 fps."""
    scene.setdefault("duration", 1.0)
    if scene["task_type"] in ("text_to_image", "speech"):
        del scene["duration"]
    inputs = Inputs(files=files or {}, duration=scene.get("duration"), frame=SMALL, style=style, number=2, total=7)
    stem = folder / f"take{len(list(folder.iterdir()))}"
    return Draft().run(SceneAdapter.validate_python(scene), None, Run(seed, inputs, Plan(), stem, stem))


def frames_of(path: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 BGR."""
    with av.open(str(path), format="mp4") as source:
        return [frame.to_ndarray(format="bgr24") for frame in source.decode(video=0)]


def save_png(path: Path, bgr: np.ndarray) -> Path:
    cv2.imwrite(str(path), bgr)
    return path


def landscape(seed: int = 0, width: int = 480, height: int = 288) -> np.ndarray:
    """A photograph-like plate: sky, hills, texture that can be followed."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.linspace(220, 90, height)[:, None, None], width, axis=1) * np.array([1.0, 0.85, 0.7])
    for base in (0.5, 0.65, 0.8):
        line = height * (base + 0.06 * np.sin(np.linspace(0, 9, width) + rng.uniform(0, 6)))
        image[np.arange(height)[:, None] > line[None]] *= 0.7
    grain = cv2.resize(rng.normal(0, 24, (height // 6, width // 6)).astype(np.float32), (width, height))
    return np.clip(image + grain[..., None], 0, 255).astype(np.uint8)
