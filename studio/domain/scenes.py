"""A class for each task, the lines that are said in a scene, and what it reads. Knows no file format and no engine.

One pydantic class per task gives validation, the REST schema, the import check, the command-line options and the form
on screen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from studio.domain.words import (
    CUT_PREFIXES,
    MAX_INT,
    SIZES,
    Aspect,
    Kind,
    Language,
    ProfileName,
    Resolution,
    Transition,
)

# ------------------------------------------------------------------------------------------------ references
Ref = Annotated[str, Field(min_length=1, max_length=4096)]
"""asset:<sha256> | scene:<id>[#first|#last]; at the door also an http(s) URL, a path, {{prev}} or {{job:N}}."""


def ref_field(kind: Kind, default: Any = ..., **more: Any) -> Any:
    """A field that holds references to media of one kind: forms draw a well for it, imports look for its files."""
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
    ref: Ref = ref_field("audio")
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
    input_image: Ref = ref_field("image")
    end_image: Ref | None = ref_field("image", None)
    duration: Seconds = 5.0


class ReferenceToVideo(SceneBase):
    task_type: Literal["reference_to_video"] = "reference_to_video"
    ref_imgs: list[Ref] = ref_field("image", min_length=1, max_length=4)
    duration: Seconds = 5.0


class SingleShotExtension(SceneBase):
    """The new part only; `options` of an engine may ask for it joined with the input."""

    task_type: Literal["single_shot_extension"] = "single_shot_extension"
    input_video: Ref = ref_field("video")
    duration: Seconds = 5.0


class ShotSwitchingExtension(SceneBase):
    """A new shot after a cut; the prompt begins with one of CUT_PREFIXES."""

    task_type: Literal["shot_switching_extension"] = "shot_switching_extension"
    input_video: Ref = ref_field("video")
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
    input_video: Ref | None = ref_field("video", None, description="people to make speak, in place of a portrait")
    input_image: Ref | None = ref_field("image", None, validate_default=True)
    input_audio: Ref | None = ref_field("audio", None)
    input_audio_2: Ref | None = ref_field("audio", None, description="what the second person says")
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
        if len(boxes) == 2:
            (left, top, right, bottom), other = boxes
            if max(left, other[0]) < min(right, other[2]) and max(top, other[1]) < min(bottom, other[3]):
                raise PydanticCustomError("boxes_overlap", "must not overlap")
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
