"""A skyline with lit windows and a street with lamps. Knows no prompts."""

import numpy as np

from studio.pipelines.draft.palette import mix
from studio.pipelines.draft.paper import Paper, glow
from studio.pipelines.draft.places.land import near_line
from studio.pipelines.draft.stage import Stage

LAMPS = (0.24, 0.78)  # of the sheet's width


def draw(stage: Stage) -> None:
    stage.sky()
    for index, (base, depth) in enumerate([(0.72, 6.0), (0.76, 4.2), (0.82, 2.9)]):
        line = np.full(stage.width, stage.height * base)

        def build(paper: Paper, base: float = base, index: int = index) -> None:
            _block(stage, paper, base, index)

        stage.ground(line, depth, index * 0.36, mist=0.55, draw=build)
    _street(stage)


def _block(stage: Stage, paper: Paper, base: float, index: int) -> None:
    """One row of buildings; index 0 is the farthest and has no windows."""
    height, rng, x = stage.height, stage.rng, -20.0
    while x < stage.width:
        wide = height * rng.uniform(0.05, 0.12) * (1 + 0.35 * index)
        tall = height * rng.uniform(0.16, 0.42 if index < 2 else 0.34) * (1.15 - 0.12 * index)
        top = height * base - tall
        paper.box(x, top, x + wide, height)
        roof = rng.random()
        if roof < 0.25:  # a spire
            paper.polygon([(x + wide * 0.46, top), (x + wide * 0.5, top - tall * 0.2), (x + wide * 0.54, top)])
        elif roof < 0.5:  # a lift house
            paper.box(x + wide * 0.2, top - height * 0.025, x + wide * 0.7, top)
        elif roof < 0.62 and index:  # a water tower
            middle, tank = x + wide * 0.5, height * 0.018
            paper.box(middle - tank, top - tank * 2.6, middle + tank, top - tank)
            paper.polygon(
                [
                    (middle - tank * 1.2, top - tank * 2.6),
                    (middle, top - tank * 3.5),
                    (middle + tank * 1.2, top - tank * 2.6),
                ]
            )
            for leg in (-0.8, 0.6):
                paper.box(middle + tank * leg, top - tank, middle + tank * (leg + 0.2), top)
        if index:
            _windows(stage, paper, x, top, wide, height * base, index)
        x += wide + rng.uniform(0, height * 0.012)


def _windows(stage: Stage, paper: Paper, x: float, top: float, wide: float, bottom: float, index: int) -> None:
    size, rng = stage.height * 0.017 * (1 + 0.3 * index), stage.rng
    lit = 0.42 if stage.lit else 0.08
    for y in np.arange(top + size, bottom, size * 1.9):
        for left in np.arange(x + size * 0.8, x + wide - size, size * 1.5):
            if rng.random() < lit:
                right, low = left + size * 0.62, y + size * 0.95
                paper.light([(left, y), (right, y), (right, low), (left, low)], rng.uniform(0.24, 0.86))


def _street(stage: Stage) -> None:
    width, height, palette = stage.width, stage.height, stage.palette
    line, top, arm = near_line(stage), height * 0.40, height * 0.06

    def draw(paper: Paper) -> None:
        for x in (width * at for at in LAMPS):
            paper.box(x - 3, top, x + 3, height)
            paper.polygon(
                [
                    (x - 3, top),
                    (x + arm, top - height * 0.015),
                    (x + arm, top - height * 0.005),
                    (x, top + height * 0.01),
                ]
            )
            if stage.lit:
                paper.lamp(x + arm, top - height * 0.003, height * 0.010)

    stage.ground(line, 1.7, 0.92, mist=0.16, draw=draw)
    if not stage.lit:
        return
    radius = height * 0.13
    for x in (width * at for at in LAMPS):
        side = int(radius * 4.4)
        halo = glow(side, side, side / 2, side / 2, radius, mix(palette.light, palette.horizon, 0.1), 0.72, 1.1)
        stage.stand_part(halo, x + arm, top, 1.69)
        # the wet street under the lamp
        tall = int(height * 0.22)
        pool = glow(side, tall * 2, side / 2, tall * 0.55, radius * 0.8, palette.light, 0.30, 1.4)
        stage.stand_part(pool, x + arm, float(line[int(x)]) + tall * 0.75, 1.69)
