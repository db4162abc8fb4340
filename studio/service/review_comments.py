"""Comments on a film: looked at before they are let in, written down with the note on their scene. Knows no visitor."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from studio.domain import Box, new_id
from studio.domain.reviews import Wish, scene_at
from studio.errors import Refused
from studio.service import retake_notes
from studio.store import Store

MOST_COMMENTS = 5000  # of a review
MOST_TEXT = 2000  # characters
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")

Origin = Literal["page", "file"]


@dataclass(frozen=True, slots=True)
class Said:
    """A comment as somebody sent it. `at`: seconds of that version's film; `region`: in shares of its picture."""

    version: int
    at: float
    text: str
    wish: Wish = "comment"
    region: Box | None = None
    id: str = ""


def comment_row(
    said: Said, version: Mapping[str, Any], *, person_id: str, author: str, origin: Origin
) -> dict[str, Any]:
    """A comment as it is kept. Raises Refused naming what is wrong with it."""
    text = plain(said.text)
    if not text:
        raise Refused("comment.empty")
    if len(text) > MOST_TEXT:
        raise Refused("comment.too_long", most=MOST_TEXT)
    if not 0 <= said.at <= version["seconds"] + 1 / version["fps"]:  # a player may round up
        raise Refused("comment.time", at=round(said.at, 3), seconds=version["seconds"])
    at = min(said.at, version["seconds"])
    scene = scene_at(version["scenes"], at)
    return {
        "id": said.id or new_id(), "review_id": version["review_id"], "version_id": version["id"],
        "scene_id": scene.scene_id if scene else "", "take_id": scene.take_id if scene else None,
        "number": scene.number if scene else None, "at": at, "second": scene.second(at) if scene else None,
        "region": _region(said.region), "text": text, "wish": said.wish, "person_id": person_id, "author": author,
        "origin": origin,
    }  # fmt: skip


def write(store: Store, rows: Sequence[Mapping[str, Any]]) -> None:
    """New comments of one review, and the notes of those that wish for a retake. Raises Refused("review.full")."""
    for row in rows[:1]:
        if store.reviews.written(row["review_id"]) + len(rows) > MOST_COMMENTS:
            raise Refused("review.full", most=MOST_COMMENTS)
    for row in rows:
        store.reviews.add_comment(row)
    for scene_id, wishes in groupby(_wishes(rows), lambda row: str(row["scene_id"])):
        retake_notes.add(store, scene_id, list(wishes))


def _wishes(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted((row for row in rows if row["wish"] == "retake"), key=lambda row: (row["scene_id"], row["at"]))


def plain(text: str) -> str:
    """Lines of text without control characters, half emoji, or marks that turn the writing round."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return _UNSEEN.sub(" ", whole).strip()


def _region(region: Box | None) -> list[float] | None:
    if region is None:
        return None
    left, top, right, bottom = region
    if left >= right or top >= bottom:
        raise Refused("comment.region")
    return [round(side, 4) for side in region]
