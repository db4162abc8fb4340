"""Every task's form: what is shown is what is read back, and lines keep their ids through the writer's hands."""

from types import SimpleNamespace

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from studio.domain import MAX_INT, SCENE_CLASSES, SceneAdapter
from studio.errors import Refused
from studio.tabs.kit import lines
from studio.tabs.kit.engines import engine_for
from studio.tabs.kit.form import Form, build_form


class Knobs(BaseModel):
    steps: int = Field(30, ge=1, le=100)
    grain: bool = False
    look: str = ""


def engine(engine_id: str, **changes) -> dict:
    return {
        "id": engine_id, "tasks": list(SCENE_CLASSES), "draft": False, "costs_money": False, "rank": 0,
        "limits": {"seconds": {"text_to_video": (1.0, 10.0)}},
        "availability": {"state": "ready"}, "options": Knobs.model_json_schema(),
    } | changes  # fmt: skip


@pytest.fixture
def studio() -> SimpleNamespace:
    def said(error, language):
        code = error["code"] if isinstance(error, dict) else error.code
        return {"code": code, "params": {}, "message": f"{language}: {code}", "hint": "cure"}

    engines = [engine("draft", draft=True), engine("far", costs_money=True)]

    def engine_for(scene):
        asked.append(scene)
        return engines[-1]["id"] if len(engines) > 2 else "draft"

    asked: list[dict] = []
    return SimpleNamespace(
        asked=asked,
        memory=SimpleNamespace(engine_for=engine_for),
        scenes=SimpleNamespace(schema=lambda task: SCENE_CLASSES[task].model_json_schema()),
        engines=SimpleNamespace(list=lambda: engines),
        words=SimpleNamespace(dictionary=lambda language: {"form.engine.draft": "Draft"}, error=said),
    )


OPTIONS = {"draft": {"steps": 7}, "far": {"grain": True}}
SCENES = [
    {"task_type": "text_to_video", "prompt": "a ${b} `c` <img onerror>", "seed": MAX_INT, "duration": 3.3},
    {"task_type": "image_to_video", "aspect": "9:16", "input_image": "asset:1", "end_image": "scene:X#last"},
    {"task_type": "reference_to_video", "prompt": "x", "ref_imgs": ["asset:1", "asset:2", "scene:X"]},
    {"task_type": "single_shot_extension", "prompt": "x", "input_video": "scene:X"},
    {"task_type": "shot_switching_extension", "prompt": "[STATIC_CUT] x", "input_video": "asset:1"},
    {"task_type": "talking_avatar", "input_image": "asset:1", "input_audio": "asset:2", "resolution": "480P"},
    {"task_type": "talking_avatar", "input_video": "asset:1", "input_audio": "asset:2", "input_audio_2": "asset:3",
     "audio_order": "in_turn", "speaker_boxes": [[0.1, 0.2, 0.4, 0.9], [0.5, 0.1, 0.9, 1.0]]},
    {"task_type": "text_to_image", "prompt": "x", "negative_prompt": "y", "options": OPTIONS},
    {"task_type": "speech", "lines": [{"id": "L1", "character": "Inês", "text": "Olá: tudo bem?", "language": "pt"}]},
]  # fmt: skip


def drawn(studio, scene: dict) -> Form:
    with gr.Blocks():
        return build_form(studio, scene["task_type"], scene, "t")


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene["task_type"])
def test_what_is_shown_is_what_is_read_back(studio, scene):
    form = drawn(studio, scene)
    read = form.read(*form.show(form.base))
    assert SceneAdapter.validate_python(read) == SceneAdapter.validate_python(scene)


@pytest.mark.parametrize("task", SCENE_CLASSES)
def test_an_empty_form_is_small_and_reads_to_the_defaults(studio, task):
    form = drawn(studio, {"task_type": task})
    assert len(form.components) <= 22
    read = form.read(*[control.component.value for control in form.controls])
    assert read["task_type"] == task and read["seed"] is None and read["engine"] == "auto" and read["options"] == {}
    required = {name for name, info in SCENE_CLASSES[task].model_fields.items() if info.is_required()}
    shown = {control.field for control in form.controls}
    assert required <= shown, "a field that must be filled in has a control"


def test_every_control_has_its_own_id(studio):
    form = drawn(studio, SCENES[-2])
    ids = [component.elem_id for component in form.components]
    assert len(set(ids)) == len(ids) and "t-prompt" in ids and "t-options-draft-steps" in ids


def test_a_knob_that_is_set_on_the_portrait_is_drawn_by_no_form_and_stays(studio):
    from studio.pipelines.draft.engine import Draft

    studio.engines.list()[0]["options"] = Draft.Options.model_json_schema()
    face = {"draft": {"face": {"mouth": [0.5, 0.6, 0.1], "eyes": None}}}
    form = drawn(studio, {"task_type": "talking_avatar", "input_image": "asset:1", "engine": "draft", "options": face})
    assert not any(control.field.startswith("options.") for control in form.controls)
    assert form.read(*form.show(form.base))["options"] == face


def test_options_that_equal_the_default_are_not_stored(studio):
    form = drawn(studio, SCENES[-2])
    values = form.show(form.base | {"options": {"draft": {"steps": 30}}})
    assert form.read(*values)["options"] == {"far": {"grain": True}}, "other engines' options stay"


def test_a_seed_that_is_no_number_reaches_the_service_as_typed(studio):
    form = drawn(studio, SCENES[0])
    values = form.show(form.base | {"seed": "lucky"})
    assert form.read(*values)["seed"] == "lucky"
    assert form.read(*form.show(form.base | {"seed": None}))["seed"] is None


def test_auto_is_the_engine_that_a_run_would_take(studio):
    scene = {"resolution": "720P"}
    assert engine_for(studio, "speech", scene)["id"] == "draft"
    assert engine_for(studio, "speech", {**scene, "engine": "far"})["id"] == "far"
    assert studio.asked == [{**scene, "task_type": "speech"}], "what is written decides, where nobody chose"
    studio.engines.list().append(engine("wan"))
    assert engine_for(studio, "speech", {**scene, "engine": "auto"})["id"] == "wan"


def test_an_error_stands_beside_its_field(studio):
    form = drawn(studio, SCENES[2])
    said = form.explain(Refused("scene.field", field="ref_imgs.3", why={"code": "few", "params": {}}), studio, "pt")
    assert said == {"message": "Pt: few", "hint": "cure", "field": "ref_imgs", "prefix": "t"}
    assert form.explain(Refused("queue.full"), studio, "en")["field"] == ""


# ------------------------------------------------------------------------------------------------ lines
def test_a_writer_types_lines():
    text = "Inês @warm (whispering): The lamp is lit.\n\n托马斯（低声）：那就等吧。\nNobody speaks\n: noon: we wait"
    assert lines.read(text) == [
        {"character": "Inês", "voice": "warm", "direction": "whispering", "text": "The lamp is lit."},
        {"character": "托马斯", "voice": "", "direction": "低声", "text": "那就等吧。"},
        {"text": "Nobody speaks"},
        {"character": "", "voice": "", "direction": "", "text": "noon: we wait"},
    ]


def test_edited_and_moved_rows_keep_their_ids():
    before = [{"id": "1", "character": "A", "text": "Good morning to you", "language": "en"},
              {"id": "2", "character": "B", "text": "And to you"}]  # fmt: skip
    after = lines.read("B: And to you\nC: Wholly new words here\nA: Good morning to you all", before)
    assert [line.get("id") for line in after] == ["2", None, "1"]
    assert after[2]["language"] == "en"


words_ = st.text(st.characters(blacklist_categories=("Cs",)), max_size=40)
line_ = st.fixed_dictionaries(
    {"id": st.uuids().map(str), "text": words_.filter(str.strip)},
    optional={"character": words_, "voice": words_, "direction": words_},
)


@given(st.lists(line_, max_size=6, unique_by=lambda line: line["id"]))
def test_untouched_lines_come_back_exactly(before):
    assert lines.read(lines.write(before), before) == before


@pytest.mark.parametrize(("task", "hidden"), [("speech", "prompt"), ("text_to_image", "lines")])
def test_what_a_form_does_not_show_is_not_rendered(studio, task: str, hidden: str) -> None:
    told = {"prompt": "a pier", "lines": [{"id": "L1", "character": "Inês", "text": "Now."}]}  # carried from a video
    form = drawn(studio, {"task_type": task} | told)
    values = [control.component.value for control in form.controls]
    assert hidden in form.read(*values), "kept for the way back"
    assert hidden not in form.read_shown(*values) and (set(told) - {hidden}) <= set(form.read_shown(*values))
