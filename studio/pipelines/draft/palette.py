"""The light of a place: six colours per time of day. Knows no shapes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from studio.pipelines.draft.prompt import seed_of

Colour = np.ndarray  # (3,) float32 BGR in 0..255


@dataclass(frozen=True, slots=True)
class Palette:
    top: Colour  # of the sky
    middle: Colour
    horizon: Colour
    far: Colour  # silhouettes in the distance
    near: Colour  # and at hand
    light: Colour  # sun, moon, lamps


def colour(code: str) -> Colour:
    """ "#e8a855" -> BGR."""
    return np.array([int(code[i : i + 2], 16) for i in (5, 3, 1)], np.float32)


def mix(a: np.ndarray, b: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """`share` of b in a: colours, or whole pictures with a share per pixel."""
    return a + (b - a) * share


WHITE = np.array([255, 255, 255], np.float32)

_CODES: Mapping[str | None, tuple[str, ...]] = {
    "night": (
        "#070b1d #16214a #3a4a86 #2b3a6e #05070f #ffd98c",
        "#0a0a1f #241a4a #5a3f7d #3c2f66 #07050f #ffc27a",
        "#050d1a #0f2c46 #2f6076 #1f4256 #04080d #ffe0a0",
    ),
    "sunset": (
        "#2b1b4b #b8405e #f9b16e #a24a6c #1d0f26 #ffe0a3",
        "#1f2a52 #d4646a #ffc978 #8f5674 #180f22 #fff0c0",
        "#1b2145 #8e4a6c #f08d5a #7a4468 #150d1d #ffd38c",
    ),
    "dawn": (
        "#5a6fa8 #e4a5a0 #fbe3c8 #a78fa6 #2a2440 #fff4d6",
        "#6f8fb5 #f0c3b0 #fff0da #9fa3b8 #2b2f4a #ffffff",
    ),
    "storm": (
        "#1d262e #46545f #87959c #5c6a73 #0d1216 #dfe9ee",
        "#1c2230 #414a62 #8a8f9f #565d75 #0c0e16 #e6e9f4",
    ),
    "day": (
        "#3f8ec6 #8fc7e3 #e6f4f3 #86b3bf #17323a #fff8dc",
        "#5aa2cf #b4dbe8 #f6f3df #8fb7a4 #1c3a2f #fffbe3",
    ),
    None: (
        "#1b2a41 #3e5c76 #c9b79c #5e6f80 #0c1420 #f0ead6",
        "#2d2a4a #7a5c8a #e8b4a0 #76608f #15122a #ffe9d6",
        "#0f2e2e #3d7068 #e0cfa0 #4f7d72 #071a1a #fff3cf",
        "#3b1f2b #9b4f4f #eec59a #8a5560 #1a0c12 #fff0d8",
    ),
}
PALETTES: Mapping[str | None, tuple[Palette, ...]] = {
    time: tuple(Palette(*map(colour, row.split())) for row in rows) for time, rows in _CODES.items()
}


def palette_for(time: str | None, style: str) -> Palette:
    """The same for all shots of one style at one time of day."""
    choices = PALETTES[time]
    return choices[seed_of("palette", style) % len(choices)]
