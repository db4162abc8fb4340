"""A scene's pictures and clips as a model takes them: the asked size, the asked rate, PIL. Knows no model."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

SLACK = Fraction(1, 1000)  # of a second: timestamps are rounded to their clock
BEFORE = 2  # seconds read ahead of what is wanted: a seek may land late


def picture(path: Path, width: int, height: int) -> "Image":
    """RGB, filling (width, height): scaled, cropped about its middle, never stretched. Raises MediaError, Refused."""
    return _filling(_opened(path), width, height)


def whole_picture(path: Path) -> "Image":
    """RGB in its own size, turned upright. Raises MediaError, Refused."""
    return _opened(path)


def last_frames(path: Path, count: int, fps: float, width: int, height: int) -> "list[Image]":
    """The last `count` frames of a clip as it would look at `fps`, each filling (width, height).

    A clip of another rate shows at each tick the frame that it shows then. Raises MediaError, and Refused if it is
    shorter than `count` ticks."""
    from studio.media.probe import probe

    facts = probe(path)
    shown = round(facts.duration * fps)
    if shown < count:
        raise Refused(
            "engine.clip_too_short",
            field="input_video",
            name=path.name,
            seconds=round(facts.duration, 2),
            needed=round(count / fps, 2),
        )
    ticks = [Fraction(shown - count + i) / Fraction(fps) for i in range(count)]
    return [_filling(_upright(frame), width, height) for frame in _at(path, facts, ticks)]


def every_frame(path: Path, fps: float, width: int, height: int) -> "tuple[int, Iterator[Image]]":
    """How many frames a clip has as it would look at `fps`, and they themselves, each filling (width, height). The last
    ones are those of `last_frames`. Raises MediaError."""
    from studio.media.probe import probe

    facts = probe(path)
    count = round(facts.duration * fps)
    ticks = [Fraction(i) / Fraction(fps) for i in range(count)]
    return count, (_filling(_upright(frame), width, height) for frame in _at(path, facts, ticks))


def frame_at(path: Path, number: int, fps: float, width: int, height: int) -> "Image":
    """The frame of that number of a clip as it would look at `fps`, filling (width, height); its last one where the
    clip is over by then. Raises MediaError."""
    from studio.media.probe import probe

    facts = probe(path)
    last = max(round(facts.duration * fps) - 1, 0)
    frame = next(_at(path, facts, [Fraction(min(number, last)) / Fraction(fps)]))
    return _filling(_upright(frame), width, height)


def _at(path: Path, facts: Any, ticks: list[Fraction]) -> Iterator[Any]:
    """The decoded frame that is shown at each of the ticks, which ascend; the last one stays."""
    from studio.media.probe import open_media

    left = deque(ticks)
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        start = stream.start_time or 0
        if ticks[0] > BEFORE:
            source.seek(start + int((ticks[0] - BEFORE) / stream.time_base), stream=stream)
        shown = None
        for number, frame in enumerate(source.decode(stream)):
            at = (frame.pts - start) * stream.time_base if frame.pts is not None else number / Fraction(facts.fps)
            while left and shown is not None and left[0] + SLACK < at:
                yield shown
                left.popleft()
            if not left:
                return
            shown = frame
    yield from (shown for _ in left)


def _opened(path: Path) -> "Image":
    from PIL import Image

    from studio.media.frames import picture_of

    return Image.fromarray(picture_of(path, "first"))


def _upright(frame: Any) -> "Image":
    from PIL import Image

    from studio.media.picture import rgb

    return Image.fromarray(rgb(frame))


def _filling(image: "Image", width: int, height: int) -> "Image":
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
