"""The screen: one page of tabs between a top bar and a status line. A new tab is one line here and one file beside it.

A tab module has TITLE (a key of the locale files), ICON (a file in assets/icons) and build(studio).
"""

import functools
import importlib
import json
from types import ModuleType
from typing import Any

import gradio as gr
from gradio.i18n import I18nData
from starlette.middleware import Middleware

from studio.service import Studio
from studio.tabs.kit import theme
from studio.tabs.kit.bundled import Bundled
from studio.tabs.kit.host import host
from studio.tabs.kit.manifest import manifest_route

__all__ = ["Bundled", "build_blocks", "manifest_route", "page_middleware", "page_options"]

TABS = ("generate", "queues", "voice", "avatar", "gallery", "settings")
FIRST_TAB = "queues"


def build_blocks(studio: Studio) -> gr.Blocks:
    """The whole page. Nothing on it keeps state on the server: a reload, or a second window, shows the same."""
    with gr.Blocks(title="Lanterna", fill_width=True, fill_height=True, analytics_enabled=False) as page:
        host("topbar", elem_id="l-topbar")
        with gr.Tabs(elem_id="l-nav", selected=FIRST_TAB, overflow_behavior="wrap"):
            for name, module in tab_modules().items():
                with gr.Tab(I18nData(module.TITLE), id=name, elem_id=f"l-tab-{name}"):
                    module.build(studio)
        host("statusline", elem_id="l-status")
        host("welcome", elem_id="l-welcome")
    return page


def page_options() -> dict[str, Any]:
    """What `launch()` needs for the page to look and speak as it should. `page_middleware` does the rest."""
    return {
        "theme": theme.make_theme(),
        "i18n": translations(),
        "footer_links": [],
        "run_history": False,
        "favicon_path": theme.ASSETS / "favicon.svg",
    }


def page_middleware(lang: str = "", root_path: str = "") -> Middleware:
    """Puts head, styles and icons into the page. `lang` is the setting, "" for the browser's language."""
    return theme.page_middleware(lang, {name: module.ICON for name, module in tab_modules().items()}, root_path)


@functools.cache
def tab_modules() -> dict[str, ModuleType]:
    return {name: importlib.import_module(f"studio.tabs.{name}") for name in TABS}


def translations() -> gr.I18n:
    """The words of Gradio's own controls, from the same files as everything else on screen.

    Gradio falls back to English for a language it was not given exactly, so the regions are spelled out.
    """
    words = {lang: _screen_words(lang) for lang in theme.LANGUAGES}
    regions = {"pt-BR": words["pt"], "pt-PT": words["pt"], "zh-CN": words["zh"], "zh-TW": words["zh"]}
    return gr.I18n(**words, **regions)


def _screen_words(lang: str) -> dict[str, str]:
    """Without the errors: those are put into words where they are shown, and would double the page's weight."""
    text = (theme.ASSETS / "locales" / f"{lang}.json").read_text(encoding="utf-8")
    return {key: words for key, words in json.loads(text).items() if key.startswith(("form.", "generate.", "nav."))}
