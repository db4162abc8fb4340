"""A film from clips that already have its form: packets are copied, only frames that change are encoded.

With no B-frames any clip may be left at any frame, and entered where it has an IDR frame; the Writer puts one where a
full transition ends. What is encoded are transitions, what is written over the picture, and the frames between a trim
and the next IDR frame. Sound, subtitles and chapters go into the same file in one pass. Knows no scenes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from studio.domain import JSON
from studio.errors import MediaError, Refused
from studio.media.files import fsync_file, whole_or_gone
from studio.media.picture import BLACK, WHITE, blended, plain
from studio.media.plan import Place, film_frames
from studio.media.probe import open_media
from studio.media.sound import RATE
from studio.media.subtitles import MOV_TEXT_STYLE, Cue, mov_text
from studio.media.writer import VideoFile, add_aac, encode_aac, encoding, mp4_options, timescale, to_frame

MILLISECOND = Fraction(1, 1000)
COLOURS = {"fade": BLACK, "dip": WHITE}  # what a transition goes through


@dataclass(frozen=True, slots=True)
class Piece:
    """One clip and its place in the film."""

    path: Path
    place: Place

    @property
    def written(self) -> int:
        """Its frames up to where the next clip's dissolve begins."""
        return self.place.num_frames - (self.place.leave.frames if self.place.leave.kind == "dissolve" else 0)


class Ink(Protocol):
    """Something that is written over the film, such as subtitles."""

    def touches(self, number: int) -> bool:
        """Is there something on this frame of the film?"""

    def draw(self, frame: np.ndarray, number: int) -> None:
        """On a frame (H * 3 / 2, W) uint8 yuv420p, in place."""


@dataclass(frozen=True, slots=True)
class Chapter:
    start: float  # seconds
    end: float
    title: str


@dataclass(frozen=True, slots=True)
class Joined:
    frames: int
    encoded: int  # of them; the others are copies of packets


def write_film(
    path: Path,
    pieces: Sequence[Piece],
    rate: Fraction,
    *,
    sound: Iterable[np.ndarray],
    ink: Ink | None = None,
    cues: Sequence[Cue] = (),
    chapters: Sequence[Chapter] = (),
    comment: Mapping[str, JSON],
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Joined:
    """One MP4: copied video, `sound` in pieces of (n, 2) at 48 kHz encoded once, mov_text, chapters, `comment` as JSON.

    fsynced when it returns; removed after any failure. Raises MediaError, DiskFull, Cancelled (from `step`)."""
    if not pieces:
        raise Refused("cut.empty")
    total = film_frames([piece.place for piece in pieces])
    plan = [list(runs(piece, ink)) for piece in pieces]
    encoded = sum(run.stop - run.start for each in plan for run in each if run.encoded)
    progress = _Progress(total + encoded, step)
    with whole_or_gone(path):
        with _Film(path, pieces[0].path, rate, sound, cues, chapters, comment) as film:
            for packet in _packets(pieces, plan, _Bridges(path, rate, ink, progress)):
                film.write(packet)
                progress.more()
        if film.frames != total:
            raise MediaError("media.frame_count", expected=total, got=film.frames)
        fsync_file(path)
    return Joined(total, encoded)


class _Progress:
    """Frames written and frames encoded, out of all."""

    def __init__(self, total: int, step: Callable[[int, int], None]) -> None:
        self._done, self._total, self._step = 0, total, step

    def more(self) -> None:
        self._done += 1
        self._step(self._done, self._total)


class _Sound:
    """Pieces of sound, asked for sample by sample."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self._pieces = iter(pieces)
        self._held = np.zeros((0, 2), np.float32)

    def take(self, count: int) -> np.ndarray:
        """The next `count` samples; fewer where the sound is over."""
        while len(self._held) < count and (piece := next(self._pieces, None)) is not None:
            self._held = np.concatenate([self._held, piece])
        taken, self._held = self._held[:count], self._held[count:]
        return taken


class _Film:
    """The output file: takes video packets in order and lays sound and subtitles beside them as time goes on."""

    def __init__(
        self,
        path: Path,
        template: Path,
        rate: Fraction,
        sound: Iterable[np.ndarray],
        cues: Sequence[Cue],
        chapters: Sequence[Chapter],
        comment: Mapping[str, JSON],
    ) -> None:
        self.frames = 0
        self._path, self._rate, self._sound, self._heard = path, rate, _Sound(sound), 0
        self._step = round(timescale(rate) / rate)  # ticks per frame
        self._cues = sorted(cues, key=lambda cue: cue.start)
        with encoding(path):
            self._file = av.open(str(path), "w", format="mp4", options=mp4_options(rate))
        self._file.metadata["comment"] = json.dumps(comment, ensure_ascii=False)
        with open_media(template) as source:
            self._video: Any = self._file.add_stream_from_template(source.streams.video[0])
        self._audio = add_aac(self._file)
        self._text: Any = self._file.add_stream("mov_text") if cues else None
        if self._text:
            self._text.codec_context.subtitle_header = MOV_TEXT_STYLE
            self._text.time_base = self._text.codec_context.time_base = MILLISECOND
        self._file.set_chapters([_chapter_entry(number, chapter) for number, chapter in enumerate(chapters)])

    def __enter__(self) -> "_Film":
        return self

    def write(self, packet: av.Packet) -> None:
        """The next frame of the film, whatever time it had in its clip."""
        packet.stream, packet.time_base = self._video, Fraction(1, timescale(self._rate))
        packet.pts = packet.dts = self.frames * self._step
        packet.duration = self._step
        self.frames += 1
        seconds = self.frames / self._rate
        with encoding(self._path):
            self._file.mux(packet)
            self._hear(round(seconds * RATE))
            while self._cues and self._cues[0].start < seconds:
                self._file.mux(self._subtitle(self._cues.pop(0)))

    def _hear(self, until: int) -> None:
        samples = self._sound.take(until - self._heard)
        if samples.size:
            self._file.mux(encode_aac(self._audio, samples, self._heard))
            self._heard += len(samples)

    def _subtitle(self, cue: Cue) -> av.Packet:
        packet = av.Packet(mov_text(cue))
        packet.stream, packet.time_base = self._text, MILLISECOND
        packet.pts = packet.dts = round(cue.start * 1000)
        packet.duration = round((cue.end - cue.start) * 1000)
        return packet

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            with suppress(av.FFmpegError):  # the reason why we are here is worth more
                self._file.close()
            return
        with encoding(self._path):
            self._file.mux(self._audio.encode(None))
            self._file.close()


def _chapter_entry(number: int, chapter: Chapter) -> Any:
    return {
        "id": number,
        "start": round(chapter.start * 1000),
        "end": round(chapter.end * 1000),
        "time_base": MILLISECOND,
        "metadata": {"title": chapter.title},
    }


# ------------------------------------------------------------------------------------------------ packets
@dataclass(frozen=True, slots=True)
class Run:
    """Frames start..stop of a piece, counted from where it begins: copied as packets, or encoded."""

    start: int
    stop: int
    encoded: bool


def runs(piece: Piece, ink: Ink | None = None) -> Iterator[Run]:
    """What of a piece may be copied, and what must be encoded."""
    place, stop = piece.place, piece.written
    keys: set[int] | None = None

    def changed(number: int) -> bool:
        fading = place.leave.kind in ("fade", "dip") and number >= place.num_frames - place.leave.frames
        return number < place.arrive.frames or fading or bool(ink and ink.touches(place.start + number))

    def enterable(number: int) -> bool:
        nonlocal keys
        if place.first + number == 0:
            return True
        keys = _keys(piece.path) if keys is None else keys
        return place.first + number in keys

    start = 0
    while start < stop:
        encoded = changed(start) or not enterable(start)
        end = start + 1
        while end < stop and (changed(end) or (encoded and not enterable(end))) == encoded:
            end += 1
        yield Run(start, end, encoded)
        start = end


def _packets(pieces: Sequence[Piece], plan: Sequence[Sequence[Run]], bridges: "_Bridges") -> Iterator[av.Packet]:
    """Every frame of the film in order."""
    before = None
    for piece, parts in zip(pieces, plan, strict=True):
        for run in parts:
            if run.encoded:
                yield from bridges.packets(piece, before, run)
            else:
                yield from _copied(piece.path, piece.place.first + run.start, piece.place.first + run.stop)
        before = piece


class _Bridges:
    """The frames that differ from those of their clips, written by the one Writer into small files beside the film."""

    def __init__(self, beside: Path, rate: Fraction, ink: Ink | None, progress: _Progress) -> None:
        self._path = beside.with_name(beside.name + ".bridge.part")
        self._rate, self._ink, self._progress = rate, ink, progress

    def packets(self, piece: Piece, before: Piece | None, run: Run) -> Iterator[av.Packet]:
        with whole_or_gone(self._path):
            with VideoFile(self._path, self._rate, run.stop - run.start, audio=None, comment={}) as file:
                for frame in self._frames(piece, before, run):
                    file.write(to_frame(frame, "yuv420p"))
                    self._progress.more()
            yield from _copied(self._path, 0, run.stop - run.start)
        self._path.unlink()

    def _frames(self, piece: Piece, before: Piece | None, run: Run) -> Iterator[np.ndarray]:
        place = piece.place
        leaving = _leaving(before, run.start) if place.arrive.kind == "dissolve" else iter(())
        fading = place.num_frames - place.leave.frames if place.leave.kind in COLOURS else place.num_frames
        for number, frame in enumerate(
            _decoded(piece.path, place.first + run.start, place.first + run.stop), start=run.start
        ):
            if number < place.arrive.frames:
                share = smooth((number + 1) / (place.arrive.frames + 1))
                under = next(leaving) if place.arrive.kind == "dissolve" else plain(COLOURS[place.arrive.kind], frame)
                frame = blended(under, frame, share)
            if number >= fading:
                share = smooth((number - fading + 1) / place.leave.frames)
                frame = blended(frame, plain(COLOURS[place.leave.kind], frame), share)
            if self._ink:
                self._ink.draw(frame, place.start + number)
            yield frame


def _leaving(piece: Piece | None, start: int) -> Iterator[np.ndarray]:
    """The frames that a piece shares with the next one, from the `start`th on."""
    if piece is None:
        return iter(())
    first = piece.place.first
    return _decoded(piece.path, first + piece.written + start, first + piece.place.num_frames)


def smooth(share: float) -> float:
    """0..1 with a soft beginning and a soft end."""
    return share * share * (3 - 2 * share)


def _copied(path: Path, start: int, stop: int) -> Iterator[av.Packet]:
    """Packets start..stop of a clip's picture. Raises MediaError where they cannot be entered or do not suffice."""
    number = 0
    with open_media(path) as source:
        for packet in source.demux(source.streams.video[0]):
            if packet.size == 0:  # the demuxer's farewell
                continue
            if number >= stop:
                return
            if number == start and not packet.is_keyframe:
                raise MediaError("media.broken", name=path.name, reason=f"no keyframe at {start}")
            if number >= start:
                yield packet
            number += 1
    if number < stop:
        raise MediaError("media.frame_count", expected=stop, got=number)


def _keys(path: Path) -> set[int]:
    """The frames at which the clip may be entered."""
    with open_media(path) as source:
        packets = (packet for packet in source.demux(source.streams.video[0]) if packet.size)
        return {number for number, packet in enumerate(packets) if packet.is_keyframe}


def _decoded(path: Path, start: int, stop: int) -> Iterator[np.ndarray]:
    """Frames start..stop, each (H * 3 / 2, W) uint8 yuv420p; decoding begins at the keyframe before `start`."""
    with open_media(path) as source:
        stream: Any = source.streams.video[0]
        ticks = 1 / (stream.average_rate * stream.time_base)  # per frame
        first = stream.start_time or 0
        if start:
            source.seek(first + round(start * ticks), stream=stream)
        for frame in source.decode(stream):
            number = round((frame.pts - first) / ticks)
            if number >= stop:
                return
            if number >= start:
                yield frame.to_ndarray(format="yuv420p")
