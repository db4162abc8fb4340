"""Rows of pines that step out of the mist. Knows no prompts."""

import numpy as np

from studio.pipelines.draft.palette import mix
from studio.pipelines.draft.paper import Paper, ridge, rolling
from studio.pipelines.draft.places.land import meadow
from studio.pipelines.draft.plants import framing_leaves, pine
from studio.pipelines.draft.stage import Stage

ROWS = ((0.70, 0.30, 70, 5.2), (0.77, 0.42, 44, 3.7), (0.86, 0.62, 20, 2.7))  # base, tree height, trees, depth


def draw(stage: Stage) -> None:
    stage.sky()
    width, height, rng = stage.width, stage.height, stage.rng
    stage.ground(height * 0.60 - height * 0.10 * ridge(rng, width, 5), 7.0, 0.0, mist=0.7)
    for index, (base, tall, count, depth) in enumerate(ROWS):
        line = height * base - height * 0.02 * rolling(rng, width, 3)

        def plant(paper: Paper, line: np.ndarray = line, tall: float = tall, count: int = count) -> None:
            for x in rng.integers(0, width, count):
                pine(paper, float(x), line[x] + 6, height * tall * rng.uniform(0.55, 1.08), rng)

        stage.ground(line, depth, 0.12 + index * 0.32, mist=0.75, draw=plant)
    meadow(stage)


def foreground(stage: Stage) -> None:
    """Leaves between the camera and everything else."""
    paper = stage.paper()
    framing_leaves(paper, stage.rng)
    dark = stage.palette.near * 0.7
    stage.stand(paper.painted(dark, mix(dark, stage.palette.near, 0.3)), 0.62, blur=4)
