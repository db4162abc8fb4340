"""What a screen says of each model beside what its engine says: title, licence, languages. Data only; one line a model.

Licences are those of the weights, as their authors publish them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from studio.pipelines import engine_class
from studio.pipelines.speech.weights import chosen_repos


@dataclass(frozen=True, slots=True)
class Entry:
    title: str
    gated: bool = False  # the hub gives it only to who accepted its terms there, and sent a token
    languages: tuple[str, ...] = ("en",)  # of the prompt


APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
LICENCES: Mapping[str, str] = {  # as Engine.licence names it -> its text
    "Apache-2.0": APACHE,
    "MIT": "https://opensource.org/license/mit",
    "Skywork": "https://github.com/SkyworkAI/Skywork/blob/main/Skywork%20Community%20License.pdf",
    "LTX-2 Community": "https://huggingface.co/Lightricks/LTX-2/blob/main/LICENSE",
    "Stability AI Community": "https://stability.ai/license",
    "Stability AI Non-Commercial": "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/blob/main/LICENSE.md",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CreativeML Open RAIL++-M": "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
}

WAN = ("en", "zh")
CATALOGUE: Mapping[str, Entry] = {
    "wan2.1-t2v-1.3b": Entry("Wan 2.1 T2V 1.3B", languages=WAN),
    "wan2.1-t2v-14b": Entry("Wan 2.1 T2V 14B", languages=WAN),
    "wan2.1-i2v-14b": Entry("Wan 2.1 I2V 14B", languages=WAN),
    "wan2.2-ti2v-5b": Entry("Wan 2.2 TI2V 5B", languages=WAN),
    "wan2.2-t2v-a14b": Entry("Wan 2.2 T2V A14B", languages=WAN),
    "wan2.2-i2v-a14b": Entry("Wan 2.2 I2V A14B", languages=WAN),
    "wan2.1-vace-1.3b": Entry("Wan 2.1 VACE 1.3B", languages=WAN),
    "wan2.1-vace-14b": Entry("Wan 2.1 VACE 14B", languages=WAN),
    "skyreels-v2-df-1.3b": Entry("SkyReels-V2 DF 1.3B", languages=WAN),
    "skyreels-v2-df-14b": Entry("SkyReels-V2 DF 14B", languages=WAN),
    "skyreels-v3-r2v-14b": Entry("SkyReels-V3 R2V 14B", languages=WAN),
    "skyreels-v3-v2v-14b": Entry("SkyReels-V3 V2V 14B", languages=WAN),
    "skyreels-v3-shot-14b": Entry("SkyReels-V3 V2V 14B Shot Switching", languages=WAN),
    "skyreels-v3-a2v-19b": Entry("SkyReels-V3 A2V 19B", languages=WAN),
    "infinitetalk": Entry("InfiniteTalk", languages=WAN),
    "infinitetalk-multi": Entry("InfiniteTalk Multi", languages=WAN),
    "infinitetalk-fp8": Entry("InfiniteTalk FP8", languages=WAN),
    "ltx2": Entry("LTX-2"),
    "ltx2.3-distilled": Entry("LTX-2.3 Distilled"),
    "svd-xt": Entry("Stable Video Diffusion XT", gated=True, languages=()),
    "sd-turbo": Entry("SD-Turbo"),
    "sdxl": Entry("Stable Diffusion XL"),
    "pocket-tts": Entry("Pocket TTS", gated=True, languages=("en", "pt")),
    "phonon": Entry("Phonon 31M English"),
    "vibevoice-1.5b": Entry("VibeVoice 1.5B", languages=("en", "zh")),
    "dia-1.6b": Entry("Dia 1.6B"),
    "csm-1b": Entry("CSM 1B", gated=True),
    "speecht5": Entry("SpeechT5"),
    "pocket-tts-package": Entry("Pocket TTS (its own package)", gated=True, languages=("en", "pt")),
    "qwen3-tts": Entry("Qwen3-TTS 1.7B", languages=("en", "pt", "zh")),
    "voxcpm2": Entry("VoxCPM2", languages=("en", "pt", "zh")),
    "whisper-large-v3-turbo": Entry("Whisper Large v3 Turbo", languages=("en", "pt", "zh")),
    "whisper-base": Entry("Whisper Base", languages=("en", "pt", "zh")),
    "wavlm-sv": Entry("WavLM Base, speakers", languages=("en", "pt", "zh")),
}


def entry(engine_id: str) -> Entry:
    """What is known of a model; its id where it has no line."""
    return CATALOGUE.get(engine_id) or Entry(engine_id)


def gated(engine_id: str) -> bool:
    """Does the hub want a token for it? Nobody knows of a repository that the user chose: the hub will say."""
    chosen = any(name == engine_id or name.startswith(f"{engine_id}.") for name in chosen_repos())
    return entry(engine_id).gated and not chosen


def licence_url(engine_id: str) -> str:
    """Where its licence can be read: the line of LICENCES, or the page of its weights."""
    engine = engine_class(engine_id)
    return LICENCES.get(engine.licence) or (f"https://huggingface.co/{engine.parts[-1].repo}" if engine.parts else "")
