"""Small pictures of big files: poster, hover strip, waveform. Knows JPEG and frames, not who shows them."""

import io
import json
from pathlib import Path

import av
import numpy as np
from PIL import Image

from studio.media.files import write_small
from studio.media.picture import source_colours

POSTER_WIDTH, THUMB_WIDTH, THUMBS = 640, 240, 10  # pixels; thumbs stand side by side in the strip
PEAKS = 400  # values in a waveform


class Watcher:
    """Collects a poster and the thumbs of a hover strip while the frames pass by, which costs nothing later."""

    def __init__(self, num_frames: int) -> None:
        self._poster_at = num_frames // 3
        self._thumbs_at = [int((k + 0.5) * num_frames / THUMBS) for k in range(THUMBS)]
        self._poster: Image.Image | None = None
        self._thumbs: dict[int, Image.Image] = {}

    @property
    def wanted(self) -> set[int]:
        """Numbers of the frames worth showing to `see`."""
        return {self._poster_at, *self._thumbs_at}

    def see(self, number: int, frame: av.VideoFrame) -> None:
        if number == self._poster_at:
            self._poster = small_picture(frame, POSTER_WIDTH)
        if number in self._thumbs_at:
            self._thumbs[number] = small_picture(frame, THUMB_WIDTH)

    def save(self, stem: Path) -> None:
        assert self._poster is not None
        save_poster(stem, self._poster)
        thumbs = [self._thumbs[at] for at in self._thumbs_at]
        strip = Image.new("RGB", (thumbs[0].width * THUMBS, thumbs[0].height))
        for place, thumb in enumerate(thumbs):
            strip.paste(thumb, (place * thumb.width, 0))
        write_small(beside(stem, ".strip.jpg"), jpeg(strip))


def beside(stem: Path, suffix: str) -> Path:
    """`stem` may hold dots: with_suffix would eat them."""
    return stem.with_name(stem.name + suffix)


def small_picture(frame: av.VideoFrame, width: int) -> Image.Image:
    """RGB, the way up, at most `width` wide."""
    width = min(width, frame.width)
    height = max(2, round(width * frame.height / frame.width))
    small = frame.reformat(width, height, "rgb24", interpolation="AREA", **source_colours(frame))
    return Image.fromarray(np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4))


def save_poster(stem: Path, picture: Image.Image) -> None:
    """`<stem>.poster.jpg`, at most 640 px wide."""
    poster = picture.convert("RGB")
    poster.thumbnail((POSTER_WIDTH, POSTER_WIDTH * 4))
    write_small(beside(stem, ".poster.jpg"), jpeg(poster))


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def save_peaks(stem: Path, samples: np.ndarray, rate: int) -> None:
    """`<stem>.peaks.json`: {"duration": seconds, "peaks": [0..1, at most 400 values]}."""
    loud = np.abs(samples.reshape(len(samples), -1)).max(axis=1)  # (N,)
    peaks = [round(float(part.max()), 3) for part in np.array_split(loud, min(PEAKS, len(loud)))]
    content = {"duration": round(len(samples) / rate, 4), "peaks": peaks}
    write_small(beside(stem, ".peaks.json"), json.dumps(content).encode())
