"""All SQL, and the only writer. Knows rows and the words of the domain; no engine, no worker, no screen.

`Store` opens the database, migrates it and hands out its parts: `projects`, `queues`, `jobs`, `takes` and so on. They
share one connection, one lock and one record of what changed.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from studio.domain import ids_after
from studio.media.roots import Roots
from studio.store.calibration import Calibration
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.edits import Edits
from studio.store.ends import Ends, NewTake
from studio.store.history import History
from studio.store.jobs import Jobs, Wanted
from studio.store.migrations import migrations
from studio.store.models import Models
from studio.store.night import Night
from studio.store.notices import Notices
from studio.store.people import People
from studio.store.presets import Presets
from studio.store.projects import Projects
from studio.store.queues import POLICY, Queue, Queues, SceneRow
from studio.store.review import Review
from studio.store.reviews import Reviews
from studio.store.runs import Runs
from studio.store.speakers import Speakers, speakers_of
from studio.store.standing import Standing
from studio.store.storage import Storage
from studio.store.survey import Survey
from studio.store.takes import Takes
from studio.store.transfers import Transfers
from studio.store.voices import Voices

__all__ = ["POLICY", "NewTake", "Queue", "SceneRow", "Speakers", "Store", "Wanted"]


class Store:
    """Raises Unavailable("store.newer") when the file was written by a newer studio."""

    def __init__(self, path: Path, roots: Roots) -> None:
        self._connection = Connection(path, migrations)
        newest = self._connection.value(
            "select max(id) from (select max(id) id from jobs union all select max(id) from takes union all"
            " select max(id) from runs)"
        )
        if newest:
            ids_after(newest)
        self.changes = Changes()
        self.roots = roots
        self.history = History(self._connection)
        self.projects = Projects(self._connection, self.changes)
        self.queues = Queues(self._connection, self.changes, self.projects)
        self.notices = Notices(self._connection, self.changes)
        self.runs = Runs(self._connection, self.changes, self.notices)
        standing = Standing(self._connection, self.changes)
        self.jobs = Jobs(self._connection, self.changes, self.runs, standing)
        self.ends = Ends(self._connection, self.changes, self.runs, standing)
        self.night = Night(self._connection, self.changes)
        self.survey = Survey(self._connection)
        self.presets = Presets(self._connection)
        self.people = People(self._connection)
        self.calibration = Calibration(self._connection)
        self.edits = Edits(self._connection, self.changes, standing.settle)
        self.voices = Voices(self._connection, self.changes)
        self.takes = Takes(self._connection, self.changes, roots)
        self.review = Review(self._connection, self.changes)
        self.reviews = Reviews(self._connection, self.changes)
        self.storage = Storage(self._connection, self.changes)
        self.models = Models(self._connection)
        self.transfers = Transfers(self._connection, self.changes, roots, self.queues, self.projects)

    def together(self) -> AbstractContextManager[object]:
        """Several steps as one: all of them are written, or none, and nobody sees what is between."""
        return self._connection.write()

    def speakers(self, project_id: str) -> Speakers:
        """Who says the lines of a project, as it stands now."""
        return speakers_of(self.voices, self.queues, project_id)

    def events(self, scene_id: str, limit: int = 200) -> list[Row]:
        """What happened to a scene, oldest first."""
        rows = self._connection.rows(
            "select * from events where scene_id = ? order by id desc limit ?", [scene_id, limit]
        )
        return rows[::-1]

    def since(self, queue_id: str, version: str | None) -> tuple[str, list[SceneRow], list[str]]:
        """(version now, scenes changed since, ids removed since); every scene when the version is not of this boot."""
        with self._connection.lock:
            found = self.changes.since(queue_id, version)
            if found is None:
                return self.changes.version, self.queues.scenes(queue_id), []
            changed, removed = found
            scenes = self.queues.scenes(queue_id, changed) if changed else []
            return self.changes.version, scenes, sorted(removed)

    def answer(self, key: str) -> Row | None:
        """What was answered to a request with this idempotency key."""
        return self._connection.row("select status, body from answers where key = ?", [key])

    def remember(self, key: str, status: int, body: str) -> None:
        with self._connection.write():
            self._connection.execute("delete from answers where at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')")
            self._connection.execute(
                "insert or ignore into answers (key, status, body, at) values (?, ?, ?, ?)", [key, status, body, now()]
            )

    def facts(self) -> Mapping[str, Any]:
        """For the doctor: SQLite's version and the journal's mode."""
        version = self._connection.value("select sqlite_version()")
        return {"sqlite": version, "journal": self._connection.value("pragma journal_mode")}

    def close(self) -> None:
        self._connection.close()
