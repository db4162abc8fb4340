"""Whose file is this? Every foreign form of an episode is one module and one line in DIALECTS.

A dialect is a module with two functions:

* `recognises(content)`: is this its own? Content is what `text.content_of` read, JSON or Markdown.
* `translate(content, beside)`: the same in our own episode form, and what is to be said about it, scene by scene.

Dialects know no disk. What is called by a rule and not by a path (`asset/character/Inês.png`) they ask of `beside`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from studio.story import cineflow, skyreels, storytovideo
from studio.story.translation import Beside, Translation

OURS = "lanterna"


class Dialect(Protocol):
    def recognises(self, content: Any) -> bool: ...
    def translate(self, content: Any, beside: Beside) -> Translation: ...


DIALECTS: Mapping[str, Dialect] = {  # asked in this order; what nobody recognises is read as ours
    "cineflow": cineflow,
    "storytovideo": storytovideo,
    "skyreels": skyreels,
}


def translated(content: Any, beside: Beside) -> tuple[str, Any, Mapping[int, list[Any]]]:
    """(dialect, content in our own form, notes by scene)."""
    for name, dialect in DIALECTS.items():
        if dialect.recognises(content):
            found = dialect.translate(content, beside)
            return name, dict(found.content), found.notes
    return OURS, content, {}
