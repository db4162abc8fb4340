"""Open country: mountains, dunes, hills with trees, a village. Knows no prompts."""

import numpy as np

from studio.pipelines.draft.palette import WHITE, Colour, colour, mix
from studio.pipelines.draft.paper import Paper, ridge, rolling
from studio.pipelines.draft.plants import grass, pine, round_tree
from studio.pipelines.draft.stage import Stage


def mountain(stage: Stage) -> None:
    stage.sky()
    height = stage.height
    for index, (base, tall, depth) in enumerate([(0.56, 0.26, 6.5), (0.64, 0.24, 4.4), (0.74, 0.18, 3.0)]):
        line = height * base - height * tall * ridge(stage.rng, stage.width) ** 1.35
        stage.ground(line, depth, index * 0.30, mist=0.62, rim=index < 2)
    meadow(stage)


def desert(stage: Stage) -> None:
    stage.sky()
    height = stage.height
    for index, (base, tall, depth) in enumerate([(0.65, 0.08, 6.0), (0.73, 0.13, 4.2), (0.83, 0.15, 2.9)]):
        # the absolute value folds the waves into sharp crests
        line = height * base - height * tall * (1 - np.abs(rolling(stage.rng, stage.width, 2, 0.4, 3)) * 1.3)
        stage.ground(
            line,
            depth,
            0.04 + index * 0.26,
            mist=0.55,
            rim=True,
            tint=(_sand(stage), (0.88 if stage.time == "day" else 0.62) - 0.12 * index),
        )
    stage.ground(near_line(stage), 1.7, 0.92, mist=0.16, tint=(_sand(stage), 0.45 if stage.time == "day" else 0.18))


def _sand(stage: Stage) -> Colour:
    """Sand in the light of the hour."""
    day = mix(colour("#dda35a"), stage.palette.horizon, 0.22)
    return day if stage.time == "day" else mix(day, stage.palette.near, 0.4)


def hills(stage: Stage) -> None:
    _rolling_country(stage, houses=False)


def village(stage: Stage) -> None:
    _rolling_country(stage, houses=True)


def _rolling_country(stage: Stage, houses: bool) -> None:
    stage.sky()
    width, height, rng = stage.width, stage.height, stage.rng
    stage.ground(height * 0.62 - height * 0.12 * ridge(rng, width, 5), 6.0, 0.0, mist=0.6)
    for index, (base, tall, depth) in enumerate([(0.68, 0.05, 4.4), (0.76, 0.06, 3.1)]):
        line = height * base - height * tall * rolling(rng, width, 3, 0.4, 3)

        def draw(paper: Paper, line: np.ndarray = line, index: int = index) -> None:
            for _ in range(26 - 8 * index):
                x = int(rng.integers(0, width))
                tree = round_tree if rng.random() < 0.6 else pine
                tree(paper, x, line[x] + 4, height * rng.uniform(0.05, 0.09) * (1 + index * 0.7), rng)
            for _ in range(9 - 3 * index if houses else 0):
                x = int(rng.integers(40, width - 40))
                _house(paper, x, line[x] + 6, height * rng.uniform(0.05, 0.075) * (1 + index * 0.6), stage.lit)

        stage.ground(line, depth, 0.3 + 0.3 * index, mist=0.5, draw=draw)
    meadow(stage)


def _house(paper: Paper, x: float, base: float, size: float, lit: bool) -> None:
    wall, roof = base - size * 0.8, base - size * 1.5
    paper.polygon([(x - size, base), (x - size, wall), (x, roof), (x + size, wall), (x + size, base)])
    paper.box(x + size * 0.4, base - size * 1.6, x + size * 0.58, base - size)
    for left in (-0.6, 0.25) if lit else ():
        x0, x1, y0, y1 = x + size * left, x + size * (left + 0.3), base - size * 0.65, base - size * 0.28
        paper.light([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], 0.9)


def near_line(stage: Stage) -> np.ndarray:
    """(W,) rows of the ground at hand: lower in the frame the nearer the shot."""
    base = {"wide": 0.845, "medium": 0.90, "close": 0.98, "extreme": 1.02}[stage.size]
    return stage.height * base - stage.height * 0.015 * rolling(stage.rng, stage.width, 3, 0.45, 2)


def near_ground(stage: Stage) -> None:
    stage.ground(near_line(stage), 1.7, 0.92, mist=0.16)


def meadow(stage: Stage) -> None:
    line = near_line(stage)
    if stage.weather == "snow":
        snow = mix(WHITE, stage.palette.middle, 0.30)
        stage.ground(line, 1.7, 0.92, mist=0.16, tint=(snow, 0.30 if stage.time == "night" else 0.62))
        return
    stage.ground(line, 1.7, 0.92, mist=0.16, draw=lambda paper: grass(paper, line, stage.height * 0.02, 260, stage.rng))
