"""The words of Wan2GP's headless mode: its models, a scene as its settings, and what its output lines mean. Pure facts
about another program's interface (its docs/CLI.md and docs/SETTINGS.md); starts nothing, opens nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SETTINGS_VERSION = (
    2.44  # of the fields below: the first release that could be run without its screen; it reads older ones
)
MEDIA = ("image_start", "image_end", "image_refs", "image_guide", "image_mask", "video_guide", "video_source",
         "video_mask", "audio_guide", "audio_guide2", "audio_source", "custom_guide")  # fmt: skip
NO_MEMORY = ("out of memory", "unsufficient vram", "insufficient vram", "unsufficient ram", "tried to allocate")
TOO_OLD = "unrecognized arguments"

_STEP = re.compile(r"\s*\[(\d{1,5})/(\d{1,5})\]\s*(.*)")
_WINDOW = re.compile(r"Sliding Window (\d{1,4})/(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Model:
    """One of its models, by its `model_type`."""

    task: Literal["talking_avatar", "text_to_video", "image_to_video"]
    fps: int
    people: int = 1
    portrait: Literal["start", "reference", ""] = ""  # how it is given the picture
    settings: Mapping[str, Any] = field(default_factory=dict)  # where its own files say nothing


_TALK = {"guidance_scale": 5.0, "flow_shift": 7, "sample_solver": "euler"}
_INFINITE = {**_TALK, "sliding_window_size": 81, "sliding_window_overlap": 9, "remove_background_images_ref": 0}
MODELS: Mapping[str, Model] = {
    "infinitetalk": Model("talking_avatar", 25, 1, "reference", {**_INFINITE, "video_prompt_type": "0KI"}),
    "infinitetalk_multi": Model("talking_avatar", 25, 2, "reference", {**_INFINITE, "video_prompt_type": "0KI"}),
    "multitalk": Model("talking_avatar", 25, 2, "start", {**_TALK, "sliding_window_discard_last_frames": 4}),
    "fantasy": Model(
        "talking_avatar", 23, 1, "start",
        {"audio_guidance_scale": 5.0, "sliding_window_overlap": 1, "sample_solver": "unipc"},
    ),
    "hunyuan_avatar": Model(
        "talking_avatar", 25, 1, "reference",
        {"guidance_scale": 7.5, "flow_shift": 5, "video_prompt_type": "KI", "remove_background_images_ref": 0},
    ),
    "t2v": Model("text_to_video", 16, settings={"flow_shift": 5.0, "sample_solver": "unipc"}),
    "t2v_1.3B": Model("text_to_video", 16, settings={"flow_shift": 5.0, "sample_solver": "unipc"}),
    "t2v_2_2": Model("text_to_video", 16, settings={"flow_shift": 5.0, "sample_solver": "unipc"}),
    "i2v": Model("image_to_video", 16, 1, "start", {"flow_shift": 7.0, "sample_solver": "unipc"}),
    "i2v_2_2": Model("image_to_video", 16, 1, "start", {"flow_shift": 7.0, "sample_solver": "unipc"}),
}  # fmt: skip
USUAL = {"talking_avatar": "infinitetalk", "text_to_video": "t2v_2_2", "image_to_video": "i2v_2_2"}
USUAL_FOR_TWO = "infinitetalk_multi"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of it, as files and numbers."""

    model: str
    prompt: str
    negative: str
    size: tuple[int, int]  # width, height
    seconds: float
    seed: int
    steps: int | None = None
    picture: Path | None = None
    voices: Sequence[Path] = ()  # one for each person, each as long as the whole
    boxes: Sequence[tuple[float, float]] = ()  # left and right of each person, in shares of the picture


def frames(model: str, seconds: float) -> int:
    """4n + 1 of them, so many seconds or a little more."""
    return max(5, -(-(round(seconds * MODELS[model].fps) - 1) // 4) * 4 + 1)


def settings_of(ask: Ask, template: Mapping[str, Any]) -> dict[str, Any]:
    """Its settings JSON. `template`: what its own files say of the model."""
    model = MODELS[ask.model]
    kept = {name: value for name, value in template.items() if name not in (*MEDIA, "model")}
    said: dict[str, Any] = {
        "model_type": ask.model, "prompt": ask.prompt or "a person talks", "negative_prompt": ask.negative,
        "resolution": f"{ask.size[0]}x{ask.size[1]}", "video_length": frames(ask.model, ask.seconds),
        "seed": ask.seed, "repeat_generation": 1, "batch_size": 1, "image_mode": 0, "prompt_enhancer": "",
        "multi_prompts_gen_type": kept.get("multi_prompts_gen_type", 0), "force_fps": "",
        "temporal_upsampling": "", "spatial_upsampling": "", "output_filename": "",
    }  # fmt: skip
    if ask.steps is not None:
        said["num_inference_steps"] = ask.steps
    if ask.picture and model.portrait == "start":
        said |= {"image_start": [str(ask.picture)], "image_prompt_type": "S"}
    elif ask.picture:
        said |= {"image_refs": [str(ask.picture)], "image_prompt_type": ""}
    if ask.voices:
        said |= {"audio_guide": str(ask.voices[0]), "audio_prompt_type": "A"}
    if len(ask.voices) > 1:  # side by side: each is as long as the scene, silent where the other speaks
        said |= {"audio_guide2": str(ask.voices[1]), "audio_prompt_type": "PAB"}
        if len(ask.boxes) > 1:
            ranges = (f"{round(100 * left)}:{round(100 * right)}" for left, right in ask.boxes[:2])
            said["speakers_locations"] = " ".join(ranges)
    return {"settings_version": SETTINGS_VERSION, **model.settings, **kept, **said}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a line of its output says of progress."""

    done: int  # steps, over all windows
    total: int
    what: str  # "Denoising", "VAE Decoding" …


def heard(line: str) -> Heard | None:
    """`  [12/30] Prompt 1/3, Sliding Window 2/5 - Denoising | Phase 2/2`; None: the line says nothing of it."""
    found = _STEP.match(line)
    if found is None or int(found[2]) == 0:
        return None
    done, total, what = int(found[1]), int(found[2]), found[3]
    if window := _WINDOW.search(what):
        number, windows = int(window[1]), max(int(window[1]), int(window[2]))
        done, total = (number - 1) * total + done, windows * total
    return Heard(min(done, total), total, what)


def no_memory(line: str) -> bool:
    return any(sign in line.casefold() for sign in NO_MEMORY)
