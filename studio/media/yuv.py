"""Colour as video keeps it: BT.709, limited range, chroma at half size. Knows no shots."""

import cv2
import numpy as np

# rows Y, U, V; columns B, G, R, 1 (ITU-R BT.709, 16..235 / 16..240)
_FROM_BGR = np.array(
    [[0.0722, 0.7152, 0.2126], [0.5, -0.3854, -0.1146], [-0.0458, -0.4542, 0.5]], np.float32
) * np.array([[219 / 255], [224 / 255], [224 / 255]], np.float32)  # fmt: skip
_OFFSET = np.array([16.0, 128.0, 128.0], np.float32)
FROM_BGR = np.hstack([_FROM_BGR, _OFFSET[:, None]])
_TO_BGR = np.linalg.inv(_FROM_BGR.astype(np.float64))
TO_BGR = np.hstack([_TO_BGR, (-_TO_BGR @ _OFFSET)[:, None]]).astype(np.float32)


def yuv_from_bgr(bgr: np.ndarray) -> np.ndarray:
    """(H, W, 3) BGR, uint8 or float32 in 0..255 -> (H, W, 3) Y U V of the same type."""
    return cv2.transform(bgr, FROM_BGR)


def i420_planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views into an I420 frame (H * 3 / 2, W): Y (H, W), U and V (H / 2, W / 2)."""
    rows, width = frame.shape
    height = rows * 2 // 3
    flat, luma, chroma = frame.reshape(-1), width * height, width * height // 4
    half = (height // 2, width // 2)
    return frame[:height], flat[luma : luma + chroma].reshape(half), flat[luma + chroma :].reshape(half)


def new_i420(width: int, height: int) -> np.ndarray:
    """An empty frame; width and height are even."""
    return np.empty((height * 3 // 2, width), np.uint8)


def i420_from_planes(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Full-size planes (H, W) each -> one I420 frame."""
    frame = new_i420(y.shape[1], y.shape[0])
    luma, small_u, small_v = i420_planes(frame)
    luma[:] = y
    cv2.resize(u, small_u.shape[::-1], dst=small_u, interpolation=cv2.INTER_AREA)
    cv2.resize(v, small_v.shape[::-1], dst=small_v, interpolation=cv2.INTER_AREA)
    return frame


def i420_from_bgr(bgr: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> (H * 3 / 2, W) uint8 I420."""
    return i420_from_planes(*cv2.split(yuv_from_bgr(bgr)))


def bgr_from_i420(frame: np.ndarray) -> np.ndarray:
    """(H * 3 / 2, W) uint8 I420 -> (H, W, 3) uint8 BGR."""
    y, u, v = i420_planes(frame)
    size = (y.shape[1], y.shape[0])
    full = [y, *(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (u, v))]
    return cv2.transform(cv2.merge(full), TO_BGR)
