"""What an export is made of, and of whom it is asked: films, stems, subtitles, clips. Keeps no rows and no threads.

Each verb runs a tool in the `exports` worker and returns the file that it made and what is worth knowing about it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from studio.domain import Frame, SceneBase, Take, TextToVideo
from studio.errors import Unavailable
from studio.execution import Assignment, Failed, Finished
from studio.media.files import free_name
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan
from studio.runner import Runner
from studio.service.cut_list import CutLists, card_seconds
from studio.service.file_names import film_name
from studio.store import Queue, SceneRow, Store
from studio.store.database import now

FilmKind = Literal["film", "stems", "subtitles"]
Missing = Literal["ask", "leave_out", "draft_card", "stop"]
Aspect = Literal["own", "16:9", "9:16", "1:1"]
Subtitles = Literal["file", "burnt", "none"]
Format = Literal["webp", "avif", "gif", "png", "jpg"]

TOOL: Mapping[FilmKind, tuple[str, str]] = {  # kind -> (tool, suffix of what it makes)
    "film": ("cut", ".mp4"), "stems": ("stems", ".zip"), "subtitles": ("captions", ".srt"),
}  # fmt: skip
SAME_SHAPE = 0.01


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for of a queue."""

    kind: FilmKind = "film"
    missing: Missing = "ask"
    aspect: Aspect = "own"
    subtitles: Subtitles = "file"
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class ClipWish:
    """What was asked for of a take. `at`: the second of a still; `short_side`: pixels, at most; `loop`: for ever."""

    format: Format = "webp"
    animated: bool = True
    short_side: int = 480
    fps: float = 12.0
    loop: bool = True
    start: float = 0.0
    end: float | None = None
    at: float = 0.0


class Cutting:
    def __init__(self, store: Store, runner: Runner, lists: CutLists, cache: Path) -> None:
        self._store, self._runner, self._lists, self._cache = store, runner, lists, cache

    @property
    def cards(self) -> Path:
        """Where the cards of the film in hand lie until it is cut."""
        return self._cache / "cards"

    def film(
        self, export_id: str, queue: Queue, rows: Sequence[SceneRow], gone: set[str], wish: Wish,
        step: Callable[[int, int], None], go_on: Callable[[], None],
    ) -> tuple[Path, dict[str, Any]]:  # fmt: skip
        """Scenes in `gone` have no take: they are left out, or become cards. `go_on` raises Cancelled."""
        frame = queue.frame or Frame()
        blank = [row for row in rows if row.id in gone] if wish.missing == "draft_card" else []
        drawn = {}
        for row in blank:
            go_on()
            drawn[row.id] = self._card(export_id, row, queue, frame)
        used = [row for row in rows if row.id not in gone or row.id in drawn]
        tool, suffix = TOOL[wish.kind]
        shape = shaped(frame, wish.aspect)
        found = self._lists.of(queue, used, drawn)
        arguments = found.arguments() | {
            "frame": shape.model_dump(), "reframed": shape != frame, "burnt": wish.subtitles == "burnt",
            "captioned": wish.subtitles == "file", "owner": export_id, "cache": str(self._cache / "conform"),
            "out": str(wish.out or self._name(queue, shape, suffix)),
        }  # fmt: skip
        go_on()
        made = self._runner.ask(self._runner.lanes.exports[0], tool, arguments, job_id=export_id, step=step)
        left_out = [row.position + 1 for row in rows if row.id in gone and row.id not in drawn]
        facts = {
            **made, "missing": left_out, "cards": len(drawn), "bytes": Path(made["path"]).stat().st_size,
            "aspect": wish.aspect, "subtitles": wish.subtitles, "width": shape.width, "height": shape.height,
            "fps": shape.fps, "scenes": [scene.as_dict() for scene in found.scenes()], "takes": found.takes(),
        }  # fmt: skip
        return Path(made["path"]), facts

    def clip(
        self, export_id: str, take: Take, wish: ClipWish, step: Callable[[int, int], None]
    ) -> tuple[Path, dict[str, Any]]:
        """A take as a moving or still picture."""
        out = free_name(take.path.with_name(f"{take.path.stem}_clip.{wish.format}"))
        arguments = {
            "path": str(take.path), "out": str(out), "owner": export_id, "format": wish.format,
            "animated": wish.animated and take.kind == "video", "short_side": wish.short_side, "fps": wish.fps,
            "loop": wish.loop, "start": wish.start, "end": wish.end, "at": wish.at,
        }  # fmt: skip
        made = self._runner.ask(self._runner.lanes.exports[0], "clip", arguments, job_id=export_id, step=step)
        return out, {**made, "take": take.id, "bytes": out.stat().st_size}

    def called(self, queue: Queue, template: str, aspect: Aspect) -> str:
        """What an export of this queue would be called now."""
        return self._called(queue, template, shaped(queue.frame or Frame(), aspect))

    def _called(self, queue: Queue, template: str, frame: Frame) -> str:
        number = 1 + sum(row["kind"] != "clip" and bool(row["path"]) for row in self._store.takes.exports(queue.id))
        return film_name(template, queue.name, queue.code, queue.project, frame, number, datetime.now())

    def _name(self, queue: Queue, frame: Frame, suffix: str) -> Path:
        return free_name(self._runner.assigner.folder(queue) / f"{self._called(queue, queue.cut.name, frame)}{suffix}")

    def _card(self, export_id: str, row: SceneRow, queue: Queue, frame: Frame) -> Take:
        """A card drawn by the draft engine in place of a scene that has no take. It is no take and is not kept."""
        scene: SceneBase = TextToVideo(
            label=row.scene.label, prompt=row.scene.prompt or row.scene.label or "…", seed=row.scene.seed or 0,
            duration=card_seconds(row.scene),
        )  # fmt: skip
        assignment = Assignment(
            job_id=export_id, attempt=1, engine="draft", task=scene.model_dump(mode="json"), plan=Plan(),
            inputs=Inputs(frame=frame, style=queue.name, number=row.position + 1, total=row.position + 1),
            seed=scene.seed or 0, out=self.cards / row.id, posters=self.cards / row.id,
        )  # fmt: skip
        for event in self._runner.lanes.exports[0].submit(assignment):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                names = ("kind", "width", "height", "fps", "num_frames", "duration")
                return Take(
                    id="", scene_id=row.id, line_id=None, layer="picture", number=0, path=event.path, engine="draft",
                    profile="cpu", seed=0, facts={}, created=now(), draft=engine_class("draft").draft,
                    **{name: event.facts[name] for name in names},
                )  # fmt: skip
        raise Unavailable("worker.gone")


def shaped(frame: Frame, aspect: Aspect) -> Frame:
    """The frame in another shape with the same short side; the same where it has that shape already."""
    if aspect == "own":
        return frame
    across, down = (int(side) for side in aspect.split(":"))
    if abs(frame.width / frame.height - across / down) < SAME_SHAPE * across / down:
        return frame
    short = min(frame.width, frame.height)
    unit = short / min(across, down)
    return Frame(width=round(across * unit / 2) * 2, height=round(down * unit / 2) * 2, fps=frame.fps)
