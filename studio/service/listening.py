"""What is said in recordings and takes, heard by a model where one is here. Asks the worker; loads nothing itself.

One thread listens to what nobody has listened to yet: recordings that speak for scenes, for their subtitles, and lines
that a real engine spoke, for words that are missing. It works in a process of its own, which goes when it is idle.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from pydantic import ValidationError

from studio.domain import Language, Line
from studio.errors import NotFound, Refused, StudioError, Unavailable
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.parts import Shelf, one_look
from studio.runner import Runner
from studio.service.library import Library
from studio.service.missing import missing_words
from studio.service.views import View
from studio.store import Store

log = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
PATIENCE_SECONDS = 20.0  # that somebody who asks waits for what is being heard
LAST_SECONDS = 3.0  # that closing the studio waits
JOB = "listening"  # what is heard by itself, for `cancel`


class Listening:
    def __init__(self, store: Store, runner: Runner, library: Library) -> None:
        self._store, self._runner, self._library = store, runner, library
        self._failed: set[str] = set()  # subjects that could not be heard; asked again after a restart
        self._asking = Lock()  # one at a time: a model is loaded once
        self._closing = Flag()
        self._thread = Thread(target=self._go_round, name="listening", daemon=True)

    @property
    def model(self) -> str | None:
        """The best model that listens and is here."""
        shelf = Shelf.here()
        with one_look():
            able = [cls for cls in map(engine_class, ENGINES) if cls.serves == "listening"]
            return next((cls.id for cls in able if all(shelf.find(part) for part in cls.parts)), None)

    # ------------------------------------------------------------------------------------------ the verbs
    def transcribe(self, ref: str, language: Language | None = None, *, trusted: bool = False) -> View:
        """{language, text, words: [[start, end, word]], model} of a recording, a film or a scene's take. What was heard
        once is kept. Raises Refused("listening.no_model"), Unavailable("listening.busy")."""
        path, _ = self._library.sounding(ref, trusted=trusted)
        subject = ref if ref.startswith("asset:") else ""
        known = self._store.voices.transcripts([subject]).get(subject) if subject else None
        if known and (language in (None, known["language"])) and known["model"] == (self.model or known["model"]):
            return _view(known)
        found = self._hear(path, language, "")
        if subject:
            self._store.voices.heard(subject, found)
        return _view(found)

    def of_take(self, take_id: str) -> View:
        """What was heard in a take, and what was to be said and was not. Raises NotFound("listening.nothing")."""
        self._store.takes.get(take_id)
        subject = f"take:{take_id}"
        found = self._store.voices.transcripts([subject]).get(subject)
        if found is None:
            raise NotFound("listening.nothing")
        return {**_view(found), "missing": found["missing"]}

    # ------------------------------------------------------------------------------------------ by itself
    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Before the workers go: what is being heard is heard again after the next start."""
        self._closing.set()
        for executor in self._runner.lanes.listening:
            executor.cancel(JOB)
        if self._thread.is_alive():
            self._thread.join(timeout=LAST_SECONDS)

    def _go_round(self) -> None:
        while not self._closing.wait(ROUND_SECONDS):
            try:
                while not self._closing.is_set() and self.beat():
                    pass
                self._rest()
            except Exception:  # a full disk, a closed database: the next round tries again
                if not self._closing.is_set():
                    log.exception("listening")

    def beat(self) -> bool:
        """Listen to one thing that nobody has listened to; False: there is none, or no model."""
        if not self._runner.lanes.listening or self.model is None:
            return False
        subject = next((one for one in self._store.voices.unheard() if one not in self._failed), None)
        if subject is None:
            return False
        try:
            self._store.voices.heard(subject, self._heard(subject))
        except StudioError as error:
            self._failed.add(subject)
            log.warning("%s was not heard: %s", subject, error.code)
        return True

    def _heard(self, subject: str) -> Mapping[str, Any]:
        kind, _, name = subject.partition(":")
        if kind == "asset":
            return self._hear(self._library.file(name), None, JOB)
        take = self._store.takes.get(name)
        if not take.path.is_file():
            raise NotFound("take.file_gone", name=take.path.name)
        try:
            line = Line.model_validate(self._store.takes.settings(name)["lines"][0])
        except (LookupError, TypeError, ValidationError) as error:  # of another program
            raise NotFound("listening.nothing") from error
        language = line.language or take.facts.get("language")
        found = self._hear(take.path, str(language) if language else None, JOB)
        return {**found, "missing": missing_words(line.text, found["text"])}

    def _hear(self, path: Path, language: str | None, job: str) -> dict[str, Any]:
        model, places = self.model, self._runner.lanes.listening
        if model is None or not places:
            raise Refused("listening.no_model")
        order = {"path": str(path), "model": model, "language": language}
        if not self._asking.acquire(timeout=-1 if job else PATIENCE_SECONDS):  # who waits holds a thread of the server
            raise Unavailable("listening.busy")
        try:
            return dict(self._runner.ask(places[0], "transcribe", order, job_id=job))
        finally:
            self._asking.release()

    def _rest(self) -> None:
        """The process and the model in it go; the next thing to hear brings them back."""
        for executor in self._runner.lanes.listening:
            executor.rest()


def _view(found: Mapping[str, Any]) -> View:
    return {name: found[name] for name in ("language", "text", "words", "model")}
