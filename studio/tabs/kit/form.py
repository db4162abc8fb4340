"""The one form builder: every form on screen is drawn here, from the JSON schema of a scene class.

`build_form` draws the controls; `Form.read` turns their values into a scene, `Form.explain` turns an error of the
service into what stands beside the field. Knows no tab, no queue and nothing of rendering.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from studio.domain import CUT_PREFIXES
from studio.errors import StudioError
from studio.service import Studio
from studio.tabs.kit import lines
from studio.tabs.kit.engines import engine_choices, engine_for, engine_title
from studio.tabs.kit.values import Scene, Schema, as_number, as_whole, rows, same, shapes, split_cut, typed, value_of

FIRST = ("prompt", "ref_imgs", "input_image", "end_image", "input_video", "input_audio", "lines")
PEOPLE = ("input_audio_2", "audio_order", "speaker_boxes", "input_video")  # of an avatar that is more than one portrait
PAIRS = (("resolution", "aspect"), ("duration", "seed"))  # side by side
LAST = ("engine",)
SPOKEN = ("speech", "talking_avatar")  # tasks whose lines are the point; elsewhere they fold away
POINTLESS: Mapping[str, frozenset[str]] = {  # fields that a task has and nobody needs to see
    "speech": frozenset({"prompt", "negative_prompt", "resolution", "aspect", "transition", "in_cut", "profile"}),
    "text_to_image": frozenset({"lines", "transition", "in_cut"}),
}
FAMILIAR = ("label", "negative_prompt", "profile", "in_cut", "transition")  # the fields under "More", in this order
SLIDER_SECONDS = 30.0  # a longer slider could not be aimed

MEDIA_WELL = """
lanterna.module('form').then((form) => form.mediaWell(element, props, watch));
"""
BOXES = """
lanterna.module('boxes').then((boxes) => boxes.speakerBoxes(element, props, watch));
"""
PROBLEM = """
lanterna.module('form').then((form) => form.problem(element, props, watch));
"""


def _textbox(value: str, *, info: Any = "", placeholder: Any = "", **how: Any) -> gr.Textbox:
    """Says every text it shows, even none: Gradio's page reuses the box that stood at its place in the form before,
    and what is left out would keep the words of that one."""
    return gr.Textbox(value, info=info, placeholder=placeholder, **how)


def words(key: str) -> I18nData:
    """A text of assets/locales, translated in the browser."""
    return I18nData(key)


@dataclass(frozen=True, slots=True)
class Control:
    """One component of a form: the field it stands for and how its value becomes the field's, and back."""

    field: str  # "prompt", "seed.new", "options.draft.hold"
    component: Component
    to_scene: Callable[[Any], Any] = lambda value: value
    to_screen: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Form:
    """What `build_form` drew. `components` are the inputs of every event that calls `read`."""

    task_type: str
    prefix: str
    base: Scene  # what it was drawn from: fields without a control, and the ids of lines, come back from here
    controls: tuple[Control, ...]
    problem: gr.HTML  # give it the value of `explain`, or None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def components(self) -> list[Component]:
        return [control.component for control in self.controls]

    @property
    def engine(self) -> Component:
        """Its choice decides which options are drawn: draw the form again when it changes."""
        return next(control.component for control in self.controls if control.field == "engine")

    def read(self, *values: Any) -> dict[str, Any]:
        """The scene that these values of `components` say. It is checked by the service, not here."""
        scene = dict(self.base) | {"task_type": self.task_type}
        options = {engine: dict(knobs) for engine, knobs in (scene.get("options") or {}).items()}
        new_seed, cut = False, None
        for control, value in zip(self.controls, values, strict=True):
            said = control.to_scene(value)
            if control.field == "seed.new":
                new_seed = bool(said)
            elif control.field == "prompt.cut":
                cut = said
            elif control.field == "lines":
                scene["lines"] = lines.read(said or "", self.base.get("lines") or [])
            elif control.field.startswith("options."):
                _, engine, name = control.field.split(".", 2)
                knobs = options.setdefault(engine, {})
                knobs.pop(name, None)
                if said != self.defaults.get(control.field):
                    knobs[name] = said
            else:
                scene[control.field] = said
        if new_seed:
            scene["seed"] = None
        if cut and scene["prompt"]:
            scene["prompt"] = f"{cut} {scene['prompt']}"
        scene["options"] = {engine: knobs for engine, knobs in options.items() if knobs}
        return scene

    def read_shown(self, *values: Any) -> dict[str, Any]:
        """The same without what was written for another task and cannot be seen in this form."""
        hidden = POINTLESS.get(self.task_type, frozenset())
        return {name: value for name, value in self.read(*values).items() if name not in hidden}

    def show(self, scene: Scene) -> list[Any]:
        """The values of `components` that say this scene."""
        said = dict(scene)
        if any(control.field == "prompt.cut" for control in self.controls):
            said["prompt.cut"], said["prompt"] = split_cut(str(scene.get("prompt") or ""))
        return [control.to_screen(value_of(control.field, said, self.defaults)) for control in self.controls]

    def explain(self, error: StudioError, studio: Studio, language: str) -> dict[str, Any]:
        """What `problem` shows: message, cure, and the control they belong to."""
        name = str(error.params.get("field") or "")
        names = {control.field for control in self.controls}
        base = name.split(".")[0]
        owner = name if name in names else base if base in names else ""
        # beside its field, the reason alone is enough
        said = studio.words.error(error.params["why"] if owner and "why" in error.params else error, language)
        message = said["message"][:1].upper() + said["message"][1:]
        return {"message": message, "hint": said["hint"], "field": owner, "prefix": self.prefix}


def build_form(studio: Studio, task_type: str, values: Scene | None = None, elem_prefix: str = "form") -> Form:
    """Draw the form of a task, filled with `values` (the fields of a scene; what is missing takes its default).

    Call it inside gr.Blocks or gr.render. The element of a field has the id `<elem_prefix>-<field>`.
    """
    schema = studio.scenes.schema(task_type)
    fields: dict[str, Schema] = schema["properties"]
    scene: dict[str, Any] = {name: spec["default"] for name, spec in fields.items() if "default" in spec}
    scene |= {"lines": [], "options": {}} | dict(values or {})
    engine = engine_for(studio, task_type, scene)
    drawn = _Drawing(studio, task_type, elem_prefix, scene, fields, engine)
    with gr.Column(elem_classes="l-form", min_width=0):
        problem = gr.HTML(
            None, html_template='<div class="l-problem" role="alert" hidden></div>', js_on_load=PROBLEM,
            apply_default_css=False, elem_id=f"{elem_prefix}-problem",
        )  # fmt: skip
        drawn.everything()
    return Form(task_type, elem_prefix, scene, tuple(drawn.controls), problem, drawn.defaults)


# ------------------------------------------------------------------------------------------------ drawing
class _Drawing:
    """Draws the controls of one form, in the order in which somebody fills it in."""

    def __init__(
        self,
        studio: Studio,
        task_type: str,
        prefix: str,
        scene: Scene,
        fields: Mapping[str, Schema],
        engine: Mapping[str, Any] | None,
    ) -> None:
        self.studio, self.task_type, self.prefix, self.scene, self.engine = studio, task_type, prefix, scene, engine
        hidden = POINTLESS.get(task_type, frozenset()) | {"task_type", "options"}
        self.fields = {  # what only the cut reads is set on the timeline
            name: spec for name, spec in fields.items() if name not in hidden and spec.get("group") != "cut"
        }
        self.controls: list[Control] = []
        self.defaults: dict[str, Any] = {}

    def everything(self) -> None:
        more = [name for name in FAMILIAR if name in self.fields]
        more += [name for name, spec in self.fields.items() if spec.get("group") == "more" and name not in more]
        paired = {name for pair in PAIRS for name in pair}
        known = {*FIRST, *paired, *LAST, *more}
        people = PEOPLE if self.task_type == "talking_avatar" else ()
        for name in [*FIRST, *(name for name in self.fields if name not in {*known, *PEOPLE})]:
            if name not in people:
                self._field(name)
        if people:
            self._people()
        for pair in PAIRS:
            if any(name in self.fields for name in pair):
                with gr.Row(elem_classes="l-pair"):
                    for name in pair:
                        self._field(name)
        for name in LAST:
            self._field(name)
        self._options()
        with gr.Accordion(words("form.more"), open=False, elem_id=f"{self.prefix}-more", elem_classes="l-fold"):
            for name in more:
                self._field(name)

    def _people(self) -> None:
        """Open where any of it is said: most avatars are one portrait that speaks."""
        said = any(self.scene.get(name) for name in PEOPLE if name != "audio_order")
        with gr.Accordion(words("form.people"), open=said, elem_id=f"{self.prefix}-people", elem_classes="l-fold"):
            for name in PEOPLE:
                self._field(name)

    def _boxes(self, spec: Schema) -> None:
        """Drawn on the portrait that stands in its well."""
        self._add("speaker_boxes", gr.HTML(
            list(self.scene.get("speaker_boxes") or []), html_template='<div class="l-boxes"></div>',
            js_on_load=BOXES, apply_default_css=False, elem_id=f"{self.prefix}-speaker_boxes", prefix=self.prefix,
        ), lambda boxes: list(boxes or []), lambda boxes: list(boxes or []))  # fmt: skip

    def _field(self, name: str) -> None:
        if name not in self.fields:
            return
        special = {
            "prompt": self._prompt,
            "lines": self._lines,
            "seed": self._seed,
            "engine": self._engine,
            "aspect": self._aspect,
            "speaker_boxes": self._boxes,
        }
        special.get(name, lambda spec: self._add(name, *self._control(name, name, spec)))(self.fields[name])

    def _add(
        self,
        field_name: str,
        component: Component,
        to_scene: Callable[[Any], Any] = lambda value: value,
        to_screen: Callable[[Any], Any] = lambda value: value,
    ) -> Component:
        self.controls.append(Control(field_name, component, to_scene, to_screen))
        return component

    # -- the fields with a control of their own
    def _prompt(self, spec: Schema) -> None:
        """What a new shot begins with is chosen, not typed: its prompt must open with one of CUT_PREFIXES."""
        prompt = str(self.scene.get("prompt") or "")
        if self.task_type == "shot_switching_extension":
            choices = [(words(f"form.cut.{prefix.strip('[]')}"), prefix) for prefix in CUT_PREFIXES]
            box = gr.Dropdown(
                choices, value=split_cut(prompt)[0] or CUT_PREFIXES[0], label=words("form.cut"),
                interactive=True, filterable=False, elem_id=f"{self.prefix}-prompt-cut",
            )  # fmt: skip
            self._add("prompt.cut", box)
        written = split_cut(prompt)[1] if self.task_type == "shot_switching_extension" else prompt
        text = _textbox(
            written, label=words("form.prompt"),
            placeholder=words(f"form.sample.{self.task_type}"), lines=5, max_lines=12, interactive=True,
            elem_id=f"{self.prefix}-prompt", elem_classes="l-prompt",
        )  # fmt: skip
        self._add("prompt", text, lambda said: said or "")

    def _lines(self, spec: Schema) -> None:
        said = lines.write(self.scene.get("lines") or [])
        fold = self.task_type not in SPOKEN
        with gr.Accordion(words("form.lines"), open=bool(said), elem_classes="l-fold") if fold else nullcontext():
            box = _textbox(
                said, label=words("form.lines"), show_label=not fold, info=words("form.lines.info"),
                placeholder=words("form.lines.sample"), lines=3, max_lines=12, interactive=True,
                elem_id=f"{self.prefix}-lines", elem_classes="l-lines",
            )  # fmt: skip
        self._add("lines", box, to_screen=lambda value: lines.write(value or []))

    def _seed(self, spec: Schema) -> None:
        """Text, not a number: a seed may be larger than what a browser's number can hold."""
        seed = self.scene.get("seed")
        with gr.Column(min_width=0, elem_classes="l-seed"):
            number = _textbox(
                "" if seed is None else str(seed), label=words("form.seed"), placeholder="–",
                max_lines=1, interactive=True, elem_id=f"{self.prefix}-seed", elem_classes="l-digits",
            )  # fmt: skip
            new = gr.Checkbox(
                seed is None, label=words("form.seed.new"), container=False, interactive=True,
                elem_id=f"{self.prefix}-seed-new",
            )  # fmt: skip
        number.input(None, None, new, js="() => false")
        self._add("seed", number, as_whole, lambda value: "" if value is None else str(value))
        self._add("seed.new", new)

    def _aspect(self, spec: Schema) -> None:
        """The real size in pixels stands beside each shape; it follows the resolution."""
        resolution = next(c.component for c in self.controls if c.field == "resolution")
        box = gr.Dropdown(
            shapes(self.scene["resolution"]), value=self.scene["aspect"], label=words("form.aspect"),
            interactive=True, filterable=False, elem_id=f"{self.prefix}-aspect",
        )  # fmt: skip
        resolution.change(
            lambda chosen: gr.Dropdown(choices=shapes(chosen)), resolution, box,
            queue=False, show_progress="hidden", api_visibility="private",
        )  # fmt: skip
        self._add("aspect", box)

    def _engine(self, spec: Schema) -> None:
        chosen = self.scene.get("engine") or "auto"
        choices = engine_choices(self.studio, self.task_type, self.scene)
        self._add("engine", gr.Dropdown(
            choices, value=chosen, label=words("form.engine"), interactive=True, filterable=False,
            elem_id=f"{self.prefix}-engine",
        ))  # fmt: skip

    def _options(self) -> None:
        """The knobs of the engine that will make it, from its own schema; those of a portrait are set by clicks on it,
        elsewhere."""
        schema: Mapping[str, Schema] = self.engine["options"].get("properties", {}) if self.engine else {}
        knobs = {name: spec for name, spec in schema.items() if spec.get("group") != "portrait"}
        if not knobs or not self.engine:
            return
        with gr.Accordion(
            f"{words('form.options')} · {engine_title(self.studio, self.engine['id'])}", open=False,
            elem_id=f"{self.prefix}-options", elem_classes="l-fold",
        ):  # fmt: skip
            for name, spec in knobs.items():
                path = f"options.{self.engine['id']}.{name}"
                self.defaults[path] = spec.get("default")
                self._add(path, *self._control(path, name, spec))

    # -- any field, by what its schema says
    def _control(
        self, path: str, name: str, spec: Schema
    ) -> tuple[Component, Callable[[Any], Any], Callable[[Any], Any]]:
        value = value_of(path, self.scene, self.defaults)
        kind = typed(spec)
        common: dict[str, Any] = {
            "label": self._label(path, name, spec),
            "interactive": True,
            "elem_id": f"{self.prefix}-{path.replace('.', '-')}",
        }
        match kind:
            case {"ref": str() as media}:
                return self._well(path, media, kind, value)
            case {"enum": list() as choices}:
                shown = [(self._choice(name, choice), choice) for choice in choices]
                if len(choices) <= 3 and name == "resolution":
                    return gr.Radio(shown, value=value, elem_classes="l-segments", **common), same, same
                return gr.Dropdown(shown, value=value, filterable=False, **common), same, same
            case {"type": "boolean"}:
                return gr.Checkbox(bool(value), container=False, **common), bool, bool
            case {"type": "integer" | "number"} if name == "duration" and value is not None:
                low, high = self._seconds()
                return gr.Slider(min(low, value), max(high, value), value, step=0.1, **common), float, same
            case {"type": "integer" | "number" as number}:
                whole = number == "integer"
                if "minimum" in kind and "maximum" in kind and not kind.get("nullable"):
                    step = 1 if whole else 0.01
                    return gr.Slider(kind["minimum"], kind["maximum"], value, step=step, **common), same, same
                if kind.get("nullable"):  # a number box would show "nothing" as 0
                    empty = words("form.duration.auto") if name == "duration" else None
                    box = _textbox(
                        "" if value is None else f"{value:g}", placeholder=empty or "", max_lines=1, **common
                    )
                    return box, as_number, lambda said: "" if said is None else f"{said:g}"
                return gr.Number(value, precision=0 if whole else None, **common), same, same
            case {"type": "array"}:
                box = _textbox(rows(value), lines=2, **common)
                return box, lambda text: [row for row in (text or "").splitlines() if row], rows
            case _:
                tall = name == "negative_prompt"
                box = _textbox(value or "", lines=2 if tall else 1, max_lines=8 if tall else 1, **common)
                return box, lambda text: text or "", lambda text: text or ""

    def _well(
        self, path: str, media: str, kind: Schema, value: Any
    ) -> tuple[Component, Callable[[Any], Any], Callable[[Any], Any]]:
        """A place to drop files into: it sends them to the library and holds their references."""
        several = kind.get("type") == "array"
        most = int(kind.get("maxItems", 1)) if several else 1

        def to_screen(refs: Any) -> list[str]:
            return list(refs or []) if several else [refs] if refs else []

        well = gr.HTML(
            to_screen(value), html_template='<div class="l-well"></div>', js_on_load=MEDIA_WELL,
            apply_default_css=False, label=words(f"form.{path}"), show_label=False, elem_id=f"{self.prefix}-{path}",
            media=media, most=most, name=path, optional=bool(kind.get("nullable")),
        )  # fmt: skip
        return well, (lambda refs: list(refs or [])) if several else (lambda refs: (refs or [None])[0]), to_screen

    def _label(self, path: str, name: str, spec: Schema) -> Any:
        key = f"form.{name}" if not path.startswith("options.") else f"form.option.{path.removeprefix('options.')}"
        return words(key) if key in self.studio.words.dictionary("en") else spec.get("title") or name

    def _choice(self, name: str, choice: Any) -> str:
        key = f"form.{name}.{choice}"
        return str(words(key)) if key in self.studio.words.dictionary("en") else str(choice)

    def _seconds(self) -> tuple[float, float]:
        limits = self.engine["limits"].get("seconds", {}) if self.engine else {}
        low, high = limits.get(self.task_type) or (1.0, SLIDER_SECONDS)
        return float(low), min(float(high), SLIDER_SECONDS)
