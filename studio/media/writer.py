"""The one Writer: every picture and sound Lanterna makes is written here. Knows no scenes, no engines.

Every clip has the same form, so that a film is a copy of packets: H.264 yuv420p bt709, constant rate, no B-frames, an
IDR frame at 0, half a second in and half a second before the end (dissolves start and stop there), AAC 48 kHz stereo.
A file is whole, on the disk and counted when a function returns; after any failure it is gone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from studio import faults
from studio.domain import JSON
from studio.errors import MediaError
from studio.media.files import NO_SPACE, fsync_file, whole_or_gone
from studio.media.plan import dissolve_frames
from studio.media.posters import Watcher, save_peaks, save_poster
from studio.media.sound import RATE, stream48, write_wav

Layout = Literal["rgb24", "bgr24", "yuv420p"]

X264 = {
    "preset": "superfast", "crf": "22", "bf": "0", "profile": "high", "forced-idr": "1", "threads": "1",
    # looking ahead spends bits on what stays instead of on grain: a quarter of the size, and faster
    "mbtree": "1", "rc-lookahead": "8",
    # the same frames give the same bytes on every computer; without it they do not even on one: the AVX-512 code that
    # looks ahead reads memory that nobody wrote
    "x264-params": "cpu-independent=1",
}  # fmt: skip
GOP_SECONDS = 2  # a seek in the player decodes at most this much
AUDIO_BIT_RATE = 192_000
BT709 = 1  # ITU-T H.273, for primaries, transfer and matrix
VIDEO_RANGE = 1  # AVCOL_RANGE_MPEG: 16..235


def exact_rate(fps: float) -> Fraction:
    """24.0 -> 24, 23.976 -> 24000/1001."""
    for rate in (Fraction(round(fps)), Fraction(round(fps) * 1000, 1001)):
        if abs(fps - rate) < 0.002:
            return rate
    return Fraction(fps).limit_denominator(100)


def timescale(rate: Fraction) -> int:
    """Ticks per second in which a frame is a whole number: 12288 for 24 fps."""
    return rate.numerator if rate.numerator >= 10_000 else rate.numerator * 512


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: float,
    num_frames: int,
    *,
    layout: Layout,
    audio: Path | None,
    comment: Mapping[str, JSON],
    posters: Path,
) -> None:
    """Encode exactly `num_frames` frames as they come, each (H, W, 3) uint8, or (H * 3 / 2, W) uint8 for yuv420p.

    `audio` is cut or filled with silence to the picture's length. Also writes `<posters>.poster.jpg` and
    `<posters>.strip.jpg`. Raises MediaError (wrong count or shape, sound that cannot be read), DiskFull, and whatever
    `frames` raises; `path` is removed then."""
    if num_frames < 1:
        raise MediaError("media.frame_count", expected=num_frames, got=0)
    with whole_or_gone(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        watched = Watcher(num_frames)
        with VideoFile(path, exact_rate(fps), num_frames, audio=audio, comment=comment) as file:
            for number, array in enumerate(frames):
                if number == num_frames:
                    raise MediaError("media.frame_count", expected=num_frames, got=number + 1)
                frame = to_frame(array, layout)
                file.write(frame)
                watched.see(number, frame)
                if number == 0:
                    faults.point("writer.first_frame")
                if number == num_frames // 2:
                    faults.point("writer.half")
        _commit(path)
        watched.save(posters)


def write_image(path: Path, image: np.ndarray, *, comment: Mapping[str, JSON], posters: Path) -> None:
    """PNG from (H, W, 3) uint8 RGB, `comment` as JSON in its text chunk; a poster beside. Raises DiskFull."""
    with whole_or_gone(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture, text = Image.fromarray(image), PngInfo()
        text.add_itxt("comment", json.dumps(comment, ensure_ascii=False))
        picture.save(path, format="PNG", pnginfo=text)
        _commit(path)
        save_poster(posters, picture)


def write_audio(path: Path, samples: np.ndarray, rate: int, *, comment: Mapping[str, JSON], posters: Path) -> None:
    """16-bit WAV from (N,) or (N, channels) float32, and its waveform beside it. Raises MediaError, DiskFull."""
    with whole_or_gone(path):
        with encoding(path):
            write_wav(path, samples, rate, comment)
        _commit(path)
        save_peaks(posters, samples, rate)


def _commit(path: Path) -> None:
    faults.point("writer.closed")
    fsync_file(path)
    faults.point("writer.fsynced")


@contextmanager
def encoding(path: Path) -> Iterator[None]:
    """An encoder's or muxer's failure gets our words; a full disk keeps its errno for `whole_or_gone`."""
    try:
        yield
    except av.FFmpegError as failure:
        if failure.errno in NO_SPACE:
            raise OSError(failure.errno, str(failure.strerror)) from failure
        raise MediaError("media.cannot_encode", name=path.name, reason=str(failure.strerror)) from failure


def to_frame(array: np.ndarray, layout: Layout) -> av.VideoFrame:
    """A yuv420p bt709 frame. OpenCV's own RGB to YUV is bt601: never use it for film."""
    height = array.shape[0] * 2 // 3 if layout == "yuv420p" else array.shape[0]
    planar = array.ndim == (2 if layout == "yuv420p" else 3)
    if array.dtype != np.uint8 or not planar or height % 2 or array.shape[1] % 2:
        raise MediaError("media.frame_shape", shape=str(array.shape), dtype=str(array.dtype))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=layout)
    if layout != "yuv420p":
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.colorspace, frame.color_range = BT709, VIDEO_RANGE
    return frame


class VideoFile:
    """An MP4 under construction. Leaving the block without an exception closes it whole; nothing is synced here."""

    def __init__(
        self, path: Path, rate: Fraction, num_frames: int, *, audio: Path | None, comment: Mapping[str, JSON]
    ) -> None:
        self._path, self._rate, self._num_frames = path, rate, num_frames
        self._keys = {0, dissolve_frames(rate), num_frames - dissolve_frames(rate)}
        self._written = 0
        self._size: tuple[int, int] | None = None
        with encoding(path):
            self._container = av.open(str(path), "w", format="mp4", options=mp4_options(rate))
        if comment:
            self._container.metadata["comment"] = json.dumps(comment, ensure_ascii=False)
        self._video = self._container.add_stream("libx264", rate=rate)
        self._sound = _SoundStream(self._container, audio) if audio else None

    def __enter__(self) -> "VideoFile":
        return self

    def write(self, frame: av.VideoFrame) -> None:
        """The next frame, yuv420p. The first one sets the size."""
        if self._size is None:
            self._start(frame)
        if (frame.width, frame.height) != self._size:
            raise MediaError("media.frame_shape", shape=f"{frame.width}x{frame.height}", dtype=f"not {self._size}")
        frame.pts, frame.time_base = self._written, 1 / self._rate
        if self._written in self._keys:
            frame.pict_type = av.video.frame.PictureType.I
        self._written += 1
        with encoding(self._path):
            self._container.mux(self._video.encode(frame))
        if self._sound:
            self._sound.fill(round(self._written / self._rate * RATE), self._path)

    def _start(self, frame: av.VideoFrame) -> None:
        stream, codec = self._video, self._video.codec_context
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        stream.options = {**X264, "g": str(round(self._rate * GOP_SECONDS))}
        codec.time_base = 1 / self._rate
        codec.color_primaries = codec.color_trc = codec.colorspace = BT709
        codec.color_range = VIDEO_RANGE
        self._size = (frame.width, frame.height)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._written == self._num_frames:
            with encoding(self._path):
                self._container.mux(self._video.encode(None))
                if self._sound:
                    self._sound.finish()
                self._container.close()
            return
        with suppress(av.FFmpegError):  # the reason why we are here is worth more
            self._container.close()  # the handle must be free before the file can be removed on Windows
        if error is None:
            raise MediaError("media.frame_count", expected=self._num_frames, got=self._written)


def mp4_options(rate: Fraction) -> dict[str, str]:
    """For av.open(..., format="mp4"): the index in front, and a clock in which frames are whole numbers."""
    return {"movflags": "+faststart", "video_track_timescale": str(timescale(rate))}


class _SoundStream:
    """AAC beside the picture, encoded as the picture goes, never more than a second ahead in memory."""

    def __init__(self, container: av.container.OutputContainer, audio: Path) -> None:
        self._container = container
        self._pieces = stream48(audio)
        self._waiting = np.zeros((0, 2), np.float32)
        self._stream = add_aac(container)
        self._done = 0  # samples

    def fill(self, until: int, path: Path) -> None:
        """Encode up to sample `until`; silence where the recording is over."""
        wanted = until - self._done
        while len(self._waiting) < wanted and (piece := next(self._pieces, None)) is not None:
            self._waiting = np.concatenate([self._waiting, piece])
        now, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        now = np.pad(now, ((0, wanted - len(now)), (0, 0)))
        with encoding(path):
            self._container.mux(encode_aac(self._stream, now, self._done))
        self._done = until

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))


def add_aac(container: av.container.OutputContainer) -> av.AudioStream:
    stream = container.add_stream("aac", rate=RATE, layout="stereo")
    stream.bit_rate = AUDIO_BIT_RATE
    stream.options = {"aac_coder": "fast"}  # half the time of the default; no difference at this bit rate
    return stream


def encode_aac(stream: av.AudioStream, samples: np.ndarray, at: int) -> list[av.Packet]:
    """`samples` (n, 2) float32 that begin at sample `at`. Packets may come later."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
    return stream.encode(frame)
