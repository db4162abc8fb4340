"""ElevenLabs: voices of the account, and instant clones of a sample, with the time of each word. Costs money.

A clone is made once: its name at ElevenLabs ends in the letters of its sample, and is looked for there before another
is made. The account's own page is where it is removed.
"""

import base64
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from studio.domain import JSON
from studio.errors import EngineError, Refused
from studio.media.fetch import Answered
from studio.media.files import write_small
from studio.pipelines.base import Limits, Run, Speaker, Speaks
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.language import is_han
from studio.pipelines.speech.remote import Remote, setting, sound_of
from studio.pipelines.speech.sample import wav_of

log = logging.getLogger(__name__)

VOICES: Mapping[str, str] = {  # that every account has: name -> id
    "George": "JBFqnCBsd6RMkjVDRZzb", "Sarah": "EXAVITQu4vr4xnSDxMaL", "Laura": "FGY2WhTYpPnrIDTdsKH5",
    "Charlie": "IKne3meq5aSn9XLyUdCD", "Callum": "N2lVS1w4EtoT3dr4eOWO", "River": "SAz9YHcvj6GT2YYXdXww",
    "Liam": "TX3LPaxmHKxFdv7VOQHJ",
}  # fmt: skip
TOLD_LANGUAGE = ("eleven_v3", "eleven_flash_v2_5", "eleven_turbo_v2_5")  # models that may be told which one it is
ACTS = ("eleven_v3",)  # models that take a direction in brackets


class ElevenLabs(Remote):
    id = "elevenlabs"
    service = "ElevenLabs"
    costs_money = True
    key = "elevenlabs_api_key"
    address = "elevenlabs_url"
    usual = "https://api.elevenlabs.io"
    limits = Limits(languages=("en", "pt", "zh"))
    speaks = Speaks(
        accents=("en-US", "en-GB", "pt-BR", "pt-PT", "zh-CN"), clones=True, sample=(10.0, 60.0),
        presets=tuple(VOICES), words=True,
    )  # fmt: skip
    rate = 24_000

    class Options(Remote.Options):
        model: str = Field("eleven_multilingual_v2", pattern=r"^[a-z0-9_]{1,60}$", description="of ElevenLabs'")
        voice_id: str = Field("", pattern=r"^[A-Za-z0-9]{0,60}$", description="of your account, instead of a clone")
        stability: float = Field(0.5, ge=0, le=1, description="how alike each reading is")
        similarity_boost: float = Field(0.75, ge=0, le=1, description="how close to the voice")
        style: float = Field(0.0, ge=0, le=1, description="how far its manner is exaggerated")

    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        try:
            answer = self._ordered(words, options, self._voice(words.speaker, options, run), run)
        except Refused as refused:
            if refused.params.get("status") not in (400, 404) or not words.speaker.sample or options.voice_id:
                raise
            if not _forget(self._mark(words.speaker)):
                raise
            log.info("the clone is gone from ElevenLabs and is made anew")
            answer = self._ordered(words, options, self._voice(words.speaker, options, run), run)
        yield self._decoded(answer)

    def _ordered(self, words: Words, options: Any, voice: str, run: Run) -> Answered:
        acts = words.direction and options.model.startswith(ACTS)
        request: dict[str, JSON] = {
            "text": f"[{words.direction}] {words.text}" if acts else words.text,
            "model_id": options.model, "seed": words.seed,
            "voice_settings": {"stability": options.stability, "similarity_boost": options.similarity_boost,
                               "style": options.style, "use_speaker_boost": True},
        }  # fmt: skip
        if options.model.startswith(TOLD_LANGUAGE):
            request["language_code"] = words.language
        path = f"/v1/text-to-speech/{voice}/with-timestamps?output_format=pcm_{self.rate}"
        return self.order(words, options, path, run, json=request)

    def _decoded(self, answer: Answered) -> Sound:
        try:
            said = json.loads(answer.content)
            raw = Answered(200, {}, base64.b64decode(said["audio_base64"], validate=True))
            told = said.get("alignment") or {}
            times = [
                told.get(name) or []
                for name in ("characters", "character_start_times_seconds", "character_end_times_seconds")
            ]
            words = words_of(*times)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EngineError("remote.not_sound", service=self.service) from error
        return Sound(sound_of(raw, self.rate, self.service, self.rate), words)

    def _headers(self) -> Mapping[str, str]:
        return {"xi-api-key": setting(self.key)}

    # ------------------------------------------------------------------------------------------ whose voice
    def _voice(self, speaker: Speaker, options: Any, run: Run) -> str:
        """Its id at ElevenLabs."""
        if options.voice_id:
            return str(options.voice_id)
        if speaker.sample is None:
            return VOICES[speaker.preset or next(iter(VOICES))]
        mark = self._mark(speaker)
        if found := _known().get(mark):
            return found
        found = self._made_before(mark, run) or self._clone(speaker, mark, run)
        _remember(mark, found)
        return found

    def _mark(self, speaker: Speaker) -> str:
        """Letters of the sample and of the account."""
        assert speaker.sample is not None
        letters = hashlib.sha256(setting(self.key).encode() + speaker.sample.read_bytes()).hexdigest()
        return f"lanterna-{letters[:16]}"

    def _made_before(self, mark: str, run: Run) -> str:
        answer = self.question(f"/v2/voices?search={mark}&page_size=10", run)
        try:
            voices = json.loads(answer.content)["voices"]
            return next((str(one["voice_id"]) for one in voices if str(one["name"]).endswith(mark)), "")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EngineError("remote.not_sound", service=self.service) from error

    def _clone(self, speaker: Speaker, mark: str, run: Run) -> str:
        """Not asked again where the answer was lost: the next attempt finds by its name what this one made."""
        assert speaker.sample is not None
        sample = wav_of(speaker.sample, self.speaks.sample[1])
        answer = self.question(
            "/v1/voices/add", run, again=False,
            form={"name": f"{speaker.voice[:60]} {mark}".strip()}, files={"files": ("sample.wav", sample, "audio/wav")},
        )  # fmt: skip
        try:
            said = json.loads(answer.content)
            voice, unproved = str(said["voice_id"]), bool(said.get("requires_verification"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EngineError("remote.not_sound", service=self.service) from error
        if unproved:
            raise Refused("remote.unverified", service=self.service, voice=speaker.voice)
        return voice


def words_of(
    characters: Sequence[str], starts: Sequence[float], ends: Sequence[float]
) -> tuple[tuple[float, float, str], ...]:
    """(start, end, word) of what ElevenLabs says of each character; a Chinese character is a word."""
    found: list[tuple[float, float, str]] = []
    open_word = False
    for letter, start, end in zip(characters, starts, ends, strict=False):
        if letter.isspace():
            open_word = False
        elif open_word and not is_han(letter):
            first, _, text = found[-1]
            found[-1] = first, float(end), text + letter
        elif letter.isalnum() or not found:
            found.append((float(start), float(end), letter))
            open_word = not is_han(letter)
        else:  # a mark belongs to the word before it
            first, last, text = found[-1]
            found[-1] = first, last, text + letter
    return tuple(found)


# ------------------------------------------------------------------------------------------------ clones by their mark
def _file() -> Path | None:
    cache = os.environ.get(CACHE)
    return Path(cache) / "speech" / "elevenlabs.json" if cache else None


def _known() -> dict[str, str]:
    """What is lost here is found at ElevenLabs."""
    file = _file()
    try:
        rows = json.loads(file.read_text("utf-8")) if file else {}
        return {str(mark): str(voice) for mark, voice in rows.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _remember(mark: str, voice: str) -> None:
    if file := _file():
        write_small(file, json.dumps({**_known(), mark: voice}).encode())


def _forget(mark: str) -> bool:
    """Was it known?"""
    known, file = _known(), _file()
    if file is None or mark not in known:
        return False
    write_small(file, json.dumps({name: voice for name, voice in known.items() if name != mark}).encode())
    return True
