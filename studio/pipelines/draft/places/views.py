"""Dark foregrounds that a view is seen through: an arbour of trees, a doorway. They hide what lies around the view."""

import numpy as np

from studio.pipelines.draft.palette import mix
from studio.pipelines.draft.paper import Paper, rolling
from studio.pipelines.draft.plants import grass
from studio.pipelines.draft.stage import Stage

DEPTH = 0.85  # nearer than anybody
LEFT, RIGHT, TOP, BOTTOM = 0.255, 0.745, 0.175, 0.80  # of the sheet: what stays open


def arbour(stage: Stage) -> None:
    """Two trunks, leaves above, a meadow below."""
    paper, rng = stage.paper(), stage.rng
    width, height = paper.width, paper.height
    line = height * (BOTTOM + 0.02) - height * 0.03 * rolling(rng, width, 3, 0.45, 2)
    line = line - height * 0.16 * np.abs(np.linspace(-1, 1, width)) ** 3  # the ground rises to both sides
    paper.polygon([*np.stack([np.arange(width), line], axis=1), (width, height), (0, height)])
    grass(paper, line, height * 0.035, 320, rng)
    for edge, outward in ((LEFT, -1), (RIGHT, 1)):
        _trunk(paper, width * edge, outward, rng)
    for _ in range(150):  # the crown: thick at the corners, thin over the middle
        x = rng.uniform(0.05, 0.95)
        reach = TOP - 0.05 + 0.20 * abs(x - 0.5) ** 1.4 + rng.normal(0, 0.014)
        _leaves(paper, x * width, rng.uniform(0, reach) * height, height * rng.uniform(0.03, 0.055), rng)
    _stand(stage, paper, 1.6)


def _trunk(paper: Paper, edge: float, outward: int, rng: np.random.Generator) -> None:
    width, height = paper.width, paper.height
    outer = edge + outward * width * 0.5
    wander = rolling(rng, 40, 3, 0.5, 2) * width * 0.008
    rows = np.linspace(0, height, 40)
    flare = 0.022 * width * np.clip((rows / height - 0.62) / 0.38, 0, 1) ** 2
    inner = edge + outward * width * 0.035 + wander - outward * flare
    paper.polygon([*zip(inner, rows, strict=True), (outer, height), (outer, 0)])
    for up, long, rise in ((0.40, 0.10, 0.10), (0.27, 0.15, 0.07)):  # two boughs reach inwards
        start = np.array([edge + outward * width * 0.04, height * up])
        end = start + np.array([-outward * width * long, -height * rise])
        paper.limb(start, end, height * 0.018, height * 0.005)
        for share in np.linspace(0.45, 1, 5):
            at = start + (end - start) * share
            _leaves(paper, at[0], at[1], height * 0.030, rng)


def _leaves(paper: Paper, x: float, y: float, size: float, rng: np.random.Generator) -> None:
    for _ in range(7):
        angle = rng.uniform(0, 2 * np.pi)
        at = (x + np.cos(angle) * size * 0.8, y + np.sin(angle) * size * 0.6)
        paper.ellipse(*at, size * rng.uniform(0.45, 0.7), size * 0.22, float(np.degrees(rng.uniform(0, np.pi))))


def doorway(stage: Stage) -> None:
    """An open door: dark wall, jambs that catch the light of the view, light on the floor before it."""
    paper = stage.paper()
    width, height = paper.width, paper.height
    left, right, top, bottom = width * LEFT, width * RIGHT, height * TOP, height * (BOTTOM + 0.03)
    paper.box(0, 0, left, height)
    paper.box(right, 0, width, height)
    paper.box(0, 0, width, top)
    paper.box(0, bottom, width, height)
    jamb, splay = width * 0.016, width * 0.11
    for edge, inward in ((left, 1), (right, -1)):
        side = edge + inward * jamb
        paper.box(min(edge, side), top, max(edge, side), bottom)
        paper.light([(edge, top), (side, top + jamb), (side, bottom), (edge, bottom + jamb)], 0.34)
    paper.box(left, top, right, top + jamb)
    paper.light([(left, top), (right, top), (right - jamb, top + jamb), (left + jamb, top + jamb)], 0.20)
    for share in np.linspace(0, 1, 9):  # light on the floor, weaker towards us
        y0, y1 = bottom + (height - bottom) * share, height
        out = splay * share
        paper.light(
            [(left - out, y0), (right + out, y0), (right + splay, y1), (left - splay, y1)], 0.26 * (1 - share) + 0.02
        )
    _stand(stage, paper, 1.0)


def _stand(stage: Stage, paper: Paper, blur: float) -> None:
    palette = stage.palette
    side = 1 if stage.sun[0] > stage.width / 2 else -1
    dark = paper.painted(
        palette.near, mix(palette.near, palette.far, 0.12), light=palette.light,
        rim=mix(palette.near, palette.light, 0.35), rim_from=side,
    )  # fmt: skip
    stage.stand(dark, DEPTH, blur=blur)
