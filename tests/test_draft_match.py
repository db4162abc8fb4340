"""A draft voice that comes near to a recording: pitch, pace and tone before and after, and times that still fit."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import voice_samples
from scipy.signal import lfilter

from studio.domain import Line
from studio.media import voices
from studio.media.voice_profile import measure
from studio.pipelines.draft import speech
from studio.pipelines.draft.match import match
from studio.service import Studio

PEOPLE = {"man": 108.0, "woman": 205.0, "child": 285.0}  # Hz


@cache
def profile_of(person: str) -> dict[str, Any]:
    """Of somebody whom no draft voice resembles, through a dull microphone."""
    sound = voice_samples.babble(PEOPLE[person], 9.0, pace=3.6)
    return measure(lfilter([1.0], [1.0, -0.93], sound).astype(np.float32), voice_samples.RATE)


def read_by(settings: dict[str, Any], language: str) -> dict[str, Any]:
    said = [
        speech.speak(Line(text=text, language=language), settings, seed)[0]
        for seed, text in enumerate(voice_samples.TEXTS[language][:4])
    ]
    return measure(np.concatenate(said), voice_samples.RATE)


@pytest.mark.parametrize("language", voice_samples.TEXTS)
@pytest.mark.parametrize("person", PEOPLE)
def test_a_matched_voice_has_the_pitch_and_the_tone_of_the_recording(person: str, language: str) -> None:
    wanted = profile_of(person)
    before = read_by(dict(speech.PLAIN), language)
    after = read_by(match(wanted, language), language)
    assert abs(voices.pitch_cents(after, wanted)) < 100
    assert voices.spectrum_db(after, wanted) <= 0.5 * voices.spectrum_db(before, wanted)
    assert abs(np.log(after["pace"] / wanted["pace"])) < abs(np.log(before["pace"] / wanted["pace"])) + 0.2
    assert after["lufs"] == pytest.approx(-18.0, abs=1.0)


@pytest.mark.parametrize("language", voice_samples.TEXTS)
def test_the_times_of_words_still_fit_the_sound(language: str) -> None:
    """What is loud where a word is said is loud there in the matched voice, too."""
    settings = match(profile_of("child"), language)
    assert settings["tract"] != 1.0 and len(settings["bands"]) == 48
    samples, rate, facts = speech.speak(Line(text=voice_samples.TEXTS[language][0], language=language), settings, 1)
    level = np.sqrt(np.convolve(samples**2, np.ones(200) / 200, "same"))
    words = facts["words"]
    assert words[0][0] < 0.15 and words[-1][1] <= len(samples) / rate + 0.01
    inside = np.zeros(len(samples), bool)
    for start, end, _ in words:
        inside[round(start * rate) : round(end * rate)] = True
    assert level[inside].mean() > 0.03 and (level > 0.02)[~inside].mean() < 0.5
    plain, _, _ = speech.speak(
        Line(text=voice_samples.TEXTS[language][0], language=language), {**settings, "bands": ()}, 1
    )
    lag = int(np.argmax(np.correlate(envelope(samples), envelope(plain), "full"))) - len(envelope(plain)) + 1
    assert len(samples) == pytest.approx(len(plain), rel=0.02) and abs(lag) <= 2  # of 5 ms


def envelope(samples: np.ndarray) -> np.ndarray:
    whole = samples[: len(samples) // 110 * 110].reshape(-1, 110)  # 5 ms
    return np.sqrt((whole**2).mean(axis=1))


def test_a_profile_without_a_pitch_matches_nothing() -> None:
    assert match({}, "en") == {} == match({**profile_of("man"), "pitch_hz": None}, "en")


def test_a_telephone_does_not_mute_what_it_never_held() -> None:
    sound = voice_samples.by_telephone(voice_samples.said(8.0, "woman-1"))
    bands = match(measure(sound, voice_samples.RATE), "en")["bands"]
    assert len(set(bands[-5:])) == 1 and bands[-1] > -16


def test_a_voice_made_from_a_recording_has_a_draft_voice_that_matches_it(studio: Studio, tmp_path: Path) -> None:
    path = voice_samples.save(tmp_path / "in" / "x.wav", voice_samples.said(8.0, "woman-3"))
    looked = studio.voices.look(str(path), trusted=True)
    fields = {"name": "Ana", "sample": looked["sample"]["sha256"], "language": "en"}
    made = studio.voices.create(fields, consent="Ana")
    assert len(made["settings"]["draft"]["bands"]) == 48
    own = {"draft": {"variant": "m3"}}
    assert studio.voices.create({**fields, "name": "Bia", "settings": own}, consent="Ana")["settings"] == own

    path = voice_samples.save(tmp_path / "in" / "y.wav", voice_samples.said(8.0, "man-2"))
    other = studio.voices.look(str(path), trusted=True)["sample"]["sha256"]
    changed = studio.voices.change(made["id"], {"sample": other}, consent="Rui")
    assert changed["settings"]["draft"] != made["settings"]["draft"]
    studio.scenes.generate(
        {"task_type": "speech", "engine": "draft", "lines": [{"text": "The lamp burns.", "voice": "Ana"}]}
    )
    studio.drain()
    (take,) = (row for row in studio.takes.list()["takes"] if row["layer"] == "voice")
    samples, rate = soundfile.read(studio.takes.file(take["id"]))
    assert measure(samples, rate)["pitch_hz"] < 110
