"""The bundled faces, text that mixes Latin and Chinese, and where it breaks into lines.

Every letter is drawn by the first face that has it. Pillow reads woff2 directly.
"""

import re
from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from studio.errors import EngineError

FONTS = Path(__file__).parents[2] / "assets" / "fonts"
LATIN = "aZ9ãçéõâíúÁÇ.,—…“”’"
HAN = "场景夜晚的城市，。"

_CHINESE = ("noto-sans-sc-gb2312-400-normal.woff2", 0, HAN)
# role -> (file, weight of a variable face or 0, letters it must have), first choice first
ROLES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "label": (
        ("inter-latin-wght-normal.woff2", 600, LATIN),
        ("inter-latin-ext-wght-normal.woff2", 600, "ăĐš"),
        _CHINESE,
    ),
    "mono": (("geist-mono-latin-wght-normal.woff2", 400, "AZ09·.ãç"), _CHINESE),
    "story": (
        ("instrument-serif-latin-400-normal.woff2", 0, LATIN),
        ("instrument-serif-latin-ext-400-normal.woff2", 0, "ăĐš"),
        ("inter-latin-wght-normal.woff2", 400, LATIN),  # for arrows and currency that the serif lacks
        _CHINESE,
    ),
}
CLOSING = re.compile(r"[，。！？；：、”）」』,.!?;:)]")  # what may not begin a line
_MISSING = "\uffff"  # no face has it: what it draws is the face's empty box


class Face:
    """One file at one size."""

    def __init__(self, name: str, weight: int, letters: str, size: float) -> None:
        try:
            self.font = ImageFont.truetype(str(FONTS / name), size)
        except OSError as failure:
            raise EngineError("draft.font", name=name, reason=str(failure)) from failure
        if weight:
            self.font.set_variation_by_axes([weight])
        self._box = self._drawn(_MISSING)
        self._known: dict[str, bool] = {}
        if lacking := [letter for letter in letters if not self.has(letter)]:
            raise EngineError("draft.font", name=name, reason="".join(lacking))

    def has(self, letter: str) -> bool:
        if letter not in self._known:
            self._known[letter] = letter.isspace() or self._drawn(letter) != self._box
        return self._known[letter]

    def _drawn(self, letter: str) -> tuple[tuple[int, int], bytes]:
        mask = self.font.getmask(letter)
        return mask.size, bytes(mask)


class Type:
    """A role at a size: measures and draws. Letters that no face has (emoji) are left out."""

    def __init__(self, role: str, size: int) -> None:
        self.size = size
        self._faces = [Face(*row, size) for row in ROLES[role]]
        self.ascent = self._faces[0].font.getmetrics()[0]

    def length(self, text: str, tracking: float = 0.0) -> float:
        runs = self._runs(text)
        return sum(face.font.getlength(run) for run, face in runs) + tracking * sum(len(run) for run, _ in runs)

    def draw(
        self, on: ImageDraw.ImageDraw, x: float, y: float, text: str, fill: tuple[int, ...], tracking: float = 0.0
    ) -> float:
        """Draws with the top of the line at y; returns where the text ends."""
        for run, face in self._runs(text):
            for piece in run if tracking else (run,):
                on.text((x, y + self.ascent), piece, font=face.font, fill=fill, anchor="ls")
                x += face.font.getlength(piece) + tracking
        return x

    def drawable(self, text: str) -> str:
        """The text without what cannot be drawn."""
        return "".join(run for run, _ in self._runs(text))

    def _runs(self, text: str) -> list[tuple[str, Face]]:
        runs: list[tuple[str, Face]] = []
        for letter in text:
            face = next((face for face in self._faces if face.has(letter)), None)
            if face is None:
                continue
            if runs and runs[-1][1] is face:
                runs[-1] = (runs[-1][0] + letter, face)
            else:
                runs.append((letter, face))
        return runs


@cache
def type_of(role: str, size: int) -> Type:
    """size: pixels. Raises EngineError when a bundled face is missing or lacks its letters."""
    return Type(role, size)


def wrapped(text: str, type_: Type, width: float) -> list[str]:
    """Lines no wider than `width`, broken at spaces and between Chinese characters; inside a word only if it must."""
    tokens = re.findall(r"[\u2e80-\u9fff\uff00-\uffef]|[^\s\u2e80-\u9fff\uff00-\uffef]+\s*|\s+", text)
    lines, line = [], ""
    for token in tokens:
        if line and type_.length(line + token.rstrip()) > width and not CLOSING.fullmatch(token):
            lines.append(line.rstrip())
            line = ""
        line = line + token if line else token.lstrip()
        while type_.length(line.rstrip()) > width and not re.search(r"\s\S|[\u2e80-\uffef]", line):  # one endless word
            cut = max(1, int(len(line) * width / type_.length(line)) - 1)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()] if line.strip() else lines
