"""Films that others review: published versions, comments at a time, verdicts. Knows no route, no page and no SQL.

A version is a finished film and what it was made of. Nobody but the makers sees one with a private take in it: not by
list, film, poster, frame or package. A comment that wishes for a retake is written on its scene as a note.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from studio.domain import State, Visitor
from studio.domain.reviews import Placed, changes, placed
from studio.errors import Conflict, Forbidden, NotFound, Refused, StudioError, TooOften
from studio.runner import Runner
from studio.service import retake_notes
from studio.service.exports import Exports
from studio.service.review_comments import Said, comment_row, write
from studio.service.views import View, comment_view, scene_comment, title_of
from studio.service.words import Words
from studio.store import Store
from studio.store.database import Row, stamp

MOST_A_MINUTE = 60  # of a person
FRAME_SIDE = 540  # pixels of the short side of a comment's frame
POSTER = ".poster.jpg"
MAKER = Visitor("", "", "owner", "local")  # the studio itself


class Reviewing:
    def __init__(self, store: Store, runner: Runner, exports: Exports, words: Words, folder: Path) -> None:
        """`folder`: where frames of comments and posters of versions lie, by review."""
        self._store, self._runner, self._exports, self._words = store, runner, exports, words
        self._folder = folder
        self._drawing = Lock()  # one picture at a time: whoever asks for the same one finds it made
        self._frames = ThreadPoolExecutor(1, thread_name_prefix="frames")

    # ------------------------------------------------------------------------------------------ for the makers
    def of_queue(self, queue_id: str, visitor: Visitor) -> View | None:
        """The review of a queue's film; None where there is none."""
        self._store.queues.get(queue_id)
        found = self._store.reviews.of_queue(queue_id)
        return self.view(found["id"], visitor) if found else None

    def publish(self, queue_id: str, export_id: str, visitor: Visitor) -> View:
        """A finished film of the queue becomes the next version. The one that is the newest already stays it."""
        self._store.queues.get(queue_id)
        row = self._store.takes.export(export_id)
        if row["queue_id"] != queue_id:
            raise NotFound("export.unknown", export=export_id[:60])
        facts = json.loads(row["facts"])
        if row["kind"] != "film" or row["state"] != State.DONE:
            raise Refused("review.not_a_film")
        if "scenes" not in facts:
            raise Refused("review.old_film")
        self._exports.file(export_id)
        scenes = placed(facts["scenes"])
        with self._store.together():
            private = self._store.reviews.private(facts["takes"])
            if private:
                raise Refused("review.private", scenes=", ".join(self._named(scenes, private)))
            found = self._store.reviews.of_queue(queue_id)
            versions = self._store.reviews.versions(found["id"]) if found else []
            if found is None or not versions or versions[-1]["export_id"] != export_id:
                before = self._store.reviews.whole(versions[-1])["scenes"] if versions else scenes
                found = {"id": self._store.reviews.publish(queue_id, export_id, facts, scenes, changes(before, scenes))}
        return self.view(found["id"], visitor)

    def set_open(self, review_id: str, is_open: bool, visitor: Visitor) -> View:
        self._seen(review_id, visitor)
        self._store.reviews.set_open(review_id, is_open)
        return self.view(review_id, visitor)

    def _named(self, scenes: Sequence[Placed], private: set[str]) -> Sequence[str]:
        """The scenes in which these takes are seen or heard, else what the takes themselves are called."""
        names = [scene.named for scene in scenes if private & set(scene.takes)]
        return names or [self._called(take_id) for take_id in sorted(private)]

    def _called(self, take_id: str) -> str:
        try:
            where = self._store.takes.where(take_id)
        except NotFound:  # it went for ever
            return take_id
        return title_of(where["label"] or "", where["prompt"] or where["said"] or "")

    # ------------------------------------------------------------------------------------------ what is open
    def list(self, visitor: Visitor) -> Sequence[View]:
        """Reviews that the visitor may open, newest first."""
        open_comments, found = self._store.reviews.open_comments(), []
        for review in self._store.reviews.all():
            with suppress(NotFound):
                review = self._seen(review["id"], visitor)
                version = self._chosen(self._visible(review, visitor), review, None)
                found.append(
                    {
                        "id": review["id"], "queue_id": review["queue_id"], "name": review["name"],
                        "open": bool(review["open"]), "version": version["number"],
                        "comments": open_comments.get(review["id"], 0), "verdict": self._verdict(review, version),
                    }
                )  # fmt: skip
        return found

    def _verdict(self, review: Row, version: Row) -> bool | None:
        """On the film as it is: False when anybody asks for a retake of it, True when all who spoke approve."""
        said = [
            bool(verdict["approved"]) for verdict in self._store.reviews.verdicts(review["id"])
            if verdict["version"] == version["number"] and not verdict["scene_id"]
        ]  # fmt: skip
        return all(said) if said else None

    def view(self, review_id: str, visitor: Visitor, version: int | None = None) -> View:
        """All that the review page shows of one version: the newest that the visitor may see, unless named."""
        review = self._seen(review_id, visitor)
        versions = self._visible(review, visitor)
        shown = self._store.reviews.whole(self._chosen(versions, review, version))
        makers = visitor.role != "reviewer"
        numbers = {each["number"] for each in versions}
        return {
            "id": review["id"], "queue_id": review["queue_id"], "name": review["name"], "open": bool(review["open"]),
            "me": {"name": visitor.name, "role": visitor.role},
            "version": self._version_view(shown, self._is_there(shown), makers),
            "versions": [
                {"number": each["number"], "created": each["created"]}
                | ({"export_id": each["export_id"]} if makers else {})
                for each in versions
            ],
            "comments": [
                comment_view({**row, "frame": row["frame"] and row["version"] in numbers})
                | {"mine": _mine(row, visitor)}
                for row in self._store.reviews.comments(review_id)
            ],
            "verdicts": [
                {
                    "author": row["author"], "scene_id": row["scene_id"], "version": row["version"],
                    "approved": bool(row["approved"]), "mine": row["person_id"] == visitor.person_id, "at": row["at"],
                }
                for row in self._store.reviews.verdicts(review_id)
            ],
        }  # fmt: skip

    def _version_view(self, version: Row, film: bool, makers: bool) -> View:
        scenes, changed = version["scenes"], version["changed"]
        private = self._store.reviews.private(self._takes(version)) if version["withheld"] else set()
        return {
            **{name: version[name] for name in ("number", "seconds", "fps", "width", "height", "created")},
            "film": film,
            "subtitles": film and self._film(version).with_suffix(".vtt").is_file(),
            "withheld": list(self._named(scenes, private)) if private and makers else [],
            "scenes": [
                {
                    "scene_id": scene.scene_id, "number": scene.number, "title": scene.title, "start": scene.start,
                    "duration": scene.duration, "change": changed["scenes"].get(scene.scene_id, ""),
                }
                for scene in scenes
            ],
            "removed": changed["removed"],
        }  # fmt: skip

    def _takes(self, version: Row) -> Sequence[str]:
        return self._store.reviews.takes_of(version["id"])

    # ------------------------------------------------------------------------------------------ who sees what
    def _seen(self, review_id: str, visitor: Visitor) -> Row:
        """Raises NotFound for whoever was not invited to it, and for reviewers when it is closed."""
        review = self._store.reviews.get(review_id)
        if not visitor.may_review(review["queue_id"]):
            raise NotFound("review.unknown", review=review_id[:60])
        if visitor.role == "reviewer" and not review["open"]:
            raise NotFound("review.closed")
        return review

    def version(self, review_id: str, number: int | None, visitor: Visitor) -> Row:
        """One of a review with its scenes, the newest unless named. Raises NotFound where the visitor sees none."""
        return self._store.reviews.whole(self._version(review_id, number, visitor))

    def _version(self, review_id: str, number: int | None, visitor: Visitor) -> Row:
        review = self._seen(review_id, visitor)
        return self._chosen(self._visible(review, visitor), review, number)

    def _visible(self, review: Row, visitor: Visitor) -> Sequence[Row]:
        versions = self._store.reviews.versions(review["id"])
        return [each for each in versions if visitor.role != "reviewer" or not each["withheld"]]

    def _chosen(self, versions: Sequence[Row], review: Row, number: int | None) -> Row:
        """Of those that the visitor may see. Raises NotFound("review.no_version") and NotFound("review.withheld")."""
        found = [each for each in versions if number in (None, each["number"])]
        if found:
            return found[-1]
        there = [each["number"] for each in self._store.reviews.versions(review["id"])]
        if number is None or number in there:
            raise NotFound("review.withheld")
        raise NotFound("review.no_version", version=number)

    # ------------------------------------------------------------------------------------------ files
    def film(self, review_id: str, number: int, visitor: Visitor) -> Path:
        return self._film(self._version(review_id, number, visitor))

    def _film(self, version: Row) -> Path:
        """Raises NotFound("review.no_film") where the makers deleted it."""
        try:
            return self._exports.file(version["export_id"])
        except NotFound as error:
            raise NotFound("review.no_film", version=version["number"]) from error

    def _is_there(self, version: Row) -> bool:
        try:
            return self._film(version).is_file()
        except NotFound:
            return False

    def subtitles(self, review_id: str, number: int, visitor: Visitor) -> Path:
        path = self.film(review_id, number, visitor).with_suffix(".vtt")
        if not path.is_file():
            raise NotFound("export.no_subtitles", export=review_id)
        return path

    def poster(self, review_id: str, number: int, visitor: Visitor) -> Path:
        version = self._version(review_id, number, visitor)
        stem = self._folder / review_id / version["id"]
        drawn = stem.with_name(stem.name + POSTER)
        return drawn if drawn.is_file() else self._runner.small_picture(self._film(version), stem, POSTER)

    def picture(self, review_id: str, number: int, scene_id: str, visitor: Visitor) -> Path:
        """A small still of a scene, of the take that this version shows. Raises NotFound where there is none."""
        version = self.version(review_id, number, visitor)
        take_id = next((scene.take_id for scene in version["scenes"] if scene.scene_id == scene_id), None)
        if take_id is None:
            raise NotFound("review.no_picture", version=number)
        take = self._store.takes.get(take_id)
        found = self._runner.small_picture(take.path, self._runner.assigner.posters(take.job_id), POSTER)
        if not found.is_file():
            raise NotFound("review.no_picture", version=number)
        return found

    def frame(self, comment_id: str, visitor: Visitor) -> Path:
        """What the film shows where a comment stands."""
        comment = self._store.reviews.comment(comment_id)
        version = self._version(comment["review_id"], comment["version"], visitor)
        return self._drawn(comment, version)

    def _still(self, comment: Row) -> Path:
        name = sha256(comment["id"].encode()).hexdigest()[:32]  # whoever made the id chose its letters
        return self._folder / str(comment["review_id"]) / f"{name}.jpg"

    def _drawn(self, comment: Row, version: Row) -> Path:
        out = self._still(comment)
        with self._drawing:
            if not out.is_file():
                order = {
                    "path": str(self._film(version)), "out": str(out), "format": "jpg", "animated": False,
                    "short_side": FRAME_SIDE, "at": comment["at"],
                }  # fmt: skip
                self._runner.ask(self._runner.lanes.tools[0], "clip", order)
                if not self._store.reviews.drew(comment["id"]):  # deleted meanwhile
                    out.unlink(missing_ok=True)
                    raise NotFound("comment.unknown", comment=comment["id"])
        return out

    def draw_soon(self, comment_ids: Iterable[str]) -> None:
        """Their frames, while the film is there; who asks before one is made waits for it."""
        for comment_id in comment_ids:
            self._frames.submit(self._draw, comment_id)

    def _draw(self, comment_id: str) -> None:
        with suppress(StudioError):  # whoever asks for the frame is told why there is none
            self.frame(comment_id, MAKER)

    # ------------------------------------------------------------------------------------------ comments
    def comment(self, review_id: str, said: Said, visitor: Visitor, lang: str = "") -> View:
        """Write one. The same id twice is one comment."""
        version = self.version(review_id, said.version, visitor)
        author = visitor.name or self._words.text("review.owner", lang)
        row = comment_row(said, version, person_id=visitor.person_id, author=author, origin="page")
        with self._store.together():
            known = self._store.reviews.find_comment(row["id"])
            if known is None:
                self._check_pace(visitor)
                write(self._store, [row])
            elif known["review_id"] != review_id or not _mine(known, visitor):
                raise Conflict("comment.taken", comment=row["id"])
        if known is None:
            self.draw_soon([row["id"]])
        return self._one(row["id"], visitor)

    def _check_pace(self, visitor: Visitor) -> None:
        since = stamp(datetime.now(UTC) - timedelta(minutes=1))
        if self._store.reviews.written_since(visitor.person_id, since) >= MOST_A_MINUTE:
            raise TooOften("review.too_often", most=MOST_A_MINUTE)

    def set_state(self, comment_id: str, state: Literal["open", "done"], visitor: Visitor) -> View:
        """Dealt with, or not after all; the note on its scene goes and comes with it."""
        comment = self._store.reviews.comment(comment_id)
        self._seen(comment["review_id"], visitor)
        with self._store.together():
            if comment["state"] != state:
                self._store.reviews.set_state(comment_id, state)
                if comment["wish"] == "retake":
                    self._note_again(comment, state)
        return self._one(comment_id, visitor)

    def _note_again(self, comment: Row, state: Literal["open", "done"]) -> None:
        if state == "open":
            retake_notes.add(self._store, comment["scene_id"], [comment])
        else:
            retake_notes.remove(self._store, comment)

    def delete(self, comment_id: str, visitor: Visitor) -> None:
        """By whoever wrote it, or by the makers."""
        comment = self._store.reviews.comment(comment_id)
        self._seen(comment["review_id"], visitor)
        if visitor.role == "reviewer" and not _mine(comment, visitor):
            raise Forbidden("comment.not_yours", author=comment["author"])
        with self._store.together():
            self._store.reviews.delete_comment(comment_id)
            if comment["wish"] == "retake":
                retake_notes.remove(self._store, comment)
        self._still(comment).unlink(missing_ok=True)

    def _one(self, comment_id: str, visitor: Visitor) -> View:
        comment = self._store.reviews.comment(comment_id)
        return comment_view(comment) | {"mine": _mine(comment, visitor)}

    def of_scene(self, scene_id: str) -> Sequence[View]:
        """For the makers: what was said of a scene in all versions, newest first."""
        self._store.queues.scene(scene_id)
        return [scene_comment(row) for row in self._store.reviews.of_scene(scene_id)]

    # ------------------------------------------------------------------------------------------ verdicts
    def judge(
        self, review_id: str, number: int, scene_id: str, approved: bool | None, visitor: Visitor, lang: str = ""
    ) -> View:
        """Approve a scene, or the film (""), or ask for a retake of it; None takes that back."""
        version = self.version(review_id, number, visitor)
        check_scene(version, scene_id)
        author = visitor.name or self._words.text("review.owner", lang)
        self._store.reviews.judge(version, scene_id, approved, person_id=visitor.person_id, author=author)
        return self.view(review_id, visitor, number)

    # ------------------------------------------------------------------------------------------ the house
    def tidy(self) -> None:
        """At start: pictures of reviews whose queue was deleted."""
        here = {review["id"] for review in self._store.reviews.all()}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in here:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        self._frames.shutdown(cancel_futures=True)


def check_scene(version: Row, scene_id: str) -> None:
    """A verdict is on a scene of that version, or on the film (""). Raises Refused."""
    if scene_id and scene_id not in {scene.scene_id for scene in version["scenes"]}:
        raise Refused("review.no_scene", scene=scene_id[:60], version=version["number"])


def _mine(comment: Mapping[str, Any], visitor: Visitor) -> bool:
    return bool(comment["origin"] == "page" and comment["person_id"] == visitor.person_id)
