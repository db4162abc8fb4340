"""A film as it was asked for, and laid on its clock: which frames, which sounds, which words stand where.

Files and numbers only: knows no scenes. Encodes and mixes nothing.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from studio.domain import Frame, Transition
from studio.errors import Refused
from studio.media import mix, plan
from studio.media.conform import seconds_of
from studio.media.join import Chapter
from studio.media.mix import Heard, Sounds
from studio.media.plan import Place, Wanted, film_frames, lay_out
from studio.media.probe import Facts, probe
from studio.media.subtitles import COLUMNS, Cue, cues_of

CUT_FADE = 0.06  # seconds; of a word that a trim cuts off
EFFECT_FADE = 0.3  # of an effect that goes on when its scene is over


@dataclass(frozen=True, slots=True)
class Shot:
    """One clip as it was asked for. `seconds`: of a still. `own_sound`: its own track is heard at dialogue level.
    `focus`: x, y in 0..1 that a narrower film keeps in sight."""

    path: Path
    title: str = ""
    transition: Transition = "cut"  # into the next
    trim_start: float = 0.0
    trim_end: float = 0.0
    seconds: float | None = None
    own_sound: bool = False
    focus: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FilmLine:
    """A line on the clock of its clip."""

    path: Path | None  # None: it is heard in the clip's own sound, and only read here
    clip: int  # index into the shots
    start: float  # seconds from the clip's first frame
    duration: float
    text: str = ""
    character: str = ""


@dataclass(frozen=True, slots=True)
class FilmEffect:
    """A sound on the clock of its clip; it ends with it."""

    path: Path
    clip: int
    at: float  # seconds
    duration: float  # of the file
    level: float = -24.0  # LUFS


@dataclass(frozen=True, slots=True)
class Bed:
    """Music under the whole film, played once. `level`: its LUFS where nobody speaks; start, end: in its file."""

    path: Path
    level: float = -24.0
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """Words on ink: the title with a line below it, or credits, one line each."""

    text: str
    seconds: float
    below: str = ""


@dataclass(frozen=True, slots=True)
class Film:
    """`reframed`: clips of another shape fill the frame, following faces, instead of standing on black.
    `burnt`: subtitles are part of the picture."""

    frame: Frame
    shots: Sequence[Shot]
    lines: Sequence[FilmLine] = ()
    effects: Sequence[FilmEffect] = ()
    music: Bed | None = None
    loudness: float = mix.TARGET_LUFS
    title: Card | None = None
    credits: Card | None = None
    reframed: bool = False
    burnt: bool = False
    captioned: bool = True  # subtitles inside the file and beside it


@dataclass(frozen=True, slots=True)
class Laid:
    """Every clip in its place. `places` are those of the shots; the cards have their own."""

    film: Film
    facts: Sequence[Facts]
    places: Sequence[Place]
    head: Place | None
    tail: Place | None

    @property
    def frames(self) -> int:
        return film_frames([*self.places, *([self.tail] if self.tail else [])])

    @property
    def seconds(self) -> float:
        return self.frames / self.film.frame.fps

    def sounds(self) -> Sounds:
        """What is heard, each sound at its time."""
        dialogue = [*self._lines(), *self._own_sounds()]
        return Sounds(self.seconds, dialogue, list(self._effects()), self._music())

    def _lines(self) -> list[Heard]:
        found = [(line.path, self._heard(line)) for line in self.film.lines]
        return [
            Heard(
                path, at.start, at.skip, at.seconds if at.cut_off else None,
                fade_in=CUT_FADE if at.skip else mix.EDGE, fade_out=CUT_FADE if at.cut_off else mix.EDGE,
            )
            for path, at in found if path and at
        ]  # fmt: skip

    def _heard(self, line: FilmLine) -> plan.Heard | None:
        trimmed = bool(self.film.shots[line.clip].trim_end)
        return plan.heard(self.places[line.clip], line.start, line.duration, self.film.frame.fps, all_of_it=not trimmed)

    def _own_sounds(self) -> list[Heard]:
        """They come and go with their pictures."""
        fps = self.film.frame.fps
        return [
            Heard(
                shot.path, place.start / fps, place.first / fps, place.num_frames / fps,
                fade_in=max(mix.EDGE, place.arrive.frames / fps), fade_out=max(mix.EDGE, place.leave.frames / fps),
            )
            for shot, facts, place in zip(self.film.shots, self.facts, self.places, strict=True)
            if shot.own_sound and facts.has_audio
        ]  # fmt: skip

    def _effects(self) -> list[Heard]:
        fps, found = self.film.frame.fps, []
        for effect in self.film.effects:
            at = plan.heard(self.places[effect.clip], effect.at, effect.duration, fps, all_of_it=False)
            if at:
                fade = EFFECT_FADE if at.cut_off else mix.EDGE
                found.append(
                    Heard(effect.path, at.start, at.skip, at.seconds if at.cut_off else None, effect.level,
                          fade_out=fade)
                )  # fmt: skip
        return found

    def _music(self) -> Heard | None:
        bed = self.film.music
        if bed is None:
            return None
        seconds = min(self.seconds, self.seconds if bed.end is None else bed.end - bed.start)
        return Heard(bed.path, 0.0, bed.start, seconds, bed.level, mix.FADE_IN, mix.FADE_OUT, by_part=True)

    def cues(self, wide: int = COLUMNS) -> list[Cue]:
        """The lines as subtitles of at most `wide` columns, in the order in which they are seen."""
        cues: list[Cue] = []
        for line in self.film.lines:
            at = self._heard(line) if line.text else None
            if at and at.start < self.seconds:
                seconds = min(at.seconds, self.seconds - at.start)
                cues += cues_of(line.text, at.start, seconds, line.character, wide)
        return sorted(cues, key=lambda cue: cue.start)

    def chapters(self) -> list[Chapter]:
        """One for each shot, and one for the title card: players take for granted that the first begins at 0."""
        fps = self.film.frame.fps
        begins = [place.start / fps for place in self.places]
        ends = [*begins[1:], self.tail.start / fps if self.tail else self.seconds]
        chapters = [
            Chapter(round(begin, 3), round(end, 3), shot.title or str(number))
            for number, (shot, begin, end) in enumerate(zip(self.film.shots, begins, ends, strict=True), start=1)
        ]
        if self.head and self.film.title:
            chapters.insert(0, Chapter(0.0, round(begins[0], 3), self.film.title.text))
        return chapters


def lay(film: Film) -> Laid:
    """All files are looked at before anything is made. Raises Refused, and MediaError naming the file."""
    if not film.shots:
        raise Refused("cut.empty")
    with ThreadPoolExecutor(max_workers=4) as pool:  # opening is half of the work of a film of hard cuts
        facts = list(pool.map(probe, [shot.path for shot in film.shots]))
    clips = []
    for number, (shot, each) in enumerate(zip(film.shots, facts, strict=True), start=1):
        if each.kind == "audio":
            raise Refused("media.no_picture", name=shot.path.name)
        seconds = seconds_of(each, shot.seconds)
        if shot.trim_start + shot.trim_end > max(0.0, seconds - 0.5 / film.frame.fps):
            raise Refused("cut.trimmed_away", scene=shot.title or str(number), seconds=round(seconds, 2))
        clips.append(Wanted(seconds, shot.trim_start, shot.trim_end, shot.transition))
    cards = [[Wanted(card.seconds)] if card else [] for card in (film.title, film.credits)]
    places = lay_out([*cards[0], *clips, *cards[1]], film.frame.fps)
    first = len(cards[0])
    return Laid(
        film, facts, places[first : first + len(clips)],
        places[0] if film.title else None, places[-1] if film.credits else None,
    )  # fmt: skip
