"""The contract of an engine: one engine, one file, one line in ENGINES. Heavy imports only inside its methods.

`Run` is all that one run may touch. Knows no queue, no database and no screen.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from studio.domain import AVATAR_AUDIO_SECONDS, CUT_PREFIXES, JSON, Frame, Lane, Language, SpokenLine
from studio.errors import Cancelled, Refused
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    import numpy as np

    from studio.pipelines.memory.footprint import Footprint, Shape
    from studio.pipelines.pool import Pool

USUAL_SECONDS = 5.0  # of a picture where nobody says how long it lasts


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine can take. Data that preflight, forms and errors read."""

    resolutions: tuple[str, ...] = ("480P", "540P", "720P")
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # task -> (least, most)
    references: tuple[int, int] = (1, 4)
    languages: tuple[str, ...] = ("en", "pt", "zh")  # that it speaks
    fps: float = 24.0
    frame_step: int = 1  # it makes frame_step * n + frame_start frames
    frame_start: int = 1  # 0 where the new frames only continue others
    fixed_frames: int = 0  # it always makes so many, and plays them as fast as the wished duration asks; 0: it does not
    rates: tuple[int, int] = (1, 60)  # frames per second between which it then chooses
    audio: tuple[float, float] = AVATAR_AUDIO_SECONDS  # seconds of a recording that it animates: (least, most)
    end_image: bool = True  # image_to_video may end on a given picture
    speakers: int = 1  # people of a talking_avatar who speak by themselves
    avatar_video: bool = False  # a talking_avatar may be given as a video
    clip_frames: Mapping[int, int] = field(default_factory=dict)  # seconds of a scene -> frames, at `fps`, of the clip
    # before it that are needed: the entry of the most seconds that are not more than the scene's
    prefixes: tuple[str, ...] = CUT_PREFIXES  # one of them begins the prompt of a shot_switching_extension
    in_frame: bool = False  # renders in the queue's frame, whatever size the scene has

    def frames(self, seconds: float) -> int:
        """How many it makes of so many seconds: rounded up to what it can."""
        if self.fixed_frames:
            return self.fixed_frames
        wanted = max(1, round(seconds * self.fps))
        return -(-(wanted - self.frame_start) // self.frame_step) * self.frame_step + self.frame_start

    def of_clip(self, seconds: float) -> int:
        """Frames, at `fps`, that a clip must have for a scene of so many seconds to go on from it; 0: any will do."""
        known = [begin for begin in self.clip_frames if begin <= seconds] or [*self.clip_frames][:1]
        return self.clip_frames[max(known)] if known else 0

    def rate(self, seconds: float) -> float:
        """Frames per second of so many seconds; never so fast that it would end before, where it may choose."""
        if not self.fixed_frames:
            return self.fps
        return float(min(max(int(self.fixed_frames / seconds), self.rates[0]), self.rates[1]))


@dataclass(frozen=True, slots=True)
class Speaks:
    """What an engine of speech can do. Data that the Voice tab, preflight and errors read; `Limits.languages` says
    which languages of ours it speaks."""

    accents: tuple[str, ...] = ()  # as it is trained on: "pt-BR", "pt-PT", "en-US", "zh-CN"; more than ours too
    clones: bool = False  # speaks like a sample
    needs_sample: bool = False  # and has no voice without one
    needs_transcript: bool = False  # of the sample, word for word
    sample: tuple[float, float] = (3.0, 30.0)  # seconds of it that are used: (least, most)
    presets: tuple[str, ...] = ()  # voices that it brings along, the usual one first
    emotions: tuple[str, ...] = ()  # directions that it heeds, by its own tags
    speed: bool = False  # it can speak faster and slower by itself
    words: bool = False  # says when each word is said
    streams: bool = False  # is heard before it has ended
    speakers: int = 1  # of a dialogue that it speaks in one go


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says a line: a voice as an engine is given it."""

    voice: str = ""  # its name; empty: nobody in particular
    character: str = ""
    sample: Path | None = None
    transcript: str = ""
    preset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the engine that speaks
    profile: Mapping[str, Any] = field(default_factory=dict)  # of the sample
    said: tuple[tuple[str, str], ...] = ()  # (word, as it is said) of this line's language
    print: str = ""  # letters of all of this: two that differ sound differently
    sound: str = ""  # letters of the voice alone, whatever it is called
    language: Language | None = None  # that it speaks here; None: read from the line
    reading: int = 0  # how many readings there are already of these words by this voice: 0, then 1, 2 …


@dataclass(frozen=True, slots=True)
class Availability:
    """ready | needs_download (with bytes and licence; a reason's code where some is here and damaged or half) | unfit
    (with a reason's code)."""

    state: Literal["ready", "needs_download", "unfit"] = "ready"
    reason: str = ""  # an error code, e.g. "engine.missing_package"
    params: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What this computer offers, as the app knows it without loading torch. GB are 10^9 bytes."""

    cores: int
    ram_gb: float
    gpu: str = ""  # name; empty: none
    vram_gb: float = 0.0
    ram_free_gb: float | None = None  # None: as much as there is
    vram_free_gb: float | None = None
    ceiling_gb: float = 0.0  # of VRAM that the user lets us have; 0: all of it
    headroom_gb: float = 1.0  # of VRAM that stays free for everybody else
    pin_gb: float | None = None  # of RAM that may be page-locked; None: half of it
    system: str = "Linux"  # platform.system()
    copy_gb_s: float = 0.0  # RAM to device, measured; 0: not measured yet
    disk_gb_s: float = 0.0
    tflops: float = 0.0  # of 16-bit matrix products, measured


@dataclass(frozen=True, slots=True)
class Plan:
    """How much memory an engine may use and how it gets by with it. Engines read the fields, never the name."""

    profile: str = "cpu"
    device: str = "cpu"  # torch's name of it: "cuda:0"
    dtype: str = "float32"  # of weights and sums, torch's name of it
    text_encoder: Literal["device", "stream", "ram"] = "device"  # where it works; "ram": on the CPU
    image_encoder: Literal["device", "ram"] = "device"
    transformer: Literal["resident", "swap", "stream"] = "resident"  # swap: on the device only while it works
    resident_blocks: int = 0  # of a streamed transformer: blocks that stay on the device, evenly spaced
    slots: int = 2  # of a streamed transformer: places through which the other blocks flow
    weights: Literal["ram", "disk"] = "ram"  # where streamed blocks come from
    weight_bits: Literal[16, 8] = 16  # how the transformer's blocks are stored
    token_chunk: int = 0  # tokens that a block handles at once outside of attention; 0: all
    vae: Literal["device", "swap", "ram"] = "device"
    vae_tile: int = 0  # pixels of a tile's side when decoding; 0: the whole picture
    vae_tiles_to_ram: bool = False
    attention: str = "auto"  # diffusers' name of the backend; auto: the best that is installed for this device
    compile: bool = False
    # what is predicted does not count when plans are compared: the same placement is the same plan
    peak_bytes: int = field(default=0, compare=False)  # that tensors take of the device; 0: nobody reckoned
    working_bytes: int = field(default=0, compare=False)  # of that, what is no weight
    phase: Literal["", "text", "denoise", "decode"] = field(default="", compare=False)  # in which that is
    ram_bytes: int = field(default=0, compare=False)
    pinned_bytes: int = field(default=0, compare=False)
    step_seconds: float = field(default=0.0, compare=False)  # 0: unknown
    learnt_memory: float = field(default=1.0, compare=False)  # factor of history in `working_bytes`
    learnt_time: float = field(default=1.0, compare=False)  # factor of history in `step_seconds`


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that something takes now, or may take."""

    device: int = 0
    ram: int = 0  # pinned bytes are among them
    pinned: int = 0  # page-locked: no program can have them swapped out

    def __add__(self, other: "Room") -> "Room":
        return Room(self.device + other.device, self.ram + other.ram, self.pinned + other.pinned)


@dataclass(frozen=True, slots=True)
class Inputs:
    """A scene's inputs as files on this machine."""

    files: Mapping[str, Path] = field(default_factory=dict)  # by field: "input_image", "ref_imgs.0"
    lines: tuple[SpokenLine, ...] = ()
    soundtrack: Path | None = None  # the lines laid on the scene's clock, or the user's own recording
    recordings: tuple[tuple[Path, float], ...] = ()  # of each person, and the second at which it starts
    duration: float | None = None  # seconds that the picture must last: the speech, the recording or the wish
    frame: Frame | None = None  # the queue's; engines that can choose their size render in it
    style: str = ""  # the same for every scene of a queue: palette and look agree between shots
    number: int = 1  # of the scene in its queue, from 1
    total: int = 1
    speaker: Speaker = Speaker()  # of speech

    @property
    def seconds(self) -> float:
        """How long the picture will last: as it must, or the usual time."""
        return self.duration or USUAL_SECONDS

    def list(self, name: str) -> list[Path]:
        """The files of a list field in order: list("ref_imgs")."""
        found = [key for key in self.files if key.startswith(name + ".")]
        return [self.files[key] for key in sorted(found, key=lambda key: int(key.rpartition(".")[2]))]


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made. `facts`: word times, visemes, cost, model revision, how it was done."""

    path: Path
    facts: Mapping[str, JSON] = field(default_factory=dict)


class Run:
    """All that one run may touch: seed, inputs, plan, progress, what earlier attempts kept, and the way to save."""

    def __init__(
        self,
        seed: int,
        inputs: Inputs,
        plan: Plan,
        part: Path,
        posters: Path,
        *,
        scratch: Path | None = None,
        kept: Mapping[str, JSON] | None = None,
        report: Callable[[int, int, "Callable[[], np.ndarray] | None"], None] = lambda done, total, preview: None,
        commit: Callable[[str, JSON], None] = lambda key, value: None,
        cancelled: Callable[[], bool] = lambda: False,
        enough: Callable[[], bool] = lambda: False,
        phase: Callable[[str], None] = lambda name: None,
        sound: "Callable[[np.ndarray, int], None]" = lambda samples, rate: None,
        comment: Mapping[str, JSON] | None = None,
    ) -> None:
        """`part`: where to write, without suffix. `posters`: stem of the poster and the hover strip that are collected
        on the way. `scratch`: this job's own folder; without, one beside the part. `comment`: settings JSON for the
        file's metadata."""
        self.seed, self.inputs, self.plan = seed, inputs, plan
        self.kept: dict[str, JSON] = dict(kept or {})
        self._part, self._posters = part, posters
        self._scratch = scratch or part.with_name(f"{part.name}.scratch")
        self._report, self._commit, self._cancelled = report, commit, cancelled
        self._enough, self._phase, self._sound = enough, phase, sound
        self._comment = dict(comment or {})
        self.described: dict[str, JSON] = {}

    @property
    def enough(self) -> bool:
        """The user wants what is there so far: an engine that `stops_early` takes no further step and saves that."""
        return self._enough()

    @property
    def cancelled(self) -> bool:
        """The user wants none of it: for loops that are shorter than a step. `step` and `phase` raise by themselves."""
        return self._cancelled()

    def describe(self, **facts: JSON) -> None:
        """How it is made, where the settings do not say it: model revision, precision. Said before saving, it stands in
        the file's metadata too, so the same settings must give the same facts: no times."""
        self.described |= facts

    def phase(self, name: Literal["text", "steps", "decode", "save"]) -> None:
        """What the engine does from now on, for whoever watches. Raises Cancelled if the user wants none of it."""
        if self._cancelled():
            raise Cancelled
        self._phase(name)

    def step(self, done: int, total: int, preview: "Callable[[], np.ndarray] | None" = None) -> None:
        """Say how far we are. `preview()` gives (H, W, 3) uint8 RGB and is called only if somebody looks.

        Raises Cancelled if the user wants none of it."""
        if self._cancelled():
            raise Cancelled
        self._report(done, total, preview)

    def keep(self, key: str, value: JSON) -> None:
        """Returns after the runner has committed it: an order id, the last finished window."""
        self._commit(key, value)
        self.kept[key] = value

    def scratch(self, name: str) -> Path:
        """A file of this job's own, which may not be there yet. It outlives a crash, so that the next attempt finds it,
        and is gone when the job ends. What is written to it counts once `keep` has said so."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch / name

    def save_video(
        self,
        frames: "Iterable[np.ndarray]",
        fps: float,
        num_frames: int,
        layout: Literal["rgb24", "bgr24", "yuv420p"] = "rgb24",
        audio: Path | None = None,
        progress: bool = True,
    ) -> Path:
        """Encode frames as they come; each (H, W, 3) uint8, or (H * 3 / 2, W) uint8 for yuv420p.

        `audio` defaults to the scene's soundtrack. Calls `step` after each frame, so an engine that yields frames
        lazily needs no progress and no preview of its own; `progress=False` where its steps were the work and saving
        is not. Raises MediaError, DiskFull, Cancelled."""
        from studio.media.writer import write_video

        path = self._part.with_name(self._part.name + ".mp4.part")
        write_video(
            path, self._watched(frames, num_frames, layout, progress), fps, num_frames, layout=layout,
            audio=audio or self.inputs.soundtrack, comment=self._whole_comment(), posters=self._posters,
        )  # fmt: skip
        return path

    def save_image(self, image: "np.ndarray") -> Path:
        """PNG from (H, W, 3) uint8 RGB, settings in its text chunk."""
        from studio.media.writer import write_image

        path = self._part.with_name(self._part.name + ".png.part")
        write_image(path, image, comment=self._whole_comment(), posters=self._posters)
        return path

    def save_audio(self, samples: "np.ndarray", rate: int) -> Path:
        """WAV from (N,) or (N, channels) float32 in -1..1 at `rate` Hz."""
        from studio.media.writer import write_audio

        path = self._part.with_name(self._part.name + ".wav.part")
        write_audio(path, samples, rate, comment=self._whole_comment(), posters=self._posters)
        return path

    def sound(self, samples: "np.ndarray", rate: int) -> None:
        """What can be heard already, for whoever listens while the rest is being made: (N,) float32 in -1..1 at `rate`
        Hz, the next piece each time. Raises Cancelled."""
        if self._cancelled():
            raise Cancelled
        self._sound(samples, rate)

    def _whole_comment(self) -> dict[str, JSON]:
        return {**self._comment, "made": self.described} if self.described else self._comment

    def _watched(
        self, frames: "Iterable[np.ndarray]", num_frames: int, layout: Any, progress: bool
    ) -> "Iterable[np.ndarray]":
        for done, frame in enumerate(frames, start=1):
            yield frame
            if progress:
                self.step(done, num_frames, partial(_small, frame, layout))
            elif self._cancelled():
                raise Cancelled


def _small(frame: "np.ndarray", layout: Any) -> "np.ndarray":
    """(h, w, 3) uint8 RGB of a frame that is being saved, at most 640 wide."""
    import numpy as np

    from studio.media.posters import POSTER_WIDTH, small_picture
    from studio.media.writer import to_frame

    return np.asarray(small_picture(to_frame(frame, layout), POSTER_WIDTH))


class Engine:
    """Subclass it, set the class attributes, write `run`. See docs/engines.md."""

    id: ClassVar[str]
    tasks: ClassVar[frozenset[str]]  # none: it makes no scene, but is a model all the same; `serves` says what for
    serves: ClassVar[Literal["", "listening", "comparing"]] = ""  # hears words | tells voices apart
    lane: ClassVar[Lane] = "gpu"
    costs_money: ClassVar[bool] = False
    stops_early: ClassVar[bool] = False  # heeds `Run.enough`; the others cannot be asked for it
    draft: ClassVar[bool] = False  # stamps its takes: a drawing of the film, not the film
    limits: ClassVar[Limits] = Limits()
    parts: ClassVar[tuple[Part, ...]] = ()  # what must be on disk before it can run
    outside: ClassVar[bool] = False  # works in a program of its own, which wants the device and RAM for itself
    licence: ClassVar[str] = ""  # of the weights, as it is shown before they are fetched
    speaks: ClassVar[Speaks | None] = None  # of an engine of speech
    footprint: ClassVar["Footprint | None"] = None  # what it weighs; None: it needs no plan
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # name -> options; "fast" is few steps
    pool: "Pool"  # components that engines share; given by the manager before `load`

    class Options(BaseModel):
        """Knobs of this engine; screens and REST draw their controls from it."""

        model_config = ConfigDict(extra="forbid")

    def availability(self, machine: Machine) -> Availability:
        """May it run here? Asked in the app process, so it loads nothing."""
        shelf = Shelf.here()
        missing = [part for part in self.parts if shelf.find(part) is None]
        if not missing:
            return Availability()
        half = next((part for part in missing if shelf.state(part)[0] == "partial"), None)
        reason, params = ("model.part_half", {"part": half.name, "repo": half.repo}) if half else ("", {})
        size = sum(part.bytes for part in missing)
        return Availability("needs_download", reason, params, size, self.licence)

    @classmethod
    def file_problems(cls, options: Any, plan: Plan | None = None) -> Iterable[Refused]:
        """What is wrong with files of weights that a scene names by its options, as far as their headers tell; with a
        plan: whether they can be used by it. Asked in the app process, so it loads nothing."""
        return ()

    @classmethod
    def weighs(cls, options: Any) -> "Footprint | None":
        """The footprint, with files of weights that a scene names by its options."""
        return cls.footprint

    def expect(self, options: Any) -> None:
        """The options of the next run, told before `load`: weights that a file replaces need not be read."""

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> "Shape | None":
        """Pixels and frames that a run of this scene works on; None where no plan is needed."""
        return None

    def load(self, plan: Plan) -> None:
        """Be where `plan` wants the weights. Called before every run; cheap when already there."""

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        raise NotImplementedError

    def park(self) -> None:
        """Leave the device, stay in RAM."""

    def close(self) -> None:
        """Leave both."""

    def held(self) -> Mapping[Any, Room]:
        """What it takes now, by component; engines that share one give it under the same key."""
        return {}
