"""The folder picker: what lies in a folder of this machine, as far as whoever asks may look. Opens no file."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from studio.errors import NotFound
from studio.media.search import SUFFIXES
from studio.service.beside import STORYBOARD
from studio.service.library import Library
from studio.service.views import View
from studio.store import Store

MOST_FOLDERS = 500  # shown of one folder
MOST_FILES = 5000  # counted in one folder
KIND_OF = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
EPISODES = (".json", ".md")
OURS = ("data", "bundled")  # roots in which nobody keeps media


class Folders:
    def __init__(self, store: Store, library: Library) -> None:
        self._store, self._library = store, library

    def look(self, path: str = "", *, trusted: bool = False) -> View:
        """{path, parent, places, folders: [{name, path, media}], media, episodes: [{name, path}]}. Empty: the places to
        begin at. `media`: how many pictures, sounds and videos lie right there. Raises NotFound, Forbidden."""
        if not path:
            return {"path": "", "parent": None, "places": self._places(), "folders": [], "media": {}, "episodes": []}
        folder = self._library.find_any(path, trusted=trusted)
        if not folder.is_dir():
            folder = folder.parent
        entries = list(self._entries(folder, MOST_FILES))
        inner = sorted((one for one in entries if one.is_dir(follow_symlinks=False)), key=lambda one: one.name.lower())
        files = sorted(one.name for one in entries if one.is_file(follow_symlinks=False))
        parent = folder.parent
        return {
            "path": str(folder),
            "parent": str(parent) if parent != folder and self._library.may_pick(parent, trusted=trusted) else None,
            "places": self._places(),
            "folders": [
                {"name": one.name, "path": one.path, "media": sum(self._media(Path(one.path)).values())}
                for one in inner[:MOST_FOLDERS]
            ],
            "media": dict(_counted(files)),
            "episodes": [
                {"name": name, "path": str(folder / name)} for name in files if name.lower().endswith(EPISODES)
            ],
            "storyboards": sum(bool(STORYBOARD.fullmatch(name)) for name in files),
        }

    def _places(self) -> list[dict[str, Any]]:
        """Where somebody may begin: their home where the studio is theirs alone, and the studio's own folders."""
        roots = [(name, self._store.roots[name]) for name in self._store.roots.names() if name not in OURS]
        found = [*(("home", home) for home in self._library.homes), *roots]
        return [{"name": name, "path": str(path)} for name, path in found if path.is_dir()]

    def _media(self, folder: Path) -> "Counter[str]":
        return _counted(one.name for one in self._entries(folder, 500) if one.is_file(follow_symlinks=False))

    def _entries(self, folder: Path, most: int) -> Iterator[os.DirEntry[str]]:
        """Nothing hidden; nothing where the folder may not be read."""
        try:
            with os.scandir(folder) as entries:
                yield from islice((one for one in entries if not one.name.startswith(".")), most)
        except FileNotFoundError as error:
            raise NotFound("input.missing", name=folder.name) from error
        except OSError:
            return


def _counted(names: Any) -> "Counter[str]":
    return Counter(kind for name in names if (kind := KIND_OF.get(os.path.splitext(name)[1].lower())))
