"""The Voice tab without a browser: one host, and words for everything that its scripts put together."""

import json
import re
from typing import Any

import gradio as gr
import pytest

from studio.service import Studio
from studio.tabs import voice
from studio.tabs.kit import theme

SCRIPTS = {path.stem: path.read_text(encoding="utf-8") for path in (theme.ASSETS / "js").glob("voice*.js")}


def words(lang: str) -> dict[str, str]:
    return dict(json.loads((theme.ASSETS / "locales" / f"{lang}.json").read_text(encoding="utf-8")))


def listed(script: str, name: str) -> list[str]:
    """The strings of `const <name> = [...]`, or the values of `{...}`."""
    (found,) = re.findall(rf"const {name} = [\[{{](.*?)[\]}}];", SCRIPTS[script], flags=re.DOTALL)
    return re.findall(r'"([^"]*)"', found)


def test_it_is_one_host_that_a_script_fills(studio: Any) -> None:
    with gr.Blocks() as page:
        voice.build(studio)
    (host,) = [block for block in page.blocks.values() if isinstance(block, gr.HTML)]
    assert host.elem_id == "voice" and "module('voice')" in str(host.js_on_load)


@pytest.mark.parametrize("lang", theme.LANGUAGES)
def test_words_that_are_put_together_are_there(lang: str) -> None:
    languages, kinds = listed("voice_names", "LANGUAGES"), listed("voice_names", "KINDS")
    wanted = {f"voice.kind.{kind}" for kind in kinds}
    wanted |= {f"voice.say.sample.{one}" for one in languages} | {f"voice.record.words.{one}" for one in languages}
    wanted |= {f"voice.record.{why}{part}" for why in {*listed("voice_record", "WHY"), "insecure", "unreadable"}
               for part in ("", ".hint")}  # fmt: skip
    made = re.findall(r"t\(`(voice\.[a-z_.]+)\$\{(?:way|name|n)\}(\.about)?`\)", "\n".join(SCRIPTS.values()))
    assert {start for start, _ in made} >= {"voice.way.", "voice.source.", "voice.welcome.", "voice.words."}
    wanted |= {f"voice.way.{way}{part}" for way in ("sample", "own") for part in ("", ".about")}
    wanted |= {f"voice.source.{way}{part}" for way in ("upload", "record", "take") for part in ("", ".about")}
    wanted |= {f"voice.welcome.{step}{part}" for step in ("record", "agree", "speak") for part in ("", ".about")}
    wanted |= {f"voice.words.{column}" for column in ("word", "said", "language")}
    assert wanted - set(words(lang)) == set()


@pytest.mark.parametrize("lang", theme.LANGUAGES)
def test_the_draft_is_never_called_a_clone(lang: str) -> None:
    said = words(lang)
    assert said["voice.draft_match"] != said["form.engine.draft"]
    for key in ("voice.draft_match", "voice.engine.draft"):
        assert not re.search(r"clon|克隆", said[key], flags=re.IGNORECASE), key


def test_kinds_and_languages_are_those_of_the_studio(studio: Studio) -> None:
    plain = studio.voices.create({"name": "Plain"})
    preset = studio.voices.create({"name": "Woman", "engine": "draft", "preset": "woman-1"})
    assert {plain["kind"], preset["kind"]} < set(listed("voice_names", "KINDS"))
    assert listed("voice_names", "LANGUAGES") == list(theme.LANGUAGES)
