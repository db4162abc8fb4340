"""Qwen3-TTS: clones in ten languages, Portuguese and Chinese among them, by its authors' own package.

`qwen-tts` wants another transformers than ours, so it lives in a Python of its own. Code and weights: Apache-2.0.
"""

from typing import Any

from pydantic import Field

from studio.domain import JSON
from studio.pipelines.base import Limits, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.own_python import OwnPython, Package
from studio.pipelines.speech.weights import weighing

REPO = "Qwen/Qwen3-TTS-12Hz-1.7B-Base"


class Qwen3TTS(OwnPython):
    id = "qwen3-tts"
    licence = "Apache-2.0"
    package = Package("qwen-tts", "qwen_tts", "==0.1.1", "qwen3_tts_python")
    script = "speak_qwen3_tts.py"
    parts = (
        Part(
            "model", REPO, 3_860_000_000, folder="", files=("config.json", "model.safetensors", "*.json", "merges.txt")
        ),
        Part("speech_tokenizer", REPO, 682_000_000),
    )
    footprint = weighing(4_540_000_000, 1_500_000_000)
    limits = Limits(languages=("en", "pt", "zh"))
    speaks = Speaks(accents=("en", "pt", "zh-CN"), clones=True, needs_sample=True, sample=(3.0, 20.0))
    rate = 24_000

    class Options(OwnPython.Options):
        temperature: float = Field(0.9, ge=0.1, le=1.5, description="how far readings differ")

    def request(self, words: Words, options: Any) -> dict[str, JSON]:
        return {"temperature": options.temperature}
