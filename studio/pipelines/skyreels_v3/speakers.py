"""Who speaks when, and where in the picture: one track and one mask per person. Knows no network."""

from collections.abc import Sequence

import numpy as np

from studio.errors import Refused
from studio.pipelines.base import Inputs
from studio.pipelines.skyreels_v3.audio import RATE, levelled, load16
from studio.pipelines.skyreels_v3.sizes import CELL

MARGIN = 0.05  # of a half, on each of its sides, where nobody said where the people are

Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of a picture


def tracks(inputs: Inputs, most: int) -> list[np.ndarray]:
    """One (n,) float32 at 16 kHz and -23 LUFS per person, as long as the scene: of their own recordings, else of the
    lines in the order in which they first speak, else of the soundtrack.

    Raises MediaError, and Refused("avatar.too_many_speakers") if there are more than `most`."""
    said = _said(inputs)
    if len(said) > most:
        raise Refused("avatar.too_many_speakers", count=len(said), most=most)
    loaded = [[(load16(path), round(start * RATE)) for path, start in sounds] for sounds in said]
    if inputs.duration is None:
        length = max(at + len(sound) for sounds in loaded for sound, at in sounds)
    else:
        length = round(inputs.duration * RATE)
    return [levelled(_laid(sounds, length)) for sounds in loaded]


def _said(inputs: Inputs) -> list[list[tuple]]:
    """(file, second at which it starts) of each person."""
    if inputs.recordings:
        return [[recording] for recording in inputs.recordings]
    people: dict[str, list[tuple]] = {}
    for line in sorted(inputs.lines, key=lambda line: line.start):
        people.setdefault(line.character, []).append((line.path, line.start))
    if people:
        return list(people.values())
    if inputs.soundtrack is None:
        raise Refused("avatar.silent")
    return [[(inputs.soundtrack, 0.0)]]


def _laid(sounds: Sequence[tuple[np.ndarray, int]], length: int) -> np.ndarray:
    track = np.zeros(length, np.float32)
    for sound, at in sounds:
        heard = sound[: max(0, length - at)]
        track[at : at + len(heard)] += heard
    return track


def check(count: int, boxes: Sequence[Box]) -> None:
    """Are `boxes` places of `count` people? None at all are: then the picture is halved.

    Raises Refused("avatar.boxes_count"), Refused("avatar.boxes_overlap")."""
    if boxes and len(boxes) != count:
        raise Refused("avatar.boxes_count", boxes=len(boxes), count=count)
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            if max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3]):
                raise Refused("avatar.boxes_overlap")


def masks(count: int, boxes: Sequence[Box], picture: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(count + 1, height, width) float32, 1 where each person is, last where nobody is.

    `boxes`: in shares of a picture of `picture` (height, width) pixels that is then scaled and cropped about its middle
    to fill `size` (height, width). Raises Refused as `check`, and "avatar.box_outside", "avatar.box_small"."""
    check(count, boxes)
    height, width = size
    people = np.zeros((count + 1, height, width), np.float32)
    places = [_cropped(box, picture, size) for box in boxes] or _parts(count, height, width)
    for number, (left, top, right, bottom) in enumerate(places):
        if right <= left or bottom <= top:
            raise Refused("avatar.box_outside", number=number + 1)
        people[number, top:bottom, left:right] = 1
        if not people[number, ::CELL, ::CELL].any():  # the network looks at one pixel of each cell
            raise Refused("avatar.box_small", number=number + 1, pixels=CELL)
    people[count] = 1 - people[:count].max(axis=0)
    return people


def _parts(count: int, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """One person everywhere; two in the halves of the picture, without their edges."""
    if count == 1:
        return [(0, 0, width, height)]
    part = width // count
    top, bottom = int(height * MARGIN), int(height * (1 - MARGIN))
    return [
        (number * part + int(part * MARGIN), top, number * part + int(part * (1 - MARGIN)), bottom)
        for number in range(count)
    ]


def _cropped(box: Box, picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixels of the picture that fills `size`."""
    (height, width), (tall, wide) = picture, size
    scale = max(tall / height, wide / width)
    left, right = (round(share * width * scale - (width * scale - wide) / 2) for share in (box[0], box[2]))
    top, bottom = (round(share * height * scale - (height * scale - tall) / 2) for share in (box[1], box[3]))
    return max(left, 0), max(top, 0), min(right, wide), min(bottom, tall)
