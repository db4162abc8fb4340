"""Voices, how words are said in a project, and what was heard in a recording. Rows in, words of the domain out."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.domain import JSON, Pronunciation, Voice, VoiceFields, new_id, slug
from studio.errors import Conflict, NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now

JSONS = ("settings", "consent", "profile")


class Voices:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    # ------------------------------------------------------------------------------------------ voices
    def all(self) -> list[Voice]:
        """By name."""
        return [_voice(row) for row in self._c.rows("select * from voices order by key")]

    def get(self, voice_id: str) -> Voice:
        row = self._c.row("select * from voices where id = ?", [voice_id])
        if row is None:
            raise NotFound("voice.unknown", voice=voice_id[:40])
        return _voice(row)

    def add(self, fields: VoiceFields, consent: Mapping[str, JSON], profile: Mapping[str, JSON]) -> str:
        """Its id. Raises Conflict("voice.exists")."""
        voice_id = new_id()
        values = _columns(fields) | {"id": voice_id, "created": now()}
        values |= {"consent": json.dumps(consent), "profile": json.dumps(profile)}
        try:
            with self._c.write():
                self._c.insert("voices", values)
        except sqlite3.IntegrityError as error:
            raise Conflict("voice.exists", name=fields.name) from error
        return voice_id

    def change(
        self, voice_id: str, fields: VoiceFields, consent: Mapping[str, JSON], profile: Mapping[str, JSON]
    ) -> None:
        """Raises NotFound, Conflict("voice.exists"). Characters and lines that name it go on naming it."""
        before = self.get(voice_id)
        values = _columns(fields) | {"consent": json.dumps(consent), "profile": json.dumps(profile)}
        sets = ", ".join(f"{name} = :{name}" for name in values)
        try:
            with self._c.write():
                self._c.execute(f"update voices set {sets} where id = :id", {**values, "id": voice_id})  # noqa: S608
                if key_of(fields.name) != key_of(before.name):
                    self._rename(key_of(before.name), fields.name)
                self._tell(fields.name)
        except sqlite3.IntegrityError as error:
            raise Conflict("voice.exists", name=fields.name) from error

    def _rename(self, key: str, name: str) -> None:
        """However it is spelled where it is named."""
        for table in ("characters", "lines"):
            spelled = self._c.rows(f"select distinct voice from {table} where voice != ''")  # noqa: S608
            for row in spelled:
                if key_of(row["voice"]) == key:
                    self._c.execute(f"update {table} set voice = ? where voice = ?", [name, row["voice"]])  # noqa: S608

    def delete(self, voice_id: str) -> None:
        """Whoever named it goes on naming it, and is told that it is gone."""
        voice = self.get(voice_id)
        with self._c.write():
            self._c.execute("delete from voices where id = ?", [voice_id])
            self._tell(voice.name)

    def used_by(self, name: str) -> list[Row]:
        """{id, name, project} of the characters that speak with it."""
        rows = self._c.rows(
            "select c.id, c.name, c.voice, p.name as project from characters c join projects p on p.id = c.project_id"
            " where c.voice != '' order by p.name, c.name"
        )
        return [
            {key: row[key] for key in ("id", "name", "project")} for row in rows if key_of(row["voice"]) == key_of(name)
        ]

    def _tell(self, name: str) -> None:
        """Scenes whose lines it speaks may have changed."""
        rows = self._c.rows("select project_id, slug, voice from characters where voice != ''")
        cast = {(row["project_id"], row["slug"]): row["voice"] for row in rows}
        for row in self._c.rows(
            "select distinct s.id, s.queue_id, q.project_id, l.voice, l.character from lines l"
            " join scenes s on s.id = l.scene_id join queues q on q.id = s.queue_id"
        ):
            spoken = row["voice"] or cast.get((row["project_id"], slug(row["character"])), "")
            if spoken and key_of(spoken) == key_of(name):
                self._changes.scene(row["queue_id"], row["id"])

    # ------------------------------------------------------------------------------------------ characters
    def characters(self, project_id: str | None = None) -> list[Row]:
        """{id, slug, name, voice, look, portrait, project, project_id}, by project and name."""
        return self._c.rows(
            "select c.id, c.slug, c.name, c.voice, c.look, c.portrait, c.project_id, p.name as project"
            " from characters c join projects p on p.id = c.project_id"
            " where ? is null or c.project_id = ? order by p.name, c.name collate nocase",
            [project_id, project_id],
        )

    def character(self, character_id: str) -> Row:
        row = self._c.row("select * from characters where id = ?", [character_id])
        if row is None:
            raise NotFound("character.unknown", character=character_id[:40])
        return row

    def change_character(self, character_id: str, values: Mapping[str, Any]) -> None:
        """voice, look, portrait (asset:<sha256> or None). Every scene in which the character speaks is told."""
        row = self.character(character_id)
        with self._c.write():
            sets = ", ".join(f"{name} = :{name}" for name in values)
            self._c.execute(f"update characters set {sets} where id = :id", {**values, "id": character_id})  # noqa: S608
            for scene in self._c.rows(
                "select distinct s.id, s.queue_id, l.character from scenes s join lines l on l.scene_id = s.id"
                " join queues q on q.id = s.queue_id where q.project_id = ?",
                [row["project_id"]],
            ):
                if slug(scene["character"]) == row["slug"]:
                    self._changes.scene(scene["queue_id"], scene["id"])

    # ------------------------------------------------------------------------------------------ how words are said
    def pronunciations(self, project_id: str) -> list[Pronunciation]:
        rows = self._c.rows(
            "select word, said, language from pronunciations where project_id = ? order by position", [project_id]
        )
        return [Pronunciation(**row) for row in rows]

    def pronounce(self, project_id: str, entries: Sequence[Pronunciation]) -> None:
        """All of a project's, in place of those it had."""
        with self._c.write():
            self._c.execute("delete from pronunciations where project_id = ?", [project_id])
            for position, entry in enumerate(entries):
                self._c.insert("pronunciations", {**entry.model_dump(), "project_id": project_id, "position": position})
            for row in self._c.rows(
                "select s.id, s.queue_id from scenes s join queues q on q.id = s.queue_id"
                " where q.project_id = ? and exists (select 1 from lines l where l.scene_id = s.id)",
                [project_id],
            ):
                self._changes.scene(row["queue_id"], row["id"])

    # ------------------------------------------------------------------------------------------ what was heard
    def transcripts(self, subjects: Iterable[str]) -> dict[str, Row]:
        """By subject ("asset:<sha256>", "take:<id>"): language, text, words [[start, end, word]], missing, model."""
        rows = self._c.rows(
            "select * from transcripts where subject in (select value from json_each(?))", [json.dumps(list(subjects))]
        )
        return {row["subject"]: {**row, "words": json.loads(row["words"]), "missing": json.loads(row["missing"])}
                for row in rows}  # fmt: skip

    def unheard(self) -> list[str]:
        """Subjects that nobody has listened to: lines of real engines, the newest first, then recordings that speak
        for scenes without lines."""
        spoken = self._c.rows(
            "select 'take:' || t.id as subject from takes t where t.layer = 'voice' and not t.draft"
            " and t.trashed is null and not exists (select 1 from transcripts where subject = 'take:' || t.id)"
            " order by t.id desc"
        )
        recorded = self._c.rows(
            "select distinct r.value as subject from scenes s, json_each(json_array("
            " json_extract(s.body, '$.input_audio'), json_extract(s.body, '$.input_audio_2'))) r"
            " where s.task_type = 'talking_avatar' and r.value like 'asset:%'"
            " and not exists (select 1 from lines l where l.scene_id = s.id)"
            " and not exists (select 1 from transcripts where subject = r.value)"
        )
        return [str(row["subject"]) for row in (*spoken, *recorded)]

    def heard(self, subject: str, values: Mapping[str, Any]) -> None:
        """language, text, words, missing, model: in place of what was heard before."""
        row = {**values, "words": json.dumps(values["words"]), "missing": json.dumps(values.get("missing", []))}
        with self._c.write():
            self._c.execute("delete from transcripts where subject = ?", [subject])
            self._c.insert("transcripts", {**row, "subject": subject, "at": now()})
            for scene in self._c.rows(
                "select s.id, s.queue_id from takes t join scenes s on s.id = t.scene_id where 'take:' || t.id = ?",
                [subject],
            ):
                self._changes.scene(scene["queue_id"], scene["id"])


def key_of(name: str) -> str:
    """What two spellings of one name have in common."""
    return " ".join(name.split()).casefold()


def _columns(fields: VoiceFields) -> dict[str, Any]:
    values = fields.model_dump() | {"key": key_of(fields.name)}
    return values | {"settings": json.dumps(fields.settings)}


def _voice(row: Row) -> Voice:
    values = {name: row[name] for name in Voice.__slots__} | {name: json.loads(row[name]) for name in JSONS}
    return Voice(**values | {"sample": row["sample"] or ""})
