"""A scene as a moving or still picture for pages and messages: WebP, AVIF, GIF, PNG, JPEG. Knows no films."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
from PIL import Image

from studio.domain import JSON
from studio.errors import Refused
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.frames import picture_of
from studio.media.picture import rgb
from studio.media.probe import Facts, open_media, probe

Format = Literal["webp", "avif", "gif", "png", "jpg"]
HUNDREDTH = Fraction(1, 100)  # of a second: the clock of a GIF
MOVING = ("webp", "avif", "gif")
MOST_FRAMES = 600  # a minute at 10 a second; Pillow holds them all while it packs an AVIF
SAVED: dict[str, dict[str, Any]] = {  # for Pillow
    "webp": {"format": "WEBP", "quality": 74, "method": 4},
    "avif": {"format": "AVIF", "quality": 60, "speed": 7},
    "png": {"format": "PNG", "optimize": True},
    "jpg": {"format": "JPEG", "quality": 88, "optimize": True},
}

Step = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Clip:
    """`short_side`: pixels, at most. `at`: the second that a still shows. `end`: None is the end of the file."""

    path: Path
    format: Format
    animated: bool = True
    short_side: int = 480
    fps: float = 12.0
    loop: bool = True
    start: float = 0.0
    end: float | None = None
    at: float = 0.0


def write_clip(clip: Clip, out: Path, *, step: Step, owner: str = "") -> dict[str, JSON]:
    """Whole or not there. Raises Refused, MediaError, DiskFull, Cancelled."""
    facts = probe(clip.path)
    if facts.kind == "audio":
        raise Refused("media.no_picture", name=clip.path.name)
    if clip.animated and clip.format not in MOVING:
        raise Refused("clip.not_moving", format=clip.format, moving=", ".join(MOVING))
    part = out.with_name(f"{out.name}.{owner}.part" if owner else f"{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_gone(part):
        made = _moving(clip, facts, part, step) if clip.animated else _still(clip, part)
        fsync_file(part)
        replace(part, out)
    return {"path": str(out), **made}


def _still(clip: Clip, part: Path) -> dict[str, JSON]:
    picture = _smaller(Image.fromarray(picture_of(clip.path, clip.at)), clip.short_side)
    if clip.format == "gif":
        picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(part, format="GIF")
    else:
        picture.save(part, **SAVED[clip.format])
    return {"width": picture.width, "height": picture.height, "frames": 1, "duration": 0.0}


def _moving(clip: Clip, facts: Facts, part: Path, step: Step) -> dict[str, JSON]:
    end = min(facts.duration, clip.end or facts.duration)
    fps = min(clip.fps, facts.fps)
    count = round((end - clip.start) * fps)
    if count < 1:
        raise Refused("clip.empty", start=clip.start, seconds=round(facts.duration, 2))
    if count > MOST_FRAMES:
        raise Refused("clip.too_long", frames=count, most=MOST_FRAMES)
    pictures = _sampled(clip, fps, count, step)
    if clip.format == "gif":
        width, height = _save_gif(pictures, part, fps, clip.loop)
    else:
        first = next(pictures)
        width, height = first.size
        first.save(
            part, **SAVED[clip.format], save_all=True, append_images=pictures, duration=round(1000 / fps),
            loop=0 if clip.loop else 1,
        )  # fmt: skip
    return {"width": width, "height": height, "frames": count, "duration": round(count / fps, 3)}


def _sampled(clip: Clip, fps: float, count: int, step: Step) -> Iterator[Image.Image]:
    """`count` pictures, at even times."""
    done = 0
    with open_media(clip.path) as source:
        stream: Any = source.streams.video[0]
        first = stream.start_time or 0
        last = None
        for frame in source.decode(stream):
            seconds = float((frame.pts - first) * stream.time_base) if frame.pts is not None else 0.0
            last = frame
            while done < count and seconds + 1e-3 >= clip.start + done / fps:
                done += 1
                yield _smaller(Image.fromarray(rgb(frame)), clip.short_side)
                step(done, count, "clip")
            if done == count:
                return
        while last is not None and done < count:
            done += 1
            yield _smaller(Image.fromarray(rgb(last)), clip.short_side)


def _smaller(picture: Image.Image, short_side: int) -> Image.Image:
    scale = short_side / min(picture.size)
    if scale >= 1:
        return picture
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def _save_gif(pictures: Iterator[Image.Image], part: Path, fps: float, loop: bool) -> tuple[int, int]:
    """One palette for the whole clip and a pattern that stands still: anything else crawls."""
    first = next(pictures)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=first.width, height=first.height, format=av.VideoFormat("rgb24"), time_base=HUNDREDTH
    )
    split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=full")
    use, sink = graph.add("paletteuse", "dither=bayer:bayer_scale=3:diff_mode=rectangle"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    with av.open(str(part), "w", format="gif", options={"loop": "0" if loop else "-1"}) as file:
        stream: Any = file.add_stream("gif", rate=round(fps) or 1)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "pal8"
        for number, picture in enumerate(chain([first], pictures)):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(number * 100 / fps), HUNDREDTH
            graph.push(frame)
        graph.push(None)
        while (packed := _pulled(graph)) is not None:
            file.mux(stream.encode(packed))
        file.mux(stream.encode(None))
    return first.size


def _pulled(graph: Any) -> av.VideoFrame | None:
    try:
        frame: av.VideoFrame = graph.pull()
    except (av.EOFError, av.BlockingIOError):
        return None
    return frame
