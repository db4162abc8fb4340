"""What clients of other studios send and ask for, in our words. The routes of api/compat are its only callers."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from studio.errors import Refused
from studio.service.episodes import Episodes
from studio.service.library import asset_view
from studio.service.runs import Runs
from studio.service.views import View
from studio.store import Store
from studio.story.episode import parse

SIGN = {"nq_id": ""}  # what only their jobs carry: the file is read in their dialect


class Peers:
    def __init__(self, store: Store, episodes: Episodes, runs: Runs) -> None:
        self._store, self._episodes, self._runs = store, episodes, runs

    # ------------------------------------------------------------------------------------------ jobs
    def read(self, job: Mapping[str, Any]) -> View:
        """One job in the fields of our scene, its references as they were. Raises Refused naming the field. A picture
        that is only described is nobody's yet: a whole file may ask for it, one job is one scene."""
        if not isinstance(job, Mapping):
            raise Refused("scene.not_an_object")
        entry = parse(json.dumps([{**job, **SIGN, "image_prompt": ""}])).entries[0]
        if entry.scene is None or entry.problems:
            first = entry.problems[0]
            raise Refused(
                "scene.field", scene=entry.label, field=first.field, why={"code": first.code, "params": first.params}
            )
        return entry.scene.model_dump(mode="json")

    def import_jobs(self, jobs: Sequence[Any], name: str) -> View:
        """A new queue of these jobs. Raises Refused("episode.problems")."""
        marked = [{**job, **SIGN} if isinstance(job, Mapping) else job for job in jobs]
        made: View = self._episodes.import_file(json.dumps(marked), name=name)["queue"]
        return made

    def inbox(self) -> str:
        """The id of the queue of one-shot scenes."""
        return self._store.queues.inbox()

    def add_to_inbox(self, text: bytes) -> int:
        """Every scene of a file goes to the Inbox and is run; how many. Raises Refused("episode.problems")."""
        inbox = self.inbox()
        ids = self._episodes.append(inbox, text)
        self._runs.run(inbox, only=ids)
        return len(ids)

    # ------------------------------------------------------------------------------------------ what they show
    def still(self) -> AbstractContextManager[object]:
        """Inside, nobody changes a queue: what is read in several steps belongs together."""
        return self._store.together()

    def times(self, queue_id: str) -> dict[str, View]:
        """By scene: when it was written, begun and finished last (ISO 8601, UTC, or None)."""
        return {
            row["id"]: {name: row[name] for name in ("created_at", "started_at", "finished_at")}
            for row in self._store.history.times(queue_id)
        }

    def minutes(self, queue_id: str) -> View:
        """{all, left} by this machine's history; None where it has none."""
        whole = left = 0.0
        for row in self._store.history.work(queue_id):
            pace = self._store.jobs.seconds_per_job(row["engine"], row["task"])
            if pace is None:
                return {"all": None, "left": None}
            whole += pace * row["jobs"]
            left += pace * row["left"]
        return {"all": round(whole / 60, 1), "left": round(left / 60, 1)}

    def uploads(self, limit: int) -> list[View]:
        """Pictures, videos and sounds that were brought in, newest first."""
        return [asset_view(asset) for asset in self._store.takes.assets(limit)]
