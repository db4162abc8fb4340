"""Lanterna as a git checkout: what its upstream has that it has not, going there and coming back. Fast-forward only."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from installer import Outside, Place, Said, SetUpError
from installer.news import News, changes
from installer.packages import NO_NETWORK, NO_SPACE
from installer.place import PARTS
from installer.unfinished import Unfinished

LOCK_SECONDS = 10.0  # a git that works takes less; one that was killed leaves its lock for ever
SHOWN = 5  # of many names
LITTLE = 50_000_000  # bytes of free disk: with less, a file that git cannot write is one too many


def look(place: Place, outside: Outside) -> News | None:
    """What can be fetched; None: it is the newest. Changes no file. Raises SetUpError where an update could not be
    undone, or would touch what is the user's."""
    if outside.which("git") is None:
        raise SetUpError("This is a git checkout, and git is not installed.", "Install git, then run this again.")
    _clean(place, outside)
    upstream = _upstream(place, outside)
    fetched = _git(place, outside, "fetch", "--quiet", upstream.partition("/")[0])
    if fetched.code:
        raise SetUpError(*_meaning(fetched, f"{upstream} could not be reached"))
    old, new = _said(place, outside, "rev-parse", "HEAD"), _said(place, outside, "rev-parse", upstream)
    ahead, behind = map(int, _said(place, outside, "rev-list", "--left-right", "--count", f"{old}...{new}").split())
    if not behind:
        return None
    if ahead:
        raise SetUpError(
            f"Your branch and {upstream} have gone different ways: {ahead} commits are only here, {behind} only there.",
            f"Bring them together yourself: git rebase {upstream}    then run this again.",
        )
    _nothing_in_the_way(place, outside, old, new)
    return _news(place, outside, old, new)


def _clean(place: Place, outside: Outside) -> None:
    status = _git(place, outside, "status", "--porcelain", "--untracked-files=no")
    if status.code:
        raise SetUpError(*_meaning(status, "git cannot read this checkout"))
    if status.text:
        names = [line[2:].strip() for line in status.text.splitlines()]
        raise SetUpError(
            f"Files of the program were changed here: {_some(names)}.",
            "Keep the changes in a commit, or undo them: git restore --staged --worktree .    then run this again.",
        )


def _upstream(place: Place, outside: Outside) -> str:
    """`origin/main`"""
    branch = _git(place, outside, "symbolic-ref", "--quiet", "--short", "HEAD")
    if branch.code:
        raise SetUpError(
            "This checkout is on no branch (detached HEAD).", "Go to one: git switch main    then run this again."
        )
    upstream = _git(place, outside, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    if upstream.code:
        raise SetUpError(
            f"The branch {branch.text} does not know where its updates come from.",
            f"Tell it: git branch --set-upstream-to=origin/{branch.text}    then run this again.",
        )
    return upstream.text


def _nothing_in_the_way(place: Place, outside: Outside, old: str, new: str) -> None:
    """git would write over files that it ignores: ours are none of its business, the user's even less."""
    there = [name for name in _added(place, outside, old, new) if os.path.lexists(str(place.root / name))]
    if there:
        raise SetUpError(
            f"The update brings files that lie here already: {_some(there)}.",
            "Move them somewhere else, then run this again.",
        )


def _news(place: Place, outside: Outside, old: str, new: str) -> News:
    sizes = _said(place, outside, "ls-tree", "-r", "--long", new)
    columns = [line.split("\t")[0].split()[3] for line in sizes.splitlines()]
    logs = [_git(place, outside, "show", f"{commit}:CHANGELOG.md").text for commit in (old, new)]
    files = {name: _git(place, outside, "show", f"{new}:{name}").text for name in PARTS.values()}
    count = _said(place, outside, "rev-list", "--count", f"{old}..{new}")
    further = "1 commit" if count == "1" else f"{count} commits"
    return News(
        old=f"{place.version} ({old[:7]})", new=f"{new[:7]}, {further} later",
        changes=changes(*logs) or _said(place, outside, "log", "--format=- %s", "--max-count=20", f"{old}..{new}"),
        code_bytes=sum(int(size) for size in columns if size.isdecimal()),
        requirements={name: text.encode() for name, text in files.items()},
        facts={"kind": "git", "old": old, "new": new},
    )  # fmt: skip


def apply(place: Place, outside: Outside, one: Unfinished) -> None:
    merged = _git(place, outside, "-c", "gc.auto=0", "merge", "--ff-only", "--quiet", one.facts["new"])
    if merged.code:
        if "unable to write" in merged.text and outside.free_bytes(place.root) < LITTLE:
            raise SetUpError(*NO_SPACE)
        raise SetUpError(*_meaning(merged, "git could not write the new files"))


def undo(place: Place, outside: Outside, one: Unfinished) -> None:
    """Where it was, also in the middle of writing files. Raises SetUpError when git cannot."""
    old, new = one.facts["old"], one.facts["new"]
    _wait_for_lock(place, outside)
    back = _git(place, outside, "-c", "gc.auto=0", "reset", "--hard", "--quiet", old)
    if back.code:
        raise SetUpError(*_meaning(back, "git could not write the old files"))
    for name in _added(place, outside, old, new):  # what git wrote before it could note it down
        file = place.root / name
        file.unlink(missing_ok=True)
        _remove_empty(file.parent, place.root)


def _wait_for_lock(place: Place, outside: Outside) -> None:
    lock = Path(_said(place, outside, "rev-parse", "--absolute-git-dir")) / "index.lock"
    until = time.monotonic() + LOCK_SECONDS
    while lock.exists() and time.time() - lock.stat().st_mtime < LOCK_SECONDS and time.monotonic() < until:
        time.sleep(0.1)
    lock.unlink(missing_ok=True)  # the git that made it was killed with the update


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _added(place: Place, outside: Outside, old: str, new: str) -> list[str]:
    """Files that the new commit has and the old one has not."""
    listed = _said(place, outside, "diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", old, new)
    return [name for name in listed.split("\0") if name]


# ------------------------------------------------------------------------------------------------ git
def _git(place: Place, outside: Outside, *arguments: str) -> Said:
    return outside.run(["git", "-C", str(place.root), *arguments])


def _said(place: Place, outside: Outside, *arguments: str) -> str:
    said = _git(place, outside, *arguments)
    if said.code:
        raise SetUpError(*_meaning(said, f"git {arguments[0]} failed"))
    return said.text


def _meaning(said: Said, what: str) -> tuple[str, str]:
    """(what went wrong, the cure) of a git that failed."""
    last = (said.text.splitlines() or ["?"])[-1][:300]
    if "No space left" in said.text:
        return NO_SPACE
    return f"{what}: {last}.", NO_NETWORK[1] if "reached" in what else "Put right what git names, then run this again."


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
