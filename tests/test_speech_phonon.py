"""Phonon on tiny weights: its own voices, nobody's clone; the rest is Pocket TTS's, tested there."""

from pathlib import Path

import numpy as np
import torch

from studio.domain import Line, Voice
from studio.pipelines.base import Inputs, Plan, Run, Speaker
from studio.pipelines.parts import SHELF
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.phonon import Phonon
from studio.service.engines import voice_problems


def test_it_says_what_generate_says_with_each_of_its_voices(tiny_shelf: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(SHELF, str(tiny_shelf))
    engine, run = Phonon(), Run(1, Inputs(), Plan(), tmp_path / "t", tmp_path / "p")
    engine.load(Plan())
    heard = []
    for preset in Phonon.speaks.presets:
        words = Words("The lamp is lit.", "en", "", Speaker(preset=preset), 3)
        heard.append(np.concatenate([sound.samples for sound in engine.say(words, engine.Options(), run)]))
        with torch.inference_mode():
            torch.manual_seed(3)
            made = engine.modules["model"].generate(
                **engine._asked("model", words), do_sample=True, temperature=0.7, return_dict_in_generate=True
            )
            whole = engine._processors["model"].decode(made.audio_latents, made.audio_latents_mask)[0].numpy()
        assert heard[-1].shape == whole.shape and np.abs(heard[-1] - whole).max() < 1e-4 * np.abs(whole).max()
    assert len(heard) == 2 and not np.array_equal(heard[0][:4000], heard[1][:4000])
    engine.close()


def test_it_clones_nobody_and_speaks_english_only(tiny_shelf: Path, monkeypatch):
    monkeypatch.setenv(SHELF, str(tiny_shelf))

    def codes(line: Line, **voice: str) -> list[str]:
        return [problem.code for problem in voice_problems(Phonon, line, Voice(id="1", name="Inês", **voice))]

    assert codes(Line(text="Hello"), preset="jean") == codes(Line(text="Hello")) == []
    assert codes(Line(text="Hello"), sample="0" * 64) == ["voice.cannot_clone"]
    assert codes(Line(text="Hello"), preset="nobody") == ["voice.no_preset"]
    assert codes(Line(text="Olá", language="pt")) == ["engine.limit_language"]


def test_how_many_of_its_voices_there_are_is_known_before_anything_is_fetched(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(SHELF, str(tmp_path))
    assert Phonon.speaks.presets == () and not Phonon.speaks.clones and Phonon.speaks.streams
