"""/api/sharing: ways in, on and off, and their addresses as pictures. Thin routes over service.sharing."""

from typing import Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from studio.api.answers import language, local, studio_of, visitor_of
from studio.api.sign_in import caller, give_cookie
from studio.service.sharing import MOST_QR

router = APIRouter(prefix="/sharing", tags=["sharing"])


class Switch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    on: bool


@router.get("")
def sharing(request: Request) -> dict[str, Any]:
    """Which ways lead in: `{at_home, has_owner, ways: [{way, state, on, url, urls, since, error, possible, why_not}],
    sessions}`. `state` is off, opening, on or failed, `on` what is wished; a link that broke is opened again by
    itself."""
    return _told(request)


@router.post("/{way}", responses={202: {"description": "It is being opened"}})
def switch(request: Request, response: Response, way: Literal["share", "lan", "proxy"], body: Switch) -> dict[str, Any]:
    """On or off. 409 `sharing.no_owner` before anybody has a password, or with the reason why it cannot be opened.
    Off is off when this is answered. Who was at home when it is switched on is signed in by a cookie."""
    studio, visitor = studio_of(request), visitor_of(request)
    where = caller(studio.people, request)
    if studio.sharing.switch(way, body.on):
        studio.audit.shared(visitor, way, body.on, where[1])
    if body.on and not visitor.session_id and not local(request):
        token, _ = studio.people.session_for_owner(*where)
        give_cookie(response, request, token)
    if studio.sharing.opening(way):
        response.status_code = 202
    return _told(request)


@router.get("/qr.svg", response_class=Response)
def qr(request: Request, text: str = Query(min_length=1, max_length=MOST_QR)) -> Response:
    """An address of this studio for a phone's camera; 422 `sharing.not_ours` for any other text."""
    picture = studio_of(request).sharing.qr(text)
    return Response(picture, media_type="image/svg+xml", headers={"cache-control": "no-store"})


def _told(request: Request) -> dict[str, Any]:
    """How it stands, with a sentence for each error."""
    studio = studio_of(request)
    view, lang = studio.sharing.view(), language(request, studio)

    def said(error: dict[str, Any] | None) -> dict[str, Any] | None:
        return studio.words.error(error, lang) if error else None

    ways = [{**one, "error": said(one["error"]), "why_not": said(one["why_not"])} for one in view["ways"]]
    return {**view, "ways": ways}
