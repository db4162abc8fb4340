"""Where a scene stands: said anew from its jobs, inside the transactions of those who change them. Knows no worker."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from studio.domain import Job, State
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now

LIVE = (State.RUNNING, State.QUEUED)


class Standing:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    def settle(self, scene_ids: Collection[str], error: Mapping[str, Any] | None = None) -> None:
        """Say their states anew, in a few statements however many they are. `error`: why the newest job failed, where
        one of them ends as failed; without it that is read from the job."""
        ids = [json.dumps(sorted(scene_ids))]
        jobs: dict[str, list[Row]] = {}
        for row in self._c.rows(_OF_SCENES, ids):
            jobs.setdefault(row["scene_id"], []).append(row)
        scenes = self._c.rows(_SHOWN, ids)
        stand = {scene["id"]: _stand(jobs.get(scene["id"], ()), bool(scene["shown"])) for scene in scenes}
        self._c.execute_many(
            "update scenes set state = ?, error = ? where id = ?",
            [
                (state, json.dumps(error) if error and state is State.FAILED else why, scene_id)
                for scene_id, (state, why) in stand.items()
            ],
        )
        for scene in scenes:
            self._changes.scene(scene["queue_id"], scene["id"])

    def give_up(self, scene_ids: Iterable[str], state: State) -> list[str]:
        """What waits of these scenes no longer does; the scenes of which something did wait, once for each job."""
        ids = json.dumps(list(scene_ids))
        waiting = self._c.rows(f"select scene_id {_WAITING}", [ids])
        self._c.execute(
            f"update jobs set state = ?, finished = ? where id in (select id {_WAITING})", [state, now(), ids]
        )
        return [row["scene_id"] for row in waiting]

    def event(self, kind: str, job_id: str, facts: Mapping[str, Any] | None = None) -> None:
        self._c.execute(
            "insert into events (at, kind, queue_id, scene_id, job_id, facts)"
            " select ?, ?, s.queue_id, s.id, j.id, ? from jobs j join scenes s on s.id = j.scene_id where j.id = ?",
            [now(), kind, json.dumps(facts or {}), job_id],
        )


def _stand(jobs: Sequence[Row], has_result: bool) -> tuple[State, str | None]:
    """(state, error as JSON) of a scene with these jobs, oldest first. It stands where the newest job of each of its
    layers stands, and waits while any of its pictures does. `has_result`: there is a take to be shown, so one of which
    only lines were spoken is not done.

    Once its picture is made, voices that ended otherwise before it no longer count: older takes spoke for them."""
    newest = {(job["layer"], job["line_id"]): job for job in jobs}.values()
    shown = any(job["layer"] == "picture" and job["state"] == State.DONE for job in newest)
    states = {job["state"] for job in newest if not shown or job["layer"] == "picture" or job["state"] in LIVE}
    states |= {job["state"] for job in jobs if job["layer"] == "picture" and job["state"] in LIVE}
    for state in (*LIVE, State.FAILED, State.CANCELLED, State.DRAFT):
        if state in states:
            break
    else:
        state = State.DONE if states and has_result else State.DRAFT
    failed = [job["error"] for job in newest if job["state"] == State.FAILED] if state is State.FAILED else [None]
    return state, failed[0]


_WAITING = "from jobs where state = 'queued' and scene_id in (select value from json_each(?))"
# lines that were deleted do not count
_OF_SCENES = """
select j.scene_id, j.line_id, j.layer, j.state, j.error from jobs j
where j.scene_id in (select value from json_each(?))
  and (j.line_id is null or exists (select 1 from lines l where l.id = j.line_id)) order by j.id
"""
_SHOWN = """
select s.id, s.queue_id, s.task_type = 'speech' or exists (
  select 1 from takes t where t.scene_id = s.id and t.layer = 'picture' and t.trashed is null) as shown
from scenes s where s.id in (select value from json_each(?))
"""
JOBS = "select j.*, s.queue_id from jobs j join scenes s on s.id = j.scene_id"


def job_of(row: Row) -> Job:
    return Job(
        id=row["id"],
        scene_id=row["scene_id"],
        line_id=row["line_id"],
        layer=row["layer"],
        engine=row["engine"],
        lane=row["lane"],
        attempt=row["attempt"],
        state=State(row["state"]),
        queue_id=row["queue_id"],
        error=json.loads(row["error"]) if row["error"] else None,
        degraded_reason=row["degraded_reason"],
        kept=json.loads(row["kept"]),
        seed=row["seed"],
    )
