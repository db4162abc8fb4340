"""Pictures and the last frames of clips, as arrays. Files were probed at the door; here they are only decoded."""

from collections import deque
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from studio.errors import MediaError
from studio.media.probe import open_media
from studio.media.stills import shallow
from studio.pipelines.draft.clean import cleaned, is_stamped

LONGEST = 1600  # pixels; more is not seen in a draft
SMALLEST_STAMPED = 120  # pixels of the short side; a pill in less is a smudge


def read_picture(path: Path) -> np.ndarray:
    """(h, w, 4) uint8 BGR + alpha, turned upright, no side longer than LONGEST. A frame of a draft comes without its
    pill: what is made of it gets one of its own. Raises MediaError."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (LONGEST, LONGEST))  # JPEG decodes smaller at no cost
            rgba = np.asarray(shallow(ImageOps.exif_transpose(image)).convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as failure:
        raise MediaError("draft.unreadable_picture", name=path.name, reason=str(failure)) from failure
    bgra = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    longest = max(bgra.shape[:2])
    if longest > LONGEST:
        bgra = cv2.resize(bgra, None, fx=LONGEST / longest, fy=LONGEST / longest, interpolation=cv2.INTER_AREA)
    bgr = np.ascontiguousarray(bgra[..., :3])
    if min(bgr.shape[:2]) >= SMALLEST_STAMPED and bgra[..., 3].min() == 255 and is_stamped(bgr):
        bgra = cv2.cvtColor(cleaned(bgr), cv2.COLOR_BGR2BGRA)
    return bgra


def last_frames(path: Path, seconds: float, size: tuple[int, int]) -> tuple[list[np.ndarray], float]:
    """The end of a clip, filling `size`: (H, W, 3) uint8 BGR frames and their rate. Raises MediaError."""
    with open_media(path) as source:
        stream = source.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or 24)
        keep = max(2, round(seconds * fps))
        if source.duration and source.duration / 1e6 > seconds + 4:  # start at a key frame shortly before
            source.seek(int(source.duration - (seconds + 3) * 1e6))
        kept = deque(source.decode(stream), maxlen=keep)
        frames = [covering(frame.to_ndarray(format="bgr24"), size) for frame in kept]
    if len(frames) < 2:
        frames *= 2  # a clip of one frame stands still
    if not frames:
        raise MediaError("draft.no_frames", name=path.name)
    return frames, fps


def covering(image: np.ndarray, size: tuple[int, int], over: float = 1.0) -> np.ndarray:
    """Scaled and cropped about its middle to (size * over)."""
    width, height = round(size[0] * over), round(size[1] * over)
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    if (columns, rows) != (width, height):
        wide, tall = max(width, round(columns * scale)), max(height, round(rows * scale))
        image = cv2.resize(image, (wide, tall), interpolation=how)
    x, y = (image.shape[1] - width) // 2, (image.shape[0] - height) // 2
    return np.ascontiguousarray(image[y : y + height, x : x + width])
