"""How a clip moved in its last frames, and frames between its frames. Knows no tasks."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

LOOK_BACK = 8  # frames


@dataclass(frozen=True, slots=True)
class Motion:
    """Per frame of the source. x, y: fraction of the frame; zoom: natural logarithm; turn: radians; residual: how much
    moves on its own, fraction of the width."""

    x: float
    y: float
    zoom: float
    turn: float
    residual: float

    @property
    def camera(self) -> float:
        return math.hypot(self.x, self.y) + abs(self.zoom) * 0.5


def global_motion(frames: list[np.ndarray]) -> Motion:
    """The camera's motion: tracked corners, RANSAC, median over the last frames; the rest is the subject's."""
    small = [_grey(frame, 480) for frame in frames[-LOOK_BACK - 1 :]]
    height, width = small[0].shape
    steps = [step for a, b in zip(small, small[1:], strict=False) if (step := _step(a, b)) is not None]
    x, y, zoom, turn = np.median(np.array(steps), axis=0) if steps else np.zeros(4)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(small[-2], small[-1], None)
    own = np.hypot(flow[..., 0] - x * width, flow[..., 1] - y * height)
    return Motion(float(x), float(y), float(zoom), float(turn), float(np.percentile(own, 95)) / width)


def _grey(frame: np.ndarray, width: int) -> np.ndarray:
    size = (width, round(width * frame.shape[0] / frame.shape[1]))
    return cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)


def _step(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float] | None:
    """Similarity from one small grey frame to the next, or None where too little can be followed."""
    corners = cv2.goodFeaturesToTrack(a, 300, 0.01, 7)
    if corners is None or len(corners) < 12:
        return None
    found, status, _ = cv2.calcOpticalFlowPyrLK(a, b, corners, None)
    good = status.ravel() == 1
    if good.sum() < 10:
        return None
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.estimateAffinePartial2D(
        corners[good], found[good], method=cv2.RANSAC, ransacReprojThreshold=1.0
    )
    if matrix is None or inliers.mean() < 0.35:
        return 0.0, 0.0, 0.0, 0.0
    height, width = a.shape
    middle = matrix @ [width / 2, height / 2, 1]
    return (
        (middle[0] - width / 2) / width, (middle[1] - height / 2) / height,
        math.log(math.hypot(matrix[0, 0], matrix[1, 0])), math.atan2(matrix[1, 0], matrix[0, 0]),
    )  # fmt: skip


def own_motion(frames: list[np.ndarray], motion: Motion) -> np.ndarray:
    """(H, W, 2) float32 pixels per source frame: what moves besides the camera, smooth. Only what moved alike in the
    last two steps: the rest is glitter, grain or an error, and would tear at what stands still."""
    height, width = frames[-1].shape[:2]
    greys = [_grey(frame, width // 4) for frame in frames[-3:]]
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = [finder.calc(a, b, None) for a, b in zip(greys, greys[1:], strict=False)]
    apart = np.linalg.norm(flows[-1] - flows[0], axis=2)
    agreed = np.clip(1.5 - apart / (0.15 + 0.4 * np.linalg.norm(flows[-1], axis=2)), 0, 1)[..., None]
    still = np.array([motion.x * width, motion.y * height], np.float32)
    own = cv2.GaussianBlur((flows[-1] - still / 4) * agreed, (0, 0), 1.5)
    return cv2.GaussianBlur(cv2.resize(own, (width, height)) * 4, (0, 0), 6)


def noise_sigma(frame: np.ndarray) -> float:
    """Standard deviation of a frame's grain in the luma."""
    luma = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 1.5)
    return float(np.median(np.abs(fine)) * 1.4826)


class Between:
    """Frames between frames: both neighbours are warped along the optical flow, so that nothing ghosts."""

    SMALL = 4  # flow is found at this fraction of the size

    def __init__(self, frames: list[np.ndarray]) -> None:
        self._frames = frames
        self._flows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        height, width = frames[0].shape[:2]
        self._rows, self._columns = np.mgrid[0:height, 0:width].astype(np.float32)

    def at(self, position: float) -> np.ndarray:
        """The frame at a fractional index."""
        position = float(np.clip(position, 0, len(self._frames) - 1))
        index = min(int(position), len(self._frames) - 2)
        share = position - index
        if share < 0.04:
            return self._frames[index]
        if share > 0.96:
            return self._frames[index + 1]
        ahead, back = self._flow(index)
        first = self._warped(self._frames[index], ahead, share)
        second = self._warped(self._frames[index + 1], back, 1 - share)
        return cv2.addWeighted(first, 1 - share, second, share, 0)

    def _warped(self, frame: np.ndarray, flow: np.ndarray, share: float) -> np.ndarray:
        x, y = self._columns - flow[..., 0] * share, self._rows - flow[..., 1] * share
        return cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _flow(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in self._flows:
            height, width = self._frames[0].shape[:2]
            a, b = (_grey(frame, width // self.SMALL) for frame in self._frames[index : index + 2])
            ahead, back = (
                cv2.resize(self._finder.calc(p, q, None), (width, height)) * self.SMALL for p, q in ((a, b), (b, a))
            )
            self._flows = {
                **dict(list(self._flows.items())[-1:]),
                index: (ahead, back),
            }  # time only creeps: two will do
        return self._flows[index]
