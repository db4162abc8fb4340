"""PLACES: how to draw each environment, far to near, on a stage. One line per place."""

from collections.abc import Callable, Mapping

from studio.pipelines.draft.places import city, forest, interior, land, sea, space
from studio.pipelines.draft.stage import Stage

PLACES: Mapping[str, Callable[[Stage], None]] = {
    "space": space.draw,
    "interior": interior.draw,
    "city": city.draw,
    "forest": forest.draw,
    "sea": sea.draw,
    "desert": land.desert,
    "mountain": land.mountain,
    "village": land.village,
    "hills": land.hills,
}
