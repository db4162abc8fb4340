"""Jobs: enqueue, claim at most once, finish under the fence of the attempt number, put back after a crash.

Every write of a worker carries `where id = ? and attempt = ? and state = 'running'`: a worker that was given up on and
comes back finds nothing to write to.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio import faults
from studio.domain import JSON, Job, Kind, Lane, Layer, State, new_id
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.queues import RERANK

MAX_CRASHES = 3
LIVE = (State.RUNNING, State.QUEUED)
FAIRNESS = 8  # how many jobs of the model already loaded may overtake the next one in order


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be made."""

    scene_id: str
    line_id: str | None
    layer: Layer
    engine: str
    lane: Lane
    degraded_reason: str | None = None


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


class Jobs:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes
        self._overtaken: dict[Lane, int] = {}  # jobs in a row that could jump ahead because their model was loaded

    # ------------------------------------------------------------------------------------------ in
    def enqueue(self, wanted: Sequence[Wanted]) -> int:
        """Queue jobs; one that is already queued or running is left alone. How many were new."""
        added = 0
        with self._c.write():
            for job in wanted:
                added += self._c.execute(
                    "insert or ignore into jobs (id, scene_id, line_id, layer, engine, lane, degraded_reason, created)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        new_id(), job.scene_id, job.line_id, job.layer, job.engine, job.lane,
                        job.degraded_reason, now(),
                    ],
                )  # fmt: skip
            scene_ids = json.dumps(sorted({job.scene_id for job in wanted}))
            for row in self._c.rows(
                "select distinct queue_id from scenes where id in (select value from json_each(?))", [scene_ids]
            ):
                self._c.execute(RERANK, [row["queue_id"]])
            for scene_id in {job.scene_id for job in wanted}:
                self._c.execute("update scenes set error = null, note = null where id = ?", [scene_id])
                self._settle(scene_id)
        return added

    # ------------------------------------------------------------------------------------------ out
    def claim(self, lane: Lane, resident: str | None = None) -> Job | None:
        """The next queued job whose inputs exist, at most once; the model already loaded first, up to FAIRNESS."""
        if not self._c.value("select 1 from jobs where state = 'queued' and lane = ? limit 1", [lane]):
            return None  # an idle lane takes no write lock
        with self._c.write():
            overtaken = self._overtaken.get(lane, 0)
            prefer = resident if resident and overtaken < FAIRNESS else None
            found = self._c.row(_NEXT, {"lane": lane, "engine": prefer}) if prefer else None
            found = found or self._c.row(_NEXT, {"lane": lane, "engine": None})
            if found is None:
                return None
            self._c.execute(
                "update jobs set state = 'running', attempt = attempt + 1, started = ?, error = null where id = ?",
                [now(), found["id"]],
            )
            self._event("claimed", found["id"])
            self._settle(found["scene_id"])
            job = self.get(found["id"])
            self._overtaken[lane] = overtaken + 1 if prefer and job.engine == resident else 0
        faults.point("store.claimed")
        return job

    def find(self, job_id: str) -> Job | None:
        row = self._c.row(_JOBS + " where j.id = ?", [job_id])
        return _job(row) if row else None

    def get(self, job_id: str) -> Job:
        job = self.find(job_id)
        assert job, f"no job {job_id}"
        return job

    def running(self) -> list[Job]:
        return [_job(row) for row in self._c.rows(_JOBS + " where j.state = 'running' order by j.started")]

    def live(self, *, queue_id: str | None = None, scene_id: str | None = None) -> list[Job]:
        """Queued and running jobs of a queue or a scene."""
        return [
            _job(row)
            for row in self._c.rows(
                _JOBS + " where j.state in ('queued', 'running') and (s.queue_id = :queue or j.scene_id = :scene)",
                {"queue": queue_id, "scene": scene_id},
            )
        ]

    def waiting(self) -> list[Row]:
        """Queued jobs of queues that are not paused, counted by engine and task (a voice counts as speech)."""
        return self._c.rows(
            "select j.engine, case j.layer when 'voice' then 'speech' else s.task_type end as task, count(*) as jobs"
            " from jobs j join scenes s on s.id = j.scene_id join queues q on q.id = s.queue_id"
            " where j.state = 'queued' and q.paused = 0 group by 1, 2"
        )

    def latest(self, scene_id: str) -> list[Job]:
        """The newest job of each layer and line of a scene; lines that were deleted do not count."""
        return [
            _job(row)
            for row in self._c.rows(
                _JOBS + " where j.scene_id = ? and j.id in (select max(id) from jobs where scene_id = j.scene_id"
                " and (line_id is null or line_id in (select id from lines)) group by layer, coalesce(line_id, ''))",
                [scene_id],
            )
        ]

    # ------------------------------------------------------------------------------------------ the end of a job
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
            self._settle(job.scene_id)
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
        self._changes.take()
        return take_id

    def fail(self, job: Job, error: Mapping[str, Any]) -> bool:
        """A job that failed takes the rest of its scene with it: a picture cannot wait for a voice that never comes."""
        with self._c.write():
            if not self._end(job, State.FAILED, error):
                return False
            self._give_up(job.scene_id, State.CANCELLED)
            self._settle(job.scene_id, error)
        return True

    def cancelled(self, job: Job) -> bool:
        with self._c.write():
            if not self._end(job, State.CANCELLED):
                return False
            self._give_up(job.scene_id, State.CANCELLED)
            self._settle(job.scene_id)
        return True

    def put_back(self, job: Job, note: str, error: Mapping[str, Any], *, crashed: bool = True) -> State | None:
        """Queued again with a note; after MAX_CRASHES crashes failed. None: fenced off.

        Not `crashed`: it is not the job's fault, and it may be put back as often as it takes."""
        with self._c.write():
            row = self._c.row("select crashes from jobs where id = ?", [job.id])
            if row is None:
                return None
            if crashed and row["crashes"] + 1 >= MAX_CRASHES:
                return State.FAILED if self.fail(job, error) else None
            if not self._c.execute(
                "update jobs set state = 'queued', crashes = crashes + ?"
                " where id = ? and attempt = ? and state = 'running'",
                [int(crashed), job.id, job.attempt],
            ):
                return None
            self._c.execute("update scenes set note = ? where id = ?", [note, job.scene_id])
            self._event("put_back", job.id, {"note": note})
            self._settle(job.scene_id)
        return State.QUEUED

    def unqueue(self, scene_ids: Iterable[str]) -> int:
        """Cancel what is queued (not what runs) of these scenes."""
        count = 0
        with self._c.write():
            for scene_id in scene_ids:
                if given_up := self._give_up(scene_id, State.CANCELLED):
                    count += given_up
                    self._settle(scene_id)  # where nothing was queued the scene stays as it is: edited, say
        return count

    def reset(self, scene_id: str) -> None:
        """Back to draft: it was edited, and what is there no longer shows it."""
        with self._c.write():
            self._c.execute(
                "update scenes set state = 'draft', error = null, note = 'note.edited' where id = ?", [scene_id]
            )
            queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
            self._changes.scene(str(queue_id), scene_id)

    def _give_up(self, scene_id: str, state: State) -> int:
        return self._c.execute(
            "update jobs set state = ?, finished = ? where scene_id = ? and state = 'queued'", [state, now(), scene_id]
        )

    def _end(self, job: Job, state: State, error: Mapping[str, Any] | None = None) -> bool:
        ended = self._c.execute(
            "update jobs set state = ?, error = ?, finished = ? where id = ? and attempt = ? and state = 'running'",
            [state, json.dumps(error) if error else None, now(), job.id, job.attempt],
        )
        if ended:
            self._event(state, job.id, error)
            self._changes.queue()  # the list of queues shows counts
        return bool(ended)

    def _settle(self, scene_id: str, error: Mapping[str, Any] | None = None) -> None:
        """A scene stands where the newest job of each of its layers stands.

        Once its picture is made, voices that ended otherwise before it no longer count: older takes spoke for them."""
        newest = self.latest(scene_id)
        shown = any(job.layer == "picture" and job.state is State.DONE for job in newest)
        states = {job.state for job in newest if not shown or job.layer == "picture" or job.state in LIVE}
        for state in (*LIVE, State.FAILED, State.CANCELLED):
            if state in states:
                break
        else:
            state = State.DONE if states else State.DRAFT
        if state is not State.FAILED:
            error = None
        elif error is None:
            error = self._last_error(scene_id)
        self._c.execute(
            "update scenes set state = ?, error = ? where id = ?",
            [state, json.dumps(error) if error else None, scene_id],
        )
        queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
        if queue_id:
            self._changes.scene(queue_id, scene_id)

    def _last_error(self, scene_id: str) -> Mapping[str, Any] | None:
        failed = [job for job in self.latest(scene_id) if job.state is State.FAILED]
        return failed[0].error if failed else None

    def _event(self, kind: str, job_id: str, facts: Mapping[str, Any] | None = None) -> None:
        self._c.execute(
            "insert into events (at, kind, queue_id, scene_id, job_id, facts)"
            " select ?, ?, s.queue_id, s.id, j.id, ? from jobs j join scenes s on s.id = j.scene_id where j.id = ?",
            [now(), kind, json.dumps(facts or {}), job_id],
        )

    # ------------------------------------------------------------------------------------------ history
    def seconds_per_job(self, engine: str, task: str) -> float | None:
        """Median over the last 20 runs on this machine; None: no history, any estimate is a guess."""
        rows = self._c.rows(
            "select seconds from timings where engine = ? and task = ? order by id desc limit 20", [engine, task]
        )
        seconds = sorted(row["seconds"] for row in rows)
        return float(seconds[len(seconds) // 2]) if seconds else None


_JOBS = "select j.*, s.queue_id from jobs j join scenes s on s.id = j.scene_id"

# A job waits for: its queue not paused; for a picture, every line spoken and no line being spoken; every scene whose
# picture it reads done and not being made again.
_NEXT = """
select j.id, j.scene_id from jobs j
cross join scenes s on s.id = j.scene_id cross join queues q on q.id = s.queue_id
where j.state = 'queued' and j.lane = :lane and q.paused = 0 and (:engine is null or j.engine = :engine)
  and (j.layer = 'voice' or not exists (
    select 1 from lines l where l.scene_id = s.id and (
      exists (select 1 from jobs v where v.scene_id = s.id and v.line_id = l.id and v.state in ('queued', 'running'))
      or not exists (select 1 from takes t where t.line_id = l.id and t.selected = 1 and t.trashed is null))))
  and (j.layer = 'voice' or not exists (
    select 1 from needs n where n.scene_id = s.id and (
      exists (select 1 from jobs p where p.scene_id = n.on_id and p.layer = 'picture'
              and p.state in ('queued', 'running'))
      or not exists (select 1 from takes t where t.scene_id = n.on_id and t.layer = 'picture'
                     and t.selected = 1 and t.trashed is null))))
order by j.rank, j.id limit 1
"""


def _job(row: Row) -> Job:
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
    )
