"""Stars, a nebula and a banded planet with its moon. Knows no prompts."""

import numpy as np

from studio.pipelines.draft.palette import mix
from studio.pipelines.draft.paper import dithered, rolling
from studio.pipelines.draft.stage import Stage

SUNLIGHT = (-0.62, -0.62, 0.48)  # direction to the sun: left, up, towards us


def draw(stage: Stage) -> None:
    stage.sky(starry=True)
    width, height, palette = stage.width, stage.height, stage.palette
    _globe(stage, width * 0.64, height * 0.72, height * 0.46, mix(palette.horizon, palette.light, 0.3), 5.0)
    _globe(stage, width * 0.31, height * 0.32, height * 0.055, mix(palette.middle, palette.light, 0.5), 6.5)


def _globe(stage: Stage, x: float, y: float, radius: float, tone: np.ndarray, depth: float) -> None:
    side = int(radius * 2.3)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    right, down = (columns - side / 2) / radius, (rows - side / 2) / radius
    away = np.hypot(right, down)
    front = np.sqrt(np.clip(1 - away**2, 0, 1))
    sunlight = np.clip(right * SUNLIGHT[0] + down * SUNLIGHT[1] + front * SUNLIGHT[2] + 0.08, 0.015, 1)
    across = np.clip(down * 0.94 + right * 0.33, -1, 1)
    bands = np.interp(
        across + 0.02 * np.sin(right * 9), np.linspace(-1, 1, 80), 0.85 + 0.26 * rolling(stage.rng, 80, 5)
    )
    air = np.clip(1 - (1 - away) * 9, 0, 1) * (away <= 1.0) * np.clip(sunlight * 1.6, 0, 1)
    globe = mix(tone[None, None] * (sunlight * bands)[..., None], stage.palette.light, (air * 0.5)[..., None])
    rim = np.exp(-np.clip(away - 1, 0, None) * 26) * np.clip(-(right + down) * 0.6 + 0.45, 0, 1) * 0.5
    alpha = np.maximum(np.clip((1 - away) * radius + 0.5, 0, 1), rim * (away > 1))
    globe = np.where((away > 1)[..., None], mix(stage.palette.horizon, stage.palette.light, 0.5), globe)
    image = np.dstack([dithered(globe, stage.rng), (alpha * 255).astype(np.uint8)])
    stage.stand_part(image, x, y, depth)
