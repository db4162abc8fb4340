"""Keeping the studio as a program of its own: the manifest, its icons, and what the page's head says of them."""

import json
import os
import re
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from studio import app
from studio.settings import Settings

ASSETS = Path(__file__).parent.parent / "assets"
TOKENS = dict(re.findall(r"(--ink-\d):(#\w+)", (ASSETS / "css" / "tokens.css").read_text("utf-8")))
MASKABLE_SAFE = 0.8  # of the width: what is outside of this circle, a phone may cut off


class Head(HTMLParser):
    """The links by what they are, and the meta elements by name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: dict[str, dict[str, str | None]] = {}
        self.metas: dict[str | None, str | None] = {}
        self.manifests = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel"):
            self.manifests += found["rel"] == "manifest"
            self.links.setdefault(str(found["rel"]), found)
        if tag == "meta":
            self.metas.setdefault(found.get("name"), found.get("content"))


@pytest.fixture(scope="module", params=["", "/films"], ids=["plain", "below"])
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of somebody who has not signed in; the studio lies at / or below a proxy's path."""
    before = dict(os.environ)
    settings = Settings(root=tmp_path_factory.mktemp("pwa"), auth="mina:lantern light", root_path=request.param)
    studio = app.build_studio(settings, in_process=True)
    yield TestClient(app.web_app(studio, "token"), base_url=f"http://127.0.0.1:7860{request.param}")
    studio.close()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def manifest(browser: TestClient) -> dict[str, Any]:
    return dict(browser.get("/manifest.webmanifest").json())


@pytest.fixture
def head(browser: TestClient) -> Head:
    page = browser.get("/", headers={"authorization": "Bearer token"})
    page.raise_for_status()
    return Head(page.text)


def png_size(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_before_signing_in_there_is_a_manifest_of_its_own_type(browser: TestClient) -> None:
    answer = browser.get("/manifest.webmanifest")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/manifest+json")
    assert browser.get("/api/queues").status_code == 401


def test_the_manifest_says_all_that_browsers_ask_for(manifest: dict[str, Any]) -> None:
    assert (manifest["name"], manifest["short_name"], manifest["display"]) == ("Lanterna", "Lanterna", "standalone")
    assert manifest["id"] and manifest["description"] and manifest["dir"] == "ltr"
    assert manifest["theme_color"] == TOKENS["--ink-1"] and manifest["background_color"] == TOKENS["--ink-0"]


def test_the_program_lies_where_the_studio_does(browser: TestClient, manifest: dict[str, Any], head: Head) -> None:
    """Below a proxy's path, and nothing outside of it belongs to the program."""
    page = str(browser.base_url).rstrip("/") + "/"
    where = urljoin(page, str(head.links["manifest"]["href"]))
    assert where == page + "manifest.webmanifest"
    assert urljoin(where, manifest["start_url"]) == urljoin(where, manifest["scope"]) == page
    # browsers read it from the root of the site: two studios below two paths are two programs
    assert urljoin("http://127.0.0.1:7860", manifest["id"]) == page
    for icon in manifest["icons"]:
        assert urljoin(where, icon["src"]).startswith(page)


def test_every_icon_is_there_with_its_true_size(browser: TestClient, manifest: dict[str, Any]) -> None:
    sizes: dict[str, set[str]] = {}
    for icon in manifest["icons"]:
        answer = browser.get(urljoin("/manifest.webmanifest", icon["src"]))
        assert (answer.status_code, answer.headers["content-type"]) == (200, icon["type"])
        width, height = png_size(answer.content)
        assert f"{width}x{height}" == icon["sizes"]
        sizes.setdefault(icon["purpose"], set()).add(icon["sizes"])
    assert sizes["any"] >= {"192x192", "512x512"} and sizes["maskable"] >= {"512x512"}


def test_a_maskable_icon_loses_nothing_to_a_round_mask() -> None:
    """Outside of the safe circle there is one colour, and no hole."""
    import numpy as np
    from PIL import Image

    with Image.open(ASSETS / "app" / "lanterna-maskable-512.png") as picture:
        pixels = np.asarray(picture.convert("RGBA")).astype(int)
    assert (pixels[..., 3] == 255).all()
    y, x = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    centre = (pixels.shape[0] - 1) / 2
    outside = (y - centre) ** 2 + (x - centre) ** 2 > (MASKABLE_SAFE * pixels.shape[0] / 2) ** 2
    beyond = pixels[outside][:, :3]
    assert np.abs(beyond - np.median(beyond, axis=0)).max() <= 24


def test_the_pages_head_names_manifest_icons_and_colour(browser: TestClient, head: Head) -> None:
    assert head.manifests == 1, "Gradio's own is gone"
    assert head.links["manifest"]["crossorigin"] == "use-credentials"
    assert head.metas["theme-color"] == TOKENS["--ink-1"]
    root = urlsplit(str(browser.base_url)).path.rstrip("/")
    for rel, kind in (("apple-touch-icon", "image/png"), ("icon", "image/svg+xml")):
        href = str(head.links[rel]["href"])
        assert href.startswith(root + "/ui/")
        answer = browser.get(href.removeprefix(root))
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        if rel == "apple-touch-icon":
            assert png_size(answer.content) == (180, 180)


@pytest.mark.parametrize(("asked", "lang"), [("en", "en"), ("pt-BR", "pt-BR"), ("zh-CN", "zh-Hans")])
def test_the_manifest_speaks_the_users_language(browser: TestClient, asked: str, lang: str) -> None:
    told = browser.get("/manifest.webmanifest", headers={"accept-language": asked}).json()
    words = json.loads((ASSETS / "locales" / f"{asked[:2]}.json").read_text("utf-8"))
    assert (told["lang"], told["description"]) == (lang, words["about.what"])


def test_the_language_chosen_on_screen_comes_before_the_browsers(browser: TestClient) -> None:
    asked = {"accept-language": "en", "cookie": "lanterna_lang=pt"}
    assert browser.get("/manifest.webmanifest", headers=asked).json()["lang"] == "pt-BR"
    odd = {"accept-language": "en", "cookie": "lanterna_lang=../x"}
    assert browser.get("/manifest.webmanifest", headers=odd).json()["lang"] == "en"
