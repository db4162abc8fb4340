"""Components that engines share: one text encoder for all models that name the same part. Lives in the worker.

Counted: a component goes when the last engine that borrowed it gives it back. A shared component has one placement at a
time: two would both believe that its weights are theirs to move. Knows no model and no torch.
"""

from collections.abc import Callable, Hashable
from typing import Any


class Pool:
    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Any, int]] = {}  # key -> component, borrowers
        self._placed: dict[Hashable, tuple[Hashable, Any]] = {}  # key -> how, placement

    def borrow(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The component behind a key (repository, revision, folder, precision), made on first use."""
        component, count = self._held[key] if key in self._held else (make(), 0)
        self._held[key] = component, count + 1
        return component

    def give_back(self, key: Hashable) -> None:
        component, count = self._held.pop(key)
        if count > 1:
            self._held[key] = component, count - 1
        else:
            self.displace(key)

    def peek(self, key: Hashable) -> Any | None:
        """The component, if somebody has borrowed it."""
        return self._held[key][0] if key in self._held else None

    def place(self, key: Hashable, how: Hashable, make: Callable[[Any], Any]) -> Any:
        """The placement of a borrowed component; another one than before where it is wanted in another way."""
        if key not in self._placed or self._placed[key][0] != how:
            self.displace(key)
            self._placed[key] = how, make(self._held[key][0])
        return self._placed[key][1]

    def placement(self, key: Hashable) -> Any | None:
        """The one it has now."""
        return self._placed[key][1] if key in self._placed else None

    def displace(self, key: Hashable) -> None:
        """The component lies in RAM again as it was read."""
        if key in self._placed:
            self._placed.pop(key)[1].close()
