"""The names under which browsers may reach the studio, and the way that each of them is. Knows no request."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from studio.domain import Way

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class Hosts:
    """Names come and go while the studio runs: the share host is one only while sharing."""

    def __init__(self, names: Mapping[str, Way] | None = None) -> None:
        self._ways: dict[str, Way] = {name.lower(): way for name, way in (names or {}).items()}
        self._ways |= dict.fromkeys(LOOPBACK_NAMES, "local")

    def add(self, name: str, way: Way) -> None:
        if name.lower() not in LOOPBACK_NAMES:
            self._ways[name.lower()] = way

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            if name.lower() not in LOOPBACK_NAMES:
                self._ways.pop(name.lower(), None)

    def names(self, way: Way) -> list[str]:
        return [name for name, known in self._ways.items() if known == way]

    @property
    def alone(self) -> bool:
        """Nobody but a browser on this computer can address us."""
        return set(self._ways.values()) == {"local"}

    def way(self, host: str) -> Way | None:
        """`host` as the header has it, with or without a port; None: not one of ours."""
        try:
            parts = urlsplit("//" + host)
            parts.port  # noqa: B018  raises when it is no number
        except ValueError:
            return None
        if parts.netloc != host or "@" in host:
            return None
        return self._ways.get(parts.hostname or "")
