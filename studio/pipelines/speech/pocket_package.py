"""Pocket TTS by its authors' own package `pocket-tts`: the second way to it, in English and Portuguese.

It runs in our own environment too, where somebody installed it there. Code: MIT; weights: CC-BY-4.0, gated for cloning.
"""

from typing import Any

from pydantic import Field

from studio.domain import JSON
from studio.pipelines.base import Limits, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.own_python import OwnPython, Package
from studio.pipelines.speech.weights import weighing

CLONING, OPEN = "kyutai/pocket-tts", "kyutai/pocket-tts-without-voice-cloning"


def _parts(language: str, weights: str, tokenizer: str) -> tuple[Part, Part]:
    """As the package's own description of the language names them."""
    folder = f"languages/{language}"
    return (
        Part(f"{language}_tokenizer", OPEN, 100_000, folder=folder, revision=tokenizer, files=("tokenizer.json",)),
        Part(language, CLONING, 240_000_000, folder=folder, revision=weights, files=("model.safetensors",)),
    )


class PocketPackage(OwnPython):
    id = "pocket-tts-package"
    lane = "cpu"
    licence = "CC-BY-4.0"
    package = Package("pocket-tts", "pocket_tts", "==4.0.1", "pocket_tts_python", here=True)
    script = "speak_pocket_tts.py"
    parts = (
        *_parts("english", "db04f0e653473e5c7333c69686ac92b7460b0c1d", "00eac05ed3d16bdc3f6b5d598874019c34a89214"),
        *_parts("portuguese", "3e82814a68665eec246ff649b14c71331f955c06", "4e1e0a3e611c51c0b4ed8174fc10f32a54644303"),
    )
    footprint = weighing(480_000_000, 300_000_000, cpu=True)
    limits = Limits(languages=("en", "pt"))
    speaks = Speaks(accents=("en", "pt"), clones=True, needs_sample=True, sample=(3.0, 30.0), streams=True)
    rate = 24_000

    class Options(OwnPython.Options):
        temperature: float = Field(0.3, ge=0.0, le=1.0, description="how far readings differ")

    def request(self, words: Words, options: Any) -> dict[str, JSON]:
        return {"temperature": options.temperature}
