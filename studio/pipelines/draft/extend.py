"""A shot goes on: the camera coasts and starts a new move, or people who move go on moving.

*drift*: the last frame is carried by the camera's own motion, which dies away while the move of the prompt begins.
*boomerang*: the last two seconds swing back and forth, right for talking people; it visibly reverses, so facts say it.
Where rain or snow falls it is always a drift: of the dry picture, and what falls is drawn anew.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from studio.media.yuv import i420_from_bgr, i420_planes
from studio.pipelines.draft.camera import CameraPath, camera_path, smoother
from studio.pipelines.draft.clean import cleaned, is_card, is_stamped
from studio.pipelines.draft.look import Grain
from studio.pipelines.draft.motion import Between, Motion, global_motion, noise_sigma, own_motion
from studio.pipelines.draft.prompt import Directions
from studio.pipelines.draft.steady import steady
from studio.pipelines.draft.weather import Weather, falling

SECONDS_READ = 2.2
COAST_SECONDS = 1.1  # in which the camera's own motion falls to a third
STILL_CAMERA = 0.0012  # motion per frame below which the subject, not the camera, moved
GRAIN = 1.3  # of a drawn shot
BUSY = 0.0010  # residual motion per frame above which somebody moves


def extend_shot(
    frames: list[np.ndarray], source_fps: float, directions: Directions, fps: float, num_frames: int, seed: int
) -> tuple[Iterator[np.ndarray], dict[str, object]]:
    """frames: the end of the clip, (H, W, 3) uint8 BGR, already in the wished size. -> I420 frames and facts."""
    card = is_card(frames[-1])
    if is_stamped(frames[-1]):
        frames = [cleaned(frame) for frame in frames]
    still = steady(frames)
    motion = global_motion(still.quiet if still.falls else frames)
    people_move = motion.residual > BUSY and motion.camera < STILL_CAMERA and not card and not still.falls
    mode = "boomerang" if people_move else "drift"
    directions = replace(directions, move="breathe") if directions.move == "static" else directions
    path = camera_path(directions.move, num_frames, fps, np.random.default_rng(seed), 0.8)
    ratio = source_fps / fps
    if people_move:
        made = _boomerang(frames, path.dolly, fps, num_frames, ratio)
    else:
        coast = _Coast(still.plate, None if still.falls else own_motion(frames, motion), fps, ratio)
        grain = Grain(*coast.size, seed, GRAIN) if still.falls else _matching_grain(frames[-1], seed)
        made = _drift(coast, motion, path, fps, num_frames, ratio, grain)
        if weather := falling(still.falls, directions.weather, still.plate, seed):
            made = _under(made, weather, fps)
    facts: dict[str, object] = {
        "mode": mode,
        "camera": round(motion.camera, 5),
        "residual": round(motion.residual, 5),
        "falls": still.falls,
    }
    return made, facts


def _boomerang(
    frames: list[np.ndarray], dolly: np.ndarray, fps: float, num_frames: int, ratio: float
) -> Iterator[np.ndarray]:
    """A cosine time warp: slow down, go back, come again. Zooms in gently on top."""
    between, last = Between(frames), len(frames) - 1
    period = 2 * last / ratio * 1.15
    for index in range(1, num_frames + 1):
        frame = between.at(last * (0.5 + 0.5 * math.cos(2 * math.pi * index / period)))
        zoom = math.exp(0.6 * (dolly[index - 1] - dolly.min()) * float(smoother(index / (2 * fps))))
        yield i420_from_bgr(_zoomed(frame, zoom))


def _zoomed(frame: np.ndarray, zoom: float) -> np.ndarray:
    if zoom < 1.0005:
        return frame
    height, width = frame.shape[:2]
    matrix = np.array([[zoom, 0, width / 2 * (1 - zoom)], [0, zoom, height / 2 * (1 - zoom)]], np.float32)
    return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _under(frames: Iterator[np.ndarray], weather: Weather, fps: float) -> Iterator[np.ndarray]:
    for index, frame in enumerate(frames):
        weather.apply(frame, index / fps)
        yield frame


def _drift(
    coast: "_Coast", motion: Motion, path: CameraPath, fps: float, num_frames: int, ratio: float, grain: Grain | None
) -> Iterator[np.ndarray]:
    width, height = coast.size
    x = y = zoom = turn = 0.0
    for index in range(1, num_frames + 1):
        fading = math.exp(-index / (COAST_SECONDS * fps)) * ratio
        x, y, zoom, turn = (
            x + motion.x * fading,
            y + motion.y * fading,
            zoom + motion.zoom * fading,
            turn + motion.turn * fading,
        )
        begun, step = float(smoother(index / (2 * fps))), index - 1
        at_x = x - (path.x[step] - path.x[0]) * height / width * begun * 0.6
        at_y = y - (path.y[step] - path.y[0]) * begun * 0.6
        scale = math.exp(zoom) * (1 + (path.dolly[step] - min(path.dolly[0], path.dolly[-1])) * begun * 0.7)
        scale = max(scale, 1 + 2 * max(abs(at_x), abs(at_y)) * 0.72)  # never beyond the picture's edge
        matrix = _similarity(scale, turn, at_x * width, at_y * height, width, height)
        moved = cv2.warpAffine(
            coast.at(index), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        frame = i420_from_bgr(moved)
        if grain:
            grain.apply(i420_planes(frame)[0], index)
        yield frame


def _similarity(scale: float, turn: float, dx: float, dy: float, width: int, height: int) -> np.ndarray:
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    x, y = width / 2, height / 2
    return np.array(
        [[cosine, -sine, x + dx - cosine * x + sine * y], [sine, cosine, y + dy - sine * x - cosine * y]], np.float32
    )


def _matching_grain(frame: np.ndarray, seed: int) -> Grain | None:
    """A held frame would freeze its grain: new grain hides that, where the clip has any."""
    sigma = noise_sigma(frame)
    if sigma <= 1.2:
        return None
    return Grain(frame.shape[1], frame.shape[0], seed, min(3.0, sigma * 0.8))


class _Coast:
    """The last frame, in which what moved by itself runs out within a second."""

    SECONDS = 0.22

    def __init__(self, frame: np.ndarray, flow: np.ndarray | None, fps: float, ratio: float) -> None:
        """flow: what moves besides the camera, pixels per source frame; None where only rain does."""
        self._frame, self._flow, self._fps, self._ratio = frame, flow, fps, ratio
        self._moves = flow is not None and bool(np.hypot(flow[..., 0], flow[..., 1]).max() > 1.0)
        height, width = frame.shape[:2]
        self.size = (width, height)
        self._rows, self._columns = np.mgrid[0:height, 0:width].astype(np.float32)

    def at(self, index: int) -> np.ndarray:
        if self._flow is not None and self._moves and index < self._fps * 0.8:
            way = (1 - math.exp(-index / (self.SECONDS * self._fps))) * self.SECONDS * self._fps * self._ratio
            x, y = self._columns - self._flow[..., 0] * way, self._rows - self._flow[..., 1] * way
            self._held = cv2.remap(self._frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return self._held if self._moves else self._frame
