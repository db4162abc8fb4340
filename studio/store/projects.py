"""Projects: a series with its cast, its files and its queues. There is always one. Rows in, rows out."""

import json
from collections.abc import Mapping
from typing import Any

from studio.domain import new_id, slug
from studio.errors import Conflict, NotFound
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now

DEFAULT_PROJECT = "default"


class Projects:
    def __init__(self, connection: Connection, changes: Changes) -> None:
        self._c, self._changes = connection, changes

    def default(self) -> str:
        """The id of the project that always exists."""
        with self._c.write():
            found = self._c.value("select id from projects where slug = ?", [DEFAULT_PROJECT])
            return str(found) if found else self._insert("Default", DEFAULT_PROJECT)

    def create(self, name: str) -> str:
        """Raises Conflict("project.exists") when another one is called so."""
        short = slug(name) or "project"
        with self._c.write():
            if self._c.value("select 1 from projects where slug = ? or name = ?", [short, name]):
                raise Conflict("project.exists", name=name)
            return self._insert(name, short)

    def _insert(self, name: str, short: str) -> str:
        project_id = new_id()
        self._c.insert("projects", {"id": project_id, "slug": short, "name": name, "created": now()})
        return project_id

    def all(self) -> list[Row]:
        """By name; each with how many queues it has."""
        return self._c.rows(
            "select p.*, (select count(*) from queues q where q.project_id = p.id and q.inbox = 0) as queues"
            " from projects p order by p.name"
        )

    def named(self, name: str) -> Row:
        """Raises NotFound("project.unknown")."""
        row = self._c.row("select * from projects where name = ? or slug = ?", [name, slug(name)])
        if row is None:
            raise NotFound("project.unknown", name=name[:80])
        return row

    def settings(self, project_id: str) -> dict[str, Any]:
        return dict(json.loads(self._c.value("select defaults from projects where id = ?", [project_id]) or "{}"))

    def change(self, project_id: str, settings: Mapping[str, Any]) -> None:
        with self._c.write():
            self._c.execute("update projects set defaults = ? where id = ?", [json.dumps(settings), project_id])

    def move_queue(self, queue_id: str, project_id: str) -> None:
        """The queue goes to another project, under the next free code there if its own is taken."""
        with self._c.write():
            code = self._c.value("select code from queues where id = ?", [queue_id])
            if self._c.value(
                "select 1 from queues where project_id = ? and code = ? and id != ?", [project_id, code, queue_id]
            ):
                code = self.next_code(project_id)
            self._c.execute("update queues set project_id = ?, code = ? where id = ?", [project_id, code, queue_id])
            self._changes.queue()

    def next_code(self, project_id: str) -> str:
        """EP001, EP002 …; a code is given once and never changes."""
        taken = self._c.value(
            "select coalesce(max(cast(substr(code, 3) as integer)), 0) from queues"
            " where project_id = ? and code like 'EP%'",
            [project_id],
        )
        return f"EP{taken + 1:03d}"

    # ------------------------------------------------------------------------------------------ files
    def files(self, project_id: str) -> list[Row]:
        """Pictures and sounds that belong to a project, by folder and name."""
        return self._c.rows(
            "select f.*, a.kind, a.size from project_files f join assets a on a.sha256 = f.sha256"
            " where f.project_id = ? order by f.folder, f.name",
            [project_id],
        )

    def add_file(self, project_id: str, folder: str, name: str, sha256: str) -> None:
        """A second file of the same name replaces the first in the list; neither is deleted."""
        with self._c.write():
            self._c.execute(
                "insert or replace into project_files (project_id, folder, name, sha256, created)"
                " values (?, ?, ?, ?, ?)",
                [project_id, folder, name, sha256, now()],
            )

    def remove_file(self, project_id: str, folder: str, name: str) -> None:
        """Off the list. Raises NotFound."""
        with self._c.write():
            if not self._c.execute(
                "delete from project_files where project_id = ? and folder = ? and name = ?", [project_id, folder, name]
            ):
                raise NotFound("project.no_file", name=name[:80], folder=folder[:80])

    def delete(self, project_id: str) -> None:
        """Raises Conflict("project.in_use") while it has queues, and for the one that always exists."""
        with self._c.write():
            row = self._c.row("select * from projects where id = ?", [project_id])
            count = self._c.value("select count(*) from queues where project_id = ?", [project_id])
            if row is None:
                raise NotFound("project.unknown", name=project_id)
            if count or row["slug"] == DEFAULT_PROJECT:
                raise Conflict("project.in_use", name=row["name"], count=count)
            self._c.execute("delete from characters where project_id = ?", [project_id])
            self._c.execute("delete from projects where id = ?", [project_id])
