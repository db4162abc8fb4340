"""The stage of a drawn shot: its size, light and chance, and the sheets that stand on it. Knows no particular place."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from studio.pipelines.draft.layers import Layer, Pose
from studio.pipelines.draft.palette import WHITE, Colour, Palette, mix
from studio.pipelines.draft.paper import Paper, clouds, dithered, gradient, rolling

WIDER, TALLER = 1.5, 1.2  # sheets reach beyond the frame by this much, so that the camera may travel
SUN_HEIGHT = {"night": 0.24, "sunset": 0.60, "dawn": 0.58, "day": 0.22, "storm": 0.2, None: 0.42}  # of the sheet
SUN_RADIUS = {"night": 0.045, "sunset": 0.085, "dawn": 0.07, "day": 0.055, "storm": 0.0, None: 0.10}
LIT_AFTER_DARK = ("night", "sunset", "storm", None)  # when windows and lamps burn


@dataclass(slots=True)
class Stage:
    """What every place needs to draw itself. width, height: of a sheet, in pixels."""

    frame: tuple[int, int]
    palette: Palette
    time: str | None
    weather: str | None
    features: frozenset[str]
    size: str  # of the shot: wide, medium, close, extreme
    people: int  # who will stand on the ground
    rng: np.random.Generator
    layers: list[Layer] = field(default_factory=list)
    sun: tuple[float, float] = (0.0, 0.0)  # on the sheet

    @property
    def width(self) -> int:
        return int(self.frame[0] * WIDER)

    @property
    def height(self) -> int:
        return int(self.frame[1] * TALLER)

    @property
    def lit(self) -> bool:
        return self.time in LIT_AFTER_DARK

    def paper(self) -> Paper:
        return Paper(self.width, self.height)

    def stand(self, image: np.ndarray, depth: float, *, blur: float = 0.0, strip: bool = False) -> None:
        """Put a whole sheet on the stage."""
        width, height = self.frame
        self.layers.append(
            Layer(image, width / 2, height / 2, height * TALLER, depth, blur=blur * height / 720,
                  graded=0.0, strip=strip, largest=1.0)
        )  # fmt: skip

    def stand_part(
        self, image: np.ndarray, x: float, y: float, depth: float, *,
        motion: Callable[[float], Pose] | None = None, pivot: tuple[float, float] = (0.5, 1.0),
    ) -> None:  # fmt: skip
        """Put a smaller picture on the stage; x, y: its middle on the sheet."""
        width, height = self.frame
        scale = height * TALLER / self.height
        self.layers.append(
            Layer(image, width / 2 + (x - self.width / 2) * scale, height / 2 + (y - self.height / 2) * scale,
                  image.shape[0] * scale, depth, motion, pivot, graded=0.0, largest=1.0)
        )  # fmt: skip

    def ground(self, line: np.ndarray, depth: float, nearness: float, *, mist: float = 0.35, rim: bool = False,
               draw: Callable[[Paper], None] | None = None, blur: float = 0.0,
               tint: tuple[Colour, float] | None = None) -> None:  # fmt: skip
        """A strip of land below `line` (W,), with what stands on it. nearness: 0 far and pale, 1 at hand and dark.

        tint: a colour of its own (sand, snow) and its share."""
        paper, palette = self.paper(), self.palette
        columns = np.arange(self.width)
        paper.polygon([*np.stack([columns, line], axis=1), (self.width, self.height), (0, self.height)])
        if draw:
            draw(paper)
        tone, first = mix(palette.far, palette.near, nearness), float(np.min(line))
        if tint:
            tone = mix(tone, tint[0], tint[1])
        edge = mix(palette.light, palette.horizon, 0.5) if rim else None
        image = paper.painted(
            tone, mix(tone, palette.horizon, mist * (1 - nearness * 0.7)), light=palette.light, rim=edge,
            rim_from=1 if self.sun[0] > self.width / 2 else -1, span=(first, first + self.height * 0.32),
        )  # fmt: skip
        self.stand(image, depth, strip=True, blur=blur)

    def sky(self, starry: bool = False) -> None:
        """Gradient, sun or moon with its glow, stars, cirrus or storm clouds; remembers where the sun stands."""
        width, height, palette, rng = self.width, self.height, self.palette, self.rng
        half = (width // 2, height // 2)  # everything soft is drawn at half size
        sky = gradient(half[1], half[0], [
            (0, palette.top), (0.42, palette.middle), (0.74, palette.horizon),
            (1, mix(palette.horizon, palette.middle, 0.3)),
        ])  # fmt: skip
        self.sun = (width * rng.uniform(0.33, 0.67), height * SUN_HEIGHT[self.time])
        rows, columns = np.mgrid[0 : half[1], 0 : half[0]].astype(np.float32) * 2
        away = np.hypot(columns - self.sun[0], rows - self.sun[1])
        if self.time != "storm":
            halo = np.exp(-((away / (height * 0.34)) ** 1.25)) * 0.62
            sky = mix(sky, palette.light, halo[..., None])
        if self.time == "storm":
            noise = clouds(rng, *half)
            sky = sky * (0.72 + 0.5 * noise * (1 - 0.5 * rows / height))[..., None]
        elif self.time != "night" and not starry:
            sky = self._cirrus(sky, rows)
        elif starry:
            nebula = np.clip(clouds(rng, *half, cells=(2, 4, 8, 16, 32)) * 1.9 - 0.85, 0, 1)[..., None]
            sky = mix(sky, mix(palette.middle, palette.horizon, 0.7), nebula * 0.75)
        sky = cv2.resize(sky, (width, height), interpolation=cv2.INTER_LINEAR)
        if starry or self.time == "night":
            self._stars(sky, 1100 if starry else 380, 1.0 if starry else 0.62)
        if not starry:
            self._disc(sky)
        self.stand(dithered(sky, rng), 9.0)

    def _disc(self, sky: np.ndarray) -> None:
        radius = self.height * SUN_RADIUS[self.time]
        if not radius:
            return
        x, y, room = int(self.sun[0]), int(self.sun[1]), int(radius * 1.2) + 2
        part = sky[max(0, y - room) : y + room, max(0, x - room) : x + room]
        rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(np.float32) - room
        inside = np.clip((radius - np.hypot(columns, rows)) / 1.5 + 0.5, 0, 1) * 0.96
        face = np.broadcast_to(mix(self.palette.light, WHITE, 0.25), part.shape).astype(np.float32)
        if self.time == "night":  # the moon has seas
            face = (
                face
                * (1 - 0.16 * np.clip(clouds(self.rng, part.shape[1], part.shape[0], (3, 6)) * 2 - 0.9, 0, 1))[
                    ..., None
                ]
            )
        part[:] = mix(part, face, inside[..., None])

    def _stars(self, sky: np.ndarray, count: int, reach: float) -> None:
        height, width = sky.shape[:2]
        stars = np.zeros((height, width), np.float32)
        x = self.rng.integers(0, width, count)
        y = (self.rng.random(count) ** 1.5 * (height - 1) * reach).astype(int)
        stars[y, x] = self.rng.uniform(0.25, 1, count) ** 1.3
        bright = cv2.GaussianBlur(stars, (0, 0), 0.75 * height / 864) * 3.2 * height / 864
        sky += (255 - sky) * np.clip(bright, 0, 1)[..., None]

    def _cirrus(self, sky: np.ndarray, rows: np.ndarray) -> np.ndarray:
        half_width, height = sky.shape[1], self.height
        veil = np.zeros(sky.shape[:2], np.float32)
        for _ in range(5):
            y, thick = height * self.rng.uniform(0.10, 0.58), height * self.rng.uniform(0.006, 0.03)
            wander = height * 0.02 * rolling(self.rng, half_width, 4)
            density = np.clip(rolling(self.rng, half_width, 5, 0.6, 3) + 0.15, 0, 1)
            band = np.exp(-(((rows - y - wander[None]) / thick) ** 2)) * density[None] * 0.34
            veil = veil + band * (1 - veil)
        return mix(sky, mix(self.palette.horizon, self.palette.light, 0.5), veil[..., None])
