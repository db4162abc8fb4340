"""What is said about one field of one scene: a problem, or a note on how it was translated. A code that has words."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a field cannot be taken as it is; as a note: what was made of it."""

    field: str
    code: str
    params: Mapping[str, Any] = made_by(default_factory=dict)
