"""A shot is flat pictures standing one behind the other, and a camera that travels past them.

Layers are kept premultiplied as Y U V alpha: composed in the colours of video, graded once, never per frame.
Knows no prompts and no files.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from studio.media.yuv import i420_from_planes, yuv_from_bgr
from studio.pipelines.draft.camera import CameraPath
from studio.pipelines.draft.look import PLAIN, Finish, Grade
from studio.pipelines.draft.weather import Weather

Matrix = np.ndarray  # (2, 3) float32, layer pixels -> frame pixels
MARGIN = 2  # transparent pixels around a cut-out, so that its edge is interpolated
CHUNKS = 24  # columns a sheet is divided into, so that the empty air beside a tower costs nothing
WASTE = 12_000  # pixels drawn in vain that cost as much as one more chunk
SOFT = 0.75  # blur in pixels at 720 lines from which a layer may be drawn at half size
AHEAD = 10  # rows kept drawn above a nearer layer's solid part: the camera may roll


@dataclass(frozen=True, slots=True)
class Pose:
    """How a layer differs from its rest at one moment."""

    dx: float = 0.0  # fraction of the frame's height
    dy: float = 0.0
    turn: float = 0.0  # degrees
    stretch_x: float = 1.0
    stretch_y: float = 1.0
    opacity: float = 1.0


@dataclass(slots=True)
class Layer:
    """image: (h, w, 3) BGR or (h, w, 4) BGR + straight alpha, uint8. x, y, height: where its middle rests in the frame
    and how tall it stands there, in pixels. depth: 1 is the subject, more is farther."""

    image: np.ndarray
    x: float
    y: float
    height: float
    depth: float = 1.0
    motion: Callable[[float], Pose] | None = None  # seconds -> pose
    pivot: tuple[float, float] = (0.5, 1.0)  # about which it moves, fraction of the layer
    blur: float = 0.0  # pixels of the frame
    graded: float = 1.0  # how much of the shot's grade falls on it; 0: its colours already are the light of the shot
    strip: bool = False  # ground, sea, ridge: wider than the frame, nothing shines through its lower part
    largest: float = 1.3  # how much bigger than at rest it may get before it looks soft

    def developed(self, grade: Grade) -> "Print":
        """Ready for the camera: sized, cropped to what is painted, graded, premultiplied."""
        image, x, y, height = self._cropped()
        scale = height * self.largest / image.shape[0]
        if self.blur:  # a blurred picture needs no more pixels than its blur has
            scale = min(scale, max(0.12, 2.2 / self.blur) * height / image.shape[0])
        if scale < 0.97:
            # premultiply before shrinking: the colour of nothing must not bleed into edges
            image = shrunk(image, scale)
        alpha = image[..., 3] if image.shape[2] == 4 else None
        grade = PLAIN if grade is PLAIN or not self.graded else grade.eased(self.graded)
        bgr = cv2.LUT(image[..., :3], grade.lut()) if grade is not PLAIN else image[..., :3]
        yuv = yuv_from_bgr(np.ascontiguousarray(bgr))
        if grade.saturation != 1:
            yuv[..., 1:] = cv2.convertScaleAbs(
                np.ascontiguousarray(yuv[..., 1:]), alpha=grade.saturation, beta=128 * (1 - grade.saturation)
            )
        pixels = image.shape[0] / height  # of the layer per pixel of the frame
        if alpha is None:  # four channels warp faster than three
            planes = np.dstack([_blurred(yuv, self.blur * pixels), np.full(yuv.shape[:2], 255, np.uint8)])
        else:
            three = cv2.merge([alpha, alpha, alpha])
            planes = np.dstack([cv2.multiply(yuv, three, scale=1 / 255), alpha])
            if self.blur and self.strip:
                planes = _blurred(planes, self.blur * pixels)
            elif self.blur:
                room = int(self.blur * pixels * 2.5)
                planes = cv2.copyMakeBorder(planes, room, room, room, room, cv2.BORDER_CONSTANT)
                planes = _blurred(planes, self.blur * pixels)
            elif not self.strip:
                planes = cv2.copyMakeBorder(planes, *(MARGIN,) * 4, cv2.BORDER_CONSTANT)
        planes = np.ascontiguousarray(planes)
        return Print(
            planes, x, y, height / image.shape[0], self.depth, self.motion, self.pivot, self.strip, alpha is None,
            self.blur,
        )  # fmt: skip

    def _cropped(self) -> tuple[np.ndarray, float, float, float]:
        image = self.image
        rows, columns = image.shape[:2]
        if image.shape[2] == 3 or self.motion:
            return image, self.x, self.y, self.height
        left, top, width, height = cv2.boundingRect(image[..., 3])
        if self.strip and height:  # air above the crest, or it would be smeared upwards
            top, height = max(0, top - 4), height + min(4, top)
        if not width or (width > columns * 0.92 and height > rows * 0.92):
            return image, self.x, self.y, self.height
        scale = self.height / rows
        x = self.x + (left + width / 2 - columns / 2) * scale
        y = self.y + (top + height / 2 - rows / 2) * scale
        return image[top : top + height, left : left + width], x, y, height * scale


@dataclass(slots=True)
class Print:
    """A developed layer. planes: (h, w, 4) Y U V, premultiplied, and alpha."""

    planes: np.ndarray
    x: float
    y: float
    scale: float  # frame pixels per layer pixel at rest
    depth: float
    motion: Callable[[float], Pose] | None
    pivot: tuple[float, float]
    strip: bool
    opaque: bool  # fills every frame
    blur: float  # pixels of the frame
    solid_from: int = field(init=False)  # from this row down nothing shines through; its height: nowhere
    chunks: list[tuple[int, int, int, int]] = field(init=False)  # painted parts: (left, right, top, bottom)

    def __post_init__(self) -> None:
        rows, columns = self.planes.shape[:2]
        self.solid_from, self.chunks = rows, [(0, columns, 0, rows)]
        if self.motion or self.opaque:
            return
        alpha = self.planes[..., 3]
        if self.strip:
            open_rows = np.flatnonzero(alpha.min(axis=1) < 255)
            self.solid_from = int(open_rows[-1]) + 1 if len(open_rows) else 0
        self.chunks = _chunks(alpha)

    def matrix(self, size: tuple[int, int], camera: tuple[float, float, float, float], pose: Pose) -> Matrix:
        """Pinhole camera: near layers pass faster and grow more than far ones."""
        width, height = size
        x, y, dolly, roll = camera
        nearer = self.depth / (self.depth - dolly)
        scale = self.scale * nearer
        rows, columns = self.planes.shape[:2]
        pivot_x, pivot_y = columns * self.pivot[0], rows * self.pivot[1]
        at_x = (self.x - width / 2 - x * height / self.depth) * nearer + width / 2
        at_y = (self.y - height / 2 - y * height / self.depth) * nearer + height / 2
        at_x += (pivot_x - columns / 2) * scale + pose.dx * height * nearer
        at_y += (pivot_y - rows / 2) * scale + pose.dy * height * nearer
        angle = math.radians(roll + pose.turn)
        cosine, sine = math.cos(angle), math.sin(angle)
        scale_x, scale_y = scale * pose.stretch_x, scale * pose.stretch_y
        if roll:  # the whole frame rolls about its middle
            turn = math.radians(roll)
            from_x, from_y = at_x - width / 2, at_y - height / 2
            at_x = width / 2 + from_x * math.cos(turn) - from_y * math.sin(turn)
            at_y = height / 2 + from_x * math.sin(turn) + from_y * math.cos(turn)
        a, b, c, d = scale_x * cosine, -scale_y * sine, scale_x * sine, scale_y * cosine
        return np.array(
            [[a, b, at_x - a * pivot_x - b * pivot_y], [c, d, at_y - c * pivot_x - d * pivot_y]], np.float32
        )


def _chunks(alpha: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Where paint is, by columns. Each chunk also knows its neighbours' rows: a rolling camera slants its edges."""
    rows, columns = alpha.shape
    edges = np.linspace(0, columns, CHUNKS + 1).astype(int) if columns > 4 * CHUNKS else np.array([0, columns])
    tops, bottoms = [], []
    for left, right in zip(edges, edges[1:], strict=False):
        painted = np.flatnonzero(alpha[:, left:right].any(axis=1))
        tops.append(int(painted[0]) if len(painted) else rows)
        bottoms.append(int(painted[-1]) + 1 if len(painted) else 0)
    chunks: list[tuple[int, int, int, int]] = []
    for index in range(len(tops)):
        near = slice(max(0, index - 1), index + 2)
        top, bottom = min(tops[near]), max(bottoms[near])
        left, right = int(edges[index]), int(edges[index + 1])
        if bottom <= top:
            continue
        if chunks and chunks[-1][1] == left:
            start, _, high, low = chunks[-1]
            joined = (right - start) * (max(bottom, low) - min(top, high))
            if joined - (right - left) * (bottom - top) - (left - start) * (low - high) < WASTE:
                chunks.pop()
                left, top, bottom = start, min(top, high), max(bottom, low)
        chunks.append((left, right, top, bottom))
    return chunks


def shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """BGR or BGR + straight alpha, smaller; the colour of what is transparent does not bleed into the edges."""
    if image.shape[2] == 3:
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    alpha = image[..., 3]
    three = cv2.merge([alpha, alpha, alpha])
    small = cv2.resize(
        np.dstack([cv2.multiply(np.ascontiguousarray(image[..., :3]), three, scale=1 / 255), alpha]),
        None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    weight = np.maximum(small[..., 3:].astype(np.float32), 1) / 255
    return np.dstack([np.clip(small[..., :3] / weight, 0, 255).astype(np.uint8), small[..., 3]])


def _blurred(planes: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(planes, (0, 0), sigma) if sigma > 0.3 else planes


class Canvas:
    """The planes of one frame while it is composed."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.planes = [np.zeros((height, width), np.uint8) for _ in range(3)]

    def draw(self, layer: Print, matrix: Matrix, opacity: float, floor: int) -> None:
        """Lay one layer over what is there. Rows from `floor` on will be covered by nearer layers."""
        width, height = self.size
        floor = min(height, floor)
        if layer.opaque:
            self._copy(layer, matrix, (0, 0, width, floor))
            return
        if opacity < 0.01:
            return
        solid = self.solid_row(layer, matrix)
        if solid < floor:
            self._copy(layer, matrix, (0, solid, width, floor))
        for left, right, top, bottom in layer.chunks:
            corners = matrix @ np.array([[left, right, left, right], [top, top, bottom, bottom], [1] * 4])
            low, high = np.floor(corners.min(axis=1)).astype(int), np.ceil(corners.max(axis=1)).astype(int)
            if len(layer.chunks) == 1:
                x0, x1 = low[0] - 1, high[0] + 1
            else:  # neighbours share an edge: no column twice, none left out
                x0, x1 = round(corners[0, [0, 2]].mean()), round(corners[0, [1, 3]].mean())
            box = (max(0, x0), max(0, low[1] - 1), min(width, x1), min(floor, solid, high[1] + 1))
            if box[2] > box[0] and box[3] > box[1]:
                self._blend(layer, matrix, box, opacity)

    def enlarge(self, half: "Canvas") -> None:
        """Take over a canvas of half the size."""
        for plane, small in zip(self.planes, half.planes, strict=True):
            cv2.resize(small, self.size, dst=plane, interpolation=cv2.INTER_LINEAR)

    def solid_row(self, layer: Print, matrix: Matrix) -> int:
        """The frame's row from which on this layer hides everything, or the frame's height."""
        width, height = self.size
        rows, columns = layer.planes.shape[:2]
        if layer.solid_from >= rows:
            return height
        corners = matrix @ np.array([[0, columns, 0, columns], [layer.solid_from] * 2 + [rows] * 2, [1] * 4])
        covers = corners[0, [0, 2]].max() <= 0 and corners[0, [1, 3]].min() >= width and corners[1, 2:].min() >= height
        return min(height, max(0, math.ceil(corners[1, :2].max()) + 2)) if covers else height

    def _warped(self, layer: Print, matrix: Matrix, box: tuple[int, int, int, int], border: int) -> np.ndarray:
        x0, y0, x1, y1 = box
        moved = matrix.copy()
        moved[:, 2] -= (x0, y0)
        return cv2.warpAffine(layer.planes, moved, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=border)

    def _copy(self, layer: Print, matrix: Matrix, box: tuple[int, int, int, int]) -> None:
        x0, y0, x1, y1 = box
        warped = self._warped(layer, matrix, box, cv2.BORDER_REFLECT_101)
        for plane, channel in zip(self.planes, cv2.split(warped), strict=False):
            plane[y0:y1, x0:x1] = channel  # alpha, the fourth, is 255 here

    def _blend(self, layer: Print, matrix: Matrix, box: tuple[int, int, int, int], opacity: float) -> None:
        x0, y0, x1, y1 = box
        # strips reach the layer's edge: beyond it lies more of the same, not nothing
        border = cv2.BORDER_REPLICATE if layer.strip else cv2.BORDER_CONSTANT
        warped = self._warped(layer, matrix, box, border)
        if opacity < 1:
            warped = cv2.convertScaleAbs(warped, alpha=max(0.0, opacity))
        *channels, alpha = cv2.split(warped)
        behind = cv2.bitwise_not(alpha)
        for plane, channel in zip(self.planes, channels, strict=True):
            under = plane[y0:y1, x0:x1]
            cv2.multiply(under, behind, dst=under, scale=1 / 255)
            cv2.add(under, channel, dst=under)


REST = Pose()


def _halved(matrix: Matrix) -> Matrix:
    """The same view on a canvas of half the size; pixel centres lie between those of the large one."""
    half = matrix * 0.5
    half[:, 2] -= 0.25
    return half


class Shot:
    """Layers, far to near, seen by a moving camera. Iterating gives I420 frames, one per frame of the camera's path."""

    def __init__(
        self,
        layers: Sequence[Layer],
        size: tuple[int, int],
        fps: float,
        camera: CameraPath,
        *,
        grade: Grade = PLAIN,
        weather: Weather | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.size, self.fps, self.camera = size, fps, camera
        self.weather, self.finish = weather, finish
        self.prints = [layer.developed(grade) for layer in layers]
        self._cover_frame()
        sharp = (index for index, layer in enumerate(self.prints) if layer.blur < SOFT * size[1] / 720)
        self._soft = next(sharp, len(self.prints))  # so many layers, from the far end, are out of focus

    def __len__(self) -> int:
        return len(self.camera)

    def __iter__(self) -> Iterator[np.ndarray]:
        canvas = Canvas(*self.size)
        return (self.frame(index, canvas) for index in range(len(self)))

    def frame(self, index: int, canvas: Canvas | None = None) -> np.ndarray:
        """(H * 3 / 2, W) uint8 I420."""
        canvas = canvas or Canvas(*self.size)
        seconds, camera = index / self.fps, self.camera.at(index)
        poses = [layer.motion(seconds) if layer.motion else REST for layer in self.prints]
        matrices = [
            layer.matrix(self.size, camera, pose) for layer, pose in zip(self.prints, poses, strict=True)
        ]  # fmt: skip
        floors, floor = [], self.size[1]
        for layer, matrix in zip(reversed(self.prints), reversed(matrices), strict=True):
            floors.append(floor)
            floor = min(floor, canvas.solid_row(layer, matrix) + AHEAD)
        drawn = list(zip(self.prints, matrices, poses, reversed(floors), strict=True))
        if self._soft:
            half = Canvas(self.size[0] // 2, self.size[1] // 2)
            for layer, matrix, pose, floor in drawn[: self._soft]:
                half.draw(layer, _halved(matrix), pose.opacity, (floor + 1) // 2)
            canvas.enlarge(half)
        for layer, matrix, pose, floor in drawn[self._soft :]:
            canvas.draw(layer, matrix, pose.opacity, floor)
        frame = i420_from_planes(*canvas.planes)
        if self.weather:
            self.weather.apply(frame, seconds)
        if self.finish:
            self.finish.apply(frame, index)
        return frame

    def _cover_frame(self) -> None:
        """Enlarge the farthest layer until it fills the frame during the whole move."""
        width, height = self.size
        plate = self.prints[0]
        rows, columns = plate.planes.shape[:2]
        slack = width * 0.004
        for _ in range(14):
            corners = [
                plate.matrix(self.size, self.camera.at(index), REST)
                @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1] * 4])
                for index in range(0, len(self.camera), max(1, len(self.camera) // 24))
            ]
            if all(
                c[0, [0, 2]].max() <= -slack and c[1, :2].max() <= -slack
                and c[0, [1, 3]].min() >= width + slack and c[1, 2:].min() >= height + slack
                for c in corners
            ):  # fmt: skip
                return
            plate.scale *= 1.04


def flattened(layers: Sequence[Layer], size: tuple[int, int]) -> np.ndarray:
    """The layers at rest as one picture: (H, W, 3) uint8 BGR."""
    from studio.media.yuv import bgr_from_i420
    from studio.pipelines.draft.camera import camera_path

    still = camera_path("static", 1, 24, np.random.default_rng(0))
    return bgr_from_i420(Shot([replace(layer) for layer in layers], size, 24, still).frame(0))
