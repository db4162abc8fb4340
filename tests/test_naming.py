"""Names of takes: what a template may say, and that no name leaves its folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import Refused
from studio.naming import DEFAULT_TAKE, MOST_BYTES, TAKE_FIELDS, check_take_name, fill, safe
from studio.settings import Settings

VALUES = {
    "project": "lighthouse", "queue": "pilot", "code": "EP001", "scene": "03", "label": "the-lamp", "take": 2,
    "seed": 1004, "engine": "draft", "date": "2026-11-20",
}  # fmt: skip


def test_the_default_gives_the_names_of_always():
    check_take_name(DEFAULT_TAKE)
    assert fill(DEFAULT_TAKE, VALUES) == "03-the-lamp_t2_1004"
    check_take_name("{project} {code} {scene} {take}")
    assert fill("{code}.{scene} {date}_{take}", VALUES) == "EP001.03 2026-11-20_2"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{scene}_{take}_{colour}", "colour"),
        ("{scene.__class__}_{take}", "brace"),
        ("{scene}_{take", "brace"),
        ("/tmp/{scene}_{take}", "folder"),
        ("{queue}/{scene}_{take}", "folder"),
        ("..{scene}_{take}", "dot"),
        (".{scene}{take}", "dot"),
        ("{scene}:{take}", "':'"),
        ("{scene}\n{take}", "file name"),
        ("{scene}_{label}", "two takes"),
        ("{queue}_{take}", "two scenes"),
        ("{project}{queue}{label}{label}{scene}{take}", "bytes"),
        ("", "two takes"),
    ],
)
def test_a_template_that_cannot_be_is_refused_when_it_is_set(template, why, tmp_path):
    with pytest.raises(ValueError, match=why):
        check_take_name(template)
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path, name_template=template)
    assert refused.value.params["setting"] == "name_template" and why in refused.value.params["reason"]


@given(st.fixed_dictionaries({name: st.text(max_size=80) for name in TAKE_FIELDS}))
def test_whatever_a_label_says_the_name_stays_one_name(values):
    name = fill("{project}{queue}{label}{scene}{take}", values)
    assert name and not set(name) & set('/\\:*?"<>|\0') and name not in (".", "..")
    assert len(name.encode()) <= MOST_BYTES


@pytest.mark.parametrize("name", ["con", "NUL", "aux.txt", "com1", "lpt¹", "prn .mp4", "CONIN$"])
def test_what_windows_keeps_for_devices_is_no_name(name):
    assert safe(name) == f"_{name}"


@pytest.mark.parametrize(("name", "becomes"), [("..", ""), ("a/../b", "a-..-b"), ("a. ", "a"), ("灯" * 90, "灯" * 66)])
def test_a_name_stays_one_name(name, becomes):
    assert safe(name) == becomes
