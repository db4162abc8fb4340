"""Where the lips of a face meet, and whether they may be moved at all. Image evidence only; nothing is drawn here.

The rule of this module: a mouth that does not move is a pity, a mouth torn out of a cheek is a horror. So every
measurement has a gate, and what is not sure becomes mode "voice": the head moves, the lips do not.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from studio.media.faces import Eye, Face, find_face

PATCH_WIDTH = 180  # pixels across the region in which a mouth is looked for
MOUTH_BELOW_EYES = 1.06  # in distances between the eyes
MOUTH_HALF_WIDTH = 0.40
LIPS_CONFIDENCE, LIPS_CONFIDENCE_WITHOUT_EYES = 0.30, 0.55
FLAT_SHARE, SHADED_SHARE = 0.55, 0.42  # of a face without texture: a flat drawing, one with soft shading
LEAST_APART = 14.0  # pixels between the eyes of the picture; below it there is nothing to measure


@dataclass(frozen=True, slots=True)
class Lips:
    """The seam between the lips, in pixels: y = curve((x - x0) / half_width), constant outside [x0 - hw, x0 + hw]."""

    x: float
    half_width: float
    curve: tuple[float, float, float]  # quadratic in u = -1..1
    parted: bool  # already open or smiling with teeth: then this is the edge of the lower lip

    def seam(self, x: np.ndarray) -> np.ndarray:
        u = np.clip((x - self.x) / self.half_width, -1, 1)
        a, b, c = self.curve
        return a * u * u + b * u + c

    @property
    def y(self) -> float:
        return self.curve[2]

    def moved(self, scale: float, dx: float, dy: float) -> "Lips":
        a, b, c = (value * scale for value in self.curve)
        return Lips(self.x * scale + dx, self.half_width * scale, (a, b, c + dy), self.parted)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """All that moving a face needs. `apart` (pixels between the eyes) is the unit of every size."""

    face: Face
    eyes: tuple[Eye, ...]  # none where they are not sure: then nobody blinks
    apart: float
    lips: Lips | None
    flat: bool  # a drawing: lids are painted, not stretched
    confidence: float
    source: str  # "drawn eyes+cascade", "cascade+eyes", "cascade", "none"
    mode: Literal["lips", "voice"]

    def moved(self, scale: float, dx: float, dy: float) -> "Landmarks":
        """The same landmarks after the picture was scaled and then shifted."""
        f = self.face
        box = (round(f.x * scale + dx), round(f.y * scale + dy), round(f.width * scale), round(f.height * scale))
        eyes = (
            Eye(e.x * scale + dx, e.y * scale + dy, e.half_width * scale, e.above * scale, e.below * scale)
            for e in self.eyes
        )
        lips = self.lips.moved(scale, dx, dy) if self.lips else None
        return replace(self, face=replace(f, x=box[0], y=box[1], width=box[2], height=box[3]), eyes=tuple(eyes),
                       lips=lips, apart=self.apart * scale)  # fmt: skip


def find_landmarks(bgr: np.ndarray) -> Landmarks:
    """The landmarks of a portrait, (H, W, 3) uint8 BGR. Never fails: without a face the mode is "voice"."""
    found = find_face(bgr)
    if found is None:
        height, width = bgr.shape[:2]
        side = int(min(width, height) * 0.46)
        middle = Face((width - side) // 2, int(height * 0.14), side, side, "profile")
        return Landmarks(middle, (), 0.42 * side, None, False, 0.0, "none", "voice")
    return marks_of(bgr, *found)


def marks_of(bgr: np.ndarray, face: Face, eyes: tuple[Eye, Eye] | None) -> Landmarks:
    """The landmarks of one face of a picture."""
    height, width = bgr.shape[:2]
    flat = flat_face(bgr, face)
    source = {"both": "drawn eyes+cascade", "eyes": "drawn eyes"}.get(
        face.found_by, "cascade+eyes" if eyes else "cascade"
    )
    if face.view == "profile":
        return Landmarks(face, (), 0.42 * face.width, None, flat, 0.0, "cascade, profile", "voice")
    apart = math.hypot(eyes[1].x - eyes[0].x, eyes[1].y - eyes[0].y) if eyes else 0.42 * face.width
    patch = MouthPatch(bgr, face, eyes, apart)
    lips, confidence = patch.lips()
    guessed = flat and face.found_by == "cascade"  # a drawing whose eyes are no eyes as we know them
    needed = LIPS_CONFIDENCE_WITHOUT_EYES if guessed or not eyes else LIPS_CONFIDENCE
    large = eyes is not None or face.width > 0.40 * min(width, height)
    sure = confidence > needed and large and apart > LEAST_APART and skin_around(bgr, lips, apart)
    return Landmarks(
        face, () if guessed else eyes or (), apart, lips, flat, confidence, source, "lips" if sure else "voice"
    )


def flat_face(bgr: np.ndarray, face: Face) -> bool:
    """A drawing: without texture, or softly shaded around drawn eyes."""
    return untextured(bgr, face) > (SHADED_SHARE if face.found_by != "cascade" else FLAT_SHARE)


def untextured(bgr: np.ndarray, face: Face) -> float:
    """The share of a face that is plain colour or smooth gradient, 0..1."""
    part = bgr[max(0, face.y) : face.y + face.height, max(0, face.x) : face.x + face.width]
    grey = cv2.cvtColor(cv2.resize(part, (160, 160), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return float((np.abs(cv2.Laplacian(grey.astype(np.float32), cv2.CV_32F)) < 1.5).mean())


class MouthPatch:
    """The region below the eyes, scaled to PATCH_WIDTH, and what in it looks like the line between two lips."""

    def __init__(self, bgr: np.ndarray, face: Face, eyes: tuple[Eye, Eye] | None, apart: float) -> None:
        if eyes:
            tilt = math.atan2(eyes[1].y - eyes[0].y, eyes[1].x - eyes[0].x)
            x = (eyes[0].x + eyes[1].x) / 2 - math.sin(tilt) * MOUTH_BELOW_EYES * apart
            y = (eyes[0].y + eyes[1].y) / 2 + math.cos(tilt) * MOUTH_BELOW_EYES * apart
            half_width, up, down, self.tolerance = MOUTH_HALF_WIDTH * apart, 0.36 * apart, 0.40 * apart, 0.20
        else:
            x, y = face.x + 0.5 * face.width, face.y + 0.80 * face.height
            half_width, up, down, self.tolerance = 0.19 * face.width, 0.55 * apart, 0.80 * apart, 0.40
        height, width = bgr.shape[:2]
        self.left, right = max(0, int(x - 1.55 * half_width)), min(width, int(x + 1.55 * half_width))
        self.top, bottom = max(0, int(y - up)), min(height, int(y + down))
        part = bgr[self.top : max(bottom, self.top + 2), self.left : max(right, self.left + 2)]
        self.scale = PATCH_WIDTH / part.shape[1]
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        self.bgr = cv2.resize(part, None, fx=self.scale, fy=self.scale, interpolation=how)
        self.x, self.y = (x - self.left) * self.scale, (y - self.top) * self.scale
        self.half_width, self.apart = half_width * self.scale, apart * self.scale
        lab = cv2.cvtColor(self.bgr, cv2.COLOR_BGR2LAB).astype(np.float32)
        self.light = cv2.GaussianBlur(lab[..., 0], (0, 0), 1.4)
        self.redness = cv2.GaussianBlur(lab[..., 1] - 0.35 * lab[..., 2], (0, 0), 2.2)
        self.rows, self.columns = self.light.shape
        self._weigh()

    def _weigh(self) -> None:
        """`line`: dark ridges near red, where a mouth is to be expected. `red`: the colour of lips, spread a little."""
        tall = max(5, int(0.16 * self.apart)) | 1
        ridge = cv2.morphologyEx(self.light, cv2.MORPH_BLACKHAT, np.ones((tall, 1), np.float32))
        ridge = np.clip(ridge / max(8.0, float(np.percentile(ridge, 98.5))), 0, 1)
        usual, most = np.percentile(self.redness, (55, 98.5))
        red = np.clip((self.redness - usual) / max(4.0, float(most - usual)), 0, 1)
        self.red = cv2.dilate(red, np.ones((max(3, int(0.10 * self.apart)) | 1, 3)))
        yy, xx = np.mgrid[0 : self.rows, 0 : self.columns]
        self.expected = np.exp(-(((yy - self.y) / (1.4 * self.tolerance * self.apart)) ** 2)) * np.exp(
            -(((xx - self.x) / (1.5 * self.half_width)) ** 4)
        )
        line = ridge * (0.30 + self.red) * self.expected
        line = cv2.blur(line, (max(3, int(0.12 * self.half_width)), 1))
        left, right = max(0, int(self.x - 0.75 * self.half_width)), int(self.x + 0.75 * self.half_width)
        across = cv2.GaussianBlur(line[:, left:right].mean(1, keepdims=True), (1, 5), 0).ravel()
        self.row = int(across.argmax())
        self.confidence = float(np.clip(across.max() / 0.38, 0, 1))
        self.line = line * np.exp(-(((yy - self.row) / (0.16 * self.apart)) ** 2))

    def lips(self) -> tuple[Lips, float]:
        """The lips in pixels of the picture, and how sure that is, 0..1."""
        path = self._path()
        left, right = self._width(path)
        centre, half = (left + right) / 2, (right - left) / 2
        u = (np.arange(left, right + 1) - centre) / half
        weights = np.clip(self._strength(path)[left : right + 1], 0.02, None)
        curve = np.polyfit(u, path[left : right + 1], 2, w=weights)
        curve[0] = np.clip(curve[0], -0.0035 * half**2, 0.0035 * half**2)
        near = np.clip(np.polyval(curve, u), self.row - 0.16 * self.apart, self.row + 0.16 * self.apart)
        curve = np.polyfit(u, near, 2)
        gap = self._gap(centre, half, float(curve[2]))
        parted = gap > 0.06 * self.apart
        if parted:
            curve = np.polyfit(u, np.polyval(curve, u) + gap * np.clip(1 - u**2, 0, 1) ** 0.6, 2)
        a, b, c = (float(value) / self.scale for value in curve)
        x = self.left + centre / self.scale
        return Lips(x, half / self.scale, (a, b, self.top + c), parted), round(self.confidence, 2)

    def _path(self) -> np.ndarray:
        """(columns,) the row of the best line from left to right, by dynamic programming; steep steps cost."""
        total = np.zeros_like(self.line)
        came_from = np.zeros(self.line.shape, int)
        total[:, 0] = self.line[:, 0]
        steps = (-2, -1, 0, 1, 2)
        for column in range(1, self.columns):
            before = np.stack([np.roll(total[:, column - 1], step) - 0.04 * abs(step) for step in steps])
            came_from[:, column] = before.argmax(0)
            total[:, column] = self.line[:, column] + before.max(0)
        path = np.zeros(self.columns, int)
        row = int(total[:, -1].argmax())
        for column in range(self.columns - 1, -1, -1):
            path[column] = row
            row = int(np.clip(row - steps[came_from[row, column]], 0, self.rows - 1))
        return path

    def _strength(self, path: np.ndarray) -> np.ndarray:
        """(columns,) how much like lips it looks along the path."""
        at = np.arange(self.columns)
        strength = np.maximum(self.line[path, at], 0.6 * self.red[path, at] * self.expected[path, at])
        return np.convolve(strength, np.ones(7) / 7, "same")

    def _width(self, path: np.ndarray) -> tuple[int, int]:
        """First and last column: a mouth is nearly symmetric and about as wide as the eyes let expect."""
        strength = self._strength(path)
        middle = strength[max(0, int(self.x - 0.5 * self.half_width)) : int(self.x + 0.5 * self.half_width)]
        least = max(0.07, 0.38 * float(np.median(middle)))

        def reach(step: int) -> float:
            column = last = int(np.clip(self.x, 1, self.columns - 2))
            while 0 < column < self.columns - 1 and abs(column - self.x) < 1.35 * self.half_width:
                column += step
                if strength[column] > least:
                    last = column
                elif abs(column - last) > 0.16 * self.half_width:
                    break
            return abs(last - self.x)

        left, right = reach(-1), reach(1)
        half = float(np.clip((left + right) / 2, 0.55 * self.half_width, 1.22 * self.half_width))
        aside = 0.6 * float(np.clip((right - left) / 2, -0.22 * self.half_width, 0.22 * self.half_width))
        return int(max(1, self.x + aside - half)), int(min(self.columns - 2, self.x + aside + half))

    def _gap(self, centre: float, half: float, seam: float) -> float:
        """How far below the line teeth or darkness reach: a mouth that is open already."""
        left, right = int(centre - 0.38 * half), int(centre + 0.38 * half) + 1
        first, last = int(seam), min(self.rows - 2, int(seam + 0.30 * self.apart))
        if last - first <= 6:
            return 0.0
        saturation = cv2.cvtColor(self.bgr, cv2.COLOR_BGR2HSV)[..., 1].astype(np.float32)
        skin_light = float(np.median(self.light[: max(2, first // 2)]))
        light, colour = self.light[:, left:right].mean(1), saturation[:, left:right].mean(1)
        teeth = (colour < 0.72 * float(np.median(saturation))) & (light > 0.80 * skin_light)
        inside = teeth | (light < 0.50 * skin_light)
        gap = 0
        for step in range(last - first):
            if inside[first + step]:
                gap = step
            elif step - gap > 0.05 * self.apart:
                break
        return float(gap)


def skin_around(bgr: np.ndarray, lips: Lips, apart: float) -> bool:
    """Cheeks, corners of the mouth and chin must all be skin: rejects profiles, beards, microphones, wrong boxes."""
    height, width = bgr.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(bgr, (0, 0), max(1.0, 0.03 * apart)), cv2.COLOR_BGR2LAB).astype(np.float32)

    def colour_at(across: float, down: float) -> np.ndarray:
        """across in half widths of the mouth, down in distances between the eyes, from the middle of the lips."""
        x, y = lips.x + across * lips.half_width, lips.y + down * apart
        return lab[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]

    cheeks = [colour_at(x, -0.45) for x in (-0.7, -0.3, 0.3, 0.7)]
    skin = np.median([*cheeks, colour_at(0, -0.75)], axis=0)
    spots = ((-1.45, -0.12), (1.45, -0.12), (-1.5, -0.5), (1.5, -0.5), (0, 0.42), (-0.7, 0.30), (0.7, 0.30))
    differs = []
    for across, down in spots:
        light, a, b = colour_at(across, down) - skin
        differs.append(math.hypot(a, b) > 11.5 or not -0.38 < light / max(20.0, skin[0]) < 0.62)
    left = (differs[0] and differs[2]) or (differs[0] and differs[5])  # a whole side is something else
    right = (differs[1] and differs[3]) or (differs[1] and differs[6])
    return sum(differs) <= 2 and not left and not right
