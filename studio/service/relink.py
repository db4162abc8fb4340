"""Missing files are found again: below a folder of this machine, or among the names of a folder that a browser holds.

An episode that is not imported yet keeps its file as it is: what was found is a mapping from the name in the file to an
asset, which check and import take. In a stored queue the scenes themselves are changed, as one edit that can be undone.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Event, Lock, Thread
from typing import Any

from studio.domain import Input, State, new_id
from studio.errors import Cancelled, NotFound, Refused, StudioError
from studio.media import search
from studio.media.search import File, Wanted
from studio.runner import Runner, broken
from studio.service.editing import Editing
from studio.service.library import Library
from studio.service.queues import Queues
from studio.service.views import View
from studio.store import SceneRow, Store
from studio.store.database import Row

log = logging.getLogger(__name__)

KEPT = 20  # searches whose answer can still be used
FOUND = "found"
SHOWN_PARTS = 4  # of a lost file's path: enough to find it by, and not where this user keeps things


@dataclass
class Search:
    """One look through a folder; written by its thread alone."""

    id: str
    wanted: Sequence[Wanted]
    folder: Path | None = None  # None: a browser holds it
    state: State = State.QUEUED
    seen: int = 0  # files
    complete: bool = True
    matches: Sequence[Mapping[str, Any]] = ()
    error: Mapping[str, Any] | None = None
    stop: Event = field(default_factory=Event)

    def view(self) -> View:
        return {
            "id": self.id, "folder": str(self.folder) if self.folder else "", "state": self.state, "seen": self.seen,
            "complete": self.complete, "error": self.error, "matches": [dict(match) for match in self.matches],
            "found": sum(match["state"] == FOUND for match in self.matches),
        }  # fmt: skip


class Relink:
    def __init__(self, store: Store, runner: Runner, library: Library, queues: Queues, editing: Editing) -> None:
        self._store, self._runner, self._library = store, runner, library
        self._queues, self._editing = queues, editing
        self._searches: dict[str, Search] = {}
        self._lock = Lock()  # protects _searches
        self._threads: list[Thread] = []

    # ------------------------------------------------------------------------------------------ searching
    def begin(self, path: str, wanted: Sequence[View], *, trusted: bool = False, wait: bool = False) -> View:
        """Look for these, {ref, kind, name?, sha256?, size?}, below a folder of this machine; the search so far. Raises
        NotFound, Forbidden, Refused("search.no_folder")."""
        folder = self._library.find_any(path, trusted=trusted)
        if not folder.is_dir():
            raise Refused("search.no_folder", name=folder.name)
        one = self._remembered(Search(new_id(), [_wanted(row) for row in wanted], folder))
        if wait:
            self._run(one)
        else:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(Thread(target=self._run, args=(one,), name="search", daemon=True))
            self._threads[-1].start()
        return one.view()

    def compare(self, wanted: Sequence[View], files: Sequence[tuple[str, int]]) -> View:
        """The same among the names of a folder that the caller holds, (path, bytes): done at once, contents are not
        known."""
        rows = [_wanted(row) for row in wanted]
        one = self._remembered(Search(new_id(), rows, state=State.DONE, seen=len(files)))
        one.matches = [match.as_dict() for match in search.match_all(rows, [File(*file) for file in files])]
        return one.view()

    def get(self, search_id: str) -> View:
        return self._search(search_id).view()

    def cancel(self, search_id: str) -> None:
        self._search(search_id).stop.set()
        self._runner.lanes.tools[0].cancel(search_id)

    def close(self) -> None:
        for one in self._searches.values():
            one.stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _search(self, search_id: str) -> Search:
        one = self._searches.get(search_id)
        if one is None:
            raise NotFound("search.unknown", search=search_id[:40])
        return one

    def _remembered(self, one: Search) -> Search:
        with self._lock:
            self._searches = dict([*self._searches.items(), (one.id, one)][-KEPT:])
        return one

    def _run(self, one: Search) -> None:
        def step(seen: int, total: int) -> None:
            one.seen = seen
            if one.stop.is_set():
                self._runner.lanes.tools[0].cancel(one.id)

        one.state = State.RUNNING
        order = {"folder": str(one.folder), "wanted": [_order(wanted) for wanted in one.wanted]}
        try:
            told = self._runner.ask(self._runner.lanes.tools[0], "search", order, job_id=one.id, step=step)
            one.matches, one.seen, one.complete = told["matches"], told["seen"], told["complete"]
            one.state = State.DONE
        except StudioError as error:
            one.state = State.CANCELLED if isinstance(error, Cancelled) else State.FAILED
            one.error = None if isinstance(error, Cancelled) else error.as_dict()
        except Exception as error:
            log.exception("searching %s", one.folder)
            one.state, one.error = State.FAILED, broken(error)

    # ------------------------------------------------------------------------------------------ taking what was found
    def take(self, search_id: str, choices: Mapping[str, str]) -> View:
        """What was found becomes assets, where it lies: {relinked: {ref: asset}, refused: [{ref, error}]}. `choices`:
        by ref one of its candidates, or "" for none. Raises Refused("search.no_candidate")."""
        one = self._search(search_id)
        if one.folder is None or one.state is not State.DONE:
            raise Refused("search.not_done", search=search_id[:40])
        wanted: dict[str, Path] = {}
        for match in one.matches:
            path = choices.get(match["ref"], match["path"])
            if path and path not in (match["path"], *match["candidates"]):
                raise Refused("search.no_candidate", name=path[:200])
            if path:
                wanted[match["ref"]] = one.folder / path
        self._library.look_ahead(wanted.values())
        relinked, refused = {}, []
        for ref, path in wanted.items():
            try:
                relinked[ref] = str(self._library.adopt(path)["ref"])
            except (StudioError, OSError) as error:
                said = error if isinstance(error, StudioError) else NotFound("input.missing", name=path.name)
                refused.append({"ref": ref, "error": said.as_dict()})
        return {"relinked": relinked, "refused": refused}

    # ------------------------------------------------------------------------------------------ a stored queue
    def missing(self, queue_id: str) -> View:
        """Assets of a queue whose file has gone: {files: [{ref, name, kind, scenes, sha256, size}]}."""
        named = self._named(queue_id)
        rows = self._store.survey.assets({item.ref.removeprefix("asset:") for _, item in named})
        gone = {f"asset:{sha256}": row for sha256, row in rows.items() if not self._is_there(row)}
        found: dict[str, View] = {}
        for scene, item in named:
            if item.ref in gone:
                lost = found.setdefault(item.ref, {**_lost(gone[item.ref]), "ref": item.ref, "scenes": []})
                if scene and lost["scenes"][-1:] != [scene.position + 1]:  # they come in order
                    lost["scenes"].append(scene.position + 1)
        return {"files": list(found.values())}

    def relink(self, queue_id: str, relinked: Mapping[str, str]) -> View:
        """Put other assets where these refs stand; the same content in another place needs no edit. Answers {changed,
        refused, missing: how many files are still not there}."""
        queue = self._store.queues.get(queue_id)
        for ref in relinked.values():
            self._library.get(ref.removeprefix("asset:"))
        moved = {old: new for old, new in relinked.items() if old != new}
        rows = self._store.queues.scenes(queue_id)
        touched = [row.id for row in rows if any(item.ref in moved for item in _inputs(row))]
        told: View = {"changed": [], "refused": []}
        if touched:
            told = self._editing.edit_each(queue_id, touched, lambda row: _changed(row, moved), verb="relink")
        if queue.music and queue.music.ref in moved:
            music = queue.music.model_copy(update={"ref": moved[queue.music.ref]})
            self._queues.update(queue_id, {"music": music.model_dump(mode="json")})
        return {**told, "missing": len(self.missing(queue_id)["files"])}

    def _named(self, queue_id: str) -> list[tuple[SceneRow | None, Input]]:
        """(scene, what it names) of all assets; the music belongs to none."""
        queue = self._store.queues.get(queue_id)
        found: list[tuple[SceneRow | None, Input]] = []
        for row in self._store.queues.scenes(queue_id):
            found += [(row, item) for item in _inputs(row) if item.ref.startswith("asset:")]
        if queue.music:
            found.append((None, Input("music", "audio", queue.music.ref)))
        return found

    def _is_there(self, row: Row) -> bool:
        try:
            return self._store.roots.file(row["root"], row["path"]).is_file()
        except StudioError:  # its folder is no longer one of ours
            return False


def _order(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in ("ref", "name", "kind", "sha256", "size")}


def _wanted(row: View) -> Wanted:
    return Wanted(
        row["ref"], row.get("name") or row["ref"], row["kind"], row.get("sha256") or "", row.get("size") or 0
    )  # fmt: skip


def _inputs(row: SceneRow) -> list[Input]:
    return [*row.scene.inputs(), *row.scene.sounds()]


def _changed(row: SceneRow, moved: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a scene that name another file now."""
    refs = {item.field: moved[item.ref] for item in _inputs(row) if item.ref in moved}
    values = row.scene.with_inputs(refs).model_dump(mode="json")
    return {name: values[name] for name in {field.partition(".")[0] for field in refs}}


def _lost(row: Row) -> View:
    """Its name as the user knows it, with the folders it lay in; a file of ours is called by its hash there."""
    path = PurePosixPath(row["path"])
    name = "/".join(path.parts[-SHOWN_PARTS:]) if path.name == row["name"] else row["name"]
    return {"name": name.lstrip("/"), "kind": row["kind"], "sha256": row["sha256"], "size": row["size"]}
