"""The sound of a film: dialogue at one level, music under it, -16 LUFS, no peak over -1 dBTP. Knows no files.

The times of the lines are known beforehand, so the music's gain is drawn, not followed: it is down before the first
word and stays down through the short pauses. A compressor that listens would pump.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.media.sound import RATE, place, softened

TARGET_LUFS = -16.0  # what streaming sites and podcasts agree on for speech
CEILING_DBTP = -2.0  # in the mix; AAC adds up to 1 dB, and the film must stay below -1
DIALOGUE_LUFS = -16.0  # every line alone, so that a whispered voice and a loud one meet
MOST_GAIN_DB = 24.0  # a recording quieter than that is noise
DUCK_DB = -12.0
DUCK_BEFORE, DUCK_AFTER = 0.18, 0.5  # seconds of ramp
DUCK_HOLD = 1.2  # pauses up to this long stay down
FADE_IN, FADE_OUT = 1.0, 2.5  # of the music, seconds
LOOP_SECONDS = 2.0  # crossfade where the music begins again
LOOK_AHEAD = 0.005  # of the limiter, seconds
SILENCE_LUFS = -70.0  # the meter's own gate


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that is heard at full level and makes the music step back. `samples`: (n, 2) float32."""

    start: float  # seconds from the film's first frame
    samples: np.ndarray

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / RATE


@dataclass(frozen=True, slots=True)
class Mixed:
    samples: np.ndarray  # (round(total * 48000), 2) float32
    lufs: float | None  # None: silence
    true_peak: float | None  # dBTP


def mix(total: float, dialogue: Sequence[Heard], music: np.ndarray | None = None, level: float = -24.0) -> Mixed:
    """Everything on one clock of `total` seconds. `music`: (m, 2) float32, looped or cut; `level`: its LUFS alone."""
    bus = np.zeros((round(total * RATE), 2), np.float32)
    for heard in dialogue:
        place(bus, levelled(heard.samples, DIALOGUE_LUFS), heard.start)
    if music is not None and len(music):
        bus += bed(music, len(bus), level) * duck(len(bus), [(heard.start, heard.end) for heard in dialogue])[:, None]
    return mastered(bus)


def loudness(samples: np.ndarray) -> float:
    """Integrated LUFS (ITU-R BS.1770-4) of (N, 2); -inf for silence. Under 0.5 s, sounds are repeated."""
    import pyloudnorm

    if not len(samples) or not np.any(samples):
        return -np.inf
    shortest = round(0.5 * RATE)
    if len(samples) < shortest:
        samples = np.tile(samples, (-(-shortest // len(samples)), 1))
    with np.errstate(divide="ignore"):  # silence inside: log of zero is -inf, which the gate drops
        return float(pyloudnorm.Meter(RATE).integrated_loudness(samples))


def levelled(samples: np.ndarray, lufs: float) -> np.ndarray:
    """At `lufs`, ends faded; silence stays silence."""
    now = loudness(samples)
    if now <= SILENCE_LUFS:
        return samples
    return softened(samples) * np.float32(_gain(np.clip(lufs - now, -MOST_GAIN_DB, MOST_GAIN_DB)))


def bed(music: np.ndarray, length: int, level: float) -> np.ndarray:
    """Music over the whole film: (length, 2), crossfaded where it starts again, faded at both ends of the film."""
    music = levelled(music, level)
    loop = min(round(LOOP_SECONDS * RATE), len(music) // 4)
    rise = np.sin(np.linspace(0, np.pi / 2, loop, dtype=np.float32))[:, None]  # equal power
    laid = np.zeros((length, 2), np.float32)
    at = 0
    while at < length:
        piece = music.copy()
        if at:
            piece[:loop] *= rise
        if at + len(piece) < length:
            piece[len(piece) - loop :] *= rise[::-1]
        place(laid, piece, at / RATE)
        at += len(music) - loop
    fade_in, fade_out = (min(round(seconds * RATE), length // 4) for seconds in (FADE_IN, FADE_OUT))
    laid[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, None]
    laid[length - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)[:, None] ** 2
    return laid


def duck(length: int, spans: Sequence[tuple[float, float]]) -> np.ndarray:
    """The music's gain, (length,) float32 in 0..1: straight ramps in decibels around `spans` (seconds)."""
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
    return _gain(np.interp(np.arange(length) / RATE, np.maximum(times, 0), depths)).astype(np.float32)


def mastered(bus: np.ndarray) -> Mixed:
    """At TARGET_LUFS, under the ceiling. Limiting takes some loudness away, so it is measured and corrected."""
    lufs = loudness(bus)
    if lufs <= SILENCE_LUFS:
        return Mixed(bus, None, None)
    gain_db = 0.0
    for _ in range(4):
        gain_db += TARGET_LUFS - lufs
        raised = bus * np.float32(_gain(gain_db))
        done = limited(raised, float(_gain(CEILING_DBTP)))
        lufs = TARGET_LUFS if done is raised else loudness(done)
        if abs(lufs - TARGET_LUFS) < 0.3:
            break
    return Mixed(done, lufs, 20 * float(np.log10(np.abs(true_envelope(done, 0.0)).max())))


def true_envelope(samples: np.ndarray, floor: float) -> np.ndarray:
    """(N,) the peak near each sample as a converter would draw it: 4 times oversampled, channels joined.

    Seconds whose samples stay under `floor` are not oversampled: a wave between two samples is not twice as high."""
    from scipy.signal import resample_poly

    plain = np.abs(samples).max(axis=1)  # (N,)
    edge = 64  # samples of the neighbours, longer than the filter
    for start in range(0, len(samples), RATE):
        stop = min(start + RATE, len(samples))
        if plain[start:stop].max() <= floor:
            continue
        left = max(0, start - edge)
        fine = np.abs(resample_poly(samples[left : stop + edge], 4, 1, axis=0)).max(axis=1)  # (4 n,)
        near = fine.reshape(-1, 4).max(axis=1)[start - left :][: stop - start]
        plain[start:stop] = np.maximum(plain[start:stop], near)
    return plain


def limited(samples: np.ndarray, ceiling: float) -> np.ndarray:
    """No true peak over `ceiling` (linear). The gain is down 5 ms before a peak: nothing is clipped."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    envelope = true_envelope(samples, ceiling / 2)
    if envelope.max(initial=0.0) <= ceiling:
        return samples
    wanted = np.minimum(1.0, ceiling / np.maximum(envelope, 1e-9))
    window = 2 * round(LOOK_AHEAD * RATE) + 1
    gain = uniform_filter1d(minimum_filter1d(wanted, 2 * window - 1), window)
    done = samples * gain[:, None].astype(np.float32)
    left_over = true_envelope(done, ceiling / 2).max()  # a moving gain bends the wave a little
    return done * np.float32(min(1.0, ceiling / left_over))


def _gain(decibels: float | np.ndarray) -> np.ndarray:
    return np.asarray(10.0 ** (np.asarray(decibels) / 20.0))
