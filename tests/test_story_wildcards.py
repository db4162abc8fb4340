"""Wildcards: choices by seed, files in their folder, and text that only looks like one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import NotFound, Refused
from studio.story.wildcards import Wildcards


@pytest.fixture
def cards(tmp_path):
    folder = tmp_path / "wildcards"
    (folder / "sky").mkdir(parents=True)
    (folder / "weather.txt").write_text("\ufeff# what the sky does\nrain\n\nsnow {heavy|light}\n  fog  \n", "utf-8")
    (folder / "sky" / "night.txt").write_text("stars\n__weather__\n", "utf-8")
    (folder / "nothing.txt").write_text("# only words to oneself\n", "utf-8")
    (folder / "round.txt").write_text("here\n__round__\n", "utf-8")
    (tmp_path / "secret.txt").write_text("outside", "utf-8")
    return Wildcards(folder)


def every(cards, text):
    return {cards.expand(text, str(seed)) for seed in range(200)}


def test_each_choice_comes_up_and_the_seed_decides(cards):
    assert every(cards, "a {red|green|} boat") == {"a red boat", "a green boat", "a  boat"}
    assert every(cards, "{a|b{c|d}}{e|f}") == {"ae", "af", "bce", "bcf", "bde", "bdf"}
    assert every(cards, "__weather__!") == {"rain!", "snow heavy!", "snow light!", "fog!"}
    assert every(cards, "__sky/night__") == {"stars", "rain", "snow heavy", "snow light", "fog"}
    assert cards.expand("{a|b|c|d} __weather__", "7") == cards.expand("{a|b|c|d} __weather__", "7")
    assert cards.names() == ["nothing", "round", "sky/night", "weather"]


@pytest.mark.parametrize(
    "text",
    [
        "{{prev}} and {{job:3}}", '{"a": {"b": 1}}', "costs ${5} each", "{", "}", "a | b", "{a|b", "__", "____", "a__b",
        "snake_case_name", "", "{}",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_wildcard_stays(cards, text):
    assert cards.expand(text, "1") == text
    cards.check(text)


def test_escapes_stand_for_themselves(cards):
    assert cards.expand(r"\{a\|b\} \__weather__", "1") == "{a|b} __weather__"
    assert every(cards, r"{a\|b|c}") == {"a|b", "c"}
    cards.check(r"\__gone__")


@pytest.mark.parametrize(
    ("text", "error", "code"),
    [
        ("{a|__gone__}", NotFound, "wildcard.missing"),
        ("__nothing__", Refused, "wildcard.empty"),
        ("__round__", Refused, "wildcard.circle"),
    ],
)
def test_what_might_fail_is_known_before_the_run(cards, text, error, code):
    with pytest.raises(error) as raised:
        cards.check(text)
    assert raised.value.code == code


def test_a_file_that_many_lines_name_is_read_once(cards, tmp_path, monkeypatch):
    folder = tmp_path / "wildcards"
    for level in range(4):  # as packs are: each of forty lines names the next file
        lines = [f"line {n} __l{level + 1}__" for n in range(40)]
        (folder / f"l{level}.txt").write_text("\n".join(lines), "utf-8")
    (folder / "l4.txt").write_text("the end", "utf-8")
    read = []
    lines_of = Wildcards._lines
    monkeypatch.setattr(Wildcards, "_lines", lambda self, name: read.append(name) or lines_of(self, name))
    cards.check("__l0__ __l0__")
    assert sorted(read) == ["l0", "l1", "l2", "l3", "l4"]


def test_no_file_outside_the_folder_is_read(cards, tmp_path):
    (tmp_path / "wildcards" / "link.txt").symlink_to(tmp_path / "secret.txt")
    for text in ("__../secret__", "__/etc/passwd__", "__sky/../../secret__"):
        assert cards.expand(text, "1") == text  # no name at all
    with pytest.raises(NotFound):
        cards.expand("__link__", "1")


def test_a_wildcard_that_never_ends_is_stopped(cards):
    deep = "{{x|" * 20 + "b" + "}|}" * 20  # each level a choice of one thing or of itself
    said = {cards.expand("{" * 40 + "a|b" + "}" * 40, str(seed)) for seed in range(50)}
    assert said == {"{" * 39 + letter + "}" * 39 for letter in "ab"}  # braces alone are no depth
    assert cards.expand(deep, "1") == cards.expand(deep, "1")
    with pytest.raises(Refused, match=r"wildcard\.too_long"):
        cards.expand("{a|b}" + "x" * 9000 + "{c|d}" + "y" * 9000 + "{e|f}", "1")


@given(st.text(st.sampled_from('{}|\\_"a/.\n'), max_size=40), st.integers())
def test_any_text_ends_in_text_or_in_a_named_error(text, seed):
    cards = Wildcards(Path("/nowhere"))
    try:
        said = cards.expand(text, str(seed))
    except (NotFound, Refused) as error:
        assert error.code.startswith("wildcard.")
    else:
        assert cards.expand(text, str(seed)) == said


@given(st.recursive(st.text(max_size=5) | st.integers(), lambda inner: st.dictionaries(st.text(max_size=3), inner)))
def test_json_passes_untouched(value):
    text = json.dumps(value)
    if "|" not in text and "\\" not in text and "__" not in text:
        assert Wildcards(Path("/nowhere")).expand(text, "1") == text
