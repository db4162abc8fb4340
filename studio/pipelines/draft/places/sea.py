"""Open water, with islands, a lighthouse whose beam turns, boats that roll, glints that come and go."""

from collections.abc import Callable

import cv2
import numpy as np

from studio.pipelines.draft.layers import Pose
from studio.pipelines.draft.palette import WHITE, mix
from studio.pipelines.draft.paper import Paper, dithered, glow, gradient, ridge, rolling
from studio.pipelines.draft.places.land import near_ground
from studio.pipelines.draft.stage import Stage

HORIZON = 0.655  # of the sheet's height
TURN_SECONDS = 7.0  # of the lighthouse's lamp


def draw(stage: Stage) -> None:
    stage.sky()
    width, height, rng = stage.width, stage.height, stage.rng
    islands = ridge(rng, width, 5) * np.clip(rolling(rng, width, 2) + 0.3, 0, 1)
    stage.ground(height * HORIZON - height * 0.05 * islands, 7.0, 0.05, mist=0.6)
    _water(stage)
    if "lighthouse" in stage.features:
        _lighthouse(stage)
    if "boat" in stage.features:
        _boat(stage)
    if stage.people:
        near_ground(stage)


def _water(stage: Stage) -> None:
    width, height, palette, rng = stage.width, stage.height, stage.palette, stage.rng
    top = int(height * HORIZON)
    water = gradient(height - top, width, [
        (0, mix(palette.horizon, palette.far, 0.35)), (0.30, mix(palette.middle, palette.far, 0.55)),
        (1, mix(palette.near, palette.middle, 0.12)),
    ])  # fmt: skip
    rows, columns = np.mgrid[0 : height - top, 0:width].astype(np.float32)
    path = np.exp(-(((columns - stage.sun[0]) / (height * 0.10 + rows * 0.9)) ** 2)) * (
        0.42 if stage.time != "storm" else 0.1
    )
    water = mix(water, mix(palette.horizon, palette.light, 0.5), path[..., None])
    image = np.zeros((height, width, 3), np.uint8)
    image[top:] = dithered(water, rng)
    _glints(stage, image, 150, top)
    alpha = np.zeros((height, width), np.uint8)
    alpha[top:] = 255
    stage.stand(np.dstack([image, alpha]), 4.5, strip=True)
    shine = np.clip(mix(palette.light, WHITE, 0.25), 0, 255)
    for phase in (0.0, 2.1, 4.2):  # the same sea, three times, each awake in turn
        alpha = np.zeros((height, width), np.uint8)
        _glints(stage, alpha, 60, top)
        glints = np.dstack([np.broadcast_to(shine, (height, width, 3)), alpha]).astype(np.uint8)
        stage.stand_part(glints[top:], width / 2, (height + top) / 2, 4.4, motion=_twinkle(phase))


def _glints(stage: Stage, on: np.ndarray, count: int, top: int) -> None:
    """Flat strokes of light, longer and farther from the sun's path the nearer they are. Colour or alpha."""
    width, height, rng = stage.width, stage.height, stage.rng
    tone = [float(v) for v in mix(stage.palette.horizon, stage.palette.light, 0.75)] if on.ndim == 3 else 200
    for _ in range(count):
        y = top + int((height - top) * rng.random() ** 1.7)
        near = (y - top) / (height - top)
        x, half = rng.normal(stage.sun[0], width * (0.07 + 0.26 * near)), width * 0.009 * (1 + 6 * near)
        cv2.line(on, (int(x - half), y), (int(x + half), y), tone, 1 + int(3 * near), cv2.LINE_AA)


def _twinkle(phase: float) -> Callable[[float], Pose]:
    return lambda seconds: Pose(
        opacity=max(0.0, np.sin(2 * np.pi * 0.31 * seconds + phase)) ** 1.5, dx=0.004 * np.sin(0.7 * seconds + phase)
    )


def _lighthouse(stage: Stage) -> None:
    width, height, palette = stage.width, stage.height, stage.palette
    side = 1 if stage.sun[0] < width / 2 else -1  # on the other side of the picture than the sun
    x, base, tower = width * (0.5 + 0.15 * side), height * (HORIZON + 0.01), height * 0.20
    paper = stage.paper()
    headland = (
        (-0.30, 0.02), (-0.22, -0.015), (-0.16, -0.035), (-0.09, -0.05), (-0.03, -0.06), (0.06, -0.055),
        (0.12, -0.034), (0.17, -0.02), (0.24, -0.004), (0.32, 0.02),
    )  # fmt: skip
    paper.polygon([(x + a * height * -side, base + b * height) for a, b in headland])
    foot = base - height * 0.05
    _tower(paper, x, foot, tower)
    if stage.lit:
        paper.box(x + side * tower * 0.28, foot - tower * 0.02, x + side * tower * 0.62, foot + tower * 0.12)
        left, top, low = x + side * tower * 0.42, foot + tower * 0.02, foot + tower * 0.07
        paper.light([(left, top), (left + 5, top), (left + 5, low), (left, low)], 0.8)
    image = paper.painted(
        mix(palette.far, palette.near, 0.55), palette.near, light=mix(palette.light, WHITE, 0.4),
        rim=mix(palette.light, palette.horizon, 0.4), rim_from=-side,
    )  # fmt: skip
    lamp_y = foot - tower * 1.115
    _beam(stage, x, lamp_y)
    stage.stand(image, 4.3)
    if stage.time != "day":
        radius = height * 0.035
        size = int(radius * 5)
        halo = glow(size, size, size / 2, size / 2, radius, mix(palette.light, WHITE, 0.5), 0.95, 1.0)
        stage.stand_part(halo, x, lamp_y, 4.29, motion=_flash)


def _tower(paper: Paper, x: float, foot: float, tall: float) -> None:
    def at(a: float, b: float) -> tuple[float, float]:
        return x + a * tall, foot - b * tall

    paper.polygon([at(-0.13, 0), at(-0.085, 1), at(0.085, 1), at(0.13, 0)])
    paper.polygon([at(-0.13, 1), at(0.13, 1), at(0.13, 1.04), at(-0.13, 1.04)])  # the gallery
    paper.polygon([at(-0.07, 1.03), at(-0.07, 1.19), at(0, 1.30), at(0.07, 1.19), at(0.07, 1.03)])
    paper.light([at(-0.05, 1.06), at(0.05, 1.06), at(0.05, 1.17), at(-0.05, 1.17)])


def _angle(seconds: float) -> float:
    return 2 * np.pi * (seconds / TURN_SECONDS + 0.08)


def _flash(seconds: float) -> Pose:
    """Brightest when the beam points at the camera."""
    facing = max(0.0, float(np.sin(_angle(seconds)))) ** 6
    return Pose(stretch_x=1 + 0.7 * facing, stretch_y=1 + 0.7 * facing, opacity=0.55 + 0.45 * facing)


def _beam(stage: Stage, x: float, y: float) -> None:
    """Two opposite cones that turn: a cone seen along its axis is short, seen from the side long."""
    if stage.time == "day":
        return
    height, palette = stage.height, stage.palette
    length, spread = int(height * 0.95), int(height * 0.30)
    rows, columns = np.mgrid[0:spread, 0:length].astype(np.float32)
    away, across = columns / length, np.abs(rows - spread / 2)
    alpha = np.clip(1.15 - across / (2.5 + away * spread * 0.26), 0, 1) ** 1.3 * (1 - away) ** 1.7 * 255 * 0.55
    cone = np.dstack([np.broadcast_to(mix(palette.light, WHITE, 0.3), (spread, length, 3)), alpha]).astype(np.uint8)
    for image, pivot, turn in ((cone, 0.0, 0.0), (np.ascontiguousarray(cone[:, ::-1]), 1.0, np.pi)):

        def pose(seconds: float, turn: float = turn) -> Pose:
            reach = float(np.cos(_angle(seconds) + turn))
            # each cone shows only while it points to its own side
            return Pose(
                stretch_x=max(0.02, reach if turn == 0 else -np.cos(_angle(seconds))), opacity=0.35 + 0.65 * abs(reach)
            )

        middle = x + (length / 2 if pivot == 0 else -length / 2)
        stage.stand_part(image, middle, y, 4.31, motion=pose, pivot=(pivot, 0.5))


def _boat(stage: Stage) -> None:
    height, palette = stage.height, stage.palette
    size = height * 0.075
    paper = Paper(int(size * 3), int(size * 2.6))
    x, base = size * 1.3, size * 2.2
    paper.polygon(
        [
            (x - size, base - size * 0.18),
            (x + size * 1.1, base - size * 0.22),
            (x + size * 0.8, base + size * 0.1),
            (x - size * 0.75, base + size * 0.1),
        ]
    )
    paper.polygon(
        [(x, base - size * 0.25), (x + size * 0.08, base - size * 1.9), (x + size * 0.85, base - size * 0.45)]
    )
    paper.polygon([(x - size * 0.08, base - size * 0.25), (x, base - size * 1.7), (x - size * 0.6, base - size * 0.4)])
    image = paper.painted(
        mix(palette.far, palette.near, 0.6), palette.near, rim=mix(palette.light, palette.horizon, 0.4)
    )
    at = stage.width * stage.rng.uniform(0.38, 0.62)

    def rolling_gently(seconds: float) -> Pose:
        return Pose(turn=1.6 * np.sin(0.9 * seconds), dy=0.003 * np.sin(1.3 * seconds), dx=0.006 * seconds)

    stage.stand_part(image, at, height * 0.70 - size, 3.4, pivot=(0.5, 0.85), motion=rolling_gently)
