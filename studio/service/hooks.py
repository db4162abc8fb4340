"""Hooks: where the studio tells that something happened, and the outbox that brings it there.

A delivery was written with what it tells (studio.store.notices). `send_due` tries what is due; what fails is tried
again with growing delays, after a restart too, so a message may arrive twice and says so by its X-Lanterna-Delivery.
Clock and transport are arguments. Knows no screen.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from studio.domain import Language, new_id
from studio.errors import Forbidden, Refused, StudioError, Unavailable
from studio.media.fetch import Posted, check_url
from studio.service.messages import TELEGRAM, HookKind, Message, callback, message
from studio.service.views import View
from studio.service.words import Words
from studio.settings import Settings
from studio.store import Store
from studio.store.notices import Delivery, Hook, HookEvent, moment

log = logging.getLogger(__name__)

Transport = Callable[..., Posted]  # studio.media.fetch.post
SECONDS = 10.0  # that one try may take
# Between two tries, in seconds: to a hook for a day, to a callback as often and as fast as SkyReels does.
HOOK_DELAYS = (10, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
CALLBACK_DELAYS = (1, 2)
TRY_AGAIN = {408, 425, 429}  # the answers below 500 that mean "later"
TOKEN = 16  # characters; a word in an address is shorter
LONGEST_WAIT = 3600.0  # that the other side may ask for


Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]


class HookFields(BaseModel):
    """A hook as somebody writes it down."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    kind: HookKind = "generic"
    name: Line = Field("", max_length=80)
    url: str = Field("", max_length=2000, description="ntfy: with its topic; telegram: may stay empty")
    target: Line = Field("", max_length=120, description="telegram: the chat's id")
    secret: Line = Field("", max_length=400, description="generic: signs; ntfy and telegram: the token")
    local: StrictBool = Field(False, description="it is on this computer or in my own network")
    lang: Language = "en"
    events: list[HookEvent] = Field(["first_failure", "stall", "finish"], min_length=1, max_length=3)


class Hooks:
    def __init__(
        self, store: Store, words: Words, settings: Settings, post: Transport, clock: Callable[[], float] = time.time,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._store, self._words, self._settings, self._post, self._clock = store, words, settings, post, clock
        self._alone = alone  # can nobody but this computer address us?

    # ------------------------------------------------------------------------------------------ the list
    def list(self) -> list[View]:
        return [hook_view(hook) for hook in self._store.notices.hooks()]

    def create(self, values: Mapping[str, Any]) -> View:
        fields = self._checked(values)
        hook_id = self._store.notices.add_hook(fields.model_dump())
        return hook_view(self._store.notices.hook(hook_id))

    def update(self, hook_id: str, changes: Mapping[str, Any]) -> View:
        """What is not named stays; so does a secret that is sent back empty."""
        old = self._store.notices.hook(hook_id)
        known = {name: getattr(old, name) for name in HookFields.model_fields}
        changes = {name: value for name, value in changes.items() if value != "" or name not in ("secret", "url")}
        fields = self._checked({**known, **changes})
        if urlsplit(fields.url)[:2] != urlsplit(old.url)[:2] and "secret" not in changes:
            fields = self._checked({**known, **changes, "secret": ""})  # a key goes only where its owner sends it
        self._store.notices.change_hook(hook_id, fields.model_dump())
        return hook_view(self._store.notices.hook(hook_id))

    def delete(self, hook_id: str) -> None:
        self._store.notices.hook(hook_id)
        self._store.notices.delete_hook(hook_id)

    def _checked(self, values: Mapping[str, Any]) -> HookFields:
        try:
            fields = HookFields.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            raise Refused("hook.field", field=str(first["loc"][0]), reason=first["msg"]) from error
        if fields.kind == "telegram":
            fields.url = fields.url or TELEGRAM
            for name in ("secret", "target"):
                if not getattr(fields, name):
                    raise Refused("hook.telegram", field=name)
        check_url(fields.url)
        if fields.kind == "ntfy" and not fields.secret.isascii():  # it stands in a header
            raise Refused("hook.field", field="secret", reason="ASCII")
        if fields.local and not (self._settings.local_only and self._alone()):
            raise Forbidden("hook.local")
        return fields

    # ------------------------------------------------------------------------------------------ sending
    def test(self, hook_id: str) -> View:
        """Send a notice that says it is a test, now. Raises what went wrong."""
        hook = self._store.notices.hook(hook_id)
        at = moment(self._clock())
        counts = {"scenes": 3, "done": 3, "failed": 0, "cancelled": 0, "left": 0}
        run = {"id": "", "state": "test", "started": at, "ended": at, "counts": counts, "seconds": 0}
        queue = {"id": "", "name": "Lanterna", "code": "", "project": "", "inbox": 0}
        body = {"kind": "finished", "at": at, "queue": queue, "run": run, "failed": []}
        delivery = Delivery(new_id(), hook_id, None, "test", "", body, 0, at, "waiting", None, at, None)
        answer = self._send(message(self._words, delivery, hook, self._settings.address), home=hook.local)
        if (failed := _failure(answer, hook.url)) is not None:
            raise failed
        return {"status": answer.status}

    def send_due(self) -> int:
        """Try every delivery that is due; how many arrived. One that hangs costs SECONDS, and then waits its turn."""
        arrived = 0
        for delivery in self._store.notices.due(moment(self._clock())):
            arrived += self._try(delivery)
        return arrived

    def _try(self, delivery: Delivery) -> bool:
        try:
            if delivery.hook_id:
                hook = self._store.notices.hook(delivery.hook_id)
                carried, home = message(self._words, delivery, hook, self._settings.address), hook.local
            else:
                carried, home = callback(delivery, self._webhook_secret()), False
            answer = self._send(carried, home=home)
        except Unavailable as error:
            self._again(delivery, error, None)
            return False
        except StudioError as error:  # a private address, an address that is none: trying again changes nothing
            self._over(delivery, error)
            return False
        failed = _failure(answer, carried.url)
        if failed is None:
            self._store.notices.attempted(delivery.id, state="sent")
            return True
        if answer.status >= 500 or answer.status in TRY_AGAIN:
            self._again(delivery, failed, answer.retry_after)
        else:
            self._over(delivery, failed)
        return False

    def _send(self, carried: Message, *, home: bool) -> Posted:
        return self._post(carried.url, carried.body, carried.headers, home=home, max_seconds=SECONDS)

    def _again(self, delivery: Delivery, error: StudioError, asked: float | None) -> None:
        delays = HOOK_DELAYS if delivery.hook_id else CALLBACK_DELAYS
        if delivery.attempts >= len(delays):
            self._over(delivery, error)
            return
        wait = max(float(delays[delivery.attempts]), min(asked or 0.0, LONGEST_WAIT))
        next_at = moment(self._clock() + wait)
        self._store.notices.attempted(delivery.id, state="waiting", error=error.as_dict(), next_at=next_at)

    def _over(self, delivery: Delivery, error: StudioError) -> None:
        log.warning("a message was not delivered: %s", error)
        self._store.notices.attempted(delivery.id, state="failed", error=error.as_dict())

    def _webhook_secret(self) -> str:
        secret = self._settings.webhook_secret
        return secret.get_secret_value() if secret else ""

    # ------------------------------------------------------------------------------------------ the outbox
    def deliveries(self, limit: int = 100) -> Sequence[View]:
        """What was sent and what still waits, newest first."""
        names = {hook.id: hook for hook in self._store.notices.hooks()}
        return [_delivery_view(row, names.get(row.hook_id or "")) for row in self._store.notices.deliveries(limit)]


def _failure(answer: Posted, url: str) -> StudioError | None:
    if 200 <= answer.status < 300:
        return None
    return Unavailable("hook.answered", host=urlsplit(url).hostname or "", status=answer.status)


# ------------------------------------------------------------------------------------------------ what may be seen
def hook_view(hook: Hook) -> View:
    """Secrets stay here: whether there is one is all that is told."""
    names = ("id", "kind", "name", "target", "local", "lang", "created")
    return {
        **{name: getattr(hook, name) for name in names},
        "events": list(hook.events),
        "url": masked(hook.url, hook.kind),
        "has_secret": bool(hook.secret),
    }


def masked(url: str, kind: str) -> str:
    """An address without what opens it: user, password, query, and whatever in its path could be a token."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    known = 3 if kind == "discord" else -1  # /api/webhooks/<number>/<token>
    path = "/".join(
        "•••" if part and (len(part) >= TOKEN or 0 <= known < place) else part
        for place, part in enumerate(parts.path.split("/"))
    )
    return urlunsplit((parts.scheme, netloc, path, "•••" if parts.query else "", ""))


def _delivery_view(row: Delivery, hook: Hook | None) -> View:
    names = ("id", "hook_id", "run_id", "event", "attempts", "next_at", "state", "error", "created", "ended")
    to = masked(hook.url if hook else row.url, hook.kind if hook else "generic")
    return {**{name: getattr(row, name) for name in names}, "to": (hook.name if hook else "") or to}
