"""What each role may do: one table, read by the door before anything else sees a request. Knows no person and no host.

Who is not named here may do nothing: a reviewer has only what is listed, an editor all but the owner's. A route that is
added is the editors' and the owner's until somebody writes otherwise here.
"""

import re
from collections.abc import Sequence

from studio.domain import Role

READ = ("GET", "HEAD")
WRITE = ("POST", "PUT", "PATCH", "DELETE")
ANY = (*READ, *WRITE)

OPEN = re.compile(  # before signing in; they tell nothing about the library
    r"/sign-in|/invite/[\w-]{1,100}|/health|/healthz|/ready|/ui/app/[\w.-]+|/ui/favicon\.svg|/manifest\.webmanifest"
)

EVERYBODY: Sequence[tuple[Sequence[str], str]] = (  # who is signed in
    (("POST",), r"/sign-out"),
    (("GET", "PATCH"), r"/api/me"),
    (READ, r"/api/dictionary"),
)
REVIEWER: Sequence[tuple[Sequence[str], str]] = (
    (READ, r"/review(/[^/]+)?"),
    (READ, r"/api/reviews(/[^/]+)?"),
    (READ, r"/api/reviews/[^/]+/versions/\d+/(film|poster\.jpg|subtitles\.vtt|scenes/[^/]+/poster\.jpg)"),
    (("POST",), r"/api/reviews/[^/]+/comments"),
    (("PUT",), r"/api/reviews/[^/]+/verdict"),
    (READ, r"/api/comments/[^/]+/frame"),
    (("DELETE",), r"/api/comments/[^/]+"),  # their own
)
OWNER: Sequence[tuple[Sequence[str], str]] = (  # and nobody else
    (ANY, r"/api/(people|invitations|sessions|sharing|audit)(/.*)?"),
    (ANY, r"/api/preferences(/.*)?"),  # keys, folders, programs of this computer
    (WRITE, r"/api/(hooks|deliveries)(/.*)?"),
    (WRITE, r"/api/(catalogue|storage|installations|memory/measure)(/.*)?"),  # what is on the disk, licences
    (WRITE, r"/api/models/download"),  # the same, as a peer's programs ask for it
    (ANY, r"/api/folders"),
)


def is_open(path: str) -> bool:
    """May everybody see it who can address us?"""
    return OPEN.fullmatch(path) is not None


def allowed(role: Role, method: str, path: str) -> bool:
    if is_open(path) or _listed(EVERYBODY, method, path):
        return True
    if role == "reviewer":
        return _listed(REVIEWER, method, path)
    return role == "owner" or not _listed(OWNER, method, path)


def _listed(table: Sequence[tuple[Sequence[str], str]], method: str, path: str) -> bool:
    return any(method in methods and re.fullmatch(pattern, path, re.DOTALL) for methods, pattern in table)
