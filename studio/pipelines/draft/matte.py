"""Who stands in a picture: alpha, else a flat background flooded from the corners, else a face and GrabCut around it.

Cut-outs are kept by what is in the picture: a cast appears in many shots. Knows no shots.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from studio.media.faces import Face, find_face

KEPT = 24  # cut-outs in memory
GRAB_SIZE = 400  # longest side that GrabCut works at


@dataclass(frozen=True, slots=True)
class Cutout:
    image: np.ndarray  # (h, w, 4) uint8 BGR + alpha, as large as the picture
    how: Literal["alpha", "flat", "grabcut"]
    confidence: float  # 0..1
    face: Face | None

    def trimmed(self) -> np.ndarray:
        """Only the painted part."""
        x, y, width, height = cv2.boundingRect((self.image[..., 3] > 24).astype(np.uint8))
        return self.image[y : y + height, x : x + width]

    @property
    def cover(self) -> float:
        """Share of the picture."""
        return float((self.image[..., 3] > 128).mean())


_kept: OrderedDict[bytes, Cutout | None] = OrderedDict()


def cut_out(bgra: np.ndarray) -> Cutout | None:
    """The person or thing in a picture (h, w, 4), or None where nobody stands out."""
    key = hashlib.blake2b(np.ascontiguousarray(bgra), digest_size=16).digest()
    if key not in _kept:
        _kept[key] = _cut_out(bgra)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]


def _cut_out(bgra: np.ndarray) -> Cutout | None:
    bgr = np.ascontiguousarray(bgra[..., :3])
    if (bgra[..., 3] < 128).mean() > 0.05:
        return Cutout(bgra, "alpha", 1.0, None)
    flat = _flat_background(bgr)
    if flat is not None and 0.08 < (flat > 128).mean() < 0.9:
        return Cutout(np.dstack([bgr, flat]), "flat", 0.9, None)
    face = main_face(bgr)
    if face is None:
        return None
    alpha, confidence = _grab(bgr, face)
    if not 0.06 < alpha.mean() / 255 < 0.85:
        return None
    return Cutout(np.dstack([bgr, alpha]), "grabcut", confidence, face)


def main_face(bgr: np.ndarray) -> Face | None:
    """The face of a picture, where there is one that can be trusted."""
    found = find_face(bgr)
    return found[0] if found else None


def _flat_background(bgr: np.ndarray, tolerance: int = 10) -> np.ndarray | None:
    """(h, w) uint8 alpha of what stands before a one-coloured wall, or None where the borders vary."""
    height, width = bgr.shape[:2]
    thick, thin = max(2, height // 60), max(2, width // 60)
    borders = np.concatenate([
        bgr[:thick].reshape(-1, 3), bgr[: height // 2, :thin].reshape(-1, 3), bgr[: height // 2, -thin:].reshape(-1, 3),
    ]).astype(np.float32)  # fmt: skip
    wall = np.median(borders, axis=0)
    if (np.abs(borders - wall).max(axis=1) < 14).mean() < 0.86:
        return None
    flooded = np.zeros((height + 2, width + 2), np.uint8)
    near = (tolerance,) * 3
    flags = 4 | (255 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    for x, y in [(0, 0), (width - 1, 0), (width // 2, 0), (0, height // 3), (width - 1, height // 3)]:
        if np.abs(bgr[y, x].astype(int) - wall).max() < 18 and not flooded[y + 1, x + 1]:
            cv2.floodFill(bgr.copy(), flooded, (x, y), 0, near, near, flags)
    alpha = cv2.erode(255 - flooded[1:-1, 1:-1], np.ones((3, 3), np.uint8))
    return cv2.GaussianBlur(alpha, (0, 0), 1.1)


def _grab(bgr: np.ndarray, face: Face) -> tuple[np.ndarray, float]:
    """GrabCut with a prior of head and body below a face -> (h, w) uint8 alpha, and how well its edge lies on edges."""
    height, width = bgr.shape[:2]
    scale = min(1.0, GRAB_SIZE / max(height, width))
    small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = _prior(small.shape[:2], *(value * scale for value in (face.x, face.y, face.width, face.height)))
    cv2.setRNGSeed(0)  # GrabCut starts k-means from OpenCV's own random numbers
    cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    body = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    heart = (int((face.x + face.width / 2) * scale), int(min(small.shape[0] - 1, (face.y + face.height / 2) * scale)))
    body = _one_piece(body, heart)
    fine = cv2.resize(body.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    guide = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    alpha = np.clip((_guided(guide, fine, int(max(height, width) / 60) | 1, 1e-3) - 0.25) / 0.55, 0, 1)
    edges = cv2.dilate(cv2.Canny(small, 60, 140), np.ones((3, 3)))
    outline = cv2.morphologyEx(body, cv2.MORPH_GRADIENT, np.ones((3, 3)))
    outline[-3:] = 0
    confidence = float((edges[outline > 0] > 0).mean()) if outline.any() else 0.0
    return (alpha * 255).astype(np.uint8), confidence


def _prior(shape: tuple[int, int], x: float, y: float, wide: float, tall: float) -> np.ndarray:
    """Where a person with this face surely is, may be, and cannot be."""
    height, width = shape
    middle, chin = x + wide / 2, int(y + tall)
    mask = np.full(shape, cv2.GC_PR_BGD, np.uint8)
    border = max(2, int(width * 0.02))
    mask[:, :border] = mask[:, -border:] = cv2.GC_BGD
    mask[: max(1, int(y - tall * 0.75))] = cv2.GC_BGD

    def fill(value: int, head: tuple[float, float, float], body: list[tuple[float, float]]) -> None:
        centre, across, down = head
        cv2.ellipse(
            mask, (int(middle), int(y + tall * centre)), (int(wide * across), int(tall * down)), 0, 0, 360, value, -1
        )
        points = [(middle + wide * a, min(height, chin + tall * b)) for a, b in body]
        cv2.fillPoly(mask, [np.array(points, np.int32)], value)

    bottom = height / tall
    fill(
        cv2.GC_PR_FGD,
        (0.42, 0.72, 0.92),
        [(-0.45, 0), (0.45, 0), (1.35, 0.75), (1.7, bottom), (-1.7, bottom), (-1.35, 0.75)],
    )
    mask[:, np.abs(np.arange(width) - middle) > wide * 2.6] = cv2.GC_BGD
    fill(cv2.GC_FGD, (0.5, 0.36, 0.48), [(-0.2, 0), (0.2, 0), (0.55, 1.2), (0.6, bottom), (-0.6, bottom), (-0.55, 1.2)])
    return mask


def _one_piece(body: np.ndarray, heart: tuple[int, int]) -> np.ndarray:
    """The part that holds the heart, smoothed, without pinholes."""
    _, labels = cv2.connectedComponents(body)
    label = labels[heart[1], heart[0]]
    if label:
        body = (labels == label).astype(np.uint8)
    body = cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((7, 7)))
    body = cv2.morphologyEx(body, cv2.MORPH_OPEN, np.ones((5, 5)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - body)
    for index in range(1, count):
        if stats[index, cv2.CC_STAT_AREA] < 0.01 * body.size:
            body[labels == index] = 1
    return body


def _guided(guide: np.ndarray, mask: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Guided filter (He, Sun, Tang 2010): the mask follows the guide's edges."""
    guide = guide.astype(np.float32) / 255

    def box(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (radius, radius))

    mean_guide, mean_mask = box(guide), box(mask)
    slope = (box(guide * mask) - mean_guide * mean_mask) / (box(guide * guide) - mean_guide**2 + epsilon)
    return box(slope) * guide + box(mean_mask - slope * mean_guide)
