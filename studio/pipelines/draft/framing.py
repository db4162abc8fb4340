"""A portrait set into the frame of a shot: cut out over a plate if its background is plain, else cropped to the face.

Knows no speech. The landmarks are found on the portrait as it came and travel with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from studio.pipelines.draft.camera import smoother
from studio.pipelines.draft.landmarks import Landmarks, find_landmarks
from studio.pipelines.draft.look import FACE_SHARE

APART = 0.150  # distance between the eyes, of the frame's height: a medium close-up
HEADROOM = 0.06  # of the frame's height
NEUTRAL = (140, 150, 168)  # BGR behind a portrait without a background
PLAIN_TOLERANCE, PLAIN_SHARE = 14, 0.86  # how alike, and how much of the edge, a plain background is


@dataclass(frozen=True, slots=True)
class Framed:
    """A portrait in the frame. `figure` is (H, W, 4) BGR + alpha over `plate`, or the whole picture without a plate."""

    figure: np.ndarray
    plate: np.ndarray | None  # (H / 2, W / 2, 3) BGR: it is out of focus
    people: tuple[Landmarks, ...]  # in the frame; at least one

    @property
    def marks(self) -> Landmarks:
        return self.people[0]


def opaque(bgra: np.ndarray) -> np.ndarray:
    """(h, w, 3) BGR of a portrait, before grey where it is seen through."""
    return _over(bgra, NEUTRAL)


def frame_portrait(
    bgra: np.ndarray,
    size: tuple[int, int],
    plate: np.ndarray | None,
    grade_lut: np.ndarray | None,
    people: Sequence[Landmarks] = (),
) -> Framed:
    """Set (h, w, 4) uint8 BGRA into `size`. The grade falls on the portrait; a plate, (h, w, 3) of any size and out of
    focus, comes with its own light. `people`: found in it; two are never cut out."""
    bgr = opaque(bgra)
    people = people or (find_landmarks(bgr),)
    alpha = cutout(bgra) if len(people) == 1 else None
    if alpha is None:
        picture, people = _cropped(bgr, people, size)
        picture = _graded(picture, grade_lut)
        return Framed(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]), None, people)
    colour = np.median(bgra[alpha < 8][:, :3], axis=0) if (bgra[..., 3] > 250).all() else np.float32(NEUTRAL)
    figure, marks = _standing(bgra, alpha, people[0], size)
    figure[..., :3] = _graded(figure[..., :3], grade_lut)
    half = (size[0] // 2, size[1] // 2)
    if plate is None:
        plate = _graded(_backdrop(colour, half), grade_lut)
    else:
        plate = cv2.resize(plate, half, interpolation=cv2.INTER_AREA)
        figure = _lit_by(figure, plate)
    return Framed(figure, _with_shadow(plate, figure[..., 3]), (marks,))


def _graded(bgr: np.ndarray, lut: np.ndarray | None) -> np.ndarray:
    """Part of the way into the light of the hour: a face keeps its warmth at night."""
    return bgr if lut is None else cv2.addWeighted(bgr, 1 - FACE_SHARE, cv2.LUT(bgr, lut), FACE_SHARE, 0)


def cutout(bgra: np.ndarray) -> np.ndarray | None:
    """(h, w) uint8 alpha of the figure, from the picture's own alpha or a plain background; None where it has neither.

    A background that shades off is none: half of it would stay with the figure."""
    own = bgra[..., 3]
    if (own < 128).mean() > 0.05:
        return own
    bgr = np.ascontiguousarray(bgra[..., :3])
    height, width = bgr.shape[:2]
    rows, columns = max(2, height // 60), max(2, width // 60)
    sides = (bgr[:rows], bgr[: height // 2, :columns], bgr[: height // 2, -columns:])
    edge = np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float32)
    plain = np.median(edge, axis=0)
    if (np.abs(edge - plain).max(axis=1) < PLAIN_TOLERANCE).mean() < PLAIN_SHARE:
        return None
    outside = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | (255 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    third, last = height // 3, (height - 1, width - 1)
    for y, x in ((0, 0), (0, last[1]), (0, width // 2), (third, 0), (third, last[1]), (last[0], 0), last):
        if np.abs(bgr[y, x] - plain).max() < PLAIN_TOLERANCE and not outside[y + 1, x + 1]:
            cv2.floodFill(bgr, outside, (x, y), 0, (10,) * 3, (10,) * 3, flags)
    inside = cv2.erode(255 - outside[1:-1, 1:-1], np.ones((3, 3), np.uint8))
    left_over = (inside[: 7 * height // 10, [1, -2]] > 128).mean()
    if not 0.08 < (inside > 128).mean() < 0.9 or left_over > 0.03:
        return None
    return cv2.GaussianBlur(inside, (0, 0), 1.1)


def _over(bgra: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(h, w, 3) BGR with its transparent parts filled."""
    if (bgra[..., 3] > 250).all():
        return np.ascontiguousarray(bgra[..., :3])
    alpha = bgra[..., 3:].astype(np.float32) / 255
    return (bgra[..., :3] * alpha + np.float32(colour) * (1 - alpha)).astype(np.uint8)


def _standing(
    bgra: np.ndarray, alpha: np.ndarray, marks: Landmarks, size: tuple[int, int]
) -> tuple[np.ndarray, Landmarks]:
    """The figure in a medium close-up: its feet below the frame, its head below the headroom."""
    width, height = size
    rows, columns = np.nonzero(alpha > 24)
    top, bottom = int(rows.min()), int(rows.max()) + 1
    middle = marks.face.x + marks.face.width / 2 if marks.source != "none" else (columns.min() + columns.max()) / 2
    scale = APART * height / marks.apart if marks.source != "none" else 0.94 * height / (bottom - top)
    least = 0.94 * height / (bottom - top)  # no gap below a bust
    most = max(least, (height * (0.90 - HEADROOM)) / max(1, marks.face.y + marks.face.height * 1.06 - top))
    scale = float(np.clip(scale, least, most))
    dx, dy = width / 2 - middle * scale, HEADROOM * height - top * scale
    dy = max(dy, height - bottom * scale)
    figure = np.dstack([bgra[..., :3], alpha])
    if scale < 1:  # one step of area averaging, so that lines do not break
        figure = cv2.resize(figure, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        move = np.float32([[1, 0, dx], [0, 1, dy]])
    else:
        move = np.float32([[scale, 0, dx], [0, scale, dy]])
    placed = cv2.warpAffine(figure, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return placed, marks.moved(scale, dx, dy)


def _cropped(
    bgr: np.ndarray, people: Sequence[Landmarks], size: tuple[int, int]
) -> tuple[np.ndarray, tuple[Landmarks, ...]]:
    """The picture filling the frame with the faces in the middle; a tall one gets soft wings first."""
    width, height = size
    rows, columns = bgr.shape[:2]
    if columns / rows < 0.8 * width / height:
        if rows > height:  # no larger than it is going to be seen: wings are grown of what is left
            less = height / rows
            bgr, people = (
                cv2.resize(bgr, None, fx=less, fy=less, interpolation=cv2.INTER_AREA),
                [marks.moved(less, 0, 0) for marks in people],
            )
            rows, columns = bgr.shape[:2]
        wing = (round(rows * width / height) - columns) // 2 + 1
        bgr, people = _winged(bgr, wing), [marks.moved(1.0, wing, 0) for marks in people]
        columns = bgr.shape[1]
    scale = max(width / columns, height / rows)
    seen = [(m.face.x + m.face.width / 2, m.face.y + m.face.height / 2) for m in people if m.source != "none"]
    middle, eyes = np.mean(seen, axis=0) if seen else (columns / 2, 0.42 * rows)
    x = float(np.clip(middle - width / scale / 2, 0, columns - width / scale))
    y = float(np.clip(eyes - 0.44 * height / scale, 0, rows - height / scale))
    if scale < 1:
        small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        move = np.float32([[1, 0, -x * scale], [0, 1, -y * scale]])
        picture = cv2.warpAffine(small, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        move = np.float32([[scale, 0, -x * scale], [0, scale, -y * scale]])
        picture = cv2.warpAffine(bgr, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return picture, tuple(marks.moved(scale, -x * scale, -y * scale) for marks in people)


def _winged(bgr: np.ndarray, wing: int) -> np.ndarray:
    """A wider picture: blurred wings grown from the outer strips only; mirroring would show a ghost of the face."""
    rows, columns = bgr.shape[:2]
    strip = max(2, columns // 10)
    small = 64
    sides = []
    for edge, outwards in ((bgr[:, :strip], slice(None, None, -1)), (bgr[:, -strip:], slice(None))):
        thin = cv2.resize(edge, (max(2, strip * small // rows), small), interpolation=cv2.INTER_AREA).astype(np.float32)
        thin = cv2.GaussianBlur(thin, (0, 0), 2.2)[:, outwards]  # from the picture outwards
        steps = np.linspace(0, 1, max(8, wing * small // rows), dtype=np.float32)[None, :, None]
        grown = thin[:, -1:] * (1 - steps) + thin.mean(1, keepdims=True) * steps
        sides.append(cv2.resize(grown[:, outwards], (wing, rows), interpolation=cv2.INTER_CUBIC))
    wide = np.hstack([sides[0], bgr.astype(np.float32), sides[1]])
    blurred = cv2.GaussianBlur(cv2.resize(wide, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA), (0, 0), 6)
    blurred = cv2.resize(blurred, (wide.shape[1], rows))
    away = np.abs(np.arange(wide.shape[1]) - wide.shape[1] / 2) - columns / 2
    soft = smoother((away + 0.10 * columns) / (0.11 * columns))[None, :, None]
    dim = 1 - 0.22 * smoother(away / wing)[None, :, None]
    return np.clip((wide * (1 - soft) + blurred * soft) * dim, 0, 255).astype(np.uint8)


def _backdrop(colour: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The portrait's own plain background, lit a little from the upper left."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.06 - 0.20 * smoother(np.hypot((x / width - 0.38) * 1.2, y / height - 0.34) / 0.9)
    return np.clip(np.float32(colour) * light[..., None], 0, 255).astype(np.uint8)


def _lit_by(figure: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """The figure pulled a little towards the plate's light. More would make skin grey."""
    solid = figure[..., 3] > 128
    if not solid.any():
        return figure
    lab = cv2.cvtColor(figure[..., :3], cv2.COLOR_BGR2LAB)
    around = cv2.cvtColor(cv2.resize(plate, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    own = cv2.mean(lab, solid.astype(np.uint8))[:3]
    shift = (around.reshape(-1, 3).mean(0) - own) * np.array([0.20, 0.12, 0.12])
    shift[0] = np.clip(shift[0], -24, 8)
    lit = cv2.cvtColor(cv2.add(lab, (*shift, 0.0)), cv2.COLOR_LAB2BGR)
    return cv2.merge([*cv2.split(lit), figure[..., 3]])


def _with_shadow(plate: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The plate with the figure's soft shadow on it, as of paper on paper."""
    height = alpha.shape[0]
    small = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    move = np.float32([[1, 0, 0.004 * height], [0, 1, 0.003 * height]])
    soft = cv2.GaussianBlur(cv2.warpAffine(small, move, small.shape[::-1]), (0, 0), 0.006 * height)
    soft = cv2.resize(soft, plate.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    return np.clip(plate * (1 - 0.34 * soft)[..., None], 0, 255).astype(np.uint8)
