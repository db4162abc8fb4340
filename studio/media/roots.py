"""Where files live: (root name, relative POSIX path) in the database, a Path here. Knows no scenes and no SQL.

Folders can move between starts: the database keeps root names, this module alone turns them into files.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from studio.errors import Forbidden

ABSOLUTE = ""  # the root of files that lie in none of ours: a path the owner gave at this computer


class Roots:
    """The named folders a studio may read: `outputs`, `data`, and the media roots."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.change(folders)

    def change(self, folders: Mapping[str, Path]) -> None:
        """Other folders from now on; whoever reads meanwhile finds the old ones or the new."""
        self._folders = {name: path.resolve() for name, path in folders.items()}

    def __getitem__(self, name: str) -> Path:
        return self._folders[name]

    def names(self) -> list[str]:
        return list(self._folders)

    def file(self, root: str, path: str) -> Path:
        """The file behind a stored pair. Raises Forbidden when the pair points out of its root."""
        if root == ABSOLUTE:
            return Path(path)
        if root not in self._folders:
            raise Forbidden("media.root_gone", root=root)
        found = (self._folders[root] / path).resolve()
        if not found.is_relative_to(self._folders[root]):
            raise Forbidden("media.outside", path=path)
        return found

    def place(self, path: Path) -> tuple[str, str]:
        """The pair to store for a file. The innermost root wins."""
        path = path.resolve()
        homes = [(name, folder) for name, folder in self._folders.items() if path.is_relative_to(folder)]
        if not homes:
            return ABSOLUTE, path.as_posix()
        name, folder = max(homes, key=lambda home: len(home[1].parts))
        return name, PurePosixPath(path.relative_to(folder)).as_posix()

    def holds(self, path: Path) -> bool:
        """Does it lie in one of ours, after links are followed?"""
        return self.place(path)[0] != ABSOLUTE
