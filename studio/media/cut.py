"""The cut: clips, lines and music become one film file. Puts conform, mix, subtitles and join on one clock.

Knows files and numbers only. A film may have clips of any size, rate and kind; its own frame is the measure.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from studio.domain import JSON, Frame
from studio.errors import MediaError, Refused
from studio.media.conform import Fitted, conform, fits, frames_needed
from studio.media.files import replace, whole_or_gone, write_small
from studio.media.join import Chapter, Piece, dissolves, film_frames, starts, write_film
from studio.media.mix import Heard, Mixed, mix
from studio.media.probe import probe
from studio.media.sound import RATE, load48
from studio.media.subtitles import Cue, cues_of, vtt

Step = Callable[[int, int, str], None]  # (done, total, what is being done); may raise Cancelled
MIX_SHARE = 20  # frames' worth of work per second of film that the mix takes, for an even progress bar


@dataclass(frozen=True, slots=True)
class Shot:
    """One clip as it was asked for. `seconds`: of a still. `own_sound`: its own track is heard at dialogue level."""

    path: Path
    title: str = ""
    dissolve: bool = False  # into the next
    seconds: float | None = None
    own_sound: bool = False


@dataclass(frozen=True, slots=True)
class FilmLine:
    """A line on the clock of its clip."""

    path: Path
    clip: int  # index into the shots
    start: float  # seconds from the clip's first frame
    duration: float
    text: str = ""
    character: str = ""


@dataclass(frozen=True, slots=True)
class Bed:
    """Music under the whole film; `level`: its LUFS where nobody speaks."""

    path: Path
    level: float = -24.0


def cut(
    frame: Frame,
    shots: Sequence[Shot],
    lines: Sequence[FilmLine],
    music: Bed | None,
    out: Path,
    *,
    cache: Path,
    comment: Mapping[str, JSON],
    step: Step,
    owner: str = "",
) -> dict[str, JSON]:
    """Write the film to `out` and its subtitles beside it; see tools.cut for what comes back. What is unfinished
    carries `owner` in its name, so that a sweep after a crash knows whose it was.

    Raises Refused("cut.empty"), MediaError (naming the file), DiskFull, Cancelled; `out` is whole or as it was."""
    if not shots:
        raise Refused("cut.empty")
    fitted, work_done, work = _fit(shots, frame, cache, step)
    shared = dissolves([clip.num_frames for clip in fitted], [shot.dissolve for shot in shots], Fraction(frame.fps))
    pieces = [Piece(clip.path, clip.num_frames, with_next) for clip, with_next in zip(fitted, shared, strict=True)]
    begins = [at / frame.fps for at in starts(pieces)]
    total = film_frames(pieces) / frame.fps

    step(work_done, work, "sound")
    mixed = _mix(shots, fitted, pieces, lines, begins, total, music, frame)
    cues = [cue for line in lines if line.text for cue in _cues(line, begins, total)]
    chapters = _chapters(shots, begins, total)

    part = out.with_name(f"{out.name}.{owner}.part" if owner else f"{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_gone(part):
        joined = write_film(
            part, pieces, Fraction(frame.fps), sound=mixed.samples, cues=cues, chapters=chapters, comment=comment,
            step=lambda done, _: step(work - film_frames(pieces) + done, work, "join"),
        )  # fmt: skip
        _check(part, joined.frames, frame)
        captions = out.with_suffix(".vtt")
        write_small(captions, vtt(cues).encode())
        replace(part, out)
    return {
        "path": str(out), "frames": joined.frames, "duration": total, "encoded": joined.encoded,
        "conformed": sum(clip.made for clip in fitted),
        "lufs": _rounded(mixed.lufs), "true_peak": _rounded(mixed.true_peak), "vtt": str(captions),
        "chapters": [{"start": each.start, "end": each.end, "title": each.title} for each in chapters],
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _fit(shots: Sequence[Shot], frame: Frame, cache: Path, step: Step) -> tuple[list[Fitted], int, int]:
    """Every clip in the film's form; (clips, work done, work in all). All are looked at before one is made."""
    with ThreadPoolExecutor(max_workers=4) as pool:  # opening is half of the work of a film of hard cuts
        facts = list(pool.map(probe, [shot.path for shot in shots]))
    counts = [frames_needed(each, frame, shot.seconds) for each, shot in zip(facts, shots, strict=True)]
    to_make = sum(count for count, each in zip(counts, facts, strict=True) if not fits(each, frame))
    work = to_make + sum(counts) + round(sum(counts) / frame.fps * MIX_SHARE)
    fitted, before = [], 0
    for shot, each, count in zip(shots, facts, counts, strict=True):
        fitted.append(
            conform(
                shot.path, frame, cache, facts=each, seconds=shot.seconds,
                step=lambda done, _, before=before: step(before + done, work, "conform"),  # type: ignore[misc]
            )
        )  # fmt: skip
        before += 0 if fits(each, frame) else count
    return fitted, before, work


def _mix(
    shots: Sequence[Shot],
    fitted: Sequence[Fitted],
    pieces: Sequence[Piece],
    lines: Sequence[FilmLine],
    begins: Sequence[float],
    total: float,
    music: Bed | None,
    frame: Frame,
) -> Mixed:
    heard = [Heard(begins[line.clip] + line.start, load48(line.path)) for line in lines]
    for shot, clip, piece, begin in zip(shots, fitted, pieces, begins, strict=True):
        if shot.own_sound and clip.original.has_audio:
            seconds = (piece.num_frames - piece.dissolve / 2) / frame.fps  # the next clip's sound takes over half-way
            heard.append(Heard(begin, load48(shot.path, seconds)))
    bed = load48(music.path, total) if music else None
    return mix(total, heard, bed, music.level if music else -24.0)


def _cues(line: FilmLine, begins: Sequence[float], total: float) -> list[Cue]:
    start = begins[line.clip] + line.start
    return cues_of(line.text, start, min(line.duration, total - start), line.character) if start < total else []


def _chapters(shots: Sequence[Shot], begins: Sequence[float], total: float) -> list[Chapter]:
    ends = [*begins[1:], total]
    return [
        Chapter(round(begin, 3), round(end, 3), shot.title or str(number))
        for number, (shot, begin, end) in enumerate(zip(shots, begins, ends, strict=True), start=1)
    ]


def _check(part: Path, frames: int, frame: Frame) -> None:
    """The film as a stranger would find it, before it gets its name."""
    facts = probe(part)
    if facts.num_frames != frames:
        raise MediaError("media.frame_count", expected=frames, got=facts.num_frames)
    if abs(facts.duration - frames / frame.fps) > 0.5 / frame.fps or facts.sample_rate != RATE:
        raise MediaError("media.broken", name=part.name, reason="picture and sound differ in length")
