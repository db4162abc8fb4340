"""Samples of a whole film, on disk: added to here and there, read in pieces. An hour is 1.4 GB that no memory holds."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from studio.media.files import whole_or_gone
from studio.media.sound import RATE

PIECE = 10 * RATE  # samples; what is in memory at a time
_BYTES = 8  # of a stereo sample, float32


class Bus:
    """(length, 2) float32, silent at first. The file is gone when the block is left."""

    def __init__(self, path: Path, length: int) -> None:
        self.length = length
        self._path = path
        self._gone = whole_or_gone(path)  # a full disk gets our words

    def __enter__(self) -> "Bus":
        self._gone.__enter__()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w+b")
        self._file.truncate(self.length * _BYTES)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._gone.__exit__(kind, error, trace)
        self._path.unlink(missing_ok=True)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples start..stop, those outside left out."""
        start, stop = max(0, start), min(stop, self.length)
        self._file.seek(start * _BYTES)
        return np.frombuffer(self._file.read(max(0, stop - start) * _BYTES), np.float32).reshape(-1, 2).copy()

    def add(self, samples: np.ndarray, at: int) -> None:
        """`samples` (n, 2) from sample `at` on; what reaches past an end is left out."""
        samples = samples[max(0, -at) : max(0, self.length - at)]
        at = max(0, at)
        if not len(samples):
            return
        heard = self.read(at, at + len(samples)) + samples.astype(np.float32)
        self._file.seek(at * _BYTES)
        self._file.write(heard.tobytes())
        self._file.flush()  # a full disk is told here, not in a destructor

    def pieces(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of pieces that fit into memory, from the first sample to the last."""
        for start in range(0, self.length, PIECE):
            yield start, min(start + PIECE, self.length)
