"""Moves a mouth and closes eyes in a still picture: the seam of the lips opens as a lens, lids come down over the eyes.

Works in place on (H, W, channels) uint8. Knows no sound and no time; how far is said by whoever calls.
"""

from collections.abc import Callable

import cv2
import numpy as np

from studio.media.faces import Eye
from studio.pipelines.draft.camera import smoother
from studio.pipelines.draft.landmarks import Landmarks, Lips

OPEN_FLAT, OPEN_TEXTURED = 0.30, 0.235  # a fully open mouth, in distances between the eyes
UPPER_SHARE = 0.16  # of the opening that the upper lip takes
LEAST_CHIN = 0.26  # half the width that a jaw moves with, in distances between the eyes
PARTED_ALREADY = 0.18  # an open mouth moves less
DARK, TEETH, TONGUE = (24, 15, 38), (226, 236, 242), (88, 78, 176)  # BGR

Paint = Callable[[np.ndarray], np.ndarray]
"""(h, w, 3) float32 BGR in the colours of the picture that is worked on, (h, w, channels) float32."""
Part = tuple[slice, slice]


def lens(u: np.ndarray, power: float) -> np.ndarray:
    """1 in the middle, 0 at u = -1 and 1: the height of an opening mouth or eye."""
    return np.clip(1 - u * u, 0, 1) ** power


class Mouth:
    """The lips of one picture. Whatever hangs on the column alone is a row, (1, w): it is worked out once for all."""

    def __init__(self, bgr: np.ndarray, marks: Landmarks, lips: Lips, paint: Paint = lambda bgr: bgr) -> None:
        """`paint`: for pictures of other channels than BGR."""
        height, width = bgr.shape[:2]
        self.lips, self.apart, self.flat, self.paint = lips, marks.apart, marks.flat, paint
        half, apart = lips.half_width, marks.apart
        chin = max(half, LEAST_CHIN * apart)  # a small mouth has a whole chin below it, too
        self.x0, self.x1 = max(0, int(lips.x - 3.2 * chin)), min(width, int(lips.x + 3.2 * chin) + 1)
        self.y0, self.y1 = max(0, int(lips.y - 0.55 * apart)), min(height, int(lips.y + 1.25 * apart) + 1)
        self.y, self.x = np.mgrid[self.y0 : self.y1, self.x0 : self.x1].astype(np.float32)
        self.u = (self.x[:1] - np.float32(lips.x)) / np.float32(half)
        self.seam = lips.seam(self.x[:1]).astype(np.float32)
        self._weigh(self.u * np.float32(half / chin))
        skin = bgr[
            max(0, int(lips.y - 0.5 * apart)) : max(0, int(lips.y - 0.25 * apart)),
            max(0, int(lips.x - half)) : max(0, int(lips.x + half)),
        ]
        lit = np.median(skin.reshape(-1, 3), axis=0).max() if skin.size else 225
        self.light = float(np.clip(lit / 225, 0.35, 1.05))

    @property
    def part(self) -> Part:
        """What may change of the picture."""
        return np.s_[self.y0 : self.y1, self.x0 : self.x1]

    def _weigh(self, across: np.ndarray) -> None:
        """How much each place follows the jaw, the upper lip and the corners, 0..1. across: of the chin, (1, w)."""
        v = (self.y - self.seam) / self.apart
        below = np.clip(v / 0.52, 0, 1)
        wide = 0.66 + 1.14 * smoother(below)  # the whole chin follows, not its tip
        jaw = np.exp(-((np.abs(across) / wide) ** 2.4)) * (1 - smoother((v - 0.46) / 0.72)) * (1 - 0.16 * below)
        self.jaw = np.where(v >= 0, jaw, 0).astype(np.float32)
        upper = np.exp(-((np.abs(self.u) / 0.62) ** 2.2)) * np.clip(1 + v / 0.30, 0, 1) ** 1.5
        self.upper = np.where(v < 0, upper, 0).astype(np.float32)
        corners = np.exp(-((self.u / 1.25) ** 2)) * np.exp(-((v / 0.34) ** 2))
        self.aside = (corners * (self.x - self.lips.x)).astype(np.float32)

    def move(self, image: np.ndarray, opened: float, wide: float) -> bool:
        """opened: 0 closed .. 1.15; wide: -1 round .. 1 spread. False where that changes nothing."""
        if self.lips.parted:
            opened = max(0.0, opened - PARTED_ALREADY)
        drop = opened * self.apart * (OPEN_FLAT if self.flat else OPEN_TEXTURED)  # of the lower lip, pixels
        squeeze = -0.085 * wide * (1.0 if wide < 0 else 0.75)
        if drop < 0.6 and abs(squeeze) < 0.004:
            return False
        shape = lens(self.u / (1 - 0.16 * max(0.0, -wide) + 0.03 * max(0.0, wide)), 0.6)
        top = self.seam - UPPER_SHARE * drop * shape
        bottom = self.seam + drop * shape
        map_x = cv2.addWeighted(self.x, 1, self.aside, squeeze, 0)
        map_y = self._from_where(drop, shape, top, bottom)
        part = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if drop > 1.0:
            self._paint_inside(part, opened, drop, shape, top, bottom)
        image[self.part] = part
        return True

    def _from_where(self, drop: float, shape: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        """(h, w) the row each place comes from: y' = y + drop * jaw(y), inverted by two steps of a fixed point."""
        lower = cv2.addWeighted(self.y, 1, self.jaw, -drop, 0)
        jaw = cv2.remap(self.jaw, self.x - self.x0, lower - self.y0, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        past = lower - self.seam
        at_lip = cv2.exp(np.clip(past, 0, None) * (-10 / self.apart)) * shape
        at_lip[past < -2] = 0
        lower = np.maximum(cv2.addWeighted(self.y, 1, np.maximum(jaw, at_lip), -drop, 0), self.seam + 0.5)
        upper = np.minimum(cv2.addWeighted(self.y, 1, self.upper, UPPER_SHARE * drop, 0), self.seam - 0.5)
        return np.where(self.y > bottom, lower, np.where(self.y < top, upper, self.seam))

    def _paint_inside(
        self, part: np.ndarray, opened: float, drop: float, shape: np.ndarray, top: np.ndarray, bottom: np.ndarray
    ) -> None:
        """Darkness, the upper teeth, a tongue. Soft at the lips."""
        columns = np.flatnonzero(shape[0] > 0.02)
        if not len(columns):
            return
        across = slice(columns[0], columns[-1] + 1)
        first, last = int(top[:, across].min() - 1) - self.y0, int(bottom[:, across].max() + 2) - self.y0
        down = slice(max(0, first), max(0, last) + 1)
        y, u = self.y[down, across], self.u[:, across]
        top, bottom, shape = top[:, across], bottom[:, across], shape[:, across]
        soft = 0.9 if self.flat else max(0.8, 0.010 * self.apart)
        inside = np.clip((y - top) / soft, 0, 1) * np.clip((bottom - y) / soft, 0, 1)
        depth = np.clip((y - top) / np.maximum(bottom - top, 1e-3), 0, 1)
        colour = np.float32(DARK) * self.light * (1 + 0.35 * depth[..., None])
        if not self.lips.parted:
            tall = min(0.40 * drop, 0.085 * self.apart) * np.clip(shape, 0.3, 1)
            teeth = np.clip(1 - (y - top - 0.03 * drop) / np.maximum(tall, 1e-3), 0, 1) ** (0.25 if self.flat else 0.55)
            teeth *= np.clip((0.80 - np.abs(u)) / 0.18, 0, 1) * np.clip((opened - 0.08) / 0.22, 0, 1)
            white = np.float32(TEETH) * (0.45 + 0.55 * self.light) * (0.97 if self.flat else 0.80)
            colour += (white - colour) * (teeth * (0.95 if self.flat else 0.82))[..., None]
        away = np.hypot(u / 0.62, (y - (bottom + 0.10 * drop)) / max(0.55 * drop, 1e-3))
        tongue = np.clip(1 - away, 0, 1) ** 0.6 * np.clip((opened - 0.3) / 0.4, 0, 1)
        colour += (np.float32(TONGUE) * self.light - colour) * (0.75 * tongue)[..., None]
        shade = np.clip(1 - depth / 0.30, 0, 1) * (0.18 if self.flat else 0.45)  # of the upper lip on the teeth
        colour *= (1 - shade)[..., None]
        under = part[down, across].astype(np.float32)
        painted = self.paint(colour.astype(np.float32))
        part[down, across] = (under + (painted - under) * inside[..., None]).astype(np.uint8)


class Lids:
    """The eyes of one picture."""

    def __init__(self, bgr: np.ndarray, marks: Landmarks) -> None:
        self.apart, self.flat = marks.apart, marks.flat
        self.eyes = [_Lid(bgr, eye, marks.apart, marks.flat) for eye in marks.eyes]

    @property
    def parts(self) -> list[Part]:
        """What may change of the picture."""
        return [np.s_[lid.y0 : lid.y1, lid.x0 : lid.x1] for lid in self.eyes]

    def close(self, bgr: np.ndarray, shut: float) -> bool:
        """shut: 0 as they are .. 1 closed. False where that changes nothing."""
        if shut <= 0.03:
            return False
        for lid in self.eyes:
            lid.close(bgr, shut)
        return bool(self.eyes)


class _Lid:
    def __init__(self, bgr: np.ndarray, eye: Eye, apart: float, flat: bool) -> None:
        height, width = bgr.shape[:2]
        half = eye.half_width * (1.10 if flat else 0.98)
        self.flat, self.apart = flat, apart
        self.x0, self.x1 = max(0, int(eye.x - 1.25 * half)), min(width, int(eye.x + 1.25 * half) + 2)
        self.y0, self.y1 = max(0, int(eye.y - 2.9 * eye.above)), min(height, int(eye.y + 1.9 * eye.below) + 2)
        y, self.x = np.mgrid[self.y0 : self.y1, self.x0 : self.x1].astype(np.float32)
        self.y = y
        self.shape = lens((self.x - eye.x) / (1.08 * half), 0.62)
        self.top = eye.y - eye.above * self.shape  # where the open lid ends
        self.lashes = eye.y - 1.62 * eye.above * lens(
            (self.x - eye.x) / (1.16 * half), 0.5
        )  # a drawn lash line above it
        self.bottom = eye.y + 0.86 * eye.below * self.shape  # where the lids meet
        self.above = eye.above
        skin_row = int(np.clip(eye.y + 1.65 * eye.below, 0, height - 3))
        columns = slice(max(0, int(eye.x - 0.5 * half)), max(1, int(eye.x + 0.5 * half)))
        under = bgr[skin_row : skin_row + max(2, int(0.05 * apart)), columns].reshape(-1, 3)
        self.skin = (np.median(under, axis=0) * 0.95).astype(np.float32)

    def close(self, bgr: np.ndarray, shut: float) -> None:
        if self.x1 - self.x0 < 4 or self.y1 - self.y0 < 4:
            return
        edge = self.top + (self.bottom - self.top) * shut
        part = bgr[self.y0 : self.y1, self.x0 : self.x1]
        lid = self._painted(part, edge) if self.flat else self._stretched(bgr, edge, shut)
        thick = max(1.0, 0.016 * self.apart * (1.25 if self.flat else 1.0))
        line = (
            np.exp(-(((self.y - edge) / thick) ** 2))
            * np.clip(2 * self.shape, 0, 1)
            * shut
            * (0.78 if self.flat else 0.62)
        )
        part[:] = np.clip(lid * (1 - line)[..., None], 0, 255).astype(np.uint8)

    def _painted(self, part: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """A drawn lid of the skin's colour, a little darker towards its edge. Stretching would drag outlines along."""
        cover = np.clip((self.y - self.lashes) / 1.2 + 0.5, 0, 1) * np.clip((edge - self.y) / 1.2 + 0.5, 0, 1)
        cover = cover[..., None]
        down = np.clip((self.y - self.lashes) / np.maximum(self.bottom - self.lashes, 1e-3), 0, 1)
        colour = self.skin * (1 - 0.10 * down * down)[..., None]
        return part.astype(np.float32) * (1 - cover) + colour * cover

    def _stretched(self, bgr: np.ndarray, edge: np.ndarray, shut: float) -> np.ndarray:
        """The skin between brow and lid, drawn down over the eye."""
        base, source = self.top - 1.35 * self.above, self.top - 0.22 * self.above
        share = (self.y - base) / np.maximum(edge - base, 1e-3)
        moved = (self.y > base) & (self.y <= edge)
        from_row = np.where(moved, base + share * (source - base), self.y)
        present = np.clip(4 * self.shape, 0, 1)
        from_row = (self.y + (from_row - self.y) * present).astype(np.float32)
        lid = cv2.remap(bgr, self.x, from_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        shade = np.clip(share, 0, 1) * (self.y <= edge) * present * 0.12 * shut
        return lid * (1 - shade)[..., None]
