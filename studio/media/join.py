"""A film from clips that already have its form: packets are copied, only dissolves are encoded. Knows no scenes.

With no B-frames any clip may be left at any frame, and entered where it has an IDR frame; the Writer puts one where a
full dissolve ends. Sound, subtitles and chapters go into the same file in one pass.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from studio.domain import JSON
from studio.errors import MediaError, Refused
from studio.media.files import fsync_file, whole_or_gone
from studio.media.picture import blended
from studio.media.probe import open_media
from studio.media.sound import RATE
from studio.media.subtitles import MOV_TEXT_STYLE, Cue, mov_text
from studio.media.writer import (
    VideoFile,
    add_aac,
    dissolve_frames,
    encode_aac,
    encoding,
    mp4_options,
    timescale,
    to_frame,
)

MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Piece:
    """One clip in the film. `dissolve`: frames it shares with the next piece; 0 is a hard cut."""

    path: Path
    num_frames: int
    dissolve: int = 0


@dataclass(frozen=True, slots=True)
class Chapter:
    start: float  # seconds
    end: float
    title: str


@dataclass(frozen=True, slots=True)
class Joined:
    frames: int
    encoded: int  # of them; the others are copies of packets


def dissolves(counts: Sequence[int], wanted: Sequence[bool], rate: Fraction) -> list[int]:
    """Frames each clip shares with the next: half a second, or a third of the shorter neighbour; none for the last."""
    shared = [
        min(dissolve_frames(rate), before // 3, after // 3) if dissolve else 0
        for (before, after), dissolve in zip(pairwise(counts), wanted, strict=False)
    ]
    return [*shared, 0]


def starts(pieces: Sequence[Piece]) -> list[int]:
    """The film's frame at which each piece is first seen."""
    found, at = [], 0
    for piece in pieces:
        found.append(at)
        at += piece.num_frames - piece.dissolve
    return found


def film_frames(pieces: Sequence[Piece]) -> int:
    return sum(piece.num_frames - piece.dissolve for piece in pieces)


def write_film(
    path: Path,
    pieces: Sequence[Piece],
    rate: Fraction,
    *,
    sound: np.ndarray,
    cues: Sequence[Cue] = (),
    chapters: Sequence[Chapter] = (),
    comment: Mapping[str, JSON],
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Joined:
    """One MP4: copied video, `sound` (N, 2) at 48 kHz encoded once, mov_text, chapters, `comment` as JSON.

    fsynced when it returns; removed after any failure. Raises MediaError, DiskFull, Cancelled (from `step`)."""
    if not pieces:
        raise Refused("cut.empty")
    total, encoded = film_frames(pieces), 0
    with whole_or_gone(path):
        with _Film(path, pieces[0].path, rate, sound, cues, chapters, comment) as film:
            for number, (packet, is_new) in enumerate(_packets(pieces, rate, path), start=1):
                film.write(packet)
                encoded += is_new
                step(number, total)
        if film.frames != total:
            raise MediaError("media.frame_count", expected=total, got=film.frames)
        fsync_file(path)
    return Joined(total, encoded)


class _Film:
    """The output file: takes video packets in order and lays sound and subtitles beside them as time goes on."""

    def __init__(
        self,
        path: Path,
        template: Path,
        rate: Fraction,
        sound: np.ndarray,
        cues: Sequence[Cue],
        chapters: Sequence[Chapter],
        comment: Mapping[str, JSON],
    ) -> None:
        self.frames = 0
        self._path, self._rate, self._sound, self._heard = path, rate, sound, 0
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
        if self._sound[self._heard : until].size:
            self._file.mux(encode_aac(self._audio, self._sound[self._heard : until], self._heard))
            self._heard = until

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
def _packets(pieces: Sequence[Piece], rate: Fraction, beside: Path) -> Iterator[tuple[av.Packet, bool]]:
    """(packet, was it encoded for this film) for every frame of the film in order."""
    enter = 0  # the frame of the piece from which its packets are copied
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        leave = piece.num_frames - piece.dissolve
        yield from ((packet, False) for packet in _copied(piece.path, enter, leave))
        enter = 0
        if piece.dissolve and following:
            end = following.num_frames - following.dissolve
            enter = _next_key(following.path, piece.dissolve, end)
            bridge = beside.with_name(beside.name + ".dissolve.part")
            with whole_or_gone(bridge):
                _write_bridge(bridge, piece, following, enter, rate)
                yield from ((packet, True) for packet in _copied(bridge, 0, enter))
            bridge.unlink()


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


def _next_key(path: Path, start: int, stop: int) -> int:
    """The first frame from `start` on where the clip may be entered, or `stop`."""
    with open_media(path) as source:
        packets = (packet for packet in source.demux(source.streams.video[0]) if packet.size)
        for number, packet in enumerate(packets):
            if number >= stop:
                break
            if number >= start and packet.is_keyframe:
                return number
    return stop


def _write_bridge(bridge: Path, piece: Piece, following: Piece, enter: int, rate: Fraction) -> None:
    """The shared frames, then the next clip's own up to `enter`, written by the one Writer."""
    leaving = _decoded(piece.path, piece.num_frames - piece.dissolve, piece.num_frames)
    arriving = _decoded(following.path, 0, enter)
    with VideoFile(bridge, rate, enter, audio=None, comment={}) as file:
        for number, after in enumerate(arriving):
            if number < piece.dissolve:
                share = (number + 1) / (piece.dissolve + 1)
                after = blended(next(leaving), after, share * share * (3 - 2 * share))
            file.write(to_frame(after, "yuv420p"))


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
