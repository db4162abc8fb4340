"""Preflight: what will happen when scenes are run, before anybody waits for it. Nothing is written, nothing is loaded.

For each scene: what is wrong (`error`: it cannot run; `warning`: it will, but look; `info`), the engine that will make
it and why, how long that takes and how long the scene becomes. For all: when it is finished, whether that is in time,
the room on the disk, and the three questions that a queue answers once. A stored queue and a file are judged alike.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from studio.domain import Frame, Lane, Line, SceneBase, Speech, slug
from studio.errors import Conflict, Refused, StudioError
from studio.media.files import free_bytes
from studio.pipelines.base import Engine, Inputs, Speaks
from studio.pipelines.base import Plan as MemoryPlan
from studio.runner import Runner
from studio.service.engines import Choice, Engines, bad_options, engine_of_line, voice_problems
from studio.service.estimates import MEGA, Paces, Room, Span
from studio.service.library import Library
from studio.service.planner import Planner
from studio.service.preflight_facts import Facts, Hashes, Stored, facts_of_episode
from studio.service.preflight_report import SPEECH_SECONDS, Plan, Queued, pixels_of, report
from studio.service.preflight_rules import (
    Finding,
    Item,
    Length,
    Said,
    error,
    length_of,
    line_rules,
    most_seconds,
    rules,
    slow,
    with_bad_sources,
    with_circles,
)
from studio.service.splitting import Part, parts_of
from studio.service.spoken import Speaking
from studio.service.stale import Stale
from studio.service.views import View, named
from studio.store import POLICY, Queue, SceneRow, Speakers, Store
from studio.story.episode import Episode, parse
from studio.story.problem import Problem

NAMED = 6  # strangers that are called by their names


@dataclass
class Judged:
    """One scene, judged: what was found, who makes it, and what it takes."""

    item: Item
    choice: Choice | None = None  # of its picture; of its lines, for a scene that is only heard
    voices: Sequence[Choice | None] = ()  # of the lines that must be spoken
    length: Length = field(default_factory=lambda: Length(0.0, 0.0, 0.0))
    said: Said = field(default_factory=Said)
    memory: MemoryPlan | None = None  # None: its engine needs no plan, or there is none
    parts: Sequence[Part] = ()  # the scenes that it is going to be split into


@dataclass(frozen=True, slots=True)
class Gate:
    """What a run may begin with."""

    left_out: set[str]  # scenes that cannot run
    splits: Mapping[str, tuple[Sequence[Part], float]]  # by scene: what it becomes, seconds that each lasts at least


class Preflight:
    def __init__(
        self,
        store: Store,
        runner: Runner,
        library: Library,
        engines: Engines,
        planner: Planner,
        outputs: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`outputs`: whose disk takes are written to. `clock`: now, aware."""
        self._store, self._runner, self._library, self._engines = store, runner, library, engines
        self._planner, self._outputs, self._clock, self._free = planner, outputs, clock, free
        self._hashes, self._stale = Hashes(), Stale(store)

    # ------------------------------------------------------------------------------------------ verbs
    def queue(self, queue_id: str, only: Iterable[str] | None = None) -> View:
        """What a run would do: of everything that is not done or was changed since, or of the scenes of `only`."""
        queue = self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id, only)
        wanted = rows if only is not None else self._stale.unfinished(rows)
        stored = Stored(self._store, self._stale, self._hashes, queue, wanted)
        judged = self._judged(stored.facts(), queue.policy, queue.project_id)
        head = [
            found for found in (stored.music(), _strangers(wanted, self._store.speakers(queue.project_id))) if found
        ]
        plan = Plan(
            policy=queue.policy, frame=queue.frame, starts_at=queue.starts_at, done=len(rows) - len(wanted),
            ahead=self._ahead(queue_id, wanted), findings=head,
        )  # fmt: skip
        return self._report(judged, plan)

    def episode(self, text: bytes | str, *, base: Path | None = None, trusted: bool = False) -> View:
        """The same for an episode file, as it would be imported now into a queue of its own."""
        return self.of_episode(parse(text), base, trusted=trusted)

    def of_episode(self, episode: Episode, base: Path | None, *, trusted: bool) -> View:
        speaking = Speaking(self._store.survey.voices())
        facts = facts_of_episode(episode, self._library, speaking, base, trusted)
        frame = episode.head.frame or Frame()
        judged = self._judged(facts, POLICY, self._store.projects.default())
        return self._report(judged, Plan(policy=POLICY, frame=frame))

    def seconds(self, lines: Iterable[Line]) -> list[View]:
        """How long each line will take to say: [{seconds, low, high}]; 0 where there is nothing to say."""
        speaking = Speaking(self._store.survey.voices())
        return [asdict(speaking.estimate(line)) for line in lines]

    def gate(self, queue: Queue, rows: Sequence[SceneRow], *, override: bool = False, afresh: bool = False) -> Gate:
        """The scenes that cannot run, which whoever overrides leaves out, and those that are too long. `afresh`: every
        line is spoken again. Raises Conflict("preflight.errors") naming the first when nobody overrides."""
        stored = Stored(self._store, self._stale, self._hashes, queue, rows, afresh=afresh)
        judged = self._judged(stored.facts(), queue.policy, queue.project_id)
        bad = [one.item for one in judged.values() if one.item.cannot_run]
        if bad and not override:
            first = next(finding.problem for finding in bad[0].findings if finding.level == "error")
            row = next(row for row in rows if row.id == bad[0].key)
            raise Conflict(
                "preflight.errors", count=len(bad), total=len(rows), scene=named(row), field=first.field,
                why={"code": first.code, "params": dict(first.params)},
                address=f"/api/queues/{queue.id}/preflight",
            )  # fmt: skip
        splits = {
            key: (one.parts, one.choice.engine.limits.seconds[one.item.task][0])
            for key, one in judged.items()
            if one.parts and one.choice and not one.item.cannot_run
        }
        return Gate({item.key for item in bad}, splits)

    # ------------------------------------------------------------------------------------------ judging
    def _judged(self, facts: Facts, policy: Mapping[str, Any], project_id: str) -> dict[str, Judged]:
        speaking = cache(lambda: Speaking(self._store.survey.voices()))
        casting = Casting(self._engines, self._planner, policy, self._store.speakers(project_id), speaking)
        judged = {key: _judge(item, facts.said.get(key, Said()), casting) for key, item in facts.items.items()}
        items = with_circles({key: one.item for key, one in judged.items()}, facts.reads)
        items = with_bad_sources(items, facts.reads, facts.with_take.__contains__)
        for key, item in items.items():
            judged[key].item = item
        return judged

    # ------------------------------------------------------------------------------------------ time and room
    def _ahead(self, queue_id: str, rows: Sequence[SceneRow]) -> dict[Lane, Span]:
        """By lane: what goes before, with the same estimates."""
        paces, ahead = Paces(self._store.survey), dict[Lane, Span]()
        for job in self._store.survey.ahead(queue_id, [row.id for row in rows]):
            task = "speech" if job["layer"] == "voice" else job["task"]
            pixels = 0.0 if job["layer"] == "voice" else pixels_of(job, job["duration"] or SPEECH_SECONDS)
            lane = job["lane"]
            ahead[lane] = ahead.get(lane, Span()) + paces.job(job["engine"], lane, task, pixels / MEGA)
        return ahead

    def _report(self, judged: Mapping[str, Judged], plan: Plan) -> View:
        places = {lane: max(1, len(getattr(self._runner.lanes, lane))) for lane in ("gpu", "cpu", "net")}
        paces, room = Paces(self._store.survey), Room(self._store.survey.sizes())
        queued = [Queued.of(one, plan, paces, room) for one in judged.values()]
        return report(queued, plan, places, self._free(self._outputs), self._clock())


# ------------------------------------------------------------------------------------------------ one scene
class Casting:
    """Who makes what, asked once for each task and wish: availability may look at many files."""

    def __init__(
        self, engines: Engines, planner: Planner, policy: Mapping[str, Any], speakers: Speakers,
        speaking: Callable[[], Speaking],
    ) -> None:  # fmt: skip
        self._engines, self._planner, self.policy, self.speakers = engines, planner, policy, speakers
        self._speaking = speaking
        self._ready, self._machine = engines.ready(), planner.whole()
        self._known: dict[tuple[str, str], Choice | StudioError] = {}
        self._files: dict[tuple[str, str], Sequence[Refused]] = {}

    def wildcards(self, scene: SceneBase) -> Iterable[StudioError]:
        """What keeps the wildcards of a scene from being chosen."""
        return self._engines.wildcard_problems(scene)

    def parts(self, scene: SceneBase, choice: Choice, said: Said, length: Length) -> Sequence[Part]:
        """What a scene becomes that is said longer than its engine can make; empty where it stays one."""
        most = most_seconds(scene, choice)
        if not (
            self.policy["split_long"] and said.draws and said.lines and scene.kind == "video" and length.low > most
        ):
            return ()
        return parts_of(scene.lines, [line.high for line in said.lines], most, self._speaking())

    def files(self, scene: SceneBase, cls: type[Engine]) -> Sequence[Refused]:
        """What is wrong with the weights that a scene names; files that many scenes name are looked at once."""
        said = scene.options.get(cls.id, {})
        if not said or bad_options(cls, scene):
            return ()
        key = cls.id, json.dumps(said, sort_keys=True)
        if key not in self._files:
            self._files[key] = tuple(cls.file_problems(cls.Options.model_validate(said)))
        return self._files[key]

    def memory(
        self, scene: SceneBase, choice: Choice, seconds: float, findings: list[Finding]
    ) -> MemoryPlan | None:  # fmt: skip
        """How the scene will fit, whatever else this computer does now; what there is to say of that is found. Raises
        Refused with the next best size."""
        asked = self._planner.asked(choice.engine, scene, Inputs(duration=seconds or None))
        if asked is None:
            return None
        allowed = bool(self.policy["allow_8bit"])
        plan = self._planner.plan_or_next(asked, self._machine, scene, allow_8bit=allowed)
        steps = asked.shape.steps or asked.footprint.steps
        findings += slow(choice.engine.id, self._machine, plan.step_seconds * steps)
        options = choice.engine.Options.model_validate(scene.options.get(choice.engine.id, {}))
        findings += map(error, choice.engine.file_problems(options, plan))
        return plan

    def of(self, task: str, wish: str) -> Choice | StudioError:
        """The choice, or why there is none."""
        if (task, wish) not in self._known:
            try:
                self._known[task, wish] = self._engines.pick(task, wish, self.policy, self._ready)
            except StudioError as refused:
                refused.params.setdefault("field", "engine")
                self._known[task, wish] = refused
        return self._known[task, wish]


def _strangers(rows: Sequence[SceneRow], speakers: Speakers) -> Finding | None:
    """Who speaks and is not in the cast: nobody said what they sound like."""
    said = [line for row in rows for line in row.scene.lines if line.character and not line.voice]
    names = {slug(line.character): line.character for line in said if slug(line.character) not in speakers.cast}
    if not names:
        return None
    shown = ", ".join(list(names.values())[:NAMED]) + (" …" if len(names) > NAMED else "")
    return Finding("info", Problem("cast", "preflight.speaker_unknown", {"count": len(names), "characters": shown}))


def _judge(item: Item, said: Said, casting: Casting) -> Judged:
    if item.scene is None:
        return Judged(item, said=said)
    scene = item.scene
    findings = [error(problem) for problem in casting.wildcards(scene)]
    picture, memory = casting.of(item.task, scene.engine), None
    parts: Sequence[Part] = ()
    if isinstance(picture, Choice):
        picture = picture.taking(scene)
    voices = [_voice(scene, number, casting, findings) for number in said.afresh] if said.afresh else []
    length = length_of(scene, said)
    if isinstance(picture, Choice):
        parts = casting.parts(scene, picture, said, length)
        allow_8bit = casting.policy["allow_8bit"]
        findings += rules(scene, picture, said, length, allow_8bit, [part.seconds for part in parts])
        findings += map(error, casting.files(scene, picture.engine))
        memory = _memory(scene, picture, length, casting, findings)
    else:
        findings.append(error(picture))
    findings += line_rules(scene, said.afresh, voices)
    known = {(finding.problem.field, finding.problem.code) for finding in item.findings}
    fresh = [one for one in findings if (one.problem.field, one.problem.code) not in known]
    choice = picture if isinstance(picture, Choice) else None
    return Judged(item.found(fresh), choice, voices, length, said, memory, parts)


def _memory(
    scene: SceneBase, choice: Choice, length: Length, casting: Casting, findings: list[Finding]
) -> MemoryPlan | None:
    """How the scene fits; what keeps it from fitting is found. Not asked where it cannot run anyway."""
    if scene.kind == "audio" or any(finding.level == "error" for finding in findings):
        return None
    try:
        plan = casting.memory(scene, choice, min(length.seconds, most_seconds(scene, choice)), findings)
    except Refused as refused:
        findings.append(error(refused))
        return None
    return plan


def _voice(scene: SceneBase, number: int, casting: Casting, findings: list[Finding]) -> Choice | None:
    """Who speaks a line, and what that engine has against the scene's knobs."""
    line = scene.lines[number]
    voice = casting.speakers.voice(line)
    choice = casting.of("speech", engine_of_line(scene, voice))
    if isinstance(choice, StudioError):
        if not isinstance(scene, Speech):  # there the scene's own engine has been found wanting already
            refused = type(choice)(choice.code, **{**choice.params, "field": f"lines.{number}"})
            findings.append(error(refused))
        return None
    choice = choice.taking(Speech(lines=[line]), voice=voice)
    for refused in voice_problems(choice.engine, line, voice, named=choice.engine.id == scene.engine):
        if refused.code != "engine.limit_language":  # said of every line, below
            findings.append(error(type(refused)(refused.code, **{**refused.params, "field": f"lines.{number}"})))
    name = casting.speakers.name(line)
    if name and voice is None and name not in (choice.engine.speaks or Speaks()).presets:
        params = {"voice": name, "character": line.character}
        findings.append(Finding("warning", Problem(f"lines.{number}", "preflight.voice_unknown", params)))
    problem = bad_options(choice.engine, scene) if choice.engine.id in scene.options else None
    if problem and not isinstance(scene, Speech) and number == 0:
        findings.append(error(problem))
    return choice
