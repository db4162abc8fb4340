"""What is set for a whole queue: how it is run, and how its film is finished. Knows no scene."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator
from pydantic_core import PydanticCustomError

from studio.domain.scenes import Ref, ref_field


class Frame(BaseModel):
    """What a queue's film is cut in."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    width: int = Field(1280, ge=128, le=3840, multiple_of=2)
    height: int = Field(720, ge=128, le=3840, multiple_of=2)
    fps: int = Field(24, ge=8, le=60)


class Music(BaseModel):
    """One bed under the whole film."""

    model_config = ConfigDict(extra="forbid")
    ref: Ref = ref_field("audio")
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
    draft_on_failure: StrictBool = Field(False, description="draft stands in for a real engine that failed")
    allow_8bit: StrictBool = Field(False, description="weights in 8 bit where nothing else fits; changes pixels")
    allow_paid: StrictBool = Field(False, description="engines that cost money")
    split_long: StrictBool = Field(
        True, description="a scene that is said longer than its engine can make becomes several"
    )
    on_error: Literal["skip", "stop", "retry"] = "skip"
    retries: int = Field(2, ge=1, le=10, description="how often a scene is tried again, where on_error is retry")
    order: Literal["written", "model"] = "written"
    keep_awake: StrictBool = Field(True, description="the computer does not fall asleep while it renders")
    afterwards: Literal["nothing", "sleep", "shut_down"] = "nothing"
    asked: StrictBool = Field(False, description="somebody has answered the three questions about engines")
    ready_by: str = Field("", pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$", description="HH:MM that preflight checks")
