"""Sharing: which ways lead in at the moment, switched on and off while the studio runs. Knows no listener, no cookie.

The ways themselves come from the composition root (studio.reach). What is kept here is what the door asks about: the
names of a way are known from the moment it is open, and forgotten before it is closed.
"""

import io
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from studio.domain import Way
from studio.errors import Conflict, Refused, StudioError, Unavailable
from studio.reach import Reach, Standing
from studio.service.people import People
from studio.service.views import View
from studio.store.database import now

log = logging.getLogger(__name__)

WAYS: tuple[Way, ...] = ("share", "lan", "proxy")
MOST_QR = 500  # characters: a phone still reads it from a screen

Said = Callable[[Way, Standing], None]


@dataclass
class _Switch:
    """One way, as it stands."""

    reach: Reach
    on: bool = False  # as it is wished
    standing: Standing = field(default_factory=lambda: Standing("off"))
    since: str | None = None
    turn: int = 0  # what is told of an earlier opening does not count any more


class Sharing:
    """`_turning` lets one switch be turned at a time and is taken first; `_lock` protects what stands here and is held
    for moments: a way tells from threads of its own."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._switches: dict[Way, _Switch] = {}
        self._said: Said = lambda way, standing: None
        self._turning, self._lock = Lock(), Lock()

    def use(self, ways: Mapping[Way, Reach], said: Said | None = None) -> None:
        """The ways that this studio has. `said` hears of every change, from any thread."""
        self._switches = {way: _Switch(reach) for way, reach in ways.items()}
        self._said = said or self._said

    # ------------------------------------------------------------------------------------------ reading
    def view(self) -> View:
        """{at_home, has_owner, ways: [{way, state: off|opening|on|failed, on, url, urls, since, error, possible,
        why_not}], sessions}. `on` is what is wished, `state` what is; errors as {code, params}."""
        return {
            "at_home": self._people.at_home,
            "has_owner": self._people.has_owner(),
            "ways": [self._view(way) for way in WAYS],
            "sessions": self._people.inside(),
        }

    def _view(self, way: Way) -> View:
        why_not = self._why_not(way)
        with self._lock:
            switch = self._switches.get(way)
            standing = switch.standing if switch else Standing("off")
            return {
                "way": way, "state": standing.state, "on": bool(switch and switch.on),
                "url": next(iter(standing.urls), None), "urls": list(standing.urls),
                "since": switch.since if switch else None,
                "error": standing.error.as_dict() if standing.error else None,
                "possible": why_not is None, "why_not": why_not.as_dict() if why_not else None,
            }  # fmt: skip

    def _why_not(self, way: Way) -> StudioError | None:
        switch = self._switches.get(way)
        return switch.reach.why_not() if switch else Unavailable("sharing.not_served")

    def opening(self, way: Way) -> bool:
        with self._lock:
            return way in self._switches and self._switches[way].standing.state == "opening"

    # ------------------------------------------------------------------------------------------ switching
    def switch(self, way: Way, on: bool) -> bool:
        """On or off; False: it was so already. Raises Conflict: "sharing.no_owner" before anybody has a password to
        come in with, or why this way cannot be opened."""
        with self._turning:
            if not on:
                return way in self._switches and self._close(way)
            if why_not := self._why_not(way):
                raise Conflict(why_not.code, **why_not.params)
            return self._open(way)

    def _open(self, way: Way) -> bool:
        if not self._people.has_owner():
            raise Conflict("sharing.no_owner")
        switch = self._switches[way]
        with self._lock:
            if switch.on and switch.standing.state != "failed":
                return False
            switch.on, switch.turn = True, switch.turn + 1
            turn = switch.turn
        log.info("sharing is switched on: %s", way)
        switch.reach.close()  # one that failed, or waits to be tried again
        switch.reach.open(lambda standing: self._stands(way, turn, standing))
        return True

    def _close(self, way: Way) -> bool:
        """In this order: the door knows its names no more, its sessions are over, nothing listens any more."""
        switch = self._switches[way]
        with self._lock:
            if not switch.on and switch.standing.state == "off":
                return False
            switch.on, switch.turn = False, switch.turn + 1
        log.info("sharing is switched off: %s", way)
        self._stands(way, switch.turn, Standing("off"))
        self._people.end_way(way)
        switch.reach.close()
        return True

    def _stands(self, way: Way, turn: int, standing: Standing) -> None:
        """What a way tells of itself."""
        hosts = self._people.hosts
        with self._lock:
            switch = self._switches[way]
            if turn != switch.turn:
                return
            hosts.remove(set(hosts.names(way)) - set(standing.names))
            for name in standing.names:
                hosts.add(name, way)
            if standing.state != "on":
                switch.since = None
            elif switch.standing.state != "on":
                switch.since = now()
            switch.on = switch.on and (standing.error is None or standing.again)
            switch.standing = standing
        self._said(way, standing)

    def start(self, wished: Collection[Way]) -> None:
        """What the settings want to be open from the start; who came by another way has to sign in anew. A link or a
        network that cannot be had is told, and the studio goes on without; an address that is not ours is raised."""
        for way in WAYS:
            if way not in wished:
                self._people.end_way(way)
                continue
            with self._turning:
                self._open(way)
            standing = self._switches[way].standing
            if way == "lan" and standing.error and not standing.again:
                raise standing.error

    def close(self) -> None:
        """The studio ends. Sessions stay: who was signed in still is when the same way is open again."""
        with self._turning:
            for way, switch in self._switches.items():
                with self._lock:
                    switch.on, switch.turn = False, switch.turn + 1
                self._stands(way, switch.turn, Standing("off"))
                switch.reach.close()

    # ------------------------------------------------------------------------------------------ for phones
    def qr(self, text: str) -> bytes:
        """An address of this studio as a picture that a phone reads: an SVG. Raises Refused for any other text."""
        import segno

        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        ours = parts.scheme in ("http", "https") and self._people.hosts.way(parts.netloc) is not None
        if not ours or len(text) > MOST_QR or not text.isprintable() or " " in text:
            raise Refused("sharing.not_ours")
        drawn = io.BytesIO()
        segno.make(text, error="m", micro=False).save(
            drawn, kind="svg", border=3, dark="#000", light="#fff", omitsize=True
        )
        return drawn.getvalue()
