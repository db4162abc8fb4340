"""Their jobs and queues, out of our views, and back. Pure: knows the service's views, no route."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from studio.errors import NotFound, Refused
from studio.service import Studio
from studio.service.views import peer_path

View = Mapping[str, Any]
Job = dict[str, Any]

SCENE_STATES = {
    "draft": "idle", "queued": "pending", "running": "running", "done": "done", "failed": "error",
    "cancelled": "idle", "in_doubt": "error",
}  # fmt: skip
QUEUE_STATES = {"running": "running", "done": "done", "failed": "error"}  # whatever else there is: idle
PROTECTED = frozenset({
    "id", "nq_id", "nq_job_index", "status", "created_at", "started_at", "finished_at", "output_video", "task_type",
})  # fmt: skip
SOUND_FIELDS = frozenset({"audio_bg", "audio_text", "voice_id", "input_audio"})  # editing these keeps the video
INPUTS = ("input_video", "input_image", "input_audio")

_OUTPUT = re.compile(r"(?:result/)?(?:[\w-]+/)*(?P<id>[0-9A-HJKMNP-TV-Z]{26})\.\w{2,5}")
_JOB = re.compile(r"\{\{\s*job:(\d{1,6})\s*\}\}(#first|#last)?")
_PREV = re.compile(r"\{\{\s*prev\s*\}\}(#first|#last)?")


def output_path(task_type: str, take: View | None) -> str | None:
    """What they call a finished video: `result/<task>/<take>.mp4`. A private one is named by nobody: only who has its
    id, from our own gallery, may ask for it."""
    return peer_path(task_type, take) if take and not take["private"] else None


def film_path(export: View) -> str:
    return f"result/finalized/{export['id']}.mp4"


def id_in(path: str) -> str:
    """The take or film that such a path means. Raises NotFound: any other path leads nowhere."""
    found = _OUTPUT.fullmatch(path)
    if found is None:
        raise NotFound("take.file_gone", name=path[-80:])
    return found["id"]


def job_of(card: View, scene: View, times: View, music: str = "") -> Job:
    """One scene as a job of theirs. `scene`: its fields as an episode file has them, references by {{job:N}}."""
    line = (scene.get("lines") or [{}])[0]
    seconds = scene.get("duration")
    return {
        "id": card["id"],
        "nq_id": card["queue_id"],
        "nq_job_index": card["number"] - 1,
        "label": scene.get("label", ""),
        "task_type": card["task_type"],
        "prompt": scene.get("prompt", ""),
        "resolution": card["resolution"],
        "duration": int(seconds) if seconds is not None and seconds == int(seconds) else seconds,
        "seed": card["seed"],
        "offload": True,
        "low_vram": False,
        "ref_imgs": scene.get("ref_imgs", []),
        **{name: scene.get(name) or "" for name in INPUTS},
        "audio_text": line.get("text", ""),
        "voice_id": line.get("voice", ""),
        "audio_bg": music,
        "status": SCENE_STATES[card["state"]],
        "error": card["error"]["code"] if card["error"] else None,
        "output_video": output_path(card["task_type"], card["take"]),
        **times,
    }


def jobs_of(studio: Studio, queue_id: str) -> list[Job]:
    """All scenes of a queue, in order."""
    with studio.peers.still():
        cards = cards_of(studio, queue_id)
        episode = studio.episodes.export(queue_id)
        times = studio.peers.times(queue_id)
    scenes = episode["scenes"]
    music = (episode.get("music") or {}).get("ref", "")
    return [job_of(card, scene, times[card["id"]], music) for card, scene in zip(cards, scenes, strict=True)]


def find_job(studio: Studio, queue_id: str, job_id: str) -> Job:
    """Raises NotFound when the queue has no such scene."""
    job = next((job for job in jobs_of(studio, queue_id) if job["id"] == job_id), None)
    if job is None:
        raise NotFound("scene.unknown", scene=job_id[:40])
    return job


def queue_of(studio: Studio, view: View) -> Job:
    """One queue in their list."""
    counts = view["counts"]
    minutes = studio.peers.minutes(view["id"])
    return {
        "id": view["id"],
        "name": view["name"],
        "project": view["project"],
        "ep_code": view["code"],
        "status": QUEUE_STATES.get(view["state"], "idle"),
        "created_at": view["created"],
        "job_count": counts["total"],
        "done_count": counts["done"],
        "error_count": counts["failed"],
        "estimated_minutes": minutes["all"],
        "remaining_minutes": minutes["left"],
        "output_video": film_path(view["film"]) if view["film"] else None,
    }


# ------------------------------------------------------------------------------------------------ and back
def cards_of(studio: Studio, queue_id: str) -> list[View]:
    """The scenes of a queue, in order."""
    return sorted(studio.queues.get(queue_id)["scenes"], key=lambda card: card["number"])


def scene_values(studio: Studio, job: View, cards: Sequence[View], at: int | None = None) -> dict[str, Any]:
    """A job of theirs in our fields; its references mean `cards`, the scenes of the queue it goes to, before position
    `at`. Raises Refused naming the field."""
    if not isinstance(job, Mapping):
        raise Refused("scene.not_an_object")
    linked = {name: value for name, value in job.items() if name not in PROTECTED - {"task_type"}}
    for name in INPUTS:
        if isinstance(linked.get(name), str) and linked[name]:
            linked[name] = _linked(studio, linked[name], cards, len(cards) if at is None else at)
    return studio.peers.read(linked)


def _linked(studio: Studio, ref: str, cards: Sequence[View], at: int) -> str:
    """{{prev}}, {{job:N}} and one of our own output paths mean a scene; anything else stays as it is."""
    if found := _PREV.fullmatch(ref):
        earlier = [card for card in cards if card["number"] <= at and card["task_type"] != "speech"]
        if not earlier:
            raise Refused("reference.no_scene", number=0)
        return f"scene:{earlier[-1]['id']}{found[1] or ''}"
    if found := _JOB.fullmatch(ref):
        index = int(found[1])
        if index >= len(cards):
            raise Refused("reference.no_scene", number=index + 1)
        return f"scene:{cards[index]['id']}{found[2] or ''}"
    if ref.startswith("result/") and (match := _OUTPUT.fullmatch(ref)):
        return f"scene:{studio.takes.get(match['id'])['scene_id']}"
    return ref
