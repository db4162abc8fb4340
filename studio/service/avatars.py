"""Talking portraits: what a picture is good for, its crop, and many lines over one portrait. Knows no screen.

Each line becomes a scene of its own, so that a line that is changed renders that scene alone. Two people speak where
the picture has two faces: the first who speaks is the left one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from studio.domain import SIZES, Aspect, Box, Line, Ref, Share, TalkingAvatar, one_line
from studio.errors import NotFound, Refused, StudioError
from studio.runner import Runner
from studio.service.field_errors import field_error
from studio.service.library import WEB, Library
from studio.service.queues import Queues
from studio.service.runs import Runs
from studio.service.scenes import Scenes
from studio.service.views import View
from studio.store import Store

MOST_LINES = 400  # of one portrait at once
PEOPLE = 2  # who can speak in one picture
SHOWN_WORDS = 6  # of a line, in its scene's label
LABEL = 60  # characters of it


class Order(BaseModel):
    """One portrait and what it says."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    queue: str | None = Field(None, max_length=40, description="where the scenes go; empty: a new queue")
    name: Annotated[str, AfterValidator(one_line)] = Field("", max_length=200, description="of a new queue")
    portrait: Ref = Field(description="asset:<sha256>, scene:<id>, a URL or a path")
    lines: list[Line] = Field(default_factory=list, max_length=MOST_LINES)
    recordings: list[Ref] = Field(default_factory=list, max_length=MOST_LINES, description="in place of lines")
    together: bool = Field(False, description="one scene for all of it, two people in one picture")
    speaker_boxes: list[Box] = Field(
        default_factory=list,
        max_length=PEOPLE,
        description="in place of the faces found: the first speaker, the second",
    )
    engine: str = Field("auto", max_length=60, pattern=r"^[a-z0-9_.\-]+$")
    resolution: Literal["480P", "720P"] = "720P"
    aspect: Aspect = "16:9"
    prompt: str = Field("", max_length=10_000)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="knobs, keyed by engine id")
    run: bool = Field(True, description="render them now")


class Avatars:
    def __init__(
        self, store: Store, runner: Runner, library: Library, scenes: Scenes, queues: Queues, runs: Runs
    ) -> None:
        self._store, self._runner, self._library = store, runner, library
        self._scenes, self._queues, self._runs = scenes, queues, runs

    # ------------------------------------------------------------------------------------------ one portrait
    def look(self, ref: str, *, aspect: Aspect = "16:9", trusted: bool = False) -> View:
        """{width, height, faces: [{box, eyes, mouth, view, clear}], advice: [{level, code, params}], crop}: the largest
        face first, all in shares of the upright picture; `crop` is head and shoulders in the shape of `aspect`, None
        where that is nearly all of it."""
        path, _, which = self._picture(ref, trusted)
        width, height = SIZES["720P"][aspect]
        return self._asked("portrait", {"path": str(path), "which": which, "aspect": width / height})

    def crop(self, ref: str, box: Sequence[Share], *, trusted: bool = False) -> View:
        """A part of it as a picture of its own; its asset. Raises Refused("portrait.box") where nothing is inside."""
        left, top, right, bottom = box
        if left >= right or top >= bottom:
            raise Refused("portrait.box", field="box")
        path, name, which = self._picture(ref, trusted)
        return self._library.still(path, name, which=which, box=list(box))

    def _picture(self, ref: str, trusted: bool) -> tuple[Path, str, str]:
        """(file, its name, which frame of a film). Raises what is wrong with it."""
        kind, _, rest = ref.partition(":")
        if kind == "scene":
            scene_id, _, part = rest.partition("#")
            take = self._store.takes.selected([scene_id]).get(scene_id)
            if take is None:
                raise NotFound("input.no_take", scene=scene_id)
            return take.path, take.path.name, part or "last"
        known = ref if kind == "asset" else str(self._library.fetch(ref)["ref"]) if ref.startswith(WEB) else ""
        path = self._library.file(known[6:]) if known else self._library.find(ref, None, trusted=trusted)
        found = str(self._library.look(path)["kind"])
        if found == "audio":
            raise Refused("input.kind", field="ref", wanted="image", got=found)
        return path, str(self._library.get(known[6:])["name"]) if known else path.name, "first"

    def _asked(self, tool: str, arguments: Mapping[str, Any]) -> View:
        return dict(self._runner.ask(self._runner.lanes.tools[0], tool, dict(arguments)))

    # ------------------------------------------------------------------------------------------ many lines
    def make(self, values: Mapping[str, Any]) -> View:
        """A talking_avatar scene for each line or recording, last in a queue that is there or new; one edit that can be
        undone. {queue, scenes: [ids], refused: [{id, scene, error}]}; `refused`: why they were made and not run.

        Raises Refused naming field and cure where it cannot be; then nothing was made."""
        try:
            order = Order.model_validate(dict(values))
        except ValidationError as error:
            raise field_error(error, str(values.get("name") or "")[:80]) from error
        if not order.lines and not order.recordings:
            raise Refused("avatar.nothing_said", field="lines")
        if order.lines and order.recordings:
            raise Refused("avatar.lines_or_recordings", field="recordings")
        if order.queue:
            self._store.queues.get(order.queue)
        scenes = self._parsed(order)
        queue = order.queue or str(self._queues.create(order.name or scenes[0].label or "Avatar")["id"])
        with self._store.edits.recording(queue, "avatars", title=scenes[0].label):
            made = self._store.queues.add_scenes(queue, scenes)
        return {"queue": queue, "scenes": made, "refused": self._run(queue, made) if order.run else []}

    def _run(self, queue: str, made: Sequence[str]) -> list[View]:
        """They stay where they cannot run: what was typed is not lost, and the queue shows what to mend."""
        try:
            self._runs.run(queue, only=made)
        except StudioError as error:
            return [{"id": made[0], "scene": "", "error": error.as_dict()}]
        return []

    def _parsed(self, order: Order) -> list[TalkingAvatar]:
        """The scenes, every file of theirs let in. The portrait is looked at once."""
        portrait, scenes = order.portrait, []
        boxes: Mapping[str, Box] | None = None
        for values in _scenes(order):
            scene = self._scenes.parse({**values, "input_image": portrait})
            assert isinstance(scene, TalkingAvatar) and scene.input_image  # by its task and by what stands in it
            portrait = scene.input_image
            if boxes is None:
                boxes = self._boxes(order, portrait)
            label = scene.label or self._name(scene.input_audio or "")
            scenes.append(scene.model_copy(update={"label": label, "speaker_boxes": _of_speakers(scene, boxes)}))
        return scenes

    def _name(self, recording: str) -> str:
        """As its owner called it, without the suffix."""
        kind, _, rest = recording.partition(":")
        return Path(str(self._library.get(rest)["name"])).stem[:LABEL] if kind == "asset" else ""

    def _boxes(self, order: Order, portrait: str) -> Mapping[str, Box]:
        """By speaker where they are; nothing where one person speaks, whose picture it is. A recording's speaker is
        its number."""
        people = _people(order)
        if len(people) < 2:
            return dict(zip(people, order.speaker_boxes, strict=False))
        if len(people) > PEOPLE:
            raise Refused("avatar.too_many_people", field="lines", count=len(people), most=PEOPLE)
        if order.speaker_boxes:
            found = list(order.speaker_boxes)
        else:
            faces = self.look(portrait, aspect=order.aspect)["faces"][:PEOPLE]
            found = [tuple(face["box"]) for face in sorted(faces, key=lambda face: face["box"][0])]
        if len(found) < len(people):
            raise Refused(
                "avatar.more_speakers_than_faces", field="portrait", count=len(people), faces=len(found),
                names=", ".join(people),
            )  # fmt: skip
        return dict(zip(people, found, strict=True))


def _people(order: Order) -> list[str]:
    """Who speaks, in the order in which they begin. Who is not named is the first of them."""
    if order.recordings:
        return [str(number) for number, _ in enumerate(order.recordings)] if order.together else ["0"]
    return list(dict.fromkeys(line.character for line in order.lines if line.character)) or [""]


def _of_speakers(scene: TalkingAvatar, boxes: Mapping[str, Box]) -> list[Box]:
    """Those who speak in this scene, in the order in which they begin."""
    if scene.input_audio:
        return list(boxes.values()) if scene.input_audio_2 else list(boxes.values())[:1]
    said = dict.fromkeys(line.character or next(iter(boxes), "") for line in scene.lines)
    return [boxes[name] for name in said if name in boxes]


def _scenes(order: Order) -> list[dict[str, Any]]:
    """The values of each scene, its portrait left out."""
    shared = {
        "task_type": "talking_avatar", "engine": order.engine, "resolution": order.resolution, "aspect": order.aspect,
        "prompt": order.prompt, "options": order.options,
    }  # fmt: skip
    if order.recordings:
        heard = [order.recordings[:PEOPLE]] if order.together else [[ref] for ref in order.recordings]
        if order.together and len(order.recordings) > PEOPLE:
            raise Refused("avatar.too_many_speakers", field="recordings", count=len(order.recordings), most=PEOPLE)
        fields = ("input_audio", "input_audio_2")
        return [shared | dict(zip(fields, refs, strict=False)) | {"audio_order": "in_turn"} for refs in heard]
    parts = [order.lines] if order.together else [[line] for line in order.lines]
    return [shared | {"label": _label(part[0]), "lines": [line.model_dump() for line in part]} for part in parts]


def _label(line: Line) -> str:
    """Who, and the first words. Chinese has no spaces: it is cut by its length."""
    words = line.text.split()
    said = " ".join(words[:SHOWN_WORDS])
    label = f"{line.character}: {said}" if line.character else said
    return label if len(label) < LABEL and len(words) <= SHOWN_WORDS else f"{label[: LABEL - 1].rstrip()}…"
