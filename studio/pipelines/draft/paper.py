"""Paper to cut silhouettes from: masks drawn at twice the size, coloured by a gradient, edged by light.

Also the noises that landscapes are made of. Knows no places.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from studio.pipelines.draft.palette import Colour, mix

Point = Sequence[float] | np.ndarray  # x, y


class Paper:
    """One sheet. Coordinates are pixels of the sheet; `lights` are windows and lamps in it."""

    FINE = 2  # masks are drawn this much larger

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.mask = np.zeros((height * self.FINE, width * self.FINE), np.uint8)
        self.lights = np.zeros((height * self.FINE, width * self.FINE), np.uint8)
        self._lit = False

    def polygon(self, points: Iterable[Point]) -> None:
        cv2.fillPoly(self.mask, [self._fixed(points)], 255, cv2.LINE_AA, 4)

    def light(self, points: Iterable[Point], strength: float = 1.0) -> None:
        self._lit = True
        cv2.fillPoly(self.lights, [self._fixed(points)], int(255 * strength), cv2.LINE_AA, 4)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def circle(self, x: float, y: float, radius: float) -> None:
        self.ellipse(x, y, radius, radius)

    def ellipse(self, x: float, y: float, across: float, down: float, turn: float = 0.0) -> None:
        self._ellipse(self.mask, x, y, across, down, turn, 255)

    def lamp(self, x: float, y: float, radius: float) -> None:
        self._lit = True
        self._ellipse(self.lights, x, y, radius, radius, 0, 255)
        self.circle(x, y, radius)

    def limb(self, start: Point, end: Point, thick: float, thin: float) -> None:
        """A tapered stroke with a round end."""
        along = np.subtract(end, start)
        side = np.array([-along[1], along[0]]) / max(1e-6, float(np.hypot(*along)))
        self.polygon([start + side * thick, start - side * thick, end - side * thin, end + side * thin])
        self.circle(end[0], end[1], thin)

    def soften(self, radius: float) -> None:
        """Round every joint: blur, then threshold with a soft knee. Polygon joints look crude without it."""
        radius = max(0.6, radius * self.FINE)
        left, top, width, height = cv2.boundingRect(self.mask)
        room = int(radius * 3) + 2
        part = np.s_[max(0, top - room) : top + height + room, max(0, left - room) : left + width + room]
        blurred = cv2.GaussianBlur(self.mask[part], (0, 0), radius)
        knee = radius * 1.1
        self.mask[part] = cv2.convertScaleAbs(cv2.subtract(blurred, 127 - int(127 / knee)), alpha=knee)

    def painted(
        self,
        top: Colour,
        base: Colour,
        *,
        light: Colour | None = None,
        rim: Colour | None = None,
        rim_from: int = 1,
        span: tuple[float, float] | None = None,
    ) -> np.ndarray:
        """(H, W, 4) uint8 BGR + alpha: `top` fading to `base` over the rows of `span` (mist rises from the ground).

        rim: colour of the edge that faces the light, which stands to the right (1) or left (-1) of it."""
        size = (self.width, self.height)
        alpha = cv2.resize(self.mask, size, interpolation=cv2.INTER_AREA)
        _, first, _, rows = cv2.boundingRect(alpha)
        sheet = np.zeros((self.height, self.width, 4), np.uint8)
        sheet[..., 3] = alpha
        if not rows:
            return sheet
        part = slice(first, first + rows)
        start, end = span or (first, self.height)
        ramp = np.clip((np.arange(first, first + rows) - start) / max(1, end - start), 0, 1)[:, None]
        sheet[part, :, :3] = np.clip(mix(top[None], base[None], ramp) + 0.5, 0, 255).astype(np.uint8)[:, None]
        if rim is not None:
            _tinted(sheet[part], self._edge(part, rim_from), rim)
        if light is not None and self._lit:
            _tinted(sheet[part], cv2.resize(self.lights, size, interpolation=cv2.INTER_AREA)[part], light)
        return sheet

    def _edge(self, part: slice, side: int) -> np.ndarray:
        """(rows, W) uint8: a thin band along edges that face up and to the light."""
        thick = max(3, int(self.height * 0.005))
        shifts = [np.array([[1, 0, -side * by], [0, 1, by]], np.float32) for by in (thick, thick // 2)]
        edges = [
            cv2.subtract(self.mask, cv2.warpAffine(self.mask, shift, self.mask.shape[::-1], flags=cv2.INTER_NEAREST))
            for shift in shifts
        ]  # bright at the very edge, dimmer within
        edge = cv2.addWeighted(edges[0], 0.38, edges[1], 0.5, 0)
        edge = cv2.resize(edge, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(edge[part], (0, 0), 0.7)

    def _fixed(self, points: Iterable[Point]) -> np.ndarray:
        """Fixed point with four fractional bits, so that edges keep their place between pixels."""
        return np.asarray([np.asarray(point) * (self.FINE * 16) for point in points]).round().astype(np.int32)

    def _ellipse(self, on: np.ndarray, x: float, y: float, across: float, down: float, turn: float, value: int) -> None:
        fine = self.FINE * 16
        axes = (max(8, int(across * fine)), max(8, int(down * fine)))
        cv2.ellipse(on, (int(x * fine), int(y * fine)), axes, turn, 0, 360, value, -1, cv2.LINE_AA, 4)


def _tinted(sheet: np.ndarray, share: np.ndarray, tone: Colour) -> None:
    """Mix a tone into a sheet (H, W, 4) in place; share: (H, W) uint8, mostly 0."""
    rows, columns = np.nonzero(share)
    part = share[rows, columns, None].astype(np.float32) / 255
    sheet[rows, columns, :3] = np.clip(mix(sheet[rows, columns, :3], tone, part) + 0.5, 0, 255)


def spline(points: Sequence[Point], steps: int = 18) -> np.ndarray:
    """A closed Catmull-Rom curve through the points: (len * steps, 2)."""
    knots = np.asarray(points, float)
    ring = np.vstack([knots[-1], knots, knots[0], knots[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for i in range(len(knots)):
        a, b, c, d = ring[i : i + 4]
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack(parts)


def rolling(rng: np.random.Generator, length: int, octaves: int, rough: float = 0.5, waves: int = 2) -> np.ndarray:
    """Smooth hills: (length,) in -1..1."""
    return _layered(rng, length, octaves, rough, waves, smooth=True)


def ridge(rng: np.random.Generator, length: int, octaves: int = 7) -> np.ndarray:
    """Broken rock: (length,) in 0..1."""
    line = _layered(rng, length, octaves, 0.52, 3, smooth=False)
    return (line - line.min()) / np.ptp(line)


def _layered(rng: np.random.Generator, length: int, octaves: int, rough: float, waves: int, smooth: bool) -> np.ndarray:
    x, line = np.linspace(0, 1, length), np.zeros(length)
    for octave in range(octaves):
        knots = waves * 2**octave
        heights = rng.random(knots + 3)
        at = x * knots
        left = at.astype(int)
        share = at - left
        if smooth:
            share = share * share * (3 - 2 * share)
        line += (heights[left] * (1 - share) + heights[left + 1] * share - 0.5) * rough**octave
    return line / np.abs(line).max()


def clouds(rng: np.random.Generator, width: int, height: int, cells: Sequence[int] = (3, 6, 12, 24)) -> np.ndarray:
    """(H, W) float32 in 0..1: soft value noise."""
    noise = np.zeros((height, width), np.float32)
    for count in cells:
        grid = rng.random((count, count * 2), np.float32)
        noise += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / count**0.7
    return (noise - noise.min()) / np.ptp(noise)


def gradient(height: int, width: int, stops: Sequence[tuple[float, Colour]]) -> np.ndarray:
    """(H, W, 3) float32, from the top down."""
    rows, places = np.linspace(0, 1, height), [place for place, _ in stops]
    colours = np.stack([stop for _, stop in stops])
    column = np.stack([np.interp(rows, places, colours[:, channel]) for channel in range(3)], axis=1)
    return np.repeat(column[:, None], width, axis=1).astype(np.float32)


def dithered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 0..255 -> uint8 without bands in slow gradients."""
    noise = rng.random(image.shape[:2], np.float32) - 0.5
    return cv2.convertScaleAbs(cv2.add(image.astype(np.float32), cv2.merge([noise, noise, noise])))


def glow(
    width: int, height: int, x: float, y: float, radius: float, colour: Colour, strength: float, fall: float = 1.25
) -> np.ndarray:
    """(H, W, 4) uint8: light that fades outwards from a point."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(columns - x, rows - y)
    room = max(1.0, min(x, y, width - x, height - y))
    alpha = np.exp(-((away / radius) ** fall)) * np.clip(1 - away / room, 0, 1) ** 0.7 * strength * 255
    return np.dstack([np.broadcast_to(np.clip(colour, 0, 255), (height, width, 3)), alpha]).astype(np.uint8)
