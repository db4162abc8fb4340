"""One to four reference pictures become a shot: cut-outs stand before a plate, one photograph gets depth of its own.

Knows no files and no tasks.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from studio.pipelines.draft.figures import breathing, striding
from studio.pipelines.draft.layers import Layer, shrunk
from studio.pipelines.draft.look import FACE_SHARE
from studio.pipelines.draft.matte import Cutout, cut_out, main_face
from studio.pipelines.draft.palette import Palette
from studio.pipelines.draft.pictures import covering
from studio.pipelines.draft.plates import filled_behind, lit_like, widened
from studio.pipelines.draft.prompt import Directions, seed_of

TALL = {"wide": 0.70, "medium": 0.86, "close": 1.28, "extreme": 1.7}  # a figure's height, of the frame
CROWD = {1: 1.0, 2: 0.94, 3: 0.84, 4: 0.74}
NEAR_CROWD = {1: 1.0, 2: 0.84, 3: 0.76, 4: 0.70}  # a close-up of two is a medium close-up, shoulder to shoulder
STANDS = {1: (0.5,), 2: (0.30, 0.70), 3: (0.21, 0.50, 0.79), 4: (0.15, 0.385, 0.615, 0.85)}
PLATE_SCALE = {"wide": 1.22, "medium": 1.3, "close": 1.6, "extreme": 1.9}
PLATE_DEFOCUS = {"wide": 0.8, "medium": 3.2, "close": 7.0, "extreme": 10.0}  # pixels at 720 lines
PHOTO_ZOOM = {"wide": 1.0, "medium": 1.0, "close": 1.35, "extreme": 1.8}
SHADOW_ROOM = 0.12  # of a figure's height
PICTURE_ZOOM = {"wide": 1.10, "medium": 1.12, "close": 1.5, "extreme": 2.0}


@dataclass(frozen=True, slots=True)
class Cast:
    """Reference pictures sorted by what they are for."""

    people: list[Cutout]
    plates: list[np.ndarray]  # BGR
    how: list[str]  # one word per picture, in order


def sort_references(pictures: list[np.ndarray]) -> Cast:
    """Who is a person, what is a place. pictures: BGR + alpha."""
    cast = Cast([], [], [])
    for picture in pictures:
        height, width = picture.shape[:2]
        found = cut_out(picture)
        # a wide picture with somebody small in it is a place, where others are there to stand in it
        place = width > 1.25 * height and len(pictures) > 1 and not cast.plates and found and found.cover < 0.12
        if found and (found.how != "grabcut" or (found.confidence > 0.6 and not place)):
            cast.people.append(found)
            cast.how.append(found.how)
        else:
            cast.plates.append(np.ascontiguousarray(picture[..., :3]))
            cast.how.append("plate")
    return cast


def needs_plate(cast: Cast) -> bool:
    """People without a place: they borrow the drawn one."""
    return not cast.plates and not _is_photograph(cast)


def _is_photograph(cast: Cast) -> bool:
    return len(cast.people) == 1 and not cast.plates and cast.people[0].how == "grabcut"


def animate(picture: np.ndarray, directions: Directions, size: tuple[int, int]) -> tuple[list[Layer], str]:
    """One picture (BGR + alpha) as the first frame of a shot: with depth where somebody stands out. -> layers, how."""
    whole = replace(directions, size="wide")  # the picture already is framed
    found = cut_out(picture)
    if found and found.how != "alpha" and found.confidence > 0.6:
        return _photograph(found, whole, size), found.how
    opaque = picture[..., :3]
    if found and found.how == "alpha":  # over a quiet wall of its own colours
        share = picture[..., 3:].astype(np.float32) / 255
        inside = picture[..., 3] > 128
        wall = np.median(opaque[inside], axis=0) * 0.35 + 40 if inside.any() else np.full(3, 60.0)
        opaque = (opaque * share + wall * (1 - share)).astype(np.uint8)
    return _pictures([np.ascontiguousarray(opaque)], whole, size), "plate"


def compose(
    cast: Cast, prompt: str, directions: Directions, size: tuple[int, int], seed: int,
    drawn: tuple[list[Layer], Palette] | None = None,
) -> list[Layer]:  # fmt: skip
    """Layers, far to near. drawn: the borrowed place, where one is needed."""
    if _is_photograph(cast):
        return _photograph(cast.people[0], directions, size)
    if not cast.people:
        return _pictures(cast.plates, directions, size)
    if cast.plates:
        plate = cast.plates[0]
        if plate.shape[1] / plate.shape[0] < size[0] / size[1] * 0.8:
            plate = widened(plate, size[0] / size[1])
        plate = covering(plate, size)
        blur = PLATE_DEFOCUS[directions.size] * size[1] / 720
        far = [
            Layer(plate, size[0] / 2, size[1] / 2, size[1] * PLATE_SCALE[directions.size], 2.3, blur=blur, largest=1.12)
        ]
    else:
        assert drawn is not None
        far, palette = drawn
        plate = light_of(palette)
    return far + _standing(cast.people[:4], plate, prompt, directions, size, seed)


def _photograph(person: Cutout, directions: Directions, size: tuple[int, int]) -> list[Layer]:
    """One photograph with depth: the person before the plate that was filled in behind."""
    width, height = size
    bgr, alpha = np.ascontiguousarray(person.image[..., :3]), person.image[..., 3]
    plate = filled_behind(bgr, alpha)
    front, shift = person.image, 0
    if bgr.shape[1] / bgr.shape[0] < width / height * 0.8:
        plate = widened(plate, width / height)
        shift = (plate.shape[1] - bgr.shape[1]) // 2
        columns = np.arange(bgr.shape[1])
        fade = np.minimum(1, np.minimum(columns, columns[::-1]) / (bgr.shape[1] * 0.09))
        front = np.zeros((*plate.shape[:2], 4), np.uint8)
        front[:, shift : shift + bgr.shape[1]] = np.dstack([bgr, (alpha * fade[None]).astype(np.uint8)])
    rows, columns = plate.shape[:2]
    at_x = at_y = 0.5
    if face := person.face:
        at_x, at_y = (face.x + face.width / 2 + shift) / columns, (face.y + face.height * 0.9) / rows
    scale = max(width / columns, height / rows) * 1.06 * PHOTO_ZOOM[directions.size]
    x = width / 2 - (at_x - 0.5) * columns * scale
    y = height / 2 - (at_y - 0.5) * rows * scale - (height * 0.04 if PHOTO_ZOOM[directions.size] > 1 else 0)
    x = _within(x, columns * scale, width, width * 0.03)
    y = _within(y, rows * scale, height, height * 0.02)
    return [
        Layer(plate, x, y, rows * scale, 1.55, blur=1.2),
        Layer(front, x, y, rows * scale, 1.0, breathing(0, 0.45)),
    ]


def _within(middle: float, extent: float, frame: float, slack: float) -> float:
    """A picture's middle, such that it still covers the frame."""
    low, high = frame - extent / 2 + slack, extent / 2 - slack
    return frame / 2 if low > high else float(np.clip(middle, low, high))


def _pictures(plates: list[np.ndarray], directions: Directions, size: tuple[int, int]) -> list[Layer]:
    """Places only: one fills the frame, further ones float before it as framed prints."""
    width, height = size
    first = plates[0]
    if first.shape[1] / first.shape[0] < width / height * 0.8:
        first = widened(first, width / height)
    alone = len(plates) == 1
    face = main_face(first) if alone else None
    scale = max(width / first.shape[1], height / first.shape[0]) * PICTURE_ZOOM[directions.size]
    rows, columns = first.shape[0] * scale, first.shape[1] * scale
    x = y = 0.5
    if face is not None and face.width > 0.2 * min(first.shape[:2]):
        x, y = (face.x + face.width / 2) / first.shape[1], (face.y + face.height / 2) / first.shape[0]
    x = _within(width / 2 - (x - 0.5) * columns, columns, width, width * 0.03)
    y = _within(height / 2 - (y - 0.5) * rows, rows, height, height * 0.02)
    layers = [Layer(first, x, y, rows, 1.0 if alone else 1.6, blur=0 if alone else 6 * height / 720, largest=1.2)]
    for index, picture in enumerate(plates[1:4]):
        printed = _framed_print(picture)
        at = 0.5 + (index - (len(plates) - 2) / 2) * 0.30
        tall = min(height * 0.52, width * 0.27 * printed.shape[0] / printed.shape[1])
        sheet, tall = with_shadow(printed, stands=False), tall * (1 + 2 * SHADOW_ROOM)
        layers.append(Layer(sheet, width * at, height * 0.50, tall, 1.0, breathing(index * 1.7, 0.5), (0.5, 0.5)))
    return layers


def _framed_print(picture: np.ndarray) -> np.ndarray:
    edge = max(6, round(min(picture.shape[:2]) * 0.03))
    framed = cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(228, 234, 238))
    return np.dstack([framed, np.full(framed.shape[:2], 255, np.uint8)])


def with_shadow(image: np.ndarray, *, stands: bool = True, strength: float = 0.42) -> np.ndarray:
    """A cut-out (h, w, 4) on the soft shadow it throws behind itself: SHADOW_ROOM * h wider on each side and above, and
    below too unless it stands on the frame's edge. One layer instead of two."""
    room = int(image.shape[0] * SHADOW_ROOM)
    sheet = cv2.copyMakeBorder(image, room, 0 if stands else room, room, room, cv2.BORDER_CONSTANT)
    alpha = sheet[..., 3].astype(np.float32) / 255
    small = cv2.resize(alpha, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, small.shape[0] * 0.02], [0, 1, small.shape[0] * 0.015]], np.float32)
    small = cv2.warpAffine(small, shift, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, room * 0.084), borderType=cv2.BORDER_REPLICATE)
    dark = cv2.resize(small, alpha.shape[::-1]) * strength
    total = alpha + dark * (1 - alpha)
    lit = (alpha / np.maximum(total, 1e-3))[..., None]
    return np.dstack([sheet[..., :3] * lit, total * 255]).astype(np.uint8)


def _standing(
    people: list[Cutout], plate: np.ndarray, prompt: str, directions: Directions, size: tuple[int, int], seed: int
) -> list[Layer]:
    width, height = size
    shot, count = directions.size, len(people)
    chance = np.random.default_rng(seed_of("standing", prompt, seed))
    places = list(STANDS[count])
    if count == 1 and shot != "extreme":
        places = [0.5 + 0.085 * float(chance.choice([-1, 1]))]
    near = shot in ("close", "extreme")
    layers = []
    for index, person in enumerate(people):
        image = person.trimmed()
        back_row = count >= 3 and index % 2 == 1
        tall = height * TALL[shot] * (NEAR_CROWD if near else CROWD)[count] * (0.93 if back_row else 1.0)
        wide = tall * image.shape[1] / image.shape[0]
        most = width * (0.86 if count == 1 else 1.02 / count) * (1.25 if near else 1.0)
        tall *= min(1.0, most / wide)
        image = shrunk(image, min(1.0, tall * 1.3 / image.shape[0]))
        depth = 1.2 if back_row else 1.0
        y = height * 1.015 - tall / 2
        if near:  # heads must not leave the frame
            y = max(height - tall / 2, height * 0.08 + tall / 2)
        walking = "walking" in directions.features and shot == "wide"
        motion = striding(index * 2.1, 0.02) if walking else breathing(index * 2.1)
        sheet, whole = with_shadow(lit_like(image, plate)), tall * (1 + SHADOW_ROOM)
        y = y + height * 0.012 - (whole - tall) / 2
        layers.append((depth, Layer(sheet, width * places[index], y, whole, depth, motion, graded=FACE_SHARE)))
    return [layer for _, layer in sorted(layers, key=lambda pair: -pair[0])]


def light_of(palette: Palette) -> np.ndarray:
    """A small picture, (1, 4, 3) uint8 BGR, whose mean is the light of a drawn place."""
    return np.array([[palette.middle, palette.horizon, palette.far, palette.near]]).astype(np.uint8)


def dimmed(layers: list[Layer]) -> list[Layer]:
    """Drawn layers that take the shot's grade as photographs do."""
    return [replace(layer, graded=1.0) for layer in layers]
