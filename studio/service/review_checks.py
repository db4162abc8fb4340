"""What strangers say of a film, looked at before it is let in: text, time and region of a comment. Knows no row."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from studio.errors import Refused

MOST_TEXT = 2000  # characters
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def checked(
    region: Sequence[float] | None, text: str, at: float, version: Mapping[str, Any]
) -> tuple[list[float] | None, str, float]:
    """(region, text, at) as they are kept. Raises Refused naming what is wrong."""
    words = plain(text)
    if not words:
        raise Refused("comment.empty")
    if len(words) > MOST_TEXT:
        raise Refused("comment.too_long", most=MOST_TEXT)
    if not math.isfinite(at) or not 0 <= at <= version["seconds"] + 1 / version["fps"]:  # a player may round up
        raise Refused("comment.time", at=round(at, 3) if math.isfinite(at) else str(at), seconds=version["seconds"])
    return _region(region), words, min(float(at), version["seconds"])


def plain(text: str) -> str:
    """Lines of text without control characters, half emoji, or marks that turn the writing round."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return _UNSEEN.sub(" ", whole).strip()


def _region(region: Sequence[float] | None) -> list[float] | None:
    if region is None:
        return None
    left, top, right, bottom = region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise Refused("comment.region")
    return [round(float(side), 4) for side in region]
