"""What lies on the disk, and every way to make room: spare takes, the trash, caches, uploads, what queues left behind.

Only files below the studio's own folders are ever removed; a take that was adopted where the user keeps it only loses
its row. How a removal survives a crash stands in store/storage.py.
"""

import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, Literal

from studio.errors import Conflict, Forbidden
from studio.execution.work import sidecar_path
from studio.media.files import free_bytes
from studio.runner import Runner
from studio.service.views import View
from studio.store import Store
from studio.store.database import stamp

log = logging.getLogger(__name__)

Cache = Literal["conform", "frames", "posters"]
CACHES: dict[str, str] = {"conform": "conform", "frames": "frames", "posters": "takes"}  # name -> folder
OURS = ("outputs", "data")  # roots below which files are ours to remove
KEEP_RATING = 4  # stars from which a take that is not selected is kept
UPLOAD_DAYS = 7  # an upload that nothing names may still be in a form that nobody has saved yet
DAY = 86_400.0  # seconds
BATCH = 100  # files whose removal is written down at once


class Storage:
    def __init__(
        self, store: Store, runner: Runner, outputs: Path, cache: Path, trash_days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        """`trash_days`: how long the trash keeps what was thrown away; 0: for ever."""
        self._store, self._runner, self._outputs, self._cache = store, runner, outputs, cache
        self.trash_days, self._clock = trash_days, clock
        self._removing = Lock()  # one remover at a time; the database's lock is taken inside it
        self._closing = Flag()
        self._thread = Thread(target=self._daily, name="tidy", daemon=True)

    # ------------------------------------------------------------------------------------------ looking
    def view(self) -> View:
        """Everything in bytes: by queue, the trash, the caches, uploads, and what deleted queues left."""
        queues = [{**row, "finished": bool(row["finished"]), "inbox": bool(row["inbox"])} for row in self._queues()]
        unused = self._store.storage.unused_uploads(self._before(UPLOAD_DAYS))
        return {
            "free": free_bytes(self._outputs),
            "queues": queues,
            "trash": {**self._store.storage.trash(), "days": self.trash_days},
            "cache": {name: _bytes_below(self._cache / folder) for name, folder in CACHES.items()},
            "uploads": {
                **self._store.storage.uploads(), "days": UPLOAD_DAYS,
                "unused": {"files": len(unused), "bytes": sum(row["size"] for row in unused)},
            },
            "leftovers": self._store.storage.leftovers(),
        }  # fmt: skip

    def _queues(self) -> list[dict[str, Any]]:
        rows = self._store.storage.by_queue()
        spare: dict[str, dict[str, int]] = {}
        for take in self._store.storage.spare([row["id"] for row in rows if row["finished"]], KEEP_RATING):
            sums = spare.setdefault(take["queue_id"], {"takes": 0, "bytes": 0})
            sums["takes"] += 1
            sums["bytes"] += take["bytes"]
        return [{**row, "spare": spare.get(row["id"], {"takes": 0, "bytes": 0})} for row in rows]

    # ------------------------------------------------------------------------------------------ making room
    def trash_spare(self, queue_ids: Sequence[str] | None = None, keep_rating: int = KEEP_RATING) -> View:
        """Takes of finished films that are not selected, not locked and rated less go to the trash: {takes, bytes}."""
        for queue_id in queue_ids or ():
            self._store.queues.get(queue_id)
        finished = [row["id"] for row in self._store.storage.by_queue() if row["finished"]]
        chosen = [queue for queue in finished if queue_ids is None or queue in queue_ids]
        rows = self._store.storage.spare(chosen, keep_rating)
        with self._store.together():
            for row in rows:
                self._store.takes.trash(row["id"])
        return {"takes": len(rows), "bytes": sum(row["bytes"] for row in rows)}

    def empty_trash(self, older_than_days: float = 0) -> View:
        """Remove what is in the trash, or what went there so many days ago: {takes, bytes}, files and all."""
        before = self._before(older_than_days) if older_than_days else None
        return self._removed(lambda: self._store.storage.doom_takes(before=before), "takes")

    def remove_take(self, take_id: str) -> None:
        """One take of the trash, for ever. Raises Conflict where it is not there or somebody reads its file."""
        take = self._store.takes.get(take_id)
        if not take.trashed:
            raise Conflict("take.not_in_trash", take=take_id)
        if not self._removed(lambda: self._store.storage.doom_takes(only=[take_id]), "takes")["takes"]:
            raise Conflict("take.in_use", take=take_id)

    def remove_leftovers(self, queue: str | None = None) -> View:
        """Files of takes and films whose queue or scene was deleted; of one name, or all: {files, bytes}."""
        return self._removed(lambda: self._store.storage.doom_leftovers(queue), "files")

    def remove_uploads(self, older_than_days: float = UPLOAD_DAYS) -> View:
        """Uploads of that age that no scene, film, character or preset names: {files, bytes}."""
        before = self._before(older_than_days)
        return self._removed(lambda: self._store.storage.doom_uploads(before), "files")

    def clear_caches(self, names: Sequence[Cache] = ("conform", "frames", "posters")) -> View:
        """Whatever is in them is made again when it is wanted: {bytes}. Raises Conflict while something is rendered or
        exported, which may read from them."""
        if self._runner.live or self._store.storage.exporting():
            raise Conflict("storage.busy")
        freed = 0
        for name in names:
            for path in _files_below(self._cache / CACHES[name]):
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return {"bytes": freed}

    # ------------------------------------------------------------------------------------------ by itself
    def start(self) -> None:
        """Finish what a crash cut off, and look after the trash now and once a day."""
        self._thread.start()

    def tidy(self) -> None:
        with self._removing:
            self._remove_doomed()
        if self.trash_days:
            self.empty_trash(self.trash_days)

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _daily(self) -> None:
        while not self._closing.is_set():
            try:
                self.tidy()
            except Exception:  # a disk that is away today may be back tomorrow
                log.exception("tidying")
            self._closing.wait(DAY)

    def _before(self, days: float) -> str:
        return stamp(self._clock() - timedelta(days=days))

    # ------------------------------------------------------------------------------------------ files
    def _removed(self, doom: Callable[[], int], what: str) -> View:
        with self._removing:
            count = doom()
            return {what: count, "bytes": self._remove_doomed()}

    def _remove_doomed(self) -> int:
        """Every file that is written down as doomed, with all that lies beside it; the bytes that it freed."""
        freed = last = 0
        while (rows := self._store.storage.doomed(last, BATCH)) and not self._closing.is_set():
            gone, last = [], rows[-1]["id"]
            for row in rows:
                try:
                    with self._store.together():  # nobody may upload it once more between the question and the end
                        if self._store.storage.is_free(row["id"]):
                            freed += self._remove(row)
                    gone.append(row["id"])
                except OSError as error:  # somebody has it open: it stays doomed
                    log.warning("cannot remove %s yet: %s", row["path"], error)
            self._store.storage.gone(gone)
        return freed

    def _remove(self, row: dict[str, Any]) -> int:
        try:
            path = self._store.roots.file(row["root"], row["path"])
        except Forbidden:  # its media root is no longer set
            return 0
        if row["root"] not in OURS:
            return 0
        freed = 0
        for file in (path, *self._beside(row, path)):
            if file.is_file():
                freed += file.stat().st_size
                file.unlink()
        return freed

    def _beside(self, row: dict[str, Any], path: Path) -> list[Path]:
        """Sidecar and small pictures of a take, subtitles of a film, poster of an upload."""
        beside = [] if row["kind"] == "upload" else [sidecar_path(path)]
        if row["kind"] == "film":
            beside += [path.with_suffix(suffix) for suffix in (".vtt", ".srt")]
        owner = {"take": row["job_id"], "upload": f"asset-{row['owner']}"}.get(row["kind"], "")
        if owner:
            stem = self._runner.assigner.posters(owner)
            beside += [stem.with_name(stem.name + end) for end in (".poster.jpg", ".strip.jpg", ".peaks.json")]
        if row["kind"] == "take":
            frames = self._cache / CACHES["frames"]
            beside += [frames / f"{row['owner']}-{which}.png" for which in ("first", "last")]
        return beside


def _files_below(folder: Path) -> list[Path]:
    return [Path(at, name) for at, _, names in os.walk(folder) for name in names]


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in _files_below(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # finished and renamed, or cleared meanwhile
            continue
    return total
