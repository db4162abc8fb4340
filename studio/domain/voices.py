"""A voice: who a character sounds like. What strangers say of one is checked here. Knows no engine and no file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from studio.domain.words import JSON, Language, one_line


class VoiceFields(BaseModel):
    """All that a user may say of a voice. A sample makes it a clone and wants consent; without one it is a voice that
    an engine brings along, by its `preset`, or the draft voice."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    name: str = Field(min_length=1, max_length=120)
    language: Language | None = Field(None, description="that it speaks; empty: read from each line")
    engine: str = Field("auto", max_length=60, pattern=r"^[a-z0-9_.\-]+$")
    sample: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="asset of the prepared recording")
    transcript: str = Field("", max_length=2000, description="what is said in the sample, word for word")
    preset: str = Field("", max_length=120, description="a voice of the engine's own, by its name there")
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict, description="knobs, keyed by engine id")
    note: str = Field("", max_length=1000)

    @field_validator("name", mode="before")
    @classmethod
    def _is_one_line(cls, name: Any) -> Any:
        return one_line(name, len(name)) if isinstance(name, str) else name


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as it is kept. Names are unique, whatever their case."""

    id: str
    name: str
    engine: str = "auto"
    language: Language | None = None
    sample: str = ""  # SHA-256 of an asset; empty: it is no clone
    transcript: str = ""
    preset: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    consent: Mapping[str, JSON] = field(default_factory=dict)  # {by, at, how}; empty: nobody agreed
    profile: Mapping[str, JSON] = field(default_factory=dict)  # as media.voices.profile_of measures it
    note: str = ""
    created: str = ""

    def print(self, engine: str) -> str:
        """A few letters of all that is heard of it where this engine speaks: two that differ sound differently, or it
        is another engine that should speak."""
        other = self.engine if self.engine not in ("auto", engine) else ""
        heard = [other, self.sample, self.transcript, self.preset, self.settings.get(engine, {})]
        return hashlib.sha256(json.dumps(heard, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


class Pronunciation(BaseModel):
    """How a word is said in a project: `Inês` as `ee-nesh`."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    word: str = Field(min_length=1, max_length=80)
    said: str = Field(min_length=1, max_length=160)
    language: Language | None = Field(None, description="of the lines it counts for; empty: all")
