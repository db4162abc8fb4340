"""Who says a line in a project, its own voice or its character's, and how words are said. Read once, asked often."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.domain import Language, Line, Pronunciation, Voice, slug
from studio.pipelines.speech.sentences import language_of, pronounced
from studio.store.database import Row
from studio.store.queues import Queues
from studio.store.voices import Voices, key_of


@dataclass(frozen=True, slots=True)
class Speakers:
    """Of one project."""

    cast: Mapping[str, Row]  # by slug
    voices: Mapping[str, Voice]  # by key
    pronunciations: Sequence[Pronunciation]

    def name(self, line: Line) -> str:
        """The voice that speaks a line: its own, or its character's; empty: the engine's default for that name."""
        if line.voice or not line.character:
            return line.voice
        character = self.cast.get(slug(line.character))
        return str(character["voice"]) if character else ""

    def voice(self, line: Line) -> Voice | None:
        """What was made under that name; None: nothing was."""
        name = self.name(line)
        return self.voices.get(key_of(name)) if name else None

    def said(self, line: Line, language: str) -> tuple[tuple[str, str], ...]:
        """(word, how it is said) of the words that are in the line, the longest first."""
        found = {
            entry.word: entry.said
            for entry in self.pronunciations
            if entry.language in (None, language) and pronounced(line.text, [(entry.word, "")]) != line.text
        }
        return tuple(sorted(found.items(), key=lambda pair: -len(pair[0])))

    def print(self, line: Line, engine: str) -> str:
        """Letters of how it sounds by an engine beside its text: another voice, or words said otherwise. Empty: as it
        is written."""
        voice = self.voice(line)
        if voice is None and not self.pronunciations:  # asked of every line there is: no language is looked for
            return ""
        language = self.language(line)
        said = self.said(line, language)
        if voice is None and not said:
            return ""
        other = language if language != language_of(line) else ""
        heard = json.dumps([self.sound(line, engine), voice.print(engine) if voice else "", said, other])
        return hashlib.sha256(heard.encode()).hexdigest()[:16]

    def sound(self, line: Line, engine: str) -> str:
        """Letters of the voice alone. A voice that is made of something may be called otherwise; any other is its
        name."""
        voice = self.voice(line)
        return voice.print(engine) if voice and (voice.sample or voice.preset) else self.name(line)

    def language(self, line: Line) -> Language:
        """That the line is spoken in: its own, what its words tell, or its voice's."""
        voice = self.voice(line)
        return language_of(line, voice.language if voice else None)


def speakers_of(voices: Voices, queues: Queues, project_id: str) -> Speakers:
    """Three queries, however many lines are asked for."""
    made = {key_of(voice.name): voice for voice in voices.all()}
    return Speakers(queues.cast(project_id), made, voices.pronunciations(project_id))
