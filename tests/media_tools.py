"""Clips, tones and readers for the tests of studio.media: made, measured, decoded."""

from pathlib import Path

import av
import numpy as np

from studio.media import writer
from studio.media.probe import open_media

RED, GREEN, BLUE, WHITE = (200, 40, 40), (40, 180, 60), (40, 60, 210), (230, 230, 230)  # RGB
W, H = 160, 96


def plain(colour, num_frames, size=(W, H)):
    """Frames of one colour with a bright square that moves, so that no two are equal."""
    width, height = size
    for number in range(num_frames):
        frame = np.full((height, width, 3), colour, np.uint8)
        at = number % max(1, width - 16)
        frame[4:12, at : at + 8] = 255
        yield frame


def clip(path: Path, colour=RED, num_frames=24, fps=24.0, size=(W, H), audio=None, comment=None) -> Path:
    writer.write_video(
        path, plain(colour, num_frames, size), fps, num_frames, layout="rgb24", audio=audio,
        comment=comment or {}, posters=path.parent / "posters" / path.stem,
    )  # fmt: skip
    return path


def tone(seconds=1.0, hertz=440.0, level=0.3, rate=48_000) -> np.ndarray:
    """(N,) float32 with a syllable-like envelope, so that loudness meters take it for sound."""
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * t) * (0.7 + 0.3 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


def wav(path: Path, seconds=1.0, hertz=440.0, level=0.3) -> Path:
    writer.write_audio(
        path, tone(seconds, hertz, level), 48_000, comment={}, posters=path.parent / "posters" / path.stem
    )
    return path


def decoded(path: Path) -> list[np.ndarray]:
    """Every frame, (H, W, 3) uint8 RGB, converted as bt709."""
    with open_media(path) as source:
        return [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]


def centre(frame: np.ndarray) -> tuple[int, ...]:
    """The colour of the middle, RGB."""
    height, width = frame.shape[:2]
    middle = frame[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    return tuple(int(value) for value in middle.reshape(-1, 3).mean(axis=0).round())


def near(colour, wanted, tolerance=8) -> bool:
    return all(abs(int(a) - int(b)) <= tolerance for a, b in zip(colour, wanted, strict=True))


def metadata(path: Path) -> dict[str, str]:
    with open_media(path) as source:
        return dict(source.metadata)


def keyframes(path: Path) -> list[int]:
    with open_media(path) as source:
        return [n for n, packet in enumerate(p for p in source.demux(video=0) if p.size) if packet.is_keyframe]


def remux(source: Path, target: Path, container: str) -> Path:
    """The same packets in another container."""
    with open_media(source) as old, av.open(str(target), "w", format=container) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    return target
