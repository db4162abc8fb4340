"""The cut: a film that was asked for becomes one file. Puts conform, cards, mix, subtitles and join on one clock.

Knows files and numbers only. A film may have clips of any size, rate and kind; its own frame is the measure.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from studio.domain import JSON, Frame
from studio.errors import MediaError
from studio.media.conform import Fill, conform, fits, frames_needed
from studio.media.files import replace, whole_or_gone, write_small
from studio.media.film import Card, Film, Laid, lay
from studio.media.join import Ink, Piece, write_film
from studio.media.mix import mix
from studio.media.plan import Place
from studio.media.probe import probe
from studio.media.sound import RATE
from studio.media.subtitles import Cue, srt, vtt

Step = Callable[[int, int, str], None]  # (done, total, what is being done); may raise Cancelled
MIX_SHARE = 20  # frames' worth of work per second of film that the mix takes, for an even progress bar


def cut(
    film: Film, out: Path, *, cache: Path, comment: Mapping[str, JSON], step: Step, owner: str = ""
) -> dict[str, JSON]:
    """Write the film to `out` and its subtitles beside it; see tools.cut for what comes back. What is unfinished
    carries `owner` in its name, so that a sweep after a crash knows whose it was.

    Raises Refused, MediaError (naming the file), DiskFull, Cancelled; `out` is whole or as it was."""
    laid = lay(film)
    work = _Work(laid, step)
    pieces, made = _pieces(laid, cache, work)
    cues, chapters = laid.cues(), laid.chapters()
    part = out.with_name(f"{out.name}.{owner}.part" if owner else f"{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = cache / (f"mix.{owner}" if owner else "mix")
    with (
        whole_or_gone(part),
        mix(laid.sounds(), scratch, target=film.loudness, step=work.sound) as mixed,
    ):
        joined = write_film(
            part, pieces, Fraction(film.frame.fps), sound=mixed, ink=_ink(laid),
            cues=cues if film.captioned else (), chapters=chapters, comment=comment, step=work.join,
        )  # fmt: skip
        _check(part, joined.frames, film.frame)
        captions = write_captions(out, cues) if film.captioned else {}
        replace(part, out)
    return {
        "path": str(out), "frames": joined.frames, "duration": laid.seconds, "encoded": joined.encoded,
        "conformed": made, "lufs": _rounded(mixed.lufs), "true_peak": _rounded(mixed.true_peak), **captions,
        "chapters": [{"start": each.start, "end": each.end, "title": each.title} for each in chapters],
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


class _Work:
    """One even progress bar over what must be made, the mix and the joining, in frames."""

    def __init__(self, laid: Laid, step: Step) -> None:
        film = laid.film
        self.to_make = [
            0 if fits(facts, film.frame) else frames_needed(facts, film.frame, shot.seconds)
            for facts, shot in zip(laid.facts, film.shots, strict=True)
        ]
        cards = sum(place.num_frames for place in (laid.head, laid.tail) if place)
        self._made, self._mix = sum(self.to_make) + cards, round(laid.seconds * MIX_SHARE)
        self._total = self._made + self._mix + laid.frames
        self._film, self._step = laid.frames, step

    def made(self, before: int) -> Callable[[int, int], None]:
        """For what makes a clip, after `before` frames of others."""
        return lambda done, _: self._step(before + done, self._total, "conform")

    def sound(self, share: float) -> None:
        self._step(self._made + round(share * self._mix), self._total, "sound")

    def join(self, done: int, total: int) -> None:
        self._step(self._total - self._film + self._film * done // total, self._total, "join")


def _pieces(laid: Laid, cache: Path, work: _Work) -> tuple[list[Piece], int]:
    """Every clip and card in the film's form, and how many clips were made for it just now."""
    film, before = laid.film, 0
    pieces, made = [], 0
    for shot, facts, place, length in zip(film.shots, laid.facts, laid.places, work.to_make, strict=True):
        fill: Fill | None = (shot.focus or "faces") if film.reframed else None
        fitted = conform(
            shot.path, film.frame, cache, facts=facts, seconds=shot.seconds, fill=fill, step=work.made(before)
        )
        pieces.append(Piece(fitted.path, place))
        made, before = made + fitted.made, before + length
    if film.title and laid.head:
        pieces.insert(0, _card("title", film.title, laid.head, film.frame, cache, work.made(before)))
        before += laid.head.num_frames
    if film.credits and laid.tail:
        pieces.append(_card("credits", film.credits, laid.tail, film.frame, cache, work.made(before)))
    return pieces, made


def _card(
    kind: Literal["title", "credits"], card: Card, place: Place, frame: Frame, cache: Path,
    step: Callable[[int, int], None],
) -> Piece:  # fmt: skip
    from studio.media.titles import card_clip  # moviepy takes a second to load; most films need none

    return Piece(card_clip(kind, card, frame, place.num_frames, cache, step), place)


def _ink(laid: Laid) -> Ink | None:
    if not laid.film.burnt:
        return None
    from studio.media.burn import Burnt, columns_of  # OpenCV is only in workers

    return Burnt(laid.cues(columns_of(laid.film.frame)), laid.film.frame)


def write_captions(out: Path, cues: Sequence[Cue]) -> dict[str, JSON]:
    """Subtitles beside the film, for players and for editors."""
    paths = {"vtt": out.with_suffix(".vtt"), "srt": out.with_suffix(".srt")}
    write_small(paths["vtt"], vtt(cues).encode())
    write_small(paths["srt"], srt(cues).encode())
    return {name: str(path) for name, path in paths.items()}


def _check(part: Path, frames: int, frame: Frame) -> None:
    """The film as a stranger would find it, before it gets its name."""
    facts = probe(part)
    if facts.num_frames != frames:
        raise MediaError("media.frame_count", expected=frames, got=facts.num_frames)
    if abs(facts.duration - frames / frame.fps) > 0.5 / frame.fps or facts.sample_rate != RATE:
        raise MediaError("media.broken", name=part.name, reason="picture and sound differ in length")
