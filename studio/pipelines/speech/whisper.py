"""Whisper: words and their times in a recording. What it weighs is data here; torch is only loaded to listen.

A recording of any length is listened to in pieces of half a minute, cut where nobody speaks. Knows no voice, no scene.
"""

from studio.pipelines.base import Engine
from studio.pipelines.parts import Part

FILES = ("config.json", "generation_config.json", "tokenizer.json", "*.json", "model.safetensors")


class Whisper(Engine):
    """A model that makes no scene: subtitles of recordings, and whether a line was said."""

    tasks = frozenset()
    serves = "listening"
    lane = "cpu"


class WhisperBase(Whisper):
    id = "whisper-base"
    licence = "Apache-2.0"
    parts = (Part("whisper", "openai/whisper-base", 294_300_000, folder="", files=FILES),)


class WhisperTurbo(Whisper):
    id = "whisper-large-v3-turbo"
    licence = "MIT"
    parts = (Part("whisper", "openai/whisper-large-v3-turbo", 1_622_000_000, folder="", files=FILES),)
