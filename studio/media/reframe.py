"""A window of another shape in a clip: it follows faces, or stays on a point, and never trembles. Knows no film.

Every frame is seen small, so that a hard cut inside the clip is found where it is. Faces are looked for twice a second:
all over the picture now and then, around the last place in between, which is quick and does not jump from one person to
another. The window stands still while the faces stay in its middle part: a camera that never rests is worse than one
that is a little off.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from studio.domain import Frame
from studio.media.faces import FRONTAL, LEAST_SKIN, PROFILE, Face, cascade, find_face, find_faces, skin_share
from studio.media.frames import picture_of
from studio.media.picture import planes, rgb, shown_size, source_colours
from studio.media.probe import Facts, open_media

LOOK_EVERY = 0.5  # seconds
FULL_LOOKS = {0, 1, 3, 6, 10}  # of a shot without a face; later every FULL_LOOK_EVERY
FULL_LOOK_EVERY = 8
DRAWN_LOOKS = {0, 3}  # those that also look for drawn eyes, which takes seconds
ALIKE = 0.6  # of the width of a face that was found for sure: less is no second person beside it
LOST_AFTER = 2  # looks in which a face is not where it was
LOOK_SIDE = 640  # pixels; the longer side in which faces are looked for
SMALL = (64, 36)  # in which cuts are seen
CUT_STEP = 26.0  # mean change of grey between two frames that only a cut makes
SEEN_OFTEN = 0.3  # of the looks at a shot; what is taken for a face less often, without eyes, is foliage
CALM = 0.18  # of the window's width: targets that stay within need no movement
SLOWLY = 0.6  # seconds; sigma of the movement
EYES_AT = 0.42  # of the window's height: where a face's middle goes in a window lower than the picture
CENTRE_SIGMA = 0.28  # of the picture's width: how much the middle counts where there is no face

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at a time: the middle of what counts in 0..1, or nothing; and where the eye would go without."""

    seconds: float
    face: Point | None
    otherwise: Point


@dataclass(slots=True)
class _Shot:
    start: float  # seconds
    sure: bool = False  # a face with eyes was seen
    looks: list[Look] = field(default_factory=list)


class Window:
    """Where a clip is looked at, for every moment of it."""

    def __init__(self, times: np.ndarray, points: np.ndarray) -> None:
        """`times`: (n,) seconds, rising; `points`: (n, 2) in 0..1. In between, straight lines."""
        self._times, self._points = times, points

    @classmethod
    def at(cls, point: Point) -> "Window":
        return cls(np.zeros(1), np.array([point], float))

    @classmethod
    def following(cls, path: Path, facts: Facts, frame: Frame, alive: Callable[[], None]) -> "Window":
        """Follow the faces of a clip into a film of `frame`. `alive` is called now and then and may raise Cancelled."""
        shape = frame.width / frame.height
        if facts.kind == "image":
            look = _Seeker(shape).look(0.0, cv2.cvtColor(picture_of(path, "first"), cv2.COLOR_RGB2BGR))
            return cls.at(look.face or look.otherwise)
        times, points = [], []
        for shot, end in _shots(path, shape, alive):
            t, p = _path_of(shot, end, shape, facts)
            times.append(t)
            points.append(p)
        return cls(np.concatenate(times), np.concatenate(points))

    def point(self, seconds: float) -> Point:
        x, y = (float(np.interp(seconds, self._times, self._points[:, axis])) for axis in (0, 1))
        return x, y

    def cropped(self, frame: av.VideoFrame, seconds: float, width: int, height: int, aspect: float) -> np.ndarray:
        """(height * 3 / 2, width) uint8 yuv420p bt709: the window of this moment, filling the frame."""
        shown = shown_size(frame, aspect)
        if round(frame.rotation / 90) % 4:
            frame, colours = av.VideoFrame.from_ndarray(rgb(frame), format="rgb24"), {}
        else:
            colours = source_colours(frame)
        scale = max(width / shown[0], height / shown[1])
        shrink = min(1.0, scale * 1.3)  # what gets much smaller is averaged first, or fine lines would shimmer
        size = [max(2, round(side * shrink / 2) * 2) for side in shown]
        whole = frame.reformat(
            size[0], size[1], "yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="BICUBIC",
            **colours,
        ).to_ndarray()  # fmt: skip
        left, top, across, down = window_in(size[0], size[1], width / height, self.point(seconds))
        parts = []
        for plane, part in zip(planes(whole, *size), (1, 2, 2), strict=True):
            sx, sy = across / width, down / height
            to_source = np.array([[sx, 0, left / part + sx / 2 - 0.5], [0, sy, top / part + sy / 2 - 0.5]])
            parts.append(
                cv2.warpAffine(
                    plane, to_source, (width // part, height // part),
                    flags=(cv2.INTER_CUBIC if part == 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                ).ravel()
            )  # fmt: skip
        return np.concatenate(parts).reshape(height * 3 // 2, width)


def window_in(width: int, height: int, shape: float, point: Point) -> tuple[float, float, float, float]:
    """(left, top, width, height) in pixels of the largest window of `shape` around a point, inside the picture."""
    across, down = (height * shape, float(height)) if width / height > shape else (float(width), width / shape)
    left = min(max(0.0, point[0] * width - across / 2), width - across)
    top = min(max(0.0, point[1] * height - down * EYES_AT), height - down)
    return left, top, across, down


# ------------------------------------------------------------------------------------------------ looking
def _shots(path: Path, shape: float, alive: Callable[[], None]) -> Iterator[tuple[_Shot, float]]:
    """(shot, when it ends) for what lies between hard cuts."""
    shot, seeker, before, looked, seconds = _Shot(0.0), _Seeker(shape), None, -1.0, 0.0
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        first = stream.start_time or 0
        for number, frame in enumerate(source.decode(stream)):
            seconds = float((frame.pts - first) * stream.time_base) if frame.pts is not None else number / 24
            small = frame.reformat(*SMALL, "gray8", interpolation="AREA").to_ndarray().astype(np.float32)
            if before is not None and np.abs(small - before).mean() > CUT_STEP:
                yield shot, seconds
                shot, seeker, looked = _Shot(seconds), _Seeker(shape), -1.0
            before = small
            if looked < 0 or seconds - looked >= LOOK_EVERY - 1e-3:
                alive()
                looked = seconds
                shot.looks.append(seeker.look(seconds, _bgr(frame)))
                shot.sure = seeker.sure
    yield shot, seconds


def _bgr(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8, the way up, small enough to be searched quickly."""
    picture = cv2.cvtColor(rgb(frame), cv2.COLOR_RGB2BGR)
    scale = min(1.0, LOOK_SIDE / max(picture.shape[:2]))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


class _Seeker:
    """Looks for faces in one shot, and stays with the one it found."""

    def __init__(self, shape: float) -> None:
        self._shape = shape
        self._looks, self._missed = 0, 0
        self.sure = False  # eyes were seen in this shot: from then on only such faces count
        self._last: Face | None = None
        self._offset = (0.0, 0.0)  # from that face to the middle of all that the window can hold

    def look(self, seconds: float, bgr: np.ndarray) -> Look:
        number, self._looks = self._looks, self._looks + 1
        height, width = bgr.shape[:2]
        middle = self._near(bgr) if self._last else None
        if self._last is None and (number in FULL_LOOKS or number % FULL_LOOK_EVERY == 0):
            middle = self._anywhere(bgr, drawn=number in DRAWN_LOOKS or self.sure)
        point = (middle[0] / width, middle[1] / height) if middle else None
        return Look(seconds, point, _eye_catcher(bgr, self._shape))

    def _anywhere(self, bgr: np.ndarray, drawn: bool) -> Point | None:
        sure = find_face(bgr) if drawn else None  # it has seen the eyes: a book in a shelf has none
        if self.sure and not sure:
            return None
        self.sure = self.sure or bool(sure)
        boxes = [face for face in find_faces(bgr, 0.12) if skin_share(bgr, face) > LEAST_SKIN]
        if sure:
            boxes = [sure[0], *(box for box in boxes if box.width > ALIKE * sure[0].width)]
        if not boxes:
            return None
        height, width = bgr.shape[:2]
        self._last = sure[0] if sure else max(boxes, key=lambda box: box.width * box.height)
        self._missed = 0
        x, y = _middle(boxes, self._last, width, height, self._shape)
        own = _middle_of(self._last)
        self._offset = x - own[0], y - own[1]
        return x, y

    def _near(self, bgr: np.ndarray) -> Point | None:
        """The face that was there half a second ago."""
        last = self._last
        assert last is not None
        x, y = max(0, last.x - last.width // 2), max(0, last.y - last.height // 2)
        patch = cv2.cvtColor(bgr[y : y + 2 * last.height, x : x + 2 * last.width], cv2.COLOR_BGR2GRAY)
        least = round(0.6 * last.width)
        for name in (*FRONTAL, PROFILE):
            found = cascade(name).detectMultiScale(patch, 1.1, 3, minSize=(least, least)) if min(patch.shape) else ()
            if len(found):
                left, top, across, down = max(found, key=lambda box: box[2] * box[3])
                self._last = Face(x + int(left), y + int(top), int(across), int(down), last.view)
                self._missed = 0
                own = _middle_of(self._last)
                return own[0] + self._offset[0], own[1] + self._offset[1]
        self._missed += 1
        if self._missed > LOST_AFTER:
            self._last = None
        return None


def _middle_of(face: Face) -> Point:
    return face.x + face.width / 2, face.y + face.height / 2


def _middle(boxes: Sequence[Face], main: Face, width: int, height: int, shape: float) -> Point:
    """Between all faces if the window holds them, else that of the main one; in pixels."""
    left, right = min(box.x for box in boxes), max(box.x + box.width for box in boxes)
    top, bottom = min(box.y for box in boxes), max(box.y + box.height for box in boxes)
    _, _, across, down = window_in(width, height, shape, (0.5, 0.5))
    if right - left > 0.9 * across or bottom - top > 0.9 * down:
        return _middle_of(main)
    return (left + right) / 2, (top + bottom) / 2


def _eye_catcher(bgr: np.ndarray, shape: float) -> Point:
    """Where most detail is, the middle preferred."""
    grey = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    across = shape * bgr.shape[0] / bgr.shape[1]
    found = []
    for axis, share in ((0, across), (1, 1 / across)):  # columns, rows
        places = np.linspace(0, 1, 96)
        weight = detail.mean(axis=axis) * np.exp(-(((places - 0.5) / CENTRE_SIGMA) ** 2) / 2)
        seen = np.convolve(weight, np.ones(max(1, round(96 * min(1.0, share)))), "same")
        found.append(float(places[int(seen.argmax())]))
    return found[0], found[1]


# ------------------------------------------------------------------------------------------------ moving
def _path_of(shot: _Shot, end: float, shape: float, facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """(times, points) of one shot: still where it may be, else slow; nothing of the shots beside it."""
    times = np.array([look.seconds for look in shot.looks])
    seen = np.array([look.face is not None for look in shot.looks])
    ends = np.array([shot.start, max(end - 1e-3, shot.start)])  # the next shot begins at `end`, with a jump
    if not seen.any() or (seen.mean() < SEEN_OFTEN and not shot.sure):
        middle = np.median([look.otherwise for look in shot.looks], axis=0)
        return ends, np.array([middle, middle])
    targets = np.array([look.face for look in shot.looks if look.face])
    targets = np.stack([_steady(targets[:, axis]) for axis in (0, 1)], axis=1)
    turned = facts.rotation % 180 != 0
    width, height = (facts.height, facts.width) if turned else (facts.width, facts.height)
    _, _, across, down = window_in(width, height, shape, (0.5, 0.5))
    room = np.array([across / width, down / height]) * CALM
    if (np.ptp(targets, axis=0) <= room * 2).all():
        middle = np.median(targets, axis=0)
        return ends, np.array([middle, middle])
    grid = np.linspace(ends[0], ends[1], max(2, round((ends[1] - ends[0]) * 24)))
    path = np.stack([np.interp(grid, times[seen], targets[:, axis]) for axis in (0, 1)], axis=1)
    return grid, np.stack([_slow(path[:, axis], grid) for axis in (0, 1)], axis=1)


def _steady(values: np.ndarray) -> np.ndarray:
    """Without the looks that saw something else for a moment: the median of five."""
    padded = np.pad(values, 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)


def _slow(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Moved by a heavy hand: a Gaussian over time, ends held."""
    from scipy.ndimage import gaussian_filter1d

    step = (times[-1] - times[0]) / (len(times) - 1) or 1.0
    return gaussian_filter1d(values, SLOWLY / step, mode="nearest")
