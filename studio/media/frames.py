"""Single pictures out of videos: the first, the last, the one at a time; posters of finished files."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from PIL import Image, ImageOps

from studio.errors import MediaError, Refused
from studio.media.files import replace, whole_or_gone
from studio.media.picture import rgb
from studio.media.posters import Watcher, beside, save_peaks, save_poster
from studio.media.probe import Facts, open_media, probe
from studio.media.sound import RATE, load48

Which = Literal["first", "last"] | float  # a float: seconds
WHOLE_SECONDS = 60.0  # up to this length every frame is decoded for the strip; longer ones are sampled


def picture_of(path: Path, which: Which) -> np.ndarray:
    """(H, W, 3) uint8 RGB. A time past the end gives the last frame. Raises MediaError, Refused."""
    facts = probe(path)
    if facts.kind == "audio":
        raise Refused("media.no_picture", name=path.name)
    if facts.kind == "image":
        with Image.open(path) as image:
            return np.asarray(_opaque(ImageOps.exif_transpose(image)))
    if which == "first":
        seconds = 0.0
    elif which == "last":
        seconds = facts.duration
    else:
        seconds = min(max(0.0, which), facts.duration)
    for early in (0.0, 2.0, facts.duration):  # some files have nothing to decode at their very end
        frame = _frame_at(path, facts, seconds, early)
        if frame is not None:
            return rgb(frame)
    raise MediaError("media.broken", name=path.name, reason="no frame can be decoded")


def _opaque(image: Image.Image) -> Image.Image:
    """RGB: what is seen through is white, as the page it lies on; 16-bit grey is brought to 8."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image.convert("RGBA"))
    return page.convert("RGB")


def _frame_at(path: Path, facts: Facts, seconds: float, early: float) -> av.VideoFrame | None:
    """The frame shown at `seconds`: decoding starts at the keyframe before `seconds - early`."""
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        start = stream.start_time or 0
        at = max(0.0, seconds - early - 1 / facts.fps)
        if at > 0:
            source.seek(start + int(at / stream.time_base), stream=stream)
        shown = None
        for frame in source.decode(stream):
            time = Fraction(frame.pts - start) * stream.time_base if frame.pts is not None else Fraction(0)
            if shown is not None and time > seconds + 1e-3:
                break
            shown = frame
        return shown


def save_frame(path: Path, which: Which, out: Path) -> tuple[int, int]:
    """PNG of one frame; (width, height). Raises MediaError, Refused, DiskFull."""
    picture = Image.fromarray(picture_of(path, which))
    write_png(picture, out)
    return picture.size


def write_png(picture: Image.Image, out: Path) -> None:
    """It is there whole, or not at all. Raises DiskFull."""
    part = out.with_name(out.name + ".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_gone(part):
        picture.save(part, format="PNG", compress_level=3)
        replace(part, out)


def make_posters(path: Path, stem: Path) -> list[Path]:
    """Poster and strip of a video, poster of an image, waveform of a sound, for files that did not pass the Writer."""
    facts = probe(path)
    if facts.kind == "audio":
        save_peaks(stem, load48(path), RATE)
        return [beside(stem, ".peaks.json")]
    if facts.kind == "image":
        save_poster(stem, Image.fromarray(picture_of(path, "first")))
        return [beside(stem, ".poster.jpg")]
    watcher = Watcher(facts.num_frames)
    wanted = sorted(watcher.wanted)
    sampled = _all_frames(path, wanted) if facts.duration <= WHOLE_SECONDS else _key_frames(path, facts, wanted)
    for number, frame in sampled:
        watcher.see(number, frame)
    watcher.save(stem)
    return [beside(stem, ".poster.jpg"), beside(stem, ".strip.jpg")]


def _all_frames(path: Path, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """(number, frame) of the wanted ones; a header that counted too many gets its last frame again."""
    with open_media(path) as source:
        number, frame = -1, None
        for number, frame in enumerate(source.decode(video=0)):
            if number in wanted:
                yield number, frame
        if frame is not None:
            yield from ((late, frame) for late in wanted if late > number)


def _key_frames(path: Path, facts: Facts, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """(number, the keyframe before it): near enough in a long film."""
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        for number in wanted:
            source.seek((stream.start_time or 0) + int(number / facts.fps / stream.time_base), stream=stream)
            yield number, next(source.decode(stream))
