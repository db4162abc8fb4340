"""A shot that ends on a given picture: the two melt into each other, along the flow where they resemble each other."""

from collections.abc import Iterator

import cv2
import numpy as np

from studio.media.yuv import i420_planes
from studio.pipelines.draft.camera import smoother
from studio.pipelines.draft.layers import Canvas, Shot

STARTS = 0.42  # of the shot, before which only the first picture is seen
ALIKE = 0.55  # share of pixels whose flow there and back agrees


def toward(first: Shot, last: Shot, morph: "Morph | None") -> Iterator[np.ndarray]:
    """I420 frames of the first shot that become those of the last; the final frame is the last shot's own."""
    canvas = Canvas(*first.size)
    for index in range(len(first)):
        share = float(smoother((index / max(1, len(first) - 1) - STARTS) / (0.97 - STARTS)))
        if share <= 0 or share >= 1:
            yield (last if share else first).frame(index, canvas)
            continue
        a, b = first.frame(index, canvas), last.frame(index, canvas)
        if morph:
            yield morph.between(a, b, share)
        else:
            yield cv2.addWeighted(a, 1 - share, b, share, 0)


class Morph:
    """Moves both frames along the flow between the two pictures while they melt."""

    SMALL = 4

    def __init__(self, ahead: np.ndarray, back: np.ndarray) -> None:
        """ahead, back: (H, W, 2) float32 pixels from the first picture to the last, and the other way."""
        self._flows = []
        for flow in (ahead, back):
            half = cv2.resize(flow, (flow.shape[1] // 2, flow.shape[0] // 2)) / 2
            self._flows.append((flow, half))

    @classmethod
    def where_alike(cls, first: np.ndarray, last: np.ndarray) -> "Morph | None":
        """None where the pictures (H, W, 3 BGR) have too little in common."""
        height, width = first.shape[:2]
        size = (width // cls.SMALL, height // cls.SMALL)
        a, b = (
            cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
            for picture in (first, last)
        )
        finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        ahead, back = finder.calc(a, b, None), finder.calc(b, a, None)
        rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
        returned = ahead + cv2.remap(back, columns + ahead[..., 0], rows + ahead[..., 1], cv2.INTER_LINEAR)
        seen_there = cv2.remap(b, columns + ahead[..., 0], rows + ahead[..., 1], cv2.INTER_LINEAR)
        alike = (np.hypot(returned[..., 0], returned[..., 1]) < 2.5) & (cv2.absdiff(a, seen_there) < 28)
        if alike.mean() < ALIKE:
            return None
        return cls(*(cv2.GaussianBlur(cv2.resize(f, (width, height)) * cls.SMALL, (0, 0), 8) for f in (ahead, back)))

    def between(self, a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
        made = np.empty_like(a)
        for plane, from_a, from_b, half in zip(
            i420_planes(made), i420_planes(a), i420_planes(b), (0, 1, 1), strict=True
        ):
            first = _carried(from_a, self._flows[0][half], share)
            second = _carried(from_b, self._flows[1][half], 1 - share)
            plane[:] = cv2.addWeighted(first, 1 - share, second, share, 0)
        return made


def _carried(plane: np.ndarray, flow: np.ndarray, share: float) -> np.ndarray:
    rows, columns = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]].astype(np.float32)
    x, y = columns - flow[..., 0] * share, rows - flow[..., 1] * share
    return cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
