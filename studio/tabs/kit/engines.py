"""Which engine a scene will be made by, and what it is called on screen. Knows no form and no rendering."""

from collections.abc import Mapping
from typing import Any

from gradio.i18n import I18nData

from studio.service import Studio


def engine_for(studio: Studio, task_type: str, scene: Mapping[str, Any]) -> dict[str, Any] | None:
    """The engine that will make a scene as far as it is written: the chosen one, or what `auto` comes to today."""
    chosen = scene.get("engine") or "auto"
    if chosen == "auto":
        chosen = studio.memory.engine_for({**scene, "task_type": task_type})
    able = (engine for engine in studio.engines.list() if task_type in engine["tasks"])
    return next((engine for engine in able if engine["id"] == chosen), None)


def engine_title(studio: Studio, engine_id: str) -> str:
    """The title of a model, which is the same in every language; else its id."""
    return studio.words.dictionary("en").get(f"engine.title.{engine_id}", engine_id)


def engine_name(studio: Studio, engine_id: str) -> str:
    """Its name on screen: the locale files' if they know it, else its title."""
    key = f"form.engine.{engine_id}"
    return str(I18nData(key)) if key in studio.words.dictionary("en") else engine_title(studio, engine_id)


def engine_choices(studio: Studio, task_type: str, scene: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, id) of every engine that can do a task, `auto` first, each with what stands in its way.

    Gradio translates one key per string, so an engine that shares its label with another word goes by its title there.
    """
    chosen = scene.get("engine") or "auto"
    would = engine_for(studio, task_type, {**scene, "engine": "auto"})
    auto = str(I18nData("form.engine.auto"))
    by = f"form.engine.auto.{would['id']}" if would else ""  # a sentence of its own where its name has a translation
    named = f"{auto} · {engine_title(studio, would['id'])}" if would else auto
    if by in studio.words.dictionary("en"):
        named = str(I18nData(by))
    choices = [(named, "auto")]
    for engine in studio.engines.list():
        if task_type in engine["tasks"]:
            state, engine_id = engine["availability"]["state"], engine["id"]
            note = I18nData(f"form.availability.{state}")
            label = (
                engine_name(studio, engine_id) if state == "ready" else f"{engine_title(studio, engine_id)} · {note}"
            )
            choices.append((label, engine_id))
    if chosen not in {engine_id for _, engine_id in choices}:  # from an episode that was written on another machine
        choices.append((f"{chosen} · {I18nData('form.availability.unknown')}", chosen))
    return choices
