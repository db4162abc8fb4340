"""Qwen3-TTS through its authors' package `qwen-tts`. Runs under its own Python."""

from __future__ import annotations

from typing import Any

from lanterna_child import Remembered, Sounds, seeded, serve

LANGUAGES = {"en": "English", "pt": "Portuguese", "zh": "Chinese"}


def load(wanted: dict[str, Any]) -> Any:
    import torch
    from qwen_tts import Qwen3TTSModel

    model = Qwen3TTSModel.from_pretrained(
        wanted["parts"]["model"], device_map=wanted["device"], dtype=getattr(torch, wanted["dtype"])
    )
    return model, Remembered(lambda sample, words: model.create_voice_clone_prompt(
        ref_audio=sample, ref_text=words or None, x_vector_only_mode=not words
    ))  # fmt: skip


def say(made: Any, asked: dict[str, Any]) -> Sounds:
    model, voice = made
    seeded(asked["seed"])
    sounds, rate = model.generate_voice_clone(
        text=asked["text"], language=LANGUAGES[asked["language"]],
        voice_clone_prompt=voice(asked["sample"], asked["transcript"]), temperature=asked["temperature"],
    )  # fmt: skip
    yield rate, sounds[0]


if __name__ == "__main__":
    serve(load, say)
