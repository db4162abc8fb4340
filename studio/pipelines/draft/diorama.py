"""A drawn shot: the place the words name, in the light they name, with the people they name, as layers.

Nobody mistakes it for a model's output. Place and palette follow the style, so that the shots of a queue agree; where
the camera stands follows prompt and seed. Knows no files.
"""

from dataclasses import replace

import numpy as np

from studio.pipelines.draft.figures import breathing, bust, person, striding
from studio.pipelines.draft.layers import Layer, Pose
from studio.pipelines.draft.palette import Palette, mix, palette_for
from studio.pipelines.draft.paper import Paper
from studio.pipelines.draft.places import PLACES
from studio.pipelines.draft.places.forest import foreground
from studio.pipelines.draft.prompt import Directions, anywhere, seed_of
from studio.pipelines.draft.stage import Stage

FIGURE_HEIGHT = {"wide": 0.30, "medium": 0.98, "close": 1.95, "extreme": 2.7}  # of the frame
FIGURE_BASE = {"medium": 0.30, "close": 0.52, "extreme": 0.60}  # how far below 0.93 of the sheet they stand
PLACES_OF = {1: (0.5,), 2: (0.37, 0.62), 3: (0.30, 0.50, 0.69)}  # fractions of the frame's width
ZOOM = {"wide": 1.0, "medium": 1.07, "close": 1.22, "extreme": 1.35}  # a longer lens for nearer shots
DEFOCUS = {"wide": 0.0, "medium": 1.3, "close": 4.5, "extreme": 7.0}  # of what is behind people, pixels at 720 lines
HAZY, HAZE = 5.0, 0.8  # layers this far lie in haze: a blur in pixels at 720 lines, which also draws faster
LEAFY = ("forest", "mountain", "hills")


def place_of(directions: Directions, style: str) -> str:
    return directions.environment or anywhere(style)


def time_of(directions: Directions, style: str) -> str | None:
    if directions.time is None and place_of(directions, style) == "space":
        return "night"
    return directions.time


def diorama(
    prompt: str, directions: Directions, size: tuple[int, int], seed: int, style: str, *, figures: bool = True
) -> tuple[list[Layer], Palette]:
    """Layers, far to near, and the palette they were painted with."""
    place, time = place_of(directions, style), time_of(directions, style)
    palette = palette_for(time, style)
    stage = Stage(
        size, palette, time, directions.weather, directions.features, directions.size,
        directions.people if figures else 0, np.random.default_rng(seed_of(style, place)),
    )  # fmt: skip
    PLACES[place](stage)
    chance = np.random.default_rng(seed_of(prompt, seed, "staging"))
    if "birds" in directions.features and place not in ("interior", "space"):
        _birds(stage, chance)
    people = directions.people if figures else 0
    stage.layers = _framed(
        stage.layers,
        size,
        directions,
        chance,
        defocus=place != "space" and (bool(people) or not figures),
        hazy=place != "space",
    )
    if people:
        _people(stage, directions, people, chance)
    if place == "forest" or (place in LEAFY and directions.size == "wide"):
        foreground(stage)
    return stage.layers, palette


def _framed(
    layers: list[Layer],
    size: tuple[int, int],
    directions: Directions,
    chance: np.random.Generator,
    defocus: bool,
    hazy: bool,
) -> list[Layer]:
    """The camera's own standpoint: a step aside, a longer lens and a shallower focus for nearer shots."""
    width, height = size
    aside, zoom = chance.uniform(-0.22, 0.22) * height, ZOOM[directions.size]
    blur = DEFOCUS[directions.size] * height / 720 if defocus else 0.0
    return [
        replace(
            layer,
            x=width / 2 + (layer.x - width / 2) * zoom - aside / layer.depth,
            y=height * 0.55 + (layer.y - height * 0.55) * zoom,
            height=layer.height * zoom,
            blur=max(
                layer.blur,
                blur * min(1.0, 0.35 + layer.depth / 9),
                HAZE * height / 720 if hazy and layer.depth >= HAZY else 0,
            ),
        )
        for layer in layers
    ]


def _people(stage: Stage, directions: Directions, count: int, chance: np.random.Generator) -> None:
    width, height = stage.frame
    palette, size = stage.palette, directions.size
    walking = "walking" in directions.features
    places = [0.5 + 0.1 * chance.choice([-1, 1])] if count == 1 else list(PLACES_OF[count])
    sheet = stage.height
    tall_all = FIGURE_HEIGHT[size] * height
    base = sheet * 0.865 if size == "wide" else sheet * 0.93 + tall_all * FIGURE_BASE[size]
    for index, place in enumerate(places):
        woman = index < directions.women
        tall = tall_all * (0.96 if index % 2 else 1.0) * (0.94 if woman else 1.0)
        facing = 1 if place < 0.5 else -1
        paper = Paper(int(tall * 0.62), sheet)
        if size == "wide":
            person(paper, paper.width / 2, base, tall, chance, facing, woman, walking)
        else:
            bust(paper, paper.width / 2, base, tall, chance, facing, woman)
        x = stage.width / 2 + (place - 0.5) * width
        image = paper.painted(
            mix(palette.near, palette.far, 0.10), palette.near, rim=mix(palette.light, palette.horizon, 0.45),
            rim_from=1 if stage.sun[0] > x else -1, span=(base - tall, base),
        )  # fmt: skip
        rows = np.flatnonzero(image[..., 3].any(axis=1))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        speed = 0.035 * facing * (1 if size == "wide" else 0.4)
        motion = striding(index * 2.0, speed) if walking and size == "wide" else breathing(index * 2.0, 0.6)
        stage.stand_part(image[top:bottom], x, (top + bottom) / 2, 1.0 + 0.06 * index, motion=motion)


def _birds(stage: Stage, chance: np.random.Generator) -> None:
    """A few birds far off that beat their wings and cross the sky."""
    height = stage.height
    for _ in range(5):
        span = height * chance.uniform(0.012, 0.022)
        paper = Paper(int(span * 2.4), int(span * 1.2))
        x, y = span * 1.2, span * 0.8
        for side in (-1, 1):
            paper.polygon(
                [
                    (x, y),
                    (x + side * span * 0.5, y - span * 0.42),
                    (x + side * span, y - span * 0.2),
                    (x + side * span * 0.5, y - span * 0.26),
                ]
            )
        image = paper.painted(stage.palette.near, stage.palette.near)
        beat, speed = chance.uniform(1.6, 2.4), chance.uniform(0.03, 0.05)

        def flying(seconds: float, beat: float = beat, speed: float = speed) -> Pose:
            return Pose(
                dx=speed * seconds, dy=-0.25 * speed * seconds, stretch_y=float(np.cos(2 * np.pi * beat * seconds))
            )

        at = (stage.width * chance.uniform(0.25, 0.55), height * chance.uniform(0.18, 0.42))
        stage.stand_part(image, *at, 5.5, motion=flying, pivot=(0.5, 0.66))
