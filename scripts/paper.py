"""Paper-cut drawing for the sample episode: shapes with a soft shadow below, a lit edge and a grain. Knows no subject.

Everything is drawn at twice its size in float32 RGB 0..255 and scaled down at the end. The same numbers give the same
picture; nothing is read from the clock.
"""

from collections.abc import Sequence

import cv2
import numpy as np

Point = tuple[float, float]
SCALE = 2  # drawn at, per pixel of the finished picture


def colour(text: str) -> np.ndarray:
    """(3,) float32 from "#rrggbb"."""
    return np.float32([int(text[i : i + 2], 16) for i in (1, 3, 5)])


def curve(points: Sequence[Point], closed: bool = True, steps: int = 14) -> np.ndarray:
    """(N, 2) float32: a Catmull-Rom spline through the points."""
    knots = np.float32(points)
    count = len(knots)
    pieces = count if closed else count - 1
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    path = []
    for i in range(pieces):
        index = [i - 1, i, i + 1, i + 2]
        a, b, c, d = knots[[k % count if closed else min(max(k, 0), count - 1) for k in index]]
        path.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(path if closed else [*path, knots[-1:]])


class Sheet:
    """A picture being glued together, sheet upon sheet. Coordinates are pixels of the finished picture."""

    def __init__(self, width: int, height: int, top: str, bottom: str | None = None, seed: int = 1) -> None:
        self.width, self.height = width * SCALE, height * SCALE
        self.rng = np.random.default_rng(seed)
        y = np.linspace(0, 1, self.height, dtype=np.float32)[:, None, None]
        low = colour(bottom or top)
        self.rgb = np.repeat(colour(top) * (1 - y) + low * y, self.width, 1)
        self.background = self.rgb.copy()
        self.paper = np.zeros((self.height, self.width), np.float32)  # where anything was glued
        self.x, self.y = np.meshgrid(
            np.arange(self.width, dtype=np.float32) / SCALE, np.arange(self.height, dtype=np.float32) / SCALE
        )

    # ------------------------------------------------------------------ masks: (H, W) float32 0..1
    def shape(self, points: Sequence[Point] | np.ndarray, smooth: bool = True) -> np.ndarray:
        path = curve(points) if smooth else np.float32(points)
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(mask, [np.int32(np.round(path * SCALE * 16))], 255, cv2.LINE_AA, shift=4)
        return mask.astype(np.float32) / 255

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> np.ndarray:
        mask = np.zeros((self.height, self.width), np.uint8)
        centre, axes = (
            (round(cx * SCALE * 16), round(cy * SCALE * 16)),
            (round(rx * SCALE * 16), round(ry * SCALE * 16)),
        )
        cv2.ellipse(mask, centre, axes, turn, 0, 360, 255, -1, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def stroke(self, points: Sequence[Point], widths: float | Sequence[float], closed: bool = False) -> np.ndarray:
        """A line that may swell and taper: `widths` are spread along it."""
        path = curve(points, closed, 20)
        along = np.linspace(0, 1, len(path))
        wide = np.interp(along, np.linspace(0, 1, np.size(widths)), np.atleast_1d(widths)) / 2
        tangent = np.gradient(path, axis=0)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        normal /= np.maximum(np.hypot(*normal.T), 1e-6)[:, None]
        outline = np.concatenate([path + normal * wide[:, None], (path - normal * wide[:, None])[::-1]])
        return self.shape(outline, smooth=False)

    def glow(self, cx: float, cy: float, rx: float, ry: float, power: float = 2.0) -> np.ndarray:
        return np.exp(-(np.hypot((self.x - cx) / rx, (self.y - cy) / ry) ** power)).astype(np.float32)

    def blur(self, mask: np.ndarray, radius: float) -> np.ndarray:
        small = cv2.resize(mask, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), max(0.4, radius * SCALE / 4))
        return cv2.resize(soft, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    def moved(self, mask: np.ndarray, dx: float, dy: float) -> np.ndarray:
        shift = np.float32([[1, 0, dx * SCALE], [0, 1, dy * SCALE]])
        return cv2.warpAffine(mask, shift, (self.width, self.height))

    # ------------------------------------------------------------------ glue
    def tint(self, mask: np.ndarray, shade: str, strength: float = 1.0) -> None:
        """Colour that lies on the paper: light, blush, shadow."""
        a = (mask * strength)[..., None]
        self.rgb += (colour(shade) - self.rgb) * a

    def add(self, mask: np.ndarray, light: str, strength: float = 1.0) -> None:
        """Light, added."""
        self.rgb += (mask * strength)[..., None] * colour(light)

    def glue(
        self,
        mask: np.ndarray,
        near: str,
        far: str | None = None,
        *,
        towards: Point = (0.0, 1.0),
        shadow: tuple[float, float, float, float] = (3, 6, 8, 0.35),
        rim: float = 0.0,
        clip: np.ndarray | None = None,
    ) -> np.ndarray:
        """Lay a sheet: a gradient `near` -> `far` across its own extent, a shadow (dx, dy, blur, strength) below it and
        an edge lit from the upper left by `rim`. Returns its mask."""
        if clip is not None:
            mask = mask * clip
        if shadow[3]:
            under = self.blur(self.moved(mask, shadow[0], shadow[1]), shadow[2])
            self.rgb *= 1 - ((under * (1 - mask)) * shadow[3] * (clip if clip is not None else 1))[..., None]
        self.paper = np.maximum(self.paper, mask)
        paper = np.broadcast_to(colour(near), self.rgb.shape)
        if far is not None and mask.any():
            place = self.x * towards[0] + self.y * towards[1]
            inside = place[mask > 0.5]
            low, high = (inside.min(), inside.max()) if inside.size else (0.0, 1.0)
            t = np.clip((place - low) / max(1e-3, high - low), 0, 1)[..., None]
            paper = colour(near) * (1 - t) + colour(far) * t
        self.rgb = self.rgb * (1 - mask[..., None]) + paper * mask[..., None]
        if rim:
            lit = np.clip(mask - self.moved(mask, 1.6, 1.6), 0, 1)
            self.rgb += lit[..., None] * np.float32([255, 236, 205]) * rim
        return mask

    def finish(self, grain: float = 1.6, plain: bool = False) -> np.ndarray:
        """(height, width, 3) uint8 RGB, with the fibre of paper in it. `plain`: no shadow on the background."""
        if plain:
            self.rgb += (self.background - self.rgb) * (1 - self.paper)[..., None]
        small = (self.width // SCALE, self.height // SCALE)
        picture = cv2.resize(np.clip(self.rgb, 0, 255), small, interpolation=cv2.INTER_AREA)
        if grain:
            noise = cv2.GaussianBlur(self.rng.normal(0, 1, small[::-1]).astype(np.float32), (0, 0), 0.9)
            picture += (noise / noise.std() * grain)[..., None]
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8)
