"""/nqueues: named queues and their jobs."""

from typing import Any

from fastapi import Body, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from studio.api.answers import studio_of
from studio.api.compat.skyreels.route import not_yet, peer_router
from studio.api.compat.skyreels.shapes import (
    PROTECTED,
    SOUND_FIELDS,
    cards_of,
    film_path,
    find_job,
    jobs_of,
    queue_of,
    scene_values,
)  # fmt: skip
from studio.errors import Conflict, Refused, StudioError
from studio.service import Studio

router = peer_router()

View = dict[str, Any]
ANYTHING = Body(...)


# ------------------------------------------------------------------------------------------------ queues
@router.get("/nqueues")
def list_queues(request: Request) -> list[View]:
    studio = studio_of(request)
    return [queue_of(studio, view) for view in studio.queues.list() if not view["inbox"]]


@router.post("/nqueues")
def create_queue(request: Request, body: View) -> View:
    """{name, project?, jobs?}."""
    studio = studio_of(request)
    name, jobs = str(body.get("name") or "").strip(), body.get("jobs") or []
    if not isinstance(jobs, list):
        raise Refused("field.not_a_list")
    queue_id = studio.peers.import_jobs(jobs, name)["id"] if jobs else studio.queues.create(name)["id"]
    _into_project(studio, queue_id, str(body.get("project") or ""))
    return {"ok": True, "id": queue_id, "ep_code": studio.queues.view(queue_id)["code"]}


@router.post("/nqueues/import")
async def import_queue(
    request: Request, name: str = Query("", max_length=200), project: str = Query("", max_length=120)
) -> View:
    """The body is a queue of theirs, JSON or Markdown."""
    studio, text = studio_of(request), await request.body()

    def imported() -> View:
        made = studio.episodes.import_file(text, name=name)["queue"]
        _into_project(studio, made["id"], project)
        return {"ok": True, "id": made["id"], "name": made["name"], "job_count": made["counts"]["total"]}

    return await run_in_threadpool(imported)


def _into_project(studio: Studio, queue_id: str, project: str) -> None:
    if not project:
        return
    if project not in {known["name"] for known in studio.projects.list()}:
        studio.projects.create(project)
    studio.projects.take_in(queue_id, project)


@router.get("/nqueues/{queue_id}")
def get_queue(request: Request, queue_id: str) -> View:
    studio = studio_of(request)
    return {**queue_of(studio, studio.queues.view(queue_id)), "jobs": jobs_of(studio, queue_id)}


@router.delete("/nqueues/{queue_id}")
def delete_queue(request: Request, queue_id: str, force: bool = False) -> View:
    """A queue of a project is only emptied, unless `force`. 400 while it runs."""
    studio = studio_of(request)
    view = studio.queues.view(queue_id)
    if view["counts"]["running"]:
        raise Refused("queue.still_running", queue=view["name"])
    if not studio.projects.is_default(view["project"]) and not force:
        for card in studio.queues.get(queue_id)["scenes"]:
            studio.scenes.delete(card["id"], force=True)
        return {"ok": True, "deleted": False, "emptied": True}
    studio.queues.delete(queue_id)
    return {"ok": True, "deleted": True, "emptied": False}


@router.delete("/nqueues/{queue_id}/project-link")
def unlink_project(request: Request, queue_id: str) -> View:
    studio_of(request).projects.take_in(queue_id, "")
    return {"ok": True}


@router.get("/nqueues/{queue_id}/export-json")
def export_json(request: Request, queue_id: str) -> View:
    """What /nqueues/import reads back, scene by scene."""
    studio = studio_of(request)
    return {"name": studio.queues.view(queue_id)["name"], "jobs": jobs_of(studio, queue_id)}


@router.get("/nqueues/{queue_id}/download-zip")
def download_zip(request: Request, queue_id: str, include_sources: bool = False) -> FileResponse:
    """Our own package: the selected takes; with `include_sources` also every picture and sound they were made of."""
    studio = studio_of(request)
    path = studio.packages.pack_now(queue_id, assets=include_sources)
    return FileResponse(path, media_type="application/zip", filename=path.name)


@router.get("/nqueues/{queue_id}/gallery")
def gallery(request: Request, queue_id: str) -> list[View]:
    """The finished scenes, without what is private."""
    jobs = jobs_of(studio_of(request), queue_id)
    names = ("id", "nq_job_index", "label", "task_type", "prompt", "seed", "output_video", "finished_at")
    return [{name: job[name] for name in names} for job in jobs if job["output_video"]]


# ------------------------------------------------------------------------------------------------ jobs
@router.post("/nqueues/{queue_id}/jobs")
def add_job(request: Request, queue_id: str, body: Any = ANYTHING) -> View:
    """One job, or a list of them, at the end."""
    studio = studio_of(request)
    jobs, ids = body if isinstance(body, list) else [body], []
    cards = cards_of(studio, queue_id)
    tried = list(cards)
    for job in jobs:  # what is wrong with one of them is said before any is there
        values = scene_values(studio, job, tried)
        tried.append({"id": "new", "number": len(tried) + 1, "task_type": values["task_type"]})
    for job in jobs:
        made = studio.scenes.add(queue_id, scene_values(studio, job, cards))
        cards.append({"id": made["id"], "number": len(cards) + 1, "task_type": made["task_type"]})
        ids.append(made["id"])
    return {"ok": True, "id": ids[0] if ids else None, "ids": ids}


@router.patch("/nqueues/{queue_id}/jobs/{job_id}")
def change_job(request: Request, queue_id: str, job_id: str, body: View) -> View:
    """`reset`: the scene is to be rendered again; its takes stay. Protected fields are left as they are."""
    studio = studio_of(request)
    before = find_job(studio, queue_id, job_id)
    edits = {name: value for name, value in body.items() if name not in PROTECTED}
    if "audio_bg" in edits:
        _set_music(studio, queue_id, str(edits.pop("audio_bg") or ""))
    if edits:
        values = scene_values(studio, {**before, **edits}, cards_of(studio, queue_id), before["nq_job_index"])
        names = {"lines" if name in ("audio_text", "voice_id") else name for name in edits}
        studio.scenes.edit(job_id, {name: values[name] for name in names if name in values})
    card = studio.scenes.get(job_id)
    redo = card["state"] != "done" or "picture" in card["changed"]
    return {"ok": True, "reset": before["status"] == "done" and redo and not set(body) <= SOUND_FIELDS}


@router.delete("/nqueues/{queue_id}/jobs/{job_id}")
def delete_job(request: Request, queue_id: str, job_id: str) -> View:
    studio = studio_of(request)
    find_job(studio, queue_id, job_id)
    studio.scenes.delete(job_id, force=True)
    return {"ok": True}


@router.post("/nqueues/{queue_id}/jobs/{job_id}/run")
def run_job(request: Request, queue_id: str, job_id: str) -> View:
    studio = studio_of(request)
    find_job(studio, queue_id, job_id)
    studio.runs.run(queue_id, only=[job_id])
    return {"ok": True}


@router.post("/nqueues/{queue_id}/jobs/{job_id}/generate-audio")
@router.post("/nqueues/{queue_id}/generate-audio")
def generate_audio(request: Request, queue_id: str, job_id: str = "") -> View:
    studio_of(request).queues.view(queue_id)
    not_yet("compat.voices")


@router.post("/nqueues/{queue_id}/jobs/{job_id}/generate-image")
@router.post("/nqueues/{queue_id}/generate-images")
def generate_images(request: Request, queue_id: str, job_id: str = "") -> View:
    studio_of(request).queues.view(queue_id)
    not_yet("compat.images")


# ------------------------------------------------------------------------------------------------ running
@router.post("/nqueues/{queue_id}/run")
def run_queue(request: Request, queue_id: str, callback_url: str = Query("", max_length=4096)) -> View:
    """What was not run yet; scenes that failed are left alone, as they do it (see /reset)."""
    studio = studio_of(request)
    idle = [job["id"] for job in jobs_of(studio, queue_id) if job["status"] == "idle"]
    studio.runs.run(queue_id, only=idle, callback_url=callback_url)
    return {"ok": True, "will_run": len(idle), "callback_registered": bool(callback_url)}


@router.post("/nqueues/{queue_id}/reset")
def retry_errors(request: Request, queue_id: str) -> View:
    return {"ok": True, "reset": studio_of(request).runs.retry(queue_id)["queued"]}


@router.post("/nqueues/{queue_id}/restart")
def restart_queue(request: Request, queue_id: str) -> View:
    return {"ok": True, "will_run": studio_of(request).runs.restart(queue_id)["queued"]}


@router.post("/nqueues/{queue_id}/resume-from-error")
def resume_from_error(request: Request, queue_id: str, callback_url: str = Query("", max_length=4096)) -> View:
    """Goes on with what is idle and leaves the scenes that failed."""
    studio = studio_of(request)
    states = [job["status"] for job in jobs_of(studio, queue_id)]
    if "error" not in states:
        raise Refused("compat.no_error", queue=queue_id)
    if "idle" not in states or (states[0] == "error" and "done" not in states):
        raise Refused("compat.nothing_left", queue=queue_id)
    ran = run_queue(request, queue_id, callback_url)
    return {**ran, "skipped_errors": states.count("error")}


# ------------------------------------------------------------------------------------------------ after the run
@router.post("/nqueues/{queue_id}/finalize")
def finalize(request: Request, queue_id: str) -> View:
    """The film of what is there; answers when it is cut."""
    studio = studio_of(request)
    export = studio.exports.cut(queue_id, "leave_out", wait=True)
    if export["error"]:
        raise StudioError(export["error"]["code"], **export["error"]["params"])
    if export["state"] != "done":
        raise Conflict("cancelled")
    done = sum(job["status"] == "done" for job in jobs_of(studio, queue_id))
    return {"ok": True, "output_video": film_path(export), "scene_count": done}


@router.post("/nqueues/{queue_id}/mix-audio")
def mix_audio(request: Request, queue_id: str) -> View:
    """Here sound is mixed when the film is cut, and no clip is ever written over: this only counts what will be."""
    jobs = jobs_of(studio_of(request), queue_id)
    heard = [
        job for job in jobs if job["output_video"] and (job["audio_text"] or job["input_audio"] or job["audio_bg"])
    ]
    return {"ok": True, "mixed": len(heard), "skipped": len(jobs) - len(heard), "errors": []}


@router.post("/nqueues/{queue_id}/set-audio-bg")
def set_music(request: Request, queue_id: str, body: View) -> View:
    """{audio_bg}: one bed under the whole film; empty: none."""
    return {"ok": True, "audio_bg": _set_music(studio_of(request), queue_id, str(body.get("audio_bg") or ""))}


def _set_music(studio: Studio, queue_id: str, ref: str) -> str:
    known = studio.queues.view(queue_id)["music"] or {}
    changed = studio.queues.update(queue_id, {"music": {**known, "ref": ref} if ref else None})
    return changed["music"]["ref"] if changed["music"] else ""
