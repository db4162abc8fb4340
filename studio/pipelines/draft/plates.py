"""What lies behind people: holes filled, narrow pictures widened, light made to agree. Knows no layers."""

import cv2
import numpy as np

from studio.pipelines.draft.camera import smoother


def filled_behind(bgr: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The plate without its cut-out: inpainted small, blurred only inside the hole. (h, w, 3) uint8."""
    height, width = bgr.shape[:2]
    scale = 220 / max(height, width)
    small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(alpha, small.shape[1::-1]) > 20).astype(np.uint8)
    hole = cv2.dilate(hole, np.ones((9, 9)))
    filled = cv2.GaussianBlur(cv2.inpaint(small, hole, 5, cv2.INPAINT_TELEA), (0, 0), 3)
    filled = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    share = cv2.GaussianBlur(cv2.resize(hole.astype(np.float32), (width, height)), (0, 0), max(height, width) / 150)
    share = np.clip(share * 1.6, 0, 1)[..., None]
    return (bgr * (1 - share) + filled * share).astype(np.uint8)


def widened(bgr: np.ndarray, ratio: float) -> np.ndarray:
    """A tall picture in a wide frame: soft wings grown from its outer strips (a mirrored picture shows ghost faces).

    ratio: width / height wanted, more than the picture's. (h, h * ratio, 3) uint8."""
    height, width = bgr.shape[:2]
    wing = (int(height * ratio) - width) // 2 + 1
    strip = max(8, int(width * 0.10))
    wide = np.hstack([
        _wing(bgr[:, :strip], wing, left=True), bgr.astype(np.float32), _wing(bgr[:, -strip:], wing, left=False)
    ])  # fmt: skip
    small = cv2.GaussianBlur(cv2.resize(wide, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA), (0, 0), 6)
    soft = cv2.resize(small, (wide.shape[1], height))
    away = np.abs(np.arange(wide.shape[1]) - wide.shape[1] / 2)
    share = smoother((away - width / 2 * 0.80) / (width / 2 * 0.22))[None, :, None]
    darker = 1 - 0.22 * smoother((away - width / 2) / wing)[None, :, None]
    return np.clip((wide * (1 - share) + soft * share) * darker, 0, 255).astype(np.uint8)


def _wing(strip: np.ndarray, wide: int, left: bool) -> np.ndarray:
    """(h, wide, 3) float32: the strip's outer column carried outwards, fading into the strip's mean."""
    height, rows = strip.shape[0], 64
    small = cv2.resize(strip, (max(4, strip.shape[1] * rows // height), rows), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 2.2)
    outer = small[:, 0 if left else -1][:, None].astype(np.float32)
    columns = max(8, wide * rows // height)
    share = np.linspace(1, 0, columns) if left else np.linspace(0, 1, columns)
    share = share[None, :, None]
    grown = np.repeat(outer, columns, axis=1) * (1 - share) + small.mean(axis=1, keepdims=True) * share
    grown = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), sigmaX=3, sigmaY=1.5)
    return cv2.resize(grown, (wide, height), interpolation=cv2.INTER_CUBIC)


def lit_like(cutout: np.ndarray, plate: np.ndarray, strength: float = 0.34) -> np.ndarray:
    """Pull a cut-out (BGR + alpha) toward the plate's light in LAB. Chroma gently: skin turns grey otherwise."""
    inside = cutout[..., 3] > 128
    if not inside.any():
        return cutout
    lab = cv2.cvtColor(np.ascontiguousarray(cutout[..., :3]), cv2.COLOR_BGR2LAB).astype(np.float32)
    around = cv2.cvtColor(cv2.resize(plate, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    shift = around.reshape(-1, 3).astype(np.float32).mean(axis=0) - lab[inside].mean(axis=0)
    shift *= np.array([strength * 0.7, strength * 0.45, strength * 0.45], np.float32)
    shift[0] = np.clip(shift[0], -30, 14)
    shifted = cv2.cvtColor(np.clip(lab + shift, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    return np.dstack([shifted, cutout[..., 3]])


def toned_like(picture: np.ndarray, model: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """A picture (BGR) with the mean and spread of another one's colours (Reinhard et al. 2001), in part."""
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).astype(np.float32)
    other = cv2.cvtColor(cv2.resize(model, (96, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    other = other.reshape(-1, 3).astype(np.float32)
    mean, spread = lab.reshape(-1, 3).mean(axis=0), lab.reshape(-1, 3).std(axis=0)
    scale = np.clip(other.std(axis=0) / np.maximum(spread, 1), 0.6, 1.5)
    toned = (lab - mean) * (1 + (scale - 1) * strength) + mean + (other.mean(axis=0) - mean) * strength
    return cv2.cvtColor(np.clip(toned, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
