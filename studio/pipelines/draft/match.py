"""Draft voices that come near to somebody's pitch, pace and tone. Not a clone: who speaks is not heard in it.

eSpeak is asked, measured and corrected a few times. Nothing is stretched by a vocoder: a shorter throat is the same
sound played faster, tone is a filter. Knows profiles as media.voice_profile measures them, no file and no name.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from studio.domain import Language
from studio.pipelines.draft import espeak, speech
from studio.pipelines.draft.tone import MOST

if TYPE_CHECKING:
    import numpy as np

    from studio.media.voice_activity import Heard

TEXTS: Mapping[str, str] = {  # said to be measured: many sounds in a few seconds, tones as high as usual
    "en": "The quick brown fox jumps over the lazy dog while seven old sailors watch the morning rain.",
    "pt": "A raposa marrom salta sobre o cachorro enquanto sete velhos marinheiros olham a chuva da manhã.",
    "zh": "他把信放在桌子上，然后离开了房间。我从来没有见过这么美丽的花园。",
}
VARIANTS = (  # (median pitch in Hz up to which they are tried, eSpeak's variants)
    (150.0, ("m3", "m7", "Michael")),
    (225.0, ("f2", "f4")),
    (9999.0, ("f2", "f3", "f5")),
)
ROUNDS = 4  # of asking, measuring and correcting
STEPS = 3.6  # of eSpeak's pitch for a semitone
TRACT = (0.84, 1.19)  # beyond, a throat sounds like a toy's
RATE = (90, 320)  # words per minute
PITCH = (20, 75)  # beyond, there is no room to correct
_NEAR = 0.35  # how much a throat of another length must gain to be believed
_OUT_OF_REACH = 0.03  # for each step of pitch that the variant lacks

Say = Callable[..., espeak.Utterance]


def match(profile: Mapping[str, Any], language: Language = "en") -> dict[str, Any]:
    """Settings of a draft voice that comes near to `profile`: variant, pitch, range, rate, tract, bands. Empty where
    the profile has no pitch. Raises EngineError("speech.failed")."""
    if not profile.get("pitch_hz") or not profile.get("spectrum"):
        return {}
    wanted = [db for _, db in profile["spectrum"]]
    with espeak.conversation() as say:
        settings = _throat(profile, language, say)
        heard = _heard(settings, language, say)
        for _ in range(ROUNDS):
            settings |= _nearer(settings, heard, profile)
            heard = _heard(settings, language, say)
        settings["bands"] = _bands(heard, wanted, profile.get("bandwidth_hz"))
    return settings


def _heard(settings: Mapping[str, Any], language: Language, say: Say) -> "Heard":
    from studio.media.voice_activity import listen

    chosen, _ = speech.reading("", settings, language)
    samples, rate, _, _ = speech.passage(TEXTS[language], chosen, language, say)
    return listen(samples, rate)


def _throat(profile: Mapping[str, Any], language: Language, say: Say) -> dict[str, Any]:
    """The variant, and the length of its throat, whose spectrum has most the shape that is wanted."""
    import numpy as np

    from studio.media.voice_profile import BANDS, long_term_spectrum

    octaves = np.log2(BANDS)

    def shape(levels: "np.ndarray") -> "np.ndarray":
        return np.asarray(levels - np.polyval(np.polyfit(octaves, levels, 2), octaves))[4:-4]

    wanted = shape(np.array([db for _, db in profile["spectrum"]]))
    best, found = -np.inf, dict[str, Any]()
    for variant in next(names for limit, names in VARIANTS if profile["pitch_hz"] <= limit):
        settings = {**speech.PLAIN, "variant": variant}
        heard = _heard(settings, language, say)
        levels, pitch = long_term_spectrum(heard), float(np.median(heard.pitch[heard.voiced]))
        for tract in np.arange(TRACT[0], TRACT[1] + 0.001, 0.01):
            moved = shape(np.interp(octaves, octaves + np.log2(tract), levels))
            likeness = float(np.corrcoef(wanted, moved)[0, 1]) - _NEAR * abs(float(np.log(tract)))
            needed = settings["pitch"] + _steps(profile["pitch_hz"] / (pitch * tract))
            likeness -= _OUT_OF_REACH * abs(needed - float(np.clip(needed, *PITCH)))
            if likeness > best:
                best, found = likeness, {**settings, "tract": round(float(tract), 2)}
    return found


def _nearer(settings: Mapping[str, Any], heard: "Heard", profile: Mapping[str, Any]) -> dict[str, Any]:
    """Pitch, range and rate, corrected by how far off what was heard is."""
    import numpy as np

    from studio.media.voice_profile import pace

    low, middle, high = np.percentile(heard.pitch[heard.voiced], [10, 50, 90])
    wider = float(np.log2(profile["pitch_high_hz"] / profile["pitch_low_hz"]) / max(0.04, np.log2(high / low)))
    faster = (profile["pace"] or 4.0) / (pace(heard) or 4.0)
    return {
        "pitch": round(float(np.clip(settings["pitch"] + _steps(profile["pitch_hz"] / middle), 0, 99)), 1),
        "range": round(float(np.clip(settings["range"] * np.clip(wider, 0.6, 1.7), 5, 99)), 1),
        "rate": round(float(np.clip(settings["rate"] * np.clip(faster, 0.8, 1.25), *RATE)), 1),
    }


def _steps(times: float) -> float:
    """How much higher eSpeak's pitch must be for so many times the frequency."""
    return STEPS * 12 * math.log2(times)


def _bands(heard: "Heard", wanted: list[float], bandwidth: float | None) -> list[float]:
    """dB for each band; above what the recording holds, as for the highest that it does hold."""
    import numpy as np

    from studio.media.voice_profile import BANDS, long_term_spectrum

    gains = np.clip(np.array(wanted) - long_term_spectrum(heard), -MOST, MOST)
    inside = (bandwidth or BANDS[-1]) >= BANDS
    gains[~inside] = gains[inside][-1]
    smooth = np.convolve(np.pad(gains, 2, "edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
    return [round(float(gain), 1) for gain in smooth]
