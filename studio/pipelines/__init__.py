"""ENGINES: one line per engine, imported when first used. Knows nothing of queues."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from studio.errors import NotFound
from studio.pipelines.base import Engine

ENGINES: dict[str, str] = {
    "wan2.2-t2v-a14b": "studio.pipelines.wan:WanT2VA14B",
    "wan2.2-i2v-a14b": "studio.pipelines.wan:WanI2VA14B",
    "wan2.1-t2v-14b": "studio.pipelines.wan:WanT2VLarge",
    "wan2.1-i2v-14b": "studio.pipelines.wan:WanI2VLarge",
    "wan2.2-ti2v-5b": "studio.pipelines.wan:WanTI2V",
    "skyreels-v3-r2v-14b": "studio.pipelines.skyreels_v3.reference:SkyReelsV3Reference",
    "skyreels-v3-v2v-14b": "studio.pipelines.skyreels_v3.extension:SkyReelsV3SingleShot",
    "skyreels-v3-shot-14b": "studio.pipelines.skyreels_v3.extension:SkyReelsV3ShotSwitching",
    "infinitetalk": "studio.pipelines.skyreels_v3.infinitetalk:InfiniteTalk",
    "infinitetalk-multi": "studio.pipelines.skyreels_v3.infinitetalk:InfiniteTalkMulti",
    "infinitetalk-fp8": "studio.pipelines.skyreels_v3.infinitetalk:InfiniteTalkFp8",
    "skyreels-v3-a2v-19b": "studio.pipelines.skyreels_v3.avatar:SkyReelsA2V",
    "wan2.1-vace-14b": "studio.pipelines.wan_vace:WanVACELarge",
    "skyreels-v2-df-14b": "studio.pipelines.skyreels_v2:SkyReelsV2Large",
    "skyreels-v2-df-1.3b": "studio.pipelines.skyreels_v2:SkyReelsV2Small",
    "wan2.1-vace-1.3b": "studio.pipelines.wan_vace:WanVACESmall",
    "wan2.1-t2v-1.3b": "studio.pipelines.wan:WanT2VSmall",
    "ltx2.3-distilled": "studio.pipelines.ltx2:LTX23Distilled",
    "ltx2": "studio.pipelines.ltx2:LTX20",
    "wan2gp": "studio.pipelines.wan2gp:Wan2GP",
    "svd-xt": "studio.pipelines.svd:SVDXT",
    "sdxl": "studio.pipelines.stable_diffusion:SDXL",
    "sd-turbo": "studio.pipelines.stable_diffusion:SDTurbo",
    "whisper-large-v3-turbo": "studio.pipelines.speech.whisper:WhisperTurbo",
    "whisper-base": "studio.pipelines.speech.whisper:WhisperBase",
    "wavlm-sv": "studio.pipelines.speech.likeness:WavLMSpeaker",
    "pocket-tts": "studio.pipelines.speech.pocket_tts:PocketTTS",
    "vibevoice-1.5b": "studio.pipelines.speech.vibevoice:VibeVoice",
    "dia-1.6b": "studio.pipelines.speech.dia:Dia",
    "csm-1b": "studio.pipelines.speech.csm:CSM",
    "pocket-tts-package": "studio.pipelines.speech.pocket_package:PocketPackage",
    "qwen3-tts": "studio.pipelines.speech.qwen3_tts:Qwen3TTS",
    "voxcpm2": "studio.pipelines.speech.voxcpm:VoxCPM2",
    "cosyvoice": "studio.pipelines.speech.cosyvoice:CosyVoice",
    "speech-server": "studio.pipelines.speech.openai_speech:SpeechServer",
    "speecht5": "studio.pipelines.speech.speecht5:SpeechT5",
    "phonon": "studio.pipelines.speech.phonon:Phonon",
    "elevenlabs": "studio.pipelines.speech.elevenlabs:ElevenLabs",
    "openai-speech": "studio.pipelines.speech.openai_speech:OpenAISpeech",
    "draft": "studio.pipelines.draft.engine:Draft",
}


@cache
def engine_class(engine_id: str) -> type[Engine]:
    """The class behind an id. Raises NotFound."""
    if engine_id not in ENGINES:
        raise NotFound("engine.unknown", engine=engine_id, known=", ".join(ENGINES))
    module, _, name = ENGINES[engine_id].partition(":")
    found: type[Engine] = getattr(import_module(module), name)
    return found


def engines_for(task: str) -> Iterator[type[Engine]]:
    """Every engine that can do a task, in the order of ENGINES: real ones first, the draft engine last."""
    return (cls for cls in map(engine_class, ENGINES) if task in cls.tasks)
