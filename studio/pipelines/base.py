"""The contract of an engine: one engine, one file, one line in ENGINES. Heavy imports only inside its methods.

`Run` is all that one run may touch. Knows no queue, no database and no screen.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from studio.domain import AVATAR_AUDIO_SECONDS, CUT_PREFIXES, JSON, Frame, Lane, SpokenLine
from studio.errors import Cancelled

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine can take. Data that preflight, forms and errors read."""

    resolutions: tuple[str, ...] = ("480P", "540P", "720P")
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # task -> (least, most)
    references: tuple[int, int] = (1, 4)
    languages: tuple[str, ...] = ("en", "pt", "zh")  # that it speaks
    fps: float = 24.0
    frame_step: int = 1  # it makes frame_step * n + 1 frames
    audio: tuple[float, float] = AVATAR_AUDIO_SECONDS  # seconds of a recording that it animates: (least, most)
    end_image: bool = True  # image_to_video may end on a given picture
    prefixes: tuple[str, ...] = CUT_PREFIXES  # one of them begins the prompt of a shot_switching_extension
    in_frame: bool = False  # renders in the queue's frame, whatever size the scene has


@dataclass(frozen=True, slots=True)
class Availability:
    """ready | needs_download (with bytes and licence) | unfit (with a reason's code)."""

    state: Literal["ready", "needs_download", "unfit"] = "ready"
    reason: str = ""  # an error code, e.g. "engine.missing_package"
    params: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What this computer offers, as the app knows it without loading torch."""

    cores: int
    ram_gb: float
    gpu: str = ""  # name; empty: none
    vram_gb: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much memory an engine may use and how it gets by with it. Engines read the fields, never the name."""

    profile: str = "cpu"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Inputs:
    """A scene's inputs as files on this machine."""

    files: Mapping[str, Path] = field(default_factory=dict)  # by field: "input_image", "ref_imgs.0"
    lines: tuple[SpokenLine, ...] = ()
    soundtrack: Path | None = None  # the lines laid on the scene's clock, or the user's own recording
    duration: float | None = None  # seconds that the picture must last: the speech, the recording or the wish
    frame: Frame | None = None  # the queue's; engines that can choose their size render in it
    style: str = ""  # the same for every scene of a queue: palette and look agree between shots
    number: int = 1  # of the scene in its queue, from 1
    total: int = 1
    voice: Mapping[str, Any] = field(default_factory=dict)  # for speech: the settings of the chosen voice

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
        kept: Mapping[str, JSON] | None = None,
        report: Callable[[int, int, "Callable[[], np.ndarray] | None"], None] = lambda done, total, preview: None,
        commit: Callable[[str, JSON], None] = lambda key, value: None,
        cancelled: Callable[[], bool] = lambda: False,
        comment: Mapping[str, JSON] | None = None,
    ) -> None:
        """`part`: where to write, without suffix. `posters`: stem of the poster and the hover strip that are collected
        on the way. `comment`: settings JSON for the file's metadata."""
        self.seed, self.inputs, self.plan = seed, inputs, plan
        self.kept: dict[str, JSON] = dict(kept or {})
        self._part, self._posters = part, posters
        self._report, self._commit, self._cancelled = report, commit, cancelled
        self._comment = dict(comment or {})

    def step(self, done: int, total: int, preview: "Callable[[], np.ndarray] | None" = None) -> None:
        """Say how far we are. `preview()` gives (H, W, 3) uint8 RGB and is called only if somebody looks.

        Raises Cancelled if the user has had enough."""
        if self._cancelled():
            raise Cancelled
        self._report(done, total, preview)

    def keep(self, key: str, value: JSON) -> None:
        """Returns after the runner has committed it: an order id, the last finished window."""
        self._commit(key, value)
        self.kept[key] = value

    def save_video(
        self,
        frames: "Iterable[np.ndarray]",
        fps: float,
        num_frames: int,
        layout: Literal["rgb24", "bgr24", "yuv420p"] = "rgb24",
        audio: Path | None = None,
    ) -> Path:
        """Encode frames as they come; each (H, W, 3) uint8, or (H * 3 / 2, W) uint8 for yuv420p.

        `audio` defaults to the scene's soundtrack. Calls `step` after each frame, so an engine that yields frames
        lazily needs no progress and no preview of its own. Raises MediaError, DiskFull, Cancelled."""
        from studio.media.writer import write_video

        path = self._part.with_name(self._part.name + ".mp4.part")
        write_video(
            path, self._watched(frames, num_frames, layout), fps, num_frames, layout=layout,
            audio=audio or self.inputs.soundtrack, comment=self._comment, posters=self._posters,
        )  # fmt: skip
        return path

    def save_image(self, image: "np.ndarray") -> Path:
        """PNG from (H, W, 3) uint8 RGB, settings in its text chunk."""
        from studio.media.writer import write_image

        path = self._part.with_name(self._part.name + ".png.part")
        write_image(path, image, comment=self._comment, posters=self._posters)
        return path

    def save_audio(self, samples: "np.ndarray", rate: int) -> Path:
        """WAV from (N,) or (N, channels) float32 in -1..1 at `rate` Hz."""
        from studio.media.writer import write_audio

        path = self._part.with_name(self._part.name + ".wav.part")
        write_audio(path, samples, rate, comment=self._comment, posters=self._posters)
        return path

    def _watched(self, frames: "Iterable[np.ndarray]", num_frames: int, layout: Any) -> "Iterable[np.ndarray]":
        for done, frame in enumerate(frames, start=1):
            yield frame
            self.step(done, num_frames, partial(_small, frame, layout))


def _small(frame: "np.ndarray", layout: Any) -> "np.ndarray":
    """(h, w, 3) uint8 RGB of a frame that is being saved, at most 640 wide."""
    import numpy as np

    from studio.media.posters import POSTER_WIDTH, small_picture
    from studio.media.writer import to_frame

    return np.asarray(small_picture(to_frame(frame, layout), POSTER_WIDTH))


class Engine:
    """Subclass it, set the class attributes, write `run`. See docs/engines.md."""

    id: ClassVar[str]
    tasks: ClassVar[frozenset[str]]
    lane: ClassVar[Lane] = "gpu"
    costs_money: ClassVar[bool] = False
    draft: ClassVar[bool] = False  # stamps its takes: a drawing of the film, not the film
    limits: ClassVar[Limits] = Limits()

    class Options(BaseModel):
        """Knobs of this engine; screens and REST draw their controls from it."""

        model_config = ConfigDict(extra="forbid")

    def availability(self, machine: Machine) -> Availability:
        return Availability()

    def load(self, plan: Plan) -> None:
        """Be where `plan` wants the weights. Called before every run; cheap when already there."""

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        raise NotImplementedError

    def park(self) -> None:
        """Leave the device, stay in RAM."""

    def close(self) -> None:
        """Leave both."""
