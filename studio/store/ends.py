"""The end of a job, under the fence of its attempt number: done, failed, cancelled, put back.

Every write of a worker carries `where id = ? and attempt = ? and state = 'running'`: a worker that was given up on and
comes back finds nothing to write to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio import faults
from studio.domain import JSON, Job, Kind, Lane, State, new_id
from studio.store import fingerprint
from studio.store.changes import Changes
from studio.store.database import Connection, now
from studio.store.queues import RERANK, tell_readers
from studio.store.runs import Runs
from studio.store.standing import Standing

MAX_CRASHES = 3


@dataclass(frozen=True, slots=True)
class NewTake:
    """What the runner knows of a finished file."""

    kind: Kind
    root: str
    path: str
    profile: str
    seed: int
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float
    bytes: int
    facts: Mapping[str, JSON]
    settings: Mapping[str, JSON]
    draft: bool
    seconds: float = 0.0  # of work, for the timings; 0: unknown


class Ends:
    def __init__(self, connection: Connection, changes: Changes, runs: Runs, standing: Standing) -> None:
        self._c, self._changes, self._runs, self._standing = connection, changes, runs, standing

    def keep(self, job: Job, key: str, value: JSON) -> bool:
        """What the next attempt may go on from. False: this attempt is no longer the one that counts."""
        with self._c.write():
            fence = [job.id, job.attempt]
            kept = self._c.value("select kept from jobs where id = ? and attempt = ? and state = 'running'", fence)
            if kept is None:
                return False
            self._c.execute(
                "update jobs set kept = ? where id = ?", [json.dumps({**json.loads(kept), key: value}), job.id]
            )
        return True

    def finish(self, job: Job, take: NewTake) -> str | None:
        """The take and the end of its job, in one transaction. None when the fence refuses it."""
        with self._c.write():
            if not self._end(job, State.DONE):
                return None
            take_id = self._insert_take(job, take)
            faults.point("store.take_in_transaction")
            self._standing.settle([job.scene_id])
        faults.point("store.take_committed")
        return take_id

    def _insert_take(self, job: Job, take: NewTake) -> str:
        take_id = new_id()
        same = "scene_id = ? and layer = ? and coalesce(line_id, '') = ?"
        key = [job.scene_id, job.layer, job.line_id or ""]
        number = self._c.value(f"select coalesce(max(number), 0) + 1 from takes where {same}", key)  # noqa: S608
        held = self._c.value(
            f"select 1 from takes where {same} and (locked = 1 or chosen = 1) and trashed is null",  # noqa: S608
            key,
        )
        if not held:
            self._c.execute(f"update takes set selected = 0 where {same}", key)  # noqa: S608
        values = {name: getattr(take, name) for name in NewTake.__slots__ if name != "seconds"}
        values |= {"facts": json.dumps(take.facts), "settings": json.dumps(take.settings), "draft": int(take.draft)}
        values["fingerprint"] = fingerprint.of_take(job.layer, job.engine, take.settings, take.facts)
        self._c.insert(
            "takes",
            {
                "id": take_id, "scene_id": job.scene_id, "line_id": job.line_id, "layer": job.layer, "job_id": job.id,
                "number": number, "engine": job.engine, "selected": int(not held), "created": now(),
                "degraded_reason": job.degraded_reason, **values,
            },
        )  # fmt: skip
        if take.seconds:
            task = self._c.value("select task_type from scenes where id = ?", [job.scene_id])
            self._c.insert(
                "timings",
                {
                    "at": now(), "engine": job.engine, "task": task if job.layer == "picture" else "speech",
                    "profile": take.profile, "width": take.width, "height": take.height,
                    "num_frames": take.num_frames, "seconds": take.seconds,
                },
            )  # fmt: skip
        if not held and job.layer == "picture":
            tell_readers(self._c, self._changes, job.scene_id)
        self._changes.take()
        return take_id

    def fail(self, job: Job, error: Mapping[str, Any]) -> bool:
        """A voice that failed takes the rest of its scene with it: a picture cannot wait for one that never comes.
        Pictures of other seeds go on without this one."""
        with self._c.write():
            if not self._end(job, State.FAILED, error):
                return False
            if job.layer == "voice":
                self._standing.give_up([job.scene_id], State.CANCELLED)
            self._standing.settle([job.scene_id], error)
            self._runs.failed(job, error)
        return True

    def cancelled(self, job: Job) -> bool:
        with self._c.write():
            if not self._end(job, State.CANCELLED):
                return False
            self._standing.give_up([job.scene_id], State.CANCELLED)
            self._standing.settle([job.scene_id])
        return True

    def put_back(self, job: Job, note: str, error: Mapping[str, Any], *, crashed: bool = True) -> State | None:
        """Queued again with a note; after MAX_CRASHES crashes failed. None: fenced off.

        Not `crashed`: it is not the job's fault, and it may be put back as often as it takes. It then waits as long as
        its queue is paused, also where it was asked for by hand: it would meet the same again at once."""
        with self._c.write():
            row = self._c.row("select crashes from jobs where id = ?", [job.id])
            if row is None:
                return None
            if crashed and row["crashes"] + 1 >= MAX_CRASHES:
                return State.FAILED if self.fail(job, error) else None
            if not self._c.execute(
                "update jobs set state = 'queued', crashes = crashes + :crashed, by_hand = by_hand * :crashed"
                " where id = :id and attempt = :attempt and state = 'running'",
                {"crashed": int(crashed), "id": job.id, "attempt": job.attempt},
            ):
                return None
            self._runs.put_back(job, note, error)
            self._back_in_line(job, note, {"note": note}, "put_back")
        return State.QUEUED

    def try_again(self, job: Job, error: Mapping[str, Any], not_before: str) -> bool:
        """It failed and is queued again, in its place; nobody claims it before that time. False: fenced off."""
        with self._c.write():
            if not self._c.execute(
                "update jobs set state = 'queued', failures = failures + 1, not_before = ?"
                " where id = ? and attempt = ? and state = 'running'",
                [not_before, job.id, job.attempt],
            ):
                return False
            self._back_in_line(job, "note.tried_again", {**error, "not_before": not_before}, "tried_again")
        return True

    def hand_over(self, job: Job, error: Mapping[str, Any], engine: str, lane: Lane, reason: str) -> bool:
        """Its engine failed and another takes over: queued again in its place, in the other's lane, as if it had never
        begun; only its seed stays. `reason`: what the take will say. False: fenced off."""
        with self._c.write():
            if not self._c.execute(
                "update jobs set state = 'queued', engine = ?, lane = ?, degraded_reason = ?, failures = 0,"
                " not_before = null, kept = case when json_extract(kept, '$.seed') is null then '{}'"
                " else json_object('seed', json_extract(kept, '$.seed')) end"
                " where id = ? and attempt = ? and state = 'running'",
                [engine, lane, reason, job.id, job.attempt],
            ):
                return False
            self._back_in_line(job, "note.stood_in", {**error, "engine": job.engine}, "handed_over")
        return True

    def handed_over(self, job: Job) -> list[str]:
        """The engines that failed it before the one that has it now, in order."""
        rows = self._c.rows(
            "select json_extract(facts, '$.engine') as engine from events where job_id = ? and kind = 'handed_over'"
            " order by id",
            [job.id],
        )
        return [row["engine"] for row in rows]

    def failures(self, job: Job) -> int:
        """How often it failed and was tried again."""
        return int(self._c.value("select failures from jobs where id = ?", [job.id]) or 0)

    def _back_in_line(self, job: Job, note: str, facts: Mapping[str, Any], kind: str) -> None:
        self._c.execute(RERANK, [job.queue_id])  # scenes may have been moved while it ran
        self._c.execute("update scenes set note = ? where id = ?", [note, job.scene_id])
        self._standing.event(kind, job.id, facts)
        self._standing.settle([job.scene_id])

    def _end(self, job: Job, state: State, error: Mapping[str, Any] | None = None) -> bool:
        ended = self._c.execute(
            "update jobs set state = ?, error = ?, finished = ? where id = ? and attempt = ? and state = 'running'",
            [state, json.dumps(error) if error else None, now(), job.id, job.attempt],
        )
        if ended:
            self._standing.event(state, job.id, error)
            self._changes.queue()  # the list of queues shows counts
        return bool(ended)
