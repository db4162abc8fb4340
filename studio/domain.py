"""The words every other module speaks: scenes, lines, jobs, takes, frames. Knows no file format, SQL, engine or screen.

One pydantic class per task gives validation, the REST schema, the import check, the command-line options and the form
on screen. What strangers send is pydantic; facts inside the house are frozen dataclasses.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ulid import ULID

JSON = Any  # whatever json.loads may return

TaskType = Literal[
    "text_to_video",
    "image_to_video",
    "reference_to_video",
    "single_shot_extension",
    "shot_switching_extension",
    "talking_avatar",
    "text_to_image",
    "speech",
]
Lane = Literal["gpu", "cpu", "net"]
Layer = Literal["picture", "voice"]
Kind = Literal["video", "image", "audio"]
Resolution = Literal["480P", "540P", "720P"]
Aspect = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]
ProfileName = Literal["auto", "smallest", "resident", "swap", "hybrid", "stream8", "tight", "disk", "cpu"]
Language = Literal["en", "pt", "zh"]
Transition = Literal["cut", "dissolve", "fade", "dip"]  # fade: through black, dip: through white

SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {  # (width, height) in pixels, all multiples of 16
    "480P": {"16:9": (848, 480), "9:16": (480, 848), "1:1": (640, 640), "4:3": (720, 544), "3:4": (544, 720)},
    "540P": {"16:9": (960, 544), "9:16": (544, 960), "1:1": (720, 720), "4:3": (832, 624), "3:4": (624, 832)},
    "720P": {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1104, 832), "3:4": (832, 1104)},
}
CUT_PREFIXES = ("[ZOOM_IN_CUT]", "[ZOOM_OUT_CUT]", "[STATIC_CUT]", "[PAN_LEFT_CUT]", "[PAN_RIGHT_CUT]")
MAX_INT = 2**63 - 1  # what SQLite can hold
AVATAR_AUDIO_SECONDS = (0.4, 200.0)
RECORDINGS = ("input_audio", "input_audio_2")  # of a talking_avatar, by speaker

# Air around speech made from lines, in seconds: 0.7 in all, so that a mouth never starts or stops on a cut.
AIR_BEFORE, AIR_AFTER, AIR_BETWEEN = 0.25, 0.45, 0.3


class State(StrEnum):
    """Of a scene and of a job."""

    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    IN_DOUBT = "in_doubt"


_newest = ULID()
_minting = Lock()  # protects _newest


def new_id() -> str:
    """A ULID: 26 characters, unique over all tables, and greater than every one before it."""
    global _newest
    with _minting:
        _newest = max(ULID(), ULID.from_bytes((int.from_bytes(_newest.bytes, "big") + 1).to_bytes(16, "big")))
        return str(_newest)


def ids_after(newest: str) -> None:
    """From now on every id is greater than this one: the clock may have been set back since it was made."""
    global _newest
    with _minting:
        _newest = max(_newest, ULID.from_str(newest))


def slug(name: str) -> str:
    """Lower-case ASCII words joined by '-'; letters that have no ASCII form (Chinese) are kept."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^\w]+", "-", plain.lower()).strip("-_")[:60].strip("-_")


def one_line(text: str, most: int = 200) -> str:
    """Text as a name: one line without control characters, half emoji, or marks that turn the writing round."""
    plain = text.encode("utf-8", "replace").decode()
    return " ".join(_UNSEEN.sub(" ", plain).split())[:most].strip()


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


# ------------------------------------------------------------------------------------------------ references
Ref = Annotated[str, Field(min_length=1, max_length=4096)]
"""asset:<sha256> | scene:<id>[#first|#last]; at the door also an http(s) URL, a path, {{prev}} or {{job:N}}."""


def _ref(kind: Kind, default: Any = ..., **more: Any) -> Any:
    return Field(default, json_schema_extra={"ref": kind}, **more)


def _of_cut(default: Any = ..., **more: Any) -> Any:
    """A field that only the cut reads: changing it needs no new take. The timeline shows it, no form does."""
    return Field(default, json_schema_extra={"group": "cut"}, **more)


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Input:
    """One thing a scene reads: the field it stands in, what kind is wanted there, and the reference."""

    field: str  # "ref_imgs.0"
    kind: Kind
    ref: str


# ------------------------------------------------------------------------------------------------ lines and scenes
class Line(BaseModel):
    """Who says what. Speech sets the duration before the picture is rendered, never the other way round."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    id: str = Field("", max_length=26, description="given by the studio; send it back to keep the line's takes")
    character: str = Field("", max_length=120)
    text: str = Field(min_length=1, max_length=2000)
    voice: str = Field("", max_length=120, description="a voice's name; empty: the character's own")
    direction: str = Field("", max_length=300, description="how it is said")
    language: Language | None = Field(None, description="empty: read from the text")


class Effect(BaseModel):
    """A sound laid under one scene: a door, a gull, a siren."""

    model_config = ConfigDict(extra="forbid")
    ref: Ref = _ref("audio")
    at: float = Field(0.0, ge=0, le=600, allow_inf_nan=False, description="seconds from the scene's first frame")
    level: float = Field(-24.0, ge=-60, le=0, allow_inf_nan=False, description="LUFS")


class SceneBase(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    label: str = Field("", max_length=200)
    prompt: str = Field("", max_length=10_000, json_schema_extra={"widget": "prompt"})
    negative_prompt: str = Field("", max_length=10_000, json_schema_extra={"group": "more"})
    resolution: Resolution = "720P"
    aspect: Aspect = "16:9"
    seed: int | None = Field(None, ge=0, le=MAX_INT, description="empty: a new one for each take")
    lines: list[Line] = Field(default_factory=list, max_length=100)
    engine: str = Field("auto", max_length=60, pattern=r"^[a-z0-9_.\-]+$")
    profile: ProfileName = Field("auto", json_schema_extra={"group": "more"})
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="knobs, keyed by engine id")
    in_cut: bool = Field(True, json_schema_extra={"group": "more"})
    transition: Transition = Field("cut", description="into the next scene", json_schema_extra={"group": "more"})
    trim_start: float = _of_cut(0.0, ge=0, le=600, description="seconds of the take's beginning that are not shown")
    trim_end: float = _of_cut(0.0, ge=0, le=600, description="seconds of its end that are not shown")
    effects: list[Effect] = _of_cut(default_factory=list, max_length=20)
    focus: tuple[Share, Share] | None = _of_cut(None, description="x, y in 0..1 that a narrower film keeps in sight")

    kind: ClassVar[Kind] = "video"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of this scene's resolution and aspect."""
        return SIZES[self.resolution][self.aspect]

    def inputs(self) -> Iterator[Input]:
        """Everything this scene reads, in the order of its fields."""
        for name, info in type(self).model_fields.items():
            extra = info.json_schema_extra
            if not isinstance(extra, dict) or "ref" not in extra:
                continue
            value, kind = getattr(self, name), extra["ref"]
            if isinstance(value, list):
                yield from (Input(f"{name}.{i}", kind, ref) for i, ref in enumerate(value))  # type: ignore[arg-type]
            elif value is not None:
                yield Input(name, kind, value)  # type: ignore[arg-type]

    def sounds(self) -> Iterator[Input]:
        """What only the cut reads of this scene: its effects. A take does not depend on them."""
        yield from (Input(f"effects.{i}.ref", "audio", effect.ref) for i, effect in enumerate(self.effects))

    def with_inputs(self, refs: Mapping[str, str]) -> "SceneBase":
        """A copy in which the named inputs ("ref_imgs.0", "effects.1.ref") point elsewhere. Raises ValidationError."""
        values = self.model_dump()
        for name, ref in refs.items():
            *parents, last = [int(part) if part.isdigit() else part for part in name.split(".")]
            holder: Any = values
            for part in parents:
                holder = holder[part]
            holder[last] = ref
        return type(self).model_validate(values)


Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False, description="seconds")]


class TextToVideo(SceneBase):
    task_type: Literal["text_to_video"] = "text_to_video"
    prompt: str = Field(min_length=1, max_length=10_000, json_schema_extra={"widget": "prompt"})
    duration: Seconds = 5.0


class ImageToVideo(SceneBase):
    task_type: Literal["image_to_video"] = "image_to_video"
    input_image: Ref = _ref("image")
    end_image: Ref | None = _ref("image", None)
    duration: Seconds = 5.0


class ReferenceToVideo(SceneBase):
    task_type: Literal["reference_to_video"] = "reference_to_video"
    ref_imgs: list[Ref] = _ref("image", min_length=1, max_length=4)
    duration: Seconds = 5.0


class SingleShotExtension(SceneBase):
    """The new part only; `options` of an engine may ask for it joined with the input."""

    task_type: Literal["single_shot_extension"] = "single_shot_extension"
    input_video: Ref = _ref("video")
    duration: Seconds = 5.0


class ShotSwitchingExtension(SceneBase):
    """A new shot after a cut; the prompt begins with one of CUT_PREFIXES."""

    task_type: Literal["shot_switching_extension"] = "shot_switching_extension"
    input_video: Ref = _ref("video")
    duration: Seconds = 5.0

    @field_validator("prompt")
    @classmethod
    def _begins_with_a_cut(cls, prompt: str) -> str:
        if not prompt.startswith(CUT_PREFIXES):
            known = ", ".join(CUT_PREFIXES)
            raise PydanticCustomError("cut_prefix", "must begin with one of {known}", {"known": known})
        return prompt


Box = tuple[Share, Share, Share, Share]
"""left, top, right, bottom in shares of a picture."""


class TalkingAvatar(SceneBase):
    """A portrait, or people in a video, who speak the scene's lines, or recordings of the user's: then it lasts exactly
    as long as those."""

    task_type: Literal["talking_avatar"] = "talking_avatar"
    resolution: Literal["480P", "720P"] = "720P"
    input_video: Ref | None = _ref("video", None, description="people to make speak, in place of a portrait")
    input_image: Ref | None = _ref("image", None, validate_default=True)
    input_audio: Ref | None = _ref("audio", None)
    input_audio_2: Ref | None = _ref("audio", None, description="what the second person says")
    audio_order: Literal["together", "in_turn"] = Field("together", description="of two recordings")
    speaker_boxes: list[Box] = Field(
        default_factory=list, max_length=2, description="where the first and the second person are; empty: left, right"
    )
    duration: Seconds | None = Field(None, description="seconds; empty: as long as the speech")

    @field_validator("input_image")
    @classmethod
    def _somebody_is_there(cls, image: str | None, info: ValidationInfo) -> str | None:
        if image is None and info.data.get("input_video") is None:
            raise PydanticCustomError("missing", "Field required")
        return image

    @field_validator("speaker_boxes")
    @classmethod
    def _boxes_have_an_inside(cls, boxes: list[Box]) -> list[Box]:
        for left, top, right, bottom in boxes:
            if left >= right or top >= bottom:
                raise PydanticCustomError("box", "left and top must be less than right and bottom")
        return boxes


class TextToImage(SceneBase):
    task_type: Literal["text_to_image"] = "text_to_image"
    prompt: str = Field(min_length=1, max_length=10_000, json_schema_extra={"widget": "prompt"})
    in_cut: bool = Field(False, json_schema_extra={"group": "more"})
    kind: ClassVar[Kind] = "image"


class Speech(SceneBase):
    """Lines without a picture. It has voice takes only."""

    task_type: Literal["speech"] = "speech"
    lines: list[Line] = Field(min_length=1, max_length=100)
    in_cut: bool = Field(False, json_schema_extra={"group": "more"})
    kind: ClassVar[Kind] = "audio"


SCENE_CLASSES: Mapping[str, type[SceneBase]] = {
    cls.model_fields["task_type"].default: cls
    for cls in (
        TextToVideo, ImageToVideo, ReferenceToVideo, SingleShotExtension,
        ShotSwitchingExtension, TalkingAvatar, TextToImage, Speech,
    )
}  # fmt: skip
Scene = Annotated[
    TextToVideo | ImageToVideo | ReferenceToVideo | SingleShotExtension
    | ShotSwitchingExtension | TalkingAvatar | TextToImage | Speech,
    Field(discriminator="task_type"),
]  # fmt: skip
SceneAdapter: TypeAdapter[Any] = TypeAdapter(Scene)


class Frame(BaseModel):
    """What a queue's film is cut in."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    width: int = Field(1280, ge=128, le=3840, multiple_of=2)
    height: int = Field(720, ge=128, le=3840, multiple_of=2)
    fps: int = Field(24, ge=8, le=60)


class Music(BaseModel):
    """One bed under the whole film."""

    model_config = ConfigDict(extra="forbid")
    ref: Ref = _ref("audio")
    level: float = Field(-24.0, ge=-60, le=0, description="LUFS of the bed where nobody speaks")
    start: float = Field(0.0, ge=0, le=36_000, allow_inf_nan=False, description="seconds of the file that are left out")
    end: float | None = Field(None, gt=0, le=36_000, allow_inf_nan=False, description="where in the file it stops")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Music":
        if self.end is not None and self.end <= self.start:
            raise PydanticCustomError("music_end", "must end after it begins ({start} s)", {"start": self.start})
        return self


NAME_FIELDS = ("queue", "code", "project", "date", "time", "aspect", "n")  # of an exported file's name


class CutSettings(BaseModel):
    """How the film of a queue is finished: loudness, title card, credits, file name."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    loudness: Literal[-23, -16, -14] = Field(-16, description="LUFS of the whole film (EBU R128)")
    title: str = Field("", max_length=120, description="of the title card; empty: no card")
    subtitle: str = Field("", max_length=200)
    title_seconds: float = Field(3.0, ge=1, le=20)
    credits: str = Field("", max_length=4000, description="one line each; empty: none")
    credits_seconds: float = Field(6.0, ge=2, le=120)
    name: str = Field("{queue}_film_{date}", min_length=1, max_length=200, description="of the file, without suffix")

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        known = ", ".join(f"{{{field}}}" for field in NAME_FIELDS)
        unknown = [field for field in re.findall(r"\{([^{}]*)\}", name) if field not in NAME_FIELDS]
        rest = re.sub(r"\{\w+\}", "", name)
        bad = re.findall(r"[\x00-\x1f<>:\"/\\|?*{}]|\.\.|\.$", rest)
        if unknown or bad:
            wrong = f"{{{unknown[0]}}}" if unknown else bad[0]
            params = {"wrong": wrong, "known": known}
            raise PydanticCustomError("file_name", "must not hold {wrong}; fields: {known}", params)
        return name


class Policy(BaseModel):
    """How a queue is run. Asked once and kept with it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    allow_draft: StrictBool = Field(True, description="the draft engine may stand in where no real one is ready")
    allow_8bit: StrictBool = Field(False, description="weights in 8 bit where nothing else fits; changes pixels")
    allow_paid: StrictBool = Field(False, description="engines that cost money")
    on_error: Literal["skip", "stop", "retry"] = "skip"
    retries: int = Field(2, ge=1, le=10, description="how often a scene is tried again, where on_error is retry")
    order: Literal["written", "model"] = "written"
    keep_awake: StrictBool = Field(True, description="the computer does not fall asleep while it renders")
    afterwards: Literal["nothing", "sleep", "shut_down"] = "nothing"
    asked: StrictBool = Field(False, description="somebody has answered the three questions about engines")
    ready_by: str = Field("", pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$", description="HH:MM that preflight checks")


# ------------------------------------------------------------------------------------------------ facts of the house
@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line that has been spoken, laid on its scene's clock."""

    line_id: str
    character: str
    text: str
    path: Path
    start: float  # seconds from the scene's first frame
    duration: float  # seconds
    visemes: Sequence[tuple[float, str]] = ()  # (seconds from the line's start, phoneme), where the engine knows them


def lay_lines(durations: Sequence[float], wished: float | None) -> tuple[list[float], float]:
    """Where each line starts and how long the scene must be, in seconds. Never shorter than the wish."""
    starts, at = [], AIR_BEFORE
    for seconds in durations:
        starts.append(round(at, 4))
        at += seconds + AIR_BETWEEN
    total = at - AIR_BETWEEN + AIR_AFTER if durations else 0.0
    return starts, max(total, wished or 0.0)


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make one layer of a scene on one engine."""

    id: str
    scene_id: str
    line_id: str | None  # None: the picture
    layer: Layer
    engine: str
    lane: Lane
    attempt: int
    state: State
    queue_id: str = ""
    error: Mapping[str, Any] | None = None  # {"code", "params"}
    degraded_reason: str | None = None
    kept: Mapping[str, JSON] = field(default_factory=dict)
    seed: int | None = None  # of this picture alone; None: the scene's


@dataclass(frozen=True, slots=True)
class Take:
    """What a job made. Immutable but for its marks (selected, locked, private, rating, note, trashed)."""

    id: str
    scene_id: str
    line_id: str | None
    layer: Layer
    number: int  # 1, 2, 3 … within scene and layer
    kind: Kind
    path: Path
    engine: str
    profile: str
    seed: int
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float  # seconds, effective
    facts: Mapping[str, JSON]
    created: str  # ISO 8601, UTC
    job_id: str = ""
    draft: bool = False
    selected: bool = False
    locked: bool = False
    private: bool = False
    trashed: bool = False
    chosen: bool = False  # selected by hand
    rating: int = 0  # 1 … 5; 0: not rated
    note: str | None = None  # what was to be made otherwise
    degraded_reason: str | None = None
    fingerprint: str = ""  # of what it was made from; empty: unknown


@dataclass(frozen=True, slots=True)
class Asset:
    """A file known by what is in it."""

    sha256: str
    kind: Kind
    path: Path
    name: str  # as the user called it
    size: int  # bytes
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration: float = 0.0  # seconds

    @property
    def ref(self) -> str:
        return f"asset:{self.sha256}"
