"""Which engine does what, and which one will do this scene. Data only: no engine is loaded here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from studio.domain import ImageToVideo, Lane, Line, SceneBase, Speech, TalkingAvatar, Voice
from studio.errors import Refused, StudioError
from studio.pipelines import ENGINES, engine_class, engines_for
from studio.pipelines.base import Availability, Engine, Machine
from studio.pipelines.parts import one_look
from studio.runner.assign import WILD
from studio.service.spoken import language_of
from studio.service.views import View
from studio.story.episode import problems_of
from studio.story.wildcards import Wildcards

if TYPE_CHECKING:
    from studio.service.planner import Planner

MISSING = frozenset({"avatar.silent", "engine.needs_references", "engine.limit_prefix"})  # of a scene in the making

Readiness = Mapping[str, Availability]
"""By engine id."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who will do it, and why: the scene names it, it is ready, or nothing real is and a draft stands in."""

    engine: type[Engine]
    why: Literal["named", "ready", "stand_in"]
    passed: tuple[str, ...] = ()  # real engines that can do it but are not ready, or cost money and may not
    others: tuple[type[Engine], ...] = ()  # that are ready too, the next best first

    def taking(self, scene: SceneBase, *, unfinished: bool = False, voice: Voice | None = None) -> "Choice":
        """For one scene: the best of them that can take it as it is written; where none can, the best says why.
        `unfinished`: what is not there yet may still come. `voice`: that speaks a line."""
        if not self.others:
            return self
        later = MISSING if unfinished else frozenset()
        for cls in _speaking_first((self.engine, *self.others), scene, voice):
            if all(problem.code in later for problem in limit_problems(cls, scene, voice)):
                return replace(self, engine=cls, why="stand_in" if cls.draft else self.why)
        return self


def _speaking_first(
    engines: Sequence[type[Engine]], scene: SceneBase, voice: Voice | None
) -> Sequence[type[Engine]]:  # fmt: skip
    """Of speech: those that speak the line's language before those that do not; else, or while nothing is said yet, as
    they stand."""
    if not isinstance(scene, Speech) or not scene.lines:
        return engines
    language = language_of(scene.lines[0], voice.language if voice else None)
    return sorted(engines, key=lambda cls: language not in cls.limits.languages)


Picks = dict[tuple[str, str], Choice]
"""Who does a task, by task and wish, as far as was asked under one policy and readiness."""


class Engines:
    def __init__(self, planner: "Planner", wildcards: Wildcards) -> None:
        self._planner, self._wildcards = planner, wildcards

    def list(self) -> list[View]:
        """Every engine that makes scenes, with its limits, knobs and whether it is ready on this machine."""
        engines = [cls for cls in map(engine_class, ENGINES) if cls.tasks]
        with one_look():
            ready = self.ready()
            order = [cls.id for cls in self._best_first(engines)]
        return [self._view(cls, ready[cls.id], order.index(cls.id)) for cls in engines]

    def _view(self, cls: type[Engine], availability: Availability, rank: int) -> View:
        """`rank`: "auto" takes the least of those that are ready, that are no drafts and that may be used."""
        return {
            "id": cls.id,
            "rank": rank,
            "tasks": sorted(cls.tasks),
            "lane": cls.lane,
            "draft": cls.draft,
            "costs_money": cls.costs_money,
            "stops_early": cls.stops_early,
            "limits": {
                "resolutions": cls.limits.resolutions,
                "seconds": {task: list(span) for task, span in cls.limits.seconds.items()},
                "references": list(cls.limits.references),
                "languages": cls.limits.languages,
                "fps": cls.limits.fps,
                "frame_step": cls.limits.frame_step,
                "audio": list(cls.limits.audio),
                "end_image": cls.limits.end_image,
                "speakers": cls.limits.speakers,
                "avatar_video": cls.limits.avatar_video,
                "prefixes": cls.limits.prefixes,
            },
            "speaks": asdict(cls.speaks) if cls.speaks else None,
            "options": cls.Options.model_json_schema(),
            "availability": {
                "state": availability.state,
                "reason": availability.reason,
                "params": dict(availability.params),
                "bytes": availability.bytes,
                "licence": availability.licence,
            },
        }

    def ready(self) -> Readiness:
        """What each engine says of this machine now. Whoever asks for many scenes asks once."""
        machine = self._planner.whole()
        with one_look():
            return {engine_id: self._availability(engine_class(engine_id), machine) for engine_id in ENGINES}

    def _availability(self, cls: type[Engine], machine: Machine) -> Availability:
        """What the engine says of this machine; one that is here but fits in no profile says why."""
        try:
            found = cls().availability(machine)
            fit = self._planner.fit(cls, machine) if found.state == "ready" else None
        except StudioError as error:  # a list of folders that was broken by hand must not keep the others from work
            return Availability("unfit", error.code, error.params)
        if fit is not None and fit.refused is not None:
            return Availability("unfit", fit.refused.code, fit.refused.params)
        return found

    def pick(self, task: str, named: str, policy: Mapping[str, Any], ready: Readiness | None = None) -> Choice:
        """Who does a task: the engine that is named, or for "auto" the one that suits this machine best of those that
        are ready and that the queue's policy allows; a drawn draft only where no real engine is ready. Raises Refused
        naming scene field and cure."""
        ready = self.ready() if ready is None else ready
        if named != "auto":
            return _named(engine_class(named), task, policy, ready)
        able = list(engines_for(task))
        allowed = [
            cls for cls in able if ready[cls.id].state == "ready" and (policy["allow_paid"] or not cls.costs_money)
        ]
        real = self._best_first([cls for cls in allowed if not cls.draft])
        drafts = [cls for cls in allowed if cls.draft]
        passed = tuple(cls.id for cls in able if not cls.draft and cls not in allowed)
        if real:
            # a voice that no real engine has is drafted; a picture is not
            behind = drafts if task == "speech" and policy["allow_draft"] else []
            return Choice(real[0], "ready", passed, (*real[1:], *behind))
        if drafts and not policy["allow_draft"]:
            raise Refused("engine.only_draft", field="engine", task=task)
        if not drafts:
            paid = [cls.id for cls in able if ready[cls.id].state == "ready" and cls.costs_money]
            if paid:
                raise Refused("engine.costs_money", field="engine", engine=paid[0])
            raise Refused("engine.none", field="engine", task=task)
        return Choice(drafts[0], "stand_in", passed)

    def _best_first(self, engines: Sequence[type[Engine]]) -> Sequence[type[Engine]]:
        """Those that cost money come last; of equals the one that stands first in ENGINES."""
        if len(engines) < 2:
            return engines
        machine = self._planner.whole()
        return sorted(engines, key=lambda cls: (cls.costs_money, self._planner.rank(cls, machine)))

    def pick_for(
        self, scene: SceneBase, policy: Mapping[str, Any], ready: Readiness | None = None, *, unfinished: bool = False
    ) -> Choice:
        """Who makes a scene. Raises Refused as `pick` does; what the engine has against the scene is not asked here."""
        task: str = scene.task_type  # type: ignore[attr-defined]
        return self.pick(task, scene.engine, policy, ready).taking(scene, unfinished=unfinished)

    def choose(
        self, scene: SceneBase, policy: Mapping[str, Any], ready: Readiness | None = None, known: Picks | None = None,
        voice: Voice | None = None,
    ) -> tuple[str, Lane]:  # fmt: skip
        """The engine for a scene, which it can take as it is; `voice`: that speaks its line. Whoever asks for many
        scenes gives the same `known` each time. Raises Refused naming scene field and cure."""
        known = {} if known is None else known
        asked = scene.task_type, scene.engine  # type: ignore[attr-defined]
        if asked not in known:
            known[asked] = self.pick(*asked, policy, ready)
        choice = known[asked].taking(scene, voice=voice)
        for problem in (*self.wildcard_problems(scene), *limit_problems(choice.engine, scene, voice)):
            raise problem
        return choice.engine.id, choice.engine.lane

    def wildcards(self) -> Sequence[str]:
        """The wildcard files there are."""
        return self._wildcards.names()

    def wildcard_problems(self, scene: SceneBase) -> Iterator[StudioError]:
        """What keeps the wildcards of a scene from being chosen, whatever its seed."""
        for field in WILD:
            try:
                self._wildcards.check(getattr(scene, field))
            except StudioError as error:
                error.params["field"] = field
                yield error


def _named(cls: type[Engine], task: str, policy: Mapping[str, Any], ready: Readiness) -> Choice:
    if task not in cls.tasks:
        raise Refused("engine.wrong_task", field="engine", engine=cls.id, task=task)
    found = ready[cls.id]
    if found.state == "needs_download":
        raise Refused(
            found.reason or "engine.needs_download", field="engine", engine=cls.id,
            gigabytes=round(found.bytes / 1e9, 1), licence=found.licence, **found.params,
        )  # fmt: skip
    if found.state != "ready" and found.reason:
        why = {"code": found.reason, "params": dict(found.params)}
        raise Refused("engine.unfit", field="engine", engine=cls.id, why=why)
    if found.state != "ready":
        raise Refused("engine.not_ready", field="engine", engine=cls.id)
    if cls.costs_money and not policy["allow_paid"]:
        raise Refused("engine.costs_money", field="engine", engine=cls.id)
    return Choice(cls, "named")


def engine_of_line(scene: SceneBase, voice: Voice | None) -> str:
    """That a line of a scene asks for: a speech scene's own, where it names one, or its voice's, or "auto"."""
    named = scene.engine if scene.kind == "audio" else "auto"
    return voice.engine if named == "auto" and voice else named


# ------------------------------------------------------------------------------------------------ rules of an engine
def limit_problems(cls: type[Engine], scene: SceneBase, voice: Voice | None = None) -> Iterator[Refused]:
    """Everything that keeps an engine from taking a scene as it is written, each naming its field. `voice`: that speaks
    its line."""
    limits, task = cls.limits, scene.task_type  # type: ignore[attr-defined]
    if scene.resolution not in limits.resolutions:
        yield Refused(
            "engine.limit_resolution", field="resolution", engine=cls.id, value=scene.resolution,
            known=", ".join(limits.resolutions),
        )  # fmt: skip
    seconds, span = getattr(scene, "duration", None), limits.seconds.get(task)
    if seconds is not None and span and not span[0] <= seconds <= span[1]:
        yield Refused(
            "engine.limit_seconds", field="duration", engine=cls.id, value=seconds, least=span[0], most=span[1]
        )
    references = len(getattr(scene, "ref_imgs", []))
    if references > limits.references[1]:
        yield Refused(
            "engine.limit_references", field="ref_imgs", engine=cls.id, value=references, most=limits.references[1]
        )
    if task == "reference_to_video" and references < limits.references[0]:
        yield Refused(
            "engine.needs_references", field="ref_imgs", engine=cls.id, value=references, least=limits.references[0]
        )
    if isinstance(scene, ImageToVideo) and scene.end_image and not limits.end_image:
        yield Refused("engine.no_end_image", field="end_image", engine=cls.id)
    if isinstance(scene, TalkingAvatar):
        yield from _avatar_problems(cls, scene)
    if task == "shot_switching_extension" and not scene.prompt.startswith(limits.prefixes):
        yield Refused("engine.limit_prefix", field="prompt", engine=cls.id, known=", ".join(limits.prefixes))
    if task == "speech" and scene.lines:
        yield from voice_problems(cls, scene.lines[0], voice, named=scene.engine == cls.id)
    if problem := bad_options(cls, scene):
        yield problem


def voice_problems(
    cls: type[Engine], line: Line, voice: Voice | None, *, named: bool = False
) -> Iterator[Refused]:  # fmt: skip
    """What keeps an engine from saying a line with a voice. `named`: the scene asks for this engine; a recording may
    then be spoken by another than the voice's own, to compare them."""
    speaks = cls.speaks
    if speaks is None:  # it says nothing of voices, so nothing is asked
        return
    if line.language and line.language not in cls.limits.languages:
        known = ", ".join(cls.limits.languages)
        yield Refused("engine.limit_language", field="lines", engine=cls.id, language=line.language, known=known)
    if voice is not None and voice.engine not in ("auto", cls.id) and not (named and voice.sample):
        yield Refused("voice.other_engine", field="lines", engine=cls.id, voice=voice.name, wanted=voice.engine)
    if voice is not None and not cls.draft and (wrong := _wrong_knob(cls, voice.settings.get(cls.id, {}))):
        option, why = wrong
        yield Refused("voice.settings", field="lines", engine=cls.id, voice=voice.name, option=option, why=why)
    if voice is None or not voice.sample:
        if speaks.needs_sample:
            yield Refused("voice.needs_sample", field="lines", engine=cls.id, voice=voice.name if voice else "")
        if voice and voice.preset and voice.preset not in speaks.presets:
            yield Refused("voice.no_preset", field="lines", engine=cls.id, voice=voice.name, preset=voice.preset)
        return
    if not speaks.clones and not cls.draft:
        yield Refused("voice.cannot_clone", field="lines", engine=cls.id, voice=voice.name)
    if speaks.needs_transcript and not voice.transcript:
        yield Refused("voice.needs_transcript", field="lines", engine=cls.id, voice=voice.name)


def _avatar_problems(cls: type[Engine], scene: TalkingAvatar) -> Iterator[Refused]:
    limits, people = cls.limits, {line.character for line in scene.lines}
    recorded = bool(scene.input_audio) + bool(scene.input_audio_2)
    field, speakers = ("input_audio_2", recorded) if recorded else ("lines", len(people))
    if not (speakers or scene.duration):
        yield Refused("avatar.silent", field="input_audio")
    if speakers > limits.speakers:
        yield Refused("engine.limit_speakers", field=field, engine=cls.id, value=speakers, most=limits.speakers)
    if scene.speaker_boxes and len(scene.speaker_boxes) != max(1, speakers):
        count = len(scene.speaker_boxes)
        yield Refused("avatar.boxes_count", field="speaker_boxes", boxes=count, count=max(1, speakers))
    if scene.input_video and not limits.avatar_video:
        yield Refused("engine.no_avatar_video", field="input_video", engine=cls.id)


def bad_options(cls: type[Engine], scene: SceneBase) -> Refused | None:
    """The first of an engine's knobs that a scene sets to what the engine does not know."""
    if wrong := _wrong_knob(cls, scene.options.get(cls.id, {})):
        option, why = wrong
        return Refused("engine.options", field=f"options.{cls.id}.{option}", engine=cls.id, why=why)
    return None


def _wrong_knob(cls: type[Engine], knobs: Mapping[str, Any]) -> tuple[str, View] | None:
    """(its name, what is wrong with it) of the first that the engine does not know or that is not what it takes."""
    try:
        cls.Options.model_validate(knobs)
    except ValidationError as error:
        first = problems_of(error)[0]
        return first.field, {"code": first.code, "params": first.params}
    return None
