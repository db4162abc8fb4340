"""Whisper: words and their times in a recording. What it weighs is data here; torch is only loaded to listen.

A recording of any length is listened to piece by piece, cut where it is quietest, so that three hours take no more
memory than half a minute. Works on the CPU: the device belongs to whoever renders. Knows no voice and no scene.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import Refused
from studio.pipelines.base import Engine
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    import numpy as np

FILES = ("config.json", "generation_config.json", "tokenizer.json", "*.json", "model.safetensors")
RATE = 16_000  # Hz
LONGEST, SHORTEST = 28.0, 18.0  # seconds of a piece: Whisper hears 30; a cut is looked for after SHORTEST
WINDOW = 0.2  # seconds that must be quiet where it is cut
QUIET = 0.003  # of full scale: a piece that is never louder says nothing, and Whisper would make something up
LAST_WORD = 0.4  # seconds of a word whose end is not told


class Whisper(Engine):
    """A model that makes no scene: subtitles of recordings, and whether a line was said."""

    tasks = frozenset()
    serves = "listening"
    lane = "cpu"


class WhisperBase(Whisper):
    id = "whisper-base"
    licence = "Apache-2.0"
    parts = (Part("whisper", "openai/whisper-base", 294_300_000, folder="", files=FILES),)


class WhisperTurbo(Whisper):
    id = "whisper-large-v3-turbo"
    licence = "MIT"
    parts = (Part("whisper", "openai/whisper-large-v3-turbo", 1_622_000_000, folder="", files=FILES),)


MODELS = (WhisperTurbo, WhisperBase)  # the better first


def transcribe(
    path: Path, model: str, language: str | None = None, step: Callable[[float, float], None] = lambda done, total: None
) -> dict[str, Any]:
    """{language, text, words: [[start, end, word]], model}: what is said in a recording or a film. `language`: "pt";
    None: Whisper guesses it from the first words. `step(seconds, of seconds)` may raise Cancelled, also in the middle
    of a piece. Raises MediaError, Refused("listening.no_model")."""
    from studio.media.probe import probe

    cls = next((one for one in MODELS if one.id == model), None)
    folder = Shelf.here().find(cls.parts[0]) if cls else None
    if folder is None:
        raise Refused("listening.no_model")
    total = probe(path).duration
    words: list[list[Any]] = []
    texts: list[str] = []
    for begins, samples in pieces(_mono(path)):
        heard = _Ear.of(str(folder)).hear(samples, language, partial(step, begins, total))
        language = language or heard["language"]
        texts.append(heard["text"])
        words += [[round(begins + start, 3), round(begins + end, 3), word] for start, end, word in heard["words"]]
        step(begins + len(samples) / RATE, total)
    between = "" if language == "zh" else " "
    return {"language": language or "", "text": between.join(filter(None, texts)), "words": words, "model": model}


# ------------------------------------------------------------------------------------------------ pieces
def _mono(path: Path) -> "Iterator[np.ndarray]":
    """The sound of a file in blocks, each (n,) float32 at RATE. Raises MediaError("media.no_sound")."""
    import av

    from studio.errors import MediaError
    from studio.media.probe import open_media

    with open_media(path) as source:
        if not source.streams.audio:
            raise MediaError("media.no_sound", name=path.name)
        resampler = av.AudioResampler("flt", "mono", RATE)
        for frame in source.decode(audio=0):
            frame.pts = None
            yield from (piece.to_ndarray()[0] for piece in resampler.resample(frame))
        yield from (piece.to_ndarray()[0] for piece in resampler.resample(None))


def pieces(blocks: "Iterable[np.ndarray]") -> "Iterator[tuple[float, np.ndarray]]":
    """(second at which it begins, (n,) float32 at RATE) of what sounds: at most LONGEST each, silent ones left out."""
    import numpy as np

    held, begins = np.zeros(0, np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > LONGEST * RATE:
            cut = _quietest(held)
            yield from _sounding(begins, held[:cut])
            held, begins = held[cut:], begins + cut
    yield from _sounding(begins, held)


def _sounding(begins: int, samples: "np.ndarray") -> "Iterator[tuple[float, np.ndarray]]":
    if len(samples) and abs(samples).max() > QUIET:
        yield begins / RATE, samples


def _quietest(samples: "np.ndarray") -> int:
    """Where to cut: the middle of the quietest WINDOW between SHORTEST and LONGEST."""
    import numpy as np

    first, window = round(SHORTEST * RATE), round(WINDOW * RATE)
    power = np.cumsum(np.square(samples[first : round(LONGEST * RATE)], dtype=np.float64))
    return first + window // 2 + int((power[window:] - power[:-window]).argmin())


# ------------------------------------------------------------------------------------------------ the model
class _Ear:
    """A Whisper that is loaded. The process holds one; it goes with the process, which does not outlive its work."""

    @staticmethod
    @lru_cache(maxsize=1)
    def of(folder: str) -> "_Ear":
        return _Ear(folder)

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import WhisperForConditionalGeneration, WhisperProcessor, pipeline

        self._model = WhisperForConditionalGeneration.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
        ).eval()  # eager: the times of words are read from its attention
        processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
        self._features = processor.feature_extractor
        self._listen = pipeline(
            "automatic-speech-recognition", model=self._model, tokenizer=processor.tokenizer,
            feature_extractor=self._features, device="cpu",
        )  # fmt: skip

    def hear(self, samples: "np.ndarray", language: str | None, alive: Callable[[], None]) -> dict[str, Any]:
        """{language, text, words} of at most half a minute. `alive` is asked at each token and may raise."""
        language = language or self._language(samples)
        wish = {"task": "transcribe", "language": language, "stopping_criteria": [_Asks(alive)]}
        told: Any = self._listen(
            {"raw": samples, "sampling_rate": RATE}, return_timestamps="word", generate_kwargs=wish
        )  # fmt: skip
        words, length = [], len(samples) / RATE  # what is heard in the padding after the end is no word
        for chunk in told["chunks"]:
            start, end = chunk["timestamp"]
            if (word := chunk["text"].strip()) and start is not None and start < length:
                words.append((start, min(max(start, end or start + LAST_WORD), length), word))
        return {"language": language, "text": told["text"].strip(), "words": words}

    def _language(self, samples: "np.ndarray") -> str:
        features = self._features(samples, sampling_rate=RATE, return_tensors="pt").input_features
        found = int(self._model.detect_language(features)[0])
        names = {number: name for name, number in self._model.generation_config.lang_to_id.items()}
        return str(names[found]).strip("<|>")


class _Asks:
    """Between two tokens: does anybody still want this? Raises what `alive` raises."""

    def __init__(self, alive: Callable[[], None]) -> None:
        self._alive = alive

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        import torch

        self._alive()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
