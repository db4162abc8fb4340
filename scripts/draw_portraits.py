"""Draw the cast of the sample episode: assets/samples/{ines,tomas,lin}.png, front-facing paper-cut portraits.

Plain backgrounds, closed mouths and level eyes, because that is what a reference picture should be for any video
model, and what a mouth can be moved in. `python scripts/draw_portraits.py [FOLDER]`; same pictures every time.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from paper import Sheet
from paper_faces import Face, brows, eyes, head, mouth, neck_and_ears, strands

WIDTH, HEIGHT = 832, 1104
SAMPLES = Path(__file__).parent.parent / "assets" / "samples"


# ------------------------------------------------------------------ the cast
def ines() -> np.ndarray:
    """Inês, thirty: dark wavy hair, mustard raincoat over a striped jersey."""
    s = Sheet(WIDTH, HEIGHT, "#a9bcc4", seed=1)
    f = Face(
        skin=("#e9b48c", "#d4946c", "#a9623f"), blush="#d9694f", iris=("#5b3a1e", "#9a6a35"),
        lips=("#a94a43", "#c4625a", "#6b2523"), brow="#2b1a17",
    )  # fmt: skip
    back = [(416, 196), (560, 226), (636, 350), (652, 500), (640, 640), (684, 770), (640, 870), (560, 900), (416, 890),
            (272, 900), (192, 870), (148, 770), (192, 640), (180, 500), (196, 350), (272, 226)]  # fmt: skip
    hair = s.glue(s.shape(back), "#3d2420", "#24130f", shadow=(6, 10, 14, 0.28), rim=0.08)
    waves = [[(210 + 9 * i, 420), (186 + 14 * i, 600), (214 + 8 * i, 720), (176 + 16 * i, 860)] for i in range(5)]
    strands(s, hair, waves, "#6b4132", 12, 0.40)
    strands(s, hair, [[(832 - x, y) for x, y in path] for path in waves], "#130907", 12, 0.5)
    neck_and_ears(s, f, ears=False)
    jersey = [(250, 880), (330, 822), (416, 862), (502, 822), (582, 880), (640, 1120), (192, 1120)]
    knit = s.glue(s.shape(jersey), "#efe6d6", "#cdbfa9", towards=(0.6, 0.4), rim=0.06)
    for i in range(6):
        y = 902 + 38 * i
        band = s.stroke([(170, y - 6), (330, y + 12), (416, y + 20), (502, y + 12), (662, y - 6)], 15)
        s.tint(band * knit, "#2f4a63", 0.92)
    for side in (-1, 1):
        x = lambda dx, side=side: 416 + side * dx  # noqa: E731
        coat = [
            (x(92), 836),
            (x(196), 858),
            (x(322), 922),
            (x(392), 1040),
            (x(402), 1130),
            (x(70), 1130),
            (x(96), 1000),
        ]
        near, far = ("#e3ab3f", "#c98a25") if side < 0 else ("#cf9230", "#9d661b")
        cloth = s.glue(s.shape(coat), near, far, towards=(0.4, 0.8), shadow=(2 * -side, 6, 9, 0.4), rim=0.10)
        s.tint(
            s.blur(s.stroke([(x(270), 905), (x(250), 1000), (x(262), 1120)], [2, 16, 6]), 5) * cloth, "#5f3a0d", 0.45
        )
        tip = (x(142), 986)
        collar = [(x(64), 806), (x(128), 776), (x(214), 846), (x(226), 912), tip, tip, (x(74), 908)]
        s.glue(s.shape(collar), near, far, towards=(0.2, 0.9), shadow=(2 * -side, 7, 8, 0.45), rim=0.14)
        s.tint(s.stroke([(x(204), 856), (x(208), 908), (x(142), 966), (x(90), 902)], 2.4), "#7b5012", 0.6)
    for y in (1000, 1078):
        s.glue(s.ellipse(338, y, 10, 10), "#6b4a22", "#3f2a12", shadow=(1, 3, 3, 0.5))
    head(s, f)
    eyes(s, f)
    brows(s, f, lift=2)
    mouth(s, f, smile=6)
    fringe = [
        (392, 226),
        (300, 244),
        (226, 330),
        (204, 470),
        (222, 560),
        (244, 500),
        (262, 418),
        (318, 344),
        (420, 276),
    ]
    other = [
        (396, 232),
        (470, 292),
        (550, 342),
        (584, 430),
        (590, 510),
        (612, 566),
        (634, 470),
        (612, 330),
        (530, 240),
        (452, 214),
    ]
    for points, near, far, streak in (
        (other, "#38201b", "#1f0f0c", "#5d382b"),
        (fringe, "#5a382c", "#2f1a15", "#84573f"),
    ):
        lock = s.glue(s.shape(points), near, far, towards=(0.5, 0.7), shadow=(3, 8, 8, 0.42), rim=0.10)
        path = [points[0], points[2], points[4]] if points is fringe else [points[0], points[2], points[4]]
        strands(s, lock, [[(x + d, y + 0.6 * d) for x, y in path] for d in (4, 16, 28)], streak, 9, 0.42)
    return s.finish(grain=0, plain=True)


def tomas() -> np.ndarray:
    """Tomás, past seventy: white hair under a wool cap, weathered skin, a heavy blue jersey."""
    s = Sheet(WIDTH, HEIGHT, "#b9b09f", seed=2)
    f = Face(
        skin=("#d99f76", "#bf8058", "#8d5334"), blush="#c15a3c", iris=("#35566a", "#7fa6b5"),
        lips=("#9a5443", "#b0705c", "#5c2a20"), brow="#e8e2d6", jaw=116, chin=268, cheek=162, brow_width=20,
        eye=(34, 19), lashes=4.0, mouth=58, lip=9,
    )  # fmt: skip
    tufts = [(246, 380), (300, 300), (532, 300), (588, 380), (610, 480), (596, 560), (570, 600), (416, 560), (262, 600),
             (236, 560), (222, 480)]  # fmt: skip
    s.glue(s.shape(tufts), "#f3efe6", "#c9c3b8", towards=(0.7, 0.4), shadow=(5, 8, 10, 0.25), rim=0.05)
    neck_and_ears(s, f)
    body = [
        (60, 1010),
        (150, 900),
        (300, 842),
        (416, 880),
        (532, 842),
        (682, 900),
        (772, 1010),
        (800, 1130),
        (32, 1130),
    ]
    jersey = s.glue(s.shape(body), "#35597a", "#1d3450", towards=(0.7, 0.5), shadow=(4, 8, 12, 0.4), rim=0.10)
    for i in range(-9, 10):
        x = 416 + 42 * i
        rib = s.stroke([(x * 0.9 + 41.6, 880), (x, 1000), (x + 3 * i, 1130)], [5, 9, 9])
        s.tint(s.blur(rib, 1.5) * jersey, "#142539" if i % 2 else "#4b7396", 0.34)
    roll = [
        (290, 812),
        (350, 782),
        (416, 806),
        (482, 782),
        (542, 812),
        (556, 872),
        (500, 916),
        (416, 930),
        (332, 916),
        (276, 872),
    ]
    neckline = s.glue(s.shape(roll), "#41698c", "#25425f", towards=(0.7, 0.5), shadow=(2, 8, 8, 0.45), rim=0.12)
    for i in range(-7, 8):
        x = 416 + 18 * i
        s.tint(s.blur(s.stroke([(x, 780), (x + 1.5 * i, 930)], [4, 5]), 1) * neckline, "#162a40", 0.42)
    face = head(s, f)
    for side in (-1, 1):  # the lines of a life at sea
        x = lambda dx, side=side: f.x + side * dx  # noqa: E731
        s.tint(
            s.blur(s.stroke([(x(48), f.y + 112), (x(82), f.y + 142), (x(90), f.y + 182)], [2, 6, 2]), 1.2) * face,
            f.skin[2],
            0.55,
        )
        for dy in (-8, 8, 22):
            s.tint(s.stroke([(x(122), f.y + dy), (x(148), f.y + dy * 1.9 - 4)], [3.4, 1]) * face, f.skin[2], 0.5)
        s.tint(
            s.blur(s.stroke([(x(50), f.y + 36), (x(78), f.y + 44), (x(106), f.y + 34)], [1, 5, 1]), 1) * face,
            f.skin[2],
            0.5,
        )
    for y, wide in ((-104, 70), (-84, 86)):
        s.tint(
            s.stroke([(f.x - wide, f.y + y), (f.x, f.y + y - 7), (f.x + wide, f.y + y)], [1, 4, 1]) * face,
            f.skin[2],
            0.42,
        )
    eyes(s, f, lash="#4a2d20")
    brows(s, f, lift=7)
    mouth(s, f, smile=3)
    for side in (-1, 1):
        x = lambda dx, side=side: f.x + side * dx  # noqa: E731
        burn = [
            (x(170), f.y - 80),
            (x(150), f.y - 40),
            (x(144), f.y + 30),
            (x(150), f.y + 96),
            (x(166), f.y + 110),
            (x(176), f.y + 20),
        ]
        s.glue(s.shape(burn), "#f3efe6" if side < 0 else "#d5cfc3", "#c9c3b8", shadow=(1, 3, 4, 0.3))
    cap = [(230, 372), (222, 262), (290, 168), (416, 136), (542, 168), (610, 262), (602, 372), (416, 340)]
    wool = s.glue(s.shape(cap), "#8c3f33", "#5d241e", towards=(0.7, 0.5), shadow=(3, 8, 10, 0.4), rim=0.08)
    for i in range(-6, 7):
        x = 416 + 30 * i
        s.tint(s.blur(s.stroke([(416 + 12 * i, 140), (x, 240), (x + i, 370)], [2, 6, 7]), 1.4) * wool, "#431712", 0.46)
    band = [
        (216, 322),
        (300, 296),
        (416, 288),
        (532, 296),
        (616, 322),
        (620, 388),
        (532, 366),
        (416, 358),
        (300, 366),
        (212, 388),
    ]
    edge = s.glue(s.shape(band), "#a24b3c", "#6c2b23", towards=(0.7, 0.4), shadow=(2, 9, 8, 0.45), rim=0.14)
    for i in range(-10, 11):
        x = 416 + 20 * i
        s.tint(s.blur(s.stroke([(x, 284), (x, 392)], [4, 5]), 1) * edge, "#54201a", 0.45)
    return s.finish(grain=0, plain=True)


def lin() -> np.ndarray:
    """Lin, nine: black bob with a fringe, red quilted jacket, a yellow scarf."""
    s = Sheet(WIDTH, HEIGHT, "#c2b7ae", seed=3)
    f = Face(
        skin=("#f3cfab", "#e2ad86", "#bd7a55"), blush="#e8735f", iris=("#2b1a12", "#6a4426"),
        lips=("#c4594f", "#d9766a", "#7c2f2b"), brow="#1b1413", y=476, cheek=160, jaw=112, chin=238, apart=150,
        eye=(39, 27), mouth=46, lip=12, brow_width=10, lashes=7,
    )  # fmt: skip
    bob = [(416, 190), (560, 220), (636, 340), (650, 500), (640, 640), (600, 716), (520, 700), (416, 720), (312, 700),
           (232, 716), (192, 640), (182, 500), (196, 340), (272, 220)]  # fmt: skip
    hair = s.glue(s.shape(bob), "#2b2733", "#15121a", towards=(0.6, 0.6), shadow=(6, 10, 14, 0.28), rim=0.10)
    strands(
        s, hair, [[(206 + 10 * i, 400), (196 + 12 * i, 560), (216 + 13 * i, 700)] for i in range(4)], "#575069", 8, 0.4
    )
    neck_and_ears(s, f, ears=False)
    body = [(112, 966), (196, 862), (320, 808), (416, 834), (512, 808), (636, 862), (720, 966), (746, 1130), (86, 1130)]
    coat = s.glue(s.shape(body), "#c8402f", "#8a2320", towards=(0.7, 0.5), shadow=(4, 8, 12, 0.4), rim=0.12)
    for y in (914, 978, 1044):
        seam = s.stroke([(70, y + 22), (250, y), (416, y + 8), (582, y), (762, y + 22)], 5)
        s.tint(s.blur(seam, 1.6) * coat, "#5c1416", 0.75)
        s.tint(s.blur(s.moved(seam, 0, 17), 7) * coat, "#e8735b", 0.38)
    s.tint(s.blur(s.stroke([(416, 846), (418, 1130)], 6), 1.2) * coat, "#4d1113", 0.8)
    for y in (918, 996):
        s.glue(s.stroke([(384, y), (416, y + 6), (448, y)], [12, 15, 12]), "#e7b04a", "#b67a25", shadow=(1, 3, 3, 0.4))
    scarf = [
        (276, 782),
        (338, 742),
        (416, 762),
        (494, 742),
        (556, 782),
        (566, 840),
        (500, 872),
        (416, 882),
        (332, 872),
        (266, 840),
    ]
    wool = s.glue(s.shape(scarf), "#f0bb4f", "#c4832a", towards=(0.7, 0.5), shadow=(3, 9, 9, 0.42), rim=0.14)
    for i in range(3):
        fold = [(270, 802 + 22 * i), (340, 782 + 24 * i), (416, 796 + 26 * i), (500, 780 + 24 * i), (562, 802 + 22 * i)]
        s.tint(s.blur(s.stroke(fold, [2, 6, 7, 6, 2]), 1.8) * wool, "#8f5512", 0.5)
    tail = [(468, 840), (540, 856), (566, 966), (560, 1056), (484, 1046), (474, 946)]
    s.glue(s.shape(tail), "#e9ad42", "#b87424", towards=(0.4, 0.8), shadow=(4, 7, 8, 0.42), rim=0.12)
    head(s, f)
    eyes(s, f)
    brows(s, f, lift=4)
    mouth(s, f, smile=8)
    for side in (-1, 1):
        x = lambda dx, side=side: 416 + side * dx  # noqa: E731
        lock = [
            (x(120), 300),
            (x(196), 330),
            (x(232), 480),
            (x(224), 640),
            (x(186), 700),
            (x(146), 668),
            (x(160), 560),
            (x(150), 430),
        ]
        near, far = ("#393443", "#191620") if side < 0 else ("#25212c", "#110f15")
        s.glue(s.shape(lock), near, far, towards=(0.3, 0.9), shadow=(-2 * side, 8, 9, 0.4), rim=0.10)
    fringe = [(240, 420), (236, 320), (300, 236), (416, 206), (532, 236), (596, 320), (592, 420), (540, 396),
              (500, 410), (450, 392), (400, 408), (350, 392), (300, 410)]  # fmt: skip
    front = s.glue(s.shape(fringe), "#3a3546", "#1a1722", towards=(0.6, 0.7), shadow=(2, 9, 8, 0.42), rim=0.10)
    strands(
        s,
        front,
        [[(400 + 6 * i, 216), (410 + 22 * i, 300), (412 + 30 * i, 400)] for i in range(-5, 6)],
        "#5e5770",
        6,
        0.36,
    )
    pin = s.stroke([(286, 330), (318, 306), (344, 300)], [13, 15, 13])
    s.glue(pin, "#f2c14e", "#c98a2a", shadow=(1, 4, 4, 0.5), rim=0.2)
    return s.finish(grain=0, plain=True)


CAST = {"ines": ines, "tomas": tomas, "lin": lin}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in CAST.items():
        path = folder / f"{name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(f"{path}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
