"""A voice as one file that travels: what is known of it, who agreed, and its sample. Knows no engine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.domain import VoiceFields, new_id
from studio.errors import Refused
from studio.runner import Runner
from studio.service.library import Library
from studio.service.views import View
from studio.service.voices import Voices, check
from studio.store import Store
from studio.store.voices import key_of

NAME, FOLDER = "voice.json", "samples/"
SHAPE = r"voice\.json|samples/[0-9a-f]{64}\.wav"
MAX_TEXT = 1_000_000  # bytes of voice.json
MAX_SAMPLE = 100_000_000  # bytes


class Consent(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)
    by: str = Field(min_length=1, max_length=200)
    at: str = Field("", max_length=40)


class Packed(BaseModel):
    """voice.json."""

    model_config = ConfigDict(extra="ignore")
    lanterna_voice: int = Field(ge=1, le=1)
    voice: VoiceFields
    consent: Consent | None = None
    samples: list[dict[str, Any]] = Field(default_factory=list, max_length=1)


class VoicePackages:
    def __init__(self, store: Store, runner: Runner, library: Library, voices: Voices, cache: Path) -> None:
        self._store, self._runner, self._library, self._voices = store, runner, library, voices
        self._cache = cache / "voices"
        voices.gone.append(self._forget)

    def pack(self, voice_id: str) -> Path:
        """A zip with everything that another studio needs, as the voice is now."""
        voice = self._store.voices.get(voice_id)
        fields = VoiceFields.model_validate(
            {name: getattr(voice, name) for name in VoiceFields.model_fields} | {"sample": voice.sample or None}
        )
        out = self._cache / f"{voice.id}.zip"
        files = []
        if voice.sample:
            files = [{"path": str(self._voices.sample(voice_id)), "suffix": ".wav", "places": [["samples", 0]],
                      "sha256": voice.sample}]  # fmt: skip
        content = {
            "lanterna_voice": 1, "voice": fields.model_dump(mode="json"), "consent": dict(voice.consent) or None,
            "samples": [{} for _ in files],
        }  # fmt: skip
        order = {"out": str(out), "owner": new_id(), "name": NAME, "content": content, "folder": FOLDER, "files": files}
        self._runner.ask(self._runner.lanes.tools[0], "pack", order)
        return out

    def unpack(self, path: Path) -> View:
        """The voice of such a file, kept under a name of its own. Raises Refused("voice.package") for anything else,
        Refused("voice.consent") for a sample with which nobody's consent came."""
        tools = self._runner.lanes.tools[0]
        look = {"path": str(path), "name": NAME, "most": MAX_TEXT, "shape": SHAPE}
        found = self._runner.ask(tools, "look_into", look)
        packed = _read(found["content"])
        fields, consent = packed.voice, packed.consent
        check(fields)
        if fields.sample:
            if consent is None:
                raise Refused("voice.consent", name=fields.name)
            self._bring(path, fields.sample, found["sizes"])
        fields = fields.model_copy(update={"name": self._free_name(fields.name)})
        agreed: dict[str, Any] = {}
        if fields.sample and consent:
            agreed = consent.model_dump() | {"brought": datetime.now(UTC).isoformat(timespec="seconds")}
        return self._voices.keep(fields, agreed)

    def _forget(self, voice_id: str) -> None:
        """What was packed of a voice that is gone holds its sample."""
        for path in self._cache.glob(f"{voice_id}*.zip"):
            path.unlink(missing_ok=True)

    def _bring(self, path: Path, sha256: str, sizes: Mapping[str, int]) -> None:
        """Its sample becomes an asset."""
        name = f"{FOLDER}{sha256}.wav"
        if not 0 < sizes.get(name, 0) <= MAX_SAMPLE:
            raise Refused("voice.package", reason=name)
        with self._library.incoming() as part:
            out = part.with_suffix(".wav")
            try:
                order = {"path": str(path), "members": [{"name": name, "out": str(out), "sha256": sha256}]}
                self._runner.ask(self._runner.lanes.tools[0], "unpack", order)
                self._library.add(out, "voice.wav")
            finally:
                out.unlink(missing_ok=True)

    def _free_name(self, name: str) -> str:
        taken = {key_of(voice.name) for voice in self._store.voices.all()}
        names = (name, *(f"{name[:110]} {number}" for number in range(2, 10_000)))
        return next(one for one in names if key_of(one) not in taken)


def _read(text: str) -> Packed:
    try:
        return Packed.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Refused("voice.package", reason=f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]) from error
