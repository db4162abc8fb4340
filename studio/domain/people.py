"""Who may come in, and how they came: roles, ways, visitors. Knows no password, no host and no route."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["owner", "editor", "reviewer"]
"""owner: everything; editor: everything but people, sharing, settings and what is gone for ever; reviewer: the films
that are open for review, and nothing else."""

Way = Literal["local", "lan", "share", "proxy"]
"""How a request reached us, by the name it was addressed to: this computer, a network card, the tunnel, a proxy."""

ROLES: tuple[Role, ...] = ("owner", "editor", "reviewer")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request. At home (nothing shared, no password) that is the owner, without a session."""

    person_id: str  # "" at home and for the command line
    name: str  # "" at home
    role: Role
    way: Way
    session_id: str = ""
    queue_id: str | None = None  # a reviewer who was invited to one film

    def may_review(self, queue_id: str) -> bool:
        return self.queue_id is None or self.queue_id == queue_id
