"""A review that leaves the house as one zip (page, film, subtitles), and the file of comments that comes back.

Everything in that file is a stranger's: what is wrong with it is named, and then nothing of it is kept.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from studio.domain import Box, Visitor, one_line, slug
from studio.domain.reviews import Wish
from studio.errors import Conflict, NotFound, Refused, StudioError, TooLarge
from studio.media.sending import Part, Sending
from studio.service.review_comments import MOST_COMMENTS, Said, comment_row, write
from studio.service.review_page import ReviewPages
from studio.service.reviewing import Reviewing, check_scene
from studio.service.views import View
from studio.store import Store
from studio.store.database import Row
from studio.story.episode import problems_of

PAGE, FILM, SUBTITLES = "index.html", "film.mp4", "film.vtt"
MOST_BYTES = 20_000_000  # of a file of comments: 5000 of the longest, every letter written as \uXXXX twice over
MOST_AUTHOR = 60  # characters


@dataclass(frozen=True, slots=True)
class Package:
    """`size`: bytes of the zip, which is made while it is read."""

    name: str
    size: int
    chunks: Iterator[bytes]


class SentComment(BaseModel):
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    version: int = Field(ge=1)
    at: float = Field(allow_inf_nan=False)
    region: Box | None = None
    text: str = Field(max_length=4000)
    wish: Wish = "comment"


class SentVerdict(BaseModel):
    version: int = Field(ge=1)
    scene_id: str = Field("", max_length=60)
    approved: bool | None


class SentReview(BaseModel):
    """What the offline page saves. Whatever else stands there is passed over: newer pages may know more."""

    lanterna_review: Literal[1]  # the form of the file
    review_id: str = Field(max_length=60)
    author: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    comments: list[SentComment] = Field(max_length=MOST_COMMENTS)
    verdicts: list[SentVerdict] = Field(default_factory=list, max_length=MOST_COMMENTS)


class ReviewPackages:
    def __init__(self, store: Store, reviewing: Reviewing, pages: ReviewPages) -> None:
        self._store, self._reviewing, self._pages = store, reviewing, pages

    # ------------------------------------------------------------------------------------------ out
    def pack(self, review_id: str, visitor: Visitor, lang: str, number: int | None = None) -> Package:
        """One version (the newest) for somebody who is not let in here. Raises Refused("review.private") where a take
        of it is private."""
        view = self._reviewing.view(review_id, visitor, number)
        version = view["version"]
        if version["withheld"]:
            raise Refused("review.private", scenes=", ".join(version["withheld"]))
        film = self._reviewing.film(review_id, version["number"], visitor)
        words = film.with_suffix(".vtt").read_text("utf-8") if version["subtitles"] else ""
        page = self._pages.offline(_for_strangers(view), lang, film=FILM, subtitles=words)
        parts = [Part(PAGE, page.encode("utf-8", "replace")), Part(FILM, film)]
        try:
            sending = Sending([*parts, *([Part(SUBTITLES, words.encode())] if words else [])])
        except FileNotFoundError as error:  # deleted since
            raise NotFound("review.no_film", version=version["number"]) from error
        name = f"{slug(view['name']) or 'film'}_review_v{version['number']}.zip"
        return Package(name, sending.size, sending.chunks())

    # ------------------------------------------------------------------------------------------ back in
    def bring(self, review_id: str, content: bytes, visitor: Visitor) -> View:
        """The comments and verdicts of a file: {added, known, verdicts}. All of them or none; the same file twice is
        once. Raises Refused and TooLarge naming what is wrong."""
        sent = read(content)
        if sent.review_id != review_id:
            raise Refused("review.import_other", review=one_line(sent.review_id, 60))
        author = one_line(sent.author, MOST_AUTHOR)
        if not author:
            raise Refused("review.import_field", field="author", why={"code": "field.missing", "params": {}})
        with self._store.together():
            version = cache(partial(self._reviewing.version, review_id, visitor=visitor))
            rows = dict[str, Mapping[str, Any]]()
            for n, said in enumerate(sent.comments):
                with _naming(f"comments.{n}"):
                    row = comment_row(
                        Said(**said.model_dump()), version(said.version), person_id=_by(author), author=author,
                        origin="file",
                    )  # fmt: skip
                    rows.setdefault(row["id"], row)
            fresh = [row for row in rows.values() if not self._is_here(row)]
            write(self._store, fresh)
            for n, verdict in enumerate(sent.verdicts):
                with _naming(f"verdicts.{n}"):
                    self._judge(version(verdict.version), verdict, author)
        self._reviewing.draw_soon(row["id"] for row in fresh)
        return {"added": len(fresh), "known": len(sent.comments) - len(fresh), "verdicts": len(sent.verdicts)}

    def _is_here(self, row: Mapping[str, Any]) -> bool:
        """Raises Conflict where another review has a comment of that name."""
        known = self._store.reviews.find_comment(row["id"])
        if known and known["review_id"] != row["review_id"]:
            raise Conflict("comment.taken", comment=row["id"])
        return known is not None

    def _judge(self, version: Row, verdict: SentVerdict, author: str) -> None:
        check_scene(version, verdict.scene_id)
        self._store.reviews.judge(version, verdict.scene_id, verdict.approved, person_id=_by(author), author=author)


def read(content: bytes) -> SentReview:
    """The file as it was saved. Raises TooLarge and Refused."""
    if len(content) > MOST_BYTES:
        raise TooLarge("review.import_too_large", most_mb=MOST_BYTES // 1_000_000)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused("review.import_unreadable", reason=str(error)[:200]) from error
    if not isinstance(found, dict) or "lanterna_review" not in found:
        raise Refused("review.import_not_ours")
    try:
        return SentReview.model_validate(found)
    except ValidationError as error:
        first = problems_of(error, 1)[0]
        why = {"code": first.code, "params": first.params}
        raise Refused("review.import_field", field=first.field[:80], why=why) from error


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """What is wrong with one entry says which one."""
    try:
        yield
    except StudioError as error:
        raise Refused("review.import_field", field=field, why=error.as_dict()) from error


def _by(author: str) -> str:
    """Who signs here is taken at his word, and is nobody who signed in."""
    return f"file:{author}"


def _for_strangers(view: View) -> View:
    """As somebody sees it who is not here: one version, nothing to be asked of a studio, no comment theirs."""
    shown = view["version"]["number"]
    return {
        **view,
        "queue_id": "", "me": {"name": "", "role": "reviewer"},
        "versions": [
            {name: each[name] for name in ("number", "created")} for each in view["versions"] if each["number"] == shown
        ],
        "comments": [{**comment, "frame": False, "mine": False} for comment in view["comments"]],
        "verdicts": [{**verdict, "mine": False} for verdict in view["verdicts"]],
    }  # fmt: skip
