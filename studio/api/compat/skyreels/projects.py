"""/projects: their series with folders of pictures and sounds."""

import re
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from studio.api.answers import Told, studio_of
from studio.api.compat.skyreels.route import not_yet, peer_router
from studio.api.compat.skyreels.shapes import queue_of
from studio.api.uploads import kept
from studio.errors import NotFound, Refused
from studio.service import Studio

router = peer_router()

View = dict[str, Any]
FOLDERS = ("imagens", "figurantes", "audios")
DOCUMENTS = "docs"
SECRET = re.compile(r"key|token|secret|passw|senha|credential", re.IGNORECASE)  # no such thing is stored
DEEPEST = 50  # lists and objects in each other
SETTINGS = "skyreels"  # where a project keeps what their clients store with it


@router.get("/projects")
def list_projects(request: Request) -> list[View]:
    return [{"name": one["name"], "episodes": one["queues"]} for one in studio_of(request).projects.list()]


@router.post("/projects")
def create_project(request: Request, body: View) -> View:
    """{name}; 409 when there is one."""
    return {"ok": True, "name": studio_of(request).projects.create(str(body.get("name") or ""))["name"]}


@router.get("/projects/{name}")
def get_project(request: Request, name: str) -> View:
    studio = studio_of(request)
    found, files = studio.projects.get(name), studio.projects.files(name)
    folders = {folder: [_file(one) for one in files.get(folder, [])] for folder in FOLDERS}
    episodes = [queue_of(studio, studio.queues.view(queue_id)) for queue_id in found["queue_ids"]]
    return {"name": found["name"], **folders, DOCUMENTS: [], "episodes": episodes}


def _file(one: View) -> View:
    return {"name": one["name"], "path": one["ref"], "size": one["size"]}


@router.delete("/projects/{name}")
def delete_project(request: Request, name: str) -> View:
    """409 while it has episodes. No folder of the disk is meant by its name."""
    studio_of(request).projects.delete(name)
    return {"ok": True}


# ------------------------------------------------------------------------------------------------ its files
@router.post("/projects/{name}/upload/{folder}")
async def upload(request: Request, name: str, folder: str) -> View:
    """Multipart `file`, one or more."""
    studio = studio_of(request)
    _check_folder(folder)
    studio.projects.get(name)
    added = []
    async with request.form(max_files=50, max_fields=10) as form:
        files = [file for _, file in form.multi_items() if isinstance(file, UploadFile) and file.filename]
        if not files:
            raise Refused("request.invalid", field="file", reason="missing")
        for file in files:
            ref = (await kept(studio, file))["ref"]
            called = (file.filename or "file").replace("\\", "/").rpartition("/")[2][:200]
            studio.projects.add_file(name, folder, called, ref.removeprefix("asset:"))
            added.append({"name": called, "path": ref})
    return {"ok": True, "files": added}


@router.delete("/projects/{name}/files/{folder}/{file}")
def remove_file(request: Request, name: str, folder: str, file: str) -> View:
    """Off the list; scenes that use it keep it."""
    _check_folder(folder)
    studio_of(request).projects.remove_file(name, folder, file)
    return {"ok": True}


def _check_folder(folder: str) -> None:
    if folder == DOCUMENTS:
        not_yet("compat.writer")
    if folder not in FOLDERS:
        raise NotFound("project.no_file", name="", folder=folder[:80])


# ------------------------------------------------------------------------------------------------ its settings
@router.get("/projects/{name}/config")
def get_config(request: Request, name: str) -> View:
    found: View = studio_of(request).projects.get(name)["settings"].get(SETTINGS, {})
    return found


@router.post("/projects/{name}/config")
def set_config(request: Request, name: str, body: View) -> Told:
    """Stored as it comes, without anything that looks like a key."""
    studio: Studio = studio_of(request)
    ignored: list[str] = []
    studio.projects.change(name, {SETTINGS: _without_keys(body, ignored)})
    return Told({"ok": True, "ignored": sorted(ignored)})


def _without_keys(value: Any, ignored: list[str], depth: int = 0) -> Any:
    """At any depth that a studio stores; what lies deeper is refused by it."""
    if isinstance(value, list) and depth < DEEPEST:
        return [_without_keys(one, ignored, depth + 1) for one in value]
    if not isinstance(value, dict) or depth >= DEEPEST:
        return value
    ignored += [name for name in value if SECRET.search(name)]
    return {name: _without_keys(one, ignored, depth + 1) for name, one in value.items() if not SECRET.search(name)}


# ------------------------------------------------------------------------------------------------ not built yet
@router.get("/projects/{name}/voices")
@router.post("/projects/{name}/generate-audio")
def voices(request: Request, name: str) -> View:
    return _later(request, name, "compat.voices")


@router.post("/projects/{name}/generate-images")
def images(request: Request, name: str) -> View:
    return _later(request, name, "compat.images")


@router.post("/projects/{name}/generate-episode")
@router.get("/projects/{name}/generate-episode-status/{job_id}")
@router.post("/projects/{name}/regenerate-scene")
def writer(request: Request, name: str) -> View:
    return _later(request, name, "compat.writer")


def _later(request: Request, name: str, what: str) -> View:
    studio_of(request).projects.get(name)
    not_yet(what)
