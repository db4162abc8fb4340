"""Wildcards in a prompt: `{dawn|dusk}` chooses one, `__weather__` a line of weather.txt; the seed decides which.

Choices may be nested, in each other and in the files. `\\{`, `\\}`, `\\|` and `\\__` stand for themselves. Braces
without a `|` stay as they are, so JSON and `{{prev}}` pass untouched. Knows no scene, no database and no engine.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from studio.errors import NotFound, Refused

DEEPEST = 12  # wildcards within wildcards
MOST_CHARACTERS = 10_000  # of what comes out, as of any prompt
MOST_BYTES = 2_000_000  # of a file
_NAME = r"__([A-Za-z0-9](?:[A-Za-z0-9\-/]|_(?!_))*)__"
_TOKEN = re.compile(rf"\\(?:[{{}}|]|__)|{_NAME}|[{{}}|]")
_FILE = re.compile(_NAME)


class Wildcards:
    def __init__(self, folder: Path) -> None:
        """`folder` holds <name>.txt, one choice per line; a line that begins with # is a comment."""
        self._folder = folder

    def names(self) -> list[str]:
        """What may be written between `__` and `__`."""
        found = [path.relative_to(self._folder).with_suffix("").as_posix() for path in self._folder.rglob("*.txt")]
        return sorted(name for name in found if _FILE.fullmatch(f"__{name}__"))

    def expand(self, text: str, seed: str) -> str:
        """The text with every choice made; the same for the same seed and files. Raises NotFound("wildcard.missing"),
        Refused("wildcard.empty"), ("wildcard.circle"), ("wildcard.too_long")."""
        return self._expanded(text, Random(seed), 0) if _TOKEN.search(text) else text

    def check(self, text: str) -> None:
        """Raises what `expand` might, whichever way the choices fall."""
        heights: dict[str, int] = {}
        for name in _files_in(text):
            self._check_file(name, (), heights)

    def _check_file(self, name: str, above: tuple[str, ...], heights: dict[str, int]) -> int:
        """How many files lie under it, itself included. `heights`: of those that were read; each is read once, for in a
        pack hundreds of lines name the same file."""
        if name in above or len(above) >= DEEPEST:
            raise Refused("wildcard.circle", name=name)
        if name not in heights:
            inner = {found for line in self._lines(name) for found in _files_in(line)}
            below = [self._check_file(one, (*above, name), heights) for one in sorted(inner)]
            heights[name] = 1 + max(below, default=0)
        if len(above) + heights[name] > DEEPEST:
            raise Refused("wildcard.circle", name=name)
        return heights[name]

    def _lines(self, name: str) -> list[str]:
        path = self._folder / f"{name}.txt"
        inside = path.resolve().is_relative_to(self._folder.resolve())  # a link may lead out
        if not inside or not path.is_file():
            raise NotFound("wildcard.missing", name=name, folder=str(self._folder))
        if path.stat().st_size > MOST_BYTES:
            raise Refused("wildcard.too_long", name=name, most=MOST_BYTES)
        lines = (line.strip() for line in path.read_text("utf-8-sig", errors="replace").splitlines())
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise Refused("wildcard.empty", name=name)
        return found

    # ------------------------------------------------------------------------------------------ choosing
    def _expanded(self, text: str, dice: Random, depth: int) -> str:
        if depth > DEEPEST:
            raise Refused("wildcard.circle", name=text[:40])
        out, at = "", 0
        groups = _groups(text)
        for found in _TOKEN.finditer(text):
            if found.start() < at:  # inside the group that was just chosen from
                continue
            out += text[at : found.start()]
            at = found.end()
            token = found[0]
            if token.startswith("\\"):
                out += token[1:]
            elif found[1]:
                out += self._expanded(dice.choice(self._lines(found[1])), dice, depth + 1)
            elif group := groups.get(found.start()):
                choices, at = group
                out += self._expanded(dice.choice(choices), dice, depth + 1)
            else:
                out += token
            if len(out) > MOST_CHARACTERS:
                raise Refused("wildcard.too_long", name=text[:40], most=MOST_CHARACTERS)
        return out + text[at:]


def _groups(text: str) -> dict[int, tuple[list[str], int]]:
    """By where a group opens: its choices, and where it ends. One that nothing closes is none, nor is one without a
    choice. One walk for all of them: a prompt may be ten thousand braces."""
    found: dict[int, tuple[list[str], int]] = {}
    opened: list[list[int]] = []  # of each open brace: where it stands, then its bars
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{":
                opened.append([token.start()])
            case "|" if opened:
                opened[-1].append(token.start())
            case "}" if opened:
                start, *bars = opened.pop()
                if bars:
                    cuts = [start, *bars, token.start()]
                    found[start] = ([text[a + 1 : b] for a, b in zip(cuts, cuts[1:], strict=False)], token.end())
    return found


def _files_in(text: str) -> Iterator[str]:
    return (found[1] for found in _TOKEN.finditer(text) if found[1])
