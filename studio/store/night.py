"""What an unattended computer must know of all queues: may it sleep, is everything done, what was to happen then."""

from studio.store.changes import Changes
from studio.store.claims import Claims
from studio.store.database import Connection

_WISHED = "coalesce(json_extract(q.policy, '$.afterwards'), 'nothing')"


class Night:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes
        self._claims = Claims(connection)

    def wants_awake(self) -> bool:
        """Does a queue that keeps the computer awake render, or wait for its turn or its time?"""
        renders = self._c.value(
            "select 1 from jobs j cross join scenes s on s.id = j.scene_id cross join queues q on q.id = s.queue_id"
            " where j.state = 'running' and coalesce(json_extract(q.policy, '$.keep_awake'), 1) limit 1"
        )
        return bool(renders) or self._claims.ever(keep_awake=True)

    def unfinished(self) -> bool:
        """Does anything run, wait or stand still in any queue? What can never run, because a scene that it reads has
        failed, does not count."""
        busy = self._c.value(
            "select exists (select 1 from jobs where state = 'running')"
            " or exists (select 1 from exports where state in ('queued', 'running'))"
            " or exists (select 1 from jobs j join scenes s on s.id = j.scene_id join queues q on q.id = s.queue_id"
            " where j.state = 'queued' and q.paused = 1)"
        )
        return bool(busy) or self._claims.ever()

    def newest_event(self) -> int:
        return int(self._c.value("select coalesce(max(id), 0) from events"))

    def afterwards(self, since: int) -> set[str]:
        """What the queues want that made something, or failed to, since that event."""
        rows = self._c.rows(
            f"select distinct {_WISHED} as what from queues q where q.id in"  # noqa: S608
            " (select queue_id from events where id > ? and kind in ('done', 'failed'))",
            [since],
        )
        return {row["what"] for row in rows}

    def forget_afterwards(self, queue_id: str | None = None) -> None:
        """It happened, or was cancelled: it is asked for anew each night. None: by every queue."""
        with self._c.write():
            if self._c.execute(
                "update queues as q set policy = json_set(q.policy, '$.afterwards', 'nothing')"  # noqa: S608
                f" where {_WISHED} != 'nothing' and (:queue is null or q.id = :queue)",
                {"queue": queue_id},
            ):
                self._changes.queue()
