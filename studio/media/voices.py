"""A voice's recording: made ready as a sample, measured, compared with what an engine said. Knows files, no voice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio.errors import Refused, StudioError
from studio.media import voice_profile
from studio.media.denoise import denoised
from studio.media.files import fsync_file, whole_or_gone
from studio.media.recording import Stretch, read
from studio.media.spoken import levelled
from studio.media.voice_activity import Heard, is_spoken, listen, stretches
from studio.media.voice_checks import Check, checks
from studio.media.voice_pitch import HOP

LOOKED_AT = 60.0  # seconds of a recording that are ever decoded
WANTED = 30.0  # seconds of the sample where nobody said which
LEAST = 1.0  # seconds
_EDGE = 0.12  # seconds of the room that are kept around the first and the last word
_LONGEST_PAUSE, _PAUSE = 1.0, 0.5  # seconds; a longer one becomes such a one
_SPEECH = 0.4  # seconds of speech; less is a cough


def prepare(
    path: Path, out: Path, start: float = 0.0, end: float | None = None, denoise: bool = False, *, name: str = ""
) -> tuple[dict[str, Any], list[Check]]:
    """Write seconds `start` to `end` of any recording as a voice sample: mono WAV, silence gone, at one loudness.

    Returns its profile and what is wrong with it. Without `end` the best stretch of the first minute is taken. Raises
    Refused("media.no_sound"), Refused("voice.no_speech"), Refused("voice.too_short"), Refused("voice.range"),
    MediaError("media.broken"), DiskFull."""
    name = name or path.name
    try:
        stretch = read(path, start, end, most=LOOKED_AT)
    except StudioError as error:
        if "name" in error.params:  # users know a file by their own name for it
            error.params["name"] = name
        raise
    heard, chosen = _best(listen(stretch.samples, stretch.rate), end is None)
    if heard.speech_seconds < _SPEECH or not is_spoken(heard):
        raise Refused("voice.no_speech", name=name, seconds=round(len(stretch.samples) / stretch.rate))
    recorded = voice_profile.measure_heard(heard)
    clean = denoised(heard.samples, heard.rate) if denoise else heard.samples
    sample = levelled(_without_silence(clean, heard), heard.rate)
    if len(sample) < LEAST * heard.rate:
        raise Refused("voice.too_short", name=name, seconds=round(len(sample) / heard.rate, 1), limit=LEAST)
    _write(out, sample, heard.rate)
    profile = voice_profile.measure(sample, heard.rate)
    return profile, checks(recorded, profile) + _long(stretch, start + chosen, len(heard.samples) / heard.rate, end)


def _long(stretch: Stretch, first: float, seconds: float, end: float | None) -> list[Check]:
    """That only a part of a long recording was taken."""
    asked = (stretch.whole if end is None else min(end, stretch.whole)) - stretch.start
    if asked <= seconds + 1.0:
        return []
    params = {"seconds": round(asked), "start": round(first, 1), "end": round(first + seconds, 1)}
    return [{"level": "info", "code": "voice.long", "params": params}]


def _best(heard: Heard, free: bool) -> tuple[Heard, float]:
    """The part of at most WANTED seconds with the most speech, from pause to pause, and the second it begins at; all of
    it where somebody chose."""
    if not free or len(heard.samples) / heard.rate <= WANTED:
        return heard, 0.0
    parts = stretches(heard.speech & _talking(heard))
    edge, most = round(_EDGE / HOP), round(WANTED / HOP)
    best, score = (0, most), 0
    for number, (first, _) in enumerate(parts):
        within = [part for part in parts[number:] if part[1] - first + 2 * edge <= most]
        spoken = sum(last - begin for begin, last in within) or most
        if spoken > score:
            last = within[-1][1] if within else first + most - 2 * edge  # nobody pauses
            best, score = (max(0, first - edge), last + edge), spoken
    first, last = (round(frame * HOP * heard.rate) for frame in best)
    return listen(heard.samples[first:last], heard.rate), best[0] * HOP


def _talking(heard: Heard) -> np.ndarray:
    """(T,) bool: in these seconds what sounds is speech, and no music."""
    window, step = round(3.0 / HOP), round(1.0 / HOP)
    votes = np.zeros((2, len(heard.pitch)))
    for first in range(0, len(heard.pitch), step):
        votes[int(is_spoken(heard, first, first + window)), first : first + window] += 1
    return np.asarray(votes[1] >= votes[0])


def _without_silence(samples: np.ndarray, heard: Heard) -> np.ndarray:
    """`samples` from the first to the last word, long pauses shortened."""
    parts = stretches(heard.speech)
    edge = round(_EDGE * heard.rate)
    at = [(round(a * HOP * heard.rate), round(b * HOP * heard.rate)) for a, b in parts]
    kept = [samples[max(0, at[0][0] - edge) : at[0][0]]]
    for index, (first, last) in enumerate(at):
        kept.append(samples[first:last])
        following = at[index + 1][0] if index + 1 < len(at) else min(len(samples), last + edge)
        if following - last > _LONGEST_PAUSE * heard.rate:
            half = round(_PAUSE / 2 * heard.rate)
            kept += [samples[last : last + half], samples[following - half : following]]
        else:
            kept.append(samples[last:following])
    return np.concatenate(kept)


def _write(out: Path, samples: np.ndarray, rate: int) -> None:
    import soundfile

    with whole_or_gone(out):
        soundfile.write(out, samples, rate, subtype="PCM_16", format="WAV")
        fsync_file(out)


def profile_of(path: Path) -> dict[str, Any]:
    """How the voice of a prepared sample, or of a take, sounds."""
    stretch = read(path, most=LOOKED_AT)
    return voice_profile.measure(stretch.samples, stretch.rate)


def similarity(path: Path, profile: Mapping[str, Any]) -> dict[str, Any]:
    """{pitch_cents, spectrum_db, speaker}: how far what `path` says is from a voice's profile. Cents above the
    profile's median pitch; RMS over the bands both hold; cosine of the speakers. Null: not to be had."""
    said = profile_of(path)
    return {"pitch_cents": pitch_cents(said, profile), "spectrum_db": spectrum_db(said, profile), "speaker": None}


def pitch_cents(said: Mapping[str, Any], profile: Mapping[str, Any]) -> int | None:
    if not said["pitch_hz"] or not profile.get("pitch_hz"):
        return None
    return round(1200 * float(np.log2(said["pitch_hz"] / profile["pitch_hz"])))


def spectrum_db(said: Mapping[str, Any], profile: Mapping[str, Any]) -> float | None:
    if not profile.get("spectrum"):
        return None
    one, other = (np.array([db for _, db in each["spectrum"]]) for each in (said, profile))
    widest = min(each.get("bandwidth_hz") or np.inf for each in (said, profile))
    both = max(widest, 3000.0) >= voice_profile.BANDS
    return round(float(np.sqrt(np.square((one - other)[both]).mean())), 1)
