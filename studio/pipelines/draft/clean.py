"""A clip of our own carries the pill; a shot that grows from it must not carry it twice. Knows no motion."""

import cv2
import numpy as np
from PIL import Image

from studio.pipelines.draft.cards import AMBER, draw_pill, pill_place, unit

SURE = 0.55  # correlation with the drawn pill


def is_stamped(frame: np.ndarray) -> bool:
    """Does the pill stand in its place in (H, W, 3) uint8 BGR?"""
    height, width = frame.shape[:2]
    place = pill_place(width, height)
    image = Image.new("RGBA", (width, height), (60, 60, 60, 255))
    draw_pill(image)
    drawn = cv2.cvtColor(np.asarray(image)[..., :3], cv2.COLOR_RGB2GRAY)
    box = np.s_[place.y : place.y + place.height, place.x : place.x + place.width]
    around = np.s_[place.y - 3 : place.y + place.height + 3, place.x - 3 : place.x + place.width + 3]
    seen = cv2.cvtColor(np.ascontiguousarray(frame[around]), cv2.COLOR_BGR2GRAY)
    return float(cv2.matchTemplate(seen, drawn[box], cv2.TM_CCOEFF_NORMED).max()) > SURE


def is_card(frame: np.ndarray) -> bool:
    """Does the card's finished line run along the bottom?"""
    rows = max(2, round(3 * unit(frame.shape[1], frame.shape[0])) // 2 * 2)
    line = frame[-rows:].reshape(-1, 3).astype(np.float32)
    return bool(np.abs(np.median(line, axis=0) - np.array(AMBER[::-1], np.float32)).max() < 30)


def cleaned(frame: np.ndarray) -> np.ndarray:
    """The frame without pill and line."""
    height, width = frame.shape[:2]
    frame = frame.copy()
    if is_card(frame):
        rows = max(2, round(3 * unit(width, height)) // 2 * 2) + 2
        frame[-rows:] = frame[-2 * rows : -rows][::-1]
    place, room = pill_place(width, height), 12
    y0, x0 = place.y - room, place.x - room
    part = frame[y0 : min(height, place.y + place.height + room), x0 : min(width, place.x + place.width + room)]
    hole = np.zeros(part.shape[:2], np.uint8)
    hole[room - 2 : room + place.height + 2, room - 2 : room + place.width + 2] = 255
    part[:] = cv2.inpaint(part, hole, 3, cv2.INPAINT_TELEA)
    return frame
