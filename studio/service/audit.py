"""Who did what: one row for each write that somebody who signed in has carried out, and a sentence for each row.

A request is all that the door knows, so a table turns its method and path into what was done and to whom; what a thing
is called is looked up before it is done, because afterwards it may be gone. Knows no request, no role and no cookie.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from studio.domain import Visitor, Way
from studio.errors import NotFound
from studio.service.people import People
from studio.service.views import View, title_of
from studio.service.words import Words
from studio.settings import LOOPBACK
from studio.store import Store

AGAIN_SECONDS = 60.0  # the same change of the same thing by the same person within these is one row
COUNT_SECONDS = 3600.0  # refused sign-ins within these are one row
MOST_KEPT = 500  # changes that are remembered for AGAIN_SECONDS
MOST_NAME, MOST_PATH = 200, 300


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody is about to do. `again`: may be one row with the same of a moment ago; `late`: it makes an
    invitation, which has a name only afterwards."""

    what: str
    subject: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    late: bool = False


Rule = tuple[str, str, str, str]
"""Method, path below /api (`*`: any one part; `{noun}`: the id of the subject), what, and flags: those of Deed, and
`always`: also at home, where nobody has a name. A `what` that is empty is not written down: nothing lasts of it."""

QUIET: Sequence[Rule] = [
    (method, path, "", "")
    for method, path in (
        ("POST", "/queues/check"), ("POST", "/lines/seconds"), ("POST", "/memory/plan"), ("POST", "/transcripts"),
        ("POST", "/portraits/look"), ("POST", "/voices/look"), ("POST", "/searches"), ("DELETE", "/searches/*"),
        ("POST", "/sharing/*"), ("POST", "/power/cancel"), ("POST", "/memory/measure/cancel"),
        ("DELETE", "/installations/*"),
    )
]  # fmt: skip
RULES: Sequence[Rule] = (
    *QUIET,
    ("POST", "/queues/import", "queue.import", ""),
    ("POST", "/queues/sample", "queue.import", ""),
    ("POST", "/queues", "queue.make", ""),
    ("PATCH", "/queues/{queue}", "queue.change", "again"),
    ("DELETE", "/queues/{queue}", "queue.delete", ""),
    ("POST", "/queues/{queue}/move", "queue.order", "again"),
    ("POST", "/queues/{queue}/reorder", "queue.order", "again"),
    ("POST", "/queues/{queue}/(undo|redo)", "queue.undo", "again"),
    ("POST", "/queues/{queue}/(run|restart|resume|retry|retry-from-error|speak)", "queue.run", ""),
    ("POST", "/queues/{queue}/(pause|stop|stop-after-scene)", "queue.stop", ""),
    ("POST", "/queues/{queue}/scenes/delete", "scenes.delete", ""),
    ("POST", "/queues/{queue}/scenes/edit", "scenes.change", "again"),
    ("POST", "/queues/{queue}/(relink|casting)", "scenes.change", "again"),
    ("POST", "/queues/{queue}/scenes", "scenes.add", "again"),
    ("POST", "/queues/{queue}/exports", "film.make", ""),
    ("POST", "/queues/{queue}/package", "queue.pack", ""),
    ("POST", "/queues/{queue}/review", "review.publish", ""),
    ("POST", "/scenes/skip", "scenes.skip", "again"),
    ("POST", "/scenes", "scene.make", ""),
    ("PATCH", "/scenes/{scene}", "scene.change", "again"),
    ("DELETE", "/scenes/{scene}", "scene.delete", ""),
    ("POST", "/scenes/{scene}/(run|seeds|continue)", "scene.run", ""),
    ("POST", "/scenes/{scene}/(cancel|enough)", "scene.stop", ""),
    ("POST", "/scenes/{scene}/duplicate", "scene.copy", ""),
    ("PUT", "/scenes/{scene}/retake", "scene.retake", "again"),
    ("PATCH", "/takes/{take}", "take.change", "again"),
    ("DELETE", "/takes/{take}", "take.delete", ""),
    ("POST", "/takes/{take}/restore", "take.restore", ""),
    ("POST", "/takes/{take}/exports", "take.export", ""),
    ("DELETE", "/exports/{export}", "film.delete", ""),
    ("PATCH", "/reviews/{review}", "review.change", ""),
    ("POST", "/reviews/{review}/comments", "review.comment", ""),
    ("POST", "/reviews/{review}/comments/import", "review.import", ""),
    ("PUT", "/reviews/{review}/verdict", "review.verdict", "again"),
    ("PATCH", "/comments/{comment}", "comment.change", "again"),
    ("DELETE", "/comments/{comment}", "comment.delete", ""),
    ("POST", "/assets", "file.add", "again"),
    ("POST", "/assets/fetch", "file.add", "again"),
    ("POST", "/portraits/crop", "file.add", "again"),
    ("POST", "/avatars", "avatar.make", ""),
    ("POST", "/voices", "voice.make", ""),
    ("POST", "/voices/import", "voice.make", ""),
    ("PATCH", "/voices/{voice}", "voice.change", "again"),
    ("DELETE", "/voices/{voice}", "voice.delete", ""),
    ("POST", "/voices/{voice}/say", "voice.say", "again"),
    ("POST", "/voices/{voice}/characters", "voice.change", "again"),
    ("DELETE", "/voices/{voice}/characters/*", "voice.change", "again"),
    ("PUT", "/projects/{word}/pronunciations", "project.change", "again"),
    ("POST", "/presets", "preset.make", ""),
    ("PATCH", "/presets/{preset}", "preset.change", "again"),
    ("POST", "/presets/{preset}/apply", "preset.apply", ""),
    ("DELETE", "/presets/{preset}", "preset.delete", ""),
    ("POST", "/searches/*/take", "scenes.relink", ""),
    ("POST", "/catalogue/{word}/(get|verify|cancel)", "model.get", ""),
    ("DELETE", "/catalogue/{word}", "model.delete", ""),
    ("POST", "/catalogue/(import|queues/*)", "model.import", ""),
    ("POST", "/installations", "installation.import", ""),
    ("POST", "/memory/measure", "memory.measure", ""),
    ("POST", "/storage/{word}", "storage.clear", ""),
    ("PATCH", "/preferences", "settings.change", "again"),
    ("POST", "/hooks", "hook.change", ""),
    ("PATCH", "/hooks/*", "hook.change", "again"),
    ("DELETE", "/hooks/*", "hook.change", ""),
    ("POST", "/hooks/*/test", "hook.test", "again"),
    ("PATCH", "/me", "me.password", ""),
    ("POST", "/people/owner", "people.owner", "always"),
    ("PATCH", "/people/{person}", "people.change", "always"),
    ("DELETE", "/people/{person}", "people.remove", "always"),
    ("POST", "/invitations", "invitation.make", "always late"),
    ("DELETE", "/invitations/{invitation}", "invitation.revoke", "always"),
    ("DELETE", "/sessions/{session}", "session.end", "always"),
)
BELOW_ROOT: Sequence[Rule] = (
    ("POST", "/sign-out", "sign_out", ""),
    ("POST", "/sign-in", "", ""),  # told by the people
    ("POST", "/invite/*", "", ""),
    ("POST", "/gradio_api/.*", "", ""),  # how the page's forms speak; what they do is done over REST
)


def _compiled(rules: Sequence[Rule], below: str) -> list[tuple[str, re.Pattern[str], str, str]]:
    return [
        (method, re.compile(below + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path.replace("/*", "/[^/]+"))), what, flags)
        for method, path, what, flags in rules
    ]


PATTERNS = _compiled(RULES, "/api") + _compiled(BELOW_ROOT, "")


class Audit:
    """`_lock` protects what is remembered between two rows."""

    def __init__(
        self, store: Store, people: People, words: Words, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._store, self._people, self._words, self._clock = store, people, words, clock
        self._lately: dict[tuple[str, ...], float] = {}
        self._refused: dict[Way, _Count] = {}
        self._lock = Lock()

    # ------------------------------------------------------------------------------------------ writing
    def about(self, visitor: Visitor, method: str, path: str) -> Deed | None:
        """What this request does, while it is not done yet; None: nothing worth a row."""
        for wanted, pattern, what, flags in PATTERNS:
            if method == wanted and (found := pattern.fullmatch(path)):
                worth = what and (visitor.session_id or "always" in flags)
                return self._deed(what, flags.split(), found.groupdict()) if worth else None
        known = {"method": method, "path": path[:MOST_PATH]}
        return Deed("other", facts=known, again=True) if visitor.session_id else None

    def _deed(self, what: str, flags: Sequence[str], named: Mapping[str, str]) -> Deed:
        subject = next((self._called(noun, name) for noun, name in named.items()), "")
        return Deed(what, subject, again="again" in flags, late="late" in flags)

    def keep(self, visitor: Visitor, deed: Deed, address: str = "") -> None:
        """It was done."""
        if deed.again and self._again(visitor.person_id, deed.what, deed.subject, deed.facts.get("path", "")):
            return
        subject = self._called("invitation", "") if deed.late else deed.subject
        facts = json.dumps(dict(deed.facts), ensure_ascii=False)
        self._people.record(visitor, deed.what, subject[:MOST_NAME], facts, address)

    def _again(self, *of: str) -> bool:
        now = self._clock()
        with self._lock:
            before = self._lately.get(of)
            if before is not None and now - before <= AGAIN_SECONDS:
                return True
            self._lately.pop(of, None)  # so that the oldest come first
            self._lately[of] = now
            while len(self._lately) > MOST_KEPT:
                del self._lately[next(iter(self._lately))]
            return False

    def shared(self, visitor: Visitor, way: Way, on: bool, address: str = "") -> None:
        """A way in was opened or closed."""
        self._people.record(visitor, f"sharing.{'on' if on else 'off'}.{way}", address=address)

    def came(self, visitor: Visitor, how: str, address: str) -> None:
        """Somebody has a session from now on. `how`: sign_in | invitation.accept"""
        self._people.record(visitor, how, address=address)

    def refused(self, way: Way, address: str) -> None:
        """Somebody's sign-in was refused: a row for the first, and a number in it for those of the next hour."""
        with self._lock:
            count = self._refused.get(way)
            if count is None or self._clock() - count.began > COUNT_SECONDS:
                self._write_count(count)
                row = self._store.people.record(
                    person_id="", name="", role="", way=way, address=address, what="sign_in.refused",
                    facts='{"count": 1}',
                )  # fmt: skip
                self._refused[way] = _Count(row, self._clock())
                return
            count.tries += 1
            if count.tries & (count.tries - 1) == 0:  # 2, 4, 8 …: ten thousand tries are no ten thousand writes
                self._write_count(count)

    def _write_count(self, count: "_Count | None") -> None:
        if count is not None and count.tries != count.written:
            self._store.people.amend(count.row, json.dumps({"count": count.tries}))
            count.written = count.tries

    def close(self) -> None:
        with self._lock:
            for count in self._refused.values():
                self._write_count(count)

    # ------------------------------------------------------------------------------------------ what things are called
    def _called(self, noun: str, name: str) -> str:
        """The name of a thing as people know it; "" where there is none."""
        try:
            return _CALLED[noun](self._store, name)
        except NotFound:
            return ""

    # ------------------------------------------------------------------------------------------ reading
    def list(self, before: int | None, limit: int, lang: str) -> View:
        """{entries: [{id, at, name, role, way, address, what, subject, text}], next}; newest first. `next` is the
        `before` of what follows, None at the end."""
        self.close()
        rows = self._store.people.audit(before, limit)
        names = ("id", "at", "name", "role", "way", "what", "subject")
        return {
            "entries": [
                {name: row[name] for name in names}
                # who comes by a tunnel seems to come from here: that would tell nothing, or something wrong
                | {"address": "" if row["address"] in LOOPBACK else row["address"], "text": self._text(row, lang)}
                for row in rows
            ],
            "next": rows[-1]["id"] if len(rows) == limit else None,
        }

    def _text(self, row: Mapping[str, Any], lang: str) -> str:
        said = {"name": row["subject"] or "…", **json.loads(row["facts"])}
        key = f"audit.{row['what']}"
        if row["what"] == "sign_in.refused" and said["count"] == 1:
            key += ".one"
        return self._words.text(key, lang, **said)


@dataclass
class _Count:
    row: int
    began: float
    tries: int = 1
    written: int = 1


def _scene(store: Store, scene_id: str) -> str:
    row = store.queues.scene(scene_id)
    title = title_of(row.scene.label, row.scene.prompt or " ".join(line.text for line in row.scene.lines))
    return f"{store.queues.get(row.queue_id).name} · {row.position + 1} · {title}"


def _queue(store: Store, queue_id: str) -> str:
    return store.queues.get(queue_id).name


def _review(store: Store, review_id: str) -> str:
    return _queue(store, store.reviews.get(review_id)["queue_id"])


def _invitation(store: Store, invitation_id: str) -> str:
    """What the owner noted about it; else whose it is. Without an id: the newest."""
    row = store.people.invitation_of(invitation_id) if invitation_id else store.people.invitations()[0]
    return str(row["note"] or row["role"])


def _session(store: Store, session_id: str) -> str:
    return next((str(row["name"]) for row in store.people.sessions() if row["id"] == session_id), "")


_CALLED: Mapping[str, Callable[[Store, str], str]] = {
    "queue": _queue,
    "scene": _scene,
    "take": lambda store, name: _scene(store, store.takes.get(name).scene_id),
    "export": lambda store, name: _queue(store, store.takes.export(name)["queue_id"]),
    "review": _review,
    "comment": lambda store, name: _review(store, store.reviews.comment(name)["review_id"]),
    "voice": lambda store, name: store.voices.get(name).name,
    "preset": lambda store, name: str(store.presets.get(name)["name"]),
    "person": lambda store, name: str(store.people.get(name)["name"]),
    "invitation": _invitation,
    "session": _session,
    "word": lambda store, name: name,
}
