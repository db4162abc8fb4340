"""The page without a browser: what it is made of, what it asks of the network, its words and its icons."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient

from studio.domain import SCENE_CLASSES
from studio.tabs import TABS, Bundled, build_blocks, page_middleware, page_options, tab_modules, translations
from studio.tabs.kit import theme
from studio.tabs.kit.form import build_form
from studio.tabs.kit.host import host

ASSETS = theme.ASSETS
SCRIPTS = sorted((ASSETS / "js").glob("*.js"))
STYLES = sorted((ASSETS / "css").glob("*.css"))
MOST_COMPONENTS = 120  # of one tab: Gradio mounts a hidden tab on its first visit, and that takes time


@pytest.fixture
def page(studio: Any) -> gr.Blocks:
    return build_blocks(studio)


def words(lang: str) -> dict[str, str]:
    return dict(json.loads((ASSETS / "locales" / f"{lang}.json").read_text(encoding="utf-8")))


def found(pattern: str, files: list[Path]) -> Iterator[tuple[str, str]]:
    for path in files:
        for match in re.finditer(pattern, path.read_text(encoding="utf-8")):
            yield path.name, match.group(1) if match.groups() else match.group(0)


# ------------------------------------------------------------------------------------------------ what it is made of
def test_the_rail_has_a_tab_for_each_module_and_no_empty_one(page: gr.Blocks) -> None:
    tabs = [block for block in page.blocks.values() if isinstance(block, gr.Tab)]
    assert [tab.id for tab in tabs] == list(TABS)
    assert all(tab.children for tab in tabs)
    for module in tab_modules().values():
        assert (ASSETS / "icons" / f"{module.ICON}.svg").is_file()
        assert module.TITLE in words("en")


def test_each_tab_stays_small_enough_to_open_at_once(page: gr.Blocks, studio: Any) -> None:
    forms = []
    for task in SCENE_CLASSES:
        with gr.Blocks() as alone:
            build_form(studio, task)
        forms.append(len(alone.blocks))
    for tab in (block for block in page.blocks.values() if isinstance(block, gr.Tab)):
        assert _inside(tab) + max(forms) <= MOST_COMPONENTS, tab.id


def _inside(block: Any) -> int:
    return 1 + sum(_inside(child) for child in getattr(block, "children", []))


def test_nothing_holds_a_connection_open(page: gr.Blocks) -> None:
    """A gr.State opens a heartbeat for ever, and a browser has six connections for all its tabs."""
    assert not [block for block in page.blocks.values() if isinstance(block, gr.State | gr.Timer)]
    assert not [name for name, _ in found(r"\bEventSource\b|\bWebSocket\b", SCRIPTS)]


def test_templates_carry_no_user_text(page: gr.Blocks, studio: Any) -> None:
    """Gradio compiles what stands in a template: `${...}` in a prompt would run."""
    for block in page.blocks.values():
        if isinstance(block, gr.HTML):
            assert block.apply_default_css is False
            assert "${" not in block.html_template and "{{" not in block.html_template


def test_scripts_write_text_never_markup() -> None:
    assert not list(found(r"\.(?:innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write", SCRIPTS))


def test_a_host_takes_only_names_of_ours() -> None:
    with gr.Blocks():
        assert "module.foot(" in str(host("inspector", "x", "foot").js_on_load)
        with pytest.raises(ValueError):
            host("inspector'); alert(1); ('", "x")


# ------------------------------------------------------------------------------------------------ the look
def test_no_blur_and_nothing_moves_for_ever() -> None:
    """The page must not take the GPU from what is being rendered."""
    assert not list(found(r"backdrop-filter|filter:\s*blur|\binfinite\b", STYLES))


def test_the_page_asks_nobody_outside() -> None:
    assert not list(found(r"https?://(?!www\.w3\.org/)[a-z]", [*SCRIPTS, *STYLES]))


def test_fonts_are_bundled_with_their_licences() -> None:
    fonts = {name for _, name in found(r"\.\./fonts/([\w.-]+)", STYLES)}
    assert fonts and all((ASSETS / "fonts" / name).is_file() for name in fonts)
    licensed = tuple(path.stem.removeprefix("LICENSE-") for path in (ASSETS / "fonts").glob("LICENSE-*.txt"))
    assert [name for name in fonts if not name.startswith(licensed)] == []
    assert (ASSETS / "icons" / "LICENSE-lucide.txt").is_file()


def test_every_icon_that_is_named_is_there_and_no_other() -> None:
    there = {path.stem for path in (ASSETS / "icons").glob("*.svg")}
    named = {name for _, name in found(r'(?:icon|iconButton)\("([a-z0-9-]+)"', SCRIPTS)}
    named |= {name for _, name in found(r'(?:iconName|icon): "([a-z0-9-]+)"', SCRIPTS)}
    assert named - there == set()
    quoted = {name for _, name in found(r'["`]([a-z0-9-]+)["`]', SCRIPTS)}
    quoted |= {name for _, name in found(r"l-ic-([a-z0-9-]+)", [*SCRIPTS, *STYLES])}
    rail = {module.ICON for module in tab_modules().values()}
    assert there - quoted - rail == set()
    assert all(f".l-ic-{name}{{" in theme.icon_css() for name in there)


def test_light_and_dark_are_one_look() -> None:
    made = vars(theme.make_theme())
    for name, value in theme.THEME_VARIABLES.items():
        assert made[name] == value
        assert made.get(f"{name}_dark", value) == value


# ------------------------------------------------------------------------------------------------ the words
def test_every_word_that_a_script_says_is_in_every_language() -> None:
    said = {key for _, key in found(r'\bt\(\s*"([a-z_]+(?:\.[a-z_]+)+)"', SCRIPTS)}
    assert len(said) > 100
    for lang in theme.LANGUAGES:
        assert said - set(words(lang)) == set(), lang


def test_the_languages_say_the_same_with_the_same_places() -> None:
    places = {lang: {key: set(re.findall(r"\{(\w+)\}", text)) for key, text in words(lang).items()} for lang in
              theme.LANGUAGES}  # fmt: skip
    assert places["en"].keys() == places["pt"].keys() == places["zh"].keys()
    for key, wanted in places["en"].items():
        assert places["pt"][key] == wanted == places["zh"][key], key


def test_gradio_gets_the_words_of_every_region_it_may_ask_for() -> None:
    given = translations().translations_dict
    assert set(given) == {"en", "pt", "pt-BR", "pt-PT", "zh", "zh-CN", "zh-TW"}
    assert given["zh-CN"]["nav.queues"] == words("zh")["nav.queues"]
    assert not [key for key in given["en"] if key.startswith("error.")]


# ------------------------------------------------------------------------------------------------ the head
def answer_to(app: Any, path: str) -> tuple[dict[bytes, bytes], bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send))
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


PAGE = '<html><head><meta property="og:url" content="https://x"><script src="gradio.js"></script></head></html>'


def dressed(answer: Any) -> Any:
    middleware = page_middleware("pt")
    return middleware.cls(answer, *middleware.args, **middleware.kwargs)


def test_the_head_stands_before_gradios_script() -> None:
    headers, body = answer_to(dressed(HTMLResponse(PAGE)), "/")
    text = body.decode()
    assert text.index("window.lanterna") < text.index("gradio.js")
    assert text.index("/ui/css/tokens.css") < text.index("/ui/css/shell.css") < text.index("/ui/css/queues.css")
    assert 'set = "pt"' in text and "og:url" not in text
    assert int(headers[b"content-length"]) == len(body)


def test_only_the_page_gets_the_head() -> None:
    assert answer_to(dressed(HTMLResponse(PAGE)), "/elsewhere")[1] == PAGE.encode()
    assert answer_to(dressed(PlainTextResponse("<head>")), "/")[1] == b"<head>"


def test_a_changed_script_is_never_run_from_the_browsers_memory() -> None:
    served = TestClient(Starlette(routes=[Mount("/ui", Bundled(directory=ASSETS))]))
    first = served.get("/ui/js/core.js")
    assert first.headers["cache-control"] == "no-cache"
    again = served.get("/ui/js/core.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.headers["cache-control"] == "no-cache"


def test_gradios_own_extras_are_off() -> None:
    options = page_options()
    assert options["footer_links"] == [] and options["run_history"] is False
