"""Who is in a portrait, who of them speaks, and where the user says that a mouth and eyes are. Moves nothing.

A click is trusted: a mouth that somebody pointed at moves, whatever the evidence says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from studio.domain import SpokenLine
from studio.media.faces import Eye, Face, all_faces, find_face
from studio.pipelines.draft.landmarks import (
    LEAST_APART,
    MOUTH_BELOW_EYES,
    Landmarks,
    Lips,
    MouthPatch,
    find_landmarks,
    flat_face,
    marks_of,
)

Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of a picture
BOX_WIDTH = 2.5  # of a face, in distances between its eyes
EYES_DOWN = 0.42  # of its height
MOUTH_WIDTH = 0.62  # in distances between the eyes, where nobody clicked them
EYE_HALF_WIDTH, EYE_ABOVE, EYE_BELOW = 0.20, 0.09, 0.08  # where a clicked eye cannot be told from what is around it
EYE_REACH = (0.40, 0.42)  # farthest that one is looked for, right and down
UNLIKE_SKIN = 20.0  # distance in Lab


@dataclass(frozen=True, slots=True)
class Clicked:
    """What a user says of a face, in shares of the picture."""

    mouth: tuple[float, float, float] | None = None  # middle, and width
    eyes: tuple[tuple[float, float], tuple[float, float]] | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: from where in the picture, and what. Nothing of it need be known."""

    box: Box | None = None
    lines: tuple[SpokenLine, ...] = ()
    recording: tuple[Path, float] | None = None  # in place of lines, and the second at which it starts


def people_in(
    bgr: np.ndarray, boxes: Sequence[Box | None], clicked: Clicked | None
) -> list[tuple[Landmarks, int | None]]:
    """(landmarks, whose voice it is) of everybody who moves, (H, W, 3) uint8 BGR; None: somebody who listens. `boxes`:
    one for each voice, where that is known.

    Several voices in a picture of one face are that face's: it has the index 0. Never empty."""
    told = clicked if clicked and (clicked.mouth or clicked.eyes) else None
    if len(boxes) < 2 and not any(boxes):
        return [(_clicked(bgr, told) if told else find_landmarks(bgr), 0)]
    found = [marks_of(bgr, *one) for one in all_faces(bgr)]
    places = _places(boxes, found, bgr.shape[1::-1])
    speaking = [_in_place(bgr, place, found) for place in places]
    if told:
        index = next((i for i, place in enumerate(places) if _holds(place, _point(told))), 0)
        speaking[index] = _clicked(bgr, told)
    people: list[tuple[Landmarks, int | None]] = []
    for index, marks in enumerate(speaking):
        if marks and not any(_overlap(marks.face, one.face) for one, _ in people):
            people.append((marks, index))
    others = [marks for marks in found if not any(_overlap(marks.face, one.face) for one, _ in people)]
    return [*people, *((marks, None) for marks in others[:2])] if people else [(find_landmarks(bgr), 0)]


def _places(boxes: Sequence[Box | None], found: Sequence[Landmarks], size: tuple[int, int]) -> list[Box]:
    """Where each voice is: as the user says, else the faces from left to right, else a part of the picture each."""
    said = [box for box in boxes if box]
    if len(said) == len(boxes):
        return said
    (width, height), count = size, len(boxes)
    largest = sorted(found, key=lambda marks: -marks.face.width)[:count]
    faces = [marks.face for marks in sorted(largest, key=lambda marks: marks.face.x)]
    if len(faces) == count:
        return [
            (face.x / width, face.y / height, (face.x + face.width) / width, (face.y + face.height) / height)
            for face in faces
        ]
    return [(i / count, 0.0, (i + 1) / count, 1.0) for i in range(count)]


def _in_place(bgr: np.ndarray, place: Box, found: Sequence[Landmarks]) -> Landmarks | None:
    """The face whose middle lies in a box, else one that a closer look finds there."""
    height, width = bgr.shape[:2]
    for marks in found:
        face = marks.face
        if _holds(place, ((face.x + face.width / 2) / width, (face.y + face.height / 2) / height)):
            return marks
    left, top = int(place[0] * width), int(place[1] * height)
    part = bgr[top : max(top + 1, int(place[3] * height)), left : max(left + 1, int(place[2] * width))]
    seen = find_face(np.ascontiguousarray(part)) if min(part.shape[:2]) >= 24 else None
    return marks_of(part, *seen).moved(1.0, left, top) if seen else None


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _point(clicked: Clicked) -> tuple[float, float]:
    if clicked.mouth:
        return clicked.mouth[0], clicked.mouth[1]
    (a, b), (c, d) = clicked.eyes or ((0.0, 0.0), (0.0, 0.0))
    return (a + c) / 2, (b + d) / 2


def _overlap(one: Face, other: Face) -> bool:
    return (
        abs(one.x + one.width / 2 - other.x - other.width / 2) < 0.5 * max(one.width, other.width)
        and abs(one.y + one.height / 2 - other.y - other.height / 2) < 0.5 * max(one.height, other.height)
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ what a user clicked
def _clicked(bgr: np.ndarray, clicked: Clicked) -> Landmarks:
    """Landmarks of the face whose mouth or eyes were pointed at. What leaves no room for a face stays still."""
    height, width = bgr.shape[:2]
    eyes = sorted((x * width, y * height) for x, y in clicked.eyes) if clicked.eyes else None
    mouth = None
    if clicked.mouth:
        mouth = clicked.mouth[0] * width, clicked.mouth[1] * height, clicked.mouth[2] * width
    if eyes:
        apart = math.hypot(eyes[1][0] - eyes[0][0], eyes[1][1] - eyes[0][1])
        x, y = (eyes[0][0] + eyes[1][0]) / 2, (eyes[0][1] + eyes[1][1]) / 2
    else:
        assert mouth is not None
        apart = mouth[2] / MOUTH_WIDTH
        x, y = mouth[0], mouth[1] - MOUTH_BELOW_EYES * apart
    at = (mouth[0], mouth[1]) if mouth else (x, y + MOUTH_BELOW_EYES * apart)
    if not (LEAST_APART < apart < 0.8 * width and 1 < at[0] < width - 2 and 1 < at[1] < height - 2):
        return replace(find_landmarks(bgr), lips=None, mode="voice")
    side = BOX_WIDTH * apart
    face = Face(round(x - side / 2), round(y - EYES_DOWN * side), round(side), round(side), "frontal", "eyes")
    seen = tuple(_eye(bgr, point, apart) for point in eyes) if eyes else ()
    lips, confidence = MouthPatch(bgr, face, (seen[0], seen[1]) if seen else None, apart).lips()
    if mouth:
        lips, confidence = _at_click(lips, mouth), 1.0
    return Landmarks(face, seen, apart, lips, flat_face(bgr, face), confidence, "clicked", "lips")


def _at_click(found: Lips, mouth: tuple[float, float, float]) -> Lips:
    """The lips that were found where they are what was clicked, else a straight line there."""
    x, y, wide = mouth
    half = max(wide / 2, 3.0)
    if abs(found.x - x) < 0.3 * half and abs(found.y - y) < 0.3 * half:
        return replace(found, x=x, half_width=half)
    return Lips(x, half, (0.0, 0.0, y), False)


def _eye(bgr: np.ndarray, point: tuple[float, float], apart: float) -> Eye:
    """As far as what is no skin reaches around a clicked point."""
    x, y = point
    usual = Eye(x, y, EYE_HALF_WIDTH * apart, EYE_ABOVE * apart, EYE_BELOW * apart)
    height, width = bgr.shape[:2]
    reach_x, reach_y = (share * apart for share in EYE_REACH)
    left, right = max(0, int(x - reach_x)), min(width, int(x + reach_x) + 1)
    top, bottom = max(0, int(y - reach_y)), min(height, int(y + reach_y) + 1)
    cheek = bgr[min(height - 1, int(y + 0.42 * apart)), int(np.clip(x, 0, width - 1))].reshape(1, 1, 3)
    if right - left < 6 or bottom - top < 6:
        return usual
    skin = cv2.cvtColor(np.ascontiguousarray(cheek), cv2.COLOR_BGR2LAB).astype(np.float32)[0, 0]
    lab = cv2.cvtColor(np.ascontiguousarray(bgr[top:bottom, left:right]), cv2.COLOR_BGR2LAB).astype(np.float32)
    other = (np.linalg.norm(lab - skin, axis=2) > UNLIKE_SKIN).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(other)
    label = labels[min(int(y) - top, labels.shape[0] - 1), min(int(x) - left, labels.shape[1] - 1)]
    x0, y0, wide, tall, _ = stats[label]
    runs_on = x0 == 0 or y0 == 0 or x0 + wide == other.shape[1] or y0 + tall == other.shape[0]
    if label == 0 or runs_on or wide < 0.12 * apart:  # hair over the brow, or a point beside the eye
        return usual
    middle = top + y0 + tall / 2
    half = wide / 2
    return Eye(float(left + x0 + half), float(middle), float(half), float(tall / 2), float(tall / 2))
