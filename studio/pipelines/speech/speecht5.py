"""SpeechT5 (Microsoft): small English voices, each of them a vector of 512 numbers (an x-vector) in a file.

It clones nobody by itself: the vectors are made by another model, and put below `data/models/xvectors` as `.npy` files,
whose names are the voices. Without one it cannot speak.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from studio.domain import Lane
from studio.errors import Refused
from studio.pipelines.base import Availability, Limits, Machine, Run, Speaks
from studio.pipelines.parts import Part, Shelf
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.weights import SpokenWeights, weighing

MODEL, VOCODER = "microsoft/speecht5_tts", "microsoft/speecht5_hifigan"
NUMBERS = 512  # of a vector
MOST_LETTERS = 550  # of a sentence: its positions end at 600


def vectors() -> list[Path]:
    """The files of voices on this machine."""
    return sorted((Shelf.here().folder / "xvectors").glob("*.npy"))


class _Voices:
    """`speaks`, with the voices that are here."""

    def __get__(self, engine: Any, cls: Any) -> Speaks:
        return replace(Speaks(accents=("en-US",)), presets=tuple(path.stem for path in vectors()))


class SpeechT5(SpokenWeights):
    id = "speecht5"
    lane: ClassVar[Lane] = "cpu"
    limits = Limits(languages=("en",))
    speaks = _Voices()
    licence = "MIT"
    rate = 16_000
    published = (Part("model", MODEL, 586_000_000, folder=""), Part("vocoder", VOCODER, 50_700_000, folder=""))
    classes: ClassVar[Mapping[str, str]] = {
        "model": "transformers:SpeechT5ForTextToSpeech", "vocoder": "transformers:SpeechT5HifiGan",
    }  # fmt: skip
    footprint = weighing(316_000_000, 300_000_000, cpu=True, spares="always")

    def availability(self, machine: Machine) -> Availability:
        found = super().availability(machine)
        if found.state == "ready" and not vectors():
            return Availability("unfit", "speech.no_vectors", {"folder": str(Shelf.here().folder / "xvectors")})
        return found

    def built(self) -> None:
        from transformers import SpeechT5Processor

        self._processor: Any = SpeechT5Processor.from_pretrained(self.folder(self.part("model")), local_files_only=True)

    def forgotten(self) -> None:
        self._processor = None

    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        model = self.modules["model"]
        text = self._processor(text=words.text[:MOST_LETTERS], return_tensors="pt")["input_ids"].to(model.device)
        with self.drawing(words.seed):
            vector = self._vector(words.speaker.preset).to(model.device, model.dtype)
            samples = model.generate_speech(text, vector, vocoder=self.modules["vocoder"])
        yield Sound(samples.float().cpu().numpy())

    def _vector(self, name: str) -> Any:
        """(1, 512) of a voice, the first there is where none is named. Raises Refused."""
        import numpy as np
        import torch

        files = {path.stem: path for path in vectors()}
        path = files.get(name) if name else next(iter(files.values()), None)
        if path is None:
            raise Refused("speech.no_such_voice", engine=self.id, preset=name or "-", known=", ".join(files) or "-")
        try:
            numbers = np.load(path, allow_pickle=False).astype(np.float32).reshape(1, -1)
        except (OSError, ValueError) as error:
            raise Refused("speech.voice_unreadable", engine=self.id, file=str(path)) from error
        if numbers.shape[1] != NUMBERS or not np.isfinite(numbers).all():
            raise Refused("speech.voice_unreadable", engine=self.id, file=str(path))
        return torch.from_numpy(numbers)
