"""What a check of the doctor finds. A module for each place it looks at: the machine, the studio, what is around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from studio.settings import Settings

State = Literal["ok", "warn", "bad"]
Check = Callable[[Settings], Iterator["Found"]]


@dataclass(frozen=True, slots=True)
class Found:
    """`what` is the name of the thing (its words: doctor.<what>), `value` what was seen; words of the cure:
    doctor.<cure>, filled from `params`."""

    state: State
    what: str
    value: str
    cure: str = ""
    params: tuple[tuple[str, Any], ...] = ()
