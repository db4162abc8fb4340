"""A picture with holes laid over frames: letters, a stamp. Knows frames in I420, not what is drawn."""

import cv2
import numpy as np

from studio.media.yuv import i420_planes, yuv_from_bgr


class Overlay:
    """A static RGBA picture over a frame, kept as bands so that only painted rows cost anything."""

    def __init__(self, rgba: np.ndarray) -> None:
        height, width = rgba.shape[:2]
        alpha = rgba[..., 3].astype(np.float32) / 255
        yuv = yuv_from_bgr(np.ascontiguousarray(rgba[..., 2::-1]).astype(np.float32)) * alpha[..., None]
        small = [cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
                 for plane in (yuv[..., 1], yuv[..., 2], alpha)]  # fmt: skip
        self._bands = []
        for y0, y1, x0, x1 in _painted_bands(alpha):
            full, half = np.s_[y0:y1, x0:x1], np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            planes = [
                (yuv[..., 0][full], alpha[full]),
                (small[0][half], small[2][half]),
                (small[1][half], small[2][half]),
            ]
            self._bands.append((full, half, [(_bytes(ink), _bytes(255 * (1 - cover))) for ink, cover in planes]))

    def apply(self, frame: np.ndarray, opacity: float = 1.0) -> None:
        """On an I420 frame, in place."""
        if opacity <= 0:
            return
        y, u, v = i420_planes(frame)
        for full, half, inks in self._bands:
            for plane, part, (ink, behind) in zip((y, u, v), (full, half, half), inks, strict=True):
                under = plane[part]
                if opacity < 1:
                    ink = cv2.convertScaleAbs(ink, alpha=opacity)
                    behind = cv2.convertScaleAbs(behind, alpha=opacity, beta=255 * (1 - opacity))
                cv2.multiply(under, behind, dst=under, scale=1 / 255)
                cv2.add(under, ink, dst=under)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _painted_bands(alpha: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Runs of painted rows and their columns, all even: (y0, y1, x0, x1)."""
    painted = np.concatenate([[False], alpha.any(axis=1), [False]])
    edges = np.flatnonzero(np.diff(painted.astype(np.int8)))
    bands = []
    for y0, y1 in zip(edges[::2], edges[1::2], strict=True):
        columns = np.flatnonzero(alpha[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]) // 2 * 2, min(alpha.shape[1], int(columns[-1]) // 2 * 2 + 2)
        bands.append((int(y0) // 2 * 2, min(alpha.shape[0], (int(y1) + 1) // 2 * 2), x0, x1))
    return bands
