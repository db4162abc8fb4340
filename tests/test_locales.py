"""Every sentence exists in every language, and every error that the source can raise has one."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.service import LANGUAGES
from studio.service.words import Words

ROOT = Path(__file__).parent.parent
LOCALES = ROOT / "assets" / "locales"
SOURCES = sorted([*(ROOT / "studio").rglob("*.py"), ROOT / "launch.py"])
ERRORS = {
    "StudioError", "NotFound", "Refused", "Forbidden", "TooLarge", "Conflict", "Cancelled", "Unavailable",
    "EngineError", "OutOfMemory", "MediaError", "DiskFull",
}  # fmt: skip
PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
NO_HINT = ("error.field.", "error.translated.")  # half sentences: the sentence around them has the hint

Raised = tuple[str, str, frozenset[str] | None]  # where, code, its parameters if all are known


@pytest.fixture(scope="module")
def texts() -> dict[str, dict[str, str]]:
    return {lang: json.loads((LOCALES / f"{lang}.json").read_text("utf-8")) for lang in LANGUAGES}


def raised() -> Iterator[Raised]:
    """Every code in the source: of errors, of problems, and of dicts {"code": ..., "params": {...}}."""
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                yield from _of_call(node, where)
            elif isinstance(node, ast.Dict):
                yield from _of_dict(node, where)


def _of_call(node: ast.Call, where: str) -> Iterator[Raised]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    keywords = {word.arg: word.value for word in node.keywords}
    if name in ERRORS:
        known = None if None in keywords else frozenset(str(word) for word in keywords)
        code = node.args[0] if node.args else ast.Constant("cancelled" if name == "Cancelled" else "")
        yield from ((where, text, known) for text in _texts(code))
    elif name == "Problem":
        code = node.args[1] if len(node.args) > 1 else keywords.get("code")
        params = node.args[2] if len(node.args) > 2 else keywords.get("params")
        yield from ((where, text, _keys(params)) for text in _texts(code))
    elif name == "Availability" and "reason" in keywords:
        yield from ((where, text, _keys(keywords.get("params"))) for text in _texts(keywords["reason"]))
    elif name == "_answer" and len(node.args) > 2:  # studio.api.answers
        known = frozenset(str(word) for word in keywords)
        yield from ((where, text, known) for text in _texts(node.args[2]))


def _of_dict(node: ast.Dict, where: str) -> Iterator[Raised]:
    pairs = zip(node.keys, node.values, strict=True)
    content = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
    if {"code", "params"} <= content.keys():
        yield from ((where, text, _keys(content["params"])) for text in _texts(content["code"]))


def _texts(node: ast.AST | None) -> list[str]:
    """Codes written out; of `a if b else c` both."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value else []


def _keys(node: ast.AST | None) -> frozenset[str] | None:
    if node is None:
        return frozenset()
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return frozenset(str(key.value) for key in node.keys if isinstance(key, ast.Constant))
    return None


RAISED = list(raised())


def test_the_search_finds_errors_everywhere() -> None:
    found = {code for _, code, _ in RAISED}
    assert {"queue.unknown", "job.crashed", "reference.circle", "request.invalid", "cancelled", "lock.held"} <= found
    assert len(found) > 80


def test_every_error_has_words_in_every_language(texts: dict[str, dict[str, str]]) -> None:
    missing = {
        f"{key} ({lang}) raised at {where}"
        for where, code, _ in RAISED
        for lang in LANGUAGES
        for key in (f"error.{code}", f"error.{code}.hint")
        if key not in texts[lang]
    }
    assert not missing


def test_every_error_is_given_what_its_words_ask_for(texts: dict[str, dict[str, str]]) -> None:
    wrong = set()
    for where, code, known in RAISED:
        said = texts["en"].get(f"error.{code}", "") + texts["en"].get(f"error.{code}.hint", "")
        asked = set(PLACEHOLDER.findall(said))
        given = (known or set()) | ({"reason"} if known and "why" in known else set())
        if known is not None and not asked <= given:
            wrong.add(f"{where} {code} lacks {sorted(asked - given)}")
    assert not wrong


def test_no_parameter_is_called_like_an_argument_of_words() -> None:
    assert not [raise_ for raise_ in RAISED if raise_[2] and raise_[2] & {"key", "lang", "self", "code"}]


def test_the_codes_of_pydantics_complaints_have_words(texts: dict[str, dict[str, str]]) -> None:
    from studio.story.episode import _CODES

    for code, params in _CODES.values():
        for lang in LANGUAGES:
            assert set(PLACEHOLDER.findall(texts[lang][f"error.{code}"])) <= set(params)


def test_every_language_has_the_same_keys(texts: dict[str, dict[str, str]]) -> None:
    english = set(texts["en"])
    assert {lang: set(texts[lang]) ^ english for lang in LANGUAGES} == {lang: set() for lang in LANGUAGES}


def test_every_language_fills_in_the_same(texts: dict[str, dict[str, str]]) -> None:
    def fills(lang: str, key: str) -> set[str]:
        return set(PLACEHOLDER.findall(texts[lang][key]))

    # a singular may say "one" instead of the number
    differing = {
        (key, lang): fills("en", key) ^ fills(lang, key)
        for key in texts["en"]
        for lang in LANGUAGES
        if fills("en", key) != fills(lang, key) and not key.endswith(".one")
    }
    assert not differing


def test_errors_are_said_and_have_a_cure(texts: dict[str, dict[str, str]]) -> None:
    for lang in LANGUAGES:
        for key, text in texts[lang].items():
            if key.startswith("error.") and not key.endswith(".hint"):
                assert text.strip(), key
                assert key.startswith(NO_HINT) or texts[lang][f"{key}.hint"].strip(), f"{key} has no cure in {lang}"


def test_every_sentence_can_be_filled_in(texts: dict[str, dict[str, str]]) -> None:
    words = Words(LOCALES)
    for lang in LANGUAGES:
        for key in texts[lang]:
            words.text(key, lang)  # a lone brace raises


def test_translations_are_translations(texts: dict[str, dict[str, str]]) -> None:
    for key, text in texts["en"].items():
        if key.startswith("error.") and len(text) > 20:
            assert len({texts[lang][key] for lang in LANGUAGES}) == len(LANGUAGES), key


def test_every_note_of_a_scene_has_words(texts: dict[str, dict[str, str]]) -> None:
    notes = {
        match for path in SOURCES for match in re.findall(r"[\"'](note\.[a-z_]+)[\"']", path.read_text("utf-8"))
    }  # fmt: skip
    assert {"note.disk_full", "note.resumed", "note.edited"} <= notes
    assert not {(note, lang) for note in notes for lang in LANGUAGES if note not in texts[lang]}


def test_no_error_is_written_for_nobody(texts: dict[str, dict[str, str]]) -> None:
    """A code that no line of Python or JavaScript names any more."""
    everything = "".join(path.read_text("utf-8") for path in [*SOURCES, *(ROOT / "assets" / "js").glob("*.js")])
    codes = {key.removeprefix("error.").removesuffix(".hint") for key in texts["en"] if key.startswith("error.")}
    assert not {code for code in codes if not re.search(rf"[\"'`]{re.escape(code)}[\"'`]", everything)}


def test_the_language_is_picked_from_what_the_browser_says() -> None:
    words = Words(LOCALES, "pt")
    asked = {"zh-CN,zh;q=0.9,en;q=0.8": "zh", "fr, en;q=0.5": "en", "": "pt", "fr": "pt", "PT-br": "pt", ",;": "pt"}
    assert {header: words.pick(header) for header in asked} == asked


def test_an_error_inside_an_error_is_said_in_the_same_language() -> None:
    words = Words(LOCALES)
    why = {"code": "field.at_most", "params": {"le": 5}}
    error = {"code": "scene.field", "params": {"scene": "3", "field": "seed", "why": why}}
    assert "at most 5" in words.error(error, "en")["message"] and "5" in words.error(error, "zh")["message"]
    unknown = words.error({"code": "no.such", "params": {}}, "en")
    assert unknown["message"] == "error.no.such" and unknown["hint"] == ""


def test_a_field_of_a_complaint_is_called_as_the_form_calls_it() -> None:
    words = Words(LOCALES, "en")
    said = words.error({"code": "input.changed", "params": {"name": "a.png", "field": "ref_imgs.1"}}, "pt")
    assert "Referências 2" in said["message"]
    assert said["params"]["field"] == "ref_imgs.1"
    assert words.field("segments.3", "zh") == "segments.3"
