"""Where the eye goes in a picture: a face, else what stands out, keeps still and has a colour that the prompt names.

Sun and moon stand out most of all and are never meant. Knows no cuts and no files.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from studio.media.faces import Face
from studio.pipelines.draft.matte import main_face
from studio.pipelines.draft.prompt import find

WIDE, TALL = 160, 90  # what stands out is looked for at this size, whatever the picture's shape
PART = 0.5  # of the width: a face too small in the whole picture is found in a part of it
DARK = 75  # mean below which a picture is also looked at in more light
ENOUGH = 0.92  # of what a wide view would show: a nearer one that shows so much is better
COLOURS = {  # hue in degrees of the Lab circle (0 red-magenta, 90 yellow) -> the words that name it
    35: r"red|scarlet|crimson|vermelh[oa]|rubr[oa]|红|赤",
    60: r"orange|amber|copper|laranja|[aâ]mbar|橙|橘",
    85: r"yellow|gold|golden|mustard|amarel[oa]|dourad[oa]|mostarda|黄|金",
    140: r"green|emerald|verde|绿",
    280: r"blue|azul|azuis|蓝",
    315: r"purple|violet|roxo|violeta|紫",
}


NEAREST_FIRST = (2.1, 1.85, 1.6)
LARGE_FACE = 0.7  # of the height a face may fill after the cut


@dataclass(frozen=True, slots=True)
class Subject:
    """x, y: its middle, height: how tall, all fractions of the frame. weight: (TALL, WIDE) what stands out, sum 1."""

    x: float
    y: float
    height: float
    face: bool
    weight: np.ndarray


@dataclass(frozen=True, slots=True)
class View:
    """A part of the frame: its middle, and how much it is enlarged."""

    x: float
    y: float
    zoom: float


def find_subject(picture: np.ndarray, prompt: str, unrest: np.ndarray | None = None) -> Subject:
    """picture: (H, W, 3) uint8 BGR. unrest: how much each part flickers, in grey levels."""
    height, width = picture.shape[:2]
    weight = standing_out(picture, prompt, unrest)
    best = _best_view(weight, NEAREST_FIRST[0], None)[1]
    if face := _face_in(picture, best.x):
        x, y = (face.x + face.width / 2) / width, (face.y + face.height * 0.62) / height
        return Subject(x, y, face.height / height, True, weight)
    # the middle between two things is nothing: the one that stands out most
    rows, columns = np.mgrid[0:TALL, 0:WIDE]
    near = weight * np.exp(-(((columns / WIDE - best.x) / 0.2) ** 2 + ((rows / TALL - best.y) / 0.2) ** 2))
    near /= max(1e-9, float(near.sum()))
    x, y = float((near * columns).sum()) / WIDE, float((near * rows).sum()) / TALL
    spread = float(np.sqrt((near * (rows / TALL - y) ** 2).sum()))
    return Subject(x, y, min(0.5, 2.5 * spread), False, weight)


def _face_in(picture: np.ndarray, x: float) -> Face | None:
    """The face of a picture; one that is small in it is looked for around `x`, and by night in more light."""
    if face := main_face(picture):
        return face
    width = picture.shape[1]
    left = round(float(np.clip(x - PART / 2, 0, 1 - PART)) * width)
    part = np.ascontiguousarray(picture[:, left : left + round(PART * width)])
    copies = [part, cv2.convertScaleAbs(part, alpha=2)] if part.mean() < DARK else [part]
    face = next((face for copy in copies if (face := main_face(copy))), None)
    return face and replace(face, x=face.x + left)


def standing_out(picture: np.ndarray, prompt: str, unrest: np.ndarray | None) -> np.ndarray:
    """(TALL, WIDE) float32, sum 1: unlike its surroundings, still, of a colour in the prompt, rather in the middle."""
    lab = cv2.cvtColor(cv2.resize(picture, (WIDE, TALL), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    lab = cv2.GaussianBlur(lab.astype(np.float32), (0, 0), 1)
    # unlike what is beside it: a horizon, a shore, a band of cloud run on, what stands before them does not
    surroundings = (cv2.GaussianBlur(lab, (0, 0), sigmaX=around, sigmaY=1.5) for around in (6, 14, 32))
    weight = sum(np.abs(lab - surrounding).sum(axis=2) for surrounding in surroundings)
    upright = cv2.GaussianBlur(np.abs(cv2.Sobel(lab, cv2.CV_32F, 1, 0)).sum(axis=2), (0, 0), 4)
    weight = weight**0.7 * (0.15 + upright / max(1.0, float(upright.max()))) * named_colours(lab, prompt)
    if unrest is not None:  # what shimmers is no subject; a line that flickers is only an edge that moved
        shimmer = cv2.erode(unrest, np.ones((7, 7), np.uint8))
        weight *= np.exp(-cv2.resize(shimmer, (WIDE, TALL), interpolation=cv2.INTER_AREA) / 8)
    weight[discs(lab)] = 0
    rows, columns = np.mgrid[0:TALL, 0:WIDE]
    weight *= np.exp(-(((columns / WIDE - 0.5) / 0.6) ** 2 + ((rows / TALL - 0.5) / 0.5) ** 2))
    weight = cv2.GaussianBlur(np.maximum(0, weight - 0.3 * weight.max()), (0, 0), 2)
    return (weight / max(1e-9, float(weight.sum()))).astype(np.float32)


def named_colours(lab: np.ndarray, prompt: str) -> np.ndarray:
    """(TALL, WIDE) 1..2.5: how much of a colour that the prompt names is in each place."""
    red, yellow = lab[..., 1] - 128, lab[..., 2] - 128
    strength, hue = np.clip(np.hypot(red, yellow) / 45, 0, 1), np.degrees(np.arctan2(yellow, red)) % 360
    boost = np.ones(lab.shape[:2], np.float32)
    for degrees, words in COLOURS.items():
        if find(words, prompt.lower()) is not None:
            away = np.abs((hue - degrees + 180) % 360 - 180)
            boost = np.maximum(boost, 1 + 1.5 * strength * np.exp(-((away / 22) ** 2)))
    return boost


def discs(lab: np.ndarray) -> np.ndarray:
    """(TALL, WIDE) bool: sun and moon with their glow. Bright, round, even, pale, in the upper part of the picture."""
    light = np.clip(lab[..., 0], 0, 255).astype(np.uint8)
    pale = np.hypot(lab[..., 1] - 128, lab[..., 2] - 128) < 44
    rows, columns = np.mgrid[0:TALL, 0:WIDE]
    found = np.zeros(lab.shape[:2], bool)
    for level in range(90, 250, 12):
        count, labels, stats, centres = cv2.connectedComponentsWithStats(((light > level) & pale).astype(np.uint8))
        for index in range(1, count):
            left, top, wide, tall, area = stats[index]
            if not 9 <= area <= 900 or centres[index][1] > 0.6 * TALL:
                continue
            touches = top == 0 or left == 0 or left + wide == WIDE
            if not touches and not 0.75 < wide / tall < 1.33:
                continue
            points = np.argwhere(labels == index)[:, ::-1].astype(np.float32)
            (x, y), radius = cv2.minEnclosingCircle(points)
            round_ = np.hypot(columns - x, rows - y) <= radius + 0.5
            if area > 0.8 * round_.sum() and light[labels == index].std() < 14:
                found |= np.hypot(columns - x, rows - y) <= 1.9 * radius + 3
    return found


def nearer_view(subject: Subject) -> View:
    """The nearest view of a subject that still shows most of what stands out around it."""
    face = (subject.x, subject.y, subject.height) if subject.face else None
    zooms = [zoom for zoom in NEAREST_FIRST if not face or zoom * subject.height < LARGE_FACE] or NEAREST_FIRST[-1:]
    views = [_best_view(subject.weight, zoom, face) for zoom in zooms]
    most = max(shown for shown, _ in views)
    return next(view for shown, view in views if shown >= ENOUGH * most)


def _best_view(weight: np.ndarray, zoom: float, face: tuple[float, float, float] | None) -> tuple[float, View]:
    """How much of the weight it shows, and the view. face: x, y, height; wholly inside."""
    wide, tall = round(WIDE / zoom), round(TALL / zoom)
    inner = (round(0.74 * wide), round(0.74 * tall))
    all_, well = _sums(weight, wide, tall), _sums(weight, *inner)
    top, left = (tall - inner[1]) // 2, (wide - inner[0]) // 2
    shown = (all_ + well[top : top + all_.shape[0], left : left + all_.shape[1]]) / 2  # at its edges it shows half
    rows, columns = np.mgrid[0 : shown.shape[0], 0 : shown.shape[1]]
    x, y = (columns + wide / 2) / WIDE, (rows + tall / 2) / TALL
    if face:  # above the middle of the view, and nearer to it than to an edge
        away_x, away_y = np.abs(x - face[0]) * zoom, (y - face[1]) * zoom
        room_x, room_y = 0.5 - 0.6 * face[2] * zoom * TALL / WIDE, 0.5 - 0.7 * face[2] * zoom
        outside = np.maximum(0, away_x - room_x) + np.maximum(0, np.abs(away_y) - room_y)
        score = shown - 10 * outside - 0.3 * away_x**2 - 0.3 * (away_y - 0.06) ** 2
    else:
        columns, rows = np.meshgrid(np.arange(WIDE) / WIDE, np.arange(TALL) / TALL)
        heart_x, heart_y = (_sums(weight * part, wide, tall) / np.maximum(shown, 1e-9) for part in (columns, rows))
        score = shown * (1 - 0.25 * zoom * (np.abs(heart_x - x) + np.abs(heart_y - y)))
    at = np.unravel_index(int(score.argmax()), score.shape)
    return float(shown[at]), View(float(x[at]), float(y[at]), zoom)


def _sums(weight: np.ndarray, wide: int, tall: int) -> np.ndarray:
    """(TALL - tall + 1, WIDE - wide + 1): the sum of every window."""
    total = cv2.integral(weight.astype(np.float64))
    return np.asarray(total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide])
