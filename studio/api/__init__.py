"""REST: a FastAPI app of its own, mounted at /api. Everything the screen can do can be done here."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from studio import __version__
from studio.api import (
    answers,
    audit,
    avatars,
    casting,
    catalogue,
    editing,
    episodes,
    exports,
    installations,
    listening,
    memory,
    notices,
    packages,
    people,
    preferences,
    preflight,
    queues,
    relink,
    reports,
    review,
    reviews,
    runs,
    scenes,
    sharing,
    storage,
    system,
    takes,
    voices,
)  # fmt: skip
from studio.service import Studio

DOCS = Path(__file__).resolve().parent.parent.parent / "assets" / "swagger"


def make_api(studio: Studio) -> FastAPI:
    """The app behind /api. `/api/docs` draws itself from bundled files at /ui/swagger."""
    api = FastAPI(title="Lanterna", version=__version__, docs_url=None, redoc_url=None)
    api.state.studio = studio
    answers.install(api)
    # episodes first: /queues/check before /queues/{id}
    modules = (
        episodes, relink, casting, voices, listening, avatars, queues, preflight, runs, reports, editing, scenes, takes,
        review, reviews, exports, packages, installations, catalogue, preferences, memory, storage, notices, people,
        sharing, audit, system,
    )  # fmt: skip
    for module in modules:
        api.include_router(module.router)

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",  # from /api/docs, wherever that is
            title="Lanterna · API",
            swagger_js_url="../ui/swagger/swagger-ui-bundle.js",
            swagger_css_url="../ui/swagger/swagger-ui.css",
            swagger_favicon_url="../ui/favicon.svg",
        )

    return api
