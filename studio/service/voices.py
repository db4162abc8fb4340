"""Voices: made from a recording or of an engine's own, heard, given to characters. Knows no engine by name.

A recording becomes a sample in two steps: `look` prepares and measures it (cut, denoised, judged), and is told what is
wrong with it; `create` keeps it under a name. A clone wants somebody's consent, which is written down with it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio.domain import Pronunciation, Speech, Voice, VoiceFields
from studio.errors import Conflict, NotFound, Refused
from studio.pipelines import ENGINES, engine_class
from studio.runner import Runner
from studio.service.field_errors import field_error
from studio.service.library import Library
from studio.service.scenes import Scenes
from studio.service.views import View
from studio.store import Store


class Voices:
    def __init__(self, store: Store, runner: Runner, library: Library, scenes: Scenes) -> None:
        self._store, self._runner, self._library, self._scenes = store, runner, library, scenes
        self.gone: list[Callable[[str], None]] = []  # told of voices that were deleted, by their ids

    # ------------------------------------------------------------------------------------------ reading
    def list(self) -> list[View]:
        """By name."""
        return [self._view(voice) for voice in self._store.voices.all()]

    def get(self, voice_id: str) -> View:
        return self._view(self._store.voices.get(voice_id))

    def _view(self, voice: Voice) -> View:
        seconds = self._store.takes.asset(voice.sample).duration if voice.sample else None
        return {
            "id": voice.id, "name": voice.name, "language": voice.language, "engine": voice.engine,
            "kind": "sample" if voice.sample else "preset" if voice.preset else "plain",
            "sample": {"sha256": voice.sample, "seconds": seconds} if voice.sample else None,
            "transcript": voice.transcript, "preset": voice.preset, "settings": voice.settings,
            "consent": dict(voice.consent) or None, "profile": dict(voice.profile) or None, "note": voice.note,
            "created": voice.created, "used_by": self._store.voices.used_by(voice.name),
        }  # fmt: skip

    def sample(self, voice_id: str) -> Path:
        """The prepared recording. Raises NotFound where it has none, or where it is gone."""
        voice = self._store.voices.get(voice_id)
        path = self._store.takes.asset(voice.sample).path if voice.sample else None
        if path is None or not path.is_file():
            raise NotFound("voice.sample_gone", name=voice.name)
        return path

    # ------------------------------------------------------------------------------------------ making
    def look(
        self, ref: str, *, start: float = 0.0, end: float | None = None, denoise: bool = False, trusted: bool = False
    ) -> View:
        """{sample: {sha256, seconds, name}, profile, checks: [{level, code, params}]}: seconds `start` to `end` of a
        recording or a video made ready as a sample, measured and judged. Raises Refused where nobody speaks in it."""
        path, name = self._library.sounding(ref, trusted=trusted)
        with self._library.incoming() as part:
            out = part.with_suffix(".wav")
            order = {
                "path": str(path), "name": name, "start": start, "end": end, "denoise": denoise, "out": str(out),
            }  # fmt: skip
            try:
                found = dict(self._runner.ask(self._runner.lanes.tools[0], "voice_sample", order))
                kept = self._library.add(out, f"{Path(name).stem}.wav")
            finally:
                out.unlink(missing_ok=True)
        sample = {"sha256": kept["sha256"], "seconds": kept["duration"], "name": kept["name"]}
        return {"sample": sample, "profile": found["profile"], "checks": found["checks"]}

    def create(self, values: Mapping[str, Any], *, consent: str = "") -> View:
        """`consent`: who says that the speaker agreed, as it is written down. Raises Refused("voice.consent") for a
        clone without it, Conflict("voice.exists")."""
        fields = _fields(values)
        return self.keep(fields, self._agreed(fields, consent, {}))

    def keep(self, fields: VoiceFields, consent: Mapping[str, Any]) -> View:
        """A voice whose consent was looked at already. Raises Conflict("voice.exists")."""
        profile = self._measured(fields)
        return self.get(self._store.voices.add(self._drafted(fields, profile), consent, profile))

    def change(self, voice_id: str, values: Mapping[str, Any], *, consent: str = "") -> View:
        """Some of its fields. Lines that it spoke are changed since."""
        before = self._store.voices.get(voice_id)
        kept = {name: getattr(before, name) for name in VoiceFields.model_fields}
        fields = _fields({**kept, "sample": before.sample or None, **values})
        same = (fields.sample or "") == before.sample
        agreed = self._agreed(fields, consent, before.consent if same else {})
        profile = before.profile if same else self._measured(fields)
        if not (same and before.language == fields.language and before.settings == fields.settings):
            fields = self._drafted(fields, profile)
        self._store.voices.change(voice_id, fields, agreed, profile)
        return self.get(voice_id)

    def delete(self, voice_id: str, *, force: bool = False) -> None:
        """Raises Conflict("voice.used") while characters speak with it, unless `force`."""
        voice = self._store.voices.get(voice_id)
        users = self._store.voices.used_by(voice.name)
        if users and not force:
            names = ", ".join(str(row["name"]) for row in users[:5])
            raise Conflict("voice.used", name=voice.name, count=len(users), characters=names)
        self._store.voices.delete(voice_id)
        for forget in self.gone:
            forget(voice_id)

    def _agreed(self, fields: VoiceFields, consent: str, before: Mapping[str, Any]) -> Mapping[str, Any]:
        check(fields)
        if not fields.sample:
            return {}
        self._store.takes.asset(fields.sample)
        if not (before or consent.strip()):
            raise Refused("voice.consent", name=fields.name)
        return before or {"by": consent.strip()[:200], "at": datetime.now(UTC).isoformat(timespec="seconds")}

    def _measured(self, fields: VoiceFields) -> Mapping[str, Any]:
        if not fields.sample:
            return {}
        path = str(self._store.takes.asset(fields.sample).path)
        return dict(self._runner.ask(self._runner.lanes.tools[0], "voice_profile", {"path": path})["profile"])

    def _drafted(self, fields: VoiceFields, profile: Mapping[str, Any]) -> VoiceFields:
        """With the draft voice whose pitch, pace and tone come near to the profile, where nobody chose one."""
        chosen = fields.settings.get("draft", {})
        if chosen and not chosen.get("matched"):
            return fields
        settings = {engine: knobs for engine, knobs in fields.settings.items() if engine != "draft"}
        if profile:
            order = {"profile": dict(profile), "language": fields.language or "en"}
            found = self._runner.ask(self._runner.lanes.tools[0], "voice_match", order)["settings"]
            settings |= {"draft": {**found, "matched": True}} if found else {}
        return fields.model_copy(update={"settings": settings})

    # ------------------------------------------------------------------------------------------ hearing
    def say(
        self, voice_id: str, text: str, *, engine: str = "", options: Mapping[str, Any] | None = None,
        language: str | None = None, direction: str = "",
    ) -> View:  # fmt: skip
        """A scene of speech in the Inbox that says this; it is heard while it is made (/scenes/{id}/sound)."""
        voice = self._store.voices.get(voice_id)
        wish = engine or voice.engine
        line = {"text": text, "voice": voice.name, "direction": direction, "language": language or voice.language}
        scene = {
            "task_type": "speech", "label": voice.name, "lines": [line], "engine": wish,
            "options": {wish: dict(options)} if options and wish != "auto" else {},
        }  # fmt: skip
        return self._scenes.generate(scene)

    # ------------------------------------------------------------------------------------------ characters, words
    def characters(self, project_id: str | None = None) -> Sequence[View]:
        return [dict(row) for row in self._store.voices.characters(project_id)]

    def give(self, voice_id: str, character_id: str) -> View:
        """The character speaks with this voice from now on."""
        voice = self._store.voices.get(voice_id)
        self._store.voices.change_character(character_id, {"voice": voice.name})
        return self.get(voice_id)

    def take_from(self, voice_id: str, character_id: str) -> View:
        """The character speaks with no voice of its own, where this one was its own."""
        self._store.voices.character(character_id)
        if any(row["id"] == character_id for row in self._store.voices.used_by(self._store.voices.get(voice_id).name)):
            self._store.voices.change_character(character_id, {"voice": ""})
        return self.get(voice_id)

    def pronunciations(self, project: str) -> View:
        row = self._store.projects.named(project)
        entries = self._store.voices.pronunciations(row["id"])
        return {"project": row["name"], "entries": [entry.model_dump() for entry in entries]}

    def pronounce(self, project: str, entries: Sequence[Pronunciation]) -> View:
        """How words are said in a project, in place of what was said of it before."""
        self._store.voices.pronounce(self._store.projects.named(project)["id"], entries)
        return self.pronunciations(project)


def check(fields: VoiceFields) -> None:
    """Raises Refused("engine.wrong_task") where its engine speaks no line."""
    if fields.engine not in ("auto", *ENGINES) or not _speaks(fields.engine):
        raise Refused("engine.wrong_task", field="engine", engine=fields.engine, task="speech")


def _fields(values: Mapping[str, Any]) -> VoiceFields:
    try:
        return VoiceFields.model_validate(dict(values))
    except ValidationError as error:
        raise field_error(error, str(values.get("name") or "")[:80]) from error


def _speaks(engine: str) -> bool:
    return engine == "auto" or Speech.model_fields["task_type"].default in engine_class(engine).tasks
