"""/review, /review/{review_id}: pages for whoever reviews films. What they show is service.review_page's business."""

import gzip

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from studio.api.answers import language, visitor_of
from studio.errors import NotFound, StudioError
from studio.service import Studio
from studio.service.review_page import Page, ReviewPages


def routes(studio: Studio) -> list[Route]:
    """For the site, beside its sign-in page."""
    pages = ReviewPages(studio.words, studio.settings.assets_dir)

    def listing(request: Request) -> Response:
        """The films that are open for the visitor; who was invited to one film is taken to it."""
        visitor, lang = visitor_of(request), language(request, studio)
        reviews = list(studio.reviewing.list(visitor))
        if visitor.queue_id is not None and len(reviews) == 1:
            return RedirectResponse(f"review/{reviews[0]['id']}", 303)
        return _answer(request, pages.listing(reviews, lang))

    def film(request: Request) -> Response:
        visitor, lang = visitor_of(request), language(request, studio)
        try:
            view = studio.reviewing.view(request.path_params["review_id"], visitor, _number(request))
        except StudioError as error:
            told = studio.words.error(error, lang)
            return _answer(request, pages.failing(told, lang), error.status)
        return _answer(request, pages.online(view, lang))

    return [
        Route("/review", listing, methods=["GET"], include_in_schema=False),
        Route("/review/{review_id}", film, methods=["GET"], include_in_schema=False),
    ]


def _number(request: Request) -> int | None:
    asked = request.query_params.get("version", "")
    if not asked:
        return None
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 8):
        raise NotFound("review.no_version", version=asked[:20])
    return int(asked)


def _answer(request: Request, page: Page, status: int = 200) -> Response:
    document, policy = page
    headers = {"cache-control": "no-store", "content-security-policy": policy, "vary": "accept-encoding, cookie"}
    body = document.encode("utf-8", "replace")
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body, compresslevel=9, mtime=0), "gzip"
    return Response(body, status, headers, media_type="text/html; charset=utf-8")
