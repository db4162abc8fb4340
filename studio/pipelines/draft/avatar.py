"""A portrait that speaks: lips from phonemes or sound, blinks, a head that nods to the voice. Deterministic by seed.

Where the lips are not sure the head alone moves (mode "voice"); see landmarks.py. Frames are made one at a time.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from studio.domain import SpokenLine
from studio.media.yuv import i420_from_bgr
from studio.pipelines.draft.camera import drift, glide, smoother
from studio.pipelines.draft.framing import Framed, frame_portrait
from studio.pipelines.draft.landmarks import Landmarks
from studio.pipelines.draft.lipsync import Mouth as MouthCurves
from studio.pipelines.draft.lipsync import mouth_curves
from studio.pipelines.draft.look import Finish
from studio.pipelines.draft.pictures import read_picture
from studio.pipelines.draft.puppet import Lids, Mouth

PUSH = 0.045  # how much closer the camera is at the end
PLATE_PUSH = 0.4  # of that for what is far behind
BLINK_SECONDS = 0.24
BLINK = (0.0, 0.35, 0.85, 1.0, 0.9, 0.55, 0.2, 0.0)  # how shut, over that time
EDGE = 0.28  # vignette
COARSE = 4  # the head's motion is worked out at a quarter of the frame


def avatar_shot(
    portrait: Path,
    soundtrack: Path | None,
    lines: tuple[SpokenLine, ...],
    size: tuple[int, int],
    fps: float,
    num_frames: int,
    seed: int,
    plate: np.ndarray | None = None,
    grade_lut: np.ndarray | None = None,
) -> tuple[Iterator[np.ndarray], dict[str, Any]]:
    """I420 frames (H * 3 / 2, W) uint8 of a portrait speaking `soundtrack` (None: listening), and facts: mode …

    plate: (H, W, 3) uint8 BGR to stand before, used where the portrait can be cut out. Raises MediaError."""
    framed = frame_portrait(read_picture(portrait), size, plate, grade_lut)
    curves = mouth_curves(soundtrack, lines, fps, num_frames)
    facts = {
        "mode": framed.marks.mode,
        "landmarks": framed.marks.source,
        "confidence": framed.marks.confidence,
        "lips_from": _lips_from(soundtrack, lines),
        "cut_out": framed.plate is not None,
    }
    return _finished(Performance(framed, curves, fps, seed), size, seed), facts


def _lips_from(soundtrack: Path | None, lines: tuple[SpokenLine, ...]) -> str:
    if soundtrack is None:
        return "nothing"
    return "phonemes" if any(line.visemes for line in lines) else "sound"


def _finished(performance: "Performance", size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    finish = Finish(*size, seed, edge=EDGE)
    for index, bgr in enumerate(performance):
        frame = i420_from_bgr(bgr)
        finish.apply(frame, index)
        yield frame


class Performance:
    """A framed portrait acting out a voice: (H, W, 3) uint8 BGR for every frame."""

    def __init__(self, framed: Framed, voice: MouthCurves, fps: float, seed: int) -> None:
        self.voice, self.fps, self.num_frames = voice, fps, voice.num_frames
        self.picture = np.ascontiguousarray(framed.figure[..., :3])
        self.alpha = framed.figure[..., 3] if framed.plate is not None else None
        self.plate = framed.plate
        marks = framed.marks
        self.mouth = Mouth(self.picture, marks, marks.lips) if marks.lips and marks.mode == "lips" else None
        self.lids = Lids(self.picture, marks)
        self.head = Head(marks, self.picture.shape[1::-1])
        rng = np.random.default_rng(seed)
        self.gestures = self.head.gestures(voice.loud, fps, rng)
        self.shut = blinks(self.num_frames, fps, rng)
        self.push = 1 + PUSH * glide(np.linspace(0, 1, self.num_frames))
        if self.alpha is not None:
            rows, columns = np.nonzero(self.alpha)
            margin = round(0.03 * self.picture.shape[0] + PUSH * self.picture.shape[1] / 2)
            self.columns = slice(max(0, columns.min() - margin), min(self.picture.shape[1], columns.max() + 1 + margin))
            self.rows = slice(max(0, rows.min() - margin), self.picture.shape[0])

    def __len__(self) -> int:
        return self.num_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(self.num_frames):
            yield self.frame(index)

    def frame(self, index: int) -> np.ndarray:
        face = self.picture.copy()
        self.move_face(face, float(self.voice.open[index]), float(self.voice.wide[index]), float(self.shut[index]))
        turn, nod, tilt, brows, breath = (float(value) for value in self.gestures[index])
        map_x, map_y = self.head.maps(turn, nod, tilt, brows, breath, float(self.push[index]))
        if self.alpha is None or self.plate is None:
            return cv2.remap(face, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return self._before_plate(face, map_x, map_y, float(self.push[index]))

    def move_face(self, face: np.ndarray, opened: float, wide: float, shut: float) -> None:
        if self.mouth is not None:
            self.mouth.move(face, opened, wide)
        self.lids.close(face, shut)

    def _before_plate(self, face: np.ndarray, map_x: np.ndarray, map_y: np.ndarray, push: float) -> np.ndarray:
        """The figure, warped, over the plate, which comes closer more slowly."""
        height, width = face.shape[:2]
        zoom = 1 + PLATE_PUSH * (push - 1)
        move = np.float32([[zoom, 0, width / 2 * (1 - zoom)], [0, zoom, height / 2 * (1 - zoom)]])
        frame = cv2.warpAffine(
            self.plate, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        part = np.s_[self.rows, self.columns]
        map_x, map_y = np.ascontiguousarray(map_x[part]), np.ascontiguousarray(map_y[part])
        figure = cv2.remap(self._premultiplied(face), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        behind = cv2.bitwise_not(cv2.remap(self.alpha, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        under = cv2.multiply(frame[part], cv2.merge([behind] * 3), scale=1 / 255)
        frame[part] = cv2.add(under, figure)
        return frame

    def _premultiplied(self, face: np.ndarray) -> np.ndarray:
        return cv2.multiply(face, cv2.merge([self.alpha] * 3), scale=1 / 255)


class Head:
    """Turns, nods and tilts a head by a soft mask around it; the body only breathes."""

    def __init__(self, marks: Landmarks, size: tuple[int, int]) -> None:
        self.size = size
        width, height = size
        face = marks.face
        self.width = face.width
        y, x = np.mgrid[0 : height // COARSE, 0 : width // COARSE].astype(np.float32) * COARSE + (COARSE - 1) / 2
        middle_x, middle_y = face.x + face.width / 2, face.y + 0.46 * face.height
        away = np.hypot((x - middle_x) / (0.74 * face.width), (y - middle_y) / (0.86 * face.height))
        below = np.clip((y - (face.y + face.height)) / (0.55 * face.height), 0, 1)
        self.mask = ((1 - smoother((away - 0.86) / 0.85)) * (1 - 0.55 * smoother(below))).astype(np.float32)
        self.bulge = np.sqrt(np.clip(1 - np.minimum(away / 1.02, 1) ** 2, 0, 1)).astype(np.float32) * self.mask
        self.body = np.clip((y - (face.y + 1.05 * face.height)) / (0.6 * face.height), 0, 1).astype(np.float32)
        self.neck = (middle_x, face.y + 1.15 * face.height)  # what the head turns about
        self.from_neck = (x - self.neck[0], y - self.neck[1])
        self.brows = sum(
            (
                _bump(x, y, eye.x, eye.y - 0.40 * marks.apart, 0.34 * marks.apart, 0.15 * marks.apart)
                for eye in marks.eyes
            ),
            np.zeros_like(x),
        )
        self.lift = 0.030 * marks.apart
        self.grid = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))

    def gestures(self, loud: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
        """(num_frames, 5): turn, nod (pixels), tilt (radians), brows 0..1, breath (pixels)."""
        count = len(loud)
        amplitude = 0.016 * self.width
        turn, nod, tilt = (
            drift(rng, count, fps, 2.0, 0.09, 0.7),
            drift(rng, count, fps, 2.0, 0.12, 0.9),
            drift(rng, count, fps, 2.0, 0.07, 0.5),
        )
        smooth = _smoothed(loud, 0.5 * fps)
        stress = np.clip(_smoothed(np.maximum(0, np.gradient(smooth)) * fps, 0.35 * fps), 0, 1)
        brows = np.clip(1.4 * _smoothed(stress, 0.25 * fps) - 0.25 + 0.3 * drift(rng, count, fps, 1.0, 0.1, 0.6), 0, 1)
        breath = 0.0022 * self.size[1] * np.sin(2 * np.pi * 0.25 * np.arange(count) / fps)
        return np.stack([
            1.2 * amplitude * turn,
            amplitude * (0.75 * nod + 1.2 * stress + 0.25 * smooth),
            math.radians(0.75) * tilt,
            brows * (smooth > 0.02),
            breath,
        ], axis=1)  # fmt: skip

    def maps(
        self, turn: float, nod: float, tilt: float, brows: float, breath: float, push: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where every place of the frame comes from: two (H, W) float32 for cv2.remap."""
        right, down = self.from_neck
        dx = self.mask * (tilt * down * -1) + turn * (0.45 * self.mask + 0.75 * self.bulge)
        dy = self.mask * (tilt * right) + nod * (0.4 * self.mask + 0.6 * self.bulge) + self.body * breath
        dy = dy - self.brows * (brows * self.lift)
        x, y = self.neck[0], self.neck[1] - 0.75 * self.width
        map_x = cv2.resize(dx.astype(np.float32), self.size, interpolation=cv2.INTER_LINEAR)
        map_y = cv2.resize(dy.astype(np.float32), self.size, interpolation=cv2.INTER_LINEAR)
        cv2.addWeighted(self.grid[0], 1 / push, map_x, -1, x * (1 - 1 / push), dst=map_x)
        cv2.addWeighted(self.grid[1], 1 / push, map_y, -1, y * (1 - 1 / push), dst=map_y)
        return map_x, map_y


def blinks(num_frames: int, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(num_frames,) how shut the eyes are, 0..1: every few seconds, sometimes twice."""
    seconds = np.arange(num_frames) / fps
    shut = np.zeros(num_frames)
    at = rng.uniform(0.6, 1.8)
    steps = np.linspace(0, BLINK_SECONDS, len(BLINK))
    while at < num_frames / fps - BLINK_SECONDS:
        shut = np.maximum(shut, np.interp(seconds - at, steps, BLINK, left=0, right=0))
        at += 0.45 if rng.random() < 0.12 else rng.gamma(4, 0.85) + 0.5
    return shut


def _bump(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    return np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2).astype(np.float32)


def _smoothed(curve: np.ndarray, frames: float) -> np.ndarray:
    """A moving average with soft ends over about so many frames."""
    window = np.hanning(max(3, round(frames)) + 2)
    half = len(window) // 2
    return np.convolve(np.pad(curve, half, "edge"), window / window.sum(), "same")[half : half + len(curve)]
