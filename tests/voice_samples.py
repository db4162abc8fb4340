"""Recordings to make voices from: draft voices alone, together, in noise, clipped, far away; and what is no speech."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

from studio.domain import Line
from studio.pipelines.draft import speech

RATE = 22_050  # eSpeak's
TEXTS = {
    "en": (
        "The lamp has been dark for eleven years, and tonight it burns.",
        "Nobody remembers who carried the oil up all those stairs.",
        "I asked my mother once, and she only looked at the sea.",
        "When the storm comes in, keep both hands on the rope.",
        "There is a book in the kitchen with every ship that ever passed.",
        "Some mornings the fog is so thick that the gulls walk home.",
    ),
    "pt": (
        "A lâmpada ficou apagada por onze anos, e hoje ela queima.",
        "Ninguém se lembra de quem levou o óleo por aquela escada.",
        "Perguntei uma vez à minha mãe, e ela só olhou para o mar.",
        "Quando a tempestade chegar, segure a corda com as duas mãos.",
    ),
    "zh": (
        "灯塔熄灭了十一年，今天晚上它又亮了。",
        "没有人记得是谁把油搬上那些楼梯的。",
        "我问过母亲一次，她只是看着大海。",
        "暴风雨来的时候，双手抓紧绳子。",
    ),
}


@cache
def _said(text: str, language: str, voice: str, more: tuple[tuple[str, Any], ...]) -> np.ndarray:
    settings = {**speech.VOICES.get(voice, {"variant": voice}), **dict(more)}
    samples, rate, _ = speech.speak(Line(text=text, language=language), settings, seed=1)
    assert rate == RATE
    return samples


def said(
    seconds: float, voice: str = "woman-1", language: str = "en", first: int = 0, **more: Any
) -> np.ndarray:  # (N,) float32
    """About so many seconds of one voice, with a breath between its sentences. `more`: settings of the draft voice."""
    parts: list[np.ndarray] = []
    number = first
    while sum(map(len, parts)) < seconds * RATE:
        texts = TEXTS[language]
        parts += [_said(texts[number % len(texts)], language, voice, tuple(sorted(more.items()))), silence(0.35)]
        number += 1
    return np.concatenate(parts)[: round(seconds * RATE)]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def dialogue(voices: Sequence[str], seconds: float, language: str = "en", turn: float = 3.0) -> np.ndarray:
    """The voices in turn, each for `turn` seconds at a time."""
    parts = []
    for number in range(round(seconds / turn)):
        parts += [said(turn, voices[number % len(voices)], language, first=number), silence(0.3)]
    return np.concatenate(parts)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """A ventilator: pink rather than white."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.05 * lfilter([0.3], [1, -0.7], white)).astype(np.float32)


def in_noise(samples: np.ndarray, snr_db: float) -> np.ndarray:
    """The voice with a ventilator so many dB below it."""
    hiss = noise(len(samples) / RATE)[: len(samples)]
    wanted = np.sqrt(np.mean(samples**2)) * 10 ** (-snr_db / 20)
    return samples + hiss * wanted / np.sqrt(np.mean(hiss**2))


def too_loud(samples: np.ndarray, times: float = 8.0) -> np.ndarray:
    return np.clip(samples * times, -1.0, 1.0)


def in_a_hall(samples: np.ndarray, seconds: float) -> np.ndarray:
    """With an echo that takes so long to fall by 60 dB."""
    tail = np.random.default_rng(3).standard_normal(round(seconds * RATE))
    tail *= 10 ** (-3 * np.arange(len(tail)) / len(tail))
    tail[0] = 3.0
    wet = fftconvolve(samples, tail)
    return (0.5 * wet / np.abs(wet).max()).astype(np.float32)


def by_telephone(samples: np.ndarray) -> np.ndarray:
    low = resample_poly(samples, 160, 441)  # 8 kHz
    band = sosfilt(butter(4, [300, 3400], "band", fs=8_000, output="sos"), low)
    return resample_poly(band, 441, 160).astype(np.float32)


def babble(hz: float, seconds: float, pace: float = 4.0, seed: int = 0) -> np.ndarray:
    """Syllables of a throat whose median pitch and pace are known: pulses through formants, hissing between them."""
    rng = np.random.default_rng(seed)
    clock = np.arange(round(seconds * RATE)) / RATE
    pitch = hz * 2 ** (0.25 * np.sin(2 * np.pi * 1.7 * clock))  # a fourth up and down; its median is `hz`
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0) + 0.002 * rng.standard_normal(len(clock))
    out = 0.05 * rng.standard_normal(len(clock))
    vowels = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
    length = 1 / pace
    for number in range(round(seconds * pace)):
        a, b = round((number + 0.35) * length * RATE), round((number + 0.95) * length * RATE)
        if number % 12 > 9:  # a breath
            out[round(number * length * RATE) : round((number + 1) * length * RATE)] *= 0.01
            continue
        sound = pulses[a:b]
        for formant, width in zip(vowels[rng.integers(4)], (80, 100, 140), strict=True):
            pole = np.exp(-np.pi * width / RATE + 2j * np.pi * formant / RATE)
            sound = lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], sound)
        sound = sound / (np.abs(sound).max() + 1e-9) * np.hanning(len(sound)) ** 0.3
        out[a:b] = 0.1 * out[a:b] + sound
    return (0.4 * out).astype(np.float32)


def music(seconds: float, seed: int = 0, beat: float = 0.4) -> np.ndarray:
    """A melody over chords, on something like a piano."""
    rng = np.random.default_rng(seed)
    out = silence(seconds)
    for start in np.arange(0, seconds - beat, beat):
        notes = [rng.choice([57, 60, 62, 64, 67, 69, 72]), *([45, 52] if rng.random() < 0.5 else [])]
        clock = np.arange(round(2 * beat * RATE)) / RATE
        for note in notes:
            hz = 440 * 2 ** ((note - 69) / 12)
            tone = sum(np.sin(2 * np.pi * hz * k * clock) / k**1.5 for k in range(1, 9)) * np.exp(-3 * clock)
            at = round(start * RATE)
            out[at : at + len(tone)] += 0.1 * tone[: len(out) - at].astype(np.float32)
    return out


def save(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """As a WAV; `rate` other than RATE: resampled to it."""
    if rate != RATE:
        divisor = int(np.gcd(rate, RATE))
        samples = resample_poly(samples, rate // divisor, RATE // divisor)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def codes(found: Mapping[str, Any]) -> set[str]:
    return {check["code"] for check in found["checks"]}
