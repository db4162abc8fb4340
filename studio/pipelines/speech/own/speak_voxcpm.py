"""VoxCPM2 through its authors' package `voxcpm`. Runs under its own Python."""

from __future__ import annotations

from typing import Any

from lanterna_child import Sounds, seeded, serve


def load(wanted: dict[str, Any]) -> Any:
    from voxcpm import VoxCPM

    # optimize compiles for minutes at each start; the denoiser would be fetched
    return VoxCPM.from_pretrained(
        wanted["parts"]["model"], load_denoiser=False, optimize=False, device=wanted["device"]
    )


def say(model: Any, asked: dict[str, Any]) -> Sounds:
    seeded(asked["seed"])
    text, sample, transcript = asked["text"], asked["sample"], asked["transcript"]
    voice = {"reference_wav_path": sample}
    if asked["direction"]:  # in brackets before the words; it then leaves the sample's own manner
        text = f"({asked['direction']}){text}"
    elif transcript:
        voice |= {"prompt_wav_path": sample, "prompt_text": transcript}
    sound = model.generate(text=text, cfg_value=asked["cfg_value"], inference_timesteps=asked["steps"], **voice)
    yield model.tts_model.sample_rate, sound


if __name__ == "__main__":
    serve(load, say)
