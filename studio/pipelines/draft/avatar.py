"""A portrait that speaks: lips from phonemes or sound, blinks, a head that nods to the voice. Deterministic by seed.

Where the lips are not sure the head alone moves (mode "voice"); see landmarks.py. Frames are made one at a time.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from studio.domain import SpokenLine
from studio.media.yuv import i420_planes, new_i420, yuv_from_bgr
from studio.pipelines.draft.camera import drift, glide, smoother
from studio.pipelines.draft.framing import Framed, frame_portrait, opaque
from studio.pipelines.draft.landmarks import Landmarks
from studio.pipelines.draft.lipsync import Mouth as MouthCurves
from studio.pipelines.draft.lipsync import mouth_curves, recorded, silence
from studio.pipelines.draft.look import Finish
from studio.pipelines.draft.people import Box, Clicked, Voice, people_in
from studio.pipelines.draft.pictures import read_picture
from studio.pipelines.draft.puppet import Lids, Mouth, Part

PUSH = 0.045  # how much closer the camera is at the end
PLATE_PUSH = 0.4  # of that for what is far behind
PLATE_HELD = 3  # frames: out of focus and a tenth of a pixel each, nobody sees it stand
BLINK_SECONDS = 0.24
BLINK = (0.0, 0.35, 0.85, 1.0, 0.9, 0.55, 0.2, 0.0)  # how shut, over that time
EDGE = 0.28  # vignette
COARSE = 4  # the head's motion is worked out at a quarter of the frame
GRAIN = 1.0  # a face carries less of it than a landscape, and it is what costs the encoder most

Grid = tuple[np.ndarray, np.ndarray]
"""x and y of places in the frame, (h, w) float32 each."""


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
    voices: Sequence[Voice] = (),
    clicked: Clicked | None = None,
) -> tuple[Iterator[np.ndarray], dict[str, Any]]:
    """I420 frames (H * 3 / 2, W) uint8 of a portrait speaking `soundtrack` (None: listening), and facts: mode …

    plate: (h, w, 3) uint8 BGR, out of focus, to stand before, used where the portrait can be cut out. voices: where
    several people speak, or one of several. clicked: where the user says that mouth and eyes are. Raises MediaError."""
    stat = portrait.stat()
    boxes = tuple(voice.box for voice in voices)
    bgra, found = _looked_at(str(portrait), stat.st_size, stat.st_mtime_ns, boxes, clicked)
    framed = frame_portrait(bgra, size, plate, grade_lut, [marks for marks, _ in found])
    heard = mouth_curves(soundtrack, lines, fps, num_frames)
    together = sum(whose is not None for _, whose in found) > 1
    curves = [
        silence(num_frames) if whose is None else _of(voices[whose], heard, fps) if together else heard
        for _, whose in found
    ]
    speaking = [marks for marks, whose in found if whose is not None]
    facts = {
        "mode": "lips" if any(marks.mode == "lips" for marks in speaking) else "voice",
        "landmarks": speaking[0].source,
        "confidence": speaking[0].confidence,
        "lips_from": _lips_from(soundtrack, lines),
        "cut_out": framed.plate is not None,
        "mouths": sum(marks.mode == "lips" for marks in speaking),  # that move; of several voices one may speak for all
    }
    return _finished(Performance(framed, curves, fps, seed), size, seed), facts


@functools.lru_cache(maxsize=4)
def _looked_at(
    path: str, size: int, changed: int, boxes: tuple[Box | None, ...], clicked: Clicked | None
) -> tuple[np.ndarray, list[tuple[Landmarks, int | None]]]:
    """The picture and who is in it, once for all lines over one portrait. `size`, `changed`: another file is another
    picture."""
    bgra = read_picture(Path(path))
    bgra.flags.writeable = False
    return bgra, people_in(opaque(bgra), boxes, clicked)


def _of(voice: Voice, heard: MouthCurves, fps: float) -> MouthCurves:
    """The mouth of one of several who are heard."""
    if voice.recording:
        return recorded(*voice.recording, fps, heard.num_frames)
    return heard.during([(line.start, line.start + line.duration) for line in voice.lines], fps)


def _lips_from(soundtrack: Path | None, lines: tuple[SpokenLine, ...]) -> str:
    if soundtrack is None:
        return "nothing"
    return "phonemes" if any(line.visemes for line in lines) else "sound"


def _finished(performance: "Performance", size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    finish = Finish(*size, seed, edge=EDGE, grain=GRAIN)
    for index, frame in enumerate(performance):
        finish.apply(frame, index)
        yield frame


class Performance:
    """A framed portrait acting out voices: an I420 frame (H * 3 / 2, W) uint8 for every moment.

    Worked on in Y U V and alpha together, premultiplied, which warps as fast as one channel; what lies behind a figure
    is out of focus and is moved at half size."""

    def __init__(self, framed: Framed, voices: Sequence[MouthCurves], fps: float, seed: int) -> None:
        """voices: one for each of the framed people."""
        self.num_frames = voices[0].num_frames
        self.picture = np.ascontiguousarray(framed.figure[..., :3])
        self.size = self.picture.shape[1::-1]
        self.alpha = framed.figure[..., 3] if framed.plate is not None else None
        self.still = self._developed(self.picture, np.s_[:, :])
        self.shown, self.face = self.still.copy(), self.picture.copy()
        self.plate = yuv_from_bgr(framed.plate) if framed.plate is not None else None
        self._behind: tuple[int, Sequence[np.ndarray]] = (-1, ())
        self.rows, self.columns = self._around_figure()
        rng = np.random.default_rng(seed)
        self.grid = _coarse(self.rows, self.columns)
        self.people = [
            Person(self.picture, marks, voice, fps, rng, self.grid)
            for marks, voice in zip(framed.people, voices, strict=True)
        ]
        self.push = 1 + PUSH * glide(np.linspace(0, 1, self.num_frames))
        self.middle = np.mean([person.head.above_neck for person in self.people], axis=0)

    def _around_figure(self) -> Part:
        """Rows and columns, from and to an even one, that a figure may reach."""
        width, height = self.size
        if self.alpha is None:
            return slice(0, height), slice(0, width)
        rows, columns = np.nonzero(self.alpha)
        margin = round(0.03 * height + PUSH * width / 2)
        left, right = max(0, int(columns.min()) - margin), min(width, int(columns.max()) + 1 + margin)
        return slice(max(0, int(rows.min()) - margin) // 2 * 2, height), slice(left // 2 * 2, -(-right // 2) * 2)

    def _developed(self, bgr: np.ndarray, part: Part) -> np.ndarray:
        """(h, w, 4) uint8: Y U V and alpha of a part of the picture, premultiplied."""
        yuv = yuv_from_bgr(bgr)
        if self.alpha is None:
            return np.dstack([yuv, np.full(yuv.shape[:2], 255, np.uint8)])
        alpha = np.ascontiguousarray(self.alpha[part])
        return cv2.merge([*cv2.split(cv2.multiply(yuv, cv2.merge([alpha] * 3), scale=1 / 255)), alpha])

    def __len__(self) -> int:
        return self.num_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(self.num_frames):
            yield self.frame(index)

    def frame(self, index: int) -> np.ndarray:
        for person in self.people:
            person.act(self, index)
        push = float(self.push[index])
        map_x, map_y = self._maps(index, push)
        edge = cv2.BORDER_REFLECT_101 if self.plate is None else cv2.BORDER_REPLICATE
        seen = cv2.remap(self.shown, map_x, map_y, cv2.INTER_LINEAR, borderMode=edge)
        half = _half(seen)
        frame = new_i420(*self.size)
        luma, *chroma = i420_planes(frame)
        part, small = np.s_[self.rows, self.columns], np.s_[_halved(self.rows), _halved(self.columns)]
        if self.plate is None:
            cv2.extractChannel(seen, 0, dst=luma)
            for channel, plane in enumerate(chroma, start=1):
                cv2.extractChannel(half, channel, dst=plane)
            return frame
        behind = self._seen_behind(self.plate, index)
        luma[:] = behind[0]
        _lay(luma[part], cv2.extractChannel(seen, 0), cv2.extractChannel(seen, 3))
        clear = cv2.extractChannel(half, 3)
        for channel, plane in enumerate(chroma, start=1):
            plane[:] = behind[channel]
            _lay(plane[small], cv2.extractChannel(half, channel), clear)
        return frame

    def _maps(self, index: int, push: float) -> tuple[np.ndarray, np.ndarray]:
        """Where every place of the part comes from: two (h, w) float32 for cv2.remap.

        Worked out at every COARSE-th pixel, one of them beyond each edge, and drawn out from there."""
        shifts = [person.shift(index) for person in self.people]
        rows, columns = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        maps = []
        for grid, shift, middle in zip(self.grid, map(sum, zip(*shifts, strict=True)), self.middle, strict=True):
            small = cv2.addWeighted(grid, 1 / push, shift, -1, float(middle) * (1 - 1 / push))
            wide = cv2.resize(small, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_LINEAR)
            maps.append(wide[COARSE : COARSE + rows, COARSE : COARSE + columns])
        return maps[0], maps[1]

    def _seen_behind(self, plate: np.ndarray, index: int) -> Sequence[np.ndarray]:
        """Y, U and V of what is behind; it comes closer more slowly, by a part of a pixel every PLATE_HELD frames."""
        if index // PLATE_HELD != self._behind[0]:
            height, width = plate.shape[:2]
            zoom = 1 + PLATE_PUSH * (float(self.push[index]) - 1)
            move = np.float32([[zoom, 0, width / 2 * (1 - zoom)], [0, zoom, height / 2 * (1 - zoom)]])
            seen = cv2.warpAffine(plate, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            y, u, v = cv2.split(seen)
            self._behind = index // PLATE_HELD, [cv2.resize(y, self.size, interpolation=cv2.INTER_LINEAR), u, v]
        return self._behind[1]


class Person:
    """One of the people in a portrait: a mouth, lids and a head that follow one voice."""

    def __init__(
        self, bgr: np.ndarray, marks: Landmarks, voice: MouthCurves, fps: float, rng: np.random.Generator, grid: Grid
    ) -> None:
        self.voice = voice
        lips = marks.lips if marks.mode == "lips" else None
        height, width = bgr.shape[:2]
        shown = lips is not None and 0 < lips.x < width - 1 and 0 < lips.y < height - 1  # a frame may leave it out
        self.mouth = Mouth(bgr, marks, lips, _in_yuva) if lips and shown else None
        self.lids = Lids(bgr, marks)
        self.head = Head(marks, bgr.shape[1::-1], grid)
        self.gestures = self.head.gestures(voice.loud, fps, rng)
        self.shut = blinks(voice.num_frames, fps, rng)
        self._spoke = self._blinked = False

    def act(self, picture: Performance, index: int) -> None:
        """Mouth and lids of a moment, in the picture that is shown."""
        if self.mouth is not None:
            if self._spoke:
                picture.shown[self.mouth.part] = picture.still[self.mouth.part]
            opened, wide = float(self.voice.open[index]), float(self.voice.wide[index])
            self._spoke = self.mouth.move(picture.shown, opened, wide)
        if self._blinked:
            for part in self.lids.parts:
                picture.shown[part], picture.face[part] = picture.still[part], picture.picture[part]
        self._blinked = self.lids.close(picture.face, float(self.shut[index]))
        for part in self.lids.parts if self._blinked else ():
            picture.shown[part] = picture._developed(picture.face[part], part)

    def shift(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.head.shift(*(float(value) for value in self.gestures[index]))


class Head:
    """Turns, nods and tilts a head by a soft mask around it; the body only breathes."""

    def __init__(self, marks: Landmarks, size: tuple[int, int], grid: Grid) -> None:
        """grid: the places of the frame that are worked out."""
        self.size = size
        face = marks.face
        self.width = face.width
        x, y = grid
        middle_x, middle_y = face.x + face.width / 2, face.y + 0.46 * face.height
        away = np.hypot((x - middle_x) / (0.74 * face.width), (y - middle_y) / (0.86 * face.height))
        below = np.clip((y - (face.y + face.height)) / (0.55 * face.height), 0, 1)
        mask = (1 - smoother((away - 0.86) / 0.85)) * (1 - 0.55 * smoother(below))
        bulge = np.sqrt(np.clip(1 - np.minimum(away / 1.02, 1) ** 2, 0, 1)) * mask
        neck = (middle_x, face.y + 1.15 * face.height)  # what the head turns about
        self.above_neck = (neck[0], neck[1] - 0.75 * face.width)  # what the camera comes closer to
        brows = sum(
            (
                _bump(x, y, eye.x, eye.y - 0.40 * marks.apart, 0.34 * marks.apart, 0.15 * marks.apart)
                for eye in marks.eyes
            ),
            np.zeros_like(x),
        )
        body = np.clip((y - (face.y + 1.05 * face.height)) / (0.6 * face.height), 0, 1)
        # what each gesture moves: right and down, (h, w) float32 each
        self.turn = (0.45 * mask + 0.75 * bulge).astype(np.float32)
        self.nod = (0.4 * mask + 0.6 * bulge).astype(np.float32)
        self.tilt = (-mask * (y - neck[1])).astype(np.float32), (mask * (x - neck[0])).astype(np.float32)
        self.brows, self.body = (-0.030 * marks.apart * brows).astype(np.float32), body.astype(np.float32)

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

    def shift(self, turn: float, nod: float, tilt: float, brows: float, breath: float) -> tuple[np.ndarray, np.ndarray]:
        """How far everything moves, right and down: two (h, w) float32 in pixels, at every COARSE-th of them."""
        right = cv2.addWeighted(self.turn, turn, self.tilt[0], tilt, 0)
        down = cv2.addWeighted(self.nod, nod, self.tilt[1], tilt, 0)
        cv2.scaleAdd(self.body, breath, down, dst=down)
        return right, cv2.scaleAdd(self.brows, brows, down, dst=down) if brows else down


def _coarse(rows: slice, columns: slice) -> Grid:
    """Every COARSE-th place of a part of the frame, and one beyond each of its edges."""
    y, x = (
        np.arange(edge.start - COARSE, edge.stop + COARSE, COARSE, np.float32) + (COARSE - 1) / 2
        for edge in (rows, columns)
    )
    across, down = np.meshgrid(x, y)
    return across, down


def _in_yuva(bgr: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 BGR -> (h, w, 4) float32 Y U V and solid."""
    return np.dstack([yuv_from_bgr(bgr), np.full(bgr.shape[:2], 255, np.float32)])


def _half(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _halved(part: slice) -> slice:
    return slice(part.start // 2, part.stop // 2)


def _lay(under: np.ndarray, over: np.ndarray, clear: np.ndarray) -> None:
    """A premultiplied plane over another, in place; clear: its alpha."""
    cv2.add(cv2.multiply(under, cv2.bitwise_not(clear), scale=1 / 255), over, dst=under)


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
