"""studio/tabs/avatar.py without a browser: one host, and the words of everything its scripts may say."""

import json
import re
from pathlib import Path

import gradio as gr
import pytest

from studio.service import Studio
from studio.tabs import avatar
from studio.tabs.kit import theme

SCRIPTS = [*sorted((theme.ASSETS / "js").glob("avatar*.js")), theme.ASSETS / "js" / "take_facts.js"]
CHOICES = {  # what a key is put together from
    "avatar.mode": ("script", "recording", "many"),
    "avatar.order": ("together", "in_turn"),
    "avatar.mark": ("mouth", "eye"),
}


def test_the_tab_is_one_host_that_carries_no_text(studio: Studio) -> None:
    with gr.Blocks() as page:
        avatar.build(studio)
    (host,) = (block for block in page.blocks.values() if isinstance(block, gr.HTML))
    assert "module('avatar')" in str(host.js_on_load) and not host.value


@pytest.mark.parametrize("lang", theme.LANGUAGES)
def test_every_word_of_its_scripts_is_there_and_no_other(lang: str) -> None:
    words = json.loads((theme.ASSETS / "locales" / f"{lang}.json").read_text(encoding="utf-8"))
    known = {key.removesuffix(".one") for key in words if key.startswith("avatar.")}
    said = set(re.findall(r"[\"`](avatar\.[a-z_]+(?:\.[a-z_]+)*)[\"`]", "".join(map(_text, SCRIPTS))))
    said |= {f"{stem}.{one}" for stem, ones in CHOICES.items() for one in ones}
    said |= {"avatar.characters", "avatar.characters.none", "avatar.pictures", "avatar.pictures.none"}
    assert known == {key for key in said if f"error.{key}" not in words}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
