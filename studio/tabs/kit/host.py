"""A place on the page that one of our JavaScript modules fills. No user text ever passes through it.

Gradio compiles what it is given as a template, so a prompt with `${...}` would run: modules fetch their texts over
REST and build the DOM themselves.
"""

import re

import gradio as gr

_NAME = re.compile(r"[a-z][A-Za-z0-9_]*")


def host(module: str, elem_id: str, name: str = "mount") -> gr.HTML:
    """An empty element, and a call of `name(element, {trigger, props, watch})` in assets/js/<module>.js for it."""
    if not _NAME.fullmatch(module) or not _NAME.fullmatch(name):
        raise ValueError(f"not the name of a module or function: {module}.{name}")
    return gr.HTML(
        "",
        html_template='<div class="l-host"></div>',
        js_on_load=f"lanterna.module('{module}').then((module) => "
        f"module.{name}(element.querySelector('.l-host'), {{trigger, props, watch}}));",
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["l-hosted"],
    )
