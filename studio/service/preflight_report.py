"""Preflight's answer: scene by scene what was found and what it takes, and for all of them time, room and questions.

Sums only: what is wrong was decided in preflight_rules. Plain dicts, in no language.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from studio.domain import Frame, Lane
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Plan as MemoryPlan
from studio.service.engines import Choice
from studio.service.estimates import MEGA, RESERVE, Paces, Room, Span, next_time
from studio.service.planner import sketch
from studio.service.preflight_rules import Finding, Item, Length
from studio.service.rendered import rendered
from studio.service.views import View, title_of
from studio.story.problem import Problem

if TYPE_CHECKING:
    from studio.service.preflight import Judged

SPEECH_SECONDS = 5.0  # of a scene that is as long as what is said in it, before that is known
REFUSALS = {"engine.only_draft": "allow_draft", "engine.costs_money": "allow_paid", "preflight.eight_bit": "allow_8bit"}


@dataclass(frozen=True)
class Plan:
    """What the queue says about its run."""

    policy: Mapping[str, Any]
    frame: Frame | None = None
    starts_at: str | None = None  # ISO 8601
    done: int = 0  # scenes that are not looked at because they are made
    ahead: Mapping[Lane, Span] = field(default_factory=dict)  # work that goes before, by lane
    findings: Sequence[Finding] = ()  # about the queue as a whole


@dataclass(frozen=True, slots=True)
class Queued:
    """One scene and what its jobs take."""

    item: Item
    choice: Choice | None
    voices: Sequence[Choice]
    length: Length
    lanes: Mapping[Lane, Span]
    bytes: float
    guessed: bool  # the bytes are
    memory: MemoryPlan | None = None

    @classmethod
    def of(cls, one: "Judged", plan: Plan, paces: Paces, room: Room) -> "Queued":
        lanes: dict[Lane, Span] = {}
        size, guessed = 0.0, False
        voices = [choice for choice in one.voices if choice]
        for choice, number in zip(one.voices, one.said.afresh, strict=True):
            if choice:
                lane = choice.engine.lane
                lanes[lane] = lanes.get(lane, Span()) + paces.job(choice.engine.id, lane, "speech", 0.0)
                more, guess = room.take(choice.engine.id, "audio", (0, 0), one.said.lines[number].seconds, 0.0)
                size, guessed = size + more, guessed or guess
        scene, choice = one.item.scene, one.choice
        if scene and choice and scene.kind != "audio" and one.said.draws:
            lane, seconds = choice.engine.lane, one.length.seconds or SPEECH_SECONDS
            made = rendered(choice.engine, scene, seconds, plan.frame)
            pixels = made.pixels / MEGA
            lanes[lane] = lanes.get(lane, Span()) + paces.job(choice.engine.id, lane, one.item.task, pixels)
            more, guess = room.take(
                choice.engine.id, scene.kind, (made.width, made.height), one.length.seconds, made.fps
            )  # fmt: skip
            size, guessed = size + more, guessed or guess
        return cls(one.item, choice, voices, one.length, lanes, size, guessed, one.memory)

    @property
    def seconds(self) -> Span:
        return sum(self.lanes.values(), Span())

    def asks(self, policy_field: str) -> bool:
        """Does this scene hang on an answer: is an engine used that needs it, or was one refused for want of it?"""
        if any(REFUSALS.get(finding.problem.code) == policy_field for finding in self.item.findings):
            return True
        made = [choice for choice in (self.choice, *self.voices) if choice]
        if policy_field == "allow_draft":
            return any(choice.why == "stand_in" for choice in made)
        if policy_field == "allow_paid":
            return any(choice.engine.costs_money for choice in made)
        scene = self.item.scene
        return scene is not None and scene.profile == "stream8" and any(c.engine.lane == "gpu" for c in made)

    def view(self) -> View:
        scene, length = self.item.scene, self.length
        said = " ".join(line.text for line in scene.lines) if scene else ""
        return {
            "id": self.item.key,
            "number": self.item.number,
            "title": title_of(self.item.label, (scene.prompt or said) if scene else ""),
            "task_type": self.item.task,
            "state": self.item.state,
            "engine": self.choice.engine.id if self.choice else scene.engine if scene else "",
            "why": why(self.choice),
            "level": level_of(self.item.findings),
            "seconds": self.seconds.as_dict(),
            "duration": round(length.seconds, 2),
            "wished": length.wished,
            "exact": length.exact,
            "problems": [problem_view(finding) for finding in self.item.findings],
            "plan": plan_view(self.memory) if self.memory else None,
        }


def plan_view(plan: MemoryPlan) -> View:
    """How a scene gets by with the memory there is."""
    names = ("profile", "peak_bytes", "ram_bytes", "step_seconds", "resident_blocks")
    return {name: getattr(plan, name) for name in names}


def pixels_of(job: Mapping[str, Any], seconds: float) -> float:
    """Of all frames of a queued picture that lasts so long, by what its scene asks for and its engine makes."""
    cls = engine_class(job["engine"]) if job["engine"] in ENGINES else None
    scene = sketch(job["task"], resolution=job["resolution"] or "720P", aspect=job["aspect"] or "16:9")
    frame = Frame.model_validate_json(job["frame"]) if job["frame"] else None
    return rendered(cls, scene, seconds, frame).pixels


def why(choice: Choice | None) -> View:
    """A word for why this engine, and the real ones that were passed over."""
    if choice is None:
        return {"id": "none", "passed": []}
    paid = choice.why == "ready" and choice.engine.costs_money
    return {"id": "paid" if paid else choice.why, "passed": list(choice.passed)}


def level_of(findings: Iterable[Finding]) -> str:
    levels = {finding.level for finding in findings}
    return next((level for level in ("error", "warning") if level in levels), "ok")


def problem_view(finding: Finding) -> View:
    problem = finding.problem
    return {"level": finding.level, "field": problem.field, "code": problem.code, "params": dict(problem.params)}


# ------------------------------------------------------------------------------------------------ all of them
def report(queued: Sequence[Queued], plan: Plan, places: Mapping[str, int], free: int, now: datetime) -> View:
    """`places`: how many jobs a lane runs at once. `free`: bytes on the disk of the outputs."""
    runs = [one for one in queued if not one.item.cannot_run]
    levels = [level_of(one.item.findings) for one in queued]
    disk, disk_findings = _disk(runs, free)
    time = _time(runs, plan, places, now)
    findings = [*plan.findings, *disk_findings]
    if time["ready_by_ok"] is False:
        params = {"ready_by": plan.policy["ready_by"], "finish": time["finish_at"][11:16]}
        findings.append(Finding("warning", Problem("ready_by", "preflight.late", params)))
    errors = levels.count("error")
    return {
        "ok": not errors and level_of(findings) != "error",
        "clean": not errors and not levels.count("warning") and level_of(findings) == "ok",
        "counts": {
            "total": len(queued), "ok": levels.count("ok"), "warnings": levels.count("warning"), "errors": errors,
            "done": plan.done,
        },
        "problems": [problem_view(finding) for finding in findings],
        "time": time,
        "disk": disk,
        "asks": _asks(queued, plan.policy),
        "scenes": [one.view() for one in queued],
    }  # fmt: skip


def _asks(queued: Sequence[Queued], policy: Mapping[str, Any]) -> View:
    """The three questions: the answer as it is, and how many scenes hang on it."""
    names = ("allow_draft", "allow_8bit", "allow_paid")
    asks: View = {name: {"value": policy[name], "scenes": sum(one.asks(name) for one in queued)} for name in names}
    return {**asks, "asked": policy["asked"], "open": not policy["asked"] and any(asks[n]["scenes"] for n in names)}


def _disk(runs: Sequence[Queued], free: int) -> tuple[View, list[Finding]]:
    """Room for the takes; the reserve is the film, about as large again, and what stays free."""
    needed = round(sum(one.bytes for one in runs))
    reserve = needed + RESERVE
    found = []
    if free < needed + reserve:
        params = {"needed": _gigabytes(needed), "reserve": _gigabytes(reserve), "free": _gigabytes(free)}
        found.append(Finding("error" if free < needed else "warning", Problem("", "preflight.disk", params)))
    guess = any(one.guessed for one in runs)
    return {"needed": needed, "reserve": reserve, "free": free, "ok": not found, "guess": guess}, found


def _gigabytes(size: float) -> float:
    return round(size / 1e9, 1)


def _time(runs: Sequence[Queued], plan: Plan, places: Mapping[str, int], now: datetime) -> View:
    """Each lane works through its jobs one after the other, the lanes side by side. What goes before is done first;
    a start time holds back only this queue."""
    lanes: dict[Lane, Span] = {}
    for one in runs:
        for lane, span in one.lanes.items():
            lanes[lane] = lanes.get(lane, Span()) + span
    lanes = {lane: span.times(1 / places[lane]) for lane, span in lanes.items()}
    starts = datetime.fromisoformat(plan.starts_at) if plan.starts_at else now
    total, ahead, ends = Span(), Span(), (starts, starts)
    for lane, span in lanes.items():
        before = plan.ahead.get(lane, Span()).times(1 / places[lane])
        total, ahead = _longer(total, span), _longer(ahead, before)
        likely = max(now + timedelta(seconds=before.median), starts) + timedelta(seconds=span.median)
        latest = max(now + timedelta(seconds=before.high), starts) + timedelta(seconds=span.high)
        ends = max(ends[0], likely), max(ends[1], latest)
    ready_by = plan.policy["ready_by"]
    due = next_time(ready_by, max(now, starts)) if ready_by else None
    return {
        "seconds": total.as_dict(),
        "ahead": ahead.as_dict(),
        "lanes": {lane: span.as_dict() for lane, span in lanes.items()},
        "starts_at": _local(starts) if plan.starts_at else None,
        "finish_at": _local(ends[0]),
        "finish_latest": _local(ends[1]),
        "ready_by": ready_by,
        "due": _local(due) if due else None,
        "ready_by_ok": ends[0] <= due if due else None,
        "ready_by_sure": ends[1] <= due if due else None,
    }


def _longer(one: Span, other: Span) -> Span:
    """Side by side: what is longer counts, and a guess anywhere makes it one."""
    return Span(
        max(one.median, other.median), max(one.low, other.low), max(one.high, other.high), one.guess or other.guess
    )


def _local(at: datetime) -> str:
    """ISO 8601 on this computer's clock."""
    return at.astimezone().isoformat(timespec="seconds")
