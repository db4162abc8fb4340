"""Trees, grass and leaves cut from paper. Knows no landscape."""

import numpy as np

from studio.pipelines.draft.paper import Paper


def pine(paper: Paper, x: float, base: float, tall: float, rng: np.random.Generator) -> None:
    _stem(paper, x, base, tall * 0.018, tall * 0.01, base - tall * 0.4)
    tiers = 7
    for tier in range(tiers):
        y = base - tall * (0.12 + 0.88 * tier / tiers)
        top, wide = y - tall * 0.26, tall * 0.24 * (1 - tier / tiers * 0.86) * rng.uniform(0.85, 1.12)
        paper.polygon([
            (x - wide, y), (x - wide * 0.45, y - tall * 0.05), (x, top), (x + wide * 0.45, y - tall * 0.05),
            (x + wide, y), (x + wide * 0.3, y - tall * 0.02), (x - wide * 0.3, y - tall * 0.02),
        ])  # fmt: skip


def round_tree(paper: Paper, x: float, base: float, tall: float, rng: np.random.Generator) -> None:
    _stem(paper, x, base, tall * 0.03, tall * 0.014, base - tall * 0.6)
    for _ in range(14):
        angle, out = rng.uniform(0, 2 * np.pi), rng.random() ** 0.5
        at = (x + np.cos(angle) * tall * 0.22 * out, base - tall * 0.68 + np.sin(angle) * tall * 0.2 * out)
        paper.circle(*at, tall * rng.uniform(0.07, 0.13))


def _stem(paper: Paper, x: float, base: float, thick: float, thin: float, top: float) -> None:
    paper.polygon([(x - thick, base), (x + thick, base), (x + thin, top), (x - thin, top)])


def grass(paper: Paper, line: np.ndarray, tall: float, count: int, rng: np.random.Generator) -> None:
    """Blades along a ground line (W,)."""
    for x in rng.integers(0, len(line), count):
        y, lean = line[x] + 3, rng.uniform(-4, 4)
        paper.polygon([(x - 2, y), (x + lean, y - tall * rng.uniform(0.4, 1.2)), (x + 2, y)])


def framing_leaves(paper: Paper, rng: np.random.Generator) -> None:
    """Dark sprays at both sides that frame the picture."""
    width, height = paper.width, paper.height
    for side, inward in ((0.10, 1), (0.90, -1)):
        stems = [(0.02, 0.5), (0.97, -0.7)]  # (root height, direction): one from above, one from below
        for root, slope in stems:
            for _ in range(3):
                x0, y0 = width * side - inward * width * 0.03, height * (root + rng.uniform(-0.05, 0.05))
                length, angle = height * rng.uniform(0.20, 0.36), slope * rng.uniform(0.5, 1.3)
                _spray(paper, x0, y0, length, angle, inward, rng)


def _spray(
    paper: Paper, x0: float, y0: float, length: float, angle: float, inward: int, rng: np.random.Generator
) -> None:
    """A bent stem with paired leaves that grow smaller to its tip."""
    bend, at, heading = rng.uniform(-0.5, 0.5), np.array([x0, y0]), angle
    steps = 11
    for step in range(steps):
        heading += bend / steps
        ahead = at + length / steps * np.array([np.cos(heading) * inward, np.sin(heading)])
        paper.limb(at, ahead, length * 0.012, length * 0.010)
        leaf = length * 0.26 * (1 - 0.6 * step / steps)
        for turn in (-0.9, 0.9):
            tip = ahead + leaf * np.array([np.cos(heading + turn) * inward, np.sin(heading + turn)])
            along = tip - ahead
            side = np.array([-along[1], along[0]]) * 0.17
            middle = ahead + along * 0.45
            paper.polygon([ahead, middle + side, tip, middle - side])
        at = ahead
