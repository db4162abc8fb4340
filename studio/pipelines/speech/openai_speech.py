"""Speech by OpenAI's protocol: from OpenAI, which costs money, or from a server of the user's own, which does not.

Neither clones. What a line's direction says goes along as instructions, where the model heeds them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Limits, Run, Speaks
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.remote import Remote, setting, sound_of

RAW_RATE = 24_000  # Hz of samples without a head
DEAF = ("tts-1",)  # models that take no instructions, by how their names begin


class _ByProtocol(Remote):
    """What both have."""

    form: ClassVar[str]  # in which the sound is asked for

    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        request = {
            "model": options.model, "input": words.text, "voice": words.speaker.preset or options.voice,
            "response_format": self.form,
        }  # fmt: skip
        if words.direction and not options.model.startswith(DEAF):
            request["instructions"] = words.direction
        answer = self.order(words, options, "/v1/audio/speech", run, json=request)
        yield Sound(sound_of(answer, self.rate, self.service, RAW_RATE))

    def _base(self) -> str:
        return super()._base().removesuffix("/v1")  # many write it along, as OpenAI's own library wants it

    def _headers(self) -> Mapping[str, str]:
        secret = setting(self.key)
        return {"Authorization": f"Bearer {secret}"} if secret else {}


class OpenAISpeech(_ByProtocol):
    id = "openai-speech"
    service = "OpenAI"
    costs_money = True
    key = "openai_api_key"
    address = "openai_url"
    usual = "https://api.openai.com"
    form = "pcm"
    limits = Limits(languages=("en", "pt", "zh"))
    speaks = Speaks(
        presets=("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
                 "shimmer", "verse"),
    )  # fmt: skip

    class Options(Remote.Options):
        model: str = Field("gpt-4o-mini-tts", min_length=1, max_length=100, description="of OpenAI's that speak")
        voice: str = Field("alloy", min_length=1, max_length=100, description="where the line's voice names none")


class SpeechServer(_ByProtocol):
    id = "speech-server"
    service = "speech server"
    key = "speech_server_key"
    key_needed = False
    address = "speech_server_url"
    example = "http://127.0.0.1:8880"
    most_seconds = 600.0
    form = "wav"
    rate = 48_000  # whatever it gives, none of it is lost
    limits = Limits(languages=("en", "pt", "zh"))
    speaks = Speaks()

    class Options(Remote.Options):
        model: str = Field("tts-1", min_length=1, max_length=100, description="as the server calls it")
        voice: str = Field("alloy", min_length=1, max_length=100, description="as the server calls it")
