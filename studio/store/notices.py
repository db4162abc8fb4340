"""What the studio tells people: notices, the hooks that want to hear of them, and the outbox. Knows no HTTP, no words.

A notice is an event of one of KINDS with everything in its facts that telling it needs, so that it outlives its queue.
`Notices.tell` writes it and, in the same transaction, one delivery for each hook that asked for such an event: what
was decided to be told is told, whatever happens to the studio in between.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from studio.domain import new_id
from studio.errors import NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now, stamp

HookEvent = Literal["first_failure", "stall", "finish"]
KINDS: Mapping[str, HookEvent | None] = {  # a notice -> the event that hooks may ask for; None: shown, not sent
    "finished": "finish",
    "failure": "first_failure",
    "stalled": "stall",
    "disk_full": "stall",
    "resumed": None,
    "no_models": "first_failure",  # a run that waited for models is not begun
}
KEEP_DAYS = 30  # notices and deliveries that ended
MOST = 200  # notices in one answer


@dataclass(frozen=True, slots=True)
class Hook:
    """Where notices go. `secret` is a key: it never leaves the studio but in what is sent to `url`."""

    id: str
    kind: str  # generic | ntfy | telegram | discord
    name: str
    url: str
    target: str  # Telegram: the chat
    secret: str
    local: bool  # may be in the user's own network
    lang: str
    events: Sequence[str]
    created: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way. Without a hook it goes to `url`: somebody asked for it when the run was begun."""

    id: str
    hook_id: str | None
    run_id: str | None
    event: str
    url: str
    body: Mapping[str, Any]  # the notice: kind, at, queue, run, scene, error …
    attempts: int
    next_at: str
    state: str  # waiting | sent | failed
    error: Mapping[str, Any] | None
    created: str
    ended: str | None


def moment(seconds: float) -> str:
    """A time as the tables write it, from seconds since 1970."""
    return stamp(datetime.fromtimestamp(seconds, UTC))


class Notices:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    # ------------------------------------------------------------------------------------------ notices
    def tell(self, kind: str, facts: Mapping[str, Any], *, urls: Sequence[str] = ()) -> None:
        """Inside write(): a notice, and a delivery for every hook that asked for it and for every one of `urls`.

        `facts`: queue, and where they apply run, scene, error."""
        assert kind in KINDS, kind
        at = now()
        scene, queue, run = facts.get("scene") or {}, facts.get("queue") or {}, facts.get("run") or {}
        self._c.insert(
            "events",
            {
                "at": at, "kind": f"notice.{kind}", "queue_id": queue.get("id"), "scene_id": scene.get("id"),
                "job_id": facts.get("job_id"), "facts": json.dumps(facts),
            },
        )  # fmt: skip
        self._changes.notice()
        event = KINDS[kind]
        if event is None:
            return
        body = {"kind": kind, "at": at, **facts}
        for hook in self.hooks():
            if event in hook.events:
                self.post(event, body, hook_id=hook.id, run_id=run.get("id"))
        for url in dict.fromkeys(urls):
            self.post(event, body, url=url, run_id=run.get("id"))

    def told(self, kind: str, job_id: str) -> bool:
        """Was this said of this job already?"""
        return bool(self._c.value("select 1 from events where job_id = ? and kind = ?", [job_id, f"notice.{kind}"]))

    def recent(self, since: int = 0, limit: int = 50) -> list[Row]:
        """Newest first; only those after the notice number `since`."""
        rows = self._c.rows(
            "select id, at, substr(kind, 8) as kind, queue_id, scene_id, facts from events"
            " where kind between 'notice.' and 'notice/' and id > ? order by id desc limit ?",
            [since, min(limit, MOST)],
        )
        return [{**row, "facts": json.loads(row["facts"])} for row in rows]

    # ------------------------------------------------------------------------------------------ hooks
    def hooks(self) -> list[Hook]:
        return [_hook(row) for row in self._c.rows("select * from hooks order by id")]

    def hook(self, hook_id: str) -> Hook:
        row = self._c.row("select * from hooks where id = ?", [hook_id])
        if row is None:
            raise NotFound("hook.unknown", hook=hook_id)
        return _hook(row)

    def add_hook(self, values: Mapping[str, Any]) -> str:
        hook_id = new_id()
        with self._c.write():
            self._c.insert("hooks", {**_columns(values), "id": hook_id, "created": now()})
        return hook_id

    def change_hook(self, hook_id: str, values: Mapping[str, Any]) -> None:
        columns = _columns(values)
        with self._c.write():
            sets = ", ".join(f"{name} = :{name}" for name in columns)
            self._c.execute(f"update hooks set {sets} where id = :id", {**columns, "id": hook_id})

    def delete_hook(self, hook_id: str) -> None:
        """The hook, and what was still on its way to it."""
        with self._c.write():
            self._c.execute("delete from deliveries where hook_id = ?", [hook_id])
            self._c.execute("delete from hooks where id = ?", [hook_id])

    # ------------------------------------------------------------------------------------------ the outbox
    def post(
        self, event: str, body: Mapping[str, Any], *, hook_id: str | None = None, url: str = "",
        run_id: str | None = None,
    ) -> None:  # fmt: skip
        """Inside write(): one message that is to be sent."""
        self._c.insert(
            "deliveries",
            {
                "id": new_id(), "hook_id": hook_id, "run_id": run_id, "event": event, "url": url,
                "body": json.dumps(body), "next_at": now(), "created": now(),
            },
        )  # fmt: skip

    def due(self, at: str) -> list[Delivery]:
        """What is to be tried at this time, the longest waiting first."""
        return [_delivery(row) for row in self._c.rows(_WAITING + " and next_at <= ? order by next_at, id", [at])]

    def attempted(
        self, delivery_id: str, *, state: str, error: Mapping[str, Any] | None = None, next_at: str | None = None
    ) -> None:
        """What came of a try. A delivery that was sent once is sent: nothing takes that back."""
        with self._c.write():
            self._c.execute(
                "update deliveries set attempts = attempts + 1, state = :state, error = :error,"
                " next_at = coalesce(:next_at, next_at), ended = :ended where id = :id and state = 'waiting'",
                {
                    "id": delivery_id, "state": state, "error": json.dumps(error) if error else None,
                    "next_at": next_at, "ended": None if state == "waiting" else now(),
                },
            )  # fmt: skip

    def deliveries(self, limit: int = 100) -> list[Delivery]:
        """Newest first."""
        return [_delivery(row) for row in self._c.rows("select * from deliveries order by id desc limit ?", [limit])]

    def prune(self, at: float) -> None:
        """Forget notices, ended deliveries and what happened to scenes that are gone, where that is long ago. `at`:
        seconds since 1970."""
        old = moment(at - timedelta(days=KEEP_DAYS).total_seconds())
        with self._c.write():
            self._c.execute("delete from deliveries where state != 'waiting' and ended < ?", [old])
            # never the newest: its number would be given again, and pages ask for what came after a number
            self._c.execute(
                "delete from events where at < ? and id < (select max(id) from events)"
                " and (kind between 'notice.' and 'notice/' or scene_id not in (select id from scenes))",
                [old],
            )


_WAITING = "select * from deliveries where state = 'waiting'"


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """A hook's fields as columns."""
    columns = dict(values)
    if "events" in columns:
        columns["events"] = json.dumps(list(columns["events"]))
    if "local" in columns:
        columns["local"] = int(columns["local"])
    return columns


def _hook(row: Row) -> Hook:
    return Hook(**{**row, "events": json.loads(row["events"]), "local": bool(row["local"])})


def _delivery(row: Row) -> Delivery:
    error = json.loads(row["error"]) if row["error"] else None
    return Delivery(**{**row, "body": json.loads(row["body"]), "error": error})
