"""Projects: list, create, read, delete, and which queue belongs to which. Knows no scene."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio.errors import Refused, TooLarge
from studio.service.field_errors import free
from studio.service.views import View
from studio.store import Store
from studio.store.projects import DEFAULT_PROJECT

MAX_NAME = 120
MAX_SETTINGS = 100_000  # characters of JSON


class Projects:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[View]:
        self._store.projects.default()
        return [_view(row) for row in self._store.projects.all()]

    def get(self, name: str) -> View:
        """By name or slug. Raises NotFound. `settings`: what was stored with `change`."""
        row = self._store.projects.named(name)
        ids = [queue.id for queue in self._store.queues.all() if queue.project_id == row["id"] and not queue.inbox]
        return {**_view({**row, "queues": len(ids)}), "queue_ids": ids, "settings": json.loads(row["defaults"])}

    def is_default(self, name: str) -> bool:
        """Is this the project that always exists?"""
        return bool(self._store.projects.named(name)["slug"] == DEFAULT_PROJECT)

    def create(self, name: str) -> View:
        """Raises Refused, or Conflict("project.exists")."""
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise Refused("project.name", most=MAX_NAME)
        self._store.projects.create(name)
        return self.get(name)

    def change(self, name: str, settings: Mapping[str, Any]) -> View:
        """Merge into what is stored with a project. Raises TooLarge."""
        row = self._store.projects.named(name)
        merged = {**self._store.projects.settings(row["id"]), **free(settings, "settings")}
        if len(json.dumps(merged)) > MAX_SETTINGS:
            raise TooLarge("project.settings", most=MAX_SETTINGS)
        self._store.projects.change(row["id"], merged)
        return self.get(name)

    def take_in(self, queue_id: str, name: str) -> None:
        """The queue belongs to this project from now on; empty: to the one that always exists."""
        if self._store.queues.get(queue_id).inbox:
            raise Refused("project.inbox")
        target = self._store.projects.named(name)["id"] if name else self._store.projects.default()
        self._store.projects.move_queue(queue_id, target)

    def files(self, name: str) -> Mapping[str, Sequence[View]]:
        """By folder: the pictures and sounds that belong to a project."""
        row = self._store.projects.named(name)
        found: dict[str, Any] = {}
        for file in self._store.projects.files(row["id"]):
            view = {"name": file["name"], "ref": f"asset:{file['sha256']}", "kind": file["kind"], "size": file["size"]}
            found.setdefault(file["folder"], []).append(view)
        return found

    def add_file(self, name: str, folder: str, file_name: str, sha256: str) -> None:
        """An asset that is already here becomes a file of this project."""
        self._store.takes.asset(sha256)
        self._store.projects.add_file(self._store.projects.named(name)["id"], folder, file_name, sha256)

    def remove_file(self, name: str, folder: str, file_name: str) -> None:
        """Off the project's list; scenes that use the file keep it. Raises NotFound."""
        self._store.projects.remove_file(self._store.projects.named(name)["id"], folder, file_name)

    def delete(self, name: str) -> None:
        """Raises Conflict("project.in_use") while it has queues."""
        self._store.projects.delete(self._store.projects.named(name)["id"])


def _view(row: Mapping[str, Any]) -> View:
    return {
        "id": row["id"],
        "name": row["name"],
        "slug": row["slug"],
        "queues": row["queues"],
        "created": row["created"],
    }
