"""What is wrong with a recording as a voice sample, and what to do about it. Knows numbers, no file."""

from collections.abc import Mapping
from typing import Any

Check = dict[str, Any]  # {level: "error" | "warning" | "info", code, params}; words: error.<code> and its hint

ENGINES_NEED = 3.0  # seconds of speech; with less no engine gets a voice
GOOD = 5.0  # seconds of speech that most engines ask for
CLIPPED = 2e-4  # share of samples; below it nobody hears it
QUIET = -45.0  # LUFS; raising it raises the room with it
NOISY = {"warning": 15.0, "error": 6.0}  # dB of the voice over its background
ECHO = 0.5  # seconds; a furnished room takes 0.3
NARROW = 4_600.0  # Hz; a telephone


def checks(recorded: Mapping[str, Any], sample: Mapping[str, Any]) -> list[Check]:
    """Of the profile of a recording as it came, and of the sample made from it; the worst first."""
    found = [
        _short(sample["speech_seconds"]), _clipped(recorded), _noisy(sample), _quiet(recorded), _two(sample),
        _echo(recorded), _narrow(sample),
    ]  # fmt: skip
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted((check for check in found if check), key=lambda check: order[check["level"]])


def _short(seconds: float) -> Check | None:
    if seconds >= GOOD:
        return None
    level = "error" if seconds < ENGINES_NEED else "warning"
    return {"level": level, "code": "voice.short", "params": {"seconds": round(seconds, 1), "good": round(GOOD)}}


def _clipped(recorded: Mapping[str, Any]) -> Check | None:
    share = recorded["clipped"]
    if share < CLIPPED:
        return None
    return {"level": "warning", "code": "voice.clipped", "params": {"percent": round(100 * share, 2)}}


def _noisy(sample: Mapping[str, Any]) -> Check | None:
    snr = sample["snr_db"]
    if snr is None or snr >= NOISY["warning"]:
        return None
    level = "error" if snr < NOISY["error"] else "warning"
    return {"level": level, "code": "voice.noisy", "params": {"db": round(snr)}}


def _quiet(recorded: Mapping[str, Any]) -> Check | None:
    lufs = recorded["lufs"]
    if lufs is None or lufs >= QUIET:
        return None
    return {"level": "warning", "code": "voice.quiet", "params": {"lufs": round(lufs)}}


def _two(sample: Mapping[str, Any]) -> Check | None:
    if sample["speakers"] < 2:
        return None
    return {"level": "warning", "code": "voice.two_speakers", "params": {"count": sample["speakers"]}}


def _echo(recorded: Mapping[str, Any]) -> Check | None:
    seconds = recorded["echo_seconds"]
    if seconds is None or seconds < ECHO:
        return None
    return {"level": "warning", "code": "voice.echo", "params": {"seconds": round(seconds, 1)}}


def _narrow(sample: Mapping[str, Any]) -> Check | None:
    hz = sample["bandwidth_hz"]
    if hz is None or hz >= NARROW:
        return None
    return {"level": "warning", "code": "voice.narrow", "params": {"khz": round(hz / 1000, 1)}}
