"""Rain, snow, fog, embers and dust that fall over a finished frame. Knows no layers.

Particles live in tiles as large as the frame, drawn twice beside and below themselves, so that any window into a tile
is seamless. Neutral ones touch the luma only: three times cheaper. Embers also colour the chroma.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from studio.media.yuv import i420_planes

# how many, length, speed (both fractions of the height), brightness
RAIN = ((420, 0.05, 1.5, 52), (200, 0.09, 2.1, 70), (60, 0.16, 2.9, 84))
# how many, radius at 720 lines, fall per second (fraction of the height; negative rises), brightness
FLAKES = {
    "snow": ((300, 1.3, 0.10, 150), (130, 2.4, 0.17, 170), (26, 6.0, 0.28, 110)),
    "dust": ((120, 1.2, -0.015, 90), (40, 2.6, -0.03, 80)),
    "embers": ((70, 1.3, -0.22, 230), (26, 2.4, -0.34, 255)),
}


@dataclass(frozen=True, slots=True)
class _Tile:
    luma: np.ndarray  # (2H, 2W) uint8
    fall: float  # pixels per second
    slide: float


class Weather:
    """One kind of weather, the same for the same random numbers."""

    def __init__(self, kind: str, width: int, height: int, rng: np.random.Generator) -> None:
        self.kind, self._size = kind, (width, height)
        if kind == "rain":
            self._tiles = [self._rain(rng, *row, thick=1 if i < 2 else 2) for i, row in enumerate(RAIN)]
        elif kind == "fog":
            self._tiles = [self._fog(rng)]
        else:
            self._tiles = [self._flakes(rng, *row) for row in FLAKES[kind]]

    def apply(self, frame: np.ndarray, seconds: float) -> None:
        """On an I420 frame, in place."""
        luma, u, v = i420_planes(frame)
        for tile in self._tiles:
            window = self._window(tile, seconds)
            if self.kind == "fog":
                cv2.multiply(luma, cv2.bitwise_not(window), dst=luma, scale=1 / 255)
                cv2.add(luma, cv2.convertScaleAbs(window, alpha=0.78), dst=luma)
                continue
            cv2.add(luma, window, dst=luma)
            if self.kind == "embers":
                glow = cv2.resize(window, u.shape[::-1], interpolation=cv2.INTER_AREA)
                cv2.subtract(u, cv2.convertScaleAbs(glow, alpha=0.30), dst=u)
                cv2.add(v, cv2.convertScaleAbs(glow, alpha=0.26), dst=v)

    def _window(self, tile: _Tile, seconds: float) -> np.ndarray:
        width, height = self._size
        x, y = int(-tile.slide * seconds) % width, int(-tile.fall * seconds) % height
        return tile.luma[y : y + height, x : x + width]

    def _rain(self, rng: np.random.Generator, count: int, length: float, speed: float, light: int, thick: int) -> _Tile:
        width, height = self._size
        tile = np.zeros((height, width), np.uint8)
        for _ in range(count):
            x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
            long, value = int(height * length * rng.uniform(0.7, 1.3)), int(light * rng.uniform(0.4, 1))
            for over in (0, -height):
                cv2.line(tile, (x, y + over), (x - long // 7, y + long + over), value, thick, cv2.LINE_AA)
        return self._repeated(cv2.GaussianBlur(tile, (3, 3), 0), speed * height, -speed * height / 7)

    def _flakes(self, rng: np.random.Generator, count: int, radius: float, fall: float, light: int) -> _Tile:
        width, height = self._size
        tile = np.zeros((height, width), np.uint8)
        radius *= height / 720
        for _ in range(count):
            at = (int(rng.integers(8, width - 8)), int(rng.integers(8, height - 8)))
            size = max(1, int(radius * rng.uniform(0.6, 1.4)))
            cv2.circle(tile, at, size, int(light * rng.uniform(0.4, 1)), -1, cv2.LINE_AA)
        tile = cv2.GaussianBlur(tile, (0, 0), max(0.6, radius * 0.45))
        return self._repeated(tile, fall * height, rng.uniform(-0.03, 0.03) * height)

    def _fog(self, rng: np.random.Generator) -> _Tile:
        width, height = self._size
        noise = np.zeros((height, width), np.float32)
        for cells in (3, 6, 12, 24):
            grid = rng.random((cells, cells * 2), np.float32)
            noise += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.6
        half = noise[:, : width - width // 2]
        noise = np.hstack([half, half[:, : width // 2][:, ::-1]])  # the same at both sides, so that it tiles
        noise = (noise - noise.min()) / np.ptp(noise)
        density = np.clip(noise * 1.3 - 0.25, 0, 1) * np.linspace(0.15, 1, height)[:, None] * 125
        return self._repeated(density.astype(np.uint8), 0.0, 0.02 * height)

    @staticmethod
    def _repeated(tile: np.ndarray, fall: float, slide: float) -> _Tile:
        return _Tile(np.ascontiguousarray(np.tile(tile, (2, 2))), fall, slide)


def falling(seen: str | None, asked: str | None, frame: np.ndarray, seed: int) -> Weather | None:
    """What fell through a clip, to be drawn anew over its dry picture (H, W, 3). seen: rain or snow, by its shape; the
    prompt, where it names something that falls, knows better."""
    if seen is None:
        return None
    kind = asked if asked == "rain" or asked in FLAKES else seen
    return Weather(kind, frame.shape[1], frame.shape[0], np.random.default_rng(seed))
