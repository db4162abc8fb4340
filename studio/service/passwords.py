"""Passwords: kept as argon2 hashes, compared one at a time, and guessing them is slowed down. Knows no person."""

import secrets
from collections import deque
from collections.abc import Callable
from functools import cached_property
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from studio.domain import Way
from studio.errors import Refused, TooOften

TRIES, TRY_SECONDS = 5, 60.0  # wrong ones per address before it has to wait
ALL_TRIES = 40  # in the same time by one way: behind a tunnel every visitor has one address, or a thousand
SHORTEST, MOST_PASSWORD = 8, 1024  # characters


class Passwords:
    """`_trying` lets one be compared at a time and protects the failures: guesses that come at once are counted."""

    def __init__(self, clock: Callable[[], float], hasher: PasswordHasher | None = None) -> None:
        self._clock, self._hasher = clock, hasher or PasswordHasher()
        self._failures: dict[tuple[Way, str], deque[float]] = {}
        self._trying = Lock()

    @cached_property
    def _nobodys(self) -> str:
        """What is compared where nobody has that name: that takes as long as a wrong password."""
        return self._hasher.hash(secrets.token_urlsafe(16))

    def chosen(self, password: str) -> str:
        """The hash of a new one. Raises Refused where it is too short."""
        if not SHORTEST <= len(password) <= MOST_PASSWORD:
            raise Refused("people.password", least=SHORTEST, most=MOST_PASSWORD)
        return self.hashed(password)

    def hashed(self, password: str) -> str:
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def is_right(self, kept: str, password: str, way: Way, who: str) -> bool:
        """`kept`: the hash, "" where there is none; `who`: an address, or a person. Raises TooOften("sign_in.wait",
        seconds)."""
        with self._trying:
            self._slow_down(way, who)
            right = self.matches(kept or self._nobodys, password) and bool(kept)
            if right:
                self._failures.pop((way, who), None)
            else:
                self._failures.setdefault((way, who), deque(maxlen=ALL_TRIES)).append(self._clock())
            return right

    def matches(self, kept: str, password: str) -> bool:
        """Without counting: for what the settings say."""
        try:
            return self._hasher.verify(kept, password[:MOST_PASSWORD].encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False

    def _slow_down(self, way: Way, who: str) -> None:
        """Counted by way: who guesses through the tunnel does not lock out whoever sits here."""
        since = self._clock() - TRY_SECONDS
        for known in list(self._failures):
            recent = self._failures[known]
            while recent and recent[0] <= since:
                recent.popleft()
            if not recent:
                del self._failures[known]
        mine = self._failures.get((way, who), deque())
        by_way = [recent for known, recent in self._failures.items() if known[0] == way]
        if len(mine) >= TRIES or sum(map(len, by_way)) >= ALL_TRIES:
            oldest = mine[0] if len(mine) >= TRIES else min(recent[0] for recent in by_way)
            raise TooOften("sign_in.wait", seconds=max(1, int(oldest - since) + 1))
