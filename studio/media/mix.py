"""The sound of a film: dialogue at one level, effects and music under it, at the film's loudness, peaks held.

The times of the lines are known beforehand, so the music's gain is drawn, not followed: it is down before the first
word and stays down through the short pauses. A compressor that listens would pump. Works in pieces: a long film needs
no more memory than a short one. Knows files and seconds, no scenes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from studio.media.bus import Bus
from studio.media.loudness import CONTEXT, SILENCE_LUFS, Meter, limiter_gain, linear, true_envelope
from studio.media.sound import RATE, stream48

Stem = Literal["dialogue", "effects", "music"]
STEMS: tuple[Stem, ...] = ("dialogue", "effects", "music")

TARGET_LUFS = -16.0  # what streaming sites and podcasts agree on for speech
CEILING_DBTP = -2.0  # in the mix; AAC adds up to 1 dB, and the film must stay below -1
CEILING = float(linear(CEILING_DBTP))
DIALOGUE_LUFS = -16.0  # every line alone, so that a whispered voice and a loud one meet
MOST_GAIN_DB = 24.0  # a recording quieter than that is noise
DUCK_DB = -12.0
DUCK_BEFORE, DUCK_AFTER = 0.18, 0.5  # seconds of ramp
DUCK_HOLD = 1.2  # pauses up to this long stay down
EDGE = 0.005  # seconds; a recording that starts on a wave must not click
FADE_IN, FADE_OUT = 1.0, 2.5  # of the music, seconds
PASSES = 5  # over the film, at most, to find its gain


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound on the film's clock, in seconds. `level`: the LUFS that it is brought to.

    `by_part`: the level is that of the part that is heard, else of the whole recording."""

    path: Path
    start: float
    skip: float = 0.0  # left out of its beginning
    seconds: float | None = None  # None: to its end
    level: float = DIALOGUE_LUFS
    fade_in: float = EDGE
    fade_out: float = EDGE
    by_part: bool = False


@dataclass(frozen=True, slots=True)
class Sounds:
    """Everything that is heard in a film of `total` seconds. Dialogue makes the music step back."""

    total: float
    dialogue: Sequence[Heard] = ()
    effects: Sequence[Heard] = ()
    music: Heard | None = None


class Mixed:
    """The finished sound, read in pieces. `lufs` and `true_peak` (dBTP) are None for silence."""

    def __init__(
        self, buses: Mapping[Stem, Bus], gain: float, after: float = 1.0,
        lufs: float | None = None, true_peak: float | None = None,
    ) -> None:  # fmt: skip
        """`gain` before the limiter, `after` behind it, linear."""
        self._buses, self._gain, self._after = buses, gain, after
        self.length = next(iter(buses.values())).length  # samples
        self.lufs, self.true_peak = lufs, true_peak

    def pieces(self) -> Iterator[Mapping[str, np.ndarray]]:
        """{"mix": (n, 2) float32, and each stem that has a bus of its own}; the stems add up to the mix."""
        first = next(iter(self._buses.values()))
        for start, stop in first.pieces():
            raw = _summed(self._buses, start - CONTEXT, stop + CONTEXT) * np.float32(self._gain)
            head = min(start, CONTEXT)
            held = limiter_gain(raw, CEILING)[head : head + stop - start, None] * np.float32(self._after)
            mixed = {"mix": raw[head : head + stop - start] * held}
            if len(self._buses) > 1:
                held = held * np.float32(self._gain)
                mixed |= {name: bus.read(start, stop) * held for name, bus in self._buses.items()}
            yield mixed

    def __iter__(self) -> Iterator[np.ndarray]:
        """The mix alone."""
        return (piece["mix"] for piece in self.pieces())


@contextmanager
def mix(
    sounds: Sounds,
    scratch: Path,
    *,
    target: float = TARGET_LUFS,
    stems: bool = False,
    step: Callable[[float], None] = lambda share: None,
) -> Iterator[Mixed]:
    """Mix into files beside `scratch` that are gone when the block is left. `stems`: keep the three apart.

    `step` hears how much is done, 0..1, and may raise Cancelled. Raises MediaError, DiskFull."""
    length = max(1, round(sounds.total * RATE))
    with ExitStack() as stack:
        buses: dict[Stem, Bus] = {}
        for name in STEMS if stems else STEMS[:1]:
            buses[name] = stack.enter_context(Bus(scratch.with_name(f"{scratch.name}.{name}.part"), length))
        _fill(sounds, buses, lambda share: step(share / 2))
        yield _mastered(buses, target, lambda share: step(0.5 + share / 2))


def _fill(sounds: Sounds, buses: Mapping[Stem, Bus], step: Callable[[float], None]) -> None:
    everything: list[tuple[Stem, Heard]] = [("dialogue", each) for each in sounds.dialogue]
    everything += [("effects", each) for each in sounds.effects]
    spans = []
    total = len(everything) + 4 * bool(sounds.music)  # the music is longer than any line
    for number, (stem, sound) in enumerate(everything):
        step(number / total)
        length = _lay(sound, buses.get(stem, buses["dialogue"]), None)
        if stem == "dialogue":
            spans.append((sound.start, sound.start + length / RATE))
    if sounds.music:
        step(len(everything) / total)
        _lay(sounds.music, buses.get("music", buses["dialogue"]), Duck(spans))
    step(1.0)


# ------------------------------------------------------------------------------------------------ one sound
def _lay(sound: Heard, bus: Bus, duck: "Duck | None") -> int:
    """Add a sound to its bus at its level, ends faded; how many samples were heard."""
    lufs, length = _measured(sound)
    gain = 1.0
    if lufs > SILENCE_LUFS:
        gain = float(linear(np.clip(sound.level - lufs, -MOST_GAIN_DB, MOST_GAIN_DB)))
    at = done = 0
    begin = round(sound.start * RATE)
    for piece in _part(sound):
        at, done = done, done + len(piece)
        shaped = piece * (gain * _edges(at, len(piece), length, sound))[:, None]
        if duck:
            shaped = shaped * duck.gain(begin + at, len(piece))[:, None]
        bus.add(shaped, begin + at)
    return length


def _measured(sound: Heard) -> tuple[float, int]:
    """(LUFS, samples of the part that is heard)"""
    part, whole = Meter(), Meter()
    length = 0
    for piece in _part(sound):
        part.hear(piece)
        length += len(piece)
    if sound.by_part or (not sound.skip and sound.seconds is None):
        return part.lufs(), length
    for piece in _gathered(stream48(sound.path)):
        whole.hear(piece)
    return whole.lufs(), length


def _part(sound: Heard) -> Iterator[np.ndarray]:
    """What is heard of a file, in pieces of (n, 2). Raises MediaError."""
    skip = round(sound.skip * RATE)
    left = None if sound.seconds is None else round(sound.seconds * RATE)
    for piece in _gathered(stream48(sound.path)):
        kept = piece[skip:][:left]
        skip = max(0, skip - len(piece))
        if len(kept):
            yield kept
        if left is not None:
            left -= len(kept)
            if left <= 0:
                return


def _gathered(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """In pieces of about a second: decoders give some milliseconds, which is much work for little sound."""
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count >= RATE:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def _edges(at: int, count: int, length: int, sound: Heard) -> np.ndarray:
    """(count,) float32 gain of the samples from `at` on: a straight rise, a fall that slows down if it is long."""
    rise, fall = (max(1, min(round(seconds * RATE), length // 3)) for seconds in (sound.fade_in, sound.fade_out))
    index = np.arange(at, at + count, dtype=np.float32)
    falling = np.clip((length - 1 - index) / fall, 0, 1)
    return np.clip(index / rise, 0, 1) * (falling**2 if sound.fade_out > 0.2 else falling)


class Duck:
    """The music's gain: straight ramps in decibels around `spans` (seconds) in which somebody is heard."""

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        held: list[list[float]] = []
        for start, end in sorted(spans):
            if held and start - held[-1][1] < DUCK_HOLD:
                held[-1][1] = max(end, held[-1][1])
            else:
                held.append([start, end])
        times, depths = [0.0], [0.0]
        for start, end in held:
            times += [start - DUCK_BEFORE, start, end, end + DUCK_AFTER]
            depths += [0.0, DUCK_DB, DUCK_DB, 0.0]
        depths[0] = DUCK_DB if held and held[0][0] <= 0 else 0.0
        self._times, self._depths = np.maximum(times, 0), depths

    def gain(self, at: int, count: int) -> np.ndarray:
        """(count,) float32 in 0..1 from sample `at` of the film on."""
        return linear(np.interp(np.arange(at, at + count) / RATE, self._times, self._depths)).astype(np.float32)


# ------------------------------------------------------------------------------------------------ the whole
def _summed(buses: Mapping[Stem, Bus], start: int, stop: int) -> np.ndarray:
    first, *others = buses.values()
    whole = first.read(start, stop)
    for bus in others:
        whole += bus.read(start, stop)
    return whole


def _mastered(buses: Mapping[Stem, Bus], target: float, step: Callable[[float], None]) -> Mixed:
    """At `target`, under the ceiling. Limiting takes some loudness away, so it is measured and corrected."""
    lufs, peak = _listened(buses, None, lambda share: step(share / PASSES))
    if lufs <= SILENCE_LUFS:
        step(1.0)
        return Mixed(buses, 1.0)
    gain_db = 0.0
    for number in range(1, PASSES):
        gain_db += target - lufs
        lufs, peak = _listened(
            buses,
            float(linear(gain_db)),
            lambda share, before=number: step((before + share) / PASSES),  # type: ignore[misc]
        )
        if abs(lufs - target) < 0.2:
            break
    step(1.0)
    after = min(1.0, CEILING / max(peak, 1e-9))  # a moving gain bends the wave a little
    return Mixed(
        buses, float(linear(gain_db)), after,
        lufs + 20 * float(np.log10(after)), 20 * float(np.log10(max(peak, 1e-9) * after)),
    )  # fmt: skip


def _listened(buses: Mapping[Stem, Bus], gain: float | None, step: Callable[[float], None]) -> tuple[float, float]:
    """(LUFS, true peak, linear) of the mix as it is, or with a gain and the limiter behind it."""
    meter, peak = Meter(), 0.0
    if gain is None:
        first = next(iter(buses.values()))
        for start, stop in first.pieces():
            meter.hear(_summed(buses, start, stop))
            step(stop / first.length)
        return meter.lufs(), peak
    done, length = 0, next(iter(buses.values())).length
    tail = np.zeros((0, 2), np.float32)
    for piece in Mixed(buses, gain):
        meter.hear(piece)
        joined = np.concatenate([tail, piece])  # a peak may lie between two pieces
        peak = max(peak, float(true_envelope(joined, peak / 2).max()))
        tail = piece[-CONTEXT:]
        done += len(piece)
        step(done / length)
    return meter.lufs(), peak
