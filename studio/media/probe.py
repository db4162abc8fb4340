"""What a file is, found from its content and never from its name. Knows nothing of scenes.

Strangers' files go through here first. The container is recognised by its first bytes and the one demuxer for it is
forced, so that FFmpeg never guesses: a playlist called `clip.mp4` would otherwise read other files of this machine.
Protocols are limited to `file`. Every other module opens media with `open_media`.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.domain import Kind
from studio.errors import MediaError, NotFound, Refused, TooLarge

if TYPE_CHECKING:
    import av.container

MAX_IMAGE_PIXELS = 64_000_000  # 256 MB as RGBA; no camera that people make references with exceeds it by much
MAX_IMAGE_SIDE = 16_384  # the largest WebP, and the largest texture of most browsers
MAX_VIDEO_SIDE = 8_192  # 8K; one decoded frame of more than that is 100 MB
MAX_SECONDS = 3 * 3600.0  # longer than any film; a header may claim years
MIN_AUDIO_SECONDS = 0.2  # a shorter sound holds no syllable and is nearly always a failed recording
MAX_BOXES = 200_000  # in a row; three hours in fragments of a second have 20,000, a file made to keep us busy millions
TAIL_SECONDS = 2.0  # a file whose last packet is this much too early was cut off

DEMUXERS = {  # container, as sniffed -> FFmpeg's demuxer, forced
    "mp4": "mov", "webm": "matroska", "avi": "avi", "gif": "gif",
    "wav": "wav", "mp3": "mp3", "flac": "flac", "ogg": "ogg", "aac": "aac",
}  # fmt: skip
STILLS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "bmp": "BMP"}  # container -> Pillow's name
EXIF_ORIENTATION = 0x0112
TURNS = {3: 180, 6: 270, 8: 90}  # EXIF orientation -> degrees counterclockwise
BITMAP_HEADERS = {bytes([size, 0, 0, 0]) for size in (12, 40, 52, 56, 64, 108, 124)}  # bytes of a BMP's second header
MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"<MPD", b"<SmoothStreamingMedia", b"[playlist]", b"RTSPtext")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a file. Numbers that do not apply are 0."""

    kind: Kind
    container: str  # a key of DEMUXERS or STILLS
    codec: str
    width: int = 0  # pixels as stored; see rotation
    height: int = 0
    fps: float = 0.0
    num_frames: int = 0
    duration: float = 0.0  # seconds
    sample_rate: int = 0
    channels: int = 0
    has_audio: bool = False
    pix_fmt: str = ""
    rotation: int = 0  # degrees counterclockwise that a player turns the picture: 0, 90, 180, 270
    parameters: str = ""  # hash of the codec's extradata: clips join by copy only where it is equal

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) as a player shows it."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sniff(path: Path) -> str:
    """The container by its first bytes: a key of DEMUXERS or STILLS.

    Raises NotFound, MediaError("media.empty"), Refused("media.playlist"), Refused("media.not_media")."""
    if not path.is_file():
        raise NotFound("media.missing", name=path.name)
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise MediaError("media.empty", name=path.name)
    container = _container_of(head)
    if container:
        return container
    if any(mark in head for mark in PLAYLISTS):
        raise Refused("media.playlist", name=path.name)
    raise Refused("media.not_media", name=path.name)


def _container_of(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[:2] == b"BM" and head[14:18] in BITMAP_HEADERS:
        return "bmp"
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "avif"
    if head[4:8] in MP4_BOXES:
        return "mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"ID3"):
        return "mp3"
    if head[0] == 0xFF and head[1:2] and head[1] & 0xF6 == 0xF0:  # ADTS: layer bits are zero
        return "aac"
    if head[0] == 0xFF and head[1:2] and head[1] & 0xE0 == 0xE0:
        return "mp3"
    return None


@contextmanager
def open_media(path: Path, container: str | None = None) -> "Iterator[av.container.InputContainer]":
    """Open video or sound for reading: one forced demuxer, files only. Failures inside become MediaError."""
    import av

    container = container or sniff(path)
    if container not in DEMUXERS:
        raise Refused("media.not_media", name=path.name)
    demuxer = DEMUXERS[container]
    options = {"protocol_whitelist": "file", "format_whitelist": _aliases(demuxer)}
    try:
        with av.open(
            f"file:{path.absolute()}", "r", format=demuxer, options=options, metadata_errors="replace"
        ) as source:
            yield source
    except av.FFmpegError as failure:
        raise MediaError("media.broken", name=path.name, reason=str(failure.strerror)) from failure


def _aliases(demuxer: str) -> str:
    return {"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm"}.get(demuxer, demuxer)


def probe(path: Path) -> Facts:
    """Look before anybody decodes: kind, size, rate, length, all within limits, first and last packet readable.

    Raises Refused, TooLarge or MediaError with a code that says what is wrong."""
    container = sniff(path)
    if container in STILLS:
        return _probe_still(path, container)
    with open_media(path, container) as source:
        if source.streams.video and not _is_cover(source.streams.video[0]):
            facts = _probe_video(source, container, path)
        elif source.streams.audio:
            facts = _probe_audio(source, container, path)
        else:
            raise Refused("media.not_media", name=path.name)
        _check_tail(source, facts, path)
    return facts


def _is_cover(stream: Any) -> bool:
    """An MP3's or M4A's cover picture is a video stream of one frame to FFmpeg."""
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _probe_still(path: Path, container: str) -> Facts:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=[STILLS[container]]) as image:  # reads the header only
            width, height = image.size
            if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
                raise _too_many_pixels(path)
            mode, turn = image.mode, image.getexif().get(EXIF_ORIENTATION, 1)
            image.load()
    except Image.DecompressionBombError as failure:  # Pillow's own limit, twice ours, speaks before we can ask the size
        raise _too_many_pixels(path) from failure
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as failure:
        raise MediaError("media.broken", name=path.name, reason=str(failure)) from failure
    return Facts("image", container, container, width, height, num_frames=1, pix_fmt=mode, rotation=TURNS.get(turn, 0))


def _too_many_pixels(path: Path) -> TooLarge:
    return TooLarge(
        "media.too_many_pixels", name=path.name, megapixels=MAX_IMAGE_PIXELS // 1_000_000, side=MAX_IMAGE_SIDE
    )


def _probe_video(source: Any, container: str, path: Path) -> Facts:
    stream = source.streams.video[0]
    codec = stream.codec_context
    if max(codec.width, codec.height) > MAX_VIDEO_SIDE:
        raise TooLarge("media.frame_too_large", name=path.name, side=MAX_VIDEO_SIDE)
    frame = next(source.decode(stream), None)
    if frame is None:
        raise MediaError("media.broken", name=path.name, reason="no frame can be decoded")
    if max(frame.width, frame.height) > MAX_VIDEO_SIDE:  # the header may lie
        raise TooLarge("media.frame_too_large", name=path.name, side=MAX_VIDEO_SIDE)
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    if not 0 < fps <= 1000:
        raise MediaError("media.broken", name=path.name, reason="no frame rate")
    seconds = _seconds(source, stream, path, fallback=stream.frames / fps)
    return Facts(
        "video", container, codec.name, frame.width, frame.height, fps,
        num_frames=stream.frames or max(1, round(seconds * fps)),
        duration=seconds,
        has_audio=bool(source.streams.audio),
        sample_rate=source.streams.audio[0].rate if source.streams.audio else 0,
        channels=source.streams.audio[0].channels if source.streams.audio else 0,
        pix_fmt=str(codec.pix_fmt),
        rotation=round(frame.rotation) % 360,
        parameters=hashlib.sha256(bytes(codec.extradata or b"")).hexdigest()[:16],
    )  # fmt: skip


def _probe_audio(source: Any, container: str, path: Path) -> Facts:
    stream = source.streams.audio[0]
    if next(source.decode(stream), None) is None:
        raise MediaError("media.broken", name=path.name, reason="no sound can be decoded")
    seconds = _seconds(source, stream, path, fallback=0.0)
    if seconds < MIN_AUDIO_SECONDS:
        raise Refused("media.too_short", name=path.name, seconds=round(seconds, 3), limit=MIN_AUDIO_SECONDS)
    return Facts(
        "audio", container, stream.codec_context.name,
        duration=seconds, sample_rate=stream.rate, channels=stream.channels, has_audio=True,
    )  # fmt: skip


def _seconds(source: Any, stream: Any, path: Path, fallback: float) -> float:
    """The stream's own length where the container knows it. Raises TooLarge, MediaError."""
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif source.duration:
        seconds = source.duration / 1_000_000
    else:
        seconds = fallback or _seconds_by_reading(source, stream)
    if not math.isfinite(seconds) or seconds <= 0:
        raise MediaError("media.broken", name=path.name, reason="no duration")
    if seconds > MAX_SECONDS:
        raise TooLarge("media.too_long", name=path.name, seconds=round(seconds), limit=round(MAX_SECONDS))
    return seconds


def _seconds_by_reading(source: Any, stream: Any) -> float:
    """For a browser's recording (WebM without a duration) and raw AAC: the time of the last packet."""
    return float(max((_end(packet) for packet in source.demux(stream)), default=Fraction(0)))


def _end(packet: Any) -> Fraction:
    """When `packet` is over, in seconds."""
    if packet.pts is None or packet.time_base is None:
        return Fraction(0)
    return (packet.pts + (packet.duration or 0)) * packet.time_base


def _check_tail(source: Any, facts: Facts, path: Path) -> None:
    """A download that stopped early has a whole header and no end."""
    if facts.container == "mp4":
        _check_boxes(path)
    stream = source.streams.video[0] if facts.kind == "video" else source.streams.audio[0]
    start = stream.start_time or 0
    source.seek(start + int(max(0.0, facts.duration - 1.0) / stream.time_base), stream=stream)
    last = max((_end(packet) for packet in source.demux(stream)), default=Fraction(0))
    reached = float(last - start * stream.time_base)
    if reached < facts.duration - max(TAIL_SECONDS, 0.02 * facts.duration):
        raise MediaError("media.broken", name=path.name, reason=f"ends after {reached:.1f} of {facts.duration:.1f} s")


def _check_boxes(path: Path) -> None:
    """An MP4 is a row of boxes that say how long they are; the last one must not claim more than the file has."""
    length = path.stat().st_size
    with path.open("rb") as file:
        at, boxes = 0, 0
        while at + 8 <= length:
            boxes += 1
            if boxes > MAX_BOXES:
                raise MediaError("media.broken", name=path.name, reason=f"more than {MAX_BOXES} boxes")
            file.seek(at)
            size = int.from_bytes(file.read(4), "big")
            if size == 1:  # a 64-bit size follows the name
                file.seek(at + 8)
                size = int.from_bytes(file.read(8), "big")
            if size == 0:  # to the end of the file
                return
            if size < 8 or at + size > length:
                raise MediaError("media.broken", name=path.name, reason="cut off")
            at += size
