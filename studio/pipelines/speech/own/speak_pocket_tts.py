"""Pocket TTS through its authors' package `pocket-tts`. Runs under its own Python, or under ours."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lanterna_child import Remembered, Sounds, seeded, serve

LANGUAGES = {"en": "english", "pt": "portuguese"}


def load(wanted: dict[str, Any]) -> Any:
    from pocket_tts import TTSModel

    def model(language: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return TTSModel.load_model(config=_config(language, wanted["parts"], Path(folder)))

    models = Remembered(model)
    return models, Remembered(lambda language, sample: models(language).get_state_for_audio_prompt(Path(sample)))


def _config(language: str, parts: dict[str, str], folder: Path) -> Path:
    """The package's own description of a language, with the files that lie here in place of the hub's."""
    import pocket_tts
    import yaml

    told = yaml.safe_load((Path(pocket_tts.__file__).parent / "config" / f"{language}.yaml").read_text("utf-8"))
    told["weights_path"] = str(Path(parts[language]) / "model.safetensors")
    told.pop("weights_path_without_voice_cloning", None)
    told["flow_lm"]["lookup_table"]["tokenizer_path"] = str(Path(parts[f"{language}_tokenizer"]) / "tokenizer.json")
    path = folder / f"{language}.yaml"
    path.write_text(yaml.safe_dump(told, allow_unicode=True), "utf-8")
    return path


def say(made: Any, asked: dict[str, Any]) -> Sounds:
    models, voice = made
    language = LANGUAGES[asked["language"]]
    model = models(language)
    state = voice(language, asked["sample"])
    seeded(asked["seed"])
    model.temp = asked["temperature"]
    for piece in model.generate_audio_stream(state, asked["text"]):
        yield model.sample_rate, piece


if __name__ == "__main__":
    serve(load, say)
