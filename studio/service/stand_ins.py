"""Who takes over where an engine failed: the next choice of `auto`, as if those that failed were not there. Asked by
the runner; knows no worker."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from studio.domain import Job, Lane, SceneBase, Speech, Voice
from studio.errors import StudioError
from studio.pipelines import engine_class
from studio.pipelines.base import Availability
from studio.service.engines import Engines, Readiness, engine_of_line
from studio.store import SceneRow, Store

log = logging.getLogger(__name__)


class StandIns:
    def __init__(self, store: Store, engines: Engines) -> None:
        self._store, self._engines = store, engines

    def next_engine(self, job: Job, failed: Collection[str]) -> tuple[str, Lane] | None:
        """The engine after those that failed, and its lane. None: the scene names one of them, or nobody is left that
        the queue allows. It never costs money, and is a draft only where the queue says `draft_on_failure`."""
        try:
            row, queue = self._store.queues.scene(job.scene_id), self._store.queues.get(job.queue_id)
            scene, voice = self._asked(row, job, queue.project_id)
        except StudioError as error:  # deleted meanwhile
            log.info("nobody stands in: %s", error)
            return None
        if scene is None:
            return None
        ready = self._engines.ready()
        for drafts in (False, True) if queue.policy["draft_on_failure"] else (False,):
            left = _without(ready, failed, drafts)
            policy = {**queue.policy, "allow_paid": False, "allow_draft": drafts}
            if found := self._first(scene, policy, left, voice):
                return found
        return None

    def _first(
        self, scene: SceneBase, policy: Mapping[str, Any], left: Readiness, voice: Voice | None
    ) -> tuple[str, Lane] | None:
        try:
            return self._engines.choose(scene, policy, left, {}, voice)
        except StudioError as error:
            log.info("nobody stands in: %s", error)
            return None

    def _asked(self, row: SceneRow, job: Job, project_id: str) -> tuple[SceneBase | None, Voice | None]:
        """What its engine was asked for, as it is written now, and the voice that says it."""
        if job.layer == "picture":
            return row.scene, None
        line = next((line for line in row.scene.lines if line.id == job.line_id), None)
        if line is None:
            return None, None
        voice = self._store.speakers(project_id).voice(line)
        return Speech(lines=[line], engine=engine_of_line(row.scene, voice), options=row.scene.options), voice


def _without(ready: Readiness, failed: Collection[str], drafts: bool) -> Readiness:
    """As if those that failed were not here; of the others the drafts, or all but those."""
    return {
        name: Availability("unfit") if name in failed or engine_class(name).draft is not drafts else found
        for name, found in ready.items()
    }
