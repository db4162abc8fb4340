"""What one job is, wherever it runs: lease the engine, run it, look at the file, give it its name. Knows no queue.

A file appears in this order: `<out>.<job>.<suffix>.part` is written and fsynced by the engine's `save_…`, probed, its
sidecar is written, and then it gets its name. So a whole file always has its sidecar: where the process dies between
the name and the row in the database, `found` or the sweep adopts the file by it. A sidecar without its file says
nothing and is removed. Light at import: the app process looks for files here.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from studio import __version__, faults
from studio.domain import JSON, SceneAdapter, SceneBase
from studio.errors import Cancelled, DiskFull, EngineError, OutOfMemory, Refused, StudioError
from studio.execution import (
    PREVIEW_BYTES,
    SOUND_BYTES,
    Assignment,
    Event,
    Failed,
    Finished,
    Kept,
    Loaded,
    Preview,
    Progress,
    Sounded,
    Started,
    ToolDone,
    meter,
)
from studio.execution.measures import measured
from studio.media import files
from studio.pipelines.base import Engine, Inputs, Made, Plan, Run
from studio.pipelines.manager import PipelineManager

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.1  # the least between two reports; an engine may step 300 times a second
PREVIEW_SECONDS = 1.0
LAST_STEPS = 9  # whose median is the time of a step: the first one warms up, and one now and then waits for the disk
SIDECAR = {"lanterna", "job_id", "attempt", "engine", "seed", "task", "settings", "file", "facts"}  # what we write
PREVIEW_SIDES = (640, 480, 320, 160)  # pixels, the longer side: the first that fits PREVIEW_BYTES


def perform(
    assignment: Assignment,
    manager: PipelineManager,
    emit: Callable[[Event], None],
    cancelled: Callable[[], bool],
    *,
    enough: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Finished | Failed:
    """Carry out a job, saying so through `emit`; the last word is returned. Never raises an Exception.

    `emit(Kept)` returns after the caller has committed it."""
    log.info("attempt %d on %s: %s", assignment.attempt, assignment.engine, assignment.task["task_type"])
    started = clock()
    try:
        faults.point("worker.received")
        emit(Started(loads=not manager.holds(assignment.engine)))
        finished = _made(assignment, manager, emit, cancelled, enough, clock)
    except Exception as error:
        failed = Failed.of(named(error, assignment.engine, assignment.out.parent))
        if failed.code == "cancelled":
            log.info("cancelled after %.1f s", clock() - started)
        else:
            log.error("failed after %.1f s: %s", clock() - started, failed.code, exc_info=error)
        return failed
    log.info("finished in %.1f s: %s", clock() - started, finished.path)
    return finished


def named(error: Exception, engine: str, folder: Path = Path()) -> StudioError:
    """Any failure of an engine or a tool, by a code that has words. `folder`: where it was writing."""
    if isinstance(error, StudioError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, which is not loaded
        return OutOfMemory("engine.out_of_memory", engine=engine)
    if isinstance(error, OSError) and error.errno in files.NO_SPACE:
        return DiskFull("disk.full", path=str(error.filename or folder), free=files.free_bytes(folder.absolute()))
    return EngineError("engine.failed", engine=engine, reason=f"{type(error).__name__}: {error}"[:500])


def _made(
    assignment: Assignment,
    manager: PipelineManager,
    emit: Callable[[Event], None],
    cancelled: Callable[[], bool],
    enough: Callable[[], bool],
    clock: Callable[[], float],
) -> Finished:
    if cancelled():
        raise Cancelled
    scene: SceneBase = SceneAdapter.validate_python(dict(assignment.task))
    assignment.out.parent.mkdir(parents=True, exist_ok=True)
    reporter = _Reporter(emit, clock)
    held, asked = manager.holds(assignment.engine), clock()
    meter.watch_peak()
    lease = manager.lease(
        assignment.engine, assignment.plan, lambda engine: engine.expect(_options(scene, engine))
    )  # fmt: skip
    with _soundtrack(assignment, scene) as inputs, lease as engine:
        if not held:
            loaded = clock() - asked
            reporter.seconds["load"] = loaded
            emit(Loaded(loaded))
        faults.point("worker.loaded")
        run = Run(
            assignment.seed, inputs, assignment.plan, assignment.part, assignment.posters,
            scratch=assignment.scratch,
            kept=assignment.kept,
            report=reporter.report,
            commit=lambda key, value: emit(Kept(key, value)),
            cancelled=cancelled,
            enough=enough,
            phase=reporter.phase,
            sound=lambda samples, rate: _sounded(samples, rate, emit),
            comment=assignment.comment,
        )  # fmt: skip
        made = engine.run(scene, _options(scene, engine), run)
    reporter.end()
    return _placed(assignment, replace(made, facts={**_how(assignment, reporter), **run.described, **made.facts}))


def _sounded(samples: "np.ndarray", rate: int, emit: Callable[[Event], None]) -> None:
    """(N,) float32 to whoever listens, in pieces that the pipe likes."""
    import numpy as np

    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    for start in range(0, len(pcm), SOUND_BYTES):
        emit(Sounded(pcm[start : start + SOUND_BYTES], rate))


def _how(assignment: Assignment, reporter: "_Reporter") -> dict[str, JSON]:
    """How it was made: the plan, what it really took of the device, and the time of each phase and step."""
    usual = asdict(Plan())
    planned = {name: value for name, value in asdict(assignment.plan).items() if value != usual[name]}
    peak = meter.peak_bytes()
    return reporter.facts() | ({"plan": planned} if planned else {}) | ({"peak_bytes": peak} if peak else {})


def _options(scene: SceneBase, engine: Engine) -> Any:
    try:
        return engine.Options.model_validate(scene.options.get(engine.id, {}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise Refused("engine.options", engine=engine.id, field=field, reason=first["msg"]) from error


@contextmanager
def _soundtrack(assignment: Assignment, scene: SceneBase) -> Iterator[Inputs]:
    """The inputs, with what is said laid on the scene's clock where nobody did that yet."""
    inputs = assignment.inputs
    said = [(line.path, line.start) for line in inputs.lines] or inputs.recordings
    if scene.kind != "video" or inputs.soundtrack or not said:
        yield inputs
        return
    from studio.media.sound import write_soundtrack

    assert inputs.duration is not None  # whoever lays sounds knows how long the scene is
    path = assignment.part.with_name(assignment.part.name + ".soundtrack.wav.part")
    try:
        write_soundtrack(path, said, inputs.duration)
        yield replace(inputs, soundtrack=path)
    finally:
        path.unlink(missing_ok=True)


class _Reporter:
    """Turns an engine's steps into events, no more of them than anybody can look at, and times steps and phases."""

    def __init__(self, emit: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._emit, self._clock = emit, clock
        self._said = self._shown = float("-inf")
        self._unsaid: Progress | None = None
        self.seconds: dict[str, float] = {}  # by phase
        self._phase, self._since = "", 0.0  # the phase it is in, and since when
        self._done, self._total = 0, 0
        self._stepped: float | None = None  # when the last step ended
        self._steps: list[float] = []  # seconds of each

    def phase(self, name: str) -> None:
        now = self._clock()
        self._leave(now)
        self._phase, self._since = name, now
        if name == "steps":
            self._stepped = now
            if name not in self.seconds:  # a film that is made window by window comes back to it
                self._done = 0
        self._unsaid, self._said = self._progress(self._done, self._total, name), now
        self.last()

    def end(self) -> None:
        """The engine has done its work."""
        self.last()
        if self._phase:
            self._leave(self._clock())

    def facts(self) -> dict[str, JSON]:
        """Of an engine that said its phases: seconds of each, of a step in the median, and how many steps it took."""
        if not self._phase:
            return {}
        timed: dict[str, JSON] = {"phases": {name: round(seconds, 3) for name, seconds in self.seconds.items()}}
        if self._steps:
            timed |= {"step_seconds": round(median(self._steps), 4), "steps": len(self._steps)}
        return timed

    def _leave(self, now: float) -> None:
        if self._phase:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since

    def _progress(self, done: int, total: int, note: str) -> Progress:
        return Progress(done, total, note, median(self._steps[-LAST_STEPS:]) if self._steps else None)

    def report(self, done: int, total: int, preview: "Callable[[], np.ndarray] | None" = None, note: str = "") -> None:
        now = self._clock()
        if self._stepped is not None and done > self._done and self._phase in ("", "steps"):
            self._steps += [(now - self._stepped) / (done - self._done)] * (done - self._done)
        if self._phase == "steps" and total == self._total:
            done = max(done, self._done)  # what ran out of memory is begun again
        self._done, self._total, self._stepped = done, total, now
        self._unsaid = self._progress(done, total, note or self._phase)
        if now - self._said >= PROGRESS_SECONDS:
            self._said = now
            self.last()
        if preview is not None and now - self._shown >= PREVIEW_SECONDS:
            self._shown = now
            self._emit(Preview(small_jpeg(preview())))

    def last(self) -> None:
        """Say what was held back."""
        if self._unsaid is not None:
            self._emit(self._unsaid)
            self._unsaid = None


def small_jpeg(picture: "np.ndarray") -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG of at most PREVIEW_BYTES."""
    import io

    from PIL import Image

    image = Image.fromarray(picture)
    content = b""
    for side in PREVIEW_SIDES:
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=70)
        content = buffer.getvalue()
        if len(content) <= PREVIEW_BYTES:
            break
    return content


# ------------------------------------------------------------------------------------------------ files and sidecars
def _placed(assignment: Assignment, made: Made) -> Finished:
    """Look at what was made, write its sidecar, give it its name. The order is the promise of this module."""
    from studio.media.probe import probe

    final, renamed = final_path(assignment, made.path), False
    try:
        looked = probe(made.path)
        facts = {
            **made.facts, **measured(made.path, assignment),
            "kind": looked.kind, "width": looked.width, "height": looked.height, "fps": looked.fps,
            "num_frames": looked.num_frames, "duration": looked.duration, "bytes": made.path.stat().st_size,
            "profile": assignment.plan.profile,
        }  # fmt: skip
        _write_sidecar(assignment, final, facts, _sha256(made.path))
        faults.point("work.sidecar")
        files.replace(made.path, final)
        renamed = True
        faults.point("work.renamed")
    except Exception:  # what is reported as failed must not be adopted later
        for path in (final if renamed else made.path, sidecar_path(final)):
            path.unlink(missing_ok=True)
        raise
    return Finished(final, facts)


def final_path(assignment: Assignment, part: Path) -> Path:
    """`EP001-003.01JX….mp4.part` of job 01JX… is going to be `EP001-003.mp4`."""
    suffix = part.name.removeprefix(assignment.part.name).removesuffix(".part")
    return assignment.out.with_name(assignment.out.name + suffix)


def sidecar_path(final: Path) -> Path:
    return final.with_name(final.name + ".json")


def _write_sidecar(assignment: Assignment, final: Path, facts: Mapping[str, JSON], sha256: str) -> None:
    sidecar = {
        "lanterna": __version__,
        "job_id": assignment.job_id,
        "attempt": assignment.attempt,
        "engine": assignment.engine,
        "seed": assignment.seed,
        "task": dict(assignment.task),
        "settings": dict(assignment.comment),
        "file": final.name,
        "sha256": sha256,
        "facts": dict(facts),
    }
    part = assignment.part.with_name(assignment.part.name + ".json.part")  # its name says whose it is
    with files.whole_or_gone(part):
        part.write_text(json.dumps(sidecar, ensure_ascii=False, indent=1), "utf-8")
        files.fsync_file(part)
        files.replace(part, sidecar_path(final))


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What a sidecar of ours says; None for a stranger's JSON."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.keys() >= SIDECAR else None


def found(assignment: Assignment) -> Finished | None:
    """The finished work of a process that died before it could say so. Also removes whatever it left unfinished."""
    for path in assignment.leftovers():
        path.unlink(missing_ok=True)
    for path in sorted(assignment.out.parent.glob("*.json")) if assignment.out.parent.is_dir() else ():
        sidecar = read_sidecar(path) if path.name.startswith(assignment.out.name + ".") else None
        if sidecar is None or (sidecar["job_id"], sidecar["attempt"]) != (assignment.job_id, assignment.attempt):
            continue
        final = path.with_name(sidecar["file"])
        if final.is_file():
            return Finished(final, sidecar["facts"])
        path.unlink()
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------------ tools
def use(
    tool: str, arguments: Mapping[str, JSON], emit: Callable[[Event], None], cancelled: Callable[[], bool]
) -> ToolDone | Failed:
    """Run one of studio.tools.TOOLS; the last word is returned. Never raises an Exception."""
    from studio.tools import ToolRun, load

    log.info("tool %s", tool)
    reporter = _Reporter(emit, time.monotonic)
    try:
        if cancelled():
            raise Cancelled
        run = ToolRun(lambda done, total, note: reporter.report(done, total, None, note), cancelled)
        result = load(tool)(arguments, run)
        reporter.last()
    except Exception as error:
        failed = Failed.of(named(error, tool))
        if failed.code != "cancelled":
            log.error("tool %s failed: %s", tool, failed.code, exc_info=error)
        return failed
    return ToolDone(result)
