"""Runs: one pass of a queue, from the first job that is queued to the last one that can end. Knows no worker.

A job belongs to the run that was open when it was queued. `Jobs` calls `join`, `failed` and `put_back` inside its own
transactions; `end_finished` is called after anything that may have been the last step, and again at every start, so
that no run is left open by a crash between the last job and its end.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio.domain import Job, State, new_id
from studio.errors import NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.notices import Notices

MOST_FAILED = 50  # failed scenes that a notice names


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    queue_id: str
    state: str  # running | done | failed | stopped
    options: Mapping[str, Any]  # callback_urls, stop
    facts: Mapping[str, Any]  # of an ended one: counts, engines, loads, crashes, cost, seconds
    started: str
    ended: str | None


class Runs:
    def __init__(self, connection: Connection, changes: Changes, notices: Notices) -> None:
        self._c, self._changes, self._notices = connection, changes, notices

    # ------------------------------------------------------------------------------------------ reading
    def get(self, run_id: str) -> Run:
        row = self._c.row("select * from runs where id = ?", [run_id])
        if row is None:
            raise NotFound("run.unknown", run=run_id)
        return _run(row)

    def open(self, queue_id: str) -> Run | None:
        """The run of a queue that goes on."""
        row = self._c.row("select * from runs where queue_id = ? and state = 'running'", [queue_id])
        return _run(row) if row else None

    def of_queue(self, queue_id: str) -> list[Run]:
        """Newest first."""
        return [_run(row) for row in self._c.rows("select * from runs where queue_id = ? order by id desc", [queue_id])]

    def jobs(self, run_id: str) -> list[Row]:
        """Every job of a run with its scene and its take, in the order of the scenes."""
        return self._c.rows(_REPORT, [run_id])

    def facts(self, run_id: str) -> dict[str, Any]:
        """Counts, engines, loads, crashes, cost: as they stand now."""
        return _facts(self.jobs(run_id), self._events(run_id))

    def _events(self, run_id: str) -> list[Row]:
        rows = self._c.rows(
            "select e.kind, e.job_id, e.facts from events e join jobs j on j.id = e.job_id"
            " where j.run_id = ? and e.kind in ('loaded', 'put_back')",
            [run_id],
        )
        return [{**row, "facts": json.loads(row["facts"])} for row in rows]

    # ------------------------------------------------------------------------------------------ the life of a run
    def join(self, queue_id: str) -> None:
        """Inside write(), after jobs were queued: they join the open run of the queue, or begin one."""
        found = self.open(queue_id)
        if not self._c.value(
            f"select 1 from jobs where {_LOOSE} limit 1", {"queue": queue_id, "run": found.id if found else ""}
        ):
            return  # nothing new: there is no run without a job
        if found is None:
            run_id = new_id()
            self._c.insert("runs", {"id": run_id, "queue_id": queue_id, "state": "running", "started": now()})
        else:
            run_id = found.id
        self._c.execute(f"update jobs set run_id = :run where {_LOOSE}", {"queue": queue_id, "run": run_id})  # noqa: S608
        if found and found.options.get("stop"):  # and run again before its last scene had stopped: it goes on
            self._set_options(found, stop=False)
        self._changes.queue()

    def call_back(self, queue_id: str, url: str) -> bool:
        """The end of the open run is posted there too. False: nothing runs."""
        with self._c.write():
            found = self.open(queue_id)
            if found:
                self._set_options(found, callback_urls=[*found.options.get("callback_urls", []), url])
        return found is not None

    def _set_options(self, run: Run, **options: Any) -> None:
        self._c.execute("update runs set options = ? where id = ?", [json.dumps({**run.options, **options}), run.id])

    def stopping(self, queue_id: str) -> None:
        """The user stops the queue: its run ends as stopped once nothing of it runs any more."""
        with self._c.write():
            if found := self.open(queue_id):
                self._set_options(found, stop=True)

    def end_finished(self) -> int:
        """End every run in which nothing can happen any more, and tell. How many."""
        ended = 0
        for row in self._c.rows("select * from runs where state = 'running'"):
            with self._c.write():
                current = self._c.row("select * from runs where id = ? and state = 'running'", [row["id"]])
                if current and self._is_over(current["id"]):
                    self._end(_run(current))
                    ended += 1
        return ended

    def _is_over(self, run_id: str) -> bool:
        """Nothing runs, and nothing that waits can ever begin: a pause ends, a wait for a scene that nobody is going to
        make does not."""
        if self._c.value("select 1 from jobs where run_id = ? and state = 'running' limit 1", [run_id]):
            return False
        return not self._c.value(_CAN_BEGIN, {"run": run_id})

    def _end(self, run: Run) -> None:
        jobs = self.jobs(run.id)
        facts = _facts(jobs, self._events(run.id))
        counts = facts["counts"]
        if run.options.get("stop"):
            state = "stopped"
        elif counts["failed"] or counts["left"]:
            state = "failed"
        else:
            state = "done" if counts["done"] else "stopped"
        ended = now()
        facts["seconds"] = seconds_between(run.started, ended)
        self._c.execute(
            "update runs set state = ?, facts = ?, ended = ? where id = ?",
            [state, json.dumps({**run.facts, **facts}), ended, run.id],
        )
        self._changes.queue()
        callbacks = () if state == "stopped" else run.options.get("callback_urls", ())
        told = {**self._named(run, state, ended), "failed": _failed_scenes(jobs)[:MOST_FAILED]}
        told["run"] |= {name: facts[name] for name in ("counts", "seconds", "loads", "crashes", "cost")}
        if callbacks:
            told["outputs"] = self._outputs(run.queue_id)
        self._notices.tell("finished", told, urls=callbacks)

    def _outputs(self, queue_id: str) -> list[Row]:
        """The selected takes of a queue in order: id, kind, task_type."""
        return self._c.rows(
            "select t.id, t.kind, s.task_type from takes t join scenes s on s.id = t.scene_id where s.queue_id = ?"
            " and t.layer = 'picture' and t.selected = 1 and t.trashed is null order by s.position",
            [queue_id],
        )

    def _named(self, run: Run, state: str, ended: str | None = None) -> dict[str, Any]:
        """What every notice says of its queue and run."""
        queue = self._c.row(
            "select q.id, q.name, q.code, q.inbox, p.slug as project from queues q"
            " join projects p on p.id = q.project_id where q.id = ?",
            [run.queue_id],
        )
        about = {"id": run.id, "state": state, "started": run.started, "ended": ended}
        return {"queue": queue, "run": about}

    # ------------------------------------------------------------------------------------------ what happens in a run
    def failed(self, job: Job, error: Mapping[str, Any]) -> None:
        """Inside write(): the first failure of a run is told at once."""
        run = self._of_job(job.id)
        if run is None or run.facts.get("first_failure"):
            return
        facts = json.dumps({**run.facts, "first_failure": job.scene_id})
        self._c.execute("update runs set facts = ? where id = ?", [facts, run.id])
        self._tell_of(job, run, "failure", error)

    def put_back(self, job: Job, note: str, error: Mapping[str, Any]) -> None:
        """Inside write(): a crash, or a full disk that paused the queue."""
        kind = {"note.resumed": "resumed", "note.disk_full": "disk_full"}.get(note)
        run = self._of_job(job.id)
        if kind and run:
            self._tell_of(job, run, kind, error)

    def stalled(self, job: Job, seconds: float) -> bool:
        """A running job has not moved for so long. False: that was said before, or it has ended meanwhile."""
        with self._c.write():
            run = self._of_job(job.id)
            running = self._c.value("select 1 from jobs where id = ? and state = 'running'", [job.id])
            if run is None or not running or self._notices.told("stalled", job.id):
                return False
            error = {"code": "job.stalled", "params": {"minutes": round(seconds / 60)}}
            self._tell_of(job, run, "stalled", error)
        return True

    def loaded(self, job: Job, seconds: float) -> None:
        """The worker had to bring the engine onto the device, which took so long."""
        with self._c.write():
            self._c.insert(
                "events",
                {
                    "at": now(), "kind": "loaded", "queue_id": job.queue_id, "scene_id": job.scene_id,
                    "job_id": job.id, "facts": json.dumps({"engine": job.engine, "seconds": round(seconds, 3)}),
                },
            )  # fmt: skip

    def _of_job(self, job_id: str) -> Run | None:
        row = self._c.row("select r.* from runs r join jobs j on j.run_id = r.id where j.id = ?", [job_id])
        return _run(row) if row else None

    def _tell_of(self, job: Job, run: Run, kind: str, error: Mapping[str, Any]) -> None:
        row = self._c.row(_SCENE, [job.scene_id])
        if row is None:  # deleted while it was being made
            return
        scene = {"id": row["id"], "number": row["position"] + 1, "label": row["label"] or "", "prompt": row["prompt"]}
        told = self._named(run, run.state)
        self._notices.tell(kind, {**told, "scene": scene, "error": error, "job_id": job.id, "engine": job.engine})


# ------------------------------------------------------------------------------------------------ sums
def outcome(jobs: Iterable[Row]) -> str:
    """Where a scene stands by the newest job of each of its layers; the worst wins. Once its picture is made, a voice
    that ended otherwise no longer counts."""
    jobs = list(jobs)
    shown = any(job["layer"] == "picture" and job["state"] == State.DONE for job in jobs)
    found = {job["state"] for job in jobs if not shown or job["layer"] == "picture" or job["finished"] is None}
    for state in (State.FAILED, State.IN_DOUBT, State.RUNNING, State.QUEUED, State.CANCELLED, State.DRAFT):
        if state in found:
            return str(state)
    return str(State.DONE)


def newest_jobs(jobs: Iterable[Row]) -> dict[str, dict[tuple[str, ...], Row]]:
    """scene -> (layer, line, seed asked for) -> its newest job."""
    found: dict[str, dict[tuple[str, ...], Row]] = {}
    for job in jobs:
        layers = found.setdefault(job["scene_id"], {})
        key = (job["layer"], job["line_id"] or "", str(job["seed"]))
        if key not in layers or job["id"] > layers[key]["id"]:
            layers[key] = job
    return found


def _facts(jobs: list[Row], events: list[Row]) -> dict[str, Any]:
    states = [outcome(layers.values()) for layers in newest_jobs(jobs).values()]
    count = {state: states.count(state) for state in ("done", "failed", "cancelled")}
    engines: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if job["started"]:
            row = engines.setdefault(
                job["engine"], {"jobs": 0, "seconds": 0.0, "loads": 0, "load_seconds": 0.0, "cost": 0.0}
            )
            row["jobs"] += 1
            row["seconds"] = round(row["seconds"] + (seconds_between(job["started"], job["finished"]) or 0.0), 3)
            row["cost"] = round(row["cost"] + cost_of(job), 6)
    for event in events:
        if event["kind"] == "loaded" and (known := engines.get(event["facts"]["engine"])):
            known["loads"] += 1
            known["load_seconds"] = round(known["load_seconds"] + event["facts"]["seconds"], 3)
    return {
        "counts": {"scenes": len(states), **count, "left": len(states) - sum(count.values())},
        "engines": engines,
        "takes": sum(job["take_id"] is not None for job in jobs),
        "drafts": sum(bool(job["draft"]) for job in jobs),
        "loads": sum(row["loads"] for row in engines.values()),
        "crashes": sum(
            event["kind"] == "put_back" and event["facts"].get("note") == "note.resumed" for event in events
        ),
        "cost": round(sum(row["cost"] for row in engines.values()), 6),
    }


def cost_of(job: Row) -> float:
    """What a job cost, in the currency of its engine; 0 where the engine asks for nothing."""
    found = job["cost"]
    return float(found) if isinstance(found, int | float) else 0.0


def _failed_scenes(jobs: list[Row]) -> list[dict[str, Any]]:
    found = []
    for scene_id, layers in newest_jobs(jobs).items():
        failed = [job for job in layers.values() if job["state"] == State.FAILED]
        if failed:
            job = failed[0]
            found.append(
                {
                    "id": scene_id, "number": job["position"] + 1, "label": job["label"] or "",
                    "prompt": (job["prompt"] or "")[:160], "seed": job["scene_seed"], "task_type": job["task_type"],
                    "error": json.loads(job["error"]) if job["error"] else None,
                }
            )  # fmt: skip
    return found


def seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _run(row: Row) -> Run:
    return Run(**{**row, "options": json.loads(row["options"]), "facts": json.loads(row["facts"])})


# jobs that wait and are of no run yet, or of one that has ended
_LOOSE = """state = 'queued' and scene_id in (select id from scenes where queue_id = :queue)
  and (run_id is null or run_id != :run)"""
_SCENE = """select id, position, json_extract(body, '$.label') as label,
  substr(json_extract(body, '$.prompt'), 1, 160) as prompt from scenes where id = ?"""
_REPORT = """
select j.*, s.position, s.task_type, json_extract(s.body, '$.label') as label,
  substr(json_extract(s.body, '$.prompt'), 1, 160) as prompt, json_extract(s.body, '$.seed') as scene_seed,
  t.id as take_id, t.number, t.duration, t.draft, t.kind, t.seed as take_seed, t.width, t.height, t.fps, t.trashed,
  t.private, t.degraded_reason as stood_in, t.settings, json_extract(t.facts, '$.cost') as cost
from jobs j join scenes s on s.id = j.scene_id left join takes t on t.job_id = j.id
where j.run_id = ? order by s.position, j.id
"""
# A job that may begin once its lane is free and its queue neither paused nor too early: a voice, a picture that has all
# it reads, or one that waits for what another run is going to make.
_CAN_BEGIN = """
select 1 from jobs j where j.run_id = :run and j.state = 'queued' and (j.layer = 'voice'
  or (not exists (select 1 from lines l where l.scene_id = j.scene_id and (
        exists (select 1 from jobs v where v.scene_id = l.scene_id and v.line_id = l.id
                and v.state in ('queued', 'running'))
        or not exists (select 1 from takes t where t.scene_id = l.scene_id and t.layer = 'voice' and t.line_id = l.id
                       and t.selected = 1 and t.trashed is null)))
      and not exists (select 1 from needs n where n.scene_id = j.scene_id and (
        exists (select 1 from jobs p where p.scene_id = n.on_id and p.layer = 'picture'
                and p.state in ('queued', 'running'))
        or not exists (select 1 from takes t where t.scene_id = n.on_id and t.layer = 'picture'
                       and t.selected = 1 and t.trashed is null))))
  or exists (select 1 from needs n cross join jobs p on p.scene_id = n.on_id where n.scene_id = j.scene_id
             and p.layer = 'picture' and p.state in ('queued', 'running') and coalesce(p.run_id, '') != :run))
limit 1
"""
