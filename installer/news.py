"""What an update would bring: from which version to which, what is new, how much room it takes. Knows no way of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LINES = 40  # of what is new


@dataclass(frozen=True)
class News:
    old: str  # as a person names it: "0.1.0 (0a1b2c3)"
    new: str
    changes: str  # what is new, in the words of CHANGELOG.md
    code_bytes: int  # of the new program, unpacked
    requirements: Mapping[str, bytes]  # name of the file -> its content
    facts: Mapping[str, Any] = field(default_factory=dict)  # what applying and undoing it need


def changes(old: str, new: str) -> str:
    """The lines of a changelog that the older one has not, under the headings they stand under."""
    known, found, heading = set(old.splitlines()), [], ""
    for line in new.splitlines():
        if line.startswith("#") or (line and not line.startswith(("-", " ", "*"))):
            heading = line
        elif line.strip() and line not in known:
            if heading and heading not in found and not heading.startswith("# "):
                found.append(heading)
            found.append(line)
    rest = len(found) - MOST_LINES
    return "\n".join(found[:MOST_LINES] + ([f"… and {rest} lines more in CHANGELOG.md"] if rest > 0 else []))
