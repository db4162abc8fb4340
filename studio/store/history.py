"""What jobs did and when: reading only."""

from studio.store.database import Connection, Row


class History:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def times(self, queue_id: str) -> list[Row]:
        """By scene: when it was written, and when its newest work began and ended (None: never)."""
        return self._c.rows(
            "select s.id, s.created as created_at, max(j.started) as started_at, max(j.finished) as finished_at"
            " from scenes s left join jobs j on j.scene_id = s.id where s.queue_id = ? group by s.id",
            [queue_id],
        )

    def work(self, queue_id: str) -> list[Row]:
        """By engine and task (a voice counts as speech): how many scenes and lines there are, how many are not made."""
        return self._c.rows(
            "select j.engine, case j.layer when 'voice' then 'speech' else s.task_type end as task, count(*) as jobs,"
            " sum(j.state in ('queued', 'running')) as left from jobs j join scenes s on s.id = j.scene_id"
            " where s.queue_id = ? and j.id in (select max(id) from jobs where scene_id = s.id"
            " group by layer, coalesce(line_id, '')) group by 1, 2",
            [queue_id],
        )
