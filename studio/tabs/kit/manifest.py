"""What a browser must know to keep the studio as a program of its own (a PWA). Knows no tab and no user text.

No service worker: browsers ask for none, and one could show a studio that is not running.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio.service.words import Words
from studio.tabs.kit.theme import BACKGROUND, INK, LANGUAGES, MANIFEST

ICONS = (  # file in assets/app, pixels, what for
    ("lanterna-192.png", 192, "any"),
    ("lanterna-512.png", 512, "any"),
    ("lanterna-maskable-512.png", 512, "maskable"),
)
REGIONS = {"en": "en", "pt": "pt-BR", "zh": "zh-Hans"}


def manifest(words: Words, lang: str, root_path: str = "") -> dict[str, object]:
    """Its addresses are relative to its own, so that it holds below any path of a proxy; but browsers read `id` from
    the root of the site, where two studios may lie below two paths."""
    return {
        "id": f"{root_path}/",
        "name": "Lanterna",
        "short_name": "Lanterna",
        "description": words.text("about.what", lang),
        "lang": REGIONS[lang],
        "dir": "ltr",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "theme_color": INK,
        "background_color": BACKGROUND,
        "categories": ["photo", "entertainment", "productivity"],
        "icons": [
            {"src": f"ui/app/{name}", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for name, size, purpose in ICONS
        ],
    }


def manifest_route(words: Words) -> Route:
    """GET /manifest.webmanifest, in the language of the page that names it."""

    async def answer(request: Request) -> Response:
        chosen = request.cookies.get("lanterna_lang", "")
        lang = chosen if chosen in LANGUAGES else words.pick(request.headers.get("accept-language", ""))
        return JSONResponse(
            manifest(words, lang, request.scope["root_path"]),
            headers={"cache-control": "no-cache"},
            media_type="application/manifest+json",
        )

    return Route(MANIFEST, answer, include_in_schema=False)
