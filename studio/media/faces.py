"""Where a face looks at us in a picture, and where its eyes are. Haar cascades, and the whites of drawn eyes.

Knows no mouth and moves nothing.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

WORK_SIZE = 480  # longest side that the cascades look at
LEAST_SKIN = 0.6  # of the middle of a face that nothing else vouches for
EYE_WORK_SIZE = 400  # longest side in which drawn eyes are looked for
FRONTAL = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
PROFILE = "haarcascade_profileface.xml"
EYES = ("haarcascade_eye.xml", "haarcascade_eye_tree_eyeglasses.xml")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """A face's box in pixels, from forehead to chin."""

    x: int
    y: int
    width: int
    height: int
    view: Literal["frontal", "profile"]
    found_by: Literal["cascade", "eyes", "both"] = "cascade"


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye: centre, half its width, and how far it reaches above and below the centre. Pixels."""

    x: float
    y: float
    half_width: float
    above: float
    below: float


@functools.cache
def cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + name)


def find_face(bgr: np.ndarray, least: float = 0.12) -> tuple[Face, tuple[Eye, Eye] | None] | None:
    """The face of a portrait and its eyes, (H, W, 3) uint8 BGR; None where there is no face.

    Drawn eyes tell most: they give the box where the cascades are silent or look at a sleeve. A small box without eyes
    is fur, leaves or bricks."""
    eyes = drawn_eyes(bgr)
    faces = find_faces(bgr, least)
    if eyes:
        drawn = _face_around(eyes, seen_too=any(_fits(face, eyes) for face in faces))
        if drawn.found_by == "both" or skin_share(bgr, drawn) > LEAST_SKIN:  # windows of a tower are a pair, too
            return drawn, eyes
    for face in faces:
        found = _haar_eyes(bgr, face) if face.view == "frontal" else None
        if found or (face.width > 0.30 * min(bgr.shape[:2]) and skin_share(bgr, face) > LEAST_SKIN):
            return face, found
    return None


def all_faces(bgr: np.ndarray, least: float = 0.07) -> list[tuple[Face, tuple[Eye, Eye] | None]]:
    """Every face that looks at us, with its eyes where they are sure, the largest first; (H, W, 3) uint8 BGR.

    What one look misses a closer one finds: around each box of the cascades, and in the two halves of the picture, as
    drawn eyes are only ever told for one face at a time."""
    height, width = bgr.shape[:2]
    found = [alone] if (alone := find_face(bgr, least)) else []
    boxes = [face for face in find_faces(bgr, least) if face.view == "frontal"]
    for face in boxes if len(boxes) > 1 else ():
        around = (face.x - 0.5 * face.width, face.y - 0.5 * face.height)
        found += _found_in(bgr, *around, face.x + 1.5 * face.width, face.y + 1.5 * face.height, least)
    if width > 1.05 * height or not found:
        for left, right in ((0.0, 0.55), (0.45, 1.0)):
            found += [one for one in _found_in(bgr, left * width, 0, right * width, height, least) if one[1]]
    apart: list[tuple[Face, tuple[Eye, Eye] | None]] = []
    for one in sorted(found, key=lambda one: (one[1] is None, -one[0].width)):
        if not any(_same_place(one[0], other[0]) for other in apart):
            apart.append(one)
    return sorted(apart, key=lambda one: -one[0].width)


def _found_in(
    bgr: np.ndarray, left: float, top: float, right: float, bottom: float, least: float
) -> list[tuple[Face, tuple[Eye, Eye] | None]]:
    """The face in a part of a picture, at its place in the whole."""
    part, x, y = _crop(bgr, left, top, right, bottom)
    found = find_face(np.ascontiguousarray(part), least) if min(part.shape[:2]) >= 24 else None
    if found is None:
        return []
    face, eyes = found
    moved = [replace(eye, x=eye.x + x, y=eye.y + y) for eye in eyes] if eyes else []
    return [(replace(face, x=face.x + x, y=face.y + y), (moved[0], moved[1]) if moved else None)]


def _same_place(one: Face, other: Face) -> bool:
    """The middles are nearer than half of the larger face."""
    near = math.hypot(
        one.x + one.width / 2 - other.x - other.width / 2, one.y + one.height / 2 - other.y - other.height / 2
    )
    return near < 0.5 * max(one.width, other.width)


def skin_share(bgr: np.ndarray, face: Face) -> float:
    """How much of the middle of a face, from the eyes to the mouth, is of one colour that skin may have, 0..1.

    Grey pictures are taken at their word: 1."""
    x, y, width, height = face.x, face.y, face.width, face.height
    middle, _, _ = _crop(bgr, x + 0.25 * width, y + 0.45 * height, x + 0.75 * width, y + 0.90 * height)
    lab = cv2.cvtColor(cv2.resize(middle, (48, 48), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB).astype(np.float32)
    whole = cv2.cvtColor(cv2.resize(bgr, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB).astype(np.float32)
    if np.hypot(whole[..., 1] - 128, whole[..., 2] - 128).mean() < 4:
        return 1.0
    skin = np.median(lab.reshape(-1, 3), axis=0)
    if skin[1] < 129 or skin[2] < 131:  # neither red nor yellow in it
        return 0.0
    near = (np.abs(lab[..., 0] - skin[0]) < 45) & (np.hypot(lab[..., 1] - skin[1], lab[..., 2] - skin[2]) < 14)
    return float(near.mean())


def find_faces(bgr: np.ndarray, least: float = 0.12) -> list[Face]:
    """What the cascades take for faces, the largest first; none smaller than `least` of the shorter side.

    Looks once as it is, then for a single one in softened and brightened copies, where flat drawings and dark skin are
    found, then in profile."""
    height, width = bgr.shape[:2]
    scale = WORK_SIZE / max(height, width)
    grey = cv2.cvtColor(_scaled(bgr, scale), cv2.COLOR_BGR2GRAY)
    even = cv2.equalizeHist(grey)
    smallest = round(least * min(grey.shape))

    def boxes(image: np.ndarray, name: str, step: float, neighbours: int, size: int) -> list[np.ndarray]:
        found = cascade(name).detectMultiScale(image, step, neighbours, minSize=(size, size))
        return sorted(found, key=lambda box: -box[2] * box[3])

    def in_pixels(found: list[np.ndarray], view: Literal["frontal", "profile"]) -> list[Face]:
        return [Face(int(x / scale), int(y / scale), int(w / scale), int(h / scale), view) for x, y, w, h in found]

    for name in FRONTAL:
        if found := boxes(even, name, 1.08, 5, smallest):
            return in_pixels(found, "frontal")
    brightened = cv2.LUT(grey, (255 * (np.arange(256) / 255) ** 0.5).astype(np.uint8))
    for copy in (cv2.GaussianBlur(even, (0, 0), 1.6), cv2.equalizeHist(brightened)):
        for name in FRONTAL:
            if found := boxes(copy, name, 1.06, 3, round(0.2 * min(grey.shape))):
                return in_pixels(found[:1], "frontal")
    if found := boxes(even, PROFILE, 1.08, 4, smallest):
        return in_pixels(found, "profile")
    if found := boxes(cv2.flip(even, 1), PROFILE, 1.08, 4, smallest):
        mirrored = [np.array([even.shape[1] - x - w, y, w, h]) for x, y, w, h in found]
        return in_pixels(mirrored, "profile")
    return []


def drawn_eyes(bgr: np.ndarray) -> tuple[Eye, Eye] | None:
    """A level pair of pupils with white left and right of them and one skin below both: eyes as people draw them."""
    scale = EYE_WORK_SIZE / max(bgr.shape[:2])
    lab = cv2.cvtColor(_scaled(bgr, scale), cv2.COLOR_BGR2LAB).astype(np.float32)
    light, chroma = lab[..., 0], np.hypot(lab[..., 1] - 128, lab[..., 2] - 128)
    dark = np.clip((110 - light) / 50, 0, 1)
    skin = cv2.GaussianBlur(lab, (0, 0), 2.5)
    best: tuple[float, float, Point, Point, np.ndarray] | None = None
    for palest, fade in ((26, 14), (11, 6)):  # the second is for skin that is nearly white itself
        white = np.clip((light - 150) / 50, 0, 1) * np.clip((palest - chroma) / fade, 0, 1)
        for reach in np.geomspace(4.5, 34, 14):  # from the pupil to the middle of the white, in working pixels
            for score, a, b in _pairs(_pupils(white, dark, reach), reach):
                if best is None or score > best[0]:
                    best = (score, reach, a, b, white)
    if best is None or not _one_skin(skin, best[-1], *best[2:4]):  # a hand before the cheek: the next best pair is none
        return None
    _, reach, a, b, white = best
    left, right = (_white_extent(white, point, reach) for point in (a, b))
    if left is None or right is None or not 0.6 < left.half_width / right.half_width < 1.7:
        return None
    a_eye, b_eye = (
        Eye(*(float(value) / scale for value in (eye.x, eye.y, eye.half_width, eye.above, eye.below)))
        for eye in (left, right)
    )
    return a_eye, b_eye


def _pupils(white: np.ndarray, dark: np.ndarray, reach: float) -> list[tuple[float, float, float]]:
    """(score, x, y) of dark spots with white at `reach` on both sides and none below."""
    soft = cv2.GaussianBlur(white, (0, 0), 0.22 * reach)
    centre = cv2.GaussianBlur(dark, (0, 0), 0.22 * reach)
    step = round(reach)
    sides = np.minimum(_seen_from(soft, -step, 0), _seen_from(soft, step, 0))
    score = sides * centre * (1 - _seen_from(soft, 0, round(2.2 * reach)))
    peaks = (score == cv2.dilate(score, np.ones((2 * step + 1, 2 * step + 1)))) & (score > 0.12)
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-score[rows, columns])[:12]
    return [(float(score[rows[i], columns[i]]), float(columns[i]), float(rows[i])) for i in order]


def _seen_from(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """What each place sees at (dx, dy) from itself; nothing outside the picture."""
    shift = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
    return cv2.warpAffine(image, shift, image.shape[1::-1])


def _pairs(pupils: list[tuple[float, float, float]], reach: float) -> list[tuple[float, Point, Point]]:
    """(score, left, right) of what could be two eyes of one level face."""
    return [
        (a[0] + b[0] - 0.5 * abs(a[0] - b[0]) - 0.05 * abs(a[2] - b[2]) / reach, (a[1], a[2]), (b[1], b[2]))
        for a in pupils
        for b in pupils
        if 3.2 * reach < b[1] - a[1] < 10 * reach and abs(a[2] - b[2]) < 0.16 * (b[1] - a[1])
    ]


def _one_skin(skin: np.ndarray, white: np.ndarray, a: Point, b: Point) -> bool:
    """Under both eyes and between them lies the same colour, and it is no white."""
    apart = b[0] - a[0]
    level = (a[1] + b[1]) / 2
    spots = [(a[0], a[1] + 0.42 * apart), (b[0], b[1] + 0.42 * apart), ((a[0] + b[0]) / 2, level + 0.10 * apart)]
    height, width = white.shape
    if not all(0 <= x < width and 0 <= y < height for x, y in spots):
        return False
    colours = np.array([skin[int(y), int(x)] for x, y in spots])
    whites = max(white[int(y), int(x)] for x, y in spots)
    spread = np.ptp(colours, axis=0)
    return bool(whites < 0.5 and spread[0] < 62 and max(spread[1], spread[2]) < 16)


def _white_extent(white: np.ndarray, pupil: Point, reach: float) -> Eye | None:
    """The eye around a pupil, as far as its white goes."""
    x, y = pupil
    patch, x0, y0 = _crop(white, x - 2.6 * reach, y - 1.7 * reach, x + 2.6 * reach, y + 1.7 * reach)
    count, labels, stats, centres = cv2.connectedComponentsWithStats((patch > 0.35).astype(np.uint8))
    near = [
        index
        for index in range(1, count)
        if abs(centres[index][0] + x0 - x) < 1.9 * reach and abs(centres[index][1] + y0 - y) < 1.1 * reach
        and stats[index][4] > 0.03 * reach * reach
    ]  # fmt: skip
    rows, columns = np.nonzero(np.isin(labels, near))
    if not near or rows.min() == 0 or rows.max() == len(labels) - 1:  # runs on: a wall, not an eye
        return None
    left, right, top, bottom = columns.min() + x0, columns.max() + 1 + x0, rows.min() + y0, rows.max() + 1 + y0
    half = (right - left) / 2
    if not 0.9 * reach < half < 2.6 * reach:
        return None
    middle = (top + bottom) / 2
    return Eye((left + right) / 2, middle, half, max(middle - top, 0.35 * half), max(bottom - middle, 0.35 * half))


def _fits(face: Face, eyes: tuple[Eye, Eye]) -> bool:
    """The eyes lie where a frontal face of that box has them."""
    a, b = eyes
    apart, x, y = b.x - a.x, (a.x + b.x) / 2, (a.y + b.y) / 2
    return (
        face.view == "frontal"
        and 0.30 < apart / face.width < 0.56
        and abs(x - (face.x + face.width / 2)) < 0.12 * face.width
        and 0.28 < (y - face.y) / face.height < 0.56
    )


def _face_around(eyes: tuple[Eye, Eye], seen_too: bool) -> Face:
    """The box that the cascades draw around a face with these eyes: 2.5 times as wide as they are apart."""
    a, b = eyes
    side = 2.5 * (b.x - a.x)
    x, y = (a.x + b.x) / 2, (a.y + b.y) / 2
    return Face(
        int(x - side / 2), int(y - 0.42 * side), int(side), int(side), "frontal", "both" if seen_too else "eyes"
    )


def _haar_eyes(bgr: np.ndarray, face: Face) -> tuple[Eye, Eye] | None:
    """Two level boxes of the eye cascades, each refined to the dark and bright parts inside it."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    x, y, width, height = face.x, face.y, face.width, face.height
    top = y + round(0.16 * height)
    patch = cv2.equalizeHist(grey[max(0, top) : y + round(0.60 * height), max(0, x) : x + width])
    scale = max(1.0, 260 / width)
    patch = cv2.resize(patch, None, fx=scale, fy=scale)
    least, most = (round(share * width * scale) for share in (0.15, 0.42))
    for name in EYES:
        found = cascade(name).detectMultiScale(patch, 1.05, 4, minSize=(least, least), maxSize=(most, most))
        centres = [(x + (a + w / 2) / scale, top + (b + h / 2) / scale, w / scale) for a, b, w, h in found]
        pairs = [
            (abs(a[1] - b[1]) + 0.5 * abs(a[2] - b[2]), a, b)
            for a in centres
            for b in centres
            if a[0] < x + width / 2 <= b[0]
            and 0.25 * width < b[0] - a[0] < 0.62 * width
            and abs(a[1] - b[1]) < 0.075 * height
            and abs((a[0] + b[0]) / 2 - (x + width / 2)) < 0.16 * width
        ]
        if pairs:
            _, a, b = min(pairs)
            apart = math.hypot(b[0] - a[0], b[1] - a[1])
            left, right = (
                _refined(grey, ex, ey, float(np.clip(size, 0.20 * width, 0.30 * width)), apart)
                for ex, ey, size in (a, b)
            )
            return left, right
    return None


def _refined(grey: np.ndarray, x: float, y: float, size: float, apart: float) -> Eye:
    """The eye inside a cascade's box: the centre of what is dark, and how far up and down the contrast reaches."""
    half = 0.5 * size
    patch, x0, y0 = _crop(grey, x - 1.35 * half, y - 0.30 * apart, x + 1.35 * half, y + 0.26 * apart)
    patch = cv2.GaussianBlur(patch.astype(np.float32), (0, 0), max(1.0, 0.012 * apart))
    rows, columns = patch.shape
    cx, cy = iris(patch)
    column = patch[:, max(0, round(cx - 0.14 * columns)) : round(cx + 0.14 * columns) + 1].min(1)
    middle = int(np.clip(round(cy), 0, rows - 1))
    edge = column[middle] + 0.48 * (np.percentile(patch, 75) - column[middle])
    top = bottom = middle
    while top > 0 and column[top] < edge and middle - top < 0.15 * apart:
        top -= 1
    while bottom < rows - 1 and column[bottom] < edge and bottom - middle < 0.13 * apart:
        bottom += 1
    above = float(np.clip(1.1 * (middle - top), 0.055 * apart, 0.10 * apart))
    below = float(np.clip(bottom - middle, 0.05 * apart, 0.09 * apart))
    return Eye(x0 + cx, y0 + cy, 0.98 * half, above, below)


def iris(patch: np.ndarray) -> Point:
    """(x, y) of the iris in a grey patch: where most gradients point away from, by "Accurate eye centre localisation
    by means of gradients" (Timm and Barth, VISAPP 2011), dark places and the middle preferred."""
    scale = 40 / patch.shape[1]
    small = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gradient_x, gradient_y = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
    length = np.hypot(gradient_x, gradient_y)
    rows, columns = np.nonzero(length > length.mean() + 0.3 * length.std())
    gx, gy = gradient_x[rows, columns] / length[rows, columns], gradient_y[rows, columns] / length[rows, columns]
    yy, xx = np.mgrid[0 : small.shape[0], 0 : small.shape[1]].astype(np.float32)
    dx, dy = columns - xx.reshape(-1, 1), rows - yy.reshape(-1, 1)  # (centres, gradients)
    away = np.maximum(np.hypot(dx, dy), 1e-3)
    agreement = np.maximum(0, (dx * gx + dy * gy) / away) ** 2 * (away < 0.30 * small.shape[1])
    score = agreement.sum(1).reshape(small.shape) * (small.max() - cv2.GaussianBlur(small, (0, 0), 1.5))
    middle = (small.shape[1] / 2, small.shape[0] * 0.54)
    score = score * np.exp(
        -(((xx - middle[0]) / (0.34 * small.shape[1])) ** 2) - ((yy - middle[1]) / (0.26 * small.shape[0])) ** 2
    )
    y, x = np.unravel_index(int(score.argmax()), small.shape)
    return (float(x) + 0.5) / scale, (float(y) + 0.5) / scale


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)


def _crop(image: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> tuple[np.ndarray, int, int]:
    """The part inside the picture, and its left and top."""
    height, width = image.shape[:2]
    left, top = int(np.clip(x0, 0, width - 1)), int(np.clip(y0, 0, height - 1))
    return image[top : max(top + 1, min(height, int(y1))), left : max(left + 1, min(width, int(x1)))], left, top
