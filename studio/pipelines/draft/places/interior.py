"""A room: wall and floor, a window and its light, a shelf of books, a table, a hanging lamp. Knows no prompts."""

import cv2
import numpy as np

from studio.pipelines.draft.layers import Pose
from studio.pipelines.draft.palette import WHITE, Colour, mix
from studio.pipelines.draft.paper import dithered, glow, gradient
from studio.pipelines.draft.stage import Stage

FLOOR = 0.76  # of the sheet's height


def draw(stage: Stage) -> None:
    width, height, palette, night = stage.width, stage.height, stage.palette, stage.time == "night"
    wall = mix(palette.middle, palette.horizon, 0.12 if night else 0.55) * (0.7 if night else 0.86)
    stage.sun = (width * 0.41, height * 0.35)  # light comes through the window
    window = (width * stage.rng.uniform(0.30, 0.35), height * 0.17, width * 0.16, height * 0.36)
    _shell(stage, wall, window)
    _window(stage, wall, window)
    _shelf(stage, wall)
    _table(stage, wall)
    if night or stage.time in ("sunset", "storm"):
        _lamp(stage, wall)
    _sunbeam(stage, window)


def _shell(stage: Stage, wall: Colour, window: tuple[float, float, float, float]) -> None:
    width, height, palette = stage.width, stage.height, stage.palette
    x, y, wide, tall = window
    image = gradient(height, width, [(0, wall * 0.55), (0.45, wall), (0.72, wall * 0.82), (1, wall * 0.7)])
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    spill = np.exp(-((np.hypot((columns - x - wide / 2) / 1.2, rows - y - tall / 2) / (height * 0.30)) ** 1.3)) * 0.42
    image = mix(image, palette.light, spill[..., None])
    corner = np.clip((np.abs(columns - width / 2) / width - 0.30) / 0.2, 0, 1)[..., None]
    image = image * (1 - 0.35 * corner)
    floor = int(height * FLOOR)
    image[floor:] = gradient(
        height - floor, width, [(0, mix(palette.near, wall, 0.45)), (1, mix(palette.near, wall, 0.12))]
    )
    for plank in range(-14, 15):  # boards run towards the eye
        x0, x1 = width / 2 + plank * width * 0.055, width / 2 + plank * width * 0.16
        cv2.line(
            image, (int(x0), floor), (int(x1), height), [float(v) for v in mix(palette.near, wall, 0.2)], 1, cv2.LINE_AA
        )
    image[floor - int(height * 0.022) : floor] = mix(palette.near, wall, 0.36)
    image[floor - int(height * 0.022) : floor - int(height * 0.019)] = mix(palette.near, wall, 0.6)
    stage.stand(dithered(image, stage.rng), 4.2)


def _window(stage: Stage, wall: Colour, window: tuple[float, float, float, float]) -> None:
    height, palette, night = stage.height, stage.palette, stage.time == "night"
    x, y, wide, tall = (int(v) for v in window)
    edge = int(height * 0.014)
    view = gradient(
        tall, wide, [(0, palette.top if night else mix(palette.top, palette.horizon, 0.35)), (1, palette.horizon)]
    )
    hills = tall * (0.78 - 0.10 * np.sin(np.linspace(0.4, 3.4, wide)))
    view = np.where((np.arange(tall)[:, None] > hills[None])[..., None], mix(palette.far, palette.horizon, 0.3), view)
    if night:
        at = (int(wide * 0.72), int(tall * 0.22))
        cv2.circle(view, at, int(height * 0.022), [float(v) for v in mix(palette.light, WHITE, 0.4)], -1, cv2.LINE_AA)
    frame = mix(palette.near, wall, 0.25)
    sheet = np.zeros((tall + 2 * edge, wide + 2 * edge, 4), np.uint8)
    sheet[..., :3], sheet[..., 3] = np.clip(frame, 0, 255), 255
    sheet[edge : edge + tall, edge : edge + wide, :3] = np.clip(view, 0, 255)
    sheet[edge : edge + tall, edge + int(wide * 0.485) : edge + int(wide * 0.515), :3] = np.clip(frame, 0, 255)
    sheet[edge + int(tall * 0.44) : edge + int(tall * 0.46), :, :3] = np.clip(frame, 0, 255)
    stage.stand_part(sheet, x + wide / 2, y + tall / 2, 4.1)


def _shelf(stage: Stage, wall: Colour) -> None:
    width, height, rng, palette = stage.width, stage.height, stage.rng, stage.palette
    x0, x1, top, floor = width * 0.62, width * 0.75, height * 0.25, height * FLOOR
    paper = stage.paper()
    paper.box(x0, top, x1, floor + height * 0.02)
    for row in range(4):
        board, x = top + (floor - top) * (row + 1) / 4.15, x0 + 8
        while x < x1 - 12:
            thick, tall = rng.uniform(5, 13) * stage.frame[1] / 720, height * 0.075 * rng.uniform(0.7, 1.2)
            lean = thick * 0.6 if rng.random() < 0.08 else 0.0
            paper.light(
                [(x, board), (x + lean, board - tall), (x + thick + lean, board - tall), (x + thick, board)],
                rng.uniform(0.08, 0.37),
            )
            x += thick + 1.5
    spines = mix(palette.light, palette.horizon, 0.6)
    stage.stand(paper.painted(mix(palette.near, wall, 0.35), mix(palette.near, wall, 0.2), light=spines), 3.4)


def _table(stage: Stage, wall: Colour) -> None:
    width, height, palette = stage.width, stage.height, stage.palette
    x, y = width * 0.5, height * (FLOOR + 0.02)
    paper = stage.paper()
    paper.polygon(
        [
            (x - width * 0.10, y - height * 0.10),
            (x + width * 0.10, y - height * 0.10),
            (x + width * 0.11, y - height * 0.085),
            (x - width * 0.11, y - height * 0.085),
        ]
    )
    for side in (-1, 1):
        paper.polygon(
            [
                (x + side * width * a, y + height * b)
                for a, b in ((0.088, -0.09), (0.080, -0.09), (0.084, 0.08), (0.09, 0.08))
            ]
        )
    # a cup and two books wait on it
    paper.box(x + width * 0.045, y - height * 0.128, x + width * 0.06, y - height * 0.10)
    paper.box(x - width * 0.06, y - height * 0.112, x - width * 0.012, y - height * 0.10)
    paper.box(x - width * 0.055, y - height * 0.122, x - width * 0.018, y - height * 0.11)
    stage.stand(
        paper.painted(mix(palette.near, wall, 0.18), palette.near, rim=mix(palette.light, wall, 0.3), rim_from=-1), 2.7
    )


def _lamp(stage: Stage, wall: Colour) -> None:
    height, palette = stage.height, stage.palette
    x, y, size = stage.width * 0.5, height * 0.36, height * 0.05
    paper = stage.paper()
    paper.box(x - 1.2, 0, x + 1.2, y - size)
    paper.polygon([(x - size * 0.25, y - size), (x + size * 0.25, y - size), (x + size * 1.1, y), (x - size * 1.1, y)])
    warm = np.array([120, 190, 255], np.float32)
    side = int(height * 0.9)
    halo = glow(side, side, side / 2, side / 2, height * 0.17, mix(palette.light, warm, 0.5), 0.55, 1.1)
    stage.stand_part(
        halo,
        x,
        y + size * 0.2,
        2.9,
        motion=lambda seconds: Pose(opacity=0.94 + 0.06 * np.sin(seconds * 1.7)),
        pivot=(0.5, 0.5),
    )
    paper.light([(x - size, y - size * 0.08), (x + size, y - size * 0.08), (x + size * 1.1, y), (x - size * 1.1, y)])
    stage.stand(paper.painted(mix(palette.near, wall, 0.2), palette.near, light=mix(palette.light, WHITE, 0.4)), 2.8)


def _sunbeam(stage: Stage, window: tuple[float, float, float, float]) -> None:
    width, height, palette = stage.width, stage.height, stage.palette
    x, y, wide, _ = window
    shaft = np.zeros((height // 4, width // 4), np.uint8)
    corners = [(x, y), (x + wide, y), (x + wide + width * 0.30, height), (x + width * 0.10, height)]
    cv2.fillPoly(shaft, [np.array(corners, np.float32).astype(np.int32) // 4], 255)
    strength = np.linspace(0.30, 0.02, height // 4)[:, None] * (0.45 if stage.time == "night" else 1.0)
    alpha = cv2.resize(cv2.GaussianBlur(shaft, (0, 0), 3.5) * strength.astype(np.float32), (width, height))
    tone = np.clip(mix(palette.light, WHITE, 0.2), 0, 255)
    stage.stand(np.dstack([np.broadcast_to(tone, (height, width, 3)), alpha]).astype(np.uint8), 2.5)
