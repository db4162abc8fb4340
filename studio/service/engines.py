"""Which engine does what, and which one will do this scene. Data only: no engine is loaded here."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from studio.domain import Lane, SceneBase, TalkingAvatar
from studio.errors import Refused
from studio.pipelines import ENGINES, engine_class, engines_for
from studio.pipelines.base import Engine, Machine
from studio.service.views import View
from studio.story.episode import problems_of


class Engines:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def list(self) -> list[View]:
        """Every engine with its limits, knobs and whether it is ready on this machine."""
        return [self._view(engine_class(engine_id)) for engine_id in ENGINES]

    def _view(self, cls: type[Engine]) -> View:
        availability = cls().availability(self._machine)
        return {
            "id": cls.id,
            "tasks": sorted(cls.tasks),
            "lane": cls.lane,
            "draft": cls.draft,
            "costs_money": cls.costs_money,
            "limits": {
                "resolutions": cls.limits.resolutions,
                "seconds": {task: list(span) for task, span in cls.limits.seconds.items()},
                "references": list(cls.limits.references),
                "languages": cls.limits.languages,
                "fps": cls.limits.fps,
            },
            "options": cls.Options.model_json_schema(),
            "availability": {
                "state": availability.state,
                "reason": availability.reason,
                "params": dict(availability.params),
                "bytes": availability.bytes,
                "licence": availability.licence,
            },
        }

    def choose(self, scene: SceneBase, policy: Mapping[str, Any]) -> tuple[str, Lane]:
        """The engine for a scene: the one it names, or the first ready one that the queue's policy allows; a drawn
        draft only where no real engine is ready. Raises Refused naming scene field and cure."""
        task = scene.task_type  # type: ignore[attr-defined]
        if scene.engine != "auto":
            cls = engine_class(scene.engine)
            if task not in cls.tasks:
                raise Refused("engine.wrong_task", field="engine", engine=cls.id, task=task)
            if cls().availability(self._machine).state != "ready":
                raise Refused("engine.not_ready", field="engine", engine=cls.id)
            return self._checked(cls, scene)
        ready = [cls for cls in engines_for(task) if cls().availability(self._machine).state == "ready"]
        allowed = [cls for cls in ready if policy["allow_paid"] or not cls.costs_money]
        allowed.sort(key=lambda cls: (cls.draft, cls.costs_money))
        if not allowed:
            raise Refused("engine.none", field="engine", task=task)
        return self._checked(allowed[0], scene)

    def _checked(self, cls: type[Engine], scene: SceneBase) -> tuple[str, Lane]:
        if isinstance(scene, TalkingAvatar) and not (scene.lines or scene.input_audio or scene.duration):
            raise Refused("avatar.silent", field="input_audio")
        check_limits(cls, scene)
        try:
            cls.Options.model_validate(scene.options.get(cls.id, {}))
        except ValidationError as error:
            first = problems_of(error)[0]
            raise Refused(
                "engine.options", field=f"options.{cls.id}.{first.field}", engine=cls.id,
                why={"code": first.code, "params": first.params},
            ) from error  # fmt: skip
        return cls.id, cls.lane


def check_limits(cls: type[Engine], scene: SceneBase) -> None:
    """Raises Refused("engine.limit_…") when the engine cannot take the scene as it is."""
    task = scene.task_type  # type: ignore[attr-defined]
    if scene.resolution not in cls.limits.resolutions:
        raise Refused(
            "engine.limit_resolution", field="resolution", engine=cls.id, value=scene.resolution,
            known=", ".join(cls.limits.resolutions),
        )  # fmt: skip
    seconds, span = getattr(scene, "duration", None), cls.limits.seconds.get(task)
    if seconds is not None and span and not span[0] <= seconds <= span[1]:
        raise Refused(
            "engine.limit_seconds", field="duration", engine=cls.id, value=seconds, least=span[0], most=span[1]
        )
    references = len(getattr(scene, "ref_imgs", []))
    if references > cls.limits.references[1]:
        raise Refused(
            "engine.limit_references", field="ref_imgs", engine=cls.id, value=references, most=cls.limits.references[1]
        )
