"""The text of an episode file as plain content: JSON, JSON inside Markdown, or Markdown's own headings and fields.

Knows no dialect: what the content means is for `dialects` to say. Knows no store and no disk.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from studio.errors import Refused, TooLarge

MAX_BYTES = 20_000_000
MAX_DEPTH = 40  # of nested lists and objects; our own files need six
MARKS = ("task_type", "prompt_text", "narration")  # a heading with one of these fields under it is a scene

_FIELD = re.compile(r"[a-z_][a-z0-9_]*")
# a string that nobody closed ends with its line: were it no match, each of its quotes would be tried anew
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\\n]++|\\.)*+"?)|,(?=\s*[}\]])')
_MARKDOWN = re.compile(r"^[^\S\n]*(?:#|```|~~~)", re.MULTILINE)
_FENCES = ("```", "~~~")


def content_of(text: bytes | str) -> Any:
    """Raises Refused or TooLarge when this is no file that an episode could be in."""
    decoded = _decoded(text)
    if decoded.lstrip().startswith(("{", "[")) or not _MARKDOWN.search(decoded):
        return _json(decoded)
    scenes = _fenced(decoded) or _headings(decoded)
    if not scenes:
        raise Refused("episode.no_scenes_in_text")
    return plain(scenes)


def _decoded(text: bytes | str) -> str:
    if len(text) > MAX_BYTES:
        raise TooLarge("episode.too_large", size=len(text), most=MAX_BYTES)
    try:
        return text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise Refused("episode.not_utf8", position=error.start) from error


def _json(text: str) -> Any:
    try:
        return plain(json.loads(text, parse_constant=_no_constant))
    except RecursionError as error:
        raise Refused("episode.too_deep", most=MAX_DEPTH) from error
    except json.JSONDecodeError as error:
        raise Refused("episode.not_json", line=error.lineno, column=error.colno, reason=error.msg) from error
    except ValueError as error:  # the only one left: a number of thousands of digits
        raise Refused("episode.bad_number", value="…") from error


def _no_constant(name: str) -> Any:
    raise Refused("episode.bad_number", value=name)


def plain(value: Any, depth: int = 0) -> Any:
    """JSON that every part of the house can store and send: half emoji replaced, numbers too large for any machine
    made null. Raises RecursionError when it is nested deeper than MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {plain(name): plain(item, depth + 1) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------------------------------------ Markdown
def _fenced(text: str) -> Any:
    """The first fenced block that is JSON. Language models leave commas before closing brackets: forgiven."""
    for block in _blocks(text):
        if block.lstrip().startswith(("{", "[")):
            return _json(_STRING_OR_COMMA.sub(lambda found: found[1] or "", block))
    return None


def _blocks(text: str) -> Iterator[str]:
    """What stands between fences that say JSON or nothing. Line by line: a pattern would begin anew at every fence."""
    block: list[str] = []
    fence = kind = ""
    for line in text.split("\n"):
        bare = line.rstrip(" \t\r").lower()
        if not fence:
            if bare.startswith(_FENCES) and "`" not in bare[3:]:
                fence, kind, block = bare[:3], bare[3:].strip(), []
        elif bare == fence:
            if kind in ("", "json", "jsonc"):
                yield "\n".join(block)
            fence = ""
        else:
            block.append(line)


def _headings(text: str) -> dict[str, Any] | None:
    """A heading starts a scene and is its name; `- key: value` are its fields. The first heading may be the title;
    others without fields are left."""
    blocks: list[dict[str, str]] = []
    for line in map(str.strip, text.splitlines()):
        name, colon, value = line[1:].replace("：", ":", 1).partition(":")
        name = name.strip(" *`").lower()
        if line.startswith("#") and (heading := line.lstrip("#").strip()):
            blocks.append({"label": heading})
        elif line.startswith(("-", "*")) and colon and blocks and _FIELD.fullmatch(name):
            blocks[-1][name] = value.strip()
    for mark in MARKS:
        if scenes := [block for block in blocks if mark in block]:
            return {"title": blocks[0]["label"] if len(blocks[0]) == 1 else "", "scenes": scenes}
    return None
