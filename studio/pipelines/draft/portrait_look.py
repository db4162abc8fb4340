"""What a portrait is good for: its faces, their eyes and mouths, what to say about it, how to crop it. Moves nothing.

Knows no scene and no engine but the draft, whose rule decides whether a mouth is clear.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.domain import JSON
from studio.media.faces import Eye, Face, all_faces
from studio.media.frames import Which
from studio.media.stills import open_still
from studio.pipelines.draft.landmarks import marks_of

WORK = 1600  # pixels of the longest side that is looked at
SMALL, FEW_PIXELS = 0.18, 96  # a face less wide than this share of the shorter side, or than so many pixels
ABOVE_EYES, BELOW_EYES = 0.95, 1.45  # head and shoulders, in heights of the face's box
LEAST_HEIGHT = 2.0  # of a crop, in those; a wider shape would cut the head
EYES_AT = 0.42  # of the box, where no eyes were found
AS_IT_IS = 0.93  # a crop that keeps this much of both sides is none


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture as it is judged. Sizes are those of the file; everything else is in pixels of `bgr`."""

    bgr: np.ndarray  # (H, W, 3) uint8
    width: int
    height: int
    frames: int

    @property
    def scale(self) -> float:
        """Pixels of the file for one of `bgr`."""
        return self.width / self.bgr.shape[1]


def look_at_portrait(path: Path, which: Which, aspect: float) -> dict[str, JSON]:
    """{width, height, faces: [{box, eyes, mouth, view, clear}], advice: [{level, code, params}], crop}, the largest
    face first, all in shares of the upright picture. `aspect`: width over height of the scene. Raises MediaError,
    Refused, TooLarge."""
    portrait = _opened(path, which)
    rows, columns = portrait.bgr.shape[:2]
    found = all_faces(portrait.bgr)
    shown = [_shown(portrait.bgr, face, eyes) for face, eyes in found]
    box = _head_and_shoulders(found[0][0], found[0][1], (columns, rows), aspect) if found else None
    return {
        "width": portrait.width,
        "height": portrait.height,
        "faces": [dict(one) for one in shown],
        "advice": [dict(one) for one in _advice(portrait, [face for face, _ in found], shown)],
        "crop": box,
    }


def _opened(path: Path, which: Which) -> Portrait:
    """Seen through, it stands before grey."""
    image, frames = open_still(path, which)
    width, height = image.size
    image.thumbnail((WORK, WORK))
    pixels = np.asarray(image)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        pixels = (pixels[..., :3] * alpha + 150 * (1 - alpha)).astype(np.uint8)
    return Portrait(np.ascontiguousarray(pixels[..., 2::-1]), width, height, frames)


def _shown(bgr: np.ndarray, face: Face, eyes: tuple[Eye, Eye] | None) -> dict[str, Any]:
    rows, columns = bgr.shape[:2]
    marks = marks_of(bgr, face, eyes)
    lips = marks.lips

    def at(x: float, y: float) -> list[float]:
        return [_share(x / columns), _share(y / rows)]

    return {
        "box": [*at(face.x, face.y), *at(face.x + face.width, face.y + face.height)],
        "eyes": [at(eye.x, eye.y) for eye in eyes] if eyes else None,
        "mouth": [*at(lips.x, lips.y), _share(2 * lips.half_width / columns)] if lips else None,
        "view": face.view,
        "clear": marks.mode == "lips",
    }


def _advice(portrait: Portrait, faces: list[Face], shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What whoever gave the picture should know."""
    told: list[dict[str, Any]] = []
    if portrait.frames > 1:
        told.append({"level": "info", "code": "portrait.animated", "params": {"frames": portrait.frames}})
    if not faces:
        return [*told, {"level": "warning", "code": "portrait.no_face", "params": {}}]
    face, shorter = faces[0], min(portrait.bgr.shape[:2])
    if len(faces) > 1:
        told.append({"level": "info", "code": "portrait.two_faces", "params": {"faces": len(faces)}})
    across = round(face.width * portrait.scale)
    if face.width < SMALL * shorter or across < FEW_PIXELS:
        told.append({"level": "warning", "code": "portrait.small_face", "params": {"pixels": across}})
    if face.view == "profile":
        told.append({"level": "warning", "code": "portrait.side_face", "params": {}})
    elif not shown[0]["clear"]:
        told.append({"level": "warning", "code": "portrait.unclear_mouth", "params": {}})
    return told


def _head_and_shoulders(
    face: Face, eyes: tuple[Eye, Eye] | None, size: tuple[int, int], aspect: float
) -> list[float] | None:
    """left, top, right, bottom in shares: the head with air above it and shoulders below, as near to the scene's shape
    as the picture allows. None where that is nearly all of it."""
    columns, rows = size
    middle = face.x + face.width / 2
    level = (eyes[0].y + eyes[1].y) / 2 if eyes else face.y + EYES_AT * face.height
    height = min((ABOVE_EYES + BELOW_EYES) * face.height, rows)
    width = height * aspect
    if width > columns:
        width, height = columns, max(columns / aspect, min(LEAST_HEIGHT * face.height, rows))
    left = float(np.clip(middle - width / 2, 0, columns - width))
    top = float(np.clip(level - ABOVE_EYES / (ABOVE_EYES + BELOW_EYES) * height, 0, rows - height))
    if width > AS_IT_IS * columns and height > AS_IT_IS * rows:
        return None
    return [_share(left / columns), _share(top / rows), _share((left + width) / columns), _share((top + height) / rows)]


def _share(value: float) -> float:
    return round(float(np.clip(value, 0, 1)), 4)
