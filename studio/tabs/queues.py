"""The Queues tab: queues and scenes on the left, the stage in the middle, the selected scene's form on the right.

Lists, player and shots are drawn by assets/js from REST; only the form is Gradio's, because it follows the task's
schema. It is redrawn when JavaScript writes the id of another scene into a hidden box.
"""

import json
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.service import Studio
from studio.tabs.kit.form import Form, build_form
from studio.tabs.kit.host import host
from studio.tabs.kit.language import language_of
from studio.tabs.kit.plan import plan_wire

TITLE = "nav.queues"
ICON = "list-video"


def build(studio: Studio) -> None:
    with gr.Row(elem_id="l-work", elem_classes="l-work"):
        with gr.Column(elem_id="l-left", min_width=0):
            host("sidebar", elem_id="l-sidebar")
        with gr.Column(elem_id="l-stage", min_width=0):
            host("stage", elem_id="l-stage-host")
        with gr.Column(elem_id="l-insp", min_width=0):
            host("inspector", elem_id="l-insp-head", name="head")
            with gr.Column(elem_id="l-insp-form", min_width=0):
                _scene_form(studio)
            host("inspector", elem_id="l-insp-foot", name="foot")


def _scene_form(studio: Studio) -> None:
    """The selected scene's fields. JavaScript writes `asked`, reads `answer` and clicks `l-save`."""
    asked = _wire("l-asked")  # {"id", "turn"}: which scene; another turn draws it again
    sketch = _wire("l-sketch")  # {"id", "scene"}: unsaved values, to draw again after a change of engine
    version = _wire("l-version")
    answer = _wire("l-answer")

    @gr.render(
        inputs=[asked, sketch], triggers=[asked.change, sketch.change], show_progress="hidden", concurrency_limit=None
    )
    def draw(asked_text: str, sketch_text: str, request: gr.Request) -> None:
        wanted = json.loads(asked_text or "{}").get("id")
        if not wanted:
            return
        try:
            view = studio.scenes.get(wanted)
        except StudioError:
            return  # deleted meanwhile: the page hears of it with the next delta
        unsaved = json.loads(sketch_text or "{}")
        scene = unsaved["scene"] if unsaved.get("id") == wanted else view["scene"]
        form = build_form(studio, view["task_type"], scene, elem_prefix="l-scene")
        plan_wire(form, "scene", view["queue_id"])
        _wire_form(studio, form, view, language_of(studio, request), sketch, version, answer)


def _wire_form(
    studio: Studio, form: Form, view: dict[str, Any], language: str, sketch: gr.Textbox, version: gr.Textbox,
    answer: gr.Textbox,
) -> None:  # fmt: skip
    """Saving, and drawing again when another engine brings other options."""
    scene_id = view["id"]

    def keep(*values: Any) -> str:
        return json.dumps({"id": scene_id, "scene": form.read(*values)})

    def save(known: str, *values: Any) -> tuple[str, Any, str]:
        turn, _, number = known.partition(":")
        try:
            saved = studio.scenes.edit(scene_id, form.read(*values), int(number))
        except StudioError as error:
            told = {"turn": turn, "id": scene_id, "error": studio.words.error(error, language)}
            return known, form.explain(error, studio, language), json.dumps(told)
        told = {"turn": turn, "id": scene_id, "version": saved["version"]}
        return f"{turn}:{saved['version']}", None, json.dumps(told)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    form.engine.input(keep, form.components, sketch, **quiet)
    # the class says whose form this is: JavaScript presses no button of a scene that is no longer selected
    button = gr.Button("save", elem_id="l-save", elem_classes=["l-wire", f"l-for-{scene_id}"])
    button.click(save, [version, *form.components], [version, form.problem, answer], **quiet)


def _wire(elem_id: str) -> gr.Textbox:
    """A box that carries words between JavaScript and Python and is never seen."""
    return gr.Textbox(elem_id=elem_id, elem_classes="l-wire", show_label=False, container=False, interactive=True)
