"""Lines as a writer types them: one row per line, `Inês @warm (whispering): The lamp is lit.` Knows no screen.

Name, voice and direction may be left out; `: text` says that nobody in particular speaks. A row that was not touched
gives back its line exactly as it was, so whatever this notation cannot express survives; an edited row keeps the id of
the line it resembles, so the line keeps its takes.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

Line = Mapping[str, Any]  # the fields of domain.Line

HEAD = re.compile(
    r"""^(?P<character>[^:：@()（）.!?。！？]{0,40}?)\s*
        (?:@(?P<voice>[^:：()（）]{1,120}?)\s*)?
        (?:[(（](?P<direction>[^)）]{0,300})[)）]\s*)?
        [:：]\s*(?P<text>.*)$""",
    re.VERBOSE,
)
ALIKE = 0.5  # of 1: from here on two rows are one line that was edited


def write(lines: Sequence[Line]) -> str:
    """The text of these lines, a row each."""
    return "\n".join(_row(line) for line in lines)


def read(text: str, before: Sequence[Line] = ()) -> list[dict[str, Any]]:
    """The lines in this text; `before` are the ones it was written from. A row "Inês:" gives a line without text."""
    rows = [_plain(row) for row in text.splitlines() if row.strip()]
    left = list(before)
    found: list[dict[str, Any] | None] = []
    for row in rows:
        same = next((line for line in left if _row(line) == row), None)
        if same is not None:
            left.remove(same)
        found.append(dict(same) if same is not None else None)
    return [kept or _edited(row, left) for row, kept in zip(rows, found, strict=True)]


def _row(line: Line) -> str:
    text, voice, direction = line.get("text") or "", line.get("voice"), line.get("direction")
    head = str(line.get("character") or "")
    head += f" @{voice}" if voice else ""
    head += f" ({direction})" if direction else ""
    if head.strip():
        return _plain(f"{head}: {text}")
    return _plain(f": {text}" if HEAD.match(_plain(text)) else text)


def _plain(row: str) -> str:
    return " ".join(row.split())


def _edited(row: str, left: list[Line]) -> dict[str, Any]:
    """The line a row says, with the id and language of the most similar of `left`, which is then used up."""
    match = HEAD.match(row)
    parts = {name: (part or "").strip() for name, part in match.groupdict().items()} if match else {"text": row}
    likeness = [SequenceMatcher(None, _row(line), row).ratio() for line in left]
    if not likeness or max(likeness) < ALIKE:
        return parts
    origin = left.pop(likeness.index(max(likeness)))
    return {name: origin[name] for name in ("id", "language") if origin.get(name)} | parts
