"""Ways by which others reach the studio, each opened and closed while it runs. Knows no visitor, no host list, no page.

A way says where it stands by calling `told`, from any thread and as often as that changes: a link may break and be
there again under another name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from studio.errors import StudioError

State = Literal["off", "opening", "on", "failed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """`names`: the hosts under which a browser may come while it is so; `error`: why it is not as it was wished;
    `again`: the way goes on trying by itself."""

    state: State
    urls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    error: StudioError | None = None
    again: bool = False


Told = Callable[[Standing], None]


class Reach(Protocol):
    """One way in."""

    def why_not(self) -> StudioError | None:
        """Why it cannot be opened on this computer; None: it can."""

    def open(self, told: Told) -> None:
        """Returns soon; what comes of it is told. Opening what is open changes nothing."""

    def close(self) -> None:
        """When it returns, nobody comes by this way any more, and nothing is told."""
