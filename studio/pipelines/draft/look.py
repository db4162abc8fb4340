"""The look of the finished frame: grade by time of day, vignette, film grain. Knows no layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np

from studio.media.yuv import i420_planes
from studio.pipelines.draft.camera import smoother


@dataclass(frozen=True, slots=True)
class Grade:
    """How light falls at a time of day: channel gains (blue, green, red), exposure and saturation."""

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    saturation: float = 1.0
    contrast: float = 1.06

    def eased(self, share: float) -> "Grade":
        """So much of this grade, 0..1."""

        def part(value: float, neutral: float = 1.0) -> float:
            return neutral + (value - neutral) * share

        blue, green, red = (part(gain) for gain in self.gains)
        return Grade((blue, green, red), part(self.exposure), part(self.saturation), part(self.contrast))

    def lut(self) -> np.ndarray:
        """(1, 256, 3) uint8 for cv2.LUT on BGR; saturation is not in it."""
        ramp = np.arange(256) / 255.0
        return np.dstack([self._curve(ramp * self.exposure * gain) for gain in self.gains]).reshape(1, 256, 3)

    def _curve(self, values: np.ndarray) -> np.ndarray:
        values = np.clip(values, 0, 1)
        contrasted = values + (values * values * (3 - 2 * values) - values) * (self.contrast - 1) * 4
        return np.clip((0.012 + contrasted * 0.976) * 255, 0, 255).astype(np.uint8)


GRADES: Mapping[str | None, Grade] = {
    "night": Grade((1.10, 0.92, 0.80), 0.80, 0.92),
    "sunset": Grade((0.84, 0.98, 1.12), 1.0, 1.08),
    "dawn": Grade((0.98, 0.99, 1.05), 1.02, 0.95),
    "storm": Grade((1.03, 1.0, 0.95), 0.88, 0.72),
    "day": Grade((1.0, 1.0, 1.01), 1.0, 1.03),
    None: Grade(),
}
FACE_SHARE = 0.35  # of the grade that falls on people: skin and lanterns keep their warmth at night
PLAIN = Grade(contrast=1.0)  # for drawn plates, whose palette already is the light


def grade_for(time: str | None, bgr: np.ndarray) -> Grade:
    """The grade of a picture that was not lit for this shot: a dark one is not darkened again."""
    dark = float(cv2.resize(bgr, (48, 27), interpolation=cv2.INTER_AREA).mean()) < 70
    return GRADES["day" if dark and time in ("night", "storm") else time]


@cache
def vignette(width: int, height: int, strength: float) -> np.ndarray:
    """(H, W) uint8 to multiply the luma with, 255 in the middle."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((columns / width - 0.5) * 1.05, rows / height - 0.5)
    return np.clip(255 * (1 - strength * smoother((radius - 0.25) / 0.5)), 0, 255).astype(np.uint8)


class Grain:
    """Soft film grain on the luma, held for two frames: it costs the encoder dearly, and film is not television.

    The same stock for every shot of one size; a seed only says where the reel starts."""

    TILES = 8

    def __init__(self, width: int, height: int, seed: int, sigma: float) -> None:
        self._tiles, self._start = _grain_tiles(width, height, round(sigma, 1)), seed % self.TILES

    def apply(self, luma: np.ndarray, index: int) -> None:
        tile = self._tiles[(self._start + index // 2 * 5) % self.TILES]
        cv2.addWeighted(luma, 1, tile, 1, -128, dst=luma)


@lru_cache(maxsize=4)
def _grain_tiles(width: int, height: int, sigma: float) -> list[np.ndarray]:
    rng, tiles = np.random.default_rng(1895), []
    for _ in range(Grain.TILES):
        noise = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 0.7)
        tiles.append(cv2.convertScaleAbs(noise, alpha=sigma / float(noise.std()), beta=128))
    return tiles


class Finish:
    """Vignette and grain on an I420 frame, in place."""

    def __init__(self, width: int, height: int, seed: int, *, edge: float = 0.38, grain: float = 1.3) -> None:
        self._vignette = vignette(width, height, edge)
        self._grain = Grain(width, height, seed, grain)

    def apply(self, frame: np.ndarray, index: int) -> None:
        luma = i420_planes(frame)[0]
        cv2.multiply(luma, self._vignette, dst=luma, scale=1 / 255)
        self._grain.apply(luma, index)
