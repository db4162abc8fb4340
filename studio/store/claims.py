"""Which queued job is next. Rows in, one row out; who runs it and what becomes of it is told elsewhere.

Queues go one after the other: Inbox first, then by priority, then as they stand. Within the queue whose turn it is,

* `written` takes the first job that can run. Nothing overtakes, whatever is loaded.
* `model` stays with the engine already loaded for as long as it has jobs that can run. Before it loads another it looks
  for one that can do all it has left, and otherwise takes the first in order. So an engine is loaded once where the
  needs of the engines go one way (voices, then pictures), and never oftener than as written where scenes read earlier
  ones.

Jobs queued later than the first in order may overtake it `FAIRNESS` times in a row; those queued together with it as
often as it takes.
"""

from typing import get_args

from studio.domain import Lane
from studio.store.database import Connection, Row

FAIRNESS = 8
FOREVER = "9999"  # later than every time that is written down

# A job waits for: its queue neither paused nor to begin later, unless it was asked for by hand; its next try; for a
# picture, every line spoken and no line being spoken; every scene whose picture it reads done and not being made again.
_CAN_RUN = """
from jobs j cross join scenes s on s.id = j.scene_id cross join queues q on q.id = s.queue_id
where j.state = 'queued' and j.lane = :lane
  and (:engine is null or (j.engine = :engine and s.queue_id = :queue))
  and (j.by_hand = 1 or (q.paused = 0 and (q.starts_at is null or q.starts_at <= :at)))
  and (j.not_before is null or j.not_before <= :at)
  and (j.layer = 'voice' or not exists (
    select 1 from lines l where l.scene_id = s.id and (
      exists (select 1 from jobs v where v.scene_id = s.id and v.line_id = l.id and v.state in ('queued', 'running'))
      or not exists (select 1 from takes t where t.scene_id = s.id and t.layer = 'voice' and t.line_id = l.id
                     and t.selected = 1 and t.trashed is null))))
  and (j.layer = 'voice' or not exists (
    select 1 from needs n where n.scene_id = s.id and (
      exists (select 1 from jobs p where p.scene_id = n.on_id and p.layer = 'picture'
              and p.state in ('queued', 'running'))
      or not exists (select 1 from takes t where t.scene_id = n.on_id and t.layer = 'picture'
                     and t.selected = 1 and t.trashed is null))))
"""
_FIRST = f"""
select j.id, j.engine, j.scene_id, j.created, s.queue_id, q.starts_at,
  coalesce(json_extract(q.policy, '$.order'), 'written') as way
{_CAN_RUN} order by j.rank, j.id limit 1
"""  # noqa: S608
_WILL_RUN_AWAKE = f"""
select 1 {_CAN_RUN} and coalesce(json_extract(q.policy, '$.keep_awake'), 1) limit 1
"""  # noqa: S608
_ENGINES = f"""
select j.engine, min(j.rank) {_CAN_RUN} and s.queue_id = :queue group by j.engine order by 2
"""  # noqa: S608

# Does another engine still have to make something that jobs of this one wait for?
_WAITS_FOR_OTHERS = """
select 1 from jobs j cross join scenes s on s.id = j.scene_id
where j.state = 'queued' and j.lane = :lane and j.engine = :engine and s.queue_id = :queue and j.layer = 'picture' and (
  exists (select 1 from jobs v where v.scene_id = s.id and v.layer = 'voice' and v.state in ('queued', 'running')
          and v.engine != j.engine)
  or exists (select 1 from needs n cross join jobs p on p.scene_id = n.on_id where n.scene_id = s.id
             and p.layer = 'picture' and p.state in ('queued', 'running') and p.engine != j.engine))
limit 1
"""


class Claims:
    """Every method is called inside a transaction of the caller's."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection
        self._overtaken: dict[Lane, int] = {}  # how often in a row a job that was queued later went first

    def next(self, lane: Lane, resident: str | None, at: str) -> Row | None:
        """The job to be run now. `at`: the time it is."""
        first = self._first(lane, at)
        if first is None:
            return None
        found = self._by_model(first, lane, resident, at) if first["way"] == "model" else first
        overtaken, late = self._overtaken.get(lane, 0), found["created"] > first["created"]
        if late and overtaken >= FAIRNESS:
            found = first
        self._overtaken[lane] = 0 if found["id"] == first["id"] else overtaken + late
        return found

    def ever(self, *, keep_awake: bool = False) -> bool:
        """Is there a queued job that will run without anybody doing anything, now or later? `keep_awake`: of a queue
        that lets nobody sleep meanwhile."""
        sql = _WILL_RUN_AWAKE if keep_awake else _FIRST
        values = {"at": FOREVER, "engine": None, "queue": None}
        return any(self._c.row(sql, {**values, "lane": lane}) for lane in get_args(Lane))

    def next_try(self, at: str) -> str | None:
        """When the next job that failed is to be tried again; None: none waits for that alone."""
        found = self._c.value(
            "select min(j.not_before) from jobs j join scenes s on s.id = j.scene_id join queues q on q.id = s.queue_id"
            " where j.state = 'queued' and j.not_before > :at"
            " and (j.by_hand = 1 or (q.paused = 0 and (q.starts_at is null or q.starts_at <= :at)))",
            {"at": at},
        )
        return str(found) if found else None

    def _first(self, lane: Lane, at: str, engine: str | None = None, queue: str | None = None) -> Row | None:
        return self._c.row(_FIRST, {"lane": lane, "at": at, "engine": engine, "queue": queue})

    def _by_model(self, first: Row, lane: Lane, resident: str | None, at: str) -> Row:
        queue = first["queue_id"]
        if resident and (stays := self._first(lane, at, resident, queue)):
            return stays
        values = {"lane": lane, "at": at, "engine": None, "queue": queue}
        engines = [row["engine"] for row in self._c.rows(_ENGINES, values)]
        for engine in engines if len(engines) > 1 else ():
            if not self._c.value(_WAITS_FOR_OTHERS, {**values, "engine": engine}):
                return self._first(lane, at, engine, queue) or first
        return first
