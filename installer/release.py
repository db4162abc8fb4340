"""Lanterna without git: the release that is newer, and changing places with it. The old program is kept until the new
one has proved itself. The user's folders are never part of it.
"""

from __future__ import annotations

import json
import os
import platform as computer
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from installer import Outside, Place, SetUpError, archive, fetch
from installer.folders import folders
from installer.news import News, changes
from installer.place import PARTS
from installer.unfinished import Unfinished, remove

NOT_OURS = (".venv", ".uv", "data", "outputs", ".env", ".git", ".update")  # beside launch.py, and the user's
LAST = ("installer", "launch.py")  # what starts goes last: until then the old one starts, and undoes
REQUIRED = (*PARTS.values(), "requirements.lock")
FROM_FILE = "Fetch a release and run: python3 launch.py update --from FILE"


def look(place: Place, outside: Outside, source: str, only_look: bool) -> News | None:
    """What `source` (a file, an address; empty: where releases are) would bring; None: nothing newer is there.

    Unpacks it into .update, unless that is more than was asked. Changes nothing else."""
    if not source:
        newest = _newest(place)
        if newest is None:
            return None
        version, source = newest
        if only_look:
            return News(place.version, version, f"It is at {source}", 0, {})
    file = _here(place, source)
    with archive.opened(file) as opened:
        found = archive.contents(opened)
        _suits(place, found)
        fresh = Unfinished(place).folder / "new"
        archive.unpack(opened, found, fresh)
    _apart(place, outside, names_in(fresh))
    return _news(place, found, fresh)


# ------------------------------------------------------------------------------------------------ finding one
def _newest(place: Place) -> tuple[str, str] | None:
    """(version, address of its zip for this computer) when it is newer than what is here."""
    address = _note(place).get("releases", "")
    if not address:
        raise SetUpError("This copy of Lanterna does not know where its releases are.", FROM_FILE)
    try:
        latest = json.loads(fetch.text(address))
        version = str(latest["tag_name"]).lstrip("v")
        zips = {str(one["name"]): str(one["browser_download_url"]) for one in latest["assets"]}
    except (ValueError, KeyError, TypeError) as error:
        raise SetUpError(f"{address} does not say what the newest release is: {error!r}.", FROM_FILE) from error
    if numbers(version) <= numbers(place.version):
        return None
    ending = f"-{_note(place).get('platform', '')}.zip"
    mine = next((url for name, url in zips.items() if name.endswith(ending)), None)
    if mine is None:
        raise SetUpError(f"Release {version} has no file that ends with {ending}", "Wait for it, or report it.")
    return version, mine


def numbers(version: str) -> tuple[int, ...]:
    """`0.10.1` is later than `0.9`."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _note(place: Place) -> dict[str, Any]:
    """bundle.json"""
    try:
        note: dict[str, Any] = json.loads((place.root / "bundle.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return note


def _here(place: Place, source: str) -> Path:
    """The zip, checked where there is something to check it with; what comes from an address always has."""
    folder = Unfinished(place).folder
    folder.mkdir(exist_ok=True)
    if re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE):
        print(f"  fetching {source}", flush=True)
        fetch.file(source, folder / "release.zip")
        return folder / "release.zip"
    file = Path(source).expanduser().absolute()
    beside = file.with_name(file.name + ".sha256")
    if beside.is_file() and file.is_file():
        fetch.check(file, fetch.digest_in(beside.read_text(encoding="utf-8", errors="replace")))
    return file


# ------------------------------------------------------------------------------------------------ may it come in?
def _suits(place: Place, found: archive.Contents) -> None:
    mine = _note(place)
    if bool(mine) != bool(found.bundle):
        kinds = ("a bundle", "plain source")
        here, there = kinds if mine else kinds[::-1]
        raise SetUpError(f"This is {there}, and what is here is {here}.", "Unpack it into a folder of its own instead.")
    if mine.get("platform") != found.bundle.get("platform"):
        raise SetUpError(
            f"This release is for {found.bundle.get('platform')}; here is {mine.get('platform')}"
            f" ({computer.system()} {computer.machine()}).",
            "Fetch the one for this computer.",
        )


def names_in(fresh: Path) -> list[str]:
    """What is changed, in order: names beside launch.py."""
    names = sorted(path.name for path in fresh.iterdir() if path.name not in NOT_OURS)
    return [name for name in names if name not in LAST] + [name for name in LAST if name in names]


def _apart(place: Place, outside: Outside, names: Iterable[str]) -> None:
    """Nothing of the user's lies in what is going to be replaced."""
    mine = folders(place, outside.environ)
    for folder in (mine.data, mine.outputs, mine.models, *mine.media):
        inside = next((name for name in names if (place.root / name).resolve() in (folder, *folder.parents)), None)
        if inside:
            raise SetUpError(
                f"Your folder {folder} lies inside the program: an update replaces {place.root / inside}.",
                "Move it out of there and tell the studio where it is (docs/settings.md), then run this again.",
            )


def _news(place: Place, found: archive.Contents, fresh: Path) -> News:
    names = names_in(fresh)
    logs = [_text(folder / "CHANGELOG.md") for folder in (place.root, fresh)]
    return News(
        old=named(place.version, _note(place)), new=named(found.version, found.bundle),
        changes=changes(*logs), code_bytes=found.bytes,
        requirements={name: _text(fresh / name).encode() for name in REQUIRED if (fresh / name).exists()},
        facts={
            "kind": "archive", "names": names,
            "fresh": [name for name in names if not os.path.lexists(str(place.root / name))],
        },
    )  # fmt: skip


def named(version: str, note: Mapping[str, Any]) -> str:
    """`0.1.0 (0a1b2c3)`, where it is known of which commit it was made."""
    commit = str(note.get("commit", ""))[:7]
    return f"{version} ({commit})" if commit else version


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


# ------------------------------------------------------------------------------------------------ changing places
def apply(place: Place, outside: Outside, one: Unfinished) -> None:
    aside, fresh = one.folder / "old", one.folder / "new"
    aside.mkdir(exist_ok=True)
    for name in one.facts["names"]:
        old, new = place.root / name, fresh / name
        if old.is_file() and new.is_file():  # there is never none of them: launch.py is one
            part = aside / (name + ".part")
            shutil.copy2(str(old), str(part))
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(str(part), str(aside / name))
            os.replace(str(new), str(old))
            continue
        if os.path.lexists(str(old)):
            os.replace(str(old), str(aside / name))
        if new.exists():
            os.replace(str(new), str(old))


def undo(place: Place, outside: Outside, one: Unfinished) -> None:
    """Wherever it was cut off, and however often: what was put aside comes back, what was new goes."""
    aside = one.folder / "old"
    for name in one.facts["names"]:
        mine, kept = place.root / name, aside / name
        if os.path.lexists(str(kept)):
            if not kept.is_file() or not mine.is_file():
                remove(mine)
            os.replace(str(kept), str(mine))
        elif name in one.facts["fresh"]:
            remove(mine)
