"""Draw the sample episode's boat: assets/samples/boat.png, a girl with a paper lantern on a wave, plain background.

`python scripts/draw_boat.py [FOLDER]`; the same picture every time.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from paper import Sheet

WIDTH, HEIGHT = 1080, 900
SAMPLES = Path(__file__).parent.parent / "assets" / "samples"


def boat() -> np.ndarray:
    s = Sheet(WIDTH, HEIGHT, "#c9bfb4", seed=4)
    pole(s)
    canvas(s)
    girl(s, 470, 430)
    hull(s)
    lantern(s, 868, 214)
    wave(s)
    return s.finish(grain=0, plain=True)


def pole(s: Sheet) -> None:
    s.glue(
        s.stroke([(742, 640), (752, 430), (756, 250), (786, 156), (868, 140)], [17, 15, 13, 11, 8]),
        "#7a5234",
        "#3c2620",
        rim=0.12,
    )
    s.glue(s.stroke([(868, 140), (868, 210)], 5), "#2c1c1a", shadow=(0, 0, 1, 0))


def canvas(s: Sheet) -> None:
    """A folded sail in the boat; it also fills the gap under the arm, where a cut-out would leave background."""
    heap = [(540, 660), (556, 560), (610, 512), (676, 522), (730, 500), (790, 548), (820, 620), (760, 670)]
    cloth = s.glue(s.shape(heap), "#b9a68a", "#5b4c48", towards=(0.3, 1), shadow=(3, 6, 8, 0.4), rim=0.12)
    for i in range(3):
        fold = [(566 + 8 * i, 640 - 4 * i), (640 + 30 * i, 560 + 16 * i), (770 + 10 * i, 556 + 26 * i)]
        s.tint(s.blur(s.stroke(fold, [2, 8, 2]), 2) * cloth, "#40342f", 0.55)


def girl(s: Sheet, x: float, y: float) -> None:
    """Lin from afar, in three-quarter view of nothing but hair, face, scarf and jacket; one arm on the pole."""
    body = [
        (x - 118, y + 300),
        (x - 104, y + 160),
        (x - 52, y + 92),
        (x + 44, y + 92),
        (x + 100, y + 160),
        (x + 118, y + 300),
    ]
    coat = s.glue(s.shape(body), "#c8402f", "#7c1f1d", towards=(0.6, 0.7), shadow=(4, 8, 10, 0.4), rim=0.14)
    for dy in (176, 232):
        seam = s.stroke([(x - 120, y + dy + 10), (x, y + dy), (x + 120, y + dy + 10)], 5)
        s.tint(s.blur(seam, 1.4) * coat, "#571316", 0.7)
    arm = [(x + 70, y + 150), (x + 150, y + 152), (x + 232, y + 110), (x + 292, y + 66)]
    s.glue(s.stroke(arm, [70, 62, 54, 46]), "#d14a37", "#8c2722", towards=(0.2, 1), shadow=(3, 8, 8, 0.42), rim=0.14)
    s.glue(s.ellipse(x + 300, y + 60, 25, 23), "#f3cfab", "#d99f76", shadow=(2, 4, 4, 0.4), rim=0.08)
    hair = [(x, y - 128), (x + 84, y - 108), (x + 116, y - 20), (x + 108, y + 84), (x + 60, y + 96), (x - 66, y + 96),
            (x - 110, y + 84), (x - 118, y - 20), (x - 86, y - 108)]  # fmt: skip
    s.glue(s.shape(hair), "#2f2a38", "#141119", towards=(0.6, 0.6), shadow=(4, 8, 9, 0.4), rim=0.10)
    face = [(x + 2, y - 70), (x + 74, y - 48), (x + 82, y + 22), (x + 46, y + 72), (x + 4, y + 88), (x - 40, y + 72),
            (x - 76, y + 22), (x - 70, y - 48)]  # fmt: skip
    skin = s.glue(s.shape(face), "#d9a583", "#f7d5b2", towards=(1, 0), shadow=(2, 5, 6, 0.3))
    s.tint(s.glow(x + 60, y + 30, 30, 20) * skin, "#f0805f", 0.5)
    s.tint(s.glow(x - 48, y + 30, 26, 18) * skin, "#d9694f", 0.4)
    for dx in (-28, 38):
        s.glue(s.ellipse(x + dx, y + 4, 13, 9), "#fdf8f0", shadow=(0, 0, 1, 0))
        s.glue(s.ellipse(x + dx + 3, y + 4, 7.5, 8.5), "#24150f", shadow=(0, 0, 1, 0))
        s.glue(s.ellipse(x + dx + 5, y + 1, 2.4, 2.4), "#ffffff", shadow=(0, 0, 1, 0))
        s.tint(s.stroke([(x + dx - 14, y + 1), (x + dx, y - 8), (x + dx + 14, y + 1)], [1, 4, 1.5]), "#1b1210", 0.95)
    s.tint(s.stroke([(x + 2, y + 26), (x + 12, y + 34), (x + 4, y + 38)], [1, 3, 1]) * skin, "#b07050", 0.8)
    s.glue(s.ellipse(x + 5, y + 58, 10, 7), "#7c2f2b", shadow=(0, 0, 1, 0))  # calling
    fringe = [(x - 92, y + 4), (x - 86, y - 76), (x, y - 118), (x + 86, y - 76), (x + 94, y + 4), (x + 62, y - 30),
              (x + 22, y - 18), (x - 20, y - 32), (x - 60, y - 20)]  # fmt: skip
    s.glue(s.shape(fringe), "#3d3749", "#1a1722", towards=(0.6, 0.7), shadow=(2, 6, 6, 0.42), rim=0.10)
    scarf = [(x - 78, y + 92), (x - 40, y + 74), (x + 6, y + 86), (x + 52, y + 74), (x + 88, y + 92), (x + 84, y + 128),
             (x + 6, y + 146), (x - 72, y + 128)]  # fmt: skip
    s.glue(s.shape(scarf), "#c98a2d", "#f6c65c", towards=(1, 0.2), shadow=(3, 7, 7, 0.42), rim=0.14)
    tail = [(x - 66, y + 112), (x - 130, y + 96), (x - 206, y + 122), (x - 262, y + 100), (x - 256, y + 140),
            (x - 196, y + 164), (x - 124, y + 142), (x - 60, y + 140)]  # fmt: skip
    s.glue(s.shape(tail), "#b87424", "#e9ad42", towards=(1, 0), shadow=(3, 7, 7, 0.4), rim=0.12)


def hull(s: Sheet) -> None:
    side = [(150, 596), (330, 634), (560, 642), (760, 612), (928, 528), (880, 690), (760, 786), (330, 790), (216, 720)]
    wood = s.glue(s.shape(side), "#a8683a", "#4a2a22", towards=(0.1, 1), shadow=(4, -5, 12, 0.42), rim=0.14)
    for i in range(4):
        plank = [
            (150, 640 + 36 * i),
            (340, 676 + 34 * i),
            (580, 684 + 33 * i),
            (780, 652 + 34 * i),
            (940, 566 + 44 * i),
        ]
        s.tint(s.blur(s.stroke(plank, [2, 5, 5, 5, 2]), 1) * wood, "#2c1714", 0.62)
    rim = [(132, 586), (330, 622), (560, 630), (760, 600), (944, 512)]
    s.glue(s.stroke(rim, [14, 22, 22, 20, 12]), "#d39a57", "#8a5730", towards=(0, 1), shadow=(2, 7, 7, 0.45), rim=0.2)
    s.add(s.glow(880, 500, 190, 190) * wood, "#ffb45c", 0.30)


def lantern(s: Sheet, x: float, y: float) -> None:
    """A round paper lantern with ribs, alight from inside."""
    body = s.glue(
        s.ellipse(x, y + 66, 78, 76), "#ff8a3c", "#c72f22", towards=(0.3, 1), shadow=(4, 9, 12, 0.4), rim=0.12
    )
    s.add(s.glow(x - 6, y + 62, 52, 50) * body, "#ffdf8c", 0.72)
    for dx in (-52, -24, 6, 34):
        rib = s.stroke([(x, y - 8), (x + dx * 1.35, y + 66), (x, y + 140)], 2.6)
        s.tint(rib * body, "#9c1f1c", 0.42)
    for dy in (-8, 138):
        cap = [(x - 28, y + dy - 7), (x + 28, y + dy - 7), (x + 25, y + dy + 8), (x - 25, y + dy + 8)]
        s.glue(s.shape(cap, smooth=False), "#5a2f24", "#2c1714", towards=(1, 0), shadow=(2, 4, 5, 0.4), rim=0.16)
    for dx in (-10, 0, 10):
        s.glue(s.stroke([(x + dx, y + 146), (x + dx * 1.3, y + 188)], [4, 2]), "#e0b04e", shadow=(1, 2, 3, 0.3))


def wave(s: Sheet) -> None:
    """The wave that carries the boat, down to the picture's edge."""
    sheets = (("#3b4c80", "#26345f", 0), ("#2c3a69", "#1a244a", 46), ("#1f2a52", "#111936", 96))
    for number, (near, far, down) in enumerate(sheets):
        xs = np.arange(30, WIDTH - 29, 60)
        away = np.abs(xs - 540) / 510  # 0 under the boat .. 1 at the ends of the wave
        ys = 742 + down + 15 * np.sin(xs / 66 + 0.9 * number) + 150 * away**3
        crest = [(float(x), float(min(y, HEIGHT + 20))) for x, y in zip(xs, ys, strict=True)]
        ends = [(WIDTH - 20, HEIGHT + 60), (20, HEIGHT + 60)]
        water = s.glue(s.shape([*crest, *ends]), near, far, shadow=(0, -5, 9, 0.36), rim=0.14)
        s.add(s.glow(850, 800 + down, 150 - 26 * number, 13) * water, "#ffb45c", 0.34 - 0.09 * number)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "boat.png"
    cv2.imwrite(str(path), cv2.cvtColor(boat(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{path}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
