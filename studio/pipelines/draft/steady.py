"""What stays in the last frames of a clip: the picture behind rain and snow, and how quietly each part of it stands.

Rain only ever adds light, so of a few frames laid over each other the second darkest is the dry one. They are laid over
each other along a flow that does not see streaks. Knows no tasks and no prompts.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

LATE = 9  # frames; earlier ones may still carry a card's text
EVERY = 2  # of them the plate is made from each second one: rain is elsewhere by then
QUIET_WIDTH, FLOW_WIDTH = 480, 320
WET = 0.01  # share of the picture that must shine brighter than the plate
ONE_SIDED = 3.0  # so much more brighter than darker: else the picture itself moves
CELLS, EVERYWHERE = (6, 4), 0.8  # a beam or glitter on water shines in few of these cells
TALL = 1.6  # streaks vary this much more across than along

Falling = Literal["rain", "snow"]


@dataclass(frozen=True, slots=True)
class Steady:
    plate: np.ndarray  # (H, W, 3) uint8 BGR: the last frame, dry
    quiet: list[np.ndarray]  # the last frames, small, (h, w, 3) uint8 BGR, without streaks and flakes
    unrest: np.ndarray  # (180, 320) or alike, float32: how much each part flickers, grey levels
    falls: Falling | None


def steady(frames: list[np.ndarray]) -> Steady:
    """frames: (H, W, 3) uint8 BGR, the last of a clip, without the pill."""
    late = frames[-LATE:]
    quiet = [_without_streaks(frame) for frame in late]
    chosen = list(range(len(late) - 1, -1, -EVERY))[::-1]
    flows = [_flow(quiet[-1], quiet[index]) for index in chosen[:-1]]
    greys = [_grey(quiet[index], FLOW_WIDTH) for index in chosen]
    laid = np.stack([*(_laid(grey, flow) for grey, flow in zip(greys, flows, strict=False)), greys[-1]])
    falls = _falling([late[index] for index in chosen], flows)
    plate = late[-1]
    if falls:
        over = [_laid(late[index], flow) for index, flow in zip(chosen, flows, strict=False)]
        plate = np.partition(np.stack([*over, late[-1]]), 1, axis=0)[1]
    return Steady(plate, quiet, laid.astype(np.float32).std(axis=0), falls)


def _without_streaks(frame: np.ndarray) -> np.ndarray:
    """Small, and opened sideways: what is thinner than it is tall goes, and single flakes."""
    small = _sized(frame, QUIET_WIDTH)
    return cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((1, 7), np.uint8))


def _falling(frames: list[np.ndarray], flows: list[np.ndarray]) -> Falling | None:
    """What falls through the last of these frames, seen at half their size."""
    greys = [_grey(frame, frame.shape[1] // 2) for frame in frames]
    over = [_laid(grey, flow) for grey, flow in zip(greys, flows, strict=False)]
    if len(over) < 3:
        return None
    more = greys[-1].astype(np.int16) - np.median(np.stack([*over, greys[-1]]), axis=0).astype(np.int16)
    bright, dark = float((more > 8).mean()), float((more < -8).mean())
    if bright < WET or bright < ONE_SIDED * dark:
        return None
    places = cv2.resize((more > 8).astype(np.float32), CELLS, interpolation=cv2.INTER_AREA)
    if (places > WET / 3).mean() < EVERYWHERE:
        return None
    drops = np.clip(more, 0, 255).astype(np.float32)
    across, along = np.abs(np.diff(drops, axis=1)).mean(), np.abs(np.diff(drops, axis=0)).mean()
    return "rain" if across > TALL * along else "snow"


def _flow(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(h, w, 2) float32: for each place of one small frame where it lies in another, smooth."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return cv2.GaussianBlur(finder.calc(_grey(here, FLOW_WIDTH), _grey(there, FLOW_WIDTH), None), (0, 0), 3)


def _laid(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A frame of any size, moved so that it lies over the frame that the flow starts from."""
    height, width = frame.shape[:2]
    large = cv2.resize(flow, (width, height)) * np.float32(width / flow.shape[1])
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns + large[..., 0], rows + large[..., 1]
    return cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _sized(frame: np.ndarray, width: int) -> np.ndarray:
    return cv2.resize(
        frame, (width, round(width * frame.shape[0] / frame.shape[1])), interpolation=cv2.INTER_AREA
    )  # fmt: skip


def _grey(frame: np.ndarray, width: int) -> np.ndarray:
    return cv2.cvtColor(_sized(frame, width), cv2.COLOR_BGR2GRAY)
