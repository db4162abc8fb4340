"""The Generate tab: one scene, now. Tasks on the left, the result in the middle, the task's form on the right.

What somebody was writing lies on a `Desk` in the app, so a reload of the page loses nothing. Rendering, progress and
results belong to the studio: assets/js/generate.js follows a scene over REST like everybody else.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from studio.domain import SCENE_CLASSES
from studio.errors import StudioError
from studio.service import Studio
from studio.tabs.kit.engines import engine_for
from studio.tabs.kit.form import Form, build_form
from studio.tabs.kit.host import host
from studio.tabs.kit.language import language_of
from studio.tabs.kit.plan import plan_wire

TITLE = "nav.generate"
ICON = "clapperboard"

CARRIED = ("prompt", "negative_prompt", "resolution", "aspect", "seed", "lines", "input_image", "input_video")
DECIDING = frozenset({  # fields by which an engine may not take a scene, so that `auto` takes another
    "resolution", "duration", "ref_imgs", "end_image", "input_audio", "input_audio_2", "input_video", "lines",
})  # fmt: skip
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
ACTIONS = """
lanterna.module('generate').then((generate) => generate.actions(element.querySelector('.l-host'), {
  props, watch, go: () => trigger('go'), enqueue: (queue) => trigger('enqueue', queue),
  keep: (preset) => trigger('keep', preset),
}));
"""


@dataclass
class Desk:
    """The unfinished scene of each task, the task in hand, and the scene that was started last."""

    task: str = "text_to_video"
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    following: str = ""

    def take_up(self, task: str) -> None:
        """Turn to a task. One that was never begun starts from what is written for the one before."""
        if task not in self.scenes:
            known, before = SCENE_CLASSES[task].model_fields, self.scenes.get(self.task, {})
            self.scenes[task] = {name: before[name] for name in CARRIED if name in before and name in known}
            if task == "talking_avatar" and self.scenes[task].get("resolution") == "540P":
                del self.scenes[task]["resolution"]  # an avatar has no such size
        self.task = task

    def lay(self, scene: dict[str, Any]) -> None:
        self.task = scene["task_type"]
        self.scenes[self.task] = scene


def build(studio: Studio) -> None:
    desk = Desk()
    with gr.Row(elem_id="generate-work", elem_classes="l-work"):
        with gr.Column(elem_id="generate-tasks-column", min_width=0):
            wish = host("generate", elem_id="generate-tasks", name="tasks")
        with gr.Column(elem_id="generate-stage-column", min_width=0):
            host("result", elem_id="generate-stage")
        with gr.Column(elem_id="generate-form-column", min_width=0):

            @gr.render(inputs=wish, show_progress="hidden", concurrency_limit=None)
            def draw(wished: str, request: gr.Request) -> None:
                language = language_of(studio, request)
                try:
                    _grant(studio, desk, wished or "")
                except StudioError as error:
                    gr.Warning(studio.words.error(error, language)["message"])
                form = build_form(studio, desk.task, desk.scenes.get(desk.task), "generate")
                plan_wire(form, "generate")
                _wire(studio, desk, form, wish, language)


def _grant(studio: Studio, desk: Desk, wished: str) -> None:
    """What the page asks the form to become: "task:<type>", "take:<id>:<turn>", "preset:<id>:<turn>", or as it was."""
    kind, _, rest = wished.partition(":")
    if kind == "preset":
        scene = {"task_type": desk.task, **desk.scenes.get(desk.task, {})}
        desk.lay(studio.presets.merged(rest.partition(":")[0], scene))
        return
    if kind == "task" and rest in SCENE_CLASSES:
        desk.take_up(rest)
    elif kind == "take":
        desk.lay(dict(studio.takes.get(rest.partition(":")[0])["settings"]))


def _wire(studio: Studio, desk: Desk, form: Form, wish: gr.HTML, language: str) -> None:
    """The buttons under the form, and what keeps the desk in step with it."""
    facts = _facts(studio, desk, form)
    actions = gr.HTML(
        facts, html_template='<div class="l-host"></div>', js_on_load=ACTIONS, apply_default_css=False,
        elem_id="generate-actions", elem_classes=["l-hosted"],
    )  # fmt: skip

    def keep(*values: Any) -> None:
        desk.lay(form.read(*values))

    def other_engine(*values: Any) -> str:
        keep(*values)
        return f"again:{time.time_ns()}"  # draws the form with that engine's options

    def go(*values: Any) -> tuple[Any, Any]:
        keep(*values)
        try:
            made = studio.scenes.generate(form.read_shown(*values))
        except StudioError as error:
            return form.explain(error, studio, language), facts | {"turn": time.time_ns()}
        desk.following = made["id"]
        return None, facts | {"following": made["id"], "turn": time.time_ns()}

    def enqueue(queue: gr.EventData, *values: Any) -> tuple[Any, Any]:
        keep(*values)
        try:
            queue_id = queue.id or studio.queues.create(queue.name)["id"]
            studio.scenes.add(queue_id, form.read_shown(*values))
        except StudioError as error:
            return form.explain(error, studio, language), facts | {"turn": time.time_ns()}
        return None, facts | {"added": queue.name, "queue": queue_id, "turn": time.time_ns()}

    def keep_preset(preset: gr.EventData, *values: Any) -> tuple[Any, Any]:
        keep(*values)
        try:
            kept = studio.presets.save(preset.name, form.read_shown(*values))
        except StudioError as error:
            return form.explain(error, studio, language), facts | {"turn": time.time_ns()}
        return None, facts | {"kept": kept["name"], "turn": time.time_ns()}

    def deciding(*values: Any) -> Any:
        """Draws the form anew where `auto` comes to another engine than it was drawn for."""
        scene = form.read_shown(*values)
        if scene.get("engine", "auto") != "auto":
            return gr.skip()
        now, drawn = engine_for(studio, form.task_type, scene), facts["engine"]
        return gr.skip() if (now or {}).get("id") == (drawn or {}).get("id") else other_engine(*values)

    changed = [control.change if isinstance(control, gr.HTML) else control.input for control in form.components]
    gr.on(changed, keep, form.components, None, trigger_mode="always_last", queue=False, **QUIET)
    weighed = [
        control.component.change if isinstance(control.component, gr.HTML) else control.component.input
        for control in form.controls
        if control.field in DECIDING
    ]
    gr.on(weighed, deciding, form.components, wish, trigger_mode="always_last", queue=False, **QUIET)
    form.engine.input(other_engine, form.components, wish, queue=False, **QUIET)
    actions.go(go, form.components, [form.problem, actions], queue=False, **QUIET)
    actions.keep(keep_preset, form.components, [form.problem, actions], queue=False, **QUIET)
    actions.enqueue(enqueue, form.components, [form.problem, actions], queue=False, **QUIET)


def _facts(studio: Studio, desk: Desk, form: Form) -> dict[str, Any]:
    """What the page says beside the buttons: who will render this, honestly, and which scene it follows."""
    engine = engine_for(studio, form.task_type, form.base)
    return {
        "task": form.task_type,
        "engine": engine and {"id": engine["id"], "draft": engine["draft"], "costs_money": engine["costs_money"],
                              "availability": engine["availability"]},
        "following": desk.following,
        "turn": 0,
    }  # fmt: skip
