"""The report of a run: what was made, how long it took, what failed and why. As facts; report_page.py draws them.

The states and times of a run's own jobs never change once they ended, so a report of last week reads as it did then.
Knows no screen.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.domain import State
from studio.runner import Runner
from studio.service.report_page import page
from studio.service.views import View, reason_of, title_of
from studio.service.words import LANGUAGES, Words
from studio.store import Store
from studio.store.database import Row, now
from studio.store.runs import Run, cost_of, newest_jobs, outcome, seconds_between

MOST_POSTERS = 300  # pictures in one page; the report of a longer run has none after these
MOST_LEFT = 500  # scenes named as left


class Reports:
    def __init__(self, store: Store, runner: Runner, words: Words, style: Path) -> None:
        """`style`: the stylesheet that is written into every page."""
        self._store, self._runner, self._words, self._style = store, runner, words, style

    def list(self, queue_id: str) -> list[View]:
        """The runs of a queue, newest first."""
        self._store.queues.get(queue_id)
        return [self._view(run) for run in self._store.runs.of_queue(queue_id)]

    def get(self, run_id: str) -> View:
        return self._view(self._store.runs.get(run_id))

    def _view(self, run: Run) -> View:
        facts = run.facts if run.ended else self._store.runs.facts(run.id)
        return {
            "id": run.id,
            "queue_id": run.queue_id,
            "state": run.state,
            "started": run.started,
            "ended": run.ended,
            "seconds": facts.get("seconds") or seconds_between(run.started, now()),
            **{name: facts[name] for name in ("counts", "takes", "drafts", "loads", "crashes", "cost", "engines")},
        }

    def report(self, run_id: str, lang: str = "") -> View:
        """Everything about a run, its failures in words."""
        run = self._store.runs.get(run_id)
        queue = self._store.queues.get(run.queue_id)
        jobs = self._store.runs.jobs(run_id)
        scenes = self._scenes(jobs, lang)
        return {
            "run": self._view(run),
            "queue": {"id": queue.id, "name": queue.name, "code": queue.code, "project": queue.project,
                      "inbox": queue.inbox},
            "scenes": scenes,
            "failures": [
                {**_named(scene), "error": scene["error"]} for scene in scenes if scene["state"] == State.FAILED
            ],
            "left": self._left(run, scenes),
            "totals": {
                "film": round(sum(take["duration"] for scene in scenes for take in scene["takes"] if _shown(take)), 3),
                "waited": round(sum(scene["waited"] for scene in scenes), 3),
                "rendered": round(sum(scene["seconds"] for scene in scenes), 3),
                "cost": round(sum(scene["cost"] for scene in scenes), 6),
            },
        }  # fmt: skip

    def html(self, run_id: str, lang: str = "") -> str:
        """The report as one page that needs nothing else."""
        lang = lang if lang in LANGUAGES else self._words.default
        return page(self.report(run_id, lang), self._words, lang, self._style.read_text("utf-8"), self._posters(run_id))

    # ------------------------------------------------------------------------------------------ scenes
    def _scenes(self, jobs: Iterable[Row], lang: str) -> Sequence[View]:
        by_scene: dict[str, list[Row]] = {}
        for job in jobs:
            by_scene.setdefault(job["scene_id"], []).append(job)
        crashes = {job["id"]: job["crashes"] for rows in by_scene.values() for job in rows}
        return [self._scene(rows, sum(crashes[row["id"]] for row in rows), lang) for rows in by_scene.values()]

    def _scene(self, rows: Sequence[Row], crashes: int, lang: str) -> View:
        first = rows[0]
        newest = newest_jobs(rows)[first["scene_id"]].values()
        errors = [job["error"] for job in newest if job["state"] == State.FAILED and job["error"]]
        made = [row for row in rows if row["take_id"]]
        return {
            "id": first["scene_id"],
            "number": first["position"] + 1,
            "title": title_of(first["label"] or "", first["prompt"] or ""),
            "task_type": first["task_type"],
            "state": outcome(newest),
            "takes": [_take(row) for row in made],
            "engines": sorted({row["engine"] for row in rows if row["started"]}),
            "attempts": sum(row["attempt"] for row in rows),
            "crashes": crashes,
            "waited": _waited(rows),
            "seconds": _total(rows, "started", "finished"),
            "cost": round(sum(cost_of(row) for row in rows), 6),
            "stood_in": self._stood_in(made, lang),
            "error": self._words.error(json.loads(errors[0]), lang) if errors else None,
        }

    def _stood_in(self, made: Sequence[Row], lang: str) -> View | None:
        """Why another engine made one of its takes, with the words."""
        kept = next((row["stood_in"] for row in made if row["stood_in"]), None)
        found = reason_of(kept)
        return self._words.error(found, lang) if found else None

    def _left(self, run: Run, scenes: Iterable[View]) -> Sequence[View]:
        """Scenes of this run that it did not make; after the newest run also those that nobody asked for."""
        in_run = {scene["id"]: scene for scene in scenes}
        left = [{**_named(scene), "state": scene["state"]} for scene in in_run.values() if scene["state"] != State.DONE]
        if self._store.runs.of_queue(run.queue_id)[0].id == run.id:
            for row in self._store.queues.scenes(run.queue_id):
                if row.id not in in_run and row.state is not State.DONE:
                    title = title_of(row.scene.label, row.scene.prompt)
                    left.append({"id": row.id, "number": row.position + 1, "title": title, "state": row.state})
        return sorted(left, key=lambda scene: scene["number"])[:MOST_LEFT]

    def _posters(self, run_id: str) -> dict[str, bytes]:
        """By scene: a small JPEG of its newest picture of this run that is not private. None is drawn for this."""
        found: dict[str, bytes] = {}
        for job in reversed(self._store.runs.jobs(run_id)):
            if job["take_id"] is None or job["scene_id"] in found or job["layer"] != "picture":
                continue
            stem = self._runner.assigner.posters(job["id"])
            path = stem.with_name(stem.name + ".poster.jpg")
            if not job["private"] and path.is_file() and len(found) < MOST_POSTERS:
                found[job["scene_id"]] = path.read_bytes()
        return found


def _take(row: Row) -> View:
    names = ("number", "layer", "kind", "duration", "engine", "width", "height", "fps")
    return {
        "id": row["take_id"], "seed": row["take_seed"], "draft": bool(row["draft"]), "trashed": bool(row["trashed"]),
        **{name: row[name] for name in names},
    }  # fmt: skip


def _shown(take: Mapping[str, Any]) -> bool:
    return take["layer"] == "picture" and take["kind"] == "video" and not take["trashed"]


def _named(scene: Mapping[str, Any]) -> View:
    return {name: scene[name] for name in ("id", "number", "title")}


def _waited(rows: Sequence[Row]) -> float:
    """From asking for a scene to its first job's beginning."""
    began = [row["started"] for row in rows if row["started"]]
    return max(0.0, seconds_between(min(row["created"] for row in rows), min(began)) or 0.0) if began else 0.0


def _total(rows: Iterable[Row], start: str, end: str) -> float:
    return round(sum(max(0.0, seconds_between(row[start], row[end]) or 0.0) for row in rows), 3)
