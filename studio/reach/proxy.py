"""A proxy of the user's own that leads here: nothing is opened, its names only count or do not. Knows no request."""

from collections.abc import Sequence

from studio.errors import StudioError, Unavailable
from studio.reach import Standing, Told


class Proxy:
    def __init__(self, names: Sequence[str], path: str = "") -> None:
        """`names` under which it is called; `path` below which it has the studio."""
        self._names, self._path = tuple(names), path

    def why_not(self) -> StudioError | None:
        return None if self._names else Unavailable("sharing.no_proxy")

    def open(self, told: Told) -> None:
        told(Standing("on", tuple(f"https://{name}{self._path}" for name in self._names), self._names))

    def close(self) -> None:
        pass
