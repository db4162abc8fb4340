"""Draw the places of the sample episode: assets/samples/{cape_dusk,cape_dawn,cape_night,lamp_room}.jpg, layered paper.

`python scripts/draw_places.py [FOLDER]`; same pictures every time.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from paper import Point, Sheet

WIDTH, HEIGHT = 1280, 720
HORIZON = 402.0
CLOUDS = (  # x, y, half width, half height
    (190, 150, 250, 17), (560, 96, 210, 14), (930, 190, 260, 18), (420, 250, 330, 15), (80, 300, 240, 13),
    (760, 300, 250, 12),
)  # fmt: skip
SAMPLES = Path(__file__).parent.parent / "assets" / "samples"


@dataclass(frozen=True)
class Hour:
    """The colours of one hour at the cape, from far to near."""

    sky: tuple[str, str]
    glow: tuple[str, float, float, float]  # colour, x, y, strength
    disc: tuple[str, float, float, float]  # colour, x, y, radius: sun or moon
    clouds: tuple[str, str]
    headlands: tuple[str, str]
    sea: tuple[str, str]
    shine: str
    cliff: tuple[str, str, str]
    tower: tuple[str, str]
    bands: tuple[str, str]
    window: tuple[str, float]
    grass: tuple[str, str]
    stars: int
    lamp: float = 0.0  # how bright the light burns


DUSK = Hour(
    sky=("#1c2748", "#d9896a"), glow=("#ffb37a", 330, 410, 0.55), disc=("#ffe3bd", 330, 352, 34),
    clouds=("#4b4568", "#a86770"), headlands=("#5d5474", "#433f60"), sea=("#3c4a70", "#141b33"), shine="#ffc592",
    cliff=("#34314c", "#211f36", "#15142a"), tower=("#efdfd0", "#8d7f92"), bands=("#a5473f", "#5d2a3a"),
    window=("#ffcf73", 1.0), grass=("#1b1a30", "#0d0d1c"), stars=70,
)  # fmt: skip
DAWN = Hour(
    sky=("#7fa6c4", "#fbdcb4"), glow=("#fff0c4", 430, 400, 0.60), disc=("#fffbe8", 430, 372, 40),
    clouds=("#c9c0cc", "#f6d3bd"), headlands=("#9fb0c1", "#7e93a8"), sea=("#8fb3bf", "#3b6678"), shine="#fff3cf",
    cliff=("#7b7f6c", "#565d52", "#3a433e"), tower=("#fffaf0", "#c3bfc4"), bands=("#cf5c4b", "#96413f"),
    window=("#ffe3a0", 0.45), grass=("#3f5245", "#25352f"), stars=0,
)  # fmt: skip

NIGHT = Hour(
    sky=("#0b1026", "#33406e"), glow=("#6a76b0", 300, 410, 0.30), disc=("#f4ecd8", 300, 150, 30),
    clouds=("#242a4c", "#3d4674"), headlands=("#252c4e", "#1c2240"), sea=("#232c52", "#0a0e20"), shine="#c9cdf0",
    cliff=("#232543", "#171830", "#0e0f20"), tower=("#cfc6cc", "#5b5878"), bands=("#7d3540", "#40213a"),
    window=("#ffcf73", 1.0), grass=("#12142a", "#090a16"), stars=160, lamp=1.0,
)  # fmt: skip


def wave_line(y: float, height: float, length: float, phase: float) -> list[Point]:
    """The upper edge of a strip of sea, from left to right and down to the corners."""
    xs = np.arange(-40, WIDTH + 80, 40)
    crest = [(float(x), float(y + height * np.sin(x / length + phase) * np.cos(x / (2.3 * length)))) for x in xs]
    return [*crest, (WIDTH + 60, HEIGHT + 60), (-60, HEIGHT + 60)]


def mix(a: str, b: str, t: float) -> str:
    pairs = [(int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in pairs)


# ------------------------------------------------------------------ the cape
def sky(s: Sheet, hour: Hour) -> None:
    top, low = hour.sky
    t = np.clip(s.y / HORIZON, 0, 1)[..., None] ** 1.25
    s.rgb[:] = np.float32([int(top[i : i + 2], 16) for i in (1, 3, 5)]) * (1 - t)
    s.rgb += np.float32([int(low[i : i + 2], 16) for i in (1, 3, 5)]) * t
    colour, x, y, strength = hour.glow
    s.tint(s.glow(x, y, 520, 230, 1.5), colour, strength)
    places = s.rng.uniform((0, 0), (WIDTH, 250), (hour.stars, 2))
    for (sx, sy), size in zip(places, s.rng.uniform(0.7, 1.9, hour.stars), strict=True):
        s.add(s.ellipse(sx, sy, size, size), "#fff0dd", 0.75 * (1 - sy / 300))
    colour, x, y, radius = hour.disc
    s.add(s.glow(x, y, radius * 3, radius * 3), colour, 0.22)
    s.glue(s.ellipse(x, y, radius, radius), colour, shadow=(0, 0, 1, 0))
    for i, (cx, cy, wide, tall) in enumerate(CLOUDS):
        cloud = [(cx - wide, cy + 6), (cx - wide * 0.5, cy - tall), (cx - wide * 0.1, cy - tall * 0.5),
                 (cx + wide * 0.3, cy - tall * 1.4), (cx + wide * 0.7, cy - tall * 0.3), (cx + wide, cy + 8),
                 (cx + wide * 0.2, cy + tall), (cx - wide * 0.6, cy + tall * 0.8)]  # fmt: skip
        shade = mix(*hour.clouds, min(1.0, cy / 300))
        s.glue(s.shape(cloud) * 0.82, shade, shadow=(2, 6, 7, 0.14), rim=0.07 if i % 2 else 0.04)


def sea(s: Sheet, hour: Hour) -> None:
    far, near = hour.headlands
    points = [(-40, 400), (60, 372), (170, 364), (280, 384), (380, 390), (470, 402), (470, 440), (-40, 440)]
    s.glue(s.shape(points), far, shadow=(0, 2, 6, 0.15), rim=0.05)
    points = [(560, 410), (680, 392), (800, 366), (930, 350), (1060, 338), (1320, 330), (1320, 450), (560, 450)]
    s.glue(s.shape(points), near, shadow=(0, 2, 6, 0.2), rim=0.05)
    x = hour.disc[1]
    for i in range(9):
        t = i / 8
        y = HORIZON + 4 + 300 * t**1.45
        shade = mix(*hour.sea, t**0.8)
        strip = s.shape(wave_line(y, 1 + 7 * t, 46 + 90 * t, 1.7 * i), smooth=True)
        s.glue(strip, shade, mix(shade, hour.sea[1], 0.5), shadow=(0, -3, 5, 0.16), rim=0.05 + 0.05 * t)
        path = s.glow(x, y + 8, 46 + 200 * t, 5 + 13 * t, 2) * strip
        s.add(path, hour.shine, 0.34 * (1 - 0.72 * t))


def cape(s: Sheet, hour: Hour) -> None:
    lit, middle, deep = hour.cliff
    back = [
        (1320, 470),
        (1180, 452),
        (1060, 436),
        (930, 424),
        (820, 440),
        (748, 488),
        (716, 560),
        (690, 760),
        (1320, 760),
    ]
    rock = s.glue(s.shape(back), lit, middle, towards=(0.4, 0.9), shadow=(-4, 4, 14, 0.4), rim=0.12)
    for i in range(7):
        x = 760 + 74 * i
        crack = [(x, 448 + 6 * abs(i - 3)), (x - 22, 540), (x + 10, 620), (x - 30, 740)]
        s.tint(s.blur(s.stroke(crack, [2, 15, 7]), 2.5) * rock, deep, 0.45)
    lighthouse(s, hour, 930, 428, 1.0)
    cottage(s, hour)
    front = [
        (1320, 540),
        (1200, 528),
        (1090, 540),
        (1000, 566),
        (900, 616),
        (800, 668),
        (640, 716),
        (600, 760),
        (1320, 760),
    ]
    s.glue(s.shape(front), middle, deep, towards=(0.3, 0.9), shadow=(-3, -4, 12, 0.42), rim=0.10)
    path = [(1010, 470), (1050, 520), (1030, 580), (1096, 640), (1070, 740)]
    s.tint(s.blur(s.stroke(path, [7, 15, 22, 34, 56]), 1.5), mix(lit, hour.shine, 0.42), 0.62)
    for i in range(12):
        x, y = 700 + 50 * i, 716 - 6.4 * i + 16 * np.sin(i * 2.1)
        if abs(x - 1060) > 46:
            tuft(s, x, y, 26 + 10 * np.sin(3.3 * i), hour.grass)


def lighthouse(s: Sheet, hour: Hour, x: float, base: float, k: float) -> None:
    """A tapering white tower with two red bands, a gallery, the lantern and its dome."""
    lit, shade = hour.tower

    def at(dx: float, dy: float) -> Point:
        return x + dx * k, base + dy * k

    body = [at(-38, 16), at(-23, -232), at(23, -232), at(38, 16)]
    tower = s.glue(s.shape(body, smooth=False), lit, shade, towards=(1, 0.1), shadow=(6, 4, 10, 0.4), rim=0.10)
    for y0, y1 in ((-196, -152), (-104, -56)):
        band = s.shape([at(-60, y0), at(60, y0 + 4), at(60, y1 + 4), at(-60, y1)], smooth=False) * tower
        s.glue(band, hour.bands[0], hour.bands[1], towards=(1, 0), shadow=(0, 1, 2, 0.2))
    for y in (-130, -24):
        s.glue(s.ellipse(*at(-3, y), 6 * k, 10 * k), mix(shade, "#20182c", 0.75), shadow=(1, 1, 2, 0.3))
    gallery = [at(-36, -232), at(36, -232), at(32, -246), at(-32, -246)]
    s.glue(s.shape(gallery, smooth=False), mix(shade, "#241d33", 0.55), shadow=(2, 5, 6, 0.45), rim=0.12)
    room = s.shape([at(-19, -246), at(19, -246), at(19, -286), at(-19, -286)], smooth=False)
    s.glue(
        room, mix("#39405c", hour.sky[1], 0.35), mix("#20243a", hour.sky[1], 0.2), towards=(1, 0), shadow=(2, 2, 4, 0.3)
    )
    for dx in (-19, -6.5, 6.5, 19):
        s.glue(s.stroke([at(dx, -246), at(dx, -287)], 2.6 * k), "#1c1829", shadow=(0, 0, 1, 0))
    for dx in np.linspace(-34, 34, 9):
        s.glue(s.stroke([at(dx, -246), at(dx, -262)], 1.5 * k), "#1c1829", shadow=(0, 0, 1, 0))
    s.glue(s.stroke([at(-35, -262), at(35, -262)], 2 * k), "#1c1829", shadow=(0, 1, 2, 0.2))
    dome = [at(-23, -286), at(-17, -304), at(0, -316), at(17, -304), at(23, -286), at(0, -283)]
    s.glue(s.shape(dome), hour.bands[0], hour.bands[1], towards=(1, 0.3), shadow=(2, 4, 5, 0.35), rim=0.12)
    s.glue(s.ellipse(*at(0, -318), 4 * k, 5 * k), hour.bands[1], shadow=(0, 0, 1, 0))


def cottage(s: Sheet, hour: Hour) -> None:
    lit, shade = hour.tower
    wall = [(982, 446), (982, 392), (1120, 398), (1120, 456)]
    s.glue(s.shape(wall, smooth=False), mix(lit, shade, 0.30), mix(shade, "#2a2438", 0.25), towards=(1, 0.2),
           shadow=(6, 4, 9, 0.4), rim=0.08)  # fmt: skip
    roof = [(968, 398), (1002, 352), (1104, 356), (1136, 404)]
    s.glue(
        s.shape(roof, smooth=False), hour.bands[0], hour.bands[1], towards=(0.6, 0.8), shadow=(3, 7, 7, 0.42), rim=0.10
    )
    s.glue(s.shape([(1076, 352), (1076, 324), (1094, 325), (1094, 358)], smooth=False), mix(shade, "#2a2438", 0.4),
           shadow=(2, 3, 4, 0.3))  # fmt: skip
    colour, strength = hour.window
    for x in (1006, 1066):
        pane = s.shape([(x, 414), (x + 24, 415), (x + 24, 440), (x, 439)], smooth=False)
        s.glue(pane, mix("#2a2c40", colour, strength), shadow=(0, 0, 1, 0))
        s.add(s.glow(x + 12, 427, 46, 40), colour, 0.20 * strength)
        s.glue(s.stroke([(x + 12, 414), (x + 12, 440)], 2), "#2b2130", shadow=(0, 0, 1, 0))
    s.glue(
        s.shape([(1036, 450), (1036, 416), (1056, 417), (1056, 451)], smooth=False),
        hour.bands[1],
        shadow=(1, 2, 3, 0.3),
    )


def tuft(s: Sheet, x: float, y: float, tall: float, colours: tuple[str, str]) -> None:
    for i, lean in enumerate((-0.8, -0.45, -0.1, 0.25, 0.6, 0.9)):
        tip = (x + lean * tall * 0.9, y - tall * (1.1 - 0.4 * abs(lean)))
        blade = [(x + lean * 8, y + 10), (x + lean * tall * 0.35, y - tall * 0.5), tip]
        s.glue(s.stroke(blade, [5, 4, 0.8]), colours[i % 2], shadow=(1, 1, 2, 0.2))


def draw_cape(hour: Hour, seed: int) -> np.ndarray:
    s = Sheet(WIDTH, HEIGHT, hour.sky[0], hour.sky[1], seed)
    sky(s, hour)
    sea(s, hour)
    cape(s, hour)
    colour, x, y, strength = hour.glow
    s.add(s.glow(x, y, 700, 420, 1.4), colour, 0.10 * strength)
    if hour.lamp:
        beam(s, 930, 162, hour.lamp)
    return s.finish(grain=1.2)


def beam(s: Sheet, x: float, y: float, strength: float) -> None:
    """The lamp alight: two cones over the sea and the land, brightest at the glass."""
    for far, spread in (((-120, 332), 74), ((1420, 60), 40)):
        reach = np.hypot(far[0] - x, far[1] - y)
        cone = s.shape([(x, y - 7), (far[0], far[1] - spread), (far[0], far[1] + spread), (x, y + 7)], smooth=False)
        fade = np.clip(1 - np.hypot(s.x - x, s.y - y) / (1.05 * reach), 0, 1) ** 0.8
        s.add(s.blur(cone, 5) * fade, "#ffdf9a", 0.50 * strength)
    s.add(s.glow(x, y, 150, 130, 1.2), "#ffcf7c", 0.42 * strength)
    s.glue(s.ellipse(x, y, 15, 17), "#fff6d6", shadow=(0, 0, 1, 0))
    s.add(s.glow(x, y, 34, 32), "#ffe9b0", 0.9 * strength)
    s.add(s.glow(520, 470, 300, 26, 2) * (s.y > HORIZON), "#ffdf9a", 0.16 * strength)


# ------------------------------------------------------------------ the lamp room
def lamp_room() -> np.ndarray:
    """Inside the lantern at night: the great lens, still dark, windows around it, an oil lamp on the keeper's desk."""
    s = Sheet(WIDTH, HEIGHT, "#1d1a2c", "#141120", seed=9)
    windows(s)
    floor = [(-40, 560), (300, 540), (640, 534), (980, 540), (1320, 560), (1320, 780), (-40, 780)]
    planks = s.glue(s.shape(floor), "#5a3b2c", "#24161a", shadow=(0, -4, 10, 0.5), rim=0.05)
    for i in range(-9, 10):
        s.tint(s.blur(s.stroke([(640 + 62 * i, 530), (640 + 178 * i, 760)], [2, 5]), 0.8) * planks, "#1a0f12", 0.55)
    wall = [
        (-40, 470),
        (300, 452),
        (640, 446),
        (980, 452),
        (1320, 470),
        (1320, 566),
        (980, 546),
        (640, 540),
        (300, 546),
        (-40, 566),
    ]
    boards = s.glue(s.shape(wall), "#4a3144", "#2b1c2e", shadow=(0, 5, 9, 0.45), rim=0.10)
    for i in range(-11, 12):
        s.tint(s.stroke([(640 + 60 * i, 440), (640 + 62 * i, 570)], 2) * boards, "#1e1220", 0.5)
    lens(s, 430, 330)
    desk(s)
    s.add(s.glow(1010, 430, 330, 260, 1.5), "#ffb25e", 0.30)
    s.add(s.glow(1010, 430, 120, 100, 1.6), "#ffd38a", 0.28)
    s.tint(1 - s.glow(760, 400, 760, 520, 2.4), "#0b0814", 0.42)
    return s.finish(grain=1.2)


def windows(s: Sheet) -> None:
    """The night behind the glass: sky, sea, a little moon, and iron bars in front."""
    s.tint(np.clip(1 - s.y / 450, 0, 1), "#2b3a66", 0.75)
    s.tint(np.clip((s.y - 250) / 120, 0, 1) * (s.y < 380), "#5b5c86", 0.42)
    s.glue(s.ellipse(742, 128, 26, 26), "#e9e2d2", shadow=(0, 0, 1, 0))
    s.add(s.glow(742, 128, 110, 110), "#9fa9d8", 0.28)
    for i in range(4):
        shade = mix("#33406a", "#161c36", i / 3)
        s.glue(s.shape(wave_line(352 + 26 * i, 4, 70, 2.0 * i)), shade, shadow=(0, -2, 5, 0.22), rim=0.05)
    s.add(s.glow(742, 386, 90, 40), "#b6bce6", 0.14)
    for x in (-10, 196, 402, 640, 878, 1084, 1290):
        lean = (x - 640) * 0.05
        bar = [(x - 9 - lean, -20), (x + 9 - lean, -20), (x + 10, 470), (x - 10, 470)]
        s.glue(s.shape(bar, smooth=False), "#3b2c3f", "#241a2a", towards=(1, 0), shadow=(4, 2, 6, 0.4), rim=0.10)
    for y in (-6, 226):
        rail = [(-40, y + 14), (640, y), (1320, y + 14), (1320, y + 30), (640, y + 15), (-40, y + 30)]
        s.glue(s.shape(rail, smooth=False), "#3b2c3f", "#251b2b", shadow=(2, 5, 6, 0.4), rim=0.10)


def lens(s: Sheet, x: float, y: float) -> None:
    """A Fresnel lens: rings of glass in a brass cage on an iron foot."""
    foot = [(x - 62, 600), (x - 40, 520), (x + 40, 520), (x + 62, 600)]
    s.glue(s.shape(foot, smooth=False), "#5c4a36", "#2b2028", towards=(1, 0), shadow=(6, 6, 10, 0.5), rim=0.10)
    drum = [(x - 150, 512), (x + 150, 512), (x + 138, 546), (x - 138, 546)]
    s.glue(s.shape(drum, smooth=False), "#a97c3f", "#523a2a", towards=(1, 0.2), shadow=(5, 7, 10, 0.5), rim=0.16)
    glass = [(x - 118, 512), (x - 146, 400), (x - 150, 300), (x - 122, 178), (x - 60, 112), (x + 60, 112),
             (x + 122, 178),
             (x + 150, 300), (x + 146, 400), (x + 118, 512)]  # fmt: skip
    body = s.glue(s.shape(glass), "#9fc4cc", "#3d5a78", towards=(0.9, 0.5), shadow=(7, 8, 14, 0.5), rim=0.12)
    for i, radius in enumerate(np.linspace(142, 26, 8)):
        ring = s.ellipse(x, y, radius, radius * 1.22) * body
        inner = s.ellipse(x, y, radius - 8, (radius - 8) * 1.22)
        s.tint(np.clip(ring - inner, 0, 1), "#e6f6f2" if i % 2 else "#24405e", 0.40)
        edge = s.blur(np.clip(ring - s.moved(ring, 2.4, 3), 0, 1), 0.8)
        s.add(edge * body, "#f6fbef", 0.36)
    s.glue(s.ellipse(x, y, 22, 28), "#d8e9e2", "#6d93a3", shadow=(2, 3, 5, 0.35), rim=0.2)
    for dx in (-150, -78, 78, 150):
        bar = [(x + dx * 0.52, 108), (x + dx, y - 20), (x + dx * 0.86, 514)]
        s.glue(s.stroke(bar, [6, 9, 7]), "#c99a4f", "#7a5630", towards=(1, 0), shadow=(3, 4, 5, 0.4))
    crown = [(x - 74, 116), (x - 40, 84), (x, 70), (x + 40, 84), (x + 74, 116), (x, 124)]
    s.glue(s.shape(crown), "#c4923f", "#6b4a2c", towards=(1, 0.4), shadow=(4, 6, 7, 0.45), rim=0.18)


def desk(s: Sheet) -> None:
    """The keeper's desk with a log-book, a brass can and a burning oil lamp."""
    for x in (886, 1156):
        s.glue(s.shape([(x, 560), (x + 20, 560), (x + 16, 700), (x + 4, 700)], smooth=False), "#4e3326", "#24161a",
               shadow=(4, 4, 7, 0.5))  # fmt: skip
    top = [(850, 530), (1210, 530), (1226, 560), (836, 560)]
    s.glue(s.shape(top, smooth=False), "#9a6a3e", "#5b3a28", towards=(0.4, 0.9), shadow=(3, 9, 10, 0.5), rim=0.16)
    for points, near, far in (([(892, 530), (900, 516), (968, 514), (968, 530)], "#f3e6cd", "#cbb48d"),
                              ([(968, 530), (968, 514), (1036, 518), (1044, 531)], "#e6d5b4", "#b99e74")):  # fmt: skip
        s.glue(s.shape(points, smooth=False), near, far, towards=(1, 0), shadow=(2, 4, 5, 0.4), rim=0.12)
    can = [(1098, 530), (1094, 478), (1108, 462), (1146, 462), (1160, 478), (1156, 530)]
    s.glue(s.shape(can, smooth=False), "#d6a04b", "#70481f", towards=(1, 0.1), shadow=(5, 6, 7, 0.5), rim=0.2)
    s.glue(s.stroke([(1158, 486), (1190, 462), (1204, 440)], [9, 7, 4]), "#b9833a", shadow=(3, 4, 4, 0.4))
    s.glue(s.stroke([(1104, 466), (1127, 434), (1150, 466)], 5), "#8a5d29", shadow=(2, 3, 4, 0.4))
    base = [(1040, 532), (1032, 506), (1050, 490), (1082, 490), (1096, 506), (1088, 532)]
    s.glue(s.shape(base), "#b27a36", "#5f3a1d", towards=(1, 0.2), shadow=(4, 5, 6, 0.5), rim=0.2)
    chimney = [(1050, 490), (1044, 452), (1056, 414), (1056, 392), (1076, 392), (1076, 414), (1088, 452), (1082, 490)]
    s.glue(s.shape(chimney) * 0.45, "#ffe9bd", shadow=(0, 0, 1, 0), rim=0.10)
    flame = [(1058, 482), (1054, 462), (1066, 430), (1078, 462), (1074, 482)]
    s.glue(s.shape(flame), "#fff3c0", "#ff9d3c", towards=(0, 1), shadow=(0, 0, 1, 0))
    s.add(s.glow(1066, 458, 46, 60), "#ffcf7a", 0.75)


PLACES = {
    "cape_dusk": lambda: draw_cape(DUSK, 5),
    "cape_dawn": lambda: draw_cape(DAWN, 6),
    "cape_night": lambda: draw_cape(NIGHT, 7),
    "lamp_room": lamp_room,
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PLACES.items():
        path = folder / f"{name}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        print(f"{path}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
