"""The draft engine: every task, on a CPU, without weights or network. Its pictures are drawings and say so.

Deterministic by prompt, seed and style. Knows no queue; heavy modules load only inside its methods.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from studio.domain import JSON, Lane, SpokenLine, TaskType
from studio.pipelines.base import Engine, Limits, Made, Run, Speaks
from studio.pipelines.draft.prompt import Directions, read_prompt
from studio.pipelines.draft.speech import VOICES

if TYPE_CHECKING:
    import numpy as np

    from studio.pipelines.draft.people import Voice

PHOTO_EDGE = 0.2  # vignette of pictures that were not drawn for it
DRAFT_VOICES = tuple(VOICES)
FPS = 24  # where no queue's frame says otherwise


@dataclass(frozen=True, slots=True)
class Take:
    """What one run asks for, in the numbers a shot needs."""

    scene: Any
    options: "Draft.Options"
    run: Run
    size: tuple[int, int]
    fps: float
    num_frames: int
    directions: Directions

    @property
    def prompt(self) -> str:
        return str(self.scene.prompt)

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def style(self) -> str:
        """Shots without a queue keep a style of their own."""
        return self.run.inputs.style or f"{self.prompt} {self.seed}"


Inside = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class FaceSaid(BaseModel):
    """Where mouth and eyes are, in shares of the portrait as it came; what is not said is looked for."""

    model_config = ConfigDict(extra="forbid")
    mouth: tuple[Inside, Inside, Inside] | None = Field(None, description="its middle, and how wide it is")
    eyes: tuple[tuple[Inside, Inside], tuple[Inside, Inside]] | None = Field(None, description="their middles")


Pictures = tuple["Iterable[np.ndarray]", dict[str, JSON]]  # I420 frames and facts


class Draft(Engine):
    id: ClassVar[str] = "draft"
    tasks: ClassVar[frozenset[str]] = frozenset(get_args(TaskType))
    lane: ClassVar[Lane] = "cpu"
    draft: ClassVar[bool] = True
    limits: ClassVar[Limits] = Limits(
        seconds={
            "text_to_video": (0.2, 600), "image_to_video": (0.2, 600), "reference_to_video": (0.2, 600),
            "single_shot_extension": (0.2, 600), "shot_switching_extension": (0.2, 600), "talking_avatar": (0.2, 600),
        },
        fps=FPS,
        in_frame=True,
        speakers=100,  # as many mouths as there are faces; one moves for all where there is but one
    )  # fmt: skip
    speaks: ClassVar[Speaks] = Speaks(accents=("en-US", "pt-BR", "zh-CN"), presets=DRAFT_VOICES, speed=True, words=True)

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")
        face: FaceSaid | None = Field(
            None, description="of a portrait: where the mouth and the eyes are", json_schema_extra={"group": "portrait"}
        )

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        if scene.task_type == "speech":
            return self._speech(scene, run)
        import cv2

        cv2.setNumThreads(1)  # one worker, one core
        take = _take(scene, options, run)
        if scene.task_type == "text_to_image":
            return self._still(take)
        frames, facts = _SHOTS[scene.task_type](take)
        path = run.save_video(frames, take.fps, take.num_frames, layout="yuv420p")
        return Made(path, facts)

    def _speech(self, scene: Any, run: Run) -> Made:
        from studio.pipelines.draft.speech import speak, voice_settings

        line, speaker = scene.lines[0], run.inputs.speaker
        voice = {**voice_settings(speaker.preset or line.voice, line.character), **speaker.settings}
        line = line.model_copy(update={"language": speaker.language or line.language})
        samples, rate, facts = speak(line, voice, run.seed, speaker.said)
        return Made(run.save_audio(samples, rate), facts)

    def _still(self, take: Take) -> Made:
        from studio.media.yuv import bgr_from_i420
        from studio.pipelines.draft.cards import Stamp

        shot, facts = _drawn_shot(take, num_frames=2)
        frame = shot.frame(0)
        Stamp(*take.size).apply(frame)
        return Made(take.run.save_image(bgr_from_i420(frame)[..., ::-1].copy()), facts)


def _take(scene: Any, options: Any, run: Run) -> Take:
    frame = run.inputs.frame
    size, fps = ((frame.width, frame.height), float(frame.fps)) if frame else (scene.size, float(FPS))
    seconds = run.inputs.duration or getattr(scene, "duration", None) or 1 / fps
    frames, directions = max(1, round(seconds * fps)), read_prompt(scene.prompt, run.seed)
    return Take(scene, options or Draft.Options(), run, size, fps, frames, directions)


def _drawn_shot(take: Take, num_frames: int) -> tuple[Any, dict[str, JSON]]:
    from studio.pipelines.draft.diorama import diorama, place_of, time_of

    layers, _ = diorama(take.prompt, take.directions, take.size, take.seed, take.style)
    facts = {
        "mode": "drawn", "place": place_of(take.directions, take.style), "time": time_of(take.directions, take.style),
        "size": take.directions.size, "move": take.directions.move,
    }  # fmt: skip
    return _filmed(take, layers, None, num_frames), facts


def _filmed(
    take: Take, layers: list[Any], grade: Any, num_frames: int, move: str | None = None, edge: float = 0.38
) -> Any:
    import numpy as np

    from studio.pipelines.draft.camera import camera_path
    from studio.pipelines.draft.layers import Shot
    from studio.pipelines.draft.look import PLAIN, Finish
    from studio.pipelines.draft.prompt import seed_of
    from studio.pipelines.draft.weather import Weather

    chance = np.random.default_rng(seed_of("camera", take.prompt, take.seed))
    path = camera_path(move or take.directions.move, num_frames, take.fps, chance)
    weather = Weather(take.directions.weather, *take.size, chance) if take.directions.weather else None
    finish = Finish(*take.size, take.seed, edge=edge)
    return Shot(layers, take.size, take.fps, path, grade=grade or PLAIN, weather=weather, finish=finish)


def _stamped(take: Take, frames: "Iterable[np.ndarray]") -> "Iterator[np.ndarray]":
    from studio.pipelines.draft.cards import Stamp

    stamp = Stamp(*take.size)
    for index, frame in enumerate(frames):
        stamp.apply(frame, index)
        yield frame


# ------------------------------------------------------------------------------------------------ one function per task
def _text(take: Take) -> Pictures:
    from studio.pipelines.draft.cards import Card

    shot, facts = _drawn_shot(take, take.num_frames)
    card = Card(
        *take.size, take.prompt, take.directions, take.num_frames / take.fps, take.run.inputs.number,
        take.run.inputs.total, take.num_frames, take.fps,
    )  # fmt: skip

    def written() -> "Iterator[np.ndarray]":
        for index, frame in enumerate(shot):
            card.apply(frame, index)
            yield frame

    return written(), facts


def _references(take: Take) -> Pictures:
    from studio.pipelines.draft.compose import compose, needs_plate, sort_references
    from studio.pipelines.draft.diorama import diorama
    from studio.pipelines.draft.look import PLAIN, grade_for
    from studio.pipelines.draft.pictures import read_picture

    cast = sort_references([read_picture(path) for path in take.run.inputs.list("ref_imgs")])
    drawn = None
    if needs_plate(cast):
        drawn = diorama(take.prompt, take.directions, take.size, take.seed, take.style, figures=False)
    grade = grade_for(take.directions.time, cast.plates[0]) if cast.plates else PLAIN
    layers = compose(cast, take.prompt, take.directions, take.size, take.seed, drawn)
    edge = PHOTO_EDGE if drawn is None else 0.38
    shot = _filmed(take, layers, grade, take.num_frames, edge=edge)
    return _stamped(take, shot), {"mode": "references", "how": cast.how}


def _image(take: Take) -> Pictures:
    from studio.pipelines.draft.compose import animate
    from studio.pipelines.draft.look import grade_for
    from studio.pipelines.draft.pictures import covering, read_picture
    from studio.pipelines.draft.toward import Morph, toward

    files = take.run.inputs.files
    picture = read_picture(files["input_image"])
    layers, how = animate(picture, take.directions, take.size)
    grade = grade_for(None, picture[..., :3])  # the picture already has its light
    move = "swell" if "end_image" in files else None  # both pictures stand as given at their own end of the shot
    shot = _filmed(take, layers, grade, take.num_frames, move, PHOTO_EDGE)
    facts: dict[str, JSON] = {"mode": "picture", "how": [how]}
    if "end_image" not in files:
        return _stamped(take, shot), facts
    end = read_picture(files["end_image"])
    end_layers, end_how = animate(end, take.directions, take.size)
    end_shot = _filmed(take, end_layers, grade, take.num_frames, move, PHOTO_EDGE)
    morph = Morph.where_alike(covering(picture[..., :3], take.size), covering(end[..., :3], take.size))
    facts |= {"how": [how, end_how], "end": "morph" if morph else "dissolve"}
    return _stamped(take, toward(shot, end_shot, morph)), facts


def _extension(take: Take) -> Pictures:
    from studio.pipelines.draft.extend import SECONDS_READ, extend_shot
    from studio.pipelines.draft.pictures import last_frames

    frames, fps = last_frames(take.run.inputs.files["input_video"], SECONDS_READ, take.size)
    made, facts = extend_shot(frames, fps, take.directions, take.fps, take.num_frames, take.seed)
    return _stamped(take, made), facts


def _switch(take: Take) -> Pictures:
    from studio.pipelines.draft.cuts import switch_shot
    from studio.pipelines.draft.pictures import last_frames

    frames, _ = last_frames(take.run.inputs.files["input_video"], 1.2, take.size)
    made, facts = switch_shot(
        frames, take.prompt, take.directions, take.fps, take.num_frames, take.seed, take.style
    )  # fmt: skip
    return _stamped(take, made), facts


def _avatar(take: Take) -> Pictures:
    import cv2

    from studio.pipelines.draft.avatar import avatar_shot
    from studio.pipelines.draft.diorama import diorama
    from studio.pipelines.draft.layers import flattened
    from studio.pipelines.draft.look import GRADES
    from studio.pipelines.draft.people import Clicked

    inputs, time = take.run.inputs, take.directions.time
    plate = None
    if inputs.style or take.directions.environment:
        half = (take.size[0] // 2, take.size[1] // 2)  # it is out of focus
        drawn, _ = diorama(take.prompt, take.directions, half, take.seed, take.style, figures=False)
        plate = cv2.GaussianBlur(flattened(drawn, half), (0, 0), 5 * half[1] / 720)
    face = take.options.face
    frames, facts = avatar_shot(
        inputs.files["input_image"], inputs.soundtrack, inputs.lines, take.size, take.fps, take.num_frames, take.seed,
        plate, GRADES[time].lut() if time else None, _voices(take), Clicked(face.mouth, face.eyes) if face else None,
    )  # fmt: skip
    return _stamped(take, frames), dict(facts)


def _voices(take: Take) -> "list[Voice]":
    """Who speaks and from where: by the lines in the order in which they begin, else by the recordings."""
    from studio.pipelines.draft.people import Voice

    inputs, boxes = take.run.inputs, take.scene.speaker_boxes
    said: dict[str, list[SpokenLine]] = {}
    for line in sorted(inputs.lines, key=lambda line: line.start):
        said.setdefault(line.character, []).append(line)
    voices = [Voice(lines=tuple(lines)) for lines in said.values()]
    if len(inputs.recordings) > 1:
        voices = [Voice(recording=recording) for recording in inputs.recordings]
    return [replace(voice, box=box) for voice, box in zip_longest(voices or [Voice()], boxes[: len(voices) or 1])]


_SHOTS: Mapping[str, Callable[[Take], Pictures]] = {
    "text_to_video": _text,
    "reference_to_video": _references,
    "image_to_video": _image,
    "single_shot_extension": _extension,
    "shot_switching_extension": _switch,
    "talking_avatar": _avatar,
}
