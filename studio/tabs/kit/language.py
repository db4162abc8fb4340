"""Which language a browser shows the screen in. Knows no words."""

import gradio as gr

from studio.service import Studio
from studio.tabs.kit.theme import LANGUAGES


def language_of(studio: Studio, request: gr.Request) -> str:
    """The page's language: its head wrote the cookie (kit/theme.py)."""
    chosen = request.cookies.get("lanterna_lang", "")
    return chosen if chosen in LANGUAGES else studio.words.pick(request.headers.get("accept-language", ""))
