"""CosyVoice on a server of the user's own: the FastAPI runtime that its authors publish (runtime/python/fastapi).

It answers 16-bit samples without a head, so who runs it says which CosyVoice it is. Costs nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from studio.errors import Refused
from studio.pipelines.base import Limits, Run, Speaks
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.remote import Remote, sound_of
from studio.pipelines.speech.sample import wav_of

RATES: Mapping[str, int] = {"3": 24_000, "2": 24_000, "1": 22_050}  # Hz that each version gives
ASSISTANT = "You are a helpful assistant."  # version 3 is told so before everything
END = "<|endofprompt|>"


class CosyVoice(Remote):
    id = "cosyvoice"
    service = "CosyVoice"
    address = "cosyvoice_url"
    example = "http://127.0.0.1:50000"
    most_seconds = 600.0
    limits = Limits(languages=("zh", "en"))
    speaks = Speaks(accents=("zh-CN", "en-US"), clones=True, sample=(3.0, 30.0))
    rate = 24_000

    class Options(Remote.Options):
        version: Literal["3", "2", "1"] = Field("2", description="of CosyVoice that the server runs")
        voice: str = Field("", max_length=100, description="of the server, where there is no sample")

    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        path, form, files = self._request(words, options)
        answer = self.order(words, options, path, run, form=form, files=files)
        yield Sound(sound_of(answer, self.rate, self.service, RATES[options.version]))

    def _request(self, words: Words, options: Any) -> tuple[str, dict[str, str], Any]:
        """Path, fields and files: the ways of its runtime, each for what is known of the voice."""
        speaker, third = words.speaker, options.version == "3"
        before = ASSISTANT + END if third else ""
        if speaker.sample is None:
            if not options.voice:
                raise Refused("remote.no_voice", engine=self.id, option="voice")
            return "/inference_sft", {"tts_text": words.text, "spk_id": options.voice}, None
        sample = {"prompt_wav": ("sample.wav", wav_of(speaker.sample, self.speaks.sample[1]), "audio/wav")}
        if words.direction and options.version != "1":
            told = f"{ASSISTANT} {words.direction}" if third else words.direction
            return "/inference_instruct2", {"tts_text": words.text, "instruct_text": told + END}, sample
        if speaker.transcript:
            form = {"tts_text": words.text, "prompt_text": before + speaker.transcript}
            return "/inference_zero_shot", form, sample
        return "/inference_cross_lingual", {"tts_text": before + words.text}, sample
