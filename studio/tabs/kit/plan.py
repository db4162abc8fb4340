"""What a form would make, told to the page: assets/js/plan.js asks how that fits into memory. Knows no tab."""

import time
from typing import Any

import gradio as gr

from studio.tabs.kit.form import Form

WEIGHTY = ("engine", "profile", "resolution", "aspect", "duration", "input_image", "input_video", "input_audio")
WIRE = """
lanterna.module('plan').then((plan) => plan.wire(element, props, watch));
"""


def plan_wire(form: Form, place: str, queue: str = "") -> None:
    """Says the form's scene now and whenever something changes that memory or time depend on.

    `place`: which line on the page it is for. Call it inside the block that drew the form."""

    def said(scene: dict[str, Any]) -> dict[str, Any]:
        # the turn: the page hears of a form that was drawn again, though it says the same
        return {"place": place, "prefix": form.prefix, "queue": queue, "scene": scene, "turn": time.time_ns()}

    wire = gr.HTML(
        said(dict(form.base) | {"task_type": form.task_type}), html_template='<div class="l-host"></div>',
        js_on_load=WIRE, apply_default_css=False, elem_id=f"{form.prefix}-plan", elem_classes=["l-wire"],
    )  # fmt: skip
    weighty = [c for c in form.controls if c.field in WEIGHTY or c.field.startswith("options.")]
    changes = [
        control.component.change if isinstance(control.component, gr.HTML) else control.component.input
        for control in weighty
    ]
    gr.on(
        changes, lambda *values: said(form.read_shown(*values)), form.components, wire,
        trigger_mode="always_last", queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
