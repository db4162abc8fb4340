"""Speech from somebody else's computer: one question for each sentence, asked again only where that costs nothing.

What is paid for is written into the job before it is sent. An order whose answer never came is not sent again by
itself: who runs the line anew decides that. Addresses and keys come from the settings, by environment; a key stands in
no log, error or take. Knows no service: those are one module each.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from studio.domain import JSON
from studio.errors import Cancelled, Conflict, EngineError, Refused, StudioError, TooLarge, Unavailable
from studio.media.fetch import Answered, ask
from studio.media.files import write_small
from studio.pipelines.base import Availability, Machine, Made, Run
from studio.pipelines.speech.engine import SpeechEngine, Words

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

TRIES = 4  # of a question that costs nothing to ask again
LONGEST_WAIT = 60.0  # seconds before it is asked again, whatever the other side wishes
MAX_BYTES = 100_000_000  # of an answer: ten minutes at 48 kHz, written out in base64
LOOK = 0.2  # seconds between two looks at the cancel
SENT = "sent"  # an order of which nobody has heard since
SAYING = ("detail", "error", "message", "msg")  # where services say what was wrong, from the outside in
TOLD = ("character-cost", "content-type", "request-id", "x-request-id", "x-custom-header-samplerate")  # headers


class Remote(SpeechEngine):
    """Subclass it, name the service and its settings, and write `say` with `question`."""

    lane = "net"
    service: ClassVar[str]  # as people call it
    key: ClassVar[str] = ""  # the setting that holds its key; empty: it needs none
    key_needed: ClassVar[bool] = True
    address: ClassVar[str]  # the setting that holds its address
    usual: ClassVar[str] = ""  # the address where the user sets none; empty: he must
    example: ClassVar[str] = ""
    most_seconds: ClassVar[float] = 180.0  # for one sentence

    def __init__(self, wait: Callable[[float], None] = time.sleep) -> None:
        self._wait = wait
        self._characters, self._credits = 0, 0.0  # sent in this run, and what the service counted for them

    def availability(self, machine: Machine) -> Availability:
        if not self._base():
            params = {"service": self.service, "setting": self.address, "example": self.example}
            return Availability("unfit", "remote.no_address", params)
        if self.key and self.key_needed and not setting(self.key):
            return Availability("unfit", "remote.no_key", {"service": self.service, "setting": self.key})
        return Availability()

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        self._characters, self._credits = 0, 0.0
        made = super().run(scene, options, run)
        facts: dict[str, JSON] = {"service": self.service, "characters": self._characters}
        if self._credits:
            facts["credits"] = self._credits
        return replace(made, facts={**made.facts, **facts})

    def revision(self) -> str:
        """Of the address: another server speaks otherwise."""
        return hashlib.sha256(self._base().encode()).hexdigest()[:16]

    def made_by(self) -> dict[str, JSON]:
        return {}  # whose address it is concerns nobody who gets the file

    def _base(self) -> str:
        return (setting(self.address) or self.usual).rstrip("/")

    def _headers(self) -> Mapping[str, str]:
        """How the key is shown."""
        return {}

    # ------------------------------------------------------------------------------------------ asking
    def order(self, words: Words, options: Any, path: str, run: Run, **request: Any) -> Answered:
        """Have one sentence spoken; where that costs money, never twice without somebody wanting it.
        `request`: json, or form and files, of media.fetch.ask."""
        if not self.costs_money:
            answer = self.question(path, run, **request)
        else:
            answer = self._paid(words, options, path, run, request)
        self._characters += len(words.text)
        self._credits += number(answer.headers.get("character-cost", ""))
        return answer

    def _paid(self, words: Words, options: Any, path: str, run: Run, request: Mapping[str, Any]) -> Answered:
        letters = _letters({**self._identity(words, options), "engine": self.id, "path": path})
        name, kept = f"order {letters}", run.kept.get(f"order {letters}")
        file = run.scratch(f"{letters}.answer")
        if isinstance(kept, dict) and file.is_file():
            return Answered(200, kept, file.read_bytes())
        if kept:
            raise self._in_doubt(words)
        try:
            answer = self.question(path, run, paid=lambda sent: run.keep(name, SENT if sent else None), **request)
        except _LostError as lost:
            raise self._in_doubt(words) from lost
        write_small(file, answer.content)
        run.keep(name, {header: answer.headers[header] for header in TOLD if header in answer.headers})
        return answer

    def _in_doubt(self, words: Words) -> Conflict:
        return Conflict("remote.in_doubt", service=self.service, text=words.text[:80])

    def question(
        self, path: str, run: Run, *, paid: Callable[[bool], None] | None = None, again: bool = True, **request: Any
    ) -> Answered:
        """Ask, again while that does no harm. `paid` hears True before an order is sent and False when it is known that
        nothing was charged. `again`: a question whose answer was lost may be asked once more.

        Raises _LostError where an order may have been carried out; Refused, EngineError."""
        for left in reversed(range(TRIES)):
            if paid:
                paid(True)
            trouble, wait, harmless = self._answered(path, run, request)
            if isinstance(trouble, Answered):
                return trouble
            if paid and not harmless:
                raise _LostError from trouble
            if paid:
                paid(False)
            if isinstance(trouble, Refused) or not left or not (again or harmless):
                raise trouble
            log.warning("%s: %s; asked again in %.0f s", self.service, trouble.code, wait or 2.0 ** (TRIES - left))
            self._pause(run, wait or 2.0 ** (TRIES - left))
        raise AssertionError

    def _answered(
        self, path: str, run: Run, request: Mapping[str, Any]
    ) -> tuple[Answered | StudioError, float | None, bool]:
        """The answer, or what came instead, the seconds the service asks us to wait, and whether nothing was done."""

        def going() -> None:
            if run.cancelled:
                raise Cancelled

        base = self._base()
        try:
            answer = ask(
                base + path, headers=self._headers(), home=bool(setting(self.address)), max_bytes=MAX_BYTES,
                max_seconds=self.most_seconds, going=going, **request,
            )  # fmt: skip
        except Refused as error:  # a bad or forbidden address; an answer without an end
            return error, None, not isinstance(error, TooLarge)
        except Unavailable as error:
            host, reason = urlsplit(base).hostname, error.params.get("reason", "")
            reason = reason or f"> {self.most_seconds:.0f} s"
            trouble = EngineError("remote.unreachable", service=self.service, host=host, reason=reason)
            trouble.__cause__ = error
            return trouble, None, not error.params["sent"]
        if 200 <= answer.status < 300:
            return answer, None, False
        if answer.status == 429:
            return EngineError("remote.busy", service=self.service), answer.retry_after, True
        if answer.status >= 500:
            return EngineError("remote.broken", service=self.service, status=answer.status), answer.retry_after, False
        return self._refusal(answer), None, True

    def _refusal(self, answer: Answered) -> Refused:
        if answer.status in (401, 403) and self.key:
            return Refused("remote.key", service=self.service, setting=self.key, reason=self._reason(answer))
        return Refused("remote.refused", service=self.service, status=answer.status, reason=self._reason(answer))

    def _reason(self, answer: Answered) -> str:
        """What the service says itself, short and without the key."""
        try:
            said: Any = json.loads(answer.content[:100_000])
        except (ValueError, RecursionError):
            return ""
        while isinstance(said, dict | list):
            inner = list(said.values()) if isinstance(said, dict) else said
            named = [said[name] for name in SAYING if name in said] if isinstance(said, dict) else []
            said = next(iter(named or inner), "")
        secret = setting(self.key) if self.key else ""
        text = str(said).replace(secret, "***") if secret else str(said)
        return text[:200]

    def _pause(self, run: Run, seconds: float) -> None:
        seconds = min(seconds, LONGEST_WAIT)
        while seconds > 0:
            if run.cancelled:
                raise Cancelled
            self._wait(min(LOOK, seconds))
            seconds -= LOOK


class _LostError(Exception):
    """An order was sent, and nobody knows what became of it."""


# ------------------------------------------------------------------------------------------------ small things
def setting(name: str) -> str:
    """What the user set, as settings.export tells it."""
    return os.environ.get(f"LANTERNA_{name.upper()}", "").strip()


def number(text: str) -> float:
    """Of a header; 0 where it is none."""
    return float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else 0.0


def sound_of(answer: Answered, rate: int, service: str, raw_rate: int) -> "np.ndarray":
    """(N,) float32 at `rate` of a WAV file, or of 16-bit mono samples at `raw_rate` without a head.
    Raises EngineError("remote.not_sound")."""
    import numpy as np

    kind = answer.headers.get("content-type", "").partition(";")[0]
    if not answer.content or kind in ("application/json", "text/html"):
        raise EngineError("remote.not_sound", service=service)
    if answer.content[:4] == b"RIFF":
        samples, found = _wav(answer.content, service)
    else:
        whole = answer.content[: len(answer.content) // 2 * 2]
        samples, found = np.frombuffer(whole, "<i2").astype(np.float32) / 32768, raw_rate
    if found != rate:
        import librosa

        samples = librosa.resample(samples, orig_sr=found, target_sr=rate)
    return np.asarray(samples, np.float32)


def _wav(content: bytes, service: str) -> "tuple[np.ndarray, int]":
    from io import BytesIO

    import soundfile

    try:
        samples, rate = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise EngineError("remote.not_sound", service=service) from error
    return samples.mean(axis=1), rate


def _letters(key: Mapping[str, JSON]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:24]
