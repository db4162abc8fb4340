"""A front-facing face of paper: skin, eyes, brows, lips. Hair, hats and clothes are draw_portraits' business."""

from dataclasses import dataclass

import numpy as np
from paper import Point, Sheet


@dataclass(frozen=True)
class Face:
    """Where a face is and what colours it has. Eyes lie at y, `apart` from each other."""

    skin: tuple[str, str, str]  # lit, shaded, deep (folds, under the chin)
    blush: str
    iris: tuple[str, str]
    lips: tuple[str, str, str]  # upper, lower, seam
    brow: str
    x: float = 416.0
    y: float = 452.0
    apart: float = 152.0
    cheek: float = 156.0  # half width of the face at the eyes
    chin: float = 262.0  # below the eyes
    jaw: float = 104.0  # half width at the mouth
    brow_width: float = 13.0
    eye: tuple[float, float] = (37.0, 23.0)
    lashes: float = 6.0
    mouth: float = 56.0  # half width
    lip: float = 13.0


def outline(f: Face) -> list[Point]:
    """The face from the hair line around the chin."""
    right = [(f.cheek * 0.86, -128), (f.cheek, -10), (f.cheek * 0.96, 92), (f.jaw, 186), (f.jaw * 0.46, f.chin - 18)]
    left = [(-dx, dy) for dx, dy in reversed(right)]
    points = [(0.0, -190.0), *right, (0.0, f.chin), *left]
    return [(f.x + dx, f.y + dy) for dx, dy in points]


def neck_and_ears(s: Sheet, f: Face, ears: bool = True) -> None:
    lit, shade, deep = f.skin
    wide = f.jaw * 0.62
    neck = [(f.x - wide, f.y + 170), (f.x + wide, f.y + 170), (f.x + wide + 10, f.y + 330),
            (f.x + wide + 60, f.y + 420),
            (f.x - wide - 60, f.y + 420), (f.x - wide - 10, f.y + 330)]  # fmt: skip
    mask = s.glue(s.shape(neck), shade, deep, towards=(0.3, 0.2), shadow=(0, 0, 1, 0))
    s.tint(s.blur(s.moved(s.shape(outline(f)), 6, 34), 12) * mask, deep, 0.75)
    if ears:
        for side, paper, fold in ((-1, lit, shade), (1, shade, deep)):
            s.glue(s.ellipse(f.x + side * (f.cheek + 6), f.y + 34, 27, 47, side * -8), paper, fold, rim=0.06)
            s.glue(s.ellipse(f.x + side * (f.cheek + 9), f.y + 36, 14, 29, side * -8), fold, shadow=(0, 0, 1, 0))


def head(s: Sheet, f: Face) -> np.ndarray:
    """The paper of the face with its warm left light, cheeks and nose. Returns its mask."""
    lit, shade, deep = f.skin
    face = s.glue(s.shape(outline(f)), lit, shade, towards=(0.75, 0.4), shadow=(3, 8, 10, 0.32), rim=0.10)
    side = [(f.x + f.cheek * 1.1, f.y - 200), (f.x + f.cheek * 1.1, f.y + 260), (f.x + 24, f.y + f.chin + 20),
            (f.x + f.jaw * 0.72, f.y + 190), (f.x + f.cheek * 0.80, f.y + 80),
            (f.x + f.cheek * 0.86, f.y - 90)]  # fmt: skip
    s.tint(s.blur(s.shape(side), 7) * face, deep, 0.34)
    s.tint(s.glow(f.x - f.cheek * 0.30, f.y - 110, 105, 60) * face, "#fff2dc", 0.16)
    for dx, strength in ((-0.60, 0.46), (0.58, 0.38)):
        s.tint(s.glow(f.x + f.cheek * dx, f.y + 98, 44, 28) * face, f.blush, strength)
    nose = [(f.x + 4, f.y + 6), (f.x + 15, f.y + 62), (f.x + 27, f.y + 104), (f.x + 8, f.y + 119),
            (f.x - 12, f.y + 114),
            (f.x + 5, f.y + 92)]  # fmt: skip
    s.tint(s.blur(s.shape(nose), 2.2) * face, deep, 0.50)
    s.tint(s.glow(f.x - 5, f.y + 88, 9, 13) * face, "#fff4e2", 0.34)
    s.tint(
        s.stroke([(f.x - 17, f.y + 116), (f.x + 2, f.y + 124), (f.x + 22, f.y + 115)], [1, 4.5, 1]) * face, deep, 0.85
    )
    return face


def eyes(s: Sheet, f: Face, lash: str = "#20140f") -> None:
    rx, ry = f.eye
    for side in (-1, 1):
        cx, cy = f.x + side * f.apart / 2, f.y
        s.tint(s.glow(cx, cy - 8, rx * 1.25, ry * 1.7), f.skin[2], 0.30)
        white = s.shape([(cx - rx, cy + 3), (cx - rx * 0.45, cy - ry * 0.86), (cx + rx * 0.35, cy - ry * 0.92),
                         (cx + rx, cy + 1), (cx + rx * 0.40, cy + ry * 0.80),
                         (cx - rx * 0.42, cy + ry * 0.82)])  # fmt: skip
        s.glue(white, "#fdf8f0", "#efe6da", shadow=(0, 0, 1, 0))
        iris = ry * 0.88
        s.glue(s.ellipse(cx, cy - 1, iris, iris), f.iris[0], f.iris[1], shadow=(0, 0, 1, 0), clip=white)
        s.tint(s.glow(cx, cy + iris * 0.5, iris * 0.7, iris * 0.5) * white, "#fff0cf", 0.30)
        s.glue(s.ellipse(cx, cy - 1, iris * 0.50, iris * 0.50), "#120c0a", shadow=(0, 0, 1, 0), clip=white)
        s.tint(s.blur(s.moved(1 - white, 0, 5), 3) * white, "#5a4038", 0.34)  # the lid's shadow on the ball
        s.glue(s.ellipse(cx - iris * 0.34, cy - iris * 0.42, 5.2, 5.2), "#ffffff", shadow=(0, 0, 1, 0))
        arch = [
            (cx - rx - 2, cy + 4),
            (cx - rx * 0.45, cy - ry * 0.90),
            (cx + rx * 0.35, cy - ry * 0.96),
            (cx + rx + 2, cy + 2),
        ]
        widths = [1.5, f.lashes, f.lashes, 2.5] if side < 0 else [2.5, f.lashes, f.lashes, 1.5]
        s.tint(s.stroke(arch, widths), lash, 0.95)
        fold = [(x, y - ry * 0.46) for x, y in arch]
        s.tint(s.stroke(fold, [0.8, 3.0, 3.0, 0.8]), f.skin[2], 0.8)


def brows(s: Sheet, f: Face, lift: float = 0.0) -> None:
    rx, ry = f.eye
    for side in (-1, 1):
        cx = f.x + side * f.apart / 2
        inner, outer = (cx - side * rx * 0.95, f.y - ry * 2.15 - lift), (cx + side * rx * 1.28, f.y - ry * 1.75)
        before, top = (cx - side * rx * 0.55, f.y - ry * 2.34 - lift), (cx + side * rx * 0.42, f.y - ry * 2.62)
        s.glue(
            s.stroke([inner, before, top, outer], [f.brow_width * 0.35, f.brow_width, f.brow_width * 0.9, 2]),
            f.brow,
            shadow=(1, 2, 2, 0.25),
        )


def mouth(s: Sheet, f: Face, smile: float = 5.0) -> None:
    cx, cy, w, h = f.x, f.y + 1.08 * f.apart, f.mouth, f.lip
    seam = [
        (cx - w, cy - smile),
        (cx - w * 0.42, cy + 0.5),
        (cx, cy + 2),
        (cx + w * 0.42, cy + 0.5),
        (cx + w, cy - smile),
    ]
    upper = [*seam, (cx + w * 0.42, cy - h * 0.72), (cx + w * 0.16, cy - h), (cx, cy - h * 0.72),
             (cx - w * 0.16, cy - h),
             (cx - w * 0.42, cy - h * 0.72)]  # fmt: skip
    lower = [*seam, (cx + w * 0.52, cy + h * 0.95), (cx, cy + h * 1.45), (cx - w * 0.52, cy + h * 0.95)]
    s.tint(s.glow(cx, cy + h * 2.4, w * 0.55, 9), f.skin[2], 0.42)
    s.glue(s.shape(lower), f.lips[1], shadow=(0, 0, 1, 0))
    s.glue(s.shape(upper), f.lips[0], shadow=(0, 0, 1, 0))
    s.tint(s.glow(cx - w * 0.12, cy + h * 0.72, w * 0.34, 4.5), "#fff0e6", 0.30)
    s.tint(s.stroke(seam, [1.5, 4.2, 4.4, 4.2, 1.5]), f.lips[2], 0.95)


def strands(s: Sheet, clip: np.ndarray, paths: list[list[Point]], shade: str, width: float, strength: float) -> None:
    for path in paths:
        s.tint(s.blur(s.stroke(path, [1, width, 1]), 0.8) * clip, shade, strength)
