"""Where everything stands on the film's clock: trims, transitions, lines. Arithmetic only: knows no files, no codecs.

What cuts the film and what draws its timeline ask here, so that the two can never disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from studio.domain import Transition

DISSOLVE_SECONDS = 0.5  # the longest; shared by both neighbours
FADE_SECONDS = 0.5  # to black, and again from black
STILL_SECONDS = 3.0  # of a picture for which no time was given
DIP_SECONDS = 0.25  # to white, and again from white: a flash that takes longer looks like a fault


@dataclass(frozen=True, slots=True)
class Wanted:
    """A clip as the user asked for it, in seconds."""

    seconds: float
    trim_start: float = 0.0
    trim_end: float = 0.0
    transition: Transition = "cut"  # into the next


@dataclass(frozen=True, slots=True)
class Edge:
    """How a clip begins or ends. The frames of a dissolve belong to both clips, those of a fade to this one."""

    kind: Transition = "cut"
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A clip in the film, in frames of the film's rate."""

    first: int  # of the clip's own frames
    num_frames: int
    start: int  # the film's frame at which it is first seen
    arrive: Edge
    leave: Edge

    @property
    def end(self) -> int:
        return self.start + self.num_frames


def dissolve_frames(rate: Fraction) -> int:
    """Length of a full dissolve: 12 at 24 fps."""
    return round(rate * Fraction(DISSOLVE_SECONDS))


def frames_of(seconds: float, fps: int) -> int:
    """A clip keeps its length: at least one frame."""
    return max(1, round(seconds * fps))


def lay_out(clips: Sequence[Wanted], fps: int) -> list[Place]:
    """Every clip in its place. A clip gives a third of itself to each of its transitions at most; trims leave at least
    one frame."""
    spans = [_shown(clip, fps) for clip in clips]
    places: list[Place] = []
    arrive, at = Edge(), 0
    for number, (first, count) in enumerate(spans):
        following = spans[number + 1][1] if number + 1 < len(spans) else None
        leave = _edge(clips[number].transition, count, following, fps)
        at -= arrive.frames if arrive.kind == "dissolve" else 0
        places.append(Place(first, count, at, arrive, leave))
        at += count
        arrive = Edge(leave.kind, _frames(leave.kind, following or 0, count, fps)) if leave.frames else Edge()
    return places


def _shown(clip: Wanted, fps: int) -> tuple[int, int]:
    """(first frame, how many)"""
    count = frames_of(clip.seconds, fps)
    first = min(round(clip.trim_start * fps), count - 1)
    return first, max(1, count - first - round(clip.trim_end * fps))


def _edge(kind: Transition, count: int, following: int | None, fps: int) -> Edge:
    """The last clip has nothing to dissolve into; it may fade."""
    if kind == "cut" or (following is None and kind == "dissolve"):
        return Edge()
    frames = _frames(kind, count, count if following is None else following, fps)
    return Edge(kind, frames) if frames else Edge()


def _frames(kind: Transition, count: int, other: int, fps: int) -> int:
    if kind == "dissolve":
        return min(dissolve_frames(Fraction(fps)), count // 3, other // 3)
    return min(round(fps * (FADE_SECONDS if kind == "fade" else DIP_SECONDS)), count // 3)


def film_frames(places: Sequence[Place]) -> int:
    return places[-1].end if places else 0


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound of a clip on the film's clock, in seconds. `skip`: what a trim took off its beginning."""

    start: float
    skip: float
    seconds: float
    cut_off: bool  # it would go on


def heard(place: Place, start: float, seconds: float, fps: int, *, all_of_it: bool = True) -> Heard | None:
    """A sound that begins `start` seconds after its clip's first frame; None where the trims leave nothing of it.

    `all_of_it`: it may go on past the end of an untrimmed clip, as the last word of a line does."""
    begin, stop = place.first / fps, (place.first + place.num_frames) / fps
    skip = max(0.0, begin - start)
    end = start + seconds if all_of_it else min(start + seconds, stop)
    left = end - start - skip
    if left <= 1e-6:
        return None
    return Heard(place.start / fps + start + skip - begin, skip, left, end < start + seconds - 1e-6)
