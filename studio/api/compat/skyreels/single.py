"""/generate, /queue, /status, /stream: one scene at a time, in the Inbox."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from studio.api.answers import studio_of
from studio.api.compat.skyreels.route import not_yet, peer_router
from studio.api.compat.skyreels.shapes import SCENE_STATES, cards_of, jobs_of, output_path, scene_values
from studio.api.uploads import kept
from studio.errors import NotFound
from studio.service import Studio

router = peer_router()

View = dict[str, Any]
STEPS = 8  # of their progress bar
LOG_LINES = 200
STREAM_SECONDS = 1.0
FORM_FIELDS = ("task_type", "prompt", "resolution", "duration", "seed", "offload", "low_vram")


# ------------------------------------------------------------------------------------------------ /generate
@router.post("/generate")
async def generate(request: Request) -> View:
    """Multipart, fields and files as their form sends them."""
    studio = studio_of(request)
    async with request.form(max_files=8, max_fields=40) as form:
        job: View = {name: form[name] for name in FORM_FIELDS if isinstance(form.get(name), str)}
        job = {"resolution": "540P", "duration": "5", "seed": "42", **job}
        pictures = [
            (await kept(studio, file))["ref"] for file in form.getlist("ref_imgs") if isinstance(file, UploadFile)
        ]
        named = str(form.get("ref_imgs_path") or "")
        job["ref_imgs"] = pictures or named or []
        for name in ("input_video", "input_image", "input_audio"):
            job[name] = await _one(studio, form, name)
    return await run_in_threadpool(_generate, studio, job)


def _generate(studio: Studio, job: View) -> View:
    made = studio.scenes.generate(scene_values(studio, job, cards_of(studio, studio.peers.inbox())))
    return {"ok": True, "job_id": made["id"]}


async def _one(studio: Studio, form: FormData, name: str) -> str:
    """A file that was sent as `name` or `name_file`, or the path in `name`."""
    for field in (f"{name}_file", name):
        value = form.get(field)
        if isinstance(value, UploadFile) and value.filename:
            return str((await kept(studio, value))["ref"])
        if isinstance(value, str) and value:
            return value
    return ""


# ------------------------------------------------------------------------------------------------ /status, /stream
@router.get("/status")
def status(request: Request) -> View:
    studio = studio_of(request)
    running = studio.system.now()["running"]
    current = running[0] if running else None
    newest = studio.takes.list(private=False, limit=1)["takes"]
    return {
        "running": bool(current),
        "log": _log(studio, current["scene_id"]) if current else [],
        "progress": _progress(current),
        "total": STEPS,
        "status": "running" if current else "done" if newest else "idle",
        "last_video": output_path(newest[0]["task_type"], newest[0]) if newest else None,
        "current_job_id": current["scene_id"] if current else None,
        "current_nq_id": current["queue_id"] if current else None,
        "current_nq_name": current["queue"] if current else None,
        "current_nq_scene": f"{current['number']}/{current['of']} — {current['title']}" if current else None,
    }


def _progress(current: View | None) -> int:
    return round(STEPS * current["done"] / max(1, current["total"])) if current else 0


def _log(studio: Studio, scene_id: str) -> list[str]:
    return studio.scenes.log(scene_id).splitlines()[-LOG_LINES:]


@router.get("/stream")
def stream(request: Request) -> StreamingResponse:
    """What is being rendered, as it goes; each listener has a place of its own in the log."""
    return StreamingResponse(_told(request, studio_of(request)), media_type="text/event-stream")


async def _told(request: Request, studio: Studio) -> AsyncIterator[str]:
    scene, said = None, 0
    while not await request.is_disconnected():
        now = await run_in_threadpool(studio.system.now)
        current = now["running"][0] if now["running"] else None
        if current is None and not now["waiting"]:
            break
        if current:
            if current["scene_id"] != scene:
                scene, said = current["scene_id"], 0
            lines = await run_in_threadpool(_log, studio, current["scene_id"])
            for line in lines[said:]:
                yield _event({"log": line, "progress": _progress(current)})
            said = len(lines)
        name = f"{current['number']}/{current['of']} — {current['title']}" if current else None
        yield _event({"ping": True, "progress": _progress(current), "nq_scene": name})
        await asyncio.sleep(STREAM_SECONDS)
    yield _event({"done": await run_in_threadpool(_ended, studio, scene)})


def _ended(studio: Studio, scene_id: str | None) -> View:
    """How the scene that was watched came out; without one, the newest video."""
    if scene_id is None:
        newest = studio.takes.list(private=False, limit=1)["takes"]
        video = output_path(newest[0]["task_type"], newest[0]) if newest else None
        return {"status": "done" if newest else "idle", "progress": STEPS if newest else 0, "video": video}
    try:
        scene = studio.scenes.get(scene_id)
    except NotFound:  # deleted while it was watched
        return {"status": "error", "progress": 0, "video": None}
    state = SCENE_STATES[scene["state"]]
    return {
        "status": state, "progress": STEPS if state == "done" else 0,
        "video": output_path(scene["task_type"], scene["take"]),
    }  # fmt: skip


def _event(content: View) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


# ------------------------------------------------------------------------------------------------ the simple queue
@router.get("/queue")
def list_jobs(request: Request) -> list[View]:
    studio = studio_of(request)
    return jobs_of(studio, studio.peers.inbox())


@router.post("/queue/add")
def add_job(request: Request, body: View) -> View:
    """It starts by itself."""
    return {"ok": True, "id": _generate(studio_of(request), body)["job_id"]}


@router.post("/queue/import")
async def import_jobs(request: Request) -> View:
    """JSON or Markdown; they start by themselves."""
    studio, text = studio_of(request), await request.body()
    added = await run_in_threadpool(studio.peers.add_to_inbox, text)
    return {"ok": True, "added": added}


@router.post("/queue/clear")
def clear(request: Request) -> View:
    """Removes what waits."""
    studio = studio_of(request)
    waiting = [job["id"] for job in jobs_of(studio, studio.peers.inbox()) if job["status"] == "pending"]
    for scene_id in waiting:
        studio.scenes.delete(scene_id, force=True)
    return {"removed": len(waiting)}


@router.post("/queue/remove/{job_id}")
@router.delete("/queue/remove/{job_id}")
def remove(request: Request, job_id: str) -> View:
    """404 unless it waits."""
    studio = studio_of(request)
    jobs = {job["id"]: job["status"] for job in jobs_of(studio, studio.peers.inbox())}
    if jobs.get(job_id) != "pending":
        raise NotFound("scene.unknown", scene=job_id[:40])
    studio.scenes.delete(job_id, force=True)
    return {"ok": True}


# ------------------------------------------------------------------------------------------------ settings
@router.get("/skyreels/config")
def config(request: Request) -> View:
    """Whether keys are set would be all that is ever told of them; there are none yet."""
    return {"fal_key": "", "image_model": "", "elevenlabs_key": "", "elevenlabs_voice_id": ""}


@router.post("/skyreels/config")
def set_config(request: Request) -> View:
    not_yet("compat.keys")


@router.get("/system-prompt/episode")
@router.post("/system-prompt/episode")
@router.post("/system-prompt/episode/reset")
def system_prompt(request: Request) -> View:
    not_yet("compat.writer")
