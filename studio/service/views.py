"""Rows as faces show them: plain dicts, ready for JSON, in no language. Knows no store and no screen."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.domain import SceneBase, State, Take
from studio.store import Queue, SceneRow

View = dict[str, Any]


PEER_SUFFIXES: Mapping[str, str] = {"video": ".mp4", "image": ".png", "audio": ".wav"}


def peer_path(task_type: str, take: Mapping[str, Any]) -> str:
    """What clients of SkyReels call a finished video. No path of the disk: the take is found in it by its id."""
    return f"result/{task_type}/{take['id']}{PEER_SUFFIXES[take['kind']]}"


def title_of(label: str, prompt: str, task: str = "") -> str:
    """What a scene is called: its label, or the first words of its prompt."""
    if label:
        return label
    words = prompt.split("\n")[0][:80]
    return words.rsplit(" ", 1)[0] + " …" if len(prompt) > 80 and " " in words else words


def named(row: SceneRow) -> str:
    """A scene as errors name it: `3 · Lamp`."""
    return f"{row.position + 1} · {row.scene.label}".rstrip(" ·")


def reason_of(kept: str | None) -> View | None:
    """Why another engine stood in, {code, params}, from what a take keeps of it: an error as JSON, or a bare code."""
    if not kept:
        return None
    try:
        found = json.loads(kept)
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("code"), str) and isinstance(found.get("params"), dict):
        return {"code": found["code"], "params": found["params"]}
    return {"code": kept, "params": {}}


def card(
    row: SceneRow, take: Take | None, takes: int, blocked: Mapping[str, Any] | None, changed: Sequence[str] = (),
    heard: str = "",
) -> View:  # fmt: skip
    """One scene in a list: under a kilobyte."""
    scene = row.scene
    return {
        "id": row.id,
        "queue_id": row.queue_id,
        "number": row.position + 1,
        "task_type": scene.task_type,  # type: ignore[attr-defined]
        "title": title_of(scene.label, scene.prompt or " ".join(line.text for line in scene.lines)),
        "prompt": scene.prompt[:160],
        "resolution": scene.resolution,
        "aspect": scene.aspect,
        "seed": scene.seed,
        "duration": take.duration if take else getattr(scene, "duration", None),
        "engine": take.engine if take else scene.engine,
        "state": row.state,
        "error": row.error,
        "blocked": blocked,
        "changed": list(changed),
        "note": row.note,
        "retake": row.retake,
        "degraded": reason_of(take.degraded_reason) if take else None,
        "in_cut": scene.in_cut,
        "transition": scene.transition,
        "trim": [scene.trim_start, scene.trim_end],
        "version": row.version,
        "takes": takes,
        "lines": [{"id": line.id, "character": line.character, "text": line.text[:80]} for line in scene.lines[:6]],
        "take": _take_of_card(take) | ({"heard": heard} if heard else {}) if take else None,
        "still": _still(row.scene),
    }


def _still(scene: SceneBase) -> str | None:
    """The SHA-256 of the first picture a scene reads: what a list shows until there is a take."""
    pictures = (item.ref for item in scene.inputs() if item.kind == "image" and item.ref.startswith("asset:"))
    return next((ref.removeprefix("asset:") for ref in pictures), None)


def _take_of_card(take: Take) -> View:
    names = (
        "id", "number", "kind", "duration", "width", "height", "fps", "draft", "engine", "locked", "private", "rating",
    )  # fmt: skip
    return {name: getattr(take, name) for name in names} | _lipsync(take)


def _lipsync(take: Take) -> View:
    """How its lips follow the sound, where it is a talking picture that was measured."""
    return {"lipsync": take.facts["lipsync"]} if "lipsync" in take.facts else {}


def take_view(take: Take, where: Mapping[str, Any]) -> View:
    """`where`: the row of the gallery, with the names of scene and queue. A voice is called what it says."""
    called = (where["label"] or "", where["prompt"] or "") if take.layer == "picture" else ("", where["said"] or "")
    names = (
        "id", "scene_id", "layer", "line_id", "number", "kind", "engine", "profile", "seed", "width", "height", "fps",
        "num_frames", "duration", "draft", "selected", "chosen", "locked", "private", "trashed", "rating", "note",
        "created",
    )  # fmt: skip
    return {
        **{name: getattr(take, name) for name in names},
        "queue_id": where["queue_id"],
        "queue": where["queue"],
        "task_type": where["task"],
        "title": title_of(*called),
        "prompt": where["prompt"] or "",
        "bytes": where["bytes"],
        "degraded": reason_of(take.degraded_reason),
        "file_name": take.path.name,
        **_lipsync(take),
    }


def comment_view(row: Mapping[str, Any]) -> View:
    """What somebody said of a film. `frame`: there is a picture of it; `imported`: it came back in a file."""
    names = (
        "id", "review_id", "version", "at", "scene_id", "number", "region", "text", "wish", "state", "author",
        "created",
    )  # fmt: skip
    return {
        **{name: row[name] for name in names},
        "imported": row["origin"] == "file",
        "frame": bool(row["frame"]),
    }


def scene_comment(row: Mapping[str, Any]) -> View:
    """What somebody said, as its scene shows it: with the take that they saw, and the second of that take."""
    second = None if row["second"] is None else round(row["second"], 3)
    return {**comment_view(row), "take_id": row["take_id"], "second": second}


def queue_state(queue: Queue, counts: Mapping[str, int], now: str) -> str:
    """idle | running | paused | scheduled | done | failed, from its scenes."""
    busy = counts[State.RUNNING] + counts[State.QUEUED]
    if queue.paused and busy:
        return "paused"
    if busy and not counts[State.RUNNING] and (queue.starts_at or "") > now:
        return "scheduled"
    if busy:
        return "running"
    if counts[State.FAILED]:
        return "failed"
    return "done" if counts["total"] and counts[State.DONE] == counts["total"] else "idle"


def queue_view(queue: Queue, states: Mapping[str, int], seconds: float, film: View | None, now: str) -> View:
    """`states`: how many scenes are in each; `seconds` of film so far; `now`: as the store writes times."""
    counts = {str(state): states.get(state, 0) for state in State} | {"total": sum(states.values())}
    return {
        "id": queue.id,
        "name": queue.name,
        "code": queue.code,
        "project": queue.project,
        "frame": queue.frame.model_dump() if queue.frame else None,
        "music": queue.music.model_dump() if queue.music else None,
        "state": queue_state(queue, counts, now),
        "paused": queue.paused,
        "inbox": queue.inbox,
        "counts": counts,
        "seconds": round(seconds, 3),
        "cut": queue.cut.model_dump(),
        "priority": queue.priority,
        "starts_at": queue.starts_at,
        **queue.policy,
        "film": film,
        "created": queue.created,
    }


def export_view(row: Mapping[str, Any], facts: Mapping[str, Any], error: Any, path: Path | None) -> View:
    return {
        "id": row["id"],
        "queue_id": row["queue_id"],
        "kind": row["kind"],
        "state": row["state"],
        "progress": row["progress"],
        "error": error,
        "file_name": path.name if path else "",
        "seconds": facts.get("duration", 0),
        "bytes": facts.get("bytes", 0),
        "missing": facts.get("missing", []),
        "facts": {name: fact for name, fact in facts.items() if name not in ("scenes", "takes")},  # for reviews
        "created": row["created"],
    }
