"""How models fit into this machine: what it is and how fast, the plan of a scene, each profile for a queue.

The verbs behind Settings > Memory and the line beside Render. The arithmetic is service.planner's.
"""

import logging
from collections.abc import Iterable, Mapping
from threading import Lock, Thread
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.domain import SCENE_CLASSES, Aspect, Job, ProfileName, Resolution, SceneBase, Speech, new_id
from studio.errors import OutOfMemory, Refused, StudioError
from studio.execution import Failed, Progress, ToolDone
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan
from studio.pipelines.memory.profiles import PROFILES, Fit
from studio.runner import Runner, broken
from studio.service.engines import Choice, Engines
from studio.service.estimates import Span
from studio.service.field_errors import field_error
from studio.service.planner import Asked, Planner, sketch
from studio.service.views import View
from studio.settings import Settings
from studio.store import POLICY, Queue, Store

log = logging.getLogger(__name__)

GUESS = (0.5, 2.5)  # what a reckoned time may be off by, until there is history
KNOWN = (0.9, 1.2)
TOOL = "measure_machine"


class Wish(BaseModel):
    """What a plan depends on of a scene; the rest of it may be missing still."""

    model_config = ConfigDict(extra="ignore")
    task_type: str
    resolution: Resolution = "720P"
    aspect: Aspect = "16:9"
    duration: float | None = Field(5.0, gt=0, le=600, allow_inf_nan=False)
    engine: str = Field("auto", max_length=60)
    profile: ProfileName = "auto"
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ref_imgs: list[Any] = Field(default_factory=list, max_length=20)
    # by these an engine may not take it
    prompt: str = ""
    end_image: Any = None
    input_audio: Any = None
    input_audio_2: Any = None
    input_video: Any = None
    lines: list["Saying"] = Field(default_factory=list, max_length=200)


class Saying(BaseModel):
    """A line as far as engines care: who speaks."""

    character: str = ""


class Memory:
    def __init__(self, store: Store, runner: Runner, engines: Engines, planner: Planner, settings: Settings) -> None:
        self._store, self._runner, self._engines, self._planner = store, runner, engines, planner
        self._settings = settings
        self._lock = Lock()  # protects what follows; nothing else is taken inside it
        self._measuring: str | None = None  # the tool's id while it runs
        self._progress: View | None = None
        self._failed: Mapping[str, Any] | None = None
        self._stopped = False  # somebody has had enough of measuring, maybe before its worker knew of it
        self._thread: Thread | None = None

    # ------------------------------------------------------------------------------------------ at claim
    def plan(self, job: Job, queue: Queue, scene: SceneBase, inputs: Inputs) -> Plan:
        """How a job that begins now works. Raises Refused, which fails the job with its cure, and OutOfMemory where it
        is others who have what it needs: later it may go well."""
        asked = self._planner.asked(engine_class(job.engine), scene, inputs)
        if asked is None:
            return Plan()
        allowed = bool(queue.policy["allow_8bit"])
        try:
            return self._planner.plan_or_next(asked, self._planner.now(), scene, allow_8bit=allowed)
        except Refused as refused:
            try:
                self._planner.plan(asked, self._planner.whole(), scene.profile, allow_8bit=allowed)
            except Refused:
                raise refused from None
            raise OutOfMemory(refused.code, **refused.params) from None

    # ------------------------------------------------------------------------------------------ the machine
    def view(self) -> View:
        """The machine, what was measured of it, what it lets us have, and how measuring goes on."""
        machine = self._planner.now()
        values, at = self._store.calibration.machine()
        with self._lock:
            measuring, failed = self._progress, self._failed
        return {
            "machine": {
                "cores": machine.cores, "gpu": machine.gpu, "system": machine.system,
                **{
                    name: _tenth(getattr(machine, name))
                    for name in ("ram_gb", "ram_free_gb", "vram_gb", "vram_free_gb", "pin_gb")
                },
            },
            "measured": {**values, "at": at} if at else None,
            "measuring": measuring,
            "measure_error": failed,
            "ceiling_gb": machine.ceiling_gb,
            "headroom_gb": machine.headroom_gb,
            "profiles": [name for name in PROFILES if name != "cpu" or not machine.gpu],
        }  # fmt: skip

    def measure(self) -> View:
        """Find out how fast RAM, disk and device are; about two minutes at most. Returns at once."""
        with self._lock:
            if self._measuring is None:
                self._measuring, self._failed, self._stopped = new_id(), None, False
                self._progress = {"done": 0, "total": 1, "what": ""}
                self._thread = Thread(target=self._measure, args=(self._measuring,), name="measure", daemon=True)
                self._thread.start()
        return self.view()

    def cancel_measuring(self) -> View:
        """Stop it; what was measured before stays."""
        with self._lock:
            work_id, self._stopped = self._measuring, True
        if work_id:
            self._runner.lanes.gpu[0].cancel(work_id)
        return self.view()

    def close(self) -> None:
        """Wait for what measures, which ends when the workers go."""
        if self._thread:
            self._thread.join(timeout=5)

    def _measure(self, work_id: str) -> None:
        arguments = {
            "device": "cuda:0" if self._planner.now().gpu else "cpu",
            "folder": str(self._settings.models_dir),
        }
        failed: Mapping[str, Any] | None = None
        try:
            for event in self._runner.lanes.gpu[0].call(TOOL, arguments, job_id=work_id):
                if self._stopped:
                    self._runner.lanes.gpu[0].cancel(work_id)
                match event:
                    case Progress(done, total, what):
                        with self._lock:
                            self._progress = {"done": done, "total": total, "what": what}
                    case ToolDone(result):
                        assert isinstance(result, dict)
                        self._store.calibration.save(result)
                    case Failed(code, params) if code != "cancelled":
                        failed = {"code": code, "params": dict(params)}
        except Exception as error:
            log.exception("measuring")
            failed = broken(error)
        with self._lock:
            self._measuring, self._progress, self._failed = None, None, failed

    # ------------------------------------------------------------------------------------------ before the run
    def engine_for(self, values: Mapping[str, Any], queue_id: str | None = None) -> str | None:
        """The id of the engine that would make a scene here, finished or not; None where there is none. A field that
        makes no sense yet says nothing."""
        try:
            scene = _sketched(values)
        except Refused:
            scene = _sketched({name: values.get(name) for name in ("task_type", "engine")})
        try:
            return self._choice(scene, queue_id).engine.id
        except StudioError:
            return None

    def _choice(self, scene: SceneBase, queue_id: str | None) -> Choice:
        return self._engines.pick_for(scene, self._policy(queue_id), unfinished=True)

    def _policy(self, queue_id: str | None) -> Mapping[str, Any]:
        return self._store.queues.get(queue_id).policy if queue_id else POLICY

    def plan_of(self, values: Mapping[str, Any], queue_id: str | None = None) -> View:
        """How a scene would be made here now, finished or not: the plan, or why there is none and what would fit."""
        scene = _sketched(values)
        policy = self._policy(queue_id)
        answer: View = {"engine": None, "plan": None, "refused": None, "next_best": None, "profiles": []}
        if isinstance(scene, Speech):
            return answer
        try:
            choice = self._choice(scene, queue_id)
            answer["engine"] = choice.engine.id
            asked = self._planner.asked(choice.engine, scene, Inputs(duration=getattr(scene, "duration", None)))
        except StudioError as error:
            return {**answer, "refused": error.as_dict()}
        if asked is None:
            return answer
        machine, allowed = self._planner.now(), bool(policy["allow_8bit"])
        answer["profiles"] = [
            self._fit_view(fit, asked) for fit in self._planner.every(asked, machine, allow_8bit=allowed)
        ]
        try:
            plan = self._planner.plan_or_next(asked, machine, scene, allow_8bit=allowed)
        except Refused as refused:
            return {**answer, "refused": refused.as_dict(), "next_best": refused.params.get("next_best")}
        return {**answer, "plan": self.plan_view(plan, asked)}

    def queue(self, queue_id: str) -> View:
        """Each profile for all scenes of a queue: do they fit, the largest peak, the time of all their steps."""
        queue = self._store.queues.get(queue_id)
        machine, ready = self._planner.now(), self._engines.ready()
        rows: dict[str, list[tuple[Fit, Asked]]] = {}
        for row in self._store.queues.scenes(queue_id):
            if asked := self._of_row(row.scene, queue.policy, ready):
                allowed = bool(queue.policy["allow_8bit"])
                for fit in self._planner.every(asked, machine, allow_8bit=allowed):
                    rows.setdefault(fit.profile, []).append((fit, asked))
        return {"profiles": [self._queue_view(name, found) for name, found in rows.items()]}

    def _of_row(self, scene: SceneBase, policy: Mapping[str, Any], ready: Any) -> Asked | None:
        """What the scene's engine is asked for; None where there is no such engine or it needs no plan."""
        if isinstance(scene, Speech):
            return None
        try:
            choice = self._engines.pick_for(scene, policy, ready)
            return self._planner.asked(choice.engine, scene, Inputs(duration=getattr(scene, "duration", None)))
        except StudioError:  # preflight says so
            return None

    # ------------------------------------------------------------------------------------------ as faces see it
    def plan_view(self, plan: Plan, asked: Asked) -> View:
        names = ("profile", "peak_bytes", "ram_bytes", "pinned_bytes", "step_seconds", "resident_blocks")
        return {
            **{name: getattr(plan, name) for name in names},
            "blocks": asked.footprint.network.blocks,
            "steps": asked.shape.steps or asked.footprint.steps,
            "guess": not asked.learnt.time,
        }

    def _fit_view(self, fit: Fit, asked: Asked) -> View:
        plan = fit.plan or Plan()
        return {
            "profile": fit.profile, "ok": fit.plan is not None, "peak_bytes": plan.peak_bytes,
            "ram_bytes": plan.ram_bytes, "step_seconds": plan.step_seconds, "guess": not asked.learnt.time,
            "reason": fit.refused.as_dict() if fit.refused else None,
        }  # fmt: skip

    def _queue_view(self, name: str, found: Iterable[tuple[Fit, Asked]]) -> View:
        found = list(found)
        plans = [(fit.plan, asked) for fit, asked in found if fit.plan]
        refused = next((fit.refused for fit, _ in found if fit.refused), None)
        seconds = sum((_seconds(plan, asked) for plan, asked in plans), Span())
        return {
            "profile": name, "ok": len(plans) == len(found),
            "peak_bytes": max((plan.peak_bytes for plan, _ in plans), default=0),
            "seconds": seconds.as_dict() if plans else None,
            "scenes_that_fit": len(plans), "scenes": len(found),
            "reason": refused.as_dict() if refused else None,
        }  # fmt: skip


def _sketched(values: Mapping[str, Any]) -> SceneBase:
    """Raises Refused naming the field."""
    task = values.get("task_type")
    if not isinstance(task, str) or task not in SCENE_CLASSES:
        raise Refused("task.unknown", task=str(task)[:60], known=", ".join(SCENE_CLASSES))
    known = {name: value for name, value in values.items() if value is not None and value != ""}
    try:
        wish = Wish.model_validate(known)
    except ValidationError as error:
        raise field_error(error, "") from error
    return sketch(task, **{name: getattr(wish, name) for name in Wish.model_fields})


def _seconds(plan: Plan, asked: Asked) -> Span:
    """All steps of a scene."""
    seconds = plan.step_seconds * (asked.shape.steps or asked.footprint.steps)
    low, high = KNOWN if asked.learnt.time else GUESS
    return Span(seconds, seconds * low, seconds * high, guess=not asked.learnt.time)


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
