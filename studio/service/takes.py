"""Takes: the gallery's search, marks, trash, and the files behind the pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.domain import Kind, Layer, State
from studio.errors import NotFound, Refused
from studio.runner import Runner
from studio.service.runs import Runs
from studio.service.views import View, take_view
from studio.store import Store

MARKS = {"selected", "locked", "private", "rating"}
SMALL: Mapping[Kind, tuple[str, ...]] = {  # what is made beside a take of each kind
    "video": (".poster.jpg", ".strip.jpg"), "image": (".poster.jpg",), "audio": (".peaks.json",),
}  # fmt: skip


class Takes:
    def __init__(self, store: Store, runner: Runner, runs: Runs) -> None:
        self._store, self._runner, self._runs = store, runner, runs

    def list(
        self, *, q: str = "", task: str = "", kind: Kind | str = "", engine: str = "", queue: str = "",
        private: bool | None = None, draft: bool | None = None, trashed: bool = False, layer: Layer | str = "",
        before: str | None = None, limit: int = 60,
    ) -> View:  # fmt: skip
        """A page of the gallery, newest first. Voices of picture scenes show only when asked for by `layer` or kind;
        those of a scene that is only heard are its result."""
        filters: dict[str, Any] = {
            "words": q, "task": task, "kind": kind, "engine": engine, "queue": queue, "trashed": trashed,
            "private": None if private is None else int(private), "draft": None if draft is None else int(draft),
            "layer": layer, "results": not (layer or kind == "audio" or trashed),
        }  # fmt: skip
        limit = max(1, min(limit, 200))
        found, total = self._store.takes.search(filters, before=before, limit=limit + 1)  # one more: is there a next?
        rows = found[:limit]
        views = [take_view(self._store.takes.get(row["id"]), row) for row in rows]
        return {"takes": views, "next": rows[-1]["id"] if len(found) > limit else None, "total": total}

    def get(self, take_id: str) -> View:
        """Everything, with the settings that made it: "use these settings"."""
        take = self._store.takes.get(take_id)
        heard = self._store.voices.transcripts([f"take:{take_id}"])
        return {
            **take_view(take, self._store.takes.where(take_id)),
            **({"missing": found["missing"]} if (found := heard.get(f"take:{take_id}")) else {}),
            "settings": self._store.takes.settings(take_id),
            "facts": dict(take.facts),
        }

    def mark(self, take_id: str, marks: Mapping[str, Any]) -> View:
        """selected (choose this one), locked, private, rating 0-5."""
        unknown = set(marks) - MARKS
        if unknown:
            raise Refused("scene.field", scene=take_id, field=sorted(unknown)[0], reason="unknown")
        for name in MARKS - {"rating"}:
            if name in marks and not isinstance(marks[name], bool):
                raise Refused("scene.field", scene=take_id, field=name, reason="true | false")
        rating = marks.get("rating", 0)
        if not isinstance(rating, int) or not 0 <= rating <= 5:
            raise Refused("scene.field", scene=take_id, field="rating", reason="0-5")
        self._store.takes.mark(take_id, marks)
        if rating or marks.get("selected") or marks.get("locked"):
            self._store.review.settle(take_id)
        return self.get(take_id)

    def trash(self, take_id: str) -> None:
        """Out of sight, not off the disk. A picture that waits for this voice waits for another one then."""
        take = self._store.takes.get(take_id)
        self._store.takes.trash(take_id)
        live = self._store.jobs.live(scene_id=take.scene_id)
        if take.layer == "voice" and (waiting := [job for job in live if job.state is State.QUEUED]):
            self._runs.requeue(waiting[0].queue_id, [take.scene_id])

    def restore(self, take_id: str) -> None:
        self._store.takes.trash(take_id, restore=True)

    # ------------------------------------------------------------------------------------------ files
    def file(self, take_id: str) -> Path:
        """Raises NotFound when somebody moved the file away."""
        path = self._store.takes.get(take_id).path
        if not path.is_file():
            raise NotFound("take.file_gone", name=path.name)
        return path

    def poster(self, take_id: str) -> Path | None:
        return self._beside(take_id, ".poster.jpg")

    def strip(self, take_id: str) -> Path | None:
        return self._beside(take_id, ".strip.jpg")

    def peaks(self, take_id: str) -> Path | None:
        return self._beside(take_id, ".peaks.json")

    def _beside(self, take_id: str, suffix: str) -> Path | None:
        """A small picture of a take; made again when the cache was emptied. None: this kind of take has none."""
        take = self._store.takes.get(take_id)
        if suffix not in SMALL[take.kind]:
            return None
        return self._runner.small_picture(take.path, self._runner.assigner.posters(take.job_id), suffix)
