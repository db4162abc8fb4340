"""Components that engines share: one text encoder for all models that name the same part. Lives in the worker.

Counted: a component goes when the last engine that borrowed it gives it back.
"""

from collections.abc import Callable, Hashable
from typing import Any


class Pool:
    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Any, int]] = {}  # key -> component, borrowers

    def borrow(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The component behind a key (repository, revision, folder, precision), made on first use."""
        component, count = self._held[key] if key in self._held else (make(), 0)
        self._held[key] = component, count + 1
        return component

    def give_back(self, key: Hashable) -> None:
        component, count = self._held.pop(key)
        if count > 1:
            self._held[key] = component, count - 1
