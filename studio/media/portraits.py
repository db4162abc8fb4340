"""Which pictures are the same picture: as files, scaled, compressed again, or cropped around the same face.

Nobody is recognised here. Two different photographs of one person are two pictures; that is for a human to say.
"""

import base64
import functools
import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from studio.errors import StudioError
from studio.media.faces import Face, find_face, find_faces
from studio.media.frames import picture_of

SIDE = 48  # pixels: pictures are compared this small, faces as wide as this
WORK = 640  # longest side that faces are looked for in
PLAIN = 5.0  # a picture whose lightness varies less has nothing to be known by
LIKE = 0.96  # correlation of two copies of one picture; other photographs of the same face stay below 0.9
OFF = 7.0  # mean distance of their colours, in Lab
FAR_OFF = (
    20.0  # what one in twenty of its pixels may be off: other hair is a small part of a picture, and another person
)
SAME_SHAPE = 0.03  # by how much width over height may differ
SCALES = (0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12)  # a face is found a little larger here than there
LEAST = 96  # pixels of the shorter side in which a face can be told
KEPT = 64  # pictures that a worker remembers: an episode is looked at again after each file that is found
THUMB = 88  # pixels of the longer side of a thumbnail


@dataclass
class Portrait:
    """A picture as it is compared. `lab`: (H, W, 3) float32, lightness 0..100 and two colours."""

    path: str
    sha256: str
    bgr: np.ndarray  # (H, W, 3) uint8, at most WORK

    @cached_property
    def lab(self) -> np.ndarray:
        return cv2.cvtColor(self.bgr.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)

    @cached_property
    def whole(self) -> np.ndarray:
        return cv2.resize(self.lab, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    @cached_property
    def shape(self) -> float:
        height, width = self.bgr.shape[:2]
        return float(width / height)

    @cached_property
    def face(self) -> Face | None:
        """The one clear face in it; None where there is none, or more than one."""
        if min(self.bgr.shape[:2]) < LEAST:
            return None
        found = find_face(self.bgr)
        return found[0] if found and len(find_faces(self.bgr)) <= 1 else None

    def around_face(self, wide: float, scale: float = 1.0) -> np.ndarray | None:
        """The face and `wide` times its size around it, the face SIDE * scale wide; None where it is all cut off."""
        if self.face is None:
            return None
        face, (height, width) = self.face, self.bgr.shape[:2]
        half = wide * face.width / 2
        x, y = face.x + face.width / 2, face.y + face.height / 2
        left, right = max(0, round(x - half)), min(width, round(x + half))
        top, bottom = max(0, round(y - half)), min(height, round(y + half))
        factor = SIDE * scale / face.width
        size = (round((right - left) * factor), round((bottom - top) * factor))
        return (
            cv2.resize(self.lab[top:bottom, left:right], size, interpolation=cv2.INTER_AREA) if min(size) > 0 else None
        )


def look_at(
    paths: Sequence[str], faces: Collection[str], step: Callable[[int, int], None]
) -> dict[str, dict[str, Any]]:
    """By path: {group, face, thumb}. Pictures of one group are the same picture. `faces`: where it matters whether
    there is one clear face. `thumb`: a small JPEG as data: address. What cannot be read is left out."""
    groups: list[list[Portrait]] = []
    found: dict[str, dict[str, Any]] = {}
    for number, path in enumerate(paths):
        step(number, len(paths))
        portrait = _read(path)
        if portrait is None:
            continue
        place = next((i for i, group in enumerate(groups) if any(same(portrait, one) for one in group)), len(groups))
        groups[place : place + 1] = [[*(groups[place] if place < len(groups) else []), portrait]]
        face = portrait.face is not None if path in faces else None
        found[path] = {"group": place, "face": face, "thumb": _thumb(portrait)}
    return found


def _read(path: str) -> Portrait | None:
    try:
        stat = Path(path).stat()
        return _portrait(path, stat.st_size, stat.st_mtime)
    except (StudioError, OSError):
        return None


@functools.lru_cache(maxsize=KEPT)
def _portrait(path: str, size: int, mtime: float) -> Portrait:
    """`size`, `mtime`: a file that was changed is another picture."""
    rgb = picture_of(Path(path), "first")
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    scale = min(1.0, WORK / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    return Portrait(path, sha256, np.ascontiguousarray(small[..., ::-1]))


def same(one: Portrait, other: Portrait) -> bool:
    """Are these copies of one picture?"""
    if one.sha256 == other.sha256:
        return True
    if abs(np.log(one.shape / other.shape)) < SAME_SHAPE:
        return _alike(one.whole, other.whole)
    return _same_face(one, other) or _same_face(other, one)


def _same_face(part: Portrait, whole: Portrait) -> bool:
    """Is the face of `part` in `whole`, pixel by pixel? Both were cut out of one picture then."""
    field = whole.around_face(1.6)
    if field is None:
        return False
    for scale in SCALES:
        patch = part.around_face(1.0, scale)
        if patch is None or patch.shape[0] > field.shape[0] or patch.shape[1] > field.shape[1]:
            continue
        score = cv2.matchTemplate(field[..., 0], patch[..., 0], cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(score)
        if best >= LIKE and _alike(patch, field[y : y + patch.shape[0], x : x + patch.shape[1]]):
            return True
    return False


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """(h, w, 3) Lab, both: the same forms in the same colours."""
    a, b = one[..., 0] - one[..., 0].mean(), other[..., 0] - other[..., 0].mean()
    if a.std() < PLAIN or b.std() < PLAIN:
        return False
    if float((a * b).mean() / (a.std() * b.std())) < LIKE:
        return False
    off = np.linalg.norm(one - other, axis=2)
    return float(off.mean()) < OFF and float(np.percentile(off, 95)) < FAR_OFF


def _thumb(portrait: Portrait) -> str:
    """The face and what is around it, else the middle."""
    height, width = portrait.bgr.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, min((height - side) // 2, round(0.1 * height))
    small = Image.fromarray(portrait.bgr[top : top + side, left : left + side, ::-1])
    small.thumbnail((THUMB, THUMB))
    held = io.BytesIO()
    small.save(held, "JPEG", quality=78)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
