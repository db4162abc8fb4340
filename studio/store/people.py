"""People, invitations, sessions and the audit: rows in and out. Secrets come as digests; this module knows none."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from studio.domain import Way, new_id
from studio.errors import Conflict, NotFound
from studio.store.database import Connection, Row, now

AUDIT_ROWS = 20_000  # kept; the oldest go first
MOST_SESSIONS = 50  # of a person


class People:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    # ------------------------------------------------------------------------------------------ people
    def all(self) -> list[Row]:
        """Owners first, then by name."""
        return self._c.rows(
            "select * from people order by case role when 'owner' then 0 when 'editor' then 1 else 2 end, key"
        )

    def get(self, person_id: str) -> Row:
        row = self._c.row("select * from people where id = ?", [person_id])
        if row is None:
            raise NotFound("people.unknown", person=person_id[:40])
        return row

    def called(self, key: str) -> Row | None:
        """The person who signs in by this name."""
        return self._c.row("select * from people where key = ?", [key])

    def came_by(self, invitation_id: str) -> list[Row]:
        return self._c.rows("select * from people where invitation_id = ? order by id", [invitation_id])

    def add(self, **values: Any) -> str:
        """Its id. Raises Conflict where somebody has that name."""
        person_id = new_id()
        try:
            with self._c.write():
                self._c.insert("people", {"id": person_id, "created": now(), **values})
        except sqlite3.IntegrityError as error:
            raise Conflict("people.name_taken", name=values["name"]) from error
        return person_id

    def change(self, person_id: str, values: Mapping[str, Any]) -> None:
        """Columns of a person. Raises Conflict where somebody else has that name."""
        self.get(person_id)
        names = ", ".join(f"{name} = ?" for name in values)
        try:
            with self._c.write():
                self._c.execute(f"update people set {names} where id = ?", [*values.values(), person_id])
        except sqlite3.IntegrityError as error:
            raise Conflict("people.name_taken", name=values["name"]) from error

    def remove(self, person_id: str) -> None:
        """With every session; what was said stays, under the name."""
        with self._c.write():
            self._c.execute("delete from people where id = ?", [person_id])

    # ------------------------------------------------------------------------------------------ invitations
    def invitations(self) -> list[Row]:
        """Newest first, with the name of the film and who came by them."""
        rows = self._c.rows(
            "select i.*, q.name as queue from invitations i left join queues q on q.id = i.queue_id"
            " order by i.created desc, i.id desc"
        )
        names: dict[str, list[str]] = {}
        for person in self._c.rows("select invitation_id, name from people where invitation_id is not null"):
            names.setdefault(person["invitation_id"], []).append(person["name"])
        return [{**row, "used_by": names.get(row["id"], [])} for row in rows]

    def invitation(self, digest: str) -> Row | None:
        return self._c.row("select * from invitations where digest = ?", [digest])

    def invitation_of(self, invitation_id: str) -> Row:
        row = self._c.row("select * from invitations where id = ?", [invitation_id])
        if row is None:
            raise NotFound("invitation.unknown", invitation=invitation_id[:40])
        return row

    def invite(self, **values: Any) -> str:
        """Its id. Raises NotFound where the film it is for is gone."""
        invitation_id = new_id()
        try:
            with self._c.write():
                self._c.insert("invitations", {"id": invitation_id, "created": now(), **values})
        except sqlite3.IntegrityError as error:
            raise NotFound("queue.unknown", queue=str(values["queue_id"])[:40]) from error
        return invitation_id

    def revoke(self, invitation_id: str) -> None:
        """Its link opens nothing any more, the sessions of those who came by it end, and so do their passwords."""
        self.invitation_of(invitation_id)
        with self._c.write():
            self._c.execute(
                "update invitations set revoked = coalesce(revoked, ?) where id = ?", [now(), invitation_id]
            )
            self._c.execute(
                "delete from sessions where person_id in (select id from people where invitation_id = ?)",
                [invitation_id],
            )
            self._c.execute("update people set password = '' where invitation_id = ?", [invitation_id])

    def forget_invitation(self, invitation_id: str) -> None:
        """One that is over leaves the list."""
        with self._c.write():
            self._c.execute("delete from invitations where id = ?", [invitation_id])

    # ------------------------------------------------------------------------------------------ sessions
    def sessions(self) -> list[Row]:
        """Those that are not over, with their people; the newest first."""
        return self._c.rows(
            "select s.*, p.name, p.role, p.queue_id from sessions s join people p on p.id = s.person_id"
            " where s.expires > ? order by s.seen desc",
            [now()],
        )

    def open_session(self, person: Row, **values: Any) -> str:
        """Its id; "" where the person is not any more as in `person`. Of many, the oldest of that person end."""
        session_id = new_id()
        with self._c.write():
            if self._c.row("select * from people where id = ?", [person["id"]]) != person:
                return ""
            self._c.execute("delete from sessions where expires <= ?", [now()])
            self._c.execute(
                "delete from sessions where id in"
                " (select id from sessions where person_id = ? order by id desc limit -1 offset ?)",
                [person["id"], MOST_SESSIONS - 1],
            )
            self._c.insert(
                "sessions", {"id": session_id, "person_id": person["id"], "created": now(), "seen": now(), **values}
            )
        return session_id

    def seen(self, at: Mapping[str, str]) -> None:
        """When each session was last used, by its id."""
        with self._c.write():
            self._c.execute_many("update sessions set seen = ? where id = ?", [[at[name], name] for name in at])

    def end_session(self, session_id: str) -> None:
        with self._c.write():
            self._c.execute("delete from sessions where id = ?", [session_id])

    def end_sessions(self, person_id: str, but: str = "") -> None:
        with self._c.write():
            self._c.execute("delete from sessions where person_id = ? and id <> ?", [person_id, but])

    def end_way(self, way: Way) -> None:
        with self._c.write():
            self._c.execute("delete from sessions where way = ?", [way])

    # ------------------------------------------------------------------------------------------ audit
    def record(self, **values: Any) -> int:
        """The id of the row."""
        with self._c.write():
            self._c.insert("audit", {"at": now(), **values})
            return int(self._c.value("select max(id) from audit"))

    def amend(self, audit_id: int, facts: str) -> None:
        with self._c.write():
            self._c.execute("update audit set facts = ? where id = ?", [facts, audit_id])

    def audit(self, before: int | None, limit: int) -> list[Row]:
        """Newest first; `before` is the id of the last one that was seen."""
        return self._c.rows(
            "select * from audit where ? is null or id < ? order by id desc limit ?", [before, before, limit]
        )

    def trim_audit(self, oldest: str) -> None:
        """What is older goes, and what is too much."""
        with self._c.write():
            self._c.execute("delete from audit where at < ?", [oldest])
            self._c.execute("delete from audit where id <= (select max(id) from audit) - ?", [AUDIT_ROWS])
