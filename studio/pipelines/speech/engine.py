"""What every engine of speech does alike: a line sentence by sentence, what was spoken before from disk, one loudness.

A family writes `say`. Changing one word speaks one sentence anew: each is kept by all that it depends on. The first
reading of the same words by the same voice is always the same; who asks for another take gets the next reading.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.domain import JSON, Language, new_id
from studio.errors import EngineError, Refused
from studio.pipelines.base import Engine, Limits, Made, Run, Speaker, Speaks
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.speech.sentences import Sentence, sentences_of

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

BOUND = 1_000_000_000  # bytes of sentences that are kept: some six hours of speech


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence as an engine is asked to say it."""

    text: str
    language: Language
    direction: str  # how it is said, as the writer put it; may be empty
    speaker: Speaker
    seed: int


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of what was said: (N,) float32 mono in -1..1 at the engine's rate."""

    samples: "np.ndarray"
    words: tuple[tuple[float, float, str], ...] = ()  # (start, end, word), seconds from the sentence's first sample


class SpeechEngine(Engine):
    """Subclass it, set `rate`, `speaks` and `limits.languages`, write `say`."""

    tasks: ClassVar[frozenset[str]] = frozenset({"speech"})
    limits: ClassVar[Limits] = Limits(languages=("en",))
    speaks: ClassVar[Speaks] = Speaks()
    rate: ClassVar[int] = 24_000  # Hz of what `say` gives

    class Options(Engine.Options):
        speed: float = Field(1.0, ge=0.5, le=2.0, description="times the voice's own pace; pitch stays")

    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        """Speak one sentence. Pieces are heard as they come, where somebody listens. Raises EngineError."""
        raise NotImplementedError

    def revision(self) -> str:
        """Of the weights or the service: other ones speak otherwise. What was kept of others is not heard again."""
        return ""

    def made_by(self) -> dict[str, JSON]:
        """How it is spoken, where the settings do not say it, for the take and its file: no times."""
        return {"revision": self.revision()} if self.revision() else {}

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        import numpy as np

        from studio.media.spoken import audible, levelled

        line, speaker = scene.lines[0], run.inputs.speaker
        options = self.Options.model_validate({**speaker.settings, **options.model_dump(exclude_unset=True)})
        sentences = sentences_of(line, speaker.said)
        if not sentences:
            raise Refused("speech.nothing_to_say", text=line.text[:80])
        kept = Kept.here()
        pieces: list[np.ndarray] = []
        words: list[tuple[float, float, str]] = []
        timed, spoken, at = True, 0, 0.0
        run.phase("steps")
        for number, sentence in enumerate(sentences):
            asked = Words(
                sentence.text, sentence.language, line.direction, speaker, self._seed(sentence, speaker, scene)
            )
            key = {**self._identity(asked, options), "engine": self.id, "revision": self.revision()}
            found = kept.read(key)
            if found is None:
                found = self._said(asked, options, run)
                kept.write(key, found, self.rate)
                spoken += 1
            else:
                run.sound(found.samples, self.rate)
            heard = audible(found.samples, self.rate)
            if heard is None:
                raise EngineError("speech.silent", engine=self.id, text=sentence.text[:80])
            first, last = heard
            samples = found.samples[first:last]
            timed = timed and bool(found.words)
            words += [(at + max(0.0, start - first / self.rate), at + max(0.0, end - first / self.rate), word)
                      for start, end, word in found.words]  # fmt: skip
            silence = np.zeros(round(sentence.pause * self.rate), np.float32)
            pieces += [samples, silence]
            at += (len(samples) + len(silence)) / self.rate
            run.step(number + 1, len(sentences))
        run.phase("save")
        whole = np.concatenate(pieces)
        if options.speed != 1.0 and not self.speaks.speed:
            whole, words = _paced(whole, words, options.speed)
        run.describe(**self.made_by())
        path = run.save_audio(levelled(whole, self.rate), self.rate)
        facts: dict[str, JSON] = {
            "language": sentences[0].language, "sentences": len(sentences), "spoken": spoken,
            **({"words": [[round(start, 3), round(end, 3), word] for start, end, word in words]} if timed else {}),
        }  # fmt: skip
        return Made(path, facts)

    def _said(self, asked: Words, options: Any, run: Run) -> Sound:
        """One sentence, spoken now."""
        import numpy as np

        pieces, words, at = [np.zeros(0, np.float32)], list[tuple[float, float, str]](), 0.0
        for sound in self.say(asked, options, run):
            run.sound(sound.samples, self.rate)
            pieces.append(np.asarray(sound.samples, np.float32))
            words += [(at + start, at + end, word) for start, end, word in sound.words]
            at += len(sound.samples) / self.rate
        return Sound(np.concatenate(pieces), tuple(words))

    def _identity(self, asked: Words, options: Any) -> dict[str, JSON]:
        """All that a sentence depends on."""
        speaker = asked.speaker
        return {
            "text": asked.text, "language": asked.language, "direction": asked.direction,
            "voice": [speaker.voice, speaker.print, "" if speaker.voice else speaker.character],
            "options": {name: value for name, value in options.model_dump(mode="json").items()
                        if name != "speed" or self.speaks.speed},
            "seed": asked.seed,
        }  # fmt: skip

    @staticmethod
    def _seed(sentence: Sentence, speaker: Speaker, scene: Any) -> int:
        """The same sentence is read the same way wherever it stands, until another reading is asked for."""
        told = json.dumps([sentence.text, speaker.voice, speaker.reading, scene.seed], ensure_ascii=False)
        return int.from_bytes(hashlib.sha256(told.encode()).digest()[:4], "little") >> 1


def _paced(
    samples: "np.ndarray", words: list[tuple[float, float, str]], speed: float
) -> "tuple[np.ndarray, list[tuple[float, float, str]]]":
    """Faster or slower at the same pitch, with the times of its words."""
    import librosa
    import numpy as np

    stretched = np.asarray(librosa.effects.time_stretch(samples, rate=speed), np.float32)
    return stretched, [(start / speed, end / speed, word) for start, end, word in words]


# ------------------------------------------------------------------------------------------------ spoken before
class Kept:
    """Sentences below one folder, the oldest of which go when there are too many. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, bound: int = BOUND) -> None:
        self._folder, self._bound = folder, bound

    @classmethod
    def here(cls) -> "Kept":
        """By the environment, the same for every worker."""
        cache = os.environ.get(CACHE)
        return cls(Path(cache) / "speech" if cache else None)

    def read(self, key: Mapping[str, JSON]) -> Sound | None:
        if self._folder is None:
            return None
        import soundfile

        path = self._folder / f"{_letters(key)}.wav"
        try:
            samples, _ = soundfile.read(path, dtype="float32")
            words = json.loads(path.with_suffix(".json").read_text("utf-8"))
            os.utime(path)
        except (OSError, ValueError, soundfile.LibsndfileError):
            return None
        return Sound(samples, tuple((start, end, word) for start, end, word in words))

    def write(self, key: Mapping[str, JSON], sound: Sound, rate: int) -> None:
        """A full disk is no reason to fail: the line itself is saved elsewhere."""
        if self._folder is None:
            return
        import soundfile

        path = self._folder / f"{_letters(key)}.wav"
        part = self._folder / f"{path.stem}.{new_id()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".json").write_text(json.dumps(sound.words, ensure_ascii=False), "utf-8")
            soundfile.write(part, sound.samples, rate, subtype="FLOAT", format="WAV")
            os.replace(part, path)
            self._prune()
        except (OSError, soundfile.LibsndfileError) as error:
            log.warning("a sentence is not kept: %s", error)
            with suppress(OSError):
                part.unlink()

    def _prune(self) -> None:
        assert self._folder is not None
        files = sorted(self._sizes(), key=lambda one: one[0])
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self._bound:
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
            total -= size

    def _sizes(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._folder.glob("*.wav") if self._folder else ():
            with suppress(OSError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path


def _letters(key: Mapping[str, JSON]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
