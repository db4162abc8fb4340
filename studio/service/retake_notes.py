"""What reviewers wish for, as lines of a scene's retake note: who, when, what. What somebody wrote there stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from studio.domain import one_line
from studio.domain.reviews import timecode
from studio.errors import NotFound
from studio.service.review import NOTE_LENGTH
from studio.store import Store

MOST_LINE = 160  # characters of a comment in a note; the comment itself has all of it


def add(store: Store, scene_id: str, comments: Sequence[Mapping[str, Any]]) -> None:
    """Ask for another take of the comments' scene. A note that has been answered begins anew; one that is full stays as
    it is, and asks again."""
    try:
        row = store.queues.scene(scene_id)
    except NotFound:  # a title, or a scene that went since
        return
    answered = store.review.states([row.id]).get(row.id) == "retaken"
    lines = [] if answered or not row.retake else row.retake.split("\n")
    store.review.ask_again(row.id, _fitting(lines, [_line(comment) for comment in comments]))


def remove(store: Store, comment: Mapping[str, Any]) -> None:
    """Take the comment's line out of the note. With the last one the note goes, unless others wish for a retake too."""
    try:
        row = store.queues.scene(comment["scene_id"])
    except NotFound:
        return
    lines = row.retake.split("\n") if row.retake else []
    line = _line(comment)
    if line not in lines:
        return
    lines.remove(line)
    others = [
        _line(other) for other in reversed(store.reviews.of_scene(row.id))
        if other["wish"] == "retake" and other["state"] == "open" and other["id"] != comment["id"]
    ]  # fmt: skip
    store.review.reword(row.id, _fitting(lines, [other for other in others if other not in lines]) or None)


def _line(comment: Mapping[str, Any]) -> str:
    return f"{comment['author']} · {timecode(comment['at'])}: {one_line(comment['text'], MOST_LINE)}"


def _fitting(lines: list[str], more: list[str]) -> str:
    for line in more:
        if len("\n".join([*lines, line])) <= NOTE_LENGTH and line not in lines:
            lines.append(line)
    return "\n".join(lines)
