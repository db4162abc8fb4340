"""A zip that is made while it is sent: files of any size as they are, no copy on the disk. Knows no scenes."""

import io
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A member of the zip: what is in it, or the file that it is."""

    name: str
    content: bytes | Path


class Sending:
    """`size`: bytes that will be sent. Reads every file once for its checksum, which stands before it in the zip, and
    once more when it is sent. Raises OSError where one cannot be read."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._frame = _Frame()
        with zipfile.ZipFile(self._frame, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for part in parts:
                info = zipfile.ZipInfo(part.name)
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                if isinstance(part.content, bytes):
                    archive.writestr(info, part.content, zipfile.ZIP_DEFLATED)
                else:
                    self._leave_room(archive, info, part.content)
        self.size = self._frame.size

    def _leave_room(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
        info.file_size = path.stat().st_size
        with path.open("rb") as source, archive.open(info, "w") as target, self._frame.room_for(path):
            while chunk := source.read(CHUNK):
                target.write(chunk)

    def chunks(self) -> Iterator[bytes]:
        for piece in self._frame.pieces():
            if isinstance(piece, bytes):
                yield piece
                continue
            with piece.open("rb") as source:
                while chunk := source.read(CHUNK):
                    yield chunk


class _Frame(io.RawIOBase):
    """All of a zip but the bytes of its files: of those it keeps where they belong."""

    def __init__(self) -> None:
        self.size = self._at = 0
        self._kept = io.BytesIO()  # everything else, one after the other
        self._holes: list[tuple[int, int, Path]] = []  # where one begins, how long it is, whose it is
        self._filling = False

    @contextmanager
    def room_for(self, path: Path) -> Iterator[None]:
        """What is written inside is this file, and is not kept."""
        begin, self._filling = self._at, True
        yield
        self._filling = False
        self._holes.append((begin, self._at - begin, path))

    def write(self, content: Any) -> int:
        length = len(content)
        if not self._filling:
            self._kept.seek(self._at - sum(size for begin, size, _ in self._holes if begin < self._at))
            self._kept.write(content)
        self._at += length
        self.size = max(self.size, self._at)
        return length

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def pieces(self) -> Iterator[bytes | Path]:
        kept, done, sent = self._kept.getvalue(), 0, 0
        for begin, size, path in self._holes:
            length = begin - done
            yield kept[sent : sent + length]
            yield path
            sent, done = sent + length, begin + size
        yield kept[sent:]
