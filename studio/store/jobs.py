"""Jobs that wait and that begin: queue them, claim each at most once, cancel them. How one ends stands in ends.py."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio import faults
from studio.domain import Job, Lane, Layer, State, new_id
from studio.store.changes import Changes
from studio.store.claims import Claims
from studio.store.database import Connection, Row, now
from studio.store.queues import RERANK
from studio.store.runs import Runs
from studio.store.standing import JOBS, Standing, job_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be made."""

    scene_id: str
    line_id: str | None
    layer: Layer
    engine: str
    lane: Lane
    degraded_reason: str | None = None
    seed: int | None = None  # of this picture alone; None: the scene's


class Jobs:
    def __init__(self, connection: Connection, changes: Changes, runs: Runs, standing: Standing) -> None:
        self._c, self._changes, self._runs, self._standing = connection, changes, runs, standing
        self._claims = Claims(connection)

    # ------------------------------------------------------------------------------------------ in
    def enqueue(self, wanted: Sequence[Wanted], *, by_hand: bool = False) -> int:
        """Queue jobs; one that is already queued or running with that seed is left alone. How many were new.

        `by_hand`: these go even while their queue is paused or is to begin later."""
        at = now()  # one time for all: they may overtake each other
        scenes = {job.scene_id for job in wanted}
        scene_ids = json.dumps(sorted(scenes))
        with self._c.write():
            added = self._c.execute_many(
                "insert or ignore into jobs (id, scene_id, line_id, layer, engine, lane, degraded_reason, seed,"
                " created) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        new_id(), job.scene_id, job.line_id, job.layer, job.engine, job.lane, job.degraded_reason,
                        job.seed, at,
                    )
                    for job in wanted
                ],
            )  # fmt: skip
            if by_hand:
                self._by_hand(scene_ids)
            for row in self._c.rows(
                "select distinct queue_id from scenes where id in (select value from json_each(?))", [scene_ids]
            ):
                self._c.execute(RERANK, [row["queue_id"]])
                self._runs.join(row["queue_id"])
            self._c.execute(
                "update scenes set error = null, note = null where id in (select value from json_each(?))", [scene_ids]
            )
            self._standing.settle(scenes)
        return added

    # ------------------------------------------------------------------------------------------ out
    def claim(self, lane: Lane, resident: str | None = None, at: str | None = None) -> Job | None:
        """The job to run now, at most once; studio.store.claims says which. `resident`: the engine that is loaded."""
        if not self._c.value("select 1 from jobs where state = 'queued' and lane = ? limit 1", [lane]):
            return None  # an idle lane takes no write lock
        with self._c.write():
            found = self._claims.next(lane, resident, at or now())
            if found is None:
                return None
            self._c.execute(
                "update jobs set state = 'running', attempt = attempt + 1, started = ?, error = null where id = ?",
                [now(), found["id"]],
            )
            self._standing.event("claimed", found["id"])
            self._standing.settle([found["scene_id"]])
            if found["starts_at"]:
                self._changes.queue()  # the list of queues shows it no longer as waiting for its time
            job = self.get(found["id"])
        faults.point("store.claimed")
        return job

    def next_try(self, at: str) -> str | None:
        """When the next job that failed is tried again, where nothing but that time keeps it."""
        return self._claims.next_try(at)

    def find(self, job_id: str) -> Job | None:
        row = self._c.row(JOBS + " where j.id = ?", [job_id])
        return job_of(row) if row else None

    def get(self, job_id: str) -> Job:
        job = self.find(job_id)
        assert job, f"no job {job_id}"
        return job

    def running(self) -> list[Job]:
        return [job_of(row) for row in self._c.rows(JOBS + " where j.state = 'running' order by j.started")]

    def live(self, *, queue_id: str | None = None, scene_id: str | None = None) -> list[Job]:
        """Queued and running jobs of a queue or a scene."""
        whose, which = ("j.scene_id", scene_id) if scene_id else ("s.queue_id", queue_id)
        sql = f"{JOBS} where j.state in ('queued', 'running') and {whose} = ?"
        return [job_of(row) for row in self._c.rows(sql, [which])]

    def latest(self, scene_ids: Iterable[str]) -> dict[str, list[Job]]:
        """By scene that has any: the newest job of each of its layers and lines. Lines that were deleted do not
        count."""
        found: dict[str, list[Job]] = {}
        for row in self._c.rows(
            JOBS + " join (select max(id) as id from jobs where scene_id in (select value from json_each(?))"
            " and (line_id is null or line_id in (select id from lines)) group by scene_id, layer,"
            " coalesce(line_id, '')) newest on newest.id = j.id",
            [json.dumps(list(scene_ids))],
        ):
            found.setdefault(row["scene_id"], []).append(job_of(row))
        return found

    def waiting(self, at: str | None = None) -> list[Row]:
        """Queued jobs whose turn will come, counted by engine, task (a voice counts as speech) and size, with the
        seconds of film in all: those of queues that are neither paused nor to begin later, and those asked for by
        hand."""
        return self._c.rows(
            "select j.engine, j.lane, j.layer, case j.layer when 'voice' then 'speech' else s.task_type end as task,"
            " json_extract(s.body, '$.resolution') as resolution, json_extract(s.body, '$.aspect') as aspect, q.frame,"
            " count(*) as jobs, total(json_extract(s.body, '$.duration')) as seconds"
            " from jobs j join scenes s on s.id = j.scene_id join queues q on q.id = s.queue_id"
            " where j.state = 'queued'"
            " and (j.by_hand = 1 or (q.paused = 0 and (q.starts_at is null or q.starts_at <= ?)))"
            " group by 1, 2, 3, 4, 5, 6, 7",
            [at or now()],
        )

    # ------------------------------------------------------------------------------------------ changing one's mind
    def finish_begun(self, queue_id: str) -> tuple[list[str], int]:
        """What waits of this queue goes back to draft, but for scenes that are being rendered: those are finished, with
        all their layers, even if the queue is paused. (their ids, how many went back)"""
        with self._c.write():
            live = self.live(queue_id=queue_id)
            begun = sorted({job.scene_id for job in live if job.state is State.RUNNING})
            self._by_hand(json.dumps(begun))
            waiting = {job.scene_id for job in live} - set(begun)
            self._standing.give_up(waiting, State.DRAFT)
            self._c.execute(
                "update scenes set note = 'note.held_back' where id in (select value from json_each(?))",
                [json.dumps(sorted(waiting))],
            )
            self._standing.settle(waiting)
            self._changes.queue()
        return begun, len(waiting)

    def _by_hand(self, scene_ids: str) -> None:
        """`scene_ids`: JSON."""
        self._c.execute(
            "update jobs set by_hand = 1 where state in ('queued', 'running')"
            " and scene_id in (select value from json_each(?))",
            [scene_ids],
        )

    def asked_by_hand(self, scene_ids: Iterable[str]) -> set[str]:
        """Those of these scenes of which a queued job goes whatever its queue does."""
        rows = self._c.rows(
            "select distinct scene_id from jobs where by_hand = 1 and state = 'queued'"
            " and scene_id in (select value from json_each(?))",
            [json.dumps(list(scene_ids))],
        )
        return {row["scene_id"] for row in rows}

    def unqueue(self, scene_ids: Iterable[str]) -> int:
        """Cancel what is queued (not what runs) of these scenes."""
        with self._c.write():
            given_up = self._standing.give_up(scene_ids, State.CANCELLED)
            self._standing.settle(set(given_up))  # where nothing was queued the scene stays as it is: edited, say
        return len(given_up)

    def reset(self, scene_id: str) -> None:
        """Back to draft: it was edited, and what is there no longer shows it."""
        with self._c.write():
            self._c.execute(
                "update scenes set state = 'draft', error = null, note = 'note.edited' where id = ?", [scene_id]
            )
            queue_id = self._c.value("select queue_id from scenes where id = ?", [scene_id])
            self._changes.scene(str(queue_id), scene_id)

    # ------------------------------------------------------------------------------------------ history
    def seconds_per_job(self, engine: str, task: str) -> float | None:
        """Median over the last 20 runs on this machine; None: no history, any estimate is a guess."""
        rows = self._c.rows(
            "select seconds from timings where engine = ? and task = ? order by id desc limit 20", [engine, task]
        )
        seconds = sorted(row["seconds"] for row in rows)
        return float(seconds[len(seconds) // 2]) if seconds else None
