"""How the command line speaks: the user's language, results on stdout, everything else on stderr."""

import os
from typing import Any

from rich.console import Console

from installer import Place
from studio.errors import StudioError
from studio.service.words import LANGUAGES, Words
from studio.settings import ROOT


class Speaker:
    def __init__(self, lang: str = "auto") -> None:
        self.words = Words(ROOT / "assets" / "locales")
        self.place = Place.at(ROOT)
        self.lang = lang if lang in LANGUAGES else self._of_the_system()
        self.out = Console(highlight=False, soft_wrap=True, markup=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def _of_the_system(self) -> str:
        spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
        return self.words.pick(spoken)

    def text(self, key: str, **params: Any) -> str:
        return self.place.typed(self.words.text(key, self.lang, **params))

    def say(self, key: str, **params: Any) -> None:
        self.out.print(self.text(key, **params))

    def warn(self, key: str, **params: Any) -> None:
        self.err.print(self.text(key, **params), style="yellow")

    def error(self, error: StudioError) -> None:
        """The message, the cure, and for an episode each scene that is not right."""
        told = self.words.error(error, self.lang)
        self.err.print(told["message"], style="bold red")
        for scene in error.params.get("report", {}).get("scenes", ()):
            for problem in scene["problems"]:
                why = self.words.error({"code": problem["code"], "params": problem["params"]}, self.lang)
                name = f"{scene['number']} · {scene['label']}".rstrip(" ·")
                self.err.print(f"  {name}  {problem['field']}: {why['message']}")
        cause = error.params.get("why")
        if cause:
            self.err.print("  " + self.words.error(cause, self.lang)["message"])
        if told["hint"]:
            self.err.print(self.place.typed(told["hint"]))

    def table(self, rows: list[tuple[str, ...]]) -> None:
        """Aligned columns that never wrap: they are read by programs too."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.out.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
