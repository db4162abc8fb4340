"""One decoded frame: its true colours, the way up, its size in another frame. Knows no files."""

from typing import Any

import av
import numpy as np

BLACK = (16, 128, 128)  # Y, U, V in video range
WHITE = (235, 128, 128)
UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
SD_LINES = 576  # pictures up to this height without a tag are bt601, higher ones bt709


def source_colours(frame: av.VideoFrame) -> dict[str, Any]:
    """For `reformat`: nothing where the frame says its matrix, else what its size suggests."""
    if frame.colorspace == UNTAGGED:
        return {"src_colorspace": "ITU709" if frame.height > SD_LINES else "ITU601"}
    return {}


def rgb(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned the way a player shows it."""
    array = frame.reformat(format="rgb24", **source_colours(frame)).to_ndarray()
    return np.ascontiguousarray(np.rot90(array, round(frame.rotation / 90) % 4))


def shown_size(frame: av.VideoFrame, aspect: float) -> tuple[int, int]:
    """(width, height) after turning, with square pixels. `aspect`: width of a stored pixel over its height."""
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def letterboxed(frame: av.VideoFrame, width: int, height: int, aspect: float = 1.0) -> np.ndarray:
    """(height * 3 / 2, width) uint8 yuv420p bt709: the whole picture, as large as it fits, in the middle on black."""
    shown = shown_size(frame, aspect)
    scale = min(width / shown[0], height / shown[1])
    inner = [max(2, min(round(side * scale / 2) * 2, most)) for side, most in zip(shown, (width, height), strict=True)]
    if round(frame.rotation / 90) % 4:
        frame, colours = av.VideoFrame.from_ndarray(rgb(frame), format="rgb24"), {}
    else:
        colours = source_colours(frame)
    small = frame.reformat(
        inner[0], inner[1], "yuv420p",
        dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="BICUBIC", **colours,
    ).to_ndarray()  # fmt: skip
    if inner == [width, height]:
        return small
    left, top = (width - inner[0]) // 4 * 2, (height - inner[1]) // 4 * 2
    canvas = []
    for plane, colour, part in zip(planes(small, *inner), BLACK, (1, 2, 2), strict=True):
        whole = np.full((height // part, width // part), colour, np.uint8)
        whole[top // part : top // part + plane.shape[0], left // part : left // part + plane.shape[1]] = plane
        canvas.append(whole.ravel())
    return np.concatenate(canvas).reshape(height * 3 // 2, width)


def planes(packed: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y (H, W), U and V (H / 2, W / 2) of packed yuv420p (H * 3 / 2, W)."""
    flat, luma, chroma = packed.ravel(), width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )


def blended(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Between two uint8 pictures of one layout; `share` of the second, 0..1."""
    weight = round(share * 256)
    mixed = before.astype(np.uint16) * (256 - weight) + after.astype(np.uint16) * weight + 128
    return (mixed >> 8).astype(np.uint8)


def plain(colour: tuple[int, int, int], like: np.ndarray) -> np.ndarray:
    """A picture of one colour in the shape of a packed yuv420p one."""
    height = like.shape[0] * 2 // 3
    picture = np.empty_like(like)
    picture[:height] = colour[0]
    chroma = picture[height:].reshape(2, -1)
    chroma[0], chroma[1] = colour[1:]
    return picture
