"""The manifest of a package: an episode with its takes, marks and cast, in words that another studio can read.

A package is a zip with `lanterna.json`, which is this, and `media/<sha256><suffix>`. `read` gives a Manifest or says
what is wrong; `renewed` gives everything new ids where a studio has the old ones. Knows no zip, no disk and no store.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from studio import naming
from studio.domain import MAX_INT, Kind, Layer, Policy
from studio.errors import Refused, TooLarge, Unavailable
from studio.story.episode import MAX_SCENES, plain, problems_of

FORMAT = "lanterna package"
VERSION = 1
MANIFEST = "lanterna.json"
MAX_BYTES = 200_000_000  # of a manifest: 10,000 scenes with a dozen takes each
MAX_TAKES = 200_000
MEMBER = re.compile(r"media/([0-9a-f]{64})(\.[a-z0-9]{1,5})?")
TAKE_SUFFIXES = {"video": (".mp4",), "image": (".png",), "audio": (".wav",)}  # what the Writer makes
TakesWanted = Literal["all", "selected", "none"]

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,180}")

Id = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Side = Annotated[int, Field(ge=0, le=16_384)]
Number = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Code = Annotated[str, Field(max_length=120, pattern=r"^[a-z0-9_.]+$")]


def _flat(value: Any) -> Any:
    """Free JSON inside an entry: nothing deeper than the house can store."""
    try:
        return plain(value)
    except RecursionError as error:
        raise PydanticCustomError("too_deep", "is nested too deeply") from error


Free = Annotated[dict[str, Any], BeforeValidator(_flat)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PackedQueue(_Entry):
    """What the episode file does not say about a queue."""

    id: Id
    code: str = Field(pattern=r"^(EP\d{3,9}|INBOX)$")
    project: str = Field(min_length=1, max_length=200)
    policy: Policy = Policy()
    priority: int = Field(0, ge=-9, le=9)


class PackedCharacter(_Entry):
    name: str = Field(min_length=1, max_length=120)
    voice: str = Field("", max_length=120)
    look: str = Field("", max_length=10_000)
    portrait: str = Field("", max_length=4096)


class PackedScene(_Entry):
    """What the episode file does not say about a scene; they stand in its order."""

    id: Id
    state: Literal["draft", "done", "failed", "cancelled"] = "draft"
    error: "PackedError | None" = None
    note: Code | None = None
    retake: str | None = Field(None, max_length=2000)
    retake_at: Id | None = None  # takes with a greater id are the answer


class PackedError(_Entry):
    code: Code
    params: Free = Field(default_factory=dict)


class PackedTake(_Entry):
    id: Id
    scene: Id
    line: Id | None = None
    layer: Layer
    number: int = Field(ge=1, le=1_000_000)
    kind: Kind
    engine: str = Field(max_length=60, pattern=r"^[a-z0-9_.\-]+$")
    profile: str = Field(max_length=60)
    seed: Count
    width: Side
    height: Side
    fps: Number
    num_frames: Count
    duration: Number  # seconds
    bytes: Count
    facts: Free
    settings: Free
    created: AwareDatetime
    draft: bool = False
    selected: bool = False
    chosen: bool = False
    locked: bool = False
    private: bool = False
    rating: int = Field(0, ge=0, le=5)
    note: str | None = Field(None, max_length=2000)
    degraded_reason: str | None = Field(None, max_length=4000)
    sha256: Sha
    file: str = Field(max_length=180)  # its name in the queue's folder

    @property
    def suffix(self) -> str:
        return "." + self.file.rpartition(".")[2].lower()

    @property
    def member(self) -> str:
        return member_name(self.sha256, self.suffix)

    @property
    def made(self) -> str:
        """`created` as the store writes it."""
        return stamp(self.created)

    @model_validator(mode="after")
    def _named_as_we_name_files(self) -> "PackedTake":
        bad = self.file.startswith(".") or naming.safe(self.file) != self.file  # too long in bytes, a device of Windows
        if bad or not _NAME.fullmatch(self.file) or self.suffix not in TAKE_SUFFIXES[self.kind]:
            raise PydanticCustomError("file_name", "is no name for the file of a take")
        return self


class PackedAsset(_Entry):
    sha256: Sha
    kind: Kind
    name: str = Field(max_length=200)
    bytes: Count
    suffix: str = Field("", pattern=r"^(\.[a-z0-9]{1,5})?$")

    @property
    def member(self) -> str:
        return member_name(self.sha256, self.suffix)


class Manifest(_Entry):
    format: Literal["lanterna package"]
    version: Literal[1]
    studio: str = Field(max_length=40)  # which version of Lanterna wrote it
    created: AwareDatetime
    takes_wanted: TakesWanted = "all"
    queue: PackedQueue
    episode: Free  # the episode file, with the ids of its lines
    cast: list[PackedCharacter] = Field(default_factory=list, max_length=1000)
    scenes: list[PackedScene] = Field(max_length=MAX_SCENES)
    takes: list[PackedTake] = Field(default_factory=list, max_length=MAX_TAKES)
    assets: list[PackedAsset] = Field(default_factory=list, max_length=MAX_TAKES)

    def ids(self) -> Iterator[str]:
        """Every id that it brings, each once."""
        yield self.queue.id
        yield from (scene.id for scene in self.scenes)
        yield from (scene.retake_at for scene in self.scenes if scene.retake_at)
        yield from (line["id"] for line in self.lines() if line.get("id"))
        yield from (take.id for take in self.takes)

    def lines(self) -> Iterator[dict[str, Any]]:
        for scene in self.episode.get("scenes", ()):
            yield from scene.get("lines", ())

    def members(self) -> dict[str, tuple[str, int]]:
        """Every file it speaks of: member -> (sha256, bytes)."""
        takes = {take.member: (take.sha256, take.bytes) for take in self.takes}
        return takes | {asset.member: (asset.sha256, asset.bytes) for asset in self.assets}


def member_name(sha256: str, suffix: str) -> str:
    return f"media/{sha256}{suffix}"


def stamp(at: datetime) -> str:
    """ISO 8601, UTC, milliseconds, as every row of the store has it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ------------------------------------------------------------------------------------------------ reading
def read(text: bytes | str) -> Manifest:
    """Raises TooLarge, Unavailable("package.newer"), Refused("package.manifest") naming the field."""
    if len(text) > MAX_BYTES:
        raise TooLarge("package.manifest_too_large", size=len(text), most=MAX_BYTES)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused("package.no_manifest", reason=str(error)[:200]) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Refused("package.no_manifest", reason=f"format: {str(content)[:40]}")
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise Unavailable("package.newer", version=version, known=VERSION, studio=str(content.get("studio"))[:40])
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = problems_of(error)[0]
        raise Refused(
            "package.manifest", field=first.field, why={"code": first.code, "params": first.params}
        ) from error
    _check_whole(manifest)
    return manifest


def _check_whole(manifest: Manifest) -> None:
    """What no field says alone: ids once, takes of scenes and lines that are there, one file under one name."""
    written = manifest.episode.get("scenes")
    if not isinstance(written, list) or not all(isinstance(scene, dict) for scene in written):
        raise _broken("episode.scenes")
    if len(written) != len(manifest.scenes):
        raise _broken("scenes")
    for scene in written:
        if not all(isinstance(line, dict) for line in scene.get("lines") or ()):
            raise _broken("episode.scenes.lines")
    ids = list(manifest.ids())
    if not all(isinstance(one, str) and _ULID.fullmatch(one) for one in ids) or len(ids) != len(set(ids)):
        raise _broken("id")
    _check_takes(manifest, written)


def _check_takes(manifest: Manifest, written: list[dict[str, Any]]) -> None:
    lines = {
        (scene.id, line.get("id"))
        for scene, values in zip(manifest.scenes, written, strict=True)
        for line in values.get("lines") or ()
    }
    scenes, shown, names = {scene.id for scene in manifest.scenes}, set(), set()
    for index, take in enumerate(manifest.takes):
        here = (take.scene, take.line) in lines if take.layer == "voice" else take.line is None
        if take.scene not in scenes or not here:
            raise _broken(f"takes.{index}.line" if take.scene in scenes else f"takes.{index}.scene")
        place = (take.scene, take.layer, take.line)
        if take.selected and place in shown:
            raise _broken(f"takes.{index}.selected")
        if take.file.lower() in names:
            raise _broken(f"takes.{index}.file")
        names.add(take.file.lower())
        if take.selected:
            shown.add(place)


def _broken(field: str) -> Refused:
    return Refused("package.manifest", field=field, why={"code": "field.invalid", "params": {"reason": "…"}})


# ------------------------------------------------------------------------------------------------ new ids
def renewed(
    manifest: Manifest, newest: str, taken: Callable[[Iterable[str]], bool], mint: Callable[[], str]
) -> Manifest:
    """The same with ids of its own where one of its ids is taken here, or lies in the future of `newest`.

    All or none: "the newest take" is the one with the greatest id, so their order must stay."""
    ids = list(manifest.ids())
    if not taken(ids) and max(ids) < newest:
        return manifest
    fresh = {old: mint() for old in sorted(ids)}
    content = _replaced(manifest.model_dump(mode="json"), fresh)
    return Manifest.model_validate(content)


def _replaced(value: Any, fresh: dict[str, str]) -> Any:
    """Ids alone and in `scene:<id>#last`, wherever they stand; prose that contains one stays prose."""
    if isinstance(value, str):
        kind, colon, rest = value.partition(":")
        if kind == "scene" and colon:
            scene, mark, part = rest.partition("#")
            return f"scene:{fresh.get(scene, scene)}{mark}{part}"
        return fresh.get(value, value)
    if isinstance(value, list):
        return [_replaced(item, fresh) for item in value]
    if isinstance(value, dict):
        return {fresh.get(name, name): _replaced(item, fresh) for name, item in value.items()}
    return value
