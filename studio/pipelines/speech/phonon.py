"""Phonon (Gradium): small English voices that it brings along; it clones nobody. Made and run as Pocket TTS is."""

from collections.abc import Mapping
from typing import ClassVar

from studio.pipelines.base import Limits, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.pocket_tts import CODEC, PocketTTS, Voices
from studio.pipelines.speech.weights import weighing

MODEL = "gradium/phonon-31m-en"


class Phonon(PocketTTS):
    id = "phonon"
    limits = Limits(languages=("en",))
    speaks = Voices(Speaks(accents=("en",), streams=True))
    licence = "Apache-2.0"
    published = (
        Part("model", MODEL, 164_000_000, folder=""),
        Part("voices", MODEL, 10_000_000, files=("*.safetensors",)),
        Part("codec", CODEC, 80_000_000, folder=""),
    )
    classes: ClassVar[Mapping[str, str]] = {
        **PocketTTS.classes,
        "model": "transformers:GradiumPhononTTSForConditionalGeneration",
    }
    # 41 million parameters, as the hub counts them, and the codec's 20 million
    footprint = weighing(122_000_000, 400_000_000, cpu=True, spares="always")
