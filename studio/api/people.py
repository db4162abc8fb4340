"""/api/me, /api/people, /api/invitations, /api/sessions: thin routes over service.people."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import studio_of, visitor_of
from studio.domain import Role
from studio.service.passwords import MOST_PASSWORD, SHORTEST
from studio.service.people import MOST_NAME

router = APIRouter(tags=["people"])

MOST_HOURS = 24 * 365


class NewPassword(BaseModel):
    model_config = ConfigDict(extra="forbid")
    old: str = Field("", max_length=MOST_PASSWORD)
    password: str = Field(min_length=SHORTEST, max_length=MOST_PASSWORD)


class NewOwner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=MOST_NAME)
    password: str = Field(min_length=SHORTEST, max_length=MOST_PASSWORD)


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Role | None = None
    password: str | None = Field(None, min_length=SHORTEST, max_length=MOST_PASSWORD)


class NewInvitation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Role = "reviewer"
    note: str = Field("", max_length=200, description="for you: who this link is for")
    queue_id: str | None = Field(None, min_length=1, max_length=60, description="a reviewer of this film alone")
    hours: float = Field(168, gt=0, le=MOST_HOURS, allow_inf_nan=False, description="how long the link holds")
    most: int = Field(1, ge=1, le=100, description="how many people may come by it")


@router.get("/me")
def me(request: Request) -> dict[str, Any]:
    """Who asks: `{name, role, way, at_home, password, queue_id}`. At home nobody has a name."""
    people, visitor = studio_of(request).people, visitor_of(request)
    return people.me(visitor)


@router.patch("/me", status_code=204)
def change_me(request: Request, body: NewPassword) -> None:
    """My own password; my other sessions end."""
    studio_of(request).people.change_own(visitor_of(request), body.old, body.password)


@router.get("/people")
def list_people(request: Request) -> dict[str, Any]:
    return {"people": studio_of(request).people.everybody()}


@router.post("/people/owner", status_code=201)
def make_owner(request: Request, body: NewOwner) -> dict[str, Any]:
    """Somebody who may do everything: the first one, before anything is shared."""
    return studio_of(request).people.make_owner(body.name, body.password)


@router.patch("/people/{person_id}", status_code=204)
def change_person(request: Request, person_id: str, body: Change) -> None:
    """Another role, or a new password; both end their sessions."""
    studio_of(request).people.change(person_id, role=body.role, password=body.password)


@router.delete("/people/{person_id}", status_code=204)
def remove_person(request: Request, person_id: str) -> None:
    """Their sessions end; what they said stays, under their name."""
    studio_of(request).people.remove(person_id)


@router.get("/invitations")
def list_invitations(request: Request) -> dict[str, Any]:
    return {"invitations": studio_of(request).people.invitations()}


@router.post("/invitations", status_code=201)
def invite(request: Request, body: NewInvitation) -> dict[str, Any]:
    """A link for one or more people. `url_path` is told this once: only its hash is kept."""
    studio = studio_of(request)
    if body.queue_id:
        studio.queues.get(body.queue_id)
    made = studio.people.invite(
        body.role, body.note, body.queue_id, body.hours, body.most, visitor_of(request)
    )  # fmt: skip
    return {**made, "url_path": f"/invite/{made.pop('token')}"}


@router.delete("/invitations/{invitation_id}", status_code=204)
def revoke_invitation(request: Request, invitation_id: str, forget: bool = False) -> None:
    """Its link opens nothing any more and who came by it has to leave, at once; `forget`: it leaves the list too."""
    studio_of(request).people.revoke_invitation(invitation_id, forget)


@router.get("/sessions")
def list_sessions(request: Request) -> dict[str, Any]:
    return {"sessions": studio_of(request).people.sessions(visitor_of(request))}


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(request: Request, session_id: str) -> None:
    studio_of(request).people.end_session(session_id)
