"""The words of every language, from assets/locales. The one place where a code becomes a sentence."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.pipelines.catalogue import CATALOGUE

LANGUAGES = ("en", "pt", "zh")


class Words:
    def __init__(self, folder: Path, default: str = "en") -> None:
        """`folder` holds <language>.json; `default` answers where the reader's language is not known."""
        self._folder = folder
        self.default = default if default in LANGUAGES else "en"

    @cached_property
    def _texts(self) -> dict[str, dict[str, str]]:
        titles = {f"engine.title.{engine_id}": one.title for engine_id, one in CATALOGUE.items()}
        return {lang: titles | json.loads((self._folder / f"{lang}.json").read_text("utf-8")) for lang in LANGUAGES}

    def dictionary(self, lang: str) -> dict[str, str]:
        """Everything in one language, with the titles of models, which are the same in all."""
        return self._texts[lang if lang in LANGUAGES else self.default]

    def text(self, key: str, lang: str = "", **params: Any) -> str:
        """One sentence; `{name}` is filled from `params`. The key itself when nobody has written it yet."""
        return self.dictionary(lang).get(key, key).format_map(_Params(params))

    def error(self, error: StudioError | Mapping[str, Any], lang: str = "") -> dict[str, Any]:
        """{code, params, message, hint} of an error or of its dict form."""
        facts = error.as_dict() if isinstance(error, StudioError) else dict(error)
        key = f"error.{facts['code']}"
        params = dict(facts.get("params", {}))
        if "why" in params:  # an error that explains another: `{reason}` is the other one's message
            params["reason"] = self.error(params["why"], lang)["message"].rstrip(".。")
        if facts["code"].startswith("input."):  # what a person chose in a form, by the name it has there
            said = params | {"field": self.field(str(params.get("field", "")), lang)}
        else:
            said = params
        hint = self.text(f"{key}.hint", lang, **said)
        return {
            "code": facts["code"],
            "params": {name: _plain(value) for name, value in params.items()},
            "message": _clean(self.text(key, lang, **said)),
            "hint": "" if hint == f"{key}.hint" else _clean(hint),
        }

    def field(self, field: str, lang: str = "") -> str:
        """What a field is called on screen: `References 2` for `ref_imgs.1`; itself where no form shows it."""
        name, _, at = field.partition(".")
        label = self.dictionary(lang).get(f"form.{name}", "")
        if not label:
            return field
        return f"{label} {int(at) + 1}" if at.isdecimal() else label

    def pick(self, accept_language: str) -> str:
        """The first of the browser's languages that we speak."""
        for part in accept_language.split(","):
            name = part.split(";")[0].strip().lower()[:2]
            if name in LANGUAGES:
                return name
        return self.default


class _Params(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "…"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    return value if value is None or isinstance(value, (int, float, bool, list, dict)) else _clean(str(value))


def _clean(text: str) -> str:
    """Without halves of emoji, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()
