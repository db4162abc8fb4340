"""Named points where a test may kill the process or make a write fail. Does nothing unless LANTERNA_FAULT names one.

`LANTERNA_FAULT="writer.fsynced:2"` kills this process (SIGKILL) the second time it passes that point;
`"writer.fsynced:1:enospc"` raises OSError(ENOSPC) there instead; `:parent` kills the process that started this one, so
that the studio dies while its worker is at that point; `:both` kills the two, like a power cut. The points are listed
in POINTS, so that the kill rounds of tests/test_kill_rounds.py can visit each one.
"""

import errno
import os
import signal

POINTS: tuple[str, ...] = (
    "store.claimed",
    "runner.lent",
    "worker.received",
    "worker.loaded",
    "writer.first_frame",
    "writer.half",
    "writer.closed",
    "writer.fsynced",
    "work.sidecar",
    "work.renamed",
    "runner.finished",
    "store.take_in_transaction",
    "store.take_committed",
    "recover.adopting",
    "recover.swept",
)

_passed: dict[str, int] = {}


def point(name: str) -> None:
    """Pass a named point. Raises OSError(ENOSPC) or kills a process when LANTERNA_FAULT says so."""
    wanted = os.environ.get("LANTERNA_FAULT")
    if not wanted:
        return
    where, _, rest = wanted.partition(":")
    if where != name:
        return
    nth, _, how = rest.partition(":")
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] != int(nth or 1):
        return
    if how == "enospc":
        raise OSError(errno.ENOSPC, f"injected at {name}")
    if how in ("parent", "both"):
        os.kill(os.getppid(), signal.SIGKILL)
    if how != "parent":
        os.kill(os.getpid(), signal.SIGKILL)
