"""What every engine of speech does alike: a line sentence by sentence, what was spoken before from disk, one loudness.

A family writes `say`. Changing one word speaks one sentence anew: each is kept by all that it depends on. The first
reading of the same words by the same voice is always the same; who asks for another take gets the next reading.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.domain import JSON, Language
from studio.errors import EngineError, Refused
from studio.pipelines.base import Engine, Limits, Made, Run, Speaker, Speaks
from studio.pipelines.speech.kept import Kept, Times
from studio.pipelines.speech.sentences import Sentence, sentences_of

if TYPE_CHECKING:
    import numpy as np


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
    words: Times = ()  # (start, end, word), seconds from the piece's first sample


class SpeechEngine(Engine):
    """Subclass it, set `rate`, `speaks` and `limits.languages`, write `say`."""

    tasks: ClassVar[frozenset[str]] = frozenset({"speech"})
    limits: ClassVar[Limits] = Limits(languages=("en",))
    speaks: ClassVar[Speaks] = Speaks()
    rate: ClassVar[int] = 24_000  # Hz of what `say` gives

    class Options(Engine.Options):
        speed: float = Field(1.0, ge=0.5, le=2.0, description="times the voice's own pace; pitch stays")

    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        """Speak one sentence. Pieces are heard as they come, where somebody listens. Raises EngineError, Cancelled."""
        raise NotImplementedError

    def revision(self) -> str:
        """Of the weights or the service: other ones speak otherwise. What was kept of others is not heard again."""
        return ""

    def made_by(self) -> dict[str, JSON]:
        """How it is spoken, where the settings do not say it, for the take and its file: no times."""
        return {"revision": self.revision()} if self.revision() else {}

    # ------------------------------------------------------------------------------------------ a run
    def run(self, scene: Any, options: Any, run: Run) -> Made:
        line, speaker = scene.lines[0], run.inputs.speaker
        options = self.Options.model_validate({**speaker.settings, **options.model_dump(exclude_unset=True)})
        sentences = sentences_of(line.model_copy(update={"language": speaker.language or line.language}), speaker.said)
        if not sentences:
            raise Refused("speech.nothing_to_say", text=line.text[:80])
        kept, reading, spoken = Kept.here(), _Reading(self.rate), 0
        run.phase("steps")
        for done, (asked, pause) in enumerate(self._to_say(sentences, line.direction, speaker, scene.seed), start=1):
            key = {**self._identity(asked, options), "engine": self.id, "revision": self.revision()}
            found = kept.read(key)
            live = found is None and not self._stretches(options)  # heard while it is spoken
            sound = Sound(*found) if found else self._spoken(asked, options, run, live)
            if found is None:
                spoken += 1
                kept.write(key, sound.samples, sound.words, self.rate)
            sound = self._cut(sound, asked)
            sound = _paced(sound, options.speed) if self._stretches(options) else sound
            reading.add(sound, pause)
            run.sound(reading.since(live), self.rate)
            run.step(done, len(sentences))
        run.phase("save")
        run.describe(**self.made_by())
        path = run.save_audio(reading.levelled(), self.rate)
        facts: dict[str, JSON] = {
            "language": sentences[0].language, "sentences": len(sentences), "spoken": spoken, **reading.facts(),
        }  # fmt: skip
        return Made(path, facts)

    def _to_say(
        self, sentences: list[Sentence], direction: str, speaker: Speaker, seed: int | None
    ) -> Iterator[tuple[Words, float]]:
        """(what to say, seconds of silence after it). A sentence is read the same way wherever it stands, until another
        reading is asked for; said twice in one line, it is read in two ways."""
        before: Counter[str] = Counter()
        for sentence in sentences:
            told = [sentence.text, speaker.sound or speaker.voice, speaker.reading, seed, before[sentence.text]]
            before[sentence.text] += 1
            letters = hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).digest()
            how = ", ".join(filter(None, (direction.strip(), sentence.direction)))
            drawn = int.from_bytes(letters[:4], "little") >> 1
            yield Words(sentence.text, sentence.language, how, speaker, drawn), sentence.pause

    def _identity(self, asked: Words, options: Any) -> dict[str, JSON]:
        """All that a sentence depends on."""
        speaker = asked.speaker
        return {
            "text": asked.text, "language": asked.language, "direction": asked.direction,
            # not `print`: in it are words as they are said, which stand in the text already
            "voice": [speaker.sound or [speaker.voice, speaker.print], "" if speaker.voice else speaker.character],
            "options": {name: value for name, value in options.model_dump(mode="json").items()
                        if name != "speed" or self.speaks.speed},
            "seed": asked.seed,
        }  # fmt: skip

    def _stretches(self, options: Any) -> bool:
        """Is its pace made here, because the engine knows but one?"""
        return options.speed != 1.0 and not self.speaks.speed

    def _spoken(self, asked: Words, options: Any, run: Run, live: bool) -> Sound:
        """One sentence, spoken now. Raises EngineError where nothing can be heard."""
        import numpy as np

        pieces, words, at = [np.zeros(0, np.float32)], list[tuple[float, float, str]](), 0.0
        for sound in self.say(asked, options, run):
            samples = np.asarray(sound.samples, np.float32)
            pieces.append(samples)
            words += [(at + start, at + end, word) for start, end, word in sound.words]
            at += len(samples) / self.rate
            run.sound(samples if live else samples[:0], self.rate)  # without a listener it is a place to stop
        whole = Sound(np.concatenate(pieces), tuple(words))
        self._cut(whole, asked)  # what cannot be heard is not kept
        return whole

    def _cut(self, sound: Sound, asked: Words) -> Sound:
        """Without the silence at its ends."""
        import numpy as np

        from studio.media.spoken import audible

        heard = audible(sound.samples, self.rate) if np.isfinite(sound.samples).all() else None
        if heard is None:
            raise EngineError("speech.silent", engine=self.id, text=asked.text[:80])
        first, last = heard
        lead, end = first / self.rate, (last - first) / self.rate
        words = ((min(max(0.0, a - lead), end), min(max(0.0, b - lead), end), word) for a, b, word in sound.words)
        return Sound(sound.samples[first:last], tuple(words))


class _Reading:
    """A line as far as it is spoken."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._pieces: list[np.ndarray] = []
        self._words: list[tuple[float, float, str]] = []
        self._timed, self._at = True, 0.0  # seconds

    def add(self, sound: Sound, pause: float) -> None:
        import numpy as np

        self._timed = self._timed and bool(sound.words)
        self._words += [(self._at + start, self._at + end, word) for start, end, word in sound.words]
        self._pieces += [sound.samples, np.zeros(round(pause * self._rate), np.float32)]
        self._at += sum(map(len, self._pieces[-2:])) / self._rate

    def since(self, live: bool) -> "np.ndarray":
        """What the listener has not heard yet of what was added last."""
        import numpy as np

        return self._pieces[-1] if live else np.concatenate(self._pieces[-2:])

    def levelled(self) -> "np.ndarray":
        import numpy as np

        from studio.media.spoken import levelled

        return levelled(np.concatenate(self._pieces), self._rate)

    def facts(self) -> Mapping[str, JSON]:
        """Times of all words, where each sentence has them."""
        times: list[JSON] = [[round(start, 3), round(end, 3), word] for start, end, word in self._words]
        return {"words": times} if self._timed else {}


def _paced(sound: Sound, speed: float) -> Sound:
    """Faster or slower at the same pitch, with the times of its words. Pauses stay as long as they were asked for."""
    import librosa
    import numpy as np

    window = min(2048, len(sound.samples))
    stretched = np.asarray(librosa.effects.time_stretch(sound.samples, rate=speed, n_fft=window), np.float32)
    return replace(
        sound, samples=stretched, words=tuple((start / speed, end / speed, word) for start, end, word in sound.words)
    )
