"""Sentences that were spoken before, on disk: whole or not there, never more than a bound. Knows no engine, no voice.

Each is one WAV of float samples, with the times of its words in its comment, called by a hash of all it depends on.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from studio.domain import JSON, new_id
from studio.pipelines.diffusion.embeddings import CACHE

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

BOUND = 1_000_000_000  # bytes: some three hours of speech

Times = tuple[tuple[float, float, str], ...]  # (start, end, word), seconds


class Kept:
    """Below one folder; those used longest ago go when there are too many. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, bound: int = BOUND) -> None:
        self._folder, self._bound = folder, bound

    @classmethod
    def here(cls) -> "Kept":
        """By the environment, the same for every worker."""
        cache = os.environ.get(CACHE)
        return cls(Path(cache) / "speech" if cache else None)

    def read(self, key: Mapping[str, JSON]) -> "tuple[np.ndarray, Times] | None":
        """(N,) float32 and the times of the words. None: it was not spoken yet, or is damaged."""
        if self._folder is None:
            return None
        import soundfile

        path = self._folder / f"{_letters(key)}.wav"
        try:
            with soundfile.SoundFile(io.BytesIO(path.read_bytes())) as file:
                words, samples = json.loads(file.comment), file.read(dtype="float32")
            os.utime(path)
            return samples, tuple((float(start), float(end), str(word)) for start, end, word in words)
        except (OSError, ValueError, TypeError, soundfile.LibsndfileError):
            return None

    def write(self, key: Mapping[str, JSON], samples: "np.ndarray", words: Times, rate: int) -> None:
        """A full disk is no reason to fail: the line itself is saved elsewhere."""
        if self._folder is None:
            return
        import soundfile

        content = io.BytesIO()
        with soundfile.SoundFile(content, "w", rate, 1, subtype="FLOAT", format="WAV") as file:
            file.comment = json.dumps(words)
            file.write(samples)
        path = self._folder / f"{_letters(key)}.wav"
        part = path.with_suffix(f".{new_id()}.part")  # two workers may speak the same sentence: each writes its own
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            self._prune()
        except OSError as error:
            log.warning("a sentence is not kept: %s", error)
        finally:
            with suppress(OSError):
                part.unlink()

    def _prune(self) -> None:
        files = sorted(self._files(), key=lambda one: one[0])
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self._bound:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """What a worker left half written counts too: it is old, so it goes first."""
        assert self._folder is not None
        for path in self._folder.iterdir():
            with suppress(OSError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path


def _letters(key: Mapping[str, JSON]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
