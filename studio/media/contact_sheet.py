"""One picture of many: posters in rows, each over its number, words and marks. Knows pictures and text, no scenes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.fonts import Type, type_of

COLUMNS, GAP, MARGIN, HEAD = 5, 20, 40, 84  # pixels but for the first
CELL = (352, 198)  # of a poster, in pixels
WORDS = 62  # pixels under a poster: number and title, facts, note
INK, PANEL, TEXT, QUIET, LAMP = (13, 15, 18), (26, 30, 35), (236, 233, 226), (127, 132, 139), (232, 168, 85)


def draw_sheet(
    title: str, facts: str, cells: Sequence[Mapping[str, Any]], out: Path, step: Callable[[int, int], None]
) -> tuple[int, int]:
    """A PNG of cells {poster: path or null, number, title, facts, note}; its (width, height) in pixels."""
    columns = min(COLUMNS, max(1, len(cells)))
    rows = -(-len(cells) // columns)
    size = (
        2 * MARGIN + columns * CELL[0] + (columns - 1) * GAP,
        HEAD + MARGIN + rows * (CELL[1] + WORDS + GAP),
    )
    sheet = Image.new("RGB", size, INK)
    pen = ImageDraw.Draw(sheet)
    type_of("story", 34).draw(pen, MARGIN, 24, _fitting(type_of("story", 34), title, size[0] * 0.6), TEXT)
    quiet = type_of("mono", 15)
    quiet.draw(pen, size[0] - MARGIN - quiet.length(facts), 40, facts, QUIET)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        at = (MARGIN + column * (CELL[0] + GAP), HEAD + row * (CELL[1] + WORDS + GAP))
        _draw_cell(sheet, pen, at, cell)
        step(index + 1, len(cells))
    part = out.with_name(out.name + ".part")
    with whole_or_gone(part):
        sheet.save(part, "PNG", compress_level=4)
        fsync_file(part)
        replace(part, out)
    return size


def _draw_cell(sheet: Image.Image, pen: ImageDraw.ImageDraw, at: tuple[int, int], cell: Mapping[str, Any]) -> None:
    x, y = at
    pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), fill=PANEL)
    if cell["poster"]:
        with Image.open(cell["poster"]) as poster:
            small = ImageOps.contain(poster.convert("RGB"), CELL, Image.Resampling.LANCZOS)
        sheet.paste(small, (x + (CELL[0] - small.width) // 2, y + (CELL[1] - small.height) // 2))
    words, mono = type_of("label", 15), type_of("mono", 13)
    below = y + CELL[1]
    end = mono.draw(pen, x, below + 9, f"{cell['number']:02}", QUIET)
    words.draw(pen, end + 9, below + 8, _fitting(words, cell["title"], x + CELL[0] - end - 9), TEXT)
    mono.draw(pen, x, below + 30, _fitting(mono, cell["facts"], CELL[0]), QUIET)
    if cell["note"]:
        mono.draw(pen, x, below + 48, _fitting(mono, cell["note"], CELL[0]), LAMP)


def _fitting(face: Type, text: str, width: float) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    text = " ".join(text.split())
    if face.length(text) <= width:
        return text
    while text and face.length(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
