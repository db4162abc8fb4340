"""/api/catalogue: thin routes over service.models."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from studio.api.answers import language, local, studio_of

router = APIRouter(prefix="/catalogue", tags=["catalogue"])


class Agree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    accept_licence: StrictBool = Field(False, description="the licence of its weights was read and is accepted")


class Needs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    accept_licences: StrictBool = False
    run: StrictBool = Field(False, description="run the queue when the last of them is here")


class Folder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    folder: str = Field(min_length=1, max_length=4096, description="with models in it; it stays where it is")
    model: str = Field("", max_length=100, description="whose parts these are, where the folder does not say")


@router.get("")
def list_models(request: Request) -> dict[str, Any]:
    """Every model with weights: size, licence, what of it is here, whether it fits, what is being fetched."""
    found = studio_of(request).models.list()
    return {**found, "models": [_worded(request, one) for one in found["models"]]}


@router.get("/files")
def list_files(request: Request) -> dict[str, Any]:
    """Checkpoints and LoRAs: single files of the user's own."""
    return studio_of(request).models.files()


@router.post("/import")
def import_folder(request: Request, body: Folder) -> dict[str, Any]:
    """Use models where they are: a model's folder, a hub's cache, or another app's models. Nothing is copied."""
    studio, lang = studio_of(request), language(request, studio_of(request))
    found = studio.models.bring(body.folder, body.model, trusted=local(request))
    refused = [{**one, "error": studio.words.error(one["error"], lang)} for one in found["refused"]]
    return {**found, "refused": refused}


@router.get("/queues/{queue_id}")
def needs_of_queue(request: Request, queue_id: str) -> dict[str, Any]:
    """What a queue needs and what is not here, with bytes, licences and about how long it takes to fetch."""
    return studio_of(request).models.needs(queue_id)


@router.post("/queues/{queue_id}", status_code=202)
def fetch_for_queue(request: Request, queue_id: str, body: Needs | None = None) -> dict[str, Any]:
    """Fetch all that a queue needs, and run it then if wanted. 422 "model.licence" where one was not accepted."""
    wish = body or Needs()
    return studio_of(request).models.fetch_needs(queue_id, accept_licences=wish.accept_licences, run=wish.run)


@router.get("/{model}")
def get_model(request: Request, model: str) -> dict[str, Any]:
    return _worded(request, studio_of(request).models.get(model))


@router.post("/{model}/get", status_code=202)
def fetch_model(request: Request, model: str, body: Agree | None = None) -> dict[str, Any]:
    """Fetch what it lacks; goes on where it was cut off. 422 "model.licence" where it was not accepted."""
    accept = (body or Agree()).accept_licence
    return _worded(request, studio_of(request).models.fetch(model, accept_licence=accept))


@router.post("/{model}/cancel")
def cancel_model(request: Request, model: str) -> dict[str, Any]:
    """Stop fetching or checking it; what came is kept."""
    return _worded(request, studio_of(request).models.cancel(model))


@router.post("/{model}/verify", status_code=202)
def verify_model(request: Request, model: str) -> dict[str, Any]:
    """Read every file again; `check` of the answer, and of later ones, says how far and what was wrong."""
    return _worded(request, studio_of(request).models.verify(model))


@router.delete("/{model}")
def remove_model(request: Request, model: str) -> dict[str, Any]:
    """Take it off the disk. Parts that another model here reads stay; folders of the user are only forgotten."""
    return studio_of(request).models.remove(model)


def _worded(request: Request, model: dict[str, Any]) -> dict[str, Any]:
    studio, lang = studio_of(request), language(request, studio_of(request))

    def said(found: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
        if found is None or not found.get(name):
            return found
        return {**found, name: studio.words.error(found[name], lang)}

    return {
        **model, "fit": said(model["fit"], "reason"), "download": said(model["download"], "error"),
        "check": said(model["check"], "error"),
    }  # fmt: skip
