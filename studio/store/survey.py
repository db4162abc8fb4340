"""What a check must know of many scenes, and what this machine took for the last ones: reads only, in few queries.

Rows as they are: how long runs took, how large takes became, how fast voices spoke, which files scenes stand on.
"""

import json
from collections.abc import Iterable

from studio.domain import State
from studio.store.database import Connection, Row, now

RUNS = 20  # of an engine and a task, the newest: a machine changes
TAKES = 400  # from which sizes are learnt
VOICES = 300


class Survey:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    # ------------------------------------------------------------------------------------------ what it took
    def runs(self, engine: str, task: str) -> list[Row]:
        """Rows of width, height, num_frames and seconds of work, newest first."""
        return self._c.rows(
            "select width, height, num_frames, seconds from timings where engine = ? and task = ?"
            " order by id desc limit ?",
            [engine, task, RUNS],
        )

    def phases(self, engine: str) -> list[Row]:
        """Rows of width, height, duration and `phases` (JSON: seconds by phase) of an engine's newest takes that were
        timed, newest first."""
        return self._c.rows(
            "select width, height, duration, phases from (select width, height, duration,"
            " json_extract(facts, '$.phases') as phases from takes where engine = ? order by id desc limit ?)"
            " where phases is not null",
            [engine, RUNS],
        )

    def sizes(self) -> list[Row]:
        """Rows of engine, kind, width, height, duration and bytes of the newest takes."""
        return self._c.rows(
            "select engine, kind, width, height, duration, bytes from takes order by id desc limit ?", [TAKES]
        )

    def voices(self) -> list[Row]:
        """Rows of text, language (or None) and seconds of the newest voice takes."""
        return self._c.rows(
            "select json_extract(settings, '$.lines[0].text') as text, duration,"
            " json_extract(settings, '$.lines[0].language') as language"
            " from takes where layer = 'voice' order by id desc limit ?",
            [VOICES],
        )

    # ------------------------------------------------------------------------------------------ what scenes stand on
    def assets(self, hashes: Iterable[str]) -> dict[str, Row]:
        """By SHA-256: kind, root, path, name, size, mtime, duration."""
        rows = self._c.rows(
            "select sha256, kind, root, path, name, size, mtime, duration from assets"
            " where sha256 in (select value from json_each(?))",
            [json.dumps(sorted(hashes))],
        )
        return {row["sha256"]: row for row in rows}

    def sources(self, scene_ids: Iterable[str]) -> dict[str, Row]:
        """By scene: position, label, task, state; kind, root, path and seconds of its selected take (None: no take)."""
        rows = self._c.rows(
            "select s.id, s.position, s.task_type, s.state, json_extract(s.body, '$.label') as label, t.kind, t.root,"
            " t.path, t.duration from scenes s left join takes t on t.scene_id = s.id and t.layer = 'picture'"
            " and t.selected = 1 and t.trashed is null where s.id in (select value from json_each(?))",
            [json.dumps(sorted(scene_ids))],
        )
        return {row["id"]: row for row in rows}

    def ahead(self, queue_id: str, scene_ids: Iterable[str]) -> list[Row]:
        """Jobs that run, or that wait and go before those of these scenes: engine, lane, layer, task, and the size and
        duration that are asked for. Paused queues, and those whose time has not come, keep nobody waiting."""
        return self._c.rows(
            "select j.engine, j.lane, j.layer, s.task_type as task, json_extract(s.body, '$.resolution') as resolution,"
            " json_extract(s.body, '$.aspect') as aspect, json_extract(s.body, '$.duration') as duration, q.frame"
            " from jobs j join scenes s on s.id = j.scene_id join queues q on q.id = s.queue_id"
            " join queues mine on mine.id = :queue"
            " where j.state in (:running, :queued) and s.id not in (select value from json_each(:scenes))"
            " and (j.state = :running or (q.paused = 0 and (q.starts_at is null or q.starts_at <= :now)"
            " and (q.id = mine.id or q.inbox = 1 or q.priority > mine.priority"
            " or (q.priority = mine.priority and q.position < mine.position))))",
            {
                "queue": queue_id, "scenes": json.dumps(list(scene_ids)), "now": now(),
                "running": State.RUNNING, "queued": State.QUEUED,
            },
        )  # fmt: skip
