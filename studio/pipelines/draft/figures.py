"""People as silhouettes: whole for wide shots, head and shoulders for near ones. Knows no landscape."""

from collections.abc import Callable

import numpy as np

from studio.pipelines.draft.layers import Pose
from studio.pipelines.draft.paper import Paper, spline

HEADS = 7.2  # a figure is this many heads tall; every measure below is in heads

_HEAD = (
    (-0.05, 0), (0.36, 0.10), (0.50, 0.42), (0.53, 0.62), (0.64, 0.86), (0.55, 0.93), (0.56, 1.04), (0.52, 1.16),
    (0.40, 1.30), (0.10, 1.32), (-0.12, 1.18), (-0.40, 0.95), (-0.50, 0.55), (-0.38, 0.14),
)  # fmt: skip
_NECK = ((-0.36, 0.9), (0.24, 1.15), (0.22, 1.62), (0.50, 1.86), (-0.62, 1.86), (-0.34, 1.55))
_SHOULDERS = {
    True: (
        (-0.30, 1.62), (0.18, 1.62), (0.62, 1.80), (0.96, 2.02), (1.10, 2.6), (1.14, 3.6), (0.92, 5.2), (-0.98, 5.2),
        (-1.16, 3.6), (-1.12, 2.6), (-0.96, 2.0), (-0.62, 1.78),
    ),
    False: (
        (-0.34, 1.58), (0.22, 1.60), (0.74, 1.76), (1.16, 2.04), (1.30, 2.7), (1.34, 3.8), (1.10, 5.4), (-1.14, 5.4),
        (-1.36, 3.8), (-1.32, 2.7), (-1.16, 2.0), (-0.72, 1.72),
    ),
}  # fmt: skip
_LONG_HAIR = (
    (-0.02, -0.10), (0.38, 0.02), (0.50, 0.34), (0.36, 0.40), (0.20, 0.28), (-0.02, 0.7), (0.02, 1.3), (-0.10, 1.9),
    (-0.34, 2.35), (-0.74, 2.2), (-0.66, 1.5), (-0.68, 0.8), (-0.56, 0.2),
)  # fmt: skip
_SHORT_HAIR = (
    (-0.10, -0.08), (0.30, -0.04), (0.52, 0.18), (0.46, 0.36), (0.20, 0.30), (-0.2, 0.5), (-0.42, 0.9), (-0.54, 0.6),
    (-0.50, 0.16),
)  # fmt: skip
_COLLAR = ((-0.9, 1.72), (-0.2, 1.42), (0.25, 1.46), (0.8, 1.8), (0.5, 2.2), (-0.6, 2.2))


def bust(paper: Paper, x: float, base: float, tall: float, rng: np.random.Generator, facing: int, woman: bool) -> None:
    """Head and shoulders in three-quarter view of a figure `tall` pixels tall that stands on `base`."""
    head = tall / HEADS
    crown = base - 7.15 * head

    def cut(points: tuple[tuple[float, float], ...]) -> None:
        paper.polygon(spline([(x + a * head * facing, crown + b * head) for a, b in points]))

    cut(_HEAD)
    cut(_NECK)
    cut(_SHOULDERS[woman])
    paper.box(x - 0.9 * head, crown + 4.6 * head, x + 0.9 * head, min(paper.height, crown + 7 * head))
    if woman:
        cut(_LONG_HAIR)
    elif rng.random() < 0.6:
        cut(_SHORT_HAIR)
    if rng.random() < 0.35:
        cut(_COLLAR)
    paper.soften(head * 0.05)


def person(paper: Paper, x: float, base: float, tall: float, rng: np.random.Generator, facing: int, woman: bool,
           walking: bool) -> None:  # fmt: skip
    """A whole figure: standing with its back to us, or walking past."""
    head = tall / HEADS

    def at(across: float, up: float) -> tuple[float, float]:
        return x + across * head, base - up * head

    paper.ellipse(*at(0.06 * facing, 6.62), 0.40 * head, 0.52 * head)
    paper.polygon([at(-0.15, 6.3), at(0.17, 6.3), at(0.2, 5.85), at(-0.2, 5.85)])
    if woman:
        paper.ellipse(*at(-0.04 * facing, 6.70), 0.46 * head, 0.48 * head)
        paper.polygon([at(-0.44, 6.8), at(0.34, 6.9), at(0.38 - 0.1 * facing, 5.4), at(-0.5, 5.3)])
    coat = woman or rng.random() < 0.5
    (_walking_body if walking else _standing_body)(paper, at, head, facing, coat)
    paper.soften(head * 0.11)


At = Callable[[float, float], tuple[float, float]]


def _standing_body(paper: Paper, at: At, head: float, facing: int, coat: bool) -> None:
    paper.polygon([
        at(-0.85, 5.62), at(-0.5, 5.9), at(0.5, 5.9), at(0.85, 5.62),
        at(0.72, 4.2), at(0.62, 3.4), at(-0.62, 3.4), at(-0.72, 4.2),
    ])  # fmt: skip
    for side in (-1, 1):
        elbow = at(side * 0.92, 4.38)
        paper.limb(at(side * 0.74, 5.55), elbow, 0.25 * head, 0.19 * head)
        paper.limb(elbow, at(side * 0.94, 3.22), 0.19 * head, 0.13 * head)
        knee, foot = at(side * 0.30, 1.8), at(side * 0.30, 0.1)
        paper.limb(at(side * 0.3, 3.5), knee, 0.34 * head, 0.25 * head)
        paper.limb(knee, foot, 0.25 * head, 0.15 * head)
        paper.ellipse(foot[0] + 0.12 * head * facing, foot[1] + 0.02 * head, 0.32 * head, 0.12 * head)
    if coat:
        paper.polygon([at(-0.62, 3.9), at(0.62, 3.9), at(0.86, 1.5), at(-0.86, 1.5)])


def _walking_body(paper: Paper, at: At, head: float, facing: int, coat: bool) -> None:
    """In profile, in the middle of a step."""

    def ahead(across: float, up: float) -> tuple[float, float]:
        return at(across * facing, up)

    paper.polygon([ahead(a, b) for a, b in (
        (-0.42, 5.85), (0.34, 5.85), (0.52, 5.3), (0.44, 4.2), (0.40, 3.3), (-0.48, 3.3), (-0.50, 4.4), (-0.56, 5.3),
    )])  # fmt: skip
    for elbow, hand in ((ahead(0.42, 4.45), ahead(0.86, 3.55)), (ahead(-0.62, 4.45), ahead(-0.82, 3.35))):
        paper.limb(ahead(-0.04, 5.55), elbow, 0.24 * head, 0.19 * head)
        paper.limb(elbow, hand, 0.19 * head, 0.13 * head)
    for knee, foot in ((ahead(0.52, 1.95), ahead(0.78, 0.12)), (ahead(-0.20, 1.75), ahead(-0.92, 0.34))):
        paper.limb(ahead(-0.02, 3.5), knee, 0.38 * head, 0.26 * head)
        paper.limb(knee, foot, 0.26 * head, 0.15 * head)
        paper.ellipse(foot[0] + 0.20 * head * facing, foot[1] + 0.02 * head, 0.34 * head, 0.12 * head)
    if coat:
        paper.polygon([ahead(-0.50, 4.2), ahead(0.44, 4.2), ahead(0.62, 1.7), ahead(-0.86, 1.6)])


def breathing(phase: float, strength: float = 1.0) -> Callable[[float], Pose]:
    """Standing still as people do: a breath every four seconds, a slow sway."""

    def pose(seconds: float) -> Pose:
        return Pose(
            dx=0.0015 * np.sin(0.9 * seconds + phase),
            turn=0.35 * strength * np.sin(2 * np.pi * 0.13 * seconds + phase * 2),
            stretch_y=1 + 0.0045 * strength * np.sin(2 * np.pi * 0.27 * seconds + phase),
        )

    return pose


def striding(phase: float, speed: float) -> Callable[[float], Pose]:
    """Walking: forwards by `speed` (fraction of the frame's height per second), bobbing at 0.95 steps a second."""

    def pose(seconds: float) -> Pose:
        step = np.sin(2 * np.pi * 0.95 * seconds + phase)
        return Pose(dx=speed * seconds, dy=-0.006 * abs(step), turn=1.1 * step, stretch_y=1 + 0.004 * step)

    return pose
