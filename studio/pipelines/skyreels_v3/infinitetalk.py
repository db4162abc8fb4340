"""InfiniteTalk and MultiTalk (MeiGen-AI, Apache-2.0): people in a picture or a video speak for up to 40 seconds.

The network is SkyReels-V3 A2V's; the weights are Wan 2.1's picture-to-video with InfiniteTalk's own laid over them. A
video is read at 25 frames a second, one frame for each window; one that ends before the sound shows its last frame on.
Steps, guidance, shift and the files of LoRAs: docs/models.md. Light: torch only in a run.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Limits
from studio.pipelines.parts import Part
from studio.pipelines.skyreels_v3.avatar import HEARING, Avatar
from studio.pipelines.skyreels_v3.footprints import AVATAR, AVATAR_OF_TWO
from studio.pipelines.skyreels_v3.windows import FPS, InfiniteTalkWindows
from studio.pipelines.wan import CLIP, I2V_LARGE, TEXT, VAE

TALK = "MeiGen-AI/InfiniteTalk"
SECONDS = (0.4, InfiniteTalkWindows.limit / FPS)
SINGLE_BYTES, MULTI_BYTES = 11_000_000_000, 9_948_672_000  # 2.49 B parameters in 32 bit; the first has some of its base
FP8_BYTES = 19_500_000_000
FEW_STEPS = "Wan2.1_I2V_14B_FusionX_LoRA.safetensors"  # below data/models/loras; the preset cannot do without


class InfiniteTalk(Avatar):
    """One person."""

    id = "infinitetalk"
    licence = "Apache-2.0"
    policy = InfiniteTalkWindows()
    shift_720p, shift_480p = 11.0, 7.0
    limits = Limits(
        resolutions=("480P", "720P"), seconds={"talking_avatar": SECONDS}, fps=float(FPS), audio=SECONDS,
        avatar_video=True,
    )  # fmt: skip
    parts: ClassVar[tuple[Part, ...]] = (
        *TEXT, *CLIP, VAE, *HEARING, Part("transformer", I2V_LARGE, 65_579_515_136),
        Part("talk", TALK, SINGLE_BYTES, folder="single", files=("infinitetalk.safetensors",), over="transformer"),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 40, "guidance_scale": 5.0, "audio_guidance_scale": 4.0},
        "fast": {
            "num_inference_steps": 8, "guidance_scale": 1.0, "audio_guidance_scale": 2.0, "flow_shift": 2.0,
            "loras": [{"file": FEW_STEPS}],
        },
    }  # fmt: skip
    footprint = replace(AVATAR, steps=40, forwards=3)

    class Options(Avatar.Options):
        num_inference_steps: int = Field(40, ge=1, le=200, description="40; 4 to 8 only with a LoRA made for few")
        guidance_scale: float = Field(5.0, ge=1, le=30, description="by the prompt; 1 with a LoRA made for few steps")
        audio_guidance_scale: float = Field(4.0, ge=1, le=30, description="by the sound; 2 with such a LoRA")


class InfiniteTalkMulti(InfiniteTalk):
    """One person or two, each with a voice and a place."""

    id = "infinitetalk-multi"
    limits = Limits(
        resolutions=("480P", "720P"), seconds={"talking_avatar": SECONDS}, fps=float(FPS), audio=SECONDS, speakers=2,
        avatar_video=True,
    )  # fmt: skip
    parts = (
        *TEXT, *CLIP, VAE, *HEARING, Part("transformer", I2V_LARGE, 65_579_515_136),
        Part("talk", TALK, MULTI_BYTES, folder="multi", files=("infinitetalk.safetensors",), over="transformer"),
    )  # fmt: skip
    footprint = replace(AVATAR_OF_TWO, steps=40, forwards=3)


class InfiniteTalkFp8(InfiniteTalk):
    """One person, by weights that were published in 8 bit: half the download."""

    id = "infinitetalk-fp8"
    parts = (
        *TEXT, *CLIP, VAE, *HEARING,
        Part("transformer", TALK, FP8_BYTES, folder="quant_models", files=("infinitetalk_single_fp8.safetensors",)),
    )  # fmt: skip
